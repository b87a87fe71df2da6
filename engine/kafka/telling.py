"""What happened in a cluster, as events: whatever changes it calls here, and here the difference is told.

The last word on each partition is kept with it (`told_…`), so that no caller has to know what changed.
`state_events` builds the same picture from nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from engine.events import Event, NodeAdded, NodeStateChanged
from engine.kafka.classic import ClassicGroup
from engine.kafka.consumer_groups import ConsumerGroup
from engine.kafka.events import (
    Gone,
    GroupChanged,
    GroupState,
    LogMarked,
    MemberGone,
    MemberJoined,
    OffsetCommitted,
    PartitionDeclared,
    PartitionLed,
    RecordsAppended,
    RecordsGone,
    ReplicaReached,
    TombstonesAppended,
    TransactionChanged,
)
from engine.kafka.log import Batch, Log
from engine.kafka.topics import OFFLINE, PartitionState, Topic
from engine.kafka.transactions import Transactional

if TYPE_CHECKING:
    from engine.kafka.assignors import Partition
    from engine.kafka.broker import Kafka
    from engine.kafka.share_groups import ShareGroup


STATED_TAIL = 48
"""Records of a log that are always stated: more than a stage has columns for."""
STATED_MOST = 256
"""The most that are: of what a group has yet to read, so much as one may look at. Bounds the present."""


GONE_RANGES = 1_000
"""Ranges of offsets in one `RecordsGone`: with offsets of seven digits half of a frame (32 KiB)."""


RECORDS_MOST = 3_000
"""Records of one event that lists them: with numbers of six digits two thirds of a frame (32 KiB)."""


def say(cluster: Kafka, event: Event) -> None:
    """Emit it; what follows has it as its cause."""
    cluster.kernel.emit(event)


def _now(cluster: Kafka) -> tuple[int, int]:
    return cluster.kernel.now_us, cluster.kernel.cause


# -- the stage ----------------------------------------------------------------------------------------


def brokers_added(cluster: Kafka) -> None:
    for broker in cluster.brokers.values():
        broker.node = cluster.kernel.next_node()
        say(cluster, _broker_node(cluster, broker.id, *_now(cluster)))


def _broker_node(cluster: Kafka, broker: int, now_us: int, cause: int) -> NodeAdded:
    node = cluster.brokers[broker].node
    return NodeAdded(now_us, cause, node, "broker", f"broker {broker}", cluster.name, "")


def broker_changed(cluster: Kafka, broker: int) -> None:
    say(cluster, _broker_state(cluster, broker, *_now(cluster)))


def _broker_state(cluster: Kafka, broker: int, now_us: int, cause: int) -> NodeStateChanged:
    state = cluster.brokers[broker]
    how: Literal["up", "paused", "stopped", "crashed"]
    how = "paused" if state.hung else "up" if state.up else "stopped" if state.clean else "crashed"
    return NodeStateChanged(now_us, cause, state.node, how, "")


def topic_added(cluster: Kafka, topic: Topic) -> None:
    topic.node = topic.node or cluster.kernel.next_node()
    say(cluster, NodeAdded(*_now(cluster), topic.node, "topic", topic.name, cluster.name, ""))


def partition_added(cluster: Kafka, topic: Topic, partition: PartitionState) -> None:
    partition.node = cluster.kernel.next_node()
    for event in _partition(cluster, topic, partition, *_now(cluster)):
        say(cluster, event)
    partition.told_led = _led(partition)
    partition.told_marks = _marks(partition)
    partition.told_ends = dict.fromkeys(partition.replicas, 0)


def _partition(
    cluster: Kafka, topic: Topic, partition: PartitionState, now_us: int, cause: int
) -> Iterator[Event]:
    name = f"{topic.name}-{partition.number}"
    yield NodeAdded(now_us, cause, partition.node, "partition", name, cluster.name, "")
    replicas = tuple(cluster.brokers[broker].node for broker in partition.replicas)
    yield PartitionDeclared(now_us, cause, partition.node, topic.node, partition.number, replicas)
    yield _led_event(cluster, partition, now_us, cause)


def group_node(cluster: Kafka, group: str) -> int:
    """The group's node, on the stage from now on."""
    node = cluster.group_nodes.get(group)
    if node is None:
        node = cluster.group_nodes[group] = cluster.kernel.next_node()
        say(cluster, NodeAdded(*_now(cluster), node, "group", group, cluster.name, ""))
    return node


# -- partitions ---------------------------------------------------------------------------------------


def _led(partition: PartitionState) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    return partition.leader, partition.leader_epoch, tuple(partition.isr), tuple(partition.elr)


def _led_event(cluster: Kafka, partition: PartitionState, now_us: int, cause: int) -> PartitionLed:
    nodes = {broker: state.node for broker, state in cluster.brokers.items()}
    isr, elr = (tuple(nodes[b] for b in which) for which in (partition.isr, partition.elr))
    leader = 0 if partition.leader == OFFLINE else nodes[partition.leader]
    return PartitionLed(now_us, cause, partition.node, leader, partition.leader_epoch, isr, elr)


