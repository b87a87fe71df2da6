"""The classic group protocol: everybody joins, one member decides who gets what, everybody is told.

`org.apache.kafka.coordinator.group.classic.ClassicGroup` and the coordinator's rules for it. A generation
is complete when every known member has joined it, or when the rebalance timeout has passed for those that
have not.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.kafka import operations as ops
from engine.kafka.assignors import Partition
from engine.kafka.groups import Offsets

State = Literal["Empty", "PreparingRebalance", "CompletingRebalance", "Stable"]

VOTES_TIE = ("sticky", "range", "roundrobin", "cooperative-sticky")
"""With equal votes the earlier one of these wins (the order of the reference's hash map, as recorded)."""


class ClassicMember(msgspec.Struct, array_like=True):
    """`client` is its connection's name (where answers go), `number` what its timers are called by."""

    id: str
    client: str
    name: str
    number: int
    node: int
    topics: tuple[str, ...]
    protocols: tuple[str, ...]
    owned: tuple[Partition, ...]
    owned_generation: int
    instance: str
    session_us: int
    rebalance_us: int
    assignment: tuple[Partition, ...] = ()
    joining: bool = False
    syncing: bool = False
    away: bool = False
    """A static member that left without a word and may come back."""
    timer: int = 0


class ClassicGroup(msgspec.Struct, array_like=True):
    """One group. `rebalances` counts the generations in which somebody was a member."""

    name: str
    number: int
    state: State = "Empty"
    generation: int = 0
    protocol: str = ""
    leader: str = ""
    rebalances: int = 0
    members: dict[str, ClassicMember] = {}
    offsets: Offsets = msgspec.field(default_factory=Offsets)
    timer: int = 0
    """The end of the rebalance timeout, or of a new group's initial delay."""
    told: tuple[str, int, str] = ("", 0, "")
    """State, generation and protocol, as an event has said them last."""
    told_us: int = 0
    """When it did."""

    def described(self) -> ops.GroupDescribed:
        """What an administrator is told."""
        held = tuple(sorted((member.name, member.assignment) for member in self.members.values()))
        return ops.GroupDescribed("", self.state, self.protocol, self.generation, self.rebalances, held)

    def supports(self, protocols: tuple[str, ...], but: str = "") -> bool:
        """Whether somebody with these protocols can join: one of them is everybody else's too."""
        others = [member for member in self.members.values() if member.id != but]
        return not others or any(all(p in member.protocols for member in others) for p in protocols)

    def vote(self) -> str:
        """Each member votes for the first of its list that all support; most votes win."""
        members = list(self.members.values())
        candidates = {p for p in members[0].protocols if all(p in member.protocols for member in members)}
        votes: dict[str, int] = {}
        for member in members:
            choice = next(protocol for protocol in member.protocols if protocol in candidates)
            votes[choice] = votes.get(choice, 0) + 1
        most = max(votes.values())
        best = [protocol for protocol, n in votes.items() if n == most]
        rank = {protocol: place for place, protocol in enumerate(VOTES_TIE)}
        return min(best, key=lambda protocol: (rank.get(protocol, len(rank)), protocol))

    def by_instance(self, instance: str) -> ClassicMember | None:
        """The static member with this instance id."""
        if not instance:
            return None
        return next((m for m in self.members.values() if m.instance == instance), None)

    def everybody_joined(self) -> bool:
        return all(member.joining for member in self.members.values())
