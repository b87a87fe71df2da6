"""Everything with the keyboard alone: on a scenario's page, and then in the room that the first command opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import wait

STAGE = "document.querySelector('queue-stage')"
STOPS_MAX = 60
"""More tab stops than that to anything on the page would be no way to get there."""


@pytest.fixture
def page(chromium: Browser, site: Any) -> Iterator[Page]:
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.goto(site.url + "/play/fan-out/")
    wait(opened, f"{STAGE}?.furnished && {STAGE}.now > 1500000")
    yield opened
    context.close()


FOCUSED = """(() => {
  const e = document.activeElement;
  return { name: e.getAttribute("aria-label") ?? e.textContent.trim(), role: e.getAttribute("role") ?? e.type ?? e.tagName,
           page: e === document.body, ring: getComputedStyle(e).outlineStyle !== "none" || e.closest("time-scrubber") !== null };
})()"""


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Goes there with the keyboard, as somebody would, and sees on the way where the focus is."""
    passed = []
    for _ in range(STOPS_MAX):
        page.keyboard.press(key)
        focused = page.evaluate(FOCUSED)
        if focused["page"]:  # past the last stop: the next is the first
            continue
        assert focused["ring"], f"the focus on {focused['name'][:60]!r} cannot be seen"
        if focused["name"] == name:
            return
        passed.append(focused["name"])
    raise AssertionError(f"no way to {name!r}, only to {passed}")


def press(page: Page, name: str) -> None:
    tab_to(page, name)
    page.keyboard.press("Enter")


def test_a_recording_is_played_stepped_slowed_and_scrubbed_without_a_pointer(page: Page) -> None:
    # Pause and play
    press(page, "Pause")
    wait(page, f"!{STAGE}.playing")
    assert page.evaluate(FOCUSED)["name"] == "Play"
    page.keyboard.press("Enter")
    wait(page, f"{STAGE}.playing")
    page.keyboard.press("Enter")
    wait(page, f"!{STAGE}.playing")
    # Step, and step back
    stood = page.evaluate(f"{STAGE}.now")
    press(page, "Step")
    wait(page, f"{STAGE}.now > {stood}")
    further = page.evaluate(f"{STAGE}.now")
    tab_to(page, "Step back", "Shift+Tab")
    page.keyboard.press("Enter")
    wait(page, f"{STAGE}.now < {further}")
    # Speed
    press(page, "¼")
    wait(page, "document.querySelector('[data-rate=\"250\"]').getAttribute('aria-pressed') === 'true'")
    # Scrub
    tab_to(page, "Time")
    before = page.evaluate(f"{STAGE}.now")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    wait(page, f"{STAGE}.now > {before}")
    page.keyboard.press("Home")
    wait(page, f"{STAGE}.now === 0")
    # And the keys that need no focus: space, arrows, digits
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    wait(page, f"{STAGE}.playing")
    page.keyboard.press("Space")
    wait(page, f"!{STAGE}.playing")


def test_something_is_broken_a_target_chosen_and_a_room_steered_without_a_pointer(page: Page) -> None:
    # Break it: choose a target among two, which opens a room
    press(page, "Crash")
    assert page.evaluate(
        "document.activeElement.closest('[role=group]')?.getAttribute('aria-label')"
    ).startswith("Targets")
    assert page.evaluate(FOCUSED)["name"] == "billing worker"
    page.keyboard.press("Enter")
    wait(page, "location.pathname.startsWith('/room/')")
    wait(page, f"[...{STAGE}.shownScene.nodes.values()].some((n) => n.state === 'crashed')")
    assert page.evaluate(FOCUSED)["name"] not in ("", "Mailroom"), (
        "the focus was lost when the targets went away"
    )
    # A message looked at, and the inspector left again
    wait(page, f"{STAGE}.now > 3200000")
    page.evaluate("document.activeElement.blur()")
    press(page, "Pause")
    wait(page, f"!{STAGE}.playing && document.querySelector('.token-buttons button') !== null")
    token = page.evaluate(
        "document.querySelector('.token-buttons button[tabindex=\"0\"]').getAttribute('aria-label')"
    )
    tab_to(page, token, "Shift+Tab")
    page.keyboard.press("Enter")
    wait(page, f"!{STAGE}.parts.inspector.hidden")
    assert page.evaluate(f"{STAGE}.parts.inspector.contains(document.activeElement)")
    # Looking back is private; Return to now ends it
    now = page.evaluate(f"{STAGE}.now")
    tab_to(page, "Time")
    page.keyboard.press("Home")
    wait(page, f"{STAGE}.now === 0 && {STAGE}.looking")
    press(page, "Return to now")
    wait(page, f"!{STAGE}.looking && {STAGE}.now >= {now}")
    # Fork from a moment of the past
    tab_to(page, "Time")
    page.keyboard.press("Home")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    epoch = page.evaluate(f"{STAGE}.epoch")
    press(page, "Fork")
    wait(page, f"{STAGE}.epoch > {epoch}")
