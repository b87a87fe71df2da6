"""Recordings: what a scenario does when nobody touches it. Pure, the same for everyone, cached.

A recording is a function of (scenario, seed, rules). It is served in chunks of 10 s under addresses that
contain their digest, so a chunk's address never changes what it means. It is made once per process.
"""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from engine import RULES
from engine.simulation import Simulation
from engine.ticks import Tick
from engine.wire import encode
from lessons.scenarios import Shipped, library
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
    """All of a scenario's run: its chunks for pages, its ticks for sockets."""

    slug: str
    seed: int
    rules: int
    length_us: int
    chunks: list[Chunk] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    frames: dict[tuple[int, int], str] = field(default_factory=dict)
    """Socket frames already encoded, by first tick and number."""

    def digest_before(self, tick: int) -> str:
        """The digest (hex) of the tick before `tick`; "" at the start and beyond the end."""
        return self.ticks[tick - 1].digest.hex() if 0 < tick <= len(self.ticks) else ""

    def addresses(self) -> list[str]:
        """Where the chunks are, first to last."""
        return [f"/history/play/{self.slug}/{chunk.n}/{chunk.digest}.json" for chunk in self.chunks]


def record(shipped: Shipped) -> Recording:
    """Runs the scenario with its own seed, to its end."""
    scenario = shipped.scenario
    recording = Recording(shipped.slug, scenario.seed, RULES, scenario.length_us)
    simulation = Simulation(scenario, scenario.seed)
    while not simulation.ended:
        _record_chunk(recording, simulation)
    return recording


def _record_chunk(recording: Recording, simulation: Simulation) -> None:
    start = len(recording.ticks)
    state = encode(simulation.state_events()) if start else b"[]"
    while not simulation.advance((start + CHUNK_TICKS) * TICK_US):
        pass
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
                _made[slug] = record(shipped)
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
