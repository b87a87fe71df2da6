"""The transaction coordinator: producer ids, who may write under a transactional id, and how a transaction
ends.

Transactions version 2 (KIP-890): a partition joins the transaction with the first write, and each end
raises the producer's epoch by one, so that nothing of an ended transaction can be taken for the next one.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.kafka.assignors import Partition
from engine.kafka.errors import KafkaError

State = Literal["Empty", "Ongoing", "CompleteCommit", "CompleteAbort"]


class Transactional(msgspec.Struct, array_like=True):
    """What the coordinator knows of one transactional id."""

    pid: int
    epoch: int
    state: State = "Empty"
    partitions: list[Partition] = []
    """Partitions that the open transaction wrote to, in order."""
    offsets: dict[str, dict[str, int]] = {}
    """Group → partition as text → offset that counts once the transaction commits."""
    senders: dict[str, int] = {}
    """Group → the node of its member that sent them, 0 for none."""
    timeout_us: int = 0
    timer: int = 0
    """The end of the open transaction's time, 0 for none."""

    def check(self, pid: int, epoch: int) -> None:
        """Whether that is the producer that may act under this id. Raises `KafkaError`."""
        if pid != self.pid or epoch != self.epoch:
            raise KafkaError("PRODUCER_FENCED")

    def begin_if_needed(self) -> None:
        self.state = "Ongoing"

    def end(self, commit: bool) -> None:
        """Nothing is open any more, and the next transaction has the next epoch."""
        self.state = "CompleteCommit" if commit else "CompleteAbort"
        self.epoch += 1
        self.partitions, self.offsets, self.senders = [], {}, {}
