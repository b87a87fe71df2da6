"""A lesson from its first word to its goal and its questions, on the real server, with the keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from lessons.answers import right_answer
from lessons.catalogue import catalogue
from lessons.items import Numeric, OrderItem, PlaceItem
from lessons.learning import seen_order, true_guess
from lessons.lesson import Lesson
from lessons.texts import plain as without_markers
from tests.browser.conftest import wait
from tests.browser.test_axe import SIZES, STAGE, findings

SLUG = "point-to-point"
LESSON = catalogue().lessons[SLUG]
JS_MAX_KB = 35
"""Compressed, of a lesson's page before anything was done on it."""
PRESSES_MAX = 160


@pytest.fixture
def open_(chromium: Browser, site: Any) -> Iterator[Callable[..., Page]]:
    """Opens an address of the site in a new browser; the test fails when the page raised an error."""
    contexts: list[Any] = []
    errors: list[str] = []

    def open_page(path: str, width: int = 1280, **options: Any) -> Page:
        contexts.append(
            chromium.new_context(viewport={"width": width, "height": dict(SIZES)[width]}, **options)
        )
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if "Content Security Policy" in m.text else None)
        page.goto(site.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


FOCUSED = """(() => {
  const e = document.activeElement;
  const label = e.labels?.[0]?.textContent ?? e.textContent;
  return (e.getAttribute('aria-label') ?? label ?? '').replace(/\\s+/g, ' ').trim();
})()"""


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    """Presses Tab until what has the focus is called `name`."""
    passed = []
    for _ in range(PRESSES_MAX):
        page.keyboard.press(key)
        passed.append(page.evaluate(FOCUSED))
        if passed[-1] == name:
            return
    raise AssertionError(f"{name!r} cannot be reached by {key}: {passed}")


def choose(page: Page, name: str) -> None:
    """Into a group of radio buttons by Tab, along it by the arrow, to the one called `name`."""
    for _ in range(PRESSES_MAX):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "radio":
            break
    page.keyboard.press("Space")
    for _ in range(40):
        if page.evaluate(FOCUSED) == name:
            assert page.evaluate("document.activeElement.checked")
            return
        page.keyboard.press("ArrowDown")
    raise AssertionError(f"{name!r} is none of the choices")


def put_in_order(page: Page, labels: tuple[str, ...]) -> None:
    """Moves rows up by their buttons until they stand as `labels`."""
    labels = tuple(plain(label) for label in labels)
    for place, label in enumerate(labels):
        shown = page.locator("[data-order] .order-label").all_inner_texts()
        up = shown.index(label) - place
        if up:
            tab_to(page, f"Earlier: {label}")
        for _ in range(up):
            page.keyboard.press("ArrowUp")
    assert tuple(page.locator("[data-order] .order-label").all_inner_texts()) == labels


def say_what_was_seen(page: Page, lesson: Lesson) -> None:
    """From "What did you see?", answered as it was, to the goal."""
    expect(page.get_by_role("button", name="This is the order")).to_be_visible()
    put_in_order(page, seen_order(lesson))
    tab_to(page, "This is the order")
    page.keyboard.press("Space")
    expect(page.get_by_text("You saw the order as it was.")).to_be_visible()
    tab_to(page, "To the goal")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Check the goal")).to_be_visible()


def plain(text: str) -> str:
    """A text of content as a reader hears it."""
    return re.sub(r"\s+", " ", without_markers(text, catalogue().facts))


def test_a_lesson_is_played_from_its_words_to_its_goal_with_the_keyboard_alone(
    open_: Callable[..., Page],
) -> None:
    page = open_(f"/lessons/{SLUG}/")
    # Given the words and the question, nothing moves
    wait(page, f"{STAGE}?.shown_us === {LESSON.predict.at}")
    page.wait_for_timeout(400)
    assert page.evaluate(f"[{STAGE}.playing, {STAGE}.now]") == [False, LESSON.predict.at]
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_hidden()
    expect(page.get_by_text("Charts", exact=True)).to_be_hidden()
    # When the prediction is kept, it runs to the first stop by itself
    choose(page, plain(true_guess(LESSON).text))
    tab_to(page, "Keep my prediction and run")
    page.keyboard.press("Enter")
    stops = LESSON.segment
    for n, stop in enumerate(stops):
        wait(page, f"!{STAGE}.playing && {STAGE}.now === {stop.at}", 30)
        expect(page.locator(f'[data-stop="{n}"]')).to_be_visible()
        if n == 1:  # and a page that is loaded anew stands there
            page.wait_for_timeout(300)
            page.reload()
            wait(page, f"{STAGE}?.furnished && {STAGE}.now === {stop.at}")
            expect(page.locator('[data-stop="1"]')).to_be_visible()
            tab_to(page, "4")
            page.keyboard.press("Enter")
            page.get_by_role("button", name="Next", exact=True).focus()
        if n < len(stops) - 1:
            assert page.evaluate(FOCUSED) == "Next"
            page.keyboard.press("Enter")
    expect(page.locator(".outcome:visible")).to_contain_text("As you said.")
    assert page.evaluate(FOCUSED) == "What did you see?"
    page.keyboard.press("Enter")
    say_what_was_seen(page, LESSON)
    # The goal: the author's one change, by the settings of a node, opens a room inside this page
    assert page.evaluate(f"{STAGE}.now") == 0
    reach_the_goal(page)
    page.reload()
    wait(page, f"{STAGE}?.furnished")
    expect(page.locator(".verdict")).to_contain_text("Reached before, with 1 command.")
    assert page.evaluate(f"{STAGE}.dataset.mode") == "room"
    tab_to(page, "Questions on this lesson")
    page.keyboard.press("Enter")
    page.wait_for_url("**/quiz/**")


def reach_the_goal(page: Page) -> None:
    tab_to(page, "Change index")
    page.keyboard.press("Enter")
    sheet = page.get_by_role("region", name="Settings of index", exact=True)
    expect(sheet).to_be_visible()
    tab_to(page, "Bind")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/lessons/{SLUG}/?room=*")
    tab_to(page, "8", "Shift+Tab")
    page.keyboard.press("Enter")
    tab_to(page, "Play", "Shift+Tab")
    page.keyboard.press("Enter")
    # It is judged by itself when the room has come to the goal's moment
    wait(page, "document.querySelector('.verdict') !== null", 60)
    expect(page.locator(".verdict")).to_contain_text("Reached, with 1 command.")


def answered(page: Page) -> str:
    """Checks the answer that stands there; the first word of what is said."""
    tab_to(page, "Check my answer")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-said]")
    return page.locator("[data-said] h2").inner_text()


