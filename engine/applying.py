"""What each command does: it finds its actor, link or queue and has that act. No broker rule is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine import commands as c
from engine.actors.amqp_consumer import AmqpConsumer
from engine.actors.amqp_producer import AmqpProducer
from engine.durations import spoken
from engine.errors import CommandError
from engine.events import Commanded
from engine.link import Link
from engine.rabbitmq import operations as amqp
from engine.scenario import Work

if TYPE_CHECKING:
    from engine.simulation import Simulation

REDRIVEN_MAX = 1_000
"""Messages that one redrive moves: bounds what one command does."""


def apply(simulation: Simulation, command: c.AnyCommand) -> None:
    """Apply `command` now. Raises `CommandError`, having changed nothing, when it makes no sense now."""
    APPLY[type(command)](simulation, command)


# -- finding ------------------------------------------------------------------------------------


def _actor(simulation: Simulation, name: str, kind: type) -> Any:
    for actor in simulation.actors:
        if actor.spec.name == name and isinstance(actor, kind):
            return actor
    known = ", ".join(a.spec.name for a in simulation.actors if isinstance(a, kind))
    what = "consumer" if kind is AmqpConsumer else "producer" if kind is AmqpProducer else "actor"
    raise CommandError(f"there is no {what} {name!r}; there is {known or 'none'}")


def _consumer(simulation: Simulation, name: str) -> AmqpConsumer:
    return _actor(simulation, name, AmqpConsumer)  # type: ignore[no-any-return]


def _producer(simulation: Simulation, name: str) -> AmqpProducer:
    return _actor(simulation, name, AmqpProducer)  # type: ignore[no-any-return]


def _link(simulation: Simulation, name: str) -> Link:
    return simulation.kernel.parts[_actor(simulation, name, object).link]  # type: ignore[no-any-return]


def _broker(simulation: Simulation, system: str, queue: str) -> tuple[Any, int]:
    for broker in simulation.brokers:
        if broker.name == system:
            node = broker.find("queue", queue)
            if node:
                return broker, node
            raise CommandError(f"there is no queue {queue!r} in {system}")
    raise CommandError(f"there is no system {system!r}")


def _say(simulation: Simulation, command: c.AnyCommand, node: int, about: str = "") -> None:
    kernel = simulation.kernel
    kernel.cause = kernel.emit(Commanded(kernel.now_us, kernel.cause, type(command).__name__, node, about))


def _need(actor: AmqpConsumer | AmqpProducer, *states: str) -> None:
    if actor.state not in states:
        raise CommandError(f"{actor.spec.name} is {actor.state}: this needs it {' or '.join(states)}")


# -- consumers ----------------------------------------------------------------------------------


def _crash_consumer(simulation: Simulation, command: c.CrashConsumer) -> None:
    consumer = _consumer(simulation, command.consumer)
    _need(consumer, "up", "connecting")
    _say(simulation, command, consumer.node)
    consumer.crash(simulation.kernel)


def _restart_consumer(simulation: Simulation, command: c.RestartConsumer) -> None:
    consumer = _consumer(simulation, command.consumer)
    _need(consumer, "crashed", "stopped")
    _say(simulation, command, consumer.node)
    consumer.restart(simulation.kernel)


def _stop_consumer(simulation: Simulation, command: c.StopConsumer) -> None:
    consumer = _consumer(simulation, command.consumer)
    _need(consumer, "up")
    if consumer.stopping:
        raise CommandError(f"{command.consumer} is stopping already")
    _say(simulation, command, consumer.node)
    consumer.stop(simulation.kernel)


def _slow_consumer(simulation: Simulation, command: c.SlowConsumer) -> None:
    consumer = _consumer(simulation, command.consumer)
    _say(simulation, command, consumer.node, f"{command.factor / 1_000:g} times as long")
    consumer.slow(simulation.kernel, command.factor)


def _set_work(simulation: Simulation, command: c.SetWork) -> None:
    consumer = _consumer(simulation, command.consumer)
    _say(simulation, command, consumer.node, spoken(command.constant_us))
    consumer.set_work(simulation.kernel, Work(constant=command.constant_us))


def _set_prefetch(simulation: Simulation, command: c.SetPrefetch) -> None:
    consumer = _consumer(simulation, command.consumer)
    _say(simulation, command, consumer.node, f"prefetch {command.prefetch}")
    consumer.set_prefetch(simulation.kernel, command.prefetch)


def _set_acknowledge(simulation: Simulation, command: c.SetAcknowledge) -> None:
    consumer = _consumer(simulation, command.consumer)
    _say(simulation, command, consumer.node, f"acknowledges {command.acknowledge}")
    consumer.set_acknowledge(simulation.kernel, command.acknowledge)


# -- producers ----------------------------------------------------------------------------------


def _crash_producer(simulation: Simulation, command: c.CrashProducer) -> None:
    producer = _producer(simulation, command.producer)
    _need(producer, "up")
    _say(simulation, command, producer.node)
    producer.crash(simulation.kernel)


def _restart_producer(simulation: Simulation, command: c.RestartProducer) -> None:
    producer = _producer(simulation, command.producer)
    _need(producer, "crashed")
    _say(simulation, command, producer.node)
    producer.restart(simulation.kernel)


def _pause(simulation: Simulation, command: c.PauseProducer) -> None:
    producer = _producer(simulation, command.producer)
    if producer.paused:
        raise CommandError(f"{command.producer} is paused already")
    _say(simulation, command, producer.node)
    producer.pause(simulation.kernel)


def _resume(simulation: Simulation, command: c.ResumeProducer) -> None:
    producer = _producer(simulation, command.producer)
    if not producer.paused:
        raise CommandError(f"{command.producer} is not paused")
    _say(simulation, command, producer.node)
    producer.resume(simulation.kernel)


def _poison_next(simulation: Simulation, command: c.PoisonNext) -> None:
    producer = _producer(simulation, command.producer)
    _say(simulation, command, producer.node)
    producer.poison_next = True


def _publish_now(simulation: Simulation, command: c.PublishNow) -> None:
    producer = _producer(simulation, command.producer)
    _need(producer, "up")
    if command.key and command.key not in simulation.scenario.kinds:
        known = ", ".join(simulation.scenario.kinds) or "none"
        raise CommandError(f"there is no key {command.key!r}; there is {known}")
    _say(simulation, command, producer.node, f"{command.count} now")
    cause = simulation.kernel.cause
    for _ in range(command.count):
        simulation.kernel.cause = cause
        producer.make(simulation.kernel, command.key or producer.next_key(simulation.kernel))


def _set_rate(simulation: Simulation, command: c.SetRate) -> None:
    producer = _producer(simulation, command.producer)
    _say(simulation, command, producer.node, f"{command.per_minute} a minute")
    producer.set_rate(simulation.kernel, command.per_minute)


# -- network ------------------------------------------------------------------------------------


def _drop_next_ack(simulation: Simulation, command: c.DropNextAck) -> None:
    link = _link(simulation, command.actor)
    _say(simulation, command, link.node)
    link.lose_next_ack = True


def _cut_link(simulation: Simulation, command: c.CutLink) -> None:
    link = _link(simulation, command.actor)
    if link.state != "up":
        raise CommandError(f"the network of {command.actor} is {link.state} already")
    _say(simulation, command, link.node)
    link.cut(simulation.kernel)


def _restore_link(simulation: Simulation, command: c.RestoreLink) -> None:
    link = _link(simulation, command.actor)
    if link.state == "up":
        raise CommandError(f"the network of {command.actor} is up already")
    _say(simulation, command, link.node)
    link.restore(simulation.kernel)


# -- administrators -----------------------------------------------------------------------------


def _purge(simulation: Simulation, command: c.PurgeQueue) -> None:
    broker, node = _broker(simulation, command.system, command.queue)
    _say(simulation, command, node)
    broker.execute(simulation.kernel, ADMIN, amqp.QueuePurge(command.queue))


def _redrive(simulation: Simulation, command: c.Redrive) -> None:
    """What a shovel does: get, publish to the other queue, acknowledge, one message after the other."""
    kernel = simulation.kernel
    broker, node = _broker(simulation, command.system, command.queue)
    _broker(simulation, command.system, command.to)
    if command.queue == command.to:
        raise CommandError("a redrive needs two different queues")
    _say(simulation, command, node, f"to {command.to}")
    cause = kernel.cause
    count = min(broker.queue_counts()[node][0], REDRIVEN_MAX)
    for _ in range(count):
        kernel.cause = cause
        got = broker.execute(kernel, ADMIN, amqp.BasicGet(command.queue))
        if not isinstance(got, amqp.GetOk):
            break
        said = got.delivery
        old = said.properties
        headers = {**(old.headers or {}), "x-retry-of": said.copy}
        properties = amqp.Properties(headers, old.priority, None, old.persistent, old.reply_to)
        publish = amqp.BasicPublish("", command.to, said.message, said.body, said.size, properties)
        broker.execute(kernel, ADMIN, publish)
        broker.execute(kernel, ADMIN, amqp.BasicAck(said.delivery_tag))


# -- chance -------------------------------------------------------------------------------------


def _reseed(simulation: Simulation, command: c.Reseed) -> None:
    _say(simulation, command, 0, f"seed {command.seed}")
    simulation.kernel.reseed(command.seed)


ADMIN = "administrator"

APPLY: dict[type[c.Command], Callable[[Simulation, Any], None]] = {
    c.CrashConsumer: _crash_consumer,
    c.RestartConsumer: _restart_consumer,
    c.StopConsumer: _stop_consumer,
    c.SlowConsumer: _slow_consumer,
    c.SetWork: _set_work,
    c.SetPrefetch: _set_prefetch,
    c.SetAcknowledge: _set_acknowledge,
    c.CrashProducer: _crash_producer,
    c.RestartProducer: _restart_producer,
    c.PauseProducer: _pause,
    c.ResumeProducer: _resume,
    c.PoisonNext: _poison_next,
    c.PublishNow: _publish_now,
    c.SetRate: _set_rate,
    c.DropNextAck: _drop_next_ack,
    c.CutLink: _cut_link,
    c.RestoreLink: _restore_link,
    c.PurgeQueue: _purge,
    c.Redrive: _redrive,
    c.Reseed: _reseed,
}
