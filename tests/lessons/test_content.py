"""Lessons' content: every claim is replayed, and what is wrong is refused by file and field, all of it at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from lessons.answers import compute, right_answer
from lessons.catalogue import Catalogue, catalogue, read_folder
from lessons.lesson import TOPICS
from lessons.problems import Problems
from lessons.proving import problems_of_lesson, problems_of_questions
from lessons.scenarios import gallery, library
from lessons.texts import inline, plain, problems_of

LESSON = "03-point-to-point"
EXAMPLE = Path(__file__).parent / "example"
"""A small lesson that stands for any: these tests break it, and no lesson's text is held by them."""
FOLDER = Path(settings.LESSONS_DIR)
COMMON = ("facts.toml", "course.toml", "interview.toml")


@pytest.mark.parametrize("slug", catalogue().lessons)
def test_everything_that_a_lesson_claims_about_runs_holds(slug: str) -> None:
    """One true option a prediction, a goal that watching does not reach and the author's way does, a key at every seed."""
    assert problems_of_lesson(catalogue().lessons[slug]) == []


def test_a_lessons_scenario_can_be_played_and_is_not_in_the_gallery() -> None:
    assert "point-to-point" in library()
    assert "point-to-point" not in gallery()


def test_another_seed_has_a_key_of_its_own() -> None:
    item = catalogue().items["two-queues-two-copies"]
    keys = {seed: compute(item, seed) for seed in (1, 2, 3, 4)}
    assert len(set(keys.values())) > 1
    assert keys == {seed: right_answer(item, seed) for seed in keys}


def test_the_command_that_authors_use_says_that_all_holds() -> None:
    said = StringIO()
    call_command("check_lessons", "point-to-point", stdout=said)
    count = len(catalogue().lessons["point-to-point"].items)
    assert f"1 lessons and {count} items hold." in said.getvalue()
    with pytest.raises(CommandError, match="There is no lesson nowhere"):
        call_command("check_lessons", "nowhere")


def test_interviewers_questions_are_asked_too_and_each_says_for_which_version_its_answer_holds() -> None:
    asked = [item for item in catalogue().items.values() if item.interview]
    assert len(asked) >= 24
    assert all(item.true_for and item.concept and item.topic in TOPICS for item in asked)
    assert {item.id for item in catalogue().questions} <= {item.id for item in asked}
    assert problems_of_questions(catalogue().questions) == []


def test_an_item_takes_concept_and_topic_from_its_lesson_unless_it_has_its_own() -> None:
    items = catalogue().items
    assert (items["till-of-the-careful"].concept, items["till-of-the-careful"].topic) == (
        "idempotency",
        "exactly-once",
    )
    assert items["waits-unread"].concept == "retry-queue"


# -- texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "It waits 30 s.",
            "the number 30 refers to no fact: write {fact:…}, or {run:30} if the run shows it",
        ),
        ("It waits {fact:nonsense}.", "there is no fact 'nonsense'"),
        ("It waits {facts:nonsense}.", "a brace that begins no {fact:…} and no {run:…}"),
        (" ", "expected a text"),
    ],
)
def test_a_number_without_a_fact_or_a_run_is_refused(text: str, said: str) -> None:
    facts = catalogue().facts
    assert list(problems_of(text, facts)) == [said]
    assert list(problems_of("Tried {fact:quorum-delivery-limit} times, by {run:7.2 s}.", facts)) == []


def test_markers_become_spans_and_everything_else_is_escaped() -> None:
    facts = catalogue().facts
    text = "<b>{run:m7}</b> is tried {fact:quorum-delivery-limit} times"
    assert inline(text, facts) == (
        '&lt;b&gt;<span class="run">m7</span>&lt;/b&gt; is tried <span class="fact">20</span> times'
    )
    assert plain(text, facts) == "<b>m7</b> is tried 20 times"


# -- what is wrong --------------------------------------------------------------------------------


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., tuple[Catalogue, list[str]]]:
    """The content with `old` replaced by `new` in a file of the lesson: what is read, and its problems."""

    def change(name: str, *pairs: tuple[str, str]) -> tuple[Catalogue, list[str]]:
        shutil.copytree(EXAMPLE / LESSON, tmp_path / LESSON)
        for common in COMMON:
            shutil.copy(FOLDER / common, tmp_path / common)
        path = tmp_path / (name if name in COMMON else f"{LESSON}/{name}")
        text = path.read_text(encoding="utf-8")
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text, encoding="utf-8")
        problems = Problems()
        return read_folder(tmp_path, problems), problems.lines

    return change


