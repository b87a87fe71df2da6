"""The coordinator's side of a share group (KIP-932): who is a member, and who reads which partitions.

A partition may be several members' at once, and nobody gives up anything before another one gets it: a share
group never waits for a rebalance. The assignor is Kafka's `simple`
(`org.apache.kafka.coordinator.group.assignor.SimpleAssignor`, 4.1 and later). Where Kafka takes what comes
first in a hash set, this takes the lowest partition and the member that joined first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.broker import Reply
from engine.kafka import operations as ops
from engine.kafka import telling
from engine.kafka.assignors import Partition
from engine.kafka.errors import KafkaError
from engine.kafka.events import Gone

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka

LEAVES = -1

SESSION_MS = 45_000
"""group.share.session.timeout.ms, and a group's own share.session.timeout.ms."""
HEARTBEAT_MS = 5_000
"""group.share.heartbeat.interval.ms, and a group's own share.heartbeat.interval.ms, which every answer tells
the member."""


class ShareMember(msgspec.Struct, array_like=True):
    """One consumer. `epoch` is the group epoch that it was told last."""

    id: str
    number: int
    node: int
    topics: tuple[str, ...]
    epoch: int = 0
    timer: int = 0


class ShareGroup(msgspec.Struct, array_like=True):
    """`target` by member id; every epoch has a new one."""

    name: str
    number: int
    epoch: int = 0
    rebalances: int = 0
    members: dict[str, ShareMember] = {}
    target: dict[str, list[Partition]] = {}
    told: tuple[str, int, str] = ("", 0, "")
    """State, epoch and assignor, as an event has said them last."""
    told_us: int = 0
    """When it did."""

    def described(self) -> ops.GroupDescribed:
        """What an administrator is told."""
        held = tuple(sorted((member, tuple(partitions)) for member, partitions in self.target.items()))
        state = "Stable" if self.members else "Empty"
        return ops.GroupDescribed("", state, "simple", self.epoch, self.rebalances, held)


