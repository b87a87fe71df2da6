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
def test_a_run_restored_from_any_snapshot_goes_on_alike(
    seed: int, entries: Journal, data: st.DataObject
) -> None:
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
from tests.engine.playing import BUSY, play
ticks, simulation = play(BUSY, 7, [])
print(ticks[-1].digest.hex(), simulation.number)
"""


def other_pythons() -> list[str]:
    """Interpreters of the other supported versions that are on this machine."""
    mine = f"python3.{sys.version_info[1]}"
    found = {}
    for name in {"python3.11", "python3.12", "python3.13"} - {mine}:
        homes = sorted(Path.home().glob(f".pyenv/versions/{name[6:]}.*/bin/{name}"))
        candidates = [shutil.which(name), *map(str, homes)]
        works = [c for c in candidates if c and _runs(c)]
        if works:
            found[name] = works[-1]
    return [found[name] for name in sorted(found)]


def _runs(python: str) -> bool:
    return subprocess.run([python, "-c", "import ensurepip"], capture_output=True, cwd="/").returncode == 0


def with_msgspec(python: str) -> str:
    """An environment of this interpreter with the pinned msgspec, made once."""
    version = subprocess.run([python, "-V"], capture_output=True, text=True).stdout.split()[1]
    home = ROOT / ".cache" / f"python-{version}"
    ready = home / "bin" / "python"
    pin = next(
        line for line in (ROOT / "requirements.txt").read_text().splitlines() if line.startswith("msgspec")
    )
    if (
        subprocess.run([ready, "-c", "import msgspec"], capture_output=True, cwd="/").returncode
        if ready.exists()
        else 1
    ):
        subprocess.run([python, "-m", "venv", "--clear", home], check=True, capture_output=True)
        subprocess.run([ready, "-m", "pip", "install", "-q", pin.split()[0]], check=True, capture_output=True)
    return str(ready)


def digests_said_by(python: str) -> set[str]:
    said = set()
    for hash_seed in ("0", "1", "4711"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        run = subprocess.run([python, "-c", RUN], capture_output=True, text=True, env=environment, cwd=ROOT)
        assert run.returncode == 0, run.stderr
        said.add(run.stdout)
    return said


def test_two_processes_give_the_same_digest_under_any_hash_seed() -> None:
    here, simulation = play(BUSY, 7, [])
    assert digests_said_by(sys.executable) == {f"{here[-1].digest.hex()} {simulation.number}\n"}


@pytest.mark.parametrize("python", other_pythons(), ids=lambda path: Path(path).name)
def test_other_pythons_give_the_same_digest(python: str) -> None:
    here, simulation = play(BUSY, 7, [])
    assert digests_said_by(with_msgspec(python)) == {f"{here[-1].digest.hex()} {simulation.number}\n"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_scenario_runs_to_its_end(path: Path) -> None:
    scenario = load(path)
    ticks, simulation = play(scenario, scenario.seed, [])
    assert simulation.ended and simulation.world.over == "length"
    assert len(ticks) * 25_000 == scenario.length_us
