"""`make test`: every check by its name, all of them even when one has failed; at the end what was not run."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from house.setup import PYTHON
from house.tools import TOOLS, find, provide
from house.words import ROOT, Stop, say

RECORDINGS = Path("tests/conformance")
NO_TESTS = 5
"""pytest's exit status when it found nothing to run."""


@dataclass(frozen=True)
class Check:
    """One named check. `command` is run by the environment's Python; `where` must exist for it to apply."""

    name: str
    command: tuple[str, ...]
    where: str = "."


LOOSE = (
    "arg-type", "assignment", "attr-defined", "call-overload", "func-returns-value", "misc", "operator",
    "override", "return-value", "union-attr", "var-annotated",
)  # fmt: skip
"""What mypy says of code that lives with Django's and Twisted's dynamic attributes, and of tests that build
events of all kinds. What is left are names that do not exist and calls that lack an argument."""

CALLS_ONLY = (
    "--ignore-missing-imports",
    "--explicit-package-bases",
    *(f"--disable-error-code={c}" for c in LOOSE),
)

CHECKS = (
    Check("ruff", ("-m", "ruff", "check", ".")),
    Check("ruff-format", ("-m", "ruff", "format", "--check", ".")),
    Check("mypy", ("-m", "mypy", "--strict", "engine"), "engine"),
    Check("mypy-calls", ("-m", "mypy", *CALLS_ONLY, "playground", "lessons", "house", "bench", "tests")),
    Check("import-linter", ("-c", "from importlinter.cli import lint_imports_command as c; c()")),
    Check("django", ("manage.py", "check", "--fail-level", "WARNING"), "manage.py"),
    Check("migrations", ("manage.py", "makemigrations", "--check", "--dry-run"), "manage.py"),
    Check("conformance", ("-m", "engine", "conformance", str(RECORDINGS)), str(RECORDINGS)),
    Check("playwright", ("-m", "pytest", "--durations=25", "tests/browser"), "tests/browser"),
    Check(
        "pytest", ("-m", "pytest", "-n", "2", "--durations=25", "--ignore=tests/browser", "tests"), "tests"
    ),
)
"""pytest (with hypothesis) comes last, so that its summary stands at the end of what is printed.
The browser's tests run one at a time: they look at the clock, and two would take it from each other."""


def check(only: list[str]) -> int:
    """Runs the checks named in `only` (none: all). Returns 0 when all passed and, if required, all ran."""
    chosen = [one for one in CHECKS if not only or one.name in only]
    if not chosen:
        raise Stop(f"No such check; there are: {', '.join(one.name for one in CHECKS)}.")
    provide(sorted(_needed()))
    not_run_file = ROOT / "var" / "not-run.txt"
    not_run_file.unlink(missing_ok=True)
    environment = {**os.environ, **_found(), "MAILROOM_NOT_RUN_FILE": str(not_run_file)}
    results = [(one, _run(one, environment)) for one in chosen]
    not_run = not_run_file.read_text().splitlines() if not_run_file.exists() else []
    not_run += [f"{one.name}: there is no {one.where} yet" for one, passed in results if passed is None]
    return _report(results, not_run)


def _needed() -> set[str]:
    """The tools that tests ask for with `needs("…")`."""
    asked: set[str] = set()
    for path in (ROOT / "tests").rglob("*.py"):
        asked.update(re.findall(r"\bneeds\(\s*[\"'](\w+)[\"']", path.read_text(encoding="utf-8")))
    return asked & set(TOOLS)


def _found() -> dict[str, str]:
    """Where the tools are, told to the tests so that each process need not search again."""
    paths: Iterator[tuple[str, str | None]] = ((name, find(name)) for name in TOOLS)
    return {f"MAILROOM_{name.upper()}": path for name, path in paths if path}


def _run(one: Check, environment: dict[str, str]) -> bool | None:
    """Whether the check passed; None when there is nothing it applies to."""
    if not (ROOT / one.where).exists():
        return None
    say(f"\n== {one.name}: python {' '.join(word for word in one.command if chr(10) not in word)}")
    started = time.monotonic()
    status = subprocess.run([str(PYTHON), *one.command], cwd=ROOT, env=environment).returncode
    outcome = "passed" if status == 0 else f"FAILED ({status})"
    say(f"-- {one.name}: {outcome} in {time.monotonic() - started:.1f} s")
    return status == 0


def _report(results: list[tuple[Check, bool | None]], not_run: list[str]) -> int:
    failed = [one.name for one, passed in results if passed is False]
    say("")
    for line in not_run:
        say(f"NOT RUN  {line}")
    required = os.environ.get("MAILROOM_REQUIRE_ALL") == "1"
    if required and not_run:
        failed.append("everything must run here (MAILROOM_REQUIRE_ALL=1), and something was NOT RUN")
    for name in failed:
        say(f"FAILED   {name}")
    passed = sum(1 for _, ok in results if ok)
    say(f"Checks: {passed} passed, {len(failed)} failed, {sum(1 for _, ok in results if ok is None)} skipped")
    return 1 if failed else 0
