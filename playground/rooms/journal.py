"""A room's journal: what was commanded, in order, each command once; and what its clock was told.

Two kinds of entries. *Simulation entries* (seq, n, at, command) are all that the engine sees. *Clock
entries* (seq, piece) say only which moment is on the screen. Two counters: `seq` for all entries, `n` for
simulation entries; causes name `n`. Replay order is (at, seq).

`Room` holds one room's row and the transactions on it, each a plain function of the row and the wall
time: whoever stores rooms loads the row under its lock, calls one, and stores the row. `Journal` is
what the rest of the site sees; `MemoryJournal` keeps rooms in this process only.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection, Iterable
from typing import Any, Protocol

import msgspec

from engine.commands import AnyCommand
from playground.rooms import limits
from playground.rooms.clock import RATES, Clock, Piece, started


class Refused(Exception):
    """The transaction was not done. `code` as in docs/protocol.md, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


class Entry(msgspec.Struct, frozen=True):
    """A simulation entry of branch `epoch`."""

    seq: int
    n: int
    at_us: int
    command: AnyCommand
    epoch: int


class Receipt(msgspec.Struct, frozen=True):
    """What `done` says: the entry's place, and the moment of a simulation entry."""

    seq: int
    n: int | None
    at_us: int | None


class Facts(msgspec.Struct, frozen=True):
    """What never changes about a room. `owner` is the hash of its owner's seat."""

    code: str
    slug: str
    seed: int
    rules: int
    owner: str
    length_us: int


class Head(msgspec.Struct, frozen=True):
    """Where a room stands after the last transaction: what a process reads before each batch."""

    code: str
    epoch: int
    seq: int
    clock: Clock


class Room:
    """One room's row. Every method that takes `wall_us` is one transaction."""

    def __init__(self, facts: Facts, clock: Clock) -> None:
        self.facts = facts
        self.clock = clock
        self.epoch = 0
        self.seq = 0
        self.n = 0
        self.entries: list[Entry] = []
        self.clock_entries: list[tuple[int, Piece]] = []
        self.receipts: dict[tuple[str, str], Receipt] = {}

    def light(self, wall_us: int) -> None:
        """Somebody watches: renew the light when half of it has burnt down."""
        self._settle(wall_us)
        if self.clock.lit_until_us - self.clock.wall_us <= limits.LIGHT_US - limits.LIGHT_EVERY_US:
            self.clock.light(self.clock.wall_us)

    def rebase(self, wall_us: int, should_be_us: int) -> None:
        """The wall clock says `wall_us` and would say `should_be_us` had nobody set it: go on from there.

        A transaction that has come since it was set has done so already.
        """
        last_us = self.clock.wall_us
        if abs(last_us - wall_us) <= abs(last_us - should_be_us):
            return
        self.clock.shift(wall_us - should_be_us)
        self.seq += 1
        self.clock_entries += [(self.seq, piece) for piece in self.clock.pieces]

    def command(self, wall_us: int, seat: str, id: str, command: AnyCommand) -> Receipt:
        """Stamps and appends a simulation entry, once for each (seat, id)."""
        known = self._known(wall_us, seat, id)
        if known is not None:
            return known
        at_us = self.clock.command_at(self.clock.wall_us)
        if at_us >= self.clock.end_us:
            raise Refused("run_over", "The run is over: act earlier or start anew.")
        self.seq += 1
        self.n += 1
        self.entries.append(Entry(self.seq, self.n, at_us, command, self.epoch))
        return self._keep(seat, id, Receipt(self.seq, self.n, at_us))

    def clock_command(
        self, wall_us: int, seat: str, id: str, name: str, rate: int, step_to_us: int
    ) -> Receipt:
        """Appends a clock entry, once for each (seat, id). `rate` belongs to Speed, `step_to_us` to Step."""
        known = self._known(wall_us, seat, id)
        if known is not None:
            return known
        piece = self._turn(name, rate, step_to_us)
        self.seq += 1
        self.clock_entries.append((self.seq, piece))
        return self._keep(seat, id, Receipt(self.seq, None, None))

    def _turn(self, name: str, rate: int, step_to_us: int) -> Piece:
        clock = self.clock
        match name:
            case "Play":
                return clock.change_rate(clock.wished)
            case "Pause":
                return clock.change_rate(0)
            case "Speed":
                if clock.runs():
                    return clock.change_rate(rate)
                clock.wished = rate
                return clock.change_rate(0)
            case "Step":
                return clock.jump(step_to_us)
            case "ToStart":
                self.epoch += 1
                self.entries = []
                return clock.restart()
        raise Refused("unknown_command", f"The clock has no command {name}.")

    def head(self) -> Head:
        return Head(self.facts.code, self.epoch, self.seq, msgspec.structs.replace(self.clock))

    def _settle(self, wall_us: int) -> None:
        if self.clock.settle(wall_us):
            self.seq += 1
            self.clock_entries.append((self.seq, self.clock.pieces[0]))

    def _known(self, wall_us: int, seat: str, id: str) -> Receipt | None:
        """Begins a transaction; the receipt of a command that came before, if it did."""
        self._settle(wall_us)
        self.clock.light(self.clock.wall_us)
        if (seat, id) in self.receipts:
            return self.receipts[seat, id]
        if len(self.receipts) >= limits.JOURNAL_ENTRIES_MAX:
            raise Refused("refused", limits.JOURNAL_FULL)
        return None

    def _keep(self, seat: str, id: str, receipt: Receipt) -> Receipt:
        self.receipts[seat, id] = receipt
        return receipt


