"""What a handler does with a message it failed on: again at once, again later, or never."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.chance import uniform_us
from engine.kernel import Kernel
from engine.scenario import Retry


class Decision(msgspec.Struct, frozen=True):
    """`park` publishes to `queue` for good, `republish` for later (TTL `delay_us`)."""

    do: Literal["requeue", "discard", "republish", "park"]
    queue: str = ""
    delay_us: int = 0


def decide(kernel: Kernel, stream: str, retry: Retry, failures: int) -> Decision:
    """After the `failures`-th failed attempt (1-based) on one message."""
    if retry.limit is not None and failures >= retry.limit:
        return Decision("park", retry.then) if retry.then else Decision("discard")
    if retry.do == "republish":
        steps = retry.steps
        queue = steps[min(failures, len(steps)) - 1].queue if steps else retry.queue
        return Decision("republish", queue, delay_us(kernel, stream, retry, failures))
    return Decision(retry.do)


def delay_us(kernel: Kernel, stream: str, retry: Retry, failures: int) -> int:
    """How long to wait before the next attempt, at least 1 ms (the protocol's grain), in whole ms."""
    if retry.steps:
        us = int(retry.steps[min(failures, len(retry.steps)) - 1].delay)
    else:
        us = int(retry.delay)
        if retry.backoff == "exponential":
            us <<= min(failures - 1, 40)
    us = min(us, int(retry.delay_max))
    if retry.jitter > 0:
        spread = int(us * retry.jitter)
        us -= uniform_us(kernel, stream, 0, spread)
    return max(1_000, us // 1_000 * 1_000)
