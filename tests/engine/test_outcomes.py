"""Outcomes of runs that nobody watches: the same as a room's, from the start and from any moment."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.commands import CrashConsumer, Reseed, RestartConsumer
from engine.errors import RunOver
from engine.events import EffectApplied, MessageCreated
from engine.outcomes import COUNTED, Latencies, Outcome, Past, percentile_us
from engine.simulation import Simulation
from engine.wire import decode
from tests.engine.rooms import BUSY, Journal, journal, play

CRASH: Journal = [(4_000_000, CrashConsumer("clerk")), (7_000_000, RestartConsumer("clerk"))]


def outcome_of(past: Past, seed: int, budget: int = 2_000) -> Outcome:
    run = past.future(seed)
    while not run.work(budget):
        pass
    return run.outcome()


def outcome_watched(seed: int, entries: Journal) -> Outcome:
    """The same from a room's ticks: every event, decoded from what a browser gets."""
    ticks, simulation = play(BUSY, seed, entries)
    made, first = {}, {}
    for tick in ticks:
        for event in decode(tick.events):
            if isinstance(event, MessageCreated):
                made[event.message] = event.at_us
            elif isinstance(event, EffectApplied):
                first.setdefault((event.message, event.destination), event.at_us)
    latencies = sorted(at_us - made[message] for (message, _), at_us in first.items())
    totals = simulation.totals()
    return Outcome(
        totals["sent"], **{name: totals[name] for name in COUNTED},
        p50_us=percentile_us(latencies, 50), p95_us=percentile_us(latencies, 95),
    )  # fmt: skip


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**40), st.integers(1, 3_000))
def test_a_run_from_the_start_comes_out_as_a_watched_one(seed: int, budget: int) -> None:
    assert outcome_of(Past(BUSY, 1, [], 0), seed, budget) == outcome_watched(seed, [])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 2**40), journal, st.integers(0, 19_000_000))
def test_a_future_comes_out_as_a_room_with_a_reseed_in_its_journal(
    seed: int, future: int, entries: Journal, moment_us: int
) -> None:
    past = Past(BUSY, seed, entries, moment_us)
    room = [*past.entries, (moment_us, Reseed(future))] if moment_us or past.entries else []
    expected = outcome_watched(seed if room else future, room)
    assert outcome_of(past, future) == expected
    # and again: one future does not touch the past of another
    outcome_of(past, future + 1)
    assert outcome_of(past, future) == expected


def test_futures_share_their_past_to_the_tick_and_then_part() -> None:
    moment_us = 10_000_000
    plain, _ = play(BUSY, 3, CRASH)
    runs = [play(BUSY, 3, [*CRASH, (moment_us, Reseed(seed))])[0] for seed in (1, 2, 1)]
    same = moment_us // 25_000
    for run in runs:
        assert run[:same] == plain[:same]
    assert runs[0] == runs[2]
    assert len({run[-1].digest for run in [plain, *runs]}) == 3


def test_a_reseed_holds_in_the_middle_of_a_block_of_draws_and_after_a_snapshot() -> None:
    entries: Journal = [(5_000_000, Reseed(9)), (9_000_000, Reseed(10))]
    whole, _ = play(BUSY, 3, entries)
    reloaded, _ = play(BUSY, 3, entries, 40, frozenset({1, 2, -1}))
    assert reloaded == whole


def test_seeds_make_a_difference() -> None:
    past = Past(BUSY, 3, CRASH, 6_000_000)
    assert len({outcome_of(past, seed) for seed in range(8)}) > 4


def test_a_past_behind_the_end_is_refused() -> None:
    past = Past(BUSY, 3, [], BUSY.length_us)
    with pytest.raises(RunOver):
        past.future(1)


@pytest.mark.parametrize(
    ("all_us", "percent", "expected"),
    [([], 50, None), ([7], 50, 7), ([7], 95, 7), ([1, 2], 50, 1), ([2, 1, 3], 50, 2), (list(range(1, 101)), 95, 95),
     (list(range(1, 21)), 95, 19), (list(range(1, 20)), 95, 19)],
)  # fmt: skip
def test_a_percentile_is_the_nearest_rank(all_us: list[int], percent: int, expected: int | None) -> None:
    assert percentile_us(all_us, percent) == expected


def test_an_effect_done_again_is_no_second_latency() -> None:
    latencies = Latencies()
    simulation = Simulation(BUSY, 5, watched=False)
    applied = []

    def hear(events: list) -> None:
        latencies.hear(events)
        applied.extend((e.message, e.destination) for e in events if isinstance(e, EffectApplied))

    simulation.listener = hear
    simulation.apply_at(6_000_000, CrashConsumer("mailer"), 1)
    while not simulation.advance(BUSY.length_us):
        pass
    assert len(latencies.all_us) == len(set(applied))
