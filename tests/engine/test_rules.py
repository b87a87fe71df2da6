"""RULES goes up whenever a shipped scenario runs differently: the digests are held here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from engine import RULES
from engine.scenario import load
from tests.engine.playing import SHIPPED, play

HELD = Path(__file__).with_name("digests.json")


def digest_of(path: Path) -> str:
    scenario = load(path)
    ticks, _ = play(scenario, scenario.seed, [])
    return ticks[-1].digest.hex()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_scenario_keeps_its_digest_under_the_same_rules(path: Path) -> None:
    """When this fails and the change is meant: raise `engine.RULES`, then run this file."""
    held = json.loads(HELD.read_text())
    assert held["rules"] == RULES, "run `python -m tests.engine.test_rules` after raising RULES"
    assert held["digests"].get(path.stem) == digest_of(path)


def test_no_digest_is_held_of_a_scenario_that_is_gone() -> None:
    assert set(json.loads(HELD.read_text())["digests"]) == {path.stem for path in SHIPPED}


if __name__ == "__main__":
    old = json.loads(HELD.read_text())
    digests = {path.stem: digest_of(path) for path in SHIPPED}
    changed = {stem for stem, digest in old.get("digests", {}).items() if digests.get(stem, digest) != digest}
    if changed and old.get("rules") == RULES:
        sys.exit(f"{', '.join(sorted(changed))} run differently: raise engine.RULES first")
    HELD.write_text(json.dumps({"rules": RULES, "digests": digests}, indent=1) + "\n")
