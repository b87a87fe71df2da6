"""Progress between devices, and out of here: carried by a link, merged without losing anything, exported,
deleted."""

from __future__ import annotations

import datetime
from hashlib import blake2b
from typing import Any

from django.db import transaction

from lessons.catalogue import catalogue
from lessons.models import Attempt, CarryLink, Learner, Prediction, Progress, ReviewCard
from lessons.review import rating_of, review

LINK_HOURS = 24
"""Long enough to find the other device, short enough that a link in an old chat opens nothing."""


class LinkOver(Exception):
    """The link was used, is too old, or never was one."""


def _hash(token: str) -> str:
    return blake2b(token.encode(), digest_size=16, person=b"mailroom-carry").hexdigest()


def make_link(learner: Learner, token: str, now: datetime.datetime) -> None:
    """Whoever brings `token` within a day becomes a device of this learner, once. Earlier links end."""
    with transaction.atomic():
        CarryLink.objects.filter(learner=learner).delete()
        CarryLink.objects.create(learner=learner, token_hash=_hash(token), made_at=now)


def open_link(token: str, now: datetime.datetime) -> CarryLink:
    """The link that may still be used. Raises `LinkOver`."""
    oldest = now - datetime.timedelta(hours=LINK_HOURS)
    link = CarryLink.objects.filter(token_hash=_hash(token), used_at=None, made_at__gte=oldest).first()
    if link is None:
        raise LinkOver
    return link


def accept(token: str, other: Learner, now: datetime.datetime) -> Learner:
    """Brings the device of `other`, with all that it has, to the link's learner. Raises `LinkOver`."""
    with transaction.atomic():
        used = CarryLink.objects.filter(pk=open_link(token, now).pk, used_at=None).update(used_at=now)
        if not used:
            raise LinkOver
        home = CarryLink.objects.select_related("learner").get(token_hash=_hash(token)).learner
        if home.pk != other.pk:
            merge(home, other)
        return home


def merge(home: Learner, other: Learner) -> None:
    """Everything of `other` becomes `home`'s, and `other` is gone. Nothing that either has done is lost."""
    list(Learner.objects.select_for_update().filter(pk__in=sorted((home.pk, other.pk))).order_by("pk"))
    known = set(home.attempt_set.values_list("client_key", flat=True))
    other.attempt_set.exclude(client_key__in=known).update(learner=home)
    for prediction in other.prediction_set.all():
        _keep_the_first(home, prediction)
    for progress in other.progress_set.all():
        _join(home, progress)
    other.device_set.update(learner=home)
    other.carrylink_set.update(learner=home)
    other.delete()
    rebuild_cards(home)


def _keep_the_first(home: Learner, prediction: Prediction) -> None:
    mine = home.prediction_set.filter(lesson=prediction.lesson).first()
    if mine is not None and mine.at <= prediction.at:
        return
    if mine is not None:
        mine.delete()
    prediction.learner = home
    prediction.save()


def _join(home: Learner, progress: Progress) -> None:
    mine = home.progress_set.filter(lesson=progress.lesson).first()
    if mine is None:
        progress.learner = home
        progress.save()
        return
    mine.stop = max(mine.stop, progress.stop)
    mine.observed = mine.observed or progress.observed
    mine.explained = mine.explained or progress.explained
    mine.hints = max(mine.hints, progress.hints)
    mine.goal_commands = min(
        (n for n in (mine.goal_commands, progress.goal_commands) if n is not None), default=None
    )
    mine.goal_at = min((at for at in (mine.goal_at, progress.goal_at) if at is not None), default=None)
    mine.save()


def rebuild_cards(learner: Learner) -> None:
    """The review cards anew, from all answers in their order: what they would be if one device had given
    them."""
    ReviewCard.objects.filter(learner=learner).delete()
    items = catalogue().items
    for attempt in Attempt.objects.filter(learner=learner).order_by("at", "id"):
        item = items.get(attempt.item)
        if item is not None:
            rating = rating_of(attempt.correct, attempt.confidence, hinted=False)
            review(learner, item.concept, rating, attempt.at)


def export(learner: Learner) -> dict[str, Any]:
    """All that is known of a learner, as plain data."""

    def rows(queryset: Any, *fields: str) -> list[dict[str, Any]]:
        return list(queryset.order_by("id").values(*fields))

    return {
        "format": 1,
        "predictions": rows(
            learner.prediction_set, "lesson", "revision", "option", "correct", "confidence", "at"
        ),
        "lessons": rows(
            learner.progress_set,
            "lesson",
            "stop",
            "observed",
            "explained",
            "hints",
            "goal_commands",
            "goal_at",
            "changed_at",
        ),
        "answers": rows(
            learner.attempt_set,
            "item",
            "seed",
            "revision",
            "rules",
            "answer",
            "correct",
            "credit",
            "confidence",
            "at",
        ),
        "reviews": rows(learner.reviewcard_set, "concept", "card", "due"),
        "devices": learner.device_set.count(),
    }
