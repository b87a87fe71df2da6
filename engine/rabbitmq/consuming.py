"""basic.consume, cancel, get, and settling: ack, nack, reject, recover; basic.qos.

Source: rabbit_channel.erl; www.rabbitmq.com/docs/consumers, /confirms, /nack, /consumer-prefetch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.events import Placed
from engine.rabbitmq import arguments as checks
from engine.rabbitmq.channels import Channel, Pending, Subscription, by_consumer
from engine.rabbitmq.classic import ClassicQueue
from engine.rabbitmq.errors import Refused, precondition_failed
from engine.rabbitmq.operations import (
    BasicAck,
    BasicCancel,
    BasicConsume,
    BasicGet,
    BasicNack,
    BasicQos,
    BasicRecover,
    BasicReject,
    GetEmpty,
    GetOk,
    Ok,
)
from engine.rabbitmq.publishing import REPLY_PREFIX
from engine.rabbitmq.quorum import QuorumQueue
from engine.rabbitmq.topology import REPLY_TO, accessible
from engine.rabbitmq.turns import Consumer

if TYPE_CHECKING:
    from engine.rabbitmq.broker import RabbitMQ


def consume(broker: RabbitMQ, client: str, op: BasicConsume) -> Ok:
    channel = broker.channels[client]
    tag = op.consumer_tag
    if tag in channel.subscriptions:
        raise Refused("NOT_ALLOWED", f"attempt to reuse consumer tag '{tag}'")
    if op.queue == REPLY_TO:
        return _consume_replies(broker, channel, op)
    queue = accessible(broker, client, op.queue)
    checks.check_consumer(queue.name, queue.kind, op.arguments, broker.switches)
    consumer = Consumer(
        0, tag, client, channel.node, channel.prefetch, op.arguments.get("x-priority", 0), op.no_ack,
        op.exclusive, 0,
    )  # fmt: skip
    if isinstance(queue, QuorumQueue):
        if channel.limit:
            raise Refused("NOT_IMPLEMENTED", f"queue '{queue.name}' in vhost '/' does not support global qos")
        consumer.timeout_us = queue.timeout_ms * 1_000
        if broker.switches.consumer_timeout and "x-consumer-timeout" in op.arguments:
            consumer.timeout_us = op.arguments["x-consumer-timeout"] * 1_000
    queue.consume(broker, consumer)
    channel.subscriptions[tag] = Subscription(queue.node, consumer.key)
    broker.say_consumer(queue, consumer)
    queue.start(broker, consumer.key)
    return Ok()


def _consume_replies(broker: RabbitMQ, channel: Channel, op: BasicConsume) -> Ok:
    """The pseudo-queue of direct reply-to: one consumer a channel, without acknowledgements."""
    if not op.no_ack:
        raise precondition_failed("reply consumer cannot acknowledge")
    if channel.reply_tag is not None:
        raise precondition_failed("reply consumer already set")
    channel.reply_tag = op.consumer_tag
    channel.reply_address = broker.invent_name(REPLY_PREFIX)
    broker.replies[channel.reply_address] = channel.client
    return Ok()


def cancel(broker: RabbitMQ, client: str, op: BasicCancel) -> Ok:
    """Without a word where there is no such consumer. What it holds stays with the channel."""
    channel = broker.channels[client]
    if channel.reply_tag == op.consumer_tag:
        broker.replies[channel.reply_address] = ""
        channel.reply_tag = None
        return Ok()
    subscription = channel.subscriptions.pop(op.consumer_tag, None)
    queue = broker.queues.get(subscription.queue) if subscription is not None else None
    if subscription is not None and queue is not None:
        queue.cancel(broker, subscription.consumer)
    return Ok()


def get(broker: RabbitMQ, client: str, op: BasicGet) -> GetOk | GetEmpty:
    channel = broker.channels[client]
    queue = accessible(broker, client, op.queue)
    if queue.single_active and isinstance(queue, QuorumQueue):
        raise Refused(
            "RESOURCE_LOCKED", f"cannot obtain access to locked queue '{queue.name}' in vhost '/'. basic.get "
            "operations are not supported by quorum queues with single active consumer",
        )  # fmt: skip
    delivery_tag = channel.next_tag
    taken = queue.get(broker, client, delivery_tag, op.no_ack)
    if taken is None:
        return GetEmpty()
    held, hand, key = taken
    channel.next_tag += 1
    kernel = broker.kernel
    if op.no_ack:
        queue.say_left(broker, (held.copy,), "automatic")
    else:
        channel.pendings[delivery_tag] = Pending(delivery_tag, queue.node, held.copy, hand.lease, key, "")
        queue.unacked[held.copy] = held
        at = len(queue.unacked) - 1
        kernel.emit(Placed(kernel.now_us, kernel.cause, held.copy, 0, queue.node, "unacked", at))
    return GetOk(broker.delivery(queue, held, hand, "", delivery_tag, op.no_ack))


# -- settling -------------------------------------------------------------------------------------


def ack(broker: RabbitMQ, client: str, op: BasicAck) -> None:
    channel = broker.channels[client]
    if op.multiple or channel.limit or op.delivery_tag not in channel.pendings:
        _ack_otherwise(broker, channel, op)
        return
    pending = channel.pendings.pop(op.delivery_tag)
    queue = broker.queues.get(pending.queue)
    if queue is not None:
        queue.ack_one(broker, channel, pending)


def _ack_otherwise(broker: RabbitMQ, channel: Channel, op: BasicAck) -> None:
    """Several deliveries, one under a shared limit, or none that is outstanding."""
    settled = channel.settle(op.delivery_tag, op.multiple)
    freed = make_room(channel, settled)
    for group in by_consumer(settled, broker.names):
        queue = broker.queues.get(group[0].queue)
        if queue is not None:
            queue.ack(broker, channel.client, group)
    if freed:
        _resume(broker, channel)


def nack(broker: RabbitMQ, client: str, op: BasicNack) -> None:
    channel = broker.channels[client]
    settled = channel.settle(op.delivery_tag, op.multiple)
    _turn_back(broker, channel, settled, op.requeue, failed=False)


def reject(broker: RabbitMQ, client: str, op: BasicReject) -> None:
    """basic.reject names one delivery; `multiple` is one reject after the other."""
    channel = broker.channels[client]
    settled = channel.settle(op.delivery_tag, op.multiple)
    for pending in settled:
        _turn_back(broker, channel, [pending], op.requeue, failed=True)


def recover(broker: RabbitMQ, client: str, op: BasicRecover) -> Ok:
    channel = broker.channels[client]
    settled = channel.settle(0, True)
    _turn_back(broker, channel, settled, True, failed=False)
    return Ok()


def _turn_back(
    broker: RabbitMQ, channel: Channel, settled: list[Pending], requeue: bool, failed: bool
) -> None:
    freed = make_room(channel, settled)
    for group in by_consumer(settled, broker.names):
        queue = broker.queues.get(group[0].queue)
        if queue is None:
            continue
        if requeue:
            queue.requeue(broker, channel.client, group, failed)
        else:
            queue.discard(broker, channel.client, group, failed)
    if freed:
        _resume(broker, channel)


# -- prefetch -------------------------------------------------------------------------------------


def qos(broker: RabbitMQ, client: str, op: BasicQos) -> Ok:
    """Per consumer started later; or, where the version has that, one limit for the channel."""
    channel = broker.channels[client]
    if not op.global_ or not broker.switches.global_qos:
        channel.prefetch = op.prefetch_count
        if broker.switches.global_qos:
            set_limit(broker, channel, 0)
        return Ok()
    set_limit(broker, channel, op.prefetch_count)
    return Ok()


def set_limit(broker: RabbitMQ, channel: Channel, limit: int) -> None:
    """Source: rabbit_limiter (limit_prefetch, unlimit_prefetch)."""
    was_full = channel.full
    if not limit:
        channel.volume = 0
    elif not channel.limit:
        channel.volume = len(channel.pendings)
    channel.limit = limit
    if was_full and not channel.full:
        _resume(broker, channel)


def make_room(channel: Channel, settled: list[Pending]) -> bool:
    """Settled deliveries make room under the channel's shared limit; those of basic.get do not.

    Whether queues that the limit had stopped may go on. The room is there before the queues hear of
    the settlement: they ask for it only then.
    """
    if not channel.limit:
        return False
    was_full = channel.full
    if channel.volume:
        channel.volume -= sum(1 for pending in settled if pending.tag)
    return was_full and not channel.full


def _resume(broker: RabbitMQ, channel: Channel) -> None:
    stopped, channel.suspended = channel.suspended, []
    for node in stopped:
        queue = broker.queues.get(node)
        if isinstance(queue, ClassicQueue):
            queue.resume(broker, channel.client)
