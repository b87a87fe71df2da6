"""A consumer that speaks AMQP 0-9-1: one worker that handles one message at a time.

It works on what it was handed whatever the broker thinks of that delivery meanwhile: a worker whose
connection is gone goes on, does its effect, and finds that its acknowledgement has no channel left.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.durations import spoken
from engine.errors import InvariantBroken
from engine.events import (
    ConsumerSettings,
    EffectApplied,
    HandlerDeclared,
    Left,
    NodeStateChanged,
    Placed,
    StoreAsked,
    StoreKept,
    WorkFinished,
    WorkStarted,
)
from engine.kernel import Kernel, Timer
from engine.policies.retry import Decision, decide
from engine.policies.service import NORMAL, failure, mean_us, work_us
from engine.rabbitmq import operations as amqp
from engine.scenario import Acknowledge, ConsumerSpec, Idempotency, Retry, Work
from engine.world import POISON, World

RECONNECT_US = 1_000_000
"""How long a client waits before it connects again after the broker closed its channel."""


def settings_of(
    spec: ConsumerSpec, at_us: int = 0, cause: int = 0, node: int = 0, queue: int = 0
) -> ConsumerSettings:
    """What a consumer with this specification does, as it would be told."""
    retry, kept = spec.retry, spec.idempotency
    return ConsumerSettings(
        at_us, cause, node, queue, spec.prefetch, spec.acknowledge, mean_us(spec.work),
        "" if kept is None else kept.keep, retry.do, retry.queue, retry.backoff, retry.delay,
        retry.limit or 0, retry.then,
    )  # fmt: skip


class Held(msgspec.Struct, array_like=True, gc=False):
    """One body at the worker. `client` is the channel it came on, "" once acknowledged or automatic."""

    copy: int
    attempt: int
    message: int
    queue: int
    client: str
    tag: int
    delivery: amqp.Delivery | None = None
    """Kept only where a retry may publish it again."""
    known: bool = False
    """Whether the idempotency store remembered it when it was asked."""


class AmqpConsumer(msgspec.Struct, tag="amqp_consumer"):
    """`spec` is what the scenario says, as changed by commands; `owner`, `link` are indices of parts."""

    spec: ConsumerSpec
    owner: int
    link: int
    node: int
    queue_node: int
    work_stream: str
    """The random stream of its service times."""
    effect_key: str
    """What the world counts its effects by: effect and queue."""
    state: str = "up"
    factor: int = NORMAL
    life: int = 0
    """Goes up when the process starts; a timer of an earlier life is nobody's."""
    incarnation: int = 0
    """Counts connections; names the channel."""
    subscription: int = 0
    """Counts subscriptions on all channels; names the consumer tag."""
    working: Held | None = None
    started_us: int = 0
    until_us: int = 0
    waiting: list[Held] = []
    stopping: bool = False
    removed: bool = False
    """It stops, and its node goes with the last that travels."""
    gone: bool = False
    """Its node is gone. It keeps its place among the parts, where old timers may still look for it."""
    store: str = ""
    """The idempotency store that it had, while it keeps none."""
    stated: bool = False
    """Whether its settings have been told: they are not (any more) the scenario's."""

    # -- life -----------------------------------------------------------------------------------

    def begin(self, kernel: Kernel) -> None:
        """Connect at the scenario's time for it. Who comes later says already now where it will read."""
        if self.spec.start:
            self.tell(kernel)
            kernel.schedule(kernel.now_us + self.spec.start, self.owner, "connect", 0, self.life)
        else:
            self.connect(kernel)

    def connect(self, kernel: Kernel) -> None:
        """Open a new connection with one channel, and subscribe."""
        link = kernel.parts[self.link]
        self.incarnation += 1
        link.client = f"{self.spec.name}#{self.incarnation}"
        link.send(kernel, amqp.ChannelOpen(link.client, self.node))
        self.subscribe(kernel)

    def subscribe(self, kernel: Kernel) -> None:
        """basic.qos and basic.consume; qos holds for consumers started after it."""
        spec, link = self.spec, kernel.parts[self.link]
        self.subscription += 1
        arguments: dict[str, Any] = {}
        if spec.priority:
            arguments["x-priority"] = spec.priority
        if spec.consumer_timeout is not None:
            arguments["x-consumer-timeout"] = spec.consumer_timeout // 1_000
        if spec.prefetch:
            link.send(kernel, amqp.BasicQos(spec.prefetch))
        tag = f"{spec.name}/{self.subscription}"
        automatic = spec.acknowledge == "automatic"
        link.send(
            kernel,
            amqp.BasicConsume(spec.from_.queue, tag, automatic, spec.exclusive, arguments),
            "consume", 0, self.queue_node,
        )  # fmt: skip

    def crash(self, kernel: Kernel) -> None:
        """The process dies: what it worked on and what waited is gone, and its socket closes."""
        self.state = "crashed"
        self.life += 1
        kernel.cause = kernel.emit(
            NodeStateChanged(kernel.now_us, kernel.cause, self.node, "crashed", self.about())
        )
        self._drop_all(kernel, "crashed")
        kernel.parts[self.link].crash(kernel)

    def restart(self, kernel: Kernel) -> None:
        self._say_state(kernel, "up")
        self.stopping = False
        if kernel.parts[self.link].state != "closed":
            self.connect(kernel)

    def stop(self, kernel: Kernel) -> None:
        """Cancel, finish what is being worked on, then close the connection. What only waits goes back."""
        link = kernel.parts[self.link]
        self.stopping = True
        if link.client:
            cancel = amqp.BasicCancel(f"{self.spec.name}/{self.subscription}")
            link.send(kernel, cancel, "cancel", 0, self.queue_node)
        for held in self.waiting:
            kernel.emit(Left(kernel.now_us, kernel.cause, (held.copy,), held.attempt, self.node, "cancelled"))
        self.waiting = []
        if self.working is None:
            self._stopped(kernel)

    def _stopped(self, kernel: Kernel) -> None:
        link = kernel.parts[self.link]
        self._say_state(kernel, "stopped")
        if link.client:
            link.send(kernel, amqp.ConnectionClose("client"), "close", 0, self.queue_node)
        link.client = ""
        self.life += 1
        if self.removed:
            link.leave(kernel)

    def remove(self, kernel: Kernel) -> None:
        """Stop, unless that is done or under way or its process is dead; then its node goes."""
        self.removed = True
        if self.state in ("crashed", "stopped"):
            kernel.parts[self.link].leave(kernel)
        elif not self.stopping:
            self.stop(kernel)

    def _say_state(self, kernel: Kernel, state: str) -> None:
        if state == "up" and self.factor != NORMAL:
            state = "slow"
        self.state = "up" if state == "slow" else state
        about = self.about()
        kernel.cause = kernel.emit(
            NodeStateChanged(kernel.now_us, kernel.cause, self.node, state, about)  # type: ignore[arg-type]
        )

    def about(self) -> str:
        """The node's one-line note: how long it works on each."""
        roughly = "" if self.spec.work.constant is not None else "≈ "
        return f"{roughly}{spoken(mean_us(self.spec.work) * self.factor // NORMAL)} each"

    def handler(self, now_us: int, cause: int) -> HandlerDeclared:
        """What its handler does to the world outside, as an event."""
        effect, idempotency = self.spec.effect, self.spec.idempotency
        store = idempotency.store if idempotency is not None else ""
        return HandlerDeclared(now_us, cause, self.node, effect.name, effect.amount, effect.unit, store)

    def reconnect(self, kernel: Kernel) -> None:
        """The network is back after the connection was given up."""
        if self.state == "up" and not self.stopping:
            self.connect(kernel)

    def disconnected(self, kernel: Kernel, unsent: list[Any]) -> None:
        """The connection is gone: what waited unworked is thrown away, what is being worked on is not."""
        kernel.parts[self.link].client = ""
        for held in self.waiting:
            kernel.emit(
                Left(kernel.now_us, kernel.cause, (held.copy,), held.attempt, self.node, "connection_closed")
            )
        self.waiting = []

    def _drop_all(self, kernel: Kernel, reason: Any) -> None:
        bodies = [*self.waiting] if self.working is None else [self.working, *self.waiting]
        self.working, self.waiting = None, []
        for held in bodies:
            kernel.emit(Left(kernel.now_us, kernel.cause, (held.copy,), held.attempt, self.node, reason))

    def refused_unheard(self, kernel: Kernel, operation: amqp.BasicPublish) -> None:
        """A republish came to nothing; the original was not acknowledged either, and comes back."""

    # -- deliveries -----------------------------------------------------------------------------

    def told(self, kernel: Kernel, said: Any) -> None:
        """What the broker says unasked."""
        if type(said) is amqp.Delivery:
            if self.stopping:
                self._turned_away(kernel, said)
                return
            retry = self.spec.retry
            held = Held(
                said.copy, said.attempt, said.message, said.queue,
                "" if said.no_ack else kernel.parts[self.link].client, said.delivery_tag,
                said if retry.do == "republish" or retry.then else None,
            )  # fmt: skip
            if self.working is None:
                self._start(kernel, held)
            else:
                self._wait(kernel, held)
        elif isinstance(said, amqp.ChannelClosed):
            self._closed(kernel)
        elif isinstance(said, amqp.CancelledByBroker) and not self.stopping:
            self._say_state(kernel, "connecting")
            due_us = kernel.now_us + RECONNECT_US
            kernel.schedule(due_us, self.owner, "subscribe", self.incarnation, self.life)

    def answered(self, kernel: Kernel, asked: Any, reply: Any) -> None:
        if isinstance(reply, amqp.Closed):
            if reply.name == "PRECONDITION_FAILED":
                raise InvariantBroken(f"{self.spec.name} breaks the protocol: {reply.text}")
            self._closed(kernel)

    def _closed(self, kernel: Kernel) -> None:
        """The broker closed the channel: connect again after a while."""
        self.disconnected(kernel, [])
        kernel.schedule(kernel.now_us + RECONNECT_US, self.owner, "connect", 0, self.life)

    def _turned_away(self, kernel: Kernel, said: amqp.Delivery) -> None:
        kernel.emit(Left(kernel.now_us, kernel.cause, (said.copy,), said.attempt, self.node, "cancelled"))

    def _wait(self, kernel: Kernel, held: Held) -> None:
        self.waiting.append(held)
        kernel.emit(
            Placed(kernel.now_us, kernel.cause, held.copy, held.attempt, self.node, "prefetched",
                   len(self.waiting) - 1)
        )  # fmt: skip

    # -- work -----------------------------------------------------------------------------------

    def _start(self, kernel: Kernel, held: Held) -> None:
        spec = self.spec
        self.working = held
        now_us = kernel.now_us
        if spec.acknowledge == "before work":
            self._acknowledge(kernel, held)
        idempotency = spec.idempotency
        if idempotency is not None and idempotency.keep == "check then act":
            world: World = kernel.parts[0]
            held.known = world.ask(idempotency.store, held.message)
            kernel.emit(StoreAsked(now_us, kernel.cause, held.copy, held.attempt, self.node, held.known))
        us = wrap_up_us = 0
        if not held.known:
            us, wrap_up_us = work_us(kernel, self.work_stream, spec.work, self.factor), spec.wrap_up
        self.started_us = now_us
        self.until_us = until_us = now_us + us + wrap_up_us
        number = kernel.observer.work_started(
            WorkStarted(now_us, kernel.cause, held.copy, held.attempt, self.node, until_us)
        )
        kernel.schedule(now_us + us, self.owner, "work", 0, self.life, number)

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        what = timer[4]
        if timer[6] != self.life:
            return
        if what == "work":
            self._work_done(kernel)
        elif what == "wrap_up":
            self._finish(kernel, "")
        elif self.stopping:
            pass  # who stops does not come back meanwhile
        elif what == "connect" and self.state == "up" and kernel.parts[self.link].state == "up":
            self.connect(kernel)
        elif what == "subscribe" and timer[5] == self.incarnation and kernel.parts[self.link].client:
            self._say_state(kernel, "up")
            self.subscribe(kernel)

    def _work_done(self, kernel: Kernel) -> None:
        """The work itself is over: the handler fails, or does its effect."""
        held, spec = self.working, self.spec
        assert held is not None
        if held.known:
            self._finish(kernel, "")
            return
        world: World = kernel.parts[0]
        message = held.message
        if spec.fail is not None or world.flags[message] & POISON:
            why = failure(
                kernel, f"{spec.name}/failure", spec.fail, world.key(message), world.is_poison(message)
            )
            if why:
                self._finish(kernel, why)
                return
        if spec.idempotency is None or not self._seen_before(kernel, held):
            effect = spec.effect
            number, total, due = world.do_effect(
                self.effect_key, effect.name, effect.amount, effect.unit, message
            )
            kernel.observer.effect_applied(
                EffectApplied(kernel.now_us, kernel.cause, held.copy, held.attempt, self.node, message,
                              held.queue, effect.name, number, total, effect.amount, due)
            )  # fmt: skip
            if spec.idempotency is not None:
                self._keep_in_store(kernel, held, "with the effect")
        if spec.wrap_up:
            kernel.schedule(kernel.now_us + spec.wrap_up, self.owner, "wrap_up", 0, self.life)
        else:
            self._finish(kernel, "")

    def _seen_before(self, kernel: Kernel, held: Held) -> bool:
        """Asks the store, where the handler has one that is kept in one step with the effect."""
        idempotency, world = self.spec.idempotency, kernel.parts[0]
        if idempotency is None or idempotency.keep != "with the effect":
            return False
        held.known = world.ask(idempotency.store, held.message)
        now_us = kernel.now_us
        kernel.emit(StoreAsked(now_us, kernel.cause, held.copy, held.attempt, self.node, held.known))
        return held.known

    def _keep_in_store(self, kernel: Kernel, held: Held, keep: str) -> None:
        """If now is when this handler's store is written."""
        idempotency = self.spec.idempotency
        if idempotency is not None and idempotency.keep == keep:
            kernel.parts[0].remember(idempotency.store, held.message)
            kernel.emit(StoreKept(kernel.now_us, kernel.cause, held.copy, held.attempt, self.node))

    def _finish(self, kernel: Kernel, why: str) -> None:
        """The handler returns: acknowledge, or after a failure do what the retry policy says."""
        held, spec = self.working, self.spec
        assert held is not None
        self.working = None
        if spec.idempotency is not None and not why and not held.known:
            self._keep_in_store(kernel, held, "check then act")
        kernel.cause = kernel.observer.work_finished(
            WorkFinished(kernel.now_us, kernel.cause, held.copy, held.attempt, self.node, not why, why)
        )
        if held.client:
            if why:
                decision = decide(kernel, f"{spec.name}/retry", spec.retry, held.attempt)
                self._retry(kernel, held, decision)
            elif spec.acknowledge == "after work":
                link = kernel.parts[self.link]
                if held.client == link.client:
                    link.send(kernel, amqp.BasicAck(held.tag), "ack", held.copy, held.queue)
        if self.stopping:
            self._stopped(kernel)
        elif self.waiting:
            self._start(kernel, self.waiting.pop(0))

    # -- answers --------------------------------------------------------------------------------

    def _acknowledge(self, kernel: Kernel, held: Held) -> None:
        """basic.ack, if the channel it came on is still this client's; an old tag is good for nothing."""
        link = kernel.parts[self.link]
        if held.client == link.client:
            link.send(kernel, amqp.BasicAck(held.tag), "ack", held.copy, held.queue)
        held.client = ""

    def _retry(self, kernel: Kernel, held: Held, decision: Decision) -> None:
        link = kernel.parts[self.link]
        if held.client != link.client:
            return
        to_publish = decision.do in ("republish", "park")
        if to_publish and held.delivery is None:
            # It came under a policy that publishes nothing again: back to the queue, for the next attempt.
            link.send(kernel, amqp.BasicNack(held.tag), "nack", held.copy, held.queue)
        elif decision.do == "requeue" and self.spec.retry.by == "nack":
            link.send(kernel, amqp.BasicNack(held.tag), "nack", held.copy, held.queue)
        elif decision.do in ("requeue", "discard"):
            reject = amqp.BasicReject(held.tag, decision.do == "requeue")
            link.send(kernel, reject, "reject", held.copy, held.queue)
        else:
            self._publish_again(kernel, held, decision)
            self._acknowledge(kernel, held)

    def _publish_again(self, kernel: Kernel, held: Held, decision: Decision) -> None:
        """To a retry queue with the delay as its TTL, or to the queue where it ends; linked by x-retry-of."""
        said = held.delivery
        assert said is not None
        old = said.properties
        headers = {**(old.headers or {}), "x-retry-of": held.copy}
        expiration = str(decision.delay_us // 1_000) if decision.do == "republish" else None
        properties = amqp.Properties(headers, old.priority, expiration, old.persistent, old.reply_to)
        kernel.parts[self.link].send(
            kernel,
            amqp.BasicPublish("", decision.queue, held.message, said.body, said.size, properties),
            "publish", held.message, held.queue,
        )  # fmt: skip

    # -- commands -------------------------------------------------------------------------------

    def slow(self, kernel: Kernel, factor: int) -> None:
        """From the next message on, work takes `factor` thousandths of its time."""
        self.factor = factor
        self._say_state(kernel, self.state)

    def set_work(self, kernel: Kernel, work: Work) -> None:
        self._change(kernel, msgspec.structs.replace(self.spec, work=work))
        self._say_state(kernel, self.state)

    def set_prefetch(self, kernel: Kernel, prefetch: int) -> None:
        """Cancel and subscribe anew: a prefetch holds for consumers started after it."""
        self._resubscribe(kernel, msgspec.structs.replace(self.spec, prefetch=prefetch))

    def set_acknowledge(self, kernel: Kernel, acknowledge: Acknowledge) -> None:
        spec = msgspec.structs.replace(self.spec, acknowledge=acknowledge)
        if "automatic" in (acknowledge, self.spec.acknowledge) and acknowledge != self.spec.acknowledge:
            self._resubscribe(kernel, spec)
        else:
            self._change(kernel, spec)

    def set_retry(self, kernel: Kernel, retry: Retry) -> None:
        """What it does after a failure, from the next one on."""
        self._change(kernel, msgspec.structs.replace(self.spec, retry=retry))

    def set_idempotency(self, kernel: Kernel, idempotency: Idempotency | None) -> None:
        """Whether and when it asks a store. What a store remembers, it remembers."""
        self.store = self.kept_in()
        self._change(kernel, msgspec.structs.replace(self.spec, idempotency=idempotency))
        kernel.emit(self.handler(kernel.now_us, kernel.cause))

    def _change(self, kernel: Kernel, spec: ConsumerSpec) -> None:
        self.spec = spec
        self.tell(kernel)

    def tell(self, kernel: Kernel) -> None:
        """Say its settings."""
        self.stated = True
        kernel.emit(settings_of(self.spec, kernel.now_us, kernel.cause, self.node, self.queue_node))

    def kept_in(self) -> str:
        """The idempotency store that it has, or had; "" when it never had one."""
        return self.store if self.spec.idempotency is None else self.spec.idempotency.store

    def _resubscribe(self, kernel: Kernel, spec: ConsumerSpec) -> None:
        link = kernel.parts[self.link]
        connected = self.state == "up" and bool(link.client)
        if connected:
            tag = f"{self.spec.name}/{self.subscription}"
            link.send(kernel, amqp.BasicCancel(tag), "cancel", 0, self.queue_node)
            if self.spec.prefetch and not spec.prefetch:
                link.send(kernel, amqp.BasicQos(0))
        self._change(kernel, spec)
        if connected:
            self.subscribe(kernel)

    # -- the present ----------------------------------------------------------------------------

    def bodies(self) -> list[Held]:
        """What is at the worker, first what it works on."""
        return self.waiting if self.working is None else [self.working, *self.waiting]

    def shown_state(self) -> str:
        """Its `NodeState`."""
        return "slow" if self.state == "up" and self.factor != NORMAL else self.state
