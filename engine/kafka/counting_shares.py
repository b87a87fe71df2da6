"""The count of what each share group is owed, a record a group, where that is told record by record.

A part of `engine.kafka.counting`. A record is owed to a share group from the moment when it is visible to it,
from the group's first share-partition start on. It stands, always in one place:

- *ready*: available, in flight or not looked at yet.
- *unacked*: acquired.
- *done*: its effect has happened and it is accepted; or it was deleted after its effect.
- *dead*: archived: rejected, or delivered as often as the limit allows. Its effect may have happened, and
  what was said of it been lost.
- *held*: accepted or deleted, and somebody works on it still.
- *lost*: accepted, its effect never happened, and nobody has it.
- *dropped*: deleted before any of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from engine.kafka.events import (
    AcquisitionEnded,
    LogMarked,
    MemberGone,
    PartitionsAssigned,
    PartitionsRevoked,
    RecordsAcquired,
    RecordsDelivered,
    RecordsGone,
    RecordsWorked,
    SharePartitionMarked,
)
from engine.kafka.written import hidden
from engine.places import DEAD, DONE, DROPPED, HELD, LOST, NOWHERE, READY, UNACKED

if TYPE_CHECKING:
    from engine.kafka.counting import Counting

Moves = dict[tuple[int, int], int]


class Shared(msgspec.Struct, array_like=True):
    """One share group at one partition. The arrays go by offset; `places` has indices of `PLACES`."""

    group: int
    partition: int
    begin: int = -1
    """The first offset that the group is owed; -1 before its first fetch."""
    owed_to: int = 0
    places: bytearray = msgspec.field(default_factory=bytearray)
    effects: bytearray = msgspec.field(default_factory=bytearray)
    deliveries: bytearray = msgspec.field(default_factory=bytearray)
    hands: dict[int, list[int]] = {}
    """Consumer → the offsets that it has and has not worked, in order."""


class ShareCounting:
    """Folds what share groups and their members tell, before consumer groups' counting hears of it."""

    def __init__(self, counting: Counting) -> None:
        self.counting = counting
        self.listening = False
        self.log_marked: Callable[[Any], int] = counting.kernel.say
        if counting.state.shares:
            self.listen()

    def listen(self) -> None:
        """Hear events, from the first share group on: a run without one pays nothing."""
        if self.listening:
            return
        self.listening = True
        folds, say = self.counting.kernel.folds, self.counting.kernel.say
        of_groups: dict[type, Callable[[Any], int]] = {
            RecordsDelivered: self._delivered, RecordsWorked: self._worked, PartitionsAssigned: say,
            PartitionsRevoked: self._revoked, MemberGone: self._member_gone, RecordsAcquired: self._acquired,
            AcquisitionEnded: self._ended, SharePartitionMarked: self._begun,
        }  # fmt: skip
        for kind, mine in of_groups.items():
            folds[kind] = self._one_or_other(mine, folds.get(kind, say))
        self.log_marked = folds.get(LogMarked, say)
        folds[LogMarked] = self._marked

    def _one_or_other(self, mine: Callable[[Any], int], other: Callable[[Any], int]) -> Callable[[Any], int]:
        shares = self.counting.state.shares
        return lambda event: mine(event) if event.group in shares else other(event)

    def _shared(self, group: int, partition: int) -> Shared:
        by_partition = self.counting.state.shares[group]
        shared = by_partition.get(partition)
        if shared is None:
            shared = by_partition[partition] = Shared(group, partition)
        return shared

    # -- what it is owed ------------------------------------------------------------------------------

    def _begun(self, e: SharePartitionMarked) -> int:
        number = self.counting.kernel.say(e)
        shared = self._shared(e.group, e.node)
        if shared.begin < 0:
            shared.begin = shared.owed_to = e.start
            self._owe(shared, number)
        return number

    def _marked(self, e: LogMarked) -> int:
        number = self.log_marked(e)
        for by_partition in self.counting.state.shares.values():
            shared = by_partition.get(e.node)
            if shared is not None and shared.begin >= 0:
                self._owe(shared, number)
        return number

    def _owe(self, shared: Shared, cause: int) -> None:
        """What is visible to it by now, but for what was taken back or removed before."""
        state = self.counting.state
        log, committed = state.partitions[shared.partition], shared.group in state.committed_only
        first, next_ = shared.owed_to, log.stable if committed else log.mark
        if next_ <= first:
            return
        shared.owed_to = next_
        _grow(shared, next_)
        count, unseen = 0, dict.fromkeys(hidden(log, committed, first, next_))
        for offset in range(first, next_):
            if log.messages[offset] and offset not in unseen:
                shared.places[offset] = READY
                count += 1
        self.counting.move(shared.group, {(NOWHERE, READY): count} if count else {}, cause)

    # -- acquisitions -----------------------------------------------------------------------------------

    def _acquired(self, e: RecordsAcquired) -> int:
        number = self.counting.kernel.say(e)
        shared = self._shared(e.group, e.node)
        self._place(shared, ((o, UNACKED) for o in e.offsets if shared.places[o] == READY), number)
        return number

    def _ended(self, e: AcquisitionEnded) -> int:
        number = self.counting.kernel.say(e)
        shared = self._shared(e.group, e.node)
        if e.offsets:
            _grow(shared, e.offsets[-1] + 1)
        told = ((o, self._after(shared, o, e)) for o in e.offsets if shared.places[o] == UNACKED)
        self._place(shared, told, number)
        return number

    def _after(self, shared: Shared, offset: int, e: AcquisitionEnded) -> int:
        """Where a record stands that is acquired no more."""
        if e.state == "AVAILABLE":
            return READY
        if e.state == "ARCHIVED" and e.why not in ("gap", "deleted"):
            return DEAD
        if shared.effects[offset]:
            return DONE
        if any(offset in hand for hand in shared.hands.values()):
            return HELD
        return LOST if e.state == "ACKNOWLEDGED" else DROPPED

    def _place(self, shared: Shared, told: Iterable[tuple[int, int]], cause: int) -> None:
        moves: Moves = {}
        for offset, now in told:
            was = shared.places[offset]
            if was != now:
                shared.places[offset] = now
                moves[was, now] = moves.get((was, now), 0) + 1
        self.counting.move(shared.group, moves, cause)

    def gone(self, e: RecordsGone, seen: dict[int, None], cause: int) -> None:
        """The log has these no more. What was owed to a share group is `seen`."""
        offsets = e.offsets
        for by_partition in self.counting.state.shares.values():
            shared = by_partition.get(e.node)
            if shared is None or shared.begin < 0:
                continue
            owed = [o for o in offsets if shared.begin <= o < shared.owed_to]
            seen.update(dict.fromkeys(owed))
            if e.why == "truncated":
                self._truncated(shared, owed, offsets, cause)
                continue
            there = (o for o in owed if shared.places[o] == READY)
            self._place(shared, ((o, DONE if shared.effects[o] else DROPPED) for o in there), cause)

    def _truncated(self, shared: Shared, owed: list[int], offsets: tuple[int, ...], cause: int) -> None:
        """Its offsets will be given again, to other records."""
        there = (o for o in owed if shared.places[o] in (READY, UNACKED, HELD))
        self._place(shared, ((o, LOST) for o in there), cause)
        if offsets:
            first = offsets[0]
            for array in (shared.places, shared.effects, shared.deliveries):
                array[first:] = bytes(max(0, len(array) - first))
            shared.owed_to = min(shared.owed_to, max(first, shared.begin))

    # -- bodies and work --------------------------------------------------------------------------------

    def _delivered(self, e: RecordsDelivered) -> int:
        number = self.counting.kernel.say(e)
        shared = self._shared(e.group, e.partition)
        _grow(shared, e.next)
        shared.hands.setdefault(e.node, []).extend(range(e.first, e.next))
        again = 0
        for offset in range(e.first, e.next):
            again += shared.deliveries[offset] > 0
            shared.deliveries[offset] = min(shared.deliveries[offset] + 1, 255)
        self.counting.tally(e.group, "duplicated_deliveries", again, number)
        came = (o for o in range(e.first, e.next) if shared.places[o] == DROPPED)
        self._place(shared, ((offset, HELD) for offset in came), number)
        return number

    def _worked(self, e: RecordsWorked) -> int:
        number = self.counting.kernel.say(e)
        shared = self._shared(e.group, e.partition)
        hand = shared.hands[e.node]
        for offset in range(e.first, e.next):
            hand.remove(offset)
        if not hand:
            del shared.hands[e.node]
        messages = self.counting.state.partitions[e.partition].messages
        without = {*e.failed, *e.skipped}
        for offset in range(e.first, e.next):
            if offset not in e.failed:
                shared.effects[offset] = 1
        worked = [messages[o] for o in range(e.first, e.next) if o not in without and o < len(messages)]
        self.counting.effects(e.group, worked, number)
        held = (o for o in range(e.first, e.next) if shared.places[o] in (HELD, LOST))
        self._place(shared, [(offset, self._end(shared, offset)) for offset in held], number)
        return number

    def _end(self, shared: Shared, offset: int) -> int:
        """Of a record that nobody will be given again: where it stands when one more is through with it."""
        if shared.effects[offset]:
            return DONE
        if any(offset in hand for hand in shared.hands.values()):
            return HELD
        deleted = offset < self.counting.state.partitions[shared.partition].start
        return DROPPED if deleted else LOST

    def _member_gone(self, e: MemberGone) -> int:
        self.counting.recent.gone(e)
        return self.counting.kernel.say(e)

    def _revoked(self, e: PartitionsRevoked) -> int:
        """What it has it keeps, unless its process is dead."""
        number = self.counting.kernel.say(e)
        if e.why == "crashed":
            for shared in self.counting.state.shares[e.group].values():
                hand = shared.hands.pop(e.node, [])
                held = (o for o in hand if shared.places[o] == HELD)
                self._place(shared, [(offset, self._end(shared, offset)) for offset in held], number)
        return number

    # -- for invariants -----------------------------------------------------------------------------------

    def acquired(self, group: int, partition: int) -> list[int] | None:
        """The offsets that are counted as acquired; None where the group is not counted yet."""
        shared = self.counting.state.shares.get(group, {}).get(partition)
        if shared is None:
            return None
        return [offset for offset, place in enumerate(shared.places) if place == UNACKED]

    def held_by(self, group: int, node: int) -> dict[int, list[int]]:
        """By partition, the offsets that this consumer has and has not worked, as events have told."""
        return {
            partition: sorted(shared.hands[node])
            for partition, shared in self.counting.state.shares.get(group, {}).items()
            if node in shared.hands
        }


def _grow(shared: Shared, end: int) -> None:
    missing = end - len(shared.places)
    if missing > 0:
        more = bytes(missing + 256)
        shared.places.extend(more)
        shared.effects.extend(more)
        shared.deliveries.extend(more)
