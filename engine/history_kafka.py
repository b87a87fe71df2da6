"""What a run's history knows of Kafka's logs and groups: the records that an event is of, what stood when.

A fold over the events of clusters and their clients; it asks nothing of a broker. Events of a range of
records become one `Record` for each of them, with the room's message in it; control records and what was
cleaned away are nobody's records and are left out, but for a control record's own `RecordsAppended`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from engine.events import Event
from engine.kafka.events import (
    AcquisitionEnded,
    BatchAcknowledged,
    LogMarked,
    OffsetCommitted,
    PartitionDeclared,
    PartitionsAssigned,
    PartitionsRevoked,
    PositionSet,
    RecordFailed,
    RecordsAcquired,
    RecordsAppended,
    RecordsDelivered,
    RecordsGone,
    RecordsSent,
    RecordsWorked,
)

RANGES: tuple[type[Event], ...] = (
    RecordsAppended, RecordsGone, RecordsSent, RecordsDelivered, RecordsWorked, RecordFailed, RecordsAcquired,
    AcquisitionEnded,
)  # fmt: skip
"""Events that happen to each of their records."""

OF_EACH: Mapping[type[Event], tuple[str, ...]] = {
    RecordsAppended: ("offset", "again"),
    RecordsDelivered: ("offset", "again"),
    RecordsWorked: ("offset", "again", "out_of_order", "failed", "skipped"),
    RecordsAcquired: ("offset", "deliveries"),
    **dict.fromkeys((RecordsGone, RecordsSent, AcquisitionEnded, RecordFailed), ("offset",)),
}
"""What a question may ask of each record of such an event, beside its message and key."""

LOG_WORDS = ("start", "end", "high watermark")
GROUP_WORDS = ("committed", "position", "lag")


class Record(NamedTuple):
    """One record of an event. `again`: written, handed out or worked before (with its effect; the two last
    by the same group). `out_of_order`: worked after a later message of its key. Both as the ledger counts."""

    offset: int
    message: int
    again: bool = False
    out_of_order: bool = False
    failed: bool = False
    skipped: bool = False
    deliveries: int = 0


class Cell(NamedTuple):
    """Where a record lies: a partition's node and an offset."""

    partition: int
    offset: int


T = TypeVar("T")


@dataclass
class Steps(Generic[T]):
    """A value that changes, with the moments: what it was at any of them."""

    moments: list[int] = field(default_factory=list)
    values: list[T] = field(default_factory=list)

    def put(self, at_us: int, value: T) -> None:
        self.moments.append(at_us)
        self.values.append(value)

    def at(self, at_us: int) -> T | None:
        """What it was when all that happened at `at_us` had happened; None before it was anything."""
        n = bisect_right(self.moments, at_us)
        return self.values[n - 1] if n else None


@dataclass
class Worked:
    """Of a group: how often each record was handed to it, which messages had their effect, the latest of
    each key that had."""

    delivered: set[Cell] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    latest: dict[str, int] = field(default_factory=dict)


