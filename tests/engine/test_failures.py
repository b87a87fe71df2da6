"""Handlers that fail: for a while, for ever, and where what failed waits for its next attempt."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from engine.events import Placed, WorkFinished
from engine.history import History, play
from engine.scenario import from_data

BACK = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work"}


def run(until_us: int, poison: list[int], **consumer: Any) -> History:
    """One message a second from 1 s on, worked on for 100 ms, 10 ms from the broker."""
    return play(from_data({
        "format": 1, "title": "failing", "length": "60s",
        "system": [{"name": "broker", "kind": "rabbitmq", "link": "10ms", "queues": [
            {"name": "work"}, {"name": "dlq", "dead_letters_for": "work"},
            *({"name": name, "retries_for": "work", "arguments": BACK} for name in ("short", "long"))]}],
        "producer": [{"name": "shop", "system": "broker", "to": {"queue": "work"}, "poison": {"messages": poison},
                      "arrivals": {"every": "1s"}, "start": "1s", "count": 5}],
        "consumer": [{"name": "worker", "system": "broker", "from": {"queue": "work"}, "prefetch": 1,
                      "work": {"constant": "100ms"}, **consumer}],
    }), 1, until_us=until_us)  # fmt: skip


def waits(history: History, message: int) -> list[tuple[str, int]]:
    """(queue, at_us) of each arrival of the message in a queue."""
    return [(history.names[event.node], event.at_us) for event in history.events
            if isinstance(event, Placed) and event.zone == "ready" and history.message_of[event.copy] == message]  # fmt: skip


STEPS = [{"queue": "short", "delay": "1s"}, {"queue": "long", "delay": "4s"}]


def test_each_attempt_waits_in_the_queue_of_its_step_and_all_further_ones_in_the_last() -> None:
    history = run(30_000_000, [1], retry={"do": "republish", "steps": STEPS, "limit": 4, "then": "dlq"})
    found = waits(history, 1)
    assert [queue for queue, _ in found] == ["work", "short", "work", "long", "work", "long", "work", "dlq"]
    left = [after - before for (queue, before), (_, after) in pairwise(found) if queue != "work"]
    assert left == [1_000_000, 4_000_000, 4_000_000]
    assert history.totals["dead"] == 1
    assert history.totals["done"] == 4


def test_a_short_delay_does_not_wait_behind_a_long_one() -> None:
    history = run(30_000_000, [1, 3], retry={"do": "republish", "steps": STEPS, "limit": 3, "then": "dlq"})
    third = [at_us for queue, at_us in waits(history, 3) if queue == "work"]
    first = [at_us for queue, at_us in waits(history, 1) if queue == "work"]
    assert first[1] < third[1] < first[2], "message 3 came back while message 1 waited for its third attempt"


def test_an_outage_ends_and_what_failed_in_it_is_done_later() -> None:
    retry = {"do": "republish", "steps": STEPS}
    history = run(30_000_000, [], fail={"probability": 1.0, "during": ["2s", "4s"]}, retry=retry)
    failed = [
        event.at_us for event in history.events if isinstance(event, WorkFinished) and event.why == "outage"
    ]
    assert failed
    assert all(2_000_000 <= at_us < 4_000_000 for at_us in failed)
    assert history.totals["done"] == 5
