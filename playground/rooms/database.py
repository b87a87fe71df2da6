"""Rooms in a database, SQLite or PostgreSQL: one transaction for each command, under the room's lock.

SQLite takes its write lock at BEGIN IMMEDIATE, PostgreSQL the row's by SELECT … FOR UPDATE; only then the
wall time is read: the database's own on PostgreSQL, this machine's beside SQLite. Three threads of our own do
the work, for transactions, for reading and for digests of the past, which no command waits for; all other ORM
calls of a process share one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import BigIntegerField, Func
from django.db.utils import IntegrityError

from engine.commands import AnyCommand
from playground import models
from playground.rooms import limits
from playground.rooms.clock import Clock
from playground.rooms.journal import (
    Asked,
    Branch,
    Entry,
    Facts,
    First,
    Head,
    JournalGone,
    Mark,
    NewRoom,
    Receipt,
    Refused,
    Turn,
    new_code,
    promised,
    visible,
)
from playground.rooms.room import Room, needs_light, opened

T = TypeVar("T")

HEAD = ("code", "epoch", "seq", "clock", "rules")
FACTS = ("code", "slug", "seed", "rules", "owner", "length_us")


def host_now_us() -> int:
    return time.time_ns() // 1000


class DatabaseJournal:
    """See the module. `host` tells this machine's wall time in µs, `steady` a time that nobody sets."""

    def __init__(
        self, host: Callable[[], int] = host_now_us, steady: Callable[[], int] | None = None
    ) -> None:
        self.host = host
        self.steady = steady or (lambda: time.monotonic_ns() // 1000)
        self.offset_us: int | None = None
        self.lock = threading.Lock()
        self.stamped_us = limits.NEVER_US
        """When the transaction that is under way in this process was stamped, or a moment before."""
        self.writing = ThreadPoolExecutor(1, "journal")
        self.reading = ThreadPoolExecutor(1, "journal-reads")
        self.marking = ThreadPoolExecutor(1, "journal-marks")
        if connection.vendor == "postgresql":
            self.reading.submit(_guarded, self._measure).exception()

    # -- the wall time ----------------------------------------------------------------------------

    def now_us(self) -> int:
        """The wall time as the database has it, as far as it has been asked."""
        return self.host() if self.offset_us is None else self.steady() + self.offset_us

    def known_us(self, wall_us: int) -> int:
        return min(wall_us, self.stamped_us)

    def _wall(self) -> int:
        """The wall time now, asked after the lock was taken."""
        if connection.vendor != "postgresql":
            return self.host()
        with connection.cursor() as cursor:
            cursor.execute("SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint")
            return int(cursor.fetchone()[0])

    def _measure(self) -> None:
        before = self.steady()
        self._compare(before, self._wall())

    def _compare(self, before_us: int, wall_us: int) -> None:
        """The database said `wall_us` between steady `before_us` and now: our idea is moved into that."""
        least, most = wall_us - self.steady(), wall_us - before_us
        with self.lock:
            known = self.offset_us
            self.offset_us = (least + most) // 2 if known is None else min(max(known, least), most)

    # -- transactions -----------------------------------------------------------------------------

    async def open(self, new: NewRoom, asked: Asked, command: First | None) -> tuple[Facts, bool]:
        return await self._run(self.writing, lambda: self._open(new, asked, command))

    def _open(self, new: NewRoom, asked: Asked, command: First | None) -> tuple[Facts, bool]:
        for _ in range(3):
            known = self._opened(asked)
            if known is not None:
                return known, False
            try:
                with transaction.atomic():
                    return self._insert(new, asked, command), True
            except IntegrityError:  # the same asking in another process, or a code that is taken
                continue
        raise Refused("refused", limits.ROOMS_FULL)

    def _opened(self, asked: Asked) -> Facts | None:
        row = models.Room.objects.filter(owner=asked.seat, opened_id=asked.id).values_list(*FACTS).first()
        return None if row is None else Facts(*row)

    def _insert(self, new: NewRoom, asked: Asked, first: First | None) -> Facts:
        wall_us = self._wall()
        self._make_place(wall_us)
        room = opened(new_code(), new, wall_us)
        if first is not None:
            seated = msgspec.structs.replace(asked, seat=first.seat_in(room.facts.code))
            room.command(wall_us, seated, first.command)
        facts = msgspec.structs.asdict(room.facts)
        models.Room.objects.create(opened_id=asked.id, **{**facts, **_row(room)})
        _write(room)
        return room.facts

    def _make_place(self, wall_us: int) -> None:
        """Forgets rooms that have expired; refuses another when there are too many still."""
        rooms = models.Room.objects
        expired = rooms.filter(lit_until_us__lt=wall_us - limits.ROOM_FORGOTTEN_US)
        rooms.filter(pk__in=list(expired.values_list("pk", flat=True)[:20])).delete()
        if rooms.count() >= limits.ROOMS_STORED_MAX:
            raise Refused("refused", limits.ROOMS_FULL)

    async def command(self, code: str, asked: Asked, command: AnyCommand) -> Receipt:
        return await self._act(code, asked, lambda room, wall_us: room.command(wall_us, asked, command))

    async def turn(self, code: str, asked: Asked, turn: Turn) -> Receipt:
        return await self._act(code, asked, lambda room, wall_us: room.turn(wall_us, asked, turn))

    async def _act(self, code: str, asked: Asked | None, act: Callable[[Room, int], T]) -> T:
        return await self._run(self.writing, lambda: self._transact(code, asked, act))

    def _transact(self, code: str, asked: Asked | None, act: Callable[[Room, int], T]) -> T:
        """One transaction. What `act` has changed is stored also where it refuses: time has passed."""
        try:
            with transaction.atomic():
                row = models.Room.objects.select_for_update().filter(pk=code).first()
                if row is None:
                    raise no_room()
                room = _load(row, asked)
                refusal, result = None, None
                self.stamped_us = self.now_us()
                try:
                    result = act(room, self._wall())
                except Refused as problem:
                    refusal = problem
                models.Room.objects.filter(pk=code).update(**_row(room))
                _write(room)
        finally:
            self.stamped_us = limits.NEVER_US
        if refusal is not None:
            raise refusal
        return result  # type: ignore[return-value]

    async def rebase(self, codes: Collection[str], should_be_us: int) -> None:
        def all_of_them() -> None:
            for code in sorted(codes):
                self._transact(code, None, lambda room, wall_us: room.rebase(wall_us, should_be_us))

        await self._run(self.writing, all_of_them)

    # -- reading ----------------------------------------------------------------------------------

    async def facts(self, code: str) -> Facts:
        rows = await self._run(
            self.reading, lambda: list(models.Room.objects.filter(pk=code).values_list(*FACTS))
        )
        if not rows:
            raise no_room()
        return Facts(*rows[0])

    async def head(self, code: str) -> Head:
        heads = await self._run(self.reading, lambda: self._heads([code]))
        if not heads:
            raise no_room()
        return heads[0]

    async def heads(self, watched: Collection[str]) -> list[Head]:
        if not watched:
            return []
        heads = await self._run(self.reading, lambda: self._heads(watched))
        wall_us = self.now_us()
        dim = sorted(head.code for head in heads if needs_light(head.clock, wall_us))
        if not dim:
            return heads
        lit = await self._run(self.writing, lambda: self._light(dim))
        return [lit.get(head.code, head) for head in heads]

    def _heads(self, codes: Collection[str]) -> list[Head]:
        rooms = models.Room.objects.filter(pk__in=codes)
        if connection.vendor != "postgresql":
            return [_head(*row) for row in rooms.values_list(*HEAD)]
        before = self.steady()
        rows = list(rooms.values_list(*HEAD, _DatabaseNow()))
        if rows:
            self._compare(before, rows[0][-1])
        return [_head(*row[:-1]) for row in rows]

    def _light(self, codes: list[str]) -> dict[str, Head]:
        """Renews the light of rooms, all in one transaction; the heads after it."""
        lit = {}
        with transaction.atomic():
            rows = list(models.Room.objects.select_for_update().filter(pk__in=codes).order_by("pk"))
            wall_us = self._wall()
            for row in rows:
                room = _load(row, None)
                room.light(wall_us)
                models.Room.objects.filter(pk=row.pk).update(**_row(room))
                _write(room)
                lit[row.pk] = room.head()
        return lit

    async def lineage(self, code: str, epoch: int) -> list[Branch]:
        return await self._run(self.reading, lambda: self._lineage(code, epoch))

    def _lineage(self, code: str, epoch: int) -> list[Branch]:
        rows = models.Branch.objects.filter(room=code, epoch__lte=epoch).values_list(
            *Branch.__struct_fields__
        )
        branches = {row[0]: Branch(*row) for row in rows}
        lineage: list[Branch] = []
        wanted: int | None = epoch
        while wanted is not None:
            if wanted not in branches:
                raise Refused("no_room", "This room has no such branch.")
            lineage.append(branches[wanted])
            wanted = lineage[-1].parent
        return lineage[::-1]

    async def entries(self, code: str, epoch: int, after_seq: int) -> list[Entry]:
        def read() -> list[Entry]:
            lineage = self._lineage(code, epoch)
            rows = models.Entry.objects.filter(
                room=code, epoch__in=[branch.epoch for branch in lineage], seq__gt=after_seq
            ).values_list("seq", "n", "at_us", "command", "epoch")
            entries = (
                Entry(seq, n, at_us, _commands.decode(bytes(command)), made_in)
                for seq, n, at_us, command, made_in in rows
            )
            return visible(lineage, entries, after_seq)

        return await self._run(self.reading, read)

    # -- digests of the past ----------------------------------------------------------------------

    async def marks(self, code: str, epoch: int) -> dict[int, str]:
        def read() -> dict[int, str]:
            lineage = self._lineage(code, epoch)
            rows = models.TickDigest.objects.filter(
                room=code, epoch__in=[branch.epoch for branch in lineage]
            ).values_list("room_id", "epoch", "tick", "digest")
            return promised(lineage, (Mark(*row) for row in rows))

        return await self._run(self.reading, read)

    async def mark(self, marks: Sequence[Mark], rules: int) -> list[Mark]:
        return await self._run(self.marking, lambda: self._mark(marks, rules))

    def _mark(self, marks: Sequence[Mark], rules: int) -> list[Mark]:
        stored = self._marked(marks)
        missing = [mark for mark in marks if _place(mark) not in stored]
        if not missing:
            return list(stored.values())
        with transaction.atomic():
            rooms = models.Room.objects.select_for_update().filter(pk__in={m.code for m in missing})
            ours = set(rooms.filter(rules=rules).order_by("pk").values_list("pk", flat=True))
            models.TickDigest.objects.bulk_create(
                (
                    models.TickDigest(room_id=mark.code, epoch=mark.epoch, tick=mark.tick, digest=mark.digest)
                    for mark in missing
                    if mark.code in ours
                ),
                ignore_conflicts=True,
            )
        return list(self._marked(marks).values())

    async def move_up(self, code: str, seen: Head, rules: int) -> None:
        await self._act(code, None, lambda room, wall_us: room.move_up(wall_us, seen, rules))

    def _marked(self, marks: Sequence[Mark]) -> dict[tuple[str, int, int], Mark]:
        rows = models.TickDigest.objects.filter(
            room__in={mark.code for mark in marks}, tick__in={mark.tick for mark in marks}
        ).values_list("room_id", "epoch", "tick", "digest")
        places = {_place(mark) for mark in marks}
        return {_place(mark): mark for mark in (Mark(*row) for row in rows) if _place(mark) in places}

    # -- threads ----------------------------------------------------------------------------------

    async def _run(self, thread: ThreadPoolExecutor, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, _guarded, act)

    def close(self) -> None:
        """The process stops. What was begun is finished."""
        for thread in (self.writing, self.reading, self.marking):
            thread.submit(connection.close)
            thread.shutdown()


_commands = msgspec.msgpack.Decoder(AnyCommand)
_clocks = msgspec.msgpack.Decoder(Clock)


class _DatabaseNow(Func):
    """PostgreSQL's wall time in µs."""

    template = "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint"
    output_field = BigIntegerField()


def _guarded(act: Callable[[], T]) -> T:
    """A database that fails is left for good: the next one to ask connects anew."""
    try:
        return act()
    except IntegrityError:
        raise
    except (DatabaseError, InterfaceError) as problem:
        connection.close()
        raise JournalGone(str(problem)) from problem


def no_room() -> Refused:
    return Refused("no_room", "There is no room with this code any more.")


def _place(mark: Mark) -> tuple[str, int, int]:
    return mark.code, mark.epoch, mark.tick


def _head(code: str, epoch: int, seq: int, clock: bytes, rules: int) -> Head:
    return Head(code, epoch, seq, _clocks.decode(bytes(clock)), rules)


class _Shelf(dict[Any, Any]):
    """What is looked up and added; `added` are those that a transaction has put in."""

    def __init__(self, *known: tuple[Any, Any]) -> None:
        super().__init__(known)
        self.added: dict[Any, Any] = {}

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self.added[key] = value


class _Branches(_Shelf):
    """A room's branches, read one at a time when they are asked for."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code

    def get(self, epoch: int, default: Any = None) -> Any:
        if epoch not in self:
            rows = models.Branch.objects.filter(room=self.code, epoch=epoch)
            self.update((row[0], Branch(*row)) for row in rows.values_list(*Branch.__struct_fields__))
        return super().get(epoch, default)


def _load(row: models.Room, asked: Asked | None) -> Room:
    """The room as its transactions want it, with the receipt of `asked` if there is one."""
    room = Room(Facts(*(getattr(row, name) for name in FACTS)), _clocks.decode(bytes(row.clock)))
    room.epoch, room.seq, room.n, room.commands = row.epoch, row.seq, row.n, row.commands
    room.receipts, room.branches = _Shelf(), _Branches(row.pk)
    if asked is not None:
        found = models.Receipt.objects.filter(room=row, seat=asked.seat, asked_id=asked.id)
        known = (Receipt(*columns) for columns in found.values_list("seq", "n", "at_us"))
        room.receipts = _Shelf(*(((asked.seat, asked.id), receipt) for receipt in known))
    return room


def _write(room: Room) -> None:
    """Stores what a transaction has added to the room."""
    code = room.facts.code
    models.Entry.objects.bulk_create(
        models.Entry(
            room_id=code, seq=entry.seq, n=entry.n, at_us=entry.at_us, epoch=entry.epoch,
            command=msgspec.msgpack.encode(entry.command),
        )
        for entry in room.entries
    )  # fmt: skip
    models.ClockEntry.objects.bulk_create(
        models.ClockEntry(room_id=code, seq=seq, piece=msgspec.msgpack.encode(piece))
        for seq, piece in room.clock_entries
    )
    models.Receipt.objects.bulk_create(
        models.Receipt(room_id=code, seat=seat, asked_id=id, **msgspec.structs.asdict(receipt))
        for (seat, id), receipt in _added(room.receipts).items()
    )
    for epoch, branch in _added(room.branches).items():
        models.Branch.objects.update_or_create(
            room_id=code, epoch=epoch, defaults=msgspec.structs.asdict(branch)
        )


def _added(shelf: Any) -> dict[Any, Any]:
    """What is new on a shelf: all of it where the room is new."""
    return shelf.added if isinstance(shelf, _Shelf) else shelf


def _row(room: Room) -> dict[str, Any]:
    """The columns that transactions change."""
    return {
        "clock": msgspec.msgpack.encode(room.clock),
        "rules": room.facts.rules,
        "epoch": room.epoch,
        "seq": room.seq,
        "n": room.n,
        "commands": room.commands,
        "lit_until_us": room.clock.lit_until_us,
        "shown_us": room.clock.shown_us,
    }
