"""What the commands do that only a Kafka cluster knows. No broker rule is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import commands as c
from engine.errors import CommandError
from engine.finding import ADMIN, cluster_of, kafka_consumer_of, say
from engine.kafka import operations as ops

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka
    from engine.simulation import Simulation


def pause_consumer(simulation: Simulation, command: c.PauseConsumer) -> None:
    consumer = kafka_consumer_of(simulation, command.consumer)
    if consumer.state != "up":
        raise CommandError(f"{command.consumer} is {consumer.state}: this needs it up")
    if consumer.paused:
        raise CommandError(f"{command.consumer} is paused already")
    say(simulation, command, consumer.node)
    consumer.pause(simulation.kernel)


def resume_consumer(simulation: Simulation, command: c.ResumeConsumer) -> None:
    consumer = kafka_consumer_of(simulation, command.consumer)
    if not consumer.paused:
        raise CommandError(f"{command.consumer} is not paused")
    say(simulation, command, consumer.node)
    consumer.resume(simulation.kernel)


def _broker(simulation: Simulation, system: str, broker: int, up: bool) -> Kafka:
    """The cluster whose broker this is. Raises `CommandError`."""
    cluster = cluster_of(simulation, system)
    if broker not in cluster.brokers:
        raise CommandError(f"there is no broker {broker} in {system}; there is {len(cluster.brokers)}")
    if cluster.brokers[broker].up != up:
        raise CommandError(f"broker {broker} of {system} is {'down' if up else 'up'} already")
    return cluster


def kill_broker(simulation: Simulation, command: c.KillBroker) -> None:
    cluster = _broker(simulation, command.system, command.broker, True)
    say(simulation, command, cluster.brokers[command.broker].node)
    cluster.execute(simulation.kernel, ADMIN, ops.StopBroker(command.broker))


def stop_broker(simulation: Simulation, command: c.StopBroker) -> None:
    cluster = _broker(simulation, command.system, command.broker, True)
    say(simulation, command, cluster.brokers[command.broker].node)
    cluster.execute(simulation.kernel, ADMIN, ops.StopBroker(command.broker, clean=True))


def start_broker(simulation: Simulation, command: c.StartBroker) -> None:
    cluster = _broker(simulation, command.system, command.broker, False)
    say(simulation, command, cluster.brokers[command.broker].node)
    cluster.execute(simulation.kernel, ADMIN, ops.StartBroker(command.broker))


def hang_broker(simulation: Simulation, command: c.HangBroker) -> None:
    cluster = _broker(simulation, command.system, command.broker, True)
    broker = cluster.brokers[command.broker]
    if broker.hung:
        raise CommandError(f"broker {command.broker} of {command.system} copies nothing already")
    say(simulation, command, broker.node)
    cluster.execute(simulation.kernel, ADMIN, ops.HangBroker(command.broker))


def resume_broker(simulation: Simulation, command: c.ResumeBroker) -> None:
    cluster = _broker(simulation, command.system, command.broker, True)
    broker = cluster.brokers[command.broker]
    if not broker.hung:
        raise CommandError(f"broker {command.broker} of {command.system} copies already")
    say(simulation, command, broker.node)
    cluster.execute(simulation.kernel, ADMIN, ops.ResumeBroker(command.broker))


def add_partitions(simulation: Simulation, command: c.AddPartitions) -> None:
    cluster = cluster_of(simulation, command.system)
    topic = cluster.topics.get(command.topic)
    if topic is None:
        known = ", ".join(cluster.topics) or "none"
        raise CommandError(f"there is no topic {command.topic!r} in {command.system}; there is {known}")
    has = len(topic.partitions)
    if command.count <= has:
        raise CommandError(f"{command.topic} has {has} partitions: they can only become more")
    say(simulation, command, topic.node, f"{command.count} partitions")
    cluster.execute(simulation.kernel, ADMIN, ops.CreatePartitions(command.topic, command.count))


def seek_group(simulation: Simulation, command: c.SeekGroup) -> None:
    cluster = cluster_of(simulation, command.system)
    group = cluster.classic.get(command.group)
    if group is None:
        known = ", ".join(cluster.classic) or "none"
        raise CommandError(f"there is no group {command.group!r} in {command.system}; there is {known}")
    if group.members:
        raise CommandError(f"{command.group} has members: offsets are reset of a group without any")
    offsets = []
    for partition, _ in group.offsets.all():
        listed = cluster.execute(simulation.kernel, ADMIN, ops.ListOffsets(*partition, command.to))
        if isinstance(listed, ops.OffsetListed):
            offsets.append((partition, listed.offset))
    if not offsets:
        raise CommandError(f"{command.group} has committed nothing that could be reset")
    say(simulation, command, cluster.group_nodes[command.group], f"to {command.to}")
    cluster.execute(simulation.kernel, ADMIN, ops.OffsetCommit(command.group, "", -1, tuple(offsets)))
