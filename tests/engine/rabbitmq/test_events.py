"""The facts that the broker tells, in their order: what the stage, the ledger and the narrator rest on."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import Left, Moved, Placed, Routed, WireAdded
from engine.kernel import Kernel
from engine.rabbitmq import events as facts
from engine.rabbitmq import operations as ops
from engine.rabbitmq.broker import RabbitMQ
from tests.engine.rabbitmq.stage import Recorder

PRODUCER, CONSUMER = 1, 2


class Room:
    """One producer ("p") and one consumer ("c") with nodes on the stage."""

    def __init__(self, **queues: dict[str, Any]) -> None:
        self.kernel = Kernel(0)
        for _ in range(2):
            self.kernel.next_node()
        self.port = Recorder({"p": PRODUCER, "c": CONSUMER})
        self.broker = RabbitMQ(self.kernel, "rabbit", "4.3", 0, self.port)
        self.say("p", ops.ChannelOpen("p", PRODUCER))
        self.say("c", ops.ChannelOpen("c", CONSUMER))
        for name, arguments in queues.items():
            self.say("p", ops.QueueDeclare(name, arguments=arguments))

    def say(self, client: str, operation: Any) -> list[Any]:
        self.kernel.cause = 0
        self.broker.execute(self.kernel, client, operation)
        return self.kernel.take_log()

    def wait(self, ms: int) -> list[Any]:
        self.kernel.run([self.broker], self.kernel.now_us + ms * 1_000)
        return self.kernel.take_log()

    def publish(self, queue: str, **headers: Any) -> list[Any]:
        properties = ops.Properties(headers=headers or None)
        return self.say("p", ops.BasicPublish("", queue, self.kernel.next_message(), "m", 1, properties))

    def node(self, queue: str) -> int:
        return self.broker.find("queue", queue)

    def consume(self, queue: str, prefetch: int = 0, no_ack: bool = False) -> list[Any]:
        self.say("c", ops.BasicQos(prefetch))
        return self.say("c", ops.BasicConsume(queue, f"on {queue}", no_ack))

    def tag(self) -> int:
        return self.port.deliveries("c")[-1].delivery_tag


def kinds(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def of(events: list[Any], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture(params=["classic", "quorum"])
def kind(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"x-queue-type": request.param}


def test_a_publish_is_routed_placed_and_handed_out_each_for_the_sake_of_the_one_before(
    kind: dict[str, Any],
) -> None:
    # Given a queue with a consumer
    room = Room(q=kind)
    room.consume("q")
    number = room.kernel.number
    # When a message comes
    told = room.publish("q")
    # Then it is routed, placed as the next to be served, and handed out, with the routing as the cause
    assert kinds(told) == ["NodeAdded", "ExchangeDeclared", "Routed", "WireAdded", "Placed", "Moved"]
    routed, placed, moved = told[2], told[4], told[5]
    assert [owed.destination for owed in routed.copies] == [room.node("q")]
    assert (placed.copy, placed.zone, placed.index) == (routed.copies[0].copy, "ready", 0)
    assert (moved.copy, moved.attempt, moved.keeps) == (placed.copy, 1, "unacked")
    assert placed.cause == moved.cause == number + 3


def test_an_acknowledgement_of_several_is_one_event_for_each_queue(kind: dict[str, Any]) -> None:
    room = Room(q=kind, r=kind)
    room.consume("q")
    room.consume("r")
    for queue in ("q", "r", "q"):
        room.publish(queue)
    told = room.say("c", ops.BasicAck(room.tag(), multiple=True))
    assert [(event.node, len(event.copies), event.reason) for event in told] == [
        (room.node("q"), 2, "acknowledged"), (room.node("r"), 1, "acknowledged"),
    ]  # fmt: skip


def test_what_a_closed_channel_returns_names_the_close_as_its_cause(kind: dict[str, Any]) -> None:
    room = Room(q=kind)
    room.consume("q")
    room.publish("q")
    number = room.kernel.number
    told = room.say("c", ops.ConnectionClose("heartbeat"))
    assert kinds(told) == ["ChannelClosed", "ConsumerCancelled", "WireRemoved", "Requeued", "Placed"]
    assert (told[0].node, told[0].why) == (CONSUMER, "heartbeat")
    assert {event.cause for event in told[1:]} == {number + 1}
    assert told[3].redelivered


def test_the_attempt_counts_on_through_returns_and_dead_letters(kind: dict[str, Any]) -> None:
    # Given a queue whose rejected messages go on in another
    room = Room(dead=kind, q={**kind, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
    room.consume("q")
    room.publish("q")
    # When its message is returned, then rejected, then handed out by the other
    moved = of(room.say("c", ops.BasicNack(room.tag())), Moved)
    told = room.say("c", ops.BasicReject(room.tag(), requeue=False))
    last = of(room.consume("dead"), Moved)
    # Then the copy keeps its number, and its attempts go on
    (died,), (placed,) = of(told, facts.DeadLettered), of(told, Placed)
    assert (died.queue, died.reason, died.count) == (room.node("q"), "rejected", 1)
    assert (placed.copy, placed.node) == (died.copy, room.node("dead"))
    assert not of(told, Left)
    assert [event.attempt for event in [*moved, *last]] == [2, 3]


def test_a_dead_letter_for_two_queues_goes_on_in_one_and_is_copied_to_the_other() -> None:
    room = Room(a={}, b={}, q={"x-dead-letter-exchange": "fan", "x-max-length": 0})
    room.say("p", ops.ExchangeDeclare("fan", "fanout"))
    for queue in ("a", "b"):
        room.say("p", ops.QueueBind(queue, "fan"))
    told = room.publish("q")
    first, second = of(told, Routed)
    placed = {event.node: event.copy for event in of(told, Placed)}
    assert placed[room.node("a")] == first.copies[0].copy
    assert placed[room.node("b")] == second.copies[0].copy
    assert second.copies[0].destination == room.node("b")
    assert first.message == second.message


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [({}, "rejected"), ({"x-dead-letter-exchange": "none"}, "rejected"),
     ({"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "none"}, "unroutable")],
)  # fmt: skip
def test_a_rejected_message_without_a_way_on_has_left(
    kind: dict[str, Any], arguments: dict[str, Any], reason: str
) -> None:
    room = Room(q={**kind, **arguments})
    room.consume("q")
    room.publish("q")
    (left,) = of(room.say("c", ops.BasicReject(room.tag(), requeue=False)), Left)
    assert (left.node, left.reason) == (room.node("q"), reason)


def test_a_cut_cycle_is_called_a_cycle(kind: dict[str, Any]) -> None:
    to_itself = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q", "x-message-ttl": 500}
    room = Room(q={**kind, **to_itself})
    room.publish("q")
    assert [event.reason for event in of(room.wait(600), Left)] == ["cycle"]


def test_a_full_queue_that_refuses_is_not_among_the_copies() -> None:
    room = Room(q={"x-max-length": 0, "x-overflow": "reject-publish"})
    told = room.publish("q")
    (routed,), (refused,) = of(told, Routed), of(told, facts.PublishRefused)
    assert routed.copies == ()
    assert refused.queue == room.node("q")
    assert not of(told, facts.Unroutable)


def test_a_message_for_nobody_is_routed_nowhere_and_said_to_be_unroutable() -> None:
    room = Room()
    told = room.publish("nobody")
    assert of(told, Routed)[0].copies == ()
    assert [event.returned for event in of(told, facts.Unroutable)] == [False]


def test_without_acknowledgements_the_broker_keeps_nothing_and_says_no_more(kind: dict[str, Any]) -> None:
    room = Room(q=kind)
    room.consume("q", no_ack=True)
    told = room.publish("q")
    assert of(told, Moved)[0].keeps == ""
    assert not of(told, Left)
    assert room.broker.queue_counts()[room.node("q")] == (0, 0, 0, 0)


def test_a_get_with_receipt_is_placed_among_the_unacked_and_one_without_has_left(
    kind: dict[str, Any],
) -> None:
    room = Room(q=kind)
    for _ in range(3):
        room.publish("q")
    first, second = room.say("c", ops.BasicGet("q")), room.say("c", ops.BasicGet("q"))
    assert [(e.zone, e.index) for e in of(first + second, Placed)] == [("unacked", 0), ("unacked", 1)]
    (left,) = of(room.say("c", ops.BasicGet("q", no_ack=True)), Left)
    assert left.reason == "automatic"


def test_a_retry_that_republishes_takes_over_the_count_of_the_copy_it_names(kind: dict[str, Any]) -> None:
    room = Room(q=kind)
    room.consume("q", prefetch=1)
    (moved,) = of(room.publish("q"), Moved)
    told = room.publish("q", **{"x-retry-of": moved.copy})
    owed = of(told, Routed)[0].copies[0]
    assert (owed.after, owed.deliveries) == (moved.copy, 1)
    (again,) = of(room.say("c", ops.BasicAck(room.tag())), Moved)
    assert (again.copy, again.attempt) == (owed.copy, 2)


def test_purge_tells_how_many_and_then_which(kind: dict[str, Any]) -> None:
    room = Room(q=kind)
    for _ in range(3):
        room.publish("q")
    told = room.say("p", ops.QueuePurge("q"))
    assert kinds(told) == ["QueuePurged", "Left"]
    assert (told[0].count, len(told[1].copies), told[1].reason) == (3, 3, "purged")


def test_a_deleted_queue_takes_its_copies_along_and_then_goes(kind: dict[str, Any]) -> None:
    room = Room(q=kind)
    room.consume("q", prefetch=1)
    for _ in range(2):
        room.publish("q")
    node = room.node("q")
    told = room.say("p", ops.QueueDelete("q"))
    assert kinds(told) == ["ConsumerCancelled", "WireRemoved", "Left", "NodeRemoved"]
    assert (len(told[2].copies), told[2].reason, told[3].node) == (2, "queue_deleted", node)


def test_an_unused_queue_says_why_it_goes(kind: dict[str, Any]) -> None:
    room = Room(q={**kind, "x-expires": 1000})
    assert kinds(room.wait(1500)) == ["QueueExpired", "NodeRemoved"]


def test_a_time_is_told_after_the_place(kind: dict[str, Any]) -> None:
    room = Room(q={**kind, "x-message-ttl": 2000})
    told = kinds(room.publish("q"))
    assert told[-2:] == ["Placed", "FuseLit"]


def test_a_delayed_message_is_placed_with_its_fuse_and_comes_back_first() -> None:
    room = Room(q={"x-queue-type": "quorum", "x-delayed-retry-type": "all", "x-delayed-retry-min": 1000})
    room.consume("q", prefetch=1)
    room.publish("q")
    told = room.say("c", ops.BasicReject(room.tag()))
    assert [(e.zone, e.index) for e in of(told, Placed)] == [("delayed", 0)]
    (fuse,) = [event for event in told if type(event).__name__ == "FuseLit"]
    assert (fuse.what, fuse.until_us) == ("delay", 1_000_000)
    assert kinds(room.wait(1500)) == ["Placed", "Moved"]


def test_an_at_least_once_dead_letter_waits_in_its_own_zone() -> None:
    room = Room(q={
        "x-queue-type": "quorum", "x-overflow": "reject-publish", "x-dead-letter-strategy": "at-least-once",
        "x-dead-letter-exchange": "none",
    })  # fmt: skip
    room.consume("q")
    room.publish("q")
    told = room.say("c", ops.BasicNack(room.tag(), requeue=False))
    assert kinds(told) == ["DeadLettered", "Placed"]
    assert (told[1].zone, told[1].index) == ("dead_lettering", 0)


def test_predeclared_exchanges_come_on_the_stage_with_their_first_use() -> None:
    room = Room(q={})
    assert room.broker.find("exchange", "amq.topic") == 0
    told = room.say("p", ops.QueueBind("q", "amq.topic", "a.#"))
    assert kinds(told) == ["NodeAdded", "ExchangeDeclared", "WireAdded"]
    (wire,) = of(told, WireAdded)
    assert (wire.source, wire.target, wire.kind, wire.label) == (
        room.broker.find("exchange", "amq.topic"), room.node("q"), "binding", "a.#",
    )  # fmt: skip


def test_channels_without_an_actor_are_not_on_the_stage() -> None:
    room = Room(q={})
    told = room.say("admin", ops.ChannelOpen("admin"))
    told += room.say("admin", ops.BasicConsume("q", "x"))
    told += room.say("admin", ops.ChannelClose())
    assert told == []
