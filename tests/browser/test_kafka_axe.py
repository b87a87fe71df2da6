"""axe-core finds nothing on a stage with a cluster either: in every state, in lessons at each step, in questions about cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from lessons.catalogue import catalogue
from lessons.items import PlaceItem
from tests.browser.conftest import wait
from tests.browser.test_axe import SIZES, STAGE, findings, look
from tests.browser.test_lessons import open_

__all__ = ["look", "open_"]

SCENARIO = "/play/kafka-rebalance-eager/"
LESSONS = ("offsets-replay", "partitions-keys", "consumer-groups")
PLACES = [item for slug in LESSONS for item in catalogue().lessons[slug].items if isinstance(item, PlaceItem)]

sizes = pytest.mark.parametrize("width", [width for width, _ in SIZES])
themes = pytest.mark.parametrize("theme", ["light", "dark"])


@themes
@sizes
def test_a_cluster_idle_playing_paused_and_broken(look: Any, width: int, theme: str) -> None:
    # Idle: reduced motion starts nothing
    page = look(SCENARIO, width, theme, reduced_motion="reduce")
    wait(page, f"{STAGE}?.furnished && document.querySelector('[data-fault=broker]') !== null")
    found = {"idle": findings(page)}
    # In the middle of a rebalance: a member has crashed, wires are cut, phases are drawn
    page.evaluate(f"{STAGE}.seek(9000000)")
    wait(page, f"{STAGE}.timeline.segmentAt(9000000) !== null")
    found["stopped"] = findings(page)
    # A record's life, by the button over its cell
    wait(page, "document.querySelector('.token-buttons button') !== null")
    page.evaluate("document.querySelector('.token-buttons button').click()")
    wait(page, "!document.querySelector('.inspector').hidden")
    found["a record's life"] = findings(page)
    # The charts and the ledger of a group
    page.locator(".charts > summary").click()
    page.get_by_text("As a table").first.click()
    page.locator(".charts table").first.wait_for()
    found["charts"] = findings(page)
    page.locator(".charts > summary").click()
    # The settings of each kind of node
    for name in ("billing 1", "shop", "broker 2", "billing", "orders-1"):
        page.evaluate(
            f"""{STAGE}.dispatchEvent(new CustomEvent('choose', {{ detail:
                [...{STAGE}.shownScene.nodes.values()].find((node) => node.name === '{name}').node }}))"""
        )
        page.get_by_role("region", name=f"Settings of {name}", exact=True).wait_for()
        found[f"settings of {name}"] = findings(page)
    # The choices of a fault
    for fault in ("Kill broker", "Seek group", "Pause member", "Change assignor"):
        page.get_by_role("button", name=fault, exact=True).click()
        assert page.get_by_role("group", name="Targets").is_visible()
        found[fault] = findings(page)
        page.keyboard.press("Escape")
    assert found == {state: [] for state in found}


@themes
@sizes
def test_a_cluster_that_plays_and_one_whose_socket_is_refused(look: Any, width: int, theme: str) -> None:
    page = look("about:blank", width, theme)
    page.route_web_socket("**/ws/**", lambda route: route.close(code=4003))
    page.goto(look.site + "/play/kafka-user-events/")
    wait(
        page,
        f"{STAGE}?.furnished && {STAGE}.now > 3000000 && {STAGE}.parts.connection.textContent !== ''",
        30,
    )
    assert page.evaluate(f"{STAGE}.playing")
    assert findings(page) == []


@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1280, "light")])
@pytest.mark.parametrize("slug", LESSONS)
def test_a_lesson_at_each_step(open_: Callable[..., Page], slug: str, width: int, theme: str) -> None:
    lesson = catalogue().lessons[slug]
    page = open_(f"/lessons/{slug}/", width, color_scheme=theme)
    found = {"predict": findings(page)}
    page.get_by_role("radio").first.check()
    page.get_by_role("button", name="Keep my prediction and run").click()
    wait(page, "document.querySelector('[data-running]')?.hidden === false", 20)
    found["run"] = findings(page)
    token = page.locator("[name=csrfmiddlewaretoken]").first.input_value()
    base = page.url.split("?")[0]
    form = {
        "csrfmiddlewaretoken": token,
        "key": "the key of some form",
        "stop": str(len(lesson.segment) - 1),
    }
    assert page.request.post(f"{base}stop/", form=form, headers={"Referer": page.url}).ok
    page.goto(base)
    found["observe"] = findings(page)
    page.get_by_role("button", name="This is the order").click()
    expect(page.get_by_role("button", name="To the goal")).to_be_visible()
    found["explain"] = findings(page)
    page.get_by_role("button", name="To the goal").click()
    expect(page.get_by_role("button", name="Check the goal")).to_be_visible()
    wait(page, f"{STAGE}?.furnished")
    found["goal"] = findings(page)
    assert found == {step: [] for step in found}


@themes
@sizes
def test_questions_about_cells_and_members(open_: Callable[..., Page], width: int, theme: str) -> None:
    page = open_("/quiz/", width, color_scheme=theme)
    base = page.url.removesuffix("/quiz/")
    found = {}
    for item in PLACES:
        page.goto(f"{base}/quiz/{item.id}/{item.seed}/")
        wait(page, f"{STAGE}?.drawn != null")
        page.locator("input[name=answer]").first.check()
        found[item.id] = findings(page)
    page.get_by_role("button", name="Check my answer").click()
    page.wait_for_selector("[data-said]")
    found["answered"] = findings(page)
    assert found == {step: [] for step in found}
