"""Ten thousand frames that make no sense, against the real server: each is answered, nobody else notices.

A connection may send `limits.BAD_FRAMES_MAX` of them and is closed at the next (what is merely not allowed does
not count), so the frames come over hundreds of connections to one room, while an honest viewer watches it.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from playground.rooms import limits
from tests.conftest import Site, start_site, stop_site
from tests.playground.test_server import open_room, say, socket_to

FRAMES = 10_000
AT_ONCE = 20
"""Hostile connections at the same time."""

ERROR_CODES = {"bad_frame", "unknown_command", "bad_arguments", "not_allowed", "too_fast"}

Draw = random.Random
Frame = str | bytes


def nested(draw: Draw) -> Frame:
    depth = draw.choice((7, 50, 900, 1_900))
    return '{"t":"seen","v":1,"f":' + "[" * depth + "]" * depth + "}"


def noise(draw: Draw) -> Frame:
    return "".join(chr(draw.randrange(1, 0xD800)) for _ in range(draw.randrange(200)))


def cut_short(draw: Draw) -> Frame:
    whole = '{"t":"command","v":1,"id":"x","cmd":"CrashConsumer","args":{"consumer":"email worker"}}'
    return whole[: draw.randrange(1, len(whole) - 1)]


def not_a_number(draw: Draw) -> Frame:
    number = draw.choice(
        ("NaN", "Infinity", "-Infinity", "1e999", "-0.5", "1" * 30, "9" * 400, "-1", '"7"', "null", "true")
    )
    return '{"t":"watch","v":1,"epoch":0,"digest":"","tick":' + number + "}"


def lone_surrogate(draw: Draw) -> Frame:
    """A JSON escape for half a character: no string that could be stored."""
    half = draw.choice(("\\ud800", "\\udfff", "\\udc00\\ud800"))
    return '{"t":"command","v":1,"id":"s","cmd":"CrashConsumer","args":{"consumer":"' + half + '"}}'


def unknown_type(draw: Draw) -> Frame:
    kind = draw.choice(("", "subscribe", "WATCH", "__proto__", "hello", "state", "\u0000", "drop table"))
    return json.dumps({"t": kind, "v": 1, "id": "u"})


def wrong_fields(draw: Draw) -> Frame:
    fields: dict[str, Any] = {"t": "command", "v": 1, "id": "w", "cmd": "Pause", "args": {}}
    match draw.randrange(5):
        case 0:
            del fields[draw.choice(("v", "id", "cmd", "t"))]
        case 1:
            fields[draw.choice(("v", "id", "cmd", "args"))] = draw.choice(([], {}, None, 1.5, [[]]))
            fields["extra"] = 1
        case 2:
            fields["extra"] = "field"
        case 3:
            fields["id"] = "i" * (limits.ID_CHARACTERS_MAX + 1)
        case 4:
            fields["v"] = draw.choice((0, 2, 99))
    return json.dumps(fields)


def no_object(draw: Draw) -> Frame:
    return draw.choice(("", "[]", "null", "1", '"x"', "true", "[[[]]]", "{}", " ", "\u0000"))


def unknown_command(draw: Draw) -> Frame:
    cmd = draw.choice(("Fly", "DropTable", "__init__", "crashconsumer", "Simulation", "eval"))
    return json.dumps({"t": "command", "v": 1, "id": "c", "cmd": cmd, "args": {"x": draw.choice((1, [1]))}})


def not_mine(draw: Draw) -> Frame:
    """Well formed, but these connections only watch."""
    cmd = draw.choice(("Pause", "ToStart", "CrashConsumer"))
    return json.dumps({"t": "command", "v": 1, "id": "n", "cmd": cmd, "args": {}})


def binary(draw: Draw) -> Frame:
    return draw.randbytes(draw.randrange(1, 300))


def oversized(draw: Draw) -> Frame:
    return '{"t":"seen","v":1,"f":' + " " * draw.choice((limits.FRAME_IN_BYTES_MAX, 20_000)) + "1}"


KINDS: tuple[Callable[[Draw], Frame], ...] = (
    nested, noise, cut_short, not_a_number, lone_surrogate, unknown_type, wrong_fields, no_object,
    unknown_command, not_mine, binary,
)  # fmt: skip


async def answer_to(page: ClientConnection) -> dict[str, Any]:
    """The next `error`; whatever else the room says is passed over."""
    while True:
        frame = json.loads(await asyncio.wait_for(page.recv(), 30))
        if frame["t"] == "error":
            return dict(frame)


async def hostile(site: Site, code: str, draw: Draw, codes: Counter[str]) -> None:
    """As many frames as one connection may send: each has its own answer; then one too many."""
    async with socket_to(site, f"/ws/room/{code}/") as page:
        for _ in range(limits.BAD_FRAMES_MAX):
            frame = draw.choice(KINDS)(draw)
            await page.send(frame)
            error = await answer_to(page)
            assert error["code"] in ERROR_CODES, (frame, error)
            assert error["text"].endswith((".", "!", "?")), (frame, error)
            assert "Traceback" not in error["text"] and len(error["text"]) < 400, (frame, error)
            codes[error["code"]] += 1
        last = draw.choice((oversized, noise))
        with pytest.raises(ConnectionClosed) as caught:
            while True:  # a frame that was merely not allowed does not count
                await page.send(last(draw))
                await answer_to(page)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code in (1009, 4008)


async def watch_honestly(site: Site, code: str, cookies: str, stop: asyncio.Event) -> list[dict[str, Any]]:
    """All frames with ticks that an honest viewer gets until told to stop."""
    got = []
    async with socket_to(site, f"/ws/room/{code}/", cookies) as page:
        await say(page, "watch", epoch=0, tick=0, digest="")
        while not stop.is_set():
            frame = json.loads(await asyncio.wait_for(page.recv(), 30))
            if "f" in frame:
                await say(page, "seen", f=frame["f"])
            if frame["t"] in ("state", "ticks", "revise", "error"):
                got.append(frame)
    return got


async def test_ten_thousand_hostile_frames_are_answered_and_disturb_nobody(tmp_path: Path) -> None:
    site = start_site(tmp_path)
    try:
        code, cookies = open_room(site, rate=125)
        before = len(site.log.read_text().splitlines())
        stop, codes = asyncio.Event(), Counter[str]()
        honest = asyncio.create_task(watch_honestly(site, code, cookies, stop))
        connections = FRAMES // limits.BAD_FRAMES_MAX
        for first in range(0, connections, AT_ONCE):
            seeds = range(first, min(first + AT_ONCE, connections))
            await asyncio.gather(*(hostile(site, code, Draw(seed), codes) for seed in seeds))
        await asyncio.sleep(1)
        stop.set()
        frames = await honest
        log = site.log.read_text()
    finally:
        stop_site(site)

    assert codes.total() == FRAMES
    assert set(codes) >= {"bad_frame", "unknown_command", "not_allowed"}
    assert "Traceback" not in log
    assert len(log.splitlines()) - before <= connections + 10, "at most one line a connection"
    expected = None
    for frame in frames:
        assert frame["t"] != "error", frame
        assert "tick" not in frame or expected in (None, frame["tick"]), "no tick is missing"
        expected = frame["tick"] + frame.get("n", 0)
    assert expected is not None and len(frames) > 20


async def test_commands_above_the_rate_are_throttled_then_the_socket_is_closed(site: Site) -> None:
    code, cookies = open_room(site, rate=0)
    heard: list[dict[str, Any]] = []
    async with socket_to(site, f"/ws/room/{code}/", cookies) as page:
        with pytest.raises(ConnectionClosed) as caught:
            for n in range(limits.COMMANDS_BURST + limits.THROTTLED_MAX + 100):
                await say(page, "command", id=f"c{n}", cmd="Pause", args={})
            while True:
                heard.append(json.loads(await asyncio.wait_for(page.recv(), 30)))
    answers = [frame for frame in heard if frame["t"] in ("done", "error")]
    throttled = [frame for frame in answers if frame.get("code") == "too_fast"]
    assert throttled and throttled[0]["text"] == limits.TOO_FAST
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4008, limits.THROTTLED)
