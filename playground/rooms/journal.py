"""A room's journal: what was commanded, in order, each command once; and what its clock was told.

Two kinds of entries. *Simulation entries* (seq, n, at, command) are all that the engine sees. *Clock
entries* (seq, piece) say only which moment is on the screen. Two counters: `seq` for all entries, `n` for
simulation entries; causes name `n`. Replay order is (at, seq).

A *branch* sees its parent's entries with at ≤ `sim_us` and seq ≤ `parent_seq`, then its own. The room shows
the branch that its row's `epoch` names, which is the newest.

Here are the words, and `Journal`, what the rest of the site sees. `room.py` has the transactions,
`database.py` keeps rooms.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from engine import RULES
from engine.commands import AnyCommand
from playground.rooms import limits
from playground.rooms.clock import RATES, Clock
from playground.rooms.limits import TICK_US


class Refused(Exception):
    """The transaction was not done. `code` as in docs/protocol.md, the text for people."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(text)


class NotYet(Refused):
    """It cannot be done at this moment; nothing has changed, and it is worth trying again."""


class JournalGone(Exception):
    """The journal could not be reached; whether the transaction was done is not known."""


class Entry(msgspec.Struct, frozen=True):
    """A simulation entry that was made in branch `epoch`."""

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
    """What is known of a room when it is opened. `owner` is the hash of its owner's seat, `seed` the first
    branch's; only `rules` may go up later."""

    code: str
    slug: str
    seed: int
    rules: int
    owner: str
    length_us: int


class Branch(msgspec.Struct, frozen=True):
    """Branch `epoch`. `sim_us` −1: nothing of the parent's. `shown_us`: the highest moment of it that was
    shown, as far as it has been left; `name` a few words for people."""

    epoch: int
    parent: int | None
    sim_us: int
    parent_seq: int
    seed: int
    name: str
    shown_us: int = 0


class Head(msgspec.Struct, frozen=True):
    """Where a room stands after the last transaction: what a process reads before each batch."""

    code: str
    epoch: int
    seq: int
    clock: Clock
    rules: int


class Mark(msgspec.Struct, frozen=True):
    """What tick `tick` of branch `epoch` came out as, with all before it: its digest (hex)."""

    code: str
    epoch: int
    tick: int
    digest: str


class Asked(msgspec.Struct, frozen=True):
    """Who asks for a transaction, and which one: done once for each (seat, id).

    `epoch` is the branch that the browser shows (None: the present one), `from_us` the moment of it
    that it looks at, when the past is meant. `rules` are those of the process that asks.
    """

    seat: str
    id: str
    epoch: int | None = None
    from_us: int | None = None
    rules: int = RULES


class Turn(msgspec.Struct, frozen=True):
    """A clock command: `name`, and what belongs to it: the rate of Speed, the moment of Step and Fork, the
    seed of NewSeed."""

    name: str
    rate: int = 0
    sim_us: int = 0
    seed: int = 0


class NewRoom(msgspec.Struct, frozen=True):
    """What a room is opened with: it shows `sim_us` when it is opened, and goes on at `rate`. `past` has the
    (at_us, command) that have happened by then, in the order of replay."""

    slug: str
    seed: int
    rules: int
    owner: str
    length_us: int
    sim_us: int = 0
    rate: int = 1000
    past: Sequence[tuple[int, AnyCommand]] = ()


class First(msgspec.Struct, frozen=True):
    """The first command of a new room, noted under the seat `seat_in(code)`: who says it again from there, by
    the same id, is answered like anybody, also when the engine refuses it at its moment."""

    command: AnyCommand
    seat_in: Callable[[str], str]


def check_turn(name: str, args: dict[str, Any]) -> Turn:
    """A clock command's arguments, checked; Step's moment is found elsewhere. Raises `Refused`."""
    match name:
        case "Speed":
            return Turn(name, rate=check_rate(args))
        case "NewSeed":
            if set(args) - {"seed"} or not _whole(args.get("seed"), or_null=True):
                raise Refused("bad_arguments", "NewSeed takes a seed, a whole number from 0 on, or null.")
            seed = args.get("seed")
            return Turn(name, seed=secrets.randbelow(1 << 31) if seed is None else seed)
        case "Fork":
            if set(args) != {"at_us"} or not _whole(args["at_us"]):
                raise Refused("bad_arguments", "Fork takes one moment, in microseconds.")
            return Turn(name, sim_us=args["at_us"])
    if args:
        raise Refused("bad_arguments", f"{name} takes no arguments.")
    return Turn(name)


def _whole(value: Any, or_null: bool = False) -> bool:
    return (or_null and value is None) or (type(value) is int and 0 <= value < 1 << 53)


