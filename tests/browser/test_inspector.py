"""The life of one message: all of it, with times and causes, at the moment that is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from engine.events import MessageCreated, Moved, Placed, Routed, WorkStarted
from engine.history import play
from engine.scenario import load
from engine.simulation import Simulation
from tests.browser.conftest import TYPES, House, wait
from tests.browser.mocked import STAGE, Server, clock, hello, room_page, ticks
from tests.browser.scripts import chunk, post_office, wire

SCENARIO = load(Path(__file__).parent.parent.parent / "lessons/scenarios/work-queue.toml")


def life(page: Page) -> list[tuple[str, str]]:
    """(time, what) of each row, the moment that is looked at included."""
    return page.locator(".life li").evaluate_all(
        "(rows) => rows.map((row) => [row.children[0].textContent, row.children[1].textContent])"
    )


def look_at(page: Page, message: int, t_us: int) -> Locator:
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek({t_us})")
    wait(page, f"{STAGE}.timeline.knows({t_us})")
    page.evaluate(f"{STAGE}.seek({t_us}); {STAGE}.inspect({message})")
    page.get_by_role("heading", name=f"The life of m{message}").wait_for()
    return page.get_by_role("region", name="Inspector")


@pytest.fixture
def page(house: House, open_page: Callable[..., Page]) -> Page:
    return open_page(house.show(post_office(), chunks=3))


def moments(events: list[Any], message: int, *kinds: type) -> list[str]:
    copies = {o.copy for e in events if isinstance(e, Routed) and e.message == message for o in e.copies}
    mine = [
        e
        for e in events
        if isinstance(e, kinds) and (getattr(e, "copy", 0) in copies or getattr(e, "message", 0) == message)
    ]
    return [f"{e.at_us / 1e6:.2f} s" for e in mine]


def test_every_move_of_every_copy_is_a_row(page: Page) -> None:
    events = post_office()
    # Given m3, of which two queues hold a copy, when it is looked at late and everything has been seen
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek(9500000)")
    inspector = look_at(page, 3, 9_400_000)
    rows = life(page)
    # Then both deliveries, both queues and all the work on it are told at their moments
    expect(inspector.get_by_text("Made by shop")).to_be_visible()
    assert [time for time, what in rows if what.startswith("Delivered")] == moments(events, 3, Moved)[:2]
    assert [time for time, what in rows if what.endswith("starts on it")] == moments(events, 3, WorkStarted)
    assert {what for _, what in rows if what.startswith("Queued")} == {"Queued in billing", "Queued in email"}
    assert [time for time, _ in rows] == sorted((time for time, _ in rows), key=lambda text: float(text[:-2]))


def test_the_moment_looked_at_parts_what_was_from_what_was_seen_to_come(page: Page) -> None:
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek(9500000)")
    inspector = look_at(page, 3, 3_000_000)
    for t_us in (3_000_000, 2_100_000, 5_000_000):
        page.evaluate(f"{STAGE}.seek({t_us})")
        times = [float(text[:-2]) for text, _ in life(page)]
        states = inspector.locator("li").evaluate_all("(rows) => rows.map((row) => row.className)")
        assert states.count("now") == 1 and times[states.index("now")] == t_us / 1e6
        past = [time for time, state in zip(times, states, strict=True) if state == ""]
        ahead = [time for time, state in zip(times, states, strict=True) if state == "ahead"]
        assert past and ahead and max(past) <= t_us / 1e6 < min(ahead)
    expect(inspector.get_by_text("Dashed steps lie ahead of the moment you are looking at.")).to_be_visible()


def test_what_nobody_has_seen_yet_is_not_told(page: Page) -> None:
    # Given a recording of which more is held than has been shown
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek(3000000)")
    furthest = page.evaluate(f"{STAGE}.furthest_us") / 1e6
    look_at(page, 3, 2_500_000)
    assert max(float(text[:-2]) for text, _ in life(page)) <= furthest


def test_where_it_is_now_is_said_as_the_picture_shows_it(page: Page) -> None:
    look_at(page, 3, 1_600_000)
    for t_us, where in ((1_600_000, "On its way to orders"), (2_500_000, None), (4_600_000, None)):
        page.evaluate(f"{STAGE}.seek({t_us})")
        said = next(what for text, what in life(page) if text == f"{t_us / 1e6:.2f} s")
        if where:
            assert said == where
        for item in page.evaluate(
            f"{STAGE}.scene().messages.filter((m) => m.label === 'm3' && m.role === 'body')"
        ):
            name = page.evaluate(f"{STAGE}.shownScene.nodes.get({item['node']}).name")
            assert name in said, (t_us, said, item)


def test_a_row_leads_to_its_moment(page: Page) -> None:
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek(9500000)")
    inspector = look_at(page, 3, 9_400_000)
    row = inspector.locator("li", has_text="Queued in email")
    row.get_by_role("button").click()
    wait(page, f"{STAGE}.now / 1e6 === {float(row.get_by_role('button').inner_text()[:-2])}")
    # Then that row is the last of the past, and still the one with the focus
    assert row.evaluate(
        "(row) => row.nextElementSibling.className === 'now' || row.nextElementSibling.className === ''"
    )
    assert page.evaluate("document.activeElement.textContent") == row.get_by_role("button").inner_text()


def test_a_crash_is_the_reason_why_it_goes_back(page: Page) -> None:
    events = post_office()
    back = next(e for e in events if type(e).__name__ == "Requeued")
    message = next(
        e.message for e in events if isinstance(e, Routed) and back.copy in {o.copy for o in e.copies}
    )
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek(9900000)")
    inspector = look_at(page, message, 9_800_000)
    row = inspector.locator("li", has_text="Goes back to email")
    assert row.locator("small").inner_text().startswith("email worker crashed")


def test_what_lies_before_all_that_is_held_is_fetched(house: House, server: Server) -> None:
    # Given a room that somebody has joined at 10 s, and its history over HTTP
    simulation = Simulation(SCENARIO, SCENARIO.seed)
    while not simulation.advance(10_000_000):
        pass
    events = play(SCENARIO, SCENARIO.seed, until_us=11_000_000).events
    house.pages["/history/room/abcd/1/"] = (TYPES[".json"], json.dumps({"chunks": ["/chunk/room-0.json"]}))
    house.pages["/chunk/room-0.json"] = (TYPES[".json"], json.dumps(chunk(events)))
    page = room_page(server, house, kinds=json.dumps(SCENARIO.kinds))
    state = {
        "t": "state",
        "epoch": 1,
        "tick": 400,
        "seq": 1,
        "events": wire(simulation.state_events()),
        "digest": "x399",
    }
    server.send(hello(), clock(10_500_000, 0), state, ticks(events, 400, 40))
    wait(page, f"{STAGE}.room !== null && {STAGE}.tick === 439")
    held = page.evaluate(f"{STAGE}.timeline.start_us")
    assert held == 10_000_000
    # When a message is looked at that was made before
    message = next(
        e.message for e in events if isinstance(e, MessageCreated) and 7_500_000 < e.at_us < 9_000_000
    )
    page.evaluate(f"{STAGE}.inspect({message})")
    # Then its whole life is there, from its making on
    page.get_by_text("Made by camera").wait_for()
    assert [time for time, what in life(page) if what.startswith("Queued")] == [
        time
        for time in moments(events, message, Placed)
        if time in {t for t, w in life(page) if w.startswith("Queued")}
    ]
    assert life(page)[0][0] == moments(events, message, MessageCreated)[0]
