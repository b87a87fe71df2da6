"""A run's whole history, for whoever asks about it afterwards: goals of lessons, keys of quiz items.

`play` runs a scenario with a seed and commands to a moment and keeps every event. It asks nothing of a
broker: what a question wants to know must be in the events or in the ledger's counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from engine.commands import AnyCommand
from engine.errors import CommandError
from engine.events import Event, LedgerStands, MessageCreated, NodeAdded, Owed, Routed, Sent
from engine.places import NOWHERE, PLACES, TALLIES
from engine.scenario import Scenario
from engine.simulation import Simulation
from engine.wire import decode

NODES = frozenset({"node", "source", "target", "destination"})
"""Fields of events that hold the number of a node; a question may name the node instead."""

ABOUT_MESSAGE = frozenset({"publish", "confirm", "refuse", "return"})
ABOUT_COPY = frozenset({"ack", "nack", "reject"})
"""What `Sent.about` is the number of, by the signal's kind."""


def has(kind: type[Event], what: Literal["message", "copy"]) -> bool:
    """Whether an event of this kind can be of a message, or of a copy."""
    copy = kind is Sent or not {"copy", "copies"}.isdisjoint(kind.__struct_fields__)
    return copy or (what == "message" and "message" in kind.__struct_fields__)


@dataclass
class History:
    """Every event of a run until `until_us`, in order. Messages, copies and nodes are told by number."""

    until_us: int
    events: list[Event] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    """Of nodes, by number."""
    message_of: dict[int, int] = field(default_factory=dict)
    """The message that a copy is of."""
    destination_of: dict[int, int] = field(default_factory=dict)
    """The node that a copy was owed to when it was routed."""
    keys: dict[int, str] = field(default_factory=dict)
    """Of messages."""
    totals: dict[str, int] = field(default_factory=dict)
    """The ledger's counts at `until_us`, over all destinations, by the ledger's names."""
    accounts: dict[str, dict[str, int]] = field(default_factory=dict)
    """The same for each destination, by its name."""

    def hear(self, events: Sequence[Event]) -> None:
        """Take in what happened next."""
        for event in events:
            self.events.append(event)
            if isinstance(event, NodeAdded):
                self.names[event.node] = event.name
            elif isinstance(event, MessageCreated):
                self.keys[event.message] = event.key
            elif isinstance(event, Routed):
                for owed in event.copies:
                    self.message_of[owed.copy] = event.message
                    self.destination_of[owed.copy] = owed.destination

    def value(self, event: Event, name: str) -> Any:
        """What a question means by `name`: a field, a node by its name, the message or key behind a copy.

        Raises `KeyError` where this event has nothing of that name.
        """
        fields = event.__struct_fields__
        if name in NODES and name in fields:
            number = getattr(event, name)
            return self.names.get(number, number)
        if name in fields and name not in ("message", "key"):
            value = getattr(event, name)
            return msgspec.to_builtins(value)
        message = self._message(event)
        if message is None:
            raise KeyError(name)
        if name == "message":
            return message
        if name == "key":
            return self.keys.get(message, "")
        copy = getattr(event, "copy", None)
        if name == "destination" and copy in self.destination_of:
            number = self.destination_of[copy]
            return self.names.get(number, number)
        raise KeyError(name)

    def of(self, event: Event, what: Literal["message", "copy"]) -> tuple[int, ...]:
        """The messages or copies that the event is of, by number: none, one or several, each once."""
        fields = event.__struct_fields__
        copies: tuple[int, ...]
        messages: tuple[int, ...]
        if isinstance(event, Sent):
            copies = (event.about,) if event.kind in ABOUT_COPY else ()
            messages = (event.about,) if event.kind in ABOUT_MESSAGE else ()
        else:
            some = getattr(event, "copies", ()) if "copies" in fields else (getattr(event, "copy", 0),)
            copies = tuple(one.copy if isinstance(one, Owed) else one for one in some)
            messages = (getattr(event, "message", 0),)
        if what == "message" and not any(messages):
            messages = tuple(self.message_of.get(copy, 0) for copy in copies)
        found = messages if what == "message" else copies
        return tuple(number for number in dict.fromkeys(found) if number)

    def _message(self, event: Event) -> int | None:
        if "message" in event.__struct_fields__:
            return int(event.message)  # type: ignore[attr-defined]
        copy = getattr(event, "copy", None)
        return None if copy is None else self.message_of.get(copy)


def play(
    scenario: Scenario,
    seed: int,
    commands: Sequence[tuple[int, AnyCommand]] = (),
    until_us: int | None = None,
) -> History:
    """The history of a run. `commands` are (at_us, command) in the order of replay; refused ones do nothing,
    as in a room. `until_us` None: to the run's end. Raises the engine's errors."""
    end_us = scenario.length_us if until_us is None else min(until_us, scenario.length_us)
    simulation = Simulation(scenario, seed)
    ticks, history = simulation.ticks, History(end_us)
    assert ticks is not None

    def go_on(until_us: int) -> None:
        done = False
        while not done:
            done = simulation.advance(until_us)
            for tick in ticks.take():
                history.hear(decode(tick.events))

    for n, (at_us, command) in enumerate(commands, 1):
        if at_us > end_us:
            break
        go_on(at_us)
        with suppress(CommandError):
            simulation.apply_at(at_us, command, n)
    go_on(end_us)
    history.hear(simulation.kernel.log)  # the open tick
    history.totals = simulation.totals()
    history.accounts = _accounts(simulation, history)
    return history


def _accounts(simulation: Simulation, history: History) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for event in simulation.state_events():
        if isinstance(event, LedgerStands):
            places: dict[str, int] = dict(zip(PLACES[NOWHERE + 1 :], event.places, strict=True))
            tallies: dict[str, int] = dict(zip(TALLIES, event.tallies, strict=True))
            name = history.names.get(event.destination, str(event.destination))
            found[name] = {"owed": sum(places.values()), **places, **tallies}
    return found
