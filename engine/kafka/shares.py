"""Share groups (KIP-932): one partition's records lent out one by one, to more members than there are
partitions.

A share-partition remembers, of each record between its start and its end, whether it can be had
(AVAILABLE), is lent (ACQUIRED, until its lock is over), or finished (ACKNOWLEDGED, ARCHIVED). Order is
given up; a delivery that fails is repeated until the limit. `kafka.server.share.SharePartition`; KIP-1206,
KIP-1222 and KIP-1191 for modes, renewal and the dead-letter queue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from engine.kafka.errors import KafkaError
from engine.kafka.events import AcquisitionEnd
from engine.kafka.log import Log

State = Literal["AVAILABLE", "ACQUIRED", "ACKNOWLEDGED", "ARCHIVED"]

SHARE_DEFAULTS = {
    "share.auto.offset.reset": "latest",
    "share.delivery.count.limit": "5",
    "share.record.lock.duration.ms": "30000",
    "share.partition.max.record.locks": "2000",
    "share.isolation.level": "read_uncommitted",
    "share.renew.acknowledge.enable": "true",
    "errors.deadletterqueue.topic.name": "",
    "errors.deadletterqueue.copy.record.enable": "false",
}
"""Kafka 4.4's (`ShareGroupConfig`, `GroupConfig`)."""

REJECTED = "Offset rejected by client."
OVER_LIMIT = "Offset delivery count exceeded the threshold."


class InFlight(msgspec.Struct, array_like=True):
    """One record's state. `deliveries` counts how often it was acquired, `why` is how its last acquisition
    ended, `node` the consumer of `member`."""

    state: State
    deliveries: int
    member: str = ""
    lock_until_us: int = 0
    node: int = 0
    why: AcquisitionEnd = "gap"
    cleaned: bool = False
    """It was compacted away meanwhile: it is not delivered again."""


class Buried(msgspec.Struct, frozen=True):
    """A record that is archived and, where the group has one, goes to its dead-letter queue."""

    offset: int
    deliveries: int
    why: str


