"""A small engine of the same shape as the real one, and a browser without a screen.

The fake's state is a counter that every timer and every command changes, so that any difference in what
was applied, when and in which order shows in every later event and digest.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec

from engine.errors import CommandError, RunOver
from playground.rooms.hub import Hub
from playground.rooms.journal import Journal
from playground.rooms.limits import FRAME_BYTES_MAX, FRAME_EVENTS_MAX, TICK_US
from playground.rooms.mailbox import Viewer
from playground.rooms.replica import Maker
from playground.rooms.wire import Watch

PERIOD_US = 30_000
"""The fake's timer: mostly one event a tick, sometimes two, sometimes on the border of a tick."""


@dataclass(frozen=True)
class FakeTick:
    tick: int
    first: int
    count: int
    events: bytes
    digest: bytes


class FakeTicks:
    def __init__(self) -> None:
        self.closed: list[FakeTick] = []

    def take(self) -> list[FakeTick]:
        taken, self.closed = self.closed, []
        return taken


class FakeSimulation:
    """Events are [99, at_us, cause, counter]. `CrashProducer` is refused while the counter is even."""

    def __init__(self, seed: int, length_us: int) -> None:
        self.length_us = length_us
        self.now_us = 0
        self.number = 0
        self.counter = seed
        self.due_us = 0
        self.ended = False
        self.tick = 0
        self.first = 1
        self.digest = b"\0" * 16
        self.open: list[Any] = []
        self.ticks = FakeTicks()

    def _emit(self, cause: int) -> None:
        self.number += 1
        self.counter = (self.counter * 31 + self.now_us + self.number) % 1_000_003
        self.open.append([99, self.now_us, cause, self.counter])

    def _close(self, until_us: int) -> None:
        while (self.tick + 1) * TICK_US <= until_us:
            text = msgspec.json.encode(self.open)
            self.digest = blake2b(self.digest + text, digest_size=16).digest()
            count = len(self.open)
            self.ticks.closed.append(FakeTick(self.tick, self.first, count, text, self.digest))
            self.first += count
            self.tick += 1
            self.open = []

    def advance(self, until_us: int, budget: int = 2000) -> bool:
        until_us = min(until_us, self.length_us)
        while self.due_us < until_us and not self.ended:
            if budget <= 0:
                return False
            budget -= 1
            self._close(self.due_us)
            self.now_us = self.due_us
            self._emit(0)
            self.due_us += PERIOD_US
        self.now_us = max(self.now_us, until_us)
        self._close(self.now_us)
        self.ended = self.now_us >= self.length_us
        return True

    def apply_at(self, at_us: int, command: Any, n: int) -> None:
        self.advance(at_us + 1)
        if at_us >= self.length_us:
            raise RunOver
        self.now_us = at_us
        if type(command).__name__ == "CrashProducer" and self.counter % 2 == 0:
            raise CommandError("the counter is even")
        self._emit(-n)

    def state_events(self) -> list[Any]:
        return [[98, self.now_us, 0, self.counter]]

    def counts(self) -> list[Any]:
        return []

    def stands(self) -> list[Any]:
        return []

    def snapshot(self) -> bytes:
        fields = {k: v for k, v in vars(self).items() if k != "ticks"}
        return msgspec.msgpack.encode(fields)

    @classmethod
    def restore(cls, snapshot: bytes) -> FakeSimulation:
        new = cls(0, 0)
        vars(new).update(msgspec.msgpack.decode(snapshot))
        return new


def fake_maker(seed: int = 1, length_us: int = 60_000_000) -> Maker:
    return Maker(lambda: FakeSimulation(seed, length_us), FakeSimulation.restore)


class Wall:
    """A wall clock that goes only when it is told to, beside a steady one that nobody sets."""

    def __init__(self, at_us: int = 1_700_000_000_000_000) -> None:
        self.us = at_us
        self.steady_us = 0

    def __call__(self) -> int:
        return self.us

    def pass_ms(self, ms: float) -> None:
        self.us += int(ms * 1000)
        self.steady_us += int(ms * 1000)

    def set_ms(self, ms: int) -> None:
        """Somebody sets the wall clock by `ms`."""
        self.us += ms * 1000

    def steady(self) -> int:
        return self.steady_us