def test_each_kind_of_question_is_answered_with_the_keyboard_alone(open_: Callable[..., Page]) -> None:
    def of(kind: type[Any]) -> Any:
        return next(item for item in LESSON.items if isinstance(item, kind))

    numeric, order, place = of(Numeric), of(OrderItem), of(PlaceItem)
    page = open_(f"/quiz/{numeric.id}/{numeric.seed}/")
    tab_to(page, f"Your answer, in {numeric.unit} {numeric.unit}")
    page.keyboard.type(str(right_answer(numeric, numeric.seed)))
    assert answered(page) == "Right."
    page.goto(page.url.split("/quiz/")[0] + f"/quiz/{order.id}/{order.seed}/")
    wait(page, "document.querySelector('[data-move]') !== null")
    put_in_order(page, right_answer(order, order.seed))  # type: ignore[arg-type]
    assert answered(page) == "Right."
    page.goto(page.url.split("/quiz/")[0] + f"/quiz/{place.id}/{place.seed}/")
    wait(page, f"{STAGE}?.shown_us > 0")
    words = page.locator(f'label:has([value="{right_answer(place, place.seed)}"])').inner_text()
    choose(page, words.strip())
    expect(page.locator(".frame.pick")).to_contain_text("your pick")
    assert answered(page) == "Right."
    # The picture plays on to the moment that was asked about
    wait(page, f"!{STAGE}.playing && {STAGE}.shown_us > {place.stands}", 30)
    tab_to(page, "See the moment")
    page.keyboard.press("Enter")
    page.wait_for_url("**/moment/")
    wait(page, f"{STAGE}?.now === {place.shows}")


def test_a_click_on_the_picture_picks_the_place_there(open_: Callable[..., Page]) -> None:
    item = next(item for item in LESSON.items if isinstance(item, PlaceItem))
    page = open_(f"/quiz/{item.id}/{item.seed}/")
    wait(page, f"{STAGE}?.figure?.nodes.size > 3 && document.querySelector('.node.queue') !== null")
    page.wait_for_timeout(300)
    expect(page.get_by_text("Charts", exact=True)).to_be_hidden()
    lane = page.locator(".node.queue").first.bounding_box()
    assert lane
    page.mouse.click(lane["x"] + 30, lane["y"] + lane["height"] / 2)
    chosen = page.locator("input[name=answer]:checked")
    expect(chosen).to_have_attribute("data-zone", "ready")
    expect(page.locator(".frame.pick")).to_be_visible()


