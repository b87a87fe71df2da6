"""Stricter than the engine's own invariants: what its events say by themselves.

The events are followed as a viewer follows them: a body is where the last event has put it, once. What
stands here and proves itself may move into `engine/invariants.py`.
"""

from __future__ import annotations

from typing import Any

from engine.events import (
    LedgerStands,
    Left,
    Moved,
    NodeStateChanged,
    Placed,
    Sent,
    Settled,
    WorkFinished,
    WorkStarted,
)
from engine.ledger import PLACES
from engine.rabbitmq.events import ChannelClosed
from engine.simulation import Simulation
from engine.ticks import TICK_US, Tick
from engine.wire import decode

SOCKET = -1
"""Stands for the moment of arrival of a body that waits in its broker's socket."""

ENDS = ("client", "socket", "heartbeat")
"""How a channel ends without anybody's mistake. (In these rooms nobody deletes what others use.)"""


def unsound(ticks: list[Tick], simulation: Simulation) -> str:
    """The first thing that is not as it must be, "" when all is well."""
    story = Story()
    for tick in ticks:
        for event in decode(tick.events):
            wrong = story.follow(event)
            if not wrong and not tick.tick * TICK_US <= event.at_us < (tick.tick + 1) * TICK_US:
                wrong = "an event stands in a tick that is not its own"
            if wrong:
                return wrong
    return story.at_the_end(simulation)


class Story:
    """What a viewer knows. `bodies`: (copy, attempt) → (node, when it arrives there or arrived)."""

    def __init__(self) -> None:
        self.number = 0
        self.bodies: dict[tuple[int, int], tuple[int, int]] = {}
        self.acks: dict[int, int] = {}
        self.down: dict[int, None] = {}
        self.counts: dict[int, dict[str, int]] = {}

    def follow(self, event: Any) -> str:
        """One event more. What is wrong with it, "" when nothing is."""
        self.number += 1
        if event.cause >= self.number:
            return "an event names a later one as its cause"
        told = getattr(self, f"_{type(event).__name__}", None)
        return told(event) if told is not None else ""

    def _Sent(self, event: Sent) -> str:
        if event.kind == "ack":
            self.acks[self.number] = event.about
        return ""

    def _Moved(self, event: Moved) -> str:
        there = self.bodies.get((event.copy, event.attempt))
        if there is not None and there[1] != SOCKET:
            return "a body departs that is somewhere already"
        self.bodies[event.copy, event.attempt] = (event.target, event.arrive_us)
        return ""

    def _Placed(self, event: Placed) -> str:
        if event.attempt:
            at = SOCKET if event.zone == "socket" else event.at_us
            self.bodies[event.copy, event.attempt] = (event.node, at)
        return ""

    def _Left(self, event: Left) -> str:
        if event.attempt:
            for copy in event.copies:
                if self.bodies.pop((copy, event.attempt), None) is None:
                    return "a body leaves that is not there"
        elif (
            event.reason == "acknowledged" and self.acks.get(event.cause, event.copies[0]) not in event.copies
        ):
            return "an acknowledgement settles another copy than it is about"
        return ""

    def _WorkStarted(self, event: WorkStarted) -> str:
        node, arrived_us = self.bodies.get((event.copy, event.attempt), (0, 0))
        if node != event.node or not 0 <= arrived_us <= event.at_us:
            return "work starts on a body that is not there"
        return ""

    def _WorkFinished(self, event: WorkFinished) -> str:
        there = self.bodies.pop((event.copy, event.attempt), None)
        return "" if there is not None else "work ends on a body that is not there"

    def _NodeStateChanged(self, event: NodeStateChanged) -> str:
        was_down = self.down.pop(event.node, 0) is None
        if event.state == "crashed":
            self.down[event.node] = None
        elif was_down and any(
            node == event.node and 0 <= arrived_us < event.at_us for node, arrived_us in self.bodies.values()
        ):
            return "a process starts with bodies of its earlier life"
        return ""

    def _ChannelClosed(self, event: ChannelClosed) -> str:
        return "" if event.why in ENDS else "an actor breaks the protocol, and its channel is closed"

    def _Settled(self, event: Settled) -> str:
        of = self.counts.setdefault(event.destination, dict.fromkeys(PLACES, 0))
        of[event.was] -= len(event.copies)
        of[event.now] += len(event.copies)
        return ""

    def at_the_end(self, simulation: Simulation) -> str:
        """What must have become of everything."""
        for event in simulation.ledger.state_events(0):
            if isinstance(event, LedgerStands):
                said = self.counts.get(event.destination, dict.fromkeys(PLACES, 0))
                if [said[place] for place in PLACES[1:]] != list(event.places):
                    return "what was said to be settled does not add up to the counts"
        return ""
