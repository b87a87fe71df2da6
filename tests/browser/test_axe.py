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
        page.goto(path if path == "about:blank" else site.url + path)
        return page

    open_.site = site.url  # type: ignore[attr-defined]
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
    # The charts, one of them as a table
    page.locator(".charts > summary").click()
    page.get_by_text("As a table").first.click()
    page.locator(".charts table").first.wait_for()
    assert findings(page) == []
    page.locator(".charts > summary").click()
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
@pytest.mark.parametrize("path", ["/", "/play/", "/nothing/here/", "/room/open/", "/offline/"])
def test_pages_and_the_page_of_an_error(look: Any, path: str, width: int, theme: str) -> None:
    page = look(path, width, theme)
    page.wait_for_load_state("networkidle" if path == "/play/" else "load")
    assert findings(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [width for width, _ in SIZES])
def test_the_stage_when_something_is_wrong(look: Any, width: int, theme: str) -> None:
    # The socket is refused: a recording plays on and says so
    page = look("about:blank", width, theme)
    page.route_web_socket("**/ws/**", lambda route: route.close(code=4003))
    page.goto(look.site + "/play/fan-out/")
    wait(page, f"{STAGE}?.furnished && {STAGE}.parts.connection.textContent !== ''", 20)
    assert findings(page) == []
    # The server is degraded, and its answer to a command is no
    ends: list[Any] = []
    page = look("about:blank", width, theme)
    page.route_web_socket("**/ws/**", lambda route: ends.append(route))
    page.goto(look.site + "/play/fan-out/")
    wait(page, f"{STAGE}?.furnished && {STAGE}.session?.socket")
    page.evaluate(f"""(() => {{ const {{ session }} = {STAGE};
      session.line.say("degraded", "The server is degraded: what others do may come a little later. Nothing is lost."); }})()""")
    page.get_by_role("button", name="Pause", exact=True).click()
    assert findings(page) == []
    # The room is over
    page.evaluate(f"""(() => {{ const {{ session }} = {STAGE};
      session.line.say("final", "This room is over.", {{ text: "Open the scenario", href: "/play/fan-out/" }}); }})()""")
    assert page.get_by_role("link", name="Open the scenario").is_visible()
    assert findings(page) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [width for width, _ in SIZES])
@pytest.mark.parametrize("name", ["500.html", "playground/room_over.html"])
def test_pages_of_what_cannot_be_had(look: Any, name: str, width: int, theme: str) -> None:
    # Given the page as the site makes it, under the site's own style sheets
    page = look("/nothing/here/", width, theme, service_workers="block")  # it would go round the route below
    sheets = page.evaluate(
        "[...document.querySelectorAll('link[rel=stylesheet]')].map((l) => l.getAttribute('href'))"
    )
    html = made(
        name,
        {
            "sheets": sheets,
            "theme": theme,
            "text": "It ended a while ago.",
            "slug": "fan-out",
            "title": "Pub/sub",
        },
    )
    page.route(
        "**/what/is/not/", lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8")
    )
    page.goto(look.site + "/what/is/not/")
    assert page.get_by_role("heading", level=1).is_visible()
    assert findings(page) == []


def made(name: str, context: dict[str, Any]) -> str:
    from django.template.loader import render_to_string

    html = render_to_string(name, context)
    if "stylesheet" in html and context["sheets"][0] in html:
        return html
    links = "".join(f'<link rel="stylesheet" href="{sheet}">' for sheet in context["sheets"])
    return html.replace("</head>", f"{links}</head>")
