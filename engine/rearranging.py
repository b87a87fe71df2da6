"""Commands that change the stage itself: actors that come and go, queues, bindings.

A new actor draws from streams that bear its name, and a name is given once in a run: so nobody else's
chance is shifted, and no channel is taken for one that another actor had.
"""

from __future__ import annotations

import re
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import msgspec

from engine import commands as c
from engine import limits
from engine.actors.amqp_consumer import AmqpConsumer
from engine.actors.kafka_producer import KafkaProducer
from engine.errors import CommandError
from engine.finding import (
    ADMIN,
    CONSUMERS,
    PRODUCERS,
    amqp_consumer_of,
    broker_of,
    consumer_of,
    group_member_of,
    producer_of,
    queue_of,
    say,
)
from engine.rabbitmq import operations as amqp
from engine.rabbitmq.exchanges import Binding, Exchange
from engine.rabbitmq.headers import MATCH_KINDS, said_arguments, same
from engine.scenario import ConsumerSpec, From, KafkaConsumerSpec
from engine.scenario_checks import shown

if TYPE_CHECKING:
    from engine.rabbitmq.broker import RabbitMQ
    from engine.simulation import Simulation

# -- names and limits ---------------------------------------------------------------------------


def _proper(name: str) -> None:
    """As the names of a scenario are (`engine.scenario_checks`)."""
    if name != name.strip() or any(not character.isprintable() for character in name):
        raise CommandError(f"a name needs printable characters, got {shown(name)}")


def _new_name(simulation: Simulation, wanted: str, base: str) -> str:
    """`wanted` if it is free; without one, "worker C" after A and B, else `base` with a number from 2 on:
    the first that nobody ever had."""
    taken = {actor.spec.name for actor in simulation.actors}
    if wanted:
        _proper(wanted)
        if wanted in taken:
            raise CommandError(f"there is, or was, somebody called {wanted!r}: choose another name")
        return wanted
    if re.search(r" [A-Z]$", base):
        lettered = [f"{base[:-1]}{letter}" for letter in ascii_uppercase if letter > base[-1]]
        free = next((name for name in lettered if name not in taken), "")
        if free:
            return free
    base = re.sub(r" \d+$", "", base)[: limits.NAME_CHARACTERS_MAX - 4]
    return next(name for n in range(2, len(taken) + 3) if (name := f"{base} {n}") not in taken)


def _first_name(simulation: Simulation, queue: str) -> str:
    """What the first worker of a queue is called; "" when somebody was called so."""
    name = f"{queue} worker"[: limits.NAME_CHARACTERS_MAX].strip()
    return "" if any(actor.spec.name == name for actor in simulation.actors) else name


def _room_for(simulation: Simulation, kind: Any, what: str, most: int) -> None:
    if sum(isinstance(actor, kind) and not actor.gone for actor in simulation.actors) >= most:
        raise CommandError(f"there are {most} {what} already, as many as there is room for: remove one first")
    if len(simulation.actors) >= limits.ACTORS_EVER_MAX:
        most = limits.ACTORS_EVER_MAX
        raise CommandError(
            f"this run has had {most} producers and consumers, as many as it keeps: start anew"
        )


# -- consumers and producers --------------------------------------------------------------------


def add_consumer(simulation: Simulation, command: c.AddConsumer) -> None:
    if command.like and not isinstance(consumer_of(simulation, command.like), AmqpConsumer):
        _add_member(simulation, command)
        return
    like = amqp_consumer_of(simulation, command.like).spec if command.like else None
    if like is None and not (command.queue and command.system):
        raise CommandError("AddConsumer: expected either like, or queue and system")
    system = command.system or (like.system if like is not None else "")
    if like is not None and system != like.system:
        raise CommandError(f"{command.like} belongs to {like.system}: expected no other system")
    queue = command.queue or (like.from_.queue if like is not None else "")
    node = queue_of(simulation, system, queue)[1]
    _room_for(simulation, CONSUMERS, "consumers", limits.CONSUMERS_MAX)
    name = command.name if command.like else command.name or _first_name(simulation, queue)
    name = _new_name(simulation, name, command.like or f"{queue} worker")
    if like is None:
        spec = ConsumerSpec(name, system, From(queue))
    else:
        # The broker's patience is an argument that not every type of queue takes.
        patience = like.consumer_timeout if queue == like.from_.queue else None
        spec = msgspec.structs.replace(like, name=name, from_=From(queue), start=0, consumer_timeout=patience)
    say(simulation, command, node, name)
    consumer = simulation.add_consumer(spec)
    assert isinstance(consumer, AmqpConsumer)
    consumer.tell(simulation.kernel)
    consumer.begin(simulation.kernel)


