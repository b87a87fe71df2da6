"""RabbitMQ's cases: each action as the operations of a client, each observation from what came back.

The player remembers what a client would remember (its channels, the deliveries of each consumer) and
looks at replies and pushes only, never into the broker. The format is that of conformance/README.md.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.broker import Push
from engine.conformance.case import Observed, Step, System, Unknown, arguments
from engine.conformance.rabbitmq_observed import address, alike, body_of, few, shown
from engine.kernel import Kernel
from engine.rabbitmq import operations as ops
from engine.rabbitmq.broker import RabbitMQ
from engine.rabbitmq.versions import VERSIONS

QUIET_US = 2
"""How far the clock runs after a step, so that what is due at once happens before the next."""

_MESSAGE = {
    "headers",
    "priority",
    "expiration",
    "mandatory",
    "persistent",
    "cc",
    "reply_to",
    "confirm",
    "channel",
}
ALLOWED: dict[str, frozenset[str]] = {
    action: frozenset(words)
    for action, words in {
        "declare_exchange": {"name", "type", "durable", "auto_delete", "internal", "arguments", "channel"},
        "declare_queue": {
            "name", "arguments", "durable", "exclusive", "auto_delete", "passive", "channel",
        },
        "delete_queue": {"name", "channel"},
        "delete_exchange": {"name", "channel"},
        "bind": {"queue", "to_exchange", "exchange", "routing_key", "arguments", "channel"},
        "unbind": {"queue", "to_exchange", "exchange", "routing_key", "arguments", "channel"},
        "publish": {"exchange", "routing_key", "body", "bodies", "count"} | _MESSAGE,
        "reply": {"consumer", "to", "body"} | _MESSAGE,
        "qos": {"channel", "prefetch", "global"},
        "consume": {
            "consumer", "queue", "channel", "auto_ack", "exclusive", "priority", "prefetch", "arguments",
        },
        "get": {"queue", "channel", "auto_ack"},
        "ack": {"consumer", "channel", "body", "nth", "all", "multiple"},
        "nack": {"consumer", "channel", "body", "nth", "all", "multiple", "requeue"},
        "reject": {"consumer", "channel", "body", "nth", "all", "multiple", "requeue"},
        "recover": {"channel"},
        "cancel": {"consumer"},
        "close_channel": {"channel"},
        "close_connection": {"channel"},
        "drop_connection": {"channel"},
        "purge": {"queue", "channel"},
        "wait": {"ms"},
        "stats": {"queue", "queues"},
    }.items()
}  # fmt: skip


class Got(msgspec.Struct):
    """A delivery as its client remembers it. `opening` tells one opening of a channel from the next."""

    channel: str
    opening: int
    tag: int
    body: str
    reply_to: str | None
    settled: bool


class RabbitMQPlayer:
    """One case on one model. Also the model's port: it records what is pushed."""

    def __init__(self, case: dict[str, Any], version: str) -> None:
        if version not in VERSIONS:
            raise Unknown(f"no RabbitMQ version {version!r}")
        self.kernel = Kernel(0)
        self.broker = RabbitMQ(self.kernel, "rabbitmq", version, 0, self)
        self.pushed: list[tuple[str, Push]] = []
        self.openings: dict[str, int] = {}
        self.opened: dict[str, bool] = {}
        self.confirming: set[tuple[str, int]] = set()
        self.consumers: dict[str, str] = {}
        self.deliveries: dict[str, list[Got]] = {}
        self.gets: dict[str, list[Got]] = {}
        self.seen: Observed = {}

    def push(self, kernel: Kernel, client: str, node: int, push: Push) -> None:
        self.pushed.append((client, push))

    def play(self, step: Step) -> Observed:
        action = step["do"]
        if action not in ALLOWED:
            raise Unknown(f"no action {action!r}")
        given = arguments(step, ALLOWED[action])
        self.seen = {}
        self.pushed = []
        getattr(self, action)(given)
        self.kernel.run([self.broker], self.kernel.now_us + QUIET_US)
        self._look(bool(given.get("confirm")))
        self.kernel.take_log()
        return self.seen

    # -- the client's side ------------------------------------------------------------------------

    def say(self, channel: str, operation: Any) -> Any:
        """One operation on a channel that is opened if it is not. A refusal is seen."""
        self.open(channel)
        reply = self.broker.execute(self.kernel, channel, operation)
        if isinstance(reply, ops.Closed):
            self._closed(channel, reply)
        return reply

    def open(self, channel: str) -> None:
        if self.opened.get(channel):
            return
        self.broker.execute(self.kernel, channel, ops.ConnectionClose("socket"))
        number = self.openings[channel] = self.openings.get(channel, 0) + 1
        self.opened[channel] = True
        self.broker.execute(self.kernel, channel, ops.ChannelOpen(f"{channel}#{number}"))

    def _closed(self, channel: str, closed: ops.Closed | ops.ChannelClosed) -> None:
        self.opened[channel] = False
        self.seen.setdefault("errors", []).append(
            {"channel": channel, "scope": closed.scope, "code": closed.code, "reason": closed.name}
        )

    def _look(self, confirms: bool) -> None:
        """Sort what was pushed during the step into what the case observes."""
        deliveries: dict[str, list[Observed]] = {}
        for client, push in self.pushed:
            if isinstance(push, ops.Delivery):
                deliveries.setdefault(push.consumer_tag, []).append(shown(push))
                self.deliveries.setdefault(push.consumer_tag, []).append(self._remember(client, push))
            elif isinstance(push, ops.Return):
                returned = {
                    "body": push.body, "code": push.code, "text": push.text, "exchange": push.exchange,
                    "routing_key": address(push.routing_key),
                }  # fmt: skip
                self.seen.setdefault("returned", []).append(returned)
            elif isinstance(push, ops.Confirm) and confirms:
                self.seen.setdefault("confirms", []).append("ack" if push.ack else "nack")
            elif isinstance(push, ops.CancelledByBroker):
                self.seen.setdefault("cancelled", []).append(push.consumer_tag)
            elif isinstance(push, ops.ChannelClosed):
                self._closed(client, push)
        if deliveries:
            self.seen["deliveries"] = {name: few(messages) for name, messages in deliveries.items()}

    def _remember(self, channel: str, delivery: ops.Delivery) -> Got:
        return Got(
            channel, self.openings[channel], delivery.delivery_tag, delivery.body,
            delivery.properties.reply_to, False,
        )  # fmt: skip

    def _settling(self, given: dict[str, Any]) -> tuple[str, int, bool]:
        """(channel, delivery tag, multiple) that is meant. It is off the client's list from now on."""
        if given.get("all"):
            channel, tag, multiple = given["channel"], 0, True
        else:
            found = self._target(given)
            found.settled = True
            channel, tag, multiple = found.channel, found.tag, given.get("multiple", False)
        for got in [
            got for lists in (self.deliveries, self.gets) for known in lists.values() for got in known
        ]:
            if multiple and got.channel == channel and self._open(got) and (got.tag <= tag or not tag):
                got.settled = True
        return channel, tag, multiple

    def _target(self, given: dict[str, Any]) -> Got:
        name = given.get("consumer")
        known = self.gets.get(given["channel"], []) if name is None else self.deliveries.get(name, [])
        if "nth" in given:
            nth: int = given["nth"]
            if not 1 <= nth <= len(known):
                raise Unknown(f"there is no delivery number {nth}")
            return known[nth - 1]
        for got in known:
            if got.body == given["body"] and not got.settled and self._open(got):
                return got
        raise Unknown(f"no unsettled delivery of {given['body']!r}")

    def _open(self, got: Got) -> bool:
        return self.opened.get(got.channel, False) and self.openings[got.channel] == got.opening

    # -- actions ----------------------------------------------------------------------------------

    def declare_exchange(self, given: dict[str, Any]) -> None:
        self.say(
            _channel(given),
            ops.ExchangeDeclare(
                given["name"], given.get("type", "direct"), given.get("durable", True),
                given.get("auto_delete", False), given.get("internal", False), given.get("arguments") or {},
            ),
        )  # fmt: skip

    def declare_queue(self, given: dict[str, Any]) -> None:
        self.say(
            _channel(given),
            ops.QueueDeclare(
                given["name"], given.get("passive", False), given.get("durable", True),
                given.get("exclusive", False), given.get("auto_delete", False), given.get("arguments") or {},
            ),
        )  # fmt: skip

    def delete_queue(self, given: dict[str, Any]) -> None:
        self.say(_channel(given), ops.QueueDelete(given["name"]))

    def delete_exchange(self, given: dict[str, Any]) -> None:
        self.say(_channel(given), ops.ExchangeDelete(given["name"]))

    def bind(self, given: dict[str, Any]) -> None:
        self._wire(given, ops.QueueBind, ops.ExchangeBind)

    def unbind(self, given: dict[str, Any]) -> None:
        self._wire(given, ops.QueueUnbind, ops.ExchangeUnbind)

    def _wire(self, given: dict[str, Any], of_queue: type[Any], of_exchange: type[Any]) -> None:
        operation = of_exchange if "to_exchange" in given else of_queue
        destination = given["to_exchange"] if "to_exchange" in given else given["queue"]
        told = (destination, given["exchange"], given.get("routing_key", ""), given.get("arguments") or {})
        self.say(_channel(given), operation(*told))

    def publish(self, given: dict[str, Any]) -> None:
        bodies = given["bodies"] if "bodies" in given else [given["body"]]
        if "count" in given:
            bodies = [f"{given['body']}{number}" for number in range(1, given["count"] + 1)]
        for body in bodies:
            if not self._publish(given, given.get("exchange", ""), given.get("routing_key", ""), body):
                return

    def reply(self, given: dict[str, Any]) -> None:
        for got in self.deliveries.get(given["consumer"], []):
            if got.body == given["to"] and got.reply_to is not None:
                self._publish(given, "", got.reply_to, given["body"])
                return
        raise Unknown(f"{given['consumer']!r} got no {given['to']!r} to reply to")

    def _publish(self, given: dict[str, Any], exchange: str, routing_key: str, body: Any) -> bool:
        """One message. Whether the channel is still open."""
        channel = _channel(given)
        self.open(channel)
        opening = (channel, self.openings[channel])
        if opening not in self.confirming:
            self.confirming.add(opening)
            self.say(channel, ops.ConfirmSelect())
        headers = given.get("headers")
        if "cc" in given:
            headers = {**(headers or {}), "CC": list(given["cc"])}
        text, size = body_of(body)
        properties = ops.Properties(
            headers, given.get("priority"), given.get("expiration"), given.get("persistent", True),
            given.get("reply_to"),
        )  # fmt: skip
        if properties == ops.PLAIN:
            properties = ops.PLAIN  # as actors say it
        message = self.kernel.next_message()
        mandatory = given.get("mandatory", False)
        return not isinstance(
            self.say(
                channel, ops.BasicPublish(exchange, routing_key, message, text, size, properties, mandatory)
            ),
            ops.Closed,
        )

    def qos(self, given: dict[str, Any]) -> None:
        self.say(_channel(given), ops.BasicQos(given["prefetch"], given.get("global", False)))

    def consume(self, given: dict[str, Any]) -> None:
        channel, name = _channel(given), given["consumer"]
        if "prefetch" in given:
            self.say(channel, ops.BasicQos(given["prefetch"]))
        told = dict(given.get("arguments") or {})
        if "priority" in given:
            told["x-priority"] = given["priority"]
        operation = ops.BasicConsume(
            given["queue"], name, given.get("auto_ack", False), given.get("exclusive", False), told
        )
        if not isinstance(self.say(channel, operation), ops.Closed):
            self.consumers[name] = channel

    def get(self, given: dict[str, Any]) -> None:
        channel = _channel(given)
        reply = self.say(channel, ops.BasicGet(given["queue"], given.get("auto_ack", False)))
        if isinstance(reply, ops.GetOk):
            self.gets.setdefault(channel, []).append(self._remember(channel, reply.delivery))
            self.seen["got"] = shown(reply.delivery)
        elif isinstance(reply, ops.GetEmpty):
            self.seen["got"] = None

    def ack(self, given: dict[str, Any]) -> None:
        channel, tag, multiple = self._settling(given)
        self.say(channel, ops.BasicAck(tag, multiple))

    def nack(self, given: dict[str, Any]) -> None:
        channel, tag, multiple = self._settling(given)
        self.say(channel, ops.BasicNack(tag, multiple, given.get("requeue", True)))

    def reject(self, given: dict[str, Any]) -> None:
        channel, tag, multiple = self._settling(given)
        self.say(channel, ops.BasicReject(tag, given.get("requeue", True), multiple))

    def recover(self, given: dict[str, Any]) -> None:
        self.say(_channel(given), ops.BasicRecover())

    def cancel(self, given: dict[str, Any]) -> None:
        name = given["consumer"]
        if name not in self.consumers:
            raise Unknown(f"no consumer {name!r}")
        self.say(self.consumers[name], ops.BasicCancel(name))

    def close_channel(self, given: dict[str, Any]) -> None:
        self.say(_channel(given), ops.ChannelClose())
        self.opened[_channel(given)] = False

    def close_connection(self, given: dict[str, Any]) -> None:
        self.say(_channel(given), ops.ConnectionClose("client"))
        self.opened[_channel(given)] = False

    def drop_connection(self, given: dict[str, Any]) -> None:
        self.say(_channel(given), ops.ConnectionClose("socket"))
        self.opened[_channel(given)] = False

    def purge(self, given: dict[str, Any]) -> None:
        reply = self.say(_channel(given), ops.QueuePurge(given["queue"]))
        if isinstance(reply, ops.PurgeOk):
            self.seen["purged"] = reply.message_count

    def wait(self, given: dict[str, Any]) -> None:
        self.kernel.run([self.broker], self.kernel.now_us + given["ms"] * 1_000)

    def stats(self, given: dict[str, Any]) -> None:
        names = given["queues"] if "queues" in given else [given["queue"]]
        self.seen["stats"] = {name: self._stats(name) for name in names}

    def _stats(self, name: str) -> Observed | None:
        reply = self.broker.execute(self.kernel, "administrator", ops.QueueStats(name))
        if not isinstance(reply, ops.StatsOk):
            return None
        told = {"ready": reply.ready, "unacked": reply.unacked, "consumers": reply.consumers}
        if reply.delayed:
            told["delayed"] = reply.delayed
        if reply.dead_lettering:
            told["dead_lettering"] = reply.dead_lettering
        return told


def _channel(given: dict[str, Any]) -> str:
    return str(given.get("channel", "main"))


SYSTEM = System(RabbitMQPlayer, alike)
