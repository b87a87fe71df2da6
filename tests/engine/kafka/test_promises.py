"""What Kafka's clients promise and do not: crashes, lost answers, slow members, brokers that are killed."""

from __future__ import annotations

from typing import Any

import pytest

from engine import commands as c
from engine.errors import CommandError
from engine.events import Event, MessageCreated
from engine.kafka import events as k
from engine.kafka.counting import Counting
from engine.kernel import Kernel
from engine.outcomes import Run
from engine.scenario import from_data
from engine.simulation import Simulation
from engine.wire import decode
from engine.world import World
from tests.engine.playing import Journal, play

S = 1_000_000


def room(**changes: Any) -> Any:
    """One topic, one producer of ten records a second in 20 s, one member A."""
    data: dict[str, Any] = {
        "format": 1, "title": "small", "length": "60s", "kinds": ["ana", "ben"],
        "system": [{"name": "log", "kind": "kafka", "link": "10ms", "request_timeout": "3s", "brokers": 3,
                    "config": {"group.initial.rebalance.delay.ms": 0},
                    "topics": [{"name": "t", "partitions": 2, "replication": 3}]}],
        "producer": [{"name": "shop", "system": "log", "to": {"topic": "t"}, "arrivals": {"every": "100ms"},
                      "keys": ["ana", "ben"], "count": 200}],
        "consumer": [member("A")],
    }  # fmt: skip
    for path, value in changes.items():
        field, _, inner = path.partition("__")
        if inner:
            data[field][0] = {**data[field][0], inner: value}
        else:
            data[field] = value
    return from_data(data)


def member(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "system": "log", "from": {"topics": ["t"], "group": "g"}, "reset": "earliest",
            "session_timeout": "6s", "heartbeat": "1s", "acknowledge": "after work",
            "work": {"constant": "40ms"}, **changes}  # fmt: skip


def run(scenario: Any, *entries: tuple[int, Any]) -> tuple[dict[str, int], list[Event]]:
    """The ledger's counts at the end, and all events."""
    journal: Journal = list(entries)
    ticks, simulation = play(scenario, 1, journal)
    return simulation.totals(), [event for tick in ticks for event in decode(tick.events)]


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if type(event) is kind]


def test_undisturbed_every_record_is_done_once() -> None:
    totals, _ = run(room())
    assert totals["sent"] == totals["owed"] == totals["done"] == 200
    assert not any(
        totals[name] for name in ("lost", "duplicated_deliveries", "duplicated_effects", "out_of_order")
    )


def short_memory(**changes: Any) -> Any:
    """The same room; its topic keeps records for five seconds, in segments of two, looked at each second."""
    system = {"name": "log", "kind": "kafka", "link": "10ms", "brokers": 3,
              "config": {"group.initial.rebalance.delay.ms": 0, "log.retention.check.interval.ms": 1_000},
              "topics": [{"name": "t", "partitions": 2, "replication": 3,
                          "config": {"retention.ms": 5_000, "segment.ms": 2_000}}]}  # fmt: skip
    return room(system=[system], **changes)


def test_retention_takes_whole_segments_that_are_too_old_read_or_not() -> None:
    late = member(
        "late", start="15s", work={"constant": "1ms"}, **{"from": {"topics": ["t"], "group": "late"}}
    )
    totals, events = run(short_memory(consumer=[member("A"), late]))
    gone = of(events, k.RecordsGone)
    assert {event.why for event in gone} == {"retention"}
    # The first go when the newest of their segment is five seconds old and the log manager looks
    assert 7 * S <= gone[0].at_us <= 8.1 * S
    assert len(gone[0].offsets) > 1
    # Whoever reads from the beginning later begins where the log begins then, and misses nothing that it was owed
    begins = {event.offset for event in of(events, k.PositionSet) if event.at_us >= 15 * S}
    assert min(begins) > 0
    assert totals["dropped"] == totals["lost"] == 0
    # When nothing is written any more the last segment goes too, and the log is empty
    assert sum(len(event.offsets) for event in gone) == 200
    assert {(event.start, event.high_watermark) for event in of(events, k.LogMarked)[-2:]} == {(100, 100)}


