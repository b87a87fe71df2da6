"""The cluster's side of share groups (KIP-932): who is lent what, locks that run out, and the dead-letter
queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.broker import Reply
from engine.kafka import operations as ops
from engine.kafka import telling
from engine.kafka.log import Batch
from engine.kafka.producing import OVERHEAD_BYTES, append
from engine.kafka.shares import SHARE_DEFAULTS, Buried, SharePartition
from engine.kafka.topics import OFFLINE, PartitionState

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka


def alter_config(cluster: Kafka, client: str, asked: ops.AlterGroupConfig) -> Reply:
    cluster.share_config.setdefault(asked.group, {}).update(asked.config)
    return ops.Done()


def config_of(cluster: Kafka, group: str) -> dict[str, str]:
    """The group's settings with Kafka's defaults."""
    return {**SHARE_DEFAULTS, **cluster.share_config.get(group, {})}


def _shared(cluster: Kafka, group: str, topic: str, number: int) -> SharePartition:
    name = f"{group}/{topic}-{number}"
    found = cluster.shares.get(name)
    if found is None:
        partition = cluster.led(topic, number)
        earliest = config_of(cluster, group)["share.auto.offset.reset"] == "earliest"
        start = partition.log().start if earliest else partition.high_watermark()
        found = cluster.shares[name] = SharePartition(group, topic, number, start, start, {})
    return found


def fetch(cluster: Kafka, client: str, asked: ops.ShareFetch) -> Reply:
    """Raises `KafkaError`."""
    partition = cluster.led(asked.topic, asked.partition)
    shared, config = (
        _shared(cluster, asked.group, asked.topic, asked.partition),
        config_of(cluster, asked.group),
    )
    lent = shared.acquire(
        partition.log(), partition.visible_end(config["share.isolation.level"]), config, asked.member,
        asked.max_records, asked.mode == "batch_optimized", cluster.kernel.now_us,
    )  # fmt: skip
    telling.lent(cluster, shared, asked.member, lent)
    _watch_locks(cluster, shared)
    records = tuple(_record(partition, offset) for offset, _ in lent)
    return ops.ShareFetched("", tuple(lent), records)


def _record(partition: PartitionState, offset: int) -> ops.Record:
    batch = next(batch for batch in partition.log().batches_from(offset) if offset in batch.offsets)
    place = batch.offsets.index(offset)
    return ops.Record(batch.keys[place], batch.values[place], batch.messages[place])


def acknowledge(cluster: Kafka, client: str, asked: ops.ShareAcknowledge) -> Reply:
    """All of it or nothing. Raises `KafkaError`."""
    shared, config = (
        _shared(cluster, asked.group, asked.topic, asked.partition),
        config_of(cluster, asked.group),
    )
    before = telling.held_before(shared.records)
    buried = shared.acknowledge(asked.member, asked.batches, config, cluster.kernel.now_us)
    answers = {
        o: a for first, last, a in asked.batches for o in range(max(first, 0), last + 1) if o in before
    }
    telling.settled(cluster, shared, before, answers)
    _bury(cluster, shared, config, buried)
    _watch_locks(cluster, shared)
    return ops.Done()


def member_gone(cluster: Kafka, client: str, asked: ops.ShareMemberGone) -> Reply:
    config = config_of(cluster, asked.group)
    for shared in cluster.shares.values():
        if shared.group == asked.group:
            before = telling.held_before(shared.records)
            buried = shared.release(asked.member, config)
            telling.settled(cluster, shared, before, dict.fromkeys(before, "gone"))
            _bury(cluster, shared, config, buried)
            _watch_locks(cluster, shared)
    return ops.Done()


def _watch_locks(cluster: Kafka, shared: SharePartition) -> None:
    """One timer a share-partition, at the earliest lock's end."""
    cluster.cancel(shared.timer)
    expires_us = shared.next_expiry_us()
    if expires_us:
        place = list(cluster.shares.values()).index(shared)
        shared.timer = cluster.schedule(max(0, expires_us - cluster.kernel.now_us), "lock", place)
    else:
        shared.timer = 0


def locks_over(cluster: Kafka, place: int, _: int) -> None:
    """The lock of some record has run out: it counts as a failed delivery."""
    shared = list(cluster.shares.values())[place]
    shared.timer = 0
    config = config_of(cluster, shared.group)
    before = telling.held_before(shared.records)
    buried = shared.expire(cluster.kernel.now_us, config)
    telling.settled(cluster, shared, before, dict.fromkeys(before, "lock"))
    _bury(cluster, shared, config, buried)
    _watch_locks(cluster, shared)


def _bury(cluster: Kafka, shared: SharePartition, config: dict[str, str], buried: list[Buried]) -> None:
    """Archived records go to the group's dead-letter queue topic, if it has a valid one; else nobody is
    told."""
    name = config["errors.deadletterqueue.topic.name"]
    topic = cluster.topics.get(name)
    if not name.startswith("dlq.") or topic is None or not buried:
        return
    if topic.config.get("errors.deadletterqueue.group.enable") != "true":
        return
    copied = config["errors.deadletterqueue.copy.record.enable"] == "true"
    for found in buried:
        target = topic.partitions[shared.partition % len(topic.partitions)]
        if target.leader == OFFLINE:
            continue
        source = cluster.partition(shared.topic, shared.partition)
        record = _record(source, found.offset) if copied else ops.Record(None, None)
        at = target.log().end()
        batch = Batch(
            at, at, cluster.kernel.now_us, OVERHEAD_BYTES, (at,), (record.key,), (record.value,),
            (record.message,), headers=_headers(shared, found), leader_epoch=target.leader_epoch,
        )  # fmt: skip
        append(cluster, target, batch)


def _headers(shared: SharePartition, found: Buried) -> tuple[tuple[str, str], ...]:
    """Where the record came from and why it is here (KIP-1191), all as text."""
    told = {
        "topic": shared.topic,
        "partition": str(shared.partition),
        "offset": str(found.offset),
        "group": shared.group,
        "delivery.count": str(found.deliveries),
        "message": found.why,
    }
    return tuple((f"__dlq.errors.{name}", value) for name, value in told.items())


def log_starts_at(cluster: Kafka, partition: PartitionState, offset: int) -> None:
    """Records before `offset` are gone from the log."""
    for shared in cluster.shares.values():
        if (shared.topic, shared.partition) == (partition.topic, partition.number):
            shared.log_starts_at(offset)


def describe(cluster: Kafka, client: str, asked: ops.DescribeShareGroup) -> Reply:
    shared = _shared(cluster, asked.group, asked.topic, asked.partition)
    states = tuple((offset, r.state, r.deliveries) for offset, r in sorted(shared.records.items()))
    return ops.ShareGroupDescribed("", shared.start, states)
