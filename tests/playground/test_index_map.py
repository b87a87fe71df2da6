"""The lessons' index as a map: every lesson in its column, every wire from a lesson to what builds on it, none behind a cell."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lessons.catalogue import catalogue
from lessons.lesson import TOPICS
from playground.learn.index_map import CELL_PX, COLUMNS, GAP_PX, GUTTER_PX, drawn

CSS = Path("static/css/learn.css").read_text(encoding="utf-8")
FULL_PX = 1200


def row(slug: str, topic: int, *after: str) -> dict[str, Any]:
    return {"slug": slug, "topic": list(TOPICS)[topic], "after": after}


def corners(d: str) -> list[tuple[float, float]]:
    """The points of a path, with one for each bend."""
    found: list[tuple[float, float]] = []
    for command, numbers in re.findall(r"([MLQV])([-\d. ]+)", d):
        values = [float(n) for n in numbers.split()]
        found.append((found[-1][0], values[0]) if command == "V" else (values[-2], values[-1]))
    return found


def lines(rows: list[dict[str, Any]]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """All straight parts of the wires, in px of a map that is `FULL_PX` wide."""
    drawing = drawn(rows)
    at = {g.share: FULL_PX * (g.number + 1) / COLUMNS for g in drawing["gutters"]}
    found = []
    for gutter in drawing["gutters"]:
        shift = at[gutter.share] + gutter.shift
        for d in gutter.paths:
            found += [((x0 + shift, y0), (x1 + shift, y1)) for (x0, y0), (x1, y1) in pairwise(corners(d))]
    return found + [((at[r.start] + r.shift, r.y), (at[r.end] + r.shift, r.y)) for r in drawing["runs"]]


def cells(rows: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Left and top of each cell."""
    wide, filled = (FULL_PX - (COLUMNS - 1) * GUTTER_PX) / COLUMNS, [0] * COLUMNS
    found = []
    for one in rows:
        column = list(TOPICS).index(one["topic"])
        found.append((column * (wide + GUTTER_PX), filled[column] * (CELL_PX + GAP_PX)))
        filled[column] += 1
    return found


def course() -> list[dict[str, Any]]:
    return [{"slug": one.slug, "topic": one.topic, "after": one.after} for one in catalogue().course]


ROWS = {
    "the course": course(),
    "to the next column": [row("a", 0), row("b", 1, "a")],
    "to the last, and back": [row("a", 0), row("b", 3, "a"), row("c", 1), row("d", 0, "b"), row("e", 2, "d")],
    "over a cell": [row("a", 0), row("b", 0), row("c", 0, "a"), row("d", 0, "b")],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_no_wire_runs_behind_a_cell(rows: list[dict[str, Any]]) -> None:
    wide = (FULL_PX - (COLUMNS - 1) * GUTTER_PX) / COLUMNS
    drawn_lines = lines(rows)
    assert drawn_lines
    for (x0, y0), (x1, y1) in drawn_lines:
        for left, top in cells(rows):
            beside = max(x0, x1) <= left + 0.01 or min(x0, x1) >= left + wide - 0.01
            apart = max(y0, y1) <= top or min(y0, y1) >= top + CELL_PX
            assert beside or apart, ((x0, y0), (x1, y1), left, top)


def arrows(rows: list[dict[str, Any]]) -> int:
    return sum(len(gutter.arrows) for gutter in drawn(rows)["gutters"])


def test_what_another_way_says_already_is_not_drawn_again() -> None:
    assert arrows([row("a", 0), row("b", 1, "a"), row("c", 2, "a", "b")]) == 2
    assert arrows([row("a", 0), row("b", 1, "a"), row("c", 2, "a")]) == 2
    assert arrows([row("a", 0), row("b", 1)]) == 0


def test_the_measures_are_those_of_the_style_sheet() -> None:
    assert f"grid-auto-rows: {CELL_PX}px; row-gap: {GAP_PX}px" in CSS
    assert f"column-gap: {GUTTER_PX}px" in CSS
    assert len(TOPICS) == COLUMNS == 4