def _add_member(simulation: Simulation, command: c.AddConsumer) -> None:
    """One more in the group of `like`."""
    like = group_member_of(simulation, command.like)
    if command.queue or command.system not in ("", like.spec.system):
        raise CommandError(f"{command.like} is a member of a group: expected no queue and no other system")
    _room_for(simulation, CONSUMERS, "consumers", limits.CONSUMERS_MAX)
    name = _new_name(simulation, command.name, command.like)
    say(simulation, command, like.group_node, name)
    spec = msgspec.structs.replace(like.spec, name=name, start=0)
    if isinstance(spec, KafkaConsumerSpec):
        # Two members with one group.instance.id, or one transactional.id, would fence each other.
        to = spec.to
        if to is not None and to.transactional_id:
            to = msgspec.structs.replace(to, transactional_id=name)
        spec = msgspec.structs.replace(spec, instance="", to=to)
    member = simulation.add_consumer(spec)
    assert not isinstance(member, AmqpConsumer)
    member.tell(simulation.kernel)
    member.begin(simulation.kernel)


def remove_consumer(simulation: Simulation, command: c.RemoveConsumer) -> None:
    consumer = consumer_of(simulation, command.consumer)
    say(simulation, command, consumer.node)
    consumer.remove(simulation.kernel)


def add_producer(simulation: Simulation, command: c.AddProducer) -> None:
    like = producer_of(simulation, command.like)
    _room_for(simulation, PRODUCERS, "producers", limits.PRODUCERS_MAX)
    name = _new_name(simulation, command.name, command.like)
    say(simulation, command, like.node, name)
    spec = msgspec.structs.replace(like.spec, name=name, start=simulation.now_us)
    producer = simulation.add_producer(spec)
    if isinstance(producer, KafkaProducer):
        producer.tell(simulation.kernel)
    producer.begin(simulation.kernel)


def remove_producer(simulation: Simulation, command: c.RemoveProducer) -> None:
    producer = producer_of(simulation, command.producer)
    say(simulation, command, producer.node)
    producer.remove(simulation.kernel)


# -- queues and bindings ------------------------------------------------------------------------


def declare_queue(simulation: Simulation, command: c.DeclareQueue) -> None:
    broker = broker_of(simulation, command.system)
    name = command.queue
    _proper(name)
    if name.startswith("amq."):
        raise CommandError(f"names that begin with amq. are the broker's own: got {shown(name)}")
    if broker.find("queue", name):
        raise CommandError(f"there is a queue {name!r} in {command.system} already")
    if len(broker.queues) >= limits.QUEUES_MAX:
        raise CommandError(f"{command.system} has {limits.QUEUES_MAX} queues, as many as there is room for")
    if command.exchange:
        _exchange(broker, command.exchange)
        _room_for_a_binding(broker)
    elif command.routing_key:
        raise CommandError("DeclareQueue: expected an exchange with the routing key")
    say(simulation, command, 0, name)
    arguments = {} if command.queue_type == "classic" else {"x-queue-type": command.queue_type}
    _ask(simulation, broker, amqp.QueueDeclare(name, arguments=arguments))
    _point_consumers(simulation, command.system, name, broker.find("queue", name))
    if command.exchange:
        _ask(simulation, broker, amqp.QueueBind(name, command.exchange, command.routing_key))


