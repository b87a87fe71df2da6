"""When a producer makes its next message, and whether it is poison."""

from __future__ import annotations

from engine.chance import exponential_us, happens
from engine.durations import UNITS_US, spoken
from engine.kernel import Kernel
from engine.scenario import Arrivals, PoisonRule


def next_gap_us(kernel: Kernel, stream: str, arrivals: Arrivals, made: int, start_us: int) -> int | None:
    """Microseconds from now to the next message after `made` of them; None when there is none.

    Bursts come together: within one, the gap is 0. Fixed times count from `start_us`; those that went
    by while the producer was down are gone.
    """
    if arrivals.at is not None:
        left = (at + start_us - kernel.now_us for at in sorted(arrivals.at)[made:])
        return next((gap_us for gap_us in left if gap_us >= 0), None)
    if arrivals.poisson is not None:
        return exponential_us(kernel, stream, UNITS_US["h"] // arrivals.poisson)
    assert arrivals.every is not None
    if arrivals.burst is not None and made % arrivals.burst:
        return 0
    return 0 if made == 0 else int(arrivals.every)


def is_poison(kernel: Kernel, stream: str, rule: PoisonRule | None, ordinal: int) -> bool:
    """Whether the producer's message number `ordinal` (1-based) fails every handler."""
    if rule is None:
        return False
    if ordinal in rule.messages or (rule.every is not None and ordinal % rule.every == 0):
        return True
    return happens(kernel, stream, rule.probability)


def at_rate(arrivals: Arrivals, per_minute: int) -> Arrivals:
    """The same kind of arrivals, evenly or by Poisson, at another rate; `per_minute` is at least 1."""
    if arrivals.poisson is not None:
        return Arrivals(poisson=per_minute * 60)
    return Arrivals(every=UNITS_US["m"] // per_minute)


def how_often(arrivals: Arrivals) -> str:
    """Arrivals in a few words."""
    if arrivals.poisson is not None:
        return f"≈ {arrivals.poisson / 3600:g}/s"
    if arrivals.every is not None:
        burst = f"{arrivals.burst} each" if arrivals.burst else "every"
        return f"{burst} {spoken(arrivals.every)}"
    return "at set times"
