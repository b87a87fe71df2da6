"""Simulated time: the agenda of timers, the random streams and the event log. It knows no broker.

The kernel is the only clock. Everything that happens in a room happens inside a timer's `fire` or
inside a command applied between timers, and says so through `emit`. Two rules carry determinism:

1. The agenda is a heap whose ties are broken by insertion, so equal due times keep their order.
2. A random draw is a pure function of (seed, stream name, how many were drawn from that stream),
   so a new consumer shifts nobody else's draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from heapq import heappop, heappush
from struct import Struct
from typing import Any, Protocol

import msgspec

from engine.errors import EndlessInstant
from engine.events import (
    EffectApplied,
    Left,
    MessageCreated,
    Moved,
    Placed,
    Routed,
    WorkFinished,
    WorkStarted,
)

GENERATIONS_MAX = 1_000
"""Timers for one instant that were scheduled by timers of that instant: deeper is a loop without delay."""

NEVER_US = 1 << 62
"""A due time later than any run's end."""

Timer = tuple[int, int, int, int, str, int, int]
"""(due_us, inserted, owner, cause, what, a, b): plain numbers, so that a snapshot is one call.

`owner` is the index of the part that `fire` is called on, `what` the part's own name for the timer,
`a` and `b` the part's own arguments, `cause` the event (or journal entry) that will be named as the
cause of what the timer brings about.
"""

DUE, INSERTED, OWNER, CAUSE, WHAT, A, B = range(7)

_eight_numbers = Struct("<8Q").unpack


class Part(Protocol):
    """Anything that timers belong to: a broker, a link, an actor."""

    def fire(self, kernel: Kernel, timer: Timer) -> None: ...


class Observer(Protocol):
    """Who folds events as they happen, in a room the ledger. Each method has to `say` the event, before
    it does anything else, and returns its number.

    `emit` finds the method by the event's kind. These eight kinds are most of what happens: who tells one
    of them calls its method by name, `kernel.observer.moved(…)`, which is `emit` without the search.
    """

    def made(self, event: MessageCreated) -> int: ...
    def routed(self, event: Routed) -> int: ...
    def placed(self, event: Placed) -> int: ...
    def moved(self, event: Moved) -> int: ...
    def left(self, event: Left) -> int: ...
    def work_started(self, event: WorkStarted) -> int: ...
    def effect_applied(self, event: EffectApplied) -> int: ...
    def work_finished(self, event: WorkFinished) -> int: ...

    def alive(self) -> int:
        """How many copies have not come to their end."""


class Nobody:
    """No observer: what is told is said."""

    __slots__ = (
        "effect_applied", "left", "made", "moved", "placed", "routed", "work_finished", "work_started",
    )  # fmt: skip

    def __init__(self, kernel: Kernel) -> None:
        self.made = self.routed = self.placed = self.moved = self.left = kernel.say
        self.work_started = self.effect_applied = self.work_finished = kernel.say

    def alive(self) -> int:
        return 0


class KernelState(msgspec.Struct, array_like=True):
    """What a snapshot keeps of the kernel: all of it but the event log and the observers."""

    seed: int
    now_us: int
    number: int
    inserted: int
    generation: int
    generation_mark: int
    messages: int
    copies: int
    nodes: int
    agenda: list[Timer]
    cancelled: list[int]
    drawn: dict[str, int]