def bind_queue(simulation: Simulation, command: c.BindQueue) -> None:
    broker, node, bindings = _bindings(simulation, command)
    match = command.arguments.get("x-match", "all")
    if match not in MATCH_KINDS:
        raise CommandError(f"x-match: expected {', '.join(MATCH_KINDS)}, got {shown(match)}")
    if _wanted(command, bindings) is not None:
        raise CommandError(f"{command.queue} is bound to {command.exchange}{_by(command)} already")
    _room_for_a_binding(broker)
    say(simulation, command, node, f"to {command.exchange}{_by(command)}")
    _ask(
        simulation,
        broker,
        amqp.QueueBind(command.queue, command.exchange, command.routing_key, dict(command.arguments)),
    )


def unbind_queue(simulation: Simulation, command: c.UnbindQueue) -> None:
    broker, node, bindings = _bindings(simulation, command)
    binding = _wanted(command, bindings)
    if binding is None:
        raise CommandError(f"{command.queue} is not bound to {command.exchange}{_by(command)}")
    say(simulation, command, node, f"from {command.exchange}{_by(command)}")
    _ask(
        simulation,
        broker,
        amqp.QueueUnbind(command.queue, command.exchange, binding.routing_key, binding.arguments),
    )


def delete_queue(simulation: Simulation, command: c.DeleteQueue) -> None:
    broker, node = queue_of(simulation, command.system, command.queue)
    say(simulation, command, node)
    _ask(simulation, broker, amqp.QueueDelete(command.queue))
    _point_consumers(simulation, command.system, command.queue, 0)


def _point_consumers(simulation: Simulation, system: str, queue: str, node: int) -> None:
    """Whoever reads the queue of this name speaks to this node from now on, 0 while there is none."""
    for actor in simulation.actors:
        if isinstance(actor, AmqpConsumer) and (actor.spec.system, actor.spec.from_.queue) == (system, queue):
            actor.queue_node = node
            if actor.stated:
                actor.tell(simulation.kernel)


def _bindings(
    simulation: Simulation, command: c.BindQueue | c.UnbindQueue
) -> tuple[RabbitMQ, int, list[Binding]]:
    """The broker, the queue's node, and the bindings that lead to it from the command's exchange."""
    broker, node = queue_of(simulation, command.system, command.queue)
    exchange = _exchange(broker, command.exchange)
    if command.arguments and exchange.type != "headers":
        raise CommandError(f"{exchange.name} is a {exchange.type} exchange: it looks at no arguments")
    return broker, node, [b for b in exchange.bindings if b.to_queue and b.destination == command.queue]


def _wanted(command: c.BindQueue | c.UnbindQueue, bindings: list[Binding]) -> Binding | None:
    """The binding with the command's key and arguments, if there is one."""
    for binding in bindings:
        if binding.routing_key == command.routing_key and same(binding.arguments, dict(command.arguments)):
            return binding
    return None


def _exchange(broker: RabbitMQ, name: str) -> Exchange:
    exchange = broker.exchanges.get(name)
    if exchange is None:
        raise CommandError(f"there is no exchange {name!r} in {broker.name}")
    return exchange


def _room_for_a_binding(broker: RabbitMQ) -> None:
    most = limits.BINDINGS_MAX
    if sum(len(exchange.bindings) for exchange in broker.exchanges.values()) >= most:
        raise CommandError(f"{broker.name} has {most} bindings, as many as there is room for")


def _by(command: c.BindQueue | c.UnbindQueue) -> str:
    what = said_arguments(command.arguments) or command.routing_key
    return f" by {what}" if what else ""


def _ask(simulation: Simulation, broker: RabbitMQ, operation: Any) -> None:
    """What is asked has been looked at before: a refusal is the engine's own contradiction."""
    reply = broker.execute(simulation.kernel, ADMIN, operation)
    assert not isinstance(reply, amqp.Closed), reply
