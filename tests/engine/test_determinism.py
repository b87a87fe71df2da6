"""Same scenario, seed and journal: the same events and digests, however the run is driven."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scenario import load
from tests.engine.rooms import BUSY, SHIPPED, Journal, journal, play

ROOT = Path(__file__).parents[2]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), journal, st.integers(1, 300))
def test_the_event_budget_changes_nothing(seed: int, entries: Journal, budget: int) -> None:
    # Given one run driven with the usual budget, and one that stops every few events
    whole, _ = play(BUSY, seed, entries)
    sliced, _ = play(BUSY, seed, entries, budget)
    # Then every tick is the same, bytes and digest
    assert [t.digest for t in sliced] == [t.digest for t in whole]
    assert sliced == whole


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), journal, st.data())
def test_a_run_restored_from_any_snapshot_goes_on_alike(seed: int, entries: Journal, data: st.DataObject) -> None:
    whole, _ = play(BUSY, seed, entries)
    places = data.draw(st.frozensets(st.integers(-1, max(1, len(entries))), min_size=1))
    budget = data.draw(st.sampled_from([40, 2_000]))
    reloaded, _ = play(BUSY, seed, entries, budget, places)
    assert reloaded == whole


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**40), journal)
def test_two_journals_give_the_same_ticks_up_to_where_they_part(seed: int, entries: Journal) -> None:
    untouched, _ = play(BUSY, seed, [])
    touched, _ = play(BUSY, seed, entries)
    same = entries[0][0] // 25_000 if entries else len(untouched)
    assert touched[:same] == untouched[:same]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**40))
def test_numbers_count_every_event_and_causes_come_first(seed: int) -> None:
    from engine.wire import decode

    ticks, simulation = play(BUSY, seed, [])
    number = 0
    for tick in ticks:
        assert tick.first == number + 1
        for event in decode(tick.events):
            number += 1
            assert event.cause < number
            assert tick.tick * 25_000 <= event.at_us < (tick.tick + 1) * 25_000
    assert number == simulation.number


RUN = """
import sys
from tests.engine.rooms import BUSY, play
ticks, simulation = play(BUSY, 7, [])
print(ticks[-1].digest.hex(), simulation.number)
"""


def pythons() -> list[str]:
    """Interpreters of the supported versions that have msgspec."""
    found = [sys.executable]
    for name in ("python3.11", "python3.12", "python3.13"):
        homes = sorted(Path.home().glob(f".pyenv/versions/{name[6:]}.*/bin/{name}"))
        candidates = [shutil.which(name), *map(str, homes)]
        found += [c for c in candidates if c is not None and _has_msgspec(c)]
    return list(dict.fromkeys(found))


def _has_msgspec(python: str) -> bool:
    asked = subprocess.run([python, "-c", "import msgspec, hypothesis"], capture_output=True, cwd="/")
    return asked.returncode == 0


@pytest.mark.parametrize("python", pythons())
def test_any_python_and_any_hash_seed_give_the_same_digest(python: str) -> None:
    said = set()
    for hash_seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        run = subprocess.run([python, "-c", RUN], capture_output=True, text=True, env=environment, cwd=ROOT)
        assert run.returncode == 0, run.stderr
        said.add(run.stdout)
    here, simulation = play(BUSY, 7, [])
    assert said == {f"{here[-1].digest.hex()} {simulation.number}\n"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_scenario_runs_to_its_end(path: Path) -> None:
    scenario = load(path)
    ticks, simulation = play(scenario, scenario.seed, [])
    assert simulation.ended and simulation.world.over == "length"
    assert len(ticks) * 25_000 == scenario.length_us
