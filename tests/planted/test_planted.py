"""Bugs that a developer could really make, each planted into a copy of the engine: they are found.

The list in README.md says by what. A detector that finds something in the engine as it is cries
always, and one that the list does not name for a bug must be quiet about it: the list cannot lie.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.planted.planting import (
    KINDS,
    LIST,
    PATCHES,
    Found,
    NoLongerApplies,
    detect,
    listed,
    plant,
    seen_by_a_user,
)

RENEW = "the list is behind: python tests/planted/planting.py"
CLAIMS = listed()


def is_caught(claim: Found) -> bool:
    return any(claim[kind] for kind in KINDS)


def test_in_the_engine_as_it_is_every_detector_is_quiet(tmp_path: Path) -> None:
    # Given no planted bug
    plant(None, tmp_path)
    # Then nobody finds anything
    assert detect(tmp_path) == {kind: [] for kind in KINDS}


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_planted_bug_is_found_by_what_the_list_says_and_by_nothing_else(
    patch: Path, tmp_path: Path
) -> None:
    # Given a copy of the engine with this bug
    _, claim = CLAIMS[patch.stem]
    try:
        plant(patch, tmp_path)
    except NoLongerApplies as error:
        pytest.fail(str(error), pytrace=False)
    # When all detectors look
    found = detect(tmp_path, "".join(claim["invariants"]))
    # Then each finds what the list says, or is quiet where the list names nothing
    if found["invariants"]:
        found["soundness"] = []  # which is named only where the engine's own invariants see nothing
    for kind in KINDS:
        assert set(claim[kind]) <= set(found[kind]), f"{kind}: {RENEW}"
        assert bool(claim[kind]) == bool(found[kind]), f"{kind}: {RENEW}"


def test_the_list_names_every_planted_bug_and_says_what_a_user_would_have_seen() -> None:
    assert {name: seen for name, (seen, _) in CLAIMS.items()} == {p.stem: seen_by_a_user(p) for p in PATCHES}


def test_at_least_eighteen_of_twenty_planted_bugs_are_found() -> None:
    caught = [name for name, (_, claim) in CLAIMS.items() if is_caught(claim)]
    assert len(PATCHES) >= 22
    assert len(caught) * 20 >= len(PATCHES) * 18


def test_of_every_bug_that_is_not_found_the_list_says_why() -> None:
    missed = [name for name, (_, claim) in CLAIMS.items() if not is_caught(claim)]
    assert re.findall(r"^- `([^`]+)`: ", LIST.read_text("utf-8"), re.M) == missed


def test_bugs_are_planted_outside_the_broker_too_and_some_that_no_recording_can_show() -> None:
    outside = [p for p in PATCHES if "+++ b/engine/rabbitmq/" not in p.read_text("utf-8")]
    unrecorded = [name for name, (_, claim) in CLAIMS.items() if is_caught(claim) and not claim["cases"]]
    assert len(outside) >= 6
    assert len(unrecorded) >= 6
