"""Kafka's own facts, in its own words. Tags 100–149.

Nodes (each introduced by a `NodeAdded`): a broker, a topic, its partitions, a group. Records are named by
their partition and offset; `messages` are the room's numbers of what a batch holds, one an offset, 0 for a
control record and for what nobody counts.
"""

from __future__ import annotations

from typing import Literal

from engine.events import Event, Place, Tally

GroupState = Literal["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Reconciling"]
Gone = Literal["left", "session", "late", "away"]
"""Why a member is out: it said so, was not heard of for session.timeout.ms, did not join the rebalance in
time; away is a static member that left and may come back."""


AcquisitionEnd = Literal[
    "accept", "reject", "gap", "release", "lock", "gone", "limit", "leader", "deleted"
]  # fmt: skip
"""How a share group's acquisition of a record ends: by what its member said (gap: the offset has no record),
its lock ran out, its member left or lost its connection, the last delivery that is allowed came to nothing
too, another broker leads the partition, or the record was deleted."""
Ended = Literal["AVAILABLE", "ACKNOWLEDGED", "ARCHIVED"]


class PartitionDeclared(Event, frozen=True, array_like=True, tag=100):
    """Node `node` is partition `index` of topic `topic`. `replicas` are nodes of brokers, the preferred
    first."""

    node: int
    topic: int
    index: int
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
    """These records are no longer in the leader's log. truncated: a leader without them was elected.
    `ranges`: [first, next) of offsets at which one stood, rising. Many that lie apart come in several events,
    what is truncated from the end backwards."""

    node: int
    ranges: tuple[tuple[int, int], ...]
    why: Literal["retention", "deleted", "compacted", "truncated"]

    @property
    def offsets(self) -> tuple[int, ...]:
        """Each of them, rising."""
        return tuple(offset for first, next_ in self.ranges for offset in range(first, next_))


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


class RecordsAcquired(Event, frozen=True, array_like=True, tag=111):
    """A share group has these records of partition `node` acquired by `member` (its consumer's node is
    `holder`, 0 without one) until `until_us`: nobody else is given them. `deliveries` runs beside
    `offsets`."""

    group: int
    node: int
    member: str
    holder: int
    offsets: tuple[int, ...]
    deliveries: tuple[int, ...]
    until_us: int


class AcquisitionEnded(Event, frozen=True, array_like=True, tag=112):
    """A share group has these records of partition `node` in `state` now. `deliveries` runs beside
    `offsets`; a record with none was passed over, for it is not to be delivered."""

    group: int
    node: int
    offsets: tuple[int, ...]
    deliveries: tuple[int, ...]
    state: Ended
    why: AcquisitionEnd


class AcquisitionRenewed(Event, frozen=True, array_like=True, tag=128):
    """Who has acquired these records has them until `until_us` now."""

    group: int
    node: int
    offsets: tuple[int, ...]
    until_us: int


class SharePartitionMarked(Event, frozen=True, array_like=True, tag=129, gc=False):
    """A share group's records in flight lie in [start, end) of partition `node`: `start` (its share-partition
    start offset) is the first that is not finished, from `end` on nothing was looked at yet."""

    group: int
    node: int
    start: int
    end: int


# -- clients ------------------------------------------------------------------------------------------


class PartitionsAssigned(Event, frozen=True, array_like=True, tag=113):
    """Consumer `node` has taken these partitions as its own: its group's coordinator has given them to it."""

    group: int
    node: int
    partitions: tuple[int, ...]


class PartitionsRevoked(Event, frozen=True, array_like=True, tag=114):
    """Consumer `node` has given them up, with what it had fetched of them and not worked; or it crashed,
    and the coordinator does not know yet. A share group's member gives up nothing that it has acquired, but
    by a crash."""

    group: int
    node: int
    partitions: tuple[int, ...]
    why: Literal["revoked", "crashed"]