def keeping(**config: Any) -> list[dict[str, Any]]:
    return [{"name": "log", "kind": "kafka", "link": "10ms", "brokers": 3, "topics": [
        {"name": "t", "partitions": 2, "replication": 3, "config": config}],
        "config": {"group.initial.rebalance.delay.ms": 0, "log.retention.check.interval.ms": 1_000,
                   "log.cleaner.backoff.ms": 1_000}}]  # fmt: skip


def test_retention_by_size_counts_what_the_producer_says_a_record_has() -> None:
    sized = {"retention.bytes": 4_000, "segment.bytes": 1_000}
    totals, events = run(room(system=keeping(**sized)))
    left = 200 - sum(len(event.offsets) for event in of(events, k.RecordsGone))
    # Two partitions of 100 bytes a record and 70 a batch: segments go as long as 4,000 bytes remain without them
    assert totals["owed"] == 200
    assert 2 * 4_000 / 170 <= left <= 2 * 5_000 / 100


def test_the_cleaner_leaves_the_newest_record_of_each_key() -> None:
    late = member("late", start="25s", work={"constant": "1ms"},
                  **{"from": {"topics": ["t"], "group": "late"}})  # fmt: skip
    compacted = {"cleanup.policy": "compact", "segment.ms": 1_000}
    totals, events = run(room(system=keeping(**compacted), consumer=[member("A"), late]))
    gone = of(events, k.RecordsGone)
    assert {event.why for event in gone} == {"compacted"}
    keys = {event.message: event.key for event in events if isinstance(event, MessageCreated)}
    written: dict[tuple[int, int], str] = {}
    for event in of(events, k.RecordsAppended):
        written |= {(event.node, event.base + i): keys[m] for i, m in enumerate(event.messages)}
    deleted = {(event.node, offset) for event in gone for offset in event.offsets}
    newest = {(node, key): max(o for (n, o), k_ in written.items() if (n, k_) == (node, key))
              for (node, _), key in written.items()}  # fmt: skip
    assert len(deleted) > 100 and not deleted & {(node, offset) for (node, _), offset in newest.items()}
    assert totals["lost"] == 0 and totals["done"] + totals["dropped"] == totals["owed"]


def test_a_log_is_cleaned_when_enough_of_it_is_dirty() -> None:
    at = {}
    for ratio in (0.1, 0.9):
        config = {"cleanup.policy": "compact", "segment.ms": 1_000, "min.cleanable.dirty.ratio": ratio}
        _, events = run(room(system=keeping(**config)))
        at[ratio] = [event.at_us for event in of(events, k.RecordsGone)]
    # The first cleaning finds all of it dirty; after that what was cleaned must be outgrown
    assert at[0.1][0] == at[0.9][0]
    assert len(at[0.1]) > len(at[0.9])


@pytest.mark.parametrize("reset", ["earliest", "latest"])
def test_a_committed_offset_that_retention_has_passed_is_no_place_to_go_on(reset: str) -> None:
    away = short_memory(consumer=[member("A", reset=reset)])
    totals, events = run(away, (3 * S, c.CrashConsumer("A")), (15 * S, c.RestartConsumer("A")))
    later = [event for event in of(events, k.PositionSet) if event.at_us >= 15 * S]
    committed, begun = later[0].offset, later[-1].offset
    assert committed < begun
    # What was deleted before it was read is gone without any error: only the ledger says so
    assert totals["dropped"] > 0
    assert totals["done"] + totals["dropped"] + totals["lost"] == totals["owed"]
    # and from the latest on it also passes over what is still there
    assert (totals["lost"] > 0) == (reset == "latest")


def test_a_crash_is_noticed_by_the_session_timeout_and_what_was_not_committed_is_read_again() -> None:
    busy = room(consumer=[member("A", work={"constant": "150ms"}), member("B", work={"constant": "150ms"})])
    totals, events = run(busy, (10 * S + 120_000, c.CrashConsumer("A")))
    gone = of(events, k.MemberGone)
    # The coordinator hears nothing of the crash: it misses heartbeats for session.timeout.ms
    assert [event.why for event in gone] == ["session"]
    assert 10 * S + 5 * S <= gone[0].at_us <= 10 * S + 6.1 * S
    # The other member reads what A had read and not committed: nothing is lost, some of it is done twice
    assert totals["lost"] == 0 and totals["done"] == 200
    assert totals["duplicated_deliveries"] > 0