def test_a_row_is_dragged_to_its_place(open_: Callable[..., Page]) -> None:
    item = next(item for item in catalogue().items.values() if isinstance(item, OrderItem))
    page = open_(f"/quiz/{item.id}/{item.seed}/")
    page.wait_for_timeout(300)
    labels = page.locator(".order-label")
    before = labels.all_inner_texts()
    first, last = labels.first.bounding_box(), labels.last.bounding_box()
    assert first and last
    page.mouse.move(first["x"] + 5, first["y"] + 5)
    page.mouse.down()
    page.mouse.move(last["x"] + 5, last["y"] + 5, steps=12)
    page.mouse.up()
    assert labels.all_inner_texts() == [*before[1:], before[0]]


def test_a_lessons_page_stays_small_until_something_is_done(open_: Callable[..., Page]) -> None:
    page = open_(f"/lessons/{SLUG}/")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    loaded = page.evaluate(
        "performance.getEntriesByType('resource').filter((r) => r.name.endsWith('.js')).map((r) => [r.name, r.encodedBodySize])"
    )
    assert loaded
    assert not any("session" in name or "socket" in name for name, _ in loaded), (
        "no panels before the prediction"
    )
    kb = sum(size for _, size in loaded) / 1000
    print(f"JavaScript of a lesson's page: {kb:.1f} kB in {len(loaded)} files")
    assert kb <= JS_MAX_KB


# -- axe ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [width for width, _ in SIZES])
def test_axe_finds_nothing_in_any_step(open_: Callable[..., Page], width: int, theme: str) -> None:
    page = open_(f"/lessons/{SLUG}/", width, color_scheme=theme)
    found = {"predict": findings(page)}
    page.get_by_role("radio").first.check()
    page.get_by_role("button", name="Keep my prediction and run").click()
    expect(page.get_by_role("button", name="Next", exact=True)).to_be_visible(timeout=20_000)
    found["stop"] = findings(page)
    token = page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    form = {"csrfmiddlewaretoken": token, "key": "the key of some form"}
    headers = {"Referer": page.url}
    for what, fields in (
        ("stop", {"stop": str(len(LESSON.segment) - 1)}),
        ("observe", None),
        ("explain", None),
    ):
        base = page.url.split("?")[0]
        if what == "observe":
            page.goto(base)
            found["observe"] = findings(page)
            page.get_by_role("button", name="This is the order").click()
            expect(page.get_by_role("button", name="To the goal")).to_be_visible()
            found["explain"] = findings(page)
        elif what == "explain":
            page.get_by_role("button", name="To the goal").click()
            expect(page.get_by_role("button", name="Check the goal")).to_be_visible()
            page.get_by_role("button", name="Hint 1 of 3").click()
            expect(page.locator(".hints li")).to_have_count(1)
            found["goal"] = findings(page)
        else:
            assert fields is not None
            assert page.request.post(f"{base}{what}/", form={**form, **fields}, headers=headers).ok
    assert found == {step: [] for step in found}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [width for width, _ in SIZES])
def test_axe_finds_nothing_in_questions_and_overviews(
    open_: Callable[..., Page], width: int, theme: str
) -> None:
    page = open_("/lessons/", width, color_scheme=theme)
    base = page.url.removesuffix("/lessons/")
    found = {"/lessons/": findings(page)}
    for kind in (PlaceItem, OrderItem, Numeric):
        item = next(item for item in LESSON.items if isinstance(item, kind))
        page.goto(f"{base}/quiz/{item.id}/{item.seed}/")
        page.wait_for_load_state("load")
        found[item.id] = findings(page)
        if kind is PlaceItem:
            page.locator("input[name=answer]").first.check()
        if kind is Numeric:
            page.locator("input[name=answer]").fill("77")
        page.get_by_role("button", name="Check my answer").click()
        page.wait_for_selector("[data-said]")
        found[f"{item.id}, answered"] = findings(page)
    for path in ("/quiz/", "/progress/"):
        page.goto(base + path)
        found[path] = findings(page)
    page.get_by_role("button", name="Make a link").click()
    link = page.get_by_label("The link").input_value()
    found["with a link"] = findings(page)
    page.goto(link)
    found["a link"] = findings(page)
    assert found == {step: [] for step in found}
