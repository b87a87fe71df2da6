"""All lessons, their questions and the facts they state: read and checked once, when the site starts."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from lessons.checking import check_course, check_ids, check_lesson, check_questions
from lessons.facts import Fact
from lessons.items import AnyItem
from lessons.lesson import Lesson, Planned
from lessons.problems import Problems
from lessons.reading import read_course, read_facts, read_items, read_lesson

FOLDERS = "[0-9][0-9]-*"


@dataclass(frozen=True)
class Catalogue:
    """`lessons` by slug in the order of the course; `questions` that belong to no lesson; `items`, both the
    lessons' and these, by id; `lesson_of` an item by its id, where it has one."""

    facts: Mapping[str, Fact]
    course: tuple[Planned, ...]
    lessons: Mapping[str, Lesson]
    questions: tuple[AnyItem, ...]
    items: Mapping[str, AnyItem]
    lesson_of: Mapping[str, Lesson]


@functools.cache
def catalogue() -> Catalogue:
    """Everything. Raises `ImproperlyConfigured` with every problem of every file."""
    problems = Problems()
    found = read_folder(Path(settings.LESSONS_DIR), problems)
    problems.refuse()
    return found


def read_folder(folder: Path, problems: Problems) -> Catalogue:
    """What a folder like `lessons/content` holds, checked as far as that needs no run."""
    facts = read_facts(folder / "facts.toml", problems) if (folder / "facts.toml").exists() else {}
    course = read_course(folder / "course.toml", problems) if (folder / "course.toml").exists() else ()
    lessons: dict[str, Lesson] = {}
    for each in sorted(folder.glob(FOLDERS)):
        lesson = read_lesson(each, facts, problems)
        if lesson is not None:
            check_lesson(lesson, each.name, facts, problems)
            lessons[lesson.slug] = lesson
    questions = (
        read_items(folder / "interview.toml", problems) if (folder / "interview.toml").exists() else ()
    )
    items = [*(item for lesson in lessons.values() for item in lesson.items), *questions]
    check_course(course, lessons, facts, problems)
    check_questions(questions, facts, problems)
    check_ids(items, problems)
    return Catalogue(
        facts, course, lessons, questions, {item.id: item for item in items},
        {item.id: lesson for lesson in lessons.values() for item in lesson.items},
    )  # fmt: skip
