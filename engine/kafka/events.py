"""Kafka's own facts, in its own words. Tags 100–149.

Nodes (each introduced by a `NodeAdded`): a broker, a topic, its partitions, a group. Records are named by
their partition and offset; `messages` are the room's numbers of what a batch holds, one an offset, 0 for a
control record and for what nobody counts.
"""

from __future__ import annotations

from typing import Literal

from engine.events import Event

GroupState = Literal["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Reconciling"]
Gone = Literal["left", "session", "late", "away"]
"""Why a member is out: it said so, was not heard of for session.timeout.ms, did not join the rebalance in
time; away is a static member that left and may come back."""


Settling = Literal["accept", "reject", "gap", "release", "lock", "gone", "limit"]
Lent = Literal["AVAILABLE", "ACKNOWLEDGED", "ARCHIVED"]


class PartitionDeclared(Event, frozen=True, array_like=True, tag=100):
    """Node `node` is partition `number` of topic `topic`. `replicas` are nodes of brokers, the preferred
    first."""

    node: int
    topic: int
    number: int
    replicas: tuple[int, ...]


class PartitionLed(Event, frozen=True, array_like=True, tag=101):
    """Who leads (a broker's node, 0 for nobody), since which leader epoch, who is in sync, who is
    eligible."""

    node: int
    leader: int
    epoch: int
    isr: tuple[int, ...]
    elr: tuple[int, ...]


class RecordsAppended(Event, frozen=True, array_like=True, tag=102):
    """The leader has written a batch at `base`. A marker is a control record; it ends the transaction of
    `pid`."""

    node: int
    base: int
    messages: tuple[int, ...]
    pid: int
    transactional: bool
    marker: Literal["", "commit", "abort"]


class LogMarked(Event, frozen=True, array_like=True, tag=103, gc=False):
    """Where the leader's log starts, what consumers may read up to, and what read_committed ones may."""

    node: int
    start: int
    high_watermark: int
    last_stable: int


class ReplicaReached(Event, frozen=True, array_like=True, tag=104, gc=False):
    """The replica on `broker` ends at `end`: it copied, or gave up what its leader does not have."""

    node: int
    broker: int
    end: int


class RecordsGone(Event, frozen=True, array_like=True, tag=105):
    """These data records are no longer in the leader's log. truncated: a leader without them was elected."""

    node: int
    offsets: tuple[int, ...]
    why: Literal["retention", "deleted", "compacted", "truncated"]


class GroupChanged(Event, frozen=True, array_like=True, tag=106):
    """The group is in this state; `generation` is its group epoch in the consumer protocol."""

    group: int
    state: GroupState
    generation: int
    protocol: str


class MemberJoined(Event, frozen=True, array_like=True, tag=107, gc=False):
    """A consumer (its actor's node, 0 for a client without one) is a member under this id."""

    group: int
    node: int
    member: str


class MemberGone(Event, frozen=True, array_like=True, tag=108, gc=False):
    """The coordinator does not count this member any more; one that is away still has its partitions."""

    group: int
    node: int
    member: str
    why: Gone


class OffsetCommitted(Event, frozen=True, array_like=True, tag=109, gc=False):
    """The group begins at `offset` of partition `node` when its owner changes. `by`: a node, 0 an
    administrator."""

    group: int
    node: int
    offset: int
    by: int


class TransactionChanged(Event, frozen=True, array_like=True, tag=110, gc=False):
    """What the coordinator knows of a transactional id."""

    transactional_id: str
    state: Literal["Empty", "Ongoing", "CompleteCommit", "CompleteAbort"]
    pid: int
    epoch: int


class RecordsLent(Event, frozen=True, array_like=True, tag=111):
    """A share group has lent these records to `member` until `until_us`; `deliveries` runs beside
    `offsets`."""

    group: int
    node: int
    member: str
    offsets: tuple[int, ...]
    deliveries: tuple[int, ...]
    until_us: int


class RecordsSettled(Event, frozen=True, array_like=True, tag=112):
    """A share group has these records in `state` now. `start` is its first record that is not finished."""

    group: int
    node: int
    offsets: tuple[int, ...]
    state: Lent
    why: Settling
    start: int


KAFKA: tuple[type[Event], ...] = (
    PartitionDeclared, PartitionLed, RecordsAppended, LogMarked, ReplicaReached, RecordsGone, GroupChanged,
    MemberJoined, MemberGone, OffsetCommitted, TransactionChanged, RecordsLent, RecordsSettled,
)  # fmt: skip
