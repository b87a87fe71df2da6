"""The transactions on one room, each a plain function of its row and the wall time. No I/O.

Whoever stores rooms takes the row's lock, then reads the wall time, calls one, and stores what has changed.
"""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

from engine.commands import AnyCommand
from playground.rooms import limits
from playground.rooms.clock import Clock, Piece, started
from playground.rooms.journal import (
    COMES_OVER,
    NEWER_RULES,
    Asked,
    Branch,
    Entry,
    Facts,
    Head,
    NewRoom,
    NotYet,
    Receipt,
    Refused,
    Turn,
)

K = TypeVar("K", contravariant=True)
V = TypeVar("V")


class Shelf(Protocol[K, V]):
    """What is looked up and added, one at a time: a dict, or rows of a table."""

    def get(self, key: K) -> V | None: ...
    def __setitem__(self, key: K, value: V) -> None: ...


class Room:
    """One room's row: `commands` counts those in it. Every method that takes `wall_us` is one transaction;
    new entries are appended to `entries` and `clock_entries`."""

    def __init__(self, facts: Facts, clock: Clock) -> None:
        self.facts = facts
        self.clock = clock
        self.epoch = 0
        self.seq = 0
        self.n = 0
        self.commands = 0
        self.entries: list[Entry] = []
        self.clock_entries: list[tuple[int, Piece]] = []
        self.receipts: Shelf[tuple[str, str], Receipt] = {}
        self.branches: Shelf[int, Branch] = {}

    def light(self, wall_us: int) -> None:
        """Somebody watches: renew the light when half of it has burnt down."""
        self._settle(wall_us)
        if needs_light(self.clock, self.clock.wall_us):
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

    def move_up(self, wall_us: int, seen: Head, rules: int) -> None:
        """The room is simulated by `rules` from now on.

        Raises `NotYet` where it is not as `seen` any more, or is lit: a process with other rules may show it.
        """
        if self.facts.rules == rules:
            return
        if (self.seq, self.facts.rules) != (seen.seq, seen.rules) or self.clock.is_lit(wall_us):
            raise NotYet("refused", COMES_OVER)
        self.facts = msgspec.structs.replace(self.facts, rules=rules)

    def command(self, wall_us: int, asked: Asked, command: AnyCommand) -> Receipt:
        """Stamps and appends a simulation entry, once for each (seat, id); in the past, in a new branch."""
        known = self._known(wall_us, asked)
        if known is not None:
            return known
        if asked.from_us is None:
            self._check_epoch(asked)
            at_us = self.clock.command_at(self.clock.wall_us)
            self._check_end(at_us)
        else:
            parent, at_us = self._shown(asked.epoch, asked.from_us)
            self._check_end(at_us)
            self._branch(parent, at_us, parent.seed, f"from {_seconds(at_us)}")
        self.seq += 1
        self.n += 1
        self.entries.append(Entry(self.seq, self.n, at_us, command, self.epoch))
        return self._keep(asked, Receipt(self.seq, self.n, at_us))

    def turn(self, wall_us: int, asked: Asked, turn: Turn) -> Receipt:
        """Appends a clock entry, once for each (seat, id)."""
        known = self._known(wall_us, asked)
        if known is not None:
            return known
        if turn.name == "Fork":
            parent, at_us = self._shown(asked.epoch, turn.sim_us)
            self._branch(parent, at_us, parent.seed, f"from {_seconds(at_us)}")
        else:
            self._check_epoch(asked)
            piece = self._turn(turn)
            self.seq += 1
            self.clock_entries.append((self.seq, piece))
        return self._keep(asked, Receipt(self.seq, None, None))

    def _turn(self, turn: Turn) -> Piece:
        clock = self.clock
        match turn.name:
            case "Play":
                return clock.change_rate(clock.wished)
            case "Pause":
                return clock.change_rate(0)
            case "Speed":
                if clock.runs():
                    return clock.change_rate(turn.rate)
                clock.wished = turn.rate
                return clock.change_rate(0)
            case "Step":
                return clock.jump(turn.sim_us)
            case "ToStart":
                present = self._present()
                self._branch(present, -1, present.seed, "from the start")
                return clock.pieces[-1]
            case "NewSeed":
                self._branch(self._present(), -1, turn.seed, f"seed {turn.seed}")
                return clock.pieces[-1]
        raise Refused("unknown_command", f"The clock has no command {turn.name}.")

    # -- branches ---------------------------------------------------------------------------------

    def _present(self) -> Branch:
        present = self.branches.get(self.epoch)
        assert present is not None
        return msgspec.structs.replace(present, shown_us=self.clock.shown_us)

    def _shown(self, epoch: int | None, at_us: int) -> tuple[Branch, int]:
        """The branch meant, and the moment of it, which must have been shown. Raises `Refused`."""
        is_present = epoch is None or epoch == self.epoch
        branch = self._present() if is_present else self.branches.get(epoch or 0)
        if branch is None:
            raise Refused("bad_arguments", "This room has no such branch.")
        if at_us > branch.shown_us + limits.LOOKED_AHEAD_US:
            raise Refused("bad_arguments", "That moment has not been shown yet.")
        return branch, min(at_us, branch.shown_us)

    def _branch(self, parent: Branch, sim_us: int, seed: int, name: str) -> None:
        """The room goes on in a new branch, from `sim_us` of `parent` on."""
        self.branches[self.epoch] = self._present()
        self.epoch += 1
        self.branches[self.epoch] = Branch(self.epoch, parent.epoch, sim_us, self.seq, seed, name)
        piece = self.clock.restart(max(sim_us, 0))
        self.seq += 1
        self.clock_entries.append((self.seq, piece))

    def _check_epoch(self, asked: Asked) -> None:
        if asked.epoch is not None and asked.epoch != self.epoch:
            raise Refused("old_epoch", "This room has gone on in another branch: look again.")

    def _check_end(self, at_us: int) -> None:
        if at_us >= self.clock.end_us:
            raise Refused("run_over", "The run is over: act earlier or start anew.")

    # -- what every transaction does --------------------------------------------------------------

    def head(self) -> Head:
        clock = msgspec.structs.replace(self.clock)
        return Head(self.facts.code, self.epoch, self.seq, clock, self.facts.rules)

    def _settle(self, wall_us: int) -> None:
        if self.clock.settle(wall_us):
            self.seq += 1
            self.clock_entries.append((self.seq, self.clock.pieces[0]))

    def _known(self, wall_us: int, asked: Asked) -> Receipt | None:
        """Begins a transaction; the receipt of a command that came before, if it did."""
        if asked.rules != self.facts.rules:
            raise Refused("other_rules", NEWER_RULES)
        self._settle(wall_us)
        self.clock.light(self.clock.wall_us)
        known = self.receipts.get((asked.seat, asked.id))
        if known is None and self.commands >= limits.JOURNAL_ENTRIES_MAX:
            raise Refused("refused", limits.JOURNAL_FULL)
        return known

    def _keep(self, asked: Asked, receipt: Receipt) -> Receipt:
        self.receipts[asked.seat, asked.id] = receipt
        self.commands += 1
        return receipt


def opened(code: str, new: NewRoom, wall_us: int) -> Room:
    """A room that has just been opened, in its first branch."""
    facts = Facts(code, new.slug, new.seed, new.rules, new.owner, new.length_us)
    room = Room(facts, started(wall_us, new.sim_us, new.length_us, new.rate))
    room.branches[0] = Branch(0, None, -1, 0, new.seed, "the first run")
    room.entries = [Entry(n, n, at_us, command, 0) for n, (at_us, command) in enumerate(new.past, 1)]
    room.seq = room.n = room.commands = len(room.entries)
    return room


def needs_light(clock: Clock, wall_us: int) -> bool:
    """Whether half of the light has burnt down."""
    return clock.lit_until_us - wall_us <= limits.LIGHT_US - limits.LIGHT_EVERY_US


def _seconds(sim_us: int) -> str:
    return f"{sim_us // 10_000 / 100:.2f} s"
