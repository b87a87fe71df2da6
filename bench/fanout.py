"""What it costs to show one room to hundreds, and how late it comes.

`python bench/fanout.py [--json] [--costs | --late]`

*CPU per delivered frame*: the server's process (`/proc/<pid>/stat`), with a room that runs, over the frames
that arrived in the same seconds; beside it `websockets.broadcast` in a process that does nothing else, with
the same bytes, as often, to as many. Ours pays for the simulation, the journal and the acknowledgements too;
what the room costs when one viewer watches it stands beside.

*How late*: 500 viewers on Daphne while the owner clicks. A frame's lateness is counted from the first moment
at which the room's clock lets its last tick out; a click's from the click to the screen that shows it last.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.figures import Figure, Goal, show  # noqa: E402
from playground.rooms.limits import BATCH_US, COMMAND_LEAD_US, TAKES_EFFECT_US, TICK_US  # noqa: E402
from tests.conftest import Site, free_port, start_site, stop_site  # noqa: E402
from tests.faults import truth  # noqa: E402
from tests.playground.test_server import open_room, say, socket_to  # noqa: E402

FEW, MANY, CLASS = 200, 1_000, 500
MEASURED_S = 8
CLICKS = 40
GOALS = {"uvicorn": Goal(at_most=2), "daphne": Goal(at_most=6)}


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used so far, in the kernel and outside."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Viewers:
    """`bench/viewers.py` as a process."""

    def __init__(self, folder: Path, port: int, path: str, count: int, *more: str) -> None:
        self.out = folder / f"seen-{random.randrange(1 << 30)}.json"
        command = [sys.executable, "bench/viewers.py", str(port), path, "", str(count), str(self.out), *more]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit("the viewers did not come to watch")

    def stop(self) -> dict[str, Any]:
        self.process.communicate("\n", timeout=60)
        return dict(json.loads(self.out.read_text()))


@dataclass
class Cost:
    """CPU µs per delivered frame."""

    us: float
    frames: int


def cost(pid: int, viewers: Viewers) -> tuple[Cost, dict[str, Any]]:
    time.sleep(1)
    begun_us, used_s = time.time_ns() // 1000, cpu_s(pid)
    time.sleep(MEASURED_S)
    ended_us, used_s = time.time_ns() // 1000, cpu_s(pid) - used_s
    seen = viewers.stop()
    if seen["faults"]:
        raise SystemExit(f"not delivered: {seen['faults'][:3]}")
    arrived = [at for at, _, _ in seen["arrivals"]] + seen["others"]
    frames = sum(1 for at in arrived if begun_us <= at < ended_us)
    return Cost(used_s * 1e6 / frames, frames), seen


@contextmanager
def served(folder: Path, server: str) -> Any:
    folder.mkdir()
    site = start_site(folder, MAILROOM_SERVER=server)
    try:
        yield site
    finally:
        stop_site(site)


def ours(site: Site, folder: Path, count: int) -> Cost:
    code, _ = open_room(site)
    keep = ("--keep", str(folder / "frames.json"))
    viewers = Viewers(folder, site.port, f"/ws/room/{code}/", count, *keep)
    return cost(site.process.pid, viewers)[0]


def peers(folder: Path, count: int) -> Cost:
    """`websockets.broadcast` of what our viewers saw last."""
    port = free_port()
    words = ["bench/broadcaster.py", str(port), str(folder / "frames.json"), str(BATCH_US // 1000)]
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        return cost(process.pid, Viewers(folder, port, "/", count, "--still"))[0]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def costs(folder: Path) -> list[Figure]:
    spent: dict[tuple[str, int], Cost] = {}
    for server in GOALS:
        with served(folder / server, server) as site:
            for count in (1, FEW, MANY):
                spent[server, count] = ours(site, folder, count)
                if count > 1 and ("peer", count) not in spent:
                    spent["peer", count] = peers(folder, count)
    figures = [Figure(f"websockets.broadcast, {n} viewers", spent["peer", n].us, "µs") for n in (FEW, MANY)]
    for server, goal in GOALS.items():
        alone_ms = spent[server, 1].us * spent[server, 1].frames / MEASURED_S / 1000
        figures.append(Figure(f"{server}, the room and one viewer, a second", alone_ms, "ms"))
        for n in (FEW, MANY):
            ratio = spent[server, n].us / spent["peer", n].us
            figures.append(Figure(f"{server}, {n} viewers, a frame", spent[server, n].us, "µs"))
            figures.append(Figure(f"{server}, {n} viewers, against the peer", ratio, "×", goal))
        growth = spent[server, MANY].us / spent[server, FEW].us
        name = f"{server}, a frame to {MANY} against one to {FEW}"
        figures.append(Figure(name, growth, "×", Goal(at_most=1.25)))
    return figures


@dataclass
class Click:
    at_wall_us: int
    sim_us: int


async def click(site: Site, code: str, cookies: str) -> list[Click]:
    """The owner stops and starts the producer, at moments that have nothing to do with batches."""
    chance, clicks = random.Random(7), []
    async with socket_to(site, f"/ws/room/{code}/", cookies) as page:
        await say(page, "watch", epoch=0, tick=0, digest="")
        for n in range(CLICKS):
            command = ("PauseProducer", "ResumeProducer")[n % 2]
            due = time.monotonic() + chance.uniform(0.35, 0.65)
            begun_us = time.time_ns() // 1000
            await say(page, "command", id=f"c{n}", cmd=command, args={"producer": "shop"})
            while (left := due - time.monotonic()) > 0:
                try:
                    frame = json.loads(await asyncio.wait_for(page.recv(), left))
                except TimeoutError:
                    break
                if "f" in frame:
                    await say(page, "seen", f=frame["f"])
                if frame["t"] == "done":
                    clicks.append(Click(begun_us, frame["at_us"]))
                if frame["t"] == "error":
                    raise SystemExit(frame["text"])
    return clicks


def late(folder: Path) -> list[Figure]:
    with served(folder / "class", "daphne") as site:
        code, cookies = open_room(site)
        viewers = Viewers(folder, site.port, f"/ws/room/{code}/", CLASS)
        begun_us = time.time_ns() // 1000
        clicks = asyncio.run(click(site, code, cookies))
        ended_us = time.time_ns() // 1000
        time.sleep(0.5)
        seen = viewers.stop()
        told = truth.of(code, 2400, folder / "class")["digests"]["0"]
    frames = {int(f): frame for f, frame in seen["frames"].items()}
    wrong = sum(1 for _, tick, n, digest in frames.values() if n and told[tick + n - 1] != digest)
    wall_us, sim_us, _ = seen["clock"]["pieces"][-1]
    lead_us = BATCH_US + TAKES_EFFECT_US

    def shown_us(moment_us: int) -> int:
        """The wall time at which a moment is on the screens."""
        return int(wall_us + moment_us - sim_us)

    delays = []
    arrived: dict[tuple[int, int], int] = {}
    """By (viewer, tick): when it had come, as it was shown in the end."""
    for at_us, viewer, f in seen["arrivals"]:
        _, tick, n, _ = frames[f]
        if begun_us <= at_us < ended_us and n:
            delays.append(at_us - (shown_us((tick + n - 1) * TICK_US) - lead_us))
        for one in range(tick, tick + n):
            arrived[viewer, one] = at_us
    reactions = []
    for one in clicks:
        came = [arrived[viewer, one.sim_us // TICK_US] for viewer in range(CLASS)]
        reactions.append(max(shown_us(one.sim_us), *came) - one.at_wall_us)
    per_s = len(delays) / CLASS / ((ended_us - begun_us) / 1e6)
    missed = len(seen["faults"]) + wrong
    return [
        Figure(f"{CLASS} viewers on daphne, frames a second to each", per_s, "/s", Goal(at_least=5)),
        Figure("gaps, disconnections, digests that are not the journal's", missed, "", Goal(at_most=0)),
        Figure("lateness of a frame, median", percentile(delays, 50) / 1000, "ms"),
        Figure("lateness of a frame, p99", percentile(delays, 99) / 1000, "ms", Goal(at_most=300)),
        Figure("a click to the change on every screen, median", percentile(reactions, 50) / 1000, "ms"),
        Figure("a click to the change on every screen, p95", percentile(reactions, 95) / 1000, "ms",
               Goal(at_most=500)),
        Figure("of which the stamp alone is", (BATCH_US + COMMAND_LEAD_US) / 1000, "ms"),
    ]  # fmt: skip


def percentile(values: list[int], per_cent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[per_cent - 1]


def main() -> None:
    parts = [part for part in (costs, late) if f"--{part.__name__}" in sys.argv] or [costs, late]
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        show([figure for part in parts for figure in part(Path(folder))])


if __name__ == "__main__":
    main()
