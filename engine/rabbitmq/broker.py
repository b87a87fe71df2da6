"""RabbitMQ: one virtual host behind `execute`, `fire` and `state_events`.

`execute` finds what an operation's type does in a table, lets it happen, and then does what the queues
have to say to each other (dead letters, automatic settlements), first come first served: each queue
is a process of its own and finishes one thing before the next. A refusal closes the channel or the
connection and is an answer, not an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from engine.broker import Port, Reply
from engine.events import Event, Left, LeftReason, NodeRemoved, WireAdded, WireRemoved
from engine.kernel import Kernel, Timer
from engine.rabbitmq import (
    agreement,
    at_least_once,
    connections,
    consuming,
    holding,
    publishing,
    statement,
    topology,
)
from engine.rabbitmq import operations as ops
from engine.rabbitmq.channels import Channel, Pending
from engine.rabbitmq.classic import ClassicQueue
from engine.rabbitmq.errors import Refused, not_found
from engine.rabbitmq.events import (
    ActiveConsumerChanged,
    ConsumerCancelled,
    ConsumerRegistered,
    ConsumerTimedOut,
    DeathReason,
    QueueExpired,
)
from engine.rabbitmq.exchanges import PREDECLARED, Exchange
from engine.rabbitmq.messages import Content, Held
from engine.rabbitmq.queues import Hand, Queue
from engine.rabbitmq.quorum import QuorumQueue
from engine.rabbitmq.turns import Consumer
from engine.rabbitmq.versions import VERSIONS

ROUTES_MAX = 4_096
"""Remembered routes; a publisher with ever new keys must not fill the memory."""

Handler = Callable[["RabbitMQ", str, Any], Reply | None]

HANDLERS: dict[type, Handler] = {
    ops.ChannelOpen: connections.open_channel,
    ops.ChannelClose: connections.close_channel,
    ops.ConnectionClose: connections.close_connection,
    ops.ExchangeDeclare: topology.declare_exchange,
    ops.ExchangeDelete: topology.delete_exchange,
    ops.ExchangeBind: topology.bind_exchange,
    ops.ExchangeUnbind: topology.unbind_exchange,
    ops.QueueDeclare: topology.declare_queue,
    ops.QueueDelete: topology.delete_queue,
    ops.QueueBind: topology.bind_queue,
    ops.QueueUnbind: topology.unbind_queue,
    ops.QueuePurge: topology.purge_queue,
    ops.QueueStats: topology.stats,
    ops.ConfirmSelect: connections.select_confirms,
    ops.BasicQos: consuming.qos,
    ops.BasicConsume: consuming.consume,
    ops.BasicCancel: consuming.cancel,
    ops.BasicPublish: publishing.publish,
    ops.BasicGet: consuming.get,
    ops.BasicAck: consuming.ack,
    ops.BasicNack: consuming.nack,
    ops.BasicReject: consuming.reject,
    ops.BasicRecover: consuming.recover,
}
WITHOUT_CHANNEL = (ops.ChannelOpen, ops.ConnectionClose, ops.QueueStats)


class RabbitMQState(msgspec.Struct):
    """What a snapshot keeps: everything but the kernel, the port and remembered routes."""

    name: str
    version: str
    exchanges: dict[str, Exchange]
    queues: dict[int, ClassicQueue | QuorumQueue]
    channels: dict[str, Channel]
    bound: dict[str, str]
    replies: dict[str, str]
    default_wires: dict[int, int]
    invented: int


class RabbitMQ:
    """One node with one virtual host. `version` is a key of `VERSIONS`; `owner` its index for timers."""

    def __init__(self, kernel: Kernel, name: str, version: str, owner: int, port: Port) -> None:
        exchanges = {
            each: Exchange(each, kind, True, False, each == "amq.rabbitmq.trace", {}, 0, [])
            for each, kind in PREDECLARED.items()
        }
        self._restore(RabbitMQState(name, version, exchanges, {}, {}, {}, {}, {}, 0), owner, port)
        self.kernel = kernel

    def _restore(self, state: RabbitMQState, owner: int, port: Port) -> None:
        self.name = state.name
        self.version = state.version
        self.switches = VERSIONS[state.version]
        self.owner = owner
        self.port = port
        self.exchanges = state.exchanges
        self.queues: dict[int, Queue] = dict(state.queues)
        self.names = {node: queue.name for node, queue in self.queues.items()}
        self.by_name = {queue.name: queue for queue in self.queues.values()}
        self.channels = state.channels
        self.bound = state.bound
        self.replies = state.replies
        self.default_wires = state.default_wires
        self.invented = state.invented
        self.routes: dict[tuple[str, tuple[str, ...]], list[Queue]] = {}
        self.plain_ways: dict[tuple[str, str], publishing.PlainWay] = {}
        self.headers_matter = any(e.type == "headers" and e.bindings for e in self.exchanges.values())
        self.work: list[tuple[str, int, tuple[Any, ...]]] = []
        self.worked = 0

    # -- what a broker is (engine.broker.Broker) ----------------------------------------------------

    def execute(self, kernel: Kernel, client: str, operation: Any) -> Reply | None:
        """Do what `client` says, now. None where the protocol has no answer (publish, ack)."""
        self.kernel = kernel
        kind = type(operation)
        cause = kernel.cause
        try:
            if client not in self.channels and kind not in WITHOUT_CHANNEL:
                raise Refused("CHANNEL_ERROR", "expected 'channel.open'")
            reply = HANDLERS[kind](self, client, operation)
        except Refused as refused:
            closed = refused.closed
            connections.close_after_error(self, client, closed)
            reply = closed
        if self.work:
            self._do_the_rest()
        kernel.cause = cause
        return reply

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        """One of the broker's own timers is due: `what` says which, `a` is the queue's node."""
        self.kernel = kernel
        queue = self.queues.get(timer[5])
        if queue is None:
            return
        what = timer[4]
        if what == "messages":
            queue.message_timer = 0
            queue.messages_due(self)
        elif what == "unused":
            queue.unused_timer = 0
            queue.unused_due(self)
        elif isinstance(queue, QuorumQueue) and what == "held_too_long":
            holding.held_too_long(self, queue)
        elif isinstance(queue, QuorumQueue) and what == "dead_letters":
            at_least_once.try_again(self, queue)
        if self.work:
            self._do_the_rest()

    def state_events(self) -> list[Event]:
        """Events of the same vocabulary that build the present from nothing."""
        return statement.state_events(self)

    # -- snapshots ----------------------------------------------------------------------------------

    def state(self) -> RabbitMQState:
        """The broker as plain data; shares its parts with the broker, so encode it at once."""
        for queue in self.queues.values():
            queue.ready.compact()
        queues = {
            node: queue
            for node, queue in self.queues.items()
            if isinstance(queue, (ClassicQueue, QuorumQueue))
        }
        return RabbitMQState(
            self.name, self.version, self.exchanges, queues, self.channels, self.bound, self.replies,
            self.default_wires, self.invented,
        )  # fmt: skip

    @classmethod
    def from_state(
        cls, state: RabbitMQState, owner: int, port: Port, kernel: Kernel | None = None
    ) -> RabbitMQ:
        """A broker that goes on from `state`. Each `execute` and `fire` says which kernel is its own;
        until then `kernel` dates `state_events` (without one they are dated 0)."""
        broker = cls.__new__(cls)
        broker._restore(state, owner, port)
        broker.kernel = kernel if kernel is not None else Kernel(0)
        return broker

    # -- looking in ---------------------------------------------------------------------------------

    def queue_counts(self) -> dict[int, tuple[int, int, int, int]]:
        """Queue's node → (ready, unacked, delayed, dead lettering)."""
        return {node: queue.counts() for node, queue in self.queues.items()}

    def contradiction(self) -> str:
        """What this broker's own parts do not agree about, "" when they do. Passes over all that is held."""
        return agreement.contradiction(self)

    def find(self, kind: str, name: str) -> int:
        """The node of the "queue" or "exchange" of this name; 0 when there is none (on the stage)."""
        return self.node_of(kind == "queue", name)

    def unacked_of(self, client: str, consumer_tag: str) -> int:
        """How many deliveries of this consumer the client has not settled."""
        channel = self.channels.get(client)
        if channel is None:
            return 0
        return sum(1 for pending in channel.pendings.values() if pending.tag == consumer_tag)

    def deliveries_of(self, copy: int) -> int:
        """How often a copy that some client holds was handed out; 0 when nobody holds it."""
        for queue in self.queues.values():
            held = queue.unacked.get(copy)
            if held is not None:
                return held.deliveries
        return 0

    def queue_named(self, name: str) -> Queue | None:
        return self.by_name.get(name)

    def queue_or_die(self, name: str) -> Queue:
        queue = self.by_name.get(name)
        if queue is None:
            raise not_found("queue", name)
        return queue

    def node_of(self, to_queue: bool, name: str) -> int:
        if to_queue:
            queue = self.by_name.get(name)
            return queue.node if queue is not None else 0
        exchange = self.exchanges.get(name)
        return exchange.node if exchange is not None else 0

    def reply_channel(self, address: str) -> Channel | None:
        """The channel behind a direct reply-to address, while it lasts."""
        return self.channels.get(self.replies.get(address, ""))

    def invent_name(self, prefix: str) -> str:
        """A name that only the broker makes up; no chance in it."""
        self.invented += 1
        return f"{prefix}{self.invented}"

    # -- what queues say to each other ----------------------------------------------------------------

    def later(self, what: str, *about: Any) -> None:
        self.work.append((what, self.kernel.cause, about))

    def _do_the_rest(self) -> None:
        """Until nothing is left. Dead-letter rings end by themselves: each round adds to x-death."""
        kernel = self.kernel
        cause = kernel.cause
        done = 0
        while done < len(self.work):
            what, because, about = self.work[done]
            done += 1
            kernel.cause = because
            self._do(what, about)
        self.work.clear()
        kernel.cause = cause

    def _do(self, what: str, about: tuple[Any, ...]) -> None:
        if what == "dead_letter":
            publishing.publish_dead_letter(self, *about)
            return
        if what == "dead_letter_refused":
            publishing.publish_refused(self, *about)
            return
        if what == "overdue":
            connections.tell_overdue(self, *about)
            return
        queue = self.queues.get(about[0])
        if isinstance(queue, QuorumQueue):
            if what == "settle_automatic":
                queue.settle_automatic(self, about[1], about[2])
            elif what == "forward":
                at_least_once.forward(self, queue, about[1])

    def hand_out(self, queue: Queue, consumer: Consumer, held: Held, hand: Hand) -> None:
        client, node = consumer.client, queue.node
        channel = self.channels[client]
        tag = channel.next_tag
        channel.next_tag = tag + 1
        if not consumer.no_ack:
            channel.pendings[tag] = Pending(tag, node, held.copy, hand.lease, consumer.key, consumer.tag)
        delivery = self.delivery(queue, held, hand, consumer.tag, tag, consumer.no_ack)
        self.port.push(self.kernel, client, node, delivery)

    def delivery(
        self, queue: Queue, held: Held, hand: Hand, consumer_tag: str, delivery_tag: int, no_ack: bool
    ) -> ops.Delivery:
        """What the client gets. Counts the hand-out: its number is the attempt."""
        held.deliveries = attempt = held.deliveries + 1
        content = held.content
        return ops.Delivery(
            consumer_tag, delivery_tag, hand.redelivered, content.exchange, content.keys[0], content.message,
            held.copy, attempt, queue.node, no_ack, content.body, content.size, content.properties,
            content.deaths, content.first_death, content.last_death, hand.delivery_count, hand.acquired_count,
        )  # fmt: skip

    def bury(self, queue: Queue, held: list[Held], reason: DeathReason) -> None:
        publishing.bury(self, queue, held, reason)

    def dead_letter_exchange_exists(self, queue: Queue) -> bool:
        return queue.dead_letter_exchange is not None and queue.dead_letter_exchange in self.exchanges

    def dead_letter_targets(self, queue: Queue, content: Content, reason: DeathReason) -> list[Queue] | None:
        found = publishing.dead_letter_targets(self, content, reason)
        return found[0] if found is not None else None

    def publish_dead_letter(self, queue: Queue, held: Held, content: Content, targets: list[Queue]) -> None:
        publishing.move_on(self, queue.node, held, content, targets, "dead_lettered")

    def copy_dead_letter(self, queue: Queue, held: Held, content: Content, targets: list[Queue]) -> None:
        publishing.copy_to(self, self.exchanges[content.exchange], content, targets)

    # -- the stage ------------------------------------------------------------------------------------

    def say_left(self, node: int, copy: int, reason: LeftReason) -> None:
        kernel = self.kernel
        kernel.emit(Left(kernel.now_us, kernel.cause, (copy,), 0, node, reason))

    def add_exchange(self, exchange: Exchange) -> None:
        self.exchanges[exchange.name] = exchange
        self.show_exchange(exchange)
        self.forget_routes()

    def show_exchange(self, exchange: Exchange) -> None:
        """Put it on the stage, unless it is there (predeclared ones come with their first use)."""
        if exchange.node:
            return
        kernel = self.kernel
        exchange.node = kernel.next_node()
        for event in statement.exchange_events(self, exchange, kernel.cause):
            kernel.emit(event)

    def add_queue(self, queue: Queue) -> None:
        kernel = self.kernel
        queue.node = kernel.next_node()
        self.queues[queue.node] = queue
        self.by_name[queue.name] = queue
        self.names[queue.node] = queue.name
        for event in statement.queue_events(self, queue, kernel.cause):
            kernel.emit(event)
        self.forget_routes()

    def remove_node(self, node: int) -> None:
        kernel = self.kernel
        kernel.emit(NodeRemoved(kernel.now_us, kernel.cause, node))

    def show_default_wire(self, exchange: Exchange, queue: Queue) -> None:
        """The default exchange's wire to a queue appears with its first use."""
        if queue.node not in self.default_wires:
            self.default_wires[queue.node] = exchange.node
            publishing.say_wire(self, exchange.node, queue.node, queue.name)

    def delete_queue(self, queue: Queue, by: str) -> None:
        """The queue goes with its messages, consumers and bindings. Its consumers hear of it."""
        kernel = self.kernel
        cause = kernel.cause
        if by == "expires":
            kernel.cause = kernel.emit(QueueExpired(kernel.now_us, cause, queue.node))
        queue.stop_timers(self)
        del self.queues[queue.node]
        del self.by_name[queue.name]
        del self.names[queue.node]
        self.default_wires.pop(queue.node, None)
        self.forget_routes()
        connections.tell_queue_deleted(self, queue)
        copies = tuple([held.copy for held in queue.everything()])
        if copies:
            queue.say_left(self, copies, "queue_deleted")
        self.remove_node(queue.node)
        topology.remove_bindings_to(self, to_queue=True, destination=queue.name, target=queue.node)
        kernel.cause = cause

    def say_consumer(self, queue: Queue, consumer: Consumer) -> None:
        if not consumer.node:
            return
        kernel = self.kernel
        kernel.emit(
            ConsumerRegistered(
                kernel.now_us, kernel.cause, consumer.node, queue.node, consumer.prefetch, consumer.priority,
                consumer.no_ack, consumer.exclusive,
            )
        )  # fmt: skip
        if not statement.has_wire(queue, consumer):
            kernel.emit(WireAdded(kernel.now_us, kernel.cause, queue.node, consumer.node, "consume", ""))

    def subscription_ended(self, queue: Queue, consumer: Consumer, why: Any) -> None:
        if consumer.ended or consumer.get_tag:
            return
        consumer.ended = True
        if not consumer.node:
            return
        kernel = self.kernel
        kernel.emit(ConsumerCancelled(kernel.now_us, kernel.cause, consumer.node, queue.node, why))
        if not statement.has_wire(queue, consumer):
            kernel.emit(WireRemoved(kernel.now_us, kernel.cause, queue.node, consumer.node, "consume", ""))

    def active_consumer_changed(self, queue: Queue, key: int) -> None:
        consumer = queue.consumers.get(key)
        kernel = self.kernel
        node = consumer.node if consumer is not None else 0
        kernel.emit(ActiveConsumerChanged(kernel.now_us, kernel.cause, queue.node, node))

    def overdue(self, queue: Queue, consumer: Consumer) -> None:
        kernel = self.kernel
        if consumer.node:
            kernel.emit(ConsumerTimedOut(kernel.now_us, kernel.cause, consumer.node, queue.node))
        self.subscription_ended(queue, consumer, "timeout")
        self.later("overdue", consumer.client, queue.node, consumer.tag)

    # -- remembered routes ----------------------------------------------------------------------------

    def forget_routes(self) -> None:
        """Queues, exchanges or bindings have changed."""
        self.routes.clear()
        self.plain_ways.clear()
        self.headers_matter = any(e.type == "headers" and e.bindings for e in self.exchanges.values())

    def remember_route(self, key: tuple[str, tuple[str, ...]], found: list[Queue]) -> None:
        if len(self.routes) >= ROUTES_MAX:
            self.routes.clear()
        self.routes[key] = found
