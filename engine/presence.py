"""The present as events that build it from nothing, for somebody who has just come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.actors.amqp_consumer import AmqpConsumer, settings_of
from engine.actors.amqp_producer import AmqpProducer
from engine.actors.kafka_consumer import KafkaConsumer
from engine.actors.kafka_producer import KafkaProducer
from engine.actors.kafka_share_consumer import ShareConsumer
from engine.clusters import bodies, messages_told, shared_bodies
from engine.events import (
    Event,
    MessageCreated,
    NodeAdded,
    NodeKind,
    NodeStateChanged,
    Owed,
    Placed,
    Routed,
    RunEnded,
    WireAdded,
    WorkStarted,
)
from engine.kafka.settings import member_settings, producer_settings, share_member_settings

if TYPE_CHECKING:
    from engine.simulation import AnyActor, Simulation


def state_events(simulation: Simulation) -> list[Event]:
    """Events of the same vocabulary; their cause is 0. What travels keeps its own departure time.

    A reducer that folds them reaches the scene that folding the whole run reaches.
    """
    now_us = simulation.now_us
    told: list[Event] = []
    actors = [actor for actor in simulation.actors if not actor.gone]
    for actor in actors:
        told += _actor(simulation, actor, now_us)
    said = [event for broker in simulation.brokers for event in broker.state_events()]
    begun = {} if simulation.counting is None else simulation.counting.begun()
    said += [event for cluster in simulation.clusters for event in cluster.state_events(begun)]
    stage = [dated for event in said for dated in _dated(simulation, event)]
    told += [event for event in stage if isinstance(event, NodeAdded)]
    on_stage = {event.node for event in told if isinstance(event, NodeAdded)}
    for actor in actors:
        if isinstance(actor, AmqpProducer) and actor.exchange_node in on_stage:
            told.append(_publish_wire(actor, now_us))
        elif isinstance(actor, KafkaProducer):
            told.append(WireAdded(now_us, 0, actor.node, actor.topic_node, "publish", ""))
        elif isinstance(actor, KafkaConsumer) and actor.output is not None:
            told.append(WireAdded(now_us, 0, actor.node, actor.output.topic_node, "publish", ""))
    told += _messages(simulation, stage, now_us)
    told += [event for event in stage if not isinstance(event, NodeAdded)]
    told += _bodies_only(simulation, stage, now_us)
    for actor in actors:
        told += simulation.kernel.parts[actor.link].state_events(now_us)
    for actor in actors:
        if isinstance(actor, AmqpConsumer):
            told += _bodies(actor, now_us)
        elif isinstance(actor, KafkaConsumer):
            told += bodies(simulation, actor, now_us)
        elif isinstance(actor, ShareConsumer):
            told += shared_bodies(simulation, actor, now_us)
    told += simulation.ledger.state_events(now_us)
    if simulation.counting is not None:
        told += simulation.counting.recent_events()
        told += simulation.counting.state_events(now_us)
    told += simulation.world.state_events(now_us)
    if simulation.ended:
        told.append(RunEnded(simulation.world.over_us, 0, simulation.world.over))  # type: ignore[arg-type]
    return told


def _actor(simulation: Simulation, actor: AnyActor, now_us: int) -> list[Event]:
    kind: NodeKind = "producer" if isinstance(actor, AmqpProducer | KafkaProducer) else "consumer"
    about = actor.about()
    spec = actor.spec
    told: list[Event] = [NodeAdded(now_us, 0, actor.node, kind, spec.name, spec.system, about)]
    if isinstance(actor, AmqpConsumer | KafkaConsumer | ShareConsumer):
        told.append(actor.handler(now_us, 0))
    state = actor.shown_state()
    if state != "up":
        told.append(NodeStateChanged(now_us, 0, actor.node, state, about))  # type: ignore[arg-type]
    if isinstance(actor, AmqpConsumer) and actor.stated:
        told.append(settings_of(actor.spec, now_us, 0, actor.node, actor.queue_node))
    elif isinstance(actor, KafkaConsumer) and actor.stated:
        told.append(member_settings(actor.spec, now_us, 0, actor.node))
    elif isinstance(actor, ShareConsumer) and actor.stated:
        told.append(share_member_settings(actor.spec, now_us, 0, actor.node))
    elif isinstance(actor, KafkaProducer) and actor.stated:
        told.append(producer_settings(actor.spec, now_us, 0, actor.node))
    return told


def _publish_wire(producer: AmqpProducer, now_us: int) -> Event:
    return WireAdded(now_us, 0, producer.node, producer.exchange_node, "publish", "")


def _messages(simulation: Simulation, stage: list[Event], now_us: int) -> list[Event]:
    """Every message that a token or a signal is drawn of."""
    world = simulation.world
    ledger = simulation.ledger
    numbers = {record.message for record in [*ledger.copies.values(), *ledger.stale.values()]}
    for link in simulation.links:
        numbers.update(up.about for up in link.up.values() if up.kind == "publish")
        numbers.update(link.messages_travelling())
    for actor in simulation.actors:
        if isinstance(actor, AmqpConsumer):
            numbers.update(held.message for held in actor.bodies())
    numbers.update(done.message for row in ledger.finished.values() for done in row)
    numbers.update(message for shelf in world.shelves.values() for message in shelf)
    numbers.update(message for message, _ in world.asked.values())
    numbers.update(message for message in messages_told(simulation, stage) if message)
    return [
        MessageCreated(now_us, 0, n, world.producer(n), world.key(n), world.is_poison(n))
        for n in sorted(numbers)
    ]


def _dated(simulation: Simulation, event: Event) -> list[Event]:
    """An event of the present with its own moment; a `Routed` as one for each at which its copies were
    routed."""
    if not isinstance(event, Routed):
        return [event] if simulation.counting is None else simulation.counting.recent.dated(event)
    ledger = simulation.ledger
    moments: dict[int, list[Owed]] = {}
    for owed in event.copies:
        record = ledger.copies.get(owed.copy) or ledger.stale.get(owed.copy)
        moments.setdefault(record.routed_us if record else event.at_us, []).append(owed)
    return [Routed(at_us, 0, event.message, event.source, tuple(copies)) for at_us, copies in moments.items()]


def _bodies_only(simulation: Simulation, stage: list[Event], now_us: int) -> list[Event]:
    """Copies that no broker holds any longer, while a body of theirs is on its way or at a worker."""
    held = {owed.copy for event in stage if isinstance(event, Routed) for owed in event.copies}
    ledger = simulation.ledger
    return [
        Routed(
            record.routed_us, 0, record.message, 0,
            (Owed(copy, record.routed_to or record.destination, 0, record.deliveries, record.redelivered),),
        )
        for copy, record in [*ledger.copies.items(), *ledger.stale.items()]
        if copy not in held
    ]  # fmt: skip


def _bodies(consumer: AmqpConsumer, now_us: int) -> list[Event]:
    told: list[Event] = []
    working = consumer.working
    if working is not None:
        told.append(
            WorkStarted(
                consumer.started_us, 0, working.copy, working.attempt, consumer.node, consumer.until_us
            )
        )
    for held in consumer.waiting:
        told.append(Placed(now_us, 0, held.copy, held.attempt, consumer.node, "prefetched", -1))
    return told
