"""What the commands do that only a Kafka cluster knows. No broker rule is here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine import commands as c
from engine.actors import kafka_transactions as transactions
from engine.actors.kafka_consumer import KafkaConsumer
from engine.actors.kafka_producer import KafkaProducer
from engine.actors.kafka_share_consumer import ShareConsumer
from engine.durations import spoken
from engine.errors import CommandError
from engine.finding import (
    ADMIN,
    actor_of,
    cluster_of,
    group_member_of,
    kafka_consumer_of,
    kafka_producer_of,
    say,
)
from engine.kafka import operations as ops
from engine.kafka.settings import is_idempotent

if TYPE_CHECKING:
    from engine.kafka.assignors import Partition
    from engine.kafka.broker import Kafka
    from engine.kafka.classic import ClassicGroup
    from engine.kafka.consumer_groups import ConsumerGroup
    from engine.simulation import Simulation


def pause_consumer(simulation: Simulation, command: c.PauseConsumer) -> None:
    consumer = group_member_of(simulation, command.consumer)
    if consumer.state != "up":
        raise CommandError(f"{command.consumer} is {consumer.state}: this needs it up")
    if consumer.paused:
        raise CommandError(f"{command.consumer} is paused already")
    say(simulation, command, consumer.node)
    consumer.pause(simulation.kernel)


def resume_consumer(simulation: Simulation, command: c.ResumeConsumer) -> None:
    consumer = group_member_of(simulation, command.consumer)
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


def _group(simulation: Simulation, system: str, name: str) -> tuple[Kafka, ClassicGroup | ConsumerGroup]:
    """The group with its cluster. Raises `CommandError`."""
    cluster = cluster_of(simulation, system)
    if name in cluster.share_groups:
        raise CommandError(f"{name} is a share group: it has no offsets to seek")
    group = cluster.consumer.get(name) or cluster.classic.get(name)
    if group is None:
        known = ", ".join(dict.fromkeys([*cluster.consumer, *cluster.classic])) or "none"
        raise CommandError(f"there is no group {name!r} in {system}; there is {known}")
    return cluster, group


NEEDS = {"offset": "offset", "shift": "by", "datetime": "time_us"}
"""What a seek needs beside `to`."""


def _whole(command: c.SeekGroup | c.Seek) -> None:
    """What belongs together is given together. Raises `CommandError`."""
    name = type(command).__name__
    for to, field in NEEDS.items():
        given = getattr(command, field, None) is not None
        if given and command.to != to:
            raise CommandError(f'{name}: expected {field} with to = "{to}" only')
        if not given and command.to == to:
            raise CommandError(f'{name}: expected {field} with to = "{to}"')
    if command.partition is not None and not command.topic:
        raise CommandError(f"{name}: expected a topic with the partition")


def _said_where(command: c.SeekGroup | c.Seek) -> str:
    """The seek in a few words."""
    partition = "" if command.partition is None else f"-{command.partition}"
    of = f" of {command.topic}{partition}" if command.topic else ""
    if isinstance(command, c.SeekGroup) and command.to == "shift":
        return f"by {command.by:+d}{of}"
    if isinstance(command, c.SeekGroup) and command.to == "datetime":
        return f"to {spoken(command.time_us or 0)}{of}"
    return f"to offset {command.offset}{of}" if command.to == "offset" else f"to {command.to}{of}"


def seek_group(simulation: Simulation, command: c.SeekGroup) -> None:
    _whole(command)
    cluster, group = _group(simulation, command.system, command.group)
    if group.members:
        state = group.described().state
        raise CommandError(
            f"offsets of {command.group} can only be reset while it is inactive, and its state is {state}"
        )
    offsets = [
        (partition, _sought(simulation, cluster, command, partition, group.offsets.of(partition)))
        for partition in _partitions(cluster, command, [partition for partition, _ in group.offsets.all()])
    ]
    if not offsets:
        raise CommandError(f"{command.group} has committed nothing that could be reset")
    say(simulation, command, cluster.group_nodes[command.group], _said_where(command))
    cluster.execute(simulation.kernel, ADMIN, ops.OffsetCommit(command.group, "", -1, tuple(offsets)))


def _partitions(
    cluster: Kafka, command: c.SeekGroup | c.Seek, without: list[Partition]
) -> list[Partition]:  # fmt: skip
    """What a seek means; `without` a topic. Raises `CommandError`."""
    if not command.topic:
        return without
    topic = cluster.topics.get(command.topic)
    if topic is None:
        known = ", ".join(cluster.topics) or "none"
        raise CommandError(f"there is no topic {command.topic!r} in {cluster.name}; there is {known}")
    count = len(topic.partitions)
    if command.partition is None:
        return [(command.topic, number) for number in range(count)]
    if command.partition >= count:
        raise CommandError(f"there is no {command.topic}-{command.partition}: {command.topic} has {count}")
    return [(command.topic, command.partition)]


def _sought(
    simulation: Simulation, cluster: Kafka, command: c.SeekGroup, partition: Partition, committed: int
) -> int:
    """The offset to commit, between the log's ends. Raises `CommandError`."""

    def listed(at: Literal["earliest", "latest", "timestamp"], time_us: int = -1) -> int:
        asked = ops.ListOffsets(*partition, at, timestamp_us=time_us)
        answer = cluster.execute(simulation.kernel, ADMIN, asked)
        if not isinstance(answer, ops.OffsetListed):
            raise CommandError(f"{partition[0]}-{partition[1]} has no leader that could be asked")
        return answer.offset

    start, end = listed("earliest"), listed("latest")
    if command.to == "datetime":
        found = listed("timestamp", command.time_us or 0)
        return end if found < 0 else found
    if command.to == "shift" and committed < 0:
        where = f"{partition[0]}-{partition[1]}"
        raise CommandError(f"cannot shift {where}: {command.group} has committed no offset of it")
    wanted = {"earliest": start, "latest": end, "offset": command.offset or 0,
              "shift": committed + (command.by or 0)}[command.to]  # fmt: skip
    return min(max(wanted, start), end)


