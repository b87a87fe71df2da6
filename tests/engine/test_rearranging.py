"""What people add to a running room and take away: workers split a queue, a new queue gets copies of its own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine import commands as c
from engine import limits
from engine.errors import CommandError
from engine.events import (
    ConsumerSettings,
    EffectApplied,
    FuseLit,
    GivenUp,
    Left,
    MessageCreated,
    Moved,
    NodeAdded,
    NodeRemoved,
    NodeStateChanged,
    Placed,
    PromiseBroken,
    Sent,
    Settled,
    StoreAsked,
    Tallied,
    WireAdded,
    WireRemoved,
    WorkFinished,
    WorkStarted,
)
from engine.history import play as history_of
from engine.rabbitmq.events import (
    ChannelClosed,
    ConsumerCancelled,
    ConsumerRegistered,
    QueueDeclared,
    Requeued,
)
from engine.scenario import from_data
from engine.simulation import Simulation
from engine.wire import decode
from tests.engine.rooms import BUSY, Journal, journal, play
from tests.engine.test_promises import MS, Run, scenario


def steady(**consumer: Any) -> dict[str, Any]:
    """A message a second for one worker that needs 600 ms, for half a minute."""
    producer = {"name": "shop", "system": "broker", "to": {"queue": "work"}, "arrivals": {"every": "1s"}}
    return scenario([consumer], producer=[producer])


def fanned() -> dict[str, Any]:
    """Each message is published to a fanout exchange that queue `work` is bound to."""
    data = steady()
    data["system"][0]["exchanges"] = [{"name": "orders", "type": "fanout"}]
    data["system"][0]["bindings"] = [{"exchange": "orders", "queue": "work"}]
    data["producer"][0]["to"] = {"exchange": "orders"}
    return data


def worked_by(run: Run, name: str) -> list[int]:
    """The messages whose effect this consumer has done, in order."""
    return [e.message for e in run.all(EffectApplied, node=run.node(name))]


# -- consumers ----------------------------------------------------------------------------------


def test_a_second_worker_on_one_queue_splits_what_comes() -> None:
    run = Run(steady(work={"constant": "1800ms"}), (5_000, c.AddConsumer(like="worker 1")))
    first, second = worked_by(run, "worker 1"), worked_by(run, "worker 2")
    assert first and second and not set(first) & set(second)
    assert run.ledger["duplicated_effects"] == 0
    # It has the settings of the one that it is like
    registered = run.all(ConsumerRegistered)
    assert [e.prefetch for e in registered] == [1, 1]


def test_a_new_queue_that_is_bound_gets_a_copy_of_each_message_from_then_on() -> None:
    run = Run(
        fanned(),
        (4_000, c.DeclareQueue("broker", "audit")),
        (5_500, c.BindQueue("broker", "orders", "audit")),
        (6_000, c.AddConsumer(like="worker 1", queue="audit", name="auditor")),
    )
    assert run.all(QueueDeclared)[-1].queue_type == "classic"
    copied, worked = worked_by(run, "auditor"), worked_by(run, "worker 1")
    assert copied[0] == 7  # made at 6 s: the first after the binding
    assert set(copied) < set(worked)


def test_an_unbound_queue_gets_no_more() -> None:
    run = Run(fanned(), (10_500, c.UnbindQueue("broker", "orders", "work")))
    assert worked_by(run, "worker 1") == list(range(1, 12))
    assert run.ledger["dropped"] > 0  # they match no queue


def by_headers() -> dict[str, Any]:
    """As `fanned`, behind a headers exchange that nothing is bound to; every message says format=pdf, pages=2."""
    data = fanned()
    data["system"][0]["exchanges"] = [{"name": "orders", "type": "headers"}]
    data["system"][0]["bindings"] = []
    data["producer"][0]["count"] = 6
    data["producer"][0]["headers"] = {"format": "pdf", "pages": 2}
    return data


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        ({"format": "pdf"}, True),
        ({"format": "pdf", "pages": 3}, False),
        ({"format": "pdf", "pages": 3, "x-match": "any"}, True),
        ({"pages": "2"}, False),
        ({"pages": None}, True),
        ({"urgent": None}, False),
    ],
)
def test_a_queue_is_bound_to_a_headers_exchange_by_arguments(arguments: dict[str, Any], fits: bool) -> None:
    run = Run(by_headers(), (2_500, c.BindQueue("broker", "orders", "work", arguments=arguments)))
    assert worked_by(run, "worker 1") == ([4, 5, 6] if fits else [])  # made at 3, 4 and 5 s


def test_of_several_headers_bindings_the_one_with_those_arguments_goes() -> None:
    pdf, long = {"format": "pdf", "x-match": "any"}, {"pages": 2, "urgent": None}
    run = Run(
        by_headers(),
        (1_000, c.BindQueue("broker", "orders", "work", arguments=long)),
        (1_100, c.BindQueue("broker", "orders", "work", arguments=pdf)),
        (3_500, c.UnbindQueue("broker", "orders", "work", arguments=pdf)),
    )
    assert worked_by(run, "worker 1") == [3, 4], "the other one asks for what no message has"
    labels = [e.label for e in run.all(WireAdded) if e.kind == "binding"]
    assert labels == ["pages=2, urgent", "format=pdf, x-match=any"]


def test_what_could_be_taken_for_a_number_stands_in_quotes_on_the_wire() -> None:
    arguments = {"pages": "2", "final": "true", "sealed": True, "to": "a, b=c"}
    run = Run(by_headers(), (1_000, c.BindQueue("broker", "orders", "work", arguments=arguments)))
    [wire] = [e for e in run.all(WireAdded) if e.kind == "binding"]
    assert wire.label == 'final="true", pages="2", sealed=true, to="a, b=c"'


def test_a_deleted_queue_takes_its_messages_along_and_its_workers_are_cancelled() -> None:
    # Given a worker that works on m2, with m3 and m4 prefetched, and m5 that waits
    data = steady(prefetch=3, work={"constant": "1900ms"})
    data["producer"][0]["count"] = 6
    run = Run(data, (4_150, c.DeleteQueue("broker", "work")))
    node = run.node("work")
    # Then what the queue held is dropped, and so is m6, which the default exchange finds no queue for
    [gone] = run.all(Left, reason="queue_deleted")
    assert len(gone.copies) == 3
    assert run.ledger["dropped"] == len(gone.copies) + 1
    assert run.ledger["done"] + run.ledger["dropped"] == run.ledger["owed"] == 6
    assert run.all(NodeRemoved, node=node) and run.all(WireRemoved, source=node)
    [cancelled] = run.all(ConsumerCancelled, queue=node)
    assert (cancelled.why, cancelled.node) == ("queue_deleted", run.node("worker 1"))
    # And the worker looks for its queue again and again
    assert len(run.all(ChannelClosed, why="NOT_FOUND")) > 10


def test_a_queue_declared_again_under_its_name_is_worked_on_again() -> None:
    run = Run(
        fanned(),
        (2_500, c.DeleteQueue("broker", "work")),
        (4_500, c.DeclareQueue("broker", "work", exchange="orders")),
    )
    first, second = (e.node for e in run.all(NodeAdded) if e.name == "work")
    assert first != second
    # m4 and m5 fit no binding; m3 was on the way to the worker when the queue went
    assert worked_by(run, "worker 1")[:4] == [1, 2, 3, 6]


def test_a_question_about_a_destination_counts_it_under_both_its_lives() -> None:
    commands = [(2_500_000, c.DeleteQueue("broker", "work")),
                (4_500_000, c.DeclareQueue("broker", "work", exchange="orders"))]  # fmt: skip
    history = history_of(from_data(fanned()), 1, commands)
    assert history.accounts["work"]["owed"] == 28, "all but the two that fitted no binding"
    assert history.accounts["work"]["dropped"] == 1


def test_a_new_consumer_needs_nobody_to_be_like() -> None:
    run = Run(
        steady(),
        (2_000, c.RemoveConsumer("worker 1")),
        (9_000, c.AddConsumer(queue="work", system="broker")),
    )
    assert run.node("work worker") and worked_by(run, "work worker")


@pytest.mark.parametrize(
    ("names", "new"),
    [
        (["worker A", "worker B"], ["worker C", "worker D"]),
        (["billing"], ["billing 2", "billing 3"]),
        (["worker Z"], ["worker Z 2", "worker Z 3"]),
    ],
)
def test_a_newcomer_gets_the_next_name_that_nobody_ever_had(names: list[str], new: list[str]) -> None:
    simulation = Simulation(from_data(scenario([{"name": name} for name in names])), 1)
    for n in range(2):
        simulation.apply_at(n + 1, c.AddConsumer(like=names[0]), n)
        simulation.apply_at(n + 1, c.CrashConsumer(new[n]), n)
        simulation.apply_at(n + 1, c.RemoveConsumer(new[n]), n)
    assert [actor.spec.name for actor in simulation.actors[-2:]] == new


def test_a_removed_consumer_finishes_and_its_node_goes_once_nothing_is_on_its_way() -> None:
    # Given one that works on m3 from 2.2 s to 2.8 s
    run = Run(steady(), (2_400, c.RemoveConsumer("worker 1")), until_ms=9_000)
    node = run.node("worker 1")
    stopped = run.all(NodeStateChanged, node=node, state="stopped")[0]
    removed = run.all(NodeRemoved, node=node)[0]
    # Then it finishes at 2.8 s, its farewell takes 100 ms and the answer to it as long
    assert worked_by(run, "worker 1") == [1, 2, 3]
    assert (stopped.at_us, removed.at_us) == (2_800 * MS, 3_000 * MS)
    assert run.ledger["unacked"] == 0
    with pytest.raises(CommandError, match="there is no consumer 'worker 1'; there is none"):
        run.simulation.apply_at(9_000 * MS, c.CrashConsumer("worker 1"), 2)


def test_a_crashed_consumer_goes_at_once_and_one_behind_a_cut_when_that_is_over() -> None:
    crashed = Run(steady(), (2_000, c.CrashConsumer("worker 1")), (4_000, c.RemoveConsumer("worker 1")))
    assert crashed.all(NodeRemoved)[0].at_us == 4_000 * MS
    # The heartbeat is 3 s: the connection is given up at 5.5 s
    cut = Run(steady(), (2_500, c.CutLink("worker 1")), (3_500, c.RemoveConsumer("worker 1")))
    assert cut.all(NodeRemoved)[0].at_us == 5_500 * MS
    assert cut.all(Requeued), "what it had not acknowledged goes back"


def test_who_is_being_removed_takes_no_other_command_but_its_network_does() -> None:
    simulation = Simulation(from_data(steady(work={"constant": "5s"})), 1)
    simulation.apply_at(1_000 * MS, c.RemoveConsumer("worker 1"), 1)
    with pytest.raises(CommandError, match="worker 1 is being removed"):
        simulation.apply_at(1_500 * MS, c.CrashConsumer("worker 1"), 2)
    simulation.apply_at(1_500 * MS, c.CutLink("worker 1"), 2)
    simulation.apply_at(1_600 * MS, c.RestoreLink("worker 1"), 3)


# -- producers ----------------------------------------------------------------------------------


def test_a_second_producer_makes_messages_as_the_first_does_and_shifts_nobody_elses_chance() -> None:
    data = steady()
    data["producer"][0]["arrivals"] = {"poisson": "1/s"}
    alone, added = Run(data), Run(data, (5_000, c.AddProducer("shop")))
    node = added.node("shop")
    mine = [e.at_us for e in added.all(MessageCreated, node=node)]
    assert mine == [e.at_us for e in alone.all(MessageCreated)]
    others = [e.at_us for e in added.all(MessageCreated, node=added.node("shop 2"))]
    assert others[0] > 5_000 * MS and len(others) > 10 and others != mine


@pytest.mark.parametrize("confirm", [False, True])
def test_a_removed_producer_sends_what_it_has_made_and_goes(confirm: bool) -> None:
    data = steady()
    data["producer"][0]["confirm"] = confirm
    run = Run(data, (3_050, c.RemoveProducer("shop")))
    assert len(run.all(MessageCreated)) == 4
    assert worked_by(run, "worker 1") == [1, 2, 3, 4]
    # m4 is sent at 3 s and arrives at 3.1 s, its confirm at 3.2 s; a farewell and its answer take 200 ms
    assert run.all(NodeRemoved)[0].at_us == (3_400 if confirm else 3_250) * MS


def test_a_removed_producer_whose_confirms_never_come_gives_up_what_no_broker_has() -> None:
    data = steady()
    data["producer"][0] |= {"confirm": True, "confirm_timeout": "8s"}
    run = Run(data, (2_050, c.CutLink("shop")), (2_500, c.RemoveProducer("shop")))
    # The broker never saw m3; the connection is given up 3 s after the cut
    assert [e.message for e in run.all(GivenUp)] == [3]
    assert run.all(NodeRemoved)[0].at_us == 5_050 * MS
    assert run.ledger["lost"] == 1


# -- settings -----------------------------------------------------------------------------------


def failing(**consumer: Any) -> dict[str, Any]:
    data = scenario([{"fail": {"keys": ["ben"]}, **consumer}])
    data["system"][0]["queues"] += [
        {"name": "later", "retries_for": "work",
         "arguments": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work"}},
        {"name": "dead", "dead_letters_for": "work"},
    ]  # fmt: skip
    return data


def test_a_worker_that_requeues_for_ever_is_taught_to_wait_and_to_stop_trying() -> None:
    retry = c.SetRetry("worker 1", "republish", "later", "exponential", 500 * MS, 3, "dead")
    run = Run(failing(), (8_000, retry))
    failed = run.all(WorkFinished, ok=False)
    assert len([e for e in failed if e.at_us < 8_000 * MS]) > 3
    # m2, m4 and m6 had failed more than three times each: they are published to `dead`, and the rest goes on
    assert run.ledger["dead"] == 3 and run.ledger["done"] == 3
    assert not [e for e in failed if e.at_us > 16_000 * MS]


def test_what_came_under_another_policy_goes_back_to_the_queue_once_more() -> None:
    # Given a worker that holds m2 when it learns to republish: it has kept no body to publish
    retry = c.SetRetry("worker 1", "republish", "later", limit=2, then="dead")
    run = Run(failing(work={"constant": "2s"}), (3_500, retry))
    at_work = next(e for e in run.all(WorkStarted) if e.at_us < 3_500 * MS < e.until_us)
    answers = [e for e in run.all(Sent) if e.about == at_work.copy and e.kind in ("nack", "reject", "ack")]
    assert answers[0].kind == "nack"
    assert run.ledger["lost"] == 0 and run.ledger["dead"] == 3


def test_a_worker_with_steps_may_leave_them_and_come_back() -> None:
    steps = [{"queue": "later", "delay": "700ms"}]
    data = failing(retry={"do": "republish", "steps": steps, "limit": 4, "then": "dead"})
    other = c.SetRetry("worker 1", "requeue"), c.SetRetry("worker 1", "republish", limit=4, then="dead")
    run = Run(data, (1_100, other[0]), (4_000, other[1]))
    expirations = [e for e in run.all(FuseLit) if e.what == "ttl"]
    assert expirations and all(e.at_us > 4_000 * MS for e in expirations)
    assert {e.until_us - e.at_us for e in expirations} == {700 * MS}


@pytest.mark.parametrize(("keep", "repeated"), [("with the effect", 0), ("check then act", 1)])
def test_a_store_given_to_a_worker_is_shared_by_those_of_its_queue(keep: Any, repeated: int) -> None:
    # Given a worker that loses the acknowledgement of m2, and dies between effect and acknowledgement of m4
    run = Run(
        scenario([{"work": {"constant": "400ms"}, "wrap_up": "1s", "prefetch": 5}]),
        (100, c.SetIdempotency("worker 1", keep)),
        (200, c.AddConsumer(like="worker 1")),
        (1_950, c.DropNextAck("worker 1")),
        (4_000, c.CrashConsumer("worker 1")),
    )
    # Then the other one is told of m2; of m4 only where the store is written in one step with the effect
    told = [e for e in run.all(StoreAsked, node=run.node("worker 2")) if e.seen]
    assert len(told) == 2 - repeated
    assert run.ledger["duplicated_effects"] == repeated and run.ledger["duplicated_deliveries"] >= 2


def test_without_its_store_a_worker_repeats_the_effect_and_with_it_again_it_remembers() -> None:
    data = scenario([{"idempotency": {"store": "seen", "keep": "with the effect"}}])
    lost_ack = ((100, c.DropNextAck("worker 1")), (3_000, c.CrashConsumer("worker 1")))
    again = (3_200, c.RestartConsumer("worker 1"))
    assert Run(data, *lost_ack, again).ledger["duplicated_effects"] == 0
    without = (2_900, c.SetIdempotency("worker 1", "none"))
    assert Run(data, lost_ack[0], without, lost_ack[1], again).ledger["duplicated_effects"] == 1
    back = (2_950, c.SetIdempotency("worker 1", "with the effect"))
    assert Run(data, lost_ack[0], without, back, lost_ack[1], again).ledger["duplicated_effects"] == 0


def test_a_changed_consumer_says_its_settings_and_so_does_a_new_one() -> None:
    run = Run(
        failing(prefetch=2),
        (1_000, c.SetWork("worker 1", 300 * MS)),
        (2_000, c.SetAcknowledge("worker 1", "before work")),
        (3_000, c.SetRetry("worker 1", "republish", "later", "exponential", 500 * MS, 3, "dead")),
        (4_000, c.AddConsumer(like="worker 1")),
        until_ms=5_000,
    )
    said = run.all(ConsumerSettings)
    assert [(e.node, e.work_us, e.acknowledge, e.retry) for e in said[:2]] == [
        (run.node("worker 1"), 300 * MS, "after work", "requeue"),
        (run.node("worker 1"), 300 * MS, "before work", "requeue"),
    ]
    last = said[-1]
    assert (last.node, last.prefetch, last.retry_queue, last.backoff, last.delay_us, last.limit, last.then) == (
        run.node("worker 2"), 2, "later", "exponential", 500 * MS, 3, "dead"
    )  # fmt: skip
    # And whoever comes now is told the same
    present = [e for e in run.simulation.state_events() if isinstance(e, ConsumerSettings)]
    assert [replace(e, at_us=0, cause=0) for e in present] == [replace(e, at_us=0, cause=0) for e in said[2:]]


def test_a_consumer_that_connects_later_says_from_the_start_where_it_will_read() -> None:
    run = Run(steady(start="4s"), until_ms=3_000)
    (said,) = run.all(ConsumerSettings)
    assert (said.at_us, said.node, said.queue) == (0, run.node("worker 1"), run.node("work"))
    assert not run.all(ConsumerRegistered)
    assert [e.queue for e in run.simulation.state_events() if isinstance(e, ConsumerSettings)] == [
        run.node("work")
    ]


def test_a_queue_may_be_declared_and_bound_in_one_step() -> None:
    run = Run(fanned(), (4_500, c.DeclareQueue("broker", "audit", exchange="orders")), until_ms=9_000)
    assert len([e for e in run.all(WireAdded) if e.target == run.node("audit")]) == 1
    assert run.ledger["owed"] == run.ledger["sent"] + len(
        [e for e in run.all(MessageCreated) if e.at_us > 4_500 * MS]
    )


# -- what makes no sense ------------------------------------------------------------------------

REFUSED: list[tuple[c.AnyCommand, str]] = [
    (c.AddConsumer(), "expected either like, or queue and system"),
    (c.AddConsumer(like="nobody"), "there is no consumer 'nobody'; there is worker 1"),
    (c.AddConsumer(like="worker 1", queue="nowhere"), "there is no queue 'nowhere' in broker"),
    (c.AddConsumer(like="worker 1", name="shop"), "there is, or was, somebody called 'shop'"),
    (c.AddConsumer(like="worker 1", name=" x"), "a name needs printable characters"),
    (c.AddConsumer(like="worker 1", system="other"), "worker 1 belongs to broker"),
    (c.AddProducer("worker 1"), "there is no producer 'worker 1'; there is shop"),
    (c.RemoveConsumer("shop"), "there is no consumer 'shop'"),
    (c.DeclareQueue("broker", "work"), "there is a queue 'work' in broker already"),
    (c.DeclareQueue("broker", "amq.mine"), "names that begin with amq. are the broker's own"),
    (c.DeclareQueue("nowhere", "work"), "there is no system 'nowhere'"),
    (c.DeclareQueue("broker", "x", exchange="letters"), "there is no exchange 'letters' in broker"),
    (c.DeclareQueue("broker", "x", routing_key="a"), "expected an exchange with the routing key"),
    (c.BindQueue("broker", "orders", "work"), "work is bound to orders already"),
    (c.BindQueue("broker", "letters", "work"), "there is no exchange 'letters' in broker"),
    (c.UnbindQueue("broker", "orders", "work", "a"), "work is not bound to orders by a"),
    (
        c.BindQueue("broker", "orders", "work", arguments={"a": 1}),
        "orders is a fanout exchange: it looks at no arguments",
    ),
    (
        c.BindQueue("broker", "amq.headers", "work", arguments={"x-match": "some"}),
        'x-match: expected all, any, all-with-x, any-with-x, got "some"',
    ),
    (
        c.UnbindQueue("broker", "amq.headers", "work", arguments={"a": "1", "b": None}),
        'work is not bound to amq.headers by a="1", b',
    ),
    (c.DeleteQueue("broker", "nowhere"), "there is no queue 'nowhere' in broker"),
    (c.DeleteQueue("nowhere", "work"), "there is no system 'nowhere'"),
    (c.SetRetry("worker 1", "republish"), 'expected a queue with do = "republish"'),
    (c.SetRetry("worker 1", "requeue", "work"), 'expected a queue with do = "republish" only'),
    (c.SetRetry("worker 1", "republish", "nowhere"), "there is no queue 'nowhere' in broker"),
    (c.SetRetry("worker 1", "requeue", then="work"), "expected a limit with then"),
]


@pytest.mark.parametrize(
    ("command", "why"), REFUSED, ids=[f"{type(x).__name__}-{y[:24]}" for x, y in REFUSED]
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(command: c.AnyCommand, why: str) -> None:
    simulation = Simulation(from_data(fanned()), 1)
    simulation.advance(1_050 * MS)
    before = simulation.snapshot()
    with pytest.raises(CommandError) as refused:
        simulation.apply_at(1_050 * MS, command, 0)
    assert why in str(refused.value)
    assert simulation.snapshot() == before


@pytest.mark.parametrize(
    ("command", "most", "sentence"),
    [
        (lambda n: c.AddConsumer(like="worker 1"), limits.CONSUMERS_MAX - 1, "there are 50 consumers already"),
        (lambda n: c.AddProducer("shop"), limits.PRODUCERS_MAX - 1, "there are 20 producers already"),
        (lambda n: c.DeclareQueue("broker", f"q{n}"), limits.QUEUES_MAX - 1, "broker has 40 queues, as many"),
        (lambda n: c.BindQueue("broker", "orders", "work", f"k{n}"), limits.BINDINGS_MAX - 1, "broker has 200 bindings"),
    ],
    ids=["consumers", "producers", "queues", "bindings"],
)  # fmt: skip
def test_one_more_than_there_is_room_for_is_refused(command: Any, most: int, sentence: str) -> None:
    simulation = Simulation(from_data(fanned()), 1)
    for n in range(most):
        simulation.apply_at(1_000, command(n), n)
    with pytest.raises(CommandError, match=sentence):
        simulation.apply_at(1_000, command(most), most)


def test_a_binding_asks_for_a_bounded_number_of_headers() -> None:
    arguments = {f"h{n}": n for n in range(limits.BINDING_ARGUMENTS_MAX + 1)}
    command = {"system": "broker", "exchange": "orders", "queue": "work", "arguments": arguments}
    with pytest.raises(CommandError, match="BindQueue: Expected `object` of length <= 10 at `arguments`"):
        c.decode("BindQueue", command)
    del arguments["h0"]
    assert isinstance(c.decode("BindQueue", command), c.BindQueue)


def test_a_run_keeps_a_bounded_number_of_those_who_came_and_went() -> None:
    simulation = Simulation(from_data(fanned()), 1)
    for n in range(2, limits.ACTORS_EVER_MAX):
        simulation.apply_at(n * 90 * MS, c.AddConsumer(like="worker 1"), n)
        simulation.apply_at(n * 90 * MS, c.RemoveConsumer(f"worker {n}"), n)
    with pytest.raises(CommandError, match="this run has had 300 producers and consumers"):
        simulation.apply_at(simulation.now_us, c.AddConsumer(like="worker 1"), 999)


# -- whatever is done ---------------------------------------------------------------------------

PLACES_OF = {"node", "source", "queue"}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), journal)
def test_of_a_node_that_is_gone_nothing_is_said_any_more(seed: int, entries: Journal) -> None:
    ticks, _ = play(BUSY, seed, entries)
    gone: dict[int, None] = {}
    for tick in ticks:
        for event in decode(tick.events):
            if isinstance(event, NodeRemoved):
                gone[event.node] = None
            elif isinstance(event, NodeAdded):
                assert event.node not in gone
            elif not isinstance(event, Settled | Tallied | PromiseBroken):
                said = {getattr(event, name) for name in PLACES_OF & {*event.__struct_fields__}}
                assert not said & gone.keys(), event
                if isinstance(event, Moved | Placed):
                    assert getattr(event, "target", 0) not in gone, event
