"""Drives all rooms of this process: one task, in batches of 100 ms, in slices of at most 10 ms.

Before each batch it reads the heads of all its rooms in one question, then the new entries, and only then
moves the frontiers; a hint merely makes it read sooner. The hub starts at the first socket, because the
server has no word for "started", and its task ends by itself when nobody has watched for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from django.conf import settings

from engine import RULES
from engine.commands import decode as decode_command
from engine.errors import CommandError, EngineError
from lessons.scenarios import library
from playground.rooms import limits, permissions, wire
from playground.rooms.database import DatabaseJournal
from playground.rooms.gate import Gate
from playground.rooms.hints import RedisHints
from playground.rooms.journal import (
    NEWER_RULES,
    Asked,
    Head,
    Journal,
    JournalGone,
    Mark,
    Receipt,
    Refused,
    check_turn,
)
from playground.rooms.live import LiveRoom, maker_of, sentence
from playground.rooms.mailbox import Viewer
from playground.rooms.replica import Maker, ReplicaBroken
from playground.rooms.wire import BadFrame, Said

T = TypeVar("T")
log = logging.getLogger("mailroom.rooms")

STOPPED = "This room has been stopped: its simulation contradicted itself. Please report its address."
JOURNAL_GONE = "The server cannot reach its database: the room stands still until it can. Nothing is lost."
JOURNAL_AWAY = "The server cannot reach its database just now: do this again in a moment."
HINTS_GONE = "The server is degraded: what others do may come a little later. Nothing is lost."
NOTHING_LEFT = "Nothing more will happen in this run."
REST_US = 60_000_000
"""A replica that nobody watches is kept for a minute: people reload pages."""


def wall_now_us() -> int:
    return time.time_ns() // 1000


def steady_now_us() -> int:
    return time.monotonic_ns() // 1000


class Hub:
    """See the module. `wall`, `steady` (a clock that nobody sets) and `make` are replaced by tests."""

    def __init__(
        self,
        journal: Journal,
        wall: Callable[[], int] = wall_now_us,
        make: Callable[[str, int], Maker] | None = None,
        steady: Callable[[], int] = steady_now_us,
        rules: int = RULES,
    ) -> None:
        self.journal = journal
        self.wall = wall
        self.steady = steady
        self.compared = (wall(), steady())
        self.make = make or (lambda slug, seed: maker_of(library()[slug].scenario, seed))
        self.rules = rules
        self.gate = Gate(journal, self.make, wall, rules)
        self.rooms: dict[str, LiveRoom] = {}
        self.sockets = 0
        self.task: asyncio.Task[None] | None = None
        self.hinted = asyncio.Event()
        self.hints: RedisHints | None = None
        self.asking: asyncio.Task[int] | None = None
        self.marking: asyncio.Task[None] | None = None
        self.answered = steady()
        self.known_us = 0
        """The wall time by which frontiers are found: up to it, whatever was done is known here. By a later
        one, what was done since could happen in ticks that are told already, and a screen that is not told
        better in time, because this process is busy or gone, would show a past that never was."""
        self.gone: dict[str, str] = {}
        """What cannot be reached just now, and the sentence about it."""
        self.driven = True
        """Whether rooms are driven by a task; tests drive them by hand."""

    # -- viewers ----------------------------------------------------------------------------------

    async def join(self, code: str, viewer: Viewer) -> LiveRoom:
        """Viewer `viewer` watches room `code` from now on. Raises `Refused`."""
        room = self.rooms.get(code)
        if room is None:
            facts = await self.journal.facts(code)
            if code not in self.rooms:
                self._make_place()
            room = self.rooms.setdefault(code, LiveRoom(facts, self.make(facts.slug, facts.seed)))
        if len(room.viewers) >= limits.VIEWERS_MAX:
            raise Refused("refused", limits.VIEWERS_FULL)
        room.viewers.add(viewer)
        if room.broken:
            viewer.mailbox.put(wire.error(None, *room.broken))
        if self.gone:
            viewer.mailbox.put(wire.frame("degraded", on=True, text=self._what_is_gone()))
        if self.hints is not None:
            self.hints.start()
        self.hint()
        return room

    def _make_place(self) -> None:
        """Another room is to be shown: forget those that nobody watches any more if there are many."""
        if len(self.rooms) >= limits.ROOMS_MAX:
            self._drop_left_rooms(rest_us=0)
        if len(self.rooms) >= limits.ROOMS_MAX:
            raise Refused("refused", limits.ROOMS_FULL)

    def leave(self, room: LiveRoom, viewer: Viewer) -> None:
        room.viewers.discard(viewer)
        room.left_us = self.wall()
        room.askers = {n: asker for n, asker in room.askers.items() if asker[0] is not viewer}

    def hint(self) -> None:
        """Something has changed: read soon."""
        self.hinted.set()
        if self.driven and (self.task is None or self.task.done()):
            self.answered = self.steady()
            self.task = asyncio.get_running_loop().create_task(self._run())

    # -- driving ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        while self.rooms:
            self.hinted.clear()
            begun = time.monotonic()
            try:
                await self.batch()
            except Exception:
                log.exception("a batch failed; the next one tries again")
            rest_s = limits.BATCH_US / 1e6 - (time.monotonic() - begun)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.hinted.wait(), max(0.001, rest_s))

    async def batch(self) -> None:
        """Read the journal, move every watched room to its frontier, tell its viewers."""
        self._drop_left_rooms()
        await self._compare_clocks()
        await self._ask()
        pending = [room for room in self.rooms.values() if room.viewers and not room.broken and room.lineage]
        while pending:
            pending = [room for room in pending if not await self._slice(room)]
            await asyncio.sleep(0)
        self._mark()

    async def _ask(self) -> None:
        """Reads the journal, or goes on without it when it does not answer: rooms are lit a while yet."""
        if self.asking is None:
            self.asking = asyncio.get_running_loop().create_task(self._read_all())
        await asyncio.wait({self.asking}, timeout=limits.ANSWER_S)
        self.known_us, asked = self.wall(), self.asking
        if asked.done():
            self.asking = None
            try:
                self.known_us = asked.result()
                self.answered = self.steady()
            except JournalGone as problem:
                log.debug("the journal does not answer: %s", problem)
        silent = self.steady() - self.answered > limits.SILENT_US
        self.is_gone("journal", JOURNAL_GONE if silent else "")

    async def _read_all(self) -> int:
        """Returns up to which wall time what was done is known now."""
        known_us = self.journal.known_us(self.wall())
        watched = [code for code, room in self.rooms.items() if room.viewers and not room.broken]
        for head in await self.journal.heads(watched):
            room = self.rooms.get(head.code)
            if room is not None:
                try:
                    await self._read(room, head)
                except ReplicaBroken as problem:
                    self._distrust(room, problem)
        return known_us

    def is_gone(self, part: str, text: str) -> None:
        """`part` cannot be reached (`text` says so), or can (""). Everybody is told when that changes."""
        if self.gone.get(part, "") == text:
            return
        if text:
            log.warning("%s", text)
            self.gone[part] = text
        else:
            log.info("the %s can be reached again", part)
            del self.gone[part]
        said = wire.frame("degraded", on=bool(self.gone), text=self._what_is_gone())
        for room in self.rooms.values():
            for viewer in room.viewers:
                viewer.mailbox.put(said)

    def _what_is_gone(self) -> str:
        return self.gone.get("journal") or next(iter(self.gone.values()), "")

    async def _read(self, room: LiveRoom, head: Head) -> None:
        code = head.code
        if head.rules != self.rules:
            log.warning("room %s has rules %d: it is not shown here any more", code, head.rules)
            room.stop(NEWER_RULES, "other_rules")
            return
        if room.is_elsewhere(head):
            lineage = await self.journal.lineage(code, head.epoch)
            entries = await self.journal.entries(code, head.epoch, 0)
            stored = await self.journal.marks(code, head.epoch)
            room.go_on_in(head, lineage, entries, stored, self.make(room.facts.slug, lineage[-1].seed))
        elif head.seq > room.replica.seq:
            room.read(head, await self.journal.entries(code, head.epoch, room.replica.seq))
        else:
            room.read(head, [])

    async def _compare_clocks(self) -> None:
        """When the wall clock was set, our rooms go on as their screens do, by the steady one."""
        wall_us, steady_us = self.wall(), self.steady()
        passed_us = steady_us - self.compared[1]
        should_be_us = self.compared[0] + passed_us
        compared, self.compared = self.compared, (wall_us, steady_us)
        if abs(wall_us - should_be_us) <= limits.WALL_SET_BACK_US:
            return
        watched = [code for code, room in self.rooms.items() if room.viewers]
        try:
            await self.journal.rebase(watched, should_be_us)
        except JournalGone:
            self.compared = compared

    async def _slice(self, room: LiveRoom) -> bool:
        """Ten milliseconds of one room. Returns whether it needs no more in this batch."""
        if room.broken or not room.lineage:
            return True
        try:
            frontier = room.frontier_tick(min(self.known_us, self.wall()))
            done = room.replica.work(frontier, time.monotonic() + limits.SLICE_S)
            return done and await self._deliver(room)
        except ReplicaBroken as problem:
            self._distrust(room, problem)
        except EngineError as problem:
            self._stop(room, problem)
        return True

    async def _deliver(self, room: LiveRoom) -> bool:
        """Tells the viewers, some hundreds in a row. False when the room has become another meanwhile."""
        room.made.clear()
        viewers, known = list(room.viewers), (room.replica.epoch, room.replica.seq)
        for start in range(0, len(viewers), limits.TOLD_AT_ONCE):
            if start:
                await asyncio.sleep(0)
                if room.broken or (room.replica.epoch, room.replica.seq) != known:
                    return False
            room.deliver(viewers[start : start + limits.TOLD_AT_ONCE], self.wall())
        room.answer()
        return True

    # -- the past is what was shown ---------------------------------------------------------------

    def _mark(self) -> None:
        """Stores digests of what lies behind everybody, beside all else; what differs from them is found."""
        if self.marking is not None and not self.marking.done():
            return
        watched = (room for room in self.rooms.values() if room.viewers and not room.broken and room.lineage)
        marks = [mark for room in watched for mark in room.unmarked()]
        if marks:
            self.marking = asyncio.get_running_loop().create_task(self._store(marks))

    async def _store(self, marks: list[Mark]) -> None:
        try:
            stored = await self.journal.mark(marks, self.rules)
        except JournalGone as problem:
            log.debug("digests wait for the journal: %s", problem)
            return
        for mark in stored:
            room = self.rooms.get(mark.code)
            if room is None or room.broken or not room.lineage or room.replica.epoch != mark.epoch:
                continue
            try:
                room.replica.hold_to({mark.tick: mark.digest})
                room.reloaded = False
            except ReplicaBroken as problem:
                self._distrust(room, problem)

    def _distrust(self, room: LiveRoom, problem: ReplicaBroken) -> None:
        """What is held of this room contradicts what was shown: begin it anew, once; then it has stopped."""
        if room.reloaded:
            self._stop(room, problem)
        else:
            log.warning("room %s is loaded anew: %s", room.facts.code, problem)
            room.reload()
            self.hint()

    def _stop(self, room: LiveRoom, problem: Exception) -> None:
        log.error("room %s has been stopped", room.facts.code, exc_info=problem)
        room.stop(STOPPED)

    def _drop_left_rooms(self, rest_us: int = REST_US) -> None:
        now_us = self.wall()
        for code, room in list(self.rooms.items()):
            if not room.viewers and now_us - room.left_us >= rest_us:
                del self.rooms[code]

    # -- commands ---------------------------------------------------------------------------------

    async def command(self, room: LiveRoom, viewer: Viewer, said: Said) -> None:
        """One command from a socket: into the journal, once, and `done`. Raises `BadFrame`."""
        check_allowed(viewer.role, said)
        await self._compare_clocks()
        asked = Asked(viewer.seat, said.id, said.epoch, said.from_us, self.rules)
        try:
            receipt = await self._surely(lambda: self._append(room, asked, said))
        except CommandError as problem:
            raise BadFrame("bad_arguments", sentence(str(problem)), said.id) from None
        except Refused as refusal:
            raise BadFrame(refusal.code, refusal.text, said.id) from None
        viewer.mailbox.put(wire.frame("done", id=said.id, seq=receipt.seq, at_us=receipt.at_us))
        if receipt.n is not None:
            room.askers[receipt.n] = (viewer, said.id)
        self.hint()
        if self.hints is not None:
            self.hints.send(room.facts.code)

    async def _surely(self, act: Callable[[], Awaitable[T]]) -> T:
        """Does `act`, again while the journal is away for a moment: who asks twice is answered the same."""
        until_us = self.steady() + limits.TRIES_US
        while True:
            try:
                return await asyncio.wait_for(act(), limits.TRIES_US / 1e6)
            except (JournalGone, TimeoutError):
                if self.steady() >= until_us:
                    raise Refused("refused", JOURNAL_AWAY) from None
                await asyncio.sleep(0.25)

    async def _append(self, room: LiveRoom, asked: Asked, said: Said) -> Receipt:
        code = room.facts.code
        if said.cmd not in permissions.CLOCK_COMMANDS:
            return await self.journal.command(code, asked, decode_command(said.cmd, dict(said.args)))
        turn = check_turn(said.cmd, dict(said.args))
        if said.from_us is not None:
            raise Refused("bad_arguments", f"{said.cmd} takes no from_us.")
        if said.cmd == "Step":
            turn = msgspec.structs.replace(turn, sim_us=await self._next_moment(room))
        return await self.journal.turn(code, asked, turn)

    async def _next_moment(self, room: LiveRoom) -> int:
        """When something happens next after what will be on the screen when a step takes effect."""
        head = await self.journal.head(room.facts.code)
        after_us = max(head.clock.at(self.wall() + limits.TAKES_EFFECT_US), head.clock.shown_us)
        found = room.replica.next_event_us(after_us)
        if found is None and not room.replica.simulation.ended:
            found = await asyncio.to_thread(room.replica.look_ahead())
        if found is None:
            raise Refused("run_over", NOTHING_LEFT)
        return max(found, after_us)

    async def close(self) -> None:
        """The process stops: end the driving task."""
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.task
        if self.marking is not None:
            await asyncio.wait({self.marking}, timeout=limits.ANSWER_S)
        if self.hints is not None:
            await self.hints.close()
        await asyncio.to_thread(self.journal.close)


def check_allowed(role: permissions.Role, said: Said) -> None:
    """Raises `BadFrame` when there is no such command or `role` may not say it."""
    if not permissions.known(said.cmd):
        raise BadFrame("unknown_command", "There is no such command.", said.id)
    if not permissions.may(role, said.cmd):
        raise BadFrame("not_allowed", permissions.WHY_NOT[role], said.id)


def hints_of(hub: Hub, url: str) -> RedisHints:
    """What makes `hub` read sooner when another process has changed a room."""

    def heard(code: str) -> None:
        if code in hub.rooms:
            hub.hint()

    return RedisHints(url, heard, lambda there: hub.is_gone("hints", "" if there else HINTS_GONE))


_hub: Hub | None = None


def the_hub() -> Hub:
    """This process's hub, made at the first call."""
    global _hub
    if _hub is None:
        journal = DatabaseJournal()
        _hub = Hub(journal, journal.now_us)
        if settings.REDIS_URL:
            _hub.hints = hints_of(_hub, settings.REDIS_URL)
    return _hub


def install(hub: Hub | None) -> None:
    """Put another hub in its place (None: a new one at the next call). For tests."""
    global _hub
    _hub = hub
