"""How fast is the engine? Against SimPy and kombu in the same run; replay, snapshots and mass runs.

`python bench/engine_speed.py [--json] [--full]`; `--full` does all 1,000 runs instead of 40. The goals
are those of the design's budgets. Ratios hold on any machine, because both sides run in turn; the rows
in CPU seconds were set on a slow one.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from statistics import median
from typing import Any

import simpy

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.figures import Figure, Goal, Pair, cpu_seconds, in_turn, show
from engine.chance import exponential_us
from engine.kernel import WHAT, Kernel, Timer
from engine.rabbitmq import operations as amqp
from engine.rabbitmq.broker import RabbitMQ
from engine.scenario import Scenario, from_data
from engine.simulation import Simulation

CUSTOMERS_PER_S = 100
MM3_S = 100
KERNEL_CUSTOMERS = 20_000
BROKER_MESSAGES = 5_000


# -- M/M/3 ----------------------------------------------------------------------------------------


def mm3(length_s: int, per_s: int, mean: str, consumers: int = 3, prefetch: int = 1) -> Scenario:
    """Poisson arrivals to one queue with exponential servers, through links of 1 ms."""
    return from_data({
        "format": 1, "title": "M/M/3", "length": f"{length_s}s", "kinds": ["a", "b", "c"],
        "system": [{"name": "broker", "kind": "rabbitmq", "link": "1ms", "queues": [{"name": "q"}]}],
        "producer": [{"name": "arrivals", "system": "broker", "to": {"queue": "q"},
                      "arrivals": {"poisson": f"{per_s}/s"}, "keys": ["a", "b", "c"]}],
        "consumer": [{"name": f"server {n}", "system": "broker", "from": {"queue": "q"},
                      "prefetch": prefetch, "work": {"exponential": mean}} for n in range(consumers)],
    })  # fmt: skip


def play(scenario: Scenario, seed: int, watched: bool = True) -> Simulation:
    """A whole run, ticks taken as a room takes them."""
    simulation = Simulation(scenario, seed, watched)
    while not simulation.advance(scenario.length_us):
        if simulation.ticks is not None:
            simulation.ticks.take()
    return simulation


def simpy_mm3(customers: int) -> None:
    """The same system in bare SimPy: a process a customer, a resource of three."""
    chance = random.Random(1)
    environment = simpy.Environment()
    servers = simpy.Resource(environment, capacity=3)

    def customer() -> Any:
        with servers.request() as turn:
            yield turn
            yield environment.timeout(chance.expovariate(1 / 0.025))

    def arrivals() -> Any:
        for _ in range(customers):
            yield environment.timeout(chance.expovariate(CUSTOMERS_PER_S))
            environment.process(customer())

    environment.process(arrivals())
    environment.run()


def room_path() -> list[Figure]:
    """Broker, links, events, ledger, invariants and digests all on, as in a room."""
    scenario = mm3(MM3_S, CUSTOMERS_PER_S, "25ms")
    customers = play(scenario, 1).kernel.messages
    pair = in_turn(lambda: play(scenario, 1), lambda: simpy_mm3(customers), rounds=7)
    name = "M/M/3 customers/s, whole room path"
    return against(name, "SimPy", customers, pair, Goal(at_least=1.0, floor=0.4))


def against(name: str, peer: str, count: int, pair: Pair, goal: Goal) -> list[Figure]:
    """The ratio with its goal, and what each side needs for one."""
    return [
        Figure(f"{name} ÷ {peer}", pair.ratio, "×", goal),
        Figure(f"{name}: ours", pair.ours_s / count * 1e6, "µs"),
        Figure(f"{name}: {peer}", pair.peer_s / count * 1e6, "µs"),
    ]


# -- kernel ---------------------------------------------------------------------------------------


class Station:
    """M/M/3 on the bare kernel: arrivals and departures are timers, the queue is a number."""

    def __init__(self, kernel: Kernel, customers: int) -> None:
        self.left, self.busy, self.waiting = customers, 0, 0
        kernel.schedule(0, 0, "arrival")

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        if timer[WHAT] == "arrival":
            self.left -= 1
            if self.left:
                gap_us = exponential_us(kernel, "arrivals", 1_000_000 // CUSTOMERS_PER_S)
                kernel.schedule(kernel.now_us + gap_us, 0, "arrival")
            if self.busy < 3:
                self.busy += 1
                self.serve(kernel)
            else:
                self.waiting += 1
        elif self.waiting:
            self.waiting -= 1
            self.serve(kernel)
        else:
            self.busy -= 1

    def serve(self, kernel: Kernel) -> None:
        kernel.schedule(kernel.now_us + exponential_us(kernel, "service", 25_000), 0, "departure")


def kernel_mm3() -> None:
    kernel = Kernel(1)
    kernel.run([Station(kernel, KERNEL_CUSTOMERS)], 1 << 60)


def kernel_alone() -> list[Figure]:
    pair = in_turn(kernel_mm3, lambda: simpy_mm3(KERNEL_CUSTOMERS))
    name = "M/M/3 customers/s, kernel alone"
    return against(name, "SimPy", KERNEL_CUSTOMERS, pair, Goal(at_least=4, floor=3))


# -- broker ---------------------------------------------------------------------------------------


class Acknowledging:
    """A port that keeps what is delivered."""

    def __init__(self) -> None:
        self.tags: list[int] = []

    def push(self, kernel: Kernel, client: str, node: int, push: Any) -> None:
        if type(push) is amqp.Delivery:
            self.tags.append(push.delivery_tag)


def broker_messages() -> None:
    port, kernel = Acknowledging(), Kernel(1)
    broker = RabbitMQ(kernel, "broker", "4.3", 0, port)
    kernel.parts = [broker]
    broker.execute(kernel, "c", amqp.ChannelOpen("c"))
    broker.execute(kernel, "c", amqp.QueueDeclare("q"))
    broker.execute(kernel, "c", amqp.BasicConsume("q", "t"))
    for n in range(1, BROKER_MESSAGES + 1):
        broker.execute(kernel, "c", amqp.BasicPublish("", "q", n, "body", 4))
        broker.execute(kernel, "c", amqp.BasicAck(port.tags.pop()))
        kernel.take_log()


def kombu_messages() -> None:
    from kombu import Connection, Consumer, Exchange, Producer, Queue

    with Connection("memory://") as connection:
        channel = connection.channel()
        queue = Queue("q", Exchange("e"), routing_key="q")
        producer = Producer(channel, exchange=queue.exchange, routing_key="q")

        def got(body: Any, message: Any) -> None:
            message.ack()

        with Consumer(channel, [queue], callbacks=[got]):
            for _ in range(BROKER_MESSAGES):
                producer.publish("body")
                connection.drain_events()


def broker_alone() -> list[Figure]:
    pair = in_turn(broker_messages, kombu_messages)
    name = "broker alone: publish, deliver, acknowledge"
    return against(name, "kombu's memory transport", BROKER_MESSAGES, pair, Goal(at_least=5))


# -- rooms ----------------------------------------------------------------------------------------


def snapshots() -> list[Figure]:
    """Of a room with a backlog of more than a thousand copies."""
    scenario = mm3(60, 100, "40ms")
    simulation = play(scenario, 1)
    state = simulation.snapshot()
    alive = len(simulation.ledger.copies)
    take = median(cpu_seconds(simulation.snapshot) for _ in range(9)) * 1e3
    back = median(cpu_seconds(lambda: Simulation.restore(scenario, 1, state)) for _ in range(9)) * 1e3
    return [
        Figure(f"snapshot of {alive:,} copies alive, {len(state) // 1024} KiB", take, "ms"),
        Figure("restore of it", back, "ms"),
    ]


def replay() -> list[Figure]:
    """A 10-minute room at 100 messages a second, from its journal."""
    scenario = mm3(600, 100, "25ms")
    seconds = median(cpu_seconds(lambda: play(scenario, 1)) for _ in range(3))
    return [Figure("10-minute room at 100 msg/s, replayed", seconds, "CPU s", Goal(at_most=2))]


def mass() -> list[Figure]:
    """Runs of a 60 s scenario at 20 messages a second; they keep no ticks."""
    scenario = mm3(60, 20, "100ms")
    runs = 1_000 if "--full" in sys.argv else 40
    seconds = cpu_seconds(lambda: [play(scenario, seed, watched=False) for seed in range(runs)])
    name = "1,000 runs of 60 s at 20 msg/s" + (f", from {runs}" if runs < 1_000 else "")
    return [Figure(name, seconds * 1_000 / runs, "CPU s", Goal(at_most=60))]


if __name__ == "__main__":
    show([*room_path(), *kernel_alone(), *broker_alone(), *replay(), *mass(), *snapshots()])
