"""Hundreds of viewers in one process, cheap enough to leave the measured server its core.

`python bench/viewers.py PORT PATH COOKIES COUNT OUT [--still] [--keep FILE]`. Prints `ready` when everybody
has ticks; when it reads a line it stops and writes what it saw to OUT. With `--still` nobody says anything (a
peer that only broadcasts); `--keep` writes the frames with ticks of the first viewer to FILE.

The frames of a server are cut by hand: of each only the head and the tail are looked at, and what goes out is
masked with zeros. Each viewer checks that its ticks have no gap, and that digests are everybody's.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import re
import struct
import sys
import time
from pathlib import Path
from typing import Any

HEAD = re.compile(rb'\{"t":"(\w+)","f":(\d+),"epoch":\d+,"seq":\d+,(?:"(?:tick|cut)":(\d+))?(?:,"n":(\d+))?')
DIGEST = re.compile(rb'"digest":"(\w+)"\}$')
SPREAD_AT_ONCE = 20
"""Connections being opened at the same time."""


SAID_EVERY = 2
"""How often frames are acknowledged, as in `static/js/lazy/socket.js`."""


def masked(kind: str, **fields: Any) -> bytes:
    """What a browser sends, in the very form: `JSON.stringify` leaves no spaces."""
    payload = json.dumps({"t": kind, "v": 1, **fields}, separators=(",", ":")).encode()
    assert len(payload) < 126
    return struct.pack("!BBI", 0x81, 0x80 | len(payload), 0) + payload


class Seen:
    """What all viewers saw."""

    def __init__(self, still: bool, keep: bool) -> None:
        self.still = still
        self.kept: list[str] | None = [] if keep else None
        self.acknowledgements: dict[int, bytes] = {}
        self.frames: dict[int, tuple[str, int, int, str]] = {}
        """By frame: its kind, its first tick, how many, the end of its text: the digest of the last tick."""
        self.tails: dict[int, bytes] = {}
        self.arrivals: list[tuple[int, int, int]] = []
        """(wall µs, viewer, frame) of each frame with ticks."""
        self.others: list[int] = []
        """Wall µs of each frame without ticks."""
        self.clock: dict[str, Any] = {}
        self.faults: list[str] = []


class Viewer(asyncio.Protocol):
    def __init__(self, number: int, seen: Seen, request: bytes) -> None:
        self.number = number
        self.seen = seen
        self.request = request
        self.buffer = b""
        self.open = asyncio.get_running_loop().create_future()
        self.ticking = asyncio.get_running_loop().create_future()
        self.next = -1
        self.unsaid = SAID_EVERY - 1
        self.leaving = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def connection_lost(self, problem: Exception | None) -> None:
        if not self.leaving:
            self.seen.faults.append(f"viewer {self.number} was disconnected")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.open.done():
            head, found, rest = self.buffer.partition(b"\r\n\r\n")
            if not found:
                return
            assert b" 101 " in head.splitlines()[0], head
            self.buffer = rest
            self.open.set_result(None)
            if not self.seen.still:
                self.transport.write(masked("watch", epoch=0, tick=0, digest=""))
        now_us = time.time_ns() // 1000
        while (frame := self.cut()) is not None:
            self.take(frame, now_us)

    def cut(self) -> bytes | None:
        """The next whole text frame; pings are answered."""
        buffer = self.buffer
        if len(buffer) < 2:
            return None
        start, length = 2, buffer[1] & 127
        if length > 125:
            start = 4 if length == 126 else 10
            if len(buffer) < start:
                return None
            length = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + length:
            return None
        payload, self.buffer = buffer[start : start + length], buffer[start + length :]
        if buffer[0] & 15 == 9:
            self.transport.write(struct.pack("!BBI", 0x8A, 0x80 | length, 0) + payload)
        return payload if buffer[0] & 15 == 1 else b""

    def take(self, text: bytes, now_us: int) -> None:
        found = HEAD.match(text)
        if found is None:
            if text:
                self.seen.others.append(now_us)
                if text.startswith(b'{"t":"clock"'):
                    self.seen.clock = json.loads(text)
            return
        seen, f = self.seen, int(found[2])
        known = seen.frames.get(f)
        if known is None:
            digest = DIGEST.search(text)
            kind, tick, n = found[1].decode(), int(found[3] or 0), int(found[4] or 0)
            known = seen.frames[f] = (kind, tick, n, digest[1].decode() if digest else "")
            seen.tails[f] = text[-48:]
        kind, tick, n, _ = known
        if not text.endswith(seen.tails[f]):
            seen.faults.append(f"viewer {self.number}: another digest in frame {f}")
        if not seen.still:
            self.unsaid += 1
            if self.unsaid >= SAID_EVERY:
                self.unsaid = 0
                said = seen.acknowledgements.get(f)
                if said is None:
                    said = seen.acknowledgements[f] = masked("seen", f=f)
                self.transport.write(said)
            if kind == "ticks" and tick != self.next:
                seen.faults.append(f"viewer {self.number}: tick {tick} after {self.next}")
        self.next = tick + n
        seen.arrivals.append((now_us, self.number, f))
        if seen.kept is not None and self.number == 0 and kind == "ticks":
            seen.kept.append(text.decode())
        if not self.ticking.done():
            self.ticking.set_result(None)


async def watch(port: int, path: str, cookies: str, count: int, seen: Seen) -> list[Viewer]:
    """Opens all connections, waits until everybody has ticks, and until a line comes in; closes them."""
    key = base64.b64encode(b"0123456789abcdef").decode()
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\nCookie: {cookies}\r\n\r\n"
    ).encode()
    viewers: list[Viewer] = []
    gate = asyncio.Semaphore(SPREAD_AT_ONCE)

    async def connect(number: int) -> None:
        async with gate:
            loop = asyncio.get_running_loop()
            _, viewer = await loop.create_connection(lambda: Viewer(number, seen, request), "127.0.0.1", port)
            viewers.append(viewer)
            await asyncio.wait_for(viewer.open, 60)

    await asyncio.gather(*(connect(number) for number in range(count)))
    gc.freeze()
    if not seen.still:
        await asyncio.gather(*(asyncio.wait_for(viewer.ticking, 60) for viewer in viewers))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for viewer in viewers:
        viewer.leaving = True
        viewer.transport.close()
    return viewers


def main(words: list[str]) -> None:
    port, path, cookies, count, out = words[:5]
    keep = words[words.index("--keep") + 1] if "--keep" in words else ""
    seen = Seen("--still" in words, bool(keep))
    viewers = asyncio.run(watch(int(port), path, cookies, int(count), seen))
    told = {
        "arrivals": seen.arrivals, "others": seen.others, "frames": seen.frames, "clock": seen.clock,
        "ends": [viewer.next for viewer in viewers], "faults": seen.faults,
    }  # fmt: skip
    Path(out).write_text(json.dumps(told))
    if keep:
        Path(keep).write_text(json.dumps(seen.kept))


if __name__ == "__main__":
    main(sys.argv[1:])
