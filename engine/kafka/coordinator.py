"""The group coordinator: offsets of every group, and the classic protocol's generations.

A group moves Empty → PreparingRebalance (who is still there joins again) → CompletingRebalance (the
leader hands in the assignment) → Stable. `org.apache.kafka.coordinator.group.GroupMetadataManager`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.broker import Reply
from engine.kafka import operations as ops
from engine.kafka import telling
from engine.kafka.assignors import Partition
from engine.kafka.classic import ClassicGroup, ClassicMember
from engine.kafka.errors import KafkaError
from engine.kafka.events import Gone
from engine.kafka.groups import Offsets

if TYPE_CHECKING:
    from engine.kafka.broker import Kafka

INITIAL_DELAY_MS = 3_000
"""group.initial.rebalance.delay.ms: a new group waits that long for more members."""


# -- offsets ----------------------------------------------------------------------------------------


def _offsets(cluster: Kafka, group: str) -> Offsets:
    """The group's committed offsets; a group that only stores offsets comes to be by that."""
    if group in cluster.consumer:
        return cluster.consumer[group].offsets
    return _classic(cluster, group).offsets


def _classic(cluster: Kafka, name: str) -> ClassicGroup:
    group = cluster.classic.get(name)
    if group is None:
        group = ClassicGroup(name, cluster.next_number(), members={}, offsets=Offsets({}))
        cluster.classic[name] = group
    return group


def commit_for(cluster: Kafka, group: str, offsets: tuple[tuple[Partition, int], ...], by: int) -> None:
    """A transaction has committed: its offsets, sent by the member at node `by`, count from now on."""
    _offsets(cluster, group).commit(offsets)
    telling.committed(cluster, group, offsets, by)


def check_transactional(cluster: Kafka, asked: ops.TxnOffsetCommit) -> int:
    """Who sends offsets to a transaction has to be the group's member that it says it is (KIP-447). Returns
    its node. Raises `KafkaError`; an old epoch of the consumer protocol is ILLEGAL_GENERATION here."""
    consumer = cluster.consumer.get(asked.group)
    members = consumer.members if consumer is not None else _classic(cluster, asked.group).members
    if asked.member not in members:
        raise KafkaError("UNKNOWN_MEMBER_ID")
    if consumer is not None:
        generation = consumer.members[asked.member].epoch
    else:
        generation = _classic(cluster, asked.group).generation
    if asked.generation != generation:
        raise KafkaError("ILLEGAL_GENERATION")
    return members[asked.member].node


def offset_commit(cluster: Kafka, client: str, asked: ops.OffsetCommit) -> Reply:
    """Offsets are stored as they are, forwards or backwards. Raises `KafkaError`."""
    consumer, by = cluster.consumer.get(asked.group), 0
    if consumer is not None:
        consumer.check_commit(asked.member, asked.generation)
        by = consumer.members[asked.member].node if asked.member else 0
    else:
        group = _classic(cluster, asked.group)
        if not asked.member:
            if group.members:
                raise KafkaError("UNKNOWN_MEMBER_ID")
        elif asked.member not in group.members:
            raise KafkaError("UNKNOWN_MEMBER_ID")
        elif asked.generation != group.generation:
            raise KafkaError("ILLEGAL_GENERATION")
        elif group.state == "CompletingRebalance":
            raise KafkaError("REBALANCE_IN_PROGRESS")
        by = group.members[asked.member].node if asked.member else 0
    _offsets(cluster, asked.group).commit(asked.offsets)
    telling.committed(cluster, asked.group, asked.offsets, by)
    return ops.Done()


def offset_fetch(cluster: Kafka, client: str, asked: ops.OffsetFetch) -> Reply:
    """Raises `KafkaError`: UNSTABLE_OFFSET_COMMIT asks the consumer to try again."""
    offsets = _offsets(cluster, asked.group)
    if asked.stable:
        pending = [known.offsets.get(asked.group, {}) for known in cluster.transactions.values()]
        if any(f"{topic}-{number}" in each for topic, number in asked.partitions for each in pending):
            raise KafkaError("UNSTABLE_OFFSET_COMMIT")
    if not asked.partitions:
        return ops.OffsetsFetched("", tuple(offsets.all()))
    known = ((partition, offsets.of(partition)) for partition in asked.partitions)
    return ops.OffsetsFetched("", tuple((partition, offset) for partition, offset in known if offset >= 0))


def describe_group(cluster: Kafka, client: str, asked: ops.DescribeGroup) -> Reply:
    consumer = cluster.consumer.get(asked.group)
    if consumer is not None:
        return consumer.described()
    return _classic(cluster, asked.group).described()


# -- joining ------------------------------------------------------------------------------------------


