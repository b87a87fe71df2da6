"""What a member of a consumer group does in a poll: it acts on answers, takes records, fetches, commits.

The application around it, with its work and its process, is `engine.actors.kafka_consumer`.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine.actors.kafka_output import FIRST, OutputProducer
from engine.actors.kafka_worker import RETRY_US, Fetched, KafkaWorker
from engine.kafka import operations as ops
from engine.kafka.assignors import Partition
from engine.kafka.clients.consumer import Consumer, Settings
from engine.kafka.events import (
    PartitionsAssigned,
    PositionSet,
    RecordsDelivered,
)
from engine.kernel import Kernel, Timer
from engine.scenario import KafkaConsumerSpec


class GroupMember(KafkaWorker[KafkaConsumerSpec], kw_only=True):
    """See the module."""

    library: Consumer
    """It forgets at once what it leaves; events tell a little later (`owned`)."""
    out_of_range: dict[Partition, int] = {}
    """Positions that the log does not reach, and that nothing has replaced yet."""
    committing: int = 0
    """The request of a commit that it waits for."""
    then: Literal["poll", "work"] = "poll"
    committed: dict[Partition, int] = {}
    committed_us: int = 0
    inbox: list[tuple[ops.AnyRequest | None, ops.AnyAnswer]] = []
    """Answers of the coordinator that the next poll acts upon."""
    seeks: dict[Partition, int | str] = {}
    """Where the application will have it read from after its next poll: offsets, or words."""
    refused: str = ""
    """Why its group does not take it: an error code."""
    next_assignors: list[str] = []
    """What its next process will be configured with."""
    bouncing: bool = False
    """It stops, and starts anew at once."""
    output: OutputProducer | None = None
    """What it produces with."""
    finishing: Literal["", "flush", "offsets", "commit", "abort"] = ""
    """What it waits for after the work: that all it produced is acknowledged; or that its offsets are with
    the transaction, or that this has ended so."""
    began: dict[Partition, int] = {}
    """Where the open transaction begins to read: back to there after an abort."""
    offered: dict[Partition, int] = {}
    """The offsets that go with it."""
    unstable: list[Partition] = []
    """Partitions of which an open transaction of somebody else may still commit the offsets."""
    frozen_output: list[Timer] = []
    """Timers of what it produces with that were due while it stood still."""

    def _stopped(self, kernel: Kernel) -> None:
        """It has left its group."""
        raise NotImplementedError

    # -- requests and answers -----------------------------------------------------------------------

    def _ask(self, kernel: Kernel, request: ops.AnyRequest) -> int:
        self.numbers += 1
        if isinstance(request, ops.Fetch):
            request = msgspec.structs.replace(
                request, request=self.numbers, wait_us=int(self.spec.fetch_max_wait)
            )
        self.unanswered[self.numbers] = request
        losable = isinstance(request, ops.OffsetCommit) and self.library.state != "committing"
        kernel.parts[self.link].send(kernel, self.numbers, request, losable)
        return self.numbers

    def _flush(self, kernel: Kernel) -> int:
        """What the library wants to say, and what has happened to it. Returns its last request."""
        library, cause, number = self.library, kernel.cause, 0
        happened, library.happened = library.happened, []
        for what, partitions in happened:
            if what == "revoked":
                self._drop(partitions)
                self.owned = [partition for partition in self.owned if partition not in partitions]
                self._revoked(kernel, partitions, "revoked")
            else:
                self.owned = [*self.owned, *partitions]
                nodes = tuple(self._node(kernel, partition) for partition in partitions)
                kernel.emit(
                    PartitionsAssigned(kernel.now_us, cause, self.group_node, self.node, nodes)
                )  # fmt: skip
        outbox, library.outbox = library.outbox, []
        for request in outbox:
            number = self._ask(kernel, request)
        return number

    def _drop(self, partitions: tuple[Partition, ...]) -> None:
        """They are not its own any more, or it reads them from elsewhere."""
        self.buffer = [each for each in self.buffer if each.partition not in partitions]
        for partition in partitions:
            self.committed.pop(partition, None)
            self.out_of_range.pop(partition, None)

    def told(self, kernel: Kernel, number: int, answer: Any) -> None:
        """The answer to request `number`; 0: to a join or a sync."""
        if self.paused:
            self.frozen_said.append((number, answer))
            return
        if number >= FIRST and self.output is not None:
            self.output.told(kernel, number, answer)
            return
        if number:
            asked = self.unanswered.pop(number, None)
            if asked is None:
                return
        else:
            asked = self._joining(answer)
        if type(asked) is ops.Fetch and not answer.error:
            self._fetched(kernel, asked, answer)
        elif number and number == self.committing:
            self._commit_answered(kernel, asked, answer)
        elif self._busy():
            self._heard_beside_work(asked, answer)
            self.inbox.append((asked, answer))
            return
        else:
            self._receive(kernel, asked, answer)
        if not self._busy() and self.state == "up":
            self._poll(kernel)

    def _heard_beside_work(self, asked: Any, answer: Any) -> None:
        """The consumer protocol's heartbeats have a thread of their own: it learns its epoch at once, and
        commits by it (`AbstractMembershipManager.onHeartbeatSuccess`)."""
        library = self.library
        heard = type(answer) is ops.ConsumerGroupHeartbeatAnswered and asked.epoch > 0
        if heard and library.state in ("in", "committing"):
            library.generation = max(library.generation, answer.epoch)

    def _joining(self, answer: Any) -> Any:
        """The request that a pushed answer is of."""
        kind = ops.JoinGroup if isinstance(answer, ops.Joined) else ops.SyncGroup
        numbers = [n for n, request in self.unanswered.items() if isinstance(request, kind)]
        return self.unanswered.pop(numbers[0]) if numbers else None

    def _receive(self, kernel: Kernel, asked: Any, answer: Any) -> None:
        """Have the library act upon an answer, and say what came of it."""
        library, error = self.library, answer.error
        if isinstance(asked, ops.Fetch):
            if library.positions.get((asked.topic, asked.partition)) != asked.offset:
                return  # it has sought elsewhere meanwhile
            answer = ops.Done(error)
            if error != "OFFSET_OUT_OF_RANGE":
                self._wait_for_leader(kernel)
                return
        elif isinstance(asked, ops.ListOffsets) and error:
            kernel.schedule(kernel.now_us + RETRY_US, self.owner, "list", asked.partition, self.life)
            return
        elif isinstance(asked, ops.OffsetFetch) and error:
            self.unstable = [*self.unstable, *(p for p in asked.partitions if p not in self.unstable)]
            kernel.schedule(kernel.now_us + RETRY_US, self.owner, "offsets", 0, self.life)
            return
        elif not self._stands(asked):
            return
        library.now_us = kernel.now_us
        library.receive(answer, asked)
        if isinstance(asked, ops.ListOffsets) and answer.offset < 0:
            # Nothing since then (by_duration): it looks again after request.timeout.ms (`SubscriptionState`)
            again_us = kernel.now_us + self.request_timeout_us
            kernel.schedule(again_us, self.owner, "list", asked.partition, self.life)
            return
        if isinstance(asked, ops.Fetch):
            partition = (asked.topic, asked.partition)
            self.out_of_range[partition] = library.positions.pop(partition)
        elif isinstance(asked, ops.OffsetCommit) and not error:
            self.committed.update(dict(asked.offsets))
        if self.refused and library.state == "in":
            self.refused = ""
            self._say_state(kernel, self.state)
        self._flush(kernel)
        if isinstance(asked, ops.OffsetFetch):
            self.committed.update(dict(answer.offsets))
            self._positioned(kernel, asked.partitions)
        elif isinstance(asked, ops.ListOffsets):
            library.sought.pop((asked.topic, asked.partition), None)
            self._positioned(kernel, ((asked.topic, asked.partition),))

    def _stands(self, asked: Any) -> bool:
        """Whether a heartbeat was asked as the member that it still is, an end for a position that it still
        has not."""
        library = self.library
        if isinstance(asked, ops.ListOffsets):
            return not self._knows((asked.topic, asked.partition))
        if isinstance(asked, ops.ConsumerGroupHeartbeat):
            return asked.epoch == 0 or library.state != "joining"
        if isinstance(asked, ops.Heartbeat):
            return (asked.member, asked.generation) == (library.member, library.generation)
        return True

    def _positioned(self, kernel: Kernel, partitions: tuple[Partition, ...]) -> None:
        for partition in partitions:
            offset = self.library.positions.get(partition)
            if offset is not None and partition in self.library.owned:
                self.out_of_range.pop(partition, None)
                self.buffer = [each for each in self.buffer if each.partition != partition]
                node = self._node(kernel, partition)
                kernel.emit(
                    PositionSet(kernel.now_us, kernel.cause, self.group_node, self.node, node, offset)
                )

    def _knows(self, partition: Partition) -> bool:
        """Whether it has a position and is not looking up another one."""
        return partition in self.library.positions and partition not in self.library.sought

    def _wait_for_leader(self, kernel: Kernel) -> None:
        self.quiet_until_us = kernel.now_us + RETRY_US
        kernel.schedule(self.quiet_until_us, self.owner, "poll", 0, self.life)

    # -- polling --------------------------------------------------------------------------------------

    def _busy(self) -> bool:
        """Whether the application is at work, or waits for a commit: it does not poll."""
        return bool(self.hand) or bool(self.committing) or bool(self.finishing)

    def _fetched(self, kernel: Kernel, asked: ops.Fetch, answer: ops.Fetched) -> None:
        """Records have come, if they are (still) what would be read next."""
        partition = (asked.topic, asked.partition)
        buffered = any(each.partition == partition for each in self.buffer)
        if buffered or not self._knows(partition) or self.library.positions[partition] != asked.offset:
            return
        if answer.next == asked.offset:
            return
        if not self.hand and not self.buffer:
            self.since_us = kernel.now_us
        node = self._node(kernel, partition)
        messages = tuple(record.message for record in answer.records)
        self.buffer.append(Fetched(partition, node, asked.offset, answer.next, answer.offsets, messages))
        kernel.cause = kernel.emit(
            RecordsDelivered(kernel.now_us, kernel.cause, self.group_node, self.node, node, asked.offset,
                             answer.next)
        )  # fmt: skip

    def _poll(self, kernel: Kernel) -> None:
        """One call of poll: what the coordinator said, a commit where it is time, records, fetches."""
        library = self.library
        self.polled_us = kernel.now_us
        if self.expired:
            self.expired, self.inbox = False, []
            library.receive(ops.Done("UNKNOWN_MEMBER_ID"), ops.Heartbeat(self.spec.from_.group, "", -1))
            self._flush(kernel)
        inbox, self.inbox = self.inbox, []
        for asked, answer in inbox:
            self._receive(kernel, asked, answer)
        if self.stopping:
            self._close(kernel)
            return
        if library.state == "out" and library.refused:
            if self.refused != library.refused:
                self.refused = library.refused
                self._say_state(kernel, self.state)
            library.refused = ""
            kernel.schedule(kernel.now_us + RETRY_US, self.owner, "join", 0, self.life)
        if library.state != "committing":
            self._seek(kernel)
            due = kernel.now_us - self.committed_us >= self.spec.auto_commit_interval
            if self.spec.acknowledge == "automatic" and due:
                self.committed_us = kernel.now_us
                self._commit(kernel)
            self._take(kernel)
        self._fetch(kernel)
        if self.hand and self.spec.acknowledge == "before work":
            self._commit_and(kernel, "work")
        elif self.hand:
            self._work(kernel)

    def _seek(self, kernel: Kernel) -> None:
        """What the application has called seek for since the last poll. A word has to be looked up; until
        then nothing is fetched, and what was fetched is thrown away."""
        seeks, self.seeks = self.seeks, {}
        library = self.library
        for partition, to in seeks.items():
            known = partition in library.positions
            if not library.seek(partition, to):
                continue
            if isinstance(to, str):
                at: Literal["earliest", "latest"] = "earliest" if to == "earliest" else "latest"
                library.outbox.append(ops.ListOffsets(*partition, at, library.settings.isolation))
            if known or not isinstance(to, str):
                self._positioned(kernel, (partition,))
        self._flush(kernel)

    def _close(self, kernel: Kernel) -> None:
        """Leave politely, which may need a commit first."""
        if self.library.state not in ("committing", "closed"):
            self.library.leave()
            self._flush(kernel)
        if self.library.state == "closed":
            self._stopped(kernel)

    def _take(self, kernel: Kernel) -> None:
        """What this poll returns: at most max.poll.records, of what came first."""
        left = self.spec.max_poll_records
        while self.buffer and left:
            each = self.buffer[0]
            count = len(each.offsets)
            if count > left:
                next_ = each.offsets[left]
                part = Fetched(each.partition, each.node, each.first, next_, each.offsets[:left],
                               each.messages[:left])  # fmt: skip
                each.offsets, each.messages, each.first = each.offsets[left:], each.messages[left:], next_
            else:
                part = self.buffer.pop(0)
            left -= len(part.offsets)
            self.hand.append(part)
            self.library.positions[part.partition] = part.next

    def _fetch(self, kernel: Kernel) -> None:
        """Ask for more of each partition of which nothing is here and nothing is asked."""
        if kernel.now_us < self.quiet_until_us:
            return
        library = self.library
        asked = {(r.topic, r.partition): True for r in self.unanswered.values() if type(r) is ops.Fetch}
        asked.update((each.partition, True) for each in self.buffer)
        for partition, position in sorted(library.positions.items()):
            if partition not in asked and partition not in library.sought:
                library.fetch(partition, position)
        self._flush(kernel)

    # -- commits --------------------------------------------------------------------------------------

    def _commit(self, kernel: Kernel) -> int:
        """Commit positions that are other ones than were committed. Returns the request, 0 for none."""
        library = self.library
        changed = {
            p: offset
            for p, offset in library.positions.items()
            if self.committed.get(p) != offset and p not in library.sought
        }
        if not changed or library.generation < 0 or library.state != "in":
            return 0
        library.commit(changed)
        return self._flush(kernel)

    def _commit_and(self, kernel: Kernel, then: Literal["poll", "work"]) -> None:
        """commitSync: nothing else happens until it is answered."""
        self.then = then
        self.committing = number = self._commit(kernel)
        if number:
            self._expect_commit(kernel)
        else:
            self._go_on(kernel)

    def _commit_request(self, kernel: Kernel, request: ops.OffsetCommit) -> None:
        """The commit that is waited for is sent anew."""
        self.committing = self._ask(kernel, request)
        self._expect_commit(kernel)

    def _expect_commit(self, kernel: Kernel) -> None:
        due_us = kernel.now_us + self.request_timeout_us
        kernel.schedule(due_us, self.owner, "request", self.committing, self.life)

    def _commit_answered(self, kernel: Kernel, asked: Any, answer: Any) -> None:
        """A commit that is refused (the group has gone on without it) is caught, as an application does."""
        self.committing = 0
        if answer.error == "STALE_MEMBER_EPOCH" and self.library.generation > asked.generation:
            self._commit_request(kernel, msgspec.structs.replace(asked, generation=self.library.generation))
            return
        if not answer.error:
            self.committed.update(dict(asked.offsets))
        elif answer.error in ("UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION"):
            self._not_a_member(asked.member, asked.generation)
        self._go_on(kernel)

    def _not_a_member(self, member: str, generation: int) -> None:
        """Its group does not know it as that any more: the next poll joins anew."""
        asked = ops.Heartbeat(self.spec.from_.group, member, generation)
        self.inbox.append((asked, ops.Done("UNKNOWN_MEMBER_ID")))

    def _go_on(self, kernel: Kernel) -> None:
        if self.then == "work" and self.hand:
            self._work(kernel)
        else:
            self._poll(kernel)


def new_library(spec: KafkaConsumerSpec, client: str, node: int) -> Consumer:
    """The client library of a process that has just started."""
    classic = spec.protocol == "classic"
    assignors = tuple(spec.assignors) if classic else (spec.remote_assignor,)
    session_us = int(spec.session_timeout) if classic else 0
    settings = Settings(
        spec.from_.group, tuple(spec.from_.topics), assignors, spec.protocol, spec.instance, spec.reset,
        spec.isolation, spec.acknowledge == "automatic", int(spec.auto_commit_interval), session_us,
        int(spec.max_poll_interval), spec.max_poll_records,
    )  # fmt: skip
    return Consumer(client, settings, settings.topics, node)
