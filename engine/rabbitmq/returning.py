"""What comes back to a quorum queue: counted, and then dead, delayed, or served before all that waits.

Source: www.rabbitmq.com/docs/quorum-queues#poison-message-handling and #delayed-retry,
rabbit_fifo:return_one/8; 3.10 without a delivery limit: the #requeue command.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import msgspec

from engine.events import FuseLit
from engine.rabbitmq.messages import Held
from engine.rabbitmq.queues import House
from engine.rabbitmq.turns import Consumer

if TYPE_CHECKING:
    from engine.rabbitmq.quorum import QuorumQueue

RETRY_TYPES = ("all", "failed", "returned")


class Delayed(msgspec.Struct, array_like=True):
    """A returned message that waits out its retry delay. Ordered by time, then by arrival."""

    ready_us: int
    seq: int
    held: Held

    def __lt__(self, other: Delayed) -> bool:
        return (self.ready_us, self.seq) < (other.ready_us, other.seq)


class RetryDelay(msgspec.Struct, frozen=True, array_like=True):
    """x-delayed-retry-*: which returns are delayed ("" none), and by how much."""

    kind: str = ""
    least_ms: int = 0
    most_ms: int = 0

    def applies(self, failed: bool) -> bool:
        return bool(self.kind) and self.kind != ("returned" if failed else "failed")

    def of(self, failures: int) -> int:
        """Linear in the failures: min(least × count, most)."""
        return min(self.least_ms * max(1, failures), self.most_ms)


def read_retry_delay(arguments: dict[str, object]) -> RetryDelay:
    """Off, without a word, unless type and minimum make sense. No maximum: the delay does not grow."""
    kind = arguments.get("x-delayed-retry-type")
    least = arguments.get("x-delayed-retry-min")
    most = arguments.get("x-delayed-retry-max")
    if not isinstance(kind, str) or kind not in RETRY_TYPES:
        return RetryDelay()
    if not isinstance(least, int) or isinstance(least, bool) or least <= 0:
        return RetryDelay()
    sensible = isinstance(most, int) and not isinstance(most, bool) and most > 0
    return RetryDelay(kind, least, most if sensible and isinstance(most, int) else least)


def count(held: Held, failed: bool, acquired: bool) -> None:
    """One more hand-out that came to nothing, perhaps one more failure."""
    if acquired:
        held.acquired = max(held.acquired, 0) + 1
    if failed:
        held.failures = max(held.failures, 0) + 1


def give_back(house: House, queue: QuorumQueue, consumer: Consumer, leases: list[int], failed: bool) -> None:
    """One after the other: over the limit it dies, else it waits its delay out or is served first."""
    switches = house.switches
    for lease in leases:
        if lease not in consumer.leases:
            continue
        held = queue.unacked.pop(consumer.leases.pop(lease)[0])
        count(held, failed or switches.nack_is_failure, switches.acquired_count)
        over = queue.delivery_limit is not None and held.failures > queue.delivery_limit
        if over:
            queue.die(house, [held], "delivery_limit")
        else:
            _put_back(house, queue, held, failed)
        queue.give_credit(house, consumer, 2 if over and switches.slot_too_many else 1)
        queue.keep_or_remove(house, consumer)


def _put_back(house: House, queue: QuorumQueue, held: Held, failed: bool) -> None:
    queue.say_requeued(house, held, True, held.failures)
    if not queue.retry.applies(failed):
        queue.say_placed(house, held, "ready", queue.ready.put_returned(held))
        return
    ready_us = house.kernel.now_us + queue.retry.of(held.failures) * 1_000
    delayed = Delayed(ready_us, held.seq, held)
    index = bisect_right(queue.delayed, delayed)
    if not queue.delayed or ready_us < queue.delayed[0].ready_us:
        queue.next_delayed = held.copy
    queue.delayed.insert(index, delayed)
    queue.delayed_weight += held.weight
    queue.say_placed(house, held, "delayed", index)
    kernel = house.kernel
    held.lit_us = kernel.now_us
    kernel.emit(FuseLit(held.lit_us, kernel.cause, held.copy, queue.node, "delay", ready_us))


def end_delays(house: House, queue: QuorumQueue) -> None:
    """Those whose time has come are returned messages now.

    The one that was first with the earliest time goes first; the others in order of time and arrival
    (rabbit_fifo:delayed_in/5 and take_next_delayed/2: an equal time does not take the place of the next).
    """
    now_us = house.kernel.now_us
    while queue.delayed and queue.delayed[0].ready_us <= now_us:
        copies = (delayed.held.copy for delayed in queue.delayed)
        index = next((index for index, copy in enumerate(copies) if copy == queue.next_delayed), 0)
        held = queue.delayed.pop(index).held
        queue.next_delayed = queue.delayed[0].held.copy if queue.delayed else 0
        queue.delayed_weight -= held.weight
        queue.say_placed(house, held, "ready", queue.ready.put_returned(held))


def enqueue_anew(house: House, queue: QuorumQueue, consumer: Consumer, leases: list[int]) -> None:
    """To the back of the queue, each a command of its own: others may be handed out in between."""
    for lease in leases:
        if lease not in consumer.leases:
            continue
        below = queue.below_soft_limit()
        held = queue.unacked.pop(consumer.leases.pop(lease)[0])
        count(held, True, house.switches.acquired_count)
        held.seq = queue.next_seq
        queue.next_seq += 1
        queue.say_requeued(house, held, True, held.failures)
        queue.say_placed(house, held, "ready", queue.ready.append(held))
        queue.give_credit(house, consumer, 1)
        queue.keep_or_remove(house, consumer)
        queue.check_out(house, below)
