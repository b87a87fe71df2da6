"""Writing: appends by the leader, acknowledgements, and the ends of transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.broker import Reply
from engine.kafka import operations as ops
from engine.kafka import reading, share_fetching, telling
from engine.kafka.errors import KafkaError
from engine.kafka.log import NO_PID, Batch, Marker, last_sequence
from engine.kafka.record_format import batch_bytes
from engine.kafka.topics import PartitionState, Waiting, advance_mark, follow
from engine.kafka.transactions import Transactional

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka

OVERHEAD_BYTES = 70
"""Of a batch with one small record, about: header 61 bytes, record framing the rest (message format 2)."""


def produce(cluster: Kafka, client: str, asked: ops.Produce) -> Reply | None:
    """The leader checks, appends and answers as `acks` says. Raises `KafkaError`."""
    partition = cluster.led(asked.topic, asked.partition)
    topic = cluster.topics[asked.topic]
    minimum = topic.min_in_sync(partition)
    if asked.acks == -1 and len(partition.isr) < minimum:
        raise KafkaError("NOT_ENOUGH_REPLICAS")
    if "compact" in topic.setting("cleanup.policy") and any(r.key is None for r in asked.records):
        raise KafkaError("INVALID_RECORD")
    size = asked.size or batch_bytes((r.key, r.value) for r in asked.records)
    if size > topic.number("max.message.bytes"):
        raise KafkaError("MESSAGE_TOO_LARGE")
    if asked.transactional_id and asked.verify:
        _join_transaction(cluster, asked)
    log = partition.log()
    base, count = log.end(), len(asked.records)
    if asked.pid != NO_PID:
        last = last_sequence(asked.sequence, count)
        known = log.duplicate_of(asked.pid, asked.epoch, asked.sequence, last)
        if known >= 0:
            return ops.Produced("", asked.topic, asked.partition, known, asked.request, count)
        log.check(asked.pid, asked.epoch, asked.sequence, bool(asked.transactional_id))
    batch = Batch(
        base, base + count - 1, cluster.kernel.now_us,
        OVERHEAD_BYTES + size if asked.size else size,
        tuple(range(base, base + count)),
        tuple(r.key for r in asked.records), tuple(r.value for r in asked.records),
        tuple(r.message for r in asked.records),
        asked.pid, asked.epoch, asked.sequence, bool(asked.transactional_id), "", partition.leader_epoch,
    )  # fmt: skip
    append(cluster, partition, batch)
    if asked.acks == 0:
        return ops.Produced("", asked.topic, asked.partition, -1, asked.request, count)
    if asked.acks == 1 or partition.high_watermark() > batch.last:
        return ops.Produced("", asked.topic, asked.partition, base, asked.request, count)
    timer = cluster.schedule(
        asked.timeout_us, "produce", partition_number(cluster, partition), batch.last + 1
    )
    partition.waiting.append(Waiting(client, asked.request, base, batch.last + 1, timer))
    return None


def append(cluster: Kafka, partition: PartitionState, batch: Batch) -> None:
    """The leader writes it, and whoever follows at once has it too."""
    topic = cluster.topics[partition.topic]
    partition.log().append(batch, topic.segment_bytes(), topic.number("segment.ms") * 1_000)
    telling.appended(cluster, partition, batch)
    replicate(cluster, partition)


def replicate(cluster: Kafka, partition: PartitionState) -> None:
    """The followers that fetch copy what is new; the high watermark follows them, and answers go out."""
    if partition.leader < 0:
        return
    for broker in partition.replicas:
        state = cluster.brokers[broker]
        if broker != partition.leader and state.up and not state.hung:
            follow(partition, broker)
    mark_moved(cluster, partition)


def mark_moved(cluster: Kafka, partition: PartitionState) -> None:
    """Moves the high watermark as far as the ISR allows; what waited for it goes on."""
    topic = cluster.topics[partition.topic]
    if advance_mark(topic, partition):
        for broker in partition.replicas:
            state = cluster.brokers[broker]
            if state.up and not state.hung:
                end = partition.logs[broker].end()
                partition.marks[broker] = min(partition.high_watermark(), end)
        telling.partition_changed(cluster, partition)
        reading.more_to_read(cluster, partition)
        if cluster.share_fetches:
            share_fetching.more_to_share(cluster, (partition.topic, partition.number))
    else:
        telling.partition_changed(cluster, partition)
    answer_waiting(cluster, partition)


def answer_waiting(cluster: Kafka, partition: PartitionState) -> None:
    """Acknowledges what every replica in sync has by now."""
    topic = cluster.topics[partition.topic]
    still: list[Waiting] = []
    for waiting in partition.waiting:
        if partition.leader < 0:
            error = "NOT_LEADER_OR_FOLLOWER"
        elif partition.high_watermark() >= waiting.until:
            error = ""
        elif len(partition.isr) < topic.min_in_sync(partition):
            error = "NOT_ENOUGH_REPLICAS_AFTER_APPEND"
        else:
            still.append(waiting)
            continue
        cluster.cancel(waiting.timer)
        _answer(cluster, partition, waiting, error)
    partition.waiting = still


def leader_gone(cluster: Kafka, partition: PartitionState) -> None:
    """Somebody else leads, or nobody: what waited for the old leader's ISR is not known, and tried again
    (`DelayedProduce` completes with NOT_LEADER_OR_FOLLOWER)."""
    waiting, partition.waiting = partition.waiting, []
    for each in waiting:
        cluster.cancel(each.timer)
        _answer(cluster, partition, each, "NOT_LEADER_OR_FOLLOWER")


def _answer(cluster: Kafka, partition: PartitionState, waiting: Waiting, error: str) -> None:
    answer = ops.Produced(error, partition.topic, partition.number, waiting.base, waiting.request,
                          waiting.until - waiting.base)  # fmt: skip
    cluster.push(waiting.client, ops.ProduceAnswered(answer), partition.node)


def timed_out(cluster: Kafka, number: int, until: int) -> None:
    """request.timeout.ms: the records stay with the leader, the producer is told that it is not known."""
    partition = partition_numbered(cluster, number)
    for waiting in [waiting for waiting in partition.waiting if waiting.until == until]:
        partition.waiting.remove(waiting)
        _answer(cluster, partition, waiting, "REQUEST_TIMED_OUT")


def partition_number(cluster: Kafka, wanted: PartitionState) -> int:
    """A number by which a timer can name a partition: places only grow at the end of a topic."""
    place = list(cluster.topics).index(wanted.topic)
    return place << 20 | wanted.number


def partition_numbered(cluster: Kafka, number: int) -> PartitionState:
    return list(cluster.topics.values())[number >> 20].partitions[number & 0xFFFFF]


# -- transactions -----------------------------------------------------------------------------------


def init_producer_id(cluster: Kafka, client: str, asked: ops.InitProducerId) -> Reply:
    """A new pid; under a transactional id the same one with a higher epoch, and what is open is aborted."""
    known = cluster.transactions.get(asked.transactional_id) if asked.transactional_id else None
    if known is None:
        cluster.pids += 1
        if asked.transactional_id:
            known = Transactional(cluster.pids, 0, "Empty", [], {}, {}, asked.timeout_us)
            cluster.transactions[asked.transactional_id] = known
            telling.transaction_changed(cluster, asked.transactional_id, known)
        return ops.ProducerIdGiven("", cluster.pids, 0)
    known.epoch += 1
    known.timeout_us = asked.timeout_us
    if known.state == "Ongoing":
        _end(cluster, known, commit=False)
        telling.transaction_changed(cluster, asked.transactional_id, known)
    known.state = "Empty"
    telling.transaction_changed(cluster, asked.transactional_id, known)
    return ops.ProducerIdGiven("", known.pid, known.epoch)


def _transaction(cluster: Kafka, transactional_id: str) -> Transactional:
    known = cluster.transactions.get(transactional_id)
    if known is None:
        raise KafkaError("INVALID_PRODUCER_ID_MAPPING")
    return known


def _join_transaction(cluster: Kafka, asked: ops.Produce) -> None:
    """The first write adds the partition to the transaction. Raises `KafkaError`."""
    known = _transaction(cluster, asked.transactional_id)
    if (asked.pid, asked.epoch) != (known.pid, known.epoch):
        raise KafkaError("INVALID_PRODUCER_EPOCH")
    _ongoing(cluster, asked.transactional_id, known)
    if (asked.topic, asked.partition) not in known.partitions:
        known.partitions.append((asked.topic, asked.partition))


def _ongoing(cluster: Kafka, name: str, known: Transactional) -> None:
    """Something is written, or tried: from now on it is open."""
    if known.state != "Ongoing":
        known.state = "Ongoing"
        if known.timeout_us:
            place = list(cluster.transactions).index(name)
            known.timer = cluster.schedule(known.timeout_us, "transaction", place)
        telling.transaction_changed(cluster, name, known)


def txn_offset_commit(cluster: Kafka, client: str, asked: ops.TxnOffsetCommit) -> Reply:
    """Keeps the offsets until the transaction ends. Raises `KafkaError`."""
    known = _transaction(cluster, asked.transactional_id)
    known.check(asked.pid, asked.epoch)
    if asked.member:
        from engine.kafka.coordinator import check_transactional

        known.senders[asked.group] = check_transactional(cluster, asked)
    _ongoing(cluster, asked.transactional_id, known)
    kept = known.offsets.setdefault(asked.group, {})
    kept.update({f"{topic}-{number}": offset for (topic, number), offset in asked.offsets})
    return ops.Done()


def end_txn(cluster: Kafka, client: str, asked: ops.EndTxn) -> Reply:
    """Writes a marker to each partition of the transaction. Raises `KafkaError`."""
    known = _transaction(cluster, asked.transactional_id)
    done = "CompleteCommit" if asked.commit else "CompleteAbort"
    if (asked.pid, asked.epoch + 1, done) == (known.pid, known.epoch, known.state):
        return ops.ProducerIdGiven("", known.pid, known.epoch)  # asked again: the answer was lost
    known.check(asked.pid, asked.epoch)
    if known.state != "Ongoing":
        raise KafkaError("INVALID_TXN_STATE")
    _end(cluster, known, asked.commit)
    telling.transaction_changed(cluster, asked.transactional_id, known)
    return ops.ProducerIdGiven("", known.pid, known.epoch)


def _end(cluster: Kafka, known: Transactional, commit: bool) -> None:
    """The markers carry the next epoch (KIP-890), so that late writes of the old one are refused."""
    partitions, offsets, senders = known.partitions, known.offsets, known.senders
    cluster.cancel(known.timer)
    known.timer = 0
    known.end(commit)
    for topic, number in partitions:
        partition = cluster.partition(topic, number)
        if partition.leader < 0:
            cluster.markers_owed.append((topic, number, known.pid, known.epoch, commit))
        else:
            marker(cluster, partition, known.pid, known.epoch, commit)
    if commit:
        from engine.kafka.coordinator import commit_for

        for group, kept in offsets.items():
            told = tuple((_partition(text), offset) for text, offset in kept.items())
            commit_for(cluster, group, told, senders.get(group, 0))


def timed_out_transaction(cluster: Kafka, place: int, _: int) -> None:
    """transaction.timeout.ms is over: the coordinator aborts it, and its producer is fenced."""
    name, known = list(cluster.transactions.items())[place]
    known.timer = 0
    if known.state == "Ongoing":
        known.epoch += 1
        _end(cluster, known, commit=False)
        telling.transaction_changed(cluster, name, known)


def write_owed_markers(cluster: Kafka, partition: PartitionState) -> None:
    """A partition has a leader again: the coordinator tries its markers until they are written."""
    owed, cluster.markers_owed = cluster.markers_owed, []
    for topic, number, pid, epoch, commit in owed:
        if (topic, number) == (partition.topic, partition.number) and partition.leader >= 0:
            marker(cluster, partition, pid, epoch, commit)
        else:
            cluster.markers_owed.append((topic, number, pid, epoch, commit))


def _partition(text: str) -> tuple[str, int]:
    topic, _, number = text.rpartition("-")
    return topic, int(number)


def marker(cluster: Kafka, partition: PartitionState, pid: int, epoch: int, commit: bool) -> int:
    """A control record; it takes an offset. Returns it. Raises `KafkaError` for an older epoch."""
    if partition.leader < 0:
        raise KafkaError("LEADER_NOT_AVAILABLE")
    log = partition.log()
    state = log.producers.get(pid)
    if state is not None and epoch < state.epoch:
        raise KafkaError("INVALID_PRODUCER_EPOCH")
    kind: Marker = "commit" if commit else "abort"
    at = log.end()
    append(
        cluster,
        partition,
        Batch(
            at,
            at,
            cluster.kernel.now_us,
            OVERHEAD_BYTES,
            (at,),
            (None,),
            (None,),
            (0,),
            pid,
            epoch,
            -1,
            True,
            kind,
            partition.leader_epoch,
        ),
    )
    return at


def write_marker(cluster: Kafka, client: str, asked: ops.WriteMarker) -> Reply:
    partition = cluster.led(asked.topic, asked.partition)
    at = marker(cluster, partition, asked.pid, asked.epoch, asked.commit)
    return ops.Produced("", asked.topic, asked.partition, at)


def describe_transaction(cluster: Kafka, client: str, asked: ops.DescribeTransaction) -> Reply:
    """Raises `KafkaError`."""
    known = cluster.transactions.get(asked.transactional_id)
    if known is None:
        raise KafkaError("TRANSACTIONAL_ID_NOT_FOUND")
    return ops.TransactionDescribed("", known.state, known.pid, known.epoch)
