"""What holds after any sequence of operations: nothing is lost, events add up, snapshots go on alike."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.kernel import Kernel, KernelState
from engine.rabbitmq import operations as ops
from engine.rabbitmq.broker import RabbitMQ, RabbitMQState
from tests.engine.rabbitmq.stage import Recorder, Stage

VERSIONS = ("4.3", "3.10")
QUEUES = ("q1", "q2", "q3")
CLIENTS = ("a", "b", "c")
ARGUMENTS: dict[str, list[Any]] = {
    "x-message-ttl": [0, 1, 50, 2_000],
    "x-expires": [30, 5_000],
    "x-max-length": [0, 1, 2, 4],
    "x-max-length-bytes": [3, 6, 12],
    "x-overflow": ["drop-head", "reject-publish", "reject-publish-dlx"],
    "x-dead-letter-exchange": ["", "", "fan", "none"],
    "x-single-active-consumer": [True],
}
OF_CLASSIC: dict[str, list[Any]] = {"x-max-priority": [0, 1, 3]}
OF_QUORUM: dict[str, list[Any]] = {
    "x-delivery-limit": [-1, 0, 1, 3],
    "x-dead-letter-strategy": ["at-least-once"],
    "x-delayed-retry-type": ["all", "failed", "returned"],
    "x-delayed-retry-min": [20, 400],
    "x-consumer-timeout": [100, 3_000],
}
WEIGHTS = {
    "publish": 9, "consume": 4, "get": 3, "settle": 14, "cancel": 1, "recover": 1, "close": 1, "purge": 1,
    "delete": 1, "redeclare": 1, "unbind": 1, "wait": 3,
}  # fmt: skip
Script = tuple[str, list[dict[str, Any]], list[tuple[str, tuple[Any, ...]]]]


def queue_arguments(random: Random) -> dict[str, Any]:
    """A few arguments that fit each other."""
    quorum = random.random() < 0.55
    possible = {**ARGUMENTS, **(OF_QUORUM if quorum else OF_CLASSIC)}
    told = {
        name: random.choice(possible[name]) for name in random.sample(list(possible), random.randint(0, 4))
    }
    if quorum:
        told["x-queue-type"] = "quorum"
    if told.get("x-dead-letter-strategy") or (told.get("x-dead-letter-exchange") and random.random() < 0.3):
        told |= {"x-overflow": "reject-publish", "x-dead-letter-exchange": random.choice(["", "fan", "none"])}
    if "x-dead-letter-exchange" in told and random.random() < 0.8:
        told["x-dead-letter-routing-key"] = random.choice(QUEUES)
    if "x-delayed-retry-type" in told:
        told["x-delayed-retry-min"] = random.choice([20, 400])
    return told


def step(random: Random) -> tuple[Any, ...]:
    kind = random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    queue = random.choice(("q1", "q1", *QUEUES))
    match kind:
        case "publish":
            expiration = random.choice([None, None, None, "0", "30", "900"])
            return (
                kind,
                random.choice(["", "", "fan"]),
                queue,
                random.choice([None, None, 0, 2, 9]),
                expiration,
            )
        case "consume":
            return kind, queue, random.randint(0, 3), random.random() < 0.15, random.choice([0, 0, 0, 1])
        case "get":
            return kind, queue, random.random() < 0.3
        case "settle":
            how = random.choice(["ack", "nack", "reject", "reject"])
            return kind, how, random.randint(0, 5), random.random() < 0.3, random.random() < 0.6
        case "cancel":
            return kind, random.randint(0, 5)
        case "close":
            return (random.choice(["close", "drop"]),)
        case "wait":
            return kind, random.choice([1, 25, 60, 450, 1_500])
        case "recover":
            return (kind,)
    return kind, queue


def script_of(seed: int, length: int) -> Script:
    """A script that shrinks by its length: the same seed always begins alike."""
    random = Random(seed)
    version = random.choice(VERSIONS)
    queues = [queue_arguments(random) for _ in range(random.choice([1, 2, 3, 3]))]
    return version, queues, [(random.choice(CLIENTS), step(random)) for _ in range(length)]


SCRIPT = st.builds(script_of, st.integers(0, 1 << 32), st.integers(0, 160))
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class World:
    """A kernel, a broker and three actors; plays the steps above."""

    def __init__(self, version: str, queues: list[dict[str, Any]]) -> None:
        self.kernel = Kernel(0)
        self.nodes = {client: self.kernel.next_node() for client in CLIENTS}
        self.port = Recorder(self.nodes)
        self.broker = RabbitMQ(self.kernel, "rabbit", version, 0, self.port)
        self.queues = queues
        self.events: list[Any] = []
        self.tags = 0
        self.say("a", ops.ExchangeDeclare("fan", "fanout"))
        for name in QUEUES[: len(queues)]:
            self.declare("a", name)

    def declare(self, client: str, name: str) -> None:
        at = QUEUES.index(name)
        if at < len(self.queues):
            self.say(client, ops.QueueDeclare(name, arguments=self.queues[at]))
            self.say(client, ops.QueueBind(name, "fan"))

    def say(self, client: str, operation: Any) -> Any:
        self.kernel.cause = 0  # as a command from outside: what timers left there is no snapshot's business
        if client not in self.broker.channels:
            number = len(self.events)
            self.broker.execute(self.kernel, client, ops.ConnectionClose("socket"))
            opening = ops.ChannelOpen(f"{client}{number}", self.nodes[client])
            self.broker.execute(self.kernel, client, opening)
        reply = self.broker.execute(self.kernel, client, operation)
        self.events += self.kernel.take_log()
        return reply

    def do(self, client: str, step: tuple[Any, ...]) -> None:
        match step:
            case ("publish", exchange, key, priority, expiration):
                properties = ops.Properties(priority=priority, expiration=expiration)
                message = self.kernel.next_message()
                self.say(client, ops.BasicPublish(exchange, key, message, "xy", 2, properties))
            case ("consume", queue, prefetch, no_ack, priority):
                self.tags += 1
                self.say(client, ops.BasicQos(prefetch))
                told = {"x-priority": priority}
                self.say(client, ops.BasicConsume(queue, f"t{self.tags}", no_ack, False, told))
            case ("get", queue, no_ack):
                self.say(client, ops.BasicGet(queue, no_ack))
            case ("settle", how, at, multiple, requeue):
                self._settle(client, how, at, multiple, requeue)
            case ("cancel", at):
                channel = self.broker.channels.get(client)
                tags = list(channel.subscriptions) if channel else []
                if tags:
                    self.say(client, ops.BasicCancel(tags[at % len(tags)]))
            case ("recover",):
                self.say(client, ops.BasicRecover())
            case ("close",):
                self.say(client, ops.ChannelClose())
            case ("drop",):
                self.say(client, ops.ConnectionClose("socket"))
            case ("purge", queue):
                self.say(client, ops.QueuePurge(queue))
            case ("delete", queue):
                self.say(client, ops.QueueDelete(queue))
            case ("redeclare", queue):
                self.declare(client, queue)
            case ("unbind", queue):
                self.say(client, ops.QueueUnbind(queue, "fan"))
            case ("wait", ms):
                self.kernel.run([self.broker], self.kernel.now_us + ms * 1_000)
                self.events += self.kernel.take_log()

    def _settle(self, client: str, how: str, at: int, multiple: bool, requeue: bool) -> None:
        channel = self.broker.channels.get(client)
        tags = list(channel.pendings) if channel else []
        if not tags:
            return
        tag = tags[at % len(tags)]
        if how == "ack":
            self.say(client, ops.BasicAck(tag, multiple))
        elif how == "nack":
            self.say(client, ops.BasicNack(tag, multiple, requeue))
        else:
            self.say(client, ops.BasicReject(tag, requeue))

    def snapshot(self) -> World:
        """A world that goes on from this one's encoded state."""
        other = World.__new__(World)
        kernel = msgspec.msgpack.decode(msgspec.msgpack.encode(self.kernel.state()), type=KernelState)
        broker = msgspec.msgpack.decode(msgspec.msgpack.encode(self.broker.state()), type=RabbitMQState)
        other.kernel = Kernel.from_state(kernel)
        other.nodes, other.queues, other.tags = self.nodes, self.queues, self.tags
        other.port = Recorder(self.nodes)
        other.broker = RabbitMQ.from_state(broker, 0, other.port, other.kernel)
        other.events = list(self.events)
        return other


