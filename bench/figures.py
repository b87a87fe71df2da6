"""What every bench prints: figures with their goals, as a table or as JSON."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any


def figure(name: str, value: float, unit: str, goal: str, met: bool | None) -> dict[str, Any]:
    """One line of the table. `met` is None where there is no goal."""
    return {"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "met": met}


def show(figures: list[dict[str, Any]]) -> None:
    """Print the figures; `--json` on the command line chooses the form."""
    if "--json" in sys.argv:
        print(json.dumps({"figures": figures}))
        return
    width = max(len(f["name"]) for f in figures)
    for f in figures:
        mark = {True: "met", False: "MISSED", None: ""}[f["met"]]
        print(f"{f['name']:{width}}  {f['value']:>12,.3f} {f['unit']:14} {f['goal']:22} {mark}")


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of one call, garbage collected before it."""
    gc.collect()
    start = process_time()
    work()
    return process_time() - start


def in_turn(ours: Callable[[], Any], peer: Callable[[], Any], rounds: int = 5) -> tuple[float, float, float]:
    """Both in turn, A B A B …: median CPU seconds of each, and the median of the pairs' peer/ours."""
    pairs = []
    ours(), peer()
    for _ in range(rounds):
        pairs.append((cpu_seconds(ours), cpu_seconds(peer)))
    return (
        median(a for a, _ in pairs),
        median(b for _, b in pairs),
        median(b / a for a, b in pairs),
    )
