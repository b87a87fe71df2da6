"""Goals of lessons: which ways lead there and which do not, beside the author's own; what is said to who misses it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.commands import decode
from engine.durations import duration_us
from engine.goals import read_predicate
from engine.history import play
from lessons.catalogue import catalogue

Way = list[tuple[str, str, dict[str, Any]]]
"""(moment, command, arguments), in order."""


def outcome(slug: str, way: Way) -> tuple[bool, str]:
    """Whether the goal is reached, and the feedback if it is not ("" when none fits)."""
    lesson = catalogue().lessons[slug]
    entries = [(duration_us(at), decode(name, arguments)) for at, name, arguments in way]
    history = play(lesson.scenario, lesson.run_seed, entries, lesson.goal_until_us)
    if read_predicate(lesson.goal.wanted).holds(history):
        return True, ""
    said = (each.text for each in lesson.goal.feedback if read_predicate(each.when).holds(history))
    return False, next(said, "")


def bind(queue: str, at: str) -> tuple[str, str, dict[str, Any]]:
    return at, "BindQueue", {"system": "broker", "exchange": "photos", "queue": queue}


def list_of(charger: str, keep: str) -> tuple[str, str, dict[str, Any]]:
    return "1s", "SetIdempotency", {"consumer": f"charger {charger}", "keep": keep}


def acknowledge(charger: str, when: str) -> tuple[str, str, dict[str, Any]]:
    return "300ms", "SetAcknowledge", {"consumer": f"charger {charger}", "acknowledge": when}


def retry(**how: Any) -> tuple[str, str, dict[str, Any]]:
    return "5s", "SetRetry", {"consumer": "labeller", **how}


DLQ = {"then": "parcels.dlq"}
REACHED: list[tuple[str, str, Way]] = [
    ("point-to-point", "a binding from the beginning", [bind("index", "50ms")]),
    ("point-to-point", "a queue and a consumer of one's own", [
        ("1s", "DeclareQueue", {"system": "broker", "queue": "mine"}), bind("mine", "2s"),
        ("3s", "AddConsumer", {"like": "indexer", "queue": "mine", "name": "second indexer"})]),
    ("idempotency", "the note with the effect, for both", [list_of("B", "with the effect"), list_of("C", "with the effect")]),
    ("retries-dead-letter", "one attempt more", [retry(do="republish", limit=4, **DLQ)]),
    ("retries-dead-letter", "fewer attempts with a longer wait",
     [retry(do="republish", queue="retry.4s", delay_us=7_000_000, limit=2, **DLQ)]),
]  # fmt: skip

MISSED: list[tuple[str, str, Way, str]] = [
    ("point-to-point", "nothing", [], "The indexer has had nothing yet"),
    ("point-to-point", "a binding too late", [bind("index", "21s")], "The indexer got some of them"),
    ("point-to-point", "one more worker on thumbnails",
     [("1s", "AddConsumer", {"like": "indexer", "queue": "thumbnails", "name": "x"})], "takes its share of the same copies"),
    ("point-to-point", "one more worker on archive",
     [("1s", "AddConsumer", {"like": "indexer", "queue": "archive", "name": "x"})], "share what the archiver had alone"),
    ("idempotency", "nothing", [], "The second payment was charged twice"),
    ("idempotency", "only B", [list_of("B", "with the effect")], "it was C that crashed"),
    ("idempotency", "only C", [list_of("C", "with the effect")], "The second payment was charged twice"),
    ("idempotency", "one charger only", [("1s", "RemoveConsumer", {"consumer": "charger C"})], "The second payment"),
    ("idempotency", "acknowledging before the work",
     [acknowledge("B", "before work"), acknowledge("C", "before work")], "A payment was lost"),
    ("idempotency", "acknowledging automatically",
     [acknowledge("B", "automatic"), acknowledge("C", "automatic")], "A payment was lost"),
    ("retries-dead-letter", "nothing", [], "A parcel was dropped"),
    ("retries-dead-letter", "a higher limit that leads nowhere", [retry(do="republish", limit=10)], "started too often"),
    ("retries-dead-letter", "no limit", [retry(do="republish")], "started too often"),
    ("retries-dead-letter", "two attempts more", [retry(do="republish", limit=5, **DLQ)], "started too often"),
    ("retries-dead-letter", "one attempt less", [retry(do="republish", limit=2, **DLQ)], "More than one parcel"),
    ("retries-dead-letter", "giving back at once", [retry(do="requeue")], "started too often"),
    ("retries-dead-letter", "giving back at once, three times", [retry(do="requeue", limit=3, **DLQ)], "More than one parcel"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("slug", "way"), [pytest.param(slug, way, id=f"{slug}: {name}") for slug, name, way in REACHED]
)
def test_another_way_reaches_the_goal_as_well(slug: str, way: Way) -> None:
    assert outcome(slug, way) == (True, "")


@pytest.mark.parametrize(
    ("slug", "way", "said"),
    [pytest.param(slug, way, said, id=f"{slug}: {name}") for slug, name, way, said in MISSED],
)
def test_a_wrong_way_misses_the_goal_and_is_told_why(slug: str, way: Way, said: str) -> None:
    reached, feedback = outcome(slug, way)
    assert not reached
    assert said in feedback
