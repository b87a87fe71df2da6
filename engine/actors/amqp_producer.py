"""A producer that speaks AMQP 0-9-1: makes messages, publishes them, and with confirms sees them through."""

from __future__ import annotations

from typing import Any

import msgspec

from engine import limits
from engine.chance import below
from engine.events import GivenUp, MessageCreated, NodeStateChanged
from engine.kernel import Kernel, Timer
from engine.policies.arrivals import at_rate, how_often, is_poison, next_gap_us
from engine.rabbitmq import operations as amqp
from engine.scenario import ProducerSpec

RECONNECT_US = 1_000_000
"""How long a client waits before it connects again after the broker closed its channel."""


class Pending(msgspec.Struct, array_like=True, gc=False):
    """A publish that is not confirmed yet. `entry` is its time-out's timer."""

    operation: amqp.BasicPublish
    entry: int


class AmqpProducer(msgspec.Struct, tag="amqp_producer"):
    """`spec` is what the scenario says, as changed by commands; `owner`, `link` are indices of parts."""

    spec: ProducerSpec
    owner: int
    link: int
    node: int
    exchange_node: int
    arrivals_stream: str
    """The random stream of its gaps."""
    state: str = "up"
    life: int = 0
    """Goes up when the process starts; a timer of an earlier life is nobody's."""
    incarnation: int = 0
    """Counts connections; names the channel."""
    made: int = 0
    paused: bool = False
    tag: int = 0
    """Publishes on the present channel so far: the delivery tag of confirms."""
    pending: dict[int, Pending] = {}
    poison_next: bool = False
    plan: int = 0
    """Goes up with each plan for the next message: only the latest holds."""
    stopped: bool = False
    removed: bool = False
    """It makes no more messages, and its node goes with the last that travels."""
    gone: bool = False
    """Its node is gone. It keeps its place among the parts, where old timers may still look for it."""

    # -- life -----------------------------------------------------------------------------------

    def begin(self, kernel: Kernel) -> None:
        """Connect, and plan the first message."""
        self.connect(kernel)
        kernel.schedule(self.spec.start, self.owner, "start", 0, self.life)

    def connect(self, kernel: Kernel) -> None:
        """Open a new connection with one channel. Delivery tags start anew."""
        link = kernel.parts[self.link]
        self.incarnation += 1
        self.tag = 0
        link.client = f"{self.spec.name}#{self.incarnation}"
        link.send(kernel, amqp.ChannelOpen(link.client, self.node))
        if self.spec.confirm:
            link.send(kernel, amqp.ConfirmSelect())

    def crash(self, kernel: Kernel) -> None:
        """The process dies. What it had not got confirmed it will not send again; what it had sent may
        still arrive."""
        self.state = "crashed"
        self.life += 1
        kernel.cause = kernel.emit(
            NodeStateChanged(kernel.now_us, kernel.cause, self.node, "crashed", self.about())
        )
        self._give_up(kernel)
        kernel.parts[self.link].crash(kernel)

    def _give_up(self, kernel: Kernel) -> None:
        """It will publish nothing again; what has been sent may still arrive."""
        pendings, self.pending = self.pending, {}
        on_their_way = kernel.parts[self.link].publishes() if pendings else []
        for pending in pendings.values():
            kernel.cancel(pending.entry)
            if pending.operation.message not in on_their_way:
                kernel.emit(GivenUp(kernel.now_us, kernel.cause, pending.operation.message, self.node))

    def remove(self, kernel: Kernel) -> None:
        """Make no more messages, wait once for what is not confirmed yet, close the connection, go."""
        self.removed = True
        self.plan += 1
        if self.state == "up":
            self.state = "stopped"
            kernel.cause = kernel.emit(self._said_state(kernel))
        if not kernel.parts[self.link].client:
            self._give_up(kernel)
        self._leave_when_done(kernel)

    def _leave_when_done(self, kernel: Kernel) -> None:
        """Once nothing is unconfirmed."""
        link = kernel.parts[self.link]
        if self.pending or link.leaving or self.gone:
            return
        self.life += 1
        if link.client:
            link.send(kernel, amqp.ConnectionClose("client"), "close", 0, self.exchange_node)
            link.client = ""
        link.leave(kernel)

    def restart(self, kernel: Kernel) -> None:
        self.state = "up"
        kernel.cause = kernel.emit(self._said_state(kernel))
        if kernel.parts[self.link].state != "closed":
            self.connect(kernel)
        self._plan(kernel)

    def reconnect(self, kernel: Kernel) -> None:
        """The network is back after the connection was given up: connect, publish again what is pending."""
        if self.state == "up":
            self.connect(kernel)
            self._publish_again(kernel)

    def disconnected(self, kernel: Kernel, unsent: list[Any]) -> None:
        """The connection is gone. Without confirms, what had not got through is gone with it, also what
        a process that has died meanwhile had left in its socket."""
        for operation in unsent:
            if isinstance(operation, amqp.BasicPublish):
                self.refused_unheard(kernel, operation)
        if self.removed:
            kernel.parts[self.link].client = ""
            self._give_up(kernel)
            self._leave_when_done(kernel)

    def refused_unheard(self, kernel: Kernel, operation: amqp.BasicPublish) -> None:
        """A publish came to nothing. What is pending (with confirms) will be published again."""
        if all(pending.operation.message != operation.message for pending in self.pending.values()):
            kernel.emit(GivenUp(kernel.now_us, kernel.cause, operation.message, self.node))

    # -- making messages ------------------------------------------------------------------------

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        what = timer[4]
        if what == "confirm":
            self._timed_out(kernel, timer[5])
        elif timer[6] != self.life:
            return
        elif what == "arrival":
            if timer[5] == self.plan:
                self.make(kernel, self.next_key(kernel))
                self._plan(kernel)
        elif what == "start":
            self._plan(kernel)
        elif what == "connect" and self.state == "up" and kernel.parts[self.link].state == "up":
            self.connect(kernel)
            self._publish_again(kernel)

    def _stream(self, purpose: str) -> str:
        return f"{self.spec.name}/{purpose}"

    def _plan(self, kernel: Kernel) -> None:
        """Schedule the next message, unless there is none."""
        spec = self.spec
        self.plan += 1
        if (
            self.paused
            or self.stopped
            or self.removed
            or (spec.count is not None and self.made >= spec.count)
        ):
            return
        gap_us = next_gap_us(kernel, self.arrivals_stream, spec.arrivals, self.made, spec.start)
        if gap_us is not None:
            kernel.schedule(kernel.now_us + gap_us, self.owner, "arrival", self.plan, self.life, 0)

    def make(self, kernel: Kernel, key: str) -> None:
        """Make one message with this key and publish it (or lose it, when there is no connection)."""
        spec = self.spec
        if kernel.messages >= limits.MESSAGES_MAX or kernel.observer.alive() >= limits.COPIES_ALIVE_MAX:
            kernel.schedule(kernel.now_us, 0, "end", 1 if kernel.messages >= limits.MESSAGES_MAX else 2)
            return
        self.made += 1
        poison = False
        if self.poison_next:
            poison, self.poison_next = True, False
        elif spec.poison is not None:
            poison = is_poison(kernel, self._stream("poison"), spec.poison, self.made)
        kernel.messages = message = kernel.messages + 1
        kernel.cause = kernel.observer.made(
            MessageCreated(kernel.now_us, kernel.cause, message, self.node, key, poison)
        )
        to, varies = spec.to, spec.headers or spec.priorities or spec.expiration is not None
        properties = self._properties() if varies or not spec.persistent else amqp.PLAIN
        exchange, routing_key = to.exchange, to.routing_key or key
        if to.queue:
            exchange, routing_key = "", to.queue
        elif to.routing_keys:
            routing_key = to.routing_keys[(self.made - 1) % len(to.routing_keys)]
        self.publish(
            kernel, amqp.BasicPublish(exchange, routing_key, message, "", 0, properties, spec.mandatory)
        )

    def next_key(self, kernel: Kernel) -> str:
        """The key of its next message, in turn or drawn."""
        keys = self.spec.keys
        if not keys:
            return ""
        if self.spec.draw_keys:
            return keys[below(kernel, self._stream("keys"), len(keys))]
        return keys[self.made % len(keys)]

    def _properties(self) -> amqp.Properties:
        spec = self.spec
        turn = self.made - 1
        return amqp.Properties(
            headers=dict(spec.headers) or None,
            priority=spec.priorities[turn % len(spec.priorities)] if spec.priorities else None,
            expiration=None if spec.expiration is None else str(spec.expiration // 1_000),
            persistent=spec.persistent,
        )

    def publish(self, kernel: Kernel, operation: amqp.BasicPublish) -> None:
        """Send it; in confirm mode, remember it until the broker says that it has it."""
        link = kernel.parts[self.link]
        confirm = self.spec.confirm
        if link.state == "closed" or not link.client:
            if confirm:
                self.pending[-operation.message] = Pending(operation, self._patience(kernel, 0))
            else:
                kernel.emit(GivenUp(kernel.now_us, kernel.cause, operation.message, self.node))
            return
        self.tag += 1
        if confirm:
            self.pending[self.tag] = Pending(operation, self._patience(kernel, self.tag))
        link.send(kernel, operation, "publish", operation.message, self.exchange_node)

    # -- confirms -------------------------------------------------------------------------------

    def _patience(self, kernel: Kernel, tag: int) -> int:
        due_us = kernel.now_us + self.spec.confirm_timeout
        return kernel.schedule(due_us, self.owner, "confirm", tag, self.life)

    def _timed_out(self, kernel: Kernel, tag: int) -> None:
        """No confirm in time: the producer cannot know, and publishes again."""
        pending = self.pending.pop(tag, None)
        if pending is not None and self.removed:
            self._let_go(kernel, pending.operation)
        elif pending is not None:
            self.publish(kernel, pending.operation)

    def _confirmed_last(self, kernel: Kernel, operation: amqp.BasicPublish, ack: bool) -> None:
        if ack:
            self._leave_when_done(kernel)
        else:
            self._let_go(kernel, operation)

    def _let_go(self, kernel: Kernel, operation: amqp.BasicPublish) -> None:
        """Who is leaving publishes nothing a second time."""
        if operation.message not in kernel.parts[self.link].publishes():
            kernel.emit(GivenUp(kernel.now_us, kernel.cause, operation.message, self.node))
        self._leave_when_done(kernel)

    def _publish_again(self, kernel: Kernel) -> None:
        """On a new channel, everything that is not confirmed, in the old order."""
        pending, self.pending = self.pending, {}
        for publish in pending.values():
            kernel.cancel(publish.entry)
        for publish in pending.values():
            self.publish(kernel, publish.operation)

    def told(self, kernel: Kernel, said: Any) -> None:
        """What the broker says unasked."""
        if isinstance(said, amqp.Confirm):
            pending = self.pending.pop(said.delivery_tag, None)
            if pending is not None:
                kernel.cancel(pending.entry)
                if self.removed:
                    self._confirmed_last(kernel, pending.operation, said.ack)
                elif not said.ack:
                    self._refused(kernel, pending.operation)
        elif isinstance(said, amqp.ChannelClosed):
            self._closed(kernel)

    def answered(self, kernel: Kernel, asked: Any, reply: Any) -> None:
        if isinstance(reply, amqp.Closed):
            if isinstance(asked, amqp.BasicPublish):
                self.refused_unheard(kernel, asked)
            self._closed(kernel)

    def _refused(self, kernel: Kernel, operation: amqp.BasicPublish) -> None:
        """basic.nack by the broker: try again after the confirm time-out."""
        entry = self._patience(kernel, -operation.message)
        self.pending[-operation.message] = Pending(operation, entry)

    def _closed(self, kernel: Kernel) -> None:
        """The broker closed the channel: connect again after a while."""
        kernel.parts[self.link].client = ""
        if self.removed:
            self._give_up(kernel)
            self._leave_when_done(kernel)
            return
        kernel.schedule(kernel.now_us + RECONNECT_US, self.owner, "connect", 0, self.life)

    # -- commands -------------------------------------------------------------------------------

    def set_rate(self, kernel: Kernel, per_minute: int) -> None:
        """Evenly or by Poisson, as before; 0 stops. The next gap starts now."""
        spec = self.spec
        self.stopped = per_minute == 0
        if not self.stopped:
            self.spec = msgspec.structs.replace(spec, arrivals=at_rate(spec.arrivals, per_minute))
        kernel.emit(self._said_state(kernel))
        if self.state == "up":
            self._plan(kernel)

    def pause(self, kernel: Kernel) -> None:
        self.paused = True
        self.plan += 1
        kernel.emit(self._said_state(kernel))

    def resume(self, kernel: Kernel) -> None:
        self.paused = False
        kernel.emit(self._said_state(kernel))
        self._plan(kernel)

    # -- the present ----------------------------------------------------------------------------

    def shown_state(self) -> str:
        """Its `NodeState`."""
        return "paused" if self.state == "up" and self.paused else self.state

    def _said_state(self, kernel: Kernel) -> NodeStateChanged:
        state: Any = self.shown_state()
        return NodeStateChanged(kernel.now_us, kernel.cause, self.node, state, self.about())

    def about(self) -> str:
        """The node's one-line note: how often it makes messages."""
        return "none" if self.stopped else how_often(self.spec.arrivals)
