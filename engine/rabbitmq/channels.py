"""Channels: delivery tags, what is not settled, prefetch, confirms. One channel per client name.

Source: rabbit_channel.erl; www.rabbitmq.com/docs/channels, www.rabbitmq.com/docs/confirms.
"""

from __future__ import annotations

import msgspec

from engine.rabbitmq.errors import precondition_failed


class Pending(msgspec.Struct, array_like=True, gc=False):
    """One delivery that the client has not settled. `lease` is a quorum queue's name for the hand-out.

    `consumer` is the consumer's key in the queue, 0 of a classic basic.get; `tag` its tag, "" of a get.
    """

    delivery_tag: int
    queue: int
    copy: int
    lease: int
    consumer: int
    tag: str


class Subscription(msgspec.Struct, array_like=True, gc=False):
    """Where a consumer tag of this channel leads: the queue's node and the consumer's key there."""

    queue: int
    consumer: int


class Channel(msgspec.Struct):
    """`limit` and `volume` are those of basic.qos(global), where a version has that; 0 is no limit."""

    client: str
    connection: str
    node: int
    next_tag: int = 1
    pendings: dict[int, Pending] = {}
    subscriptions: dict[str, Subscription] = {}
    prefetch: int = 0
    confirming: bool = False
    publishes: int = 0
    limit: int = 0
    volume: int = 0
    suspended: list[int] = []
    """Queues that wait for the channel's shared limit, in the order in which they were stopped."""
    published_to: dict[int, int] = {}
    """Quorum queues that know this channel as a publisher (the values mean nothing)."""
    reply_tag: str | None = None
    reply_address: str = ""
    last_queue: str = ""

    @property
    def full(self) -> bool:
        """Whether the channel's shared limit is reached."""
        return 0 < self.limit <= self.volume

    def settle(self, delivery_tag: int, multiple: bool) -> list[Pending]:
        """Take the deliveries that an acknowledgement names off the list, oldest first.

        Tag 0 with `multiple` is everything. Raises `Refused` for a tag that is not outstanding.
        Source: rabbit_channel:collect_acks/3.
        """
        pendings = self.pendings
        if delivery_tag == 0 and multiple:
            taken = list(pendings.values())
            pendings.clear()
            return taken
        if delivery_tag not in pendings:
            raise precondition_failed(f"unknown delivery tag {delivery_tag}")
        if not multiple:
            return [pendings.pop(delivery_tag)]
        taken = []
        for tag, pending in pendings.items():
            taken.append(pending)
            if tag == delivery_tag:
                break
        for pending in taken:
            del pendings[pending.delivery_tag]
        return taken


def by_consumer(settled: list[Pending], names: dict[int, str]) -> list[list[Pending]]:
    """Groups of one consumer's deliveries, in the order in which a channel tells its queues.

    By queue name, then basic.gets in order (each alone), then consumers by tag. `names` maps queue
    nodes to names. Source: rabbit_channel:foreach_per_queue/3.
    """
    if len(settled) == 1:
        return [settled]
    groups: dict[tuple[str, int, str], list[Pending]] = {}
    for pending in settled:
        is_get = not pending.tag
        key = (names.get(pending.queue, ""), pending.delivery_tag if is_get else 1 << 62, pending.tag)
        groups.setdefault(key, []).append(pending)
    return [groups[key] for key in sorted(groups)]
