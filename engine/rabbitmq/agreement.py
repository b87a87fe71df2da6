"""What a broker's channels and queues know of the same thing must agree: looked at between timers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.rabbitmq.quorum import QuorumQueue

if TYPE_CHECKING:
    from engine.rabbitmq.broker import RabbitMQ


def contradiction(broker: RabbitMQ) -> str:
    """What does not agree, as a sentence; "" when all does. Costs a pass over all that is held."""
    known = {
        (pending.queue, pending.copy)
        for channel in broker.channels.values()
        for pending in channel.pendings.values()
    }
    for node, queue in broker.queues.items():
        for copy in queue.unacked:
            if (node, copy) not in known:
                return (
                    f"queue {queue.name} waits for the settlement of copy {copy}, which no open channel knows"
                )
        ready = list(queue.ready)
        if (queue.ready.count, queue.ready.weight) != (len(ready), sum(held.weight for held in ready)):
            return f"queue {queue.name} counts or weighs other than what is ready in it"
        if isinstance(queue, QuorumQueue):
            weight = sum(delayed.held.weight for delayed in queue.delayed)
            if weight != queue.delayed_weight:
                return f"queue {queue.name} weighs other than what is delayed in it"
    return ""
