"""The stage uses its room: lanes are shared out by what workers may hold, controls stay in reach, the first page is calm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from engine.history import play
from engine.rabbitmq import events as r
from lessons.scenarios import home, library
from tests.browser.conftest import House, wait
from tests.browser.scripts import wire

STAGE = "document.querySelector('queue-stage')"
TOKENS_MAX = 30
LEAST_SCALE = 0.77


def run_of(slug: str) -> tuple[Any, list[Any]]:
    scenario = library()[slug].scenario
    return scenario, play(scenario, scenario.seed).events


def test_six_waiting_messages_and_four_receipts_keep_their_labels_in_a_lessons_column(
    open_page: Callable[..., Page], house: House
) -> None:
    # Given a lesson's stage, and a queue with two workers that may hold two messages each
    _, events = run_of("point-to-point")
    page = open_page(house.show(events, chunks=3))
    page.set_viewport_size({"width": 944, "height": 800})
    page.evaluate(f"{STAGE}.pause()")
    page.evaluate(f"{STAGE}.seek(7_300_000)")
    wait(page, f"{STAGE}.now === 7_300_000 && {STAGE}.figure.width <= 944")
    # Then nothing in it is too small for a label
    queue = page.evaluate(f"[...{STAGE}.shownScene.nodes.values()].find((n) => n.name === 'thumbnails').node")
    drawn = page.evaluate(
        f"{STAGE}.drawn.tokens.filter((t) => t.node === {queue}).map((t) => [t.zone, t.labelled, t.scale])"
    )
    assert sorted(zone for zone, _, _ in drawn) == ["ready"] * 6 + ["unacked"] * 4
    assert all(labelled and scale >= LEAST_SCALE for _, labelled, scale in drawn)


def test_a_head_stands_where_it_stood_until_its_workers_may_hold_more(
    open_page: Callable[..., Page], house: House
) -> None:
    _, events = run_of("point-to-point")
    page = open_page(house.show(events, chunks=3))
    page.evaluate(f"{STAGE}.pause()")
    heads = f"[...{STAGE}.figure.nodes.values()].filter((n) => n.kind === 'queue').map((n) => n.headX)"
    before = page.evaluate(heads)
    for moment_us in (1_000_000, 4_000_000, 9_000_000):
        page.evaluate(f"{STAGE}.seek({moment_us})")
        assert page.evaluate(heads) == before
    # When one worker of the first queue may hold three more
    worker, queue = next((e.node, e.queue) for e in events if isinstance(e, r.ConsumerRegistered))
    more = r.ConsumerRegistered(0, 0, worker, queue, 5, 0, False, False)
    frame = {"epoch": 0, "tick": 0, "seq": 0, "first": 1,
             "events": wire([*(e for e in events if e.at_us == 0), more]), "digest": ""}  # fmt: skip
    page.evaluate(
        f"(frame) => {{ const s = {STAGE}; s.timeline.reset(frame); s.layoutKey = ''; s.seek(0); s.draw(); }}",
        frame,
    )
    assert all(now < was for now, was in zip(page.evaluate(heads), before, strict=True))


def test_the_first_page_never_shows_more_than_one_can_follow(
    open_page: Callable[..., Page], house: House
) -> None:
    shipped = home()
    assert shipped is not None
    scenario = shipped.scenario
    page = open_page(house.show(play(scenario, scenario.seed).events, chunks=6, length_us=60_000_000))
    page.evaluate(f"{STAGE}.pause()")
    most = 0
    for second in range(1, 60):
        page.evaluate(f"{STAGE}.seek({second}_000_000)")
        wait(page, f"{STAGE}.timeline.knows({second}_000_000)")
        most = max(most, page.evaluate(f"({STAGE}.seek({second}_000_000), {STAGE}.drawn.tokens.length)"))
    assert 10 <= most <= TOKENS_MAX


@pytest.mark.parametrize("width", [1280, 390])
def test_play_and_the_line_of_time_are_in_view_and_cover_no_focus(
    visit: Callable[..., Page], width: int
) -> None:
    page = visit("/play/order-pipeline/")
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate(f"{STAGE}.pause()")
    for part in (".play", "time-scrubber"):
        box = page.locator(f".transport {part}").bounding_box()
        assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= 800
    # And whatever has the focus is not under them
    covered = page.evaluate("""() => [...document.querySelectorAll('.stage button, .site-head a, .site-foot a')]
      .filter((b) => b.checkVisibility() && !b.disabled && !b.closest('.steering')).map((b) => {
        b.focus();
        const top = document.querySelector(innerWidth < 800 ? '.transport' : '.steering').getBoundingClientRect().top;
        const box = b.getBoundingClientRect();
        return b === document.activeElement && box.bottom > top + 1 && box.top < innerHeight
          && document.querySelector('.transport').getBoundingClientRect().bottom > box.top
          ? b.getAttribute('aria-label') ?? b.textContent : '';
      }).filter(Boolean)""")
    assert covered == []


@pytest.mark.parametrize("width", [640, 320])
@pytest.mark.parametrize(
    "path", ["/", "/play/order-pipeline/", "/lessons/point-to-point/", "/quiz/", "/progress/"]
)
def test_zoomed_in_no_page_scrolls_sideways(chromium: Any, site: Any, path: str, width: int) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 400})
    answer = page.goto(site.url + path)
    assert answer is not None and answer.ok
    page.wait_for_timeout(400)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
