"""Lessons on Kafka, each from its first word to its goal on the real server: by keys alone, and by the mouse. Picks of cells."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from lessons.answers import right_answer
from lessons.catalogue import catalogue
from lessons.learning import seen_order, true_guess
from tests.browser.conftest import wait
from tests.browser.test_axe import STAGE
from tests.browser.test_lessons import (
    FOCUSED,
    answered,
    choose,
    open_,
    plain,
    say_what_was_seen,
    tab_to,
)

__all__ = ["open_"]

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
    open_: Callable[..., Page],
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


# -- by the mouse ---------------------------------------------------------------------------------


def click(page: Page, name: str) -> None:
    page.locator(f'.transport button:text-is("{name}"), .transport [aria-label="{name}"]').click()


def click_node(page: Page, name: str) -> None:
    """On its corner: in its middle a record may lie."""
    node = page.get_by_role("button", name=f"Change {name}", exact=True)
    node.scroll_into_view_if_needed()
    box = node.bounding_box()
    assert box
    page.mouse.click(box["x"] + 5, box["y"] + 5)


@pytest.mark.parametrize("slug", SLUGS)
def test_a_lesson_is_played_to_its_goal_with_the_mouse(open_: Callable[..., Page], slug: str) -> None:
    lesson = catalogue().lessons[slug]
    page = open_(f"/lessons/{slug}/")
    page.get_by_text(plain(true_guess(lesson).text), exact=True).click()
    page.get_by_role("button", name="Keep my prediction and run").click()
    for n, stop in enumerate(lesson.segment):
        if n == 0:
            page.locator(".transport").wait_for()
            click(page, "4")
        stands_at(page, stop.at)
        if n < len(lesson.segment) - 1:
            page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("button", name="What did you see?").click()
    page.get_by_role("button", name="This is the order").wait_for()
    for place, label in enumerate(plain(label) for label in seen_order(lesson)):
        shown = page.locator("[data-order] .order-label").all_inner_texts()
        for _ in range(shown.index(label) - place):
            page.get_by_role("button", name=f"Earlier: {label}", exact=True).click()
    page.get_by_role("button", name="This is the order").click()
    expect(page.get_by_text("You saw the order as it was.")).to_be_visible()
    page.get_by_role("button", name="To the goal").click()
    wait(page, f"{STAGE}?.furnished")
    acts, said = GOALS[slug]
    for n, (node, after_s, action) in enumerate(acts):
        if after_s:
            click(page, "4")
            click(page, "Play")
            wait(page, f"{STAGE}.now >= {int(after_s * 1e6)}", 30)
            click(page, "Pause")
            wait(page, f"!{STAGE}.playing")
        sheet = page.get_by_role("region", name=f"Settings of {node}", exact=True)
        if not sheet.is_visible():
            click_node(page, node)
        sheet.get_by_role("button", name=action, exact=True).click()
        if n == 0:
            page.wait_for_url(f"**/lessons/{slug}/?room=*")
            wait(page, f"{STAGE}?.furnished && {STAGE}.room !== null")
    click(page, "8")
    click(page, "Play")
    wait(page, "document.querySelector('.verdict') !== null", 60)
    expect(page.locator(".verdict")).to_contain_text(said)


# -- cells as answers -----------------------------------------------------------------------------

CELL = f"""([name, offset]) => {{
  const stage = {STAGE}, row = stage.drawn.rows.find(({{ log }}) => stage.shownScene.nodes.get(log.node).name === name);
  const {{ x, y }} = stage.parts.scroller.getBoundingClientRect(), {{ cell }} = row.box;
  return [x + row.box.x + (offset - row.base + 0.5) * cell, y + row.box.y + row.box.height / 2, y + row.box.y];
}}"""
"""The middle of an offset's cell in the window, and its upper edge."""


def question(open_: Callable[..., Page], name: str, **options: int) -> tuple[Page, str]:
    """The page of a question, and its right answer."""
    item = catalogue().items[name]
    page = open_(f"/quiz/{item.id}/{item.seed}/", **options)
    wait(page, f"{STAGE}?.drawn?.rows?.length > 1")
    return page, str(right_answer(item, item.seed))


@pytest.mark.parametrize("width", [390, 1280])
def test_a_click_on_a_cell_is_an_answer(open_: Callable[..., Page], width: int) -> None:
    page, right = question(open_, "next-cell-of-a-key", width=width)
    partition, _, offset = right.rpartition(" ")
    page.locator("queue-stage").scroll_into_view_if_needed()
    x, y, top = page.evaluate(CELL, [partition, int(offset)])
    page.mouse.click(x, y)
    # Then the list says the same, and the picture has it framed, its words beside the row's own
    assert page.locator("input[name=answer]:checked").get_attribute("value") == right
    words = page.locator(".frame.pick span")
    expect(words).to_have_text("your pick")
    box = words.bounding_box()
    assert box and box["y"] + box["height"] <= top + 12
    page.get_by_role("button", name="Check my answer").click()
    expect(page.locator("[data-said] h2")).to_have_text("Right.")
    # And it plays on until the record lies there
    wait(page, f"!{STAGE}.playing && document.querySelector('.frame.pointed') !== null", 30)


def test_a_cell_is_chosen_by_keys(open_: Callable[..., Page]) -> None:
    page, right = question(open_, "where-the-next-one-goes")
    choose(page, page.locator(f'label:has([value="{right}"])').inner_text().strip())
    expect(page.locator(".frame.pick.of-cell")).to_contain_text("your pick")
    assert answered(page) == "Right."
