"""`python -m engine`: what scripts hold on to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from engine.ledger import PLACES, TALLIES

ROOT = Path(__file__).parents[2]
FAN_OUT = "lessons/scenarios/fan-out.toml"


def engine(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "engine", *words], capture_output=True, text=True, cwd=ROOT)


def test_run_prints_one_event_a_line_and_the_ledger_and_digest_last() -> None:
    said = engine("run", FAN_OUT, "--seed", "3", "--until", "20s", "--json")
    assert said.returncode == 0 and said.stderr == ""
    *events, last = [json.loads(line) for line in said.stdout.splitlines()]
    assert set(last) == {"ledger", "digest"}
    assert set(last["ledger"]) == {"sent", "owed", *PLACES[1:], *TALLIES}
    assert len(bytes.fromhex(last["digest"])) == 16
    assert events[0]["event"] == "NodeAdded" and all("at_us" in e and "cause" in e for e in events)
    assert max(e["at_us"] for e in events) < 20_000_000


def test_the_seed_decides_the_digest_and_nothing_else_does() -> None:
    one, again, other = (engine("run", FAN_OUT, "--seed", s, "--json").stdout for s in ("3", "3", "4"))
    assert one == again != other


def test_a_wrong_scenario_or_a_wrong_word_is_said_in_a_sentence(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('format = 1\ntitle = "x"\n')
    for words, status, text in (
        (["run", str(wrong)], 1, "system: expected a value, got none"),
        (["run", str(tmp_path / "none.toml")], 1, "No such file or directory"),
        (["run", FAN_OUT, "--seed", "x"], 2, "--seed: expected a whole number, got 'x'"),
        (["run", FAN_OUT, "--until", "soon"], 2, "expected a duration such as"),
        (["run"], 2, "which scenario?"),
        (["fly"], 2, "usage:"),
    ):
        said = engine(*words)
        assert said.returncode == status and text in said.stderr, said.stderr
        assert "Traceback" not in said.stderr
