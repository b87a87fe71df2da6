"""The count of what each group is owed, a record a group, by partition and offset.

A fold over events like `engine.ledger`, whose places it uses; a change is told by the range, in `Counted`.
A record is owed to a group from the moment when it is visible to it, from the group's first position on.
Where it stands follows from offsets:

- *ready*: not committed, and not read by the partition's present owner.
- *unacked*: read by it, not committed.
- *held*: committed, its work not finished, and who has it alive.
- *done*: its effect has happened, and it is committed, or no longer in the log to come again.
- *lost*: committed, nobody has it, its effect never happened; or truncated by a leader change.
- *dropped*: deleted (retention, an administrator) before it was read, or before it was done.

A commit that goes back makes what lies behind it ready again. What its owner has when it is deleted, it
still works and commits. What was acknowledged to its producer and
truncated before any group was owed it counts as owed and lost at its topic.

Share groups have no offsets to count by: `engine.kafka.counting_shares`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from engine.events import Event, LedgerStands, Tally
from engine.kafka.counting_shares import ShareCounting, Shared
from engine.kafka.events import (
    BatchAcknowledged,
    Counted,
    LogMarked,
    MemberGone,
    MemberJoined,
    OffsetCommitted,
    PartitionDeclared,
    PartitionLed,
    PartitionsAssigned,
    PartitionsRevoked,
    PositionSet,
    RecordsAppended,
    RecordsDelivered,
    RecordsGone,
    RecordsWithdrawn,
    RecordsWorked,
    TalliedMore,
)
from engine.kafka.recent import Recent, RecentState, reading_events
from engine.kafka.written import Written, clean, hidden, transacted, untransacted
from engine.kernel import Kernel
from engine.places import (
    DONE,
    DROPPED,
    HELD,
    LOST,
    NOWHERE,
    PLACES,
    READY,
    TALLIES,
    TALLY,
    UNACKED,
    Account,
)
from engine.world import GIVEN_UP, NO_KEY, ROUTED, World

Broken = Callable[[str, int, int], None]
"""Tells the ledger that a promise is broken: (promise, destination, cause)."""

PROMISES = {"duplicated_effects": "each_effect_once", "out_of_order": "order_per_key"}


class Reading(msgspec.Struct, array_like=True):
    """One group at one partition. The arrays go by offset; `places` has indices of `PLACES`."""

    group: int
    partition: int
    begin: int = -1
    """The first offset that the group is owed; -1 before its first position."""
    owed_to: int = 0
    committed: int = -1
    since: int = 0
    read: int = 0
    """The present owner has read [since, read)."""
    owner: int = 0
    places: bytearray = msgspec.field(default_factory=bytearray)
    effects: bytearray = msgspec.field(default_factory=bytearray)
    deliveries: bytearray = msgspec.field(default_factory=bytearray)
    hands: dict[int, tuple[int, int]] = {}
    """Consumer → [first, next) of what it has and has not worked."""
    worked: dict[int, int] = {}
    """Consumer → how far it has worked; -1 as long as it has no position. Two of them may think it theirs."""
    begun: int = -1
    """Where it is read from while nothing is committed."""
    let_go: tuple[int, int, int] = (0, -1, 0)
    """While nobody reads it: which consumer did, how far it had worked, until when."""


class CountingState(msgspec.Struct):
    """What a snapshot keeps."""

    partitions: dict[int, Written]
    readings: dict[int, dict[int, Reading]]
    """By group, by partition."""
    accounts: dict[int, Account]
    done: dict[int, bytearray]
    """By group: how often each message has had its effect; stays at 255."""
    committed_only: dict[int, bool] = {}
    """The groups that read committed records only."""
    shares: dict[int, dict[int, Shared]] = {}
    """By share group, by partition."""
    recent: RecentState = msgspec.field(default_factory=RecentState)


class Counting:
    """Folds what clusters and their clients tell, from its making on."""

    def __init__(
        self, kernel: Kernel, world: World, broken: Broken, state: CountingState | None = None
    ) -> None:
        self.kernel, self.world, self.broken = kernel, world, broken
        self.state = state or CountingState({}, {}, {}, {})
        kernel.folds.update({
            PartitionDeclared: self._declared, RecordsAppended: self._appended, LogMarked: self._marked,
            RecordsGone: self._gone, BatchAcknowledged: self._acknowledged, OffsetCommitted: self._committed,
            MemberGone: self._member_gone, PartitionsAssigned: self._assigned,
            PartitionsRevoked: self._revoked, PositionSet: self._positioned,
            RecordsDelivered: self._delivered, RecordsWorked: self._worked,
            RecordsWithdrawn: self._withdrawn, PartitionLed: self._led, MemberJoined: self._joined,
        })  # fmt: skip
        self.recent = Recent(self.state.recent)
        self.shares = ShareCounting(self)

    def share(self, group: int) -> None:
        """From now on this group is counted as a share group."""
        self.state.shares.setdefault(group, {})
        self.shares.listen()

    # -- logs ---------------------------------------------------------------------------------------

    def _declared(self, e: PartitionDeclared) -> int:
        self.state.partitions[e.node] = Written(e.topic)
        return self.kernel.say(e)

    def _led(self, e: PartitionLed) -> int:
        self.recent.led(e)
        return self.kernel.say(e)

    def _appended(self, e: RecordsAppended) -> int:
        log, flags = self.state.partitions[e.node], self.world.flags
        messages, end = log.messages, e.base + len(e.messages)
        if len(messages) < end:
            messages.extend([0] * (end - len(messages)))
            log.acknowledged.extend(bytes(end - len(log.acknowledged)))
        messages[e.base : end] = e.messages
        for message in e.messages:
            flags[message] |= ROUTED if message else 0
        if e.transactional:
            transacted(log, e, end)
        return self.kernel.say(e)

    def _withdrawn(self, e: RecordsWithdrawn) -> int:
        for message in e.messages:
            self.world.flags[message] |= GIVEN_UP
        return self.kernel.say(e)

    def _acknowledged(self, e: BatchAcknowledged) -> int:
        if e.base >= 0:
            log = self.state.partitions[e.source]
            log.acknowledged[e.base : e.base + e.count] = b"\1" * e.count
        return self.kernel.say(e)

    def _marked(self, e: LogMarked) -> int:
        number = self.kernel.say(e)
        log = self.state.partitions[e.node]
        log.mark, log.stable = e.high_watermark, e.last_stable
        for group, by_partition in self.state.readings.items():
            reading = by_partition.get(e.node)
            limit = log.stable if group in self.state.committed_only else log.mark
            if reading is not None and reading.begin >= 0 and reading.owed_to < limit:
                first, reading.owed_to = reading.owed_to, limit
                self._owe(reading, first, limit, number)
        return number

    def _owe(self, reading: Reading, first: int, next_: int, cause: int) -> None:
        """The group is owed [first, next) too, but for what it does not read of that."""
        for offset in self._hidden(reading, first, next_):
            _grow(reading, next_)
            if not reading.places[offset]:
                reading.places[offset] = DROPPED
        self._recount(reading, first, next_, cause)

    def _hidden(self, reading: Reading, first: int, next_: int) -> list[int]:
        log = self.state.partitions[reading.partition]
        return hidden(log, reading.group in self.state.committed_only, first, next_)

    def _readable(self, reading: Reading, first: int, next_: int) -> list[int]:
        """By offset, the messages that this group reads; 0 where it reads none."""
        messages = self.state.partitions[reading.partition].messages[first:next_]
        for offset in self._hidden(reading, first, next_):
            messages[offset - first] = 0
        return messages

    def _gone(self, e: RecordsGone) -> int:
        number = self.kernel.say(e)
        log = self.state.partitions[e.node]
        truncated, offsets = e.why == "truncated", e.offsets
        if e.why == "compacted":
            clean(log, offsets)
        if e.why in ("retention", "deleted"):
            log.start = max(log.start, offsets[-1] + 1)
        seen: dict[int, None] = {}
        for by_partition in self.state.readings.values():
            reading = by_partition.get(e.node)
            if reading is not None and reading.begin >= 0:
                owed = (o for o in offsets if reading.begin <= o < reading.owed_to)
                seen.update(dict.fromkeys(owed))
                self._gone_for(reading, offsets, e.why, number)
        self.shares.gone(e, seen, number)
        if not truncated:
            return number
        for offset in offsets:
            if log.acknowledged[offset] and offset not in seen:
                self.move(log.topic, {(NOWHERE, LOST): 1}, number)
            log.messages[offset] = log.acknowledged[offset] = 0
        untransacted(log, offsets[0])
        return number

    def _gone_for(self, reading: Reading, offsets: tuple[int, ...], why: str, cause: int) -> None:
        if why in ("retention", "deleted"):
            self._recount(reading, offsets[0], offsets[-1] + 1, cause)
            return
        moves: dict[tuple[int, int], int] = {}
        truncated = why == "truncated"
        for offset in offsets:
            if not reading.begin <= offset < reading.owed_to:
                continue
            was = reading.places[offset]
            now = LOST if truncated else DROPPED
            if was == READY or (truncated and was in (UNACKED, HELD)):
                moves[was, now] = moves.get((was, now), 0) + 1
                reading.places[offset] = DROPPED
        if truncated and offsets:  # the offsets will be given again, to other records
            first = offsets[0]
            for array in (reading.places, reading.effects, reading.deliveries):
                array[first:] = bytes(max(0, len(array) - first))
            reading.owed_to = min(reading.owed_to, max(first, reading.begin))
            reading.read = min(reading.read, first)
            reading.committed = min(reading.committed, first)
        self.move(reading.group, moves, cause)

    # -- groups ---------------------------------------------------------------------------------------

    def _reading(self, group: int, partition: int) -> Reading:
        by_partition = self.state.readings.setdefault(group, {})
        reading = by_partition.get(partition)
        if reading is None:
            reading = by_partition[partition] = Reading(group, partition)
        return reading

    def _committed(self, e: OffsetCommitted) -> int:
        number = self.kernel.say(e)
        reading = self._reading(e.group, e.node)
        was, reading.committed = reading.committed, e.offset
        if reading.begin >= 0:
            was = max(was, reading.begin)
            self._recount(reading, min(was, e.offset), max(was, e.offset), number)
        return number

    def _assigned(self, e: PartitionsAssigned) -> int:
        for partition in e.partitions:
            self._reading(e.group, partition).worked[e.node] = -1
        return self.kernel.say(e)

    def _positioned(self, e: PositionSet) -> int:
        number = self.kernel.say(e)
        reading = self._reading(e.group, e.partition)
        log = self.state.partitions[e.partition]
        mark = log.stable if e.group in self.state.committed_only else log.mark
        first, next_ = reading.since, reading.read
        reading.owner, reading.since, reading.read = e.node, e.offset, e.offset
        reading.worked[e.node], reading.let_go = e.offset, (0, -1, 0)
        if reading.committed < 0:
            reading.begun = e.offset
        hand = reading.hands.pop(e.node, None)
        if reading.begin < 0:
            reading.begin, reading.owed_to = e.offset, max(mark, e.offset)
            self._owe(reading, e.offset, reading.owed_to, number)
        elif e.offset < reading.begin:
            was, reading.begin = reading.begin, e.offset
            if reading.owed_to == was:  # it began beyond the end of the log, by a seek: nothing is owed yet
                was = reading.owed_to = max(e.offset, min(was, mark))
            self._owe(reading, e.offset, was, number)
        self._recount(reading, first, next_, number)
        if hand is not None:
            self._recount(reading, *hand, number)
        return number

    def _joined(self, e: MemberJoined) -> int:
        self.recent.joined(e)
        return self.kernel.say(e)

    def _member_gone(self, e: MemberGone) -> int:
        self.recent.gone(e)
        number = self.kernel.say(e)
        if e.why != "away":
            for reading in self.state.readings.get(e.group, {}).values():
                if e.node and reading.owner == e.node:
                    self._nobody_reads(reading, number)
        return number

    def _nobody_reads(self, reading: Reading, cause: int) -> None:
        first, next_ = reading.since, reading.read
        reading.owner = reading.since = reading.read = 0
        self._recount(reading, first, next_, cause)

    def _revoked(self, e: PartitionsRevoked) -> int:
        number = self.kernel.say(e)
        for partition in e.partitions:
            reading = self._reading(e.group, partition)
            worked_to = reading.worked.pop(e.node, -1)
            if max(reading.worked.values(), default=-1) < 0:
                reading.let_go = e.node, worked_to, e.at_us
            hand = reading.hands.pop(e.node, None)
            if hand is not None:
                self._recount(reading, *hand, number)
            if reading.owner == e.node and e.why == "revoked":
                self._nobody_reads(reading, number)
        return number

    # -- bodies and work --------------------------------------------------------------------------------

    def _delivered(self, e: RecordsDelivered) -> int:
        number = self.kernel.say(e)
        reading, first, next_ = self._reading(e.group, e.partition), e.first, e.next
        _grow(reading, next_)
        hand = reading.hands.get(e.node)
        reading.hands[e.node] = (first if hand is None else hand[0], next_)
        delivered, again = reading.deliveries, 0
        if delivered.count(0, first, next_) == next_ - first:
            delivered[first:next_] = b"\1" * (next_ - first)
        else:
            messages = self._readable(reading, first, next_)
            for offset in range(first, next_):
                if messages[offset - first]:
                    again += delivered[offset] > 0
                    delivered[offset] = min(delivered[offset] + 1, 255)
            self.tally(e.group, "duplicated_deliveries", again, number)
        if reading.owner == e.node and reading.since <= first <= reading.read:
            reading.read = max(reading.read, next_)
        if first < self.state.partitions[e.partition].start:
            self._came_yet(reading, first, next_, number)
        self._recount(reading, first, next_, number)
        return number

    def _came_yet(self, reading: Reading, first: int, next_: int, cause: int) -> None:
        """What was deleted while it travelled to its reader is not lost to it."""
        log, places = self.state.partitions[reading.partition], reading.places
        came = [
            offset for offset in range(first, min(next_, log.start))
            if places[offset] == DROPPED and log.messages[offset]
        ]  # fmt: skip
        for offset in came:
            places[offset] = READY
        self.move(reading.group, {(DROPPED, READY): len(came)} if came else {}, cause)

    def _holes(self, reading: Reading, first: int, next_: int) -> int:
        """Offsets without a record of the room: control records, and what was cleaned away."""
        return self.state.partitions[reading.partition].messages[first:next_].count(0)

    def _worked(self, e: RecordsWorked) -> int:
        number = self.kernel.say(e)
        reading, first, next_ = self._reading(e.group, e.partition), e.first, e.next
        _grow(reading, next_)
        hand = reading.hands.get(e.node)
        if hand is not None:
            if next_ >= hand[1]:
                del reading.hands[e.node]
            else:
                reading.hands[e.node] = (next_, hand[1])
        reading.worked[e.node] = next_
        effects = reading.effects
        for offset in e.skipped:
            effects[offset] = 1
        messages = self._readable(reading, first, next_)
        if e.failed or e.skipped:
            without = {*e.failed, *e.skipped}
            offsets = [offset for offset in range(first, next_) if offset not in without]
            for offset in offsets:
                effects[offset] = 1
            worked = [messages[offset - first] for offset in offsets]
        else:
            effects[first:next_] = b"\1" * (next_ - first)
            worked = messages
        self.effects(e.group, worked, number)
        self._recount(reading, first, next_, number)
        return number

    def effects(self, group: int, messages: list[int], cause: int) -> None:
        """What was done before, and what was done after a later message of its key."""
        done, latest, key_of = self.state.done.get(group), self.account(group).latest, self.world.key_of
        if done is None:
            done = self.state.done[group] = bytearray()
        top = max(messages, default=0)
        if top >= len(done):
            done.extend(bytes(top + 1_024 - len(done)))
        repeated = disordered = 0
        for message in messages:
            if not message:
                continue
            if done[message]:
                repeated += 1
            if done[message] < 255:
                done[message] += 1
            key = key_of[message]
            if key != NO_KEY:
                while len(latest) <= key:
                    latest.append(0)
                if latest[key] > message:
                    disordered += 1
                else:
                    latest[key] = message
        self.tally(group, "duplicated_effects", repeated, cause)
        self.tally(group, "out_of_order", disordered, cause)

    # -- counts -------------------------------------------------------------------------------------------

    def _recount(self, reading: Reading, first: int, next_: int, cause: int) -> None:
        """Count what lies in [first, next) where it stands now."""
        first, next_ = max(first, reading.begin), min(next_, reading.owed_to)
        if first >= next_ or reading.begin < 0:
            return
        _grow(reading, next_)
        moves: dict[tuple[int, int], int] = {}
        committed = min(max(reading.committed, first), next_)
        if committed > first:
            self._recount_committed(reading, first, committed, moves)
        if committed < next_:
            since = min(max(reading.since, committed), next_)
            read = min(max(reading.read, since), next_)
            for a, b, place in (
                (committed, since, READY), (since, read, UNACKED), (read, next_, READY)
            ):  # fmt: skip
                if place == READY:
                    a = self._put_deleted(reading, a, b, moves)
                if a < b:
                    self._put(reading, a, b, place, moves)
        self.move(reading.group, moves, cause)

    def _put_deleted(
        self, reading: Reading, first: int, next_: int, moves: dict[tuple[int, int], int]
    ) -> int:
        """Of [first, next), which nobody reads, what is deleted. Returns where the rest begins."""
        end = min(self.state.partitions[reading.partition].start, next_)
        for offset in range(first, end):
            self._put(reading, offset, offset + 1, DONE if reading.effects[offset] else DROPPED, moves)
        return max(first, end)

    def _recount_committed(
        self, reading: Reading, first: int, next_: int, moves: dict[tuple[int, int], int]
    ) -> None:
        effects = reading.effects
        if not effects.count(0, first, next_):
            self._put(reading, first, next_, DONE, moves)
            return
        hands = list(reading.hands.values())
        for offset in range(first, next_):
            if effects[offset]:
                place = DONE
            elif any(a <= offset < b for a, b in hands):
                place = HELD
            else:
                place = LOST
            self._put(reading, offset, offset + 1, place, moves)

    def _put(
        self, reading: Reading, first: int, next_: int, now: int, moves: dict[tuple[int, int], int]
    ) -> None:
        """All of [first, next) in one place; what was dropped stays so, and holes stand nowhere."""
        places = reading.places
        was = places[first]
        count = next_ - first
        if was != DROPPED and places.count(was, first, next_) == count and not (
            was == NOWHERE and self._holes(reading, first, next_)
        ):  # fmt: skip
            if was != now:
                places[first:next_] = bytes((now,)) * count
                moves[was, now] = moves.get((was, now), 0) + count
            return
        messages = self.state.partitions[reading.partition].messages
        for offset in range(first, next_):
            was = places[offset]
            if was != now and was != DROPPED and (was or messages[offset]):
                places[offset] = now
                moves[was, now] = moves.get((was, now), 0) + 1

    def account(self, destination: int) -> Account:
        account = self.state.accounts.get(destination)
        if account is None:
            account = Account(0, [0] * len(PLACES), [0] * len(TALLIES), [])
            self.state.accounts[destination] = account
        return account

    def move(self, destination: int, moves: dict[tuple[int, int], int], cause: int) -> None:
        if not moves:
            return
        account, now_us = self.account(destination), self.kernel.now_us
        for (was, now), count in moves.items():
            account.places[was] -= count
            account.places[now] += count
            if was == NOWHERE:
                account.owed += count
            self.kernel.say(Counted(now_us, cause, destination, PLACES[was], PLACES[now], count))
            if now in (LOST, DROPPED):
                self.broken("nothing_lost", destination, cause)

    def tally(self, destination: int, what: Tally, count: int, cause: int) -> None:
        if count:
            self.account(destination).tallies[TALLY[what]] += count
            self.kernel.say(TalliedMore(self.kernel.now_us, cause, destination, what, count))
            if what in PROMISES:
                self.broken(PROMISES[what], destination, cause)

    # -- the present ----------------------------------------------------------------------------------------

    def adds_up(self) -> str:
        """What of the sums does not, "" when all does. Costs a few sums."""
        for destination, account in self.state.accounts.items():
            if sum(account.places[NOWHERE + 1 :]) != account.owed or min(account.places[NOWHERE + 1 :]) < 0:
                return f"destination {destination} is owed {account.owed}, its places are {account.places}"
        return ""

    def held_by(self, group: int, node: int) -> dict[int, tuple[int, int]]:
        """By partition, [first, next) of what this consumer has and has not worked, as events have told."""
        return {
            partition: reading.hands[node]
            for partition, reading in self.state.readings.get(group, {}).items()
            if node in reading.hands
        }

    def contradiction(self) -> str:
        """What does not add up, "" when all does. Costs a pass over all groups' offsets."""
        counted: dict[int, list[int]] = {}
        of_groups: list[Any] = [*self.state.readings.items(), *self.state.shares.items()]
        for group, by_partition in of_groups:
            row = counted.setdefault(group, [0] * len(PLACES))
            for reading in by_partition.values():
                for place in (READY, UNACKED, HELD):
                    row[place] += reading.places.count(place)
        for destination, account in self.state.accounts.items():
            row = counted.get(destination, [0] * len(PLACES))
            for place in (READY, UNACKED, HELD):
                if row[place] != account.places[place]:
                    return (f"destination {destination} counts {account.places[place]} {PLACES[place]}, its "
                            f"partitions {row[place]}")  # fmt: skip
        return ""

    def totals(self) -> dict[str, int]:
        """All groups together: owed, then places, then tallies, by name."""
        accounts = self.state.accounts.values()
        total = {"owed": sum(a.owed for a in accounts)}
        for index, place in enumerate(PLACES):
            if index != NOWHERE:
                total[place] = sum(a.places[index] for a in accounts)
        for index, tally in enumerate(TALLIES):
            total[tally] = sum(a.tallies[index] for a in accounts)
        return total

    def begun(self) -> dict[int, int]:
        """By partition, the first offset that a group began at which has committed nothing there."""
        first: dict[int, int] = {}
        for by_partition in self.state.readings.values():
            for partition, reading in by_partition.items():
                if reading.committed < 0 <= reading.begun:
                    first[partition] = min(reading.begun, first.get(partition, reading.begun))
        return first

    def recent_events(self) -> list[Event]:
        """What is over and still to be seen."""
        readings = (reading for of in self.state.readings.values() for reading in of.values())
        return [*self.recent.state_events(), *reading_events(readings)]

    def state_events(self, now_us: int) -> list[Event]:
        """The counts outright."""
        return [
            LedgerStands(now_us, 0, node, tuple(account.places[1:]), tuple(account.tallies))
            for node, account in self.state.accounts.items()
        ]


def _grow(reading: Reading, end: int) -> None:
    missing: Any = end - len(reading.places)
    if missing > 0:
        more = bytes(missing + 256)
        reading.places.extend(more)
        reading.effects.extend(more)
        reading.deliveries.extend(more)
