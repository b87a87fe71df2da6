"""auto.offset.reset and share.auto.offset.reset: where reading begins when nobody knows a position.

"earliest", "latest", for consumer groups also "none", and since Kafka 4.0 "by_duration:PnDTnHnMn.nS"
(KIP-1106): at the first record of the time just past that is so long.
"""

from __future__ import annotations

from engine.durations import iso_duration_us

BY_DURATION = "by_duration:"


def back_us(reset: str) -> int | None:
    """How long before now "by_duration:…" begins to read; None for a strategy without a duration. Raises
    ValueError where it is malformed (`AutoOffsetResetStrategy.fromString`)."""
    return iso_duration_us(reset.removeprefix(BY_DURATION)) if reset.startswith(BY_DURATION) else None


def is_strategy(reset: str, words: tuple[str, ...]) -> bool:
    """Whether Kafka takes it: one of `words`, or a duration that is not negative."""
    try:
        return reset in words or back_us(reset) is not None
    except ValueError:
        return False
