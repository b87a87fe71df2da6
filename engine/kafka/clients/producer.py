"""A producer: which partition a record goes to, its sequences, and the transaction that it is in.

`org.apache.kafka.clients.producer.internals.TransactionManager`: begin and an empty commit ask nobody, so a
fenced producer notices with its first write.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.kafka import operations as ops
from engine.kafka.assignors import Partition
from engine.kafka.log import NO_PID, NO_SEQUENCE, last_sequence, next_sequence
from engine.kafka.partitioners import Partitioner, partition_of


class Producer(msgspec.Struct):
    """One producer. `error` is what its open transaction failed with, `fenced` that it is over for good."""

    name: str
    transactional_id: str = ""
    partitioner: Partitioner = "murmur2"
    acks: ops.Acks = -1
    pid: int = NO_PID
    epoch: int = -1
    sequences: dict[Partition, int] = {}
    """Last sequence number used, by partition."""
    open: bool = False
    tried: bool = False
    """Whether the open transaction has written, or tried to."""
    error: str = ""
    fenced: bool = False

    def initialized(self, answer: ops.ProducerIdGiven) -> None:
        """It has its id, or a new epoch of it: sequences begin anew."""
        if (answer.pid, answer.epoch) != (self.pid, self.epoch):
            self.sequences = {}
        self.pid, self.epoch = answer.pid, answer.epoch

    def place(self, key: str | None, partitions: int) -> int:
        """Where a record goes that nobody told where. A null key's choice is not made here."""
        return partition_of((key or "").encode(), partitions, self.partitioner)

    def produce(self, partition: Partition, records: tuple[ops.Record, ...], timeout_us: int) -> ops.Produce:
        """The request for one batch; an idempotent producer numbers it."""
        first = NO_SEQUENCE
        if self.pid != NO_PID:
            first = next_sequence(self.sequences.get(partition, NO_SEQUENCE))
            self.sequences[partition] = last_sequence(first, len(records))
        self.tried = self.tried or self.open
        return ops.Produce(
            *partition, records, self.acks, self.pid, self.epoch, first,
            self.transactional_id if self.open else "", timeout_us,
        )  # fmt: skip

    def cannot_write(self) -> str:
        """Why it may write nothing now, "" where it may: under a transactional id nothing is written outside
        a transaction, nor inside one that has failed."""
        if self.fenced:
            return "PRODUCER_FENCED"
        if self.transactional_id and not self.open:
            return "ILLEGAL_STATE"
        return self.error

    def failed(self, error: str) -> None:
        """A write of the open transaction was refused. Who was told that it is fenced is so for good."""
        if error == "PRODUCER_FENCED":
            self.fenced = True
        elif self.open:
            self.error = error

    def begin(self) -> str:
        """The error, "" when a transaction is open now. Nobody is asked."""
        if self.fenced:
            return "PRODUCER_FENCED"
        if self.open:
            return self.error or "ILLEGAL_STATE"
        self.open, self.tried, self.error = True, False, ""
        return ""

    def end(self, commit: bool) -> ops.EndTxn | Literal["", "PRODUCER_FENCED"] | str:
        """The request that ends it; or "" when there is nothing to end, or the error."""
        if self.fenced:
            return "PRODUCER_FENCED"
        if not self.open:
            return "ILLEGAL_STATE"
        if commit and self.error:
            return self.error
        if not commit and self.error == "INVALID_PRODUCER_EPOCH":
            self.fenced = True
            return "PRODUCER_FENCED"
        if not self.tried:
            self.open = False
            return ""
        return ops.EndTxn(self.transactional_id, self.pid, self.epoch, commit)

    def send_offsets(self, group: str, offsets: tuple[tuple[Partition, int], ...]) -> ops.TxnOffsetCommit:
        """sendOffsetsToTransaction: an offset is something written."""
        self.tried = True
        return ops.TxnOffsetCommit(self.transactional_id, self.pid, self.epoch, group, offsets)

    def ended(self, answer: ops.ProducerIdGiven) -> None:
        self.open = self.tried = False
        self.initialized(answer)
