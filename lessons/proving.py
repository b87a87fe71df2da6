"""What only a run can show of lessons and items: every prediction has one true option, every goal begins
unreached and is reached by the author's own way, every key exists and no wrong answer is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.asked import NOT_THERE
from engine.commands import AnyCommand
from engine.errors import EngineError
from engine.events import MessageCreated
from engine.goals import read_key, read_predicate
from engine.history import History, play
from lessons.answers import compute, history_of, is_right, wrong_numbers
from lessons.items import AnyItem, Multi, Numeric, OrderItem, PlaceItem, Single
from lessons.lesson import Lesson
from lessons.places import compute_places


def problems_of_lesson(lesson: Lesson) -> list[str]:
    """What is wrong with a lesson and its items: `file: field: …`, empty when it may be shown."""
    folder = f"{lesson.number:02}-{lesson.slug}"
    found = [f"{folder}/lesson.toml: {said}" for said in _caught(_lesson(lesson))]
    for n, item in enumerate(lesson.items):
        where = f"{folder}/quiz.toml: item[{n}] ({item.id})"
        found += [f"{where}: {said}" for said in _caught(_item(item))]
    return found


def problems_of_questions(questions: Sequence[AnyItem]) -> list[str]:
    """The same for the items that belong to no lesson."""
    return [f"interview.toml: item[{n}] ({item.id}): {said}"
            for n, item in enumerate(questions) for said in _caught(_item(item))]  # fmt: skip


def _caught(problems: Iterator[str]) -> Iterator[str]:
    try:
        yield from problems
    except EngineError as error:
        yield str(error)


# -- a lesson -------------------------------------------------------------------------------------


def history_until(
    lesson: Lesson, until_us: int, entries: list[tuple[int, AnyCommand]] | None = None
) -> History:
    """The lesson's run, with `entries` in its journal."""
    return play(lesson.scenario, lesson.run_seed, entries or (), until_us)


def _lesson(lesson: Lesson) -> Iterator[str]:
    shown = history_until(lesson, lesson.predict.until)
    true = [n for n, option in enumerate(lesson.predict.option) if read_predicate(option.holds).holds(shown)]
    if len(true) != 1:
        yield f"predict.option: expected exactly one that holds, got {true or 'none'}"
    for n, option in enumerate(lesson.predict.option):
        if n not in true and not (option.why and option.belief):
            yield f"predict.option[{n}]: it does not hold and has no belief, or no why"
    read_key(lesson.observe.key, "observe.key").answer(shown)
    yield from _pointing(lesson, shown)
    yield from _goal(lesson)


def _pointing(lesson: Lesson, shown: History) -> Iterator[str]:
    born_us = {event.message: event.at_us for event in shown.events if isinstance(event, MessageCreated)}
    for n, segment in enumerate(lesson.segment):
        if segment.points_at.startswith("m") and segment.points_at[1:].isdigit():
            number = int(segment.points_at[1:])
            if born_us.get(number, segment.at + 1) > segment.at:
                yield f"segment[{n}].points_at: {segment.points_at} is not made yet then"


def _goal(lesson: Lesson) -> Iterator[str]:
    wanted, until_us = read_predicate(lesson.goal.wanted, "goal.wanted"), lesson.goal_until_us
    if wanted.holds(history_until(lesson, until_us)):
        yield "goal.wanted: it is reached by watching"
    solved = history_until(lesson, until_us, list(lesson.solution))
    if not wanted.holds(solved):
        yield "goal.solution: it does not reach the goal"
    late = [n for n, step in enumerate(lesson.goal.solution) if step.at >= until_us]
    if late:
        yield f"goal.solution: {late} come after the goal is judged"


# -- an item --------------------------------------------------------------------------------------


def _item(item: AnyItem) -> Iterator[str]:
    for seed in item.variants if item.scenario else (item.seed,):
        for said in _variant(item, seed):
            yield f"seed {seed}: {said}"


def _variant(item: AnyItem, seed: int) -> Iterator[str]:
    right = compute(item, seed)
    match item:
        case Single() | Multi():
            yield from _options(item, seed)
        case Numeric():
            yield from _numbers(item, seed, int(str(right)))
        case PlaceItem():
            yield from _places(item, seed, str(right))
        case OrderItem():
            assert isinstance(right, tuple)
            for n, wrong in enumerate(item.wrong):
                if right.index(wrong.before) < right.index(wrong.then):
                    yield f"wrong[{n}]: {wrong.before!r} does come before {wrong.then!r}"


def _places(item: PlaceItem, seed: int, right: str) -> Iterator[str]:
    known = {place["value"] for place in compute_places(item, seed)}
    if right == NOT_THERE:
        yield "key: the message is not made yet then"
    elif right not in known:
        yield f"key: {right!r} is no place that can be chosen"
    for n, wrong in enumerate(item.wrong):
        if wrong.place == right:
            yield f"wrong[{n}]: {right!r} is right"
        if wrong.place not in known:
            yield f"wrong[{n}]: {wrong.place!r} is no place that can be chosen"


def _options(item: Single | Multi, seed: int) -> Iterator[str]:
    history = history_of(item, seed) if item.scenario else None
    right = [n for n, option in enumerate(item.option) if is_right(option, history)]
    if isinstance(item, Single) and len(right) != 1:
        yield f"option: expected exactly one that holds, got {right or 'none'}"
    for n, option in enumerate(item.option):
        if n not in right and not (option.why and option.belief):
            yield f"option[{n}]: it is wrong and has no belief, or no why"


def _numbers(item: Numeric, seed: int, right: int) -> Iterator[str]:
    numbers = wrong_numbers(item, seed)
    for n, number in numbers:
        if abs(number - right) <= item.tolerance:
            yield f"wrong[{n}]: {number} is right"
    if len({number for _, number in numbers}) < len(numbers):
        yield f"wrong: two of them are the same number: {sorted(number for _, number in numbers)}"