def test_who_commits_before_the_work_loses_what_a_crash_finds_in_its_hands() -> None:
    careless = room(consumer=[member("A", acknowledge="before work", work={"constant": "150ms"})])
    totals, _ = run(careless, (10 * S, c.CrashConsumer("A")), (11 * S, c.RestartConsumer("A")))
    assert totals["lost"] > 0
    assert totals["duplicated_effects"] == 0
    assert totals["lost"] + totals["done"] == 200


def test_idempotence_is_switched_off_and_on_while_the_producer_runs() -> None:
    totals, events = run(
        room(), (5 * S, c.SetIdempotence("shop", False)), (6 * S, c.DropNextAck("shop")),
        (12 * S, c.SetIdempotence("shop", True)), (13 * S, c.DropNextAck("shop")),
    )  # fmt: skip
    assert [event.idempotence for event in of(events, k.ProducerSettings)] == [False, True]
    ids = {event.pid for event in of(events, k.RecordsAppended)}
    assert len(ids) == 3 and -1 in ids
    # Two answers were lost, and two batches sent again: only the one without a sequence stands there twice
    sent = [event.messages for event in of(events, k.BatchSent)]
    assert len(sent) == len(set(sent)) + 2
    assert totals["sent"] == 200 and totals["owed"] == 201
    assert totals["duplicated_effects"] == 1


@pytest.mark.parametrize("on", [True, False])
def test_a_batch_under_way_keeps_what_it_was_sent_with_when_idempotence_is_switched(on: bool) -> None:
    scenario = room(producer__idempotence=not on)
    totals, _ = run(scenario, (5 * S, c.DropNextAck("shop")), (6 * S, c.SetIdempotence("shop", on)))
    assert totals["owed"] == (201 if on else 200)


@pytest.mark.parametrize(("idempotence", "copies"), [(True, 0), (False, 1)])
def test_a_lost_answer_makes_a_duplicate_unless_the_producer_is_idempotent(
    idempotence: bool, copies: int
) -> None:
    totals, events = run(room(producer__idempotence=idempotence), (5 * S, c.DropNextAck("shop")))
    assert totals["sent"] == 200
    assert totals["owed"] == 200 + copies == totals["done"]
    # One batch was sent again, after the request timeout of 3 s
    sent = [event.messages for event in of(events, k.BatchSent)]
    assert len(sent) == len(set(sent)) + 1
    assert totals["duplicated_effects"] == copies


def test_idempotence_needs_acks_all() -> None:
    simulation = Simulation(room(producer__acks=1), 1)
    with pytest.raises(CommandError, match="idempotence needs acks = all, and shop has 1"):
        simulation.apply_at(S, c.SetIdempotence("shop", True), 1)


def test_a_member_that_polls_too_late_is_done_without_and_works_on() -> None:
    slow = room(consumer=[member("A", max_poll_interval="5s"), member("B")])
    totals, events = run(
        slow, (5 * S, c.SetWork("A", 8 * S)), (30 * S, c.SetWork("A", 40_000))
    )  # fmt: skip
    left = of(events, k.MemberGone)
    assert left and left[0].why == "left"
    # Its partition is read by B meanwhile, and A's effect comes all the same
    assert totals["duplicated_effects"] > 0 and totals["lost"] == 0


def test_a_pause_beyond_the_session_leaves_a_stale_worker_whose_commit_is_refused() -> None:
    busy = room(consumer=[member("A", work={"constant": "150ms"}), member("B", work={"constant": "150ms"})])
    totals, events = run(
        busy, (10 * S + 120_000, c.PauseConsumer("A")), (25 * S, c.ResumeConsumer("A"))
    )  # fmt: skip
    assert [event.why for event in of(events, k.MemberGone)] == ["session"]
    assert totals["lost"] == 0 and totals["done"] == 200
    assert totals["duplicated_effects"] > 0


def test_an_idempotency_store_keeps_the_effects_of_a_crash_single() -> None:
    kept = {"store": "seen", "keep": "with the effect"}
    both = [member(name, work={"constant": "150ms"}, idempotency=kept) for name in ("A", "B")]
    totals, _ = run(room(consumer=both), (10 * S + 120_000, c.CrashConsumer("A")))
    assert totals["duplicated_deliveries"] > 0 and totals["duplicated_effects"] == 0
    assert totals["done"] == 200


