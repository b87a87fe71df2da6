"""Where a group begins to read, moved by an administrator or by a consumer, and other assignors for its members."""

from __future__ import annotations

from typing import Any

import pytest

from engine import commands as c
from engine.errors import CommandError
from engine.events import NodeStateChanged
from engine.kafka import events as k
from engine.simulation import Simulation
from tests.engine.kafka.test_consumer_protocol import modern
from tests.engine.kafka.test_promises import S, member, of, room, run


def stopped(scenario: Any) -> Simulation:
    """The room after all is written and done, its only member stopped; 100 records in each partition."""
    simulation = Simulation(scenario, 1)
    simulation.apply_at(30 * S, c.StopConsumer("A"), 1)
    simulation.advance(35 * S, 1 << 40)
    return simulation


def committed(simulation: Simulation) -> dict[int, int]:
    """By partition's number."""
    cluster = simulation.clusters[0]
    group = cluster.consumer.get("g") or cluster.classic["g"]
    return {number: offset for (_, number), offset in group.offsets.all()}


def in_both(**changes: Any) -> Any:
    """One key to each of the two partitions, so that each gets every second record."""
    return room(producer__keys=["ana", "ben"], **changes)


@pytest.mark.parametrize("make", [member, modern], ids=["classic", "consumer"])
@pytest.mark.parametrize(
    ("command", "offsets"),
    [
        (c.SeekGroup("log", "g", "earliest"), {0: 0, 1: 0}),
        (c.SeekGroup("log", "g", "latest"), {0: 100, 1: 100}),
        (c.SeekGroup("log", "g", "offset", offset=30), {0: 30, 1: 30}),
        (c.SeekGroup("log", "g", "offset", offset=1_000), {0: 100, 1: 100}),
        (c.SeekGroup("log", "g", "offset", "t", 1, offset=7), {0: 100, 1: 7}),
        (c.SeekGroup("log", "g", "shift", by=-10), {0: 90, 1: 90}),
        (c.SeekGroup("log", "g", "shift", "t", 0, by=-1_000), {0: 0, 1: 100}),
        (c.SeekGroup("log", "g", "datetime", time_us=10 * S), {0: 50, 1: 50}),
        (c.SeekGroup("log", "g", "datetime", time_us=29 * S), {0: 100, 1: 100}),
    ],
)  # fmt: skip
def test_offsets_of_an_inactive_group_are_reset_to_where_kafka_would(
    make: Any, command: c.SeekGroup, offsets: dict[int, int]
) -> None:
    simulation = stopped(in_both(consumer=[make("A")]))
    assert committed(simulation) == {0: 100, 1: 100}
    simulation.apply_at(36 * S, command, 2)
    got = committed(simulation)
    # A time falls within the linger of a batch, the first record of that second or the one before it
    slack = 1 if command.to == "datetime" else 0
    assert all(abs(got[number] - offset) <= slack for number, offset in offsets.items())
    assert simulation.totals()["ready"] == 200 - sum(got.values())
    simulation.apply_at(37 * S, c.RestartConsumer("A"), 3)
    simulation.advance(59 * S, 1 << 40)
    totals = simulation.totals()
    assert totals["done"] == totals["owed"] == 200
    assert totals["duplicated_effects"] == 200 - sum(got.values())


REFUSED = [
    (c.SeekGroup("log", "g", "offset"), 'SeekGroup: expected offset with to = "offset"'),
    (c.SeekGroup("log", "g", "latest", by=3), 'SeekGroup: expected by with to = "shift" only'),
    (c.SeekGroup("log", "g", "latest", partition=0), "SeekGroup: expected a topic with the partition"),
    (c.SeekGroup("log", "g", "latest", "u"), "there is no topic 'u' in log; there is t"),
    (c.SeekGroup("log", "g", "latest", "t", 2), "there is no t-2: t has 2"),
    (c.SeekGroup("log", "h", "latest"), "there is no group 'h' in log; there is g"),
    (c.Seek("A", "earliest"), "A is stopped: this needs it up"),
    (c.SetAssignors("log", "h", ("range",)), "'h' in log has no members; there is g"),
    (c.SetAssignors("log", "g", ("range", "range")), "SetAssignors: expected each assignor once"),
    (c.SetAssignors("log", "g", ("uniform",)),
     "g speaks the classic protocol: uniform is of the consumer protocol"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "said"), REFUSED)
def test_what_makes_no_sense_is_refused_in_words_and_changes_nothing(command: Any, said: str) -> None:
    simulation = stopped(room())
    before = simulation.snapshot()
    with pytest.raises(CommandError) as caught:
        simulation.apply_at(35 * S, command, 2)
    assert str(caught.value) == said
    assert simulation.number == Simulation.restore(room(), 1, before).number


