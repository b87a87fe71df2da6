"""What hands, keys and screen readers find: names, groups, keys, faults, the inspector, the ledger."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import House, wait
from tests.browser.scripts import post_office

STAGE = "document.querySelector('queue-stage')"


@pytest.fixture
def page(open_page: Callable[..., Page], house: House) -> Page:
    opened = open_page(house.show(post_office(), chunks=3))
    opened.evaluate(f"{STAGE}.pause(); {STAGE}.seek(6500000)")
    wait(opened, f"{STAGE}.now === 6500000")
    return opened


@pytest.mark.parametrize("name", ["Play", "Step", "Step back", "To start", "Fork", "Crash", "Restart", "Slow", "Poison",
                                  "Drop ack", "Cut network"])  # fmt: skip
def test_the_buttons_have_their_names(page: Page, name: str) -> None:
    expect(page.get_by_role("button", name=name, exact=True)).to_have_count(1)


def test_the_groups_the_slider_and_the_narrator_have_theirs(page: Page) -> None:
    speeds = page.get_by_role("group", name="Speed").get_by_role("button")
    assert speeds.all_text_contents() == ["⅛", "¼", "½", "1", "2", "4", "8"]
    expect(page.get_by_role("group", name="Break it").get_by_role("button")).to_have_count(6)
    expect(page.get_by_role("slider", name="Time")).to_have_attribute("aria-valuetext", "6.5 of 30 seconds")
    expect(page.locator("[data-part=narrator]")).to_have_attribute("role", "status")


def test_keys_play_and_move(page: Page) -> None:
    page.keyboard.press("Space")
    wait(page, f"{STAGE}.playing && {STAGE}.now > 6510000")
    page.keyboard.press("Space")
    wait(page, f"!{STAGE}.playing")
    here = page.evaluate(f"{STAGE}.now")
    page.keyboard.press("ArrowLeft")
    wait(page, f"{STAGE}.now === {here - 500_000}")
    page.keyboard.press("Shift+ArrowRight")
    wait(page, f"{STAGE}.now > {here - 500_000}")
    event = page.evaluate(f"{STAGE}.now")
    assert any(x.at_us == event for x in post_office())
    page.get_by_role("button", name="Step back", exact=True).click()
    wait(page, f"{STAGE}.now < {event}")


def test_space_on_a_button_presses_that_button_only(page: Page) -> None:
    page.get_by_role("button", name="To start", exact=True).focus()
    page.keyboard.press("Space")
    wait(page, f"{STAGE}.now === 0")
    assert not page.evaluate(f"{STAGE}.playing")


def test_speed_changes_without_a_jump(page: Page) -> None:
    page.get_by_role("group", name="Speed").get_by_role("button", name="4", exact=True).click()
    page.get_by_role("button", name="Play", exact=True).click()
    before, at = page.evaluate(f"[{STAGE}.now, performance.now()]")
    page.wait_for_timeout(500)
    after, later = page.evaluate(f"({STAGE}.draw(), [{STAGE}.now, performance.now()])")
    assert (after - before) / ((later - at) * 1000) == pytest.approx(4, abs=0.4)


def test_a_fault_with_several_targets_asks_which_and_escape_takes_it_back(page: Page) -> None:
    page.get_by_role("button", name="Crash", exact=True).click()
    targets = page.get_by_role("group", name=re.compile("^Targets"))
    assert targets.get_by_role("button").all_text_contents() == [
        "billing worker",
        "email worker",
        "Never mind",
    ]
    page.keyboard.press("Escape")
    expect(targets).to_be_hidden()
    expect(page.get_by_role("button", name="Crash", exact=True)).to_be_focused()


def test_a_message_at_rest_is_a_button_that_opens_its_life(page: Page) -> None:
    # Given a picture that stands, with messages in a lane
    page.evaluate(f"{STAGE}.seek(4600000)")
    wait(page, f"{STAGE}.now === 4600000")
    lane = page.get_by_role("group", name="Messages ready in email")
    first = lane.get_by_role("button").first
    first.wait_for()
    label = first.get_attribute("aria-label") or ""
    assert re.match(r"m\d+, key \w+, ready in email, place 1", label)
    # Then there is one tab stop a lane, and arrows move in it
    assert lane.locator("[tabindex='0']").count() == 1
    first.focus()
    page.keyboard.press("ArrowRight")
    expect(lane.get_by_role("button").nth(1)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(first).to_be_focused()
    # When Enter is pressed
    page.keyboard.press("Enter")
    # Then its life is told, with what is recorded but still ahead marked so
    inspector = page.get_by_role("region", name="Inspector")
    inspector.get_by_role("heading", name=re.compile(r"The life of m\d+")).wait_for()
    assert inspector.locator("li").count() >= 4 and inspector.locator("li.ahead").count() >= 1
    expect(inspector.locator("li small").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(inspector).to_be_hidden()


def test_a_click_on_a_moving_message_opens_its_life(page: Page) -> None:
    page.evaluate(f"{STAGE}.seek(500000)")
    wait(page, f"{STAGE}.now === 500000")
    spot = page.evaluate(
        f"(() => {{ const m = {STAGE}.scene().messages[0], h = {STAGE}.getBoundingClientRect(); return [m.x + h.x, m.y + h.y]; }})()"
    )
    page.mouse.click(*spot)
    page.get_by_role("heading", name="The life of m1", exact=True).wait_for()


def test_the_ledger_is_a_list_that_balances(page: Page) -> None:
    for t_us in (1_000_000, 6_500_000, 8_000_000, 9_700_000):
        page.evaluate(f"{STAGE}.seek({t_us})")
        wait(page, f"{STAGE}.now === {t_us}")
        for name in ("billing", "email"):
            ledger = page.locator(f"dl[aria-label='Ledger of {name}']")
            words = ledger.locator(".term dt").all_text_contents()
            counts = ledger.locator(".term dd").all_text_contents()
            stand = {
                word: int(text) for word, text in zip(words, counts, strict=True) if word != "oldest ready"
            }
            beside = {"duplicated", "out of order", "effects twice"}
            assert stand["owed"] == sum(
                count for word, count in stand.items() if word not in beside | {"owed"}
            )


def test_counts_are_those_of_the_lanes(page: Page) -> None:
    for node in page.evaluate(f"{STAGE}.scene().nodes.filter((n) => n.kind === 'queue').map((n) => n.id)"):
        shown = page.evaluate(
            f"{STAGE}.scene().messages.filter((m) => m.node === {node} && m.zone === 'ready').length"
        )
        assert page.locator(f"li[data-node='{node}'] .ready b").text_content() == str(shown)


def test_nothing_is_written_to_the_page_between_changes(page: Page) -> None:
    # Given a picture that plays, in a second in which little happens
    page.evaluate(
        f"""window.writes = 0; window.frames = 0;
        new MutationObserver((all) => writes += all.length).observe({STAGE}.parts.figure,
          {{subtree: true, childList: true, attributes: true, characterData: true}});
        {STAGE}.clock.setRate(performance.now(), 0.125, Infinity); {STAGE}.play();
        (function count() {{ frames += 1; requestAnimationFrame(count); }})();"""
    )
    page.wait_for_timeout(1_500)
    writes, frames = page.evaluate("[writes, frames]")
    assert frames > 30 and writes < frames


def test_at_390_pixels_nothing_overflows_the_page(open_page: Callable[..., Page], house: House) -> None:
    page = open_page(house.show(post_office(), chunks=3))
    page.set_viewport_size({"width": 390, "height": 844})
    wait(page, f"{STAGE}.figure.narrow")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = page.evaluate(f"{STAGE}.scene().nodes")
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
