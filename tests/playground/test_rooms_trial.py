"""Rooms under trouble: late and lost hints, two processes, a viewer that hops, a wall clock that is set.

Equal digests alone hide the real faults, so three things are counted besides: commands stamped before
what a screen had shown, a shown past that was revised, a clock that went back. And each of four planted
faults must be found, or this test could not find a real one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from lessons.scenarios import library
from playground.rooms.hub import Hub
from playground.rooms.journal import MemoryJournal, Room
from playground.rooms.limits import TICK_US
from playground.rooms.live import LiveRoom, maker_of
from playground.rooms.mailbox import Viewer
from playground.rooms.replica import Maker, Replica
from playground.rooms.wire import BadFrame, Said
from tests.playground.fakes import Browser, Wall, fake_maker, hub_of

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
CLOCK = ("Play", "Pause", "Speed", "Step", "ToStart")


@dataclass
class Trial:
    """One room, two processes, three browsers, one of which hops between the processes."""

    seed: int
    set_clock: bool = False
    make: Callable[[], Maker] = fake_maker
    commands: tuple[tuple[str, dict[str, Any]], ...] = COMMANDS
    wall: Wall = field(default_factory=Wall)
    stamped_before_shown: int = 0
    done: int = 0
    hopped: int = 0
    sent: dict[str, Said] = field(default_factory=dict)

    async def begin(self) -> None:
        self.chance = random.Random(self.seed)
        self.journal = MemoryJournal(self.wall)
        self.hubs = [hub_of(self.wall, self.journal, self.make) for _ in range(2)]
        facts = await self.journal.open("s", 7, 1, "owner", 60_000_000, 0, 1000)
        self.code = facts.code
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
            for _, _, browser in self.seats:
                browser.take()
                browser.look()
            if self.chance.random() < 0.06:
                await self._act()
            if self.chance.random() < 0.01 and step - self.hopped > 20:
                self.hopped = step  # who is away for longer than 150 ms cannot hear of a change in time
                await self._hop()
        for _ in range(30):
            self.wall.pass_ms(100)
            for hub in self.hubs:
                await hub.batch()
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

    async def _act(self) -> None:
        hub, room, browser = self.chance.choice(self.seats)
        if self.sent and self.chance.random() < 0.2:
            said = self.chance.choice(list(self.sent.values()))
        else:
            said = self._new_command()
        shown = max(b.shown_us for _, _, b in self.seats if b.epoch == browser.epoch)
        before = len(self.journal.rooms[self.code].entries)
        epoch = self.journal.rooms[self.code].epoch
        try:
            await hub.command(room, browser.viewer, said)
        except BadFrame as refusal:
            if refusal.code != "run_over":
                raise
            return
        self.sent[said.id] = said
        self.done += 1
        row = self.journal.rooms[self.code]
        if row.epoch == epoch == browser.epoch and len(row.entries) > before:
            self.stamped_before_shown += row.entries[-1].at_us < shown

    def _new_command(self) -> Said:
        id = f"c{len(self.sent)}"
        if self.chance.random() < 0.5:
            name, arguments = self.chance.choice(self.commands)
            return Said(v=1, id=id, cmd=name, args=arguments)
        cmd = self.chance.choice(CLOCK if self.chance.random() < 0.2 else CLOCK[:4])
        args: dict[str, Any] = {"rate": self.chance.choice([125, 1000, 8000])} if cmd == "Speed" else {}
        return Said(v=1, id=id, cmd=cmd, args=args)

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
        row = self.journal.rooms[self.code]
        if row.n > sum(said.cmd not in CLOCK for said in self.sent.values()):
            found.append("a command was applied twice")
        found += self._other_digests(row)
        return found

    def _other_digests(self, row: Room) -> list[str]:
        """Every browser's last digest, against a run of the whole journal at once."""
        truth = Replica(self.make())
        truth.begin(row.epoch)
        truth.learn([entry for entry in row.entries if entry.epoch == row.epoch])
        furthest = max(browser.next for _, _, browser in self.seats)
        truth.work(furthest, float("inf"))
        digests = {tick.tick: tick.digest.hex() for tick in truth.kept}
        found = []
        for _, _, browser in self.seats:
            if browser.epoch != row.epoch:
                found.append("a browser is in an old branch")
            elif browser.next and browser.digests[browser.next - 1] != digests.get(browser.next - 1, ""):
                found.append("a digest differs")
        return found


def try_out(seed: int, **options: Any) -> Trial:
    trial = Trial(seed, **options)
    asyncio.run(trial.run())
    return trial


@pytest.mark.parametrize("seed", range(60))
def test_two_processes_show_one_room_and_nothing_shown_ever_changes(seed: int) -> None:
    trial = try_out(seed)
    assert trial.done > 10
    assert trial.faults() == []


@pytest.mark.parametrize("seed", range(1000, 1040))
def test_a_wall_clock_that_is_set_changes_nothing_that_was_shown(seed: int) -> None:
    assert try_out(seed, set_clock=True).faults() == []


@pytest.mark.parametrize("seed", range(2000, 2012))
def test_the_same_holds_with_the_real_engine(seed: int) -> None:
    scenario = library()["fan-out"].scenario
    trial = try_out(seed, make=lambda: maker_of(scenario, 7), commands=REAL_COMMANDS)
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

    def known(self: Room, wall_us: int, seat: str, id: str) -> None:
        real(self, wall_us, seat, id)

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
