"""Declaring, binding, purging and deleting: exchange.* and queue.* methods.

Source: rabbit_channel:handle_method/6; www.rabbitmq.com/docs/queues, www.rabbitmq.com/docs/exchanges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.events import WireAdded, WireRemoved
from engine.rabbitmq import arguments as checks
from engine.rabbitmq import topic
from engine.rabbitmq.classic import ClassicQueue
from engine.rabbitmq.errors import Refused, not_found, precondition_failed
from engine.rabbitmq.events import QueuePurged
from engine.rabbitmq.exchanges import EXCHANGE_TYPES, Binding, Exchange
from engine.rabbitmq.headers import MATCH_KINDS, said_arguments, same
from engine.rabbitmq.lines import Ready
from engine.rabbitmq.operations import (
    DeclareOk,
    ExchangeBind,
    ExchangeDeclare,
    ExchangeDelete,
    ExchangeUnbind,
    NoSuchQueue,
    Ok,
    PurgeOk,
    QueueBind,
    QueueDeclare,
    QueueDelete,
    QueuePurge,
    QueueStats,
    QueueUnbind,
    StatsOk,
)
from engine.rabbitmq.queues import Queue
from engine.rabbitmq.quorum import QuorumQueue

if TYPE_CHECKING:
    from engine.rabbitmq.broker import RabbitMQ

RESERVED = "amq."
REPLY_TO = "amq.rabbitmq.reply-to"


# -- exchanges ------------------------------------------------------------------------------------


def declare_exchange(broker: RabbitMQ, client: str, op: ExchangeDeclare) -> Ok:
    if op.type not in EXCHANGE_TYPES:
        raise Refused(broker.switches.unknown_exchange_type, f"unknown exchange type '{op.type}'")
    _not_default(op.exchange)
    exchange = broker.exchanges.get(op.exchange)
    if exchange is None:
        _check_name("exchange", op.exchange)
        if not isinstance(op.arguments.get("alternate-exchange", ""), str):
            raise precondition_failed(f"invalid type for arg 'alternate-exchange' in '{op.exchange}'")
        broker.add_exchange(
            Exchange(op.exchange, op.type, op.durable, op.auto_delete, op.internal, dict(op.arguments), 0, [])
        )
        return Ok()
    of = f"exchange '{op.exchange}' in vhost '/'"
    checks.check_equivalent(of, "type", exchange.type, op.type)
    checks.check_equivalent(of, "durable", exchange.durable, op.durable)
    checks.check_equivalent(of, "auto_delete", exchange.auto_delete, op.auto_delete)
    checks.check_equivalent(of, "internal", exchange.internal, op.internal)
    name, absent = "alternate-exchange", checks.ABSENT
    checks.check_equivalent(of, name, exchange.arguments.get(name, absent), op.arguments.get(name, absent))
    return Ok()


def delete_exchange(broker: RabbitMQ, client: str, op: ExchangeDelete) -> Ok:
    _not_default(op.exchange)
    if op.exchange.startswith(RESERVED):
        raise Refused("ACCESS_REFUSED", f"deletion of system exchange '{op.exchange}' not allowed")
    if op.exchange in broker.exchanges:
        remove_exchange(broker, op.exchange)
    return Ok()


def remove_exchange(broker: RabbitMQ, name: str) -> None:
    """The exchange goes, its bindings, and auto-delete exchanges that led nowhere but here."""
    exchange = broker.exchanges.pop(name)
    broker.forget_routes()
    if exchange.node:
        broker.remove_node(exchange.node)
    remove_bindings_to(broker, to_queue=False, destination=name, target=exchange.node)


def remove_bindings_to(broker: RabbitMQ, *, to_queue: bool, destination: str, target: int) -> None:
    """A queue or exchange is gone: so are the bindings that led to it."""
    for exchange in list(broker.exchanges.values()):
        kept = [b for b in exchange.bindings if b.to_queue != to_queue or b.destination != destination]
        if len(kept) != len(exchange.bindings):
            exchange.bindings = kept
            _source_lost_a_binding(broker, exchange)
    broker.forget_routes()


def _source_lost_a_binding(broker: RabbitMQ, exchange: Exchange) -> None:
    if exchange.auto_delete and not exchange.bindings and exchange.name in broker.exchanges:
        remove_exchange(broker, exchange.name)


def _not_default(name: str) -> None:
    if not name:
        raise Refused("ACCESS_REFUSED", "operation not permitted on the default exchange")


def _check_name(kind: str, name: str) -> None:
    if name.startswith(RESERVED):
        raise Refused("ACCESS_REFUSED", f"{kind} name '{name}' contains reserved prefix 'amq.*'")


# -- bindings -------------------------------------------------------------------------------------


def bind_queue(broker: RabbitMQ, client: str, op: QueueBind) -> Ok:
    return _bind(broker, client, op.exchange, True, _shortcut(broker, client, op.queue), op)


def unbind_queue(broker: RabbitMQ, client: str, op: QueueUnbind) -> Ok:
    return _unbind(broker, client, op.exchange, True, _shortcut(broker, client, op.queue), op)


def bind_exchange(broker: RabbitMQ, client: str, op: ExchangeBind) -> Ok:
    return _bind(broker, client, op.source, False, op.destination, op)


def unbind_exchange(broker: RabbitMQ, client: str, op: ExchangeUnbind) -> Ok:
    return _unbind(broker, client, op.source, False, op.destination, op)


def _bind(
    broker: RabbitMQ, client: str, source: str, to_queue: bool, destination: str, op: QueueBind | ExchangeBind
) -> Ok:
    _not_default(source)
    if not to_queue:
        _not_default(destination)
    exchange = broker.exchanges.get(source)
    if exchange is None:
        raise not_found("exchange", source)
    target = _target(broker, client, to_queue, destination)
    if target is None:
        raise not_found("queue" if to_queue else "exchange", destination)
    kind = op.arguments.get("x-match")
    if exchange.type == "headers" and "x-match" in op.arguments and kind not in MATCH_KINDS:
        raise precondition_failed(f"Invalid x-match field value {kind!r}")
    if to_queue:
        _check_access(broker, client, destination)
    if _find(exchange, to_queue, destination, op) is None:
        exchange.bindings.append(
            Binding(to_queue, destination, op.routing_key, dict(op.arguments), topic.words(op.routing_key))
        )
        broker.forget_routes()
        _say_wire(broker, exchange, to_queue, destination, exchange.bindings[-1])
    return Ok()


def _unbind(
    broker: RabbitMQ, client: str, source: str, to_queue: bool, destination: str,
    op: QueueUnbind | ExchangeUnbind,
) -> Ok:  # fmt: skip
    """Without a word where there is nothing to unbind."""
    _not_default(source)
    if not to_queue:
        _not_default(destination)
    exchange = broker.exchanges.get(source)
    if exchange is None or _target(broker, client, to_queue, destination) is None:
        return Ok()
    binding = _find(exchange, to_queue, destination, op)
    if binding is None:
        return Ok()
    if to_queue:
        _check_access(broker, client, destination)
    exchange.bindings.remove(binding)
    broker.forget_routes()
    target = broker.node_of(to_queue, destination)
    label = wire_label(exchange, binding)
    if not any(
        (b.to_queue, b.destination) == (to_queue, destination) and wire_label(exchange, b) == label
        for b in exchange.bindings
    ):
        kernel = broker.kernel
        kernel.emit(WireRemoved(kernel.now_us, kernel.cause, exchange.node, target, "binding", label))
    _source_lost_a_binding(broker, exchange)
    return Ok()


def _target(broker: RabbitMQ, client: str, to_queue: bool, name: str) -> Queue | Exchange | None:
    return broker.queue_named(name) if to_queue else broker.exchanges.get(name)


def _find(
    exchange: Exchange, to_queue: bool, destination: str,
    op: QueueBind | ExchangeBind | QueueUnbind | ExchangeUnbind,
) -> Binding | None:  # fmt: skip
    for binding in exchange.bindings:
        if (
            binding.to_queue == to_queue
            and binding.destination == destination
            and binding.routing_key == op.routing_key
            and same(binding.arguments, dict(op.arguments))
        ):
            return binding
    return None


def _say_wire(
    broker: RabbitMQ, exchange: Exchange, to_queue: bool, destination: str, binding: Binding
) -> None:
    broker.show_exchange(exchange)
    if not to_queue:
        broker.show_exchange(broker.exchanges[destination])
    label = wire_label(exchange, binding)
    twins = [
        b
        for b in exchange.bindings
        if (b.to_queue, b.destination) == (to_queue, destination) and wire_label(exchange, b) == label
    ]
    if len(twins) == 1:
        kernel, target = broker.kernel, broker.node_of(to_queue, destination)
        kernel.emit(WireAdded(kernel.now_us, kernel.cause, exchange.node, target, "binding", label))


def wire_label(exchange: Exchange, binding: Binding) -> str:
    """What stands on a binding's wire: its key, or in front of a headers exchange its arguments."""
    if exchange.type != "headers":
        return binding.routing_key
    return said_arguments(binding.arguments)