class SharePartition(msgspec.Struct, array_like=True):
    """One partition as one share group sees it. What lies from `end` on was never looked at."""

    group: str
    topic: str
    partition: int
    start: int
    end: int
    records: dict[int, InFlight] = {}
    timer: int = 0
    """The kernel's entry for the earliest lock that may run out, 0 for none."""

    # -- lending ------------------------------------------------------------------------------------

    def acquire(
        self,
        log: Log,
        before: int,
        config: dict[str, str],
        member: str,
        node: int,
        most: int,
        whole: bool,
        now_us: int,
    ) -> list[tuple[int, int]]:
        """(offset, delivery count) of what `member`, consumer `node`, acquires, in offset order.

        `before`: where its isolation level stops. `whole`: whole producer batches until `most` is reached or
        passed; else exactly up to `most`.
        """
        lock_us = int(config["share.record.lock.duration.ms"]) * 1_000
        locks_max = int(config["share.partition.max.record.locks"])
        committed = config["share.isolation.level"] == "read_committed"
        self.log_starts_at(log.start)
        lent: list[tuple[int, int]] = []
        if not self._room(locks_max):
            return lent
        for offsets in self._batches(log, before, committed):
            if offsets and offsets[0] >= self.end and self.end - self.start >= locks_max:
                break
            for offset in offsets:
                if not whole and len(lent) == most:
                    break
                record = self._record(offset)
                if record.state == "AVAILABLE":
                    record.state, record.member, record.node = "ACQUIRED", member, node
                    record.deliveries += 1
                    record.lock_until_us = now_us + lock_us
                    lent.append((offset, record.deliveries))
            if len(lent) >= most:
                break
        self._forget_finished()
        return lent

    def _room(self, locks_max: int) -> bool:
        available = any(record.state == "AVAILABLE" for record in self.records.values())
        return available or self.end - self.start < locks_max

    def _batches(self, log: Log, before: int, committed: bool) -> Iterator[list[int]]:
        """The data offsets of each batch from the start on; what is passed over on the way is finished."""
        for batch in list(log.batches_from(self.start)):
            if batch.base >= before:
                return
            hidden = bool(batch.marker) or (committed and log.is_aborted(batch))
            shown = () if hidden else batch.offsets
            offsets = [offset for offset in shown if self.start <= offset < before]
            for offset in range(max(batch.base, self.end), min(batch.last + 1, before)):
                if offset not in shown:
                    self.records[offset] = InFlight("ARCHIVED", 0)
                    self.end = offset + 1
            yield offsets

    def _record(self, offset: int) -> InFlight:
        for passed in range(self.end, offset):  # cleaned away
            self.records[passed] = InFlight("ARCHIVED", 0)
        if offset >= self.end:
            self.records[offset] = InFlight("AVAILABLE", 0)
            self.end = offset + 1
        return self.records[offset]

    # -- giving back ----------------------------------------------------------------------------------

    def acknowledge(
        self, member: str, batches: tuple[tuple[int, int, str], ...], config: dict[str, str], now_us: int
    ) -> list[Buried]:
        """All of it or nothing. Returns what is archived. Raises `KafkaError`."""
        wanted: list[tuple[int, str]] = []
        for first, last, answer in batches:
            if answer == "renew" and config["share.renew.acknowledge.enable"] != "true":
                raise KafkaError("INVALID_RECORD_STATE")
            for offset in range(max(first, self.start), last + 1):
                record = self.records.get(offset)
                if record is None or record.state != "ACQUIRED" or record.member != member:
                    raise KafkaError("INVALID_RECORD_STATE")
                wanted.append((offset, answer))
        buried: list[Buried] = []
        for offset, answer in wanted:
            buried += self._settle(offset, answer, config, now_us)
        self._forget_finished()
        return buried

    def _settle(self, offset: int, answer: str, config: dict[str, str], now_us: int) -> list[Buried]:
        record = self.records[offset]
        if answer == "renew":
            record.lock_until_us = now_us + int(config["share.record.lock.duration.ms"]) * 1_000
            return []
        if answer == "accept":
            _end(record, "ACKNOWLEDGED", "accept")
        elif answer == "reject":
            _end(record, "ARCHIVED", "reject")
            return [Buried(offset, record.deliveries, REJECTED)]
        elif answer == "gap":
            _end(record, "ARCHIVED", "gap")
        else:
            return self._failed(offset, record, config, "release")
        return []

    def _failed(
        self, offset: int, record: InFlight, config: dict[str, str], why: AcquisitionEnd
    ) -> list[Buried]:
        """A delivery ended without accept or reject: it can be had again, unless that was the last."""
        if record.cleaned:
            _end(record, "ARCHIVED", "gap")
        elif record.deliveries >= int(config["share.delivery.count.limit"]):
            _end(record, "ARCHIVED", "limit")
            return [Buried(offset, record.deliveries, OVER_LIMIT)]
        else:
            _end(record, "AVAILABLE", why)
        return []

    def release(self, member: str, config: dict[str, str]) -> list[Buried]:
        """What `member` holds: it is gone."""
        held = [o for o, r in self.records.items() if r.state == "ACQUIRED" and r.member == member]
        return self._release(held, config, "gone")

    def expire(self, now_us: int, config: dict[str, str]) -> list[Buried]:
        """What is held for too long."""
        held = [o for o, r in self.records.items() if r.state == "ACQUIRED" and r.lock_until_us <= now_us]
        return self._release(held, config, "lock")

    def _release(self, offsets: list[int], config: dict[str, str], why: AcquisitionEnd) -> list[Buried]:
        buried = [
            found for offset in offsets for found in self._failed(offset, self.records[offset], config, why)
        ]
        self._forget_finished()
        return buried

    def next_expiry_us(self) -> int:
        """When the next lock runs out; 0 when nothing is lent."""
        return min((r.lock_until_us for r in self.records.values() if r.state == "ACQUIRED"), default=0)

    def led_anew(self, log: Log) -> None:
        """Another broker leads. It goes on from the states that were made durable: an acquisition is not, and
        what was only acquired so far was not looked at. `log` is its own, and may lack the last records."""
        for record in self.records.values():
            if record.state == "ACQUIRED":
                record.deliveries -= 1
                _end(record, "AVAILABLE", "leader")
        while self.end > self.start:
            last = self.records[self.end - 1]
            if self.end <= log.end() and (last.state != "AVAILABLE" or last.deliveries):
                break
            self.end -= 1
            del self.records[self.end]
        if self.start > log.end():
            self.start = self.end = log.end()
        self._forget_finished()

    def cleaned(self, offsets: tuple[int, ...]) -> None:
        """Compaction took these."""
        for offset in offsets:
            record = self.records.get(offset)
            if record is not None and record.state == "AVAILABLE":
                _end(record, "ARCHIVED", "gap")
            elif record is not None:
                record.cleaned = True
        self._forget_finished()

    def log_starts_at(self, offset: int) -> None:
        """Records before `offset` are gone from the log, whoever held them."""
        if offset <= self.start:
            return
        for gone in [known for known in self.records if known < offset]:
            del self.records[gone]
        self.start, self.end = offset, max(self.end, offset)
        self._forget_finished()

    def _forget_finished(self) -> None:
        """The start is the first record that is not finished."""
        while self.start < self.end:
            record = self.records.get(self.start)
            if record is not None and record.state in ("AVAILABLE", "ACQUIRED"):
                return
            self.records.pop(self.start, None)
            self.start += 1


def _end(record: InFlight, state: State, why: AcquisitionEnd) -> None:
    """Nobody has it any more."""
    record.state, record.why = state, why
    record.member, record.lock_until_us, record.node = "", 0, 0
