"""Simulated time in ticks of 25 ms, and the chain of digests over them.

Tick k is [k·25 ms, (k+1)·25 ms) in every branch, so the digests of two runs are equal up to the tick
in which they part: digest[k] = blake2b(digest[k−1] + the encoded events of tick k).
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from engine.events import Event
from engine.wire import AnyEvent, encode

TICK_US = 25_000
DIGEST_BYTES = 16


class Tick(msgspec.Struct, frozen=True):
    """One closed tick. `first` is the number of its first event (of the next one, when it has none)."""

    tick: int
    first: int
    count: int
    events: bytes
    """JSON array of its events."""
    digest: bytes


class TicksState(msgspec.Struct, array_like=True):
    """What a snapshot keeps: the open tick with its events so far, and the last digest."""

    tick: int
    first: int
    digest: bytes
    open: list[AnyEvent]


class Ticks:
    """Ticks so far. `open` is the kernel's own log: who drives the kernel closes a tick when it is over."""

    def __init__(self, log: list[Event]) -> None:
        self.tick = 0
        self.first = 1
        self.digest = bytes(DIGEST_BYTES)
        self.open = log
        self.closed: list[Tick] = []

    def close(self) -> None:
        """The open tick is over: its events are encoded, once for all who want them."""
        events = self.open
        text = encode(events) if events else b"[]"
        self.digest = digest = blake2b(self.digest + text, digest_size=DIGEST_BYTES).digest()
        self.closed.append(Tick(self.tick, self.first, len(events), text, digest))
        self.first += len(events)
        self.tick += 1
        events.clear()

    def take(self) -> list[Tick]:
        """The ticks closed since the last call."""
        taken, self.closed = self.closed, []
        return taken

    def state(self) -> TicksState:
        return TicksState(self.tick, self.first, self.digest, list(self.open))  # type: ignore[arg-type]

    @classmethod
    def from_state(cls, state: TicksState, log: list[Event]) -> Ticks:
        ticks = cls(log)
        ticks.tick, ticks.first, ticks.digest = state.tick, state.first, state.digest
        log += state.open
        return ticks