class PositionSet(Event, frozen=True, array_like=True, tag=115, gc=False):
    """Consumer `node` will read partition `partition` from `offset` on: from what its group has committed,
    or from where it was told to begin. What it had fetched before and not worked is thrown away."""

    group: int
    node: int
    partition: int
    offset: int


class BatchSent(Event, frozen=True, array_like=True, tag=116):
    """A produce request departs `source` (a producer) for partition `target`, and is gone at `arrive_us` by
    itself, unless a `SignalLost` says so."""

    signal: int
    source: int
    target: int
    messages: tuple[int, ...]
    arrive_us: int


class BatchAcknowledged(Event, frozen=True, array_like=True, tag=117, gc=False):
    """The answer to a produce request departs partition `source` for producer `target`: the `count` records
    from `base` on are written, as safely as its acks asks."""

    signal: int
    source: int
    target: int
    base: int
    count: int
    arrive_us: int


class RecordsSent(Event, frozen=True, array_like=True, tag=118, gc=False):
    """The answer to a fetch departs partition `source` for consumer `target`: `count` records of the offsets
    [first, next). A `RecordsDelivered` follows when the consumer takes them."""

    signal: int
    source: int
    target: int
    first: int
    next: int
    count: int
    arrive_us: int


class RecordsDelivered(Event, frozen=True, array_like=True, tag=119, gc=False):
    """Consumer `node` has them now, and works on them in order. A member of a share group has all of the
    range, as acquired: a gap begins another range."""

    group: int
    node: int
    partition: int
    first: int
    next: int


class RecordsWorked(Event, frozen=True, array_like=True, tag=120):
    """Consumer `node` has handled the offsets [first, next), `amount` of `effect` each, but for those that
    `failed` for good, and those that it `skipped` because its idempotency store remembered them. The effects
    of the `repeated` ones had happened in this group before.

    `total` sums the amounts of this effect so far, `due` is what it would be if each message had had it once.
    """

    group: int
    node: int
    partition: int
    first: int
    next: int
    failed: tuple[int, ...]
    skipped: tuple[int, ...]
    repeated: tuple[int, ...]
    effect: str
    amount: int
    total: int
    due: int


class RecordFailed(Event, frozen=True, array_like=True, tag=121, gc=False):
    """The handler has failed on this record, for the `attempt`-th time in a row. `until_us`: when it tries
    again, and all that lies behind it in the partition waits; 0 when it goes on without. `why`: "poison",
    "key K", "chance", "outage", or of a share group's member "told to reject" or "told to release"."""

    group: int
    node: int
    partition: int
    offset: int
    attempt: int
    why: str
    until_us: int


class Counted(Event, frozen=True, array_like=True, tag=122, gc=False):
    """The ledger counts `count` records that `destination` (a group, or a topic) is owed in place `now` and
    no longer in `was`."""

    destination: int
    was: Place
    now: Place
    count: int


class TalliedMore(Event, frozen=True, array_like=True, tag=123, gc=False):
    """`count` more of what the ledger counts beside its places."""

    destination: int
    what: Tally
    count: int


class MemberSettings(Event, frozen=True, array_like=True, tag=124, gc=False):
    """What consumer `node` does from now on, told once a command has changed it or brought the consumer.
    Before that it is as the scenario says.

    `assignors` are its own, its favourite first, or in the consumer protocol the coordinator's. `instance` is
    a static member's, `work_us` the mean time of its work at normal speed, `keep` "" without a store. `topic`
    is what it produces to, "" for nothing, in transactions under `transactional_id`, "" for none.
    """

    node: int
    group: str
    protocol: Literal["classic", "consumer"]
    isolation: Literal["read_uncommitted", "read_committed"]
    assignors: tuple[str, ...]
    instance: str
    acknowledge: Literal["after work", "before work", "automatic"]
    work_us: int
    keep: Literal["", "with the effect", "check then act"]
    topic: str
    transactional_id: str


