"""One room's simulation in this process, kept at the frontier; whoever has the same journal has the same.

A replica works in slices: `learn` takes journal entries, `work` simulates towards a tick and returns when
its time is over. An entry that lies behind what has been simulated makes it *revise*: it restores a
checkpoint, simulates again, and remembers the first tick that changed, for the viewers that hold it.
Ticks between the checkpoint and that tick are simulated twice and compared; `stored` digests, of what was
shown by whichever process, are compared with whenever their tick is closed. Of each tick it knows the pace;
of those that are too fast to be drawn singly at some speed also the numbers at their end.
"""

from __future__ import annotations

import time
from bisect import bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from engine.errors import CommandError, RunOver
from engine.wire import encode
from playground.rooms import wire
from playground.rooms.journal import Entry
from playground.rooms.limits import ADVANCE_EVENTS, CHECKPOINT_TICKS, DIGEST_TICKS, TICK_US, TICKS_KEPT
from playground.rooms.pace import AT_REST, Pace, follow
from playground.rooms.wire import TickLike


class ReplicaBroken(Exception):
    """Simulating the same ticks again, here or in another process, gave other digests."""


class SimulationLike(Protocol):
    """What a replica needs of `engine.simulation.Simulation`."""

    ticks: Any
    now_us: int
    number: int
    ended: bool

    def advance(self, until_us: int, budget: int = ...) -> bool: ...
    def apply_at(self, at_us: int, command: Any, n: int) -> None: ...
    def snapshot(self) -> bytes: ...
    def state_events(self) -> list[Any]: ...
    def counts(self) -> list[Any]: ...
    def stands(self) -> list[Any]: ...


@dataclass(frozen=True)
class Maker:
    """How simulations are made: anew, and from a snapshot."""

    new: Callable[[], SimulationLike]
    restore: Callable[[bytes], SimulationLike]


@dataclass(frozen=True)
class Numbers:
    """What lies where at the end of a tick, `[[node, zone, n]…]`, and the ledger's counts as events."""

    counts: Raw
    stands: bytes


@dataclass(frozen=True)
class Checkpoint:
    """The run at the start of `tick`. `state` is the statement of the present then, in parts that fit a frame
    each, `first` the number of the next event, `digest` and `pace` those of the tick before."""

    tick: int
    first: int
    digest: str
    state: tuple[Raw, ...]
    snapshot: bytes
    pace: Pace
    numbers: Numbers


