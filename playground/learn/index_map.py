"""The lessons' index as one sorting line: which cell stands where, and the wires between.

A column a topic, its lessons below each other in the order of the course. Cells have fixed heights and the
gutters between columns fixed widths, so everything along y is in px and along x in px from a gutter's left
edge; where that edge is, is a share of the map's width (`static/css/learn.css` has the same measures). Wires
run in gutters and in the gaps between rows, never behind a cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lessons.lesson import TOPICS

CELL_PX, GAP_PX, GUTTER_PX = 162, 30, 44
IN_PX, OUT_PX = 26, CELL_PX - 26
"""Where wires end at a cell and leave it, from its top."""
LANE_PX, LANES = 6, 5
"""Wires of different lessons run beside each other in a gutter, so far apart, as long as there is room."""
BEND_PX = 6
COLUMNS = len(TOPICS)


@dataclass
class Gutter:
    """What is drawn between columns `number` and `number` + 1, or right of the last."""

    number: int
    paths: list[str] = field(default_factory=list)
    arrows: list[str] = field(default_factory=list)

    @property
    def share(self) -> str:
        """The part of the map's width at which its `shift` is counted from."""
        return f"{100 * (self.number + 1) / COLUMNS:g}%"

    @property
    def shift(self) -> int:
        """px from there to the right edge of the column before it."""
        return self.number * GUTTER_PX - (self.number + 1) * (COLUMNS - 1) * GUTTER_PX // COLUMNS


@dataclass
class Run:
    """A wire's way along the gap between two rows, from one gutter to another."""

    start: str
    end: str
    shift: int
    y: int


def drawn(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`height` in px, `gutters` and `runs` of the wires between lessons, from `rows` (slug, topic, after)."""
    places, filled = {}, [0] * COLUMNS
    for row in rows:
        column = list(TOPICS).index(row["topic"])
        places[row["slug"]] = (column, filled[column])
        filled[column] += 1
    gutters = [Gutter(number) for number in range(COLUMNS)]
    runs: list[Run] = []
    lanes: list[list[str]] = [[] for _ in range(COLUMNS)]
    for source, target in _wires(rows):
        _draw(source, places[source], places[target], gutters, lanes, runs)
    height = max(filled) * (CELL_PX + GAP_PX) - GAP_PX if any(filled) else 0
    return {"height": height, "gutters": gutters, "runs": runs}


def _wires(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """(earlier, later) without those that another way says already."""
    after = {row["slug"]: tuple(row["after"]) for row in rows}

    def before(slug: str) -> set[str]:
        return {one for near in after.get(slug, ()) for one in (near, *before(near))}

    for slug, direct in after.items():
        for near in direct:
            if near in after and not any(near in before(other) for other in direct if other != near):
                yield near, slug


def _draw(
    source: str,
    start: tuple[int, int],
    end: tuple[int, int],
    gutters: list[Gutter],
    lanes: list[list[str]],
    runs: list[Run],
) -> None:
    (column, row), (to_column, to_row) = start, end
    y_out, y_in = _top(row) + OUT_PX, _top(to_row) + IN_PX
    if column == to_column and to_row == row + 1:
        x = -GUTTER_PX  # inside its own column, a gutter's width from its right edge
        gutters[column].paths.append(f"M{x} {_top(row) + CELL_PX}V{_top(to_row) - 5}")
        gutters[column].arrows.append(f"M{x - 5} {_top(to_row) - 8}h10l-5 8z")
        return
    right, left = to_column > column, to_column < column
    leaves, enters = gutters[column - left], gutters[to_column - right]
    x = _lane(source, lanes[leaves.number])
    x_from, x_to = (GUTTER_PX if left else 0), (GUTTER_PX if right else 0)
    if leaves is enters:
        leaves.paths.append(_bent([(x_from, y_out), (x, y_out), (x, y_in), (x_to, y_in)]))
    else:
        x_in = _lane(source, lanes[enters.number])
        y = (_top(to_row) - GAP_PX if to_row else CELL_PX) + 4 + x // 2
        first, last = (enters, leaves) if left else (leaves, enters)
        shift = first.shift + (x_in if left else x)
        rest = shift - last.shift  # where the run comes to in the gutter on its right
        x, x_in = (max(x, rest), x_in) if left else (x, max(x_in, rest))
        leaves.paths.append(_bent([(x_from, y_out), (x, y_out), (x, y), (rest if left else x, y)]))
        runs.append(Run(first.share, last.share, shift, y))
        enters.paths.append(_bent([(x_in if left else rest, y), (x_in, y), (x_in, y_in), (x_to, y_in)]))
    away = -1 if right else 1
    enters.arrows.append(f"M{x_to} {y_in}l{8 * away} -5v10z")


def _top(row: int) -> int:
    return row * (CELL_PX + GAP_PX)


def _lane(source: str, taken: list[str]) -> int:
    if source not in taken:
        taken.append(source)
    return 10 + LANE_PX * (taken.index(source) % LANES)


def _bent(points: list[tuple[int, int]]) -> str:
    """A path along the points, each turn of which is round."""
    x, y = points[0]
    d = f"M{x} {y}"
    for (x0, y0), (x1, y1), (x2, y2) in zip(points, points[1:], points[2:], strict=False):
        near, far = min(BEND_PX, abs(x1 - x0 + y1 - y0) // 2), min(BEND_PX, abs(x2 - x1 + y2 - y1) // 2)
        bend = max(0, min(near, far))
        d += f"L{x1 - _sign(x1 - x0) * bend} {y1 - _sign(y1 - y0) * bend}"
        d += f"Q{x1} {y1} {x1 + _sign(x2 - x1) * bend} {y1 + _sign(y2 - y1) * bend}"
    return f"{d}L{points[-1][0]} {points[-1][1]}"


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
