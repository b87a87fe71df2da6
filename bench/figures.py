"""What every bench prints: figures with their goals, as a table or as JSON."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import process_time
from typing import Any


@dataclass(frozen=True)
class Goal:
    """`at_least` or `at_most` is the goal; `floor` is what has to hold on the way to an `at_least`."""

    at_least: float | None = None
    at_most: float | None = None
    floor: float | None = None

    def __str__(self) -> str:
        said = f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"
        return said if self.floor is None else f"{said}, floor {self.floor:g}"

    def met_by(self, value: float) -> bool:
        if self.at_least is not None:
            return value >= self.at_least
        return self.at_most is not None and value <= self.at_most

    def verdict(self, value: float) -> str:
        if self.met_by(value):
            return "met"
        return "above the floor" if self.floor is not None and value >= self.floor else "MISSED"


@dataclass(frozen=True)
class Figure:
    """One line of the table. Without a goal it is only for information."""

    name: str
    value: float
    unit: str
    goal: Goal | None = None

    def plain(self) -> dict[str, Any]:
        """For JSON. `met` is null where there is no goal; a floor is in the text of `goal`."""
        met = None if self.goal is None else self.goal.met_by(self.value)
        goal = "" if self.goal is None else str(self.goal)
        return {"name": self.name, "value": round(self.value, 3), "unit": self.unit, "goal": goal, "met": met}


def show(figures: list[Figure]) -> None:
    """Print the figures; `--json` on the command line chooses the form."""
    if "--json" in sys.argv:
        print(json.dumps({"figures": [figure.plain() for figure in figures]}, ensure_ascii=False))
        return
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        goal = "" if figure.goal is None else str(figure.goal)
        verdict = "" if figure.goal is None else figure.goal.verdict(figure.value)
        print(f"{figure.name:{width}} {figure.value:>10,.3f} {figure.unit:6} {goal:16} {verdict}".rstrip())


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of one call, garbage collected before it."""
    gc.collect()
    start = process_time()
    work()
    return process_time() - start


@dataclass(frozen=True)
class Pair:
    """Two sides measured in turn: median CPU seconds of each, and the median of the pairs' peer ÷ ours."""

    ours_s: float
    peer_s: float
    ratio: float


def in_turn(ours: Callable[[], Any], peer: Callable[[], Any], rounds: int = 5) -> Pair:
    """A B A B …, after one call of each that is not counted: so both sides see the same machine."""
    ours(), peer()
    pairs = [(cpu_seconds(ours), cpu_seconds(peer)) for _ in range(rounds)]
    return Pair(median(a for a, _ in pairs), median(b for _, b in pairs), median(b / a for a, b in pairs))
