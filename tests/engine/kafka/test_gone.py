"""Very many records that go from a log at once: each event of it fits a frame, and the count is the same."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import Event
from engine.kafka import events as k
from engine.kafka import operations as ops
from engine.kafka import telling
from engine.kafka.broker import Kafka
from engine.kafka.counting import Counting
from engine.kafka.log import Batch, Log
from engine.kafka.topics import PartitionState
from engine.kernel import Kernel
from engine.wire import encode
from engine.world import World
from playground.rooms.limits import FRAME_BYTES_MAX

MANY = 6_000


class Nobody:
    """A port without clients."""

    def push(self, *said: Any) -> None:
        """Nobody hears it."""


def cluster(**config: str) -> tuple[Kafka, PartitionState]:
    """Topic t with one partition on brokers 1 and 2, which both have `MANY` records, two with each key."""
    kafka = Kafka(Kernel(1), "log", "4.4", 0, Nobody(), (1, 2))
    kafka.execute(kafka.kernel, "admin", ops.CreateTopic("t", 1, {"replication.factor": "2", **config}))
    partition = kafka.topics["t"].partitions[0]
    for base in range(0, MANY, 2):
        # An older record of each key before the newer one of another: what is cleaned lies apart
        batch = (ops.Record(f"k{base}", ""), ops.Record(f"k{base - 2}", ""))
        kafka.execute(kafka.kernel, "shop", ops.Produce("t", 0, batch))
    kafka.kernel.take_log()
    return kafka, partition


def gone(kafka: Kafka) -> list[k.RecordsGone]:
    return [event for event in kafka.kernel.take_log() if isinstance(event, k.RecordsGone)]


def test_six_thousand_deleted_at_once_are_one_short_event() -> None:
    kafka, _ = cluster()
    kafka.execute(kafka.kernel, "admin", ops.DeleteRecords("t", 0, -1))
    [event] = gone(kafka)
    assert event.ranges == ((0, MANY),) and event.offsets == tuple(range(MANY))
    assert len(encode([event])) < 100


def test_what_the_cleaner_takes_here_and_there_fits_a_frame_event_by_event() -> None:
    kafka, _ = cluster(**{"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0"})
    for operation in (
        ops.RollSegment("t", 0),
        ops.Produce("t", 0, (ops.Record("last", ""),)),
        ops.Compact("t", 0),
    ):
        kafka.execute(kafka.kernel, "admin", operation)
    events = gone(kafka)
    offsets = [offset for event in events for offset in event.offsets]
    assert len(offsets) == MANY // 2 - 1 and offsets == sorted(offsets)
    assert len(events) > 1 and all(len(encode([event])) < FRAME_BYTES_MAX for event in events)


def truncated(apart: bool) -> tuple[list[int], dict[str, int]]:
    """A group has read ten of a log, of which a truncation takes 3,000 records from 1,000 on: whole, or (as
    after a cleaning) every second one. Returns the events' first offsets, and the counts."""
    kafka, partition = cluster()
    step = 2 if apart else 1
    before = dict.fromkeys(range(0, MANY, step), (1, -1, 0))
    kernel, world = Kernel(1), World([])
    counting = Counting(kernel, world, lambda *_: None)
    node, group = partition.node, 50
    for number in range(1, MANY + 1):
        world.made(number, "", False, 4)
    messages = [number if (number - 1) % step == 0 else 0 for number in range(1, MANY + 1)]
    events: list[Event] = [
        k.PartitionDeclared(0, 0, node, 7, 0, (1, 2)),
        k.RecordsAppended(0, 0, node, 0, tuple(messages), -1, False, ""),
        k.LogMarked(0, 0, node, 0, MANY, MANY),
        k.PositionSet(0, 0, group, 60, node, 0),
        k.RecordsDelivered(0, 0, group, 60, node, 0, 10),
    ]
    partition.logs[1] = Log(0, [], {}, [])
    for offset in range(0, 1_000, step):
        place = (offset,)
        partition.logs[1].append(Batch(offset, offset, 0, 1, place, (None,), ("",), (1,)))
    telling.log_changed(kafka, partition, before, "truncated")
    parts = gone(kafka)
    for event in [*events, *parts]:
        kernel.emit(event)
    return [event.ranges[0][0] for event in parts], counting.totals()


@pytest.mark.parametrize("apart", [False, True])
def test_a_truncation_in_several_events_counts_what_is_lost_as_one_does(apart: bool) -> None:
    firsts, totals = truncated(apart)
    lost = (MANY - 1_000) // (2 if apart else 1)
    assert totals["lost"] == lost and totals["owed"] == MANY // (2 if apart else 1)
    # From the end backwards: each says where the log ends then
    assert firsts == sorted(firsts, reverse=True) and firsts[-1] == 1_000
    assert (len(firsts) > 1) == apart
