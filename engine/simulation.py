"""One run: a scenario and a seed on one clock, driven by `advance` and `apply_at`.

The parts stand in one list and refer to each other by their place in it: the world first, then the
brokers, then for each actor its link and itself. Everything that happens comes out as ticks of
events; everything there is goes into `snapshot` as plain data.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from engine import RULES, aggregated, clusters
from engine.actors.amqp_consumer import AmqpConsumer
from engine.actors.amqp_producer import AmqpProducer
from engine.actors.kafka_consumer import KafkaConsumer
from engine.actors.kafka_producer import KafkaProducer
from engine.actors.kafka_share_consumer import ShareConsumer
from engine.applying import apply
from engine.broker import Push
from engine.commands import AnyCommand, of_fault
from engine.durations import spoken
from engine.errors import CommandError, EndlessInstant, InvariantBroken, RunOver, ScenarioError
from engine.events import Event, NodeAdded, StandsFor, WireAdded
from engine.finding import ADMIN
from engine.invariants import check, check_wholly
from engine.kafka.broker import Kafka, KafkaState
from engine.kafka.counting import Counting, CountingState
from engine.kafka.link import KafkaLink
from engine.kernel import Kernel, KernelState
from engine.ledger import Ledger
from engine.link import Link
from engine.places import DEAD, WAITING, LedgerState
from engine.presence import state_events
from engine.rabbitmq import operations as amqp
from engine.rabbitmq.broker import RabbitMQ, RabbitMQState
from engine.rabbitmq.versions import VERSIONS
from engine.scenario import (
    AnyConsumerSpec,
    AnyProducerSpec,
    KafkaConsumerSpec,
    KafkaProducerSpec,
    KafkaSystem,
    Queue,
    RabbitMQSystem,
    Scenario,
    ShareConsumerSpec,
)
from engine.ticks import TICK_US, Ticks, TicksState
from engine.world import World

BUDGET_EVENTS = 2_000

AnyConsumer = AmqpConsumer | KafkaConsumer | ShareConsumer
AnyActor = AmqpProducer | KafkaProducer | AnyConsumer

WHOLE_TICKS = 200
"""Every copy is looked at by itself once in so many ticks (5 s), and its counts after every tick."""


class Switchboard:
    """The brokers' port in a room: what is said to a channel goes to the link behind it."""

    def __init__(self) -> None:
        self.links: dict[str, Link | KafkaLink] = {}
        """By actor's name, and by every channel name ("A#2") that has been spoken to."""

    def push(self, kernel: Kernel, client: str, node: int, push: Push) -> None:
        link = self.links.get(client)
        if link is None:
            link = self.links.get(client.rpartition("#")[0])
            if link is None:
                return
            self.links[client] = link
        link.push(kernel, client, node, push)


class SimulationState(msgspec.Struct):
    """A snapshot: everything that a run goes on from."""

    rules: int
    kernel: KernelState
    world: World
    brokers: list[RabbitMQState]
    links: list[Link]
    actors: list[AnyActor]
    ledger: LedgerState
    ticks: TicksState | None
    faults_given: int
    journal: int
    clusters: list[KafkaState] = []
    kafka_links: list[KafkaLink] = []
    counting: CountingState | None = None


_snapshots = msgspec.msgpack.Decoder(SimulationState)


