"""A consumer in a group: joining, giving up and getting partitions, its positions, and what it commits by
itself.

`org.apache.kafka.clients.consumer` with the classic protocol (`ConsumerCoordinator`) and with KIP-848's. The
leader of a classic group computes the assignment here, in the client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from engine.kafka import operations as ops
from engine.kafka.assignor_table import ASSIGNORS
from engine.kafka.assignors import Assignment, Partition, Subscriber
from engine.kafka.log import Isolation
from engine.kafka.resets import back_us

State = Literal["out", "joining", "syncing", "in", "committing", "closed"]

COOPERATIVE = "cooperative-sticky"
DEFAULT_ASSIGNORS = ("range", COOPERATIVE)
"""partition.assignment.strategy (`ConsumerConfig`)."""


class Settings(msgspec.Struct, frozen=True):
    """How a consumer is configured, by Kafka's keys. Times in µs."""

    group: str
    topics: tuple[str, ...]
    assignors: tuple[str, ...] = DEFAULT_ASSIGNORS
    protocol: Literal["classic", "consumer"] = "classic"
    instance: str = ""
    reset: str = "latest"
    """auto.offset.reset: "earliest", "latest", "none" or "by_duration:PnDTnHnMn.nS" (KIP-1106)."""
    isolation: Isolation = "read_uncommitted"
    auto_commit: bool = True
    auto_commit_us: int = 5_000_000
    session_us: int = 45_000_000
    rebalance_us: int = 300_000_000
    max_poll_records: int = 500


