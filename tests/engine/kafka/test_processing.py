"""Members that produce of what they read: without transactions at least once, in transactions exactly once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from engine import commands as c
from engine.errors import CommandError, ScenarioError
from engine.events import Event, GivenUp, MessageCreated, NodeAdded, NodeStateChanged
from engine.kafka import events as k
from engine.simulation import Simulation
from engine.wire import decode
from tests.engine.kafka.test_promises import S, member, of, run
from tests.engine.kafka.test_promises import room as one_topic
from tests.engine.kafka.test_transactions import by_group


def room(to: dict[str, Any] | None = None, *more: dict[str, Any], **changes: Any) -> Any:
    """Member A reads t and produces to u, where group "all" reads everything, "committed" what is committed."""
    system = {"name": "log", "kind": "kafka", "link": "10ms", "request_timeout": "3s", "brokers": 3,
              "config": {"group.initial.rebalance.delay.ms": 0},
              "topics": [{"name": name, "partitions": 2, "replication": 3, "config": {"min.insync.replicas": n}}
                         for name, n in (("t", 1), ("u", 2))]}  # fmt: skip
    readers = [
        member(
            group,
            isolation=isolation,
            work={"constant": "1ms"},
            **{"from": {"topics": ["u"], "group": group}},
        )
        for group, isolation in (("all", "read_uncommitted"), ("committed", "read_committed"))
    ]
    members = [member("A", to={"topic": "u", **(to or {})}, **changes), *more, *readers]
    return one_topic(system=[system], consumer=members)


EXACTLY = {"transactional_id": "a"}


def names_in(events: list[Event]) -> dict[int, str]:
    return {event.node: event.name for event in of(events, NodeAdded)}


def written(events: list[Event], topic: str) -> list[int]:
    """The messages in a topic's partitions, aborted ones too; control records left out."""
    names = names_in(events)
    partitions = [event.node for event in of(events, k.PartitionDeclared) if names[event.topic] == topic]
    appended = [event for event in of(events, k.RecordsAppended) if event.node in partitions]
    return [message for event in appended for message in event.messages if message]


def keys(events: list[Event]) -> dict[int, str]:
    return {event.message: event.key for event in of(events, MessageCreated)}


@pytest.mark.parametrize("to", [{}, EXACTLY], ids=["plain", "transactional"])
def test_undisturbed_each_record_is_produced_once_with_its_key(to: dict[str, Any]) -> None:
    totals, events = run(room(to))
    made = dict(
        pair
        for event in of(events, k.RecordsTransformed)
        for pair in zip(event.offsets, event.messages, strict=True)
    )
    assert totals["sent"] == 400 and totals["done"] == totals["owed"] == 600
    assert len(written(events, "t")) == len(written(events, "u")) == 200
    assert len(made) == 100 and not totals["duplicated_effects"] and not totals["out_of_order"]
    known = keys(events)
    assert Counter(known[message] for message in written(events, "u")) == {"ana": 100, "ben": 100}


def test_a_key_may_be_mapped_to_another_one() -> None:
    _, events = run(room({"keys": {"ana": "ben"}}))
    known = keys(events)
    assert {known[message] for message in written(events, "u")} == {"ben"}


def test_what_was_produced_is_acknowledged_before_the_offsets_are_committed() -> None:
    _, events = run(room())
    [a] = {event.node for event in of(events, k.RecordsTransformed)}
    open_, committed = 0, 0
    for event in events:
        if isinstance(event, k.RecordsTransformed):
            open_ += len(event.messages)
        elif isinstance(event, k.BatchAcknowledged) and event.target == a:
            open_ -= event.count
        elif isinstance(event, k.OffsetCommitted) and event.by == a:
            committed += 1
            assert open_ == 0
    assert committed > 100