def simple(
    members: list[str], partitions: list[Partition], owned: dict[str, list[Partition]]
) -> dict[str, list[Partition]]:
    """Who reads what: each partition is read by as many members, rounded up, and what members have they keep
    as far as balance lets them. `members` in order of joining."""
    if not members or not partitions:
        return {member: [] for member in members}
    sharing = -(-len(members) // len(partitions))
    places = sharing * len(partitions)
    count = {
        member: -(-places * (i + 1) // len(members)) + (-places * i // len(members))
        for i, member in enumerate(members)
    }
    kept = {m: [p for p in owned.get(m, []) if p in partitions] for m in members}
    for partition in partitions:
        having = [member for member in members if partition in kept[member]]
        overfilled_first = sorted(having, key=lambda member: len(kept[member]) <= count[member])
        for member in overfilled_first[: max(0, len(having) - sharing)]:
            kept[member].remove(partition)
    for member in members:
        del kept[member][count[member] :]
    for partition in partitions:
        missing = sharing - sum(partition in each for each in kept.values())
        wanting = [m for m in members if len(kept[m]) < count[m] and partition not in kept[m]]
        wanting.sort(key=lambda member: len(kept[member]) - count[member])
        for member in wanting[: max(0, missing)]:
            kept[member].append(partition)
    return {member: sorted(held) for member, held in kept.items()}


def assigned(
    members: dict[str, tuple[str, ...]], counts: dict[str, int], owned: dict[str, list[Partition]]
) -> dict[str, list[Partition]]:
    """Who reads what. `members` in order of joining, each with the topics that it subscribes to; `counts`
    says how many partitions a topic has.

    Where all read the same topics their partitions are shared out together; else each topic's for itself, to
    those who read it (`SimpleHeterogeneousAssignmentBuilder`).
    """
    partitions = {topic: [(topic, n) for n in range(counts[topic])] for topic in sorted(counts)}
    if len({frozenset(topics) for topics in members.values()}) < 2:
        return simple(list(members), [each for of in partitions.values() for each in of], owned)
    held: dict[str, list[Partition]] = {member: [] for member in members}
    for topic, of_topic in partitions.items():
        readers = [member for member, topics in members.items() if topic in topics]
        for member, more in simple(readers, of_topic, owned).items():
            held[member] += more
    return held


def heartbeat_us(cluster: Kafka, group: str) -> int:
    """How often a member of this group says that it is alive."""
    return _milliseconds(cluster, group, "heartbeat.interval.ms", HEARTBEAT_MS)


def _milliseconds(cluster: Kafka, group: str, key: str, default: int) -> int:
    """A group's own setting, else the brokers' one for share groups; in µs."""
    own = cluster.share_config.get(group, {}).get(f"share.{key}")
    return cluster.milliseconds(f"group.share.{key}", default) if own is None else int(own) * 1_000


def heartbeat(cluster: Kafka, client: str, asked: ops.ShareGroupHeartbeat) -> Reply:
    """Joins (epoch 0), stays, leaves (-1). The answer says what the member reads. Raises `KafkaError`."""
    group = cluster.share_groups.get(asked.group)
    if group is None:
        if asked.group in cluster.consumer or asked.group in cluster.classic:
            raise KafkaError("GROUP_ID_NOT_FOUND")  # it is a group of another type
        group = ShareGroup(asked.group, cluster.next_number(), members={}, target={})
        cluster.share_groups[asked.group] = group
    member = group.members.get(asked.member)
    if asked.epoch == LEAVES:
        if member is None:
            raise KafkaError("UNKNOWN_MEMBER_ID")
        _remove(cluster, group, member, "left")
        return ops.ShareGroupHeartbeatAnswered("", LEAVES)
    if member is None:
        if asked.epoch:
            raise KafkaError("UNKNOWN_MEMBER_ID")
        member = ShareMember(asked.member, cluster.next_number(), asked.node, asked.topics)
        group.members[member.id] = member
        telling.joined(cluster, group.name, member.node, member.id)
        _retarget(cluster, group)
    cluster.cancel(member.timer)
    session_us = _milliseconds(cluster, group.name, "session.timeout.ms", SESSION_MS)
    member.timer = cluster.schedule(session_us, "share_session", group.number, member.number)
    member.epoch = group.epoch
    return ops.ShareGroupHeartbeatAnswered("", group.epoch, tuple(group.target.get(member.id, ())))


def _retarget(cluster: Kafka, group: ShareGroup) -> None:
    """A new group epoch: somebody came or went, or a topic grew."""
    group.epoch += 1
    group.rebalances += bool(group.members)
    topics = tuple(dict.fromkeys(topic for member in group.members.values() for topic in member.topics))
    members = {member.id: member.topics for member in group.members.values()}
    group.target = assigned(members, cluster.counts(topics), group.target)
    telling.group_changed(cluster, group)


def _remove(cluster: Kafka, group: ShareGroup, member: ShareMember, why: Gone) -> None:
    """Its partitions are others' from now on. What it has acquired is no business of the coordinator's."""
    cluster.cancel(member.timer)
    telling.gone(cluster, group.name, member.node, member.id, why)
    del group.members[member.id]
    group.target.pop(member.id, None)
    _retarget(cluster, group)


def session_over(cluster: Kafka, group_number: int, number: int) -> None:
    """Nothing was heard of the member for group.share.session.timeout.ms."""
    for group in cluster.share_groups.values():
        for member in list(group.members.values()):
            if (group.number, member.number) == (group_number, number):
                member.timer = 0
                _remove(cluster, group, member, "session")


def topics_changed(cluster: Kafka, topic: str) -> None:
    """A topic has more partitions: the groups that read it get a new epoch."""
    for group in cluster.share_groups.values():
        if any(topic in member.topics for member in group.members.values()):
            _retarget(cluster, group)
