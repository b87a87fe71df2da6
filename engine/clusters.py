"""Kafka's part of a room: its clusters, producers and group members on the stage, now and told anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from engine.actors.kafka_consumer import KafkaConsumer
from engine.actors.kafka_member import new_library
from engine.actors.kafka_output import FIRST, OutputProducer
from engine.actors.kafka_producer import KafkaProducer
from engine.actors.kafka_share_consumer import ShareConsumer
from engine.errors import ScenarioError
from engine.events import Event, NodeAdded, WireAdded
from engine.finding import ADMIN
from engine.kafka import operations as ops
from engine.kafka import telling
from engine.kafka.administration import check_retention_by_itself, clean_by_itself
from engine.kafka.broker import Kafka
from engine.kafka.clients.producer import Producer
from engine.kafka.events import PartitionsAssigned, PositionSet, RecordsAppended, RecordsAwaited, RecordsHeld
from engine.kafka.link import KafkaLink
from engine.kafka.settings import output_spec
from engine.kafka.share_fetching import config_of
from engine.scenario import KafkaConsumerSpec, KafkaProducerSpec, KafkaSystem, ShareConsumerSpec

if TYPE_CHECKING:
    from engine.simulation import Simulation


def build_cluster(simulation: Simulation, path: str, system: KafkaSystem) -> Kafka:
    """The cluster with its topics. Raises `ScenarioError` where it refuses one."""
    kernel = simulation.kernel
    cluster = Kafka(
        kernel, system.name, system.version, len(kernel.parts), simulation.switchboard,
        tuple(range(1, system.brokers + 1)), {key: written(value) for key, value in system.config.items()},
    )  # fmt: skip
    kernel.parts.append(cluster)
    for i, topic in enumerate(system.topics):
        config = {key: written(value) for key, value in topic.config.items()}
        config["replication.factor"] = str(topic.replication)
        small = config.pop("segment.bytes", "")
        if small:  # a stage may have segments smaller than a broker takes
            config["internal.segment.bytes"] = small
        answer = cluster.execute(kernel, ADMIN, ops.CreateTopic(topic.name, topic.partitions, config))
        assert isinstance(answer, ops.Answer)
        if answer.error:
            raise ScenarioError([f"{path}.topics[{i}]: refused by the cluster with {answer.error}"])
    for group in system.share_groups:
        config = {key: written(value) for key, value in group.config.items()}
        cluster.execute(kernel, ADMIN, ops.AlterGroupConfig(group.name, config))
    check_retention_by_itself(cluster)
    if any("compact" in topic.setting("cleanup.policy") for topic in cluster.topics.values()):
        clean_by_itself(cluster)
    return cluster


def written(value: str | int | float | bool) -> str:
    """A value of a configuration as Kafka has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _link(simulation: Simulation, name: str, system_name: str, node: int) -> KafkaLink:
    """A link to the named cluster and, right behind it in the list of parts, room for its actor."""
    kernel = simulation.kernel
    index, system = next(
        (i, s) for i, s in enumerate(simulation.scenario.system) if s.name == system_name
    )  # fmt: skip
    assert isinstance(system, KafkaSystem)
    owner = len(kernel.parts)
    link = KafkaLink(owner, 1 + index, owner + 1, node, int(system.link), int(system.request_timeout))
    simulation.kafka_links.append(link)
    kernel.parts.append(link)
    simulation.switchboard.links[name] = link
    return link


def add_producer(simulation: Simulation, spec: KafkaProducerSpec) -> KafkaProducer:
    """A producer on the stage, with its link. The caller lets it begin."""
    kernel = simulation.kernel
    node = kernel.next_node()
    link = _link(simulation, spec.name, spec.system, node)
    topic = kernel.parts[link.broker].topics[spec.to.topic].node
    actor = KafkaProducer(
        spec, link.actor, link.owner, node, topic, f"{spec.name}/arrivals", Producer(""),
        link.request_timeout_us,
    )  # fmt: skip
    now_us, cause = kernel.now_us, kernel.cause
    kernel.emit(NodeAdded(now_us, cause, node, "producer", spec.name, spec.system, actor.about()))
    kernel.emit(WireAdded(now_us, cause, node, topic, "publish", ""))
    simulation.actors.append(actor)
    kernel.parts.append(actor)
    return actor


def add_consumer(
    simulation: Simulation, spec: KafkaConsumerSpec | ShareConsumerSpec
) -> KafkaConsumer | ShareConsumer:
    """A group member on the stage, with its link. The caller lets it begin."""
    kernel = simulation.kernel
    node = kernel.next_node()
    link = _link(simulation, spec.name, spec.system, node)
    cluster: Kafka = kernel.parts[link.broker]
    cluster.kernel = kernel
    group = telling.group_node(cluster, spec.from_.group)
    _count_group(simulation, cluster, spec, group)
    common = link.actor, link.owner, node, group, f"{spec.name}/work", f"{spec.effect.name}/{group}"
    actor: KafkaConsumer | ShareConsumer
    if isinstance(spec, ShareConsumerSpec):
        actor = ShareConsumer(spec, *common, link.request_timeout_us)
    else:
        library = new_library(spec, "", node)
        actor = KafkaConsumer(spec, *common, link.request_timeout_us, library=library)
    now_us, cause = kernel.now_us, kernel.cause
    kernel.emit(NodeAdded(now_us, cause, node, "consumer", spec.name, spec.system, actor.about()))
    kernel.emit(actor.handler(now_us, cause))
    if isinstance(actor, KafkaConsumer) and actor.spec.to is not None:
        topic = cluster.topics[actor.spec.to.topic].node
        actor.output = OutputProducer(
            output_spec(actor.spec, actor.spec.to), link.actor, link.owner, node, topic, "", Producer(""),
            link.request_timeout_us, life=FIRST, numbers=FIRST,
        )  # fmt: skip
        kernel.emit(WireAdded(now_us, cause, node, topic, "publish", ""))
    if isinstance(actor, KafkaConsumer) and actor.spec.isolation == "read_committed":
        actor.tell(kernel)
    simulation.actors.append(actor)
    kernel.parts.append(actor)
    return actor


