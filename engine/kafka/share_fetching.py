"""Share fetches: who acquires what, fetches that wait for records to become available, locks' timers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.kafka import operations as ops
from engine.kafka import telling_shares
from engine.kafka.assignors import Partition
from engine.kafka.errors import KafkaError
from engine.kafka.resets import back_us
from engine.kafka.shares import SHARE_DEFAULTS, SharePartition
from engine.kafka.topics import PartitionState

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka


class ShareParked(msgspec.Struct, array_like=True):
    """A share fetch that found nothing and waits (fetch.max.wait.ms)."""

    client: str
    fetch: ops.ShareFetch
    refused: tuple[tuple[Partition, str], ...]
    timer: int


def config_of(cluster: Kafka, group: str) -> dict[str, str]:
    """The group's settings with Kafka's defaults."""
    return {**SHARE_DEFAULTS, **cluster.share_config.get(group, {})}


def shared(cluster: Kafka, group: str, topic: str, number: int) -> SharePartition:
    """The partition as the group sees it; it begins where the group's first fetch finds it. Raises
    `KafkaError`."""
    name = f"{group}/{topic}-{number}"
    found = cluster.shares.get(name)
    if found is None:
        partition = cluster.led(topic, number)
        start = _begins(cluster, partition, config_of(cluster, group)["share.auto.offset.reset"])
        found = cluster.shares[name] = SharePartition(group, topic, number, start, start, {})
        telling_shares.marked(cluster, found)
    return found


def _begins(cluster: Kafka, partition: PartitionState, reset: str) -> int:
    """Where a share-partition begins by share.auto.offset.reset. Raises `KafkaError` where that is the first
    record since a time, and there is none yet (`SharePartition.startOffsetDuringInitialization`)."""
    back = back_us(reset)
    if back is None:
        return partition.log().start if reset == "earliest" else partition.high_watermark()
    start = partition.log().first_since(cluster.kernel.now_us - back, partition.high_watermark())
    if start < 0:
        raise KafkaError("OFFSET_NOT_AVAILABLE")
    return start


def take(cluster: Kafka, asked: ops.ShareFetch) -> tuple[tuple[ops.SharedRecords, ...], str]:
    """What the member acquires now, and why there can be nothing: no partition has a leader."""
    parts: list[ops.SharedRecords] = []
    left, error = asked.max_records, ""
    turn = asked.request % len(asked.partitions) if asked.partitions else 0
    for topic, number in asked.partitions[turn:] + asked.partitions[:turn]:
        try:
            part = _acquire(cluster, asked, topic, number, left)
        except KafkaError as refused:
            error = refused.code
            continue
        if part.acquired:
            parts.append(part)
            left -= len(part.acquired)
            if left <= 0:
                break
    led = any(cluster.partition(*partition).leader >= 0 for partition in asked.partitions)
    return tuple(parts), "" if led else error


def _acquire(cluster: Kafka, asked: ops.ShareFetch, topic: str, number: int, most: int) -> ops.SharedRecords:
    partition = cluster.led(topic, number)
    found, config = shared(cluster, asked.group, topic, number), config_of(cluster, asked.group)
    before = telling_shares.before(found)
    acquired = found.acquire(
        partition.log(), partition.visible_end(config["share.isolation.level"]), config, asked.member,
        asked.node, most, asked.mode == "batch_optimized", cluster.kernel.now_us,
    )  # fmt: skip
    if acquired or before[1:] != (found.start, found.end):
        telling_shares.changed(cluster, found, before)
        watch_locks(cluster, found)
    records = tuple(record_at(partition, offset) for offset, _ in acquired)
    return ops.SharedRecords((topic, number), tuple(acquired), records)


def record_at(partition: PartitionState, offset: int) -> ops.Record:
    """The record at an offset of the leader's log."""
    batch = next(batch for batch in partition.log().batches_from(offset) if offset in batch.offsets)
    place = batch.offsets.index(offset)
    return ops.Record(batch.keys[place], batch.values[place], batch.messages[place])


def park(
    cluster: Kafka, client: str, asked: ops.ShareFetch, refused: tuple[tuple[Partition, str], ...]
) -> None:
    """Answer later: when something becomes available, or after `wait_us`."""
    number = cluster.next_number()
    timer = cluster.schedule(asked.wait_us, "share_fetch", number)
    cluster.share_fetches[number] = ShareParked(client, asked, refused, timer)


def more_to_share(cluster: Kafka, partition: Partition) -> None:
    """Records may have become available: who waits for some, the longest first, is given what there is."""
    for number, parked in list(cluster.share_fetches.items()):
        if partition in parked.fetch.partitions and number in cluster.share_fetches:
            parts, _ = take(cluster, parked.fetch)
            if parts:
                cluster.cancel(parked.timer)
                del cluster.share_fetches[number]
                _answer(cluster, parked, parts, "")


def waited_enough(cluster: Kafka, number: int, _: int) -> None:
    parked = cluster.share_fetches.pop(number)
    _answer(cluster, parked, *take(cluster, parked.fetch))


def _answer(cluster: Kafka, parked: ShareParked, parts: tuple[ops.SharedRecords, ...], error: str) -> None:
    answer = ops.ShareFetched(error, parts, parked.refused, parked.fetch.request)
    cluster.push(parked.client, ops.ShareFetchAnswered(answer))


def watch_locks(cluster: Kafka, shared: SharePartition) -> None:
    """One timer a share-partition, at the earliest lock's end."""
    cluster.cancel(shared.timer)
    expires_us = shared.next_expiry_us()
    if expires_us:
        place = list(cluster.shares.values()).index(shared)
        shared.timer = cluster.schedule(max(0, expires_us - cluster.kernel.now_us), "lock", place)
    else:
        shared.timer = 0