def check_rate(args: dict[str, Any]) -> int:
    """The rate of `Speed {"rate": 1000}`, one of the speeds there are. Raises `Refused`."""
    rate = args.get("rate")
    if set(args) != {"rate"} or type(rate) is not int or rate not in RATES:
        raise Refused(
            "bad_arguments",
            f"Speed takes one rate in thousandths, one of {', '.join(map(str, RATES))}.",
        )
    return rate


def visible(lineage: Sequence[Branch], entries: Iterable[Entry], after_seq: int = 0) -> list[Entry]:
    """The entries that the last branch of `lineage` sees, in order of seq, behind `after_seq`.

    `lineage` leads from the first branch to it, each the parent of the next.
    """
    bounds: dict[int, tuple[int, int]] = {}
    at_us, seq = limits.NEVER_US, limits.NEVER_US
    for branch in reversed(lineage):
        bounds[branch.epoch] = (at_us, seq)
        at_us, seq = min(at_us, branch.sim_us), min(seq, branch.parent_seq)
    seen = []
    for entry in entries:
        latest_us, last_seq = bounds.get(entry.epoch, (-1, -1))
        if entry.at_us <= latest_us and after_seq < entry.seq <= last_seq:
            seen.append(entry)
    return sorted(seen, key=lambda entry: entry.seq)


def promised(lineage: Sequence[Branch], marks: Iterable[Mark]) -> dict[int, str]:
    """By tick, the digests that the last branch of `lineage` must come out with: its own marks, and those of
    the branches it comes from as far as they are one with it."""
    bounds: dict[int, int] = {}
    until_us = limits.NEVER_US
    for branch in reversed(lineage):
        bounds[branch.epoch] = until_us
        until_us = min(until_us, branch.sim_us)
    return {m.tick: m.digest for m in marks if (m.tick + 1) * TICK_US <= bounds.get(m.epoch, -1)}


def first_difference(held: Sequence[Branch], lineage: Sequence[Branch]) -> int:
    """The first tick in which two branches, each given by its lineage, may differ."""
    common = 0
    while common < min(len(held), len(lineage)) and held[common].epoch == lineage[common].epoch:
        common += 1
    apart = [*held[common:], *lineage[common:]]
    if not common or any(branch.seed != lineage[common - 1].seed for branch in apart):
        return 0
    return min((max(branch.sim_us, 0) // TICK_US for branch in apart), default=limits.NEVER_US // TICK_US)


class Journal(Protocol):
    """Where rooms are kept. Raises `Refused` with code `no_room` for a code that names none, and
    `JournalGone` when it cannot be reached."""

    def now_us(self) -> int:
        """The wall time that transactions are stamped by."""

    def known_us(self, wall_us: int) -> int:
        """Up to which moment a reading that begins at `wall_us` knows all that was done: earlier than that
        where a transaction is stamped and not yet stored."""

    async def open(self, new: NewRoom, asked: Asked, command: First | None) -> tuple[Facts, bool]:
        """A new room with its first command, and True; or the room that this very asking has opened
        before, and False. `asked.seat` is the owner's hash."""

    async def facts(self, code: str) -> Facts: ...
    async def command(self, code: str, asked: Asked, command: AnyCommand) -> Receipt: ...
    async def turn(self, code: str, asked: Asked, turn: Turn) -> Receipt: ...
    async def head(self, code: str) -> Head: ...
    async def heads(self, watched: Collection[str]) -> list[Head]:
        """The heads of rooms that this process shows, their light renewed: one question for all."""

    async def rebase(self, codes: Collection[str], should_be_us: int) -> None:
        """The wall clock was set and would otherwise say `should_be_us`: these rooms go on as if it did."""

    async def lineage(self, code: str, epoch: int) -> list[Branch]:
        """The branches from the first one to `epoch`. Raises `Refused` where there is no such branch."""

    async def entries(self, code: str, epoch: int, after_seq: int) -> list[Entry]:
        """What branch `epoch` sees behind `after_seq`, in order of seq."""

    async def marks(self, code: str, epoch: int) -> dict[int, str]:
        """By tick, the digests stored of the past that branch `epoch` shows: see `promised`."""

    async def mark(self, marks: Sequence[Mark], rules: int) -> list[Mark]:
        """Stores those in whose place none is stored yet, of rooms that have these rules; returns what is
        stored in their places."""

    async def move_up(self, code: str, seen: Head, rules: int) -> None:
        """The room has `rules` from now on, if it still is as `seen` and nobody shows it. Raises `NotYet`."""

    def close(self) -> None:
        """The process stops. What was begun is finished."""


NEWER_RULES = "This room goes on under newer rules than this server has: load the page again in a moment."
COMES_OVER = "A server with earlier rules shows this room: it comes over in a moment."


def new_code() -> str:
    """A code that is hard to guess and easy to read aloud."""
    return "".join(secrets.choice(limits.CODE_ALPHABET) for _ in range(limits.CODE_CHARACTERS))
