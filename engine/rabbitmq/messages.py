"""What a queue holds: a message's content as it is now, and one queue's hold on a copy of it.

`Content` never changes: a dead letter gets a new one. `Held` is one copy in one queue; it stands in
exactly one of the queue's places (ready, unacked, delayed, dying) at a time.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from engine.rabbitmq.errors import precondition_failed
from engine.rabbitmq.operations import BasicPublish, Death, Properties
from engine.rabbitmq.versions import Switches

NEVER_EXPIRES = -1
ROUTING_HEADERS = ("CC", "BCC")
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")


class Content(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A message as it travels. `keys` are the routing key and those of the CC and BCC headers.

    `ttl_ms` is the expiration property, -1 without one. `failures` is how often a delivery of it
    failed (a 4.3 broker passes that on to a dead-letter queue). `weight` is what a quorum queue
    counts towards its length in bytes.
    """

    message: int
    body: str
    size: int
    weight: int
    exchange: str
    keys: tuple[str, ...]
    blind_keys: tuple[str, ...]
    properties: Properties
    ttl_ms: int
    retry_of: int
    failures: int = 0
    deaths: tuple[Death, ...] = ()
    first_death: tuple[str, str, str] | None = None
    last_death: tuple[str, str, str] | None = None


class Held(msgspec.Struct, array_like=True, gc=False):
    """One queue's hold on one copy.

    `seq` is its place in the order of arrival, `level` its priority there. `deliveries` is how often
    the copy was handed out, in this queue and in those before it. `expires_us` may lie before now: a
    message that is held does not expire.
    `failures` and `acquired` are the counts behind x-delivery-count and x-acquired-count, -1 where
    the real queue has no such header yet. `destination` is the queue that the copy was owed to first.
    """

    copy: int
    content: Content
    destination: int
    after: int
    deliveries: int
    seq: int = 0
    level: int = 0
    weight: int = 0
    expires_us: int = NEVER_EXPIRES
    redelivered: bool = False
    failures: int = -1
    acquired: int = -1
    lit_us: int = 0
    """When the fuse that burns now (its TTL, its delay) was lit."""


def parse_expiration(text: str, switches: Switches) -> int:
    """The expiration property in ms. Raises `Refused` when it is no number or none that makes sense.

    Source: rabbit_basic:parse_expiration/1, www.rabbitmq.com/docs/ttl#per-message-ttl-in-publishers.
    """
    if not _INTEGER.match(text) or not 0 <= int(text) <= switches.expiry_ms_max:
        raise precondition_failed(f"invalid expiration '{text}'")
    return int(text)


def routing_headers(headers: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(CC keys, BCC keys). Raises `Refused` when one of the two is not a list.

    Source: rabbit_basic:header_routes/1, www.rabbitmq.com/docs/sender-selected.
    """
    found: list[tuple[str, ...]] = []
    for name in ROUTING_HEADERS:
        keys = headers.get(name, [])
        if name in headers and not isinstance(keys, list):
            raise precondition_failed(f"invalid message: unacceptable_type_in_header {name}")
        found.append(tuple(key for key in keys if isinstance(key, str)))
    return found[0], found[1]


def content_of(publish: BasicPublish, properties: Properties, switches: Switches) -> Content:
    """The content of a message that a client publishes. Raises `Refused` for properties that are none."""
    ttl_ms = -1
    keys: tuple[str, ...] = (publish.routing_key,)
    blind_keys: tuple[str, ...] = ()
    retry_of = 0
    if properties.expiration is not None:
        ttl_ms = parse_expiration(properties.expiration, switches)
        if switches.expiration_rewritten and properties.expiration != str(ttl_ms):
            properties = msgspec.structs.replace(properties, expiration=str(ttl_ms))
    headers = properties.headers
    if headers is not None:
        copied, blind_keys = routing_headers(headers)
        keys += copied + blind_keys
        if "BCC" in headers:
            headers = {name: value for name, value in headers.items() if name != "BCC"}
            properties = msgspec.structs.replace(properties, headers=headers)
        again = headers.get("x-retry-of")
        if isinstance(again, int):
            retry_of = int(again)
    size = publish.size
    weight = size
    if switches.quorum_counts_properties:
        weight += properties_bytes(properties)
    return Content(
        publish.message, publish.body, size, weight, publish.exchange, keys, blind_keys, properties, ttl_ms,
        retry_of,
    )  # fmt: skip


def properties_bytes(properties: Properties) -> int:
    """How long the properties are on the wire: two bytes of flags and each property that is set."""
    total = 3 if properties.persistent else 2
    if properties.priority is not None:
        total += 1
    if properties.expiration is not None:
        total += 1 + len(properties.expiration.encode())
    if properties.reply_to is not None:
        total += 1 + len(properties.reply_to.encode())
    if properties.headers is not None:
        total += 4 + _table_bytes(properties.headers)
    return total


def _table_bytes(table: dict[str, Any]) -> int:
    return sum(1 + len(name.encode()) + _value_bytes(value) for name, value in table.items())


def _value_bytes(value: Any) -> int:
    """A field value with its type's byte, as client libraries encode it (rabbit_binary_generator)."""
    if value is None:
        return 1
    if isinstance(value, bool):
        return 2
    if isinstance(value, int):
        return 5 if -(1 << 31) <= value < 1 << 31 else 9
    if isinstance(value, float):
        return 9
    if isinstance(value, dict):
        return 5 + _table_bytes(value)
    if isinstance(value, (list, tuple)):
        return 5 + sum(map(_value_bytes, value))
    return 5 + len(str(value).encode())