def between_produce_and_commit(scenario: Any) -> tuple[Simulation, int]:
    """Played up to a moment at which A's output is in the log and its input's offsets are not committed."""
    simulation = Simulation(scenario, 1)
    a = next(actor for actor in simulation.actors if actor.spec.name == "A")
    simulation.advance(5 * S, 1 << 40)
    for busy in (True, False):
        while bool(a.finishing) == busy:  # type: ignore[union-attr]
            simulation.advance(simulation.now_us + 1_000, 1 << 40)
    simulation.advance(simulation.now_us + 16_000, 1 << 40)
    return simulation, simulation.now_us


def told(simulation: Simulation) -> list[Event]:
    assert simulation.ticks is not None
    return [event for tick in simulation.ticks.take() for event in decode(tick.events)]


def test_a_crash_between_the_two_produces_again_without_a_transaction() -> None:
    _, at_us = between_produce_and_commit(room())
    totals, events = run(room(), (at_us, c.CrashConsumer("A")), (at_us + 2 * S, c.RestartConsumer("A")))
    twice = [message for message, count in Counter(written(events, "u")).items() if count > 1]
    # The same record of the same input stands there again, and both groups do their effect again
    assert len(twice) == 1 and len(set(written(events, "u"))) == 200
    assert totals["lost"] == 0 and totals["duplicated_effects"] == 1 + 2


def test_a_crash_in_a_transaction_shows_only_to_who_reads_uncommitted() -> None:
    scenario = room(EXACTLY)
    _, at_us = between_produce_and_commit(scenario)
    simulation = Simulation(scenario, 1)
    simulation.apply_at(at_us, c.CrashConsumer("A"), 1)
    simulation.apply_at(at_us + 2 * S, c.RestartConsumer("A"), 2)
    simulation.advance(60 * S, 1 << 40)
    events = told(simulation)
    counts = by_group(simulation)
    assert len(written(events, "u")) == 201 and len(set(written(events, "u"))) == 200
    assert counts["all"]["done"] == 201 and counts["committed"]["done"] == counts["committed"]["owed"] == 200
    assert simulation.counting is not None
    done = simulation.counting.state.done
    nodes = simulation.clusters[0].group_nodes
    assert sum(count > 1 for count in done[nodes["all"]]) == 1
    assert sum(count > 1 for count in done[nodes["committed"]]) == 0
    # The new process fences the old one: its transaction is aborted with the marker in each partition
    aborted = [event for event in of(events, k.RecordsAppended) if event.marker == "abort"]
    assert aborted and all(at_us + 2 * S <= event.at_us < at_us + 2.1 * S for event in aborted)


def test_offsets_and_records_of_a_transaction_count_from_the_same_moment() -> None:
    _, events = run(room(EXACTLY))
    [a] = {event.node for event in of(events, k.RecordsTransformed)}
    commits = {event.at_us for event in of(events, k.OffsetCommitted) if event.by == a}
    markers = {event.at_us for event in of(events, k.RecordsAppended) if event.marker == "commit"}
    ends = {event.at_us for event in of(events, k.TransactionChanged) if event.state == "CompleteCommit"}
    assert commits == markers == ends and len(commits) > 50
    epochs = [event.epoch for event in of(events, k.TransactionChanged) if event.state == "CompleteCommit"]
    assert epochs == list(range(1, len(epochs) + 1))  # KIP-890: each end raises it


def test_who_takes_over_waits_until_the_transaction_is_over() -> None:
    """KIP-447: the offsets may still be committed, so nobody is told others before."""
    second = member("B", start="1s", to={"topic": "u", "transactional_id": "b"})
    to = {**EXACTLY, "transaction_timeout": "20s"}
    simulation = Simulation(room(to, second), 1)
    simulation.advance(5 * S, 1 << 40)
    a = next(actor for actor in simulation.actors if actor.spec.name == "A")
    while a.finishing != "commit":  # type: ignore[union-attr]
        simulation.advance(simulation.now_us + 1_000, 1 << 40)
    crash_us = simulation.now_us
    simulation.apply_at(crash_us, c.CutLink("A"), 1)
    simulation.apply_at(crash_us, c.CrashConsumer("A"), 2)
    simulation.apply_at(crash_us, c.RestoreLink("A"), 3)
    simulation.kernel.parts[a.link].up_waiting = []
    simulation.advance(60 * S, 1 << 40)
    events = told(simulation)
    names = names_in(events)
    [lost] = [event for event in of(events, k.MemberGone) if names[event.node] == "A"]
    aborts = [event.at_us for event in of(events, k.TransactionChanged) if event.state == "CompleteAbort"]
    assert len(aborts) == 1 and aborts[0] > lost.at_us + 5 * S
    begun = [
        event.at_us
        for event in of(events, k.PositionSet)
        if names[event.node] == "B" and event.at_us > lost.at_us
    ]
    assert min(begun) > aborts[0]
    assert by_group(simulation)["committed"]["done"] == 200


