"""Durations and choices drawn from a stream of the kernel, rounded to whole microseconds at once."""

from __future__ import annotations

from math import log

from engine.kernel import Kernel

TWO_64 = 1 << 64
STEP_53 = 2.0**-53


def uniform_us(kernel: Kernel, stream: str, low_us: int, high_us: int) -> int:
    """A whole number of microseconds in [low_us, high_us]."""
    return low_us + kernel.draw(stream) * (high_us - low_us + 1) // TWO_64


def exponential_us(kernel: Kernel, stream: str, mean_us: int) -> int:
    """An exponentially distributed duration with this mean."""
    bits = (kernel.blocks.get(stream) or kernel.next_block(stream)).pop()  # as `draw` does
    return int(0.5 - mean_us * log(((bits >> 11) + 1) * STEP_53))


def below(kernel: Kernel, stream: str, count: int) -> int:
    """A whole number in [0, count)."""
    return kernel.draw(stream) * count // TWO_64


def happens(kernel: Kernel, stream: str, probability: float) -> bool:
    """True with this probability. Draws nothing where it is 0 or 1."""
    if probability <= 0:
        return False
    return probability >= 1 or kernel.draw(stream) < int(probability * TWO_64)
