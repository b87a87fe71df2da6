"""Runs behind questions and solutions, as recordings: pure, made when they are first asked for, kept for a
while.

Who has not answered yet gets a picture that ends where the question stands: nothing later is in its chunks.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from lessons.catalogue import catalogue
from lessons.items import AnyItem, PlaceItem
from lessons.lesson import Lesson
from lessons.scenarios import Shipped, library
from playground import stage
from playground.rooms.history import Recording, record

KEPT = 64
"""Recordings of variants that a process keeps; one costs some 100 KB and 20 ms."""

BEFORE, WHOLE = "before", "whole"

_made: OrderedDict[str, Recording] = OrderedDict()
_lock = threading.Lock()


def of_item(item: AnyItem, seed: int, part: str) -> Recording:
    """The run that an item asks about: `BEFORE` its question's moment (place only), or `WHOLE`."""
    return _named(f"item/{item.id}/{seed}/{part}")


def of_way(lesson: Lesson) -> Recording:
    """The lesson's run with the author's solution."""
    return _named(f"way/{lesson.slug}")


def find(name: str) -> Recording:
    """The recording that a chunk's address names. Raises `KeyError` where there is none."""
    kind, *rest = name.split("/")
    if kind == "way" and len(rest) == 1:
        return of_way(catalogue().lessons[rest[0]])
    if kind == "item" and len(rest) == 3 and rest[1].isdecimal() and rest[2] in (BEFORE, WHOLE):
        item, seed = catalogue().items[rest[0]], int(rest[1])
        if item.scenario and seed in item.variants and (rest[2] == WHOLE or isinstance(item, PlaceItem)):
            return of_item(item, seed, rest[2])
    raise KeyError(name)


def _named(name: str) -> Recording:
    with _lock:
        if name not in _made:
            _made[name] = _make(name)
            while len(_made) > KEPT:
                _made.popitem(last=False)
        _made.move_to_end(name)
        return _made[name]


def _make(name: str) -> Recording:
    kind, slug, *rest = name.split("/")
    if kind == "way":
        lesson = catalogue().lessons[slug]
        return record(f"run/{name}", lesson.scenario, lesson.run_seed, lesson.solution)
    item = catalogue().items[slug]
    seed, part = int(rest[0]), rest[1]
    until_us = item.stands if part == BEFORE and isinstance(item, PlaceItem) else None
    return record(f"run/{name}", library()[item.scenario].scenario, seed, item.entries, until_us)


# -- on a page ------------------------------------------------------------------------------------


def picture(shipped: Shipped, recording: Recording, at_us: int, **more: Any) -> dict[str, Any]:
    """A stage of a recording that nobody can break: it stands at `at_us`. `more`: keys of
    templates/README.md."""
    return {
        **stage.of_recording(shipped, recording, at_us),
        "socket": "",
        "autoplay": False,
        "acts": False,
        **more,
    }
