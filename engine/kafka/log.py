"""One replica's log of one partition: batches in segments, what a reader may see of them, and who wrote them.

Offsets are never given twice. Reading takes nothing away; only retention, compaction, DeleteRecords and a
follower's truncation do. The producers' sequences
(`org.apache.kafka.storage.internals.log.ProducerStateManager`) and the open and aborted transactions are
part of the log, because every replica derives them from it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import attrgetter
from typing import Literal

import msgspec

from engine.kafka.errors import KafkaError

NO_PID = -1
NO_SEQUENCE = -1
SEQUENCE_MAX = 2**31 - 1
KEPT_BATCHES = 5
"""Of each producer: a duplicate of one of its last five batches is recognised (`ProducerStateEntry`)."""

Isolation = Literal["read_uncommitted", "read_committed"]
Marker = Literal["", "commit", "abort"]


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What one append wrote. Compaction replaces it by one with fewer records; the offsets of those stay.

    `offsets`, `keys`, `values` and `messages` run side by side. A value None is a tombstone; `messages` are
    the room's numbers of what was written, 0 where nobody counts. A control batch has one offset and no
    record.
    """

    base: int
    last: int
    at_us: int
    size: int
    offsets: tuple[int, ...]
    keys: tuple[str | None, ...]
    values: tuple[str | None, ...]
    messages: tuple[int, ...]
    pid: int = NO_PID
    epoch: int = -1
    sequence: int = NO_SEQUENCE
    transactional: bool = False
    marker: Marker = ""
    leader_epoch: int = 0
    horizon_us: int = -1
    """When a tombstone or a marker in it may go: set by the cleaning that first sees it. -1 before."""
    headers: tuple[tuple[str, str], ...] = ()
    """Of every record in it."""


class Segment(msgspec.Struct, array_like=True):
    """A file of the log. The last one is active: it alone is appended to, and is never cleaned."""

    base: int
    batches: list[Batch]
    upto: int = 0
    """Where it ends even though its last batches were cleaned away."""
    size: int = 0
    """Bytes of keys, values and headers."""

    def end(self) -> int:
        """The offset behind its last batch."""
        return max(self.upto, self.batches[-1].last + 1 if self.batches else self.base)

    def newest_us(self) -> int:
        return max((batch.at_us for batch in self.batches), default=-1)


class Written(msgspec.Struct, array_like=True):
    """A batch as its producer's state remembers it: the offset is what a duplicate is answered with."""

    epoch: int
    first: int
    last: int
    base: int


class ProducerState(msgspec.Struct, array_like=True):
    """What a partition knows of one producer id."""

    epoch: int
    last_sequence: int
    batches: list[Written]
    transaction: int = -1
    """First offset of its open transaction in this partition, -1 for none."""


class Ended(msgspec.Struct, array_like=True, frozen=True):
    """A transaction that ended here: from `first` to its marker at `last`."""

    pid: int
    first: int
    last: int
    aborted: bool


_base, _last = attrgetter("base"), attrgetter("last")


