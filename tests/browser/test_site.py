"""The real site in a real browser: from the first moving message to a room that two people see."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import wait

STAGE = "document.querySelector('queue-stage')"


def test_home_moves_by_itself(visit: Callable[..., Page]) -> None:
    page = visit("/")
    first = page.evaluate(f"{STAGE}.now")
    wait(page, f"{STAGE}.now > {first} + 300000")
    wait(page, f"{STAGE}.scene().messages.some((m) => m.zone === 'flight')", 15)


def test_the_first_break_opens_a_room_where_it_happens(visit: Callable[..., Page]) -> None:
    # Given a recording that plays
    page = visit("/play/work-queue/")
    wait(page, f"{STAGE}.now > 3000000")
    before = page.evaluate(f"{STAGE}.now")
    # When a worker is crashed
    page.get_by_role("button", name="Crash", exact=True).click()
    page.get_by_role("group", name="Targets").get_by_role("button").first.click()
    # Then the page is in a room, goes on from where it was, and the worker is down
    wait(page, "location.pathname.startsWith('/room/')")
    wait(page, f"[...{STAGE}.shownScene.nodes.values()].some((n) => n.state === 'crashed')")
    after = page.evaluate(f"{STAGE}.now")
    assert before < after < before + 5_000_000
    # And somebody who comes later, and whoever reloads, sees the same room at the same moment
    other = visit(page.evaluate("location.pathname"))
    wait(
        other,
        f"{STAGE}.room !== null && [...{STAGE}.shownScene.nodes.values()].some((n) => n.state === 'crashed')",
    )
    assert abs(other.evaluate(f"{STAGE}.now") - page.evaluate(f"{STAGE}.now")) < 1_000_000
    page.reload()
    wait(page, f"!!customElements.get('queue-stage') && {STAGE}?.furnished")
    wait(
        page,
        f"{STAGE}.room !== null && [...{STAGE}.shownScene.nodes.values()].some((n) => n.state === 'crashed')",
    )
    # And the owner's pause holds both screens at one moment with one digest
    page.get_by_role("button", name="Pause", exact=True).click()
    wait(page, f"!{STAGE}.playing")
    wait(other, f"!{STAGE}.playing")
    page.wait_for_timeout(800)
    assert page.evaluate(f"{STAGE}.now") == other.evaluate(f"{STAGE}.now")
    ours, theirs = (p.evaluate(f"[{STAGE}.tick, {STAGE}.digest]") for p in (page, other))
    assert ours == theirs and ours[1]
    # And restarting it works at exactly that moment
    page.get_by_role("button", name="Restart", exact=True).click()
    page.get_by_role("button", name="Play", exact=True).click()
    wait(page, f"[...{STAGE}.shownScene.nodes.values()].every((n) => n.state !== 'crashed')")


@pytest.mark.parametrize(
    ("slug", "cmd", "args", "refusal"),
    [
        (
            "work-queue",
            "RestartConsumer",
            {"consumer": "worker A"},
            "Worker A is up: this needs it crashed or stopped.",
        ),
        (
            "kafka-user-events",
            "StartBroker",
            {"system": "cluster", "broker": 1},
            "Broker 1 of cluster is up already.",
        ),
    ],
)
def test_whoever_opens_a_room_with_what_is_refused_is_told_why(
    visit: Callable[..., Page], slug: str, cmd: str, args: dict[str, Any], refusal: str
) -> None:
    page = visit(f"/play/{slug}/")
    wait(page, f"{STAGE}.session && {STAGE}.now > 1000000")
    page.evaluate(f"{STAGE}.session.command({json.dumps(cmd)}, {json.dumps(args)})")
    wait(page, "location.pathname.startsWith('/room/')")
    expect(page.get_by_text(refusal)).to_be_visible(timeout=60_000)


def test_looking_back_in_a_room_is_private(visit: Callable[..., Page]) -> None:
    page = visit("/play/work-queue/")
    wait(page, f"{STAGE}.now > 3000000")
    page.get_by_role("button", name="Slow", exact=True).click()
    page.get_by_role("group", name="Targets").get_by_role("button").first.click()
    wait(page, "location.pathname.startsWith('/room/')")
    wait(page, f"{STAGE}.room !== null")
    page.get_by_role("slider", name="Time").fill("1500")
    wait(page, f"{STAGE}.now === 1500000")
    scene = page.evaluate(f"{STAGE}.scene()")
    page.wait_for_timeout(300)
    assert page.evaluate(f"{STAGE}.scene()") == scene
    page.get_by_role("button", name="Return to now").click()
    wait(page, f"{STAGE}.now > 3000000")
