"""What a command names: its actor, its link, its broker and queue; and the word that it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine import commands as c
from engine.actors.amqp_consumer import AmqpConsumer
from engine.actors.amqp_producer import AmqpProducer
from engine.actors.kafka_consumer import KafkaConsumer
from engine.actors.kafka_producer import KafkaProducer
from engine.actors.kafka_share_consumer import ShareConsumer
from engine.errors import CommandError
from engine.events import Commanded
from engine.kafka.link import KafkaLink
from engine.link import Link

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka
    from engine.rabbitmq.broker import RabbitMQ
    from engine.simulation import Simulation

ADMIN = "administrator"
"""The channel by which operations come that no actor asks for."""


CONSUMERS = AmqpConsumer | KafkaConsumer | ShareConsumer
PRODUCERS = AmqpProducer | KafkaProducer


def actor_of(simulation: Simulation, name: str, kind: Any) -> Any:
    """The actor on the stage of this name and kind. Raises `CommandError`."""
    there = [a for a in simulation.actors if isinstance(a, kind) and not a.gone]
    for actor in there:
        if actor.spec.name == name:
            return actor
    known = ", ".join(a.spec.name for a in there)
    what = "consumer" if kind is CONSUMERS else "producer" if kind is PRODUCERS else "actor"
    raise CommandError(f"there is no {what} {name!r}; there is {known or 'none'}")


def _staying(actor: Any) -> Any:
    if actor.removed:
        raise CommandError(f"{actor.spec.name} is being removed")
    return actor


def consumer_of(simulation: Simulation, name: str) -> AmqpConsumer | KafkaConsumer | ShareConsumer:
    """The consumer, if it is there to stay. Raises `CommandError`."""
    return _staying(actor_of(simulation, name, CONSUMERS))  # type: ignore[no-any-return]


def amqp_consumer_of(simulation: Simulation, name: str) -> AmqpConsumer:
    """The consumer, if it reads a queue. Raises `CommandError`."""
    consumer = consumer_of(simulation, name)
    if not isinstance(consumer, AmqpConsumer):
        raise CommandError(f"{name} reads topics: this is for consumers of queues")
    return consumer


def group_member_of(simulation: Simulation, name: str) -> KafkaConsumer | ShareConsumer:
    """The consumer, if it is a member of a group of any type. Raises `CommandError`."""
    consumer = consumer_of(simulation, name)
    if isinstance(consumer, AmqpConsumer):
        raise CommandError(f"{name} reads a queue: this is for members of a group")
    return consumer


def kafka_consumer_of(simulation: Simulation, name: str) -> KafkaConsumer:
    """The consumer, if it is a member of a consumer group. Raises `CommandError`."""
    consumer = group_member_of(simulation, name)
    if isinstance(consumer, ShareConsumer):
        raise CommandError(f"{name} is a member of a share group: this is for members of a consumer group")
    return consumer


def producer_of(simulation: Simulation, name: str) -> AmqpProducer | KafkaProducer:
    """The producer, if it is there to stay. Raises `CommandError`."""
    return _staying(actor_of(simulation, name, PRODUCERS))  # type: ignore[no-any-return]


def kafka_producer_of(simulation: Simulation, name: str) -> KafkaProducer:
    """The producer, if it produces to a topic. Raises `CommandError`."""
    producer = producer_of(simulation, name)
    if not isinstance(producer, KafkaProducer):
        raise CommandError(f"{name} publishes to RabbitMQ: this is for producers of Kafka")
    return producer


def cluster_of(simulation: Simulation, system: str) -> Kafka:
    """Raises `CommandError`."""
    for cluster in simulation.clusters:
        if cluster.name == system:
            return cluster
    raise CommandError(f"there is no Kafka cluster {system!r}")


def link_of(simulation: Simulation, name: str) -> Link | KafkaLink:
    """The link of an actor, be it leaving. Raises `CommandError`."""
    return simulation.kernel.parts[actor_of(simulation, name, object).link]  # type: ignore[no-any-return]


def broker_of(simulation: Simulation, system: str) -> RabbitMQ:
    """Raises `CommandError`."""
    for broker in simulation.brokers:
        if broker.name == system:
            return broker
    if any(cluster.name == system for cluster in simulation.clusters):
        raise CommandError(f"{system} is a Kafka cluster: it has no queues")
    raise CommandError(f"there is no system {system!r}")


def queue_of(simulation: Simulation, system: str, queue: str) -> tuple[RabbitMQ, int]:
    """The queue's broker and node. Raises `CommandError`."""
    broker = broker_of(simulation, system)
    node = broker.find("queue", queue)
    if not node:
        raise CommandError(f"there is no queue {queue!r} in {system}")
    return broker, node


def say(simulation: Simulation, command: c.AnyCommand, node: int, about: str = "") -> None:
    """The command is given: what follows has it as its cause."""
    kernel = simulation.kernel
    kernel.cause = kernel.emit(Commanded(kernel.now_us, kernel.cause, type(command).__name__, node, about))
