"""A real Chromium, and a page of the house that needs no site: the stage's template, the modules, a script."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.scripts import KINDS, chunk

ROOT = Path(__file__).parent.parent.parent
STATIC = ROOT / "static"
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".woff2": "font/woff2",
}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
POLICY = ("default-src 'none'; script-src 'nonce-test'; style-src 'self'; connect-src 'self' ws:; img-src 'self'; "
          "font-src 'self'; base-uri 'none'")  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.needs("chromium"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


class House:
    """A server of one page: `pages` maps paths to bodies, everything else is static files."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, str]] = {}
        house = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                house.answer(self)

            def do_POST(self) -> None:
                house.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                house.answer(self)

            def log_message(self, *_: Any) -> None: ...

        self.posted: list[Any] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        kind, body = self.pages.get(path, ("", ""))
        data = body.encode()
        file = ROOT / path.lstrip("/")
        if not kind and path.startswith("/static/") and file.is_file():
            kind, data = TYPES.get(file.suffix, "application/octet-stream"), file.read_bytes()
        request.send_response(200 if kind else 404)
        request.send_header("Content-Type", kind or "text/plain")
        request.send_header("Content-Security-Policy", POLICY)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def show(self, events: list[Any], *, path: str = "/", chunks: int = 1, **stage: Any) -> str:
        """Puts up a page that plays `events` as a recording in chunks of 10 s. Returns its address."""
        made = []
        first = 1
        for number in range(chunks):
            piece = chunk(events, tick=number * 400, first=first, state=stage.pop("state", ()) if number else (),
                          last=number == chunks - 1)  # fmt: skip
            first += len(piece["events"])
            made.append(piece)
            self.pages[f"/chunk/{number}.json"] = (TYPES[".json"], json.dumps(piece))
        addresses = [f"/chunk/{number}.json" for number in range(chunks)]
        self.pages[path] = (TYPES[".html"], page(made[0], addresses, **stage))
        return self.url + path


def imports() -> dict[str, str]:
    names = [file.relative_to(STATIC / "js").as_posix() for file in (STATIC / "js").rglob("*.js")]
    return {f"mailroom/{name}": f"/static/js/{name}" for name in names}


def page(first_chunk: dict[str, Any] | None, chunks: list[str], **stage: Any) -> str:
    """The test's page: the house's own stage template under the house's own policy."""
    from django.template import Context, Engine
    from django.utils.safestring import SafeString

    context = {"mode": "recording", "slug": "post-office", "title": "Orders to billing and e-mail", "seed": 1,
               "length_us": 30_000_000, "epoch": 0, "socket": "/ws/play/post-office/", "kinds": json.dumps(KINDS),
               "promises": json.dumps(["nothing_lost"]), "chunks": json.dumps(chunks), "open_url": "/room/open/", "room": "",
               "role": "visitor", "workers": "{}", "first_chunk": SafeString(json.dumps(first_chunk)) if first_chunk else "",
               **stage}  # fmt: skip
    context = {
        name: str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in context.items()
    }
    engine = Engine(dirs=[str(ROOT / "templates")])
    body = engine.get_template("playground/_stage.html").render(
        Context({"stage": context, "csrf_token": "t"})
    )
    theme = f' data-theme="{stage["theme"]}"' if "theme" in stage else ""
    return f"""<!doctype html><html lang="en"{theme}><head><meta charset="utf-8"><title>Stage</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<script type="importmap" nonce="test">{json.dumps({"imports": imports()})}</script>
<link rel="stylesheet" href="/static/css/mailroom.css">
<link rel="stylesheet" href="/static/css/stage.css">
<script type="module" src="/static/js/main.js" nonce="test"></script></head><body><main><h1>Stage</h1>{body}</main></body></html>"""


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    built = House()
    yield built
    built.server.shutdown()


def wait(page: Page, expression: str, seconds: float = 10) -> Any:
    """Waits until `expression` is true in the page. (Playwright's own wait needs eval, which the policy forbids.)"""
    until = time.monotonic() + seconds
    while not (value := page.evaluate(expression)):
        assert time.monotonic() < until, f"never true: {expression}"
        page.wait_for_timeout(20)
    return value


@pytest.fixture
def open_page(chromium: Browser, house: House) -> Iterator[Callable[..., Page]]:
    """Opens an address; the test fails when the page raised an error or broke its policy."""
    opened: list[tuple[Any, list[str]]] = []

    def open_(url: str, **options: Any) -> Page:
        context = chromium.new_context(viewport={"width": 1280, "height": 900}, **options)
        page_ = context.new_page()
        errors: list[str] = []
        page_.on("pageerror", lambda error: errors.append(str(error)))
        page_.on("console", lambda m: errors.append(m.text) if "Content Security Policy" in m.text else None)
        opened.append((context, errors))
        page_.goto(url)
        wait(page_, "!!customElements.get('queue-stage') && document.querySelector('queue-stage').furnished")
        return page_

    yield open_
    wrong = [error for _, errors in opened for error in errors]
    for context, _ in opened:
        context.close()
    assert wrong == []


@pytest.fixture
def server(chromium: Browser) -> Iterator[Any]:
    """A page whose sockets end in the test (`mocked.Server`); its `page` goes where the test sends it."""
    from tests.browser.mocked import Server

    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    yield Server(context)
    context.close()


@pytest.fixture
def visit(chromium: Browser, site: Any) -> Iterator[Callable[..., Page]]:
    """Opens a path of the site, each time as another person; fails on script errors."""
    contexts: list[Any] = []
    errors: list[str] = []

    def open_(path: str, context: Any = None, **options: Any) -> Page:
        if context is None:
            context = chromium.new_context(viewport={"width": 1280, "height": 900}, **options)
            contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if "Security Policy" in m.text else None)
        page.goto(site.url + path)
        wait(page, "!!customElements.get('queue-stage') && document.querySelector('queue-stage')?.furnished")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert errors == []
