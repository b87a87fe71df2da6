"""Recordings: what a scenario does when nobody touches it. Pure, the same for everyone, cached.

A recording is a function of (scenario, seed, commands, rules); a gallery's has no commands. It is served in
chunks of 10 s under addresses that contain their digest, so a chunk's address never changes what it means.
It is made once per process."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from engine import RULES
from engine.commands import AnyCommand
from engine.errors import CommandError
from engine.scenario import Scenario
from engine.simulation import Simulation
from engine.ticks import Tick
from engine.wire import encode
from lessons.scenarios import library
from playground.rooms.limits import CHUNK_TICKS, TICK_US
from playground.rooms.wire import join_events


@dataclass(frozen=True)
class Chunk:
    """`text` is the chunk's JSON as docs/protocol.md says, `packed` the same gzipped."""

    n: int
    digest: str
    text: bytes
    packed: bytes


@dataclass
class Recording:
    """A run: its chunks for pages, its ticks for sockets. `name`: where its chunks are, under /history/."""

    name: str
    seed: int
    rules: int
    length_us: int
    chunks: list[Chunk] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    frames: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    """Socket frames already encoded, by first tick and number."""

    def digest_before(self, tick: int) -> str:
        """The digest (hex) of the tick before `tick`; "" at the start and beyond the end."""
        return self.ticks[tick - 1].digest.hex() if 0 < tick <= len(self.ticks) else ""

    def addresses(self) -> list[str]:
        """Where the chunks are, first to last."""
        return [f"/history/{self.name}/{chunk.n}/{chunk.digest}.json" for chunk in self.chunks]


Entries = Sequence[tuple[int, AnyCommand]]
"""(at_us, command) in the order of replay."""


def record(
    name: str, scenario: Scenario, seed: int, entries: Entries = (), until_us: int | None = None
) -> Recording:
    """Runs the scenario with `entries` in its journal to its end, or up to the last whole tick before
    `until_us`: what comes later is then in no chunk."""
    length_us = scenario.length_us if until_us is None else min(until_us, scenario.length_us)
    recording = Recording(name, seed, RULES, length_us)
    simulation = Simulation(scenario, seed)
    waiting = list(enumerate(entries, 1))
    end = length_us // TICK_US if length_us < scenario.length_us else -1
    while not simulation.ended and len(recording.ticks) != end:
        stop = len(recording.ticks) + CHUNK_TICKS
        _record_chunk(recording, simulation, stop if end < 0 else min(stop, end), waiting)
    return recording


def _advance(
    simulation: Simulation, until_us: int, waiting: list[tuple[int, tuple[int, AnyCommand]]]
) -> None:
    while waiting and waiting[0][1][0] < until_us:
        n, (at_us, command) = waiting.pop(0)
        while not simulation.advance(at_us):
            pass
        with suppress(CommandError):  # a room's journal may hold what was refused when it came to it
            simulation.apply_at(at_us, command, n)
    while not simulation.advance(until_us):
        pass


def _record_chunk(
    recording: Recording, simulation: Simulation, end: int, waiting: list[tuple[int, tuple[int, AnyCommand]]]
) -> None:
    start = len(recording.ticks)
    state = encode(simulation.state_events()) if start else b"[]"
    _advance(simulation, end * TICK_US, waiting)
    assert simulation.ticks is not None
    ticks = simulation.ticks.take()
    recording.ticks += ticks
    digest = ticks[-1].digest.hex()
    text = msgspec.json.encode(
        {"tick": start, "n": len(ticks), "first": ticks[0].first, "state": Raw(state),
         "events": join_events(ticks), "digest": digest, "last": simulation.ended}
    )  # fmt: skip
    recording.chunks.append(Chunk(len(recording.chunks), digest, text, gzip.compress(text, 6, mtime=0)))


_made: dict[str, Recording] = {}
_lock = threading.Lock()


def recording_of(slug: str) -> Recording:
    """The recording of a shipped scenario, made now if it was not yet. Raises `KeyError`."""
    if slug not in _made:
        shipped = library()[slug]
        with _lock:
            if slug not in _made:
                _made[slug] = record(f"play/{slug}", shipped.scenario, shipped.scenario.seed)
    return _made[slug]


def peek(slug: str, seed: int) -> Recording | None:
    """The recording with this very seed, if it has been made already. Costs nothing."""
    recording = _made.get(slug)
    return recording if recording is not None and recording.seed == seed else None


def warm() -> threading.Thread:
    """Makes all recordings in a thread of its own, so that the first visitor waits for none."""

    def make_all() -> None:
        for slug in library():
            recording_of(slug)

    thread = threading.Thread(target=make_all, name="recordings", daemon=True)
    thread.start()
    return thread
