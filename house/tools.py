"""Programs that some tests need beside Python: where they are, and how they come onto the machine.

Root on Debian installs what is missing; elsewhere it is said, and what needs it is NOT RUN.
"""

from __future__ import annotations

import functools
import glob
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from house.setup import PYTHON
from house.words import ROOT, complain, say


@dataclass(frozen=True)
class Tool:
    """`commands`: names or glob patterns, tried in order; `package`: Debian's."""

    commands: tuple[str, ...]
    package: str


TOOLS = {
    "chromium": Tool(("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"), "chromium"),
    "node": Tool(("node", "nodejs"), "nodejs"),
    "postgresql": Tool(("postgres", "/usr/lib/postgresql/*/bin/postgres"), "postgresql"),
    "redis": Tool(("redis-server",), "redis-server"),
    "rabbitmq": Tool(("rabbitmq-server", "/usr/sbin/rabbitmq-server"), "rabbitmq-server"),
}


def find(name: str) -> str | None:
    """The path of a tool, or None. MAILROOM_CHROMIUM and the like say it outright."""
    told = os.environ.get(f"MAILROOM_{name.upper()}")
    if told:
        return told
    for command in TOOLS[name].commands:
        found = sorted(glob.glob(command)) if command.startswith("/") else [shutil.which(command)]
        if found and found[-1]:
            return found[-1]
    return _playwrights_own() if name == "chromium" else None


def provide(names: Iterable[str]) -> None:
    """Installs what is missing, where that is possible. What it could not get, `find` does not find."""
    missing = [name for name in names if find(name) is None]
    if not missing:
        return
    if _root_on_debian():
        _apt_install([TOOLS[name].package for name in missing])
    if "chromium" in missing and find("chromium") is None:
        say("Asking Playwright for its own Chromium.")
        subprocess.run([str(PYTHON), "-m", "playwright", "install", "chromium"], cwd=ROOT)
        _playwrights_own.cache_clear()


def _root_on_debian() -> bool:
    return os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


def _apt_install(packages: list[str]) -> None:
    say(f"Installing from Debian: {' '.join(packages)}.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", "-q", *command], env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
        if done.returncode:
            complain(done.stdout[-2000:])
            complain(f"'apt-get {' '.join(command)}' failed; what needs it is not run.")
            return


@functools.cache
def _playwrights_own() -> str | None:
    """The browser that `playwright install chromium` has brought, if it has."""
    ask = (
        "from playwright.sync_api import sync_playwright as start\n"
        "with start() as p: print(p.chromium.executable_path)"
    )
    if not PYTHON.exists():
        return None
    answer = subprocess.run([str(PYTHON), "-c", ask], capture_output=True, text=True)
    path = answer.stdout.strip()
    return path if answer.returncode == 0 and path and Path(path).exists() else None
