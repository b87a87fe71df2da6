"""Connections and channels open and close; the broker closes them when it must.

Source: rabbit_channel.erl (terminate, handle_exception), rabbit_reader.erl;
www.rabbitmq.com/docs/channels#error-handling, www.rabbitmq.com/docs/connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.rabbitmq import events
from engine.rabbitmq.channels import Channel, Pending
from engine.rabbitmq.errors import CODES, Refused
from engine.rabbitmq.operations import (
    CancelledByBroker,
    ChannelClose,
    ChannelClosed,
    ChannelOpen,
    Closed,
    ConfirmSelect,
    ConnectionClose,
    Ok,
)
from engine.rabbitmq.queues import Queue

if TYPE_CHECKING:
    from engine.rabbitmq.broker import RabbitMQ


def open_channel(broker: RabbitMQ, client: str, op: ChannelOpen) -> Ok:
    if client in broker.channels:
        raise Refused("CHANNEL_ERROR", "second 'channel.open' seen")
    broker.channels[client] = Channel(client, op.connection, op.node)
    broker.bound[client] = op.connection
    if op.node:
        kernel = broker.kernel
        kernel.emit(events.ChannelOpened(kernel.now_us, kernel.cause, op.node))
    return Ok()


def close_channel(broker: RabbitMQ, client: str, op: ChannelClose) -> Ok:
    close(broker, client, "client", "")
    return Ok()


def close_connection(broker: RabbitMQ, client: str, op: ConnectionClose) -> Ok:
    """All its channels close as they are, then its exclusive queues go. Nothing to do: nothing is done."""
    connection = broker.bound.get(client)
    if connection is not None:
        shut(broker, connection, op.why, "")
    return Ok()


def select_confirms(broker: RabbitMQ, client: str, op: ConfirmSelect) -> Ok:
    broker.channels[client].confirming = True
    return Ok()


def close(broker: RabbitMQ, client: str, why: str, text: str) -> None:
    """The channel closes as it is: its consumers go, what it has not settled goes back as failed."""
    channel = broker.channels.pop(client)
    if channel.reply_tag is not None:
        broker.replies[channel.reply_address] = ""
    kernel = broker.kernel
    cause = kernel.cause
    if channel.node:
        kernel.cause = kernel.emit(events.ChannelClosed(kernel.now_us, cause, channel.node, why, text))
    touched: dict[int, list[Pending]] = {s.queue: [] for s in channel.subscriptions.values()}
    for pending in channel.pendings.values():
        touched.setdefault(pending.queue, []).append(pending)
    for node in channel.published_to:
        touched.setdefault(node, [])
    for node, pendings in touched.items():
        queue = broker.queues.get(node)
        if queue is not None:
            queue.channel_down(broker, client, pendings)
    kernel.cause = cause


def shut(broker: RabbitMQ, connection: str, why: str, text: str) -> None:
    """The connection is gone: so are its channels, and then its exclusive queues."""
    for client, channel in list(broker.channels.items()):
        if channel.connection == connection:
            close(broker, client, why, text)
    for client in [client for client, bound in broker.bound.items() if bound == connection]:
        del broker.bound[client]
    for queue in list(broker.queues.values()):
        if queue.owner == connection:
            broker.delete_queue(queue, "owner")


def close_after_error(broker: RabbitMQ, client: str, closed: Closed) -> None:
    """The protocol's penalty for a refused operation."""
    if closed.scope == "connection":
        connection = broker.bound.get(client)
        if connection is not None:
            shut(broker, connection, closed.name, closed.text)
    elif client in broker.channels:
        close(broker, client, closed.name, closed.text)


def tell_queue_deleted(broker: RabbitMQ, queue: Queue) -> None:
    """basic.cancel from the broker to every consumer of a queue that is gone."""
    waiting = getattr(queue, "waiting", [])
    for consumer in [*queue.consumers.values(), *waiting]:
        broker.subscription_ended(queue, consumer, "queue_deleted")
        channel = broker.channels.get(consumer.client)
        if channel is None:
            continue
        subscription = channel.subscriptions.get(consumer.tag)
        if subscription is not None and subscription.queue == queue.node:
            del channel.subscriptions[consumer.tag]
            broker.port.push(broker.kernel, consumer.client, 0, CancelledByBroker(consumer.tag))


def tell_overdue(broker: RabbitMQ, client: str, queue: int, tag: str) -> None:
    """A consumer is cancelled; without one to cancel (basic.get, or cancelled before) the channel closes.

    Source: rabbit_channel:handle_queue_actions/2 (released).
    """
    channel = broker.channels.get(client)
    if channel is None:
        return
    subscription = channel.subscriptions.get(tag)
    if tag and subscription is not None and subscription.queue == queue:
        broker.port.push(broker.kernel, client, 0, CancelledByBroker(tag))
        return
    scope, code = CODES["PRECONDITION_FAILED"]
    text = "delivery acknowledgement on channel timed out"
    close(broker, client, "PRECONDITION_FAILED", text)
    broker.port.push(broker.kernel, client, 0, ChannelClosed(scope, code, "PRECONDITION_FAILED", text))
