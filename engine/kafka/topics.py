"""Topics and their partitions: who leads, who is in sync, what is replicated, and what is lost when a
broker goes.

The controller's rules (KRaft, with eligible leader replicas, KIP-966) and the leader's: the high watermark
is the smallest log end of the replicas in sync and stands still while they are fewer than
min.insync.replicas.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.kafka.log import Batch, Log, Segment

OFFLINE = -1

DEFAULTS = {
    "cleanup.policy": "delete",
    "retention.ms": "604800000",
    "retention.bytes": "-1",
    "delete.retention.ms": "86400000",
    "segment.bytes": "1073741824",
    "segment.ms": "604800000",
    "max.message.bytes": "1048588",
    "min.cleanable.dirty.ratio": "0.5",
    "min.insync.replicas": "1",
    "unclean.leader.election.enable": "false",
    "replication.factor": "1",
}
"""Kafka 4.4's own (`TopicConfig`, `LogConfig`, server defaults)."""


class BrokerState(msgspec.Struct, array_like=True):
    """One broker. `hung`: it is registered and its followers do not fetch."""

    id: int
    up: bool = True
    hung: bool = False
    clean: bool = False
    """Whether it stopped with a controlled shutdown: then it may stay eligible."""
    node: int = 0


class Waiting(msgspec.Struct, array_like=True):
    """A produce with acks=all that waits until the high watermark is at `until`."""

    client: str
    request: int
    base: int
    until: int
    timer: int


class PartitionState(msgspec.Struct, array_like=True):
    """One partition. `logs` and `marks` (high watermarks) by broker, also of brokers that are down."""

    topic: str
    number: int
    replicas: list[int]
    leader: int
    isr: list[int]
    logs: dict[int, Log]
    marks: dict[int, int]
    elr: list[int] = []
    leader_epoch: int = 0
    last_leader: int = OFFLINE
    waiting: list[Waiting] = []
    node: int = 0
    told_led: tuple[int, int, tuple[int, ...], tuple[int, ...]] = (0, 0, (), ())
    told_marks: tuple[int, int, int] = (0, 0, 0)
    told_ends: dict[int, int] = {}
    """What events have said last: see `engine.kafka.telling`."""

    def shown(self) -> int:
        """The broker whose log is shown: the leader, or while there is none the last one."""
        return self.last_leader if self.leader == OFFLINE else self.leader

    def shown_log(self) -> Log:
        return self.logs[self.shown()]

    def log(self) -> Log:
        """The leader's."""
        return self.logs[self.leader]

    def high_watermark(self) -> int:
        return self.marks[self.leader]

    def visible_end(self, isolation: str) -> int:
        """Where a reader of this isolation stops."""
        mark = self.high_watermark()
        return self.log().last_stable(mark) if isolation == "read_committed" else mark


class Topic(msgspec.Struct, array_like=True):
    """A topic. `config` holds what was set; `setting` adds the defaults."""

    name: str
    config: dict[str, str]
    partitions: list[PartitionState]
    node: int = 0

    def setting(self, key: str) -> str:
        return self.config.get(key, DEFAULTS.get(key, ""))

    def number(self, key: str) -> int:
        return int(self.setting(key))

    def segment_bytes(self) -> int:
        """How large a segment may grow."""
        return int(self.config.get("internal.segment.bytes", self.setting("segment.bytes")))

    def min_in_sync(self, partition: PartitionState) -> int:
        """min.insync.replicas; above the number of replicas it counts as that number."""
        return min(self.number("min.insync.replicas"), len(partition.replicas))


def new_partition(topic: str, number: int, replicas: list[int]) -> PartitionState:
    """Empty, led by its first replica, everybody in sync."""
    return PartitionState(
        topic, number, replicas, replicas[0], sorted(replicas),
        {broker: Log(0, [], {}, []) for broker in replicas}, dict.fromkeys(replicas, 0), [],
        last_leader=replicas[0], waiting=[], told_ends={},
    )  # fmt: skip


# -- copying ----------------------------------------------------------------------------------------