def test_a_member_that_slept_through_its_exclusion_cannot_commit() -> None:
    scenario = room(EXACTLY, member("B", to={"topic": "u", "transactional_id": "b"}))
    simulation = Simulation(scenario, 1)
    simulation.advance(5 * S, 1 << 40)
    a = next(actor for actor in simulation.actors if actor.spec.name == "A")
    while not a.hand:  # type: ignore[union-attr]
        simulation.advance(simulation.now_us + 1_000, 1 << 40)
    simulation.apply_at(simulation.now_us, c.PauseConsumer("A"), 1)
    simulation.apply_at(simulation.now_us + 9 * S, c.ResumeConsumer("A"), 2)
    simulation.advance(60 * S, 1 << 40)
    counts, events = by_group(simulation), told(simulation)
    states = [e.state for e in of(events, k.TransactionChanged) if e.transactional_id == "a"]
    assert states.count("CompleteAbort") == 1
    # What it had been given was B's meanwhile: it stands twice, and once where committed is read
    assert counts["all"]["done"] > 200 == counts["committed"]["done"]
    assert a.state == "up"


def test_a_second_process_with_the_same_id_fences_the_first_one() -> None:
    twin = member("B", start="6s", to={"topic": "u", **EXACTLY})
    totals, events = run(room(EXACTLY, twin))
    fenced = [event for event in of(events, NodeStateChanged) if event.about.startswith("fenced")]
    assert [event.state for event in fenced] == ["crashed"]
    assert totals["lost"] == 0


def stopping_two_brokers(to: dict[str, Any]) -> Simulation:
    """Topic u wants two replicas and has one for eight seconds: writes with acks=all are refused."""
    simulation = Simulation(room({"delivery_timeout": "2s", **to}), 1)
    for n, broker in enumerate((2, 3)):
        simulation.apply_at(5 * S, c.KillBroker("log", broker), n + 1)
    for n, broker in enumerate((2, 3)):
        simulation.apply_at(13 * S, c.StartBroker("log", broker), n + 3)
    return simulation


def test_a_write_that_fails_for_good_ends_the_process_before_it_commits() -> None:
    simulation = stopping_two_brokers({})
    simulation.advance(16 * S, 1 << 40)
    a = next(actor for actor in simulation.actors if actor.spec.name == "A")
    assert a.state == "crashed"
    simulation.apply_at(17 * S, c.RestartConsumer("A"), 5)
    simulation.advance(60 * S, 1 << 40)
    counts = by_group(simulation)
    assert counts["g"]["done"] == counts["g"]["owed"]
    assert counts["all"]["owed"] >= counts["g"]["owed"] and not simulation.totals()["lost"]


def test_a_write_that_fails_in_a_transaction_aborts_it_and_its_member_reads_on_where_it_began() -> None:
    simulation = stopping_two_brokers(EXACTLY)
    simulation.advance(60 * S, 1 << 40)
    counts, events = by_group(simulation), told(simulation)
    aborts = [event for event in of(events, k.TransactionChanged) if event.state == "CompleteAbort"]
    assert aborts and any(
        event.offset for event in of(events, k.PositionSet) if event.at_us == aborts[0].at_us + 10_000
    )
    a = next(actor for actor in simulation.actors if actor.spec.name == "A")
    assert a.state == "up"
    assert counts["committed"]["done"] == counts["g"]["done"] == counts["g"]["owed"]


