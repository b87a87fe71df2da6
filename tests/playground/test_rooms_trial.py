"""Rooms under trouble: late and lost hints, two processes, a viewer that hops, a wall clock that is set.

Equal digests alone hide the real faults, so three things are counted besides: commands stamped before
what a screen had shown, a shown past that was revised, a clock that went back. And each of four planted
faults must be found, or this test could not find a real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from engine import RULES
from lessons.scenarios import library
from playground.rooms.hub import Hub
from playground.rooms.journal import Asked, NewRoom, Refused, visible
from playground.rooms.limits import TICK_US
from playground.rooms.live import LiveRoom, maker_of
from playground.rooms.mailbox import Viewer
from playground.rooms.replica import Maker, Replica
from playground.rooms.room import Room
from playground.rooms.wire import BadFrame, Said
from tests.playground.fakes import Browser, Wall, fake_maker, hub_of
from tests.playground.memory import MemoryJournal

COMMANDS = tuple(
    (name, {"producer": "p"}) for name in ("PauseProducer", "ResumeProducer", "CrashProducer", "PoisonNext")
)
REAL_COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("CrashConsumer", {"consumer": "email worker"}),
    ("RestartConsumer", {"consumer": "email worker"}),
    ("DropNextAck", {"actor": "billing worker"}),
    ("CutLink", {"actor": "billing worker"}),
    ("RestoreLink", {"actor": "billing worker"}),
    ("PublishNow", {"producer": "shop", "count": 5}),
    ("SetPrefetch", {"consumer": "billing worker", "prefetch": 3}),
    ("PurgeQueue", {"system": "broker", "queue": "email"}),
)
CLOCK = ("Play", "Pause", "Speed", "Step", "ToStart", "NewSeed", "Fork")


@dataclass
class Trial:
    """One room, two processes, three browsers, one of which hops between the processes."""

    seed: int
    set_clock: bool = False
    kills: bool = False
    make: Callable[[int], Maker] = fake_maker
    commands: tuple[tuple[str, dict[str, Any]], ...] = COMMANDS
    wall: Wall = field(default_factory=Wall)
    stamped_before_shown: int = 0
    done: int = 0
    killed: int = 0
    hopped: int = 0
    sent: dict[str, Said] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    async def begin(self) -> None:
        self.chance = random.Random(self.seed)
        self.journal = MemoryJournal(self.wall)
        self.hubs = [hub_of(self.wall, self.journal, self.make) for _ in range(2)]
        facts, _ = await self.journal.open(
            NewRoom("s", 7, RULES, "owner", 60_000_000), Asked("owner", "o"), None
        )
        self.code = facts.code
        self.row = self.journal.rooms[self.code]
        self.seats: list[tuple[Hub, LiveRoom, Browser]] = []
        for hub in (*self.hubs, self.hubs[0]):
            self.seats.append(await self._sit(hub, None))

    async def _sit(self, hub: Hub, browser: Browser | None) -> tuple[Hub, LiveRoom, Browser]:
        viewer = Viewer("owner", "seat")
        room = await hub.join(self.code, viewer)
        if browser is None:
            browser = Browser(self.wall, viewer)
        browser.viewer = viewer
        browser.watch()
        return hub, room, browser

    async def run(self, steps: int = 600) -> None:
        await self.begin()
        for step in range(steps):
            self.wall.pass_ms(10)
            if self.set_clock and step % 40 == 0 and self.chance.random() < 0.2:
                self.wall.set_ms(self.chance.choice([-10_000, 10_000, -400, 400]))
            for index, hub in enumerate(self.hubs):
                if step % 10 == 3 * index or self.chance.random() < 0.02:
                    await hub.batch()
            self._look()
            if self.chance.random() < 0.06:
                await self._act()
            if self.chance.random() < 0.01 and step - self.hopped > 20:
                self.hopped = step  # who is away for longer than 150 ms cannot hear of a change in time
                await self._hop()
            if self.kills and self.chance.random() < 0.01:
                await self._kill()
        for _ in range(30):
            self.wall.pass_ms(100)
            for hub in self.hubs:
                await hub.batch()
            self._look()

    def _look(self) -> None:
        for _, _, browser in self.seats:
            browser.take()
            browser.look()

    async def _hop(self) -> None:
        """The last viewer's process is gone; it comes back at the other one with what it holds."""
        hub, room, browser = self.seats[-1]
        hub.leave(room, browser.viewer)
        other = self.hubs[1 - self.hubs.index(hub)]
        self.seats[-1] = await self._sit(other, browser)
        await other.batch()  # its own hint, which is not lost: it does not leave the process

    async def _kill(self) -> None:
        """A process dies, sometimes with a command that is in the journal and was not answered. Another one
        takes its place, with nothing but the journal; its browsers come back with what they hold."""
        index = self.chance.randrange(2)
        dead = self.hubs[index]
        if self.chance.random() < 0.5:
            said = self._new_command(self.seats[index][2])
            self.sent[said.id] = said
            with contextlib.suppress(Refused):
                await dead._append(
                    self.seats[index][1], Asked("seat", said.id, said.epoch, said.from_us), said
                )
        self.killed += 1
        self.hubs[index] = hub_of(self.wall, self.journal, self.make)
        for number, (hub, _, browser) in enumerate(self.seats):
            if hub is dead:
                self.seats[number] = await self._sit(self.hubs[index], browser)
        await self.hubs[index].batch()

    async def _act(self) -> None:
        hub, room, browser = self.chance.choice(self.seats)
        if self.sent and self.chance.random() < 0.2:
            said = self.chance.choice(list(self.sent.values()))
        else:
            said = self._new_command(browser)
        row = self.row
        shown = max([b.shown_us for _, _, b in self.seats if b.epoch == row.epoch], default=0)
        before, epoch = len(row.entries), row.epoch
        self.sent[said.id] = said
        try:
            await hub.command(room, browser.viewer, said)
        except BadFrame as refusal:
            if refusal.code not in ("run_over", "old_epoch"):
                raise
            self.refused.append(refusal.code)
            return
        self.done += 1
        if row.epoch == epoch and len(row.entries) > before:
            self.stamped_before_shown += row.entries[-1].at_us < shown

    def _new_command(self, browser: Browser) -> Said:
        said = Said(v=1, id=f"c{len(self.sent)}", cmd="", epoch=browser.epoch)
        if self.chance.random() < 0.5:
            name, arguments = self.chance.choice(self.commands)
            past = self.chance.randrange(browser.shown_us + 1) if self.chance.random() < 0.15 else None
            return msgspec.structs.replace(said, cmd=name, args=arguments, from_us=past)
        cmd = self.chance.choice(CLOCK if self.chance.random() < 0.2 else CLOCK[:4])
        args: dict[str, Any] = {}
        if cmd == "Speed":
            args = {"rate": self.chance.choice([125, 1000, 8000])}
        elif cmd == "Fork":
            args = {"at_us": self.chance.randrange(browser.shown_us + 1)}
        elif cmd == "NewSeed":
            args = {"seed": self.chance.choice([None, 7, 8])}
        return msgspec.structs.replace(said, cmd=cmd, args=args)

    def faults(self) -> list[str]:
        """What went wrong, in words."""
        found = []
        browsers = [browser for _, _, browser in self.seats]
        if self.stamped_before_shown:
            found.append(f"{self.stamped_before_shown} stamped before shown")
        if any(browser.past_revised for browser in browsers):
            found.append("a shown past was revised")
        if any(browser.went_back for browser in browsers):
            found.append("a clock went back")
        if self.row.n > sum(said.cmd not in CLOCK for said in self.sent.values()):
            found.append("a command was applied twice")
        stored = [entry.seq for entry in self.row.entries]
        for browser in browsers:
            for frame in browser.done.values():
                if frame["at_us"] is not None and stored.count(frame["seq"]) != 1:
                    found.append(f"{frame['id']} was answered and is lost")
        for room in (hub.rooms[self.code] for hub in self.hubs):
            found += ["a digest of the past was doubted"] if room.reloaded or room.broken else []
        return found + self._other_digests()

    def _other_digests(self) -> list[str]:
        """Each browser's last digest, and all that ever was on its screen, against runs of the whole journal."""
        found = []
        browsers = [browser for _, _, browser in self.seats]
        for epoch in range(self.row.epoch + 1):
            digests = self._truth(epoch, max(browser.next for browser in browsers))
            for browser in browsers:
                for (branch, tick), digest in browser.seen.items():
                    if branch == epoch and digests.get(tick, digest) != digest:
                        found.append(f"what was shown of branch {epoch} at {tick} is not so")
            for (_, branch, tick), mark in self.journal.marked.items():
                if branch == epoch and digests.get(tick, mark.digest) != mark.digest:
                    found.append(f"what was stored of branch {epoch} at {tick} is not so")
                if epoch == self.row.epoch and browser.epoch != epoch:
                    found.append("a browser is in an old branch")
                elif epoch == self.row.epoch and browser.next:
                    same = browser.digests[browser.next - 1] == digests.get(browser.next - 1, "")
                    found += [] if same else ["a digest differs"]
        return found

    def _truth(self, epoch: int, ticks: int) -> dict[int, str]:
        lineage = asyncio.run(self.journal.lineage(self.code, epoch))
        truth = Replica(self.make(lineage[-1].seed))
        truth.learn(visible(lineage, self.row.entries))
        truth.work(ticks, float("inf"))
        return {tick.tick: tick.digest.hex() for tick in truth.kept}


