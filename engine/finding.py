"""What a command names: its actor, its link, its broker and queue; and the word that it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine import commands as c
from engine.actors.amqp_consumer import AmqpConsumer
from engine.actors.amqp_producer import AmqpProducer
from engine.errors import CommandError
from engine.events import Commanded
from engine.link import Link

if TYPE_CHECKING:
    from engine.rabbitmq.broker import RabbitMQ
    from engine.simulation import Simulation

ADMIN = "administrator"
"""The channel by which operations come that no actor asks for."""


def actor_of(simulation: Simulation, name: str, kind: type) -> Any:
    """The actor on the stage of this name and kind. Raises `CommandError`."""
    there = [a for a in simulation.actors if isinstance(a, kind) and not a.gone]
    for actor in there:
        if actor.spec.name == name:
            return actor
    known = ", ".join(a.spec.name for a in there)
    what = "consumer" if kind is AmqpConsumer else "producer" if kind is AmqpProducer else "actor"
    raise CommandError(f"there is no {what} {name!r}; there is {known or 'none'}")


def _staying(actor: Any) -> Any:
    if actor.removed:
        raise CommandError(f"{actor.spec.name} is being removed")
    return actor


def consumer_of(simulation: Simulation, name: str) -> AmqpConsumer:
    """The consumer, if it is there to stay. Raises `CommandError`."""
    return _staying(actor_of(simulation, name, AmqpConsumer))  # type: ignore[no-any-return]


def producer_of(simulation: Simulation, name: str) -> AmqpProducer:
    """The producer, if it is there to stay. Raises `CommandError`."""
    return _staying(actor_of(simulation, name, AmqpProducer))  # type: ignore[no-any-return]


def link_of(simulation: Simulation, name: str) -> Link:
    """The link of an actor, be it leaving. Raises `CommandError`."""
    return simulation.kernel.parts[actor_of(simulation, name, object).link]  # type: ignore[no-any-return]


def broker_of(simulation: Simulation, system: str) -> RabbitMQ:
    """Raises `CommandError`."""
    for broker in simulation.brokers:
        if broker.name == system:
            return broker
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
