"""The producer inside a member that produces of what it reads: its client, without a life of its own.

It shares its member's link, its place among the parts and its process. What it cannot write, or will not
write any more, is produced again when its member reads the record again; only what that has committed is
lost.
"""

from __future__ import annotations

from typing import Any, Literal

from engine.actors.kafka_producer import KafkaProducer
from engine.kafka import operations as ops
from engine.kafka.assignors import Partition
from engine.kernel import Kernel

FIRST = 1 << 32
"""Its requests and its lives are numbered from here on, its member's from 1: so that answers and timers of
both find their way by one link and one place."""


class OutputProducer(KafkaProducer, tag="output"):
    """See the module. `origins`: message → partition and offset of the record that it is produced of, until
    it is acknowledged."""

    origins: dict[int, tuple[Partition, int]] = {}

    def end(self, kernel: Kernel) -> None:
        """The process is over; what it had sent may still arrive."""
        self.life += 1
        self._forget(kernel)
        self.library.open = False
        self.origins = {}

    def crash(self, kernel: Kernel) -> None:
        """It is fenced, or a write has failed for good: its member's process ends, before it commits."""
        kernel.parts[self.owner].crash(kernel)

    def told(self, kernel: Kernel, number: int, answer: Any) -> None:
        """The answer to request `number`."""
        asked, member = self.unanswered.get(number), kernel.parts[self.owner]
        if type(asked) is ops.TxnOffsetCommit:
            del self.unanswered[number]
            member.offsets_answered(kernel, asked, answer)
            return
        super().told(kernel, number, answer)
        if type(asked) is ops.InitProducerId and asked.transactional_id:
            member.initialized(kernel)

    def transaction_over(self, kernel: Kernel, how: Literal["", "commit", "abort"]) -> None:
        kernel.parts[self.owner].transaction_over(kernel, how)

    def _write_failed(self, kernel: Kernel, error: str) -> bool:
        """The application learns it with its next call, or with the commit that it waits for, and aborts;
        without a transaction its process ends."""
        if self.ending:
            return super()._write_failed(kernel, error)
        if self.library.open:
            self.library.failed(error)
        else:
            self.crash(kernel)
        return True

    def _settle(self, kernel: Kernel) -> None:
        super()._settle(kernel)
        kernel.parts[self.owner].settled(kernel)

    def _answered(self, kernel: Kernel, number: int, error: str, fired: bool = False) -> None:
        batch = self.flight.get(number)
        if batch is not None and not error:
            for message in batch.messages:
                self.origins.pop(message, None)
        super()._answered(kernel, number, error, fired)

    def _give_up(self, kernel: Kernel, messages: list[int]) -> None:
        member = kernel.parts[self.owner]
        lost = [
            message
            for message in messages
            if message in self.origins and member.has_committed(*self.origins[message])
        ]
        super()._give_up(kernel, lost)
        self._withdraw(kernel, [message for message in messages if message not in lost])
