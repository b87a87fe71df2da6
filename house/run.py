"""`make run`: set up, make sure that nobody else is running here, bring the database up to date, start."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from house.setup import prepare
from house.supervise import Program, Supervisor
from house.words import ROOT, Stop

SERVED = {"PYTHONUNBUFFERED": "1", "MAILROOM_STATIC": "collected"}
"""Browsers get files with their digest in the name, compressed and cached for ever."""

EVERYWHERE = ("0.0.0.0", "")  # noqa: S104
"""Addresses that mean all of this machine's; a browser needs one that means this machine."""

PREPARATIONS = {
    "Bringing the database up to date": ("migrate", "--no-input", "--verbosity", "0"),
    "Collecting the files for browsers": (
        "collectstatic",
        "--no-input",
        "--clear",
        "--verbosity",
        "0",
    ),
}


def run(host: str, port_text: str) -> int:
    """Returns when the site has been stopped: 0 when it was told to, 1 when something ended by itself."""
    port = _port(port_text)
    python = str(prepare("requirements.txt"))
    with _only_one(host, port):
        _free(host, port)
        _prepare_site(python)
        command = (python, "-m", "playground.serve", "--host", host, "--port", str(port))
        web = Program("web server", command, SERVED)
        worker = Program("worker", (python, "-m", "playground.runs.worker"), SERVED, comes_back=True)
        greeting = f"Mailroom runs at http://{_shown(host)}:{port}/ (stop it with Ctrl-C)."
        return Supervisor([web, worker], lambda: _answers(host, port), greeting).run()


def var() -> Path:
    """The folder for everything that running leaves behind. MAILROOM_VAR moves it."""
    return Path(os.environ.get("MAILROOM_VAR") or ROOT / "var")


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:
        return int(text)
    raise Stop(f"PORT must be a number from 1 to 65535, not '{text}'.")


@contextlib.contextmanager
def _only_one(host: str, port: int) -> Iterator[None]:
    """Two sites on one data folder would each believe they own it, so the second one is sent away."""
    var().mkdir(parents=True, exist_ok=True)
    with (var() / "run.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            where = lock.read().strip() or "another address"
            raise Stop(f"Mailroom is already running here, at {where}: stop that one first.") from None
        lock.truncate(0)
        lock.write(f"http://{_shown(host)}:{port}/ (process {os.getpid()})\n")
        lock.flush()
        yield
        lock.truncate(0)


def _free(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port)):
            pass
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Stop(f"Port {port} is taken by another program: choose another, as in "
                       f"'make run PORT={port + 1 if port < 65535 else port - 1}'.") from None  # fmt: skip
        if error.errno == errno.EACCES:
            raise Stop(f"You may not open port {port} here: choose one from 1024 on.") from None
        raise Stop(f"The address {host} port {port} cannot be opened: {error.strerror or error}.") from None


def _prepare_site(python: str) -> None:
    """Brings the database up to date and collects the files for browsers."""
    for what, words in PREPARATIONS.items():
        done = subprocess.run([python, "manage.py", *words], cwd=ROOT, env={**os.environ, **SERVED})
        if done.returncode:
            raise Stop(f"{what} failed: what is above says why.")


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((_shown(host), port), timeout=0.5):
            return True
    except OSError:
        return False


def _shown(host: str) -> str:
    """An address that a browser on this machine can use."""
    return "127.0.0.1" if host in EVERYWHERE else host
