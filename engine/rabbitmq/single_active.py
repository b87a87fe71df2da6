"""Single active consumer on a quorum queue: who waits, who follows, who takes over.

Source: www.rabbitmq.com/docs/consumers#single-active-consumer, rabbit_fifo:activate_next_consumer/2
and sort_waiting/1. (A classic queue has a simpler way, see `classic.py`.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.rabbitmq.queues import House
from engine.rabbitmq.turns import Consumer, leave

if TYPE_CHECKING:
    from engine.rabbitmq.quorum import QuorumQueue


def active_of(queue: QuorumQueue) -> Consumer | None:
    """The consumer that gets the messages, also while it only finishes what it holds (quiescing)."""
    for consumer in queue.consumers.values():
        if consumer.status in ("up", "quiescing") and not consumer.timed_out and not consumer.get_tag:
            return consumer
    return None


def wait(house: House, queue: QuorumQueue, consumer: Consumer) -> None:
    """Join those that wait. 4.3: by priority, then by credit, then by age; who timed out comes last."""
    queue.waiting = [other for other in queue.waiting if other.key != consumer.key] + [consumer]
    if house.switches.single_active_by_priority:
        queue.waiting.sort(
            key=lambda other: (
                (1, 0, 0, 0) if other.timed_out else (0, -other.priority, -other.credit, other.key)
            )
        )


def activate_next(house: House, queue: QuorumQueue) -> None:
    """Nobody is active: the first that waits is. A higher priority takes over from one that holds nothing."""
    if not queue.single_active:
        return
    if queue.waiting and not queue.waiting[0].timed_out:
        _compare(house, queue, queue.waiting[0])
    active = active_of(queue)
    key = active.key if active is not None else 0
    if key != queue.active:
        queue.active = key
        house.active_consumer_changed(queue, key)


def _compare(house: House, queue: QuorumQueue, following: Consumer) -> None:
    active = active_of(queue)
    if active is None:
        _activate(queue, following)
    elif house.switches.single_active_by_priority and following.priority > active.priority:
        if active.leases:
            active.status = "quiescing"
        else:
            del queue.consumers[active.key]
            leave(queue.round, active.key)
            _activate(queue, following)
            wait(house, queue, active)


def _activate(queue: QuorumQueue, following: Consumer) -> None:
    del queue.waiting[0]
    present = queue.consumers.get(following.key)
    if present is None:
        queue.consumers[following.key] = present = following
    else:
        # It was cancelled and came back while its old deliveries are out: it stays cancelled.
        present.prefetch, present.priority, present.no_ack = (
            following.prefetch, following.priority, following.no_ack,
        )  # fmt: skip
    queue.queue_up(present)
