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
from engine.history_kafka import OF_EACH, RANGES, Logs, Record
from engine.kafka.events import KAFKA, BatchAcknowledged, BatchSent
from engine.places import NOWHERE, PLACES, TALLIES
from engine.scenario import Scenario
from engine.simulation import Simulation
from engine.wire import decode

NODES = frozenset({
    "node", "holder", "source", "target", "destination", "group", "topic", "partition", "partitions",
    "broker", "leader", "replicas", "isr", "elr", "by",
})  # fmt: skip
"""Fields of events that hold numbers of nodes; a question may name the node instead."""

KAFKA_KINDS = frozenset(KAFKA)

ABOUT_MESSAGE = frozenset({"publish", "confirm", "refuse", "return"})
ABOUT_COPY = frozenset({"ack", "nack", "reject"})
"""What `Sent.about` is the number of, by the signal's kind."""


def has(kind: type[Event], what: Literal["message", "copy"]) -> bool:
    """Whether an event of this kind can be of a message, or of a copy. A record is a message and no copy."""
    if kind in (*RANGES, BatchSent, BatchAcknowledged):
        return what == "message"
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
    logs: Logs = field(init=False)
    """Of a Kafka system, what lies where and who reads it."""
    totals: dict[str, int] = field(default_factory=dict)
    """The ledger's counts at `until_us`, over all destinations, by the ledger's names."""
    accounts: dict[str, dict[str, int]] = field(default_factory=dict)
    """The same for each destination, by its name."""

    def __post_init__(self) -> None:
        self.logs = Logs(self.keys)

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
            elif type(event) in KAFKA_KINDS:
                self.logs.hear(len(self.events) - 1, event)

    def named(self, node: str) -> list[int]:
        """The nodes of that name, by number."""
        return [number for number, name in self.names.items() if name == node]

    def records(self, n: int) -> tuple[Record | None, ...]:
        """The records that the `n`-th event happened to; one None for an event that is of no records."""
        return self.logs.records[n] if isinstance(self.events[n], RANGES) else (None,)

    def value(self, event: Event, name: str, record: Record | None = None) -> Any:
        """What a question means by `name`: a field, a node by its name (several: a list), the message or key
        behind a copy; of a `record` of the event its own.

        Raises `KeyError` where this event has nothing of that name.
        """
        fields = event.__struct_fields__
        if record is not None:
            if name in OF_EACH[type(event)] or name == "message":
                return getattr(record, name)
            if name == "key":
                return self.keys.get(record.message, "")
        if isinstance(event, BatchSent | BatchAcknowledged) and name in ("message", "key"):
            messages = self.of(event, "message")
            return list(messages) if name == "message" else [self.keys.get(n, "") for n in messages]
        if name in NODES and name in fields:
            found = getattr(event, name)
            if isinstance(found, tuple):
                return [self.names.get(number, number) for number in found]
            return self.names.get(found, found)
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
        """The messages or copies that the event is of, by number: none, one or several, each once. Of an
        event of records ask each `Record`."""
        fields = event.__struct_fields__
        if isinstance(event, BatchSent):
            return event.messages if what == "message" else ()
        if isinstance(event, BatchAcknowledged):
            return self.logs.acknowledged(event) if what == "message" else ()
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
            counts = {"owed": sum(places.values()), **places, **tallies}
            before = found.get(name, {})  # a queue that was deleted, and declared again under its name
            found[name] = {what: count + before.get(what, 0) for what, count in counts.items()}
    return found