def _count_group(
    simulation: Simulation, cluster: Kafka, spec: KafkaConsumerSpec | ShareConsumerSpec, group: int
) -> None:
    """What the ledger has to know of a group before its first event."""
    assert simulation.counting is not None
    if isinstance(spec, ShareConsumerSpec):
        isolation = config_of(cluster, spec.from_.group)["share.isolation.level"]
        simulation.counting.share(group)
    else:
        isolation = spec.isolation
    if isolation == "read_committed":
        simulation.counting.state.committed_only[group] = True


# -- the present ----------------------------------------------------------------------------------


def bodies(simulation: Simulation, consumer: KafkaConsumer, now_us: int) -> Iterator[Event]:
    """What a group member has: its partitions, where it reads them, and what it has not worked yet. One that
    has none is said to have none: whose member it is, or was, nobody else may say."""
    owned = consumer.library.owned
    topics = simulation.kernel.parts[simulation.kernel.parts[consumer.link].broker].topics
    nodes = {partition: topics[partition[0]].partitions[partition[1]].node for partition in owned}
    group, node = consumer.group_node, consumer.node
    yield PartitionsAssigned(now_us, 0, group, node, tuple(nodes.values()))
    held: dict[int, int] = {}
    for place, first, _ in consumer.unworked():
        held.setdefault(place, first)
    for partition, position in sorted({**consumer.out_of_range, **consumer.library.positions}.items()):
        first = held.get(nodes[partition], position)
        yield PositionSet(now_us, 0, group, node, nodes[partition], first)
    parts = [*consumer.hand, *consumer.buffer]
    for i, (part, (place, first, next_)) in enumerate(zip(parts, consumer.unworked(), strict=True)):
        since_us = now_us if i else consumer.since_us
        for some in _in_parts(first, next_, part.offsets[part.at :], part.messages[part.at :]):
            yield RecordsHeld(since_us, 0, group, node, place, *some)
    for answer in awaited(simulation, consumer):
        place = topics[answer.topic].partitions[answer.partition].node
        messages = tuple(record.message for record in answer.records)
        for some in _in_parts(answer.offsets[0], answer.next, answer.offsets, messages):
            yield RecordsAwaited(now_us, 0, group, node, place, *some)
    if consumer.failed is not None:
        yield msgspec.structs.replace(consumer.failed, cause=0)


def _in_parts(
    first: int, next_: int, offsets: tuple[int, ...], messages: tuple[int, ...]
) -> Iterator[tuple[int, int, tuple[int, ...], tuple[int, ...]]]:
    """[first, next) with its records, in parts that one event may list."""
    most = telling.RECORDS_MOST // 2
    for at in range(0, max(1, len(offsets)), most):
        end = offsets[at + most] if at + most < len(offsets) else next_
        yield first, end, offsets[at : at + most], messages[at : at + most]
        first = end


def awaited(simulation: Simulation, consumer: KafkaConsumer) -> Iterator[ops.Fetched]:
    """Answers with records on their way to it, or that its process, standing still, did not take."""
    link: KafkaLink = simulation.kernel.parts[consumer.link]
    answers = [item.answer for item in link.down.values()] + [answer for _, answer in consumer.frozen_said]
    for answer in answers:
        if isinstance(answer, ops.Fetched) and answer.offsets:
            yield answer


def shared_bodies(simulation: Simulation, consumer: ShareConsumer, now_us: int) -> Iterator[Event]:
    """What a share group's member has: the partitions that it reads, and what it has not worked yet."""
    cluster = simulation.kernel.parts[simulation.kernel.parts[consumer.link].broker]
    group, node = consumer.group_node, consumer.node
    nodes = tuple(cluster.partition(*partition).node for partition in consumer.owned)
    yield PartitionsAssigned(now_us, 0, group, node, nodes)
    for i, (part, (place, first, next_)) in enumerate(zip(consumer.hand, consumer.unworked(), strict=True)):
        since_us = now_us if i else consumer.since_us
        for some in _in_parts(first, next_, part.offsets[part.at :], part.messages[part.at :]):
            yield RecordsHeld(since_us, 0, group, node, place, *some)
    if consumer.failed is not None:
        yield msgspec.structs.replace(consumer.failed, cause=0)


def messages_told(simulation: Simulation, stage: Iterable[Event]) -> Iterator[int]:
    """The messages that a statement of the present names: in logs, on their way there, with consumers, and
    still with their producers."""
    for event in stage:
        if isinstance(event, RecordsAppended):
            yield from event.messages
    for link in simulation.kafka_links:
        yield from link.publishes()
    for actor in simulation.actors:
        if isinstance(actor, KafkaProducer):
            yield from actor.unsent()
        elif isinstance(actor, KafkaConsumer | ShareConsumer):
            for part in (*actor.hand, *actor.buffer):
                yield from part.messages[part.at :]
            if isinstance(actor, KafkaConsumer):
                for answer in awaited(simulation, actor):
                    yield from (record.message for record in answer.records)
                if actor.output is not None:
                    yield from actor.output.unsent()