class ShareMemberSettings(Event, frozen=True, array_like=True, tag=130, gc=False):
    """What share consumer `node` does from now on, as `MemberSettings` is told. `acknowledge` and `acquire`
    are its share.acknowledgement.mode and share.acquire.mode, `failed` what it answers for a record that its
    handler failed on."""

    node: int
    group: str
    acknowledge: Literal["implicit", "explicit"]
    acquire: Literal["batch_optimized", "record_limit"]
    max_poll_records: int
    failed: Literal["release", "reject"]
    work_us: int
    keep: Literal["", "with the effect", "check then act"]


class ProducerSettings(Event, frozen=True, array_like=True, tag=125, gc=False):
    """What producer `node` does from now on, as `MemberSettings` is told. `acks` is "all", "1" or "0",
    `transactional_id` "" without one."""

    node: int
    topic: str
    acks: str
    idempotence: bool
    transactional_id: str


class RecordsWithdrawn(Event, frozen=True, array_like=True, tag=127):
    """Producer `node` aborts its transaction: these messages are not sent (again). Nobody is owed them."""

    node: int
    messages: tuple[int, ...]


class RecordsHeld(Event, frozen=True, array_like=True, tag=126, gc=False):
    """Part of a statement of the present: consumer `node` has the records of [first, next) and has not worked
    them, `messages` at `offsets`. The log may have done away with them meanwhile."""

    group: int
    node: int
    partition: int
    first: int
    next: int
    offsets: tuple[int, ...]
    messages: tuple[int, ...]


class RecordsAwaited(Event, frozen=True, array_like=True, tag=144, gc=False):
    """Part of a statement of the present: consumer `node` has been sent the records of [first, next), and not
    taken them, `messages` at `offsets`. The log may do away with them before it does."""

    group: int
    node: int
    partition: int
    first: int
    next: int
    offsets: tuple[int, ...]
    messages: tuple[int, ...]


class ReadingStands(Event, frozen=True, array_like=True, tag=142, gc=False):
    """Part of a statement of the present: where `group` began to read `partition`, -1 where it has committed
    something there. If nobody reads it now, consumer `node` did until `at_us`, and had worked it up to
    `worked_to` (-1 if it had not begun); else `node` is 0."""

    group: int
    partition: int
    begun: int
    node: int
    worked_to: int


class LeadershipStands(Event, frozen=True, array_like=True, tag=143):
    """Part of a statement of the present: until `led_us` broker `was` led partition `node` (0 for nobody),
    and at `synced_us` `left` and `joined` left and joined its ISR. A moment of -1: it has not changed yet."""

    node: int
    was: int
    led_us: int
    left: tuple[int, ...]
    joined: tuple[int, ...]
    synced_us: int


class TombstonesAppended(Event, frozen=True, array_like=True, tag=141, gc=False):
    """Of what has just been appended to partition `node`, the records at `offsets` have no value: compaction
    removes what their keys had before, and after delete.retention.ms them too."""

    node: int
    offsets: tuple[int, ...]


class RecordsTransformed(Event, frozen=True, array_like=True, tag=140):
    """Consumer `node` produces to `topic` one record for each of `offsets` of partition `partition`, which it
    has just worked: `messages`, side by side. What is worked again is produced again, as the same message."""

    group: int
    node: int
    partition: int
    offsets: tuple[int, ...]
    topic: int
    messages: tuple[int, ...]


KAFKA: tuple[type[Event], ...] = (
    PartitionDeclared, PartitionLed, RecordsAppended, LogMarked, ReplicaReached, RecordsGone, GroupChanged,
    MemberJoined, MemberGone, OffsetCommitted, TransactionChanged, RecordsAcquired, AcquisitionEnded,
    PartitionsAssigned, PartitionsRevoked, PositionSet, BatchSent, BatchAcknowledged, RecordsSent,
    RecordsDelivered, RecordsWorked, RecordFailed, Counted, TalliedMore,
    MemberSettings, ProducerSettings, RecordsHeld, RecordsWithdrawn, AcquisitionRenewed,
    SharePartitionMarked, ShareMemberSettings, RecordsTransformed, TombstonesAppended, ReadingStands,
    LeadershipStands, RecordsAwaited,
)  # fmt: skip
