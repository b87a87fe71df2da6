"""axe-core finds nothing: in every state, in both themes, on a phone and on a desk. WCAG 2.2 A and AA, and its best practices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import wait

AXE = (Path(__file__).parents[1] / "vendor/axe.min.js").read_text(encoding="utf-8")
STAGE = "document.querySelector('queue-stage')"
SIZES = [(390, 844), (1280, 800)]


@pytest.fixture
def look(chromium: Browser, site: Any) -> Iterator[Any]:
    contexts: list[Any] = []

    def open_(path: str, width: int, theme: str, **options: Any) -> Page:
        height = dict(SIZES)[width]
        contexts.append(
            chromium.new_context(viewport={"width": width, "height": height}, color_scheme=theme, **options)
        )
        page = contexts[-1].new_page()
        page.goto(site.url + path)
        return page

    yield open_
    for context in contexts:
        context.close()


def findings(page: Page) -> list[str]:
    """What axe finds, one line a rule: its name, its meaning and where."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations)")
    return [
        f"{f['id']}: {f['help']}: {[n['target'] for n in f['nodes']][:3]} {f['nodes'][0].get('failureSummary', '')[:300]}"
        for f in found
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [width for width, _ in SIZES])
def test_the_stage_idle_playing_paused_and_broken(look: Any, width: int, theme: str) -> None:
    # Idle: reduced motion starts nothing
    page = look("/play/retry-dlq/", width, theme, reduced_motion="reduce")
    wait(page, f"{STAGE}?.furnished")
    assert not page.evaluate(f"{STAGE}.playing")
    assert findings(page) == []
    # Playing
    page = look("/play/retry-dlq/", width, theme)
    wait(page, f"{STAGE}?.furnished && {STAGE}.playing && {STAGE}.now > 4000000", 20)
    assert findings(page) == []
    # Paused, with a message looked at
    page.get_by_role("button", name="Pause", exact=True).click()
    page.evaluate(f"{STAGE}.seek(8500000)")
    wait(page, "document.querySelector('.token-buttons button') !== null")
    page.evaluate("document.querySelector('.token-buttons button').click()")
    wait(page, "!document.querySelector('.inspector').hidden")
    assert findings(page) == []
    # The settings of each kind of node
    for name in ("courier A", "shop", "parcels", "parcels.dlq"):
        page.get_by_role("button", name=f"Change {name}", exact=True).focus()
        page.keyboard.press("Enter")
        page.get_by_role("region", name=f"Settings of {name}", exact=True).wait_for()
        assert findings(page) == [], name
    # Targets of a fault
    page.get_by_role("button", name="Slow", exact=True).click()
    assert page.get_by_role("group", name="Targets").is_visible()
    assert findings(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [width for width, _ in SIZES])
@pytest.mark.parametrize("path", ["/", "/play/", "/nothing/here/"])
def test_pages_and_the_page_of_an_error(look: Any, path: str, width: int, theme: str) -> None:
    page = look(path, width, theme)
    page.wait_for_load_state("networkidle" if path == "/play/" else "load")
    assert findings(page) == []
