"""What administrators do: topics and partitions, cleaning, and brokers that stop, hang and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.broker import Reply
from engine.kafka import consumer_coordinator, share_groups, sharing, telling
from engine.kafka import operations as ops
from engine.kafka.errors import KafkaError
from engine.kafka.producing import answer_waiting, leader_gone, mark_moved, replicate, write_owed_markers
from engine.kafka.topic_config import check_config, check_name
from engine.kafka.topics import (
    OFFLINE,
    PartitionState,
    Topic,
    described,
    elect,
    follow,
    join_isr,
    leave_isr,
    new_partition,
)

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka

LAG_MAX_MS = 30_000
"""replica.lag.time.max.ms (`ReplicationConfigs`)."""

RETENTION_CHECK_MS = 300_000
"""log.retention.check.interval.ms (`ServerLogConfigs`)."""

CLEANER_BACKOFF_MS = 15_000
"""log.cleaner.backoff.ms (`CleanerConfig`)."""


def create_topic(cluster: Kafka, client: str, asked: ops.CreateTopic) -> Reply:
    """Raises `KafkaError`."""
    check_name(asked.topic)
    if asked.topic in cluster.topics:
        raise KafkaError("TOPIC_ALREADY_EXISTS")
    if asked.partitions < 1:
        raise KafkaError("INVALID_PARTITIONS")
    if any(broker not in cluster.brokers for broker in asked.replicas):
        raise KafkaError("INVALID_REPLICA_ASSIGNMENT")
    check_config(asked.config)
    topic = Topic(asked.topic, dict(asked.config), [], asked.node)
    cluster.topics[asked.topic] = topic
    telling.topic_added(cluster, topic)
    for _ in range(asked.partitions):
        _add_partition(cluster, topic, list(asked.replicas))
    consumer_coordinator.topics_changed(cluster, asked.topic)
    share_groups.topics_changed(cluster, asked.topic)
    return ops.Done()


def _add_partition(cluster: Kafka, topic: Topic, replicas: list[int]) -> None:
    number = len(topic.partitions)
    if not replicas:
        brokers, factor = sorted(cluster.brokers), topic.number("replication.factor")
        if factor > len(brokers):
            raise KafkaError("INVALID_REPLICATION_FACTOR")
        replicas = [brokers[(number + place) % len(brokers)] for place in range(factor)]
    partition = new_partition(topic.name, number, replicas)
    topic.partitions.append(partition)
    telling.partition_added(cluster, topic, partition)


def create_partitions(cluster: Kafka, client: str, asked: ops.CreatePartitions) -> Reply:
    """Raises `KafkaError`: partitions are never taken away."""
    topic = cluster.topics.get(asked.topic)
    if topic is None:
        raise KafkaError("UNKNOWN_TOPIC_OR_PARTITION")
    if asked.count <= len(topic.partitions):
        raise KafkaError("INVALID_PARTITIONS")
    while len(topic.partitions) < asked.count:
        _add_partition(cluster, topic, [])
    consumer_coordinator.topics_changed(cluster, asked.topic)
    share_groups.topics_changed(cluster, asked.topic)
    return ops.Done()


def metadata(cluster: Kafka, client: str, asked: ops.Metadata) -> Reply:
    return ops.MetadataAnswered("", tuple(cluster.counts(asked.topics).items()))


def describe_partition(cluster: Kafka, client: str, asked: ops.DescribePartition) -> Reply:
    """Raises `KafkaError`."""
    return ops.PartitionDescribed(**described(cluster.partition(asked.topic, asked.partition)))


# -- cleaning ---------------------------------------------------------------------------------------


def delete_records(cluster: Kafka, client: str, asked: ops.DeleteRecords) -> Reply:
    """Moves the log start forward, never back. A log that is only compacted keeps its records. Raises
    `KafkaError`."""
    partition = cluster.led(asked.topic, asked.partition)
    if "delete" not in cluster.topics[asked.topic].setting("cleanup.policy"):
        raise KafkaError("POLICY_VIOLATION")
    before = partition.high_watermark() if asked.before == -1 else asked.before
    if not 0 <= before <= partition.high_watermark():
        raise KafkaError("OFFSET_OUT_OF_RANGE")
    _starts_at(cluster, partition, max(before, partition.log().start), "deleted")
    return describe_partition(cluster, client, ops.DescribePartition(asked.topic, asked.partition))


def _starts_at(cluster: Kafka, partition: PartitionState, offset: int, why: telling.Why) -> None:
    before = telling.cells(partition.log())
    partition.log().delete_before(offset)
    telling.log_changed(cluster, partition, before, why)
    replicate(cluster, partition)
    sharing.log_starts_at(cluster, partition, offset)


def roll(cluster: Kafka, client: str, asked: ops.RollSegment) -> Reply:
    """Raises `KafkaError`."""
    partition = cluster.led(asked.topic, asked.partition)
    for log in partition.logs.values():
        log.roll()
    return ops.Done()


def run_retention(cluster: Kafka, client: str, asked: ops.RunRetention) -> Reply:
    """Only where cleanup.policy has `delete`. Raises `KafkaError`."""
    partition, topic = cluster.led(asked.topic, asked.partition), cluster.topics[asked.topic]
    if "delete" in topic.setting("cleanup.policy"):
        retention_ms, before = topic.number("retention.ms"), telling.cells(partition.log())
        partition.log().retain(
            cluster.kernel.now_us,
            retention_ms * 1_000 if retention_ms >= 0 else -1,
            topic.number("retention.bytes"),
            partition.high_watermark(),
        )
        telling.log_changed(cluster, partition, before, "retention")
        _starts_at(cluster, partition, partition.log().start, "retention")
    return describe_partition(cluster, client, ops.DescribePartition(asked.topic, asked.partition))


def check_retention_by_itself(cluster: Kafka) -> None:
    """From now on the log manager's retention task runs each log.retention.check.interval.ms."""
    cluster.schedule(cluster.milliseconds("log.retention.check.interval.ms", RETENTION_CHECK_MS), "retention")


