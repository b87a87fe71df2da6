"""Why a message waits is said where it is asked for and when it is news; what is ordinary is said at once or not at all."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from engine.commands import AddConsumer, SetPrefetch, StopConsumer
from engine.events import Moved, Placed
from tests.browser.conftest import House, wait
from tests.browser.scripts import EMAIL, post_office

STAGE = "document.querySelector('queue-stage')"
NARRATOR = "[data-part=narrator]"


def standing(page: Page, t_us: int) -> None:
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek({t_us})")
    wait(page, f"{STAGE}.timeline.knows({t_us})")
    page.evaluate(f"{STAGE}.seek({t_us}, true)")


def first_to_wait(events: list[Any], from_us: int) -> Any:
    """What places the first message that stays in the queue for the e-mail, after all of that moment."""
    ready: dict[int, Any] = {}
    for at_us, moment in groupby(events, key=lambda x: x.at_us):
        for x in moment:
            if isinstance(x, Placed) and x.node == EMAIL and x.zone == "ready":
                ready[x.copy] = x
            elif isinstance(x, Moved) and x.source == EMAIL:
                ready.pop(x.copy, None)
        if at_us >= from_us and len(ready) == 1 and (only := next(iter(ready.values()))).at_us == at_us:
            return only
    raise AssertionError("nothing ever waits alone")


ONE = "its worker holds as many as its prefetch allows"
BOTH = "both workers hold as many as their prefetch allows"
THREE = "all 3 workers hold as many as their prefetch allows"
NOBODY = "nobody is subscribed to its queue"
BEFORE = 200_000
MORE = (AddConsumer(like="email worker"), SetPrefetch("email worker", 1), SetPrefetch("email worker 2", 1))


@pytest.mark.parametrize(
    ("journal", "why"),
    [
        ((), ONE),
        (MORE, BOTH),
        ((*MORE, AddConsumer(like="email worker 2")), THREE),
        ((StopConsumer("email worker"),), NOBODY),
    ],
    ids=["one worker", "two", "three", "none"],
)
def test_the_inspector_and_the_narrator_say_why_a_message_waits(
    open_page: Callable[..., Page], house: House, journal: tuple[Any, ...], why: str
) -> None:
    given = ((BEFORE + n * 500_000, command) for n, command in enumerate(journal))
    events = post_office(30_000_000, (100_000, SetPrefetch("billing worker", 0)), *given)
    page = open_page(house.show(events, chunks=3))
    waiting = first_to_wait(events, 0 if len(journal) < 2 else 2_500_000)
    # Given the moment at which the queue gets its first message that has to wait
    standing(page, waiting.at_us)
    message = page.evaluate(f"{STAGE}.timeline.facts.copies.get({waiting.copy}).message")
    # Then it is said, and stands in the message's own story
    expect(page.locator(NARRATOR)).to_have_text(f"m{message} waits in email: {why}.")
    page.evaluate(f"{STAGE}.inspect({message})")
    expect(page.locator(".life .now small")).to_contain_text(f"Waits in email: {why}")


def test_where_a_worker_has_room_no_reason_is_made_up(open_page: Callable[..., Page], house: House) -> None:
    events = post_office(30_000_000, (900_000, SetPrefetch("email worker", 0)))
    page = open_page(house.show(events, chunks=3))
    page.evaluate("import('mailroom/lazy/waiting.js').then((m) => { window.waitsOf = m.waitsOf; })")
    wait(page, "!!window.waitsOf")
    standing(page, 6_000_000)
    said = page.evaluate(
        f"[...{STAGE}.timeline.facts.messages.keys()].flatMap((m) => waitsOf({STAGE}.shownScene, m)).filter((w) => w.name === 'email')"
    )
    assert said == []


@pytest.mark.parametrize("rate", [1, 8])
def test_what_is_ordinary_is_never_said_more_than_a_second_late(
    open_page: Callable[..., Page], house: House, rate: int
) -> None:
    page = open_page(house.show(post_office(), chunks=3))
    page.evaluate(f"{STAGE}.clock.setRate(performance.now(), {rate}, Infinity)")
    wait(page, f"{STAGE}.now > {7_000_000 if rate == 1 else 25_000_000}", 20)
    told = page.evaluate(
        f"{STAGE}.narrator.told.map(({{ rank, at_us, shown_us, text }}) => [rank, at_us, shown_us, text])"
    )
    ordinary = [each for each in told if each[0] <= 1]
    assert len(told) > 1 and (ordinary or rate == 8)
    assert [each for each in ordinary if each[2] - each[1] > 1_000_000] == []


def test_a_moment_is_not_given_an_ordinary_sentence_of_long_ago(
    open_page: Callable[..., Page], house: House
) -> None:
    events = post_office(1_000_000)
    page = open_page(house.show(events))
    standing(page, 4_000_000)
    expect(page.locator(NARRATOR)).to_have_text("")
    # An unusual one stays what was last worth saying
    page = open_page(house.show(post_office(8_000_000), path="/crash/"))
    standing(page, 7_200_000)
    assert "crashed" in page.locator(NARRATOR).inner_text()
