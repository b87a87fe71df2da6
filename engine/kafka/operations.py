"""What clients and administrators say to Kafka, its answers, and what it says later.

Names are those of the protocol's APIs (`Produce`, `JoinGroup`, `ConsumerGroupHeartbeat`) or of the
administrator's tools. A request that cannot be answered at once (acks=all, a fetch that waits, a join) is
answered by a push that carries the same `request` number. Times are microseconds, offsets those of the log,
-1 is the protocol's "none".
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.broker import Operation, Push, Reply
from engine.kafka.assignors import Partition
from engine.kafka.log import NO_PID, NO_SEQUENCE, Isolation

Acks = Literal[0, 1, -1]
"""0: no answer is waited for. 1: the leader has it. -1 (all): every replica in sync has it."""


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A record before it has an offset. `value` None is a tombstone; `message` is the room's number, 0 for
    none."""

    key: str | None
    value: str | None
    message: int = 0
    headers: tuple[tuple[str, str], ...] = ()


class Answer(Reply, frozen=True, gc=False):
    """Base of answers. `error` is an error code of the protocol, "" for none."""

    error: str = ""


class Done(Answer, frozen=True, gc=False):
    """Nothing to say but that it was done, or the error."""


# -- topics and administration ------------------------------------------------------------------


class CreateTopic(Operation, frozen=True):
    """CreateTopics. `replicas`: the brokers of every partition, the preferred leader first; empty: the first
    `replication.factor` brokers, moved on by one for each partition. `config` as Kafka's topic
    configuration."""

    topic: str
    partitions: int = 1
    config: dict[str, str] = {}
    replicas: tuple[int, ...] = ()
    node: int = 0


class CreatePartitions(Operation, frozen=True, gc=False):
    """CreatePartitions: `count` is the new total. Existing records stay where they are; keys may move."""

    topic: str
    count: int


class AlterGroupConfig(Operation, frozen=True):
    """IncrementalAlterConfigs of a group: `share.*`, `consumer.*` and `errors.deadletterqueue.*` keys."""

    group: str
    config: dict[str, str]


class DeleteRecords(Operation, frozen=True, gc=False):
    """The log starts at `before` from now on; -1 is the high watermark."""

    topic: str
    partition: int
    before: int


class RollSegment(Operation, frozen=True, gc=False):
    """The next append opens a new segment (what segment.ms and segment.bytes do by themselves)."""

    topic: str
    partition: int


class RunRetention(Operation, frozen=True, gc=False):
    """The log manager's retention task gets its chance, as it does each log.retention.check.interval.ms."""

    topic: str
    partition: int


class Compact(Operation, frozen=True, gc=False):
    """The log cleaner gets its chance."""

    topic: str
    partition: int


class StopBroker(Operation, frozen=True, gc=False):
    """The broker is gone: `clean` after a controlled shutdown, else killed, and the controller has seen
    it."""

    broker: int
    clean: bool = False


class StartBroker(Operation, frozen=True, gc=False):
    """The broker registers again: it truncates to its leaders, catches up and joins their ISR."""

    broker: int


class HangBroker(Operation, frozen=True, gc=False):
    """The broker's followers stop fetching; it leaves the ISR after replica.lag.time.max.ms."""

    broker: int


class ResumeBroker(Operation, frozen=True, gc=False):
    """The broker's followers fetch again, and are back in the ISR once they have everything."""

    broker: int


class Metadata(Operation, frozen=True, gc=False):
    """How many partitions these topics have now. Topics that do not exist are left out of the answer."""

    topics: tuple[str, ...]


class MetadataAnswered(Answer, frozen=True, gc=False):
    partitions: tuple[tuple[str, int], ...] = ()


class DescribePartition(Operation, frozen=True, gc=False):
    """DescribeTopicPartitions and DescribeLogDirs of one partition."""

    topic: str
    partition: int


class PartitionDescribed(Answer, frozen=True):
    """`log_ends`: (broker, log end offset), of stopped brokers too. `leader` -1: offline."""

    leader: int = -1
    leader_epoch: int = 0
    isr: tuple[int, ...] = ()
    elr: tuple[int, ...] = ()
    high_watermark: int = -1
    log_start: int = 0
    last_stable: int = -1
    log_ends: tuple[tuple[int, int], ...] = ()


