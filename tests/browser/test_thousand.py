"""Run it 1,000 times, as a person does: the real site, a real worker, a real Chromium."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Site

ROOT = Path(__file__).resolve().parents[2]
AXE = (ROOT / "tests" / "vendor" / "axe.min.js").read_text(encoding="utf-8")
SLUG = "order-pipeline"
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def worker(site: Site) -> Iterator[None]:
    """A worker on the site's data folder."""
    process = subprocess.Popen(
        [sys.executable, "-m", "playground.runs.worker"], cwd=ROOT,
        env={**os.environ, "MAILROOM_VAR": str(site.log.parent)},
    )  # fmt: skip
    yield
    process.terminate()
    process.wait(20)


@pytest.fixture
def page(chromium: Browser, site: Site, worker: None) -> Iterator[Page]:
    """A new browser at a scenario. What the policy refuses, or a script throws, fails the test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{site.url}/play/{SLUG}/")
    yield page
    if page.locator("#runs-cancel").count():
        page.locator("#runs-cancel").click()
        expect(page.locator("#runs-said")).to_contain_text("Cancelled after", timeout=PATIENCE_MS)
    context.close()
    assert complaints == []


def begin(page: Page, name: str = "Run it 1,000 times") -> None:
    page.get_by_role("button", name=name).click()
    page.wait_for_url("**/runs/*/")


def bars(page: Page) -> None:
    """Waits until something has come out that differs between runs."""
    expect(page.locator("#of-p95_us .bar button").first).to_be_visible(timeout=PATIENCE_MS)


def until(what: Callable[[], bool]) -> None:
    """The pages' policy forbids what Playwright's own waiting evaluates."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def now_us(page: Page) -> int:
    return int(page.evaluate("document.querySelector('queue-stage')?.now ?? 0"))


def fill(page: Page) -> int:
    return int(page.locator("#runs-bar").get_attribute("value") or "0")


def test_the_bar_moves_by_itself_and_the_plots_grow(page: Page) -> None:
    begin(page)
    bars(page)
    seen = {fill(page)}
    for _ in range(3):
        until(lambda: fill(page) > max(seen))
        seen.add(fill(page))
    assert len(seen) == 4


def test_what_is_focused_or_open_stays_so_while_the_page_changes(page: Page) -> None:
    begin(page)
    bars(page)
    page.locator("#table-p95_us summary").click()
    page.locator("#runs-cancel").focus()
    was = fill(page)
    until(lambda: fill(page) > was + 2_000)
    assert page.evaluate("document.activeElement.id") == "runs-cancel"
    assert page.locator("#table-p95_us").get_attribute("open") is not None


def test_cancelled_it_says_how_far_it_came_and_keeps_what_there_is(page: Page) -> None:
    begin(page)
    bars(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status")).to_have_text(re.compile(r"Cancelled after [\d,]+ of 1,000 runs\."))
    expect(page.locator("#of-p95_us .bar button").first).to_be_visible()
    expect(page.locator("progress")).to_have_count(0)


def test_a_bar_opens_one_of_its_runs_as_a_room_by_keyboard_alone(page: Page) -> None:
    begin(page)
    bars(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status")).to_contain_text("Cancelled")
    page.locator("#of-p95_us .bar button").last.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/room/*/")
    until(lambda: now_us(page) > 200_000)
    expect(page.locator("queue-stage")).to_have_attribute("data-role", "owner")


def test_the_futures_begin_at_the_moment_on_the_screen(page: Page) -> None:
    until(lambda: now_us(page) > 1_500_000)
    before = now_us(page)
    begin(page, "1,000 futures from this moment")
    text = page.locator(".stage-head").inner_text()
    found = re.search(r"the same past up to ([\d.]+) s", text)
    assert found
    assert float(found[1]) * 1e6 >= before - 10_000
    bars(page)
    page.get_by_role("button", name="Cancel").click()
    page.locator("#of-p95_us .bar button").first.click()
    page.wait_for_url("**/room/*/")
    until(lambda: now_us(page) >= before)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_running_or_ended_wide_or_narrow(page: Page, theme: str) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    begin(page)
    bars(page)
    for state in ("running", "ended"):
        if state == "ended":
            page.get_by_role("button", name="Cancel").click()
            expect(page.get_by_role("status")).to_contain_text("Cancelled")
            page.locator("#table-p95_us summary").click()
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            page.evaluate(AXE)
            found = page.evaluate(
                "axe.run().then(({violations}) => violations.map(v => [v.id, v.nodes.map(n => n.html)]))"
            )
            assert found == [], f"{state}, {theme}, {width}"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{state} at {width}"
        page.set_viewport_size({"width": 1280, "height": 800})
