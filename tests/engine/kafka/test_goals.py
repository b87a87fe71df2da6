"""What can be asked of a run of Kafka: of records, logs and groups; answers are the cluster's own."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.asked import GoalError
from engine.goals import read_key, read_predicate
from engine.history import History, play
from engine.kafka.broker import Kafka
from engine.kafka.events import RecordsWorked
from engine.kafka.partitioners import partition_of
from engine.scenario import Scenario, from_data
from tests.engine.kafka.playing import BUSY, journal
from tests.engine.playing import Journal
from tests.engine.playing import play as play_out

S = 1_000_000
KEYS = ["ana", "ben", "cho", "dan"]


def shop(**member: Any) -> Scenario:
    """Four records each two seconds, a key each, in two partitions; A and B work 300 ms on each. B crashes at 9.8 s."""
    worker = {"system": "log", "from": {"topics": ["orders"], "group": "billing"}, "reset": "earliest",
              "acknowledge": "after work", "max_poll_records": 4, "session_timeout": "6s",
              "work": {"constant": "300ms"}, **member}  # fmt: skip
    return from_data({
        "format": 1, "title": "Shop", "length": "30s", "kinds": KEYS,
        "system": [{"name": "log", "kind": "kafka", "link": "20ms", "brokers": 2,
                    "config": {"group.initial.rebalance.delay.ms": 0},
                    "topics": [{"name": "orders", "partitions": 2, "replication": 2}]}],
        "producer": [{"name": "shop", "system": "log", "to": {"topic": "orders"}, "arrivals": {"every": "2s", "burst": 4},
                      "keys": KEYS}],
        "consumer": [{"name": "A", **worker}, {"name": "B", **worker}],
        "fault": [{"at": "9800ms", "do": "crash", "target": "B"}],
    })  # fmt: skip


@pytest.fixture(scope="module")
def crashed() -> History:
    return play(shop(), 1)


def holds(history: History, **predicate: Any) -> bool:
    return read_predicate(predicate).holds(history)


def value(history: History, **asked: Any) -> Any:
    return read_key({"value": asked}).answer(history)


def place(history: History, **key: Any) -> Any:
    return read_key(key).answer(history)


# -- records --------------------------------------------------------------------------------------


def test_an_event_of_a_range_counts_once_for_each_of_its_records() -> None:
    quick = play(shop(work={"constant": "1ms"}), 1, until_us=9 * S)
    events = sum(isinstance(event, RecordsWorked) for event in quick.events)
    assert (
        value(quick, count="RecordsWorked")
        == quick.accounts["billing"]["done"] + quick.accounts["billing"]["unacked"]
    )
    assert value(quick, count="RecordsAppended") == value(quick, count="MessageCreated") > events > 0
    by_key = [value(quick, count="RecordsWorked", where={"key": key}) for key in KEYS]
    assert sum(by_key) == value(quick, count="RecordsWorked") and min(by_key) > 1


def test_a_record_is_asked_for_by_partition_offset_message_and_key(crashed: History) -> None:
    partition, offset = place(crashed, cell=7, at="9s")
    there = {"partition": partition, "offset": int(offset)}
    assert value(crashed, count="RecordsWorked", where=there) == 1
    assert holds(
        crashed, count="RecordsWorked", where={**there, "message": 7, "key": KEYS[6 % 4]}, op="==", n=1
    )
    assert holds(crashed, never="RecordsWorked", where={**there, "message": 8})
    assert holds(crashed, count="RecordsAppended", where={"node": partition, "message": 7}, op="==", n=1)
    assert holds(crashed, count="RecordsWorked", where={"message": 7, "group": "billing", "node": "A"}) != (
        holds(crashed, count="RecordsWorked", where={"message": 7, "group": "billing", "node": "B"})
    )


def test_what_was_read_again_is_what_the_crashed_member_had_not_committed() -> None:
    crashed = play(shop(acknowledge="automatic"), 1)
    again = value(crashed, count="RecordsDelivered", where={"again": True, "group": "billing"})
    assert again == crashed.accounts["billing"]["duplicated_deliveries"] > 0
    assert holds(crashed, count="RecordsDelivered", where={"again": True, "node": "A"}, op="==", n=again)
    worked = value(crashed, count="RecordsWorked", where={"again": True})
    assert worked == crashed.accounts["billing"]["duplicated_effects"] > 0
    assert holds(crashed, ledger="duplicated_effects", destination="billing", n=worked)


def test_events_and_lists_name_nodes(crashed: History) -> None:
    assert holds(crashed, count="MemberJoined", where={"group": "billing", "node": "A"}, op="==", n=1)
    assert holds(crashed, count="MemberGone", where={"node": "B", "why": "session"}, op="==", n=1)
    assert holds(crashed, count="PartitionsRevoked", where={"why": "crashed", "node": "B"}, op="==", n=1)
    had, other = ("orders-0", "orders-1") if place(crashed, owner_of="orders-0", group="billing", at="9s") == ("B", "") \
        else ("orders-1", "orders-0")  # fmt: skip
    assert holds(crashed, count="PartitionsRevoked", where={"why": "crashed", "partitions": had})
    assert holds(crashed, never="PartitionsRevoked", where={"why": "crashed", "partitions": other})
    assert holds(crashed, never="OffsetCommitted", where={"by": "shop"})
    assert holds(
        crashed, count="PartitionDeclared", where={"topic": "orders", "replicas": "broker 2"}, op="==", n=2
    )


def test_records_are_put_in_order_one_by_one() -> None:
    quick = play(shop(work={"constant": "1ms"}), 1, until_us=9 * S)
    first = [n for n in range(1, 13) if place(quick, partition_of=n, at="9s") == ("orders-0", "")][:3]
    order = [{"label": f"m{n}", "event": "RecordsWorked", "where": {"message": n}} for n in reversed(first)]
    assert place(quick, order=order) == tuple(f"m{n}" for n in first)
    one, two = ({"event": "RecordsWorked", "where": {"message": n}} for n in first[:2])
    assert holds(quick, before=one, then=two) and not holds(quick, before=two, then=one)


def test_within_follows_a_message_from_its_making_to_its_work(crashed: History) -> None:
    made, worked = {"event": "MessageCreated"}, {"event": "RecordsWorked"}
    calm = play(shop(), 1, until_us=9 * S)
    assert holds(calm, within="3s", same="message", **{"from": made}, to=worked)
    assert not holds(calm, within="300ms", same="message", **{"from": made}, to=worked)
    assert not holds(crashed, within="3s", same="message", **{"from": made}, to=worked), (
        "nobody read for a while"
    )
    sent = {"event": "BatchSent", "where": {"message": 5}}
    assert holds(crashed, within="1s", same="message", **{"from": sent}, to={"event": "BatchAcknowledged"})
    assert holds(crashed, before=sent, then={"event": "BatchAcknowledged", "where": {"message": 5}})


# -- logs and groups ------------------------------------------------------------------------------


def test_a_message_lies_where_its_keys_hash_says_and_stays(crashed: History) -> None:
    for number in range(1, 13):
        partition = partition_of(KEYS[(number - 1) % 4].encode(), 2)
        assert place(crashed, partition_of=number, at="9s") == (f"orders-{partition}", "")
        assert place(crashed, cell=number, at="9s") == place(crashed, cell=number, at="29s")
        assert holds(crashed, lies=number, partition=f"orders-{partition}", at="9s")
        assert not holds(crashed, lies=number, partition=f"orders-{1 - partition}", at="9s")
    partition, offset = place(crashed, cell=9, at="9s")
    assert value(crashed, offset_of=9, at="9s") == int(offset)
    assert holds(crashed, lies=9, partition=partition, offset=int(offset))
    assert not holds(crashed, lies=9, partition=partition, offset=int(offset) + 1)
    assert place(crashed, cell=50, at="9s") == ("", "not there")
    assert not holds(crashed, lies=50, partition=partition, at="9s")


def test_a_keys_newest_message_stands_for_it(crashed: History) -> None:
    newest = [n for n in range(1, 61) if KEYS[(n - 1) % 4] == "cho" and place(crashed, cell=n, at="9s")[0]][
        -1
    ]
    assert place(crashed, cell="cho", at="9s") == place(crashed, cell=newest, at="9s")
    assert place(crashed, partition_of="cho", at="9s") == place(crashed, partition_of=newest, at="9s")
    assert place(crashed, partition_of="eva", at="9s") == ("", "not there")


def test_who_has_a_partition_changes_with_a_crash(crashed: History) -> None:
    had = "orders-0" if holds(crashed, owner="B", of="orders-0", group="billing", at="9s") else "orders-1"
    owners = [place(crashed, owner_of=had, group="billing", at=at) for at in ("9s", "11s", "25s")]
    assert owners == [("B", ""), ("", "nobody"), ("A", "")]
    assert holds(crashed, owner="nobody", of=had, group="billing", at="11s")
    assert place(crashed, owner_of=had, group="statistics", at="9s") == ("", "nobody")


def test_a_groups_numbers_in_a_partition(crashed: History) -> None:
    had = "orders-0" if holds(crashed, owner="B", of="orders-0", group="billing", at="9s") else "orders-1"
    of = {"group": "billing", "partition": had}
    before, after = (value(crashed, log="committed", **of, at=at) for at in ("10s", "13s"))
    assert before == after, "nobody commits for a crashed member"
    marks = [value(crashed, log="high watermark", partition=had, at=at) for at in ("10s", "13s")]
    assert value(crashed, log="lag", **of, at="13s") == marks[1] - after > marks[0] - before
    both = sum(value(crashed, log="lag", group="billing", partition=f"orders-{n}", at="13s") for n in (0, 1))
    assert value(crashed, log="lag", group="billing", at="13s") == both
    assert not holds(crashed, log="position", **of, at="13s", op=">=", n=0), "nobody reads"
    with pytest.raises(GoalError, match=f"there is no position of 'billing' in '{had}' at that moment"):
        value(crashed, log="position", **of, at="13s")
    assert value(crashed, log="position", **of, at="9s") >= value(crashed, log="committed", **of, at="9s")
    assert value(crashed, log="start", partition=had) == 0
    assert value(crashed, log="end", partition=had, at="13s") == marks[1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), journal)
def test_all_of_it_is_what_the_cluster_and_the_ledger_have(seed: int, entries: Journal) -> None:
    history, (_, simulation) = play(BUSY, seed, entries), play_out(BUSY, seed, entries)
    cluster = next(part for part in simulation.kernel.parts if isinstance(part, Kafka))
    for name, topic in cluster.topics.items():
        for partition in topic.partitions:
            which = f"{name}-{partition.number}"
            log, mark = partition.shown_log(), partition.marks[partition.shown()]
            assert value(history, log="start", partition=which) == log.start
            assert value(history, log="end", partition=which) == log.end()
            assert value(history, log="high watermark", partition=which) == mark
            for group_name, group in cluster.classic.items():
                committed = group.offsets.of((name, partition.number))
                asked = {"log": "committed", "partition": which, "group": group_name}
                assert holds(history, **asked, op="==", n=max(0, committed)) == (committed >= 0)
    for name, counts in history.accounts.items():
        of = {"group": name}
        if name not in cluster.group_nodes:
            continue
        assert (
            value(history, count="RecordsDelivered", where={"again": True, **of})
            == counts["duplicated_deliveries"]
        )
        assert (
            value(history, count="RecordsWorked", where={"again": True, **of}) == counts["duplicated_effects"]
        )
        assert (
            value(history, count="RecordsWorked", where={"out_of_order": True, **of})
            == counts["out_of_order"]
        )


# -- what cannot be asked -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"log": "length", "partition": "orders-0"}, "goal.log: expected one of start, end, high watermark, committed, position, lag"),
        ({"log": "lag"}, "goal.group: expected a group: it is a group's number"),
        ({"log": "end", "partition": "orders-0", "group": "billing"}, "goal.group: expected none: it is the log's"),
        ({"log": "committed", "group": "billing"}, "goal.partition: expected one; only lag can be of all together"),
        ({"log": "lag", "group": "billing", "at": "late"}, "goal.at: expected a duration"),
        ({"lies": 4}, "goal: Object missing required field `partition`"),
        ({"owner": "A", "of": "orders-0"}, "goal: Object missing required field `group`"),
        ({"count": "RecordsSent", "where": {"again": True}}, "goal.where: RecordsSent has no 'again'"),
        ({"within": "1s", "same": "copy", "from": {"event": "BatchSent"}, "to": {"event": "RecordsWorked"}},
         "goal.same: BatchSent is of no copy"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_told(wrong: Any, said: str) -> None:
    with pytest.raises(GoalError) as caught:
        read_predicate(wrong)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cell": 4}, 'key.at: expected a moment such as "21s"'),
        ({"cell": True, "at": "9s"}, "key.cell: expected a message's number or a key"),
        ({"partition_of": 4, "at": "9s", "group": "billing"}, "key: 'group' does not belong beside 'partition_of'"),
        ({"owner_of": "orders-0", "at": "9s"}, "key: expected owner_of = a partition's name and group = a group's"),
        ({"value": {"lies": 4, "partition": "orders-0"}}, "key.value: expected count, ledger, log or offset_of"),
        ({}, "key: expected one of value, place, order, cell, partition_of, owner_of"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_answered_are_told(wrong: Any, said: str) -> None:
    with pytest.raises(GoalError) as caught:
        read_key(wrong)
    assert str(caught.value).startswith(said)