def retention_due(cluster: Kafka, _a: int, _b: int) -> None:
    for topic in cluster.topics.values():
        for partition in topic.partitions:
            if partition.leader != OFFLINE:
                run_retention(cluster, "", ops.RunRetention(topic.name, partition.number))
    check_retention_by_itself(cluster)


def clean_by_itself(cluster: Kafka) -> None:
    """From now on the log cleaner looks for dirty logs each log.cleaner.backoff.ms."""
    cluster.schedule(cluster.milliseconds("log.cleaner.backoff.ms", CLEANER_BACKOFF_MS), "clean")


def cleaning_due(cluster: Kafka, _a: int, _b: int) -> None:
    """Of a compacted topic's logs those are cleaned whose cleanable part is more dirty than
    min.cleanable.dirty.ratio (`LogCleanerManager.grabFilthiestCompactedLog`)."""
    for topic in cluster.topics.values():
        enough = float(topic.setting("min.cleanable.dirty.ratio"))
        for partition in topic.partitions:
            if partition.leader != OFFLINE and partition.log().dirty(partition.high_watermark()) > enough:
                compact(cluster, "", ops.Compact(topic.name, partition.number))
    clean_by_itself(cluster)


def compact(cluster: Kafka, client: str, asked: ops.Compact) -> Reply:
    """Only where cleanup.policy has `compact`. Every replica cleans for itself. Raises `KafkaError`."""
    partition, topic = cluster.led(asked.topic, asked.partition), cluster.topics[asked.topic]
    if "compact" in topic.setting("cleanup.policy"):
        keep_us, before = topic.number("delete.retention.ms") * 1_000, telling.cells(partition.log())
        for broker, log in partition.logs.items():
            if cluster.brokers[broker].up:
                log.compact(cluster.kernel.now_us, keep_us, partition.marks[broker])
        telling.log_changed(cluster, partition, before, "compacted")
        now = telling.cells(partition.log())
        sharing.cleaned(cluster, partition, tuple(offset for offset in before if offset not in now))
    return ops.Fetched("", asked.topic, asked.partition, tuple(partition.log().data_offsets()))