class Simulation:
    """See the module. `ticks` collects what happened; None in runs that nobody watches."""

    def __init__(self, scenario: Scenario, seed: int, watched: bool = True) -> None:
        """Builds the stage at time 0. Raises `ScenarioError` when a broker refuses the topology."""
        self.scenario = scenario
        self.kernel = Kernel(seed)
        self.ticks: Ticks | None = Ticks(self.kernel.log) if watched else None
        self.world = World(list(scenario.kinds))
        leaks = any(VERSIONS[system.version].slot_too_many for system in scenario.rabbitmq)
        self.ledger = Ledger.empty(self.kernel, self.world, list(scenario.promises), slots_leak=leaks)
        self.brokers: list[RabbitMQ] = []
        self.clusters: list[Kafka] = []
        self.links: list[Link] = []
        self.kafka_links: list[KafkaLink] = []
        self.actors: list[AnyActor] = []
        self.counting: Counting | None = None
        """Kafka's part of the ledger, where there is a cluster."""
        if len(scenario.rabbitmq) < len(scenario.system):
            self.counting = Counting(self.kernel, self.world, self.ledger.promise_broken)
        self.listener: Callable[[list[Event]], None] | None = None
        """Who hears what happens in a run that keeps no ticks, before it is forgotten."""
        self.journal = 0
        """The `n` of the last journal entry applied."""
        self.faults = sorted(scenario.fault, key=lambda fault: fault.at)
        self.faults_given = 0
        self.switchboard = Switchboard()
        self.kernel.parts = [self.world]
        self._build()
        self.kernel.schedule(scenario.length_us - 1, 0, "end", 0)
        self._drain()

    # -- building -------------------------------------------------------------------------------

    def _build(self) -> None:
        kernel, scenario = self.kernel, self.scenario
        for index, system in enumerate(scenario.system):
            if isinstance(system, KafkaSystem):
                self.clusters.append(clusters.build_cluster(self, f"system[{index}]", system))
                continue
            broker = RabbitMQ(kernel, system.name, system.version, len(kernel.parts), self.switchboard)
            self.brokers.append(broker)
            kernel.parts.append(broker)
            self._declare(f"system[{index}]", system, broker)
        for producer in scenario.producer:
            self.add_producer(producer)
        for consumer in scenario.consumer:
            self.add_consumer(consumer)
        for actor in self.actors:
            kernel.cause = 0
            actor.begin(kernel)

    def _declare(self, path: str, system: RabbitMQSystem, broker: RabbitMQ) -> None:
        """The topology, as an administrator declares it before anybody connects."""
        self._ask(path, broker, amqp.ChannelOpen(ADMIN))
        for i, exchange in enumerate(system.exchanges):
            self._ask(f"{path}.exchanges[{i}]", broker, amqp.ExchangeDeclare(
                exchange.name, exchange.type, exchange.durable, exchange.auto_delete, exchange.internal,
                exchange.arguments))  # fmt: skip
        for i, queue in enumerate(system.queues):
            arguments: dict[str, Any] = dict(queue.arguments)
            if queue.type != "classic":
                arguments["x-queue-type"] = queue.type
            self._ask(f"{path}.queues[{i}]", broker, amqp.QueueDeclare(
                queue.name, False, queue.durable, False, queue.auto_delete, arguments))  # fmt: skip
        for queue in system.queues:
            self._stand_in(system.queues, queue, broker)
        for i, binding in enumerate(system.bindings):
            bind: Any
            if binding.queue:
                bind = amqp.QueueBind(binding.queue, binding.exchange, binding.routing_key, binding.arguments)
            else:
                bind = amqp.ExchangeBind(
                    binding.to_exchange, binding.exchange, binding.routing_key, binding.arguments
                )
            self._ask(f"{path}.bindings[{i}]", broker, bind)

    def _ask(self, path: str, broker: RabbitMQ, operation: Any) -> Any:
        reply = broker.execute(self.kernel, ADMIN, operation)
        if isinstance(reply, amqp.Closed):
            refusal = f"{reply.code} {reply.name}: {reply.text}"
            raise ScenarioError([f"{path}: refused by the broker with {refusal}"])
        return reply

    def _stand_in(self, queues: list[Queue], queue: Queue, broker: RabbitMQ) -> None:
        home = queue.retries_for or queue.dead_letters_for
        if home:
            node = broker.find("queue", queue.name)
            place = WAITING if queue.retries_for else DEAD
            destination = broker.find("queue", home)
            self.ledger.stands_for[node] = (destination, place)
            self.kernel.emit(StandsFor(0, 0, node, destination, "waiting" if queue.retries_for else "dead"))

    def _link(self, name: str, system_name: str, node: int) -> Link:
        """A link to the named system and, right behind it in the list of parts, room for its actor."""
        index = next(i for i, s in enumerate(self.scenario.system) if s.name == system_name)
        system: Any = self.scenario.system[index]
        owner = len(self.kernel.parts)
        link = Link(owner, 1 + index, owner + 1, node, int(system.link), int(system.heartbeat))
        self.links.append(link)
        self.kernel.parts.append(link)
        self.switchboard.links[name] = link
        return link

    def add_producer(self, spec: AnyProducerSpec) -> AmqpProducer | KafkaProducer:
        """A producer on the stage, with its link. The caller lets it begin."""
        if isinstance(spec, KafkaProducerSpec):
            return clusters.add_producer(self, spec)
        kernel = self.kernel
        now_us, cause = kernel.now_us, kernel.cause
        node = kernel.next_node()
        link = self._link(spec.name, spec.system, node)
        broker = kernel.parts[link.broker]
        exchange = self._shown_exchange(broker, spec.to.exchange, spec.to.queue)
        actor = AmqpProducer(spec, link.actor, link.owner, node, exchange, f"{spec.name}/arrivals")
        kernel.emit(NodeAdded(now_us, cause, node, "producer", spec.name, spec.system, actor.about()))
        kernel.emit(WireAdded(now_us, cause, node, exchange, "publish", ""))
        self.actors.append(actor)
        kernel.parts.append(actor)
        return actor

    def _shown_exchange(self, broker: RabbitMQ, name: str, queue: str) -> int:
        """The node of the exchange that is published to, on the stage from the start."""
        exchange = broker.exchanges[name]
        broker.show_exchange(exchange)
        target = broker.queue_named(queue)
        if target is not None:
            broker.show_default_wire(exchange, target)
        return exchange.node

    def add_consumer(self, spec: AnyConsumerSpec) -> AnyConsumer:
        """A consumer on the stage, with its link. The caller lets it begin."""
        if isinstance(spec, KafkaConsumerSpec | ShareConsumerSpec):
            return clusters.add_consumer(self, spec)
        kernel = self.kernel
        node = kernel.next_node()
        link = self._link(spec.name, spec.system, node)
        queue_node = kernel.parts[link.broker].find("queue", spec.from_.queue)
        effect_key = f"{spec.effect.name}/{queue_node}"
        actor = AmqpConsumer(spec, link.actor, link.owner, node, queue_node, f"{spec.name}/work", effect_key)
        kernel.emit(
            NodeAdded(kernel.now_us, kernel.cause, node, "consumer", spec.name, spec.system, actor.about())
        )
        kernel.emit(actor.handler(kernel.now_us, kernel.cause))
        self.actors.append(actor)
        kernel.parts.append(actor)
        return actor

    # -- driving --------------------------------------------------------------------------------

    @property
    def now_us(self) -> int:
        return self.kernel.now_us

    @property
    def number(self) -> int:
        """The number of the last event."""
        return self.kernel.number

    @property
    def ended(self) -> bool:
        return bool(self.world.over)

    def advance(self, until_us: int, budget: int = BUDGET_EVENTS) -> bool:
        """Fire the timers due before `until_us`; True when that is done, False at the end of the budget.

        `budget` is how many events may happen; it is looked at between timers. A run that has ended
        closes its last tick and stands. Raises `InvariantBroken`, `EndlessInstant`.
        """
        number_max = self.kernel.number + budget
        until_us = min(until_us, self.scenario.length_us)
        while self.faults_given < len(self.faults) and not self.ended:
            fault = self.faults[self.faults_given]
            if fault.at >= until_us:
                break
            if not self._run(fault.at + 1, number_max, fault.at):
                return False
            if self.ended:
                break
            self.faults_given += 1
            self._give(fault)
        return self._run(until_us, number_max, until_us)

    def apply_at(self, at_us: int, command: AnyCommand, n: int) -> None:
        """Journal entry `n`: `command` at `at_us`, after every timer (and fault) due by then.

        Raises `CommandError` (nothing has changed then but the time), `RunOver`.
        """
        while not self.advance(at_us, 1 << 40):
            pass
        while self.faults_given < len(self.faults) and self.faults[self.faults_given].at <= at_us:
            self._run(at_us + 1, 1 << 62, at_us)
            if self.ended:
                break
            self.faults_given += 1
            self._give(self.faults[self.faults_given - 1])
        self._run(at_us + 1, 1 << 62, at_us)
        if self.ended:
            raise RunOver()
        self.journal = n
        self._apply(command, -n)

    def _give(self, fault: Any) -> None:
        kinds: dict[str, Any] = {p.name: "producer" for p in self.scenario.producer}
        kinds.update({c.name: "consumer" for c in self.scenario.consumer})
        named = {queue.name: system.name for system in self.scenario.rabbitmq for queue in system.queues}
        named |= {topic.name: system.name for system in self.scenario.kafka for topic in system.topics}
        with suppress(CommandError):  # a person was quicker: what is crashed already cannot crash again
            self._apply(of_fault(fault, kinds, named.get(fault.target, "")), 0)

    def _apply(self, command: AnyCommand, cause: int) -> None:
        self.kernel.cause = cause
        try:
            apply(self, command)
        finally:
            self._drain()

    def _run(self, until_us: int, number_max: int, rest_us: int) -> bool:
        """The kernel's run, and the end of each tick that it comes to."""
        kernel, world, ticks = self.kernel, self.world, self.ticks
        if world.over:
            return True
        if ticks is None:
            done = self._run_kernel(until_us, number_max, rest_us)
            self._drain()
            return done
        while (boundary_us := (ticks.tick + 1) * TICK_US) <= rest_us:
            if not self._run_kernel(boundary_us, number_max, boundary_us):
                return False
            if world.over:
                break
            if ticks.tick % WHOLE_TICKS == WHOLE_TICKS - 1:
                check_wholly(self)
            elif ticks.open:
                check(self)
            ticks.close()
        if not world.over and not self._run_kernel(until_us, number_max, rest_us):
            return False
        if world.over:
            kernel.now_us = world.over_us
            check(self)
            ticks.close()
        return True

    def _run_kernel(self, until_us: int, number_max: int, rest_us: int) -> bool:
        """The kernel's run, its errors with the names and place that people know."""
        kernel = self.kernel
        try:
            return kernel.run(kernel.parts, until_us, number_max, rest_us)
        except EndlessInstant as error:
            names = [self.part_name(owner) for owner, _ in error.steps]
            raise EngineLoop(error, names) from None
        except InvariantBroken as error:
            raise InvariantBroken(f"{self.where()}: {error}") from None

    def _drain(self) -> None:
        """Nobody watches: what happened is forgotten (else it is the open tick)."""
        if self.ticks is None:
            if self.listener is not None:
                self.listener(self.kernel.log)
            self.kernel.log.clear()

    def where(self) -> str:
        """The place of an error: scenario, seed, journal position, time."""
        return (
            f"scenario {self.scenario.title!r}, seed {self.kernel.seed}, journal entry {self.journal}, "
            f"at {spoken(self.kernel.now_us)}"
        )

    def part_name(self, index: int) -> str:
        """What people call a part."""
        part = self.kernel.parts[index]
        if isinstance(part, AnyActor):
            return part.spec.name
        if isinstance(part, Link | KafkaLink):
            return f"link of {self.part_name(part.actor)}"
        return getattr(part, "name", "the world")

    # -- the present ----------------------------------------------------------------------------

    def state_events(self) -> list[Event]:
        """Events of the same vocabulary that build the present from nothing."""
        return state_events(self)

    def counts(self) -> list[aggregated.Count]:
        """(node, zone, how many lie there), for whoever is shown numbers instead of messages."""
        return aggregated.counts(self)

    def stands(self) -> list[Event]:
        """The ledger's counts and what effects come to, outright, as of the last moment that is over."""
        return aggregated.stands(self)

    def totals(self) -> dict[str, int]:
        """The ledger's counts over all destinations, by name, and how many messages were sent."""
        totals = {"sent": self.kernel.messages, **self.ledger.totals()}
        if self.counting is not None:
            for name, count in self.counting.totals().items():
                totals[name] += count
        return totals

    def digest(self) -> str:
        """The digest of the last closed tick, in hex."""
        assert self.ticks is not None
        return self.ticks.digest.hex()

    def snapshot(self) -> bytes:
        """Everything that the run goes on from."""
        return msgspec.msgpack.encode(
            SimulationState(
                RULES, self.kernel.state(), self.world, [b.state() for b in self.brokers], self.links,
                self.actors, self.ledger.state(), None if self.ticks is None else self.ticks.state(),
                self.faults_given, self.journal, [c.state() for c in self.clusters], self.kafka_links,
                None if self.counting is None else self.counting.state,
            )
        )  # fmt: skip

    @classmethod
    def restore(cls, scenario: Scenario, seed: int, snapshot: bytes) -> Simulation:
        """The run that `snapshot` was taken of. Its scenario and seed must be given again."""
        state = _snapshots.decode(snapshot)
        self = cls.__new__(cls)
        self.scenario = scenario
        self.kernel = Kernel.from_state(state.kernel)
        self.world = state.world
        self.ledger = Ledger(self.kernel, self.world, state.ledger)
        self.links, self.kafka_links, self.actors = state.links, state.kafka_links, state.actors
        self.counting = None
        if state.counting is not None:
            broken = self.ledger.promise_broken
            self.counting = Counting(self.kernel, self.world, broken, state.counting)
        self.listener = None
        self.ticks = None if state.ticks is None else Ticks.from_state(state.ticks, self.kernel.log)
        self.faults = sorted(scenario.fault, key=lambda fault: fault.at)
        self.faults_given, self.journal = state.faults_given, state.journal
        self.switchboard = Switchboard()
        self.brokers, self.clusters = [], []
        parts: list[Any] = [self.world]
        for index, system in enumerate(scenario.system):
            if isinstance(system, KafkaSystem):
                kept = state.clusters[len(self.clusters)]
                self.clusters.append(Kafka.from_state(self.kernel, kept, 1 + index, self.switchboard))
                parts.append(self.clusters[-1])
            else:
                broker = state.brokers[len(self.brokers)]
                self.brokers.append(RabbitMQ.from_state(broker, 1 + index, self.switchboard, self.kernel))
                parts.append(self.brokers[-1])
        of_kind: dict[type, Any] = {Link: iter(self.links), KafkaLink: iter(self.kafka_links)}
        for actor in self.actors:
            link = next(of_kind[Link if isinstance(actor, AmqpProducer | AmqpConsumer) else KafkaLink])
            parts += [link, actor]
            self.switchboard.links[actor.spec.name] = link
        self.kernel.parts = parts
        return self


class EngineLoop(EndlessInstant):
    """A loop without delay, with the names of the parts that go round."""

    def __init__(self, error: EndlessInstant, names: list[str]) -> None:
        super().__init__(error.at_us, error.steps)
        self.args = (self.describe(names),)
