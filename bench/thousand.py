"""A thousand runs of a 60 s scenario at 20 messages a second, through Celery: how long does one core need?

`python bench/thousand.py [--json] [--runs N]`. The whole way is measured: a job's rows, the bell (the default
transport), one worker process, its tasks, the results in SQLite. CPU seconds are the worker's own, so that a
busy machine does not count; beside them stand those of the bare runs, without database and Celery.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.figures import Figure, Goal, cpu_seconds, show  # noqa: E402
from engine.outcomes import Past  # noqa: E402
from engine.scenario import load  # noqa: E402

SCENARIO = """
format = 1
title = "20 messages a second"
length = "60s"
kinds = ["ana", "ben", "cho"]
[[system]]
name = "broker"
kind = "rabbitmq"
link = "1ms"
queues = [{ name = "orders" }]
[[producer]]
name = "shop"
system = "broker"
to = { queue = "orders" }
arrivals = { poisson = "20/s" }
keys = ["ana", "ben", "cho"]
""" + "".join(f"""
[[consumer]]
name = "worker {n}"
system = "broker"
from = {{ queue = "orders" }}
prefetch = 1
work = {{ exponential = "100ms" }}
effect = {{ name = "charge" }}
""" for n in (1, 2, 3))  # fmt: skip

BEGIN = """
import sys, django
django.setup()
from playground.runs.jobs import Wish, begin
begin(Wish("steady", 1, count=int(sys.argv[1])), "bench")
"""


def main() -> None:
    runs = int(sys.argv[sys.argv.index("--runs") + 1]) if "--runs" in sys.argv else 1_000
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        scenario = Path(folder) / "scenarios" / "steady.toml"
        shutil.copytree(ROOT / "lessons" / "scenarios", scenario.parent)  # lessons speak of them
        scenario.write_text(SCENARIO)
        worker_s, wall_s = through_celery(Path(folder), runs)
        some = max(1, runs // 10)
        bare_s = cpu_seconds(lambda: bare(scenario, some)) * runs / some
    scale = 1_000 / runs
    show([
        Figure("1,000 runs of 60 s at 20 msg/s, through Celery", worker_s * scale, "CPU s", Goal(at_most=60)),
        Figure("the same by the clock, one worker", wall_s * scale, "s"),
        Figure("the same runs alone, without database and Celery", bare_s * scale, "CPU s"),
        Figure("what database and Celery add", worker_s / bare_s, "×"),
    ])  # fmt: skip


def through_celery(folder: Path, runs: int) -> tuple[float, float]:
    """CPU seconds of the worker, its start included, and seconds by the clock up to the last result."""
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "playground.settings", "MAILROOM_VAR": str(folder),
        "MAILROOM_SCENARIOS": str(folder / "scenarios"), "MAILROOM_LESSONS": str(folder / "lessons"),
    }  # fmt: skip

    def python(*words: str) -> None:
        subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, check=True)

    python("manage.py", "migrate", "--no-input", "--verbosity", "0")
    python("-c", BEGIN, str(runs))
    begun, asking = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    worker = subprocess.Popen([sys.executable, "-m", "playground.runs.worker"], cwd=ROOT, env=environment)
    while left(folder):
        if worker.poll() is not None:
            raise SystemExit("the worker ended by itself")
        time.sleep(0.1)
    wall_s = time.monotonic() - begun
    worker.send_signal(signal.SIGTERM)
    worker.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - asking.ru_utime - asking.ru_stime, wall_s


def left(folder: Path) -> bool:
    connection = sqlite3.connect(folder / "mailroom.sqlite3", timeout=10)
    try:
        ((state, problem),) = connection.execute("select state, problem from runs_job").fetchall()
    finally:
        connection.close()
    if state == "failed":
        raise SystemExit(problem)
    return bool(state == "running")


def bare(scenario: Path, runs: int) -> None:
    past = Past(load(scenario), 1, [], 0)
    for seed in range(1, runs + 1):
        run = past.future(seed)
        while not run.work():
            pass
        run.outcome()


if __name__ == "__main__":
    main()