def seek(simulation: Simulation, command: c.Seek) -> None:
    _whole(command)
    consumer = kafka_consumer_of(simulation, command.consumer)
    if consumer.state != "up":
        raise CommandError(f"{command.consumer} is {consumer.state}: this needs it up")
    cluster = cluster_of(simulation, consumer.spec.system)
    has = sorted(consumer.owned)
    partitions = [p for p in _partitions(cluster, command, has) if command.partition is not None or p in has]
    if not partitions or any(partition not in has for partition in partitions):
        known = ", ".join(f"{topic}-{number}" for topic, number in has) or "none"
        raise CommandError(f"{command.consumer} can only seek in partitions that it is assigned: {known}")
    say(simulation, command, consumer.node, _said_where(command))
    to: int | str = command.to if command.offset is None else command.offset
    consumer.seek(simulation.kernel, partitions, to)


def set_assignors(simulation: Simulation, command: c.SetAssignors) -> None:
    members = [
        actor
        for actor in simulation.actors
        if isinstance(actor, KafkaConsumer) and not actor.removed
        and (actor.spec.system, actor.spec.from_.group) == (command.system, command.group)
    ]  # fmt: skip
    cluster = cluster_of(simulation, command.system)
    if not members:
        known = ", ".join(cluster.group_nodes) or "none"
        raise CommandError(f"{command.group!r} in {command.system} has no members; there is {known}")
    if len(set(command.assignors)) < len(command.assignors):
        raise CommandError("SetAssignors: expected each assignor once")
    if members[0].spec.protocol == "consumer":
        if len(command.assignors) > 1 or command.assignors[0] not in ("uniform", "range"):
            raise CommandError(
                f"{command.group} speaks the consumer protocol: expected one of uniform, range"
            )
    elif "uniform" in command.assignors:
        raise CommandError(
            f"{command.group} speaks the classic protocol: uniform is of the consumer protocol"
        )
    say(simulation, command, members[0].group_node, ", ".join(command.assignors))
    for place, member in enumerate(members):
        member.set_assignors(simulation.kernel, list(command.assignors), place)


def _share_member(simulation: Simulation, name: str) -> ShareConsumer:
    """Raises `CommandError`."""
    consumer = group_member_of(simulation, name)
    if not isinstance(consumer, ShareConsumer):
        raise CommandError(f"{name} is no member of a share group")
    return consumer