def join(cluster: Kafka, client: str, asked: ops.JoinGroup) -> Reply | None:
    """The answer is pushed. A member that no other could agree with is refused."""
    consumer = cluster.consumer.get(asked.group)
    group = _classic(cluster, asked.group)
    if consumer is not None and consumer.members:
        refuse(cluster, client, asked.group, "INCONSISTENT_GROUP_PROTOCOL")
        return None
    known = group.members.get(asked.member)
    if asked.member and known is None:
        fenced = group.by_instance(asked.instance) is not None
        refuse(cluster, client, asked.group, "FENCED_INSTANCE_ID" if fenced else "UNKNOWN_MEMBER_ID")
        return None
    if not group.supports(asked.protocols, but=asked.member):
        refuse(cluster, client, asked.group, "INCONSISTENT_GROUP_PROTOCOL")
        return None
    static = group.by_instance(asked.instance)
    if known is None and static is not None:
        _come_back(cluster, client, group, static, asked)
    elif known is None:
        member = _new_member(cluster, client, group, asked)
        member.joining = True
        _prepare(cluster, group)
    else:
        _join_again(cluster, group, known, asked)
    return None


def refuse(cluster: Kafka, client: str, group: str, error: str) -> None:
    cluster.push(client, ops.Joined(group, error))


def _new_member(cluster: Kafka, client: str, group: ClassicGroup, asked: ops.JoinGroup) -> ClassicMember:
    number = cluster.next_number()
    member = ClassicMember(
        f"{client}-{number:08x}", client, client, number, asked.node, asked.topics, asked.protocols,
        asked.owned, asked.owned_generation, asked.instance, asked.session_us, asked.rebalance_us,
    )  # fmt: skip
    group.members[member.id] = member
    telling.joined(cluster, group.name, member.node, member.id)
    return member


def _join_again(cluster: Kafka, group: ClassicGroup, member: ClassicMember, asked: ops.JoinGroup) -> None:
    """A known member joins: because the group rebalances, or because what it wants has changed."""
    member.topics, member.protocols = asked.topics, asked.protocols
    member.owned, member.owned_generation = asked.owned, asked.owned_generation
    member.joining = True
    _alive(cluster, group, member)
    if group.state == "PreparingRebalance":
        _complete_if_all(cluster, group)
    else:
        _prepare(cluster, group)


def _come_back(
    cluster: Kafka, client: str, group: ClassicGroup, old: ClassicMember, asked: ops.JoinGroup
) -> None:
    """A static member with a new process takes its old place; in a stable group nothing happens (KIP-345)."""
    number = cluster.next_number()
    new_id = f"{client}-{number:08x}"
    same = (asked.topics, asked.protocols) == (old.topics, old.protocols)
    members = list(group.members.values())
    cluster.cancel(old.timer)
    was = old.id
    old.id, old.client, old.number, old.away, old.timer = new_id, client, number, False, 0
    old.topics, old.protocols, old.owned = asked.topics, asked.protocols, asked.owned
    group.members = {member.id: member for member in members}
    telling.gone(cluster, group.name, old.node, was, "left")
    old.node = asked.node
    telling.joined(cluster, group.name, old.node, new_id)
    if group.leader == was:
        group.leader = new_id
    if group.state == "Stable" and same:
        _alive(cluster, group, old)
        told = ops.Joined(
            group.name, "", new_id, group.generation, group.protocol, group.leader, (), True
        )  # fmt: skip
        cluster.push(client, told)
        return
    old.joining = True
    _prepare(cluster, group)


def _prepare(cluster: Kafka, group: ClassicGroup) -> None:
    """A rebalance begins: everybody has to join, for as long as the slowest of them may take."""
    if group.state == "PreparingRebalance":
        _complete_if_all(cluster, group)
        return
    fresh = group.state == "Empty"
    for member in group.members.values():
        if member.syncing:
            member.syncing = False
            cluster.push(member.client, ops.Synced(group.name, "REBALANCE_IN_PROGRESS"))
    group.state = "PreparingRebalance"
    telling.group_changed(cluster, group)
    if fresh:
        after_us = cluster.milliseconds("group.initial.rebalance.delay.ms", INITIAL_DELAY_MS)
        group.timer = cluster.schedule(after_us, "rebalance", group.number, group.generation)
        return
    longest_us = max((member.rebalance_us for member in group.members.values()), default=0)
    group.timer = cluster.schedule(longest_us, "rebalance", group.number, group.generation)
    _complete_if_all(cluster, group)


def rebalance_over(cluster: Kafka, number: int, generation: int) -> None:
    """The initial delay or the rebalance timeout is over: who has not joined is out."""
    group = group_numbered(cluster, number)
    if group is None or group.state != "PreparingRebalance" or group.generation != generation:
        return
    group.timer = 0
    for member in [member for member in group.members.values() if not member.joining]:
        if not (member.instance and member.away):
            _forget(cluster, group, member, "late")
    _complete(cluster, group)


def group_numbered(cluster: Kafka, number: int) -> ClassicGroup | None:
    return next((group for group in cluster.classic.values() if group.number == number), None)


def _complete_if_all(cluster: Kafka, group: ClassicGroup) -> None:
    waits_for_more = group.protocol == "" and group.timer and group.generation == 0
    if group.everybody_joined() and not waits_for_more:
        _complete(cluster, group)


