"""Sockets, through the whole ASGI application: origins, hello, answers, and who is let in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from playground.origins import same_address
from playground.rooms import consumers, limits
from playground.rooms.history import recording_of
from playground.rooms.hub import Hub
from tests.playground.conftest import CONSUMER, ORIGIN, OWNER, SLUG, Socket, new_room
from tests.playground.fakes import Wall
from tests.playground.test_wire import HOSTILE


async def test_a_room_says_hello_then_its_clock_the_present_and_ticks(
    hub: Hub, wall: Wall, sockets: Any
) -> None:
    facts = await new_room(hub)
    socket = await sockets(f"/ws/room/{facts.code}/")
    hello = await socket.next()
    assert hello["t"] == "hello"
    assert (hello["role"], hello["slug"], hello["epoch"]) == ("owner", SLUG, 0)
    assert (hello["length_us"], hello["batch_us"]) == (60_000_000, 100_000)
    await socket.say("watch", epoch=0, tick=0, digest="")
    assert await socket.quiet()
    await hub.batch()
    clock = await socket.next()
    assert clock["t"] == "clock"
    assert clock["now_us"] == wall()
    state, ticks = await socket.next(), await socket.next()
    assert (state["t"], state["tick"], state["events"]) == ("state", 0, [])
    assert (ticks["t"], ticks["tick"]) == ("ticks", 0)
    assert ticks["digest"] == recording_of(SLUG).digest_before(ticks["n"])


async def test_who_has_another_cookie_or_none_watches(hub: Hub, sockets: Any) -> None:
    facts = await new_room(hub)
    for headers in (ORIGIN, [*ORIGIN, (b"cookie", b"mailroom_seat=" + b"x" * 32)]):
        socket = await sockets(f"/ws/room/{facts.code}/", headers)
        assert (await socket.next("hello"))["role"] == "viewer"
        await socket.say("command", id="1", cmd="Pause", args={})
        error = await socket.next("error")
        assert (error["id"], error["code"]) == ("1", "not_allowed")


async def test_a_command_is_done_and_a_resend_gets_the_same_answer(hub: Hub, sockets: Any) -> None:
    facts = await new_room(hub)
    socket = await sockets(f"/ws/room/{facts.code}/")
    for _ in range(2):
        await socket.say("command", id="c1", cmd="CrashConsumer", args={"consumer": CONSUMER})
        done = await socket.next("done", "error")
        assert done == {"t": "done", "id": "c1", "seq": 1, "at_us": 300_000}


async def test_a_room_that_is_not_there_says_so_and_closes(sockets: Any) -> None:
    socket = await sockets("/ws/room/nosuchrm/")
    assert (await socket.next())["code"] == "no_room"
    assert (await socket.closed())[0] == 4004


async def test_a_recording_plays_from_where_the_viewer_is(sockets: Any) -> None:
    recording = recording_of(SLUG)
    socket = await sockets(f"/ws/play/{SLUG}/")
    assert (await socket.next("hello"))["role"] == "visitor"
    await socket.say("watch", epoch=0, tick=400, digest=recording.digest_before(400))
    first = await socket.next()
    assert (first["t"], first["tick"], first["n"]) == ("ticks", 400, 40)
    assert first["digest"] == recording.digest_before(440)
    await socket.say("watch", epoch=0, tick=400, digest="00")
    while (frame := await socket.next())["t"] != "state":
        assert frame["tick"] < 600
    assert (await socket.next())["tick"] == 0


async def test_a_recording_sends_no_more_than_the_window(sockets: Any, monkeypatch: Any) -> None:
    from playground.rooms import playing

    monkeypatch.setattr(playing, "RECORDING_FRAME_EVERY_S", 0)
    socket = await sockets(f"/ws/play/{SLUG}/")
    await socket.say("watch", epoch=0, tick=0, digest="")
    frames = [await socket.next("state", "ticks") for _ in range(limits.WINDOW_FRAMES)]
    assert await socket.quiet()
    await socket.say("seen", f=frames[-1]["f"])
    assert (await socket.next("ticks"))["tick"] == frames[-1]["tick"] + frames[-1]["n"]


async def test_a_recording_takes_no_commands(sockets: Any) -> None:
    socket = await sockets(f"/ws/play/{SLUG}/")
    await socket.say("command", id="x", cmd="CrashConsumer", args={"consumer": CONSUMER})
    assert (await socket.next("error"))["code"] == "not_allowed"


@pytest.mark.parametrize("path", [f"/ws/play/{SLUG}/", "/ws/room/{}/"])
@pytest.mark.parametrize("text", [t for t in HOSTILE.values() if len(t) <= 4096 and t.isascii()])
async def test_a_hostile_frame_gets_one_error_and_the_socket_goes_on(
    hub: Hub, sockets: Any, path: str, text: str
) -> None:
    facts = await new_room(hub)
    socket = await sockets(path.format(facts.code))
    await socket.next("hello")
    await socket.raw(text or " ")
    error = await socket.next()
    assert (error["t"], error["code"], error["id"]) == ("error", "bad_frame", None)
    await socket.say("command", id="after", cmd="Fly", args={})
    assert (await socket.next())["code"] == "unknown_command"


async def test_bytes_are_no_frame(sockets: Any) -> None:
    socket = await sockets(f"/ws/play/{SLUG}/")
    await socket.next("hello")
    await socket.communicator.send_to(bytes_data=b"\x00\x01")
    assert (await socket.next())["text"] == "A frame must be text."


ORIGINS = {
    b"http://localhost": True,
    b"http://localhost:80": True,
    b"HTTP://LOCALHOST": True,
    b"https://localhost": False,
    b"http://localhost:8001": False,
    b"http://localhost.evil.example": False,
    b"http://evil.example": False,
    b"http://evil.example#localhost": False,
    b"http://localhost@evil.example": False,
    b"http://127.0.0.1": False,
    b"http://sub.localhost": False,
    b"ws://localhost": False,
    b"null": False,
    b"": False,
    b"localhost": False,
    b"//localhost": False,
    b"http://": False,
    b"http://localhost:notaport": False,
    b"http://localhost:99999": False,
    b"http://[::1": False,
    b"\xff\xfe": False,
    b"file://": False,
    b"chrome-extension://localhost": False,
    b"http://localhost.": False,
    b"http://localhost%2eevil.example": False,
    b"http://evil.example, http://localhost": False,
    b"https://localhost:80": False,
}


def test_at_least_20_foreign_origins_are_tried() -> None:
    assert sum(not let_in for let_in in ORIGINS.values()) >= 20


@pytest.mark.parametrize("kind", ["play", "room"])
@pytest.mark.parametrize(("origin", "let_in"), ORIGINS.items())
async def test_only_pages_of_the_very_address_open_sockets(
    hub: Hub, origin: bytes, let_in: bool, kind: str
) -> None:
    headers = [(b"host", b"localhost"), (b"origin", origin), OWNER[-1]]
    name = SLUG if kind == "play" else (await new_room(hub)).code
    socket = Socket(f"/ws/{kind}/{name}/", headers)
    assert await socket.open() is let_in
    if let_in:
        await socket.communicator.disconnect()


async def test_without_an_origin_nobody_is_let_in() -> None:
    assert not await Socket(f"/ws/play/{SLUG}/", [(b"host", b"localhost")]).open()


def test_a_host_that_is_not_ours_is_no_address_of_ours() -> None:
    """Else a name that somebody points at this machine would be its own origin (DNS rebinding)."""
    assert not same_address(b"http://evil.example", b"evil.example", "ws")
    assert same_address(b"https://localhost", b"localhost", "wss")
    assert same_address(b"http://127.0.0.1:8000", b"127.0.0.1:8000", "ws")


@pytest.mark.parametrize(
    ("origin", "let_in"),
    [
        (b"https://mailroom.example", True),
        (b"https://mailroom.example:8443", False),
        (b"http://mailroom.example", False),
        (b"https://www.mailroom.example", False),
        *((origin, False) for origin in ORIGINS),
    ],
)
async def test_with_listed_origins_exactly_those_are_let_in(
    settings: Any, origin: bytes, let_in: bool
) -> None:
    from playground.origins import OwnOrigins
    from tests.playground.conftest import application

    settings.ORIGINS = ["https://mailroom.example"]
    inner = application.application_mapping["websocket"].application
    socket = Socket(f"/ws/play/{SLUG}/", [(b"host", b"localhost"), (b"origin", origin)])
    socket.communicator.application = OwnOrigins(inner)
    assert await socket.open() is let_in
    if let_in:
        await socket.communicator.disconnect()


async def test_no_frame_tells_the_future(hub: Hub, wall: Wall, sockets: Any) -> None:
    """A room's frames reach no further than the frontier."""
    facts = await new_room(hub)
    socket = await sockets(f"/ws/room/{facts.code}/", OWNER)
    await socket.next("hello")
    await socket.say("watch", epoch=0, tick=0, digest="")
    assert await socket.quiet()
    await hub.batch()
    ticks = await socket.next("ticks")
    assert (ticks["tick"] + ticks["n"]) * limits.TICK_US <= 300_000
    assert json.dumps(ticks).count("owner") == 0


