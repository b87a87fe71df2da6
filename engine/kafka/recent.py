"""What a stage goes on showing of what is over: who led before, who left the ISR, who left a group, and which
partitions somebody has let go of that nobody reads yet.

Nothing in a cluster depends on it; a statement of the present has to say it, so that whoever comes later sees
what those see who were there. Noted from events, by `engine.kafka.counting`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from engine.events import Event, NodeAdded
from engine.kafka.events import (
    LeadershipStands,
    MemberGone,
    MemberJoined,
    PartitionLed,
    ReadingStands,
)

if TYPE_CHECKING:
    from engine.kafka.counting import Reading

NEVER = -1


class Led(msgspec.Struct, array_like=True):
    """A partition's leadership as it was told last, and what its last changes were."""

    leader: int
    isr: tuple[int, ...]
    was: int = 0
    led_us: int = NEVER
    left: tuple[int, ...] = ()
    joined: tuple[int, ...] = ()
    synced_us: int = NEVER


class RecentState(msgspec.Struct, array_like=True):
    """What a snapshot keeps."""

    led: dict[int, Led] = {}
    """By partition."""
    since: dict[int, dict[str, int]] = {}
    """By group, by member id: when it came, or went away for a while."""
    gone: dict[int, MemberGone] = {}
    """By group, who left last."""


class Recent:
    """See the module."""

    def __init__(self, state: RecentState) -> None:
        self.state = state

    def led(self, e: PartitionLed) -> None:
        """Notes a change of the leader, and of the ISR; what a partition begins with is none."""
        known = self.state.led.get(e.node)
        if known is None:
            self.state.led[e.node] = Led(e.leader, e.isr)
            return
        if e.leader != known.leader:
            known.was, known.led_us = known.leader, e.at_us
        left = tuple(broker for broker in known.isr if broker not in e.isr)
        joined = tuple(broker for broker in e.isr if broker not in known.isr)
        if left or joined:
            known.left, known.joined, known.synced_us = left, joined, e.at_us
        known.leader, known.isr = e.leader, e.isr

    def joined(self, e: MemberJoined) -> None:
        """Notes when the member came."""
        self.state.since.setdefault(e.group, {})[e.member] = e.at_us

    def gone(self, e: MemberGone) -> None:
        """Notes who is out, or since when it is away."""
        since = self.state.since.setdefault(e.group, {})
        if e.why == "away":
            since[e.member] = e.at_us
            return
        since.pop(e.member, None)
        self.state.gone[e.group] = e

    def dated(self, event: Event) -> list[Event]:
        """An event of a stated present with the moment that it is of; behind a group, and so before its
        members, who left it last."""
        if isinstance(event, NodeAdded) and event.node in self.state.gone:
            return [event, replace(self.state.gone[event.node], cause=0)]
        if isinstance(event, MemberJoined | MemberGone):
            since = self.state.since.get(event.group, {})
            return [replace(event, at_us=since.get(event.member, event.at_us))]
        return [event]

    def state_events(self) -> Iterator[Event]:
        """What changed last, of each partition whose leadership has changed."""
        for node, led in self.state.led.items():
            if max(led.led_us, led.synced_us) > NEVER:
                at_us = max(led.led_us, led.synced_us)
                changes = led.was, led.led_us, led.left, led.joined, led.synced_us
                yield LeadershipStands(at_us, 0, node, *changes)


def reading_events(readings: Iterable[Reading]) -> Iterator[Event]:
    """Where groups began to read that have committed nothing there, and what nobody reads any more."""
    for reading in readings:
        begun = reading.begun if reading.committed < 0 else NEVER
        node, worked_to, at_us = reading.let_go
        if node or begun > NEVER:
            yield ReadingStands(at_us, 0, reading.group, reading.partition, begun, node, worked_to)
