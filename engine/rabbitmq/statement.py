"""What the broker's stage looks like now, as events: for newcomers, chunks and checkpoints.

Written beside the state it tells of. `exchange_events` and `queue_events` are also what is said when
one is declared, so the two can not drift apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.events import Event, FuseLit, NodeAdded, Owed, Placed, Routed, WireAdded, Zone
from engine.rabbitmq.events import (
    ActiveConsumerChanged,
    ChannelOpened,
    ConsumerRegistered,
    ExchangeDeclared,
    QueueDeclared,
)
from engine.rabbitmq.exchanges import Exchange
from engine.rabbitmq.messages import NEVER_EXPIRES, Held
from engine.rabbitmq.queues import Queue
from engine.rabbitmq.quorum import QuorumQueue
from engine.rabbitmq.topology import wire_label
from engine.rabbitmq.turns import Consumer

if TYPE_CHECKING:
    from engine.rabbitmq.broker import RabbitMQ

CAUSE = 0
"""A statement has no cause in the run, and is the same whoever makes it."""


def exchange_events(broker: RabbitMQ, exchange: Exchange, cause: int) -> list[Event]:
    now_us = broker.kernel.now_us
    about = exchange.type + (", internal" if exchange.internal else "")
    if not exchange.name:
        about = "default exchange"
    return [
        NodeAdded(now_us, cause, exchange.node, "exchange", exchange.name, broker.name, about),
        ExchangeDeclared(now_us, cause, exchange.node, exchange.type, exchange.internal),
    ]


def queue_events(broker: RabbitMQ, queue: Queue, cause: int) -> list[Event]:
    now_us = broker.kernel.now_us
    kind = "quorum" if isinstance(queue, QuorumQueue) else "classic"
    arguments = {
        name: value for name, value in queue.arguments.items() if isinstance(value, (str, int, bool))
    }
    return [
        NodeAdded(now_us, cause, queue.node, "queue", queue.name, broker.name, about_queue(queue)),
        QueueDeclared(now_us, cause, queue.node, kind, arguments),  # type: ignore[arg-type]
    ]


def about_queue(queue: Queue) -> str:
    """One line: "classic queue, TTL 1 s, at most 10"."""
    arguments = queue.arguments
    parts = [f"{queue.kind} queue"]
    if "x-message-ttl" in arguments:
        parts.append(f"TTL {arguments['x-message-ttl'] / 1_000:g} s")
    if "x-max-length" in arguments:
        parts.append(f"at most {arguments['x-max-length']}")
    if arguments.get("x-dead-letter-exchange") is not None:
        where = arguments.get("x-dead-letter-routing-key", "")
        parts.append(
            f"dead letters to {arguments['x-dead-letter-exchange'] or where or 'the default exchange'}"
        )
    if arguments.get("x-single-active-consumer") is True:
        parts.append("single active consumer")
    if queue.owner:
        parts.append("exclusive")
    return ", ".join(parts)


def state_events(broker: RabbitMQ) -> list[Event]:
    """NodeAdded…, wires, consumers, then for each message alive a Routed and its copies' places."""
    now_us, cause = broker.kernel.now_us, CAUSE
    shown = [exchange for exchange in broker.exchanges.values() if exchange.node]
    queues = list(broker.queues.values())
    nodes: list[tuple[int, list[Event]]] = [(e.node, exchange_events(broker, e, CAUSE)) for e in shown]
    nodes += [(queue.node, queue_events(broker, queue, CAUSE)) for queue in queues]
    told: list[Event] = [event for _, group in sorted(nodes, key=lambda pair: pair[0]) for event in group]
    for exchange in shown:
        said: set[tuple[int, str]] = set()
        for binding in exchange.bindings:
            target = broker.node_of(binding.to_queue, binding.destination)
            label = wire_label(exchange, binding)
            if (target, label) not in said:
                said.add((target, label))
                told.append(WireAdded(now_us, cause, exchange.node, target, "binding", label))
    for queue_node, source in broker.default_wires.items():
        told.append(WireAdded(now_us, cause, source, queue_node, "binding", broker.names[queue_node]))
    for channel in broker.channels.values():
        if channel.node:
            told.append(ChannelOpened(now_us, cause, channel.node))
    for queue in queues:
        told += _consumers(broker, queue)
    told += _routed(broker, queues)
    for queue in queues:
        told += _places(broker, queue)
    return told


def subscribed(queue: Queue) -> list[Consumer]:
    """The consumers that are on the stage, those that wait to be the active one included."""
    waiting = queue.waiting if isinstance(queue, QuorumQueue) else []
    return [c for c in [*queue.consumers.values(), *waiting] if c.node and not c.ended]


def has_wire(queue: Queue, consumer: Consumer) -> bool:
    """Whether another subscription of the same actor draws the wire from this queue already."""
    return any(other.node == consumer.node and other.key != consumer.key for other in subscribed(queue))


def _consumers(broker: RabbitMQ, queue: Queue) -> list[Event]:
    now_us, cause = broker.kernel.now_us, CAUSE
    told: list[Event] = []
    wired: set[int] = set()
    for consumer in subscribed(queue):
        told.append(
            ConsumerRegistered(
                now_us, cause, consumer.node, queue.node, consumer.prefetch, consumer.priority,
                consumer.no_ack, consumer.exclusive,
            )
        )  # fmt: skip
        if consumer.node not in wired:
            wired.add(consumer.node)
            told.append(WireAdded(now_us, cause, queue.node, consumer.node, "consume", ""))
    active = queue.consumers.get(queue.active)
    if queue.single_active and active is not None:
        told.append(ActiveConsumerChanged(now_us, cause, queue.node, active.node))
    return told


def _routed(broker: RabbitMQ, queues: list[Queue]) -> list[Event]:
    """One for each message alive; its copies may stand in several queues."""
    now_us, cause = broker.kernel.now_us, CAUSE
    owed: dict[int, list[Owed]] = {}
    source: dict[int, int] = {}
    for queue in queues:
        for held in queue.everything():
            message = held.content.message
            source[message] = broker.node_of(False, held.content.exchange)
            owed.setdefault(message, []).append(
                Owed(held.copy, held.destination, held.after, held.deliveries, shown_redelivered(held))
            )
    return [
        Routed(now_us, cause, message, source[message], tuple(copies)) for message, copies in owed.items()
    ]


def shown_redelivered(held: Held) -> bool:
    return held.redelivered or held.failures > 0 or held.acquired > 0


def _places(broker: RabbitMQ, queue: Queue) -> list[Event]:
    now_us, cause = broker.kernel.now_us, CAUSE
    told: list[Event] = []

    def place(held: Held, zone: Zone, index: int) -> None:
        told.append(Placed(now_us, cause, held.copy, 0, queue.node, zone, index))

    for index, held in enumerate(queue.ready):
        place(held, "ready", index)
        if held.expires_us != NEVER_EXPIRES:
            told.append(FuseLit(held.lit_us, cause, held.copy, queue.node, "ttl", held.expires_us))
    for index, held in enumerate(queue.unacked.values()):
        place(held, "unacked", index)
    if isinstance(queue, QuorumQueue):
        for index, delayed in enumerate(queue.delayed):
            place(delayed.held, "delayed", index)
            held = delayed.held
            told.append(FuseLit(held.lit_us, cause, held.copy, queue.node, "delay", delayed.ready_us))
        for index, dying in enumerate(queue.dying.values()):
            place(dying.held, "dead_lettering", index)
    return told
