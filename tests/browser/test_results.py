"""Beside the moving messages: what is finished in which order, what the tills hold, what the stores remember."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from engine.events import EffectApplied, Tallied
from engine.history import play
from engine.scenario import from_data, load
from tests.browser.conftest import House, wait

SHIPPED = Path(__file__).parent.parent.parent / "lessons/scenarios"
STAGE = "document.querySelector('queue-stage')"


def at(page: Page, t_us: int) -> None:
    """The page stands at `t_us`, with what the work has come to beneath the figure."""
    page.evaluate(f"{STAGE}.pause()")
    for moment_us in (*range(5_000_000, t_us, 10_000_000), t_us):
        page.evaluate(f"{STAGE}.seek({moment_us})")
        wait(page, f"{STAGE}.timeline.segments.length === 1 && {STAGE}.timeline.knows({moment_us})")
    page.evaluate(f"{STAGE}.seek({t_us})")
    wait(page, "!!document.querySelector('.results.furnished')")
    page.evaluate(f"{STAGE}.seek({t_us})")


def shown(page: Page, queue: str) -> list[str]:
    return (
        page.get_by_role("group", name=f"Finished in {queue}, in this order")
        .locator("button")
        .evaluate_all("(buttons) => buttons.map((b) => b.getAttribute('aria-label'))")
    )


@pytest.fixture(scope="module")
def payments(house: House) -> tuple[str, list[Any]]:
    scenario = load(SHIPPED / "idempotent-payments.toml")
    events = play(scenario, scenario.seed).events
    return house.show(events, path="/payments/", chunks=3, kinds=json.dumps(scenario.kinds)), events


def test_the_strip_shows_the_messages_in_the_order_of_their_effects(
    payments: tuple[str, list[Any]], open_page: Callable[..., Page]
) -> None:
    address, events = payments
    page = open_page(address)
    for t_us in (4_000_000, 9_000_000, 16_500_000):
        at(page, t_us)
        for queue, effect in (("careless", "charge"), ("careful", "safe charge")):
            done = [
                e for e in events if isinstance(e, EffectApplied) and e.effect == effect and e.at_us <= t_us
            ]
            labels = shown(page, queue)
            assert [label.split(",")[0] for label in labels] == [
                f"m{e.message}" for e in done[-len(labels) :]
            ]
            assert len(labels) >= min(4, len(done))
            # And what is done a second time is named so
            assert [", again" in label for label in labels] == [
                e.effect_number > 1 for e in done[-len(labels) :]
            ]


def test_the_till_says_what_it_should_hold_once_something_is_charged_twice(
    payments: tuple[str, list[Any]], open_page: Callable[..., Page]
) -> None:
    page = open_page(payments[0])
    at(page, 4_000_000)
    assert page.locator(".till.wrong").count() == 0
    # When the charger that died has charged m2 a second time
    at(page, 7_500_000)
    wrong = page.locator(".till", has=page.get_by_text("charge", exact=True))
    assert wrong.locator(".again").all_inner_texts()[0].split() == ["m2", "ben", "again", "$25"]
    assert wrong.locator(".total dd").inner_text() == "$75"
    assert wrong.locator(".due").inner_text() == "should be $50"
    # Then the other one, who asked its store, is right
    right = page.locator(".till", has=page.get_by_text("safe charge", exact=True))
    assert right.locator(".total dd").inner_text() == "$50"
    assert right.locator(".due").count() == 0
    # And who looks back sees the sum of that moment
    at(page, 4_000_000)
    assert page.locator(".till.wrong").count() == 0


def test_the_rows_of_a_till_come_to_its_total(
    payments: tuple[str, list[Any]], open_page: Callable[..., Page]
) -> None:
    page = open_page(payments[0])
    at(page, 25_000_000)
    for till in page.locator(".till").all():
        amounts = [int(text.strip("$")) for text in till.locator("dd").all_inner_texts()]
        assert sum(amounts[:-1]) == amounts[-1] > 200


def test_the_store_marks_the_message_that_it_was_asked_for(
    payments: tuple[str, list[Any]], open_page: Callable[..., Page]
) -> None:
    page = open_page(payments[0])
    at(page, 7_500_000)
    asked = page.locator(".seen .asked")
    assert asked.inner_text().split("\t") == ["m2", "here already"]
    assert page.locator(".seen tr").all_inner_texts() == ["m1\tremembered", "m2\there already"]
    # When the next one comes, which it has not seen
    at(page, 8_200_000)
    assert asked.inner_text().split("\t") == ["m3", "new"]


def test_what_came_out_of_order_says_after_which(house: House, open_page: Callable[..., Page]) -> None:
    slow = from_data({
        "format": 1, "title": "overtaken", "length": "30s", "kinds": ["ana"],
        "system": [{"name": "broker", "kind": "rabbitmq", "queues": [{"name": "jobs"}]}],
        "producer": [{"name": "maker", "system": "broker", "to": {"queue": "jobs"}, "keys": ["ana"],
                      "arrivals": {"every": "1s"}, "count": 4}],
        "consumer": [{"name": name, "system": "broker", "from": {"queue": "jobs"}, "prefetch": 1,
                      "work": {"constant": work}} for name, work in (("slow", "3s"), ("fast", "200ms"))],
    })  # fmt: skip
    events = play(slow, 1).events
    late = [e for e in events if isinstance(e, Tallied) and e.what == "out_of_order"]
    assert len(late) == 1
    page = open_page(house.show(events, path="/overtaken/", kinds=json.dumps(["ana"])))
    at(page, 9_500_000)
    labels = shown(page, "jobs")
    assert [label.split(", ")[-1] for label in labels if "after" in label] == [
        f"after m{e.other}" for e in late
    ]
    assert page.locator(".wrong-word").all_inner_texts() == [f"after m{e.other}" for e in late]
    # And no till nor store is drawn where the scenario has none
    assert page.locator(".till, .seen").count() == 0


def test_a_finished_message_opens_its_life_by_key_and_by_pointer(
    payments: tuple[str, list[Any]], open_page: Callable[..., Page]
) -> None:
    page = open_page(payments[0])
    at(page, 16_500_000)
    strip = page.get_by_role("group", name="Finished in careful, in this order")
    # Given one tab stop a strip
    assert strip.locator('[tabindex="0"]').count() == 1
    strip.locator("button").last.focus()
    last = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("ArrowLeft")
    wait(page, f"document.activeElement.getAttribute('aria-label') !== {json.dumps(last)}")
    name = page.evaluate("document.activeElement.getAttribute('aria-label')").split(",")[0]
    page.keyboard.press("Enter")
    wait(page, f"document.querySelector('.inspector h2')?.textContent === 'The life of {name}'")
    strip.locator("button").last.click()
    wait(page, f"document.querySelector('.inspector h2')?.textContent !== 'The life of {name}'")