def hub_of(wall: Wall, journal: Journal, make: Callable[[int], Maker] = fake_maker) -> Hub:
    """A hub of fake simulations (or of what `make` makes), driven by hand."""
    hub = Hub(journal, wall, lambda slug, seed: make(seed), wall.steady)
    hub.driven = False
    return hub


@dataclass
class Browser:
    """What a browser does with frames: holds ticks, follows the clock, acknowledges. Complains of lies."""

    wall: Wall
    viewer: Viewer
    epoch: int = 0
    ticks: dict[int, tuple[int, list[Any]]] = field(default_factory=dict)
    """By tick: number of its first event, its events."""
    digests: dict[int, str] = field(default_factory=dict)
    """By tick: the digest after it, as far as frames have said."""
    numbers: dict[int, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    """By tick: the first tick of the frame that sums up to the end of it, and the frame."""
    start: int = 0
    next: int = 0
    reach: int = 0
    """Behind the last tick that can be shown: beyond `next` lie numbers that messages are about to replace."""
    present: int = 0
    """The tick at whose start `state` is the stated present."""
    state: list[Any] = field(default_factory=list)
    parts: list[Any] = field(default_factory=list)
    pieces: list[list[int]] = field(default_factory=list)
    lit_until_us: int = 0
    offset_us: int = 0
    shown_us: int = 0
    acknowledges: bool = True
    frames: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    branches: list[dict[str, Any]] = field(default_factory=list)
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    past_revised: list[tuple[int, int]] = field(default_factory=list)
    went_back: list[tuple[int, int]] = field(default_factory=list)
    last_frame: int = 0
    seen: dict[tuple[int, int], str] = field(default_factory=dict)
    """What was on this screen: by (branch, tick) the digest."""

    def watch(self) -> None:
        digest = self.digests.get(self.next - 1, "")
        known = self.next if digest else 0
        coarse = self.is_coarse(known)
        self.viewer.wish = Watch(v=1, epoch=self.epoch, tick=known, digest=digest, aggregated=coarse)
        self.viewer.unseen.clear()

    def take(self) -> None:
        """Takes in everything that waits in the mailbox."""
        while self.viewer.mailbox.waiting:
            text = self.viewer.mailbox.waiting.popleft()
            frame = json.loads(text)
            assert len(text) <= FRAME_BYTES_MAX
            assert len(frame.get("events", ())) <= FRAME_EVENTS_MAX
            self.frames.append(frame)
            if self._is_whole(frame):
                getattr(self, "_" + frame["t"])(frame)
            if "f" in frame and self.acknowledges:
                self.viewer.seen(frame["f"])

    def _is_whole(self, frame: dict[str, Any]) -> bool:
        """Whether all parts of a frame are there; its events are then those of all."""
        if "part" not in frame:
            return True
        if frame["part"] == 0:
            self.parts = []
        self.parts += frame["events"]
        frame["events"] = list(self.parts)
        return not frame["more"]

    def _hello(self, frame: dict[str, Any]) -> None:
        pass

    def _state(self, frame: dict[str, Any]) -> None:
        if frame["epoch"] != self.epoch:
            self.shown_us = 0
        self.epoch = frame["epoch"]
        if frame.get("keep"):
            self.reach = max(self.reach, frame["tick"])
            for tick in [tick for tick in self.ticks if tick >= frame["tick"]]:
                del self.ticks[tick]
        else:
            self.ticks.clear()
            self.digests.clear()
            self.numbers.clear()
            self.start = self.reach = frame["tick"]
        if self.numbers.get(frame["tick"] - 1, (0, frame))[1]["t"] == "state":
            self.numbers.pop(frame["tick"] - 1, None)
        self.next = self.present = frame["tick"]
        self.state = frame["events"]
        self.digests[self.next - 1] = frame["digest"]
        if frame.get("aggregated"):
            self.numbers[self.next - 1] = (0, frame)

    def _forget(self, tick: int) -> None:
        """The ticks from `tick` on."""
        self.reach = min(self.reach, tick)
        if tick < self.present:
            self.present, self.state = 0, []
        for held in (self.ticks, self.digests, self.numbers):
            for known in [known for known in held if known >= tick]:
                del held[known]

    def _ticks(self, frame: dict[str, Any]) -> None:
        assert frame["epoch"] == self.epoch
        if "forget" in frame:
            assert frame["forget"] >= self.next
            self._forget(frame["forget"])
        assert frame["tick"] == self.next, f"a gap: {frame['tick']} after {self.next}"
        self._add(frame, frame["tick"])

    def _branch(self, frame: dict[str, Any]) -> None:
        cut = frame["cut"]
        assert frame["epoch"] > self.epoch
        assert cut <= self.next, f"a gap: a branch from {cut}, held to {self.next}"
        self._forget(cut)
        self.epoch = frame["epoch"]
        self.next = cut
        self.start = min(self.start, cut)
        self.shown_us = 0
        self.branches.append(frame)

    def _revise(self, frame: dict[str, Any]) -> None:
        cut = frame["cut"]
        assert frame["epoch"] == self.epoch
        assert cut <= self.next, f"a gap: revised from {cut}, held to {self.next}"
        if cut * TICK_US + TICK_US <= self.shown_us:
            self.past_revised.append((cut, self.shown_us))
        self._forget(cut)
        self._add(frame, cut)

    def _add(self, frame: dict[str, Any], tick: int) -> None:
        end = tick + frame["n"]
        if frame.get("aggregated"):
            assert all(tick * TICK_US <= e[1] < end * TICK_US for e in frame["events"])
            self.numbers[end - 1] = (tick, frame)
            self.digests[end - 1] = frame["digest"]
            self.next, self.reach = end, max(self.reach, end)
            return
        assert not self.is_coarse(tick), f"tick {tick} singly upon numbers"
        number = frame["first"]
        for index in range(tick, end):
            inside = [e for e in frame["events"] if e[1] // TICK_US == index]
            self.ticks[index] = (number, inside)
            number += len(inside)
        assert number == frame["first"] + len(frame["events"])
        self.digests[end - 1] = frame["digest"]
        self.next, self.reach = end, max(self.reach, end)

    def is_coarse(self, tick: int) -> bool:
        """Whether what is held before `tick` is held in numbers only."""
        if tick == self.present:
            return tick - 1 in self.numbers and self.numbers[tick - 1][1]["t"] == "state"
        within = any(start < tick <= end + 1 for end, (start, _) in self.numbers.items())
        return within and tick - 1 not in self.ticks

    def _clock(self, frame: dict[str, Any]) -> None:
        self.pieces = frame["pieces"]
        self.lit_until_us = frame["lit_until_us"]
        self.offset_us = frame["now_us"] - self.wall.steady()

    def _done(self, frame: dict[str, Any]) -> None:
        self.done[frame["id"]] = frame

    def _error(self, frame: dict[str, Any]) -> None:
        self.errors.append(frame)

    def moment(self) -> int:
        """The simulated moment on this screen now."""
        if not self.pieces:
            return 0
        now_us = min(self.wall.steady() + self.offset_us, self.lit_until_us)
        ruling = self.pieces[0]
        for piece in self.pieces:
            if piece[0] <= now_us:
                ruling = piece
        return ruling[1] + max(0, now_us - ruling[0]) * ruling[2] // 1000

    def look(self) -> int:
        """Shows the present moment, as far as the ticks reach, and notes whether time went back."""
        moment = min(self.moment(), self.reach * TICK_US)
        if moment < self.shown_us:
            self.went_back.append((self.shown_us, moment))
        self.shown_us = max(self.shown_us, moment)
        for tick in range(max(0, moment // TICK_US - 8), moment // TICK_US):
            if self.digests.get(tick):
                self.seen.setdefault((self.epoch, tick), self.digests[tick])
        return moment
