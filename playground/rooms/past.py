"""A room's past over HTTP: chunks of 10 s that lie wholly behind the highest moment shown.

A chunk of a branch never changes, because nothing that was shown does; so its address contains its digest
and is cached for ever. It is made when it is first asked for, in slices, from the journal alone.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Raw

from engine import RULES
from engine.errors import EngineError
from lessons.scenarios import library
from playground.rooms import limits
from playground.rooms.history import Chunk
from playground.rooms.journal import Branch, Facts, Journal, Refused
from playground.rooms.limits import CHUNK_TICKS, TICK_US
from playground.rooms.live import maker_of
from playground.rooms.replica import Replica, ReplicaBroken
from playground.rooms.throttle import Bucket
from playground.rooms.wire import TickLike, join, join_events

log = logging.getLogger("mailroom.rooms")

NOT_AS_SHOWN = "This past cannot be shown: simulated again, it is not what was seen."


anew = Bucket(limits.PASTS_BURST, limits.PASTS_PER_S)

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turn() -> asyncio.Semaphore:
    """One past is simulated at a time, so that all of them together hold the event loop for a slice."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(1))


class Past:
    """One branch, simulated as far as it was shown; `chunks` are those made."""

    def __init__(self, facts: Facts, epoch: int, seed: int) -> None:
        self.facts = facts
        self.epoch = epoch
        self.seed = seed
        self.replica = Replica(maker_of(library()[facts.slug].scenario, seed))
        self.chunks: list[Chunk] = []
        self.lock = asyncio.Lock()

    def addresses(self) -> list[str]:
        base = f"/history/room/{self.facts.code}/{self.epoch}"
        return [f"{base}/{chunk.n}/{chunk.digest}.json" for chunk in self.chunks]

    async def reach(self, journal: Journal, shown_us: int) -> None:
        """Makes the chunks that end at or before `shown_us`. Raises the engine's errors and `ReplicaBroken`,
        where it comes out otherwise than what is stored of what was shown."""
        async with self.lock:
            whole = -(-self.facts.length_us // TICK_US)
            while True:
                start = len(self.chunks) * CHUNK_TICKS
                end = min(start + CHUNK_TICKS, whole)
                if start >= whole or min(end * TICK_US, self.facts.length_us) > shown_us:
                    return
                entries = await journal.entries(self.facts.code, self.epoch, self.replica.seq)
                self.replica.learn(entries)
                self.replica.hold_to(await journal.marks(self.facts.code, self.epoch))
                await self._simulate(end)
                self.chunks.append(await self._chunk(start, end, last=end == whole))

    async def _simulate(self, end: int) -> None:
        """To the end of tick `end` − 1; others have their turn between two slices."""
        done = False
        async with _turn():
            while not done:
                done = self.replica.work(end, time.monotonic() + limits.SLICE_S)
                await asyncio.sleep(0)

    async def _chunk(self, start: int, end: int, last: bool) -> Chunk:
        """The chunk of these ticks. Encoding and packing it is nobody's turn: it has a thread of its own."""
        replica = self.replica
        ticks = list(replica.since(start))[: end - start]
        state = replica.latest_checkpoint(start).state
        return await asyncio.to_thread(_packed, len(self.chunks), start, ticks, state, last)


def _packed(n: int, start: int, ticks: Sequence[TickLike], state: Sequence[Raw], last: bool) -> Chunk:
    digest = ticks[-1].digest.hex()
    text = msgspec.json.encode(
        {"tick": start, "n": len(ticks), "first": ticks[0].first, "state": join(state),
         "events": join_events(ticks), "digest": digest, "last": last}
    )  # fmt: skip
    return Chunk(n, digest, text, gzip.compress(text, 6, mtime=0))


_made: OrderedDict[tuple[str, int], Past] = OrderedDict()


async def past_of(journal: Journal, code: str, epoch: int, rules: int = RULES) -> Past:
    """The past of one branch, up to now. Raises `Refused` where there is no such room or branch, where too
    many are asked for, or where
    the past cannot be had as it was shown: it is simulated by `rules`."""
    facts = await journal.facts(code)
    if facts.rules != rules:
        raise Refused("refused", NOT_AS_SHOWN)
    head = await journal.head(code)
    if not 0 <= epoch <= head.epoch:
        raise Refused("no_room", "This room has no such branch.")
    branch = (await journal.lineage(code, epoch))[-1]
    shown_us = head.clock.shown_us if epoch == head.epoch else branch.shown_us
    try:
        return await _reached(journal, facts, branch, shown_us)
    except ReplicaBroken as problem:
        log.warning("the past of room %s is made anew: %s", code, problem)
    try:
        return await _reached(journal, facts, branch, shown_us)
    except ReplicaBroken:
        log.exception("the past of room %s is not shown", code)
        raise Refused("refused", NOT_AS_SHOWN) from None


async def _reached(journal: Journal, facts: Facts, branch: Branch, shown_us: int) -> Past:
    """The past of `branch`, as it is kept or new. One that contradicts itself is not kept."""
    place = facts.code, branch.epoch
    past = _made.get(place)
    if past is None:
        if not anew.take(journal.now_us()):
            raise Refused("too_fast", limits.PASTS_TOO_FAST)
        past = _made[place] = Past(facts, branch.epoch, branch.seed)
        while len(_made) > limits.PASTS_KEPT:
            _made.popitem(last=False)
    _made.move_to_end(place)
    try:
        await past.reach(journal, shown_us)
    except (ReplicaBroken, EngineError):
        if _made.get(place) is past:
            del _made[place]
        raise
    return past
