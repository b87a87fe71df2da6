"""From the files of a lesson to its Structs. What cannot be read is a problem with its file and field."""

from __future__ import annotations

import tomllib
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engine.durations import units_read
from engine.scenario import load
from lessons.facts import Fact
from lessons.items import KINDS, AnyItem, of_lesson
from lessons.lesson import Lesson, LessonFile, Planned, whole
from lessons.problems import Problems
from lessons.texts import Facts, halves, problems_of, prose

FILES = ("lesson.toml", "lesson.md", "scenario.toml", "quiz.toml")

T = TypeVar("T")


def read_facts(path: Path, problems: Problems) -> dict[str, Fact]:
    found = {
        name: read_as(Fact, row, f"{path.name}: {name}", problems)
        for name, row in table_of(path, problems).items()
    }
    return {name: fact for name, fact in found.items() if fact is not None}


def read_course(path: Path, problems: Problems) -> tuple[Planned, ...]:
    """The lessons that there are or will be, in order."""
    rows = table_of(path, problems).get("lesson", [])
    found = [read_as(Planned, row, f"{path.name}: lesson[{n}]", problems) for n, row in enumerate(rows)]
    return tuple(planned for planned in found if planned is not None)


def read_lesson(folder: Path, facts: Facts, problems: Problems) -> Lesson | None:
    """The lesson of a folder `nn-slug`; None where a file of it cannot be read at all."""
    number, _, slug = folder.name.partition("-")
    where = f"{folder.name}/"
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        problems.add(folder.name, f"there is no {', no '.join(missing)}")
        return None
    file = read_as(
        LessonFile, table_of(folder / "lesson.toml", problems, where), f"{where}lesson.toml", problems
    )
    items = read_items(folder / "quiz.toml", problems, where)
    scenario = None
    with problems.of(f"{where}scenario.toml"):
        scenario = load(folder / "scenario.toml")
    explanation, instructor = halves((folder / "lesson.md").read_text(encoding="utf-8"))
    wrong = [said for text in (explanation, instructor) if text or text is explanation
             for said in problems_of(text, facts)]  # fmt: skip
    for said in wrong:
        problems.add(f"{where}lesson.md", said)
    if file is None or scenario is None or wrong:
        return None
    items = tuple(of_lesson(item, slug, file.topic) for item in items)
    return whole(
        file, slug=slug, number=int(number), scenario=scenario, items=items, revision=revision_of(folder),
        explanation=prose(explanation, facts), instructor=prose(instructor, facts) if instructor else None,
    )  # fmt: skip


def read_items(path: Path, problems: Problems, where: str = "") -> tuple[AnyItem, ...]:
    """The items of a file that can be read; each that cannot is a problem of its own."""
    table = table_of(path, problems, where)
    for name in sorted(set(table) - {"item"}):
        problems.add(f"{where}{path.name}", f"{name}: expected only [[item]]")
    found: list[AnyItem] = []
    for n, row in enumerate(table.get("item", [])):
        place = f"{where}{path.name}: item[{n}]{named(row)}"
        kind = row.get("kind") if isinstance(row, dict) else None
        if kind not in KINDS:
            problems.add(f"{place}.kind", f"expected one of {', '.join(KINDS)}, got {kind!r}")
            continue
        item: Any = read_as(KINDS[kind], row, place, problems)
        if item is not None:
            found.append(item)
    return tuple(found)


def named(row: Any) -> str:
    return f" ({row['id']})" if isinstance(row, dict) and isinstance(row.get("id"), str) else ""


def table_of(path: Path, problems: Problems, where: str = "") -> dict[str, Any]:
    """A TOML file as a table; an empty one where it cannot be read."""
    with problems.of(f"{where}{path.name}"):
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            problems.add(f"{where}{path.name}", str(error.strerror))
    return {}


def read_as(kind: type[T], data: Any, where: str, problems: Problems) -> T | None:
    """`data` as a `kind`, with written durations as µs."""
    unread: list[str] = []
    read = units_read(msgspec.inspect.type_info(kind), data, "", unread)
    for said in unread:
        problems.add(where, said)
    with problems.of(where):
        found = msgspec.convert(read, kind)
        return None if unread else found
    return None


def revision_of(folder: Path) -> str:
    """Changes with any file of the lesson."""
    total = blake2b(digest_size=6)
    for name in FILES:
        total.update((folder / name).read_bytes())
    return total.hexdigest()
