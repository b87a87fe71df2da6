"""Share groups (KIP-932): one partition's records lent out one by one, to more members than there are
partitions.

A share-partition remembers, of each record between its start and its end, whether it can be had
(AVAILABLE), is lent (ACQUIRED, until its lock is over), or finished (ACKNOWLEDGED, ARCHIVED). Order is
given up; a delivery that fails is repeated until the limit. `kafka.server.share.SharePartition`; KIP-1206,
KIP-1222 and KIP-1191 for modes, renewal and the dead-letter queue.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.kafka.errors import KafkaError
from engine.kafka.events import AcquisitionEnd
from engine.kafka.log import Batch, Log

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


class Lending(msgspec.Struct, frozen=True):
    """To whom something is lent, and until when."""

    member: str
    node: int
    until_us: int

    def lend(self, record: InFlight) -> int:
        """Returns how often it has been by now."""
        record.state, record.member, record.node = "ACQUIRED", self.member, self.node
        record.lock_until_us = self.until_us
        record.deliveries += 1
        return record.deliveries


class SharePartition(msgspec.Struct, array_like=True):
    """One partition as one share group sees it. What lies from `end` on was never looked at."""

    group: str
    topic: str
    partition: int
    start: int
    end: int
    records: dict[int, InFlight] = {}
    spans: list[tuple[int, int]] = []
    """(first, last) of what was acquired as one, in offset order, as long as some of it is not finished."""
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

        `before`: where its isolation level stops. `whole`: until `most` is reached or passed, whole producer
        batches of what nobody has had yet, and of what is lent again whatever was acquired as one and is
        available; else exactly up to `most`. Offsets count, also those without a record to show.

        What has failed often is lent in ever smaller parts, and for the last time alone, so that one record
        that cannot be worked takes no others along (`SharePartition.shouldThrottleRecordsDelivery`, 4.2).
        """
        self.log_starts_at(log.start)
        to = Lending(member, node, now_us + int(config["share.record.lock.duration.ms"]) * 1_000)
        locks_max = int(config["share.partition.max.record.locks"])
        next_ = min((o for o, r in self.records.items() if r.state == "AVAILABLE"), default=self.end)
        batches = [batch for batch in log.batches_from(next_) if batch.base < before]
        if not batches:
            return []
        last, room = min(batches[-1].last, before - 1), locks_max - (self.end - self.start)
        if room <= 0:
            last, room = self.end - 1, self.end - next_
        most_now = min(most, room)
        if most_now <= 0:
            return []
        lent, more = self._lend_again(to, (batches[0].base, last), most_now, whole, config)
        if more > 0 and self.end <= last:
            committed = config["share.isolation.level"] == "read_committed"
            shown = [
                (batch, not batch.marker and not (committed and log.is_aborted(batch))) for batch in batches
            ]
            lent += self._lend_new(to, shown, last, more, most if whole else 0)
        self._forget_finished()
        return lent

    def _lend_again(
        self, to: Lending, asked: tuple[int, int], most: int, whole: bool, config: dict[str, str]
    ) -> tuple[list[tuple[int, int]], int]:
        """What is available again between the offsets `asked`, and how many more there may be of others."""
        limit = int(config["share.delivery.count.limit"])
        often = max(2, -(-limit // 2))
        lent: list[tuple[int, int]] = []
        count = 0
        for first, last in self.spans:
            if count >= most:
                break
            offsets = range(max(first, self.start), min(last, asked[1]) + 1)
            available = [o for o in offsets if self.records[o].state == "AVAILABLE"]
            if last < asked[0] or first > asked[1] or not available:
                continue
            failing = max(self.records[offset].deliveries for offset in available) >= often
            if failing and count:
                return lent, 0
            taken = available
            if failing:
                taken = self._part(available, last - first + 1, often, limit)
            if not whole:
                taken = taken[: most - count]
            lent += [(offset, to.lend(self.records[offset])) for offset in taken]
            count += len(taken)
            if failing:
                return lent, 0
        return lent, most - count

    def _part(self, available: list[int], size: int, often: int, limit: int) -> list[int]:
        """What is lent now of `available`, of `size` that were acquired as one, some of which have failed
        `often` or more."""
        taken: list[int] = []
        at_most = 0
        for offset in available:
            deliveries = self.records[offset].deliveries
            if limit > 2 and deliveries == limit - 1 and taken:
                break
            if deliveries >= often and not at_most:
                at_most = max(1, size >> (deliveries - often + 1))
            taken.append(offset)
            if (limit > 2 and deliveries == limit - 1) or len(taken) == at_most:
                break
        return taken

    def _lend_new(
        self, to: Lending, batches: list[tuple[Batch, bool]], last: int, most: int, split: int
    ) -> list[tuple[int, int]]:
        """What nobody has had yet, of `batches` (each: whether its records may be seen), up to `last`.

        `split`: what is acquired as one has at least so many records, and ends with a batch; 0: all are one,
        and what of the last batch is over `most` stays available.
        """
        in_reach = any(offset <= last for _, offset in self.spans if offset >= batches[0][0].base)
        first = self.end if in_reach else max(self.end, batches[0][0].base)
        upto = last
        if most < last - first + 1:
            last = min(last, next(b.last for b, _ in batches if b.last >= first + most - 1))
            upto = last if split else first + most - 1
        self._add_spans(first, last, [batch.base for batch, _ in batches], split)
        shown = {offset for batch, seen in batches if seen for offset in batch.offsets}
        lent: list[tuple[int, int]] = []
        for offset in range(self.end, last + 1):
            record = self.records[offset] = InFlight("AVAILABLE", 0)
            if offset < first or offset not in shown:
                record.state = "ARCHIVED"
            elif offset <= upto:
                lent.append((offset, to.lend(record)))
        self.end = last + 1
        return lent

    def _add_spans(self, first: int, last: int, bases: list[int], split: int) -> None:
        if split and last - first + 1 > split:
            for base in bases:
                if base <= last and base - first >= split:
                    self.spans.append((first, base - 1))
                    first = base
        self.spans.append((first, last))

    # -- giving back ----------------------------------------------------------------------------------

    def acknowledge(
        self, member: str, batches: tuple[tuple[int, int, str], ...], config: dict[str, str], now_us: int
    ) -> list[Buried]:
        """All of it or nothing. Returns what is archived. Raises `KafkaError`."""
        wanted: list[tuple[int, str]] = []
        past = -1
        for first, last, _ in batches:
            if first > last or first < past:
                raise KafkaError("INVALID_REQUEST")  # ranges go forward (`KafkaApis`)
            past = last
        for first, last, answer in batches:
            if answer == "renew" and config["share.renew.acknowledge.enable"] != "true":
                raise KafkaError("INVALID_RECORD_STATE")
            self._check_known(first, last)
            for offset in range(max(first, self.start), last + 1):
                record = self.records.get(offset)
                if record is not None and record.state == "ARCHIVED" and not record.deliveries:
                    continue  # there is no record to see here
                if record is None or record.state != "ACQUIRED" or record.member != member:
                    raise KafkaError("INVALID_RECORD_STATE")
                if wanted and wanted[-1][0] == offset:
                    raise KafkaError("INVALID_RECORD_STATE")  # the range before has settled it
                wanted.append((offset, answer))
        buried: list[Buried] = []
        for offset, answer in wanted:
            buried += self._settle(offset, answer, config, now_us)
        self._forget_finished()
        return buried

    def _check_known(self, first: int, last: int) -> None:
        """Raises `KafkaError` where what is said goes beyond what was acquired
        (`SharePartition.fetchSubMapForAcknowledgementBatch`)."""
        if last < self.start:
            return
        since = max((span[0] for span in self.spans if span[0] <= max(first, self.start)), default=-1)
        known = [span for span in self.spans if since <= span[0] <= last]
        if since < 0 or not known:
            raise KafkaError("INVALID_RECORD_STATE")
        if not first <= known[-1][1] >= last:
            raise KafkaError("INVALID_REQUEST")

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
        self.spans = self._alike()
        self._forget_finished()

    def _alike(self) -> list[tuple[int, int]]:
        """What is stored of states: offsets in a row that are alike are one."""
        alike: list[tuple[int, int]] = []
        like: object = None
        for offset in range(self.start, self.end):
            record = self.records[offset]
            if (record.state, record.deliveries) == like:
                alike[-1] = alike[-1][0], offset
            else:
                alike.append((offset, offset))
            like = record.state, record.deliveries
        return alike

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
                break
            self.records.pop(self.start, None)
            self.start += 1
        self.spans = [span for span in self.spans if span[1] >= self.start]


def _end(record: InFlight, state: State, why: AcquisitionEnd) -> None:
    """Nobody has it any more."""
    record.state, record.why = state, why
    record.member, record.lock_until_us, record.node = "", 0, 0