def play(script: Script) -> World:
    version, queues, steps = script
    world = World(version, queues)
    for client, step in steps:
        world.do(client, step)
    return world


@SLOW
@given(SCRIPT)
def test_every_copy_is_in_one_place_or_has_left_once(script: Any) -> None:
    # Given any operations on any queues
    world = play(script)
    # When the events are folded
    stage = Stage().fold(world.events)
    # Then each copy that was owed stands in exactly one zone, or is gone (also: handed out without receipt)
    automatic = {e.copy for e in world.events if type(e).__name__ == "Moved" and not e.keeps}
    left = Counter(copy for copy, _ in stage.gone)
    for copy in stage.owed:
        places = len(stage.where(copy)) + left[copy] + (copy in automatic)
        assert places == 1, (copy, stage.where(copy), left[copy], copy in automatic)


@SLOW
@given(SCRIPT)
def test_the_stage_holds_as_many_as_the_broker_counts(script: Any) -> None:
    world = play(script)
    stage = Stage().fold(world.events)
    for node, counts in world.broker.queue_counts().items():
        zones = ("ready", "unacked", "delayed", "dead_lettering")
        assert counts == tuple(len(stage.zones.get((node, zone), [])) for zone in zones)


@SLOW
@given(SCRIPT)
def test_the_stated_present_is_the_sum_of_the_past(script: Any) -> None:
    # Given any past
    world = play(script)
    # When one newcomer folds all events and another only the statement of the present
    past, present = Stage().fold(world.events), Stage().fold(world.broker.state_events())
    # Then they see the same: nodes, wires, consumers, and zones in their order
    assert present.picture() == past.picture()


