"""A Kafka topic of 12 partitions, 3 groups, in a room: no frame is too large; above the limit numbers are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest

from bench.kafka_speed import topic
from engine.events import MessageCreated
from engine.kafka import events as kafka
from engine.simulation import Simulation
from engine.wire import decode, encode
from playground.rooms import pace, wire
from playground.rooms.limits import FRAME_BYTES_MAX, FRAME_EVENTS_MAX
from playground.rooms.replica import Maker, Replica
from playground.rooms.summing import present_in_numbers, ticks_in_numbers
from playground.rooms.wire import TickLike

TICKS = 160
NEVER = float("inf")
A_BATCH = 32
"""Ticks that a frame of 100 ms holds at 8×."""


@pytest.fixture(scope="module")
def replica() -> Replica:
    """Four seconds of a room of 1,000 records a second."""
    scenario = topic(3)
    room = Replica(Maker(lambda: Simulation(scenario, 1), lambda text: Simulation.restore(scenario, 1, text)))
    while room.closed < TICKS:
        room.work(TICKS, NEVER)
    return room


def size(kind: str, fields: dict[str, Any]) -> int:
    return len(wire.frame(kind, epoch=1 << 40, tick=1 << 40, n=40, first=1 << 40, digest="0" * 64, **fields))


def singly(ticks: Sequence[TickLike]) -> Iterator[dict[str, Any]]:
    at = 0
    while at < len(ticks):
        batch = wire.batch_of(ticks, at)
        at += len(batch)
        yield from wire.in_parts(wire.parts_of_ticks(batch))


def test_what_is_drawn_singly_never_makes_a_frame_too_large(replica: Replica) -> None:
    for start in range(0, TICKS, A_BATCH):
        for fields in singly(replica.kept[start : start + A_BATCH]):
            assert size("ticks", fields) <= FRAME_BYTES_MAX
            assert len(msgspec.json.decode(fields["events"])) <= FRAME_EVENTS_MAX


def test_a_present_goes_in_parts_that_fit(replica: Replica) -> None:
    for point in replica.checkpoints:
        assert all(size("state", fields) <= FRAME_BYTES_MAX for fields in wire.in_parts(point.state))
        assert all(size("state", fields) <= FRAME_BYTES_MAX for fields in present_in_numbers(point))


def test_a_fetch_is_one_event_with_a_range(replica: Replica) -> None:
    events = [event for tick in replica.kept if tick.count for event in decode(tick.events)]
    for kind in (kafka.RecordsSent, kafka.RecordsDelivered):
        ranges = [event for event in events if isinstance(event, kind)]
        assert sum(event.next - event.first for event in ranges) >= 5 * len(ranges), kind
    # Nothing is said of each record in each of the three groups
    made = sum(isinstance(event, MessageCreated) for event in events)
    assert len(events) - made < 3 * made


def test_at_eight_times_it_is_too_fast_and_goes_in_numbers_that_do_not_grow_with_the_records(
    replica: Replica,
) -> None:
    at_rest, late = replica.paces[0], replica.paces[-1]
    assert pace.too_fast(late, 8_000) and not pace.too_fast(at_rest, 1_000)
    for end in range(3 * A_BATCH, TICKS + 1, A_BATCH):
        ticks = replica.kept[end - A_BATCH : end]
        frames = ticks_in_numbers(ticks, replica.numbers[end - 1])
        assert len(frames) == 1, "a frame is enough"
        assert size("ticks", frames[0]) <= FRAME_BYTES_MAX // 4
        assert sum(tick.count for tick in ticks) > 10 * len(msgspec.json.decode(frames[0]["events"]))


def test_the_numbers_are_those_of_the_logs_and_of_the_ledger(replica: Replica) -> None:
    events = [event for tick in replica.kept if tick.count for event in decode(tick.events)]
    marks: dict[int, int] = {}
    for event in events:
        if isinstance(event, kafka.LogMarked):
            marks[event.node] = event.high_watermark - event.start
    numbers = replica.numbers[TICKS - 1]
    counts = msgspec.json.decode(bytes(numbers.counts))
    assert {node: n for node, zone, n in counts if zone == "log"} == {k: n for k, n in marks.items() if n}
    # And what went over each way is what each fetch and each batch said
    frame = ticks_in_numbers(replica.kept, numbers)[0]
    sent = sum(event.count for event in events if isinstance(event, kafka.RecordsSent))
    produced = sum(len(event.messages) for event in events if isinstance(event, kafka.BatchSent))
    signals = sum(type(event).__name__ == "Sent" for event in events)
    assert sum(n for _, _, n in msgspec.json.decode(bytes(frame["flows"]))) == sent + produced + signals
    assert bytes(numbers.stands) == encode(replica.simulation.stands())
