"""A bucket of tokens: so much at once, so much a second. It is told the time, and so can be tested."""

from __future__ import annotations


class Bucket:
    """`burst` at once, refilled by `per_s` each second; `take` says whether there was one left."""

    __slots__ = ("at_us", "burst", "left", "per_s")

    def __init__(self, burst: float, per_s: float) -> None:
        self.burst = burst
        self.per_s = per_s
        self.left = burst
        self.at_us = 0

    def take(self, now_us: int) -> bool:
        if self.at_us:
            passed_s = max(0, now_us - self.at_us) / 1_000_000
            self.left = min(self.burst, self.left + passed_s * self.per_s)
        self.at_us = now_us
        if self.left < 1:
            return False
        self.left -= 1
        return True