def test_a_shift_needs_an_offset_that_was_committed() -> None:
    simulation = stopped(room())
    simulation.apply_at(36 * S, c.AddPartitions("log", "t", 3), 2)
    with pytest.raises(CommandError, match="cannot shift t-2: g has committed no offset of it"):
        simulation.apply_at(36 * S, c.SeekGroup("log", "g", "shift", "t", by=-1), 3)


@pytest.mark.parametrize("make", [member, modern], ids=["classic", "consumer"])
def test_a_running_consumer_seeks_between_two_polls_and_reads_from_there(make: Any) -> None:
    busy = room(consumer=[make("A", work={"constant": "20ms"})])
    totals, events = run(busy, (30 * S, c.Seek("A", "earliest")))
    sought = [event for event in of(events, k.PositionSet) if event.at_us >= 30 * S]
    assert {event.offset for event in sought} >= {0}
    # All of it once more, and committed when it has come to the end again: nothing is lost by that
    assert totals["duplicated_effects"] == totals["duplicated_deliveries"] == 200
    assert totals["done"] == totals["owed"] == 200


def test_a_seek_forward_leaves_out_what_lies_between() -> None:
    slow = room(consumer=[member("A", work={"constant": "500ms"}, max_poll_records=1)])
    totals, _ = run(slow, (15 * S, c.Seek("A", "latest")))
    assert totals["lost"] > 50 and totals["done"] + totals["lost"] == 200


def test_a_seek_to_an_offset_of_one_partition_leaves_the_other_where_it_is() -> None:
    totals, _ = run(in_both(), (30 * S, c.Seek("A", "offset", "t", 1, 90)))
    assert totals["duplicated_effects"] == 10


def test_only_what_it_is_assigned_can_be_sought_in() -> None:
    simulation = Simulation(room(consumer=[member("A"), member("B")]), 1)
    simulation.advance(10 * S, 1 << 40)
    with pytest.raises(CommandError, match=r"A can only seek in partitions that it is assigned: t-\d$"):
        for number in (0, 1):
            simulation.apply_at(10 * S, c.Seek("A", "offset", "t", number, 3), 1 + number)


# -- assignors ------------------------------------------------------------------------------------


def protocols(events: Any) -> list[str]:
    """The assignors that generations were made with, in order, each run of one once."""
    said = [event.protocol for event in of(events, k.GroupChanged) if event.state == "Stable"]
    return [name for place, name in enumerate(said) if not place or said[place - 1] != name]


def test_members_are_restarted_one_after_the_other_and_the_new_assignor_wins_once_all_have_it() -> None:
    both = room(consumer=[member("A"), member("B")])
    totals, events = run(both, (10 * S, c.SetAssignors("log", "g", ("cooperative-sticky",))))
    assert protocols(events) == ["range", "cooperative-sticky"]
    assert [event.why for event in of(events, k.MemberGone)] == ["left", "left"]
    assert totals["done"] == totals["owed"] == 200 and totals["lost"] == 0


def test_without_an_assignor_in_common_a_member_is_refused_until_the_others_are_gone() -> None:
    both = room(consumer=[member("A", assignors=["range"]), member("B", assignors=["range"])])
    totals, events = run(both, (10 * S, c.SetAssignors("log", "g", ("cooperative-sticky",))))
    refused = [event for event in of(events, NodeStateChanged) if event.about.startswith("refused")]
    assert {event.about for event in refused} == {"refused: INCONSISTENT_GROUP_PROTOCOL"}
    joined = [event.at_us for event in of(events, k.MemberJoined)]
    # A's new process joins only when B's old one has left, three seconds later
    assert len(joined) == 4 and joined[2] > 13 * S
    assert totals["done"] == totals["owed"] == 200


def test_a_remote_assignor_is_changed_by_the_votes_of_restarted_members() -> None:
    both = room(consumer=[modern("A"), modern("B")])
    totals, events = run(both, (10 * S, c.SetAssignors("log", "g", ("range",))))
    assert protocols(events)[0] == "uniform" and protocols(events)[-1] == "range"
    assert totals["done"] == totals["owed"] == 200


def test_one_that_is_down_has_its_new_assignors_when_it_starts() -> None:
    crashed = room(consumer=[member("A")])
    _, events = run(crashed, (10 * S, c.CrashConsumer("A")), (12 * S, c.SetAssignors("log", "g", ("roundrobin",))),
                    (20 * S, c.RestartConsumer("A")))  # fmt: skip
    assert protocols(events) == ["range", "roundrobin"]