def _complete(cluster: Kafka, group: ClassicGroup) -> None:
    """The generation is complete: its leader is told the members, the others that they are in it."""
    cluster.cancel(group.timer)
    group.timer = 0
    group.generation += 1
    if not group.members:
        group.state, group.protocol, group.leader = "Empty", "", ""
        telling.group_changed(cluster, group)
        return
    group.rebalances += 1
    group.protocol = group.vote()
    if group.leader not in group.members:
        group.leader = next(iter(group.members))
    group.state = "CompletingRebalance"
    telling.group_changed(cluster, group)
    told = tuple(
        ops.MemberTold(m.id, m.topics, m.owned, m.instance, m.owned_generation)
        for m in group.members.values()
    )
    for member in group.members.values():
        member.joining = False
        _alive(cluster, group, member)
        leads = member.id == group.leader
        answer = ops.Joined(
            group.name, "", member.id, group.generation, group.protocol, group.leader, told if leads else ()
        )
        cluster.push(member.client, answer)


# -- the rest of a member's life ------------------------------------------------------------------------


def _member(group: ClassicGroup, member: str, generation: int) -> ClassicMember:
    found = group.members.get(member)
    if found is None:
        raise KafkaError("UNKNOWN_MEMBER_ID")
    if generation != group.generation:
        raise KafkaError("ILLEGAL_GENERATION")
    return found


def sync(cluster: Kafka, client: str, asked: ops.SyncGroup) -> Reply | None:
    """The leader's assignment is everybody's answer."""
    group = _classic(cluster, asked.group)
    try:
        member = _member(group, asked.member, asked.generation)
        if group.state == "PreparingRebalance":
            raise KafkaError("REBALANCE_IN_PROGRESS")
    except KafkaError as refused:
        cluster.push(client, ops.Synced(asked.group, refused.code))
        return None
    _alive(cluster, group, member)
    member.syncing = True
    if group.state == "CompletingRebalance" and member.id == group.leader:
        given = dict(asked.assignments)
        for each in group.members.values():
            each.assignment = given.get(each.id, ())
        group.state = "Stable"
        telling.group_changed(cluster, group)
    if group.state == "Stable":
        for each in group.members.values():
            if each.syncing:
                each.syncing = False
                cluster.push(each.client, ops.Synced(group.name, "", group.generation, each.assignment))
    return None


def heartbeat(cluster: Kafka, client: str, asked: ops.Heartbeat) -> Reply:
    """Raises `KafkaError`; REBALANCE_IN_PROGRESS asks the member to join again."""
    group = _classic(cluster, asked.group)
    if asked.member not in group.members and group.by_instance(asked.instance) is not None:
        raise KafkaError("FENCED_INSTANCE_ID")
    member = _member(group, asked.member, asked.generation)
    _alive(cluster, group, member)
    if group.state == "PreparingRebalance":
        raise KafkaError("REBALANCE_IN_PROGRESS")
    return ops.Done()


def _alive(cluster: Kafka, group: ClassicGroup, member: ClassicMember) -> None:
    """Its session begins anew. Who waits for an answer of ours is not missed."""
    cluster.cancel(member.timer)
    member.timer = cluster.schedule(member.session_us, "session", group.number, member.number)


def session_over(cluster: Kafka, group_number: int, number: int) -> None:
    """Nothing was heard of the member for session.timeout.ms."""
    group = group_numbered(cluster, group_number)
    member = next((m for m in group.members.values() if m.number == number), None) if group else None
    if group is None or member is None:
        return
    member.timer = 0
    if member.joining or member.syncing:
        _alive(cluster, group, member)
        return
    _remove(cluster, group, member, "session")


def leave(cluster: Kafka, client: str, asked: ops.LeaveGroup) -> Reply:
    """Raises `KafkaError`."""
    group = _classic(cluster, asked.group)
    member = group.members.get(asked.member)
    if member is None:
        raise KafkaError("UNKNOWN_MEMBER_ID")
    _remove(cluster, group, member, "left")
    return ops.Done()


def _remove(cluster: Kafka, group: ClassicGroup, member: ClassicMember, why: Gone) -> None:
    _forget(cluster, group, member, why)
    if group.state == "PreparingRebalance":
        _complete_if_all(cluster, group)
    else:
        _prepare_without(cluster, group)


def _prepare_without(cluster: Kafka, group: ClassicGroup) -> None:
    if group.members:
        _prepare(cluster, group)
        return
    group.generation += 1
    group.state, group.protocol, group.leader = "Empty", "", ""
    telling.group_changed(cluster, group)


def _forget(cluster: Kafka, group: ClassicGroup, member: ClassicMember, why: Gone) -> None:
    cluster.cancel(member.timer)
    del group.members[member.id]
    telling.gone(cluster, group.name, member.node, member.id, why)
    if group.leader == member.id:
        group.leader = ""
