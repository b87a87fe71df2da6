"""A group of the consumer protocol (KIP-848): the coordinator decides, and each member is brought there by
itself.

A *group epoch* says which target holds. A member first gives up what is not in its target, then takes on
the group epoch, then gets what the others have given up. Nobody waits for anybody who has nothing to give.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.kafka import operations as ops
from engine.kafka.assignor_table import ASSIGNORS
from engine.kafka.assignors import Partition, Subscriber
from engine.kafka.errors import KafkaError
from engine.kafka.groups import Offsets


class Member(msgspec.Struct, array_like=True):
    """`assigned` is what it may read, `revoking` what it was asked to give up and has not yet."""

    id: str
    client: str
    number: int
    node: int
    topics: tuple[str, ...]
    assignor: str
    instance: str
    session_us: int
    epoch: int = 0
    assigned: list[Partition] = []
    revoking: list[Partition] = []
    away: bool = False
    """A static member that left for a while."""
    timer: int = 0


class ConsumerGroup(msgspec.Struct, array_like=True):
    """`target` by member id. `rebalances` counts the group epochs in which somebody was a member."""

    name: str
    number: int
    epoch: int = 0
    rebalances: int = 0
    members: dict[str, Member] = {}
    target: dict[str, list[Partition]] = {}
    offsets: Offsets = msgspec.field(default_factory=Offsets)
    told: tuple[str, int, str] = ("", 0, "")
    """State, epoch and assignor, as an event has said them last."""
    told_us: int = 0
    """When it did."""

    def check_commit(self, member: str, epoch: int) -> None:
        """Who may commit. Raises `KafkaError`."""
        if not member:
            if self.members:
                raise KafkaError("UNKNOWN_MEMBER_ID")
        elif member not in self.members:
            raise KafkaError("UNKNOWN_MEMBER_ID")
        elif epoch != self.members[member].epoch:
            raise KafkaError("STALE_MEMBER_EPOCH")

    def by_instance(self, instance: str) -> Member | None:
        """The static member with this instance id."""
        return next((m for m in self.members.values() if instance and m.instance == instance), None)

    def assignor(self) -> str:
        """What most members ask for; with equal votes the first by name."""
        votes: dict[str, int] = {}
        for member in self.members.values():
            votes[member.assignor] = votes.get(member.assignor, 0) + 1
        return min(votes, key=lambda name: (-votes[name], name))

    def retarget(self, topics: Mapping[str, int]) -> None:
        """A new group epoch: somebody came, went or wants something else, or a topic grew."""
        self.epoch += 1
        if not self.members:
            self.target = {}
            return
        self.rebalances += 1
        subscribers = [
            Subscriber(m.id, m.topics, tuple(self.target.get(m.id, m.assigned)), m.instance)
            for m in self.members.values()
        ]
        self.target = ASSIGNORS[self.assignor()](subscribers, topics)

    def reconcile(self, member: Member, owned: tuple[Partition, ...] | None) -> None:
        """One step of `member` towards its target. `owned`: what it says it has, None when it did not say."""
        target = self.target.get(member.id, [])
        if member.revoking and owned is not None and not set(owned) & set(member.revoking):
            member.revoking = []
        if member.epoch != self.epoch and not member.revoking:
            member.revoking = [partition for partition in member.assigned if partition not in target]
            member.assigned = [partition for partition in member.assigned if partition in target]
        if member.revoking:
            return
        member.epoch = self.epoch
        held = {
            partition
            for other in self.members.values()
            if other is not member
            for partition in (*other.assigned, *other.revoking)
        }
        free = [partition for partition in target if partition not in held]
        member.assigned = sorted({*member.assigned, *free})

    def described(self) -> ops.GroupDescribed:
        """What an administrator is told. A static member that is away still has its partitions."""
        held = tuple(sorted((member.id, tuple(member.assigned)) for member in self.members.values()))
        settled = all(m.epoch == self.epoch or m.away for m in self.members.values())
        state = "Empty" if not self.members else "Stable" if settled else "Reconciling"
        protocol = self.assignor() if self.members else ""
        return ops.GroupDescribed("", state, protocol, self.epoch, self.rebalances, held)
