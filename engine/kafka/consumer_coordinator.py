"""The coordinator's side of the consumer protocol (KIP-848): one heartbeat does everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.broker import Reply
from engine.kafka import operations as ops
from engine.kafka import telling
from engine.kafka.consumer_groups import ConsumerGroup, Member
from engine.kafka.errors import KafkaError
from engine.kafka.events import Gone
from engine.kafka.groups import Offsets

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka

LEAVES, LEAVES_FOR_A_WHILE = -1, -2

SESSION_MS = 45_000
"""group.consumer.session.timeout.ms: the server's, not the client's, unlike the classic protocol."""

HEARTBEAT_MS = 5_000
"""group.consumer.heartbeat.interval.ms, which every answer tells the member."""


def heartbeat_us(cluster: Kafka) -> int:
    """How often a member says that it is alive."""
    return cluster.milliseconds("group.consumer.heartbeat.interval.ms", HEARTBEAT_MS)


def heartbeat(cluster: Kafka, client: str, asked: ops.ConsumerGroupHeartbeat) -> Reply:
    """Joins, keeps alive, reports what is owned, leaves. Raises `KafkaError`."""
    group = _group(cluster, asked.group)
    member = group.members.get(asked.member)
    if asked.epoch in (LEAVES, LEAVES_FOR_A_WHILE):
        if member is None:
            raise KafkaError("UNKNOWN_MEMBER_ID")
        _leave(cluster, group, member, asked.epoch == LEAVES_FOR_A_WHILE)
        return ops.ConsumerGroupHeartbeatAnswered("", asked.epoch)
    if asked.epoch == 0:
        member = _join(cluster, client, group, asked)
    elif member is None:
        raise KafkaError("UNKNOWN_MEMBER_ID")
    elif asked.epoch > member.epoch:
        raise KafkaError("FENCED_MEMBER_EPOCH")
    elif asked.topics and asked.topics != member.topics:
        member.topics = asked.topics
        _retarget(cluster, group)
    _alive(cluster, group, member)
    group.reconcile(member, asked.owned if asked.epoch else ())
    telling.group_changed(cluster, group)
    return ops.ConsumerGroupHeartbeatAnswered("", member.epoch, tuple(member.assigned))


def _group(cluster: Kafka, name: str) -> ConsumerGroup:
    group = cluster.consumer.get(name)
    if group is None:
        classic = cluster.classic.get(name)
        if classic is not None and classic.members:
            raise KafkaError("INCONSISTENT_GROUP_PROTOCOL")
        offsets = classic.offsets if classic is not None else Offsets({})
        group = ConsumerGroup(name, cluster.next_number(), members={}, target={}, offsets=offsets)
        cluster.consumer[name] = group
    return group


def _join(cluster: Kafka, client: str, group: ConsumerGroup, asked: ops.ConsumerGroupHeartbeat) -> Member:
    static = group.by_instance(asked.instance)
    if static is not None and not static.away and static.id != asked.member:
        raise KafkaError("UNRELEASED_INSTANCE_ID")  # its old process has not said that it is away
    known = static or group.members.get(asked.member)
    if (
        known is not None
    ):  # a static member is back, or a fenced one begins anew: its partitions are still its own
        changed = known.topics != asked.topics
        telling.gone(cluster, group.name, known.node, known.id, "left")
        cluster.cancel(known.timer)
        target = group.target.pop(known.id, known.assigned)
        del group.members[known.id]
        known.id, known.client, known.topics, known.away, known.timer = (
            asked.member,
            client,
            asked.topics,
            False,
            0,
        )
        known.revoking = []
        known.node = asked.node
        telling.joined(cluster, group.name, known.node, known.id)
        group.members[known.id] = known
        group.target[known.id] = list(target)
        if changed:
            _retarget(cluster, group)
        return known
    session_us = asked.session_us or cluster.milliseconds("group.consumer.session.timeout.ms", SESSION_MS)
    member = Member(
        asked.member, client, cluster.next_number(), asked.node, asked.topics, asked.assignor, asked.instance,
        session_us, 0, [], [],
    )  # fmt: skip
    group.members[member.id] = member
    telling.joined(cluster, group.name, member.node, member.id)
    _retarget(cluster, group)
    return member


def _retarget(cluster: Kafka, group: ConsumerGroup) -> None:
    wanted = tuple(dict.fromkeys(topic for member in group.members.values() for topic in member.topics))
    group.retarget(cluster.counts(wanted))


def _leave(cluster: Kafka, group: ConsumerGroup, member: Member, for_a_while: bool) -> None:
    if for_a_while and member.instance:
        member.away = True
        telling.gone(cluster, group.name, member.node, member.id, "away")
        _alive(cluster, group, member)
    else:
        _remove(cluster, group, member, "left")
    telling.group_changed(cluster, group)


def _remove(cluster: Kafka, group: ConsumerGroup, member: Member, why: Gone) -> None:
    cluster.cancel(member.timer)
    telling.gone(cluster, group.name, member.node, member.id, why)
    del group.members[member.id]
    group.target.pop(member.id, None)
    _retarget(cluster, group)


def _alive(cluster: Kafka, group: ConsumerGroup, member: Member) -> None:
    cluster.cancel(member.timer)
    member.timer = cluster.schedule(member.session_us, "consumer_session", group.number, member.number)


def session_over(cluster: Kafka, group_number: int, number: int) -> None:
    """Nothing was heard of the member for group.consumer.session.timeout.ms."""
    group = next((group for group in cluster.consumer.values() if group.number == group_number), None)
    member = next((m for m in group.members.values() if m.number == number), None) if group else None
    if group is not None and member is not None:
        member.timer = 0
        _remove(cluster, group, member, "session")
        telling.group_changed(cluster, group)


def topics_changed(cluster: Kafka, topic: str) -> None:
    """A topic has come, or has more partitions: the groups that want it get a new epoch."""
    for group in cluster.consumer.values():
        if any(topic in member.topics for member in group.members.values()):
            _retarget(cluster, group)
            telling.group_changed(cluster, group)