# -- writing and reading --------------------------------------------------------------------------


class Produce(Operation, frozen=True):
    """One batch for one partition. `timeout_us`: how long acks=all may wait for the ISR."""

    topic: str
    partition: int
    records: tuple[Record, ...]
    acks: Acks = -1
    pid: int = NO_PID
    epoch: int = -1
    sequence: int = NO_SEQUENCE
    transactional_id: str = ""
    timeout_us: int = 30_000_000
    request: int = 0
    verify: bool = True
    """Whether the transaction coordinator is asked (transaction.partition.verification.enable)."""
    size: int = 0
    """Bytes of its records as its producer counts them; 0: of their keys and values."""


class WriteMarker(Operation, frozen=True, gc=False):
    """WriteTxnMarkers, as a coordinator sends it to a partition's leader."""

    topic: str
    partition: int
    pid: int
    epoch: int
    commit: bool


class Produced(Answer, frozen=True, gc=False):
    """`base` is the first record's offset, also where the answer is REQUEST_TIMED_OUT; -1 for acks=0.
    `count`: how many records the batch has."""

    topic: str = ""
    partition: int = 0
    base: int = -1
    request: int = 0
    count: int = 0


class ProduceAnswered(Push, frozen=True, gc=False):
    """The answer to a `Produce` that had to wait."""

    answer: Produced


class Fetch(Operation, frozen=True, gc=False):
    """Records of one partition from `offset` on. `wait_us`: how long an empty answer may wait for more."""

    topic: str
    partition: int
    offset: int
    isolation: Isolation = "read_uncommitted"
    max_records: int = 500
    wait_us: int = 0
    request: int = 0


class Fetched(Answer, frozen=True):
    """`next` is where the next fetch goes on: behind markers and hidden records too, when all was read."""

    topic: str = ""
    partition: int = 0
    offsets: tuple[int, ...] = ()
    records: tuple[Record, ...] = ()
    next: int = 0
    log_start: int = 0
    high_watermark: int = 0
    last_stable: int = 0
    request: int = 0


class FetchAnswered(Push, frozen=True):
    """The answer to a `Fetch` that had to wait."""

    answer: Fetched


class ListOffsets(Operation, frozen=True, gc=False):
    """Where a partition begins or ends for a reader of this isolation; at "timestamp" the first record of
    `timestamp_us` or later, -1 where there is none."""

    topic: str
    partition: int
    at: Literal["earliest", "latest", "timestamp"]
    isolation: Isolation = "read_uncommitted"
    timestamp_us: int = -1


class OffsetListed(Answer, frozen=True, gc=False):
    topic: str = ""
    partition: int = 0
    offset: int = -1


# -- transactions ---------------------------------------------------------------------------------


class InitProducerId(Operation, frozen=True, gc=False):
    """A producer id, for idempotence alone (no transactional id) or for transactions: that fences the one
    before. `timeout_us` (transaction.timeout.ms): after so long an open transaction is aborted; 0 never."""

    transactional_id: str = ""
    timeout_us: int = 0


class ProducerIdGiven(Answer, frozen=True, gc=False):
    pid: int = NO_PID
    epoch: int = -1


class TxnOffsetCommit(Operation, frozen=True):
    """sendOffsetsToTransaction: these offsets of `group` count once the transaction commits. `member` and
    `generation`: who reads them for the group (KIP-447); "" is not looked at."""

    transactional_id: str
    pid: int
    epoch: int
    group: str
    offsets: tuple[tuple[Partition, int], ...]
    member: str = ""
    generation: int = -1


class EndTxn(Operation, frozen=True, gc=False):
    """Commit or abort. The answer carries the next epoch (transactions version 2, KIP-890)."""

    transactional_id: str
    pid: int
    epoch: int
    commit: bool


class DescribeTransaction(Operation, frozen=True, gc=False):
    transactional_id: str


