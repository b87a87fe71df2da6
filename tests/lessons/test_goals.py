"""Goals of lessons: which ways lead there and which do not, beside the author's own; what is said to who misses it."""

from __future__ import annotations

from typing import Any

import pytest

from engine.commands import decode
from engine.durations import duration_us
from engine.goals import read_predicate
from engine.history import play
from lessons.answers import right_answer
from lessons.catalogue import catalogue
from lessons.items import Numeric

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


def billing_b(at: str, command: str, **arguments: Any) -> tuple[str, str, dict[str, Any]]:
    return at, command, {"consumer": "billing B", **arguments}


def seek(at: str, group: str = "search", to: str = "earliest") -> tuple[str, str, dict[str, Any]]:
    return at, "SeekGroup", {"system": "log", "group": group, "to": to}


def client(at: str, command: str, name: str) -> tuple[str, str, dict[str, Any]]:
    return at, command, {"consumer": name}


def shop(pause: str, resume: str) -> Way:
    return [(pause, "PauseProducer", {"producer": "shop"}), (resume, "ResumeProducer", {"producer": "shop"})]


def work_of(worker: str, constant_ms: int) -> tuple[str, str, dict[str, Any]]:
    return "1s", "SetWork", {"consumer": f"worker {worker}", "constant_us": constant_ms * 1_000}


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
    ("consumer-groups", "removed altogether", [billing_b("7s", "RemoveConsumer")]),
    ("consumer-groups", "stopped before anybody else comes", [billing_b("3s", "StopConsumer")]),
    ("consumer-groups", "stopped as late as can be", [billing_b("12s", "StopConsumer")]),
    ("offsets-replay", "set back as soon as the group is empty", [seek("11500ms")]),
    ("offsets-replay", "stopped, set back and started before the scenario does", [
        client("9s", "StopConsumer", "indexer"), seek("10s"), client("10500ms", "RestartConsumer", "indexer")]),
    ("offsets-replay", "the indexer seeks by itself, while it reads", [
        ("9s", "Seek", {"consumer": "indexer", "to": "earliest"})]),
    ("offsets-replay", "set back by a shift that is more than enough", [
        ("13s", "SeekGroup", {"system": "log", "group": "search", "to": "shift", "by": -50})]),
    ("offsets-replay", "set back, and a second indexer starts it", [
        seek("12s"), ("12500ms", "AddConsumer", {"like": "indexer", "name": "second indexer"})]),
    ("partitions-keys", "the shop waits longer than it must", shop("4s", "16s")),
    ("partitions-keys", "the shop stands still just until the group has read all", shop("6200ms", "14s")),
    ("partitions-keys", "B is as quick as the others, so that nothing waits", [work_of("B", 300)]),
    ("partitions-keys", "the owner of the new partition is the slowest", [work_of("D", 9_000)]),
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
    ("consumer-groups", "nothing", [], "charged twice"),
    ("consumer-groups", "told too late to be done before the crash", [billing_b("12400ms", "StopConsumer")], "charged twice"),
    ("consumer-groups", "a fifth member", [("5s", "AddConsumer", {"like": "billing D", "name": "billing E"})], "charged twice"),
    ("consumer-groups", "started again at once", [billing_b("13600ms", "RestartConsumer")], "charged twice"),
    ("consumer-groups", "crashed while it holds nothing", [billing_b("12s", "CrashConsumer")], "had to miss B first"),
    ("consumer-groups", "paused before the crash", [billing_b("10s", "PauseConsumer")], "charged twice"),
    ("consumer-groups", "stopped and started again", [billing_b("7s", "StopConsumer"), billing_b("8s", "RestartConsumer")],
     "charged twice"),
    ("consumer-groups", "made cooperative, one member after the other", [
        ("5s", "SetAssignors", {"system": "log", "group": "billing", "assignors": ["cooperative-sticky"]})], "waited too long"),
    ("consumer-groups", "committing before the work", [billing_b("7s", "SetAcknowledge", acknowledge="before work")], "were lost"),
    ("offsets-replay", "nothing", [], "has no index entry"),
    ("offsets-replay", "set back while it reads", [seek("9s")], "has no index entry"),
    ("offsets-replay", "set to the latest", [seek("13s", to="latest")], "has no index entry"),
    ("offsets-replay", "one more indexer", [("13s", "AddConsumer", {"like": "indexer", "name": "second indexer"})],
     "has no index entry"),
    ("offsets-replay", "set back when the log has forgotten", [
        client("25s", "StopConsumer", "indexer"), seek("26s"), client("27s", "RestartConsumer", "indexer")],
     "Retention was quicker"),
    ("offsets-replay", "the wrong group", [
        client("13s", "StopConsumer", "cashier"), seek("14s", "billing"), client("15s", "RestartConsumer", "cashier")],
     "it was billing that was set back"),
    ("partitions-keys", "nothing", [], "worked after a later one of the same user"),
    ("partitions-keys", "the shop goes on too early", shop("6200ms", "8s"), "worked after a later one of the same user"),
    ("partitions-keys", "the shop never goes on", shop("5s", "39s"), "nothing has come to the fourth partition"),
    ("partitions-keys", "the shop waits too long", shop("5s", "24s"), "not everything is worked in time"),
    ("partitions-keys", "a fifth worker", [("1s", "AddConsumer", {"like": "worker A", "name": "worker E"})],
     "worked after a later one of the same user"),
    ("partitions-keys", "B crashes", [("7s", "CrashConsumer", {"consumer": "worker B"})], "not everything is worked in time"),
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


CHANGING = [
    item for lesson in catalogue().lessons.values() if lesson.system == "kafka"
    for item in lesson.items if isinstance(item, Numeric) and len(item.variants) > 1
]  # fmt: skip


@pytest.mark.parametrize("item", [pytest.param(item, id=item.id) for item in CHANGING])
def test_another_seed_has_another_key(item: Numeric) -> None:
    keys = {right_answer(item, seed) for seed in item.variants}
    assert len(keys) > 1
