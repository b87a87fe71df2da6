"""What a share group has done with records, as events: what was before is compared with what is now.

As in `engine.kafka.telling`, whatever changes a share-partition calls here afterwards, and the difference is
told; no caller has to know what changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.events import Event
from engine.kafka import telling
from engine.kafka.events import (
    AcquisitionEnd,
    AcquisitionEnded,
    AcquisitionRenewed,
    Ended,
    RecordsAcquired,
    SharePartitionMarked,
)
from engine.kafka.shares import InFlight, SharePartition

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka

Was = tuple[InFlight, str, int, str, int]
"""(the record, and of it before: state, deliveries, member, when its lock ends)."""
Before = tuple[dict[int, Was], int, int]
"""By offset what was in flight, and where that began and ended."""


def before(shared: SharePartition) -> Before:
    """What `changed` compares with."""
    was: dict[int, Was] = {
        offset: (record, record.state, record.deliveries, record.member, record.lock_until_us)
        for offset, record in shared.records.items()
    }
    return was, shared.start, shared.end


def changed(cluster: Kafka, shared: SharePartition, before: Before) -> None:
    """Says what is different now. What follows has the end of an acquisition as its cause, if one ended."""
    was, start, end = before
    acquired: dict[tuple[str, int, int], list[tuple[int, int]]] = {}
    renewed: dict[int, list[int]] = {}
    ended: dict[tuple[Ended, AcquisitionEnd], list[tuple[int, int]]] = {}
    for offset in sorted({**was, **shared.records}):
        record, then = shared.records.get(offset), was.get(offset)
        if record is None:
            _finished(ended, offset, then)
        elif record.state == "ACQUIRED":
            if then is None or then[1:4] != ("ACQUIRED", record.deliveries, record.member):
                who = record.member, record.node, record.lock_until_us
                acquired.setdefault(who, []).append((offset, record.deliveries))
            elif then[4] != record.lock_until_us:
                renewed.setdefault(record.lock_until_us, []).append(offset)
        elif then is None and not record.deliveries and record.state == "AVAILABLE":
            pass  # it was looked at, and nobody has had it
        elif then is None or then[1:3] != (record.state, record.deliveries):
            ended.setdefault((record.state, record.why), []).append((offset, record.deliveries))
    group, node = _nodes(cluster, shared)
    cause, now_us = cluster.kernel.cause, cluster.kernel.now_us
    for (state, why), pairs in ended.items():
        told = AcquisitionEnded(now_us, cause, group, node, *_beside(pairs), state, why)
        cluster.kernel.cause = cluster.kernel.emit(told)
    for who, pairs in acquired.items():
        telling.say(cluster, _acquired(now_us, cause, group, node, who, pairs))
    for until_us, offsets in renewed.items():
        telling.say(cluster, AcquisitionRenewed(now_us, cause, group, node, tuple(offsets), until_us))
    if (start, end) != (shared.start, shared.end):
        marked(cluster, shared)


def _finished(
    ended: dict[tuple[Ended, AcquisitionEnd], list[tuple[int, int]]], offset: int, then: Was | None
) -> None:
    """It is behind the start now: finished, or deleted whoever had it."""
    if then is None or then[1] != "ACQUIRED":
        return
    record = then[0]
    state, why = ("ARCHIVED", "deleted") if record.state == "ACQUIRED" else (record.state, record.why)
    ended.setdefault((state, why), []).append((offset, record.deliveries))  # type: ignore[arg-type]


def _nodes(cluster: Kafka, shared: SharePartition) -> tuple[int, int]:
    group = telling.group_node(cluster, shared.group)
    return group, cluster.partition(shared.topic, shared.partition).node


def _beside(pairs: list[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(offset for offset, _ in pairs), tuple(deliveries for _, deliveries in pairs)


def _acquired(
    now_us: int, cause: int, group: int, node: int, who: tuple[str, int, int], pairs: list[tuple[int, int]]
) -> RecordsAcquired:
    member, holder, until_us = who
    return RecordsAcquired(now_us, cause, group, node, member, holder, *_beside(pairs), until_us)


def marked(cluster: Kafka, shared: SharePartition) -> None:
    """Where what is in flight begins and ends."""
    now_us, cause = cluster.kernel.now_us, cluster.kernel.cause
    told = SharePartitionMarked(now_us, cause, *_nodes(cluster, shared), shared.start, shared.end)
    telling.say(cluster, told)


def state_events(cluster: Kafka, shared: SharePartition, now_us: int) -> Iterator[Event]:
    """What is in flight: acquired by whom, or how its acquisition ended."""
    group, node = _nodes(cluster, shared)
    acquired: dict[tuple[str, int, int], list[tuple[int, int]]] = {}
    ended: dict[tuple[Ended, AcquisitionEnd], list[tuple[int, int]]] = {}
    for offset, record in sorted(shared.records.items()):
        pair = offset, record.deliveries
        if record.state == "ACQUIRED":
            who = record.member, record.node, record.lock_until_us
            acquired.setdefault(who, []).append(pair)
        elif record.deliveries or record.state != "AVAILABLE" or record.why == "leader":
            ended.setdefault((record.state, record.why), []).append(pair)
    yield SharePartitionMarked(now_us, 0, group, node, shared.start, shared.end)
    for who, pairs in acquired.items():
        yield _acquired(now_us, 0, group, node, who, pairs)
    for (state, why), pairs in ended.items():
        yield AcquisitionEnded(now_us, 0, group, node, *_beside(pairs), state, why)