class Replica:
    """See the module. `closed` ticks are simulated; `kept[0]` is tick `base`, `paces[0]` its pace. `numbers`
    are by tick."""

    def __init__(self, maker: Maker) -> None:
        self.maker = maker
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Start branch `epoch` from nothing, with an empty journal."""
        self.epoch = epoch
        self.seq = 0
        self.entries: list[Entry] = []
        self.applied = 0
        self.outcomes: dict[int, tuple[str, str]] = {}
        self.simulation = self.maker.new()
        self.closed = 0
        self.base = 0
        self.kept: list[TickLike] = []
        self.pace = AT_REST
        self.paces: list[Pace] = []
        self.numbers: dict[int, Numbers] = {}
        nothing = Numbers(Raw(b"[]"), b"[]")
        self.checkpoints = [Checkpoint(0, 1, "", (Raw(b"[]"),), b"", AT_REST, nothing)]
        self.expected: dict[int, bytes] = {}
        self.stored: dict[int, str] = {}
        self.reached = 0
        self.mark: int | None = None

    # -- the journal ------------------------------------------------------------------------------

    def branch(self, epoch: int, entries: Sequence[Entry], cut: int) -> int:
        """Go on as branch `epoch`, which sees `entries`, and whose ticks before `cut` are those of the branch
        held here. Returns the first tick that viewers must forget: an entry may have been missed here."""
        held, seen = {e.seq: e for e in self.entries}, {e.seq: e for e in entries}
        apart = [e for seq, e in {**held, **seen}.items() if (seq in held) != (seq in seen)]
        cut = min([cut, *(e.at_us // TICK_US for e in apart)])
        self.epoch = epoch
        self.seq = max(seen, default=0)
        self.entries = sorted(entries, key=_order)
        numbers = {e.n for e in entries}
        self.outcomes = {n: outcome for n, outcome in self.outcomes.items() if n in numbers}
        if cut * TICK_US < max(self.closed * TICK_US, self.simulation.now_us):
            self._rewind(min(cut, self.closed))
        self.reached = 0
        self.stored = {}
        return cut

    def learn(self, entries: Sequence[Entry]) -> int | None:
        """Take entries of this branch, in order of seq. Returns the first tick that viewers must forget."""
        cut: int | None = None
        for entry in entries:
            self.seq = max(self.seq, entry.seq)
            insort(self.entries, entry, key=_order)
            if entry.at_us < max(self.closed * TICK_US, self.simulation.now_us):
                cut = min(entry.at_us // TICK_US, self.closed if cut is None else cut)
        if cut is not None:
            self._rewind(cut)
        return cut

    def _rewind(self, cut: int) -> None:
        """Back to the last checkpoint at or before the start of tick `cut`."""
        while self.checkpoints[-1].tick > cut:
            self.checkpoints.pop()
        checkpoint = self.checkpoints[-1]
        start = max(checkpoint.tick, self.base) - self.base
        self.expected = {tick.tick: tick.digest for tick in self.kept[start : cut - self.base]}
        del self.kept[start:], self.paces[start:]
        self.pace = checkpoint.pace
        self.numbers = {tick: numbers for tick, numbers in self.numbers.items() if tick < checkpoint.tick}
        self.reached = max(self.reached, self.closed)
        self.base = min(self.base, checkpoint.tick)
        self.closed = checkpoint.tick
        self.simulation = self.maker.restore(checkpoint.snapshot) if checkpoint.snapshot else self.maker.new()
        self.applied = bisect_right(self.entries, (checkpoint.tick * TICK_US, -1), key=_order)
        self.mark = cut

    # -- digests of the past ----------------------------------------------------------------------

    def hold_to(self, stored: Mapping[int, str]) -> None:
        """By tick, digests (hex) that were stored of this branch. Raises `ReplicaBroken` where what is held
        differs; what is simulated later is compared then."""
        self.stored.update(stored)
        for tick in stored:
            if self.base <= tick < self.closed:
                self._compare(self.kept[tick - self.base])

    def _compare(self, tick: TickLike) -> None:
        said = self.stored.get(tick.tick)
        if said is not None and said != tick.digest.hex():
            raise ReplicaBroken(f"tick {tick.tick} of branch {self.epoch} is not what was stored of it")

    def unmarked(self, shown_us: int) -> list[tuple[int, str]]:
        """(tick, digest) of those that should be stored and are not, as far as is known here. They lie wholly
        behind `shown_us`, the highest moment shown, so nothing can revise them any more."""
        end = min(shown_us // TICK_US, self.closed)
        first = self.base + DIGEST_TICKS - 1 - self.base % DIGEST_TICKS
        ticks = (tick for tick in range(first, end, DIGEST_TICKS) if tick not in self.stored)
        return [(tick, self.kept[tick - self.base].digest.hex()) for tick in ticks]

    # -- simulating -------------------------------------------------------------------------------

    def work(self, frontier_tick: int, deadline: float) -> bool:
        """Simulate until `frontier_tick` ticks are closed, or `time.monotonic()` reaches `deadline`.

        What was simulated once is simulated again after a revise, also beyond `frontier_tick` (a pause
        has moved it back): whoever holds those ticks is told. Returns whether it is done. Raises the
        engine's errors, and `ReplicaBroken`.
        """
        frontier_tick = max(frontier_tick, self.reached)
        while self.closed < frontier_tick:
            target = self.closed + 1
            if not self._step(target):
                if time.monotonic() >= deadline:
                    return False
                continue
            self._take()
            if self.closed < target:  # the run has ended, its last tick is closed
                if max(self.stored, default=0) >= self.closed:
                    raise ReplicaBroken(f"branch {self.epoch} ended before what was stored of it")
                return True
            if target == self.mark or target % CHECKPOINT_TICKS == 0:
                self._checkpoint()
            if time.monotonic() >= deadline:
                return self.closed >= frontier_tick
        return True

    def _step(self, target: int) -> bool:
        """One portion of work towards the end of tick `target` − 1. Returns whether it has been reached."""
        end_us = target * TICK_US
        simulation = self.simulation
        if self.applied < len(self.entries) and self.entries[self.applied].at_us < end_us:
            entry = self.entries[self.applied]
            if not simulation.advance(entry.at_us, ADVANCE_EVENTS):
                return False
            self._apply(entry)
            return False
        return simulation.advance(end_us, ADVANCE_EVENTS)

    def _apply(self, entry: Entry) -> None:
        self.applied += 1
        try:
            self.simulation.apply_at(entry.at_us, entry.command, entry.n)
        except RunOver as over:
            self.outcomes[entry.n] = ("run_over", str(over))
        except CommandError as refusal:
            self.outcomes[entry.n] = ("refused", str(refusal))
        else:
            self.outcomes.pop(entry.n, None)

    def _take(self) -> None:
        """Keep what has been closed, compare what was simulated before, forget what is too old."""
        for tick in self.simulation.ticks.take():
            wanted = self.expected.pop(tick.tick, None)
            if wanted is not None and wanted != tick.digest:
                raise ReplicaBroken(f"tick {tick.tick} came out differently the second time")
            self._compare(tick)
            self.pace = follow(self.pace, tick.tick, tick.count)
            self.kept.append(tick)
            self.paces.append(self.pace)
            if self.pace.fast:
                self.numbers[tick.tick] = self._numbers()
            self.closed = tick.tick + 1
        surplus = len(self.kept) - TICKS_KEPT
        if surplus > CHECKPOINT_TICKS:
            del self.kept[:surplus], self.paces[:surplus]
            for tick_number in range(self.base, self.base + surplus):
                self.numbers.pop(tick_number, None)
            self.base += surplus
            old = [point for point in self.checkpoints if point.tick < self.base]
            self.checkpoints = self.checkpoints[:1] + self.checkpoints[max(1, len(old)) :]

    def _checkpoint(self) -> None:
        if self.checkpoints[-1].tick >= self.closed or self.simulation.ended:
            return
        simulation = self.simulation
        self.checkpoints.append(
            Checkpoint(
                self.closed, simulation.number + 1, self.digest_before(self.closed),
                wire.parts_of(simulation.state_events()), simulation.snapshot(),
                self.pace, self._numbers(),
            )
        )  # fmt: skip

    def _numbers(self) -> Numbers:
        """Those of the tick that has just been closed."""
        return Numbers(Raw(msgspec.json.encode(self.simulation.counts())), encode(self.simulation.stands()))

    def has_applied(self, n: int) -> bool:
        """Whether journal entry `n` has come to its moment."""
        return any(entry.n == n for entry in self.entries[: self.applied])

    # -- what viewers get -------------------------------------------------------------------------

    def digest_before(self, tick: int) -> str:
        """The digest (hex) of the tick before `tick`: "" at the start, and where it is not kept."""
        if tick <= self.base or tick > self.closed:
            return ""
        return self.kept[tick - 1 - self.base].digest.hex()

    def holds(self, tick: int, digest: str) -> bool:
        """Whether a viewer that holds all before `tick`, the last with `digest`, can be given the tail."""
        return self.base < tick <= self.closed and self.digest_before(tick) == digest

    def latest_checkpoint(self, tick: int) -> Checkpoint:
        """The last checkpoint at or before `tick` from which the ticks since are kept."""
        usable = [point for point in self.checkpoints if self.base <= point.tick <= tick]
        return usable[-1] if usable else self.checkpoints[0]

    def since(self, tick: int) -> Sequence[TickLike]:
        """The closed ticks from `tick` on."""
        return self.kept[tick - self.base :] if tick >= self.base else []

    def next_event_us(self, after_us: int) -> int | None:
        """The moment of the first event after `after_us` among the closed ticks, None if none is there."""
        for tick in self.since(after_us // TICK_US):
            moments = [event[1] for event in msgspec.json.decode(tick.events) if event[1] > after_us]
            if moments:
                return int(min(moments))
        return None

    def look_ahead(self) -> Callable[[], int | None]:
        """A search for the first event after the closed ticks, on a copy; it may run in another thread."""
        snapshot = self.simulation.snapshot()
        pending = self.entries[self.applied :]
        closed, restore = self.closed, self.maker.restore
        return lambda: _first_event(restore(snapshot), closed, pending)


def _first_event(ahead: SimulationLike, tick: int, pending: Sequence[Entry]) -> int | None:
    """When something happens next in `ahead`, which stands at the start of `tick`; None: never."""
    ahead.ticks.take()
    while not ahead.ended:
        tick += 1
        while pending and pending[0].at_us < tick * TICK_US:
            entry, pending = pending[0], pending[1:]
            with suppress(CommandError):
                ahead.apply_at(entry.at_us, entry.command, entry.n)
        while not ahead.advance(tick * TICK_US, ADVANCE_EVENTS):
            pass
        for closed in ahead.ticks.take():
            if closed.count:
                return int(msgspec.json.decode(closed.events)[0][1])
    return None


def _order(entry: Entry) -> tuple[int, int]:
    return (entry.at_us, entry.seq)
