"""How long a handler works, and whether it fails."""

from __future__ import annotations

from engine.chance import exponential_us, happens, uniform_us
from engine.kernel import Kernel
from engine.scenario import Failure, Work

NORMAL = 1_000


def work_us(kernel: Kernel, stream: str, work: Work, factor: int) -> int:
    """One message's service time; `factor` in thousandths of the normal time."""
    if work.exponential is not None:
        us = exponential_us(kernel, stream, work.exponential)
    elif work.constant is not None:
        us = int(work.constant)
    else:
        assert work.uniform is not None
        us = uniform_us(kernel, stream, *work.uniform)
    return us if factor == NORMAL else us * factor // NORMAL


def mean_us(work: Work) -> int:
    """How long the work takes in the middle, at normal speed."""
    if work.constant is not None:
        return int(work.constant)
    if work.exponential is not None:
        return int(work.exponential)
    assert work.uniform is not None
    return sum(work.uniform) // 2


def failure(kernel: Kernel, stream: str, fail: Failure | None, key: str, poison: bool) -> str:
    """Why the handler fails this time, "" when it does not."""
    if poison:
        return "poison"
    if fail is None or (fail.during and not fail.during[0] <= kernel.now_us < fail.during[1]):
        return ""
    if key and key in fail.keys:
        return f"key {key}"
    if not happens(kernel, stream, fail.probability):
        return ""
    return "outage" if fail.during else "chance"
