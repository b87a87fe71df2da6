"""A minute in which some do not read, some do not acknowledge and one sleeps, while others watch on.

The minute is paid once: on both servers at the same time, with all kinds of slow viewers in one room.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from playground.serve import SERVERS
from tests.conftest import Site, start_site, stop_site
from tests.faults import truth
from tests.faults.pages import Lag, Page
from tests.faults.sleeper import Sleeper
from tests.faults.test_kill import check
from tests.playground.test_framing import masked
from tests.playground.test_server import open_room, say, socket_to, until

MINUTE_S = 60
"""Longer than each timeout that matters: both servers ping after 20 s and give up 20 or 30 s after that."""

SLOW = 60
"""Viewers that do not read at all: enough for what they cost to show beside the room's own growth."""

COST_BYTES_MAX = 1_000_000


def memory_bytes(site: Site) -> int:
    """What the server's process has in memory now."""
    status = Path(f"/proc/{site.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


async def deaf(site: Site, code: str) -> socket.socket:
    """A viewer that asks for everything and reads nothing, with as small a buffer as there is."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    one.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(one, ("127.0.0.1", site.port))
    request = (
        f"GET /ws/room/{code}/ HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\nOrigin: {site.url}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    await loop.sock_sendall(one, request.encode())
    assert b" 101 " in await loop.sock_recv(one, 64)
    await loop.sock_sendall(one, masked(b'{"t":"watch","v":1,"epoch":0,"tick":0,"digest":""}', b"abcd"))
    return one


@contextlib.asynccontextmanager
async def deaf_viewers(site: Site, code: str) -> AsyncIterator[None]:
    sockets = [await deaf(site, code) for _ in range(SLOW)]
    try:
        yield
    finally:
        for one in sockets:
            one.close()


async def busy(owner: Page, seconds: float) -> int:
    """The owner publishes so much that a viewer who were sent everything would cost some MB a minute."""
    deadline, sent = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        await owner.command("PublishNow", {"producer": "shop", "count": 100})
        sent += 1
        await asyncio.sleep(1)
    return sent


async def mute(site: Site, code: str, wakes: asyncio.Event) -> list[dict[str, Any]]:
    """A browser whose page hangs: it reads, it answers pings, it acknowledges nothing until `wakes`. What it
    was sent after that, up to the first ticks that follow a `state`."""
    async with socket_to(site, f"/ws/room/{code}/", max_size=None) as page:
        await say(page, "watch", epoch=0, tick=0, digest="")
        numbered = []
        while not wakes.is_set():
            with contextlib.suppress(TimeoutError):
                frame = json.loads(await asyncio.wait_for(page.recv(), 0.2))
                numbered += [frame] if "f" in frame else []
        assert len(numbered) <= 8, "no more than the window"
        await say(page, "seen", f=numbered[-1]["f"])
        after: list[dict[str, Any]] = []
        while sum(not frame.get("more") for frame in after) < 8:
            after.append(await until(page, "state", "ticks"))
            if "part" in after[-1]:  # a present that does not fit one frame: each part is taken in
                await say(page, "seen", f=after[-1]["f"])
    return [numbered[-1], *after]


def back_in_one_snapshot(frames: list[dict[str, Any]]) -> None:
    """What came after a rest is one `state` of a later moment, be it in parts, then ticks without a gap."""
    frames = [frame for frame in frames if not frame.get("more")]
    held = frames[0]["tick"] + frames[0].get("n", 0)
    assert [frame["t"] for frame in frames[1:]] == ["state"] + ["ticks"] * (len(frames) - 2)
    assert frames[1]["tick"] > held
    expected = frames[1]["tick"]
    for frame in frames[2:]:
        assert frame["tick"] == expected
        expected += frame["n"]


def p99(gaps: list[float]) -> float:
    return sorted(gaps)[len(gaps) * 99 // 100]


async def asleep(site: Site, code: str, honest: Page, seconds: float) -> None:
    """A viewer's machine sleeps, and is back within two seconds of waking, where everybody is."""
    async with Sleeper(site, code) as sleeper:
        await honest.until(lambda: sleeper.last["tick"] > 20)
        sleeper.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        slept = sleeper.last["tick"]
        digests = dict(honest.digests)
        target, woken = honest.next - 1, time.monotonic()
        async with Lag() as lag:
            sleeper.process.send_signal(signal.SIGCONT)
            await honest.until(lambda: sleeper.last["tick"] >= target, 30)
            took = time.monotonic() - woken
        assert took <= 2 + lag.seconds, f"{took:.2f} s, the machine itself was late by {lag.seconds:.2f} s"
        assert target > slept + 400
        assert sleeper.last["closed"], "the server had given it up: this was no mere pause"
        assert sleeper.last["faults"] == []
        digests.update(honest.digests)
        await honest.until(lambda: sleeper.last["tick"] in honest.digests)
        assert sleeper.last["digest"] == honest.digests[sleeper.last["tick"]]


async def minute(site: Site, folder: Path) -> None:
    code, cookies = open_room(site, rate=500)
    wakes = asyncio.Event()
    async with Page(site, code, cookies) as owner, Page(site, code) as honest:
        await honest.until(lambda: honest.next > 40)
        sent = await busy(owner, 8)
        before = p99(honest.gaps)
        async with deaf_viewers(site, code):
            hanging = asyncio.create_task(mute(site, code, wakes))
            sleeping = asyncio.create_task(asleep(site, code, honest, MINUTE_S))
            sent += await busy(owner, 4)
            begun, honest.gaps = memory_bytes(site), []
            async with Lag() as lag:
                sent += await busy(owner, MINUTE_S - 4)
            cost = (memory_bytes(site) - begun) / SLOW
            during = p99(honest.gaps)
            wakes.set()
            back_in_one_snapshot(await hanging)
            await sleeping
        await owner.until(lambda: not owner.pending)
        told = await asyncio.to_thread(truth.of, code, 2400, folder, **site.environment)
        check([owner, honest], told, sent)
        assert owner.closed == honest.closed == []
    print(
        f"{site.environment}: {cost / 1000:.0f} KB a viewer; p99 of a gap {before:.3f} s, then {during:.3f} s"
    )
    assert cost <= COST_BYTES_MAX, f"{cost / 1000:.0f} KB a viewer on {site.environment}"
    assert during <= 2 * before + 0.1 + lag.seconds, (
        f"p99 between frames was {before:.3f} s before, {during:.3f} s during"
    )
    assert "Traceback" not in site.log.read_text()


async def test_who_does_not_read_for_a_minute_costs_little_and_nobody_else_and_comes_back_at_once(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / server for server in SERVERS]
    sites = []
    for server, folder in zip(SERVERS, folders, strict=True):
        folder.mkdir()
        sites.append(start_site(folder, MAILROOM_SERVER=server))
    try:
        async with asyncio.TaskGroup() as group:
            for site, folder in zip(sites, folders, strict=True):
                group.create_task(minute(site, folder))
    finally:
        for site in sites:
            stop_site(site)
