"""How a message remembers its deaths (x-death and its kin), and when a dead-letter cycle is cut.

Source: www.rabbitmq.com/docs/dlx#effects, mc:record_death/3 and mc:is_death_cycle/2 (4.3),
rabbit_dead_letter:make_msg/5 and is_cycle/2 (3.10).
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.rabbitmq.messages import Content
from engine.rabbitmq.operations import Death
from engine.rabbitmq.versions import Switches

X_DEATH = "x-death"


def die(
    content: Content, queue: str, reason: str, exchange: str, own_key: str | None, switches: Switches
) -> Content:
    """The content as it is published to the dead-letter `exchange` after a death in `queue`.

    The expiration goes, priority and headers stay. `own_key` is x-dead-letter-routing-key.
    """
    properties = content.properties
    headers = properties.headers
    deaths = content.deaths
    if headers and X_DEATH in headers:
        headers = dict(headers)
        claimed = headers.pop(X_DEATH)
        if switches.client_deaths_count_on and not deaths:
            deaths = _read(claimed)
    if own_key is not None and switches.own_key_drops_cc and headers:
        headers = {name: value for name, value in headers.items() if name != "CC"}
    first, last = _first_and_last(content, deaths, queue, reason, switches)
    return msgspec.structs.replace(
        content,
        exchange=exchange,
        keys=content.keys if own_key is None else (own_key,),
        properties=msgspec.structs.replace(properties, headers=headers, expiration=None),
        ttl_ms=-1,
        deaths=_with_one_more(deaths, content, queue, reason, switches),
        first_death=first,
        last_death=last,
    )


def _first_and_last(
    content: Content, deaths: tuple[Death, ...], queue: str, reason: str, switches: Switches
) -> tuple[tuple[str, str, str] | None, tuple[str, str, str] | None]:
    this = (queue, reason, content.exchange)
    first = content.first_death if deaths else this
    return first, this if switches.deaths_by_recency else None


def _with_one_more(
    deaths: tuple[Death, ...], content: Content, queue: str, reason: str, switches: Switches
) -> tuple[Death, ...]:
    """One entry a (queue, reason), the latest in front. It keeps the exchange and keys of its first death."""
    matching = [death for death in deaths if (death.queue, death.reason) == (queue, reason)]
    others = tuple(death for death in deaths if (death.queue, death.reason) != (queue, reason))
    if not switches.deaths_by_recency and len(deaths) > 1:
        # group_by_queue_and_reason/1 builds its list from the back each time it is called.
        others = tuple(reversed(others))
    if matching:
        known = matching[0]
        return (msgspec.structs.replace(known, count=known.count + 1), *others)
    return (
        Death(queue, reason, 1, content.exchange, _told_keys(content), _told_expiration(content)),
        *others,
    )


def _told_keys(content: Content) -> tuple[str, ...]:
    """The keys that x-death may tell: those of the BCC header are left out, one for one."""
    told = list(content.keys)
    for key in content.blind_keys:
        if key in told:
            told.remove(key)
    return tuple(told)


def _told_expiration(content: Content) -> str | None:
    return content.properties.expiration


def _read(claimed: Any) -> tuple[Death, ...]:
    """An x-death header that a client made up, as far as it can be read; anything else counts as none."""
    if not isinstance(claimed, list) or not all(isinstance(entry, dict) for entry in claimed):
        return ()
    return tuple(
        Death(
            str(entry.get("queue", "")),
            str(entry.get("reason", "")),
            entry["count"] if isinstance(entry.get("count"), int) else 1,
            str(entry.get("exchange", "")),
            tuple(str(key) for key in entry.get("routing-keys") or ()),
            entry.get("original-expiration"),
        )
        for entry in claimed
    )


def in_cycle(content: Content, queue: str) -> bool:
    """Whether the message has come round to `queue` without a rejection since it was last there.

    `content` is the dead letter, its latest death included. A rejection itself never cuts a cycle:
    whoever asks has looked at that.
    """
    passed: list[Death] = []
    for death in content.deaths:
        passed.append(death)
        if death.queue == queue:
            return all(entry.reason != "rejected" for entry in passed)
    return False
