"""What a log promises whatever is written to it, deleted from it and cleaned in it."""

from __future__ import annotations

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.kafka import operations as ops
from engine.kafka.broker import Kafka
from engine.kafka.log import SEQUENCE_MAX, last_sequence, next_sequence
from engine.kernel import Kernel

CONFIG = {"cleanup.policy": "compact,delete", "retention.ms": "60000", "delete.retention.ms": "1000"}


class Silent:
    def push(self, kernel: Kernel, client: str, node: int, push: object) -> None:
        return None


class Written(RuleBasedStateMachine):
    """Three brokers, one partition; plain and transactional writers, cleaning, and brokers that come and go."""

    @initialize(minimum=st.sampled_from(["1", "2"]), unclean=st.booleans())
    def begin(self, minimum: str, unclean: bool) -> None:
        self.kernel = Kernel(0)
        self.kafka = Kafka(self.kernel, "kafka", "4.4", 0, Silent(), (1, 2, 3))
        more = {"min.insync.replicas": minimum, "unclean.leader.election.enable": str(unclean).lower()}
        self.unclean = unclean
        self.ask(ops.CreateTopic("t", 1, {**CONFIG, **more}, (1, 2, 3)))
        self.seen: dict[int, tuple[str | None, str | None]] = {}
        self.acknowledged: dict[str, tuple[int, str]] = {}
        """By key, the newest value if all replicas in sync acknowledged it, and where it is."""
        self.aborted: set[str] = set()
        self.written = 0
        self.marks: list[int] = [0]
        self.txn: tuple[int, int] | None = None
        self.sequence = -1
        self.in_txn: list[str] = []

    def ask(self, operation: object) -> object:
        return self.kafka.execute(self.kernel, "test", operation)

    @property
    def partition(self) -> ops.PartitionDescribed:
        described = self.ask(ops.DescribePartition("t", 0))
        assert isinstance(described, ops.PartitionDescribed)
        return described

    @rule(key=st.sampled_from("abc"), acks=st.sampled_from([-1, 1]), tombstone=st.booleans())
    def write(self, key: str, acks: ops.Acks, tombstone: bool) -> None:
        self.written += 1
        value = None if tombstone else f"v{self.written}"
        answer = self.ask(ops.Produce("t", 0, (ops.Record(key, value),), acks))
        self.acknowledged.pop(key, None)
        if isinstance(answer, ops.Produced) and not answer.error and acks == -1 and value is not None:
            self.acknowledged[key] = answer.base, value

    @rule(commit=st.booleans(), values=st.integers(1, 3))
    def write_a_transaction(self, commit: bool, values: int) -> None:
        given_ = self.ask(ops.InitProducerId("x"))
        if not isinstance(given_, ops.ProducerIdGiven) or given_.error:
            return
        wrote = []
        for place in range(values):
            self.written += 1
            value = f"t{self.written}"
            record = ops.Record("abc"[place], value)
            self.acknowledged.pop("abc"[place], None)
            asked = ops.Produce("t", 0, (record,), 1, given_.pid, given_.epoch, place, "x")
            answer = self.ask(asked)
            if not isinstance(answer, ops.Produced) or answer.error:
                break
            wrote.append(value)
        if wrote and self.partition.leader >= 0:
            self.ask(ops.EndTxn("x", given_.pid, given_.epoch, commit))
        if not commit:
            self.aborted.update(wrote)

    @rule(broker=st.integers(1, 3), clean=st.booleans())
    def stop(self, broker: int, clean: bool) -> None:
        self.ask(ops.StopBroker(broker, clean))

    @rule(broker=st.integers(1, 3))
    def start(self, broker: int) -> None:
        self.ask(ops.StartBroker(broker))

    @rule(broker=st.integers(1, 3))
    def hang(self, broker: int) -> None:
        self.ask(ops.HangBroker(broker))

    @rule(broker=st.integers(1, 3))
    def resume(self, broker: int) -> None:
        self.ask(ops.ResumeBroker(broker))

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds: int) -> None:
        self.kernel.run([self.kafka], self.kernel.now_us + seconds * 1_000_000)

    @rule()
    def leave_the_leader_alone(self) -> None:
        """Its followers hang until they are out of sync, and it writes on."""
        leader = self.partition.leader
        for broker in {1, 2, 3} - {leader}:
            self.hang(broker)
        self.wait(31)
        self.write("a", -1, False)

    @rule()
    def lose_the_leader(self) -> None:
        self.stop(self.partition.leader, False)

    @rule()
    def clean(self) -> None:
        self.ask(ops.RollSegment("t", 0))
        self.ask(ops.Compact("t", 0))

    @rule(before=st.integers(-1, 12))
    def delete(self, before: int) -> None:
        answer = self.ask(ops.DeleteRecords("t", 0, before))
        if isinstance(answer, ops.PartitionDescribed):
            kept = {k: found for k, found in self.acknowledged.items() if found[0] >= answer.log_start}
            self.acknowledged = kept

    def read(self, isolation: str) -> list[tuple[int, str | None]]:
        place = self.partition
        answer = self.ask(ops.Fetch("t", 0, place.log_start, isolation, 10_000))  # type: ignore[arg-type]
        assert isinstance(answer, ops.Fetched), answer
        values = [record.value for record in answer.records]
        return list(zip(answer.offsets, values, strict=True))

    @invariant()
    def offsets_only_grow_in_a_fetch(self) -> None:
        if self.partition.leader >= 0:
            offsets = [offset for offset, _ in self.read("read_uncommitted")]
            assert offsets == sorted(set(offsets))
            assert all(self.partition.log_start <= o < self.partition.high_watermark for o in offsets)

    @invariant()
    def read_committed_never_shows_what_was_aborted(self) -> None:
        if self.partition.leader >= 0:
            shown = self.read("read_committed")
            assert not {value for _, value in shown} & self.aborted
            assert all(offset < self.partition.last_stable for offset, _ in shown)
            assert set(shown) <= set(self.read("read_uncommitted"))

    @invariant()
    def the_marks_stand_in_order(self) -> None:
        place = self.partition
        if place.leader >= 0:
            ends = dict(place.log_ends)
            assert place.log_start <= place.last_stable <= place.high_watermark <= ends[place.leader]
            assert place.leader in place.isr
            assert all(ends[broker] >= place.high_watermark for broker in place.isr)
        else:
            assert not place.isr

    @invariant()
    def clean_elections_lose_nothing_that_all_acknowledged(self) -> None:
        if self.unclean or self.partition.leader < 0:
            return
        held = dict(self.read("read_uncommitted"))
        for offset, value in self.acknowledged.values():
            assert held.get(offset) == value


TestWritten = Written.TestCase
TestWritten.settings = settings(phases=[Phase.explicit, Phase.generate], max_examples=150)
"""Not shrunk: a failing run of a cluster takes minutes to shrink, and is short enough to read."""


@given(first=st.integers(0, SEQUENCE_MAX), count=st.integers(1, 5_000))
def test_sequence_numbers_go_round(first: int, count: int) -> None:
    """After 2³¹ − 1 comes 0, inside a batch too (DefaultRecordBatch.incrementSequence)."""
    at = first
    for _ in range(min(count - 1, 50)):
        at = next_sequence(at)
    assert at == last_sequence(first, min(count, 51))
    assert 0 <= last_sequence(first, count) <= SEQUENCE_MAX
