"""What is left to say where more happens than can be drawn singly: numbers, and what is of no one message.

Counts are the parts' own lengths, those that `engine.invariants` holds the ledger against; flows are the
events that are left out, added up. Nothing here decides when that is done: who shows a run does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from engine.actors.amqp_consumer import AmqpConsumer
from engine.actors.kafka_worker import KafkaWorker
from engine.counted import standing
from engine.events import Event, Moved, Routed, Sent, Zone
from engine.kafka import events as kafka
from engine.rabbitmq import operations as amqp
from engine.wire import EVENT_TYPES

if TYPE_CHECKING:
    from engine.simulation import Simulation

QUEUE_ZONES: tuple[Zone, ...] = ("ready", "unacked", "delayed", "dead_lettering")

OF_RECORDS = frozenset({
    kafka.RecordsAppended, kafka.LogMarked, kafka.ReplicaReached, kafka.RecordsGone, kafka.OffsetCommitted,
    kafka.RecordsAcquired, kafka.AcquisitionEnded, kafka.AcquisitionRenewed, kafka.SharePartitionMarked,
    kafka.RecordsDelivered, kafka.RecordsWorked, kafka.RecordFailed, kafka.RecordsHeld,
    kafka.RecordsAwaited,
    kafka.RecordsTransformed, kafka.TombstonesAppended, kafka.Counted, kafka.TalliedMore,
})  # fmt: skip
"""Events of records by offset: there are the more of them the more records there are."""

SINGLE = OF_RECORDS.union(
    kind
    for kind in EVENT_TYPES
    if not {"message", "copy", "copies", "signal"}.isdisjoint(kind.__struct_fields__)
)
"""Events of one message, copy or signal, of copies by name, or of records by offset."""

TRAVELLING = frozenset({Sent, Moved, Routed, kafka.BatchSent, kafka.RecordsSent})

Count = tuple[int, Zone | Literal["log"], int]
"""(node, zone, how many lie there). log: in a partition, as far as its readers may read."""
Flow = tuple[int, int, int]
"""(source, target, how many went from one to the other)."""


def counts(simulation: Simulation) -> list[Count]:
    """How many tokens lie where now, by node and then zone; places where nothing lies are left out."""
    told: dict[tuple[int, Zone | Literal["log"]], int] = {}
    for broker in simulation.brokers:
        for node, numbers in broker.queue_counts().items():
            for zone, n in zip(QUEUE_ZONES, numbers, strict=True):
                told[node, zone] = n
    for link in simulation.links:
        for down in link.down_waiting:
            if isinstance(down.said, amqp.Delivery):
                told[down.source, "socket"] = told.get((down.source, "socket"), 0) + 1
    for actor in simulation.actors:
        if isinstance(actor, AmqpConsumer) and not actor.gone:
            told[actor.node, "prefetched"] = len(actor.waiting)
            told[actor.node, "working"] = int(actor.working is not None)
        elif isinstance(actor, KafkaWorker) and not actor.gone:
            told[actor.node, "prefetched"] = sum(len(f.offsets) - f.at for f in actor.buffer)
            told[actor.node, "working"] = sum(len(f.offsets) - f.at for f in actor.hand)
    for cluster in simulation.clusters:
        for topic in cluster.topics.values():
            for partition in topic.partitions:
                start, high_watermark, _ = partition.told_marks
                told[partition.node, "log"] = high_watermark - start
    return sorted((node, zone, n) for (node, zone), n in told.items() if n)


def stands(simulation: Simulation) -> list[Event]:
    """The ledger's counts, outright, a destination each, what effects come to, and what stands in the stores;
    as of the last moment that is over."""
    then_us = simulation.now_us - 1
    groups = [] if simulation.counting is None else simulation.counting.state_events(then_us)
    return [*standing(simulation.ledger.accounts, then_us), *groups, *simulation.world.state_events(then_us)]


def of_no_message(events: Iterable[Event]) -> list[Event]:
    """Those events that are of no single message: the stage, nodes, links, people, broken promises."""
    return [event for event in events if type(event) not in SINGLE]


def flows(events: Iterable[Event]) -> dict[tuple[int, int], int]:
    """(source, target) → how many went that way: signals, copies routed to a queue, bodies handed out;
    records to a partition, and from there to a consumer."""
    told: dict[tuple[int, int], int] = {}
    for event in events:
        kind = type(event)
        if kind not in TRAVELLING:
            continue
        if isinstance(event, Routed):
            for owed in event.copies:
                way = event.source, owed.destination
                told[way] = told.get(way, 0) + 1
            continue
        if isinstance(event, kafka.BatchSent):
            n = len(event.messages)
        else:
            n = event.count if isinstance(event, kafka.RecordsSent) else 1
        way = event.source, event.target  # type: ignore[attr-defined]
        told[way] = told.get(way, 0) + n
    return told
