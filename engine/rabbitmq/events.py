"""RabbitMQ's own facts, in its own words. Tags 50–99."""

from __future__ import annotations

from typing import Literal

from engine.events import Event

DeathReason = Literal["rejected", "expired", "maxlen", "delivery_limit"]


class ExchangeDeclared(Event, frozen=True, array_like=True, tag=50, gc=False):
    """Exchange `node` (already a `NodeAdded`) exists; its name is "" for the default exchange."""

    node: int
    exchange_type: str
    internal: bool


class QueueDeclared(Event, frozen=True, array_like=True, tag=51):
    """Queue `node` (already a `NodeAdded`) exists. `arguments` are its x-arguments as written."""

    node: int
    queue_type: Literal["classic", "quorum"]
    arguments: dict[str, str | int | bool]


class ConsumerRegistered(Event, frozen=True, array_like=True, tag=52, gc=False):
    """Consumer `node` has subscribed to `queue` (basic.consume). `prefetch` 0 is no limit."""

    node: int
    queue: int
    prefetch: int
    priority: int
    no_ack: bool
    exclusive: bool


class ConsumerCancelled(Event, frozen=True, array_like=True, tag=53, gc=False):
    """The subscription of `node` to `queue` has ended."""

    node: int
    queue: int
    why: Literal["client", "channel_closed", "queue_deleted", "timeout"]


class ActiveConsumerChanged(Event, frozen=True, array_like=True, tag=54, gc=False):
    """Only `node` gets messages of this single-active queue from now on (0: nobody)."""

    queue: int
    node: int


class ChannelOpened(Event, frozen=True, array_like=True, tag=55, gc=False):
    """The channel of actor `node` is open."""

    node: int


class ChannelClosed(Event, frozen=True, array_like=True, tag=56, gc=False):
    """The channel of actor `node` is closed; what it had not acknowledged goes back.

    `why` is "client", "socket", "heartbeat", or the broker's own error constant (PRECONDITION_FAILED).
    """

    node: int
    why: str
    text: str


class Unroutable(Event, frozen=True, array_like=True, tag=57, gc=False):
    """No queue was found for the message at `exchange`: dropped, or returned when it was mandatory."""

    message: int
    exchange: int
    returned: bool


class PublishRefused(Event, frozen=True, array_like=True, tag=58, gc=False):
    """`queue` is full and set to reject-publish: it takes no copy of the message."""

    message: int
    queue: int


class Requeued(Event, frozen=True, array_like=True, tag=59, gc=False):
    """The copy returns to `queue`; its `Placed` follows. `delivery_count` is the header's, -1 without one."""

    copy: int
    queue: int
    redelivered: bool
    delivery_count: int


class DeadLettered(Event, frozen=True, array_like=True, tag=60, gc=False):
    """The copy dies in `queue` for `reason` and is published to `exchange`; `count` is its x-death count."""

    copy: int
    queue: int
    reason: DeathReason
    exchange: str
    count: int


class ConsumerTimedOut(Event, frozen=True, array_like=True, tag=61, gc=False):
    """Consumer `node` has held a message of quorum `queue` longer than x-consumer-timeout."""

    node: int
    queue: int


class QueuePurged(Event, frozen=True, array_like=True, tag=62, gc=False):
    """An administrator has emptied `queue` of `count` messages; their `Left` follows."""

    queue: int
    count: int


class QueueExpired(Event, frozen=True, array_like=True, tag=63, gc=False):
    """`queue` was not used for its x-expires; its `NodeRemoved` follows."""

    queue: int


RABBITMQ: tuple[type[Event], ...] = (
    ExchangeDeclared, QueueDeclared, ConsumerRegistered, ConsumerCancelled, ActiveConsumerChanged,
    ChannelOpened, ChannelClosed, Unroutable, PublishRefused, Requeued, DeadLettered,
    ConsumerTimedOut, QueuePurged, QueueExpired,
)  # fmt: skip
