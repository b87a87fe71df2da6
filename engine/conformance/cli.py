"""`python -m engine conformance [--json] PATH...`: run recorded cases against the models.

Prints each failing case with its first differing step, then "N passed, M failed". With --json one
object a case goes to the output and the last line to the error output. 0 only when nothing failed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec

from engine.conformance import kafka, rabbitmq
from engine.conformance.case import System, Verdict, run

SYSTEMS: dict[str, System] = {"rabbitmq": rabbitmq.SYSTEM, "kafka": kafka.SYSTEM}


def main(argv: list[str]) -> int:
    """Returns the exit status: 0 all passed, 1 something failed, 2 the call's words are off."""
    as_json = "--json" in argv
    paths = [Path(word) for word in argv if word != "--json"]
    if not paths or any(str(path).startswith("-") for path in paths):
        print("usage: python -m engine conformance [--json] PATH...", file=sys.stderr)
        return 2
    passed = failed = 0
    for path in files(paths):
        verdict = run(path, SYSTEMS)
        passed, failed = passed + verdict.passed, failed + (not verdict.passed)
        if as_json:
            print(json.dumps(msgspec.to_builtins(verdict), ensure_ascii=False))
        elif not verdict.passed:
            print(told(verdict))
    print(f"{passed} passed, {failed} failed", file=sys.stderr if as_json else sys.stdout)
    return 0 if not failed else 1


def files(paths: list[Path]) -> list[Path]:
    """The case files that the paths name: a folder stands for all *.json below it, by name.

    A path that does not exist stays in the list, so that it fails and is seen.
    """
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*.json")) if path.is_dir() else [path]
    return found


def told(verdict: Verdict) -> str:
    """A failing case in a few lines."""
    version = f" ({verdict.version})" if verdict.version else ""
    where = f"step {verdict.step}, {verdict.action}" if verdict.step else "not run"
    return (
        f"FAILED {verdict.system} {verdict.name}{version}: {where}\n"
        f"  expected {json.dumps(verdict.expected, ensure_ascii=False, sort_keys=True)}\n"
        f"  got      {json.dumps(verdict.got, ensure_ascii=False, sort_keys=True)}"
    )
