"""Distributions: bars that hold every run once, round steps, sentences that are true."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.runs.distribution import BARS_MAX, MEASURES, Bar, distributions, spoken, step_for

FIELDS = [measure.field for measure in MEASURES]


def rows_of(values: list[int | None], field: str = "lost") -> list[dict[str, int | None]]:
    return [{**dict.fromkeys(FIELDS, 0), "seed": n, field: value} for n, value in enumerate(values, 1)]


def one(values: list[int | None], field: str = "lost") -> tuple[str, list[Bar]]:
    found = next(d for d in distributions(rows_of(values, field)) if d.measure.field == field)
    return found.sentence, list(found.bars)


@given(st.lists(st.integers(0, 60_000_000), min_size=2, max_size=200), st.sampled_from(["lost", "p50_us"]))
def test_every_run_stands_in_one_bar_and_a_bars_seed_is_one_of_its_runs(
    values: list[int], field: str
) -> None:
    _, bars = one(list(values), field)
    if len(set(values)) == 1:
        assert not bars
        return
    assert len(bars) <= BARS_MAX
    assert sum(bar.runs for bar in bars) == len(values)
    for bar, following in itertools.pairwise(bars):
        assert bar.high + 1 == following.low
    for bar in bars:
        inside = [seed for seed, value in enumerate(values, 1) if bar.low <= value <= bar.high]
        assert bar.runs == len(inside)
        assert bar.seed == (inside[0] if inside else None)
        assert (bar.height > 0) == (bar.runs > 0)
    assert max(bar.height for bar in bars) == 1000
    assert bars[0].runs and bars[-1].runs


@given(st.integers(1, 10**9))
def test_a_step_is_round_and_as_fine_as_there_is_room_for(spread: int) -> None:
    step = step_for(spread)
    assert str(step).rstrip("0") in ("1", "2", "5")
    assert spread // step + 2 <= BARS_MAX + 1


def test_a_few_values_have_a_bar_each() -> None:
    sentence, bars = one([0, 0, 3, 1, 0])
    assert [(bar.text, bar.runs, bar.share, bar.seed) for bar in bars] == [
        ("0", 3, "60 %", 1), ("1", 1, "20 %", 4), ("2", 0, "0 %", None), ("3", 1, "20 %", 3),
    ]  # fmt: skip
    assert sentence == "Some in 2 of 5 runs; from 0 to 3, median 0."


@pytest.mark.parametrize(
    ("values", "field", "sentence"),
    [
        ([0, 0], "lost", "None in any of 2 runs."),
        ([4, 4, 4], "dead", "4 in each of 3 runs."),
        ([1, 2, 2], "dead", "Some in every run; from 1 to 2, median 2."),
        ([1_500, 2_000_000], "p50_us", "From 1.5 ms to 2.00 s, median 1.5 ms."),
        ([None, None], "p50_us", "No effect happened in any run."),
        ([None, 30_000], "p95_us", "30 ms in each of 1 runs."),
    ],
)
def test_the_sentence_says_what_the_bars_show(values: list[int | None], field: str, sentence: str) -> None:
    assert one(values, field)[0] == sentence


@pytest.mark.parametrize(
    ("value", "text"), [(900, "0.9 ms"), (25_000, "25 ms"), (1_234_567, "1.23 s"), (61_000_000, "61.0 s")]
)
def test_a_time_is_told_with_three_figures_at_most(value: int, text: str) -> None:
    assert spoken(MEASURES[-1], value) == text
