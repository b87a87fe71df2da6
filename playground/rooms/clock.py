"""What "now" means in a room. One function, asked at three offsets; no I/O and no clock of its own.

The clock is a list of pieces (wall_us, sim_us, rate): from wall time `wall_us` on, simulated time goes on
from `sim_us` at `rate` thousandths. The last piece that has begun rules. A piece takes effect 150 ms
after it was stamped, so the list usually reaches a little into the future. Nothing is shown beyond
`lit_until_us`, the wall time up to which somebody is known to be watching.

    the screen       clock(now)
    the frontier     the end of the tick that holds clock(now + B + 150 ms)
    a command's at   clock(now + B + 200 ms)

Every transaction on a room calls `settle` first, then asks or changes. All of it is integer arithmetic,
so that every process, and the browser, finds the same numbers.
"""

from __future__ import annotations

import msgspec

from playground.rooms.limits import (
    BATCH_US,
    COMMAND_LEAD_US,
    LIGHT_US,
    TAKES_EFFECT_US,
    TICK_US,
    WALL_SET_BACK_US,
)

RATES = (125, 250, 500, 1000, 2000, 4000, 8000)
"""The speeds there are, in thousandths: an eighth to eight times."""

PIECES_MAX = 64
"""Pieces that have been over for long are forgotten; only the last that has begun rules."""


class Piece(msgspec.Struct, frozen=True, array_like=True):
    wall_us: int
    sim_us: int
    rate: int


class Clock(msgspec.Struct):
    """A room's clock. `wished` is the rate to go on with after a pause, `shown_us` the highest moment that
    may have been on a screen, `wall_us` the wall time of the last transaction."""

    pieces: list[Piece]
    lit_until_us: int
    shown_us: int
    wall_us: int
    end_us: int
    wished: int = 1000
    batch_us: int = BATCH_US

    def at(self, wall_us: int) -> int:
        """The simulated moment that is on the screen at `wall_us`. Never beyond the light or the end."""
        return min(self._unlit(min(wall_us, self.lit_until_us)), self.end_us)

    def _unlit(self, wall_us: int) -> int:
        ruling = self.pieces[0]
        for piece in self.pieces:
            if piece.wall_us > wall_us:
                break
            ruling = piece
        return ruling.sim_us + max(0, wall_us - ruling.wall_us) * ruling.rate // 1000

    def frontier_tick(self, wall_us: int) -> int:
        """How many ticks must be closed at `wall_us`: that of the moment asked for is among them."""
        return max(self.at(wall_us + self.batch_us + TAKES_EFFECT_US), self.shown_us) // TICK_US + 1

    def command_at(self, wall_us: int) -> int:
        """The moment at which a command that comes now happens: never one that was shown already."""
        return max(self.at(wall_us + self.batch_us + COMMAND_LEAD_US), self.shown_us)

    def is_dark(self, wall_us: int) -> bool:
        return wall_us > self.lit_until_us

    def is_lit(self, wall_us: int) -> bool:
        """Whether some process may be showing it."""
        return wall_us <= self.lit_until_us

    def runs(self) -> bool:
        """Whether the last wish was to run."""
        return self.pieces[-1].rate > 0

    # -- transactions -----------------------------------------------------------------------------

    def settle(self, wall_us: int) -> bool:
        """What every transaction begins with. Returns whether an anchor was needed.

        From then on `self.wall_us` is now: like `wall_us`, but not before the last transaction's.

        An anchor replaces all earlier pieces by one that begins now: because nobody was watching
        (the clock stood at the end of the light), or because the wall clock was set back.
        """
        anchored = False
        set_back = self.wall_us - wall_us > WALL_SET_BACK_US
        if set_back:
            self.anchor(wall_us, self.shown_us)
            anchored = True
        elif wall_us > self.lit_until_us:
            self.anchor(wall_us, self.at(self.lit_until_us))
            anchored = True
        self.wall_us = wall_us if set_back else max(self.wall_us, wall_us)
        self.shown_us = max(self.shown_us, self.at(self.wall_us))
        return anchored

    def anchor(self, wall_us: int, sim_us: int) -> Piece:
        """From now on go on from `sim_us`, or from the highest moment shown if that is later."""
        self.shown_us = max(self.shown_us, min(sim_us, self.end_us))
        self.pieces = [Piece(wall_us, self.shown_us, self.pieces[-1].rate)]
        self.lit_until_us = self.wall_us = wall_us
        return self.pieces[0]

    def shift(self, by_us: int) -> None:
        """The wall clock was set by `by_us`: everything goes on as if it had not been."""
        self.pieces = [Piece(p.wall_us + by_us, p.sim_us, p.rate) for p in self.pieces]
        self.lit_until_us += by_us
        self.wall_us += by_us

    def light(self, wall_us: int) -> None:
        """Somebody is watching: the clock may go on for two more seconds."""
        self.lit_until_us = max(self.lit_until_us, wall_us + LIGHT_US)

    def change_rate(self, rate: int) -> Piece:
        """From 150 ms after now on, go at `rate` thousandths (0: stand)."""
        if rate:
            self.wished = rate
        return self._append(0, rate)

    def jump(self, sim_us: int) -> Piece:
        """From 150 ms after now on, stand at `sim_us`, which lies ahead (a step)."""
        return self._append(sim_us, 0)

    def restart(self, sim_us: int = 0) -> Piece:
        """In a new branch, of which what was shown lies before `sim_us`: go on from there as it went.

        It stands until every screen has heard of it, so that what was done at `sim_us` changes nothing shown.
        """
        rate = self.pieces[-1].rate
        self.shown_us = min(sim_us, self.end_us)
        begun = Piece(self.wall_us, self.shown_us, 0)
        self.pieces = [begun, Piece(self.wall_us + TAKES_EFFECT_US, self.shown_us, rate)]
        return self.pieces[-1]

    def _append(self, least_us: int, rate: int) -> Piece:
        """A piece that goes on from where the clock is when it takes effect, but at least from `least_us`.

        Pieces that would begin later are overtaken; those long over are forgotten.
        """
        effect_us = self.wall_us + TAKES_EFFECT_US
        sim_us = min(max(self._unlit(effect_us), self.shown_us, least_us), self.end_us)
        kept = [piece for piece in self.pieces if piece.wall_us < effect_us]
        self.pieces = [*kept[-PIECES_MAX:], Piece(effect_us, sim_us, rate)]
        return self.pieces[-1]


def started(wall_us: int, sim_us: int, end_us: int, rate: int = 1000) -> Clock:
    """A clock that shows `sim_us` at `wall_us` and goes on from there, lit for two seconds."""
    sim_us = min(max(sim_us, 0), end_us)
    return Clock([Piece(wall_us, sim_us, rate)], wall_us + LIGHT_US, sim_us, wall_us, end_us)