class Log(msgspec.Struct, array_like=True):
    """A replica's log. `start` is the log start offset, `end()` the log end offset."""

    start: int = 0
    segments: list[Segment] = []
    producers: dict[int, ProducerState] = {}
    ended: list[Ended] = []
    cleaned_to: int = 0
    """What lies before it has been cleaned at least once."""
    roll_next: bool = False
    epochs: list[tuple[int, int]] = []
    """(leader epoch, first offset written in it), oldest first."""

    # -- reading ------------------------------------------------------------------------------------

    def end(self) -> int:
        return self.segments[-1].end() if self.segments else self.start

    def end_of_epoch(self, epoch: int) -> int:
        """Where the next leader epoch begins, or the log's end."""
        return next((first for later, first in self.epochs if later > epoch), self.end())

    def last_stable(self, high_watermark: int) -> int:
        """Where read_committed stops: the first offset of a transaction whose end is not replicated yet.

        Where that was deleted, the base offset of the batch in which the log now starts.
        """
        unstable = [state.transaction for state in self.producers.values() if state.transaction >= 0]
        for ended in reversed(self.ended):
            if ended.last < high_watermark:
                break
            unstable.append(ended.first)
        first = min(unstable, default=high_watermark)
        if first < self.start:
            first = next((batch.base for batch in self.batches_from(self.start)), self.start)
        return min(high_watermark, first)

    def batches_from(self, offset: int) -> Iterator[Batch]:
        """The batches that hold `offset` or come after it."""
        first = max(0, bisect_right(self.segments, offset, key=_base) - 1)
        for segment in self.segments[first:]:
            batches = segment.batches
            for place in range(bisect_left(batches, offset, key=_last), len(batches)):
                yield batches[place]

    def first_since(self, time_us: int, before: int) -> int:
        """The first offset below `before` that was written at `time_us` or later; -1 where there is none."""
        for batch in self.batches_from(self.start):
            if batch.at_us >= time_us:
                return next((offset for offset in batch.offsets if self.start <= offset < before), -1)
        return -1

    def visible(
        self, offset: int, before: int, isolation: Isolation, max_records: int | None = None
    ) -> Iterator[tuple[Batch, int]]:
        """(batch, place in it) of the data records from `offset` on that lie before `before`.

        Control records are never shown. read_committed leaves out what an aborted transaction wrote;
        `before` is the last stable offset then, the high watermark otherwise.
        """
        shown = 0
        for batch in self.batches_from(offset):
            if batch.base >= before:
                return
            if batch.marker or (isolation == "read_committed" and self.is_aborted(batch)):
                continue
            for place, at in enumerate(batch.offsets):
                if at >= before or shown == max_records:
                    return
                if at >= offset:
                    shown += 1
                    yield batch, place

    def is_aborted(self, batch: Batch) -> bool:
        """Whether it was written inside a transaction that ended with an abort marker."""
        return batch.transactional and any(
            ended.aborted and ended.pid == batch.pid and ended.first <= batch.base <= ended.last
            for ended in self.ended
        )

    # -- writing ------------------------------------------------------------------------------------

    def duplicate_of(self, pid: int, epoch: int, first: int, last: int) -> int:
        """The offset that this batch has already, -1 when it is new. Mere overlap is no duplicate."""
        state = self.producers.get(pid)
        for batch in state.batches if state else ():
            if (batch.epoch, batch.first, batch.last) == (epoch, first, last):
                return batch.base
        return -1

    def check(self, pid: int, epoch: int, sequence: int, transactional: bool) -> None:
        """Whether this producer may write that next. Raises `KafkaError`."""
        state = self.producers.get(pid)
        if state is None:
            return
        if epoch < state.epoch:
            raise KafkaError("INVALID_PRODUCER_EPOCH")
        if epoch > state.epoch:
            if sequence != 0:
                raise KafkaError("OUT_OF_ORDER_SEQUENCE_NUMBER")
        elif sequence != next_sequence(state.last_sequence):
            raise KafkaError("OUT_OF_ORDER_SEQUENCE_NUMBER")
        if state.transaction >= 0 and not transactional:
            raise KafkaError("INVALID_TXN_STATE")

    def append(self, batch: Batch, segment_bytes: int = -1, segment_us: int = -1) -> None:
        """Write `batch`, whose base is the log's end; a marker ends its producer's transaction.

        A segment that would grow beyond `segment_bytes`, or whose first batch is more than `segment_us` older
        than this one (`LogSegment.shouldRoll`), is closed first; -1 for no such bound.
        """
        active = self.segments[-1] if self.segments else None
        full = active is not None and 0 <= segment_bytes < active.size + batch.size
        if active is not None and active.batches and 0 <= segment_us < batch.at_us - active.batches[0].at_us:
            full = True
        if active is None or (active.batches and (self.roll_next or full)):
            active = Segment(batch.base, [])
            self.segments.append(active)
        self.roll_next = False
        active.batches.append(batch)
        active.size += batch.size
        if not self.epochs or self.epochs[-1][0] < batch.leader_epoch:
            self.epochs = [*self.epochs, (batch.leader_epoch, batch.base)]
        if batch.pid != NO_PID:
            self._note(batch)

    def _note(self, batch: Batch) -> None:
        """What the batch says about its producer."""
        state = self.producers.get(batch.pid)
        if state is None:
            state = self.producers[batch.pid] = ProducerState(batch.epoch, NO_SEQUENCE, [])
        if batch.epoch > state.epoch:
            state.epoch, state.last_sequence, state.batches = batch.epoch, NO_SEQUENCE, []
        if batch.marker:
            if state.transaction >= 0:
                aborted = batch.marker == "abort"
                self.ended.append(Ended(batch.pid, state.transaction, batch.base, aborted))
                state.transaction = -1
            return
        last = last_sequence(batch.sequence, batch.last - batch.base + 1)
        state.last_sequence = last
        state.batches = [*state.batches, Written(batch.epoch, batch.sequence, last, batch.base)]
        state.batches = state.batches[-KEPT_BATCHES:]
        if batch.transactional and state.transaction < 0:
            state.transaction = batch.base

    def truncate_to(self, offset: int) -> None:
        """A follower gives up what its leader does not have: everything from `offset` on."""
        end = min(self.end(), offset)
        for segment in self.segments:
            segment.batches = [batch for batch in segment.batches if batch.base < offset]
            segment.size = sum(batch.size for batch in segment.batches)
            segment.upto = min(segment.upto, offset)
        self.segments = [segment for segment in self.segments if segment.batches]
        self.start = min(self.start, offset)
        if self.end() < end:  # what stood there was cleaned away, here as at the leader's
            self.segments.append(Segment(end, []))
        self.epochs = [(epoch, first) for epoch, first in self.epochs if first < offset]
        self.producers, self.ended = {}, []
        for segment in self.segments:
            for batch in segment.batches:
                if batch.pid != NO_PID:
                    self._note(batch)

    # -- what takes records away ----------------------------------------------------------------------

    def delete_before(self, offset: int) -> None:
        """The log starts at `offset` from now on; segments that lie wholly before it go."""
        self.start = max(self.start, offset)
        while len(self.segments) > 1 and self.segments[0].end() <= self.start:
            self.segments.pop(0)

    def roll(self) -> None:
        """The next append opens a new segment. Until then the newest one stays the active one."""
        self.roll_next = bool(self.segments and self.segments[-1].batches)

    def retain(self, now_us: int, retention_us: int, retention_bytes: int, high_watermark: int) -> None:
        """Delete leading segments that are too old, or beyond the size. -1 for no such bound.

        A segment's age is that of its newest record. The active one goes too where it alone is left and has
        expired, or no byte may be kept: the log then goes on in a new, empty one.
        """
        beyond = sum(segment.size for segment in self.segments) - retention_bytes
        while self.segments:
            first = self.segments[0]
            if not first.batches or first.end() > high_watermark:
                return
            too_old = 0 <= retention_us < now_us - first.newest_us()
            too_much = retention_bytes >= 0 and beyond >= first.size
            if not too_old and not too_much:
                return
            beyond -= first.size
            end = first.end()
            self.segments.pop(0)
            if not self.segments:
                self.segments = [Segment(end, [])]
            self.start = max(self.start, end)

    def compact(self, now_us: int, delete_retention_us: int, high_watermark: int) -> bool:
        """The cleaner gets its chance. Returns whether it did anything.

        It works on whole segments, those before the active one and before the one where the last stable
        offset lies, and only if one of them has never been cleaned. The last record of a key stays, with
        its offset.
        """
        cleanable = self._cleanable(high_watermark)
        end = cleanable[-1].end() if cleanable else 0
        if end <= self.cleaned_to:
            return False
        newest: dict[str | None, int] = {}
        alive: dict[int, None] = {}
        """Producer ids with a record that stays: their markers are still needed."""
        for segment in cleanable:
            for batch in segment.batches:
                if not batch.marker and not self.is_aborted(batch):
                    newest.update(zip(batch.keys, batch.offsets, strict=True))
        for segment in cleanable:
            cleaned = [self._clean(batch, newest, now_us, delete_retention_us) for batch in segment.batches]
            alive.update((b.pid, None) for b in cleaned if b.transactional and b.offsets and not b.marker)
            segment.upto = segment.end()
            segment.batches = cleaned
        for segment in cleanable:
            segment.batches = self._without_spent(segment.batches, alive, now_us, delete_retention_us)
            segment.size = sum(batch.size for batch in segment.batches)
        self.segments = [s for s in self.segments if s.batches or s is self.segments[-1]]
        self.cleaned_to = end
        return True

    def dirty(self, high_watermark: int) -> float:
        """What share of the bytes that may be cleaned never was (the cleaner's "cleanable ratio"), 0 to 1."""
        cleanable = self._cleanable(high_watermark)
        size = sum(segment.size for segment in cleanable)
        return sum(segment.size for segment in cleanable if segment.end() > self.cleaned_to) / max(1, size)

    def _cleanable(self, high_watermark: int) -> list[Segment]:
        """Those before the active segment and before the one where the last stable offset lies."""
        stable = self.last_stable(high_watermark)
        return [segment for segment in self.segments[:-1] if segment.end() <= stable]

    def _clean(
        self, batch: Batch, newest: dict[str | None, int], now_us: int, delete_retention_us: int
    ) -> Batch:
        """The batch with the records that stay; none of an aborted transaction do."""
        if batch.marker:
            return batch
        aborted, gone = self.is_aborted(batch), 0 <= batch.horizon_us <= now_us
        kept = [
            place
            for place, (key, offset) in enumerate(zip(batch.keys, batch.offsets, strict=True))
            if not aborted and newest[key] == offset and not (gone and batch.values[place] is None)
        ]
        tombstone = any(batch.values[place] is None for place in kept)
        horizon_us = batch.horizon_us
        if tombstone and horizon_us < 0:
            horizon_us = now_us + delete_retention_us
        if len(kept) == len(batch.offsets) and horizon_us == batch.horizon_us:
            return batch
        return msgspec.structs.replace(
            batch,
            offsets=tuple(batch.offsets[place] for place in kept),
            keys=tuple(batch.keys[place] for place in kept),
            values=tuple(batch.values[place] for place in kept),
            messages=tuple(batch.messages[place] for place in kept),
            size=batch.size * len(kept) // max(1, len(batch.offsets)),
            horizon_us=horizon_us,
        )

    def _without_spent(
        self, batches: list[Batch], alive: dict[int, None], now_us: int, delete_retention_us: int
    ) -> list[Batch]:
        """Without empty batches, and without markers of which nothing is left and whose time is over."""
        kept = []
        for batch in batches:
            if not batch.marker:
                kept += [batch] if batch.offsets else []
            elif batch.pid in alive or batch.horizon_us < 0:
                unneeded = batch.pid not in alive
                horizon_us = now_us + delete_retention_us if unneeded else -1
                kept.append(msgspec.structs.replace(batch, horizon_us=horizon_us))
            elif now_us < batch.horizon_us:
                kept.append(batch)
        return kept

    def data_offsets(self) -> list[int]:
        """The offsets of all data records, those of aborted transactions included."""
        return [
            offset
            for segment in self.segments
            for batch in segment.batches
            if not batch.marker
            for offset in batch.offsets
            if offset >= self.start
        ]


def next_sequence(sequence: int) -> int:
    """The sequence number behind it: after 2³¹ − 1 comes 0."""
    return 0 if sequence == SEQUENCE_MAX else sequence + 1


def last_sequence(first: int, count: int) -> int:
    """The sequence number of the last of `count` records that begin with `first`."""
    last = first + count - 1
    return last - SEQUENCE_MAX - 1 if last > SEQUENCE_MAX else last
