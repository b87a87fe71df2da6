"""A member of a share group: polls, works one record after the other, says of each what became of it.

What `org.apache.kafka.clients.consumer.KafkaShareConsumer` does around its application: it fetches only when
a poll finds nothing, and a fetch carries the acknowledgements of what the last poll returned. It has no
position and nothing to commit; what it has acquired it has until its locks run out. It may lose them without
a word: a lock runs out while it works, and what it says then is refused.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine.actors.kafka_worker import RETRY_US, Fetched, KafkaWorker
from engine.kafka import operations as ops
from engine.kafka import telling
from engine.kafka.assignors import Partition
from engine.kafka.events import PartitionsAssigned, PartitionsRevoked, RecordsDelivered
from engine.kafka.settings import share_member_settings
from engine.kafka.share_groups import LEAVES, heartbeat_us
from engine.kernel import Kernel
from engine.scenario import ShareConsumerSpec


class ShareConsumer(KafkaWorker[ShareConsumerSpec], tag="kafka_share_consumer", kw_only=True):
    """See the module."""

    epoch: int = 0
    """As the coordinator said last; 0 while it is no member."""
    fetching: int = 0
    """The request of the fetch that it waits for."""
    renewing: int = 0
    """The fetch whose records' locks it renews while it works."""
    answers: list[tuple[Partition, int, ops.ShareAnswer]] = []
    """(partition, offset, what becomes of it) of what is worked and not yet said."""
    refused: tuple[int, ops.ShareAnswer] | None = None
    """The offset in the chunk at hand that a command had it refuse, and what it says of it."""

    # -- life -----------------------------------------------------------------------------------

    def connect(self, kernel: Kernel) -> None:
        """A new process joins the group."""
        self.incarnation += 1
        kernel.parts[self.link].client = f"{self.spec.name}#{self.incarnation}"
        self.polled_us = kernel.now_us
        self._heartbeat(kernel)

    def crash(self, kernel: Kernel) -> None:
        """The process dies: the coordinator will miss its heartbeats, who leads its partitions sees at once
        that it is gone."""
        self._say_state(kernel, "crashed")
        self._end(kernel, "crashed")
        kernel.parts[self.link].crash(kernel, holds=True)

    def _end(self, kernel: Kernel, why: Literal["revoked", "crashed"]) -> None:
        """Nothing of the process is left."""
        self.life += 1
        owned, self.owned, had = self.owned, [], bool(self.hand)
        self.hand, self.answers, self.frozen, self.frozen_said = [], [], [], []
        self.epoch = self.fetching = self.chunk = self.attempt = 0
        self.failed = self.refused = None
        self.refuses = ""
        self.paused = self.expired = self.stopping = False
        self.quiet_until_us = 0
        if owned or had:
            nodes = tuple(self._node(kernel, partition) for partition in owned)
            kernel.emit(
                PartitionsRevoked(kernel.now_us, kernel.cause, self.group_node, self.node, nodes, why)
            )

    def stop(self, kernel: Kernel) -> None:
        """Finish what the last poll returned, then leave the group and close."""
        self.stopping = True
        if not self.hand:
            self._close(kernel)

    def _close(self, kernel: Kernel) -> None:
        """Say what became of the last records; what is acquired beyond these is released."""
        group, member = self.spec.from_.group, kernel.parts[self.link].client
        for (topic, number), batches in self._said():
            self._ask(kernel, ops.ShareAcknowledge(group, member, topic, number, batches))
        self._ask(kernel, ops.ShareMemberGone(group, member))
        if self.epoch:
            self._ask(kernel, ops.ShareGroupHeartbeat(group, member, LEAVES))
        self._stopped(kernel)

    def _stopped(self, kernel: Kernel) -> None:
        self._say_state(kernel, "stopped")
        self._end(kernel, "revoked")
        link = kernel.parts[self.link]
        link.client = ""
        if self.removed:
            link.leave(kernel)

    def tell(self, kernel: Kernel) -> None:
        """What it does from now on is no longer what its scenario says."""
        self.stated = True
        kernel.emit(share_member_settings(self.spec, kernel.now_us, kernel.cause, self.node))

    def restored(self, kernel: Kernel, anew: bool) -> None:
        """The network is back; `anew`: what was asked before is not answered any more."""
        if kernel.parts[self.link].client and anew and not self.paused:
            self.fetching = 0
            self._poll_if_idle(kernel)

    def disconnected(self, kernel: Kernel, unsent: list[Any]) -> None:
        """The connection is gone. It works on what it has, and tries again to poll."""

    # -- in the group -------------------------------------------------------------------------------

    def _ask(self, kernel: Kernel, request: ops.AnyRequest, losable: bool = False) -> int:
        self.numbers += 1
        if isinstance(request, ops.ShareFetch):
            request = msgspec.structs.replace(request, request=self.numbers)
        kernel.parts[self.link].send(kernel, self.numbers, request, losable)
        return self.numbers

    def _heartbeat(self, kernel: Kernel) -> None:
        """It is time to say that it is alive, or to join; who polls too late leaves
        (max.poll.interval.ms)."""
        cluster = kernel.parts[kernel.parts[self.link].broker]
        kernel.schedule(
            kernel.now_us + heartbeat_us(cluster, self.spec.from_.group),
            self.owner,
            "heartbeat",
            0,
            self.life,
        )
        late = kernel.now_us - self.polled_us > self.spec.max_poll_interval
        if self.hand and late and self.epoch:
            self.expired = True
            self._say_alive(kernel, LEAVES)
            self._assigned(kernel, ())
        elif not self.expired:
            self._say_alive(kernel, self.epoch)

    def _say_alive(self, kernel: Kernel, epoch: int) -> None:
        group, member = self.spec.from_.group, kernel.parts[self.link].client
        topics = tuple(self.spec.from_.topics)
        self._ask(kernel, ops.ShareGroupHeartbeat(group, member, epoch, topics, self.node))

    def told(self, kernel: Kernel, number: int, answer: Any) -> None:
        """The answer to request `number`."""
        if self.paused:
            self.frozen_said.append((number, answer))
        elif isinstance(answer, ops.ShareGroupHeartbeatAnswered):
            if answer.epoch != LEAVES and not self.expired:
                self.epoch = answer.epoch
                self._assigned(kernel, answer.partitions)
                self._poll_if_idle(kernel)
        elif answer.error == "UNKNOWN_MEMBER_ID" and self.epoch:
            self.epoch = 0
            self._assigned(kernel, ())
            if not self.expired:
                self._say_alive(kernel, 0)
        elif number and number == self.fetching:
            self._fetched(kernel, answer)

    def _assigned(self, kernel: Kernel, partitions: tuple[Partition, ...]) -> None:
        """What it reads from now on. What it has of others it works nevertheless."""
        gone = [partition for partition in self.owned if partition not in partitions]
        new = [partition for partition in partitions if partition not in self.owned]
        self.owned = list(partitions)
        self._revoked(kernel, gone, "revoked")
        if new:
            nodes = tuple(self._node(kernel, partition) for partition in new)
            kernel.emit(PartitionsAssigned(kernel.now_us, kernel.cause, self.group_node, self.node, nodes))

    # -- polling --------------------------------------------------------------------------------------

    def _poll_if_idle(self, kernel: Kernel) -> None:
        if not self.hand and not self.fetching:
            self._poll(kernel)

    def _poll(self, kernel: Kernel) -> None:
        """One call of poll, that has nothing to return yet: it says what became of the last records, and asks
        for more."""
        self.polled_us = kernel.now_us
        if self.stopping:
            self._close(kernel)
            return
        if self.expired:
            self.expired, self.epoch = False, 0
            self._say_alive(kernel, 0)
        if kernel.now_us < self.quiet_until_us or not (self.owned or self.answers):
            return
        spec, said = self.spec, self._said()
        asked = ops.ShareFetch(
            spec.from_.group, kernel.parts[self.link].client, tuple(sorted(self.owned)),
            spec.max_poll_records, spec.acquire, said, int(spec.fetch_max_wait), 0, self.node,
        )  # fmt: skip
        self.fetching = self._ask(kernel, asked, losable=bool(said))
        due_us = kernel.now_us + int(spec.fetch_max_wait) + self.request_timeout_us
        kernel.schedule(due_us, self.owner, "request", self.fetching, self.life)

    def _said(self) -> ops.Acknowledgements:
        """What is to be said of records, each run of one answer as a range; it is said once."""
        answers, self.answers = self.answers, []
        told: dict[Partition, list[tuple[int, int, ops.ShareAnswer]]] = {}
        for partition, offset, answer in answers:
            ranges = told.setdefault(partition, [])
            if ranges and ranges[-1][1:] == (offset - 1, answer):
                ranges[-1] = ranges[-1][0], offset, answer
            else:
                ranges.append((offset, offset, answer))
        return tuple((partition, tuple(ranges)) for partition, ranges in told.items())

    def _fetched(self, kernel: Kernel, answer: Any) -> None:
        """Records have come, or none within fetch.max.wait.ms: poll returns, and is called again."""
        self.fetching = 0
        if answer.error:
            self.quiet_until_us = kernel.now_us + RETRY_US
            kernel.schedule(self.quiet_until_us, self.owner, "poll", 0, self.life)
            return
        cause = kernel.cause
        for part in answer.parts:
            node = self._node(kernel, part.partition)
            pairs = zip(part.acquired, part.records, strict=True)
            known = {offset: (record, times) for (offset, times), record in pairs}
            for run in telling.runs(known):
                first, next_ = run[0], run[-1] + 1
                messages = tuple(known[offset][0].message for offset in run)
                deliveries = tuple(known[offset][1] for offset in run)
                self.hand.append(Fetched(part.partition, node, first, next_, run, messages, 0, deliveries))
                kernel.cause = kernel.emit(RecordsDelivered(
                    kernel.now_us, cause, self.group_node, self.node, node, first, next_
                ))  # fmt: skip
        if not self.hand:
            self._poll(kernel)
            return
        self.since_us = kernel.now_us
        if self.spec.renew is not None:
            self.renewing = self.numbers
            kernel.schedule(kernel.now_us + self.spec.renew, self.owner, "renew", self.renewing, self.life)
        self._work(kernel)

    # -- work -----------------------------------------------------------------------------------------

    def _handled(
        self, kernel: Kernel, part: Fetched, since: int, failed: list[int], skipped: list[int]
    ) -> None:
        explicit = self.spec.acknowledge == "explicit"
        for offset in part.offsets[since : part.at]:
            answer: ops.ShareAnswer = self.spec.failed if explicit and offset in failed else "accept"
            if self.refused is not None and self.refused[0] == offset:
                answer = self.refused[1]
            self.answers.append((part.partition, offset, answer))
        self.refused = None

    def _failed(self, kernel: Kernel, part: Fetched, why: str) -> bool:
        """It goes on without: who tries again is the group."""
        if self.refuses:
            self.refused, self.refuses = (part.offsets[part.at], self.refuses), ""
        self.attempt = part.deliveries[part.at]
        self._say_failed(kernel, part, why, 0)
        return False

    def _all_worked(self, kernel: Kernel) -> None:
        self._poll(kernel)

    def _renew(self, kernel: Kernel, poll: int) -> None:
        """It still works on what a poll returned: its locks start afresh."""
        spec, group, member = self.spec, self.spec.from_.group, kernel.parts[self.link].client
        if not self.hand or spec.renew is None or poll != self.renewing:
            return
        for part in self.hand:
            for run in telling.runs(part.offsets[part.at :]):
                batches: ops.ShareBatches = ((run[0], run[-1], "renew"),)
                self._ask(kernel, ops.ShareAcknowledge(group, member, *part.partition, batches))
        kernel.schedule(kernel.now_us + spec.renew, self.owner, "renew", poll, self.life)

    # -- commands -------------------------------------------------------------------------------------

    def set_sharing(self, kernel: Kernel, given: dict[str, Any]) -> None:
        """From the next record and poll on. Who accepts implicitly says nothing of what it failed on."""
        self.spec = msgspec.structs.replace(self.spec, **given)
        if self.spec.acknowledge == "implicit":
            self.spec = msgspec.structs.replace(self.spec, failed="release", renew=None)
            self.refuses = ""
        self.tell(kernel)

    def refuse_next(self, answer: Literal["release", "reject"]) -> None:
        """Of the next record that its handler ends with it says `answer`, and its effect does not happen."""
        self.refuses = answer

    # -- timers ---------------------------------------------------------------------------------------

    def _due(self, kernel: Kernel, what: str, a: int) -> None:
        if what == "work":
            self._worked(kernel)
        elif what == "heartbeat":
            self._heartbeat(kernel)
        elif what == "request" and a == self.fetching:
            self._no_answer(kernel)
        elif what == "start":
            self.connect(kernel)
        elif what == "poll":
            self._poll_if_idle(kernel)
        elif what == "renew":
            self._renew(kernel, a)

    def _no_answer(self, kernel: Kernel) -> None:
        """No answer within request.timeout.ms: the client closes the connection and makes another one. What
        it had said with the fetch is not said again."""
        self.fetching = 0
        self._ask(kernel, ops.Disconnected())
        self._poll(kernel)
