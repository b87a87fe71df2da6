"""What learners do, kept: predictions, stops, observations, goals, answers. Each is stored once, however
often it is sent."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from engine import RULES
from engine.goals import read_key, read_predicate
from engine.history import play
from lessons.answers import BadAnswer, judge
from lessons.items import AnyItem
from lessons.lesson import Guess, Lesson
from lessons.models import Attempt, Learner, Prediction, Progress
from lessons.review import rating_of, review

CONFIDENCE = {1: "Guessing", 2: "Fairly sure", 3: "Certain"}
KEY_CHARACTERS = (16, 40)
BAD_KEY = "The question has to be opened first."

STEPS = ("predict", "run", "observe", "explain", "goal")
"""Of a lesson, in order, as the page's head names them."""


@dataclass(frozen=True)
class Standing:
    """Where a learner is in a lesson. `progress` is None for one who has not begun."""

    lesson: Lesson
    prediction: Prediction | None = None
    progress: Progress | None = None

    @property
    def stop(self) -> int:
        """The last stop that was shown, −1 for none."""
        return -1 if self.progress is None else min(self.progress.stop, len(self.lesson.segment) - 1)

    @property
    def step(self) -> str:
        if self.prediction is None:
            return "predict"
        if self.progress is None or self.stop < len(self.lesson.segment) - 1:
            return "run"
        if not self.progress.observed:
            return "observe"
        return "goal" if self.progress.explained else "explain"

    @property
    def reached(self) -> bool:
        return self.progress is not None and self.progress.goal_at is not None


def standing(lesson: Lesson, learner: Learner | None) -> Standing:
    if learner is None:
        return Standing(lesson)
    of = {"learner": learner, "lesson": lesson.slug}
    return Standing(lesson, Prediction.objects.filter(**of).first(), Progress.objects.filter(**of).first())


# -- a lesson -------------------------------------------------------------------------------------


def true_guess(lesson: Lesson) -> Guess:
    """The option of the prediction that the run made true: computed once."""
    if lesson.slug not in _true:
        run = play(lesson.scenario, lesson.run_seed, until_us=lesson.predict.until)
        _true[lesson.slug] = next(g for g in lesson.predict.option if read_predicate(g.holds).holds(run))
    return _true[lesson.slug]


def seen_order(lesson: Lesson) -> tuple[str, ...]:
    """The observation's labels in the order in which the run has them: computed once."""
    if lesson.slug not in _seen:
        run = play(lesson.scenario, lesson.run_seed, until_us=lesson.predict.until)
        found = read_key(lesson.observe.key, "observe.key").answer(run)
        assert isinstance(found, tuple)
        _seen[lesson.slug] = found
    return _seen[lesson.slug]


_true: dict[str, Guess] = {}
_seen: dict[str, tuple[str, ...]] = {}


def predict(
    lesson: Lesson, learner: Learner, option: str, confidence: int | None, now: datetime.datetime
) -> None:
    """Keeps what is said before the run; a second prediction changes nothing. Raises `BadAnswer`."""
    if option not in [guess.id for guess in lesson.predict.option]:
        raise BadAnswer("Choose one of the answers first.")
    Prediction.objects.get_or_create(
        learner=learner, lesson=lesson.slug,
        defaults={"revision": lesson.revision, "option": option, "confidence": confidence, "at": now,
                  "correct": option == true_guess(lesson).id},
    )  # fmt: skip


def progress_in(lesson: Lesson, learner: Learner) -> Progress:
    """The row of a learner who has predicted. Raises `BadAnswer` for one who has not."""
    if not Prediction.objects.filter(learner=learner, lesson=lesson.slug).exists():
        raise BadAnswer("Predict first: nothing moves before that.")
    return Progress.objects.get_or_create(learner=learner, lesson=lesson.slug)[0]


def reach_stop(lesson: Lesson, learner: Learner, stop: int) -> None:
    """The run has shown its stop `stop`. Raises `BadAnswer`."""
    progress = progress_in(lesson, learner)
    if not 0 <= stop < len(lesson.segment):
        raise BadAnswer("There is no such stop.")
    Progress.objects.filter(pk=progress.pk, stop__lt=stop).update(stop=stop)


def observe(lesson: Lesson, learner: Learner, labels: Sequence[str]) -> None:
    """Keeps what was seen; what was said first stands. Raises `BadAnswer`."""
    progress = progress_in(lesson, learner)
    if progress.stop < len(lesson.segment) - 1:
        raise BadAnswer("Let the run come to its end first.")
    if sorted(labels) != sorted(seen_order(lesson)):
        raise BadAnswer("Put all of them in order, each once.")
    Progress.objects.filter(pk=progress.pk, observed=[]).update(observed=list(labels))


def explained(lesson: Lesson, learner: Learner) -> None:
    Progress.objects.filter(pk=_observed(lesson, learner).pk).update(explained=True)


def take_hint(lesson: Lesson, learner: Learner, hint: int) -> None:
    """The learner wants rung `hint` (from 1): sent twice it is one hint."""
    progress = _observed(lesson, learner)
    Progress.objects.filter(pk=progress.pk, hints__lt=min(hint, len(lesson.goal.hints))).update(hints=hint)


def reach_goal(lesson: Lesson, learner: Learner, commands: int, now: datetime.datetime) -> None:
    """The goal was reached with so many commands; the fewest count, the first time too."""
    with transaction.atomic():
        progress = Progress.objects.select_for_update().get(pk=_observed(lesson, learner).pk)
        fewest = min(commands, progress.goal_commands if progress.goal_commands is not None else commands)
        progress.goal_commands, progress.goal_at = fewest, progress.goal_at or now
        progress.save()


def _observed(lesson: Lesson, learner: Learner) -> Progress:
    progress = progress_in(lesson, learner)
    if not progress.observed:
        raise BadAnswer("Say first what you saw.")
    return progress


def begin_again(lesson: Lesson, learner: Learner) -> None:
    """The lesson from its first word; that its goal was reached stays known."""
    with transaction.atomic():
        Prediction.objects.filter(learner=learner, lesson=lesson.slug).delete()
        Progress.objects.filter(learner=learner, lesson=lesson.slug).update(
            stop=-1, observed=[], explained=False, hints=0
        )


# -- a question -----------------------------------------------------------------------------------


def answer(
    item: AnyItem, learner: Learner, seed: int, given: Sequence[str], *, key: str, revision: str,
    confidence: int | None, now: datetime.datetime,
) -> Attempt:  # fmt: skip
    """Judges and keeps an answer, and moves its concept's card; the same `key` again is the same answer.

    Raises `BadAnswer`; the engine's errors where the item's run cannot be made.
    """
    if not KEY_CHARACTERS[0] <= len(key) <= KEY_CHARACTERS[1]:
        raise BadAnswer(BAD_KEY)
    verdict = judge(item, seed, given)
    try:
        with transaction.atomic():
            attempt = Attempt.objects.create(
                learner=learner,
                client_key=key,
                item=item.id,
                seed=seed,
                revision=revision,
                rules=RULES,
                answer=list(given),
                correct=verdict.correct,
                credit=verdict.credit,
                confidence=confidence,
                at=now,
            )
            review(learner, item.concept, rating_of(verdict.correct, confidence, hinted=False), now)
            return attempt
    except IntegrityError:
        return Attempt.objects.get(learner=learner, client_key=key)
