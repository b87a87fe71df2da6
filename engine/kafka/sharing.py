"""The cluster's side of share groups (KIP-932): acknowledgements, acquisitions that end otherwise, and the
dead-letter queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.broker import Reply
from engine.kafka import operations as ops
from engine.kafka import telling_shares
from engine.kafka.errors import KafkaError
from engine.kafka.group_config import check_config
from engine.kafka.log import Batch
from engine.kafka.producing import OVERHEAD_BYTES, append
from engine.kafka.share_fetching import config_of, more_to_share, park, record_at, shared, take, watch_locks
from engine.kafka.shares import Buried, SharePartition
from engine.kafka.topics import OFFLINE, PartitionState

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka


def alter_config(cluster: Kafka, client: str, asked: ops.AlterGroupConfig) -> Reply:
    """All of it or nothing. Raises `KafkaError`."""
    check_config(asked.config)
    cluster.share_config.setdefault(asked.group, {}).update(asked.config)
    return ops.Done()


def fetch(cluster: Kafka, client: str, asked: ops.ShareFetch) -> Reply | None:
    """First what the member says of its last records, then more of them, or nothing yet."""
    refused: list[tuple[tuple[str, int], str]] = []
    for partition, batches in asked.acknowledgements:
        try:
            _settle(cluster, asked.group, partition, asked.member, batches)
        except KafkaError as not_held:
            refused.append((partition, not_held.code))
    parts, error = take(cluster, asked)
    if not parts and not error and asked.wait_us:
        park(cluster, client, asked, tuple(refused))
        return None
    return ops.ShareFetched(error, parts, tuple(refused), asked.request)


def acknowledge(cluster: Kafka, client: str, asked: ops.ShareAcknowledge) -> Reply:
    """All of it or nothing. Raises `KafkaError`."""
    _settle(cluster, asked.group, (asked.topic, asked.partition), asked.member, asked.batches)
    return ops.Done()


def _settle(
    cluster: Kafka, group: str, partition: tuple[str, int], member: str, batches: ops.ShareBatches
) -> None:
    """Raises `KafkaError`, having changed nothing."""
    cluster.led(*partition)
    found, config = shared(cluster, group, *partition), config_of(cluster, group)
    now_us = cluster.kernel.now_us
    _change(cluster, found, lambda: found.acknowledge(member, batches, config, now_us))


def _change(cluster: Kafka, found: SharePartition, change: Callable[[], list[Buried]]) -> None:
    """Acquisitions end by `change`: says so, buries what is dead, and gives others what is available."""
    before, cause = telling_shares.before(found), cluster.kernel.cause
    buried = change()
    telling_shares.changed(cluster, found, before)
    watch_locks(cluster, found)
    _bury(cluster, found, buried)
    if cluster.share_fetches:
        more_to_share(cluster, (found.topic, found.partition))
    cluster.kernel.cause = cause


def member_gone(cluster: Kafka, client: str, asked: ops.ShareMemberGone) -> Reply:
    _let_go(cluster, asked.member, asked.group)
    return ops.Done()


def disconnected(cluster: Kafka, client: str, asked: ops.Disconnected) -> None:
    _let_go(cluster, client, "")


def _let_go(cluster: Kafka, member: str, of: str) -> None:
    """A member's session is over, in one group or (`of` "") in all: it waits for nothing, and holds
    nothing."""
    for number, parked in list(cluster.share_fetches.items()):
        if parked.fetch.member == member and of in ("", parked.fetch.group):
            cluster.cancel(parked.timer)
            del cluster.share_fetches[number]
    for found in list(cluster.shares.values()):
        holds = any(record.member == member for record in found.records.values())
        if holds and of in ("", found.group) and _is_led(cluster, found):
            _release(cluster, found, member)


def _is_led(cluster: Kafka, found: SharePartition) -> bool:
    """Who leads the partition knows the acquisitions; where nobody does, they are over with the next one."""
    return cluster.partition(found.topic, found.partition).leader != OFFLINE


def _release(cluster: Kafka, found: SharePartition, member: str) -> None:
    config = config_of(cluster, found.group)
    _change(cluster, found, lambda: found.release(member, config))


def locks_over(cluster: Kafka, place: int, _: int) -> None:
    """The lock of some record has run out: it counts as a failed delivery."""
    found = list(cluster.shares.values())[place]
    found.timer = 0
    if not _is_led(cluster, found):
        return
    config, now_us = config_of(cluster, found.group), cluster.kernel.now_us
    _change(cluster, found, lambda: found.expire(now_us, config))


def _bury(cluster: Kafka, shared: SharePartition, buried: list[Buried]) -> None:
    """Archived records go to the group's dead-letter queue topic, if it has a valid one; else nobody is
    told."""
    config = config_of(cluster, shared.group)
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
        record = record_at(source, found.offset) if copied else ops.Record(None, None)
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


# -- the log changes under it -------------------------------------------------------------------------


def _of(cluster: Kafka, partition: PartitionState) -> list[SharePartition]:
    """The partition as each group sees it."""
    place = partition.topic, partition.number
    return [found for found in cluster.shares.values() if (found.topic, found.partition) == place]


def log_starts_at(cluster: Kafka, partition: PartitionState, offset: int) -> None:
    """Records before `offset` are gone from the log."""
    for found in _of(cluster, partition):
        _log_starts_at(cluster, found, offset)


def _log_starts_at(cluster: Kafka, found: SharePartition, offset: int) -> None:
    def change() -> list[Buried]:
        found.log_starts_at(offset)
        return []

    _change(cluster, found, change)


def led_anew(cluster: Kafka, partition: PartitionState) -> None:
    """Another broker leads: it knows of no acquisition."""
    for found in _of(cluster, partition):
        before = telling_shares.before(found)
        found.led_anew(partition.log())
        telling_shares.changed(cluster, found, before)
        watch_locks(cluster, found)


def cleaned(cluster: Kafka, partition: PartitionState, gone: tuple[int, ...]) -> None:
    """Compaction took these offsets."""
    for found in _of(cluster, partition):
        before = telling_shares.before(found)
        found.cleaned(gone)
        telling_shares.changed(cluster, found, before)


def describe(cluster: Kafka, client: str, asked: ops.DescribeShareGroup) -> Reply:
    found = shared(cluster, asked.group, asked.topic, asked.partition)
    states = tuple((offset, r.state, r.deliveries) for offset, r in sorted(found.records.items()))
    return ops.ShareGroupDescribed("", found.start, states)
