"""How much happens, and at which speeds that is too much to draw singly.

A fold over how many events each tick has, and nothing else: every process, however it cuts ticks into
batches, finds the same answer for each tick at each speed. Only the speed itself is the clock's.
"""

from __future__ import annotations

from typing import NamedTuple

from playground.rooms.clock import RATES
from playground.rooms.limits import (
    CHECKPOINT_TICKS,
    SINGLY_AGAIN_EVENTS_PER_S,
    SINGLY_EVENTS_PER_S,
    TICK_US,
)

TICKS_PER_S = 1_000_000 // TICK_US
BITS = tuple((1 << index, rate) for index, rate in enumerate(RATES))


class Pace(NamedTuple):
    """`level` is events a simulated second, of about the last second; `fast` has bit i at the speeds
    `clock.RATES[i]` at which the tick is too fast to be drawn singly."""

    level: int
    fast: int


AT_REST = Pace(0, 0)


def follow(pace: Pace, tick: int, count: int) -> Pace:
    """The pace of `tick`, which has `count` events, after a tick of `pace`.

    A stretch begins with the tick that is too much, and ends at a checkpoint: there its present can be told.
    """
    level, fast = pace
    if fast and tick % CHECKPOINT_TICKS == 0:
        fast = sum(
            bit for bit, rate in BITS if fast & bit and level * rate >= SINGLY_AGAIN_EVENTS_PER_S * 1000
        )
    level += count - level // TICKS_PER_S
    if level * RATES[-1] > SINGLY_EVENTS_PER_S * 1000:
        for bit, rate in BITS:
            if level * rate > SINGLY_EVENTS_PER_S * 1000:
                fast |= bit
    return Pace(level, fast)


def too_fast(pace: Pace, rate: int) -> bool:
    """Whether a tick of this pace is too fast to be drawn singly at `rate` thousandths; 0, never."""
    return bool(rate and pace.fast & _bit(rate))


def _bit(rate: int) -> int:
    return next((bit for bit, at in BITS if at >= rate), BITS[-1][0])
