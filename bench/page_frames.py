"""How smoothly a crowded stage is drawn: `python bench/page_frames.py [--json]`, a part of `bench/page.py`.

The real page of a real scenario with many lanes, played at its own speed: half of the lanes hand out a
message every second and close up. Measured are the times between frames, and how long the page itself works
on one. In the same run a bare canvas of the same size is drawn to, so many pictures a frame and nothing else:
what the machine can do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.figures import Figure, Goal, show
from bench.served import served, until, visitor

SECONDS = 8
DESK = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
STAGE = "document.querySelector('queue-stage')"
COUNT = f"((t) => [t.length, t.filter((m) => m.labelled).length])({STAGE}.drawn.tokens)"


@dataclass(frozen=True)
class Crowd:
    """`queues` lanes with `deep` waiting messages each; so many drawn, `wanted` at least."""

    name: str
    queues: int
    deep: int
    wanted: int
    labelled: bool
    goal_ms: float
    options: dict[str, Any]
    slower: int = 1
    """By how much the processor is throttled."""
    speed: int = 1
    """Times as fast as the run itself."""

    @property
    def begin_us(self) -> int:
        """From when on it is measured: all that waits has come."""
        return (self.deep * 100 + 1_000) * 1_000

    @property
    def slug(self) -> str:
        return self.name.replace(",", "").replace(" ", "-")

    def scenario(self) -> str:
        queues = ", ".join(f'{{ name = "q{n}" }}' for n in range(self.queues))
        bound = ", ".join(f'{{ exchange = "all", queue = "q{n}" }}' for n in range(self.queues))
        first = ", ".join(f'"{n * 100 + 100}ms"' for n in range(self.deep + 1))
        workers = "".join(f"""
[[consumer]]
name = "w{n}"
system = "broker"
from = {{ queue = "q{n}" }}
prefetch = 1
work = {{ constant = "20s" }}
""" if n >= self.queues // 2 else f"""
[[consumer]]
name = "w{n}"
system = "broker"
from = {{ queue = "q{n}" }}
prefetch = 1
start = "{self.deep * 100 + 500}ms"
work = {{ constant = "600ms" }}
""" for n in range(self.queues))  # fmt: skip
        return f"""
format = 1
title = "{self.name}"
length = "60s"
kinds = ["ana", "ben", "cho", "dee"]
[[system]]
name = "broker"
kind = "rabbitmq"
link = "200ms"
exchanges = [{{ name = "all", type = "fanout" }}]
queues = [{queues}]
bindings = [{bound}]
[[producer]]
name = "first"
system = "broker"
to = {{ exchange = "all" }}
keys = ["ana", "ben", "cho", "dee"]
arrivals = {{ at = [{first}] }}
{workers}
"""


@dataclass(frozen=True)
class Partitions(Crowd):
    """A Kafka topic of `queues` partitions, read by three groups of four; `deep` records of each were made
    before the measurement begins."""

    @property
    def begin_us(self) -> int:
        return 8_000_000

    def scenario(self) -> str:
        keys = ", ".join(f'"user {n}"' for n in range(2 * self.queues))
        readers = "".join(f"""
[[consumer]]
name = "g{group} m{member}"
system = "log"
from = {{ topics = ["t"], group = "g{group}" }}
reset = "earliest"
work = {{ constant = "20ms" }}
""" for group in range(3) for member in range(4))  # fmt: skip
        return f"""
