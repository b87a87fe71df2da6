"""What a lesson's page shows: exactly what its learner may see by now.

Before the prediction no stop's text is in it, before the observation no key and no explanation, before a
hint is taken no hint."""

from __future__ import annotations

import datetime
import secrets
from hashlib import blake2b
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from lessons.answers import BadAnswer
from lessons.catalogue import catalogue
from lessons.facts import Fact
from lessons.goal import Judged
from lessons.learning import CONFIDENCE, STEPS, Standing, seen_order, true_guess
from lessons.lesson import Lesson
from lessons.models import Learner
from lessons.texts import facts_in
from playground.learn import learners

NAMES = {"predict": "Predict", "run": "Run", "observe": "Observe", "explain": "Explain", "goal": "Goal"}


def new_key() -> str:
    """For one form: what is sent twice with the same key counts once."""
    return secrets.token_urlsafe(18)


def confidence_of(request: HttpRequest) -> int | None:
    """The chosen step of confidence; None where none was chosen. Raises `BadAnswer`."""
    text = request.POST.get("sure", "")
    if not text:
        return None
    if text not in ("1", "2", "3"):
        raise BadAnswer("How sure: one of the three, or none.")
    return int(text)


def shuffled(things: tuple[str, ...], salt: str) -> list[str]:
    """The same order each time, and never the given one."""
    mixed = sorted(things, key=lambda thing: blake2b(f"{salt}/{thing}".encode(), digest_size=8).digest())
    return mixed[1:] + mixed[:1] if tuple(mixed) == things else mixed


def lesson_context(standing: Standing) -> dict[str, Any]:
    """Everything that the text beside the stage needs."""
    lesson, step = standing.lesson, standing.step
    place = STEPS.index(step)
    return {
        "lesson": lesson, "standing": standing, "step": step, "key": new_key(), "levels": CONFIDENCE,
        "lessons_in_all": len(catalogue().course), "step_number": place + 1,
        "steps": [{"name": NAMES[name], "done": n < place or (name == "goal" and standing.reached),
                   "current": n == place} for n, name in enumerate(STEPS)],
        **_PARTS[step](standing),
    }  # fmt: skip


def _predict(standing: Standing) -> dict[str, Any]:
    options = standing.lesson.predict.option
    order = shuffled(tuple(guess.id for guess in options), standing.lesson.slug)
    return {"options": sorted(options, key=lambda guess: order.index(guess.id))}


def _run(standing: Standing) -> dict[str, Any]:
    lesson = standing.lesson
    last = len(lesson.segment) - 1
    stops = [
        {
            "n": n,
            "at_us": stop.at,
            "text": stop.text,
            "points_at": stop.points_at,
            "shown": n == standing.stop,
            "last": n == last,
        }
        for n, stop in enumerate(lesson.segment)
    ]
    return {"stops": stops, "outcome": outcome(standing)}


def outcome(standing: Standing) -> dict[str, Any]:
    """You said, it was."""
    lesson, prediction = standing.lesson, standing.prediction
    assert prediction is not None
    true = true_guess(lesson)
    said = next((guess for guess in lesson.predict.option if guess.id == prediction.option), None)
    return {"said": said.text if said else "something else", "was": true.text,
            "right": prediction.option == true.id, "why": said.why if said else ""}  # fmt: skip


def _observe(standing: Standing) -> dict[str, Any]:
    return {
        "labels": shuffled(seen_order(standing.lesson), standing.lesson.slug),
        "outcome": outcome(standing),
    }


def _explain(standing: Standing) -> dict[str, Any]:
    lesson, progress = standing.lesson, standing.progress
    assert progress is not None
    key = seen_order(lesson)
    return {"given": progress.observed, "key_order": key, "seen": tuple(progress.observed) == key,
            "facts": facts_of(lesson.explanation.facts)}  # fmt: skip


def _goal(standing: Standing) -> dict[str, Any]:
    lesson, progress = standing.lesson, standing.progress
    assert progress is not None
    taken = progress.hints
    return {
        "hints": lesson.goal.hints[:taken], "next_hint": taken + 1 if taken < len(lesson.goal.hints) else 0,
        "may_see_the_way": standing.reached or taken == len(lesson.goal.hints),
        "goal_until_us": lesson.goal_until_us,
        "faults": ",".join(fault.split()[0] for fault in lesson.goal.faults),
        "facts": facts_of(facts_in(lesson.goal.text)), "questions": len(lesson.items),
    }  # fmt: skip


_PARTS = {"predict": _predict, "run": _run, "observe": _observe, "explain": _explain, "goal": _goal}


def facts_of(names: Any) -> list[dict[str, Any]]:
    """Rows of the table, with what a reader wants to know of each."""
    today = datetime.datetime.now(datetime.UTC).date()
    found = [catalogue().facts[name] for name in dict.fromkeys(names)]
    return [{"fact": fact, "stale": Fact.is_stale(fact, today)} for fact in found]


def verdict(judged: Judged, par: int) -> dict[str, Any]:
    """What is said of the goal just now."""
    return {"state": judged.state, "text": judged.text, "commands": judged.commands, "par": par,
            "judged_at_us": judged.judged_at_us, "within_par": judged.commands <= par}  # fmt: skip


# -- a row of lessons, for other pages ------------------------------------------------------------


def lesson_rows(request: HttpRequest) -> list[dict[str, Any]]:
    """Every lesson of the course, in order: `number`, `slug`, `title`, `summary`, `minutes`, `topic`, `url`
    ("" while it is not written), `done`, `begun`, `next` (the first that is written and not done)."""
    learner = learners.learner_of(request)
    return rows_for(learner)


def rows_for(learner: Learner | None) -> list[dict[str, Any]]:
    lessons = catalogue().lessons
    known = {} if learner is None else {row.lesson: row for row in learner.progress_set.all()}
    rows: list[dict[str, Any]] = []
    for planned in catalogue().course:
        lesson: Lesson | None = lessons.get(planned.slug)
        progress = known.get(planned.slug)
        rows.append({
            "number": planned.number, "slug": planned.slug,
            "title": lesson.title if lesson else planned.title,
            "summary": planned.summary, "minutes": lesson.minutes if lesson else 0,
            "topic": planned.topic, "after": lesson.after if lesson else planned.after,
            "mini": [f"stills/lesson-{planned.slug}.svg", "stills/lesson.svg"],
            "url": reverse("lesson", args=[planned.slug]) if lesson else "",
            "done": progress is not None and progress.goal_at is not None, "begun": progress is not None,
            "next": False,
        })  # fmt: skip
    for row in rows:
        if row["url"] and not row["done"]:
            row["next"] = True
            break
    return rows
