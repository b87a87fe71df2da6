"""Which rooms may be shown here: not those that are over, nor those of other rules.

A room that was made under earlier rules is simulated under the present ones, beside all else, and held to the
digests that are stored of what was shown. Where they are the same nobody could tell the difference, so the
room moves up; else it stays what it was, and a page offers its scenario. A process that still has earlier
rules can neither show nor command a room from then on: its transactions are refused under the room's lock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

import msgspec

from engine.errors import EngineError
from playground.rooms import limits
from playground.rooms.journal import NEWER_RULES, Facts, Head, Journal, Refused
from playground.rooms.limits import DIGEST_TICKS, TICK_US
from playground.rooms.replica import Maker, Replica, ReplicaBroken

log = logging.getLogger("mailroom.rooms")

OTHER_RULES = "This room was made with earlier rules of the simulation: start its scenario anew."
NO_SCENARIO = "The scenario of this room is not offered any more."

VERDICTS_KEPT = 1_000
"""Answers to "is its past the same under these rules?", a few words each."""


class Gate:
    """See the module. `rules` are this process's, `make(slug, seed)` makes simulations by them and raises
    `KeyError` where there is no such scenario."""

    def __init__(
        self, journal: Journal, make: Callable[[str, int], Maker], wall: Callable[[], int], rules: int
    ) -> None:
        self.journal = journal
        self.make = make
        self.wall = wall
        self.rules = rules
        self.verdicts: OrderedDict[tuple[str, int], asyncio.Task[bool]] = OrderedDict()
        self.one_by_one = asyncio.Semaphore(1)

    async def look(self, facts: Facts, patience_s: float | None = None) -> None:
        """Raises `Refused` (expired, other_rules) where a room cannot be shown here. Changes nothing.

        Who has no patience to wait for a room's past to be simulated gets no answer, and asks again.
        """
        head = await self.journal.head(facts.code)
        if self.wall() - head.clock.lit_until_us > limits.ROOM_EXPIRES_US:
            raise Refused("expired", limits.ROOM_EXPIRED)
        try:
            self.make(facts.slug, facts.seed)
        except KeyError:
            raise Refused("other_rules", NO_SCENARIO) from None
        if head.rules > self.rules:
            raise Refused("other_rules", NEWER_RULES)
        if head.rules < self.rules and not head.clock.is_lit(self.wall()):
            with suppress(TimeoutError):
                if not await asyncio.wait_for(asyncio.shield(self._verdict(facts, head)), patience_s):
                    raise Refused("other_rules", OTHER_RULES)

    async def admit(self, code: str) -> tuple[Facts, Head]:
        """The room is to be shown here: if that can be, it is of this process's rules from now on.

        Raises `Refused`, and `NotYet` while a process with other rules may be showing it.
        """
        facts, head = await self.journal.facts(code), await self.journal.head(code)
        await self.look(facts)
        if facts.rules != self.rules:
            await self.journal.move_up(code, head, self.rules)
            log.info("room %s has moved up from rules %d to %d", code, facts.rules, self.rules)
            facts, head = await self.journal.facts(code), await self.journal.head(code)
        return facts, head

    def _verdict(self, facts: Facts, head: Head) -> asyncio.Task[bool]:
        """Whether the room's past is the same under these rules: found out once, whoever asks."""
        place, loop = (facts.code, head.seq), asyncio.get_running_loop()
        known = self.verdicts.get(place)
        failed = known is not None and known.done() and (known.cancelled() or known.exception())
        if known is None or failed or known.get_loop() is not loop:
            known = self.verdicts[place] = loop.create_task(self._find_out(facts, head))
            while len(self.verdicts) > VERDICTS_KEPT:
                self.verdicts.popitem(last=False)
        return known

    async def _find_out(self, facts: Facts, head: Head) -> bool:
        async with self.one_by_one:
            try:
                await same_past(self.journal, facts, head, self.make)
            except (ReplicaBroken, EngineError, msgspec.ValidationError) as problem:
                log.info("room %s stays under rules %d: %s", facts.code, facts.rules, problem)
                return False
        return True


async def same_past(journal: Journal, facts: Facts, head: Head, make: Callable[[str, int], Maker]) -> None:
    """Simulates what was shown of a room's present branch, in slices. Raises `ReplicaBroken` where it is not
    what is stored of it or too little is stored, and whatever reading and applying its commands raises.

    What was shown in the last seconds is not compared: at most as much as stands between two digests, and
    one more that a process may have been about to store.
    """
    stored = await journal.marks(facts.code, head.epoch)
    end = max(stored, default=-1) + 1
    if head.clock.shown_us // TICK_US - end >= 2 * DIGEST_TICKS:
        raise ReplicaBroken("too little is stored of what was shown")
    lineage = await journal.lineage(facts.code, head.epoch)
    replica = Replica(make(facts.slug, lineage[-1].seed))
    replica.learn(await journal.entries(facts.code, head.epoch, 0))
    replica.hold_to(stored)
    done = False
    while not done:
        done = replica.work(end, time.monotonic() + limits.SLICE_S)
        await asyncio.sleep(0)
