"""Whether a server's memory stays flat: an hour of rooms at 100 messages a second, in runs of ten minutes.

`python bench/memory.py [--json] [--runs N]`. In this process stands what stands in a server's: the hub, the
journal in a database (SQLite, in a folder of its own), one room a run with three viewers, of whom one never
acknowledges. Only the clock is moved by hand, so that ten minutes take seconds. After each run the room is
left for longer than rooms that nobody watches are kept, and what is alive is measured.

The bound is on the slope of the later runs (least squares, by the run): the first two fill what is kept on
purpose (recordings, compiled queries, the allocator's arenas).
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sys
import tempfile
import tracemalloc
from pathlib import Path
from statistics import linear_regression

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
BUSY = """
format = 1
title = "100 messages a second"
length = "600s"
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
arrivals = { poisson = "100/s" }
keys = ["ana", "ben", "cho"]
""" + "".join(f"""
[[consumer]]
name = "worker {n}"
system = "broker"
from = {{ queue = "orders" }}
prefetch = 10
work = {{ exponential = "20ms" }}
effect = {{ name = "charge" }}
""" for n in (1, 2, 3))  # fmt: skip

RUN_S = 600
WARM_RUNS = 2
RSS_KB_A_RUN_MAX = 1024
"""A megabyte each ten minutes: the allocator's noise, and 50 MB after a working day."""
TRACED_KB_A_RUN_MAX = 64
"""What Python itself holds has no noise: this is a handful of forgotten entries."""


def main() -> None:
    runs = int(sys.argv[sys.argv.index("--runs") + 1]) if "--runs" in sys.argv else 6
    if runs < WARM_RUNS + 2:
        raise SystemExit(f"a slope needs at least {WARM_RUNS + 2} runs")
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        scenarios = Path(folder) / "scenarios"
        shutil.copytree(ROOT / "lessons" / "scenarios", scenarios)  # lessons speak of them
        (scenarios / "busy.toml").write_text(BUSY)
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "playground.settings", "MAILROOM_VAR": folder,
            "MAILROOM_SCENARIOS": str(scenarios),
        }  # fmt: skip
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", interactive=False, verbosity=0)
        report(asyncio.run(measure(runs)))


def report(points: list[tuple[float, float, int]]) -> None:
    """`points`: by run, (RSS in KB, what Python has allocated in KB, objects alive)."""
    from bench.figures import Figure, Goal, show

    later = points[WARM_RUNS:]
    at = list(range(len(later)))
    rss, traced, alive = ([float(point[n]) for point in later] for n in range(3))
    show([
        *(Figure(f"RSS after run {n + 1}", point[0] / 1024, "MB") for n, point in enumerate(points)),
        Figure("RSS, slope of the later runs", linear_regression(at, rss).slope, "KB/run",
               Goal(at_most=RSS_KB_A_RUN_MAX)),
        Figure("allocated by Python after the last run", traced[-1] / 1024, "MB"),
        Figure("allocated by Python, slope of the later runs", linear_regression(at, traced).slope, "KB/run",
               Goal(at_most=TRACED_KB_A_RUN_MAX)),
        Figure("objects alive, slope of the later runs", linear_regression(at, alive).slope, "/run"),
    ])  # fmt: skip


class Clock:
    """A wall clock and a steady one that go when they are told to."""

    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def __call__(self) -> int:
        return self.us


async def measure(runs: int) -> list[tuple[float, float, int]]:
    from playground.rooms import hub as hubs
    from playground.rooms.database import DatabaseJournal

    clock = Clock()
    journal = DatabaseJournal(clock, clock)
    hub = hubs.Hub(journal, clock, steady=clock)
    hub.driven = False
    points = []
    tracemalloc.start()
    for run in range(runs):
        await one_run(hub, clock, run)
        gc.collect()
        points.append((resident_kb(), tracemalloc.get_traced_memory()[0] / 1024, len(gc.get_objects())))
        print(f"run {run + 1}: {points[-1]}", file=sys.stderr)
    await hub.close()
    return points


async def one_run(hub, clock: Clock, run: int) -> None:  # type: ignore[no-untyped-def]
    """Ten minutes of a room: batches of 100 ms, a crash and a restart now and then."""
    from engine import RULES
    from lessons.scenarios import library
    from playground.rooms.hub import REST_US
    from playground.rooms.journal import Asked, NewRoom
    from playground.rooms.limits import BATCH_US
    from playground.rooms.mailbox import Viewer
    from playground.rooms.wire import Said, Watch

    scenario = library()["busy"].scenario
    new = NewRoom("busy", scenario.seed, RULES, "owner", scenario.length_us, 0, 1000)
    facts, _ = await hub.journal.open(new, Asked("owner", f"open {run}"), None)
    viewers = [Viewer("owner", "owner"), Viewer("viewer", "reads"), Viewer("viewer", "does not")]
    for viewer in viewers:
        room = await hub.join(facts.code, viewer)
        viewer.wish = Watch(v=1, epoch=0, tick=0)
    for batch in range(RUN_S * 10):
        clock.us += BATCH_US
        await hub.batch()
        for viewer in viewers[:2]:
            viewer.mailbox.waiting.clear()
            viewer.unseen.clear()
        viewers[2].mailbox.waiting.clear()
        if batch % 300 == 100:
            cmd = ("CrashConsumer", "RestartConsumer")[batch // 300 % 2]
            await hub.command(
                room, viewers[0], Said(v=1, id=f"{batch}", cmd=cmd, args={"consumer": "worker 1"})
            )
    assert room.replica.closed >= RUN_S * 40 - 40, "the room has come to its end"
    for viewer in viewers:
        hub.leave(room, viewer)
    clock.us += REST_US
    await hub.batch()
    assert facts.code not in hub.rooms


def resident_kb() -> float:
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmRSS:")[2].split()[0])


if __name__ == "__main__":
    main()
