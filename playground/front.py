"""What the home page says of the lessons: the first of them, each linked as soon as its page is there."""

from __future__ import annotations

from django.urls import NoReverseMatch, reverse

from lessons.catalogue import catalogue

FIRST = 3
"""As many as stand beside each other at the fold."""


def first_lessons() -> list[dict[str, object]]:
    """Title, summary, address ("" while no page shows it) and templates of the little figure, best first."""
    lessons = list(catalogue().lessons.values())[:FIRST]
    return [
        {
            "title": lesson.title,
            "summary": lesson.summary,
            "url": address("lesson", lesson.slug),
            "mini": [f"stills/lesson-{lesson.slug}.svg", "stills/lesson.svg"],
        }
        for lesson in lessons
    ]


def planned() -> int:
    """How many lessons there are or will be."""
    return len(catalogue().course) or len(catalogue().lessons)


def address(name: str, *words: str) -> str:
    """The address of a page by its name, "" while there is no such page."""
    try:
        return reverse(name, args=words)
    except NoReverseMatch:
        return ""
