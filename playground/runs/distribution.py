"""What a thousand results say: each measure's spread, in bars that can be drawn, read and clicked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

BARS_MAX = 24
"""More bars than this cannot be hit with a finger, nor read."""

HEIGHT_MIN = 12
"""Thousandths: a bar of one run can still be seen."""

LABELS_MAX = 6
"""More labels than this do not fit under the bars of a phone."""


class Measure(NamedTuple):
    """One thing that is counted or timed: its field, its name for people, whether it is a time."""

    field: str
    name: str
    about: str
    is_time: bool = False


MEASURES = (
    Measure("lost", "Lost messages", "nobody has them any more, and their effect never happened"),
    Measure("dropped", "Dropped messages", "let go by a broker: no route, a full queue, a limit, retention"),
    Measure("dead", "Dead letters", "messages in a dead-letter queue at the end"),
    Measure("duplicated_effects", "Duplicated effects", "effects done again for the same message"),
    Measure("duplicated_deliveries", "Duplicated deliveries", "deliveries of a message after its first"),
    Measure("out_of_order", "Out of order", "effects after that of a later message with the same key"),
    Measure("p50_us", "Latency, median", "half of a run’s effects came sooner after publishing",
            True),
    Measure("p95_us", "Latency, 95th percentile",
            "19 of 20 of a run’s effects came sooner after publishing", True),
)  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """Runs whose value lies from `low` to `high`, both included; `seed` is one of them, None of none.

    `height` is in thousandths of the highest bar's; `label` stands below it where it is not "".
    """

    low: int
    high: int
    text: str
    runs: int
    share: str
    seed: int | None
    height: int
    label: str = ""

    @property
    def top(self) -> int:
        """Where it begins, from above. One run in a thousand is seen, too."""
        return 1000 - self.height


@dataclass(frozen=True)
class Distribution:
    """One measure over all runs; `bars` is empty when all runs have the same value, or none has one."""

    measure: Measure
    sentence: str
    bars: Sequence[Bar]
    highest: int


def distributions(rows: Iterable[dict[str, int | None]]) -> list[Distribution]:
    """Of results as dicts with `seed` and the measures' fields. A value None is left out, and so is a count
    that no row has."""
    rows = list(rows)
    return [
        _distribution(measure, rows)
        for measure in MEASURES
        if measure.is_time or any(row[measure.field] is not None for row in rows)
    ]


def _distribution(measure: Measure, rows: list[dict[str, int | None]]) -> Distribution:
    field = measure.field
    pairs = sorted((row[field] or 0, row["seed"] or 0) for row in rows if row[field] is not None)
    values = [value for value, _ in pairs]
    if not values:
        return Distribution(measure, "No effect happened in any run.", (), 0)
    if values[0] == values[-1]:
        return Distribution(measure, _the_same(measure, values), (), 0)
    bars = _bars(measure, pairs)
    return Distribution(measure, _sentence(measure, values), bars, max(bar.runs for bar in bars))


def _the_same(measure: Measure, values: list[int]) -> str:
    if not values[0] and not measure.is_time:
        return f"None in any of {len(values):,} runs."
    return f"{spoken(measure, values[0])} in each of {len(values):,} runs."


def _sentence(measure: Measure, values: list[int]) -> str:
    middle = spoken(measure, values[(len(values) - 1) // 2])
    spread = f"from {spoken(measure, values[0])} to {spoken(measure, values[-1])}, median {middle}"
    if measure.is_time:
        return f"{spread[0].upper()}{spread[1:]}."
    some = sum(1 for value in values if value)
    how_many = f"{some:,} of {len(values):,} runs" if some < len(values) else "every run"
    return f"Some in {how_many}; {spread}."


def spoken(measure: Measure, value: int) -> str:
    """A value as people read it: a count, or a time with its unit."""
    if not measure.is_time:
        return f"{value:,}"
    if value >= 10_000_000:
        return f"{value / 1e6:.1f} s"
    if value >= 1_000_000:
        return f"{value / 1e6:.2f} s"
    return f"{value / 1e3:.0f} ms" if value >= 10_000 else f"{value / 1e3:.1f} ms"


def step_for(spread: int) -> int:
    """A round width of bars (1, 2 or 5 times a power of ten) that makes at most `BARS_MAX` of `spread`."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if spread // (step * factor) + 2 <= BARS_MAX or spread < BARS_MAX:
                return step * factor
        step *= 10


def _bars(measure: Measure, pairs: list[tuple[int, int]]) -> list[Bar]:
    low, high = pairs[0][0], pairs[-1][0]
    step = step_for(high - low)
    first, last = low // step, high // step
    runs = [0] * (last - first + 1)
    seeds: list[int | None] = [None] * len(runs)
    for value, seed in pairs:
        place = value // step - first
        runs[place] += 1
        if seeds[place] is None or seed < seeds[place]:
            seeds[place] = seed
    every = -(-len(runs) // LABELS_MAX)
    bars = []
    for place, count in enumerate(runs):
        start = (first + place) * step
        fits = every == 1 or place + every <= len(runs)
        label = _start(measure, start, step) if place % every == 0 and fits else ""
        bars.append(Bar(
            start, start + step - 1, _range(measure, start, step), count, _share(count, len(pairs)),
            seeds[place], max(count * 1000 // max(runs), HEIGHT_MIN if count else 0), label,
        ))  # fmt: skip
    return bars


def _start(measure: Measure, start: int, step: int) -> str:
    """Where a bar begins, as exactly as its width needs."""
    if not measure.is_time:
        return f"{start:,}"
    if start >= 1_000_000 or step >= 1_000_000:
        return f"{start / 1e6:.{2 if step < 100_000 else 1 if step < 1_000_000 else 0}f} s"
    return f"{start / 1e3:.{0 if step >= 1_000 else 1 if step >= 100 else 3}f} ms"


def _range(measure: Measure, start: int, step: int) -> str:
    if measure.is_time:
        return f"{_start(measure, start, step)} to {_start(measure, start + step, step)}"
    return f"{start:,}" if step == 1 else f"{start:,} to {start + step - 1:,}"


def _share(count: int, total: int) -> str:
    share = count * 100 / total
    return f"{share:.0f} %" if share >= 10 or not count else f"{share:.1f} %"
