"""The other end of the page's socket, as a test wants it, and the frames that it may say."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import BrowserContext, Page, WebSocketRoute

from tests.browser.conftest import TYPES, House, page, wait
from tests.browser.scripts import TICK_US, wire

STAGE = "document.querySelector('queue-stage')"


class Server:
    """A socket's other end, as the test wants it. Records what the browser said."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.page = context.new_page()
        self.page.route_web_socket("**/ws/**", self.handle)
        self.said: list[dict[str, Any]] = []
        self.routes: list[WebSocketRoute] = []
        self.urls: list[str] = []
        self.on_open: Callable[[WebSocketRoute], None] = lambda _: None
        self.on_frame: Callable[[WebSocketRoute, dict[str, Any]], None] = lambda *_: None

    def handle(self, route: WebSocketRoute) -> None:
        self.routes.append(route)
        self.urls.append(route.url)
        self.on_open(route)
        route.on_message(lambda text: self.heard(route, json.loads(text)))

    def heard(self, route: WebSocketRoute, frame: dict[str, Any]) -> None:
        self.said.append(frame)
        self.on_frame(route, frame)

    def send(self, *frames: dict[str, Any]) -> None:
        """To the page, over the socket opened last."""
        for frame in frames:
            self.routes[-1].send(json.dumps(frame))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.said if frame["t"] == kind]


def opened(server: Any, url: str) -> Page:
    server.page.goto(url)
    wait(server.page, f"!!customElements.get('queue-stage') && {STAGE}.furnished")
    return server.page


def ticks(events: list[Any], tick: int, n: int, f: int = 1, **more: Any) -> dict[str, Any]:
    before = sum(1 for x in events if x.at_us < tick * TICK_US)
    inside = [x for x in events if tick * TICK_US <= x.at_us < (tick + n) * TICK_US]
    return {"t": "ticks", "f": f, "epoch": 1, "tick": tick, "n": n, "seq": 1, "first": before + 1,
            "events": wire(inside), "digest": f"x{tick + n - 1}", **more}  # fmt: skip


def clock(now_us: int, rate: int = 1000, *, seq: int = 1, lit_us: int = 60_000_000) -> dict[str, Any]:
    """At `now_us` just now, lit for `lit_us` more."""
    wall = time.time_ns() // 1000
    return {
        "t": "clock",
        "seq": seq,
        "pieces": [[wall, now_us, rate]],
        "now_us": wall,
        "lit_until_us": wall + lit_us,
    }


def hello(role: str = "owner", **more: Any) -> dict[str, Any]:
    return {"t": "hello", "v": 1, "role": role, "seat": "s", "room": "abcd", "slug": "post-office", "epoch": 1, "seed": 1,
            "rules": 1, "length_us": 30_000_000, "batch_us": 100_000, "lit_until_us": time.time_ns() // 1000 + 2_000_000,
            "chunks": "/history/room/abcd/", **more}  # fmt: skip


def branch(epoch: int, cut: int, *, seq: int = 2, seed: int = 1, name: str = "from 2 s") -> dict[str, Any]:
    return {"t": "branch", "f": 90, "epoch": epoch, "parent": 1, "sim_us": cut * TICK_US, "cut": cut, "seed": seed,
            "name": name, "seq": seq}  # fmt: skip


def room_page(server: Server, house: House, role: str = "owner", **options: Any) -> Page:
    """A room's page, as the site makes it: everything is to come over the socket."""
    made = page(None, [], mode="room", room="abcd", role=role, socket="/ws/room/abcd/", **options)
    house.pages["/room/abcd/"] = (TYPES[".html"], made)
    shown = opened(server, house.url + "/room/abcd/")
    wait(shown, f"{STAGE}.session.socket.everOpen")
    return shown


def in_room(server: Server, house: House, events: list[Any], now_us: int, *, role: str = "owner", rate: int = 0,
            **options: Any) -> Page:  # fmt: skip
    """A page in a room that stands at `now_us` (or runs), with all its events up to there and a second more."""
    shown = room_page(server, house, role, **options)
    server.send(hello(role), clock(now_us, rate), ticks(events, 0, now_us // TICK_US + 40))
    wait(shown, f"{STAGE}.room !== null && {STAGE}.tick === {now_us // TICK_US + 39}")
    return shown
