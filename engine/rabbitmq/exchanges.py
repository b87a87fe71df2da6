"""Exchanges and bindings: which queues a message goes to. Pure functions over plain tables.

Source: www.rabbitmq.com/docs/exchanges, www.rabbitmq.com/docs/ae, rabbit_exchange:route/3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.rabbitmq import headers as headers_exchange
from engine.rabbitmq import topic

EXCHANGE_TYPES = ("direct", "fanout", "topic", "headers")
PREDECLARED = {
    "": "direct",
    "amq.direct": "direct",
    "amq.fanout": "fanout",
    "amq.topic": "topic",
    "amq.headers": "headers",
    "amq.match": "headers",
    "amq.rabbitmq.trace": "topic",
}
"""Name → type of the exchanges that every virtual host has."""


class Binding(msgspec.Struct, array_like=True):
    """From the exchange that holds it to a queue or another exchange. `words` is the key, split once."""

    to_queue: bool
    destination: str
    routing_key: str
    arguments: dict[str, Any]
    words: list[str]


class Exchange(msgspec.Struct, array_like=True):
    """`node` is 0 until the exchange is on the stage (a predeclared one that nobody has used yet)."""

    name: str
    type: str
    durable: bool
    auto_delete: bool
    internal: bool
    arguments: dict[str, Any]
    node: int
    bindings: list[Binding]


def lookup(
    exchange_type: str, bindings: Sequence[Binding], routing_keys: Sequence[str], headers: Mapping[str, Any]
) -> list[Binding]:
    """The bindings that fit, in order of binding. One that fits several keys is named once."""
    if exchange_type == "fanout":
        return list(bindings)
    if exchange_type == "headers":
        return [b for b in bindings if headers_exchange.matches(b.arguments, headers)]
    if exchange_type == "topic":
        keys = [topic.words(key) for key in routing_keys]
        return [b for b in bindings if any(topic.matches(b.words, key) for key in keys)]
    return [b for b in bindings if b.routing_key in routing_keys]


def route(
    exchanges: Mapping[str, Exchange],
    start: Exchange,
    routing_keys: Sequence[str],
    headers: Mapping[str, Any],
) -> list[str]:
    """Names of the queues, each once, that a message published to `start` goes to.

    An exchange that finds no target of its own (queue or exchange) asks its alternate exchange. Each
    exchange is asked once, so rings of bindings come to an end. The default exchange names a queue by
    each key, whether there is such a queue or not; as an alternate exchange it finds nothing, because
    its bindings are not written down anywhere.
    """
    if not start.name:
        return sorted(set(routing_keys))
    queues: dict[str, None] = {}
    seen = {start.name}
    work = [start]
    while work:
        exchange = work.pop()
        found = lookup(exchange.type, exchange.bindings, routing_keys, headers)
        following: list[str] = []
        for binding in found:
            if binding.to_queue:
                queues[binding.destination] = None
            else:
                following.append(binding.destination)
        alternate = exchange.arguments.get("alternate-exchange")
        if not found and isinstance(alternate, str):
            following.append(alternate)
        for name in following:
            if name not in seen and name in exchanges:
                seen.add(name)
                work.append(exchanges[name])
    return list(queues)
