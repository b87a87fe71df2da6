"""The narrator says the cause of what happens to a cluster's clients, not only that it does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine import commands as c
from engine.scenario import Scenario, load
from engine.simulation import Simulation
from tests.engine.kafka.playing import MODERN
from tests.engine.playing import SHIPPED
from tests.in_node import ask

SAY = """
await import("mailroom/kafka/fold.js");
const [{ Timeline }, { say }] = await Promise.all(["mailroom/scene/timeline.js", "mailroom/lazy/sayings.js",
  "mailroom/lazy/sayings-commands.js", "mailroom/lazy/kafka/sayings.js"].map((name) => import(name)));
const timeline = new Timeline();
timeline.append({ tick: 0, n: 4800, first: 1, events: data, digest: "" });
return timeline.segments[0].events.map((event) => say(event, timeline)?.text).filter(Boolean);
"""

RETENTION = next(load(path) for path in SHIPPED if path.stem == "kafka-retention")


def told(scenario: Scenario, until_us: int, *entries: tuple[int, Any]) -> list[str]:
    simulation = Simulation(scenario, 3)
    for n, (at_us, command) in enumerate(entries, 1):
        simulation.apply_at(at_us, command, n)
    while not simulation.advance(until_us):
        pass
    assert simulation.ticks is not None
    events = [event for tick in simulation.ticks.take() for event in json.loads(tick.events)]
    return ask(SAY, events)  # type: ignore[no-any-return]


def begun(said: list[str], words: str) -> list[str]:
    return [sentence for sentence in said if words in sentence]


@pytest.mark.needs("node")
def test_a_transaction_that_nobody_ends_is_aborted_by_its_timeout() -> None:
    producer = next(each for each in MODERN.producer if each.transactional_id)
    # Given a producer that dies in the midst of a transaction
    said = told(MODERN, 20_000_000, (3_000_000, c.CrashProducer(producer.name)))
    # Then it is said what aborts it, and for whom
    name = producer.transactional_id
    assert begun(said, f"“{name}” outlives transaction.timeout.ms: it is aborted and its producer fenced.")


@pytest.mark.needs("node")
def test_a_transaction_that_its_producer_aborts_is_not_said_to_be_timed_out() -> None:
    said = told(MODERN, 3_000_000)
    assert begun(said, "is aborted: its records are skipped.")
    assert not begun(said, "transaction.timeout.ms")


@pytest.mark.needs("node")
def test_who_stood_where_retention_has_deleted_is_set_by_auto_offset_reset() -> None:
    consumer = RETENTION.consumer[0].name
    said = told(
        RETENTION, 55_000_000, (3_000_000, c.CutLink(consumer)), (30_000_000, c.RestoreLink(consumer))
    )
    assert begun(said, "auto.offset.reset puts")