def test_a_killed_broker_loses_nothing_that_all_in_sync_have() -> None:
    totals, events = run(room(), (5 * S, c.KillBroker("log", 1)), (20 * S, c.StartBroker("log", 1)))
    assert totals["done"] == 200 and totals["lost"] == 0
    assert any(event.leader for event in of(events, k.PartitionLed)[2:])


def test_acks_1_and_a_follower_that_lags_lose_what_the_killed_leader_had() -> None:
    scenario = room(
        producer__acks=1,
        system__topics=[{"name": "t", "partitions": 2, "replication": 2,
                         "config": {"unclean.leader.election.enable": True}}],
    )  # fmt: skip
    # Broker 2 follows partition 0 and leads partition 1; it is down when broker 1, which led alone, dies
    totals, events = run(
        scenario, (3 * S, c.KillBroker("log", 2)), (8 * S, c.KillBroker("log", 1)), (9 * S, c.StartBroker("log", 2))
    )  # fmt: skip
    assert {event.why for event in of(events, k.RecordsGone)} == {"truncated"}
    truncated = sum(len(event.offsets) for event in of(events, k.RecordsGone))
    # They were done before the leader died: the group has them, the log does not
    assert truncated > 0
    assert totals["owed"] == sum(totals[place] for place in ("ready", "unacked", "held", "done", "lost"))


def test_what_a_hung_follower_does_not_copy_is_readable_once_it_is_out_of_sync_or_copies_again() -> None:
    scenario = room(system__config={"replica.lag.time.max.ms": 8_000}, producer__count=100)
    totals, events = run(scenario, (3 * S, c.HangBroker("log", 2)), (20 * S, c.ResumeBroker("log", 2)))
    led = [(e.at_us, len(e.isr)) for e in of(events, k.PartitionLed) if e.at_us]
    assert [count for at_us, count in led if at_us == 11 * S] == [2]
    assert [count for at_us, count in led if at_us == 20 * S] == [3]
    # Partition 1 is led by broker 2 itself, and its followers copy: it alone goes on meanwhile
    marks = {e.node for e in of(events, k.LogMarked) if 4 * S < e.at_us < 11 * S}
    assert len(marks) == 1
    assert totals["done"] == totals["sent"] == 100 and totals["duplicated_effects"] == 0


def test_a_poison_record_holds_up_its_partition_until_the_limit() -> None:
    stuck = room(producer__poison={"messages": [21]}, consumer=[
        member("A", retry={"do": "again", "delay": "500ms", "limit": 4})])  # fmt: skip
    totals, events = run(stuck)
    attempts = of(events, k.RecordFailed)
    assert [event.attempt for event in attempts] == [1, 2, 3, 4]
    assert [bool(event.until_us) for event in attempts] == [True, True, True, False]
    assert totals["lost"] == 1 and totals["done"] == 199


def test_offsets_are_reset_of_a_group_without_members_only() -> None:
    simulation = Simulation(room(), 1)
    with pytest.raises(
        CommandError, match="offsets of g can only be reset while it is inactive, and its state is Stable"
    ):
        simulation.apply_at(30 * S, c.SeekGroup("log", "g", "earliest"), 1)
    simulation.apply_at(30 * S, c.StopConsumer("A"), 1)
    simulation.apply_at(35 * S, c.SeekGroup("log", "g", "earliest"), 2)
    assert simulation.totals()["ready"] == 200
    simulation.apply_at(36 * S, c.RestartConsumer("A"), 3)
    simulation.advance(60 * S, 1 << 40)
    totals = simulation.totals()
    assert totals["done"] == totals["owed"] == 200
    assert totals["duplicated_deliveries"] == totals["duplicated_effects"] == 200


def test_more_partitions_are_found_when_the_metadata_is_old() -> None:
    scenario = room(producer__metadata_max_age="4s", consumer=[member("A", metadata_max_age="4s")])
    totals, events = run(scenario, (5 * S, c.AddPartitions("log", "t", 5)))
    new = {event.node for event in of(events, k.PartitionDeclared)[2:]}
    assigned = {partition for event in of(events, k.PartitionsAssigned) for partition in event.partitions}
    assert new <= assigned
    assert totals["done"] == totals["owed"] == 200


