"""Browsers without a screen on real sockets: they hold ticks, follow the clock, come back, send again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.conftest import Site

TICK_US = 25_000
ids = (f"command-{n}" for n in itertools.count())


@dataclass
class Page:
    """One browser in a room. `site` may be changed: it goes there when its connection ends."""

    site: Site
    code: str
    cookies: str = ""
    epoch: int = 0
    next: int = 0
    digests: dict[int, str] = field(default_factory=dict)
    shown: dict[tuple[int, int], str] = field(default_factory=dict)
    """By (branch, tick): the digest of what was on the screen."""
    looked_us: dict[tuple[int, int], int] = field(default_factory=dict)
    """By (branch, tick): the wall time at which it was first seen on the screen."""
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, dict[str, Any]] = field(default_factory=dict)
    pending: dict[str, dict[str, Any]] = field(default_factory=dict)
    degraded: list[tuple[bool, str]] = field(default_factory=list)
    told_at: list[float] = field(default_factory=list)
    """When, by the monotonic clock, each of `degraded` came."""
    gaps: list[float] = field(default_factory=list)
    """Seconds between one frame with ticks and the next, on one connection."""
    ticked_at: float | None = None
    faults: list[str] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    pieces: list[list[int]] = field(default_factory=list)
    lit_until_us: int = 0
    offset_us: int = 0
    socket: ClientConnection | None = None
    task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Page:
        self.task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self.task is not None
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(OSError, websockets.WebSocketException, asyncio.TimeoutError):
                await self._once()
            await asyncio.sleep(0.05)

    async def _once(self) -> None:
        site = self.site
        path = f"{site.socket_url}/ws/room/{self.code}/"
        headers = {"Cookie": self.cookies}
        async with connect(
            path, origin=site.url, additional_headers=headers, open_timeout=3, max_size=None
        ) as socket:  # type: ignore[arg-type]
            digest = self.digests.get(self.next - 1, "")
            await self._say(socket, "watch", epoch=self.epoch, tick=self.next if digest else 0, digest=digest)
            self.socket, self.ticked_at = socket, None
            for frame in list(self.pending.values()):
                await socket.send(json.dumps(frame))
            try:
                async for text in socket:
                    frame = json.loads(text)
                    self._take(frame)
                    if "f" in frame:
                        await self._say(socket, "seen", f=frame["f"])
            finally:
                self.socket = None
                self.closed.append(socket.close_code or 0)

    async def _say(self, socket: ClientConnection, kind: str, **fields: Any) -> None:
        await socket.send(json.dumps({"t": kind, "v": 1, **fields}))

    def _take(self, frame: dict[str, Any]) -> None:
        handler = getattr(self, "_on_" + frame["t"], None)
        if handler is not None:
            handler(frame)
        self._look()

    def _on_state(self, frame: dict[str, Any]) -> None:
        self.epoch, self.next = frame["epoch"], frame["tick"]
        self.digests = {self.next - 1: frame["digest"]}

    def _on_branch(self, frame: dict[str, Any]) -> None:
        self.epoch, self.next = frame["epoch"], min(self.next, frame["cut"])
        self._forget()

    def _on_ticks(self, frame: dict[str, Any]) -> None:
        if (frame["epoch"], frame["tick"]) != (self.epoch, self.next):
            self.faults.append(f"a gap: {frame['epoch']}/{frame['tick']} after {self.epoch}/{self.next}")
        self._add(frame, frame["tick"])

    def _on_revise(self, frame: dict[str, Any]) -> None:
        if (self.epoch, frame["cut"]) in self.shown:
            self.faults.append(f"a shown past was revised: {frame['cut']}")
        self.next = frame["cut"]
        self._forget()
        self._add(frame, frame["cut"])

    def _forget(self) -> None:
        self.digests = {tick: digest for tick, digest in self.digests.items() if tick < self.next}

    def _add(self, frame: dict[str, Any], tick: int) -> None:
        now = time.monotonic()
        if self.ticked_at is not None:
            self.gaps.append(now - self.ticked_at)
        self.ticked_at = now
        self.next = tick + frame["n"]
        self.digests[self.next - 1] = frame["digest"]

    def _on_clock(self, frame: dict[str, Any]) -> None:
        news = [piece for piece in frame["pieces"] if piece not in self.pieces]
        self.pieces, self.lit_until_us = frame["pieces"], frame["lit_until_us"]
        self.offset_us = frame["now_us"] - time.monotonic_ns() // 1000
        if news and news[0][0] < frame["now_us"]:
            self._unsee(news[0][0])

    def _unsee(self, begun_us: int) -> None:
        """A clock entry that is heard of for the first time after it took effect (on a machine that was too busy
        for 150 ms, or behind a connection that was lost): what this screen alone went on to show since then,
        beyond where the room stands, is not what the room showed. What it had shown before that stays, and so
        does everything when a clock that is known goes back."""
        stands = self.moment() // TICK_US
        for place, at_us in list(self.looked_us.items()):
            if place[0] == self.epoch and at_us >= begun_us and place[1] >= stands:
                del self.looked_us[place], self.shown[place]

    def _on_done(self, frame: dict[str, Any]) -> None:
        if frame["id"] in self.done and self.done[frame["id"]] != frame:
            self.faults.append(f"{frame['id']} was answered differently the second time")
        self.done[frame["id"]] = frame
        self.pending.pop(frame["id"], None)

    def _on_error(self, frame: dict[str, Any]) -> None:
        self.refused[frame["id"]] = frame
        self.pending.pop(frame["id"], None)

    def _on_degraded(self, frame: dict[str, Any]) -> None:
        self.degraded.append((frame["on"], frame["text"]))
        self.told_at.append(time.monotonic())

    def moment(self) -> int:
        """The simulated moment on this screen now, -1 before there is one."""
        if not self.pieces:
            return -1
        now_us = min(time.monotonic_ns() // 1000 + self.offset_us, self.lit_until_us)
        ruling = self.pieces[0]
        for piece in self.pieces:
            if piece[0] <= now_us:
                ruling = piece
        return int(ruling[1] + max(0, now_us - ruling[0]) * ruling[2] // 1000)

    def _look(self) -> None:
        tick = min(self.moment() // TICK_US, self.next)
        for one, digest in self.digests.items():
            if 0 <= one < tick:
                self.shown.setdefault((self.epoch, one), digest)
                self.looked_us.setdefault((self.epoch, one), time.monotonic_ns() // 1000 + self.offset_us)
                if self.shown[self.epoch, one] != digest:
                    self.faults.append(f"tick {one} of branch {self.epoch} is not what it was")

    async def command(self, cmd: str, args: dict[str, Any] | None = None, **more: Any) -> str:
        """Says it, and says it again after each reconnect until it is answered. Returns its id."""
        id = next(ids)
        frame = {
            "t": "command",
            "v": 1,
            "id": id,
            "cmd": cmd,
            "args": args or {},
            "epoch": self.epoch,
            **more,
        }
        self.pending[id] = frame
        if self.socket is not None:
            with contextlib.suppress(websockets.WebSocketException):
                await self.socket.send(json.dumps(frame))
        return id

    def where(self) -> str:
        """Where it stands, for who reads that a test has failed."""
        return (
            f"branch {self.epoch}, tick {self.next}, moment {self.moment()}, {len(self.done)} done, "
            f"pending {list(self.pending)}, refused {list(self.refused.values())[-3:]}, closed {self.closed}, "
            f"connected {self.socket is not None}, degraded {self.degraded}, faults {self.faults}"
        )

    async def until(self, what: Any, seconds: float = 60) -> None:
        """Waits until `what()` holds."""
        deadline = time.monotonic() + seconds
        while not what():
            if time.monotonic() > deadline:
                raise AssertionError(f"it did not come to that within {seconds} s; {self.where()}")
            await asyncio.sleep(0.02)


class Lag:
    """How late this machine is just now: `seconds` by which a short sleep overran at most. What is promised in
    seconds is promised to browsers; a test machine that stands still for one may add just that."""

    EVERY_S = 0.02

    def __init__(self) -> None:
        self.seconds = 0.0

    async def __aenter__(self) -> Lag:
        self.task = asyncio.create_task(self._measure())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    async def _measure(self) -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(self.EVERY_S)
            self.seconds = max(self.seconds, time.monotonic() - begun - self.EVERY_S)
