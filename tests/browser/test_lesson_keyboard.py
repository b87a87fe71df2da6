"""Every other lesson from its words to its goal with Tab, Enter, Space and the arrows alone; and choices among answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lessons.answers import right_answer
from lessons.catalogue import catalogue
from lessons.items import Multi, Single
from lessons.learning import true_guess
from tests.browser.conftest import wait
from tests.browser.test_axe import STAGE
from tests.browser.test_lessons import FOCUSED, choose, open_, plain, say_what_was_seen, tab_to

__all__ = ["open_"]

Change = tuple[str, str, str]
"""(node, row of its sheet, button): one change by the settings."""

WAYS: dict[str, list[Change]] = {
    "retries-dead-letter": [("labeller", "After the last", "publish it to parcels.dlq")],
    "idempotency": [
        ("charger B", "Remembers", "in one step with its effect"),
        ("charger C", "Remembers", "in one step with its effect"),
    ],
}


@pytest.mark.parametrize("slug", WAYS)
def test_a_lesson_is_played_to_its_goal_with_the_keyboard_alone(
    open_: Callable[..., Page], slug: str
) -> None:
    lesson = catalogue().lessons[slug]
    page = open_(f"/lessons/{slug}/")
    # The prediction
    choose(page, plain(true_guess(lesson).text))
    tab_to(page, "Keep my prediction and run")
    page.keyboard.press("Enter")
    # The run, at eight times its speed, from stop to stop
    for n, stop in enumerate(lesson.segment):
        wait(page, f"!{STAGE}.playing && {STAGE}.now === {stop.at}", 40)
        expect(page.locator(f'[data-stop="{n}"]')).to_be_visible()
        if n == 0:
            tab_to(page, "8")
            page.keyboard.press("Enter")
            tab_to(page, "Next", "Shift+Tab")
        assert page.evaluate(FOCUSED) == ("What did you see?" if stop is lesson.segment[-1] else "Next")
        page.keyboard.press("Enter")
    say_what_was_seen(page, lesson)
    # The goal, by the settings of the nodes
    for n, (node, row, button) in enumerate(WAYS[slug]):
        tab_to(page, f"Change {node}")
        page.keyboard.press("Enter")
        sheet = page.get_by_role("region", name=f"Settings of {node}", exact=True)
        expect(sheet).to_be_visible()
        press_in(page, row, button)
        if not n:
            page.wait_for_url(f"**/lessons/{slug}/?room=*")
        group = sheet.get_by_role("group", name=row, exact=True)
        expect(group.get_by_role("button", name=button, exact=True)).to_have_attribute("aria-pressed", "true")
    tab_to(page, "8", "Shift+Tab")
    page.keyboard.press("Enter")
    tab_to(page, "Play", "Shift+Tab")
    page.keyboard.press("Enter")
    wait(page, "document.querySelector('.verdict') !== null", 60)
    expect(page.locator(".verdict")).to_contain_text("Reached, with")
    tab_to(page, "Questions on this lesson")
    page.keyboard.press("Enter")
    page.wait_for_url("**/quiz/**")


ROW_OF_FOCUS = """(() => {
  const group = document.activeElement.closest('[role=group]');
  return group?.getAttribute('aria-label') ?? document.getElementById(group?.getAttribute('aria-labelledby'))?.textContent;
})()"""


def press_in(page: Page, row: str, button: str) -> None:
    """To the button of that name in the sheet's row, and presses it: rows may have buttons of one name."""
    for _ in range(60):
        tab_to(page, button)
        if page.evaluate(ROW_OF_FOCUS) == row:
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"{row}: {button} cannot be reached")


# -- questions with options ------------------------------------------------------------------------

SINGLE = next(item for item in catalogue().lessons["idempotency"].items if isinstance(item, Single))
MULTI = next(item for item in catalogue().items.values() if isinstance(item, Multi))


def options_of(item: Any) -> tuple[list[str], list[str]]:
    """(right, wrong) options, as they are read."""
    right = right_answer(item, item.seed)
    ids = right if isinstance(right, tuple) else (right,)
    texts = [(plain(option.text), option.id in ids) for option in item.option]
    return [text for text, is_right in texts if is_right], [text for text, is_right in texts if not is_right]


def said(page: Page) -> str:
    tab_to(page, "Check my answer")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-said]")
    return page.locator("[data-said]").inner_text()


def sure(page: Page, level: str) -> None:
    tab_to(page, "Guessing")
    page.keyboard.press("Space")
    for _ in range(3):
        if page.evaluate(FOCUSED) == level:
            return
        page.keyboard.press("ArrowRight")
    raise AssertionError(level)


def test_of_single_choices_a_wrong_one_is_explained_and_its_concept_asked_again(
    open_: Callable[..., Page],
) -> None:
    _, wrong = options_of(SINGLE)
    why = next(plain(o.why) for o in SINGLE.option if plain(o.text) == wrong[0])
    # Given the questions of a lesson, by the page that lists them
    page = open_(f"/quiz/{SINGLE.id}/{SINGLE.seed}/")
    choose(page, wrong[0])
    sure(page, "Certain")
    text = said(page)
    # Then what was said, what is so, and why that one is wrong stand there
    assert text.startswith("Not so.") and wrong[0] in text and why in " ".join(text.split())
    assert page.evaluate("document.activeElement.tagName") == "H2"
    tab_to(page, "Next")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: SINGLE.id not in url)
    # And the concept is to be asked again
    page.goto(page.url.split("/quiz/")[0] + "/quiz/")
    expect(page.get_by_role("link", name="Ask what you missed: 1")).to_be_visible()
    page.goto(page.url.split("/quiz/")[0] + "/progress/")
    expect(page.locator(".lane-row").filter(has_text=SINGLE.concept)).to_contain_text("due")


def test_of_several_choices_all_right_ones_and_no_other_are_right(open_: Callable[..., Page]) -> None:
    right, wrong = options_of(MULTI)
    assert len(right) > 1 and wrong
    for picked, verdict in ((right, "Right."), ([right[0]], "Partly right.")):
        page = open_(f"/quiz/{MULTI.id}/{MULTI.seed}/")
        for option in picked:
            tab_to(page, option)
            page.keyboard.press("Space")
        sure(page, "Fairly sure")
        text = said(page)
        assert text.startswith(verdict), text
        assert all(option in text for option in (*picked, *right))
