"""Consumer timeout of quorum queues: whoever holds a message too long gets nothing more.

Source: www.rabbitmq.com/docs/consumers#acknowledgement-timeout, rabbit_fifo (evaluate_consumer_timeout,
maybe_untimeout/2, handle_waiting_timedout_consumers/4). What is overdue returns, as a return, not as a
failure; younger deliveries stay. A late settlement of all that was overdue makes the consumer fit again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.rabbitmq import returning, single_active
from engine.rabbitmq.queues import House
from engine.rabbitmq.turns import Consumer, leave

if TYPE_CHECKING:
    from engine.rabbitmq.quorum import QuorumQueue

DEFAULT_TIMEOUT_MS = 1_800_000


def watch(house: House, queue: QuorumQueue, due_us: int) -> None:
    """A hand-out is overdue at `due_us`: wake then, unless an earlier one is watched already."""
    if queue.timeout_timer and queue.timeout_due_us <= due_us:
        return
    if queue.timeout_timer:
        house.kernel.cancel(queue.timeout_timer)
    queue.timeout_timer = house.kernel.schedule(due_us, house.owner, "held_too_long", queue.node)
    queue.timeout_due_us = due_us


def held_too_long(house: House, queue: QuorumQueue) -> None:
    """The timer: look who holds something overdue now."""
    queue.timeout_timer = 0
    below = queue.below_soft_limit()
    now_us = house.kernel.now_us
    for consumer in sorted(queue.consumers.values(), key=lambda other: order(house, other)):
        overdue = [lease for lease, (_, due_us) in consumer.leases.items() if due_us <= now_us]
        if overdue:
            consumer.overdue += overdue
            consumer.timed_out = True
            leave(queue.round, consumer.key)
            house.overdue(queue, consumer)
            returning.give_back(house, queue, consumer, overdue, failed=False)
    if queue.single_active:
        _stand_down(house, queue)
    dues = [due_us for consumer in queue.consumers.values() for _, due_us in consumer.leases.values()]
    if dues:
        watch(house, queue, min(dues))
    single_active.activate_next(house, queue)
    queue.check_out(house, below)
    queue.watch_use(house)


def _stand_down(house: House, queue: QuorumQueue) -> None:
    """A single active consumer that timed out and holds nothing any more waits with the others."""
    for consumer in list(queue.consumers.values()):
        if consumer.timed_out and not consumer.leases:
            del queue.consumers[consumer.key]
            single_active.wait(house, queue, consumer)


def settle(consumer: Consumer, leases: list[int]) -> None:
    """A settlement, perhaps a late one: once nothing overdue is left, the consumer is up again."""
    if consumer.timed_out:
        consumer.overdue = [lease for lease in consumer.overdue if lease not in leases]
        consumer.timed_out = bool(consumer.overdue)


def settle_waiting(house: House, queue: QuorumQueue, key: int, leases: list[int]) -> None:
    """A late settlement for a consumer that has stood down."""
    for consumer in queue.waiting:
        if consumer.key == key and consumer.timed_out:
            below = queue.below_soft_limit()
            settle(consumer, leases)
            single_active.wait(house, queue, consumer)
            if not consumer.timed_out:
                single_active.activate_next(house, queue)
                queue.check_out(house, below)
            return


def order(house: House, consumer: Consumer) -> tuple[int, int, str]:
    """In which order a queue goes through the consumers of a channel: that of its map's keys."""
    if house.switches.returns_by_tag:
        return (0, 0, consumer.tag or str(consumer.get_tag))
    return (1, 0, str(consumer.get_tag)) if consumer.get_tag else (0, consumer.key, "")
