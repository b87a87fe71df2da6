"""Reading: what a fetch sees, and fetches that wait for more. Reading takes nothing away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.broker import Reply
from engine.kafka import operations as ops
from engine.kafka.errors import KafkaError
from engine.kafka.topics import PartitionState

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka


class Parked(msgspec.Struct, array_like=True):
    """A fetch that found nothing and waits (fetch.max.wait.ms)."""

    client: str
    fetch: ops.Fetch
    timer: int


def fetch(cluster: Kafka, client: str, asked: ops.Fetch) -> Reply | None:
    """The records from an offset on, or nothing yet. Raises `KafkaError`."""
    answer = _read(cluster, asked)
    if answer.offsets or not asked.wait_us:
        return answer
    number = cluster.next_number()
    timer = cluster.schedule(asked.wait_us, "fetch", number)
    cluster.fetches[number] = Parked(client, asked, timer)
    return None


def _read(cluster: Kafka, asked: ops.Fetch) -> ops.Fetched:
    partition = cluster.led(asked.topic, asked.partition)
    log = partition.log()
    if not log.start <= asked.offset <= log.end():
        raise KafkaError("OFFSET_OUT_OF_RANGE")
    before = partition.visible_end(asked.isolation)
    found = list(log.visible(asked.offset, before, asked.isolation, asked.max_records))
    offsets = tuple(batch.offsets[place] for batch, place in found)
    records = tuple(
        ops.Record(batch.keys[place], batch.values[place], batch.messages[place], batch.headers)
        for batch, place in found
    )
    full = len(found) == asked.max_records
    following = offsets[-1] + 1 if full else max(before, asked.offset)
    return ops.Fetched(
        "", asked.topic, asked.partition, offsets, records, following, log.start,
        partition.high_watermark(), partition.visible_end("read_committed"), asked.request,
    )  # fmt: skip


def more_to_read(cluster: Kafka, partition: PartitionState) -> None:
    """The high watermark, or the last stable offset, moved: who waited is answered."""
    if not cluster.fetches:
        return
    for number, parked in list(cluster.fetches.items()):
        if (parked.fetch.topic, parked.fetch.partition) == (partition.topic, partition.number):
            answer = _answer(cluster, parked)
            if answer.error or answer.offsets:
                cluster.cancel(parked.timer)
                del cluster.fetches[number]
                cluster.push(parked.client, ops.FetchAnswered(answer), partition.node)


def waited_enough(cluster: Kafka, number: int, _: int) -> None:
    parked = cluster.fetches.pop(number)
    cluster.push(parked.client, ops.FetchAnswered(_answer(cluster, parked)))


def _answer(cluster: Kafka, parked: Parked) -> ops.Fetched:
    try:
        return _read(cluster, parked.fetch)
    except KafkaError as refused:
        asked = parked.fetch
        return ops.Fetched(refused.code, asked.topic, asked.partition, request=asked.request)


def list_offsets(cluster: Kafka, client: str, asked: ops.ListOffsets) -> Reply:
    """The log start, or where a reader of this isolation would stop, or a time. Raises `KafkaError`."""
    partition = cluster.led(asked.topic, asked.partition)
    if asked.at == "timestamp":
        before = partition.visible_end(asked.isolation)
        at = partition.log().first_since(asked.timestamp_us, before)
        return ops.OffsetListed("", asked.topic, asked.partition, at)
    if asked.at == "earliest":
        return ops.OffsetListed("", asked.topic, asked.partition, partition.log().start)
    return ops.OffsetListed("", asked.topic, asked.partition, partition.visible_end(asked.isolation))