class Kernel:
    """Time in whole microseconds, an agenda, random streams and an event log."""

    __slots__ = (
        "agenda", "blocks", "cancelled", "cause", "copies", "drawn", "folds", "generation",
        "generation_mark", "inserted", "log", "messages", "nodes", "now_us", "number", "observer", "parts",
        "seed",
    )  # fmt: skip

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now_us = 0
        self.number = 0
        self.cause = 0
        self.inserted = 0
        self.generation = 0
        self.generation_mark = 0
        self.messages = 0
        self.copies = 0
        self.nodes = 0
        self.agenda: list[Timer] = []
        self.cancelled: dict[int, None] = {}
        self.drawn: dict[str, int] = {}
        """Stream → how many were drawn, those in its block counted as drawn."""
        self.blocks: dict[str, list[int]] = {}
        self.log: list[Any] = []
        self.folds: dict[type, Callable[[Any], int]] = {}
        """Kind of event → the observer's method for it, for all that it folds."""
        self.observer: Observer = Nobody(self)
        self.parts: list[Any] = []

    # -- events ---------------------------------------------------------------------------------

    def emit(self, event: Any) -> int:
        """Append a fact to the log, under the eyes of its observer. Returns the event's number (1, 2, …).

        An observer may emit in turn (the ledger says `Settled`); its event then follows at once.
        """
        fold = self.folds.get(type(event))
        if fold is not None:
            return fold(event)
        self.number = number = self.number + 1
        self.log.append(event)
        return number

    def say(self, event: Any) -> int:
        """Append a fact that nobody observes, or whose observer is calling. Returns its number."""
        self.number = number = self.number + 1
        self.log.append(event)
        return number

    def take_log(self) -> list[Any]:
        """The events since the last call, oldest first; the log is empty afterwards."""
        taken, self.log = self.log, []
        return taken

    # -- identities -----------------------------------------------------------------------------

    def next_message(self) -> int:
        """The number behind a message's label: m1, m2, … in order of creation, never reused."""
        self.messages += 1
        return self.messages

    def next_copy(self) -> int:
        """An identity for one copy of a message, unique in the room."""
        self.copies += 1
        return self.copies

    def next_node(self) -> int:
        """An identity for a node on the stage: an exchange, a queue, a producer, a consumer."""
        self.nodes += 1
        return self.nodes

    # -- timers ---------------------------------------------------------------------------------

    def schedule(
        self, due_us: int, owner: int, what: str, a: int = 0, b: int = 0, cause: int | None = None
    ) -> int:
        """Let `owner` fire at `due_us` (not before now). Returns the entry, for `cancel`.

        `cause` is what the timer's consequences will name as their cause; None takes the present one.
        """
        self.inserted = inserted = self.inserted + 1
        heappush(
            self.agenda,
            (due_us, inserted, owner, self.cause if cause is None else cause, what, a, b),
        )
        return inserted

    def cancel(self, entry: int) -> None:
        """Take a scheduled timer back. The entry must not have fired yet."""
        self.cancelled[entry] = None

    def next_due_us(self) -> int:
        """When the next timer fires; `NEVER_US` when none is scheduled."""
        agenda, cancelled = self.agenda, self.cancelled
        while agenda and agenda[0][1] in cancelled:
            del cancelled[heappop(agenda)[1]]
        return agenda[0][0] if agenda else NEVER_US

    def run(
        self, parts: Sequence[Part], until_us: int, number_max: int = NEVER_US, rest_us: int | None = None
    ) -> bool:
        """Fire the timers due before `until_us` in order; the clock ends at `rest_us`, else at `until_us`.

        Stops early, between timers, once the event number has reached `number_max`; the clock then
        stands at the last timer fired. Returns whether everything due was fired.

        Raises `EndlessInstant` when one instant goes through more than `GENERATIONS_MAX` generations.
        """
        agenda, cancelled, now_us = self.agenda, self.cancelled, self.now_us
        while agenda:
            timer = agenda[0]
            due_us = timer[0]
            if due_us >= until_us:
                break
            if self.number >= number_max:
                return False
            heappop(agenda)
            if cancelled and timer[1] in cancelled:
                del cancelled[timer[1]]
                continue
            if due_us > now_us:
                self.now_us = now_us = due_us
                self.generation = 0
                self.generation_mark = self.inserted
            elif timer[1] > self.generation_mark:
                self.generation += 1
                self.generation_mark = self.inserted
                if self.generation > GENERATIONS_MAX:
                    raise self._endless(timer)
            self.cause = timer[3]
            parts[timer[2]].fire(self, timer)
        end_us = until_us if rest_us is None else rest_us
        if end_us > self.now_us:
            self.now_us = end_us
            self.generation = 0
            self.generation_mark = self.inserted
        return True

    def _endless(self, timer: Timer) -> EndlessInstant:
        again = [timer, *(other for other in sorted(self.agenda) if other[0] == timer[0])]
        steps = list(dict.fromkeys((owner, what) for _, _, owner, _, what, _, _ in again))
        return EndlessInstant(self.now_us, steps)

    # -- chance ---------------------------------------------------------------------------------

    def draw(self, stream: str) -> int:
        """The stream's next 64 random bits."""
        return (self.blocks.get(stream) or self.next_block(stream)).pop()

    def next_block(self, stream: str) -> list[int]:
        """The stream's next draws, the next one last; for `draw`, which takes them off. Never empty.

        One blake2b gives eight. A stream goes on where `drawn` says, which may be inside a block.
        """
        n = self.drawn.get(stream, 0)
        self.drawn[stream] = (n | 7) + 1
        eight = _eight_numbers(blake2b(f"{self.seed}/{stream}/{n >> 3}".encode()).digest())
        self.blocks[stream] = block = list(eight[n & 7 :][::-1])
        return block

    def reseed(self, seed: int) -> None:
        """Draw from `seed` from now on, each stream at the place where it stands."""
        self.drawn = self._drawn()
        self.blocks.clear()
        self.seed = seed

    def _drawn(self) -> dict[str, int]:
        """How many were drawn from each stream."""
        blocks = self.blocks
        return {stream: n - len(blocks.get(stream, ())) for stream, n in self.drawn.items()}

    # -- snapshots ------------------------------------------------------------------------------

    def state(self) -> KernelState:
        """The kernel as plain data; shares its lists with the kernel, so encode it at once."""
        return KernelState(
            self.seed, self.now_us, self.number, self.inserted, self.generation,
            self.generation_mark, self.messages, self.copies, self.nodes, self.agenda,
            list(self.cancelled), self._drawn(),
        )  # fmt: skip

    @classmethod
    def from_state(cls, state: KernelState) -> Kernel:
        """A kernel that goes on from `state`, with an empty log and no observers."""
        kernel = cls(state.seed)
        kernel.now_us = state.now_us
        kernel.number = state.number
        kernel.inserted = state.inserted
        kernel.generation = state.generation
        kernel.generation_mark = state.generation_mark
        kernel.messages = state.messages
        kernel.copies = state.copies
        kernel.nodes = state.nodes
        kernel.agenda = state.agenda
        kernel.cancelled = dict.fromkeys(state.cancelled)
        kernel.drawn = state.drawn
        return kernel
