"""The world outside the brokers: which messages were made, what handlers have done, what they remember.

Per message it keeps four bytes, by message number, so that a long run stays small in a snapshot.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.events import Event, RunEnded, StoreStands, SumStands
from engine.kernel import Kernel, Timer

EndReason = Literal["length", "messages", "copies"]
END_REASONS: tuple[EndReason, ...] = ("length", "messages", "copies")

NO_KEY = 255
POISON, ROUTED, GIVEN_UP, TOMBSTONE = 1, 2, 4, 8

SHELF_KEPT = 6
"""How many of a store's latest messages are told to who has just come: what fits beside the stage."""


class World(msgspec.Struct):
    """Part 0 of every simulation. Message numbers index the byte arrays (place 0 is unused)."""

    keys: list[str]
    """Key texts in order of first use; at most 255."""
    key_of: bytearray = msgspec.field(default_factory=lambda: bytearray(1))
    flags: bytearray = msgspec.field(default_factory=lambda: bytearray(1))
    producer_of: bytearray = msgspec.field(default_factory=lambda: bytearray(2))
    """Two bytes a message: its producer's node, which no run counts beyond."""
    effects: dict[str, bytearray] = {}
    """"effect name/destination" → how often it was done, by message; stays at 255."""
    totals: dict[str, int] = {}
    """Effect name → sum of amounts, in the effect's unit."""
    dues: dict[str, int] = {}
    """Effect name → what that sum would be had each effect been done once."""
    units: dict[str, str] = {}
    """Effect name → its unit, "" for what is only counted."""
    stores: dict[str, bytearray] = {}
    """Idempotency store → 1 for each message it remembers."""
    shelves: dict[str, list[int]] = {}
    """Idempotency store → the latest messages that were put into it, the last at the end."""
    outputs: dict[str, dict[int, int]] = {}
    """"group/topic" → message that was handled → message that is produced of it: the same one each time."""
    asked: dict[str, tuple[int, bool]] = {}
    """Idempotency store → the message it was last asked for, and its answer."""
    over: str = ""
    """Why the run has ended; "" while it goes on."""
    over_us: int = 0
    """When it ended."""

    def made(self, message: int, key: str, poison: bool, node: int) -> None:
        """A producer (at `node`) has made `message`, the next in number."""
        if not key:
            index = NO_KEY
        else:
            keys = self.keys
            if key not in keys:
                keys.append(key)
            index = keys.index(key)
        self.key_of.append(index)
        self.flags.append(POISON if poison else 0)
        self.producer_of += node.to_bytes(2, "little")

    def key(self, message: int) -> str:
        index = self.key_of[message]
        return "" if index == NO_KEY else self.keys[index]

    def producer(self, message: int) -> int:
        """The node of the producer that made it, which may be gone."""
        return int.from_bytes(self.producer_of[2 * message : 2 * message + 2], "little")

    def is_poison(self, message: int) -> bool:
        return bool(self.flags[message] & POISON)

    def unrouted(self) -> int:
        """How many messages have come to no broker, and may still."""
        marks = (0, POISON, TOMBSTONE, POISON | TOMBSTONE)
        return sum(self.flags.count(mark) for mark in marks) - 1  # place 0 is nobody's

    def do_effect(self, key: str, effect: str, amount: int, unit: str, message: int) -> tuple[int, int, int]:
        """Do it. `key` is "effect/destination". Returns (which time for this message and destination,
        the effect's new total, what the total would be had each been done once)."""
        done = self.effects.get(key)
        if done is None or message >= len(done):
            done = _grown(self.effects, key, message)
        number = done[message]
        if number < 255:
            done[message] = number = number + 1
        totals, dues = self.totals, self.dues
        if effect not in totals:
            totals[effect] = dues[effect] = 0
            self.units[effect] = unit
        totals[effect] += amount
        if number == 1:
            dues[effect] += amount
        return number, totals[effect], dues[effect]

    def remembers(self, store: str, message: int) -> bool:
        """Whether `store` remembers the message."""
        kept = self.stores.get(store)
        return kept is not None and message < len(kept) and kept[message] == 1

    def ask(self, store: str, message: int) -> bool:
        """As `remembers`; that it was asked is remembered too."""
        seen = self.remembers(store, message)
        self.asked[store] = (message, seen)
        return seen

    def remember(self, store: str, message: int) -> None:
        _grown(self.stores, store, message)[message] = 1
        shelf = self.shelves.setdefault(store, [])
        if message not in shelf:
            shelf.append(message)
            del shelf[:-SHELF_KEPT]

    def output_of(self, of: str, message: int) -> int:
        """The message that is produced of `message`, 0 before that. `of` is "group/topic"."""
        return self.outputs.get(of, {}).get(message, 0)

    def note_output(self, of: str, message: int, output: int) -> None:
        self.outputs.setdefault(of, {})[message] = output

    def state_events(self, now_us: int) -> list[Event]:
        """What effects come to, and what stands in the stores."""
        sums: list[Event] = [
            SumStands(now_us, 0, effect, self.units[effect], total, self.dues[effect])
            for effect, total in self.totals.items()
        ]
        return sums + [
            StoreStands(now_us, 0, store, tuple(self.shelves.get(store, ())), *self.asked[store])
            for store in self.asked
        ]

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        """The run's length is over: nothing happens any more."""
        why: EndReason = END_REASONS[timer[5]]
        self.over, self.over_us = why, kernel.now_us
        kernel.cause = 0
        kernel.emit(RunEnded(kernel.now_us, 0, why))
        kernel.agenda.clear()
        kernel.cancelled.clear()


def _grown(arrays: dict[str, bytearray], name: str, index: int) -> bytearray:
    array = arrays.get(name)
    if array is None:
        array = arrays[name] = bytearray(index + 64)
    elif index >= len(array):
        array.extend(bytes(index + 1_024 - len(array)))
    return array