# -- brokers ----------------------------------------------------------------------------------------


def _broker(cluster: Kafka, broker: int, up: bool | None = None) -> None:
    if broker not in cluster.brokers or (up is not None and cluster.brokers[broker].up != up):
        raise KafkaError("BROKER_NOT_AVAILABLE")


def _partitions_of(cluster: Kafka, broker: int) -> list[PartitionState]:
    return [p for topic in cluster.topics.values() for p in topic.partitions if broker in p.replicas]


def stop_broker(cluster: Kafka, client: str, asked: ops.StopBroker) -> Reply:
    """It leaves every ISR; where it led, the next one leads. Raises `KafkaError`."""
    _broker(cluster, asked.broker, up=True)
    state = cluster.brokers[asked.broker]
    state.up, state.clean, state.hung = False, asked.clean, False
    telling.broker_changed(cluster, asked.broker)
    for partition in _partitions_of(cluster, asked.broker):
        topic = cluster.topics[partition.topic]
        leave_isr(topic, partition, asked.broker)
        _elect(cluster, partition)
    return ops.Done()


def _elect(cluster: Kafka, partition: PartitionState) -> None:
    topic, before = cluster.topics[partition.topic], telling.cells(partition.shown_log())
    if elect(topic, partition, cluster.brokers):
        leader_gone(cluster, partition)
        telling.log_changed(cluster, partition, before, "truncated")
        if partition.leader != OFFLINE:
            sharing.led_anew(cluster, partition)
    if partition.leader == OFFLINE:
        answer_waiting(cluster, partition)
        telling.partition_changed(cluster, partition)
    else:
        _followers_return(cluster, partition)
        if cluster.markers_owed:
            write_owed_markers(cluster, partition)


def _followers_return(cluster: Kafka, partition: PartitionState) -> None:
    """Everybody who is alive and fetches follows the leader, and is in sync as soon as it has everything."""
    topic = cluster.topics[partition.topic]
    for broker in partition.replicas:
        state = cluster.brokers[broker]
        if broker == partition.leader or not state.up or state.hung:
            continue
        follow(partition, broker)
        join_isr(topic, partition, broker)
    mark_moved(cluster, partition)


def start_broker(cluster: Kafka, client: str, asked: ops.StartBroker) -> Reply:
    """After a crash it is no longer eligible beside the ISR. Raises `KafkaError`."""
    _broker(cluster, asked.broker, up=False)
    state = cluster.brokers[asked.broker]
    state.up = True
    telling.broker_changed(cluster, asked.broker)
    for partition in _partitions_of(cluster, asked.broker):
        if not state.clean and asked.broker in partition.elr:
            partition.elr.remove(asked.broker)
        _elect(cluster, partition)
    return ops.Done()


def hang_broker(cluster: Kafka, client: str, asked: ops.HangBroker) -> Reply:
    """Raises `KafkaError`."""
    _broker(cluster, asked.broker, up=True)
    cluster.brokers[asked.broker].hung = True
    telling.broker_changed(cluster, asked.broker)
    cluster.schedule(cluster.milliseconds("replica.lag.time.max.ms", LAG_MAX_MS), "lag", asked.broker)
    return ops.Done()


def lagged(cluster: Kafka, broker: int, _: int) -> None:
    """replica.lag.time.max.ms is over: the leaders take it out of the ISR."""
    if not cluster.brokers[broker].hung:
        return
    for partition in _partitions_of(cluster, broker):
        if partition.leader not in (broker, OFFLINE):
            leave_isr(cluster.topics[partition.topic], partition, broker)
            mark_moved(cluster, partition)


def resume_broker(cluster: Kafka, client: str, asked: ops.ResumeBroker) -> Reply:
    """Raises `KafkaError`."""
    _broker(cluster, asked.broker, up=True)
    cluster.brokers[asked.broker].hung = False
    telling.broker_changed(cluster, asked.broker)
    for partition in _partitions_of(cluster, asked.broker):
        if partition.leader != OFFLINE:
            _followers_return(cluster, partition)
    return ops.Done()
