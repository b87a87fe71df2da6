"""Rooms in memory, by the same transactions as those in a database: for tests with a wall clock of their own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec

from engine.commands import AnyCommand
from playground.rooms.journal import (
    Asked,
    Branch,
    Entry,
    Facts,
    First,
    Head,
    Mark,
    NewRoom,
    Receipt,
    Refused,
    Turn,
    new_code,
    promised,
    visible,
)  # fmt: skip
from playground.rooms.room import Room, opened


class MemoryJournal:
    """`wall` tells the time in µs."""

    def __init__(self, wall: Callable[[], int]) -> None:
        self.wall = wall
        self.rooms: dict[str, Room] = {}
        self.asked: dict[tuple[str, str], str] = {}
        self.marked: dict[tuple[str, int, int], Mark] = {}
        self.stored = 0

    def now_us(self) -> int:
        return self.wall()

    def known_us(self, wall_us: int) -> int:
        return wall_us

    async def open(self, new: NewRoom, asked: Asked, command: First | None) -> tuple[Facts, bool]:
        known = self.asked.get((asked.seat, asked.id))
        if known is not None:
            return self.rooms[known].facts, False
        room = opened(new_code(), new, self.wall())
        if command is not None:
            seated = msgspec.structs.replace(asked, seat=command.seat_in(room.facts.code))
            room.command(self.wall(), seated, command.command)
        self.rooms[room.facts.code] = room
        self.asked[asked.seat, asked.id] = room.facts.code
        return room.facts, True

    async def facts(self, code: str) -> Facts:
        return self._room(code).facts

    async def command(self, code: str, asked: Asked, command: AnyCommand) -> Receipt:
        return self._room(code).command(self.wall(), asked, command)

    async def turn(self, code: str, asked: Asked, turn: Turn) -> Receipt:
        return self._room(code).turn(self.wall(), asked, turn)

    async def head(self, code: str) -> Head:
        return self._room(code).head()

    async def heads(self, watched: Collection[str]) -> list[Head]:
        present = [self.rooms[code] for code in watched if code in self.rooms]
        for room in present:
            room.light(self.wall())
        return [room.head() for room in present]

    async def rebase(self, codes: Collection[str], should_be_us: int) -> None:
        for code in codes:
            self._room(code).rebase(self.wall(), should_be_us)

    async def lineage(self, code: str, epoch: int) -> list[Branch]:
        room = self._room(code)
        lineage: list[Branch] = []
        wanted: int | None = epoch
        while wanted is not None:
            branch = room.branches.get(wanted)
            if branch is None:
                raise Refused("no_room", "This room has no such branch.")
            lineage.append(branch)
            wanted = branch.parent
        return lineage[::-1]

    async def entries(self, code: str, epoch: int, after_seq: int) -> list[Entry]:
        return visible(await self.lineage(code, epoch), self._room(code).entries, after_seq)

    async def marks(self, code: str, epoch: int) -> dict[int, str]:
        mine = (mark for mark in self.marked.values() if mark.code == code)
        return promised(await self.lineage(code, epoch), mine)

    async def mark(self, marks: Sequence[Mark], rules: int) -> list[Mark]:
        self.stored += 1
        found = []
        for mark in marks:
            place = mark.code, mark.epoch, mark.tick
            if self._room(mark.code).facts.rules == rules:
                self.marked.setdefault(place, mark)
            found += [self.marked[place]] if place in self.marked else []
        return found

    async def move_up(self, code: str, seen: Head, rules: int) -> None:
        self._room(code).move_up(self.wall(), seen, rules)

    def close(self) -> None:
        """There is nothing to end."""

    def _room(self, code: str) -> Room:
        room = self.rooms.get(code)
        if room is None:
            raise Refused("no_room", "There is no room with this code any more.")
        return room