def _marks(partition: PartitionState) -> tuple[int, int, int]:
    """(log start, high watermark, last stable) of who leads, or led last."""
    log = partition.shown_log()
    mark = partition.marks[partition.shown()]
    return log.start, mark, log.last_stable(mark)


def partition_changed(cluster: Kafka, partition: PartitionState) -> None:
    """Says what is different now: replicas' ends, leadership, marks."""
    for broker in partition.replicas:
        end = partition.logs[broker].end()
        if end != partition.told_ends.get(broker):
            partition.told_ends[broker] = end
            node = cluster.brokers[broker].node
            say(cluster, ReplicaReached(*_now(cluster), partition.node, node, end))
    led = _led(partition)
    if led != partition.told_led:
        partition.told_led = led
        say(cluster, _led_event(cluster, partition, *_now(cluster)))
    marks = _marks(partition)
    if marks != partition.told_marks:
        partition.told_marks = marks
        say(cluster, LogMarked(*_now(cluster), partition.node, *marks))


Item = TypeVar("Item")


def in_parts(items: tuple[Item, ...]) -> Iterator[tuple[Item, ...]]:
    """`items` as so many as one event may list, at least one part."""
    for at in range(0, max(1, len(items)), RECORDS_MOST):
        yield items[at : at + RECORDS_MOST]


def appended(cluster: Kafka, partition: PartitionState, batch: Batch) -> None:
    for offsets in in_parts(batch.offsets):
        for event in _append(*_now(cluster), partition, batch, offsets):
            say(cluster, event)


def _append(
    now_us: int, cause: int, partition: PartitionState, batch: Batch, offsets: tuple[int, ...]
) -> Iterator[Event]:
    known = dict(zip(batch.offsets, batch.messages, strict=True))
    messages = tuple(known[offset] for offset in offsets)
    yield RecordsAppended(
        now_us, cause, partition.node, offsets[0], messages, batch.pid, batch.transactional, batch.marker
    )
    if not batch.marker and None in batch.values:
        empty = {offset: value is None for offset, value in zip(batch.offsets, batch.values, strict=True)}
        tombstones = tuple(offset for offset in offsets if empty[offset])
        if tombstones:
            yield TombstonesAppended(now_us, cause, partition.node, tombstones)


Cell = tuple[int, int, int]
"""(message, producer id, leader epoch): what tells one record at an offset from another."""


def cells(log: Log) -> dict[int, Cell]:
    """What stands at each offset of a log, control records included."""
    return {
        offset: (batch.messages[place], batch.pid, batch.leader_epoch)
        for segment in log.segments
        for batch in segment.batches
        for place, offset in enumerate(batch.offsets)
        if offset >= log.start
    }


Why = Literal["retention", "deleted", "compacted", "truncated"]


def log_changed(cluster: Kafka, partition: PartitionState, before: dict[int, Cell], why: Why) -> None:
    """Records are gone from the log that is shown; where it is another broker's now, others may be there."""
    log = partition.shown_log()
    now = cells(log)
    gone = [(run[0], run[-1] + 1) for run in runs(o for o, cell in before.items() if now.get(o) != cell)]
    parts = [tuple(gone[at : at + GONE_RANGES]) for at in range(0, len(gone), GONE_RANGES)]
    for ranges in reversed(parts) if why == "truncated" else parts:
        say(cluster, RecordsGone(*_now(cluster), partition.node, ranges, why))
    new = {offset for offset, cell in now.items() if before.get(offset) != cell}
    for event in _standing(partition, log, cluster.kernel.now_us, cluster.kernel.cause, new):
        say(cluster, event)


def _standing(
    partition: PartitionState, log: Log, now_us: int, cause: int, only: set[int] | range
) -> Iterator[Event]:
    """What stands in a log at `only`, one event for each unbroken run of offsets of a batch."""
    for segment in log.segments:
        for batch in segment.batches:
            if type(only) is range and batch.last < only.start:
                continue
            for run in runs(o for o in batch.offsets if o >= log.start and o in only):
                yield from _append(now_us, cause, partition, batch, run)


def stated(log: Log, needed: int) -> range:
    """The offsets whose records a statement of the present tells of: the tail, and what somebody has yet to
    read from `needed` on, within bounds. What lies before is only known to have been."""
    end = log.end()
    return range(max(log.start, end - STATED_MOST, min(needed, end - STATED_TAIL)), end)


