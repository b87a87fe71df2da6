"""Dead-lettering at least once: a quorum queue keeps its dead letters until every target has accepted.

Source: www.rabbitmq.com/docs/quorum-queues#dead-lettering, rabbit_fifo_dlx.erl and
rabbit_fifo_dlx_worker.erl. The worker publishes with confirms like a client, and tries again
periodically what found no target or was refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from engine.rabbitmq.deaths import die
from engine.rabbitmq.events import DeadLettered, DeathReason
from engine.rabbitmq.messages import Content, Held
from engine.rabbitmq.queues import House, Queue

if TYPE_CHECKING:
    from engine.rabbitmq.quorum import QuorumQueue

RETRY_US = 180_000_000
"""dead_letter_worker_publisher_confirm_timeout."""
IN_FLIGHT_MAX = 32
"""dead_letter_worker_consumer_prefetch: how many the worker deals with at a time."""


class Dying(msgspec.Struct):
    """A dead letter that stays with its source. `content` is what is published, once the worker has it.

    `accepted` are the queues that have taken it. `published_us` is when it was last published, -1 if
    no target was found so far.
    """

    held: Held
    reason: DeathReason
    content: Content | None = None
    accepted: list[str] = []
    published_us: int = -1


class Courier(House, Protocol):
    """What the worker asks of the broker beside what every queue asks."""

    def dead_letter_targets(self, queue: Queue, content: Content, reason: DeathReason) -> list[Queue] | None:
        """Where it goes, without cycles; None when the dead-letter exchange does not exist."""

    def publish_dead_letter(self, queue: Queue, held: Held, content: Content, targets: list[Queue]) -> None:
        """The copy goes on in the first of `targets`, the others get copies of their own."""

    def copy_dead_letter(self, queue: Queue, held: Held, content: Content, targets: list[Queue]) -> None:
        """All of `targets` get copies of their own, the dead letter stays."""


def keep(house: House, queue: QuorumQueue, dying: list[Held], reason: DeathReason) -> None:
    """They die, and wait in the queue for their targets."""
    for held in dying:
        content = die(held.content, queue.name, reason, queue.dead_letter_exchange or "",
                      queue.dead_letter_key, house.switches)  # fmt: skip
        kernel = house.kernel
        kernel.emit(
            DeadLettered(
                kernel.now_us, kernel.cause, held.copy, queue.node, reason, content.exchange,
                content.deaths[0].count,
            )
        )  # fmt: skip
        queue.dying[held.copy] = Dying(held, reason)
        queue.dying_weight += held.weight
        queue.say_placed(house, held, "dead_lettering", len(queue.dying) - 1)


def check_out(house: House, queue: QuorumQueue) -> None:
    """Give the worker what it has room for, oldest first."""
    in_flight = sum(1 for dying in queue.dying.values() if dying.content is not None)
    for copy, dying in queue.dying.items():
        if in_flight >= IN_FLIGHT_MAX:
            return
        if dying.content is None:
            in_flight += 1
            dying.content = _letter(house, queue, dying)
            house.later("forward", queue.node, copy)


def _letter(house: House, queue: QuorumQueue, dying: Dying) -> Content:
    held = dying.held
    content = held.content
    if house.switches.failures_travel:
        content = msgspec.structs.replace(content, failures=max(held.failures, 0))
    return die(
        content, queue.name, dying.reason, queue.dead_letter_exchange or "", queue.dead_letter_key,
        house.switches,
    )  # fmt: skip


def forward(house: Courier, queue: QuorumQueue, copy: int) -> None:
    """The worker publishes one dead letter (again): to the targets that have not accepted it yet."""
    dying = queue.dying.get(copy)
    if dying is None or dying.content is None:
        return
    content = dying.content
    targets = house.dead_letter_targets(queue, content, dying.reason)
    if targets is not None and (targets or dying.accepted):
        worker = f"dead letters of {queue.name}"
        left = [target for target in targets if target.name not in dying.accepted]
        refusing = [target for target in left if target.refuses(house, content, worker)]
        taking = [target for target in left if target not in refusing]
        if not refusing:
            below = queue.below_soft_limit()
            del queue.dying[copy]
            queue.dying_weight -= dying.held.weight
            house.publish_dead_letter(queue, dying.held, content, taking)
            queue.check_out(house, below)
            return
        dying.published_us = house.kernel.now_us
        dying.accepted += [target.name for target in taking]
        house.copy_dead_letter(queue, dying.held, content, taking)
    if not queue.retry_timer:
        queue.retry_timer = house.kernel.schedule(
            house.kernel.now_us + RETRY_US, house.owner, "dead_letters", queue.node
        )


def try_again(house: Courier, queue: QuorumQueue) -> None:
    """The worker's timer: what never found a target, and what was refused long enough ago."""
    queue.retry_timer = 0
    now_us = house.kernel.now_us
    for copy, dying in list(queue.dying.items()):
        if dying.content is not None and (dying.published_us < 0 or dying.published_us + RETRY_US <= now_us):
            forward(house, queue, copy)
    if queue.dying and not queue.retry_timer:
        queue.retry_timer = house.kernel.schedule(now_us + RETRY_US, house.owner, "dead_letters", queue.node)