# -- queues ---------------------------------------------------------------------------------------


def declare_queue(broker: RabbitMQ, client: str, op: QueueDeclare) -> DeclareOk:
    if op.queue.startswith(REPLY_TO):
        if op.queue != REPLY_TO and broker.reply_channel(op.queue) is None:
            raise not_found("queue", op.queue)
        return DeclareOk(op.queue, 0, 1, 0)
    if op.passive:
        return _declare_passively(broker, client, op)
    name = op.queue
    switches = broker.switches
    durable = op.durable and not op.exclusive
    if name:
        queue = broker.queue_named(name)
        if queue is not None:
            return _declare_again(broker, client, op, queue, durable)
        _check_name("queue", name)
    kind = checks.queue_type(op.arguments, switches)
    if not name:
        if kind != "classic":
            raise precondition_failed(f"Cannot declare a server-named queue for type {kind}")
        name = broker.invent_name("amq.gen-")
    checks.check_queue(name, kind, op.arguments, switches)
    if not switches.transient_queues and not durable and not op.exclusive:
        raise Refused("INTERNAL_ERROR", "Feature `transient_nonexcl_queues` is deprecated.")
    locator = op.arguments.get("x-queue-master-locator", checks.ABSENT)
    if (
        kind == "classic"
        and locator is not checks.ABSENT
        and not checks.is_one_of(locator, switches.master_locators)
    ):
        raise Refused("INTERNAL_ERROR", f"queue '{name}': queue master locator {locator!r} is not to be had")
    if kind == "stream":
        raise precondition_failed(f"queue '{name}': streams are not part of this model")
    owner = broker.channels[client].connection if op.exclusive else ""
    if kind == "quorum":
        _check_quorum(name, durable, op)
    queue = _make(broker, name, kind, durable, owner, op)
    broker.channels[client].last_queue = name
    return DeclareOk(name, 0, 0, queue.node)


