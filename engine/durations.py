"""Durations and rates as people write them ("200ms", "1.5s", "2/s"), as whole microseconds."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Annotated, Any

from msgspec import Meta, inspect

UNITS_US = {"us": 1, "µs": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}

EXPECTED = {
    "duration": 'expected a duration such as "200ms", "1.5s" or "2m"',
    "rate": 'expected a rate such as "2/s", "30/m" or "5/h"',
}

DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s?(us|µs|ms|s|m|h)", re.ASCII)
RATE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s?/\s?(s|m|h)", re.ASCII)


Duration = Annotated[int, Meta(ge=0, extra={"written": "duration"})]
"""A length of time in microseconds, written "200ms" in a scenario."""

PerHour = Annotated[int, Meta(ge=1, extra={"written": "rate"})]
"""How often something happens in an hour, written "2/s", "30/m" or "5/h" in a scenario.

Whole events an hour keep rates exact without a float; the mean gap is 3.6e9 / rate µs.
"""


def duration_us(text: str) -> int:
    """Microseconds of a written duration. Raises ValueError with what would be right."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(EXPECTED["duration"])
    return int(Fraction(match[1]) * UNITS_US[match[2]])


def per_hour(text: str) -> int:
    """Events an hour of a written rate. Raises ValueError with what would be right."""
    match = RATE.fullmatch(text)
    if match is None:
        raise ValueError(EXPECTED["rate"])
    rate = Fraction(match[1]) * (UNITS_US["h"] // UNITS_US[match[2]])
    if rate < 1:
        raise ValueError("expected at least one in an hour")
    return int(rate)


ISO = re.compile(
    r"([-+]?)P(?:([-+]?\d+)D)?(T(?:([-+]?\d+)H)?(?:([-+]?\d+)M)?(?:([-+]?\d+)(?:[.,](\d{0,9}))?S)?)?",
    re.ASCII | re.IGNORECASE,
)
ISO_PARTS_US = {2: 24 * UNITS_US["h"], 4: UNITS_US["h"], 5: UNITS_US["m"], 6: UNITS_US["s"]}


def iso_duration_us(text: str) -> int:
    """Microseconds of "PnDTnHnMn.nS", as `java.time.Duration.parse` reads it, without what is shorter than
    one. Raises ValueError, also where it is negative or longer than Java can hold."""
    match = ISO.fullmatch(text)
    if match is None or (match[3] or "").upper() == "T" or not any(match[n] for n in ISO_PARTS_US):
        raise ValueError("expected a duration such as PT30S or P1DT2H")
    us = sum(int(match[n] or 0) * each_us for n, each_us in ISO_PARTS_US.items())
    fraction = int((match[7] or "").ljust(6, "0")[:6])
    us += -fraction if (match[6] or "").startswith("-") else fraction
    us = -us if match[1] == "-" else us
    if not 0 <= us < (1 << 63) * UNITS_US["s"]:
        raise ValueError("expected a duration of at least PT0S")
    return us


def units_read(kind: Any, data: Any, path: str, problems: list[str]) -> Any:
    """`data` of type `kind` (a node of `msgspec.inspect`) with written durations and rates as numbers.

    What cannot be read goes to `problems` as `path: expected …, got …`. All else stays as it is.
    """
    if isinstance(kind, inspect.Metadata):
        written = (kind.extra or {}).get("written")
        return (
            _unit_read(written, data, path, problems)
            if written
            else units_read(kind.type, data, path, problems)
        )
    if isinstance(kind, inspect.UnionType):
        for choice in meant(kind, data):
            data = units_read(choice, data, path, problems)
        return data
    if isinstance(kind, inspect.ListType | inspect.VarTupleType) and isinstance(data, list):
        return [units_read(kind.item_type, v, f"{path}[{i}]", problems) for i, v in enumerate(data)]
    if isinstance(kind, inspect.TupleType) and isinstance(data, list):
        pairs = zip(kind.item_types, data, strict=False)
        read = [units_read(k, v, f"{path}[{i}]", problems) for i, (k, v) in enumerate(pairs)]
        return read + data[len(read) :]
    if isinstance(kind, inspect.StructType) and isinstance(data, dict):
        kinds = {field.encode_name: field.type for field in kind.fields}
        return {
            name: units_read(kinds[name], value, f"{path}.{name}".removeprefix("."), problems)
            if name in kinds else value
            for name, value in data.items()
        }  # fmt: skip
    return data


def meant(kind: inspect.UnionType, data: Any) -> list[Any]:
    """The types of a union that `data` can be of: of several Structs the one with its tag, if any."""
    return [
        choice
        for choice in kind.types
        if not (isinstance(choice, inspect.StructType) and choice.tag is not None and isinstance(data, dict))
        or data.get(choice.tag_field) == choice.tag
    ]


def _unit_read(written: str, data: Any, path: str, problems: list[str]) -> Any:
    if data is None:
        return None
    try:
        if not isinstance(data, str):
            raise ValueError(EXPECTED[written])
        return duration_us(data) if written == "duration" else per_hour(data)
    except ValueError as error:
        problems.append(f"{path}: {error}, got {json.dumps(data, default=str)[:60]}")
        return 1


def spoken(us: int) -> str:
    """A duration as people read it: "200 ms", "1.5 s", "2 min"."""
    if us < 1_000_000:
        return f"{us / 1_000:g} ms"
    if us < 120_000_000:
        return f"{us / 1_000_000:g} s"
    return f"{us / 60_000_000:g} min"