class Consumer(msgspec.Struct):
    """One consumer. `happened` are its rebalance listener's calls: ("revoked" or "assigned", partitions).

    `positions` has what is owned and looked up; `unset` what is owned and has no offset (reset none).
    """

    name: str
    settings: Settings
    topics: tuple[str, ...]
    node: int = 0
    state: State = "out"
    member: str = ""
    generation: int = -1
    owned: list[Partition] = []
    remembered: tuple[Partition, ...] = ()
    """What the last generation gave it: the sticky assignor sends it along, also after all was given up, or
    after the group had removed it (`StickyAssignor` keeps it until its next assignment)."""
    remembered_generation: int = -1
    positions: dict[Partition, int] = {}
    unset: dict[Partition, str] = {}
    sought: dict[Partition, str] = {}
    """Seeks to "earliest" or "latest" that the next poll looks up."""
    counts: dict[str, int] = {}
    """Topic → partitions, as the metadata had it last."""
    committed_at_us: int = 0
    now_us: int = 0
    """As its application has told last."""
    rejoin: bool = False
    leads: bool = False
    told: tuple[ops.MemberTold, ...] = ()
    protocol: str = ""
    refused: str = ""
    """Why the group did not take it."""
    fenced: bool = False
    then: str = ""
    """What follows when the commit under way is answered."""
    target: tuple[Partition, ...] = ()
    """What the coordinator said last that it should have (KIP-848)."""
    outbox: list[Any] = []
    happened: list[tuple[str, tuple[Partition, ...]]] = []

    # -- in the group -------------------------------------------------------------------------------

    @property
    def cooperative(self) -> bool:
        """Whether it keeps what it owns while a classic group rebalances."""
        return self.settings.assignors == (COOPERATIVE,)

    def join(self) -> None:
        """Ask to be in the group; what it owns stays with it where the protocol is cooperative."""
        settings = self.settings
        if settings.protocol == "consumer":
            self.state = "joining"
            self._heartbeat(epoch=0)
            return
        self.state = "joining"
        self.rejoin = False
        owned, generation = tuple(self.owned), self.generation
        if "sticky" in settings.assignors:  # the others hear only what it has still: after giving up, nothing
            owned, generation = self.remembered, self.remembered_generation
        self.outbox.append(
            ops.JoinGroup(
                settings.group,
                self.member,
                self.topics,
                settings.assignors,
                owned,
                generation,
                settings.instance,
                settings.session_us,
                settings.rebalance_us,
                self.node,
            )
        )

    def heartbeat(self) -> None:
        """heartbeat.interval.ms is over."""
        if self.settings.protocol == "consumer":
            if self.state == "in":
                self._heartbeat(self.generation)
        elif self.state in ("in", "syncing"):
            settings = self.settings
            self.outbox.append(ops.Heartbeat(settings.group, self.member, self.generation, settings.instance))

    def _heartbeat(self, epoch: int) -> None:
        settings = self.settings
        self.outbox.append(
            ops.ConsumerGroupHeartbeat(
                settings.group,
                self.name,
                epoch,
                self.topics,
                settings.assignors[0],
                tuple(self.owned),
                settings.instance,
                settings.session_us,
                self.node,
            )
        )

    def subscribe(self, topics: tuple[str, ...]) -> None:
        """A new subscription. What is no longer wanted is given up before it joins again."""
        dropped = [partition for partition in self.owned if partition[0] not in topics]
        self.topics = topics
        if self.settings.protocol == "consumer":
            self._heartbeat(self.generation)
            return
        if self.cooperative and dropped:
            self._commit_and("subscribe")
        else:
            self._begin_rebalance()

    def saw_metadata(self) -> None:
        """metadata.max.age.ms is over: the leader of a classic group looks for new partitions."""
        if self.settings.protocol == "classic" and self.leads and self.state == "in":
            self.outbox.append(ops.Metadata(self.topics_of_group()))

    def topics_of_group(self) -> tuple[str, ...]:
        """What the members subscribe to, as far as this one knows."""
        return tuple(dict.fromkeys((*self.topics, *(t for member in self.told for t in member.topics))))

    def leave(self) -> None:
        """Close politely: commit by itself, then say so. A static member of a classic group says nothing."""
        self._commit_and("leave")

    def _leave(self) -> None:
        settings = self.settings
        if settings.protocol == "consumer":
            self._heartbeat(-2 if settings.instance else -1)
        elif not settings.instance and self.member:
            self.outbox.append(ops.LeaveGroup(settings.group, self.member))
        self.state = "closed"
        self.owned, self.positions = [], {}

    # -- giving up and getting ------------------------------------------------------------------------

    def _begin_rebalance(self) -> None:
        """The group rebalances: commit by itself, give up (eager: everything), join again."""
        self._commit_and("rebalance")

    def _commit_and(self, then: str) -> None:
        self.then = then
        if self.settings.auto_commit and self.positions and self.generation >= 0:
            self.state = "committing"
            self._commit(self.positions)
        else:
            self._go_on()

    def _go_on(self) -> None:
        then, self.then = self.then, ""
        if then == "leave":
            self._leave()
        elif then == "revoke":
            self._reconcile()
        elif then:
            if not self.cooperative:
                self._lose(self.owned)
            else:
                self._lose([partition for partition in self.owned if partition[0] not in self.topics])
            self.join()

    def _lose(self, partitions: Iterable[Partition]) -> None:
        gone = sorted(partitions)
        if not gone:
            return
        self.owned = [partition for partition in self.owned if partition not in gone]
        for known in (self.positions, self.unset, self.sought):
            for partition in gone:
                known.pop(partition, None)
        self.happened.append(("revoked", tuple(gone)))

    def _get(self, partitions: Iterable[Partition]) -> None:
        new = sorted(partition for partition in partitions if partition not in self.owned)
        if not new:
            return
        self.owned = sorted([*self.owned, *new])
        self.happened.append(("assigned", tuple(new)))
        self.outbox.append(ops.OffsetFetch(self.settings.group, tuple(new), True))

    def receive(self, answer: Any, asked: Any = None) -> None:
        """An answer to `asked`, or a push."""
        handler = _HANDLERS.get(type(answer))
        if handler is not None:
            handler(self, answer, asked)

    def _joined(self, joined: ops.Joined, _: Any) -> None:
        if self.state != "joining":
            return
        if joined.error:
            self._refused(joined.error)
            return
        self.member, self.generation, self.protocol = joined.member, joined.generation, joined.protocol
        self.leads = joined.leader == joined.member
        self.state = "syncing"
        if self.leads and not joined.stands:
            self.told = joined.members
            self.outbox.append(ops.Metadata(self.topics_of_group()))
        else:
            self.outbox.append(ops.SyncGroup(self.settings.group, self.member, self.generation))

    def _refused(self, error: str) -> None:
        """The group does not take it, or does not know it any more."""
        if error == "UNKNOWN_MEMBER_ID" and self.member:
            self.member, self.generation = "", -1
            self._lose(self.owned)
            self.join()
            return
        if error == "FENCED_INSTANCE_ID":
            self._fenced()
            return
        self.state, self.refused = "out", error

    def _fenced(self) -> None:
        """Another process is this static member now: its next poll throws, and it is over
        (`FencedInstanceIdException`)."""
        self.state, self.fenced = "closed", True
        self.owned, self.positions = [], {}

    def _metadata(self, answer: ops.MetadataAnswered, _: Any) -> None:
        seen = dict(answer.partitions)
        changed, self.counts = seen != self.counts, seen
        if self.state == "syncing":
            given = assignment_of(self.protocol, self.told, seen)
            told = tuple((member, tuple(partitions)) for member, partitions in given.items())
            self.outbox.append(ops.SyncGroup(self.settings.group, self.member, self.generation, told))
        elif self.state == "in" and changed:
            self._begin_rebalance()

    def _synced(self, synced: ops.Synced, _: Any) -> None:
        if self.state != "syncing":
            return
        if synced.error:
            self._begin_rebalance()
            return
        self.state = "in"
        target = list(synced.partitions)
        self.remembered, self.remembered_generation = synced.partitions, synced.generation
        gone = [partition for partition in self.owned if partition not in target]
        self._lose(gone)
        self._get(target)
        if gone and self.protocol == COOPERATIVE:
            self._begin_rebalance()

    def _beaten(self, answer: Any, _: Any) -> None:
        """The answer to a heartbeat of the classic protocol."""
        if answer.error == "REBALANCE_IN_PROGRESS" and self.state == "in":
            self._begin_rebalance()
        elif answer.error in ("UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION"):
            self._refused("UNKNOWN_MEMBER_ID")
        elif answer.error == "FENCED_INSTANCE_ID":
            self._fenced()

    def _told(self, answer: ops.ConsumerGroupHeartbeatAnswered, asked: ops.ConsumerGroupHeartbeat) -> None:
        """The coordinator says what this member should have (KIP-848)."""
        if asked.epoch < 0 or self.state not in ("joining", "in"):
            return
        self.state, self.generation, self.member = "in", answer.epoch, self.name
        wanted = answer.partitions
        self.target = wanted
        if any(partition not in wanted for partition in self.owned):
            self._commit_and("revoke")
        else:
            self._reconcile()

    def _reconcile(self) -> None:
        self.state = "in"
        before = list(self.owned)
        self._lose([partition for partition in self.owned if partition not in self.target])
        self._get(self.target)
        if self.owned != before:
            self._heartbeat(self.generation)

    # -- offsets and positions ------------------------------------------------------------------------

    def _fetched_offsets(self, answer: ops.OffsetsFetched, asked: ops.OffsetFetch) -> None:
        known = dict(answer.offsets)
        for partition in asked.partitions:
            if partition not in self.owned:
                continue
            if partition in known:
                self.positions[partition] = known[partition]
            else:
                self.reset(partition)

    def reset(self, partition: Partition, to: str = "") -> None:
        """No usable offset: what auto.offset.reset says, or a seek."""
        where = to or self.settings.reset
        if where == "none":
            self.unset[partition] = "OFFSET_OUT_OF_RANGE" if partition in self.positions else "NO_OFFSET"
            self.positions.pop(partition, None)
            return
        back = back_us(where)
        at: Literal["earliest", "latest"] = "earliest" if where == "earliest" else "latest"
        if back is None:
            self.outbox.append(ops.ListOffsets(*partition, at, self.settings.isolation))
        else:
            since_us = self.now_us - back
            asked = ops.ListOffsets(*partition, "timestamp", self.settings.isolation, since_us)
            self.outbox.append(asked)

    def _listed(self, answer: ops.OffsetListed, asked: ops.ListOffsets) -> None:
        """Where there is no record since the time that was asked for, it gets no position
        (`OffsetFetcherUtils.handleListOffsetResponse`): it has to ask again."""
        partition = (asked.topic, asked.partition)
        if not answer.error and answer.offset >= 0 and partition in self.owned:
            self.positions[partition] = answer.offset

    def seek(self, partition: Partition, to: int | str) -> bool:
        """Whether it could: only what is owned has a position. A word is looked up by the next poll."""
        if partition not in self.owned:
            return False
        self.unset.pop(partition, None)
        if isinstance(to, str):
            self.sought[partition] = to
        else:
            self.sought.pop(partition, None)
            self.positions[partition] = to
        return True

    def poll(self, now_us: int) -> None:
        """Ask for more of everything it owns; first, where it is time, commit what was got so far."""
        settings, self.now_us = self.settings, now_us
        if (
            settings.auto_commit
            and now_us - self.committed_at_us >= settings.auto_commit_us
            and self.positions
        ):
            self._commit(self.positions)
            self.committed_at_us = now_us
        for partition, word in self.sought.items():
            self.reset(partition, word)
        for partition, position in sorted(self.positions.items()):
            if partition not in self.sought:
                self.fetch(partition, position)
        self.sought = {}

    def fetch(self, partition: Partition, position: int) -> None:
        settings = self.settings
        self.outbox.append(ops.Fetch(*partition, position, settings.isolation, settings.max_poll_records, 0))

    def _fetched(self, answer: ops.Fetched, asked: ops.Fetch) -> None:
        partition = (asked.topic, asked.partition)
        if partition in self.positions and self.positions[partition] == asked.offset:
            self.positions[partition] = answer.next

    def commit(self, offsets: dict[Partition, int] | None = None) -> None:
        """Commit these offsets as they are, or the present positions."""
        self._commit(self.positions if offsets is None else offsets)

    def _commit(self, offsets: dict[Partition, int]) -> None:
        told = tuple(sorted(offsets.items()))
        self.outbox.append(ops.OffsetCommit(self.settings.group, self.member, self.generation, told))

    def _committed(self, answer: Any, _: Any) -> None:
        if self.state == "committing":
            self.state = "in"
            self._go_on()

    def _done(self, answer: Any, asked: Any) -> None:
        """An answer without a type of its own: an error, or nothing more to say."""
        if isinstance(asked, ops.Heartbeat):
            self._beaten(answer, asked)
        elif isinstance(asked, ops.OffsetCommit):
            self._committed(answer, asked)
        elif isinstance(asked, ops.Fetch) and answer.error == "OFFSET_OUT_OF_RANGE":
            self.reset((asked.topic, asked.partition))
        elif isinstance(asked, ops.ConsumerGroupHeartbeat) and asked.epoch >= 0:
            if answer.error in ("UNKNOWN_MEMBER_ID", "FENCED_MEMBER_EPOCH"):
                self._lose(self.owned)
                self.join()
            elif answer.error:
                self._refused(answer.error)


_HANDLERS: dict[type, Callable[[Consumer, Any, Any], None]] = {
    ops.Joined: Consumer._joined,
    ops.Synced: Consumer._synced,
    ops.MetadataAnswered: Consumer._metadata,
    ops.ConsumerGroupHeartbeatAnswered: Consumer._told,
    ops.OffsetsFetched: Consumer._fetched_offsets,
    ops.OffsetListed: Consumer._listed,
    ops.Fetched: Consumer._fetched,
    ops.Done: Consumer._done,
}


def assignment_of(protocol: str, told: tuple[ops.MemberTold, ...], topics: dict[str, int]) -> Assignment:
    """What the leader of a classic group decides. Cooperative: nobody gets what another one still has.

    What a member says it owns counts in its newest generation only; the sticky assignors hear it from all.
    """
    members = [Subscriber(m.id, m.topics, m.owned, m.instance, m.generation) for m in told]
    target = ASSIGNORS[protocol](members, topics)
    if protocol != COOPERATIVE:
        return target
    owner = {partition: member.id for member in members for partition in member.owned}
    return {
        member: [partition for partition in partitions if owner.get(partition, member) == member]
        for member, partitions in target.items()
    }
