"""What the tests of rooms share: a hub of our own, driven by hand, and sockets that speak to it."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from channels.testing import WebsocketCommunicator

from engine import RULES
from lessons.scenarios import library
from playground import seats, views
from playground.asgi import application
from playground.learn import learners
from playground.learn import views as learn
from playground.rooms import hub as hubs
from playground.rooms import opening, past
from playground.rooms.hub import Hub
from playground.rooms.journal import Asked, Facts, NewRoom
from playground.rooms.live import maker_of
from playground.rooms.mailbox import Viewer
from playground.rooms.throttle import Bucket
from tests.playground.fakes import Browser, Wall
from tests.playground.memory import MemoryJournal

SLUG = "fan-out"
CONSUMER = "email worker"
TOKEN = "o" * 32
ORIGIN = [(b"origin", b"http://localhost"), (b"host", b"localhost")]
OWNER = [*ORIGIN, (b"cookie", b"mailroom_seat=" + TOKEN.encode())]


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture(autouse=True)
def hub(wall: Wall, monkeypatch: pytest.MonkeyPatch, django_db_blocker: Any) -> Iterator[Hub]:
    """A hub of real simulations, rooms in memory, that moves only when a test says so."""
    new = Hub(
        MemoryJournal(wall),
        wall,
        lambda slug, seed: maker_of(library()[slug].scenario, seed),
        wall.steady,
    )
    new.driven = False
    hubs.install(new)
    monkeypatch.setattr(opening, "everybody", Bucket(1000, 1000))
    monkeypatch.setattr(views, "wrong_codes", Bucket(1000, 1000))
    monkeypatch.setattr(learners, "beginning", Bucket(1000, 1000))
    monkeypatch.setattr(learn, "judging", Bucket(1000, 1000))
    monkeypatch.setattr(past, "anew", Bucket(1000, 1000))
    with django_db_blocker.unblock():  # sockets close what other tests have left open
        yield new
    hubs.install(None)


async def new_room(hub: Hub, sim_us: int = 0, rate: int = 1000, slug: str = SLUG) -> Facts:
    """A room of the owner's, on its recording's seed."""
    scenario = library()[slug].scenario
    owner = seats.owner_hash(TOKEN)
    new = NewRoom(slug, scenario.seed, RULES, owner, scenario.length_us, sim_us, rate)
    facts, is_new = await hub.journal.open(new, Asked(owner, secrets.token_hex(8)), None)
    assert is_new
    return facts


async def sit(hub: Hub, code: str, role: Any = "owner", wall: Any = None) -> Browser:
    """A browser in a room, without a socket."""
    viewer = Viewer(role, f"seat of {role}")
    room = await hub.join(code, viewer)
    browser = Browser(wall or hub.wall, viewer)
    browser.watch()
    browser.room = room  # type: ignore[attr-defined]
    return browser


class Socket:
    """A WebSocket to the site, as a browser would speak."""

    def __init__(self, path: str, headers: Any = OWNER) -> None:
        self.communicator = WebsocketCommunicator(application, path, headers=headers)

    async def open(self) -> bool:
        connected, _ = await self.communicator.connect()
        return bool(connected)

    async def say(self, kind: str, **fields: Any) -> None:
        await self.communicator.send_to(text_data=json.dumps({"t": kind, "v": 1, **fields}))

    async def raw(self, text: str) -> None:
        await self.communicator.send_to(text_data=text)

    async def next(self, *kinds: str) -> dict[str, Any]:
        """The next frame of one of these types; others are passed over."""
        while True:
            frame = json.loads(await self.communicator.receive_from(timeout=5))
            if not kinds or frame["t"] in kinds:
                return dict(frame)

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close that must come."""
        while True:
            message = await self.communicator.receive_output(timeout=5)
            if message["type"] == "websocket.close":
                return message["code"], message.get("reason") or ""

    async def quiet(self) -> bool:
        return await self.communicator.receive_nothing(timeout=0.05)


@pytest_asyncio.fixture
async def sockets() -> AsyncIterator[Any]:
    """`await sockets(path, headers)` opens one; all are closed at the end."""
    opened: list[Socket] = []

    async def open(path: str, headers: Any = OWNER) -> Socket:
        socket = Socket(path, headers)
        opened.append(socket)
        assert await socket.open()
        return socket

    yield open
    for socket in opened:
        await socket.communicator.disconnect()