def test_committed_before_it_is_produced_what_a_crash_takes_is_lost() -> None:
    scenario = room({"linger": "5s"}, acknowledge="before work")
    totals, events = run(scenario, (8 * S, c.CrashConsumer("A")), (9 * S, c.RestartConsumer("A")))
    lost = of(events, GivenUp)
    assert lost and totals["lost"] >= len(lost)
    # Read again it is produced again: with the work before the commit nothing is lost
    scenario = room({"linger": "5s"})
    totals, events = run(scenario, (8 * S, c.CrashConsumer("A")), (9 * S, c.RestartConsumer("A")))
    assert totals["lost"] == 0 and not of(events, GivenUp)


def test_who_stops_sees_through_what_it_produced() -> None:
    totals, events = run(room({"linger": "1s"}, acknowledge="automatic"), (8 * S, c.StopConsumer("A")))
    made = {message for event in of(events, k.RecordsTransformed) for message in event.messages}
    assert made and made == set(written(events, "u")) and not totals["lost"]


def test_a_member_that_joins_by_hand_has_a_transactional_id_of_its_own() -> None:
    simulation = Simulation(room(EXACTLY), 1)
    simulation.apply_at(5 * S, c.AddConsumer(like="A"), 1)
    simulation.advance(60 * S, 1 << 40)
    assert list(simulation.clusters[0].transactions) == ["a", "A 2"]
    assert by_group(simulation)["committed"]["done"] == 200
    with pytest.raises(CommandError, match="A commits its offsets in transactions: expected after work"):
        Simulation(room(EXACTLY), 1).apply_at(S, c.SetAcknowledge("A", "automatic"), 1)


@pytest.mark.parametrize(
    ("to", "changes", "said"),
    [
        ({"topic": "v"}, {}, 'consumer[0].to.topic: expected one of t, u, got "v"'),
        ({"topic": "t"}, {}, 'consumer[0].to.topic: expected another one than it reads, got "t"'),
        ({"keys": {"ana": "zoe"}}, {}, 'consumer[0].to.keys: expected one of ana, ben, got "zoe"'),
        ({"acks": 1, "idempotence": True}, {},
         'consumer[0].to.idempotence: expected false, or acks = "all", got acks = 1'),
        ({"acks": 1, "transactional_id": "a"}, {},
         "consumer[0].to.transactional_id: expected it with idempotence only"),
        (EXACTLY, {"acknowledge": "automatic"},
         'consumer[0].acknowledge: expected "after work", the transaction commits the offsets, got "automatic"'),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(to: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        room(to, **changes)
    assert said in caught.value.problems


def test_an_abort_by_hand_has_it_read_again_from_where_the_transaction_began() -> None:
    simulation = Simulation(room(EXACTLY, work={"constant": "300ms"}), 1)
    a = next(actor for actor in simulation.actors if actor.spec.name == "A")
    simulation.advance(5 * S, 1 << 40)
    while not (a.output.library.tried and a.hand):  # type: ignore[union-attr]
        simulation.advance(simulation.now_us + 1_000, 1 << 40)
    simulation.apply_at(simulation.now_us + 20_000, c.AbortTransaction("A"), 1)
    simulation.advance(simulation.now_us + 2 * S, 1 << 40)
    simulation.advance(60 * S, 1 << 40)
    events = told(simulation)
    [aborted] = [event for event in of(events, k.TransactionChanged) if event.state == "CompleteAbort"]
    began = min(event.at_us for event in of(events, k.PositionSet) if event.at_us >= aborted.at_us)
    assert began == aborted.at_us + 10_000
    counts = by_group(simulation)
    assert counts["committed"]["done"] == counts["committed"]["owed"] < counts["all"]["owed"]
    assert not simulation.totals()["lost"]


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ({}, r"A has no transactional\.id: it writes without transactions"),
        (EXACTLY, "A has no transaction open"),
    ],
)
def test_an_abort_needs_a_transaction(to: dict[str, Any], said: str) -> None:
    simulation = Simulation(room(to), 1)
    with pytest.raises(CommandError, match=said):
        simulation.apply_at(0, c.AbortTransaction("A"), 1)