@SLOW
@given(SCRIPT, st.integers(0, 160))
def test_a_snapshot_goes_on_with_the_same_events(script: Any, cut: int) -> None:
    # Given a world that was snapshotted somewhere on its way
    version, queues, steps = script
    world = World(version, queues)
    for client, step in steps[:cut]:
        world.do(client, step)
    other = world.snapshot()
    # When both go on
    for client, step in [*steps[cut:], ("a", ("wait", 5_000))]:
        world.do(client, step)
        other.do(client, step)
    # Then they say the same, to the stage and to the clients
    assert other.events == world.events
    assert other.broker.state_events() == world.broker.state_events()


@SLOW
@given(SCRIPT)
def test_every_event_names_an_earlier_one_or_nothing_as_its_cause(script: Any) -> None:
    world = play(script)
    for number, event in enumerate(world.events, 1):
        assert 0 <= event.cause < number


@SLOW
@given(SCRIPT)
def test_prefetch_is_never_exceeded_on_a_queue(script: Any) -> None:
    """But for 3.10's quorum queues, which give one slot too many after a delivery limit."""
    world = play(script)
    for queue in world.broker.queues.values():
        for consumer in queue.consumers.values():
            if (
                consumer.prefetch
                and not consumer.no_ack
                and not consumer.get_tag
                and world.broker.version == "4.3"
            ):
                held = world.broker.unacked_of(consumer.client, consumer.tag)
                overdue = len(consumer.overdue)
                assert held - overdue <= consumer.prefetch


@pytest.mark.parametrize("version", VERSIONS)
def test_the_work_of_one_operation_does_not_grow_with_the_backlog(version: str) -> None:
    # Given a queue with a long backlog
    world = World(version, [{}])
    for _ in range(20_000):
        world.broker.execute(world.kernel, "a", ops.BasicPublish("", "q1", 1, "x", 1))
    world.say("b", ops.BasicQos(1))
    world.say("b", ops.BasicConsume("q1", "t"))
    queue = world.broker.queue_named("q1")
    assert queue is not None
    # When messages are taken from it one by one
    for _ in range(5_000):
        delivery = world.port.take(ops.Delivery)[-1]
        world.say("b", ops.BasicAck(delivery.delivery_tag))
    # Then what is gone does not stay in the line for ever
    line = queue.ready.levels[0]
    assert len(line) == 14_999
    assert len(line.items) <= 2 * len(line) + 64
