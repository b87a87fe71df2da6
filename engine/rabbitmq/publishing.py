"""basic.publish: checks, routing, copies, returns and confirms; also direct reply-to and dead letters.

Source: rabbit_channel:handle_method(#'basic.publish'{}), rabbit_dead_letter:publish/5,
www.rabbitmq.com/docs/publishers, /confirms, /direct-reply-to, /dlx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.events import LeftReason, Owed, Routed, WireAdded
from engine.rabbitmq.channels import Channel
from engine.rabbitmq.classic import ClassicQueue
from engine.rabbitmq.deaths import die, in_cycle
from engine.rabbitmq.errors import Refused, not_found, precondition_failed
from engine.rabbitmq.events import DeadLettered, DeathReason, PublishRefused, Unroutable
from engine.rabbitmq.exchanges import Exchange, route
from engine.rabbitmq.messages import Content, Held, content_of, properties_bytes
from engine.rabbitmq.operations import PLAIN, BasicPublish, Confirm, Delivery, Properties, Return
from engine.rabbitmq.queues import Queue
from engine.rabbitmq.topology import REPLY_TO

if TYPE_CHECKING:
    from engine.rabbitmq.broker import RabbitMQ

NO_ROUTE = 312
REPLY_PREFIX = REPLY_TO + "."
WAYS_MAX = 4_096
"""Remembered ways; a publisher with ever new keys must not fill the memory."""
_NO_HEADERS: dict[str, object] = {}


def publish(broker: RabbitMQ, client: str, op: BasicPublish) -> None:
    """Route, hand a copy to every queue that takes it, return it where it must be, confirm."""
    channel = broker.channels[client]
    way = broker.plain_ways.get((op.exchange, op.routing_key)) if op.properties is PLAIN else None
    if way is None or op.size > broker.switches.message_bytes_max:
        _publish_otherwise(broker, client, channel, op)
        return
    # Most of what is published: to one `plain` queue, without properties.
    keys, exchange_node, queue, properties_bytes = way
    kernel = broker.kernel
    message, size, cause = op.message, op.size, kernel.cause
    content = Content(message, op.body, size, size + properties_bytes, op.exchange, keys, (), PLAIN, -1, 0)
    kernel.copies = copy = kernel.copies + 1
    kernel.cause = kernel.observer.routed(
        Routed(kernel.now_us, cause, message, exchange_node, (Owed(copy, queue.node),))
    )
    queue.accept_plain(broker, copy, content)
    if channel.confirming:
        kernel.cause = cause
        channel.publishes += 1
        broker.port.push(kernel, client, 0, Confirm(channel.publishes, message, True))


def _publish_otherwise(broker: RabbitMQ, client: str, channel: Channel, op: BasicPublish) -> None:
    switches = broker.switches
    if op.size > switches.message_bytes_max:
        raise precondition_failed(f"message size {op.size} is larger than configured max size")
    exchange = broker.exchanges.get(op.exchange)
    if exchange is None:
        raise not_found("exchange", op.exchange)
    if exchange.internal:
        raise Refused("ACCESS_REFUSED", f"cannot publish to internal exchange '{op.exchange}' in vhost '/'")
    properties = op.properties
    if properties.reply_to == REPLY_TO:
        properties = _with_reply_address(channel, properties)
    content = content_of(op, properties, switches)
    if channel.confirming:
        channel.publishes += 1
    replied = _deliver_replies(broker, content) if not op.exchange else False
    targets = targets_of(broker, exchange, content)
    accepted = _hand_to(broker, exchange, content, targets, client)
    if op.properties is PLAIN:
        _remember_plain_way(broker, exchange, op, targets)
    kernel = broker.kernel
    if not targets:
        returned = op.mandatory and not (replied and not switches.mandatory_replies_return)
        if not replied:
            kernel.emit(Unroutable(kernel.now_us, kernel.cause, content.message, exchange.node, returned))
        if returned:
            broker.port.push(
                kernel, client, 0,
                Return(op.message, op.body, NO_ROUTE, "NO_ROUTE", op.exchange, op.routing_key),
            )  # fmt: skip
    if channel.confirming:
        broker.port.push(kernel, client, 0, Confirm(channel.publishes, op.message, accepted))


class PlainWay(NamedTuple):
    """What is known of every message without properties to one exchange with one key."""

    keys: tuple[str, ...]
    exchange_node: int
    queue: ClassicQueue
    properties_bytes: int


def _remember_plain_way(broker: RabbitMQ, exchange: Exchange, op: BasicPublish, targets: list[Queue]) -> None:
    """One `plain` queue, which has got such a message already: nothing is left to check but the size.

    It holds until queues, exchanges or bindings change (`forget_routes`).
    """
    if len(targets) != 1 or broker.headers_matter or op.routing_key.startswith(REPLY_PREFIX):
        return
    queue = targets[0]
    if isinstance(queue, ClassicQueue) and queue.plain and len(broker.plain_ways) < WAYS_MAX:
        extra = properties_bytes(PLAIN) if broker.switches.quorum_counts_properties else 0
        way = PlainWay((op.routing_key,), exchange.node, queue, extra)
        broker.plain_ways[op.exchange, op.routing_key] = way


def targets_of(broker: RabbitMQ, exchange: Exchange, content: Content) -> list[Queue]:
    """The queues that the message is for, each once. Routes by key are remembered until bindings change."""
    keys = content.keys
    cached = broker.routes.get((exchange.name, keys))
    if cached is not None:
        return cached
    headers = content.properties.headers or _NO_HEADERS
    names = route(broker.exchanges, exchange, keys, headers)
    found = [queue for name in names if (queue := broker.queue_named(name)) is not None]
    if not broker.headers_matter:
        broker.remember_route((exchange.name, keys), found)
    return found


def _hand_to(
    broker: RabbitMQ, exchange: Exchange, content: Content, targets: list[Queue], publisher: str
) -> bool:
    """Say what is routed, then let each queue have its copy. Whether no queue refused it."""
    kernel = broker.kernel
    if not exchange.node:
        broker.show_exchange(exchange)
    taking = targets
    refusing: list[Queue] = []
    for queue in targets:
        if queue.overflow != "drop-head" and queue.refuses(broker, content, publisher):
            refusing.append(queue)
    if refusing:
        taking = [queue for queue in targets if queue not in refusing]
    held = [_new_copy(broker, content, queue) for queue in taking]
    cause = kernel.cause
    number = kernel.emit(Routed(kernel.now_us, cause, content.message, exchange.node, _owed(held)))
    kernel.cause = number
    for queue in refusing:
        _refuse(broker, queue, content)
    for queue, copy in zip(taking, held, strict=True):
        if not exchange.name:
            broker.show_default_wire(exchange, queue)
        queue.accept(broker, copy)
    kernel.cause = cause
    return not refusing


def _owed(held: list[Held]) -> tuple[Owed, ...]:
    return tuple([Owed(h.copy, h.destination, h.after, h.deliveries, h.redelivered) for h in held])


def _new_copy(broker: RabbitMQ, content: Content, queue: Queue) -> Held:
    deliveries = broker.deliveries_of(content.retry_of) if content.retry_of else 0
    return Held(broker.kernel.next_copy(), content, queue.node, content.retry_of, deliveries)


def _refuse(broker: RabbitMQ, queue: Queue, content: Content) -> None:
    """A full queue takes no copy. With reject-publish-dlx the message goes to its dead-letter exchange."""
    kernel = broker.kernel
    number = kernel.emit(PublishRefused(kernel.now_us, kernel.cause, content.message, queue.node))
    if queue.overflow == "reject-publish-dlx" and broker.dead_letter_exchange_exists(queue):
        cause, kernel.cause = kernel.cause, number
        broker.later("dead_letter_refused", queue.node, _dead_letter(broker, queue, content, "maxlen"))
        kernel.cause = cause


# -- direct reply-to ------------------------------------------------------------------------------


def _with_reply_address(channel: Channel, properties: Properties) -> Properties:
    """The pseudo-queue's name becomes the address of this channel's reply consumer."""
    if channel.reply_tag is None:
        raise precondition_failed("fast reply consumer does not exist")
    return msgspec.structs.replace(properties, reply_to=channel.reply_address)


def _deliver_replies(broker: RabbitMQ, content: Content) -> bool:
    """Straight to the client that waits, without any queue. Whether an address was among the keys that
    this broker has made up, though its client may be gone."""
    addresses = [key for key in sorted(set(content.keys)) if key.startswith(REPLY_PREFIX)]
    for address in addresses:
        channel = broker.reply_channel(address)
        if channel is None or channel.reply_tag is None:
            continue
        tag, channel.next_tag = channel.next_tag, channel.next_tag + 1
        delivery = Delivery(
            channel.reply_tag, tag, False, content.exchange, content.keys[0], content.message, 0, 0, 0, True,
            content.body, content.size, content.properties,
        )  # fmt: skip
        broker.port.push(broker.kernel, channel.client, 0, delivery)
    return any(address in broker.replies for address in addresses)


# -- dead letters ---------------------------------------------------------------------------------


def bury(broker: RabbitMQ, queue: Queue, dying: list[Held], reason: DeathReason) -> None:
    """At most once: to the dead-letter exchange if there is one (when the queue is done), else gone."""
    if not broker.dead_letter_exchange_exists(queue):
        queue.say_left(broker, tuple([held.copy for held in dying]), reason)
        return
    kernel = broker.kernel
    for held in dying:
        content = held.content
        if broker.switches.failures_travel and held.failures > 0:
            content = msgspec.structs.replace(content, failures=held.failures)
        content = _dead_letter(broker, queue, content, reason)
        number = kernel.emit(
            DeadLettered(
                kernel.now_us, kernel.cause, held.copy, queue.node, reason, content.exchange,
                content.deaths[0].count,
            )
        )  # fmt: skip
        cause, kernel.cause = kernel.cause, number
        broker.later("dead_letter", queue.node, held, content, reason)
        kernel.cause = cause


def _dead_letter(broker: RabbitMQ, queue: Queue, content: Content, reason: DeathReason) -> Content:
    return die(
        content, queue.name, reason, queue.dead_letter_exchange or "", queue.dead_letter_key, broker.switches
    )


def dead_letter_targets(broker: RabbitMQ, content: Content, reason: str) -> tuple[list[Queue], bool] | None:
    """(the queues it goes to, whether a cycle kept it from another); None without the exchange."""
    exchange = broker.exchanges.get(content.exchange)
    if exchange is None:
        return None
    targets = targets_of(broker, exchange, content)
    if reason == "rejected":
        return targets, False
    free = [target for target in targets if not in_cycle(content, target.name)]
    return free, len(free) < len(targets)


def publish_dead_letter(broker: RabbitMQ, source: int, held: Held, content: Content, reason: str) -> None:
    """The dead letter of a queue that waits for no confirmation."""
    found = dead_letter_targets(broker, content, reason)
    targets, cut = found if found is not None else ([], False)
    exchange = broker.exchanges.get(content.exchange)
    if exchange is not None and not exchange.name:
        _deliver_replies(broker, content)
    taking = [t for t in targets if t.overflow == "drop-head" or not t.refuses(broker, content, "")]
    move_on(broker, source, held, content, taking, "cycle" if cut and not targets else "unroutable")
    for target in targets:
        if target not in taking:
            _refuse(broker, target, content)


def move_on(
    broker: RabbitMQ, source: int, held: Held, content: Content, targets: list[Queue], otherwise: LeftReason
) -> None:
    """The copy goes on in the first of `targets`; each other one is owed a copy of its own."""
    if not targets:
        broker.say_left(source, held.copy, otherwise)
        return
    exchange = broker.exchanges[content.exchange]
    broker.show_exchange(exchange)
    held.content = content
    if not exchange.name:
        broker.show_default_wire(exchange, targets[0])
    targets[0].accept(broker, held)
    copy_to(broker, exchange, content, targets[1:])


def publish_refused(broker: RabbitMQ, source: int, content: Content) -> None:
    """What a full reject-publish-dlx queue sent on: nobody held a copy of it, so all targets are owed one."""
    found = dead_letter_targets(broker, content, "maxlen")
    if found is None:
        return
    targets, exchange = found[0], broker.exchanges[content.exchange]
    taking = [t for t in targets if t.overflow == "drop-head" or not t.refuses(broker, content, "")]
    copy_to(broker, exchange, content, taking)
    for target in targets:
        if target not in taking:
            _refuse(broker, target, content)


def copy_to(broker: RabbitMQ, exchange: Exchange, content: Content, targets: list[Queue]) -> None:
    """Each of `targets` gets a copy of its own of a dead letter."""
    if not targets:
        return
    kernel = broker.kernel
    broker.show_exchange(exchange)
    held = [_new_copy(broker, content, queue) for queue in targets]
    cause = kernel.cause
    kernel.cause = kernel.emit(Routed(kernel.now_us, cause, content.message, exchange.node, _owed(held)))
    for queue, copy in zip(targets, held, strict=True):
        if not exchange.name:
            broker.show_default_wire(exchange, queue)
        queue.accept(broker, copy)
    kernel.cause = cause


def say_wire(broker: RabbitMQ, source: int, target: int, label: str) -> None:
    kernel = broker.kernel
    kernel.emit(WireAdded(kernel.now_us, kernel.cause, source, target, "binding", label))