WRONG = [
    ("lesson.toml", 'event = "MessageCreated"', 'event = "Exploded"', "goal.wanted.from: there is no event 'Exploded'"),
    ("lesson.toml", '"RestartConsumer"', '"Explode"', 'unknown command "Explode"'),
    ("lesson.toml", '  "Which queue grows while billing goes on?",\n', "", "goal.hints: expected 3, got 2"),
    ("lesson.toml", "par = 1", "par = 2", "goal.par: expected at most the solution's 1 commands, got 2"),
    ("lesson.toml", 'at = "7.4s"', 'at = "6s"', "segment.at: expected later and later moments"),
    ("lesson.toml", 'until = "19s"', 'until = "18s"', "predict.until: expected the last segment's stop"),
    ("lesson.toml", 'at = "7.4s"', 'at = "soon"', 'segment[1].at: expected a duration such as "200ms"'),
    ("lesson.toml", 'points_at = "email"', 'points_at = "e-mail"', "segment[1].points_at: there is no node 'e-mail'"),
    ("lesson.toml", "minutes = 8", "minutes = 8\nmood = 1", "unknown field `mood`"),
    ("lesson.toml", 'after = ["why-a-queue"]', 'after = ["why"]', "after: course.toml has no lesson 'why'"),
    ("lesson.toml", "Each worker takes", "Each of 2 workers takes", "segment[0].text: the number 2 refers to no fact"),
    ("lesson.toml", 'faults = ["crash",', 'faults = ["explode",', "goal.faults[0]: expected one of crash, restart, slow"),
    ("lesson.md", "How the real one differs:", "In reality", "the last paragraph does not begin with"),
    ("lesson.md", "billing\nnotices", "billing\nnotices in 5 s", "lesson.md: the number 5 refers to no fact"),
    ("scenario.toml", 'to = { exchange = "orders" }', 'to = { exchange = "order" }', "scenario.toml: producer[0].to"),
    ("quiz.toml", 'kind = "order"', 'kind = "riddle"', "item[5] (what-came-first).kind: expected one of single, multi"),
    ("quiz.toml", 'kind = "order"', 'kind = "numeric"\nunit = "s"', "unknown field"),
    ("quiz.toml", 'scenario = "work-queue"', 'scenario = "x"', "item[0] (split-between-two).scenario: there is no 'x'"),
    ("quiz.toml", 'stands = "7s"', 'stands = "12s"', "stands: expected before the moment that is asked about"),
    ("quiz.toml", 'place = "gone"', 'place = "home"', "wrong[1].place: expected a node and a zone of it, got 'home'"),
    ("quiz.toml", 'then = "the order is routed"', 'then = "x"', "wrong[0].then: there is no label 'x'"),
    ("quiz.toml", "right = true", "right = false", "expected exactly one with right = true, got 0"),
    ("quiz.toml", 'id = "one-copy-each"', 'id = "split-between-two"', "id: 'split-between-two' stands there twice"),
    ("quiz.toml", 'ledger = "owed"', 'ledger = "due"', "key.value.ledger: expected one of sent, owed"),
    ("course.toml", 'slug = "point-to-point"', 'slug = "p"', "no lesson 3 with the slug 'point-to-point'"),
    ("course.toml", 'summary = "One more consumer', 'summary = "Another consumer', "summary: course.toml says 'Another consumer"),
    ("course.toml", 'summary = "A queue buys time', 'summary = "A queue buys 5 s', "burst-overload.summary: the number 5 refers"),
    ("interview.toml", 'topic = "one-queue"', 'topic = "kafka"', "(spike-that-stays).topic: expected one of one-queue"),
    ("interview.toml", 'concept = "burst-overload"', 'concept = ""', "(spike-that-stays).concept: expected one"),
    ("interview.toml", "interview = true", "interview = false", "(spike-that-stays).interview: expected true"),
    ("interview.toml", "right = true", "right = false", "(spike-that-stays).option: expected exactly one with right = true"),
    ("interview.toml", 'id = "spike-that-stays"', 'id = "one-copy-each"', "id: 'one-copy-each' stands there twice"),
    ("facts.toml", 'checked = "2026-11-24"', "", "facts.toml: quorum-delivery-limit: Object missing required field `checked`"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "said"), WRONG)
def test_what_is_wrong_is_refused_with_its_file_and_field(
    changed: Callable[..., tuple[Catalogue, list[str]]], name: str, old: str, new: str, said: str
) -> None:
    _, lines = changed(name, (old, new))
    assert any(said in line for line in lines), lines
    assert all(".toml" in line or ".md" in line for line in lines)


def test_all_problems_are_listed_at_once(changed: Callable[..., tuple[Catalogue, list[str]]]) -> None:
    _, lines = changed("quiz.toml", ('kind = "order"', 'kind = "riddle"'), ('stands = "7s"', 'stands = "12s"'),
                       ("right = true", "right = false"), ('belief = "held-is-lost"', 'belief = "held-is-1"'))  # fmt: skip
    said = "\n".join(lines)
    assert "riddle" in said
    assert "stands" in said
    assert "right = true" in said


UNTRUE = [
    ("lesson.toml", 'op = ">", n = 20', 'op = ">", n = 2000', "predict.option: expected exactly one that holds, got none"),
    ("lesson.toml", 'at = "9s"\ncommand', 'at = "19.9s"\ncommand', "goal.solution: it does not reach the goal"),
    ("lesson.toml", 'within = "10s"', 'within = "30s"', "goal.wanted: it is reached by watching"),
    ("quiz.toml", "answer = 8", "answer = 11", "wrong: two of them are the same number"),
    ("quiz.toml", 'place = "billing ready"', 'place = "email ready"', "wrong[0]: 'email ready' is right"),
    ("quiz.toml", 'place = 14, at = "12s"', 'place = 140, at = "12s"', "key: the message is not made yet then"),
    ("quiz.toml", "n = 1 }\nbelief", "n = 0 }\nbelief", "option: expected exactly one that holds, got [0, 1]"),
    ("quiz.toml", 'before = "the first charge"\nthen = "the order is routed"',
     'before = "the order is routed"\nthen = "the first charge"', "does come before 'the first charge'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "said"), UNTRUE)
def test_what_no_run_shows_is_found_by_running(
    changed: Callable[..., tuple[Catalogue, list[str]]], name: str, old: str, new: str, said: str
) -> None:
    found, lines = changed(name, (old, new))
    assert lines == []
    assert any(said in line for line in problems_of_lesson(found.lessons["point-to-point"]))