def check_rate(args: dict[str, Any]) -> int:
    """The rate of `Speed {"rate": 1000}`, one of the speeds there are. Raises `Refused`."""
    rate = args.get("rate")
    if set(args) != {"rate"} or type(rate) is not int or rate not in RATES:
        raise Refused(
            "bad_arguments",
            f"Speed takes one rate in thousandths, one of {', '.join(map(str, RATES))}.",
        )
    return rate


class Journal(Protocol):
    """Where rooms are kept. Raises `Refused` with code `no_room` for a code that names none."""

    async def open(
        self, slug: str, seed: int, rules: int, owner: str, length_us: int, sim_us: int, rate: int
    ) -> Facts: ...
    async def facts(self, code: str) -> Facts: ...
    async def command(self, code: str, seat: str, id: str, command: AnyCommand) -> Receipt: ...
    async def clock_command(
        self, code: str, seat: str, id: str, name: str, rate: int = 0, step_to_us: int = 0
    ) -> Receipt: ...
    async def head(self, code: str) -> Head: ...
    async def heads(self, watched: Collection[str]) -> list[Head]:
        """The heads of rooms that this process shows, their light renewed: one question for all."""

    async def rebase(self, codes: Collection[str], should_be_us: int) -> None:
        """The wall clock was set and would otherwise say `should_be_us`: these rooms go on as if it did."""

    async def entries(self, code: str, after_seq: int) -> list[Entry]:
        """The present branch's simulation entries behind `after_seq`, in order of seq."""


class MemoryJournal:
    """Rooms in this process's memory: gone when it ends. `wall` tells the time in µs."""

    def __init__(self, wall: Any) -> None:
        self.wall = wall
        self.rooms: dict[str, Room] = {}
        self.lock = threading.RLock()

    async def open(
        self, slug: str, seed: int, rules: int, owner: str, length_us: int, sim_us: int, rate: int
    ) -> Facts:
        with self.lock:
            wall_us = self.wall()
            self._make_place(wall_us)
            code = new_code(self.rooms)
            facts = Facts(code, slug, seed, rules, owner, length_us)
            self.rooms[code] = Room(facts, started(wall_us, sim_us, length_us, rate))
            return facts

    async def facts(self, code: str) -> Facts:
        return self._room(code).facts

    async def command(self, code: str, seat: str, id: str, command: AnyCommand) -> Receipt:
        with self.lock:
            return self._room(code).command(self.wall(), seat, id, command)

    async def clock_command(
        self, code: str, seat: str, id: str, name: str, rate: int = 0, step_to_us: int = 0
    ) -> Receipt:
        with self.lock:
            return self._room(code).clock_command(self.wall(), seat, id, name, rate, step_to_us)

    async def head(self, code: str) -> Head:
        with self.lock:
            return self._room(code).head()

    async def heads(self, watched: Collection[str]) -> list[Head]:
        with self.lock:
            present = [self.rooms[code] for code in watched if code in self.rooms]
            for room in present:
                room.light(self.wall())
            return [room.head() for room in present]

    async def rebase(self, codes: Collection[str], should_be_us: int) -> None:
        with self.lock:
            for code in codes:
                if code in self.rooms:
                    self.rooms[code].rebase(self.wall(), should_be_us)

    async def entries(self, code: str, after_seq: int) -> list[Entry]:
        with self.lock:
            return [entry for entry in self._room(code).entries if entry.seq > after_seq]

    def _room(self, code: str) -> Room:
        room = self.rooms.get(code)
        if room is None:
            raise Refused("no_room", "There is no room with this code any more.")
        return room

    def _make_place(self, wall_us: int) -> None:
        """Drops the room that has been dark for longest, when place is short and it has been long enough."""
        if len(self.rooms) < limits.ROOMS_MAX:
            return
        oldest = min(self.rooms.values(), key=lambda room: room.clock.lit_until_us)
        if wall_us - oldest.clock.lit_until_us < limits.ROOM_IDLE_US:
            raise Refused("refused", limits.ROOMS_FULL)
        del self.rooms[oldest.facts.code]


def new_code(taken: Iterable[str]) -> str:
    """A code that is hard to guess and easy to read aloud."""
    while True:
        code = "".join(secrets.choice(limits.CODE_ALPHABET) for _ in range(limits.CODE_CHARACTERS))
        if code not in taken:
            return code
