"""What must hold of lessons and items and can be seen without running them; `proving.py` does the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from engine.asked import GONE, NOBODY, NOT_THERE
from engine.goals import Order, Place, Value, read_key, read_predicate
from engine.goals_kafka import PlaceInLog
from engine.scenario import Scenario
from lessons.items import (
    ASKED_OF_EVERY_LESSON,
    AnyItem,
    Item,
    Multi,
    Numeric,
    Option,
    OrderItem,
    PlaceItem,
    Single,
    WrongNumber,
    WrongOrder,
    WrongPlace,
)  # fmt: skip
from lessons.lesson import FAULTS, TOPICS, Lesson, Planned
from lessons.problems import Problems
from lessons.scenarios import gallery, library
from lessons.texts import Facts, problems_of, words_in

WORDS_MAX = 5
OPTIONS = (3, 4)
SEGMENTS = (3, 6)
HINTS = 3
ITEMS_MIN = 8
EXPLANATION_WORDS_MAX = 220
LAST_PARAGRAPH = "How the real one differs:"
MESSAGE = re.compile(r"m[1-9][0-9]*")
KEYS = {Numeric: Value, PlaceItem: Place | PlaceInLog, OrderItem: Order}


def check_course(
    course: tuple[Planned, ...], lessons: Mapping[str, Lesson], facts: Facts, problems: Problems
) -> None:
    """Every lesson has its place in the course, and says of itself what stands there."""
    planned = {each.slug: each for each in course}
    for each in course:
        for field, text in (("title", each.title), ("summary", each.summary)):
            for said in problems_of(text, facts):
                problems.add(f"course.toml: {each.slug}.{field}", said)
    for name, kind in (
        ("number", [each.number for each in course]),
        ("slug", [each.slug for each in course]),
    ):
        for twice in (value for value, often in Counter(kind).items() if often > 1):
            problems.add("course.toml", f"{name}: {twice} stands there twice")
    numbers = {each.slug: each.number for each in course}
    for each in course:
        for slug in each.after:
            if numbers.get(slug, each.number) >= each.number:
                problems.add("course.toml", f"{each.slug}.after: {slug!r} is no earlier lesson")
    for lesson in lessons.values():
        where = f"{lesson.number:02}-{lesson.slug}/lesson.toml"
        there = planned.get(lesson.slug)
        if there is None or there.number != lesson.number:
            problems.add(where, f"course.toml has no lesson {lesson.number} with the slug {lesson.slug!r}")
        else:
            for field in ("title", "topic", "summary"):
                if getattr(lesson, field) != getattr(there, field):
                    problems.add(where, f"{field}: course.toml says {getattr(there, field)!r}")
        if lesson.slug in gallery():
            problems.add(where, f"there is a scenario {lesson.slug!r} in the gallery already")
        for slug in lesson.after:
            if slug not in planned:
                problems.add(where, f"after: course.toml has no lesson {slug!r}")


def check_ids(items: Iterable[AnyItem], problems: Problems) -> None:
    """Every item has a name of its own."""
    ids = Counter(item.id for item in items)
    for twice in (name for name, often in ids.items() if often > 1):
        problems.add("quiz.toml", f"id: {twice!r} stands there twice")


def check_questions(questions: tuple[AnyItem, ...], facts: Facts, problems: Problems) -> None:
    """Adds what is wrong with `interview.toml`, whose items belong to no lesson."""
    for n, item in enumerate(questions):
        where = f"interview.toml: item[{n}] ({item.id})"
        check_item(item, where, facts, problems)
        if not item.concept:
            problems.add(f"{where}.concept", "expected one: there is no lesson to take it from")
        if item.topic not in TOPICS:
            problems.add(f"{where}.topic", f"expected one of {', '.join(TOPICS)}, got {item.topic!r}")
        if not item.interview:
            problems.add(f"{where}.interview", "expected true: this file holds interviewers' questions")


def check_lesson(lesson: Lesson, folder: str, facts: Facts, problems: Problems) -> None:
    """Adds what is wrong with a lesson and with its items."""
    where = f"{folder}/lesson.toml"
    for field, said in (*_lengths(lesson), *_times(lesson), *_names(lesson)):
        problems.add(f"{where}: {field}", said)
    for field, text in _texts(lesson):
        for said in problems_of(text, facts):
            problems.add(f"{where}: {field}", said)
    _check_goal_language(lesson, where, problems)
    _check_prose(lesson, f"{folder}/lesson.md", problems)
    kinds = {item.kind for item in lesson.items}
    if len(lesson.items) < ITEMS_MIN:
        problems.add(f"{folder}/quiz.toml", f"expected at least {ITEMS_MIN} items, got {len(lesson.items)}")
    for kind in ASKED_OF_EVERY_LESSON:
        if kind not in kinds:
            problems.add(f"{folder}/quiz.toml", f"expected an item of the kind {kind!r}")
    for n, item in enumerate(lesson.items):
        check_item(item, f"{folder}/quiz.toml: item[{n}] ({item.id})", facts, problems)


def _lengths(lesson: Lesson) -> Iterator[tuple[str, str]]:
    for field, count, least, most in (
        ("word", len(lesson.word), 1, WORDS_MAX), ("predict.option", len(lesson.predict.option), *OPTIONS),
        ("segment", len(lesson.segment), *SEGMENTS), ("goal.hints", len(lesson.goal.hints), HINTS, HINTS),
    ):  # fmt: skip
        if not least <= count <= most:
            expected = f"{least} to {most}" if least < most else str(most)
            yield field, f"expected {expected}, got {count}"
    if not 1 <= lesson.goal.par <= len(lesson.goal.solution):
        yield (
            "goal.par",
            f"expected at most the solution's {len(lesson.goal.solution)} commands, got {lesson.goal.par}",
        )
    texts = [option.text for option in lesson.predict.option]
    if len(set(texts)) < len(texts):
        yield "predict.option", "two have the same text"


def _times(lesson: Lesson) -> Iterator[tuple[str, str]]:
    stops = [segment.at for segment in lesson.segment]
    if stops != sorted(set(stops)):
        yield "segment.at", "expected later and later moments"
    if stops and lesson.predict.at > stops[0]:
        yield "predict.at", "expected not after the first segment's stop"
    if stops and lesson.predict.until != stops[-1]:
        yield "predict.until", "expected the last segment's stop"
    if stops and stops[-1] > lesson.scenario.length_us:
        yield "segment.at", "the last is behind the run's end"
    if lesson.goal_until_us > lesson.scenario.length_us:
        yield "goal.until", "it is behind the run's end"
    steps = [step.at for step in lesson.goal.solution]
    if steps != sorted(steps):
        yield "goal.solution", "expected in the order of their moments"


def _names(lesson: Lesson) -> Iterator[tuple[str, str]]:
    nodes = nodes_of(lesson.scenario)
    for n, segment in enumerate(lesson.segment):
        if segment.points_at and segment.points_at not in nodes and not MESSAGE.fullmatch(segment.points_at):
            yield (
                f"segment[{n}].points_at",
                f"there is no node {segment.points_at!r}; a message is written m7",
            )

    for n, fault in enumerate(lesson.goal.faults):
        if fault not in FAULTS:
            yield f"goal.faults[{n}]", f"expected one of {', '.join(FAULTS)}, got {fault!r}"


def _texts(lesson: Lesson) -> Iterator[tuple[str, str]]:
    yield "title", lesson.title
    yield "summary", lesson.summary
    for n, word in enumerate(lesson.word):
        yield f"word[{n}].name", word.name
        yield f"word[{n}].text", word.text
    yield "predict.question", lesson.predict.question
    for n, option in enumerate(lesson.predict.option):
        yield f"predict.option[{n}].text", option.text
        if option.why:
            yield f"predict.option[{n}].why", option.why
    for n, segment in enumerate(lesson.segment):
        yield f"segment[{n}].text", segment.text
    yield "observe.question", lesson.observe.question
    yield "observe.why", lesson.observe.why
    yield from _labels("observe.key", lesson.observe.key)
    yield "goal.text", lesson.goal.text
    for n, hint in enumerate(lesson.goal.hints):
        yield f"goal.hints[{n}]", hint
    for n, feedback in enumerate(lesson.goal.feedback):
        yield f"goal.feedback[{n}].text", feedback.text


def _labels(field: str, key: dict[str, object]) -> Iterator[tuple[str, str]]:
    events = key.get("order")
    for n, event in enumerate(events if isinstance(events, list) else ()):
        if isinstance(event, dict) and isinstance(event.get("label"), str):
            yield f"{field}.order[{n}].label", event["label"]


def _check_goal_language(lesson: Lesson, where: str, problems: Problems) -> None:
    for n, option in enumerate(lesson.predict.option):
        with problems.of(where):
            read_predicate(option.holds, f"predict.option[{n}].holds")
    with problems.of(where):
        if not isinstance(read_key(lesson.observe.key, "observe.key"), Order):
            problems.add(where, "observe.key: expected an order")
    with problems.of(where):
        read_predicate(lesson.goal.wanted, "goal.wanted")
    for n, feedback in enumerate(lesson.goal.feedback):
        with problems.of(where):
            read_predicate(feedback.when, f"goal.feedback[{n}].when")
    for n, step in enumerate(lesson.goal.solution):
        with problems.of(f"{where}: goal.solution[{n}]"):
            step.entry()


def _check_prose(lesson: Lesson, where: str, problems: Problems) -> None:
    source = lesson.explanation.source
    count = words_in(source)
    if count > EXPLANATION_WORDS_MAX:
        problems.add(where, f"expected at most {EXPLANATION_WORDS_MAX} words, got {count}")
    if not source.split("\n\n")[-1].lstrip("*_ ").startswith(LAST_PARAGRAPH):
        problems.add(where, f"the last paragraph does not begin with {LAST_PARAGRAPH!r}")


def nodes_of(scenario: Scenario) -> set[str]:
    """The names of everything that stands on the stage."""
    names = {each.name for each in scenario.producer} | {each.name for each in scenario.consumer}
    for system in scenario.rabbitmq:
        names |= {queue.name for queue in system.queues} | {each.name for each in system.exchanges}
    for cluster in scenario.kafka:
        names |= {f"broker {number}" for number in range(1, cluster.brokers + 1)}
        for topic in cluster.topics:
            added = [fault.partitions or 0 for fault in scenario.fault if fault.target == topic.name]
            count = max(topic.partitions, *added, 0)
            names |= {topic.name, *(f"{topic.name}-{number}" for number in range(count))}
    return names | {each.from_.group for each in scenario.kafka_consumers}


# -- items ----------------------------------------------------------------------------------------


def check_item(item: AnyItem, where: str, facts: Facts, problems: Problems) -> None:
    """Adds what is wrong with an item."""
    for field, text in _item_texts(item):
        for said in problems_of(text, facts):
            problems.add(f"{where}.{field}", said)
    for name in item.facts:
        if name not in facts:
            problems.add(f"{where}.facts", f"there is no fact {name!r}")
    _check_run(item, where, problems)
    if isinstance(item, Single | Multi):
        _check_options(item, where, problems)
    elif item.scenario:
        _check_key(item, where, problems)


def _item_texts(item: AnyItem) -> Iterator[tuple[str, str]]:
    yield "stem", item.stem
    yield "explanation", item.explanation
    if isinstance(item, Single | Multi):
        for n, option in enumerate(item.option):
            yield f"option[{n}].text", option.text
            if option.why:
                yield f"option[{n}].why", option.why
    else:
        wrongs: tuple[WrongNumber | WrongPlace | WrongOrder, ...] = item.wrong
        for n, wrong in enumerate(wrongs):
            yield f"wrong[{n}].why", wrong.why
            yield f"wrong[{n}].belief", wrong.belief
    if isinstance(item, OrderItem):
        yield from _labels("key", item.key)


def _check_run(item: Item, where: str, problems: Problems) -> None:
    if not item.scenario:
        if not isinstance(item, Single | Multi):
            problems.add(f"{where}.scenario", f"an item of the kind {item.kind!r} asks about a run")
        return
    shipped = library().get(item.scenario)
    if shipped is None:
        problems.add(f"{where}.scenario", f"there is no {item.scenario!r}")
        return
    length_us = shipped.scenario.length_us
    for field, at_us in (("until", item.until), ("shows", item.shows)):
        if at_us is not None and at_us > length_us:
            problems.add(f"{where}.{field}", "it is behind the run's end")
    for n, step in enumerate(item.commands):
        with problems.of(f"{where}.commands[{n}]"):
            step.entry()


def _check_options(item: Single | Multi, where: str, problems: Problems) -> None:
    texts = [option.text for option in item.option]
    if len(texts) < 2 or len(set(texts)) < len(texts):
        problems.add(f"{where}.option", "expected at least two, all different")
    for n, option in enumerate(item.option):
        _check_option(option, bool(item.scenario), f"{where}.option[{n}]", problems)
    if item.scenario:
        return
    right = sum(bool(option.right) for option in item.option)
    if isinstance(item, Single) and right != 1:
        problems.add(f"{where}.option", f"expected exactly one with right = true, got {right}")
    for n, option in enumerate(item.option):
        if not option.right and not (option.why and option.belief):
            problems.add(f"{where}.option[{n}]", "it is wrong and has no belief, or no why")


def _check_option(option: Option, has_run: bool, where: str, problems: Problems) -> None:
    if option.holds is not None and option.right is not None:
        problems.add(where, "expected holds or right, got both")
    elif option.holds is None and option.right is None and has_run:
        problems.add(where, "expected holds")
    if option.holds is not None:
        if not has_run:
            problems.add(where, "holds: the item has no scenario")
        with problems.of(where):
            read_predicate(option.holds, "holds")


def _check_key(item: Numeric | PlaceItem | OrderItem, where: str, problems: Problems) -> None:
    with problems.of(where):
        key = read_key(item.key, "key")
        if not isinstance(key, KEYS[type(item)]):
            problems.add(f"{where}.key", f"not that of the kind {item.kind!r}")
            return
        if isinstance(key, Order) and isinstance(item, OrderItem):
            _check_orders(item, {pattern.label for pattern in key.patterns}, where, problems)
        if isinstance(key, Place | PlaceInLog) and isinstance(item, PlaceItem):
            _check_places(item, key, where, problems)
    if isinstance(item, Numeric):
        for n, wrong in enumerate(item.wrong):
            if (wrong.answer is None) == (wrong.key is None):
                problems.add(f"{where}.wrong[{n}]", "expected either answer or key")
            if wrong.key is not None:
                with problems.of(where):
                    read_key(wrong.key, f"wrong[{n}].key")


def _check_orders(item: OrderItem, labels: set[str], where: str, problems: Problems) -> None:
    for n, wrong in enumerate(item.wrong):
        for field, label in (("before", wrong.before), ("then", wrong.then)):
            if label not in labels:
                problems.add(f"{where}.wrong[{n}].{field}", f"there is no label {label!r}")


def _check_places(item: PlaceItem, key: Place | PlaceInLog, where: str, problems: Problems) -> None:
    if item.stands >= key.at_us:
        problems.add(f"{where}.stands", "expected before the moment that is asked about")
    if item.until is not None and item.until < key.at_us:
        problems.add(f"{where}.until", "expected not before the moment that is asked about")
    nodes = nodes_of(library()[item.scenario].scenario) if item.scenario in library() else set()
    for n, wrong in enumerate(item.wrong):
        known = wrong.place in (GONE, NOT_THERE, NOBODY, *nodes) or any(
            wrong.place.startswith((f"{node} ", f"{node}-")) for node in nodes
        )
        if not known:
            problems.add(
                f"{where}.wrong[{n}].place", f"expected a node and a zone of it, got {wrong.place!r}"
            )
