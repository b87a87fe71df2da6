"""Durations and rates as people write them ("200ms", "1.5s", "2/s"), as whole microseconds."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

UNITS_US = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}

DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s?(us|µs|ms|s|m|h)", re.ASCII)
RATE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s?/\s?(s|m|h)", re.ASCII)


class Duration(int):
    """A length of time in microseconds, written "200ms" in a scenario."""


class PerHour(int):
    """How often something happens in an hour, written "2/s", "30/m" or "5/h" in a scenario.

    Whole events an hour keep rates exact without a float; the mean gap is 3.6e9 / rate µs.
    """


def duration_us(text: str) -> Duration:
    """Microseconds of a written duration. Raises ValueError with what would be right."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError('expected a duration such as "200ms", "1.5s" or "2m"')
    return Duration(Fraction(match[1]) * UNITS_US[match[2]])


def per_hour(text: str) -> PerHour:
    """Events an hour of a written rate. Raises ValueError with what would be right."""
    match = RATE.fullmatch(text)
    if match is None:
        raise ValueError('expected a rate such as "2/s", "30/m" or "5/h"')
    rate = Fraction(match[1]) * (UNITS_US["h"] // UNITS_US[match[2]])
    if rate < 1:
        raise ValueError("expected at least one in an hour")
    return PerHour(rate)


def decode_hook(wanted: type, value: Any) -> Any:
    """msgspec's hook for the two types of this module."""
    if wanted is Duration:
        if isinstance(value, str):
            return duration_us(value)
        raise ValueError('expected a duration such as "200ms", "1.5s" or "2m"')
    if wanted is PerHour:
        if isinstance(value, str):
            return per_hour(value)
        raise ValueError('expected a rate such as "2/s", "30/m" or "5/h"')
    raise NotImplementedError(wanted)


def encode_hook(value: Any) -> Any:
    """Durations and rates as plain numbers (in snapshots)."""
    raise NotImplementedError(type(value))


def spoken(us: int) -> str:
    """A duration as people read it: "200 ms", "1.5 s", "2 min"."""
    if us < 1_000_000:
        return f"{us / 1_000:g} ms"
    if us < 120_000_000:
        return f"{us / 1_000_000:g} s"
    return f"{us / 60_000_000:g} min"
