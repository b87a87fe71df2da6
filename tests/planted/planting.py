"""Plants a bug into a copy of the engine and asks the detectors; writes and reads the list in README.md.

`python tests/planted/planting.py` writes the list anew, after a bug was added, renewed or taken out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CASES = ROOT / "tests" / "conformance" / "rabbitmq"
LIST = HERE / "README.md"
PATCHES = sorted(HERE.glob("[0-9][0-9]-*.patch"))

NEEDED = ("tests/__init__.py", "tests/engine/__init__.py", "tests/engine/playing.py")
DETECTORS = ("detectors.py", "soundness.py", "varied.toml")
SECONDS_MAX = 120
"""A planted bug that makes the detectors hang is one that cannot stay."""

KINDS = ("cases", "invariants", "replay", "soundness")
LABELS = {
    "recorded case": "cases", "invariant": "invariants", "error": "invariants", "replay": "replay",
    "stricter check": "soundness",
}  # fmt: skip
HEAD = "| bug | what a user would have seen | caught by |\n|---|---|---|\n"
NOT_CAUGHT = "NOT caught"
CASES_NAMED_MAX = 2

Found = dict[str, list[str]]


class NoLongerApplies(Exception):
    """The engine has changed where the bug was planted."""


def plant(patch: Path | None, folder: Path) -> None:
    """A copy of the engine in `folder`, with what the detectors need and with this bug (None: with none)."""
    shutil.copytree(ROOT / "engine", folder / "engine")
    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in DETECTORS:
        shutil.copy(HERE / name, folder / name)
    if patch is None:
        return
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    applied = subprocess.run(
        ["git", "apply", "-C1", str(patch)], cwd=folder, env=environment, capture_output=True, text=True
    )
    if applied.returncode:
        number = patch.name.partition("-")[0]
        raise NoLongerApplies(f"planted bug {number} no longer applies: renew it\n{applied.stderr}")


def detect(folder: Path, sentence: str = "") -> Found:
    """What each detector finds in the engine in `folder`. Storms go on until they end with `sentence`."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONHASHSEED": "0"}
    told = subprocess.run(
        [sys.executable, "detectors.py", str(CASES), *([sentence] if sentence else [])],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX,
    )  # fmt: skip
    if told.returncode:
        raise RuntimeError(f"the detectors do not run:\n{told.stderr}")
    found: Found = json.loads(told.stdout)
    return found


def seen_by_a_user(patch: Path) -> str:
    """The patch's first line."""
    return patch.read_text(encoding="utf-8").partition("\n")[0]


# -- the list -----------------------------------------------------------------------------------------


def caught_by(found: Found) -> str:
    """The list's last column: one finding of each kind; of recorded cases two."""
    told = [f"recorded case `{case}`" for case in found["cases"][:CASES_NAMED_MAX]]
    for sentence in found["invariants"][:1]:
        is_error = sentence.startswith("the run stops")
        told.append(f"{'error' if is_error else 'invariant'} `{sentence}`")
    told += [f"replay `{what}`" for what in found["replay"][:1]]
    if not found["invariants"]:
        told += [f"stricter check `{sentence}`" for sentence in found["soundness"][:1]]
    return "; ".join(told) or NOT_CAUGHT


def row(patch: Path, found: Found) -> str:
    return f"| [{patch.stem}]({patch.name}) | {seen_by_a_user(patch)} | {caught_by(found)} |"


def listed() -> dict[str, tuple[str, Found]]:
    """The list as it stands: bug → (what a user would have seen, what is said to catch it)."""
    rows = re.findall(r"^\| \[([^]]+)\]\([^)]*\) \| (.*?) \| (.*?) \|$", LIST.read_text("utf-8"), re.M)
    claims: dict[str, tuple[str, Found]] = {}
    for name, seen, told in rows:
        claim: Found = {kind: [] for kind in KINDS}
        for label, what in re.findall(r"([a-z][a-z ]*) `([^`]*)`", told):
            claim[LABELS[label.strip()]].append(what)
        claims[name] = (seen, claim)
    return claims


def main() -> None:
    with ThreadPoolExecutor(2) as both:
        rows = list(both.map(_row_of, PATCHES))
    before, _, after = LIST.read_text("utf-8").partition(HEAD)
    rest = "\n".join(line for line in after.splitlines() if not line.startswith("| ["))
    LIST.write_text(before + HEAD + "\n".join(rows) + "\n" + rest + "\n", encoding="utf-8")


def _row_of(patch: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        plant(patch, Path(folder))
        return row(patch, detect(Path(folder)))


if __name__ == "__main__":
    main()