format = 1
title = "{self.name}"
length = "60s"
kinds = [{keys}]
[[system]]
name = "log"
kind = "kafka"
link = "200ms"
brokers = 3
topics = [{{ name = "t", partitions = {self.queues}, replication = 3 }}]
[[producer]]
name = "p"
system = "log"
to = {{ topic = "t" }}
keys = [{keys}]
arrivals = {{ poisson = "{self.queues * self.deep // 2}/s" }}
{readers}
"""


CROWDS = (
    Crowd("500 labelled messages", 40, 12, 500, True, 20, DESK),
    Crowd("100 labelled messages", 8, 12, 100, True, 20, DESK),
    Crowd("2,000 small messages", 40, 52, 2_000, False, 20, DESK),
    Partitions("12 partitions at 8 times", 12, 4, 30, False, 20, DESK, speed=8),
    Crowd("150 labelled messages, phone, 4 times slower", 40, 4, 150, True, 34, PHONE, slower=4),
)


def frames() -> Iterator[Figure]:
    with served({crowd.slug: crowd.scenario() for crowd in CROWDS}) as site:
        for crowd in CROWDS:
            yield from measured(site.url, crowd)


def measured(url: str, crowd: Crowd) -> Iterator[Figure]:
    with visitor(**crowd.options) as page:
        page.goto(f"{url}/play/{crowd.slug}/")
        until(page, f"{STAGE}?.furnished")
        begin_us = crowd.begin_us
        until(
            page,
            f"({STAGE}.knows ??= {STAGE}.timeline.knows({begin_us})) || ({STAGE}.seek({begin_us}), false)",
        )
        page.evaluate(f"{STAGE}.seek({begin_us})")
        drawn, labelled = page.evaluate(COUNT)
        if (labelled if crowd.labelled else drawn) < crowd.wanted:
            raise SystemExit(f"{crowd.name}: only {labelled} labelled of {drawn} are drawn")
        if crowd.slower > 1:
            page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": crowd.slower})
        page.evaluate(f"{STAGE}.play(), {STAGE}.clock.setRate(performance.now(), {crowd.speed})")
        ours = page.evaluate(GAPS, [min(SECONDS, 50 / crowd.speed), True])
        size = page.evaluate(f"[{STAGE}.parts.canvas.width, {STAGE}.parts.canvas.height]")
        page.evaluate(f"{STAGE}.pause()")
        page.evaluate(BARE, [*size, drawn + labelled])
        peer = page.evaluate(GAPS, [SECONDS / 2, False])
        yield Figure(f"{crowd.name}: p95 frame", ours["p95"], "ms", Goal(at_most=crowd.goal_ms))
        yield Figure(f"{crowd.name}: work on a frame, p50", ours["work50"], "ms")
        yield Figure(f"{crowd.name}: work on a frame, p95", ours["work95"], "ms")
        yield Figure(f"{crowd.name}: drawn", drawn, "")
        yield Figure(f"{crowd.name}: bare canvas, p95 frame", peer["p95"], "ms")
        yield Figure(f"{crowd.name}: p95 frame against the bare canvas", ours["p95"] / peer["p95"], "×")


GAPS = """async ([seconds, ours]) => {
  const stage = document.querySelector('queue-stage');
  const work = [];
  const draw = stage.draw;
  if (ours) stage.draw = function () {
    const from = performance.now();
    draw.call(this);
    work.push(performance.now() - from);
  };
  const gaps = [];
  await new Promise((done) => {
    const end = performance.now() + seconds * 1000;
    let last = null;
    const turn = (at) => {
      if (last !== null) gaps.push(at - last);
      last = at;
      if (at < end) requestAnimationFrame(turn);
      else done();
    };
    requestAnimationFrame(turn);
  });
  delete stage.draw;
  const part = (list, p) => list.sort((a, b) => a - b)[Math.floor(list.length * p)] ?? 0;
  return { p95: part(gaps, 0.95), work50: part(work, 0.5), work95: part(work, 0.95), frames: gaps.length };
}"""
BARE = """([width, height, count]) => {
  const canvas = document.querySelector('queue-stage').parts.canvas.cloneNode();
  Object.assign(canvas, { width, height });
  document.querySelector('queue-stage').parts.canvas.replaceWith(canvas);
  const page = new OffscreenCanvas(46, 46);
  const p = page.getContext('2d');
  p.arc(23, 23, 20, 0, 7);
  p.fill();
  const picture = page.transferToImageBitmap();
  const c = canvas.getContext('2d');
  let n = 0;
  const turn = () => {
    n += 1;
    c.clearRect(0, 0, width, height);
    for (let i = 0; i < count; i++) {
      c.drawImage(picture, (i * 37 + n) % (width - 46), ((i * 37) / width | 0) * 47 % (height - 46));
    }
    requestAnimationFrame(turn);
  };
  requestAnimationFrame(turn);
}"""


if __name__ == "__main__":
    show(list(frames()))
