"""The budgets of a page: how soon a message moves, what it weighs, how smoothly it is drawn, Lighthouse.

`python bench/page.py [--json] [--only movement,weight,frames,lighthouse] [--why]`; `--help` says this.
The site runs as in production. A figure that could not be measured is said so by its name, and the bench
ends with 1. "first moving message": a Chromium that has just been started, from navigation to the first frame
in which a message's x has moved by 8 px, without a click; the median of five. Weight: what comes over the
line, compressed as served, by the browser's own count, without headers. Frames: `bench/page_frames.py`.
Lighthouse: one visit a page, by the version below from npm, installed into var/ by this bench alone; `--why`
says what cost points.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from math import isnan, nan
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.figures import Figure, Goal, show  # noqa: E402
from bench.page_frames import frames  # noqa: E402
from bench.served import CHROMIUM, FLAGS, Served, served, until, visitor  # noqa: E402

LIGHTHOUSE = "lighthouse@13.5.0"
CATEGORIES = {"performance": "performance", "accessibility": "accessibility",
              "best-practices": "best practices", "seo": "search"}  # fmt: skip
VISITS = 5
COLD_MS = 5_000
"""A visit is cold for so long after its load: nobody touches anything, the page plays."""

STAGE = "document.querySelector('queue-stage')"
KINDS = {
    "home": "/",
    "playground": "/play/fan-out/",
    "lesson": "/lessons/point-to-point/",
    "gallery": "/play/",
}
"""One page of each kind; a kind whose page is not there is left out."""
WITH_A_CLUSTER = {
    "playground with a cluster": "/play/kafka-user-events/",
    "lesson with a cluster": "/lessons/partitions-keys/",
}
"""Their stages fetch other modules: they are weighed too."""

KB = 1_000
BUDGETS_KB = {
    "playground": {"JavaScript": 60, "CSS": 14, "fonts": 103, "everything": 200},
    "home": {"JavaScript": 60, "CSS": 14, "fonts": 103, "everything": 200},
    "lesson": {"JavaScript": 35, "CSS": 14, "fonts": 103, "everything": 180},
}
TYPES = {"Script": "JavaScript", "Stylesheet": "CSS", "Font": "fonts"}

WATCH = """
(() => {
  const begun = new Map();
  const look = () => {
    const stage = document.querySelector('queue-stage');
    for (const { id, x } of stage?.drawn ? stage.scene().messages : []) {
      if (!begun.has(id)) begun.set(id, x);
      if (Math.abs(x - begun.get(id)) >= 8) { window.firstMovement_ms ??= performance.now(); return; }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""
REFUSE = """
window.WebSocket = class extends WebSocket { constructor() { super('ws://127.0.0.1:9/'); } };
"""
"""Nobody listens on that port, and the page's policy refuses it too."""


def main() -> None:
    chosen = arguments(sys.argv[1:])
    figures: list[Figure] = []
    missed: list[str] = []
    if set(chosen) != {"frames"}:
        with served() as site:
            for name in chosen:
                if name != "frames":
                    collect(name, PARTS[name](site), figures, missed)
    if "frames" in chosen:
        collect("frames", frames(), figures, missed)
    if figures:
        show(figures)
    for words in missed:
        print(f"not measured: {words}", file=sys.stderr)
    if missed:
        raise SystemExit(1)


def arguments(words: list[str]) -> list[str]:
    """The parts to measure. Ends with help, or says what is wrong with `words`, before anything starts."""
    names = ", ".join(PARTS)

    def parts(text: str) -> list[str]:
        for name in text.split(","):
            if name not in PARTS:
                raise ArgumentTypeError(f"there is no part '{name}'; there are: {names}")
        return text.split(",")

    parser = ArgumentParser("bench/page.py", description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=parts, default=list(PARTS), metavar="PARTS", help=f"some of {names}")
    parser.add_argument("--json", action="store_true", help="one object instead of a table")
    parser.add_argument("--why", action="store_true", help="what cost points with Lighthouse, on stderr")
    only: list[str] = parser.parse_args(words).only
    return only


def collect(part: str, measured: Iterator[Figure], figures: list[Figure], missed: list[str]) -> None:
    """Adds to `figures` what `part` measures; one that never came about is named in `missed`."""
    try:
        for figure in measured:
            if isnan(figure.value):
                missed.append(figure.name)
            else:
                figures.append(figure)
    except Exception as error:  # of a browser or npm; the other parts are measured all the same
        missed.append(f"the rest of {part}: {str(error).strip().splitlines()[0]}")


def pages(site: Served) -> Iterator[tuple[str, str]]:
    return ((kind, path) for kind, path in KINDS.items() if site.has(path))


# -- the first movement -------------------------------------------------------------------------


def movement(site: Served) -> Iterator[Figure]:
    for kind, path in pages(site):
        if kind in ("gallery", "lesson"):  # a lesson moves when its first question is answered
            continue
        for refused in (False, True):
            name = f"first moving message, {kind}" + (", socket refused" if refused else "")
            try:
                seconds = median(first_movement_s(site.url + path, refused) for _ in range(VISITS))
            except TimeoutError:
                seconds = nan
            yield Figure(name, seconds, "s", Goal(at_most=0.8))


def first_movement_s(url: str, refused: bool) -> float:
    with visitor(viewport={"width": 1280, "height": 800}) as page:
        page.add_init_script((REFUSE if refused else "") + WATCH)
        page.goto(url, wait_until="commit")
        return float(until(page, "window.firstMovement_ms ?? 0")) / 1000


# -- weight -------------------------------------------------------------------------------------


def weight(site: Served) -> Iterator[Figure]:
    for name, path in (KINDS | WITH_A_CLUSTER).items():
        if not site.has(path):
            continue
        kind = name.split()[0]
        cold, opened = bytes_of(site.url + path, kind)
        for what, goal_kb in BUDGETS_KB.get(kind, {}).items():
            yield Figure(f"{name}, cold: {what}", cold[what] / KB, "kB", Goal(at_most=goal_kb))
        if kind == "gallery":
            yield Figure("gallery, cold: everything", cold["everything"] / KB, "kB")
        if opened:
            yield Figure(f"{name}, {opened[0]}: JavaScript", opened[1]["JavaScript"] / KB, "kB", opened[2])
        yield Figure(f"{name}, cold: requests", cold["requests"], "")


def bytes_of(url: str, kind: str) -> tuple[dict[str, float], tuple[str, dict[str, float], Goal] | None]:
    """Bytes by type when the page has come to rest, and again after what else can be done on it: (what that
    was, the bytes, the goal of its JavaScript)."""
    with visitor(viewport={"width": 1280, "height": 800}) as page:
        count = Count(page)
        page.goto(url, wait_until="load")
        if kind != "gallery":
            until(page, f"{STAGE}?.drawn && ({STAGE}.furnished || {STAGE}.dataset.panels === 'later')")
        page.wait_for_timeout(COLD_MS)
        cold = count.sums()
        if kind == "playground":
            open_everything(page)
            return cold, ("everything opened", count.sums(), Goal(at_most=60))
        if kind == "lesson":
            page.get_by_role("radio").first.check()
            page.get_by_role("button", name="Keep my prediction and run").click()
            until(page, f"{STAGE}.furnished")
            page.wait_for_timeout(COLD_MS)
            return cold, ("after its answer", count.sums(), Goal(at_most=60))
        return cold, None


def open_everything(page: Any) -> None:
    """A message's life, the settings of a node, the charts, a fault."""
    page.get_by_role("button", name="Pause", exact=True).click()
    page.evaluate(f"{STAGE}.seek(4000000)")
    until(page, "document.querySelector('.token-buttons button') !== null")
    page.evaluate("document.querySelector('.token-buttons button').click()")
    until(page, "!document.querySelector('.inspector').hidden")
    page.evaluate("document.querySelector('.consumer .open').click()")
    until(page, "document.querySelector('.settings:not([hidden]) .rows') !== null")
    page.evaluate("document.querySelector('.charts summary').click()")
    until(page, "document.querySelector('.chart') !== null")
    page.get_by_role("button", name="Crash", exact=True).click()
    page.wait_for_timeout(500)


class Count:
    """What has come over the line for a page: bodies as they were sent, without headers and without the first
    chunk of history (which is data, and stands in the page)."""

    def __init__(self, page: Any) -> None:
        self.kinds: dict[str, str] = {}
        self.heads: dict[str, int] = {}
        self.bodies: dict[str, int] = {}
        session = page.context.new_cdp_session(page)
        session.on("Network.responseReceived", self.began)
        session.on("Network.loadingFinished", self.ended)
        session.send("Network.enable")

    def began(self, event: dict[str, Any]) -> None:
        self.kinds[event["requestId"]] = TYPES.get(event["type"], "other")
        self.heads[event["requestId"]] = event["response"]["encodedDataLength"]

    def ended(self, event: dict[str, Any]) -> None:
        self.bodies[event["requestId"]] = event["encodedDataLength"]

    def sums(self) -> dict[str, float]:
        found = dict.fromkeys((*TYPES.values(), "other", "everything", "requests"), 0.0)
        for request, total in self.bodies.items():
            body = max(0, total - self.heads.get(request, 0))
            found[self.kinds.get(request, "other")] += body
            found["everything"] += body
            found["requests"] += 1
        return found


# -- Lighthouse ---------------------------------------------------------------------------------


def lighthouse(site: Served) -> Iterator[Figure]:
    program = installed()
    for kind, path in pages(site):
        floor = {"lesson": 98, "playground": 95}.get(kind)
        report = json.loads(visited(program, site.url + path))
        for key, name in CATEGORIES.items():
            score = report["categories"][key]["score"] or 0
            goal = Goal(at_least=100, floor=floor if key == "performance" else None)
            yield Figure(f"Lighthouse, {kind}: {name}", score * 100, "", goal)
        if "--why" in sys.argv:
            explain(kind, report)


def installed() -> Path:
    """Lighthouse of exactly that version, in var/. Needs npm; `make test` never comes here."""
    folder = ROOT / "var" / LIGHTHOUSE.replace("@", "-")
    program = folder / "node_modules" / ".bin" / "lighthouse"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            "npm",
            "install",
            "--silent",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--prefix",
            str(folder),
        ]
        subprocess.run([*command, LIGHTHOUSE], check=True, stdout=sys.stderr)
    return program


def visited(program: Path, url: str) -> str:
    """Lighthouse's report of one visit with a phone, as JSON."""
    flags = f"--chrome-flags=--headless=new {' '.join(FLAGS)}"
    wanted = f"--only-categories={','.join(CATEGORIES)}"
    command = [str(program), url, "--quiet", "--output=json", wanted, flags]
    environment = {**os.environ, "CHROME_PATH": CHROMIUM}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def explain(kind: str, report: dict[str, Any]) -> None:
    """On stderr: what cost points."""
    for key in CATEGORIES:
        for part in report["categories"][key]["auditRefs"]:
            audit = report["audits"][part["id"]]
            if part["weight"] and audit["score"] is not None and audit["score"] < 1:
                said = audit.get("displayValue") or audit["title"]
                print(f"{kind}, {key}: {part['id']} {audit['score']:.2f} {said}", file=sys.stderr)


PARTS: dict[str, Callable[[Served], Iterator[Figure]]] = {
    "movement": movement, "weight": weight, "frames": lambda _: frames(), "lighthouse": lighthouse,
}  # fmt: skip


if __name__ == "__main__":
    main()