def _make(broker: RabbitMQ, name: str, kind: str, durable: bool, owner: str, op: QueueDeclare) -> Queue:
    queue: ClassicQueue | QuorumQueue
    maker = QuorumQueue if kind == "quorum" else ClassicQueue
    queue = maker(
        name=name, node=0, durable=durable, owner=owner, auto_delete=op.auto_delete,
        arguments=dict(op.arguments), ready=Ready.empty(),
    )  # fmt: skip
    broker.add_queue(queue)
    if isinstance(queue, QuorumQueue):
        queue.read_limits(broker)
    else:
        queue.read_arguments()
        queue.declared_again(broker)
    return queue


def _declare_passively(broker: RabbitMQ, client: str, op: QueueDeclare) -> DeclareOk:
    queue = broker.queue_or_die(_shortcut(broker, client, op.queue))
    queue.declared_again(broker)
    _check_access(broker, client, queue.name)
    return _declared(broker, client, queue)


def _declare_again(broker: RabbitMQ, client: str, op: QueueDeclare, queue: Queue, durable: bool) -> DeclareOk:
    """What is declared again must be the same. Source: rabbit_amqqueue:assert_equivalence/5."""
    owner = broker.channels[client].connection if op.exclusive else ""
    if queue.owner != owner:
        raise _locked(queue.name)
    of = f"queue '{queue.name}' in vhost '/'"
    checks.check_equivalent(of, "durable", queue.durable, durable)
    checks.check_equivalent(of, "auto_delete", queue.auto_delete, op.auto_delete)
    checks.check_queue_equivalent(queue.name, queue.kind, queue.arguments, op.arguments, broker.switches)
    queue.declared_again(broker)
    return _declared(broker, client, queue)


