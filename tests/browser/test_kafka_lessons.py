"""Lessons on Kafka, each from its first word to its goal on the real server: by keys alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from lessons.catalogue import catalogue
from lessons.learning import seen_order, true_guess
from tests.browser.conftest import wait
from tests.browser.test_axe import STAGE
from tests.browser.test_lessons import (  # noqa: F401 -- the fixture
    FOCUSED,
    choose,
    open_,
    plain,
    put_in_order,
    tab_to,
)

Goal = tuple[str, float, str, str]
"""Whose settings, from which second of the run on, what is pressed there, and how that is said."""

GOALS: dict[str, Goal] = {
    "consumer-groups": ("billing B", 0, "Stop", "Reached, with 1 command."),
}
SLUGS = list(GOALS)


def stands_at(page: Page, at_us: int, seconds: int = 40) -> None:
    wait(page, f"!{STAGE}.playing && {STAGE}.now === {at_us}", seconds)


@pytest.mark.parametrize("slug", SLUGS)
def test_a_lesson_is_played_to_its_goal_with_the_keyboard_alone(
    open_: Callable[..., Page],  # noqa: F811
    slug: str,
) -> None:
    lesson = catalogue().lessons[slug]
    page = open_(f"/lessons/{slug}/")
    wait(page, f"{STAGE}?.shown_us === {lesson.predict.at}")
    choose(page, plain(true_guess(lesson).text))
    tab_to(page, "Keep my prediction and run")
    page.keyboard.press("Enter")
    for n, stop in enumerate(lesson.segment):
        if n == 0:  # four times the speed is fast enough to read nothing, and slow enough to stop in time
            tab_to(page, "4")
            page.keyboard.press("Enter")
        stands_at(page, stop.at)
        expect(page.locator(f'[data-stop="{n}"]')).to_be_visible()
        if n < len(lesson.segment) - 1:
            if page.evaluate(FOCUSED) != "Next":
                tab_to(page, "Next")
            page.keyboard.press("Enter")
    expect(page.locator(".outcome:visible")).to_contain_text("As you said.")
    if page.evaluate(FOCUSED) != "What did you see?":
        tab_to(page, "What did you see?")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="This is the order")).to_be_visible()
    put_in_order(page, seen_order(lesson))
    tab_to(page, "This is the order")
    page.keyboard.press("Space")
    expect(page.get_by_text("You saw the order as it was.")).to_be_visible()
    tab_to(page, "To the goal")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Check the goal")).to_be_visible()
    node, after_s, action, said = GOALS[slug]
    if after_s:
        tab_to(page, "4")
        page.keyboard.press("Enter")
        tab_to(page, "Play", "Shift+Tab")
        page.keyboard.press("Enter")
        wait(page, f"{STAGE}.now >= {int(after_s * 1e6)}", 30)
        assert page.evaluate(FOCUSED) == "Pause"
        page.keyboard.press("Enter")
        wait(page, f"!{STAGE}.playing")
    tab_to(page, f"Change {node}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name=f"Settings of {node}", exact=True)).to_be_visible()
    tab_to(page, action)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/lessons/{slug}/?room=*")
    tab_to(page, "8", "Shift+Tab")
    page.keyboard.press("Enter")
    tab_to(page, "Play", "Shift+Tab")
    page.keyboard.press("Enter")
    wait(page, "document.querySelector('.verdict') !== null", 60)
    expect(page.locator(".verdict")).to_contain_text(said)