@dataclass
class Logs:
    """All partitions and groups of a run. Nodes by number."""

    keys: Mapping[int, str]
    """Of messages."""
    partitions: list[int] = field(default_factory=list)
    messages: dict[Cell, int] = field(default_factory=dict)
    """What lies or lay in each cell; what was truncated lies there no more."""
    records: dict[int, tuple[Record, ...]] = field(default_factory=dict)
    """By the place of an event in the history."""
    lies: dict[int, Steps[Cell | None]] = field(default_factory=dict)
    """By message: where it was written last; None once it is gone."""
    starts: dict[int, Steps[int]] = field(default_factory=dict)
    ends: dict[int, Steps[int]] = field(default_factory=dict)
    marks: dict[int, Steps[int]] = field(default_factory=dict)
    committed: dict[tuple[int, int], Steps[int]] = field(default_factory=dict)
    """By group and partition, as all of these."""
    begun: dict[tuple[int, int], Steps[int]] = field(default_factory=dict)
    """Where the group's first reader began."""
    positions: dict[tuple[int, int], Steps[int | None]] = field(default_factory=dict)
    owners: dict[tuple[int, int], Steps[int]] = field(default_factory=dict)
    """A consumer's node, 0 for nobody."""
    groups: dict[int, Worked] = field(default_factory=dict)

    def hear(self, n: int, event: Event) -> None:
        """Take in the `n`-th event of the history."""
        match event:
            case PartitionDeclared():
                self.partitions.append(event.node)
                for of in (self.starts, self.ends, self.marks):
                    of.setdefault(event.node, Steps()).put(event.at_us, 0)
            case RecordsAppended():
                self.records[n] = tuple(self._appended(event))
            case LogMarked():
                self.starts[event.node].put(event.at_us, event.start)
                self.marks[event.node].put(event.at_us, event.high_watermark)
            case RecordsGone():
                self.records[n] = tuple(self._gone(event))
            case RecordsDelivered():
                self.records[n] = tuple(self._delivered(event))
            case RecordsWorked():
                self.records[n] = tuple(self._worked(event))
            case RecordsSent():
                self.records[n] = tuple(self._plain(event.source, range(event.first, event.next)))
            case RecordFailed():
                self.records[n] = tuple(self._plain(event.partition, (event.offset,)))
            case RecordsAcquired():
                self.records[n] = tuple(
                    record._replace(deliveries=event.deliveries[event.offsets.index(record.offset)])
                    for record in self._plain(event.node, event.offsets)
                )
            case AcquisitionEnded():
                self.records[n] = tuple(self._plain(event.node, event.offsets))
            case _:
                self._of_group(event)

    def _of_group(self, event: Event) -> None:
        match event:
            case OffsetCommitted():
                steps = self.committed.setdefault((event.group, event.node), Steps())
                steps.put(event.at_us, event.offset)
            case PositionSet():
                which = event.group, event.partition
                self.positions.setdefault(which, Steps()).put(event.at_us, event.offset)
                if which not in self.begun:
                    self.begun.setdefault(which, Steps()).put(event.at_us, event.offset)
            case PartitionsAssigned():
                for partition in event.partitions:
                    self.owners.setdefault((event.group, partition), Steps()).put(event.at_us, event.node)
            case PartitionsRevoked():
                for partition in event.partitions:
                    owner = self.owners.get((event.group, partition))
                    if owner is not None and owner.values[-1] == event.node:
                        owner.put(event.at_us, 0)
                        self.positions.setdefault((event.group, partition), Steps()).put(event.at_us, None)

    # -- records --------------------------------------------------------------------------------

    def _plain(self, partition: int, offsets: range | tuple[int, ...]) -> Iterator[Record]:
        for offset in offsets:
            message = self.messages.get(Cell(partition, offset), 0)
            if message:
                yield Record(offset, message)

    def _appended(self, event: RecordsAppended) -> Iterator[Record]:
        for offset, message in enumerate(event.messages, event.base):
            cell = Cell(event.node, offset)
            steps = self.lies.setdefault(message, Steps()) if message else Steps[Cell | None]()
            before = steps.values[-1] if steps.values else None
            self.messages[cell] = message
            steps.put(event.at_us, cell)
            yield Record(offset, message, again=before not in (None, cell))
        self.ends[event.node].put(event.at_us, event.base + len(event.messages))

    def _gone(self, event: RecordsGone) -> Iterator[Record]:
        truncated, offsets = event.why == "truncated", event.offsets
        for record in self._plain(event.node, offsets):
            cell, steps = Cell(event.node, record.offset), self.lies[record.message]
            if steps.values[-1] == cell:
                steps.put(event.at_us, None)
            if truncated:
                del self.messages[cell]
                for group in self.groups.values():
                    group.delivered.discard(cell)
            yield record
        if truncated:
            self.ends[event.node].put(event.at_us, offsets[0])

    def _delivered(self, event: RecordsDelivered) -> Iterator[Record]:
        delivered = self.groups.setdefault(event.group, Worked()).delivered
        for record in self._plain(event.partition, range(event.first, event.next)):
            cell = Cell(event.partition, record.offset)
            yield record._replace(again=cell in delivered)
            delivered.add(cell)
        steps = self.positions.get((event.group, event.partition))
        owner = self.owners.get((event.group, event.partition))
        if steps is not None and owner is not None and owner.values[-1] == event.node:
            steps.put(event.at_us, event.next)

    def _worked(self, event: RecordsWorked) -> Iterator[Record]:
        group = self.groups.setdefault(event.group, Worked())
        for record in self._plain(event.partition, range(event.first, event.next)):
            offset, message, key = record.offset, record.message, self.keys.get(record.message, "")
            failed, skipped = offset in event.failed, offset in event.skipped
            if failed or skipped:
                yield record._replace(failed=failed, skipped=skipped)
                continue
            late = bool(key) and group.latest.get(key, 0) > message
            yield record._replace(again=message in group.done, out_of_order=late)
            group.done.add(message)
            if key and not late:
                group.latest[key] = message

    def acknowledged(self, event: BatchAcknowledged) -> tuple[int, ...]:
        """The messages whose writing the producer is told of, none for an error."""
        offsets = range(event.base, event.base + event.count) if event.base >= 0 else range(0)
        return tuple(record.message for record in self._plain(event.source, offsets))

    # -- a moment -------------------------------------------------------------------------------

    def cell(self, of: int | str, at_us: int) -> Cell | None:
        """Where the message lies at that moment; of a key's messages the newest that lies."""
        if isinstance(of, int):
            steps = self.lies.get(of)
            return None if steps is None else steps.at(at_us)
        lying = (n for n, steps in self.lies.items() if self.keys.get(n) == of and steps.at(at_us))
        newest = max(lying, default=0)
        return self.lies[newest].at(at_us) if newest else None

    def was_written(self, message: int, at_us: int) -> bool:
        steps = self.lies.get(message)
        return steps is not None and bool(steps.moments) and steps.moments[0] <= at_us

    def owner(self, group: int, partition: int, at_us: int) -> int:
        """The consumer that has the partition then, 0 for nobody."""
        steps = self.owners.get((group, partition))
        return 0 if steps is None else steps.at(at_us) or 0

    def number(self, word: str, partition: int, group: int, at_us: int) -> int | None:
        """One of `LOG_WORDS` of a partition, or one of `GROUP_WORDS` of a group in it; None where there is
        none: nothing committed, nobody who reads. Lag is the high watermark without what is committed, or
        without what lies before the group's first position where nothing is committed yet."""
        which = group, partition
        if word in LOG_WORDS:
            steps = {"start": self.starts, "end": self.ends, "high watermark": self.marks}[word]
            return steps[partition].at(at_us)
        if word == "position":
            found = self.positions.get(which)
            return None if found is None else found.at(at_us)
        committed = self.committed[which].at(at_us) if which in self.committed else None
        if word == "committed":
            return committed
        if committed is None and which in self.begun:
            committed = self.begun[which].at(at_us)
        mark = self.marks[partition].at(at_us)
        return None if committed is None or mark is None else max(0, mark - committed)
