"""RabbitMQ's observations: how a delivery is written down, and when two observations agree.

The form is that of a MESSAGE in conformance/README.md; so are the exceptions of the comparison.
"""

from __future__ import annotations

from typing import Any

from engine.conformance.case import Observed, Step, canonical
from engine.rabbitmq import operations as ops

LONG_BYTES = 200
"""Bodies of this size and more are shown by their size."""
MANY = 50
ADDRESS = "amq.rabbitmq.reply-to."
HIDDEN = ("x-death", "x-delivery-count", "x-acquired-count")
DEATH_KEYS = ("queue", "reason", "count", "exchange", "routing-keys", "original-expiration")


def body_of(body: Any) -> tuple[str, int]:
    """(what stands for the body, its size in bytes)."""
    if isinstance(body, dict):
        size = int(body["size"])
        text = str(body["fill"]) * size if size < LONG_BYTES else ""
    else:
        text, size = body, len(body.encode())
    return (text, size) if size < LONG_BYTES else (f"<{size} bytes>", size)


def address(text: str) -> str:
    """Addresses that the broker makes up are written alike."""
    return f"{ADDRESS}*" if text.startswith(ADDRESS) else text


def shown(delivery: ops.Delivery) -> Observed:
    """A delivery as a MESSAGE of the format."""
    properties = delivery.properties
    headers = dict(properties.headers or {})
    deaths = [_death(death) for death in delivery.x_death] or _claimed(headers)
    optional = {
        "priority": properties.priority,
        "expiration": properties.expiration,
        "reply_to": address(properties.reply_to) if properties.reply_to is not None else None,
        "x_death": deaths,
        "first_death": _triple(delivery.first_death, headers, "x-first-death-"),
        "last_death": _triple(delivery.last_death, headers, "x-last-death-"),
        "delivery_count": _count(delivery.delivery_count, headers, "x-delivery-count"),
        "acquired_count": _count(delivery.acquired_count, headers, "x-acquired-count"),
        "headers": {name: value for name, value in headers.items() if not _hidden(name)} or None,
    }
    return {
        "body": delivery.body,
        "exchange": delivery.exchange,
        "routing_key": address(delivery.routing_key),
        "redelivered": delivery.redelivered,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _hidden(name: str) -> bool:
    return name in HIDDEN or name.startswith(("x-first-death-", "x-last-death-"))


def _death(death: ops.Death) -> Observed:
    told: Observed = {
        "queue": death.queue, "reason": death.reason, "count": death.count, "exchange": death.exchange,
        "routing-keys": list(death.routing_keys),
    }  # fmt: skip
    if death.original_expiration is not None:
        told["original-expiration"] = death.original_expiration
    return told


def _claimed(headers: dict[str, Any]) -> Any:
    """An x-death header that a client sent and no broker has touched."""
    claimed = headers.get("x-death")
    if not isinstance(claimed, list):
        return claimed
    return [{key: entry[key] for key in DEATH_KEYS if key in entry} for entry in claimed]


def _triple(told: tuple[str, str, str] | None, headers: dict[str, Any], prefix: str) -> list[str] | None:
    if told is not None:
        return list(told)
    if f"{prefix}queue" not in headers:
        return None
    return [headers.get(f"{prefix}{part}", "") for part in ("queue", "reason", "exchange")]


def _count(told: int | None, headers: dict[str, Any], name: str) -> Any:
    return told if told is not None else headers.get(name)


def few(messages: list[Observed]) -> Any:
    if len(messages) <= MANY:
        return messages
    return {"count": len(messages), "first": messages[0]["body"], "last": messages[-1]["body"]}


def alike(case: dict[str, Any], step: Step, version: str, expected: Observed, got: Observed) -> bool:
    """Exact, but for what conformance/README.md excepts."""
    loose = _loose_queues(case)
    ordered = version != "3.10"
    return canonical(_settled(expected, loose, ordered)) == canonical(_settled(got, loose, ordered))


def _loose_queues(case: dict[str, Any]) -> set[str]:
    """Quorum queues of a case with basic.get: their `consumers` count the gets and are not compared."""
    steps = [step for step in case["steps"] if isinstance(step, dict)]
    if not any(step.get("do") == "get" for step in steps):
        return set()
    return {
        step["name"]
        for step in steps
        if step.get("do") == "declare_queue" and (step.get("arguments") or {}).get("x-queue-type") == "quorum"
    }


def _settled(observed: Observed, loose: set[str], ordered: bool) -> Observed:
    told = dict(observed)
    for name in ("errors", "cancelled"):
        if name in told:
            told[name] = sorted(told[name], key=canonical)
    if "stats" in told:
        told["stats"] = {
            queue: {k: v for k, v in (counts or {}).items() if k != "consumers"} if queue in loose else counts
            for queue, counts in told["stats"].items()
        }
    if not ordered:
        if "got" in told:
            told["got"] = _unordered(told["got"])
        if "deliveries" in told:
            told["deliveries"] = {
                name: [_unordered(message) for message in messages]
                if isinstance(messages, list)
                else messages
                for name, messages in told["deliveries"].items()
            }
    return told


def _unordered(message: Any) -> Any:
    """3.10 keeps only the first entry of x-death in place."""
    if not isinstance(message, dict) or not isinstance(message.get("x_death"), list):
        return message
    deaths = message["x_death"]
    return {**message, "x_death": deaths[:1] + sorted(deaths[1:], key=canonical)}
