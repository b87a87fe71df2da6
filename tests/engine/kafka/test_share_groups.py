"""A share group in a room: many on one partition, each record acknowledged for itself, locks that run out, a
delivery limit and a dead-letter queue. Facts are Kafka's own (KIP-932, KIP-1191, KIP-1206, KIP-1222; 4.4)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import commands as c
from engine.errors import CommandError
from engine.events import Event, NodeAdded
from engine.kafka import events as k
from engine.kafka.assignors import Partition
from engine.kafka.share_groups import assigned, simple
from engine.simulation import Simulation
from tests.engine.kafka.test_promises import S, of, room, run

LOCK_US = 30 * S
"""share.record.lock.duration.ms, by default."""


def sharer(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "system": "log", "protocol": "share", "from": {"topics": ["t"], "group": "g"},
            "acknowledge": "explicit", "max_poll_records": 1, "acquire": "record_limit",
            "work": {"constant": "40ms"}, **changes}  # fmt: skip


def system(partitions: int = 1, **config: Any) -> list[dict[str, Any]]:
    """Three brokers, the topic, and a dead-letter queue for the group where `config` names it."""
    return [{"name": "log", "kind": "kafka", "link": "10ms", "request_timeout": "3s", "brokers": 3,
             "topics": [{"name": "t", "partitions": partitions, "replication": 3},
                        {"name": "dlq.g", "config": {"errors.deadletterqueue.group.enable": True}}],
             "share_groups": [{"name": "g", "config": {"share.auto.offset.reset": "earliest", **config}}]}]  # fmt: skip


def shared(
    *members: dict[str, Any], partitions: int = 1, config: dict[str, Any] | None = None, **changes: Any
) -> Any:
    return room(consumer=list(members), system=system(partitions, **(config or {})), **changes)


def reads(events: list[Event]) -> dict[int, set[int]]:
    """By consumer, the partitions that it reads in the end."""
    owned: dict[int, set[int]] = {}
    for e in events:
        if isinstance(e, k.PartitionsAssigned):
            owned.setdefault(e.node, set()).update(e.partitions)
        elif isinstance(e, k.PartitionsRevoked):
            owned[e.node] -= set(e.partitions)
    return owned


def who_worked(events: list[Event]) -> Counter[int]:
    return Counter(e.node for e in of(events, k.RecordsWorked) for _ in range(e.next - e.first))


def ended(events: list[Event], why: str) -> list[Any]:
    return [e for e in of(events, k.AcquisitionEnded) if e.why == why]


# -- sharing ----------------------------------------------------------------------------------------------


def test_undisturbed_every_record_is_accepted_once() -> None:
    totals, events = run(shared(sharer("A"), sharer("B")))
    assert totals["sent"] == totals["owed"] == totals["done"] == 200
    assert not any(totals[name] for name in ("lost", "dead", "duplicated_deliveries", "duplicated_effects"))
    assert not of(events, k.OffsetCommitted)


def test_more_members_than_partitions_all_have_work() -> None:
    # Given ten records a second, of 400 ms each, on two partitions: more than two workers could do
    names = [f"worker {n}" for n in range(1, 7)]
    members = [sharer(name, work={"exponential": "400ms"}) for name in names]
    totals, events = run(shared(*members, partitions=2))
    # Then all six read one of the two, and do about as much
    assert totals["done"] == 200
    worked = who_worked(events)
    assert len(worked) == 6
    assert min(worked.values()) > 0.6 * max(worked.values())
    read_by = Counter(partition for each in reads(events).values() for partition in each)
    assert list(read_by.values()) == [3, 3]
    # And the order within a key is given up for that
    assert totals["out_of_order"] > 0


def test_two_members_never_have_the_same_record_while_its_lock_holds() -> None:
    _, events = run(shared(sharer("A"), sharer("B", work={"exponential": "90ms"})))
    holder: dict[tuple[int, int], int] = {}
    for e in events:
        if isinstance(e, k.RecordsAcquired):
            for offset in e.offsets:
                assert (e.node, offset) not in holder
                holder[e.node, offset] = e.holder
        elif isinstance(e, k.AcquisitionEnded):
            for offset in e.offsets:
                holder.pop((e.node, offset), None)


@pytest.mark.parametrize(("acquire", "most"), [("record_limit", 3), ("batch_optimized", 7)])
def test_a_poll_takes_exactly_its_limit_or_whole_batches(acquire: str, most: int) -> None:
    scenario = shared(sharer("A", acquire=acquire, max_poll_records=3), producer__arrivals={"every": "2s", "burst": 7},
                      producer__keys=["ana"])  # fmt: skip
    _, events = run(scenario)
    assert max(len(e.offsets) for e in of(events, k.RecordsAcquired)) == most


# -- failures ---------------------------------------------------------------------------------------------


def poisoned(**changes: Any) -> Any:
    return {"producer__poison": {"messages": [7]}, **changes}


def test_a_poison_record_is_archived_after_five_deliveries_and_holds_nobody_up() -> None:
    config = {
        "errors.deadletterqueue.topic.name": "dlq.g",
        "errors.deadletterqueue.copy.record.enable": True,
    }
    totals, events = run(shared(sharer("A"), sharer("B"), config=config, **poisoned()))
    assert (totals["done"], totals["dead"], totals["lost"]) == (199, 1, 0)
    (record,) = {(e.partition, e.offset) for e in of(events, k.RecordFailed)}
    assert [e.attempt for e in of(events, k.RecordFailed)] == [1, 2, 3, 4, 5]
    (last,) = ended(events, "limit")
    assert (last.node, last.offsets, last.deliveries, last.state) == (
        record[0],
        (record[1],),
        (5,),
        "ARCHIVED",
    )
    # And the copy lies in the dead-letter queue, because of that
    assert totals["owed"] == 200
    buried = [e for e in of(events, k.RecordsAppended) if events[e.cause - 1] is last]
    assert [e.messages for e in buried] == [(7,)]


def test_without_a_copy_the_dead_letter_queue_has_a_record_of_nothing_but_headers() -> None:
    scenario = shared(sharer("A"), config={"errors.deadletterqueue.topic.name": "dlq.g"}, **poisoned())
    simulation = Simulation(scenario, 1)
    simulation.advance(60 * S, 1 << 40)
    (batch,) = simulation.clusters[0].partition("dlq.g", 0).log().batches_from(0)
    assert (batch.keys, batch.values, batch.messages) == ((None,), (None,), (0,))
    told = dict(batch.headers)
    assert told["__dlq.errors.topic"] == "t"
    assert told["__dlq.errors.delivery.count"] == "5"


def test_who_rejects_gives_a_record_up_at_once() -> None:
    totals, events = run(shared(sharer("A", failed="reject"), **poisoned()))
    assert (totals["done"], totals["dead"], totals["duplicated_deliveries"]) == (199, 1, 0)
    assert [e.deliveries for e in ended(events, "reject")] == [(1,)]


def test_implicit_acknowledgement_accepts_what_the_handler_failed_on() -> None:
    totals, events = run(shared(sharer("A", acknowledge="implicit"), **poisoned()))
    assert (totals["done"], totals["lost"], totals["dead"]) == (199, 1, 0)
    assert {e.why for e in of(events, k.AcquisitionEnded)} == {"accept"}


def test_a_crashed_members_records_are_available_at_once_though_the_group_does_not_know_yet() -> None:
    scenario = shared(sharer("A", work={"constant": "5s"}), sharer("B"))
    totals, events = run(scenario, (8 * S, c.CrashConsumer("A")))
    (back,) = ended(events, "gone")
    assert back.at_us == 8 * S + 10_000  # the latency of its closed connection
    gone = of(events, k.MemberGone)
    assert [e.why for e in gone] == ["session"]
    assert gone[0].at_us > back.at_us + 39 * S  # 45 s after its last heartbeat
    assert totals["done"] == 200
    # And B has its record, for the second time that it is delivered
    again = [e for e in of(events, k.RecordsAcquired) if max(e.deliveries) > 1]
    assert [e.deliveries for e in again] == [(2,)]


def test_a_member_that_hangs_keeps_its_records_until_their_locks_run_out_and_is_refused_then() -> None:
    scenario = shared(sharer("A", work={"constant": "1s"}), sharer("B"))
    journal = ((8_200_000, c.PauseConsumer("A")), (50 * S, c.ResumeConsumer("A")))
    totals, events = run(scenario, *journal)
    (lock,) = ended(events, "lock")
    taken = next(
        e
        for e in of(events, k.RecordsAcquired)
        if e.node == lock.node and e.offsets == lock.offsets and e.deliveries == (1,)
    )
    assert lock.at_us == taken.at_us + LOCK_US == taken.until_us
    # B had done it by the time that A went on, and A does it again: its word comes too late
    assert totals["done"] == 200
    assert totals["duplicated_effects"] == 1
    # Its session was over too, and it joins again
    assert [e.why for e in of(events, k.MemberGone)] == ["session"]
    assert len(of(events, k.MemberJoined)) == 3


def test_renewing_keeps_the_lock_of_who_is_slow() -> None:
    slow: dict[str, Any] = {"work": {"constant": "40s"}}
    few: dict[str, Any] = {"producer__count": 1}
    without, events = run(shared(sharer("A", **slow), sharer("B", start="10s"), **few))
    assert (len(ended(events, "lock")), without["duplicated_effects"]) == (1, 1)
    renewed, events = run(shared(sharer("A", renew="20s", **slow), sharer("B", start="10s"), **few))
    assert (ended(events, "lock"), renewed["duplicated_effects"], renewed["done"]) == ([], 0, 1)
    assert [e.until_us - e.at_us for e in of(events, k.AcquisitionRenewed)] == [LOCK_US]


def test_a_lost_acknowledgement_leads_to_a_second_delivery() -> None:
    totals, events = run(shared(sharer("A"), sharer("B")), (8 * S, c.DropNextAck("A")))
    # After its request timeout A closes the connection: what it had acquired is released
    assert len(ended(events, "gone")) == 1
    assert (totals["done"], totals["duplicated_effects"]) == (200, 1)


def test_a_cut_network_holds_records_until_the_connection_is_given_up() -> None:
    scenario = shared(sharer("A", work={"constant": "1s"}), sharer("B"))
    journal = ((8_200_000, c.CutLink("A")), (20 * S, c.RestoreLink("A")))
    totals, events = run(scenario, *journal)
    (back,) = ended(events, "gone")
    assert back.at_us == 8_200_000 + 3 * S
    assert totals["done"] == 200


def test_when_another_broker_leads_acquisitions_are_forgotten() -> None:
    scenario = shared(sharer("A", work={"constant": "6s"}), sharer("B"))
    simulation = Simulation(scenario, 1)
    simulation.advance(8 * S, 1 << 40)
    leader = simulation.clusters[0].partition("t", 0).leader
    totals, events = run(scenario, (8 * S, c.KillBroker("log", leader)))
    freed = ended(events, "leader")
    assert freed and all(e.at_us == 8 * S for e in freed)
    # The attempt that nobody wrote down does not count
    assert {count for e in freed for count in e.deliveries} == {0}
    assert totals["done"] == 200 and totals["lost"] == 0


def test_a_member_that_stops_says_what_it_did_and_releases_the_rest() -> None:
    scenario = shared(sharer("A", max_poll_records=20), sharer("B"))
    totals, events = run(scenario, (10 * S, c.RemoveConsumer("A")))
    assert totals["done"] == 200
    assert totals["duplicated_deliveries"] == totals["duplicated_effects"] == 0
    assert [e.why for e in of(events, k.MemberGone)] == ["left"]


def test_where_a_group_begins_that_is_not_told_to_begin_at_the_earliest() -> None:
    late = sharer("A", start="10s")
    totals, events = run(shared(late, config={"share.auto.offset.reset": "latest"}))
    begins = {e.node: e.start for e in reversed(of(events, k.SharePartitionMarked))}
    assert sum(begins.values()) == totals["sent"] - totals["owed"] > 90


def test_records_that_retention_takes_are_owed_no_more() -> None:
    cluster = {**system()[0], "config": {"log.retention.check.interval.ms": 1_000}}
    cluster["topics"] = [
        {"name": "t", "partitions": 2, "config": {"retention.ms": 5_000, "segment.ms": 2_000}}
    ]
    cluster["brokers"] = 1
    totals, _ = run(room(system=[cluster], consumer=[sharer("A", work={"constant": "2s"})]))
    assert totals["dropped"] > 100
    assert totals["done"] + totals["dropped"] + totals["ready"] + totals["unacked"] + totals["lost"] == 200


# -- the group --------------------------------------------------------------------------------------------

T: list[Partition] = [("t", number) for number in range(7)]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 7))
def test_the_assignor_is_balanced_however_members_come_and_go(sizes: list[int], count: int) -> None:
    partitions, owned = T[:count], dict[str, list[Partition]]()
    for size in sizes:
        members = [f"m{n}" for n in range(size)]
        before, owned = owned, simple(members, partitions, owned)
        held = [len(owned[member]) for member in members]
        assert max(held) - min(held) <= 1
        assert all(any(partition in owned[m] for m in members) for partition in partitions)
        assert all(len(set(each)) == len(each) for each in owned.values())
        if list(before) == members:
            assert owned == before


@pytest.mark.parametrize(
    ("members", "counts", "owned", "then"),
    [
        ({"a": "t", "b": "tu"}, {"t": 2, "u": 1}, {}, {"a": "t0", "b": "t1 u0"}),
        ({"a": "t", "b": "tu", "c": "u"}, {"t": 1, "u": 2}, {}, {"a": "t0", "b": "t0 u0", "c": "u1"}),
        # Who had all of a topic gives up what balance asks for, of that topic alone
        ({"a": "tu", "b": "u"}, {"t": 2, "u": 4}, {"a": "t0 t1 u0 u1 u2 u3"}, {"a": "t0 t1 u0 u1", "b": "u2 u3"}),
        # Nobody reads t any more
        ({"a": "u", "b": "u"}, {"u": 2}, {"a": "t0 u0", "b": "u1"}, {"a": "u0", "b": "u1"}),
    ],
)  # fmt: skip
def test_each_topic_is_shared_out_among_those_who_subscribe_to_it(
    members: dict[str, str], counts: dict[str, int], owned: dict[str, str], then: dict[str, str]
) -> None:
    # These are what SimpleAssignor of Kafka 4.4.0 returns, up to the order of its hash sets
    def read(words: str) -> list[Partition]:
        return [(word[0], int(word[1:])) for word in words.split()]

    topics = {member: tuple(each) for member, each in members.items()}
    result = assigned(topics, counts, {member: read(words) for member, words in owned.items()})
    assert result == {member: read(words) for member, words in then.items()}


SUBSCRIPTIONS = st.lists(st.sampled_from(["t", "u", "tu", "v", "tv", "tuv"]), min_size=1, max_size=8)


@given(st.lists(SUBSCRIPTIONS, min_size=1, max_size=4), st.tuples(*[st.integers(1, 5)] * 3))
def test_everybody_reads_only_what_they_subscribe_to_and_nothing_is_left_unread(
    rounds: list[list[str]], sizes: tuple[int, int, int]
) -> None:
    owned: dict[str, list[Partition]] = {}
    for subscribed in rounds:
        members = {f"m{n}": tuple(topics) for n, topics in enumerate(subscribed)}
        read = {topic for topics in members.values() for topic in topics}
        counts = {topic: size for topic, size in zip("tuv", sizes, strict=True) if topic in read}
        owned = {
            member: [p for p in held if p[0] in members.get(member, ())] for member, held in owned.items()
        }
        before, owned = owned, assigned(members, counts, owned)
        for member, held in owned.items():
            assert {topic for topic, _ in held} <= set(members[member])
        for topic, count in counts.items():
            readers = [member for member, topics in members.items() if topic in topics]
            of_topic = [sum(p[0] == topic for p in owned[member]) for member in readers]
            if len({frozenset(topics) for topics in members.values()}) > 1:
                assert max(of_topic) - min(of_topic) <= 1
            assert {p for member in readers for p in owned[member] if p[0] == topic} == {
                (topic, n) for n in range(count)
            }
        if [*before] == [*members]:
            assert assigned(members, counts, owned) == owned


def test_members_of_one_group_that_read_different_topics_share_only_what_both_read() -> None:
    cluster = system(2)
    cluster[0]["topics"].append({"name": "u", "replication": 3})
    shop = {"system": "log", "arrivals": {"every": "100ms"}, "count": 100}
    producers = [
        {**shop, "name": "t shop", "to": {"topic": "t"}},
        {**shop, "name": "u shop", "to": {"topic": "u"}},
    ]
    members = [sharer("A"), sharer("B", **{"from": {"topics": ["u", "t"], "group": "g"}})]
    totals, events = run(room(system=cluster, producer=producers, consumer=members))
    names = {e.node: e.name for e in of(events, NodeAdded)}
    own = {names[node]: {names[p] for p in held} for node, held in reads(events).items()}
    assert own == {"A": {"t-0"}, "B": {"t-1", "u-0"}}
    assert totals["done"] == totals["sent"] == 200
    # The one that reads it alone goes: nobody works on it, and the group owes it still
    totals, events = run(
        room(system=cluster, producer=producers, consumer=members), (4 * S, c.RemoveConsumer("B"))
    )
    assert totals["owed"] == 200 and totals["ready"] > 50
    assert totals["done"] + totals["ready"] == 200


def test_new_partitions_are_shared_out() -> None:
    totals, events = run(shared(sharer("A"), sharer("B")), (8 * S, c.AddPartitions("log", "t", 4)))
    assert totals["done"] == 200
    assert sorted(len(each) for each in reads(events).values()) == [2, 2]


def test_what_a_member_takes_and_says_can_be_changed_while_it_works() -> None:
    journal = (
        (5 * S, c.SetShareMember("A", failed="reject")),
        (10 * S, c.SetShareMember("A", "implicit", max_poll_records=4)),
        (15 * S, c.PublishNow("shop", count=20)),
    )
    scenario = shared(sharer("A"), producer__poison={"messages": [20, 70, 120]})
    totals, events = run(scenario, *journal)
    # The first was released five times, the second rejected, the third accepted by the next poll
    assert [e.why for e in of(events, k.AcquisitionEnded) if e.state == "ARCHIVED"] == ["limit", "reject"]
    assert (totals["dead"], totals["lost"], totals["done"]) == (2, 1, totals["sent"] - 3)
    assert max(len(e.offsets) for e in of(events, k.RecordsAcquired)) == 4
    told = [(e.acknowledge, e.failed, e.max_poll_records) for e in of(events, k.ShareMemberSettings)]
    assert told == [("explicit", "reject", 1), ("implicit", "release", 4)]


@pytest.mark.parametrize(
    ("command", "state", "deliveries"),
    [(c.RejectNext("A"), "ARCHIVED", 1), (c.ReleaseNext("A"), "AVAILABLE", 2)],
)
def test_a_member_that_is_told_to_refuses_the_record_at_hand_and_no_other(
    command: Any, state: str, deliveries: int
) -> None:
    scenario = shared(sharer("A", max_poll_records=5, work={"constant": "80ms"}))
    totals, events = run(scenario, (5 * S, command))
    (failed,) = of(events, k.RecordFailed)
    (end,) = [e for e in of(events, k.AcquisitionEnded) if e.why in ("reject", "release")]
    assert (end.offsets, end.state, end.deliveries) == ((failed.offset,), state, (1,))
    # It is the one that it worked on when it was told: its work ends within its 80 ms
    assert 5 * S < failed.at_us <= 5.08 * S
    # Its effect did not happen; a released record comes again, to be worked by whoever has it
    acquired = [e for e in of(events, k.RecordsAcquired) if failed.offset in e.offsets and e.node == end.node]
    assert len(acquired) == deliveries
    assert totals["dead"] == (state == "ARCHIVED")
    assert totals["done"] == totals["sent"] - totals["dead"] and totals["lost"] == 0
    assert totals["duplicated_effects"] == 0


def test_a_member_that_has_nothing_refuses_what_it_acquires_next_in_its_scenario_too() -> None:
    scenario = shared(
        sharer("A"),
        producer__arrivals={"every": "5s"},
        producer__count=4,
        fault=[{"at": "7s", "do": "reject next", "target": "A"}],
    )
    totals, events = run(scenario)
    (failed,) = of(events, k.RecordFailed)
    assert failed.at_us > 10 * S and failed.why == "told to reject"
    assert (totals["done"], totals["dead"]) == (3, 1)


def test_what_a_member_was_told_last_holds_and_its_process_takes_it_along() -> None:
    journal = (
        (6 * S, c.RejectNext("A")), (6 * S, c.ReleaseNext("A")), (6 * S, c.ReleaseNext("A")),
        (12 * S, c.RejectNext("A")), (13 * S, c.CrashConsumer("A")), (14 * S, c.RestartConsumer("A")),
        (16 * S, c.RejectNext("A")), (17 * S, c.SetShareMember("A", "implicit")),
    )  # fmt: skip
    scenario = shared(sharer("A"), producer__arrivals={"every": "5s"}, producer__count=4)
    totals, events = run(scenario, *journal)
    assert [e.why for e in of(events, k.RecordFailed)] == ["told to release"]
    assert (totals["done"], totals["dead"]) == (4, 0)


def test_a_rejected_record_is_copied_to_the_dead_letter_queue() -> None:
    config = {"errors.deadletterqueue.topic.name": "dlq.g"}
    _, events = run(shared(sharer("A"), config=config), (5 * S, c.RejectNext("A")))
    (rejected,) = ended(events, "reject")
    buried = [e for e in of(events, k.RecordsAppended) if events[e.cause - 1] is rejected]
    assert [len(e.messages) for e in buried] == [1]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (c.SetShareMember("A"), "SetShareMember: expected acknowledge, failed or max_poll_records"),
        (
            c.SetShareMember("A", "implicit", "reject"),
            "A accepts what it failed on: expected explicit with failed",
        ),
        (c.SetAcknowledge("A", "automatic"), "A is a member of a share group: it acknowledges each record"),
        (c.SeekGroup("log", "g", "earliest"), "g is a share group: it has no offsets to seek"),
        (c.Seek("A", "earliest"), "A is a member of a share group: this is for members of a consumer group"),
        (c.SetAssignors("log", "g", ("range",)), "'g' in log has no members; there is g"),
        (c.SetPrefetch("A", 3), "A reads topics: this is for consumers of queues"),
        (c.RejectNext("B"), "B accepts all that it is given: expected explicit for that"),
        (c.ReleaseNext("C"), "C is stopped: this needs it up"),
    ],
)
def test_what_a_share_group_has_not_is_refused_in_words(command: Any, said: str) -> None:
    members = sharer("A"), sharer("B", acknowledge="implicit"), sharer("C")
    simulation = Simulation(shared(*members), 1)
    simulation.advance(4 * S, 1 << 40)
    simulation.apply_at(4 * S, c.StopConsumer("C"), 0)
    simulation.advance(5 * S, 1 << 40)
    with pytest.raises(CommandError) as refused:
        simulation.apply_at(5 * S, command, 1)
    assert str(refused.value) == said


def test_a_member_more_works_as_the_one_that_it_is_like() -> None:
    totals, events = run(shared(sharer("A", work={"constant": "150ms"})), (6 * S, c.AddConsumer(like="A")))
    assert totals["done"] == 200
    assert len(who_worked(events)) == 2
    (settings,) = of(events, k.ShareMemberSettings)
    assert (settings.acknowledge, settings.acquire, settings.max_poll_records) == (
        "explicit",
        "record_limit",
        1,
    )
