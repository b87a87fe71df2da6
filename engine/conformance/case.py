"""One recorded case: read it, play it on a model, compare step by step.

A case is a JSON file as conformance/README.md describes it. What a system's actions mean is the
business of its own module here; this one knows files, verdicts and the comparison.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

Step = dict[str, Any]
Observed = dict[str, Any]


class Unknown(Exception):
    """The case asks for something that the runner does not know, or that makes no sense where it stands."""


class Player(Protocol):
    """A model with one client's memory around it."""

    def play(self, step: Step) -> Observed:
        """Do one step and say what a client saw. Raises `Unknown`."""


class System(msgspec.Struct, frozen=True):
    """How the cases of one system are run. `versions` of a case without any are [""]."""

    start: Callable[[dict[str, Any], str], Player]
    alike: Callable[[dict[str, Any], Step, str, Observed, Observed], bool]
    """(case, step, version, expected, got) → whether the observations agree."""


class Verdict(msgspec.Struct, omit_defaults=False):
    """What came of one file. `step` counts from 1; 0 when it passed or never began."""

    name: str
    system: str
    passed: bool
    step: int = 0
    expected: Any = None
    got: Any = None
    version: str = ""
    action: str = ""


def read(path: Path) -> dict[str, Any]:
    """The case in `path`. Raises `Unknown` when it is none."""
    try:
        case = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unknown(f"not readable as a case: {error}") from None
    if not isinstance(case, dict) or not isinstance(case.get("steps"), list):
        raise Unknown("not a case: no list of steps")
    return case


def run(path: Path, systems: dict[str, System]) -> Verdict:
    """Play the case for every version it names; the first difference decides."""
    name, system = path.stem, ""
    try:
        case = read(path)
        name = str(case.get("name", name))
        system = str(case.get("system", ""))
        if system not in systems:
            raise Unknown(f"no model of system {system!r} yet")
        for version in case.get("versions") or [""]:
            verdict = _play(case, name, str(version), systems[system])
            if not verdict.passed:
                return verdict
    except Unknown as unknown:
        return Verdict(name, system, False, got=str(unknown))
    return Verdict(name, system, True)


def _play(case: dict[str, Any], name: str, version: str, system: System) -> Verdict:
    player = system.start(case, version)
    kind = str(case["system"])
    for number, step in enumerate(case["steps"], 1):
        action = str(step.get("do", "")) if isinstance(step, dict) else ""
        expected = step.get("observed", {}) if isinstance(step, dict) else {}
        try:
            if not action:
                raise Unknown("a step without an action")
            got = player.play(step)
        except Unknown as unknown:
            return Verdict(name, kind, False, number, expected, str(unknown), version, action)
        except Exception as error:
            # An argument of a shape that nobody foresaw: the case fails, the run goes on.
            told = f"not understood: {type(error).__name__}: {error}"
            return Verdict(name, kind, False, number, expected, told, version, action)
        if not system.alike(case, step, version, expected, got):
            return Verdict(name, kind, False, number, expected, got, version, action)
    return Verdict(name, kind, True, version=version)


def canonical(value: Any) -> str:
    """A text that is equal for equal JSON values only (true is not 1)."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def arguments(step: Step, allowed: frozenset[str]) -> dict[str, Any]:
    """The step's arguments. Raises `Unknown` for one that the action does not have."""
    given = {name: value for name, value in step.items() if name not in ("do", "observed")}
    strange = sorted(set(given) - allowed)
    if strange:
        raise Unknown(f"{step['do']} has no argument {', '.join(strange)}")
    return given
