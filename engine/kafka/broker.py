"""Apache Kafka: a cluster of brokers behind `execute`, `fire` and `state_events`.

`execute` finds what a request's type does in a table. A refusal is an answer with an error code, never an
exception. What cannot be answered at once is pushed later, with the number of its request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from engine.broker import Port, Push, Reply
from engine.events import Event
from engine.kafka import (
    administration,
    consumer_coordinator,
    coordinator,
    producing,
    reading,
    share_fetching,
    share_groups,
    sharing,
    telling,
    telling_shares,
)
from engine.kafka import operations as ops
from engine.kafka.classic import ClassicGroup
from engine.kafka.consumer_groups import ConsumerGroup
from engine.kafka.errors import KafkaError
from engine.kafka.shares import SharePartition
from engine.kafka.topics import BrokerState, PartitionState, Topic
from engine.kafka.transactions import Transactional
from engine.kernel import Kernel, Timer

Handler = Callable[["Kafka", str, Any], Reply | None]

HANDLERS: dict[type, Handler] = {
    ops.CreateTopic: administration.create_topic,
    ops.CreatePartitions: administration.create_partitions,
    ops.AlterGroupConfig: sharing.alter_config,
    ops.DeleteRecords: administration.delete_records,
    ops.RollSegment: administration.roll,
    ops.RunRetention: administration.run_retention,
    ops.Compact: administration.compact,
    ops.StopBroker: administration.stop_broker,
    ops.StartBroker: administration.start_broker,
    ops.HangBroker: administration.hang_broker,
    ops.ResumeBroker: administration.resume_broker,
    ops.Metadata: administration.metadata,
    ops.DescribePartition: administration.describe_partition,
    ops.Produce: producing.produce,
    ops.WriteMarker: producing.write_marker,
    ops.InitProducerId: producing.init_producer_id,
    ops.TxnOffsetCommit: producing.txn_offset_commit,
    ops.EndTxn: producing.end_txn,
    ops.DescribeTransaction: producing.describe_transaction,
    ops.Fetch: reading.fetch,
    ops.ListOffsets: reading.list_offsets,
    ops.OffsetCommit: coordinator.offset_commit,
    ops.OffsetFetch: coordinator.offset_fetch,
    ops.DescribeGroup: coordinator.describe_group,
    ops.JoinGroup: coordinator.join,
    ops.SyncGroup: coordinator.sync,
    ops.Heartbeat: coordinator.heartbeat,
    ops.LeaveGroup: coordinator.leave,
    ops.ConsumerGroupHeartbeat: consumer_coordinator.heartbeat,
    ops.ShareFetch: sharing.fetch,
    ops.ShareAcknowledge: sharing.acknowledge,
    ops.ShareMemberGone: sharing.member_gone,
    ops.ShareGroupHeartbeat: share_groups.heartbeat,
    ops.Disconnected: sharing.disconnected,
    ops.DescribeShareGroup: sharing.describe,
}

TIMERS: dict[str, Callable[[Kafka, int, int], None]] = {}
"""What a timer of this name does, with its two numbers."""


class KafkaState(msgspec.Struct):
    """What a snapshot keeps: everything but the kernel and the port."""

    name: str
    version: str
    config: dict[str, str]
    brokers: dict[int, BrokerState]
    topics: dict[str, Topic]
    transactions: dict[str, Transactional]
    classic: dict[str, ClassicGroup]
    consumer: dict[str, ConsumerGroup]
    shares: dict[str, SharePartition]
    share_config: dict[str, dict[str, str]]
    fetches: dict[int, reading.Parked]
    group_nodes: dict[str, int]
    pids: int
    numbers: int
    markers_owed: list[tuple[str, int, int, int, bool]] = []
    """(topic, partition, producer id, epoch, whether it commits) of markers that wait for a leader."""
    share_groups: dict[str, share_groups.ShareGroup] = {}
    share_fetches: dict[int, share_fetching.ShareParked] = {}


class Kafka:
    """One cluster with its controller and coordinators. `owner` is its index for timers.

    `config` holds what the cluster sets otherwise than Kafka does, by Kafka's keys.
    """

    def __init__(
        self,
        kernel: Kernel,
        name: str,
        version: str,
        owner: int,
        port: Port,
        brokers: tuple[int, ...] = (1,),
        config: dict[str, str] | None = None,
    ) -> None:
        state = KafkaState(
            name, version, config or {}, {broker: BrokerState(broker) for broker in brokers},
            {}, {}, {}, {}, {}, {}, {}, {}, 0, 0,
        )  # fmt: skip
        self._restore(state, owner, port)
        self.kernel = kernel
        telling.brokers_added(self)

    def _restore(self, state: KafkaState, owner: int, port: Port) -> None:
        self.name, self.version, self.config = state.name, state.version, state.config
        self.owner, self.port = owner, port
        self.brokers, self.topics, self.transactions = state.brokers, state.topics, state.transactions
        self.classic, self.consumer = state.classic, state.consumer
        self.shares, self.share_config = state.shares, state.share_config
        self.fetches, self.pids, self.numbers = state.fetches, state.pids, state.numbers
        self.group_nodes = state.group_nodes
        self.markers_owed = state.markers_owed
        self.share_groups, self.share_fetches = state.share_groups, state.share_fetches

    # -- what a broker is (engine.broker.Broker) ----------------------------------------------------

    def execute(self, kernel: Kernel, client: str, operation: Any) -> Reply | None:
        """Do what `client` asks, now. None where the answer comes later, as a push."""
        self.kernel = kernel
        try:
            return HANDLERS[type(operation)](self, client, operation)
        except KafkaError as refused:
            return ops.Done(refused.code)

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        """One of the cluster's own timers is due: a session, a lock, a rebalance, a request that waited."""
        self.kernel = kernel
        _, _, _, _, what, a, b = timer
        TIMERS[what](self, a, b)

    def state_events(self, begun: Mapping[int, int] | None = None) -> list[Event]:
        """Events of the same vocabulary that build the present from nothing. `begun`: by partition, where
        groups began to read that have committed nothing yet."""
        return telling.state_events(self, self.kernel.now_us, begun or {})

    def share_events(self, group: str, now_us: int) -> Iterator[Event]:
        """Of these what one share group has in flight."""
        for shared in self.shares.values():
            if shared.group == group:
                yield from telling_shares.state_events(self, shared, now_us)

    def state(self) -> KafkaState:
        """The cluster as plain data; shares its parts with it, so encode it at once."""
        return KafkaState(
            self.name, self.version, self.config, self.brokers, self.topics, self.transactions, self.classic,
            self.consumer, self.shares, self.share_config, self.fetches, self.group_nodes, self.pids,
            self.numbers, self.markers_owed, self.share_groups, self.share_fetches,
        )  # fmt: skip

    @classmethod
    def from_state(cls, kernel: Kernel, state: KafkaState, owner: int, port: Port) -> Kafka:
        """A cluster that goes on from `state`."""
        cluster = cls.__new__(cls)
        cluster._restore(state, owner, port)
        cluster.kernel = kernel
        return cluster

    # -- for its parts --------------------------------------------------------------------------------

    def push(self, client: str, push: Push, node: int = 0) -> None:
        self.port.push(self.kernel, client, node, push)

    def schedule(self, after_us: int, what: str, a: int = 0, b: int = 0) -> int:
        """A timer of this cluster, `after_us` from now. Returns its entry."""
        return self.kernel.schedule(self.kernel.now_us + after_us, self.owner, what, a, b)

    def cancel(self, entry: int) -> None:
        """Take a timer back; 0 is none."""
        if entry:
            self.kernel.cancel(entry)

    def next_number(self) -> int:
        """A number for a group or a member, never given twice; timers name them by it."""
        self.numbers += 1
        return self.numbers

    def milliseconds(self, key: str, default: int) -> int:
        """A duration of the cluster's configuration, in µs."""
        return int(self.config.get(key, default)) * 1_000

    def partition(self, topic: str, number: int) -> PartitionState:
        """Raises `KafkaError` where there is no such partition."""
        found = self.topics.get(topic)
        if found is None or not 0 <= number < len(found.partitions):
            raise KafkaError("UNKNOWN_TOPIC_OR_PARTITION")
        return found.partitions[number]

    def led(self, topic: str, number: int) -> PartitionState:
        """A partition that has a leader. Raises `KafkaError`."""
        partition = self.partition(topic, number)
        if partition.leader < 0:
            raise KafkaError("LEADER_NOT_AVAILABLE")
        return partition

    def counts(self, topics: tuple[str, ...]) -> dict[str, int]:
        """How many partitions each of these topics has; what does not exist is left out."""
        return {topic: len(self.topics[topic].partitions) for topic in topics if topic in self.topics}


TIMERS.update(
    produce=producing.timed_out,
    transaction=producing.timed_out_transaction,
    fetch=reading.waited_enough,
    lag=administration.lagged,
    session=coordinator.session_over,
    rebalance=coordinator.rebalance_over,
    consumer_session=consumer_coordinator.session_over,
    lock=sharing.locks_over,
    share_fetch=share_fetching.waited_enough,
    share_session=share_groups.session_over,
    retention=administration.retention_due,
    clean=administration.cleaning_due,
)
