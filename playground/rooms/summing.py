"""Ticks that are too fast to be drawn singly, as the numbers that are told instead of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from engine import aggregated
from engine.wire import decode
from playground.rooms import wire
from playground.rooms.replica import Checkpoint, Numbers
from playground.rooms.wire import TickLike


def ticks_in_numbers(ticks: Sequence[TickLike], numbers: Numbers) -> list[dict[str, Any]]:
    """The fields of the frames (mostly one) that sum `ticks` up; `numbers` are those at their end."""
    events = [event for tick in ticks if tick.count for event in decode(tick.events)]
    flows = [[source, target, n] for (source, target), n in sorted(aggregated.flows(events).items())]
    stage = [*aggregated.of_no_message(events), *decode(numbers.stands)]
    return _fields(stage, numbers.counts, flows)


def present_in_numbers(point: Checkpoint) -> list[dict[str, Any]]:
    """The fields of the frames that state the present at `point` without any message."""
    stated = decode(bytes(wire.join(point.state)))
    return _fields(aggregated.of_no_message(stated), point.numbers.counts, [])


def _fields(events: Sequence[Any], counts: Raw, flows: Sequence[Any]) -> list[dict[str, Any]]:
    told = Raw(msgspec.json.encode(flows))
    parts = wire.parts_of(events, spare=len(bytes(counts)) + len(bytes(told)))
    return [
        {"aggregated": True, "counts": counts, "flows": told, **carried} for carried in wire.in_parts(parts)
    ]
