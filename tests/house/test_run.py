"""`make run`, as a person uses it: one sentence where something is in the way, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import free_port

ROOT = Path(__file__).resolve().parents[2]


def make(folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """`make …` with a data folder of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "MAILROOM"))}
    return subprocess.Popen(
        ["make", *words], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**clean, "MAILROOM_VAR": str(folder), **environment}, start_new_session=True,
    )  # fmt: skip


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def wait_for(port: int, wanted: bool = True, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while answers(port) is not wanted:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def supervisor_of(folder: Path) -> int:
    return int((folder / "run.lock").read_text().rpartition("process ")[2].rstrip(")\n"))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[int, Path, subprocess.Popen[str]]]:
    port = free_port()
    process = make(tmp_path, "run", f"PORT={port}")
    try:
        wait_for(port)
        yield port, tmp_path, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


def test_it_greets_serves_and_stops_when_told(
    running: tuple[int, Path, subprocess.Popen[str]],
) -> None:
    port, folder, process = running
    assert process.stdout is not None
    greeting = process.stdout.readline()
    assert greeting == f"Mailroom runs at http://127.0.0.1:{port}/ (stop it with Ctrl-C).\n"
    os.kill(supervisor_of(folder), signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert not answers(port)


def test_a_second_run_is_told_so_in_one_sentence(
    running: tuple[int, Path, subprocess.Popen[str]],
) -> None:
    port, folder, _ = running
    second = make(folder, "run", f"PORT={free_port()}")
    out, _ = second.communicate(timeout=60)
    assert second.returncode != 0
    said = [line for line in out.splitlines() if not line.startswith("make: ")]
    assert len(said) == 1
    assert said[0].startswith(f"Mailroom is already running here, at http://127.0.0.1:{port}/")
    assert answers(port)


@pytest.mark.parametrize("victim", ["supervisor", "make"])
def test_kill_9_leaves_no_server_behind_and_the_next_run_starts(
    running: tuple[int, Path, subprocess.Popen[str]], victim: str
) -> None:
    port, folder, process = running
    os.kill(process.pid if victim == "make" else supervisor_of(folder), signal.SIGKILL)
    wait_for(port, wanted=False, seconds=15)
    process.communicate(timeout=30)
    again = make(folder, "run", f"PORT={port}")
    try:
        wait_for(port)
    finally:
        os.killpg(again.pid, signal.SIGTERM)
        again.communicate(timeout=30)


def test_a_busy_port_is_said_in_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = make(tmp_path, "run", f"PORT={port}")
        out, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    said = [line for line in out.splitlines() if not line.startswith("make: ")]
    assert len(said) == 1
    assert said[0].startswith(f"Port {port} is taken by another program")


@pytest.mark.parametrize("port", ["", "0", "65536", "http", "80 81", "-1", "8000; echo no"])
def test_a_port_that_is_none_is_said_in_one_sentence(tmp_path: Path, port: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "house", "run", f"--port={port}"],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "MAILROOM_VAR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"PORT must be a number from 1 to 65535, not '{port}'.\n"


def fake_python(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def chosen_python(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(ROOT / "house" / "python.sh")], capture_output=True, text=True,
        env={"PATH": str(folder)},
    )  # fmt: skip


TOO_OLD = 'case "$*" in -V) echo Python 3.9.2;; *) exit 1;; esac'
NO_ENSUREPIP = 'case "$*" in *print*) echo python3.11;; *ensurepip*) exit 1;; esac'


def test_without_any_python_that_is_said(tmp_path: Path) -> None:
    done = chosen_python(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Mailroom needs Python 3.11 or newer, and there is no python3 here.\n"


def test_a_python_that_is_too_old_is_named(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", TOO_OLD)
    done = chosen_python(tmp_path)
    assert done.returncode == 1
    assert done.stderr == "Mailroom needs Python 3.11 or newer, and python3 here is Python 3.9.2.\n"


def test_a_newer_python_under_another_name_is_found(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", TOO_OLD)
    fake_python(tmp_path, "python3.12", "exit 0")
    assert chosen_python(tmp_path).stdout == f"{tmp_path}/python3.12\n"


def test_a_python_without_ensurepip_names_the_one_line_that_helps(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", NO_ENSUREPIP)
    done = chosen_python(tmp_path)
    assert done.returncode == 1
    assert "run 'apt-get install python3.11-venv', then try again." in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_house_needs_nothing_installed() -> None:
    """Its modules run on a bare Python; the site's may not be imported, nor anything from outside."""
    show = "import house.run, house.check, house.tools, house.guard, sys; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, '.'); {show}"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded - set(sys.stdlib_module_names) <= {"house", "__main__", "site"}


def worker_of(folder: Path) -> int | None:
    """The process of the worker that serves this data folder, if one runs."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            settings = (entry / "environ").read_bytes().split(b"\0")
            if b"playground.runs.worker" in words and f"MAILROOM_VAR={folder}".encode() in settings:
                return int(entry.name)
    return None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_worker_is_started_brought_back_and_stopped_with_the_site(
    running: tuple[int, Path, subprocess.Popen[str]],
) -> None:
    port, folder, process = running
    deadline = time.monotonic() + 30
    first = second = worker_of(folder)
    while first is None and time.monotonic() < deadline:
        first = worker_of(folder)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    while second in (first, None) and time.monotonic() < deadline:
        time.sleep(0.05)
        second = worker_of(folder)
    assert second is not None and second != first
    assert answers(port), "the site did without it"
    os.kill(supervisor_of(folder), signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "The worker ended by itself (signal 9) and is started anew.\n" in out
    assert worker_of(folder) is None
