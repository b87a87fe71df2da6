"""What AMQP 0-9-1 clients and administrators say to RabbitMQ, its answers, and what it says unasked.

Names are the protocol's: class and method (basic.ack is `BasicAck`). The `client` of
`Broker.execute` is the name of a channel; `ChannelOpen` binds that name to a connection. Times in
arguments are the protocol's milliseconds.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.broker import Operation, Push, Reply


class Properties(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """basic-properties of a message, as far as the broker or a consumer looks at them."""

    headers: dict[str, Any] | None = None
    priority: int | None = None
    expiration: str | None = None
    """Per-message TTL in ms, a decimal string as in the protocol."""
    persistent: bool = True
    reply_to: str | None = None


PLAIN = Properties()


# -- connection and channel ---------------------------------------------------------------------


class ChannelOpen(Operation, frozen=True, gc=False):
    """Open the channel named by `client` on `connection`, which is opened if it is not yet.

    `node` is the actor behind it (where deliveries arrive), 0 for none.
    """

    connection: str
    node: int = 0


class ChannelClose(Operation, frozen=True, gc=False):
    """channel.close by the client: unsettled deliveries are requeued and count as failures."""


class ConnectionClose(Operation, frozen=True, gc=False):
    """connection.close by the client, or its socket is gone (`lost`): all its channels close as they are.

    `why` is for the narrator: "client" (it said so), "socket" (closed without a word), "heartbeat".
    """

    why: str = "client"


# -- topology -----------------------------------------------------------------------------------


class ExchangeDeclare(Operation, frozen=True, gc=False):
    """exchange.declare. `type` is direct, fanout, topic or headers; the same name again must be the same
    in every field (406). `auto_delete`: gone with its last binding; `internal`: only other exchanges publish
    to it; `arguments`: alternate-exchange."""

    exchange: str
    type: str = "direct"
    durable: bool = True
    auto_delete: bool = False
    internal: bool = False
    arguments: dict[str, Any] = {}


class ExchangeDelete(Operation, frozen=True, gc=False):
    """exchange.delete, with its bindings. What does not exist is deleted without a word."""

    exchange: str


class ExchangeBind(Operation, frozen=True, gc=False):
    """exchange.bind: `destination` (an exchange) gets what `source` routes by this key and arguments."""

    destination: str
    source: str
    routing_key: str = ""
    arguments: dict[str, Any] = {}


class ExchangeUnbind(Operation, frozen=True, gc=False):
    """exchange.unbind: the binding with exactly this key and these arguments, if there is one."""

    destination: str
    source: str
    routing_key: str = ""
    arguments: dict[str, Any] = {}


class QueueDeclare(Operation, frozen=True, gc=False):
    """queue.declare. `queue` "" lets the broker make up a name; `passive` only asks whether it exists.

    `exclusive`: only this connection's, gone with it; `auto_delete`: gone with its last consumer. `arguments`
    are the x-arguments, checked by `arguments.py`: times in ms, lengths in messages or bytes.
    """

    queue: str
    passive: bool = False
    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False
    arguments: dict[str, Any] = {}


class QueueDelete(Operation, frozen=True, gc=False):
    """queue.delete, with what is in it. Its consumers are cancelled."""

    queue: str


class QueueBind(Operation, frozen=True, gc=False):
    """queue.bind. `arguments`, for a headers exchange: values, and x-match (all, any, all-with-x,
    any-with-x)."""

    queue: str
    exchange: str
    routing_key: str = ""
    arguments: dict[str, Any] = {}


class QueueUnbind(Operation, frozen=True, gc=False):
    """queue.unbind: the binding with exactly this key and these arguments, if there is one."""

    queue: str
    exchange: str
    routing_key: str = ""
    arguments: dict[str, Any] = {}


class QueuePurge(Operation, frozen=True, gc=False):
    """queue.purge: everything that nobody holds unacknowledged."""

    queue: str


class QueueStats(Operation, frozen=True, gc=False):
    """An administrator's look at a queue's counts (management API). It is not a use of the queue."""

    queue: str


# -- basic --------------------------------------------------------------------------------------


class ConfirmSelect(Operation, frozen=True, gc=False):
    """Put the channel into confirm mode: every later publish is confirmed, tags from 1."""


class BasicQos(Operation, frozen=True, gc=False):
    """basic.qos. `prefetch_count` deliveries may be unsettled, 0 is no limit: for each consumer started later
    on this channel, or with `global_` for the channel as a whole (3.10; 4.3 takes it as per consumer)."""

    prefetch_count: int
    global_: bool = False


class BasicConsume(Operation, frozen=True, gc=False):
    """basic.consume. `no_ack`: automatic acknowledgement. `exclusive`: nobody else may consume (classic)."""

    queue: str
    consumer_tag: str
    no_ack: bool = False
    exclusive: bool = False
    arguments: dict[str, Any] = {}
    """x-priority, x-consumer-timeout (ms)."""


class BasicCancel(Operation, frozen=True, gc=False):
    """basic.cancel. What the consumer holds unsettled stays with the channel."""

    consumer_tag: str


class BasicPublish(Operation, frozen=True, gc=False):
    """Publish message number `message` (of the kernel) with `body` to `exchange`.

    `size` is the body's length in bytes. A header CC (list of keys) adds routing keys. A header
    `x-retry-of` (a copy's number) is a handler's word that this is the same work once more.
    """

    exchange: str
    routing_key: str
    message: int
    body: str = ""
    size: int = 0
    properties: Properties = PLAIN
    mandatory: bool = False


class BasicGet(Operation, frozen=True, gc=False):
    """basic.get: one message, or `GetEmpty`."""

    queue: str
    no_ack: bool = False


class BasicAck(Operation, frozen=True, gc=False):
    """basic.ack. With `multiple` also every earlier unsettled delivery of the channel; tag 0 means all."""

    delivery_tag: int
    multiple: bool = False


class BasicNack(Operation, frozen=True, gc=False):
    """basic.nack: give it back (`requeue`), or let it die as rejected. `multiple` as in `BasicAck`."""

    delivery_tag: int
    multiple: bool = False
    requeue: bool = True


class BasicReject(Operation, frozen=True, gc=False):
    """`multiple` stands for several rejects in a row: basic.reject itself has no such field."""

    delivery_tag: int
    requeue: bool = True
    multiple: bool = False


class BasicRecover(Operation, frozen=True, gc=False):
    """basic.recover(requeue=true): all unsettled deliveries of the channel go back."""


# -- replies ------------------------------------------------------------------------------------


class Ok(Reply, frozen=True, gc=False):
    """The method's plain -ok."""


class DeclareOk(Reply, frozen=True, gc=False):
    """queue.declare-ok, with the ready messages and consumers there are. `node` is the queue's, for links."""

    queue: str
    message_count: int
    consumer_count: int
    node: int


class PurgeOk(Reply, frozen=True, gc=False):
    """queue.purge-ok."""

    message_count: int


class GetEmpty(Reply, frozen=True, gc=False):
    """basic.get-empty."""


class StatsOk(Reply, frozen=True, gc=False):
    """Counts of one queue. `delayed` and `dead_lettering` are 0 for classic queues."""

    ready: int
    unacked: int
    consumers: int
    delayed: int = 0
    dead_lettering: int = 0


class NoSuchQueue(Reply, frozen=True, gc=False):
    """`QueueStats` of a queue that does not exist."""


class Closed(Reply, frozen=True, gc=False):
    """The broker refuses and closes the channel, or with `scope` "connection" its connection.

    `code` is the protocol's (404), `name` its constant (NOT_FOUND), `text` the sentence.
    """

    scope: str
    code: int
    name: str
    text: str


class Death(msgspec.Struct, frozen=True, gc=False):
    """One entry of x-death."""

    queue: str
    reason: str
    count: int
    exchange: str
    routing_keys: tuple[str, ...]
    original_expiration: str | None = None


class Delivery(Push, frozen=True, gc=False):
    """basic.deliver; also what basic.get-ok carries (then `consumer_tag` is "").

    `copy` and `attempt` name the token, `queue` the queue's node. `first_death` and `last_death` are
    (queue, reason, exchange). `delivery_count` and `acquired_count` are None where the header is absent.
    """

    consumer_tag: str
    delivery_tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    message: int
    copy: int
    attempt: int
    queue: int
    no_ack: bool
    body: str
    size: int
    properties: Properties
    x_death: tuple[Death, ...] = ()
    first_death: tuple[str, str, str] | None = None
    last_death: tuple[str, str, str] | None = None
    delivery_count: int | None = None
    acquired_count: int | None = None


class GetOk(Reply, frozen=True):
    """basic.get-ok."""

    delivery: Delivery


# -- pushes -------------------------------------------------------------------------------------


class Return(Push, frozen=True):
    """basic.return of a mandatory message that no queue was found for."""

    message: int
    body: str
    code: int
    text: str
    exchange: str
    routing_key: str


class Confirm(Push, frozen=True, gc=False):
    """basic.ack or basic.nack of one publish by the broker. `delivery_tag` counts the channel's publishes."""

    delivery_tag: int
    message: int
    ack: bool


class CancelledByBroker(Push, frozen=True, gc=False):
    """basic.cancel from the broker: the queue was deleted, or the consumer held a message too long."""

    consumer_tag: str


class ChannelClosed(Push, frozen=True, gc=False):
    """channel.close (or connection.close) from the broker, not in answer to an operation."""

    scope: str
    code: int
    name: str
    text: str


# -- unions: what travels on a link, and so stands in a snapshot --------------------------------

AnyOperation = (
    ChannelOpen | ChannelClose | ConnectionClose | ExchangeDeclare | ExchangeDelete | ExchangeBind
    | ExchangeUnbind | QueueDeclare | QueueDelete | QueueBind | QueueUnbind | QueuePurge | QueueStats
    | ConfirmSelect | BasicQos | BasicConsume | BasicCancel | BasicPublish | BasicGet | BasicAck
    | BasicNack | BasicReject | BasicRecover
)  # fmt: skip

AnyReply = Ok | DeclareOk | PurgeOk | GetEmpty | StatsOk | NoSuchQueue | Closed | GetOk

AnyPush = Delivery | Return | Confirm | CancelledByBroker | ChannelClosed
