"""The real servers as processes, Daphne and uvicorn: real sockets, real time, real signals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from playground.rooms import limits
from playground.rooms.limits import TICK_US
from playground.serve import SERVERS
from tests.conftest import ROOT, Site, start_site, start_whole_site, stop_site
from tests.playground.test_framing import masked

SLUG = "fan-out"


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    running = start_whole_site(tmp_path_factory.mktemp(request.param), MAILROOM_SERVER=request.param)
    yield running
    stop_site(running)


@pytest.fixture(params=SERVERS)
def own_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A server to be stopped, killed and started again."""
    running = start_site(tmp_path, MAILROOM_SERVER=request.param)
    yield running
    stop_site(running)


def open_room(site: Site, **more: Any) -> tuple[str, str]:
    """Opens a room over HTTP as a browser does. Returns its code and the cookies to bring along."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    page = browser.open(f"{site.url}/play/{SLUG}/").read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    request = urllib.request.Request(
        f"{site.url}/room/open/",
        json.dumps({"slug": SLUG, **more}).encode(),
        {"Content-Type": "application/json", "X-CSRFToken": token[1]},
    )
    answer = json.loads(browser.open(request).read())
    return answer["room"], "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


def socket_to(site: Site, path: str, cookies: str = "", **more: Any) -> connect:
    return connect(site.socket_url + path, origin=site.url, additional_headers={"Cookie": cookies}, **more)  # type: ignore[arg-type]


async def say(page: ClientConnection, kind: str, **fields: Any) -> None:
    await page.send(json.dumps({"t": kind, "v": 1, **fields}))


async def until(page: ClientConnection, *kinds: str) -> dict[str, Any]:
    """The next frame of one of these types; every frame is acknowledged."""
    while True:
        frame = json.loads(await page.recv())
        if "f" in frame:
            await say(page, "seen", f=frame["f"])
        if frame["t"] in kinds:
            return dict(frame)


async def test_a_room_lives_pauses_and_takes_a_command_at_the_moment_shown(site: Site) -> None:
    code, cookies = open_room(site)
    async with socket_to(site, f"/ws/room/{code}/", cookies) as page:
        assert (await until(page, "hello"))["role"] == "owner"
        await say(page, "watch", epoch=0, tick=0, digest="")
        for _ in range(10):
            ticks = await until(page, "ticks")
        await say(page, "command", id="1", cmd="Pause", args={})
        await until(page, "done")
        pieces = (await until(page, "clock"))["pieces"]
        stands_us = pieces[-1][1]
        assert pieces[-1][2] == 0
        time.sleep(0.4)
        await say(page, "command", id="2", cmd="CrashConsumer", args={"consumer": "email worker"})
        assert (await until(page, "done"))["at_us"] == stands_us
        revise = await until(page, "revise")
        assert revise["cut"] == stands_us // 25_000
        assert ticks["n"] > 0


async def test_a_click_is_on_the_screen_within_half_a_second(site: Site) -> None:
    code, cookies = open_room(site)
    async with socket_to(site, f"/ws/room/{code}/", cookies) as page:
        await say(page, "watch", epoch=0, tick=0, digest="")
        await until(page, "ticks")
        begun = time.monotonic()
        await say(page, "command", id="1", cmd="PauseProducer", args={"producer": "shop"})
        while True:
            frame = await until(page, "ticks", "revise")
            if any(event[0] == 20 for event in frame["events"]):
                break
        assert time.monotonic() - begun < 1, "generous here: machines are busy; the goal is 0.5"


async def test_another_origin_is_refused(site: Site) -> None:
    for origin in ("http://evil.example", site.url.replace("http", "https"), None):
        with pytest.raises(websockets.InvalidStatus) as caught:
            async with connect(f"{site.socket_url}/ws/play/{SLUG}/", origin=origin):  # type: ignore[arg-type]
                pass
        assert caught.value.response.status_code == 403


async def test_what_is_too_large_is_closed_with_1009(site: Site) -> None:
    for size in (limits.FRAME_IN_BYTES_MAX + 1, limits.SOCKET_MESSAGE_BYTES_MAX + 1, 200_000):
        async with socket_to(site, f"/ws/play/{SLUG}/") as page:
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await page.send("x" * size)
                while True:
                    await page.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1009


async def test_whoever_sends_too_much_in_pieces_and_reads_late_still_reads_why(own_site: Site) -> None:
    """Hung up on while it sends, a client fails at sending and throws away what it has not read yet. (uvicorn's
    sockets, those of websockets, do hang up.)"""
    site = own_site
    if site.environment["MAILROOM_SERVER"] != "daphne":
        return
    host, port = site.socket_url.removeprefix("ws://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET /ws/play/{SLUG}/ HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: {site.url}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(bytes([0x81, 0x80 | 126]) + (60_000).to_bytes(2, "big") + b"mask")
    for _ in range(6):
        writer.write(b"x" * 10_000)
        await writer.drain()
        await asyncio.sleep(0.3)
    said = await asyncio.wait_for(reader.read(), 30)
    assert (1009).to_bytes(2, "big") in said
    writer.close()


async def test_a_frame_of_ours_may_be_larger_than_one_that_comes_in(site: Site) -> None:
    code, cookies = open_room(site)
    async with socket_to(site, f"/ws/room/{code}/", cookies) as page:
        await say(page, "watch", epoch=0, tick=0, digest="")
        for number in range(3):
            await say(
                page, "command", id=f"{number}", cmd="PublishNow", args={"producer": "shop", "count": 100}
            )
        largest = 0
        async with asyncio.timeout(20):
            while largest <= 8 * 1024:
                frame = await until(page, "ticks", "revise", "state")
                largest = max(largest, len(json.dumps(frame, separators=(",", ":"))))
    assert largest > 8 * 1024


async def test_messages_cut_anywhere_and_run_together_are_the_same_messages(site: Site) -> None:
    """The direct way takes an acknowledgement that comes alone; here nothing comes as browsers send it."""
    code, cookies = open_room(site)
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(
        f"GET /ws/room/{code}/ HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nOrigin: {site.url}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        f"Cookie: {cookies}\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    watch = masked(b'{"t":"watch","v":1,"epoch":0,"tick":0,"digest":""}', b"abcd")
    seen = masked(b'{"t":"seen","v":1,"f":1}', b"abcd")
    command = masked(b'{"t":"command","v":1,"id":"1","cmd":"Fly","args":{}}', b"wxyz")
    stream = watch + seen + seen + command + seen + command
    for part in (
        stream[:1],
        stream[1:7],
        stream[7:60],
        stream[60:61],
        stream[61:-5],
        stream[-5:],
        seen,
        seen[:3],
        seen[3:],
    ):
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.05)
    writer.write(command)
    heard = b""
    async with asyncio.timeout(10):
        while heard.count(b'"code":"unknown_command"') < 3:
            heard += await reader.read(65_536)
    writer.close()
    assert b'"code":"bad_frame"' not in heard
    assert b'"t":"ticks"' in heard


CUT_OFF = """
from playground.on_daphne import Socket

