"""Lessons' content: every goal and key is replayed, and what is wrong is refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from django.core.exceptions import ImproperlyConfigured

from lessons import content
from lessons.content import Item, check_item, check_text, lessons, read_lesson

ITEMS = [pytest.param(item, id=item.id) for lesson in lessons().values() for item in lesson.items]


@pytest.mark.parametrize("slug", lessons())
def test_a_goal_is_not_reached_by_watching_and_is_by_the_authors_solution(slug: str) -> None:
    lesson = lessons()[slug]
    assert not lesson.reached([])
    assert lesson.reached([step.entry() for step in lesson.goal.solution])


@pytest.mark.parametrize("slug", lessons())
def test_a_lesson_asks_eight_questions_of_all_four_kinds(slug: str) -> None:
    items = lessons()[slug].items
    assert len(items) >= 8
    assert {item.kind for item in items} == set(content.KINDS)


def test_every_item_has_a_name_of_its_own() -> None:
    names = [item.id for lesson in lessons().values() for item in lesson.items]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("item", ITEMS)
def test_the_run_decides_which_answer_is_right(item: Item) -> None:
    right = item.answer()
    offered = [option.answer for option in item.options]
    if item.kind == "numeric":
        assert right not in offered, "its options are the wrong answers that have an explanation"
    else:
        assert offered.count(right) == 1


def test_another_seed_has_a_key_of_its_own() -> None:
    item = next(item for item in lessons()["point-to-point"].items if item.id == "two-queues-two-copies")
    keys = {seed: msgspec.structs.replace(item, seed=seed).answer() for seed in (1, 2, 3, 4)}
    assert len(set(keys.values())) > 1
    assert keys == {seed: item.answer(seed) for seed in keys}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It waits 30 s.", "the number 30 refers to no fact"),
        ("It waits {fact:nonsense}.", "there is no fact 'nonsense'"),
        (" ", "expected a text"),
    ],
)
def test_a_number_without_a_fact_is_refused(text: str, said: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=said):
        check_text(text, "here")
    check_text("It is tried {fact:quorum-delivery-limit} times.", "here")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('scenario = "fan-out"', 'scenario = "nowhere"', "lesson.toml: scenario: there is no 'nowhere'"),
        ('event = "MessageCreated"', 'event = "Exploded"', "goal.wanted.from: there is no event 'Exploded'"),
        ('"RestartConsumer"', '"Explode"', 'unknown command "Explode"'),
        ('"Which queue grows while billing goes on?",', "", "goal.hints: expected 3, got 2"),
    ],
)
def test_a_lesson_that_is_wrong_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    folder = tmp_path / "03-point-to-point"
    shutil.copytree(content.FOLDER / "03-point-to-point", folder)
    text = (folder / "lesson.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "lesson.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ImproperlyConfigured, match=said):
        read_lesson(folder)


def test_an_item_whose_key_is_of_another_kind_is_refused() -> None:
    item = msgspec.structs.replace(lessons()["point-to-point"].items[0], kind="order")
    with pytest.raises(ImproperlyConfigured, match="key: not that of kind 'order'"):
        check_item(item, "quiz.toml")
