"""The sockets: thin. They decode, ask the hub, and hand on what the mailbox holds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from engine import RULES
from lessons.scenarios import library
from playground import seats
from playground.rooms import limits, wire
from playground.rooms.direct import Direct, direct_of
from playground.rooms.history import recording_of
from playground.rooms.hub import JOURNAL_GONE, Hub, check_allowed, the_hub
from playground.rooms.journal import JournalGone, NotYet, Refused
from playground.rooms.mailbox import Viewer
from playground.rooms.permissions import OWNER, VIEWER, VISITOR, Role
from playground.rooms.playing import Playback
from playground.rooms.throttle import Bucket
from playground.rooms.wire import BadFrame, Said, Seen, Watch

RESTARTS = "The server restarts: this page comes back by itself in a moment."
log = logging.getLogger("mailroom.sockets")

GONE, TOO_LARGE, TOO_SLOW, RESTART, FAULT = 4004, 1009, 4008, 1012, 1011

SENSELESS = frozenset({"bad_frame", "unknown_command", "bad_arguments"})
"""Codes of what no honest browser sends again and again."""

FAREWELL_S = 0.2
"""What is written leaves in a later turn of the event loop; without this it would be thrown away."""


class StageConsumer(AsyncWebsocketConsumer):
    """What a room's and a recording's sockets have in common. `arrive` says hello, `handle` does the rest."""

    open_sockets: ClassVar[set[StageConsumer]] = set()
    writer: asyncio.Task[None] | None = None
    viewer: Viewer | None = None
    direct: Direct | None = None

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        """One message after the other, as Channels does it but for what is not needed here: it makes two
        tasks for each message, and goes to a thread to close database connections, which no socket has."""
        self.scope, self.base_send = scope, send
        handlers = {
            "websocket.connect": self.websocket_connect,
            "websocket.receive": self.websocket_receive,
            "websocket.disconnect": self.websocket_disconnect,
        }
        try:
            while True:
                message = await receive()
                await handlers[message["type"]](message)
        except StopConsumer:
            return
        except BaseException:
            await self.disconnect(FAULT)  # nobody else takes this viewer out of its room
            raise

    async def connect(self) -> None:
        await self.accept()
        self.hub: Hub = the_hub()
        self.commands = Bucket(limits.COMMANDS_BURST, limits.COMMANDS_PER_S)
        self.watches = Bucket(limits.WATCHES_BURST, limits.WATCHES_PER_S)
        self.frames = Bucket(limits.FRAMES_IN_BURST, limits.FRAMES_IN_PER_S)
        self.throttled = Bucket(limits.THROTTLED_MAX, limits.THROTTLED_PER_S)
        self.nonsense = Bucket(limits.BAD_FRAMES_MAX, limits.BAD_FRAMES_PER_S)
        self.leaving = False
        try:
            if len(self.open_sockets) >= limits.SOCKETS_MAX:
                raise Refused("refused", limits.SOCKETS_FULL)
            self.open_sockets.add(self)
            self.viewer = await self.arrive()
        except NotYet as refusal:
            await self.send(wire.frame("degraded", on=True, text=refusal.text))
            await self.close(RESTART)
            return
        except Refused as refusal:
            await self.send(wire.error(None, refusal.code, refusal.text))
            await self.close(GONE)
            return
        except JournalGone:
            await self.send(wire.frame("degraded", on=True, text=JOURNAL_GONE))
            await self.close(RESTART)
            return
        self.writer = asyncio.create_task(self._write(self.viewer))
        self.direct = direct_of(self.scope)
        if self.direct is not None:
            self.viewer.mailbox.write = self.direct.write
            self.direct.seen = self._seen_directly

    async def disconnect(self, code: int) -> None:
        self.open_sockets.discard(self)
        self._leave_direct_way()
        if self.writer is not None:
            self.writer.cancel()
        if self.viewer is not None:
            self.depart(self.viewer)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        viewer = self.viewer
        if viewer is None or self.leaving:
            return
        if len(text_data or bytes_data or "") > limits.FRAME_IN_BYTES_MAX:
            await self._send_away(TOO_LARGE, limits.FRAME_IN_TOO_LARGE)
            return
        try:
            self._hold_back(self.frames, limits.FRAMES_TOO_FAST)
            if text_data is None:
                raise BadFrame("bad_frame", "A frame must be text.")
            frame = wire.decode(text_data)
            if isinstance(frame, Said):
                self._hold_back(self.commands, limits.TOO_FAST, frame.id)
            if isinstance(frame, Watch):
                self._hold_back(self.watches, limits.WATCHED_TOO_OFTEN)
            await self.handle(viewer, frame)
        except BadFrame as problem:
            viewer.mailbox.put(wire.error(problem.id, problem.code, problem.text))
            await self._count(problem.code)

    def _hold_back(self, bucket: Bucket, text: str, id: str | None = None) -> None:
        if not bucket.take(self.hub.wall()):
            raise BadFrame("too_fast", text, id)

    async def _count(self, code: str) -> None:
        """Who goes on too fast, or only sends what makes no sense, is sent away. What a room refuses is no
        reason: people click."""
        now_us = self.hub.wall()
        if code == "too_fast" and not self.throttled.take(now_us):
            await self._send_away(TOO_SLOW, limits.THROTTLED)
        if code in SENSELESS and not self.nonsense.take(now_us):
            await self._send_away(TOO_SLOW, limits.BAD_FRAMES)

    async def _send_away(self, code: int, reason: str) -> None:
        """Close, once, with a reason, and one line in the log."""
        if self.leaving:
            return
        self.leaving = True
        self._leave_direct_way()
        if self.writer is not None:
            self.writer.cancel()
        log.info("a socket of %s was closed: %s", self.scope["path"], reason)
        await self.close(code, reason)

    async def _write(self, viewer: Viewer) -> None:
        """Hands on what the mailbox holds. A socket that fails is closed: its browser then comes back.

        Servers raise `OSError` when the other end has gone (ASGI's word for it); all else is a fault of ours.
        """
        try:
            while (text := await viewer.mailbox.get()) is not None:
                await self.send(text)
                viewer.mailbox.sent()
        except OSError as problem:
            log.info("a browser at %s has gone: %s", self.scope["path"], problem or type(problem).__name__)
            await self._close_quietly(RESTART)
        except Exception:
            log.exception("a frame for %s could not be sent", self.scope["path"])
            await self._close_quietly(FAULT)
        else:
            self.writer = None
            await self._send_away(TOO_SLOW, limits.WAITING_TOO_LONG)

    async def _close_quietly(self, code: int) -> None:
        with contextlib.suppress(Exception):
            await self.close(code)

    def _leave_direct_way(self) -> None:
        if self.direct is not None and self.viewer is not None:
            self.viewer.mailbox.write = self.direct.seen = None

    def _seen_directly(self, f: int) -> bool:
        """An acknowledgement that comes the direct way. One above the rate goes the other: it is answered."""
        if self.viewer is None or not self.frames.take(self.hub.wall()):
            return False
        self.saw(self.viewer, f)
        return True

    def saw(self, viewer: Viewer, f: int) -> None:
        """Frame `f` has been taken in."""
        viewer.seen(f)

    async def arrive(self) -> Viewer:
        raise NotImplementedError

    async def handle(self, viewer: Viewer, frame: Watch | Seen | Said) -> None:
        raise NotImplementedError

    def depart(self, viewer: Viewer) -> None:
        raise NotImplementedError


class RoomConsumer(StageConsumer):
    """A room's socket: everybody watches, its owner commands."""

    async def arrive(self) -> Viewer:
        code = self.scope["url_route"]["kwargs"]["code"]
        token = seats.token_of_scope(self.scope)
        facts, head = await self.hub.gate.admit(code)
        role: Role = OWNER if seats.is_owner(token, facts.owner) else VIEWER
        viewer = Viewer(role, seats.seat_in(token, code))
        branch = (await self.hub.journal.lineage(code, head.epoch))[-1]
        viewer.mailbox.put(
            wire.frame(
                "hello", v=1, role=role, seat=viewer.seat, room=code, slug=facts.slug,
                epoch=head.epoch, seed=branch.seed, rules=facts.rules, length_us=facts.length_us,
                batch_us=head.clock.batch_us, lit_until_us=head.clock.lit_until_us,
                chunks=f"/history/room/{code}/",
            )
        )  # fmt: skip
        self.room = await self.hub.join(code, viewer)
        return viewer

    async def handle(self, viewer: Viewer, frame: Watch | Seen | Said) -> None:
        match frame:
            case Watch():
                viewer.wish = frame
                viewer.unseen.clear()
                self.hub.hint()
            case Seen(f=f):
                self.saw(viewer, f)
            case Said():
                await self.hub.command(self.room, viewer, frame)

    def depart(self, viewer: Viewer) -> None:
        self.hub.leave(self.room, viewer)


class RecordingConsumer(StageConsumer):
    """A recording's socket: ticks for whoever watches by a clock of their own."""

    async def arrive(self) -> Viewer:
        slug = self.scope["url_route"]["kwargs"]["slug"]
        if slug not in library():
            raise Refused("no_room", "There is no scenario with this name.")
        recording = await asyncio.to_thread(recording_of, slug)
        viewer = Viewer(VISITOR, "")
        self.playback = Playback(recording, viewer)
        viewer.mailbox.put(
            wire.frame(
                "hello", v=1, role=VISITOR, seat="", room="", slug=slug, epoch=0, seed=recording.seed,
                rules=RULES, length_us=recording.length_us, batch_us=limits.BATCH_US, lit_until_us=0,
                chunks="",
            )
        )  # fmt: skip
        return viewer

    async def handle(self, viewer: Viewer, frame: Watch | Seen | Said) -> None:
        match frame:
            case Watch():
                self.playback.watch(frame)
            case Seen(f=f):
                self.saw(viewer, f)
            case Said():
                check_allowed(VISITOR, frame)

    def saw(self, viewer: Viewer, f: int) -> None:
        viewer.seen(f)
        self.playback.has_room.set()

    def depart(self, viewer: Viewer) -> None:
        self.playback.stop()


async def close_all() -> None:
    """The process stops: tell every socket to come back (1012), and stop driving rooms."""
    told = list(StageConsumer.open_sockets)
    for consumer in told:
        with contextlib.suppress(Exception):
            await consumer.send(wire.frame("restart", text=RESTARTS))
            await consumer.close(RESTART)
    await the_hub().close()
    if told:
        await asyncio.sleep(FAREWELL_S)
