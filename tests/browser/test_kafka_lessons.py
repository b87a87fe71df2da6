"""Lessons on Kafka, each from its first word to its goal on the real server: by keys alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from lessons.catalogue import catalogue
from lessons.learning import true_guess
from tests.browser.conftest import wait
from tests.browser.test_axe import STAGE
from tests.browser.test_lessons import (  # noqa: F401 -- the fixture
    FOCUSED,
    choose,
    open_,
    plain,
    say_what_was_seen,
    tab_to,
)

Act = tuple[str, float, str]
"""Whose settings, from which second of the run on, and what is pressed there."""

GOALS: dict[str, tuple[tuple[Act, ...], str]] = {
    "partitions-keys": ((("shop", 5, "Pause"), ("shop", 12, "Go on")), "Reached, with 2 commands."),
    "consumer-groups": ((("billing B", 0, "Stop"),), "Reached, with 1 command."),
    "offsets-replay": ((("search", 12, "to earliest"),), "Reached, with 1 command."),
}
"""What reaches the goal, and how that is said."""

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
    say_what_was_seen(page, lesson)
    acts, said = GOALS[slug]
    for n, (node, after_s, action) in enumerate(acts):
        if after_s:
            tab_to(page, "4", "Shift+Tab" if n else "Tab")
            page.keyboard.press("Enter")
            tab_to(page, "Play", "Shift+Tab")
            page.keyboard.press("Enter")
            wait(page, f"{STAGE}.now >= {int(after_s * 1e6)}", 30)
            if page.evaluate(FOCUSED) != "Pause":
                tab_to(page, "Pause")
            page.keyboard.press("Enter")
            wait(page, f"!{STAGE}.playing")
        sheet = page.get_by_role("region", name=f"Settings of {node}", exact=True)
        if not sheet.is_visible():
            tab_to(page, f"Change {node}")
            page.keyboard.press("Enter")
        expect(sheet).to_be_visible()
        tab_to(page, action)
        page.keyboard.press("Enter")
        if n == 0:
            page.wait_for_url(f"**/lessons/{slug}/?room=*")
            wait(page, f"{STAGE}?.furnished")
    tab_to(page, "8", "Shift+Tab")
    page.keyboard.press("Enter")
    tab_to(page, "Play", "Shift+Tab")
    page.keyboard.press("Enter")
    wait(page, "document.querySelector('.verdict') !== null", 60)
    expect(page.locator(".verdict")).to_contain_text(said)