async def fail_to_send(sockets: Any, problem: Exception) -> Any:
    """A socket whose next frame cannot be sent, for `problem`."""
    socket = await sockets(f"/ws/play/{SLUG}/")
    await socket.next("hello")
    (consumer,) = consumers.StageConsumer.open_sockets

    async def fails(text: str) -> None:
        raise problem

    consumer.send = fails  # type: ignore[method-assign, assignment]
    consumer.viewer.mailbox.put("{}")  # type: ignore[union-attr]
    return socket


async def test_a_browser_that_has_gone_is_one_calm_line(
    sockets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "mailroom")
    socket = await fail_to_send(sockets, ConnectionResetError("the other end hung up"))
    assert (await socket.closed())[0] == 1012
    (line,) = caplog.records
    assert (line.levelname, line.exc_info) == ("INFO", None)
    assert line.getMessage() == f"a browser at /ws/play/{SLUG}/ has gone: the other end hung up"


async def test_a_fault_of_ours_is_an_error_with_its_traceback_and_the_socket_is_not_left_mute(
    sockets: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "mailroom")
    socket = await fail_to_send(sockets, TypeError("a frame is no text"))
    assert (await socket.closed())[0] == 1011
    (line,) = caplog.records
    assert line.levelname == "ERROR"
    assert line.exc_info is not None and line.exc_info[0] is TypeError
    assert line.getMessage() == f"a frame for /ws/play/{SLUG}/ could not be sent"


async def test_who_falls_over_a_fault_of_ours_is_no_viewer_any_more(hub: Hub) -> None:
    facts = await new_room(hub)
    socket = Socket(f"/ws/room/{facts.code}/")
    assert await socket.open()
    await socket.next("hello")
    (consumer,) = consumers.StageConsumer.open_sockets

    async def fails(*_: Any) -> None:
        raise TypeError("our own")

    consumer.handle = fails  # type: ignore[method-assign]
    await socket.say("seen", f=1)
    with pytest.raises(TypeError, match="our own"):
        await socket.communicator.wait(timeout=5)
    assert hub.rooms[facts.code].viewers == set()
    assert consumers.StageConsumer.open_sockets == set()
