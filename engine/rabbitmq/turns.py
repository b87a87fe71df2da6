"""Whose turn it is: a queue's round of consumers, by priority and then in order of joining.

Source: www.rabbitmq.com/docs/consumer-priority, priority_queue.erl. A round is a list of consumer
keys. A classic queue leaves a consumer in its round until it is found full at its turn; a quorum
queue takes it out as soon as it is full. Both let it join at the end when it has room again.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Consumer(msgspec.Struct):
    """A subscription, or (of quorum queues) a basic.get that is not settled: then `get_tag` is not 0.

    `credit` is how many more it may be handed now; a classic queue looks at it only where `prefetch`
    limits. `leases` are a quorum queue's hand-outs in order: lease → (copy, when it is overdue). A
    lease is never reused, so a late acknowledgement cannot settle a later hand-out of the same copy.
    """

    key: int
    tag: str
    client: str
    node: int
    prefetch: int
    priority: int
    no_ack: bool
    exclusive: bool
    credit: int
    timeout_us: int = 0
    get_tag: int = 0
    once: bool = False
    status: str = "up"
    timed_out: bool = False
    overdue: list[int] = []
    leases: dict[int, tuple[int, int]] = {}
    next_lease: int = 0
    ended: bool = False
    """Whether the subscription is over for the client, though the queue may still count on it."""

    @property
    def limited(self) -> bool:
        """Whether a classic queue counts what this consumer holds."""
        return self.prefetch > 0 and not self.no_ack


def join(line: list[int], consumers: Mapping[int, Consumer], key: int) -> None:
    """`key` joins the round at the end of those of its priority."""
    if not line:
        line.append(key)
        return
    priority = consumers[key].priority
    at = len(line)
    while at and _priority(consumers, line[at - 1]) < priority:
        at -= 1
    line.insert(at, key)


def _priority(consumers: Mapping[int, Consumer], key: int) -> int:
    consumer = consumers.get(key)
    return consumer.priority if consumer is not None else 0


def leave(line: list[int], key: int) -> None:
    """`key` is in the round no longer, if it was."""
    if key in line:
        line.remove(key)
