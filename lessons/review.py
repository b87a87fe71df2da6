"""When to ask again: FSRS, a card a concept. No button asks how well it went; the answer says that.

Wrong is Again; right with a hint, or while guessing, is Hard; right is Good; Easy is never given. The unit
is the concept and not the question, so that each review draws another question, or the same with another
seed."""

from __future__ import annotations

import datetime
import functools

from django.conf import settings
from fsrs import Card, Rating, Scheduler

from lessons.models import Learner, ReviewCard

GUESSING = 1
"""The lowest of the three steps of confidence."""

INTERVAL_DAYS_MAX = 180
"""Longer than most people keep anything of a lesson without a look; also the age at which facts are looked
up anew."""


@functools.cache
def scheduler(fuzz: bool) -> Scheduler:
    return Scheduler(maximum_interval=INTERVAL_DAYS_MAX, enable_fuzzing=fuzz)


def rating_of(correct: bool, confidence: int | None, hinted: bool) -> Rating:
    if not correct:
        return Rating.Again
    return Rating.Hard if hinted or confidence == GUESSING else Rating.Good


def review(learner: Learner, concept: str, rating: Rating, now: datetime.datetime) -> ReviewCard:
    """The concept's card after this answer. Call it inside the transaction that stores the answer."""
    row, _ = ReviewCard.objects.select_for_update().get_or_create(
        learner=learner, concept=concept, defaults={"card": "", "due": now}
    )
    card = Card.from_json(row.card) if row.card else Card(card_id=row.pk, due=now)
    card, _ = scheduler(settings.REVIEW_FUZZ).review_card(card, rating, now)
    row.card, row.due = card.to_json(), card.due
    row.save()
    return row
