"""A browser that has been here before gets a page of ours when the site is not there, and nothing old."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import wait
from tests.conftest import ROOT, free_port, start_site, stop_site

CACHED = """(async () => {
  const names = await caches.keys();
  const kept = await Promise.all(names.map(async (name) => (await (await caches.open(name)).keys()).map((r) => new URL(r.url).pathname)));
  return { names, kept: kept.flat() };
})()"""


@pytest.fixture
def collected(tmp_path: Path, monkeypatch: Any) -> Path:
    monkeypatch.setenv("MAILROOM_VAR", str(tmp_path))
    monkeypatch.setenv("MAILROOM_STATIC", "collected")
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"], cwd=ROOT, check=True
    )
    return tmp_path


def controlled(page: Page) -> None:
    wait(page, "navigator.serviceWorker.controller !== null", 20)
    wait(page, "navigator.serviceWorker.controller.state === 'activated'", 20)


def test_with_the_server_stopped_every_address_shows_the_offline_page(
    chromium: Browser, collected: Path
) -> None:
    port = free_port()
    running = start_site(collected, port, MAILROOM_STATIC="collected")
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    broken: list[str] = []
    page.on("console", lambda m: broken.append(m.text) if "Security Policy" in m.text else None)
    try:
        # Given a browser that has been here
        page.goto(running.url + "/play/fan-out/")
        controlled(page)
        # Then it keeps one page and what that looks like, no page that it has seen, no script, no history
        kept = page.evaluate(CACHED)
        assert len(kept["names"]) == 1
        assert [path for path in kept["kept"] if not path.startswith("/static/")] == ["/offline/"]
        assert not [path for path in kept["kept"] if path.endswith((".js", ".json"))]
        # When the server is stopped, and it goes on
        stop_site(running)
        for path in ("/play/work-queue/", "/", "/room/abcdefgh/"):
            page.goto(running.url + path)
            assert page.get_by_role("heading", level=1).inner_text() == "Mailroom cannot be reached."
            assert page.evaluate("location.pathname") == path
        # In our own hand: style sheets and fonts are there
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontFamily").startswith(
            '"Source Serif 4"'
        )
        loaded = "document.fonts.ready.then(() => [...document.fonts].some((f) => f.family.includes('Serif') && f.status === 'loaded'))"
        assert page.evaluate(loaded)
        # And when the server is back, trying again shows the address that was wanted
        running = start_site(collected, port, again=True, MAILROOM_STATIC="collected")
        page.goto(running.url + "/play/work-queue/")
        stop_site(running)
        page.reload()
        running = start_site(collected, port, again=True, MAILROOM_STATIC="collected")
        page.get_by_role("link", name="Try again").click()
        wait(page, "document.querySelector('queue-stage')?.furnished")
        assert page.evaluate("location.pathname") == "/play/work-queue/"
        assert broken == []
    finally:
        context.close()
        stop_site(running)


def test_the_answer_of_a_server_that_is_there_is_never_replaced(chromium: Browser, site: Any) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(site.url + "/")
    controlled(page)
    page.reload()
    for path, says in (
        ("/nothing/here/", "There is nothing at this address."),
        ("/room/open/", "This address cannot be used that way."),
    ):
        page.goto(site.url + path)
        assert page.get_by_role("heading", level=1).inner_text() == says
    context.close()