def runs(offsets: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """Rising offsets as runs without gaps."""
    for _, run in groupby(enumerate(offsets), lambda pair: pair[1] - pair[0]):
        yield tuple(offset for _, offset in run)


# -- groups -------------------------------------------------------------------------------------------


AnyGroup: TypeAlias = "ClassicGroup | ConsumerGroup | ShareGroup"


def group_changed(cluster: Kafka, group: AnyGroup) -> None:
    """Says the group's state where it is another one than was said last."""
    node = group_node(cluster, group.name)
    event = _group(group, node, *_now(cluster))
    told = (event.state, event.generation, event.protocol)
    if told != group.told:
        group.told, group.told_us = told, event.at_us
        say(cluster, event)


def _group(group: AnyGroup, node: int, now_us: int, cause: int) -> GroupChanged:
    described = group.described()
    state: GroupState = described.state  # type: ignore[assignment]
    return GroupChanged(now_us, cause, node, state, described.generation, described.protocol)


def joined(cluster: Kafka, group: str, node: int, member: str) -> None:
    say(cluster, MemberJoined(*_now(cluster), group_node(cluster, group), node, member))


def gone(cluster: Kafka, group: str, node: int, member: str, why: Gone) -> None:
    say(cluster, MemberGone(*_now(cluster), group_node(cluster, group), node, member, why))


def committed(cluster: Kafka, group: str, offsets: Iterable[tuple[Partition, int]], by: int) -> None:
    for (topic, number), offset in offsets:
        known = cluster.topics.get(topic)
        if known is not None and number < len(known.partitions):
            node = known.partitions[number].node
            say(cluster, OffsetCommitted(*_now(cluster), group_node(cluster, group), node, offset, by))


def transaction_changed(cluster: Kafka, name: str, known: Transactional) -> None:
    say(cluster, TransactionChanged(*_now(cluster), name, known.state, known.pid, known.epoch))


# -- the present --------------------------------------------------------------------------------------


def state_events(cluster: Kafka, now_us: int, begun: Mapping[int, int]) -> list[Event]:
    """Events of the same vocabulary that build the present from nothing; their cause is 0. Of a log they tell
    what is `stated`. `begun`: see `Kafka.state_events`."""
    told: list[Event] = []
    needed = _needed(cluster, begun)
    for broker in cluster.brokers.values():
        told.append(_broker_node(cluster, broker.id, now_us, 0))
        if not broker.up or broker.hung:
            told.append(_broker_state(cluster, broker.id, now_us, 0))
    for topic in cluster.topics.values():
        told.append(NodeAdded(now_us, 0, topic.node, "topic", topic.name, cluster.name, ""))
        for partition in topic.partitions:
            told += _partition(cluster, topic, partition, now_us, 0)
            log = partition.shown_log()
            told += _standing(partition, log, now_us, 0, stated(log, needed.get(partition.node, log.end())))
            for replica, end in partition.told_ends.items():
                told.append(ReplicaReached(now_us, 0, partition.node, cluster.brokers[replica].node, end))
            told.append(LogMarked(now_us, 0, partition.node, *_marks(partition)))
    for name, node in cluster.group_nodes.items():
        told.append(NodeAdded(now_us, 0, node, "group", name, cluster.name, ""))
        told += _group_events(cluster, name, node, now_us)
        told += cluster.share_events(name, now_us)
    for name, known in cluster.transactions.items():
        told.append(TransactionChanged(now_us, 0, name, known.state, known.pid, known.epoch))
    return told


def _needed(cluster: Kafka, begun: Mapping[int, int]) -> dict[int, int]:
    """By node of a partition, the first offset that some group has not committed, or not finished."""
    needed = dict(begun)
    kept = [group.offsets for group in cluster.consumer.values()]
    for offsets in [*kept, *(group.offsets for group in cluster.classic.values())]:
        for (topic, number), offset in offsets.all():
            known = cluster.topics.get(topic)
            if known is not None and number < len(known.partitions):
                node = known.partitions[number].node
                needed[node] = min(offset, needed.get(node, offset))
    for shared in cluster.shares.values():
        node = cluster.partition(shared.topic, shared.partition).node
        needed[node] = min(shared.start, needed.get(node, shared.start))
    return needed


def _group_events(cluster: Kafka, name: str, node: int, now_us: int) -> Iterator[Event]:
    shares = cluster.share_groups.get(name)
    if shares is not None:
        for member_id, of in shares.members.items():
            yield MemberJoined(now_us, 0, node, of.node, member_id)
        yield _group(shares, node, shares.told_us, 0)
    group = cluster.consumer.get(name) or cluster.classic.get(name)
    if group is not None:
        for member in group.members.values():
            yield MemberJoined(now_us, 0, node, member.node, member.id)
            if member.away:
                yield MemberGone(now_us, 0, node, member.node, member.id, "away")
        yield _group(group, node, group.told_us, 0)
        for (topic, number), offset in group.offsets.all():
            known = cluster.topics.get(topic)
            if known is not None and number < len(known.partitions):
                yield OffsetCommitted(now_us, 0, node, known.partitions[number].node, offset, 0)