class TransactionDescribed(Answer, frozen=True, gc=False):
    """`state` as the coordinator has it: Empty, Ongoing, CompleteCommit, CompleteAbort."""

    state: str = ""
    pid: int = NO_PID
    epoch: int = -1


# -- groups -----------------------------------------------------------------------------------------


class JoinGroup(Operation, frozen=True):
    """The classic protocol (KIP-62). The answer is pushed when the generation is complete (`Joined`).

    `protocols`: the assignors that the member supports, its favourite first. `owned` goes along for the
    sticky ones, with the generation it is from. `instance`: group.instance.id of a static member (KIP-345).
    """

    group: str
    member: str
    topics: tuple[str, ...]
    protocols: tuple[str, ...]
    owned: tuple[Partition, ...] = ()
    owned_generation: int = -1
    instance: str = ""
    session_us: int = 45_000_000
    rebalance_us: int = 300_000_000
    node: int = 0


class MemberTold(msgspec.Struct, frozen=True, array_like=True):
    """A member as the group's leader hears of it."""

    id: str
    topics: tuple[str, ...]
    owned: tuple[Partition, ...]
    instance: str
    generation: int = -1
    """The one that `owned` is from."""


class Joined(Push, frozen=True):
    """The generation is complete. Only the leader is told the members; an `error` refuses the joiner.

    `stands`: a static member is back in time, nothing changes and its assignment is as it was.
    """

    group: str
    error: str = ""
    member: str = ""
    generation: int = -1
    protocol: str = ""
    leader: str = ""
    members: tuple[MemberTold, ...] = ()
    stands: bool = False


class SyncGroup(Operation, frozen=True):
    """The leader hands in everybody's partitions, the others ask for theirs. Answered by `Synced`."""

    group: str
    member: str
    generation: int
    assignments: tuple[tuple[str, tuple[Partition, ...]], ...] = ()


class Synced(Push, frozen=True):
    group: str
    error: str = ""
    generation: int = -1
    partitions: tuple[Partition, ...] = ()


class Heartbeat(Operation, frozen=True, gc=False):
    """The member is alive. The answer says when the group rebalances (REBALANCE_IN_PROGRESS), or that another
    process has taken the place of this static member (FENCED_INSTANCE_ID)."""

    group: str
    member: str
    generation: int
    instance: str = ""


class LeaveGroup(Operation, frozen=True, gc=False):
    """The member goes politely. A static one does not say so: it is only missed."""

    group: str
    member: str


class ConsumerGroupHeartbeat(Operation, frozen=True):
    """KIP-848: join, stay and leave in one request. `epoch` 0 joins, -1 leaves, -2 leaves for a while
    (static).

    `owned`: what the member has right now, so that the coordinator knows what it has given up.
    `session_us` 0: as the cluster says (group.consumer.session.timeout.ms).
    """

    group: str
    member: str
    epoch: int
    topics: tuple[str, ...] = ()
    assignor: str = "uniform"
    owned: tuple[Partition, ...] = ()
    instance: str = ""
    session_us: int = 45_000_000
    node: int = 0


class ConsumerGroupHeartbeatAnswered(Answer, frozen=True):
    """The member's epoch from now on, and what it should have."""

    epoch: int = 0
    partitions: tuple[Partition, ...] = ()


class OffsetCommit(Operation, frozen=True):
    """`member` "" is an administrator or a consumer outside any group; refused while the group has
    members."""

    group: str
    member: str
    generation: int
    offsets: tuple[tuple[Partition, int], ...]


class OffsetFetch(Operation, frozen=True):
    """The committed offsets of `partitions`, of all of the group's when none is named. `stable`
    (require_stable, KIP-447): refused while an open transaction may still commit others for them."""

    group: str
    partitions: tuple[Partition, ...] = ()
    stable: bool = False


class OffsetsFetched(Answer, frozen=True):
    """Partitions without a committed offset are left out."""

    offsets: tuple[tuple[Partition, int], ...] = ()


class DescribeGroup(Operation, frozen=True, gc=False):
    group: str


