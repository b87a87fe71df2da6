"""How fast is a Kafka room? A topic of 12 partitions, 3 groups of 4, 1,000 records a second, against SimPy.

`python bench/kafka_speed.py [--json]`. The whole room path is on: links, events, ledgers, invariants, ticks
encoded with their digests, the numbers told instead of messages, checkpoints, and the frames of ten batches a
second as a room makes them. A room at 8× plays eight such seconds in one: the goal is 0.5 CPU s for eight.
SimPy does the same records in the same run: a process a record, a store a group member.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import simpy

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.figures import Figure, Goal, cpu_seconds, in_turn, show
from engine.kafka import operations as ops
from engine.kafka.broker import Kafka
from engine.kernel import Kernel
from engine.scenario import Scenario, from_data
from engine.simulation import Simulation
from playground.rooms import wire
from playground.rooms.limits import FRAME_BYTES_MAX, TICK_US
from playground.rooms.pace import too_fast
from playground.rooms.replica import Maker, Replica
from playground.rooms.summing import ticks_in_numbers

SPEED = 8_000
BATCH_TICKS = 100_000 * SPEED // 1_000 // TICK_US
"""Ticks that a room at 8× tells at once, each 100 ms."""
SECONDS = 16
GROUPS, MEMBERS, PARTITIONS, PER_S = 3, 4, 12, 1_000
APPENDS = 5_000


def topic(replication: int = 1) -> Scenario:
    """Keyed records in one topic; every group reads all of them."""
    keys = [f"user {n}" for n in range(50)]
    return from_data({
        "format": 1, "title": "12 × 3 × 4", "length": f"{SECONDS}s", "kinds": keys,
        "system": [{"name": "log", "kind": "kafka", "brokers": 3,
                    "config": {"group.initial.rebalance.delay.ms": 0},
                    "topics": [{"name": "t", "partitions": PARTITIONS, "replication": replication}]}],
        "producer": [{"name": "p", "system": "log", "to": {"topic": "t"}, "keys": keys, "draw_keys": True,
                      "arrivals": {"poisson": f"{PER_S}/s"}}],
        "consumer": [{"name": f"g{g} m{m}", "system": "log", "from": {"topics": ["t"], "group": f"g{g}"},
                      "reset": "earliest", "work": {"constant": "1ms"}}
                     for g in range(GROUPS) for m in range(MEMBERS)],
    })  # fmt: skip


def play(scenario: Scenario) -> list[str]:
    """A whole run in a room at 8×. Returns the frames that its viewers get, encoded once for all."""
    replica = Replica(
        Maker(lambda: Simulation(scenario, 1), lambda text: Simulation.restore(scenario, 1, text))
    )
    end = scenario.length_us // TICK_US
    told: list[str] = []
    while replica.closed < end:
        start = replica.closed
        until = min(end, start + BATCH_TICKS)
        while replica.closed < until:
            replica.work(until, float("inf"))
        told += frames(replica, start, SPEED)
    return told


def frames(replica: Replica, start: int, rate: int) -> list[str]:
    """The ticks from `start` on as frames at speed `rate`: in numbers where it is too fast, else singly."""
    told = []
    while start < replica.closed:
        index = start - replica.base
        ticks, fields = wire.batch_of(replica.kept, index), None
        if too_fast(replica.paces[index], rate):
            ticks = replica.kept[index:]
            fields = ticks_in_numbers(ticks, replica.numbers[replica.closed - 1])
        start += len(ticks)
        for each in fields or wire.in_parts(wire.parts_of_ticks(ticks)):
            head = {"epoch": 1, "tick": ticks[0].tick, "n": len(ticks), "first": ticks[0].first}
            told.append(wire.frame("ticks", **head, digest=ticks[-1].digest.hex(), **each))
    return told


def simpy_topic() -> None:
    """As many records through as many stores."""
    chance, environment = random.Random(1), simpy.Environment()
    stores = [[simpy.Store(environment) for _ in range(MEMBERS)] for _ in range(GROUPS)]

    def member(store: simpy.Store) -> Any:
        while True:
            yield store.get()
            yield environment.timeout(0.001)

    def arrivals() -> Any:
        for n in range(SECONDS * PER_S):
            yield environment.timeout(chance.expovariate(PER_S))
            for group in stores:
                group[n % MEMBERS].put(n)

    for group in stores:
        for store in group:
            environment.process(member(store))
    environment.process(arrivals())
    environment.run(until=SECONDS)


def rooms() -> list[Figure]:
    """The topic with one replica and with three."""
    told: list[Figure] = []
    for replication in (1, 3):
        scenario = topic(replication)
        pair = in_turn(lambda scenario=scenario: play(scenario), simpy_topic, rounds=3)
        name = f"12 partitions, 3 groups of 4, 1,000 records/s, RF {replication}"
        told += [
            Figure(f"{name}: 8 simulated seconds", pair.ours_s / SECONDS * 8, "CPU s", Goal(at_most=0.5)),
            Figure(f"{name}: SimPy's 8", pair.peer_s / SECONDS * 8, "CPU s"),
            Figure(
                f"{name}: largest frame",
                max(map(len, play(scenario))) / 1024,
                "KiB",
                Goal(at_most=FRAME_BYTES_MAX / 1024),
            ),
        ]
    return told


class Nowhere:
    """A port that nobody listens at."""

    def push(self, kernel: Kernel, client: str, node: int, push: Any) -> None:
        pass


def appends() -> None:
    kernel = Kernel(1)
    cluster = Kafka(kernel, "log", "4.4", 0, Nowhere(), (1, 2, 3))
    kernel.parts = [cluster]
    cluster.execute(kernel, "p", ops.CreateTopic("t", 1, {"replication.factor": "3"}))
    cluster.execute(kernel, "p", ops.InitProducerId())
    records = tuple(ops.Record("key", "", n) for n in range(4))
    for n in range(APPENDS):
        cluster.execute(kernel, "p", ops.Produce("t", 0, records, -1, 1, 0, 4 * n))
        kernel.take_log()


def alone() -> list[Figure]:
    """The cluster by itself, an idempotent producer."""
    return [Figure("append of 4 records, acks all, RF 3", cpu_seconds(appends) / APPENDS * 1e6, "µs")]


if __name__ == "__main__":
    show([*rooms(), *alone()])