HEAD = 4

class Quiet(Socket):
    disconnecting = False
    dataBuffer = _tempDataBuffer = b""

    state = Socket.STATE_OPEN
    sent = 0
    client_addr = None
    dropped = False

    def __init__(self):
        self.transport = self

    def writeSomeData(self, frame):
        self.sent += len(frame) - HEAD
        return len(frame)

    def dropConnection(self, abort=False):
        self.dropped = abort

quiet = Quiet()
for _ in range(100):
    quiet.serverSend("x" * 32_768)
print(quiet.dropped, quiet.sent)
quiet.pauseProducing()
quiet.sent = 0
while not quiet.dropped:
    quiet.serverSend("x" * 32_768)
print(quiet.sent)
"""


def test_who_acknowledges_without_reading_is_cut_off() -> None:
    """The transport says when a client falls behind; from then on 256 KiB are held for it, no more."""
    done = subprocess.run([sys.executable, "-c", CUT_OFF], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"False {100 * 32_768}\n{limits.OUTBOX_BYTES_MAX}\n", done.stderr


async def test_a_recording_arrives_whole(site: Site) -> None:
    async with socket_to(site, f"/ws/play/{SLUG}/") as page:
        html = urllib.request.urlopen(f"{site.url}/play/{SLUG}/").read().decode()
        chunks = re.search(r'data-chunks="([^"]*)"', html)
        assert chunks
        last = json.loads(chunks[1].replace("&quot;", '"'))[-1]
        chunk = json.loads(urllib.request.urlopen(site.url + last).read())
        await say(page, "watch", epoch=0, tick=0, digest="")
        frame: dict[str, Any] = {"digest": ""}
        deadline = time.monotonic() + 30
        while frame["digest"] != chunk["digest"]:
            assert time.monotonic() < deadline
            frame = await until(page, "ticks")
        assert frame["tick"] + frame["n"] == 2400


async def test_told_to_stop_the_server_tells_sockets_to_come_back(own_site: Site) -> None:
    async with socket_to(own_site, f"/ws/play/{SLUG}/") as page:
        await until(page, "hello")
        own_site.process.send_signal(signal.SIGTERM)
        assert (await until(page, "restart"))["text"].endswith(".")
        with pytest.raises(websockets.ConnectionClosed) as caught:
            while True:
                await page.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
    assert own_site.process.wait(15) == 0
    assert "Traceback" not in own_site.log.read_text()


async def test_killed_and_started_again_it_goes_on_where_the_room_was(own_site: Site, tmp_path: Path) -> None:
    code, cookies = open_room(own_site)
    async with socket_to(own_site, f"/ws/room/{code}/", cookies) as page:
        await say(page, "watch", epoch=0, tick=0, digest="")
        await say(page, "command", id="1", cmd="PublishNow", args={"producer": "shop", "count": 2})
        done = await until(page, "done")
        end = 0
        while end * TICK_US <= done["at_us"]:  # what it holds then is not revised any more
            held = await until(page, "ticks", "revise")
            end = held.get("tick", held.get("cut")) + held["n"]
        own_site.process.kill()
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                await page.recv()
    own_site.process.wait()
    again = start_site(tmp_path, own_site.port, again=True, **own_site.environment)
    try:
        async with socket_to(again, f"/ws/room/{code}/", cookies) as page:
            await until(page, "hello")
            await say(page, "watch", epoch=0, tick=end, digest=held["digest"])
            assert (await until(page, "ticks", "state"))["tick"] == end
            await say(page, "command", id="1", cmd="PublishNow", args={"producer": "shop", "count": 2})
            assert await until(page, "done") == done
    finally:
        stop_site(again)


def test_it_says_in_a_sentence_that_the_port_is_taken_and_ends(site: Site, tmp_path: Path) -> None:
    server = site.environment["MAILROOM_SERVER"]
    command = [sys.executable, "-m", "playground.serve", "--server", server, "--port", str(site.port)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60,
                          env={**os.environ, "MAILROOM_VAR": str(tmp_path)})  # fmt: skip
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_known_is_named() -> None:
    done = subprocess.run([sys.executable, "-m", "playground.serve"], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, "MAILROOM_SERVER": "gunicorn"})  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.endswith("MAILROOM_SERVER must be daphne or uvicorn, not 'gunicorn'\n")


def test_static_files_are_compressed_and_kept_for_ever(site: Site) -> None:
    page = urllib.request.urlopen(site.url + "/").read().decode()
    address = re.search(r'rel="stylesheet" href="([^"]+)"', page)
    assert address
    request = urllib.request.Request(site.url + address[1], headers={"Accept-Encoding": "gzip"})
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert "immutable" in answer.headers["Cache-Control"]
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_bad_content_keeps_the_site_from_starting(tmp_path: Path) -> None:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "broken.toml").write_text('format = 1\ntitle = ""\n')
    with pytest.raises(RuntimeError, match=r"does not start on bad content.\nbroken.toml: "):
        start_site(tmp_path, MAILROOM_SCENARIOS=str(folder))
