"""A member that produces of what it reads (consume-transform-produce), with or without transactions.

Without: what it produced is acknowledged before it commits, so that a crash between the two lets the group
read and produce again. With a transactional id (read-process-write) a transaction begins with what a poll
returns; the offsets are sent to it (KIP-447), and it commits both or neither. After an abort the member reads
on where the transaction began.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine import limits
from engine.actors import kafka_transactions as transactions
from engine.actors.kafka_member import GroupMember
from engine.actors.kafka_output import FIRST
from engine.actors.kafka_worker import Fetched
from engine.events import MessageCreated
from engine.kafka import operations as ops
from engine.kafka.assignors import Partition
from engine.kafka.events import RecordsTransformed
from engine.kernel import Kernel, Timer
from engine.world import World


class Processor(GroupMember):
    """See the module. A member without `output` commits, and that is all."""

    @property
    def transactional(self) -> bool:
        return self.output is not None and bool(self.output.spec.transactional_id)

    def crash(self, kernel: Kernel) -> None:
        """Its process dies."""
        raise NotImplementedError

    # -- life -----------------------------------------------------------------------------------------

    def _join(self, kernel: Kernel) -> None:
        self.library.join()
        self._flush(kernel)

    def initialized(self, kernel: Kernel) -> None:
        """initTransactions has returned: whoever had the transactional id before is fenced."""
        self._join(kernel)

    def _end_output(self, kernel: Kernel) -> None:
        self.finishing, self.began, self.offered = "", {}, {}
        self.unstable, self.frozen_output = [], []
        if self.output is not None:
            self.output.end(kernel)

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        if timer[6] < FIRST or self.output is None:
            super().fire(kernel, timer)
        elif self.paused and timer[6] == self.output.life:
            self.frozen_output.append(timer)
        else:
            self.output.fire(kernel, timer)

    def resume(self, kernel: Kernel) -> None:
        super().resume(kernel)
        timers, self.frozen_output = self.frozen_output, []
        for timer in timers:
            self.fire(kernel, timer)

    def refused_unheard(self, kernel: Kernel, request: ops.Produce) -> None:
        """What it produced came to nothing and nobody is told."""
        if self.output is not None:
            self.output.refused_unheard(kernel, request)

    def _fetch_offsets_again(self, kernel: Kernel) -> None:
        """retry.backoff.ms after offsets were refused: those of what it still owns."""
        wanted = tuple(p for p in self.unstable if p in self.library.owned and not self._knows(p))
        self.unstable = []
        if wanted:
            self.library.outbox.append(ops.OffsetFetch(self.spec.from_.group, wanted, True))
            self._flush(kernel)

    # -- producing ------------------------------------------------------------------------------------

    def _handled(
        self, kernel: Kernel, part: Fetched, since: int, failed: list[int], skipped: list[int]
    ) -> None:
        """It produces one record of each."""
        output, to, without = self.output, self.spec.to, [*failed, *skipped]
        places = [place for place in range(since, part.at) if part.offsets[place] not in without]
        if output is None or to is None or not places:
            return
        made: list[tuple[int, str]] = []
        for place in places:
            message, key = self._output_of(kernel, part.messages[place])
            if not message:
                return
            made.append((message, key))
            output.origins[message] = part.partition, part.offsets[place]
        kernel.cause = kernel.emit(RecordsTransformed(
            kernel.now_us, kernel.cause, self.group_node, self.node, part.node,
            tuple(part.offsets[place] for place in places), output.topic_node,
            tuple(message for message, _ in made),
        ))  # fmt: skip
        for message, key in made:
            output.put(kernel, message, key)

    def _output_of(self, kernel: Kernel, message: int) -> tuple[int, str]:
        """What is produced of `message`, and its key; (0, "") where the room can number no more."""
        to, world = self.spec.to, kernel.parts[0]
        assert isinstance(world, World) and to is not None
        key = world.key(message)
        key = to.keys.get(key, key)
        of = f"{self.group_node}/{to.topic}"
        made = world.output_of(of, message)
        if not made:
            if kernel.messages >= limits.MESSAGES_MAX:
                kernel.schedule(kernel.now_us, 0, "end", 1)
                return 0, ""
            kernel.messages = made = kernel.messages + 1
            kernel.observer.made(MessageCreated(kernel.now_us, kernel.cause, made, self.node, key, False))
            world.note_output(of, message, made)
        return made, key

    def has_committed(self, partition: Partition, offset: int) -> bool:
        """Whether its group will not read this record again, as far as it knows."""
        asked = [r for r in self.unanswered.values() if type(r) is ops.OffsetCommit]
        offsets = [dict(request.offsets).get(partition, -1) for request in asked]
        return offset < max([self.committed.get(partition, -1), *offsets])

    # -- after the work -------------------------------------------------------------------------------

    def _after_chunk(self, kernel: Kernel) -> None:
        if self.output is not None and self.output.library.error:
            self._abort(kernel)
        else:
            super()._after_chunk(kernel)

    def _all_worked(self, kernel: Kernel) -> None:
        output = self.output
        if output is None and self.spec.acknowledge == "after work":
            self._commit_and(kernel, "poll")
        elif output is None or self.spec.acknowledge != "after work":
            self._poll(kernel)
        elif self.transactional:
            self._send_offsets(kernel)
        else:
            self._finish_writes(kernel)

    def _finish_writes(self, kernel: Kernel) -> None:
        """flush: nothing else happens until all that it produced has its answer."""
        assert self.output is not None
        self.finishing = "flush"
        self.output.flush(kernel)
        self.settled(kernel)

    def settled(self, kernel: Kernel) -> None:
        """A write has its answer, or is on its way without waiting for one."""
        if self.finishing != "flush" or self.output is None or self.output.has_batches():
            return
        self.finishing = ""
        if self.spec.acknowledge == "after work":
            self._commit_and(kernel, "poll")
        else:
            self._poll(kernel)

    def _close(self, kernel: Kernel) -> None:
        """Its producer closes first, which sees through what it has."""
        if self.output is not None and self.output.has_batches():
            self._finish_writes(kernel)
        else:
            super()._close(kernel)

    # -- transactions ---------------------------------------------------------------------------------

    def _take(self, kernel: Kernel) -> None:
        super()._take(kernel)
        if self.hand and self.output is not None and self.transactional:
            self.began = {part.partition: part.first for part in reversed(self.hand)}
            self.output.library.begin()

    def _send_offsets(self, kernel: Kernel) -> None:
        """sendOffsetsToTransaction: where the group goes on reading if this commits."""
        assert self.output is not None
        self.finishing = "offsets"
        self.offered = {p: self.library.positions[p] for p in self.began if p in self.library.positions}
        offsets = tuple(sorted(self.offered.items()))
        request = self.output.library.send_offsets(self.spec.from_.group, offsets)
        member, generation = self.library.member, self.library.generation
        self.output.ask(kernel, msgspec.structs.replace(request, member=member, generation=generation))

    def offsets_answered(self, kernel: Kernel, asked: ops.TxnOffsetCommit, answer: Any) -> None:
        """The offsets are with the transaction, or its group does not take them from this member."""
        output, error = self.output, answer.error
        assert output is not None
        if error in ("UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION"):
            if error == "UNKNOWN_MEMBER_ID" or self.spec.protocol == "classic":
                self._not_a_member(asked.member, asked.generation)
                self.began = {}
            self._abort(kernel)
        elif error:
            transactions.fenced(output, kernel)
        elif output.library.error:
            self._abort(kernel)
        else:
            self.finishing = "commit"
            transactions.end(output, kernel, commit=True)

    def abort(self) -> None:
        """By hand: with its next call its application aborts."""
        assert self.output is not None
        self.output.library.failed("aborted by hand")

    def _abort(self, kernel: Kernel) -> None:
        """abortTransaction: what was produced does not count."""
        assert self.output is not None
        self.finishing = "abort"
        transactions.end(self.output, kernel, commit=False)

    def transaction_over(self, kernel: Kernel, how: Literal["", "commit", "abort"]) -> None:
        """It has ended so."""
        if not self.finishing:
            return
        self.finishing = ""
        if how == "commit":
            self.committed.update(self.offered)
        else:
            self._rewind(kernel)
        self.began, self.offered = {}, {}
        self._poll(kernel)

    def _rewind(self, kernel: Kernel) -> None:
        """The application seeks back to where the transaction began."""
        self.hand, self.attempt, self.failed = [], 0, None
        for partition, offset in self.began.items():
            if partition in self.library.owned:
                self.library.positions[partition] = offset
                self._positioned(kernel, (partition,))