def _declared(broker: RabbitMQ, client: str, queue: Queue) -> DeclareOk:
    broker.channels[client].last_queue = queue.name
    return DeclareOk(queue.name, queue.ready.count, queue.consumer_count(), queue.node)


def _check_quorum(name: str, durable: bool, op: QueueDeclare) -> None:
    """Quorum queues are durable and shared (rabbit_quorum_queue:declare/2)."""
    for wrong, what in (
        (op.auto_delete, "auto-delete"),
        (op.exclusive, "exclusive-owner"),
        (not durable, "non-durable"),
    ):
        if wrong:
            raise precondition_failed(f"invalid property '{what}' for queue '{name}' in vhost '/'")


def delete_queue(broker: RabbitMQ, client: str, op: QueueDelete) -> Ok:
    queue = broker.queue_named(_shortcut(broker, client, op.queue))
    if queue is not None:
        _check_access(broker, client, queue.name)
        broker.delete_queue(queue, "client")
    return Ok()


def purge_queue(broker: RabbitMQ, client: str, op: QueuePurge) -> PurgeOk:
    queue = broker.queue_or_die(_shortcut(broker, client, op.queue))
    _check_access(broker, client, queue.name)
    gone = queue.purge(broker)
    kernel = broker.kernel
    number = kernel.emit(QueuePurged(kernel.now_us, kernel.cause, queue.node, len(gone)))
    if gone:
        cause, kernel.cause = kernel.cause, number
        queue.say_left(broker, tuple([held.copy for held in gone]), "purged")
        kernel.cause = cause
    return PurgeOk(len(gone))


def stats(broker: RabbitMQ, client: str, op: QueueStats) -> StatsOk | NoSuchQueue:
    queue = broker.queue_named(op.queue)
    if queue is None:
        return NoSuchQueue()
    ready, unacked, delayed, dead_lettering = queue.counts()
    return StatsOk(ready, unacked, queue.consumer_count(), delayed, dead_lettering)


def _shortcut(broker: RabbitMQ, client: str, name: str) -> str:
    """An empty name is the queue that this channel declared last (rabbit_channel:expand_shortcuts/2)."""
    if name:
        return name
    last = broker.channels[client].last_queue
    if not last:
        raise Refused("NOT_FOUND", "no previously declared queue")
    return last


def _check_access(broker: RabbitMQ, client: str, name: str) -> None:
    """Raises `Refused` when the queue is exclusive to another connection."""
    queue = broker.queue_or_die(name)
    if queue.owner and queue.owner != broker.channels[client].connection:
        raise _locked(name)


def _locked(name: str) -> Refused:
    return Refused("RESOURCE_LOCKED", f"cannot obtain exclusive access to locked queue '{name}' in vhost '/'")


def accessible(broker: RabbitMQ, client: str, name: str) -> Queue:
    """The queue that the channel may use. Raises `Refused` when there is none, or it is another's."""
    queue = broker.queue_or_die(_shortcut(broker, client, name))
    _check_access(broker, client, queue.name)
    return queue
