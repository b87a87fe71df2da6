"""Which question comes next, and what a learner has made of the ones before.

A set is what is being practised: "lesson:<slug>", "topic:<topic>", "interview:<topic>", "due" (concepts
whose review is due), "missed" (last answered wrong) or "all". What was answered least, and longest ago,
comes first, with the seed that was seen least."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from lessons.catalogue import catalogue
from lessons.items import AnyItem
from lessons.lesson import TOPICS
from lessons.models import Attempt, Learner, ReviewCard

SETS = ("due", "missed", "all")


@dataclass
class Record:
    """What a learner has answered: per item, how often, with which seeds, and the last time how."""

    times: Counter[str] = field(default_factory=Counter)
    seeds: Counter[tuple[str, int]] = field(default_factory=Counter)
    last: dict[str, Attempt] = field(default_factory=dict)

    def state(self, item: AnyItem) -> str:
        """ "" for not asked yet, "right" or "missed" by the last answer."""
        last = self.last.get(item.id)
        return "" if last is None else "right" if last.correct else "missed"


def record_of(learner: Learner | None) -> Record:
    record = Record()
    if learner is None:
        return record
    for attempt in Attempt.objects.filter(learner=learner).order_by("at", "id"):
        record.times[attempt.item] += 1
        record.seeds[attempt.item, attempt.seed] += 1
        record.last[attempt.item] = attempt
    return record


def due_concepts(learner: Learner | None, now: datetime.datetime) -> dict[str, datetime.datetime]:
    """Concepts whose review is due, with the moment since when, the longest first; only such as are still
    asked about."""
    if learner is None:
        return {}
    asked = {item.concept for item in catalogue().items.values()}
    rows = ReviewCard.objects.filter(learner=learner, due__lte=now).order_by("due", "id")
    return {row.concept: row.due for row in rows if row.concept in asked}


def items_of(name: str, record: Record, due: Iterable[str] = ()) -> list[AnyItem] | None:
    """The items of a set, in the order of the course; None for a set that there is not."""
    all_of = catalogue()
    kind, _, which = name.partition(":")
    if kind == "lesson" and which in all_of.lessons:
        return list(all_of.lessons[which].items)
    if kind == "topic" and which in TOPICS:
        return [item for item in all_of.items.values() if item.topic == which]
    if kind == "interview" and which in TOPICS:
        return [item for item in all_of.questions if item.topic == which]
    if name == "due":
        return [item for item in all_of.items.values() if item.concept in set(due)]
    if name == "missed":
        return [item for item in all_of.items.values() if record.state(item) == "missed"]
    return list(all_of.items.values()) if name == "all" else None


def next_question(
    name: str, learner: Learner | None, now: datetime.datetime, again: bool = False
) -> tuple[AnyItem, int] | None:
    """The next item of a set and its seed; None when the set is through: a lesson's when each was answered
    (until one begins `again`), what is due or missed when nothing is."""
    record = record_of(learner)
    items = items_of(name, record, due_concepts(learner, now)) or []
    if ends(name) and not again:
        items = [item for item in items if not record.times[item.id]]
    if not items:
        return None
    never = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    item = min(
        enumerate(items),
        key=lambda pair: (
            record.times[pair[1].id],
            record.last[pair[1].id].at if pair[1].id in record.last else never,
            pair[0],
        ),
    )[1]
    return item, fresh_seed(item, record)


def ends(name: str) -> bool:
    """Whether the set is through once each of its questions was answered."""
    return name.startswith(("lesson:", "interview:"))


def fresh_seed(item: AnyItem, record: Record) -> int:
    """The variant that was seen least; the item's own first."""
    return min(item.variants, key=lambda seed: record.seeds[item.id, seed])
