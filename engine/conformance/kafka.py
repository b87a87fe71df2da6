"""Kafka's cases: each action as the requests of clients and administrators, each observation from their
answers.

The clients are `engine/kafka/clients`, the same that a room's actors drive; here their requests are
answered at once. The format is that of conformance/README.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.broker import Push
from engine.conformance.case import Observed, Step, System, Unknown, arguments
from engine.conformance.kafka_observed import (
    ALLOWED,
    alike,
    check_words,
    group_lag,
    name_of,
    named,
    partition_named,
    partition_state,
    partitioned,
)
from engine.kafka import operations as ops
from engine.kafka.broker import Kafka
from engine.kafka.clients.consumer import DEFAULT_ASSIGNORS, Consumer, Settings
from engine.kafka.clients.producer import Producer
from engine.kernel import Kernel

QUIET_US = 2
SECOND_US = 1_000_000
HEARTBEAT_US = 3 * SECOND_US
"""heartbeat.interval.ms of the classic protocol."""
SESSION_US = 45 * SECOND_US
REQUEST_TIMEOUT_US = 5 * SECOND_US
"""Shorter than replica.lag.time.max.ms, where the case does not say."""
VERSIONS = ("", "4.3", "4.4")
"""4.3 does the same as 4.4 in what both have; only 4.4 has dead-letter queues of share groups."""
ADMIN = "admin"


class KafkaPlayer:
    """One case on one cluster. Also the cluster's port: what is pushed goes to the client that asked."""

    def __init__(self, case: dict[str, Any], version: str) -> None:
        if version not in VERSIONS:
            raise Unknown(f"no Kafka version {version!r}")
        self.kernel = Kernel(0)
        brokers = next((tuple(s["brokers"]) for s in case["steps"] if s.get("do") == "cluster"), (1,))
        config = {"group.initial.rebalance.delay.ms": "0"}
        self.kafka = Kafka(self.kernel, "kafka", "4.4", 0, self, brokers, config)
        self.consumers: dict[tuple[str, str], Consumer] = {}
        self.producers: dict[str, Producer] = {}
        self.pids: dict[str, int] = {}
        self.replicated: tuple[str, int] = ("", 0)
        self.answers: list[Push] = []
        self.match = "exact"
        self.before: dict[str, list[str]] = {}

    def push(self, kernel: Kernel, client: str, node: int, push: Push) -> None:
        for consumer in self.consumers.values():
            if consumer.name == client and consumer.state != "closed":
                consumer.receive(push)
        self.answers.append(push)

    def play(self, step: Step) -> Observed:
        action = step["do"]
        if action not in ALLOWED:
            raise Unknown(f"no action {action!r}")
        given = arguments(step, ALLOWED[action] | {"match", "expect"})
        check_words(action, given)
        self.match = given.pop("match", "exact")
        given.pop("expect", None)
        self.answers = []
        seen: Observed = getattr(self, action)(given)
        self.quiet()
        return seen

    # -- clients that are answered at once ----------------------------------------------------------

    def ask(self, operation: Any, client: str = ADMIN) -> Any:
        return self.kafka.execute(self.kernel, client, operation)

    def quiet(self) -> None:
        """Everything that can be answered at this moment has been."""
        going = True
        while going:
            self.kernel.run([self.kafka], self.kernel.now_us + QUIET_US, rest_us=self.kernel.now_us)
            going = False
            for consumer in self.consumers.values():
                while consumer.outbox:
                    going = True
                    asked = consumer.outbox.pop(0)
                    answer = self.ask(asked, consumer.name)
                    if answer is not None:
                        consumer.receive(answer, asked)
        self.forget_log()

    def forget_log(self) -> None:
        """What happened was seen in answers already."""
        self.kernel.take_log()

    def settle(self) -> None:
        """Until a round of heartbeats brings nothing new: the group is stable."""
        for _ in range(50):
            before = self._shape()
            self.quiet()
            for consumer in self.consumers.values():
                consumer.heartbeat()
            self.quiet()
            if self._shape() == before:
                return
        raise Unknown("the group does not become stable")

    def _shape(self) -> Any:
        return [(c.state, c.generation, tuple(c.owned)) for c in self.consumers.values()]

    def pass_time(self, us: int) -> None:
        """Time goes by while everybody who is alive sends its heartbeats."""
        end = self.kernel.now_us + us
        while self.kernel.now_us < end:
            until = min(end, self.kernel.now_us + HEARTBEAT_US)
            self.kernel.run([self.kafka], until)
            for consumer in self.consumers.values():
                consumer.heartbeat()
            self.quiet()
        self.kernel.run([self.kafka], self.kernel.now_us + 1)

    # -- topics and the log -------------------------------------------------------------------------

    def partition_for(self, given: dict[str, Any]) -> Observed:
        return partitioned(given)

    def create_topic(self, given: dict[str, Any]) -> Observed:
        return done(self.ask(ops.CreateTopic(given["topic"], given["partitions"], given.get("config", {}))))

    def add_partitions(self, given: dict[str, Any]) -> Observed:
        groups = {group for group, _ in self.consumers}
        before = {group: self._rebalances(group) for group in groups}
        for group in groups:
            self._listen(group)
        seen = done(self.ask(ops.CreatePartitions(given["topic"], given["count"])))
        if "error" in seen:
            return seen
        for consumer in self.consumers.values():
            consumer.saw_metadata()
        self.settle()
        told = {g: self._rebalance(g, before[g]) for g in sorted(groups) if self._rebalances(g) > before[g]}
        return {**seen, "groups": told} if told else seen

    def cluster(self, given: dict[str, Any]) -> Observed:
        return {"ok": True}

    def create_replicated(self, given: dict[str, Any]) -> Observed:
        self.replicated = (given["topic"], 0)
        config, replicas = given.get("config", {}), tuple(given["replicas"])
        return done(self.ask(ops.CreateTopic(given["topic"], 1, config, replicas)))

    def produce(self, given: dict[str, Any]) -> Observed:
        producer = self.producers[given["producer"]] if "producer" in given else Producer(ADMIN)
        acks: Any = {"all": -1, "-1": -1, "1": 1, "0": 0}[str(given.get("acks", "all"))]
        timeout_us = int(given["timeout_ms"]) * 1_000 if "timeout_ms" in given else REQUEST_TIMEOUT_US
        results, timed_out = [], []
        if producer.cannot_write():
            return {"error": producer.cannot_write()}
        for key, value, *placed in given["records"]:
            counts = self.counts(given["topic"])
            number = placed[0] if placed else producer.place(key, counts) if counts else 0
            producer.acks = acks
            asked = producer.produce((given["topic"], number), (ops.Record(key, value),), timeout_us)
            answer = self._answered(asked, timeout_us)
            if answer.error == "REQUEST_TIMED_OUT":
                timed_out.append(answer.base)
            elif answer.error:
                producer.failed(answer.error)
                return {"error": answer.error}
            else:
                results.append([number, answer.base])
        if timed_out:
            return {"error": "REQUEST_TIMED_OUT", "appended_at": timed_out}
        return {"results": results}

    def counts(self, topic: str) -> int:
        known: dict[str, int] = dict(self.ask(ops.Metadata((topic,))).partitions)
        return known.get(topic, 0)

    def _answered(self, asked: ops.Produce, timeout_us: int) -> Any:
        """The answer, for which time passes if it has to."""
        self.answers = []
        answer = self.ask(asked)
        if answer is None and not self._pushed():
            self.pass_time(timeout_us)
        return answer or self._pushed()

    def _pushed(self) -> ops.Produced | None:
        return next((push.answer for push in self.answers if isinstance(push, ops.ProduceAnswered)), None)

    def produce_batch(self, given: dict[str, Any]) -> Observed:
        records = tuple(ops.Record(None, "v") for _ in range(given["count"]))
        answer = self.ask(ops.Produce(given["topic"], given["partition"], records))
        return {"first_offset": answer.base, "last_offset": answer.base + given["count"] - 1}

    def fetch(self, given: dict[str, Any]) -> Observed:
        place = given["topic"], given["partition"]
        answer = self.ask(
            ops.Fetch(*place, given["offset"], given.get("isolation", "read_uncommitted"), 100_000)
        )
        if answer.error:
            return {"error": answer.error}
        pairs = zip(answer.offsets, answer.records, strict=True)
        return {
            "records": [[offset, record.key, record.value] for offset, record in pairs],
            "log_start": answer.log_start,
            "high_watermark": answer.high_watermark,
            "last_stable": answer.last_stable,
        }

    def _place(self, given: dict[str, Any]) -> ops.PartitionDescribed:
        described: ops.PartitionDescribed = self.ask(
            ops.DescribePartition(given["topic"], given["partition"])
        )
        return described

    def offsets(self, given: dict[str, Any]) -> Observed:
        place = self._place(given)
        if place.error:
            return {"error": place.error}
        return {
            "log_start": place.log_start, "high_watermark": place.high_watermark,
            "last_stable": place.last_stable,
        }  # fmt: skip

    def delete_records(self, given: dict[str, Any]) -> Observed:
        answer = self.ask(ops.DeleteRecords(given["topic"], given["partition"], given["before"]))
        return {"error": answer.error} if answer.error else {"log_start": answer.log_start}

    def roll(self, given: dict[str, Any]) -> Observed:
        return done(self.ask(ops.RollSegment(given["topic"], given["partition"])))

    def enforce_retention(self, given: dict[str, Any]) -> Observed:
        answer = self.ask(ops.RunRetention(given["topic"], given["partition"]))
        return {"log_start": answer.log_start, "high_watermark": answer.high_watermark}

    def compact(self, given: dict[str, Any]) -> Observed:
        return {"offsets": list(self.ask(ops.Compact(given["topic"], given["partition"])).offsets)}

    def append_raw(self, given: dict[str, Any]) -> Observed:
        records = tuple(ops.Record("k", "v") for _ in range(given["count"]))
        asked = ops.Produce(
            given["topic"], given["partition"], records, 1, given["pid"], given.get("epoch", -1),
            given.get("seq", -1), "raw" if given.get("txn") else "", verify=False,
        )  # fmt: skip
        return self._raw(given, self.ask(asked))

    def marker_raw(self, given: dict[str, Any]) -> Observed:
        place = given["topic"], given["partition"]
        asked = ops.WriteMarker(*place, given["pid"], given["epoch"], given["type"] == "commit")
        return self._raw(given, self.ask(asked))

    def _raw(self, given: dict[str, Any], answer: Any) -> Observed:
        place = self._place(given)
        told = {"error": answer.error} if answer.error else {"base_offset": answer.base}
        return {**told, "high_watermark": place.high_watermark, "last_stable": place.last_stable}

    # -- groups -------------------------------------------------------------------------------------

    def join(self, given: dict[str, Any]) -> Observed:
        group = given["group"]
        before, known = self._rebalances(group), set(self.consumers)
        self._listen(group)
        for name in given.get("members") or [given["member"]]:
            consumer = self._consumer(group, name, given)
            self.consumers[group, name] = consumer
            consumer.join()
            if given.get("protocol") == "consumer":
                self.settle()
        self.settle()
        refused = [name for name, c in self._of(group).items() if c.refused]
        if refused:
            error = self.consumers[group, refused[0]].refused
            for place in set(self.consumers) - known:
                del self.consumers[place]
            return {"error": error}
        return self._rebalance(group, before)

    def _consumer(self, group: str, name: str, given: dict[str, Any]) -> Consumer:
        wanted = given.get("assignor")
        assignors = (wanted,) if isinstance(wanted, str) else tuple(wanted or DEFAULT_ASSIGNORS)
        if given.get("protocol") == "consumer" and not wanted:
            assignors = ("uniform",)
        static = given.get("static_ids", {}).get(name, given.get("static_id", ""))
        settings = Settings(
            group, tuple(given["topics"]), assignors, given.get("protocol", "classic"), static,
            given.get("reset", "latest"), given.get("isolation", "read_uncommitted"),
            given.get("auto_commit", False), int(given.get("auto_commit_interval_ms", 5_000)) * 1_000,
            SESSION_US,
        )  # fmt: skip
        return Consumer(name, settings, settings.topics, committed_at_us=self.kernel.now_us)

    def _of(self, group: str) -> dict[str, Consumer]:
        return {name: consumer for (of, name), consumer in self.consumers.items() if of == group}

    def _listen(self, group: str) -> None:
        self.before = {n: named(c.owned) for n, c in self._of(group).items() if c.state != "closed"}
        for consumer in self._of(group).values():
            consumer.happened = []

    def _rebalances(self, group: str) -> int:
        rebalances: int = self.ask(ops.DescribeGroup(group)).rebalances
        return rebalances

    def _rebalance(self, group: str, before: int) -> Observed:
        """What a step did to the group's members."""
        there = {name: c for name, c in self._of(group).items() if c.state != "closed"}
        seen = {
            "events": {n: [[what, named(p)] for what, p in c.happened] for n, c in there.items()},
            "owned": {name: named(consumer.owned) for name, consumer in there.items()},
            "rebalances": self._rebalances(group) - before,
        }
        return {**seen, "before": self.before} if self.match == "property" else seen

    def _changing(self, given: dict[str, Any], change: Callable[[Consumer], None]) -> Observed:
        """One member does something to its group."""
        group = given["group"]
        before = self._rebalances(group)
        self._listen(group)
        change(self.consumers[group, given["member"]])
        self.settle()
        return self._rebalance(group, before)

    def leave(self, given: dict[str, Any]) -> Observed:
        return self._changing(given, Consumer.leave)

    def subscribe(self, given: dict[str, Any]) -> Observed:
        return self._changing(given, lambda consumer: consumer.subscribe(tuple(given["topics"])))

    def crash(self, given: dict[str, Any]) -> Observed:
        return self._changing(given, self._gone)

    def _gone(self, consumer: Consumer) -> None:
        consumer.state = "closed"
        self.pass_time(SESSION_US + HEARTBEAT_US)

    def session_timeout(self, given: dict[str, Any]) -> Observed:
        return self._changing(given, self._gone)

    def restart(self, given: dict[str, Any]) -> Observed:
        group, name = given["group"], given["member"]
        old = self.consumers[group, name]

        def again(_: Consumer) -> None:
            new = Consumer(name, old.settings, old.topics, committed_at_us=self.kernel.now_us)
            self.consumers[group, name] = new
            new.join()

        return self._changing(given, again)

    def assignment(self, given: dict[str, Any]) -> Observed:
        return {name: named(p) for name, p in self.ask(ops.DescribeGroup(given["group"])).assignment}

    # -- consuming ------------------------------------------------------------------------------------

    def poll(self, given: dict[str, Any]) -> Observed:
        consumer = self.consumers[given["group"], given["member"]]
        found: list[Any] = []
        consumer.poll(self.kernel.now_us)
        most = given.get("max", consumer.settings.max_poll_records)
        asked_for: set[Any] = set()
        while True:
            while consumer.outbox:
                asked = consumer.outbox.pop(0)
                if isinstance(asked, ops.Fetch):
                    asked = ops.Fetch(asked.topic, asked.partition, asked.offset, asked.isolation, most)
                    asked_for.add((asked.topic, asked.partition))
                answer = self.ask(asked, consumer.name)
                if isinstance(answer, ops.Fetched):
                    rows = zip(answer.offsets, answer.records, strict=True)
                    found += [[(asked.topic, asked.partition), o, r.key, r.value] for o, r in rows]
                    asked_for.discard((asked.topic, asked.partition))
                    asked_for.add((asked.topic, asked.partition, "done"))
                if answer is not None:
                    consumer.receive(answer, asked)
            fresh = [p for p in consumer.positions if (*p, "done") not in asked_for]
            if not fresh:
                break
            for partition in fresh:
                consumer.fetch(partition, consumer.positions[partition])
        errors = [error for p, error in sorted(consumer.unset.items()) if p in consumer.owned]
        if errors:
            return {"error": errors[0]}
        return {"records": [[name_of(p), *rest] for p, *rest in sorted(found, key=lambda row: row[:2])]}

    def commit(self, given: dict[str, Any]) -> Observed:
        consumer = self.consumers[given["group"], given["member"]]
        offsets = given.get("offsets")
        told = None if offsets is None else {partition_named(p): o for p, o in offsets.items()}
        consumer.commit(told)
        asked = consumer.outbox.pop()
        answer = self.ask(asked, consumer.name)
        if answer.error:
            return {"error": answer.error}
        return {"committed": {name_of(partition): offset for partition, offset in asked.offsets}}

    def committed(self, given: dict[str, Any]) -> Observed:
        return {name_of(p): offset for p, offset in self.ask(ops.OffsetFetch(given["group"])).offsets}

    def reset_offsets(self, given: dict[str, Any]) -> Observed:
        told = {}
        for name, to in given["offsets"].items():
            partition = partition_named(name)
            told[partition] = to if isinstance(to, int) else self.ask(ops.ListOffsets(*partition, to)).offset
        answer = self.ask(ops.OffsetCommit(given["group"], "", -1, tuple(told.items())))
        if answer.error:
            return {"error": answer.error}
        return {"committed": {name_of(partition): offset for partition, offset in told.items()}}

    def seek(self, given: dict[str, Any]) -> Observed:
        consumer = self.consumers[given["group"], given["member"]]
        to = {"beginning": "earliest", "end": "latest"}.get(given["offset"], given["offset"])
        partition = partition_named(given["partition"])
        return {"ok": True} if consumer.seek(partition, to) else {"error": "ILLEGAL_STATE"}

    def lag(self, given: dict[str, Any]) -> Observed:
        return group_lag(self.ask, given["group"])

    # -- transactions -----------------------------------------------------------------------------------

    def txn_init(self, given: dict[str, Any]) -> Observed:
        producer = Producer(given["producer"], given["transactional_id"])
        producer.initialized(self.ask(ops.InitProducerId(producer.transactional_id)))
        self.producers[producer.name] = producer
        return {"ok": True}

    def txn_begin(self, given: dict[str, Any]) -> Observed:
        return said(self.producers[given["producer"]].begin())

    def txn_send_offsets(self, given: dict[str, Any]) -> Observed:
        producer = self.producers[given["producer"]]
        told = tuple((partition_named(p), offset) for p, offset in given["offsets"].items())
        if producer.cannot_write():
            return {"error": producer.cannot_write()}
        answer = self.ask(producer.send_offsets(given["group"], told))
        producer.failed(answer.error)
        return said(answer.error)

    def txn_commit(self, given: dict[str, Any]) -> Observed:
        return self._end(given, commit=True)

    def txn_abort(self, given: dict[str, Any]) -> Observed:
        return self._end(given, commit=False)

    def _end(self, given: dict[str, Any], commit: bool) -> Observed:
        producer = self.producers[given["producer"]]
        asked = producer.end(commit)
        if isinstance(asked, str):
            return said(asked)
        answer = self.ask(asked)
        if answer.error:
            producer.failed(answer.error)
            return {"error": answer.error}
        producer.ended(answer)
        return {"ok": True}

    def txn_state(self, given: dict[str, Any]) -> Observed:
        name = given["transactional_id"]
        answer = self.ask(ops.DescribeTransaction(name))
        if answer.error:
            return {"error": answer.error}
        first = self.pids.setdefault(name, answer.pid)
        return {"state": answer.state, "epoch": answer.epoch, "same_producer_id": answer.pid == first}

    # -- brokers ------------------------------------------------------------------------------------------

    def _state(self) -> Observed:
        self.quiet()
        return partition_state(self.ask(ops.DescribePartition(*self.replicated)))

    def partition_state(self, given: dict[str, Any]) -> Observed:
        return self._state()

    def lag_broker(self, given: dict[str, Any]) -> Observed:
        return done(self.ask(ops.HangBroker(given["broker"])))

    def catch_up(self, given: dict[str, Any]) -> Observed:
        self.ask(ops.ResumeBroker(given["broker"]))
        return self._state()

    def isr_timeout(self, given: dict[str, Any]) -> Observed:
        self.pass_time(30 * SECOND_US)
        return self._state()

    def stop_broker(self, given: dict[str, Any]) -> Observed:
        self.ask(ops.StopBroker(given["broker"], given.get("clean", False)))
        return self._state()

    def start_broker(self, given: dict[str, Any]) -> Observed:
        self.ask(ops.StartBroker(given["broker"]))
        return self._state()

    # -- share groups -------------------------------------------------------------------------------------

    def share_group(self, given: dict[str, Any]) -> Observed:
        config = {key: str(value).lower() if isinstance(value, bool) else str(value)
                  for key, value in given.get("config", {}).items()}  # fmt: skip
        return done(self.ask(ops.AlterGroupConfig(given["group"], config)))

    def share_acquire(self, given: dict[str, Any]) -> Observed:
        asked = ops.ShareFetch(
            given["group"], given["member"], ((given["topic"], given["partition"]),), given["max"],
            given.get("mode", "batch_optimized"),
        )  # fmt: skip
        return {"acquired": [list(pair) for part in self.ask(asked).parts for pair in part.acquired]}

    def share_ack(self, given: dict[str, Any]) -> Observed:
        batches = tuple((first, last, answer) for first, last, answer in given["batches"])
        place = given["topic"], given["partition"]
        return done(self.ask(ops.ShareAcknowledge(given["group"], given["member"], *place, batches)))

    def share_member_gone(self, given: dict[str, Any]) -> Observed:
        return done(self.ask(ops.ShareMemberGone(given["group"], given["member"])))

    def share_log_start(self, given: dict[str, Any]) -> Observed:
        answer = self.ask(ops.DeleteRecords(given["topic"], given["partition"], given["offset"]))
        return {"error": answer.error} if answer.error else {"ok": True}

    def share_state(self, given: dict[str, Any]) -> Observed:
        answer = self.ask(ops.DescribeShareGroup(given["group"], given["topic"], given["partition"]))
        states = {str(offset): [state, deliveries] for offset, state, deliveries in answer.states}
        return {"start_offset": answer.start, "states": states}

    def dlq(self, given: dict[str, Any]) -> Observed:
        records = []
        for number in range(self.counts(given["topic"])):
            answer = self.ask(ops.Fetch(given["topic"], number, 0, "read_uncommitted", 100_000))
            records += [
                {"offset": offset, "key": record.key, "value": record.value, "headers": dict(record.headers)}
                for offset, record in zip(answer.offsets, answer.records, strict=True)
            ]
        return {"records": records}

    def advance(self, given: dict[str, Any]) -> Observed:
        self.pass_time(int(given["ms"]) * 1_000)
        return {"ok": True}


def done(answer: Any) -> Observed:
    return said(answer.error)


def said(error: str) -> Observed:
    return {"error": error} if error else {"ok": True}


SYSTEM = System(start=KafkaPlayer, alike=alike)