def follow(partition: PartitionState, broker: int) -> None:
    """`broker`'s replica becomes like its leader's: it truncates where they differ, then copies what it
    lacks."""
    leader, log = partition.log(), partition.logs[broker]
    end = log.end()
    if log.epochs != leader.epochs or end > leader.end():  # else it has a part of what its leader has
        common = common_end(leader, log)
        if common < end:
            log.truncate_to(common)
    if log.start < leader.start:
        log.delete_before(leader.start)
    end = log.end()
    for batch in list(leader.batches_from(end)):
        if batch.base >= end:
            copy_batch(log, batch)
    if log.end() < leader.end():  # what the leader held there was cleaned away
        log.segments.append(Segment(leader.end(), []))
    partition.marks[broker] = min(partition.high_watermark(), log.end())


def copy_batch(log: Log, batch: Batch) -> None:
    """A follower's append: the leader has checked it."""
    if not log.segments:
        log.start = max(log.start, batch.base) if batch.base > log.end() else log.start
    log.append(batch)


def common_end(leader: Log, follower: Log) -> int:
    """Up to where both hold the same: what a follower finds out with OffsetsForLeaderEpoch (KIP-101,
    KIP-279).

    The newest leader epoch that both have written in decides: each ends where its next one begins.
    """
    known = {epoch for epoch, _ in leader.epochs}
    for epoch, _ in reversed(follower.epochs):
        if epoch in known:
            return min(follower.end_of_epoch(epoch), leader.end_of_epoch(epoch))
    return min(follower.end(), leader.start)


def advance_mark(topic: Topic, partition: PartitionState) -> bool:
    """Moves the leader's high watermark. Returns whether it moved."""
    if partition.leader == OFFLINE or len(partition.isr) < topic.min_in_sync(partition):
        return False
    reached = min(partition.logs[broker].end() for broker in partition.isr)
    if reached <= partition.marks[partition.leader]:
        return False
    partition.marks[partition.leader] = reached
    return True


# -- the controller -----------------------------------------------------------------------------------


def leave_isr(topic: Topic, partition: PartitionState, broker: int) -> None:
    """It is out of sync; while the ISR is smaller than min.insync.replicas it stays eligible to lead."""
    if broker not in partition.isr:
        return
    partition.isr.remove(broker)
    if len(partition.isr) < topic.min_in_sync(partition) and broker not in partition.elr:
        partition.elr = sorted([*partition.elr, broker])


def join_isr(topic: Topic, partition: PartitionState, broker: int) -> None:
    """It has everything. A big enough ISR needs no eligible replicas beside it."""
    if broker not in partition.isr:
        partition.isr = sorted([*partition.isr, broker])
    if broker in partition.elr:
        partition.elr.remove(broker)
    if len(partition.isr) >= topic.min_in_sync(partition):
        partition.elr = []


def elect(topic: Topic, partition: PartitionState, brokers: dict[int, BrokerState]) -> bool:
    """Chooses a leader where there is none alive. Returns whether it changed (also to nobody).

    The first replica in sync that is alive; else an eligible one; else, where nobody is eligible, the last
    leader once it is back; else, with unclean election, whoever is alive.
    """
    alive = [broker for broker in partition.replicas if brokers[broker].up]
    if partition.leader in alive:
        return False
    in_sync = [broker for broker in alive if broker in partition.isr]
    eligible = [broker for broker in alive if broker in partition.elr]
    found = in_sync or eligible
    if not found and not partition.elr and partition.last_leader in alive:
        found = [partition.last_leader]
    if not found and topic.setting("unclean.leader.election.enable") == "true":
        found = alive
    leader = found[0] if found else OFFLINE
    if leader == partition.leader:
        return False
    partition.leader = leader
    partition.leader_epoch += 1
    if leader != OFFLINE:
        partition.last_leader = leader
        if leader not in in_sync:
            partition.isr = []
            join_isr(topic, partition, leader)
        partition.marks[leader] = min(partition.marks[leader], partition.log().end())
    return True


def described(partition: PartitionState) -> dict[str, Any]:
    """What an administrator is told of it."""
    offline = partition.leader == OFFLINE
    return {
        "leader": partition.leader,
        "leader_epoch": partition.leader_epoch,
        "isr": tuple(partition.isr),
        "elr": tuple(partition.elr),
        "high_watermark": -1 if offline else partition.high_watermark(),
        "log_start": 0 if offline else partition.log().start,
        "last_stable": -1 if offline else partition.visible_end("read_committed"),
        "log_ends": tuple((broker, partition.logs[broker].end()) for broker in sorted(partition.logs)),
    }
