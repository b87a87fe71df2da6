"""Lessons as data: facts, goals and quiz items, read and checked once. A key is what the engine returns."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from django.core.exceptions import ImproperlyConfigured
from msgspec import Struct

from engine.commands import AnyCommand, decode
from engine.durations import duration_us
from engine.errors import EngineError
from engine.goals import Order, Place, Value, read_key, read_predicate
from engine.history import History, play
from lessons.scenarios import library

FOLDER = Path(__file__).parent
REFERENCE = re.compile(r"\{fact:([\w-]+)\}")
NUMBER = re.compile(r"\d+")
GLOSSARY_MAX = 5
HINTS = 3
KINDS = {"single": Value, "numeric": Value, "place": Place, "order": Order}

Answer = int | str | tuple[str, ...]


class Fact(Struct, frozen=True, forbid_unknown_fields=True):
    """A value that a text may state, with what it holds for and where it stands."""

    value: str
    version: str
    source: str


class Option(Struct, frozen=True, forbid_unknown_fields=True):
    """An answer that can be given; `why` explains it to whoever gave it."""

    answer: Answer
    why: str


class Item(Struct, frozen=True, forbid_unknown_fields=True):
    """A question about a run of `scenario` with `seed`. `stem` may state the run's own numbers."""

    id: str
    kind: str
    scenario: str
    seed: int
    until: str
    stem: str
    key: dict[str, Any]
    options: tuple[Option, ...]

    def answer(self, seed: int | None = None) -> Answer:
        """What is right, by running it; another seed has an answer of its own. Raises `EngineError`."""
        found = read_key(self.key, f"{self.id}.key").answer(self.history(seed))
        return " ".join(found).strip() if self.kind == "place" and isinstance(found, tuple) else found

    def history(self, seed: int | None = None) -> History:
        scenario = library()[self.scenario].scenario
        return play(scenario, self.seed if seed is None else seed, until_us=duration_us(self.until))


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """A command of the author's own solution."""

    at: str
    command: str
    arguments: dict[str, Any]

    def entry(self) -> tuple[int, AnyCommand]:
        return duration_us(self.at), decode(self.command, self.arguments)


class Goal(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be reached on the live stage; any route counts."""

    text: str
    wanted: dict[str, Any]
    hints: tuple[str, ...]
    solution: tuple[Step, ...]


class Lesson(Struct, frozen=True, forbid_unknown_fields=True):
    """One lesson. `items` come from its quiz.toml."""

    title: str
    scenario: str
    words: dict[str, str]
    explanation: str
    goal: Goal
    items: tuple[Item, ...] = ()

    def reached(self, commands: list[tuple[int, AnyCommand]]) -> bool:
        """Whether a run with these commands (at_us, command) reaches the goal. Raises `EngineError`."""
        scenario = library()[self.scenario].scenario
        return read_predicate(self.goal.wanted).holds(play(scenario, scenario.seed, commands))


@functools.cache
def facts() -> dict[str, Fact]:
    """The table of facts by id. Raises `ImproperlyConfigured`."""
    return read(FOLDER / "facts.toml", dict[str, Fact])


@functools.cache
def lessons() -> dict[str, Lesson]:
    """All lessons by slug. Raises `ImproperlyConfigured` naming file and field."""
    return {folder.name.partition("-")[2]: read_lesson(folder) for folder in sorted(FOLDER.glob("[0-9]*"))}


def read_lesson(folder: Path) -> Lesson:
    """The lesson of a folder, checked. Raises `ImproperlyConfigured`."""
    lesson: Lesson = read(folder / "lesson.toml", Lesson)
    items = read(folder / "quiz.toml", dict[str, tuple[Item, ...]]).get("item", ())
    check_lesson(lesson, f"{folder.name}/lesson.toml")
    for n, item in enumerate(items):
        check_item(item, f"{folder.name}/quiz.toml: item[{n}]")
    return msgspec.structs.replace(lesson, items=items)


def read(path: Path, kind: Any) -> Any:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), kind)
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
        raise wrong(path.name, str(error)) from None


def check_lesson(lesson: Lesson, where: str) -> None:
    if lesson.scenario not in library():
        raise wrong(where, f"scenario: there is no {lesson.scenario!r}")
    if not 1 <= len(lesson.words) <= GLOSSARY_MAX:
        raise wrong(where, f"words: expected 1 to {GLOSSARY_MAX}, got {len(lesson.words)}")
    if len(lesson.goal.hints) != HINTS:
        raise wrong(where, f"goal.hints: expected {HINTS}, got {len(lesson.goal.hints)}")
    for word, text in lesson.words.items():
        check_text(text, f"{where}: words.{word}")
    check_text(lesson.explanation, f"{where}: explanation")
    try:
        read_predicate(lesson.goal.wanted, "goal.wanted")
        for step in lesson.goal.solution:
            step.entry()
    except (EngineError, ValueError) as error:
        raise wrong(where, str(error)) from None


def check_item(item: Item, where: str) -> None:
    if item.kind not in KINDS:
        raise wrong(where, f"kind: expected one of {', '.join(KINDS)}, got {item.kind!r}")
    if item.scenario not in library():
        raise wrong(where, f"scenario: there is no {item.scenario!r}")
    try:
        duration_us(item.until)
        key = read_key(item.key, "key")
    except (EngineError, ValueError) as error:
        raise wrong(where, str(error)) from None
    if not isinstance(key, KINDS[item.kind]):
        raise wrong(where, f"key: not that of kind {item.kind!r}")
    if len({option.answer for option in item.options}) < max(2, len(item.options)):
        raise wrong(where, "options: expected at least two, all different")
    for n, option in enumerate(item.options):
        check_text(option.why, f"{where}.options[{n}].why")


def check_text(text: str, where: str) -> None:
    """A number in an explanation is a fact's, or the site does not start."""
    if not text.strip():
        raise wrong(where, "expected a text")
    for name in REFERENCE.findall(text):
        if name not in facts():
            raise wrong(where, f"there is no fact {name!r}")
    number = NUMBER.search(REFERENCE.sub("", text))
    if number:
        raise wrong(where, f"the number {number[0]} refers to no fact")


def wrong(where: str, said: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"The site does not start on bad content.\n{where}: {said}")
