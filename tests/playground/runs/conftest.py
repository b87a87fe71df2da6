"""What the tests of mass runs share: a data folder with its tables, and workers in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[3]

BEGIN = """
import sys, json, django
django.setup()
from playground.runs import jobs
print(jobs.begin(jobs.Wish(**json.loads(sys.argv[1])), "somebody").code)
"""


def wait_until(what: Callable[[], bool], seconds: float, why: str | Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, why if isinstance(why, str) else why()
        time.sleep(0.02)


class House:
    """A data folder and the workers that serve it. `ask` reads the database as no worker does."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("MAILROOM_")},
            "DJANGO_SETTINGS_MODULE": "playground.settings", "MAILROOM_VAR": str(folder), **environment,
        }  # fmt: skip
        self.workers: list[subprocess.Popen[bytes]] = []
        self.python("manage.py", "migrate", "--no-input", "--verbosity", "0")

    def python(self, *words: str) -> str:
        return subprocess.run(
            [sys.executable, *words], cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True
        ).stdout  # fmt: skip

    def begin(self, **wish: Any) -> str:
        return self.python("-c", BEGIN, json.dumps({"slug": "work-queue", "seed": 1, **wish})).strip()

    def start_worker(self) -> subprocess.Popen[bytes]:
        with (self.folder / f"worker{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "playground.runs.worker"], cwd=ROOT, env=self.environment,
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.workers.append(worker)
        return worker

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        where = self.environment.get("MAILROOM_DATABASE", "")
        connection = (
            psycopg.connect(where) if where else sqlite3.connect(self.folder / "mailroom.sqlite3", timeout=10)
        )
        try:
            return connection.execute(question).fetchall()
        finally:
            connection.close()

    def number(self, question: str) -> int:
        return int(self.ask(question)[0][0])

    def results(self) -> int:
        return self.number("select count(*) from runs_result")

    def state(self) -> str:
        return str(self.ask("select state from runs_job order by id desc")[0][0])

    def said(self) -> str:
        """What the workers wrote, and which of them have ended."""
        return "".join(
            f"\nworker {n}, {worker.poll()}: {(self.folder / f'worker{n}.log').read_text()}"
            for n, worker in enumerate(self.workers)
        )

    def leased(self) -> bool:
        """Whether some worker is in the middle of a task."""
        return self.number("select count(*) from runs_portion where worker <> '' and not done") > 0

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
            worker.wait()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House(tmp_path)
    yield opened
    opened.close()
