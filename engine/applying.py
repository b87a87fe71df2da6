"""What each command does: it finds its actor, link or queue and has that act. No broker rule is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from engine import applying_kafka as kafka
from engine import commands as c
from engine import rearranging
from engine.actors.kafka_consumer import KafkaConsumer
from engine.actors.kafka_share_consumer import ShareConsumer
from engine.durations import spoken
from engine.errors import CommandError
from engine.finding import (
    ADMIN,
    CONSUMERS,
    amqp_consumer_of,
    broker_of,
    consumer_of,
    link_of,
    producer_of,
    queue_of,
    say,
)
from engine.rabbitmq import operations as amqp
from engine.scenario import From, Idempotency, Work

if TYPE_CHECKING:
    from engine.simulation import AnyActor, AnyConsumer, Simulation

REDRIVEN_MAX = 1_000
"""Messages that one redrive moves: bounds what one command does."""


def apply(simulation: Simulation, command: c.AnyCommand) -> None:
    """Apply `command` now. Raises `CommandError`, having changed nothing, when it makes no sense now."""
    APPLY[type(command)](simulation, command)


def _need(actor: AnyActor, *states: str) -> None:
    if actor.state not in states:
        raise CommandError(f"{actor.spec.name} is {actor.state}: this needs it {' or '.join(states)}")


# -- consumers ----------------------------------------------------------------------------------


def _crash_consumer(simulation: Simulation, command: c.CrashConsumer) -> None:
    consumer = consumer_of(simulation, command.consumer)
    _need(consumer, "up", "connecting")
    say(simulation, command, consumer.node)
    consumer.crash(simulation.kernel)


def _restart_consumer(simulation: Simulation, command: c.RestartConsumer) -> None:
    consumer = consumer_of(simulation, command.consumer)
    _need(consumer, "crashed", "stopped")
    say(simulation, command, consumer.node)
    consumer.restart(simulation.kernel)


def _stop_consumer(simulation: Simulation, command: c.StopConsumer) -> None:
    consumer = consumer_of(simulation, command.consumer)
    _need(consumer, "up")
    if consumer.stopping:
        raise CommandError(f"{command.consumer} is stopping already")
    say(simulation, command, consumer.node)
    consumer.stop(simulation.kernel)


def _slow_consumer(simulation: Simulation, command: c.SlowConsumer) -> None:
    consumer = consumer_of(simulation, command.consumer)
    say(simulation, command, consumer.node, f"{command.factor / 1_000:g} times as long")
    consumer.slow(simulation.kernel, command.factor)


def _set_work(simulation: Simulation, command: c.SetWork) -> None:
    consumer = consumer_of(simulation, command.consumer)
    say(simulation, command, consumer.node, spoken(command.constant_us))
    consumer.set_work(simulation.kernel, Work(constant=command.constant_us))


def _set_prefetch(simulation: Simulation, command: c.SetPrefetch) -> None:
    consumer = amqp_consumer_of(simulation, command.consumer)
    say(simulation, command, consumer.node, f"prefetch {command.prefetch}")
    consumer.set_prefetch(simulation.kernel, command.prefetch)


def _set_acknowledge(simulation: Simulation, command: c.SetAcknowledge) -> None:
    consumer = consumer_of(simulation, command.consumer)
    if isinstance(consumer, KafkaConsumer) and consumer.transactional and command.acknowledge != "after work":
        raise CommandError(f"{command.consumer} commits its offsets in transactions: expected after work")
    if isinstance(consumer, ShareConsumer):
        raise CommandError(f"{command.consumer} is a member of a share group: it acknowledges each record")
    say(simulation, command, consumer.node, f"acknowledges {command.acknowledge}")
    consumer.set_acknowledge(simulation.kernel, command.acknowledge)


def _set_retry(simulation: Simulation, command: c.SetRetry) -> None:
    consumer = amqp_consumer_of(simulation, command.consumer)
    broker = broker_of(simulation, consumer.spec.system)
    steps = [] if command.queue else consumer.spec.retry.steps
    if command.queue and command.do != "republish":
        raise CommandError('SetRetry: expected a queue with do = "republish" only')
    if command.do == "republish" and not command.queue and not steps:
        raise CommandError('SetRetry: expected a queue with do = "republish"')
    if command.then and command.limit is None:
        raise CommandError("SetRetry: expected a limit with then")
    for name in (command.queue, command.then):
        if name and not broker.find("queue", name):
            raise CommandError(f"there is no queue {name!r} in {broker.name}")
    say(simulation, command, consumer.node, _retry_in_words(command))
    consumer.set_retry(
        simulation.kernel,
        msgspec.structs.replace(
            consumer.spec.retry, do=command.do, queue=command.queue, steps=steps, backoff=command.backoff,
            delay=command.delay_us, limit=command.limit, then=command.then,
        )
    )  # fmt: skip


def _retry_in_words(command: c.SetRetry) -> str:
    words: str = command.do
    if command.queue:
        words += f" to {command.queue} after {spoken(command.delay_us)}"
        words += ", doubled each time" if command.backoff == "exponential" else ""
    elif command.do == "republish":
        words += " by its own steps"
    if command.limit is not None:
        words += f", at most {command.limit} attempts"
    return words + (f", then to {command.then}" if command.then else "")


def _set_idempotency(simulation: Simulation, command: c.SetIdempotency) -> None:
    consumer = consumer_of(simulation, command.consumer)
    say(simulation, command, consumer.node, command.keep)
    if command.keep == "none":
        consumer.set_idempotency(simulation.kernel, None)
    else:
        consumer.set_idempotency(simulation.kernel, Idempotency(_store(simulation, consumer), command.keep))


def _store(simulation: Simulation, consumer: AnyConsumer) -> str:
    """Its own store, or the one that the workers of its queue or group share: else a redelivery finds
    another."""
    own = consumer.kept_in()
    if own:
        return own
    spec = consumer.spec
    others = (
        other.kept_in()
        for other in simulation.actors
        if isinstance(other, CONSUMERS)
        and (other.spec.system, _reads(other)) == (spec.system, _reads(consumer))
    )
    return next((store for store in others if store), f"{spec.system}/{_reads(consumer)}")


def _reads(consumer: AnyConsumer) -> str:
    """The queue that it reads, or its group."""
    from_ = consumer.spec.from_
    return from_.queue if isinstance(from_, From) else from_.group


# -- producers ----------------------------------------------------------------------------------


def _crash_producer(simulation: Simulation, command: c.CrashProducer) -> None:
    producer = producer_of(simulation, command.producer)
    _need(producer, "up")
    say(simulation, command, producer.node)
    producer.crash(simulation.kernel)


def _restart_producer(simulation: Simulation, command: c.RestartProducer) -> None:
    producer = producer_of(simulation, command.producer)
    _need(producer, "crashed")
    say(simulation, command, producer.node)
    producer.restart(simulation.kernel)


def _pause(simulation: Simulation, command: c.PauseProducer) -> None:
    producer = producer_of(simulation, command.producer)
    if producer.paused:
        raise CommandError(f"{command.producer} is paused already")
    say(simulation, command, producer.node)
    producer.pause(simulation.kernel)


def _resume(simulation: Simulation, command: c.ResumeProducer) -> None:
    producer = producer_of(simulation, command.producer)
    if not producer.paused:
        raise CommandError(f"{command.producer} is not paused")
    say(simulation, command, producer.node)
    producer.resume(simulation.kernel)


def _poison_next(simulation: Simulation, command: c.PoisonNext) -> None:
    producer = producer_of(simulation, command.producer)
    say(simulation, command, producer.node)
    producer.poison_next = True


def _publish_now(simulation: Simulation, command: c.PublishNow) -> None:
    producer = producer_of(simulation, command.producer)
    _need(producer, "up")
    if command.key and command.key not in simulation.scenario.kinds:
        known = ", ".join(simulation.scenario.kinds) or "none"
        raise CommandError(f"there is no key {command.key!r}; there is {known}")
    say(simulation, command, producer.node, f"{command.count} now")
    cause = simulation.kernel.cause
    for _ in range(command.count):
        simulation.kernel.cause = cause
        producer.make(simulation.kernel, command.key or producer.next_key(simulation.kernel))


def _set_rate(simulation: Simulation, command: c.SetRate) -> None:
    producer = producer_of(simulation, command.producer)
    say(simulation, command, producer.node, f"{command.per_minute} a minute")
    producer.set_rate(simulation.kernel, command.per_minute)


# -- network ------------------------------------------------------------------------------------


def _drop_next_ack(simulation: Simulation, command: c.DropNextAck) -> None:
    link = link_of(simulation, command.actor)
    say(simulation, command, link.node)
    link.lose_next_ack = True


def _cut_link(simulation: Simulation, command: c.CutLink) -> None:
    link = link_of(simulation, command.actor)
    if link.state != "up":
        raise CommandError(f"the network of {command.actor} is {link.state} already")
    say(simulation, command, link.node)
    link.cut(simulation.kernel)


def _restore_link(simulation: Simulation, command: c.RestoreLink) -> None:
    link = link_of(simulation, command.actor)
    if link.state == "up":
        raise CommandError(f"the network of {command.actor} is up already")
    say(simulation, command, link.node)
    link.restore(simulation.kernel)


# -- administrators -----------------------------------------------------------------------------


def _purge(simulation: Simulation, command: c.PurgeQueue) -> None:
    broker, node = queue_of(simulation, command.system, command.queue)
    say(simulation, command, node)
    broker.execute(simulation.kernel, ADMIN, amqp.QueuePurge(command.queue))


def _redrive(simulation: Simulation, command: c.Redrive) -> None:
    """What a shovel does: get, publish to the other queue, acknowledge, one message after the other."""
    kernel = simulation.kernel
    broker, node = queue_of(simulation, command.system, command.queue)
    queue_of(simulation, command.system, command.to)
    if command.queue == command.to:
        raise CommandError("a redrive needs two different queues")
    say(simulation, command, node, f"to {command.to}")
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
    say(simulation, command, 0, f"seed {command.seed}")
    simulation.kernel.reseed(command.seed)


APPLY: dict[type[c.Command], Callable[[Simulation, Any], None]] = {
    c.CrashConsumer: _crash_consumer,
    c.RestartConsumer: _restart_consumer,
    c.StopConsumer: _stop_consumer,
    c.SlowConsumer: _slow_consumer,
    c.SetWork: _set_work,
    c.SetPrefetch: _set_prefetch,
    c.SetAcknowledge: _set_acknowledge,
    c.SetRetry: _set_retry,
    c.SetIdempotency: _set_idempotency,
    c.AddConsumer: rearranging.add_consumer,
    c.RemoveConsumer: rearranging.remove_consumer,
    c.AddProducer: rearranging.add_producer,
    c.RemoveProducer: rearranging.remove_producer,
    c.DeclareQueue: rearranging.declare_queue,
    c.BindQueue: rearranging.bind_queue,
    c.UnbindQueue: rearranging.unbind_queue,
    c.DeleteQueue: rearranging.delete_queue,
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
    c.PauseConsumer: kafka.pause_consumer,
    c.ResumeConsumer: kafka.resume_consumer,
    c.KillBroker: kafka.kill_broker,
    c.StopBroker: kafka.stop_broker,
    c.StartBroker: kafka.start_broker,
    c.HangBroker: kafka.hang_broker,
    c.ResumeBroker: kafka.resume_broker,
    c.AddPartitions: kafka.add_partitions,
    c.SeekGroup: kafka.seek_group,
    c.Seek: kafka.seek,
    c.SetAssignors: kafka.set_assignors,
    c.SetShareMember: kafka.set_share_member,
    c.RejectNext: kafka.refuse_next,
    c.ReleaseNext: kafka.refuse_next,
    c.SetIdempotence: kafka.set_idempotence,
    c.BeginTransaction: kafka.begin_transaction,
    c.CommitTransaction: kafka.end_transaction,
    c.AbortTransaction: kafka.end_transaction,
    c.Reseed: _reseed,
}