class GroupDescribed(Answer, frozen=True):
    """`assignment`: (member's name, partitions), of static members that are away too. `rebalances` counts the
    generations, or group epochs, so far; those of an emptied group are not counted."""

    state: str = ""
    protocol: str = ""
    generation: int = 0
    rebalances: int = 0
    assignment: tuple[tuple[str, tuple[Partition, ...]], ...] = ()


# -- share groups -------------------------------------------------------------------------------------

ShareAnswer = Literal["accept", "release", "reject", "renew", "gap"]


ShareBatches = tuple[tuple[int, int, ShareAnswer], ...]
"""(first offset, last offset, answer)."""
Acknowledgements = tuple[tuple[Partition, ShareBatches], ...]


class ShareGroupHeartbeat(Operation, frozen=True):
    """KIP-932: join (`epoch` 0), stay and leave (-1). `member` is the client's own choice."""

    group: str
    member: str
    epoch: int
    topics: tuple[str, ...] = ()
    node: int = 0


class ShareGroupHeartbeatAnswered(Answer, frozen=True):
    """The member's epoch from now on, and what it reads. Others may read it too."""

    epoch: int = 0
    partitions: tuple[Partition, ...] = ()


class ShareFetch(Operation, frozen=True):
    """Acquire records, `max_records` of all `partitions` together, after `acknowledgements` of what was
    acquired before. `mode` as share.acquire.mode (KIP-1206).

    The brokers of a cluster answer as one. The partitions take turns in being the first.
    """

    group: str
    member: str
    partitions: tuple[Partition, ...]
    max_records: int = 500
    mode: Literal["batch_optimized", "record_limit"] = "batch_optimized"
    acknowledgements: Acknowledgements = ()
    wait_us: int = 0
    request: int = 0
    node: int = 0


class SharedRecords(msgspec.Struct, frozen=True, array_like=True):
    """(offset, delivery count) of what was acquired of one partition, in offset order, with the records."""

    partition: Partition
    acquired: tuple[tuple[int, int], ...]
    records: tuple[Record, ...]


class ShareFetched(Answer, frozen=True):
    """`refused`: (partition, error) of acknowledgements that do not count."""

    parts: tuple[SharedRecords, ...] = ()
    refused: tuple[tuple[Partition, str], ...] = ()
    request: int = 0


class ShareFetchAnswered(Push, frozen=True):
    """The answer to a share fetch that waited."""

    answer: ShareFetched


class ShareAcknowledge(Operation, frozen=True):
    """Of one partition all or nothing: one record that is not held, and none of it counts."""

    group: str
    member: str
    topic: str
    partition: int
    batches: ShareBatches


class ShareMemberGone(Operation, frozen=True, gc=False):
    """The member closes its session: what it holds is released at once."""

    group: str
    member: str


class Disconnected(Operation, frozen=True, gc=False):
    """A client's connection is closed; nobody waits for an answer. What its members of share groups hold is
    released at once (recorded from 4.4.0)."""


class DescribeShareGroup(Operation, frozen=True, gc=False):
    group: str
    topic: str
    partition: int


class ShareGroupDescribed(Answer, frozen=True):
    """(offset, state, delivery count) of the records in flight; `start` is the first that is not finished."""

    start: int = 0
    states: tuple[tuple[int, str, int], ...] = ()


# -- what a room's clients say and hear ---------------------------------------------------------------

AnyRequest = (
    Metadata | Produce | InitProducerId | Fetch | ListOffsets | JoinGroup | SyncGroup | Heartbeat | LeaveGroup
    | OffsetCommit | OffsetFetch | ConsumerGroupHeartbeat | TxnOffsetCommit | EndTxn
    | ShareGroupHeartbeat | ShareFetch | ShareAcknowledge | ShareMemberGone | Disconnected
)  # fmt: skip
AnyAnswer = (
    Done | MetadataAnswered | Produced | ProducerIdGiven | Fetched | OffsetListed | Joined | Synced
    | OffsetsFetched | ConsumerGroupHeartbeatAnswered | ShareGroupHeartbeatAnswered | ShareFetched
)  # fmt: skip
