"""A member of a consumer group: polls, works one record after the other, commits.

Around the client library (`engine.kafka.clients.consumer`) stands what an application has: a loop of poll and
work. As in the real client, answers of the coordinator are acted upon in a poll, so that a rebalance waits
for the work on what the last poll returned; heartbeats and fetches go on beside the work. What a poll takes
longer than `max_poll_interval` to come to, the group does without; the worker does not know, and goes on.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine.actors.kafka_member import new_library
from engine.actors.kafka_processor import Processor
from engine.actors.kafka_worker import Fetched
from engine.kafka import operations as ops
from engine.kafka.assignors import Partition
from engine.kafka.consumer_coordinator import LEAVES, LEAVES_FOR_A_WHILE, heartbeat_us
from engine.kafka.settings import member_settings
from engine.kernel import Kernel
from engine.scenario import Acknowledge

BOUNCE_US = 3_000_000
"""A rolling restart goes on with the next process after so long."""


class KafkaConsumer(Processor, tag="kafka_consumer"):
    """See the module."""

    # -- life -----------------------------------------------------------------------------------

    def connect(self, kernel: Kernel) -> None:
        """A new process joins the group."""
        if self.next_assignors:
            self._configure(kernel)
        spec, link = self.spec, kernel.parts[self.link]
        self.incarnation += 1
        link.client = f"{spec.name}#{self.incarnation}"
        self.library = new_library(spec, link.client, self.node)
        self.polled_us = self.committed_us = kernel.now_us
        if self.output is not None:
            self.output.introduce(kernel, link.client)
        if not self.transactional:
            self._join(kernel)
        self._plan_heartbeat(kernel)
        kernel.schedule(kernel.now_us + spec.metadata_max_age, self.owner, "metadata", 0, self.life)

    def crash(self, kernel: Kernel) -> None:
        """The process dies without a word: the coordinator will miss its heartbeats."""
        self._say_state(kernel, "crashed")
        self._end(kernel, "crashed")
        kernel.parts[self.link].crash(kernel)

    def _end(self, kernel: Kernel, why: Literal["revoked", "crashed"]) -> None:
        """Nothing of the process is left."""
        self._end_output(kernel)
        self.life += 1
        owned, self.owned = self.owned, []
        self.library = new_library(self.spec, "", self.node)
        self.unanswered, self.buffer, self.hand, self.inbox, self.committed = {}, [], [], [], {}
        self.frozen, self.frozen_said, self.chunk, self.attempt, self.committing = [], [], 0, 0, 0
        self.failed = None
        self.out_of_range = {}
        self.paused = self.expired = self.stopping = self.bouncing = False
        self.seeks, self.refused = {}, ""
        self.quiet_until_us = 0
        self._revoked(kernel, owned, why)

    def stop(self, kernel: Kernel) -> None:
        """Finish what the last poll returned, then leave the group and close."""
        self.stopping = True
        if kernel.parts[self.link].state != "up":
            self._stopped(kernel)
        elif not self._busy():
            self._poll(kernel)

    def _stopped(self, kernel: Kernel) -> None:
        again = self.bouncing and not self.removed
        self._say_state(kernel, "stopped")
        self._end(kernel, "revoked")
        link = kernel.parts[self.link]
        link.client = ""
        if self.removed:
            link.leave(kernel)
        elif again:
            self.restart(kernel)

    def set_assignors(self, kernel: Kernel, assignors: list[str], place: int) -> None:
        """Its process is the `place`-th, from 0, that is stopped and started anew with these. One that is
        down has them when it starts."""
        self.next_assignors = assignors
        if self.state == "up" and kernel.parts[self.link].client:
            kernel.schedule(kernel.now_us + place * BOUNCE_US, self.owner, "bounce", 0, self.life)

    def _bounce(self, kernel: Kernel) -> None:
        if self.next_assignors and self.state == "up" and not self.stopping:
            self.bouncing = True
            self.stop(kernel)

    def _configure(self, kernel: Kernel) -> None:
        """A new process reads its configuration."""
        wanted: Any = self.next_assignors
        self.next_assignors = []
        if self.spec.protocol == "consumer":
            self.spec = msgspec.structs.replace(self.spec, remote_assignor=wanted[0])
        else:
            self.spec = msgspec.structs.replace(self.spec, assignors=wanted)
        self.tell(kernel)

    def tell(self, kernel: Kernel) -> None:
        """What it does from now on is no longer what its scenario says."""
        self.stated = True
        kernel.emit(member_settings(self.spec, kernel.now_us, kernel.cause, self.node))

    def restored(self, kernel: Kernel, anew: bool) -> None:
        """The network is back; `anew`: what was asked before is not answered any more."""
        link = kernel.parts[self.link]
        if link.client and anew:
            for number, request in self.unanswered.items():
                link.send(kernel, number, request)
        if self.output is not None:
            self.output.restored(kernel, anew)

    def disconnected(self, kernel: Kernel, unsent: list[Any]) -> None:
        """The connection is gone. Who is stopping does not wait for a new one."""
        if self.output is not None:
            self.output.disconnected(kernel, unsent)
        if self.stopping:
            self._stopped(kernel)

    # -- work -----------------------------------------------------------------------------------------

    def _failed(self, kernel: Kernel, part: Fetched, why: str) -> bool:
        """The handler has failed on the record at hand. Whether it waits, to try it again."""
        retry = self.spec.retry
        self.attempt += 1
        again = retry.do == "again" and (retry.limit is None or self.attempt < retry.limit)
        until_us = kernel.now_us + int(retry.delay) if again else 0
        number = self._say_failed(kernel, part, why, until_us)
        if again:
            kernel.schedule(until_us, self.owner, "again", 0, self.life, number)
        return again

    # -- timers ---------------------------------------------------------------------------------------

    def _due(self, kernel: Kernel, what: str, a: int) -> None:
        if what == "work":
            self._worked(kernel)
        elif what == "again":
            self._work(kernel)
        elif what == "heartbeat":
            self._heartbeat(kernel)
        elif what == "request":
            self._commit_again(kernel, a)
        elif what == "start":
            self.connect(kernel)
        elif what == "bounce":
            self._bounce(kernel)
        elif what == "metadata":
            kernel.schedule(kernel.now_us + self.spec.metadata_max_age, self.owner, "metadata", 0, self.life)
            self.library.saw_metadata()
            self._flush(kernel)
        elif what == "join" and self.library.state == "out":
            self.library.join()
            self._flush(kernel)
        elif what == "list":
            self._list_again(kernel)
        elif what == "offsets":
            self._fetch_offsets_again(kernel)
        elif what == "poll" and not self._busy():
            self._poll(kernel)

    def _heartbeat(self, kernel: Kernel) -> None:
        """heartbeat.interval.ms is over; who polls too late leaves (max.poll.interval.ms)."""
        library, spec = self.library, self.spec
        self._plan_heartbeat(kernel)
        if self.expired:
            return
        late = kernel.now_us - self.polled_us > spec.max_poll_interval
        if self._busy() and late and library.member:
            self.expired = True
            if spec.protocol == "consumer":
                epoch = LEAVES_FOR_A_WHILE if spec.instance else LEAVES
                self._ask(kernel, ops.ConsumerGroupHeartbeat(spec.from_.group, library.member, epoch))
            elif not spec.instance:
                self._ask(kernel, ops.LeaveGroup(spec.from_.group, library.member))
            return
        library.heartbeat()
        self._flush(kernel)

    def _plan_heartbeat(self, kernel: Kernel) -> None:
        """heartbeat.interval.ms of the client, or in the consumer protocol what the coordinator says."""
        every_us = int(self.spec.heartbeat)
        if self.spec.protocol == "consumer":
            every_us = heartbeat_us(kernel.parts[kernel.parts[self.link].broker])
        kernel.schedule(kernel.now_us + every_us, self.owner, "heartbeat", 0, self.life)

    def _commit_again(self, kernel: Kernel, number: int) -> None:
        """No answer to the commit within the request timeout: it is sent again, until there is one."""
        request = self.unanswered.get(number)
        if number != self.committing or request is None:
            return
        del self.unanswered[number]
        assert isinstance(request, ops.OffsetCommit)
        self._commit_request(kernel, request)

    def _list_again(self, kernel: Kernel) -> None:
        library = self.library
        library.now_us = kernel.now_us
        listing = {(r.topic, r.partition): 1 for r in self.unanswered.values() if type(r) is ops.ListOffsets}
        fetching = [p for r in self.unanswered.values() if type(r) is ops.OffsetFetch for p in r.partitions]
        for partition in library.owned:
            known = self._knows(partition) or partition in listing or partition in fetching
            if not known and partition not in self.unstable:
                library.reset(partition, library.sought.get(partition, ""))
        self._flush(kernel)

    # -- commands -------------------------------------------------------------------------------------

    def seek(self, kernel: Kernel, partitions: list[Partition], to: int | str) -> None:
        """Read these from an offset, or "earliest", or "latest", after what the last poll returned is
        worked."""
        self.seeks.update(dict.fromkeys(partitions, to))
        if not self._busy() and not self.paused:
            self._poll(kernel)

    def set_acknowledge(self, kernel: Kernel, acknowledge: Acknowledge) -> None:
        """From the next poll on."""
        self.spec = msgspec.structs.replace(self.spec, acknowledge=acknowledge)
        settings = msgspec.structs.replace(self.library.settings, auto_commit=acknowledge == "automatic")
        self.library.settings = settings
        self.tell(kernel)

    # -- the present ------------------------------------------------------------------------------------

    def about(self) -> str:
        """The node's one-line note: how long it works on each, or why its group does not take it."""
        if self.output is not None and self.output.fenced:
            return self.output.about()
        return f"refused: {self.refused}" if self.refused else super().about()
