"""The site as a visitor gets it, and a cold Chromium to visit it with: for the benches of pages.

Collected, compressed files with their digest in the name, no debugging: what `make run` and production serve.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in BROWSERS if (path := shutil.which(name))), "")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@dataclass(frozen=True)
class Served:
    """A running site. `has` says whether a page of that path is there."""

    url: str

    def has(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(self.url + path, timeout=20) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:
            return False


@contextmanager
def served(scenarios: dict[str, str] | None = None) -> Iterator[Served]:
    """The site on a database of its own; with other `scenarios` (slug: TOML) than the shipped ones."""
    with tempfile.TemporaryDirectory(prefix="mailroom-bench-") as folder:
        environment = {
            **os.environ,
            "MAILROOM_VAR": folder,
            "MAILROOM_STATIC": "collected",
            "MAILROOM_DEBUG": "",
        }
        if scenarios is not None:
            environment["MAILROOM_SCENARIOS"] = str(Path(folder) / "scenarios")
            environment["MAILROOM_LESSONS"] = str(
                Path(folder) / "lessons"
            )  # none: they lean on the shipped ones
            (Path(folder) / "scenarios").mkdir()
            for slug, text in scenarios.items():
                (Path(folder) / "scenarios" / f"{slug}.toml").write_text(text)
        for words in (("migrate", "--no-input"), ("collectstatic", "--no-input")):
            command = [sys.executable, "manage.py", *words, "--verbosity", "0"]
            subprocess.run(command, cwd=ROOT, env=environment, check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = subprocess.Popen(
            [sys.executable, "-m", "playground.serve", "--port", str(port)], cwd=ROOT, env=environment
        )
        try:
            site = Served(f"http://127.0.0.1:{port}")
            _wait(site, server)
            yield site
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(20)


def _wait(site: Served, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if site.has("/healthz"):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the site did not start")


@contextmanager
def visitor(**options: Any) -> Iterator[Any]:
    """A page of a browser that has just been started and knows nothing: no cache, no connection."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM:
        raise SystemExit("This needs Chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser.new_context(**options).new_page()
        finally:
            browser.close()


def until(page: Any, expression: str, seconds: float = 30) -> Any:
    """Waits until `expression` is true in the page. (Playwright's own wait needs eval.)"""
    deadline = time.monotonic() + seconds
    while not (value := page.evaluate(expression)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"never true: {expression}")
        page.wait_for_timeout(50)
    return value