def refuse_next(simulation: Simulation, command: c.RejectNext | c.ReleaseNext) -> None:
    consumer = _share_member(simulation, command.consumer)
    if consumer.state != "up":
        raise CommandError(f"{command.consumer} is {consumer.state}: this needs it up")
    if consumer.spec.acknowledge == "implicit":
        raise CommandError(f"{command.consumer} accepts all that it is given: expected explicit for that")
    say(simulation, command, consumer.node)
    consumer.refuse_next("reject" if isinstance(command, c.RejectNext) else "release")


def set_share_member(simulation: Simulation, command: c.SetShareMember) -> None:
    consumer = _share_member(simulation, command.consumer)
    given = {
        name: value
        for name in ("acknowledge", "failed", "max_poll_records")
        if (value := getattr(command, name)) is not None
    }
    if not given:
        raise CommandError("SetShareMember: expected acknowledge, failed or max_poll_records")
    if command.failed and (command.acknowledge or consumer.spec.acknowledge) == "implicit":
        raise CommandError(f"{command.consumer} accepts what it failed on: expected explicit with failed")
    words = {"acknowledge": "", "failed": "failed: ", "max_poll_records": "at most "}
    said = ", ".join(f"{words[name]}{value}" for name, value in given.items())
    say(simulation, command, consumer.node, said)
    consumer.set_sharing(simulation.kernel, given)


def set_idempotence(simulation: Simulation, command: c.SetIdempotence) -> None:
    producer = kafka_producer_of(simulation, command.producer)
    on = "on" if command.on else "off"
    if command.on == is_idempotent(producer.spec):
        raise CommandError(f"idempotence of {command.producer} is {on} already")
    if command.on and producer.spec.acks != "all":
        raise CommandError(f"idempotence needs acks = all, and {command.producer} has {producer.spec.acks}")
    if producer.spec.transactional_id:
        raise CommandError(f"{command.producer} writes in transactions: they need idempotence")
    say(simulation, command, producer.node, on)
    producer.set_idempotence(simulation.kernel, command.on)


def _transactional(simulation: Simulation, name: str, open_: bool) -> KafkaProducer:
    """The producer, if it is up and has a transaction open, or none. Raises `CommandError`."""
    producer = kafka_producer_of(simulation, name)
    if not producer.spec.transactional_id:
        raise CommandError(f"{name} has no transactional.id: it writes without transactions")
    if producer.state != "up":
        raise CommandError(f"{name} is {producer.state}: this needs it up")
    if producer.ending:
        raise CommandError(f"{name} is about to {producer.ending} its transaction already")
    if producer.library.open != open_:
        raise CommandError(f"{name} has {'no' if open_ else 'a'} transaction open")
    return producer


def begin_transaction(simulation: Simulation, command: c.BeginTransaction) -> None:
    producer = _transactional(simulation, command.producer, False)
    say(simulation, command, producer.node, producer.spec.transactional_id)
    transactions.begin(producer, simulation.kernel)


def end_transaction(simulation: Simulation, command: c.CommitTransaction | c.AbortTransaction) -> None:
    named = actor_of(simulation, command.producer, object)
    if isinstance(named, KafkaConsumer) and isinstance(command, c.AbortTransaction):
        _abort_of_member(simulation, command)
        return
    producer = _transactional(simulation, command.producer, True)
    say(simulation, command, producer.node, producer.spec.transactional_id)
    transactions.end(producer, simulation.kernel, commit=isinstance(command, c.CommitTransaction))


def _abort_of_member(simulation: Simulation, command: c.AbortTransaction) -> None:
    """Its application takes it back as soon as it can. Raises `CommandError`."""
    member = kafka_consumer_of(simulation, command.producer)
    if not member.transactional or member.output is None:
        raise CommandError(f"{command.producer} has no transactional.id: it writes without transactions")
    if member.state != "up":
        raise CommandError(f"{command.producer} is {member.state}: this needs it up")
    if member.output.ending:
        raise CommandError(f"{command.producer} is about to {member.output.ending} its transaction already")
    if not member.output.library.open:
        raise CommandError(f"{command.producer} has no transaction open")
    say(simulation, command, member.node, member.output.spec.transactional_id)
    member.abort()