def try_out(seed: int, **options: Any) -> Trial:
    trial = Trial(seed, **options)
    asyncio.run(trial.run())
    return trial


@pytest.mark.parametrize("seed", range(90))
def test_two_processes_show_one_room_and_nothing_shown_ever_changes(seed: int) -> None:
    trial = try_out(seed)
    assert trial.done > 10
    assert trial.faults() == []


@pytest.mark.parametrize("seed", range(1000, 1060))
def test_a_wall_clock_that_is_set_changes_nothing_that_was_shown(seed: int) -> None:
    assert try_out(seed, set_clock=True).faults() == []


@pytest.mark.parametrize("seed", range(3000, 3060))
def test_processes_that_die_lose_nothing_that_was_answered(seed: int) -> None:
    trial = try_out(seed, kills=True)
    assert trial.killed
    assert trial.faults() == []


@pytest.mark.parametrize("seed", range(2000, 2012))
def test_the_same_holds_with_the_real_engine(seed: int) -> None:
    scenario = library()["fan-out"].scenario
    trial = try_out(seed, make=lambda seed: maker_of(scenario, seed), commands=REAL_COMMANDS)
    assert trial.done > 10
    assert trial.faults() == []


def _skip_rewinds(monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(self: Replica, entries: Any) -> None:
        self.entries += entries
        self.seq = max([self.seq, *(entry.seq for entry in entries)])

    monkeypatch.setattr(Replica, "learn", learn)


def _do_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Viewer, "forget_from", lambda self, tick: None)


def _forget_the_last_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Replica.learn
    monkeypatch.setattr(Replica, "learn", lambda self, entries: real(self, entries[:-1]))


def _do_not_look_at_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Room._known

    def known(self: Room, wall_us: int, asked: Asked) -> None:
        real(self, wall_us, asked)

    monkeypatch.setattr(Room, "_known", known)


def _stamp_at_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    from playground.rooms.clock import Clock

    monkeypatch.setattr(Clock, "command_at", lambda self, wall_us: self.at(wall_us) - 200_000)


@pytest.mark.parametrize(
    "plant",
    [
        _skip_rewinds,
        _do_not_tell,
        _forget_the_last_entry,
        _do_not_look_at_ids,
        _stamp_at_the_screen,
    ],
)
def test_a_planted_fault_is_found(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    found: list[str] = []
    for seed in range(10):
        try:
            found += try_out(seed).faults()
        except (AssertionError, KeyError, IndexError) as trouble:
            found.append(repr(trouble))
        if found:
            return
    pytest.fail("the planted fault went unseen")


def test_a_tick_is_as_long_for_rooms_as_for_the_engine() -> None:
    from engine.ticks import TICK_US as ENGINE_TICK_US

    assert TICK_US == ENGINE_TICK_US
