"""The life of a record: written at one offset, read by each group for itself, committed, and read again where it
was not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from engine.events import Event, NodeAdded
from engine.kafka import events as k
from tests.browser.conftest import House
from tests.browser.test_kafka_motion import run

STAGE = "document.querySelector('queue-stage')"


def names(events: list[Event]) -> dict[int, str]:
    return {event.node: event.name for event in events if isinstance(event, NodeAdded)}


@pytest.fixture
def inspect(open_page: Callable[..., Page], house: House) -> Callable[..., tuple[Page, list[Any]]]:
    def inspect_(name: str, until_us: int, find: Callable[[list[Event]], int]) -> tuple[Page, list[Any]]:
        events, stage = run(name, until_us)
        chunks = -(-until_us // 10_000_000)
        page = open_page(house.show(events, chunks=chunks, **stage))
        page.evaluate(f"{STAGE}.pause()")
        for number in range(chunks):
            page.evaluate(
                f"fetch('/chunk/{number}.json').then((a) => a.json()).then((c) => {STAGE}.timeline.addChunk(c))"
            )
        page.evaluate(f"{STAGE}.seek({until_us - 1})")
        page.evaluate(f"{STAGE}.inspect({find(events)})")
        page.locator(".life li", has_text="Written to").first.wait_for()
        return page, events

    return inspect_


def first_written(events: list[Event]) -> int:
    return next(m for e in events if isinstance(e, k.RecordsAppended) for m in e.messages if m)


def test_a_record_is_written_once_and_read_by_each_group_for_itself(inspect: Any) -> None:
    page, events = inspect("kafka-user-events", 20_000_000, first_written)
    called = names(events)
    append = next(e for e in events if isinstance(e, k.RecordsAppended))
    said = page.locator(".life li").all_inner_texts()
    assert f"Written to {called[append.node]} at offset {append.base}" in " ".join(said)
    assert sum("Written to" in each for each in said) == 1
    for group in ("feed", "statistics"):
        worked = [
            e for e in events
            if isinstance(e, k.RecordsWorked) and called[e.group] == group
            and e.partition == append.node and e.first <= append.base < e.next
        ]  # fmt: skip
        assert len(worked) == 1
        assert sum(f"{called[worked[0].node]} does" in each for each in said) == 1
    times = [float(re.search(r"([\d.]+) s", each).group(1)) for each in said[:-1]]  # type: ignore[union-attr]
    assert times == sorted(times)
    # It lies where it was written, read or not, and each group stands somewhere else with it
    assert f"At offset {append.base} of {called[append.node]}" in page.locator(".life .now").inner_text()
    facts = page.get_by_role("region", name="Inspector").locator("dl.facts").inner_text()
    assert "feed" in facts and "statistics" in facts and "committed" in facts


def worked_twice(events: list[Event]) -> int:
    written = {
        (e.node, e.base + i): m
        for e in events if isinstance(e, k.RecordsAppended) for i, m in enumerate(e.messages)
    }  # fmt: skip
    return next(
        written[e.partition, offset]
        for e in events
        if isinstance(e, k.RecordsWorked)
        for offset in e.repeated
    )


def test_what_was_not_committed_when_its_reader_died_is_read_again_and_the_life_says_why(
    inspect: Any,
) -> None:
    page, _ = inspect("kafka-rebalance-eager", 40_000_000, worked_twice)
    again = page.locator(".life li", has_text=" again")
    assert again.count() == 1
    assert "had read it and not committed it" in again.inner_text()
    assert page.locator(".life li", has_text="it was done before").count() == 1


def produced_twice(events: list[Event]) -> int:
    made = [message for e in events if isinstance(e, k.RecordsTransformed) for message in e.messages]
    return next(message for message in made if made.count(message) > 1)


def test_what_a_member_produces_says_of_which_record_and_that_its_first_attempt_was_aborted(
    inspect: Any,
) -> None:
    page, events = inspect("kafka-transactions", 30_000_000, produced_twice)
    called, message = names(events), produced_twice(events)
    first = next(e for e in events if isinstance(e, k.RecordsTransformed) and message in e.messages)
    said = page.locator(".life li").all_inner_texts()
    produced = [each for each in said if "pricing 1 produces it to invoices" in each]
    assert len(produced) == sum("Written to" in each for each in said) == 2
    offset = first.offsets[first.messages.index(message)]
    assert f"of offset {offset} of {called[first.partition]}" in produced[0]