REFUSED = [
    (c.SetPrefetch("A", 3), "A reads topics: this is for consumers of queues"),
    (c.KillBroker("log", 7), "there is no broker 7 in log; there is 3"),
    (c.StartBroker("log", 1), "broker 1 of log is up already"),
    (c.HangBroker("log", 7), "there is no broker 7 in log; there is 3"),
    (c.ResumeBroker("log", 1), "broker 1 of log copies already"),
    (c.AddPartitions("log", "t", 2), "t has 2 partitions: they can only become more"),
    (c.AddPartitions("log", "u", 2), "there is no topic 'u' in log; there is t"),
    (c.SeekGroup("log", "h", "latest"), "there is no group 'h' in log; there is g"),
    (c.PurgeQueue("log", "t"), "log is a Kafka cluster: it has no queues"),
    (c.ResumeConsumer("A"), "A is not paused"),
    (c.SetIdempotence("shop", True), "idempotence of shop is on already"),
    (c.AddConsumer("A", queue="q"), "A is a member of a group: expected no queue and no other system"),
]


@pytest.mark.parametrize(("command", "said"), REFUSED, ids=[type(row[0]).__name__ for row in REFUSED])
def test_a_command_that_makes_no_sense_is_refused_in_words_and_changes_nothing(
    command: Any, said: str
) -> None:
    simulation = Simulation(room(), 1)
    simulation.advance(10 * S + 1, 1 << 40)
    before = simulation.snapshot()
    with pytest.raises(CommandError) as caught:
        simulation.apply_at(10 * S + 1, command, 0)
    assert str(caught.value).startswith(said)
    assert simulation.number == Simulation.restore(room(), 1, before).number


def test_latencies_of_a_mass_run_are_those_of_the_effects() -> None:
    one = Run(Simulation(room(), 1, watched=False), _latencies())
    while not one.work():
        pass
    outcome = one.outcome()
    # A record waits for its batch, two ways of 10 ms, the next poll and 40 ms of work
    assert outcome.sent == 200 and outcome.p50_us is not None and 60_000 < outcome.p50_us < 1 * S


def _latencies() -> Any:
    from engine.outcomes import Latencies

    return Latencies()


@pytest.mark.parametrize(("assignors", "given_up"), [(["range"], 2), (["cooperative-sticky"], 1)])
def test_an_eager_rebalance_gives_everything_up_and_a_cooperative_one_what_moves(
    assignors: list[str], given_up: int
) -> None:
    totals, events = run(
        room(consumer=[member("A", assignors=assignors)]), (10 * S, c.AddConsumer("A", name="B"))
    )
    revoked = [partition for event in of(events, k.PartitionsRevoked) for partition in event.partitions]
    assert len(revoked) == given_up
    assert totals["done"] == 200 and totals["lost"] == 0


def test_a_static_member_that_is_back_within_its_session_causes_no_rebalance() -> None:
    both = [member("A", instance="one"), member("B", instance="two")]
    _, events = run(
        room(consumer=both), (10 * S + 20_000, c.CrashConsumer("A")), (12 * S, c.RestartConsumer("A"))
    )  # fmt: skip
    generations = {event.generation for event in of(events, k.GroupChanged)}
    assert generations <= {0, 1}
    # It has its old partition again, and B kept its own
    crashed, *more = of(events, k.PartitionsRevoked)
    assert crashed.why == "crashed" and not more
    assert of(events, k.PartitionsAssigned)[-1].partitions == crashed.partitions


def test_what_was_acknowledged_and_truncated_before_any_group_saw_it_is_lost_at_its_topic() -> None:
    kernel, world = Kernel(1), World([])
    said: list[tuple[str, int]] = []
    counting = Counting(kernel, world, lambda promise, destination, _: said.append((promise, destination)))
    for number in (1, 2):
        world.made(number, "", False, 4)
    topic, partition = 7, 8
    for event in (
        k.PartitionDeclared(0, 0, partition, topic, 0, (1, 2)),
        k.RecordsAppended(0, 0, partition, 0, (1, 2), -1, False, ""),
        k.BatchAcknowledged(0, 0, 5, partition, 4, 0, 1, 10),
        k.RecordsGone(0, 0, partition, ((0, 2),), "truncated"),
    ):
        kernel.emit(event)
    # The second one's producer has no answer: it will send it again
    assert counting.totals()["owed"] == counting.totals()["lost"] == 1
    assert said == [("nothing_lost", topic)]
