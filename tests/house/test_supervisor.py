"""The supervisor: its programs live together, stop together, and none outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import sys
from house.supervise import Program, Supervisor
folder = sys.argv[1]
child = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(float(sys.argv[2]))"
grandchild = (
    "import os, subprocess, sys, time;"
    "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "open(sys.argv[1], 'w').write(f'{os.getpid()} {p.pid}'); time.sleep(600)"
)
programs = [
    Program("first", (sys.executable, "-c", child, folder + "/first", sys.argv[2]), {}),
    Program("second", (sys.executable, "-c", grandchild, folder + "/second"), {}),
]
sys.exit(Supervisor(programs, lambda: True, "both run").run())
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(what: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class Running:
    """A supervisor with two programs; the second has a child of its own."""

    def __init__(self, folder: Path, first_lives_s: float, **environment: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder), str(first_lives_s)], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**{k: v for k, v in os.environ.items() if k != "MAKELEVEL"}, **environment},
        )  # fmt: skip
        self.pids: list[int] = []
        wait_until(self._written)

    def _written(self) -> bool:
        texts = [(self.folder / name) for name in ("first", "second")]
        if not all(path.exists() and path.read_text() for path in texts):
            return False
        self.pids = [int(word) for path in texts for word in path.read_text().split()]
        return len(self.pids) == 3

    def none_left(self) -> bool:
        return not any(alive(pid) for pid in self.pids)

    def clean(self) -> None:
        for pid in [self.process.pid, *self.pids]:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(first_lives_s: float = 600, **environment: str) -> Running:
        started.append(Running(tmp_path, first_lives_s, **environment))
        return started[-1]

    yield start
    for running in started:
        running.clean()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_everything_and_that_is_no_failure(
    start: Callable[..., Running], number: signal.Signals
) -> None:
    running = start()
    running.process.send_signal(number)
    assert running.process.wait(15) == 0
    assert running.none_left()


def test_when_one_program_ends_by_itself_the_others_are_stopped_and_it_is_said(
    start: Callable[..., Running],
) -> None:
    running = start(first_lives_s=0.5)
    out, _ = running.process.communicate(timeout=15)
    assert running.process.returncode == 1
    assert "The first ended by itself (exit status 0), so everything else is stopped too." in out
    assert running.none_left()


def test_kill_9_of_the_supervisor_leaves_no_orphan_not_even_a_grandchild(
    start: Callable[..., Running],
) -> None:
    running = start()
    running.process.kill()
    wait_until(running.none_left)


def test_the_pipe_alone_holds_where_the_kernel_offers_no_death_signal(
    start: Callable[..., Running],
) -> None:
    running = start(MAILROOM_NO_PDEATHSIG="1")
    running.process.kill()
    wait_until(running.none_left)


def test_the_supervisor_stops_when_make_is_killed(tmp_path: Path) -> None:
    """make is the supervisor's parent; ended with -9 it cannot pass anything on."""
    make = "import subprocess, sys; subprocess.run([sys.executable, *sys.argv[1:]])"
    parent = subprocess.Popen(
        [sys.executable, "-c", make, "-c", SCRIPT, str(tmp_path), "600"],
        cwd=ROOT, env={**os.environ, "MAKELEVEL": "1"}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    files = [tmp_path / "first", tmp_path / "second"]
    wait_until(lambda: all(path.exists() and path.read_text() for path in files))
    pids = [int(word) for path in files for word in path.read_text().split()]
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(alive(pid) for pid in pids), 15)


RETURNING = """
import sys
from house.supervise import Program, Supervisor
child = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()} '); time.sleep(float(sys.argv[2]))"
programs = [
    Program("site", (sys.executable, "-c", child, sys.argv[1] + "/site", "600"), {}),
    Program("worker", (sys.executable, "-c", child, sys.argv[1] + "/worker", sys.argv[2]), {}, comes_back=True),
]
sys.exit(Supervisor(programs, lambda: True, "both run").run())
"""


def returning(folder: Path, worker_lives_s: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RETURNING, str(folder), str(worker_lives_s)], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={k: v for k, v in os.environ.items() if k != "MAKELEVEL"},
    )  # fmt: skip


def test_a_program_that_may_come_back_is_started_anew_and_the_site_stays(tmp_path: Path) -> None:
    process = returning(tmp_path, 600)

    def pids(name: str) -> list[int]:
        path = tmp_path / name
        return [int(word) for word in path.read_text().split()] if path.exists() else []

    wait_until(lambda: len(pids("site")) == len(pids("worker")) == 1)
    os.kill(pids("worker")[0], signal.SIGKILL)
    wait_until(lambda: len(pids("worker")) == 2)
    assert alive(pids("site")[0])
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "The worker ended by itself (signal 9) and is started anew.\n" in out
    assert not any(alive(pid) for pid in pids("site") + pids("worker"))


def test_a_program_that_ends_again_and_again_stops_everything(tmp_path: Path) -> None:
    process = returning(tmp_path, 0)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert out.count("The worker ended by itself (exit status 0) and is started anew.") == 5
    assert out.endswith("The worker ended by itself (exit status 0), so everything else is stopped too.\n")
    assert not any(alive(int(pid)) for pid in (tmp_path / "site").read_text().split())
