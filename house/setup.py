"""Makes `.venv` and keeps it as the requirements files say. The second time it only compares a stamp."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from house.words import ROOT, Stop, say

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def prepare(*files: str) -> Path:
    """Makes the environment hold what `files` (names under the root) ask for. Returns its Python."""
    with _alone():
        if not _usable():
            _make()
        for file in files:
            _install(file)
    return PYTHON


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One set-up at a time in this folder: a second one waits, and then finds everything done."""
    var = ROOT / "var"
    var.mkdir(exist_ok=True)
    with (var / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another set-up is under way here; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _usable() -> bool:
    """Whether the environment's Python starts and is of the version that runs this script."""
    if not PYTHON.exists():
        return False
    ask = [str(PYTHON), "-c", "import sys, pip; print('%d.%d' % sys.version_info[:2])"]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.strip() == _version()


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _make() -> None:
    say(f"Making the environment .venv with Python {_version()}.")
    if VENV.exists():
        shutil.rmtree(VENV)
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True)
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        if "ensurepip" in made.stdout + made.stderr:
            raise Stop(
                f"This Python cannot make environments: run 'apt-get install python{_version()}-venv', "
                "then try again."
            )
        raise Stop(f"The environment could not be made: {made.stderr.strip() or made.stdout.strip()}")


def _install(file: str) -> None:
    """Installs one requirements file unless its stamp says that exactly this text is installed."""
    wanted = hashlib.sha256((_version() + (ROOT / file).read_text()).encode()).hexdigest()
    stamp = VENV / f".installed-{file}"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"Installing {file} (once).")
    command = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
               "--no-input", "--requirement", file]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        say(done.stdout.strip())
        raise Stop(f"pip could not install {file}: its last words are above; run the command again.")
    stamp.write_text(wanted)
