"""What classic and quorum queues have in common: state, and how a queue speaks to the rest of the broker.

`House` is the broker as its queues see it. A queue never looks at another queue: what it has to say
to one (a dead letter) it hands to the house, which does it when the queue is done.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from engine.events import FuseLit, Left, LeftReason, Placed, Zone
from engine.kernel import Kernel
from engine.limits import COPIES_OF_EVENT_MAX
from engine.rabbitmq.channels import Channel, Pending
from engine.rabbitmq.events import DeathReason, Requeued
from engine.rabbitmq.lines import Ready
from engine.rabbitmq.messages import NEVER_EXPIRES, Content, Held
from engine.rabbitmq.turns import Consumer
from engine.rabbitmq.versions import Switches


class Hand(msgspec.Struct, array_like=True, gc=False):
    """How a copy is handed out: the flag and the counts that the client will see."""

    redelivered: bool
    lease: int = 0
    delivery_count: int | None = None
    acquired_count: int | None = None


FIRST_TIME, AGAIN = Hand(False), Hand(True)
"""How classic queues hand out."""


class House(Protocol):
    """The broker as a queue sees it."""

    kernel: Kernel
    switches: Switches
    owner: int
    channels: dict[str, Channel]

    def hand_out(self, queue: Queue, consumer: Consumer, held: Held, hand: Hand) -> None:
        """Deliver to a consumer: tag, pending entry and push. The copy is already off the ready line."""

    def bury(self, queue: Queue, held: list[Held], reason: DeathReason) -> None:
        """They die here: on to the dead-letter exchange if there is one, else gone."""

    def dead_letter_exchange_exists(self, queue: Queue) -> bool: ...

    def delete_queue(self, queue: Queue, by: str) -> None:
        """`by` is "client", "auto_delete", "expires" or "owner"."""

    def later(self, what: str, *about: Any) -> None:
        """Do this when the present command is done: what one process says to another."""

    def overdue(self, queue: Queue, consumer: Consumer) -> None:
        """The consumer has held something too long; the channel will hear of it."""

    def subscription_ended(self, queue: Queue, consumer: Consumer, why: Any) -> None: ...

    def active_consumer_changed(self, queue: Queue, key: int) -> None: ...


class Queue(msgspec.Struct, kw_only=True):
    """Fields of both kinds. Numbers from arguments are -1 where the argument is absent.

    `consumers` are by key, in order of subscription; `round` are those whose turn may come. `active`
    is the single active consumer of a classic queue, or its exclusive one; 0 for none.
    """

    name: str
    node: int
    durable: bool
    owner: str
    auto_delete: bool
    arguments: dict[str, Any]
    ready: Ready
    unacked: dict[int, Held] = {}
    consumers: dict[int, Consumer] = {}
    round: list[int] = []
    active: int = 0
    next_seq: int = 1
    next_key: int = 1
    ttl_ms: int = -1
    expires_ms: int = -1
    max_length: int = -1
    max_bytes: int = -1
    overflow: str = "drop-head"
    dead_letter_exchange: str | None = None
    dead_letter_key: str | None = None
    single_active: bool = False
    message_timer: int = 0
    message_due_us: int = 0
    unused_timer: int = 0

    def read_arguments(self) -> None:
        """Take from the (validated) arguments what both kinds know."""
        arguments = self.arguments
        self.ttl_ms = arguments.get("x-message-ttl", -1)
        self.expires_ms = arguments.get("x-expires", -1)
        self.max_length = arguments.get("x-max-length", -1)
        self.max_bytes = arguments.get("x-max-length-bytes", -1)
        self.overflow = arguments.get("x-overflow", "drop-head")
        self.dead_letter_exchange = arguments.get("x-dead-letter-exchange")
        self.dead_letter_key = arguments.get("x-dead-letter-routing-key")
        self.single_active = arguments.get("x-single-active-consumer", False)

    def new_key(self) -> int:
        key, self.next_key = self.next_key, self.next_key + 1
        return key

    # -- saying what happened ---------------------------------------------------------------------

    def say_placed(self, house: House, held: Held, zone: Zone, index: int) -> None:
        kernel = house.kernel
        kernel.emit(Placed(kernel.now_us, kernel.cause, held.copy, 0, self.node, zone, index))
        if held.expires_us != NEVER_EXPIRES and zone == "ready":
            held.lit_us = kernel.now_us
            kernel.emit(FuseLit(held.lit_us, kernel.cause, held.copy, self.node, "ttl", held.expires_us))

    def say_left(self, house: House, copies: tuple[int, ...], reason: LeftReason) -> None:
        kernel = house.kernel
        for start in range(0, len(copies) or 1, COPIES_OF_EVENT_MAX):
            some = copies[start : start + COPIES_OF_EVENT_MAX]
            kernel.emit(Left(kernel.now_us, kernel.cause, some, 0, self.node, reason))

    def say_requeued(self, house: House, held: Held, redelivered: bool, count: int) -> None:
        kernel = house.kernel
        kernel.emit(Requeued(kernel.now_us, kernel.cause, held.copy, self.node, redelivered, count))

    # -- timers -----------------------------------------------------------------------------------

    def wake_for_messages(self, house: House, due_us: int) -> None:
        """Fire "messages" at `due_us`, and not at another time that was set before."""
        if self.message_timer:
            if self.message_due_us == due_us:
                return
            house.kernel.cancel(self.message_timer)
        self.message_timer = house.kernel.schedule(due_us, house.owner, "messages", self.node)
        self.message_due_us = due_us

    def sleep_for_messages(self, house: House) -> None:
        if self.message_timer:
            house.kernel.cancel(self.message_timer)
            self.message_timer = 0

    def wake_when_unused(self, house: House, due_us: int) -> None:
        """Fire "unused" at `due_us`, and not at another time that was set before."""
        self.sleep_when_unused(house)
        self.unused_timer = house.kernel.schedule(due_us, house.owner, "unused", self.node)

    def sleep_when_unused(self, house: House) -> None:
        if self.unused_timer:
            house.kernel.cancel(self.unused_timer)
            self.unused_timer = 0

    def stop_timers(self, house: House) -> None:
        self.sleep_for_messages(house)
        self.sleep_when_unused(house)

    # -- what each kind does in its own way -------------------------------------------------------

    @property
    def kind(self) -> str:
        raise NotImplementedError

    def counts(self) -> tuple[int, int, int, int]:
        """(ready, unacked, delayed, dead lettering)."""
        raise NotImplementedError

    def consumer_count(self) -> int:
        raise NotImplementedError

    def declared_again(self, house: House) -> None:
        """queue.declare of an existing queue, also a passive one."""
        raise NotImplementedError

    def refuses(self, house: House, content: Content, publisher: str) -> bool:
        """Whether a full queue with x-overflow reject-publish sends this message back.

        `publisher` is a channel, or "" where nobody would be told (a dead letter at most once).
        """
        raise NotImplementedError

    def accept(self, house: House, held: Held) -> None:
        """A copy arrives: placed, perhaps handed out at once, perhaps at the cost of another."""
        raise NotImplementedError

    def consume(self, house: House, consumer: Consumer) -> None:
        """basic.consume. Raises `Refused` where somebody is in the way. Sets the consumer's key."""
        raise NotImplementedError

    def start(self, house: House, key: int) -> None:
        """The channel knows the new consumer: deliveries may begin."""
        raise NotImplementedError

    def cancel(self, house: House, key: int) -> None:
        raise NotImplementedError

    def get(
        self, house: House, client: str, delivery_tag: int, no_ack: bool
    ) -> tuple[Held, Hand, int] | None:
        """basic.get: what was taken, how, and the consumer key that stands for it (0: none)."""
        raise NotImplementedError

    def ack(self, house: House, client: str, pendings: list[Pending]) -> None:
        raise NotImplementedError

    def ack_one(self, house: House, channel: Channel, pending: Pending) -> None:
        """What nearly every acknowledgement is: of one delivery."""
        self.ack(house, channel.client, [pending])

    def requeue(self, house: House, client: str, pendings: list[Pending], failed: bool) -> None:
        """Back they go. `failed`: basic.reject, as opposed to nack and recover."""
        raise NotImplementedError

    def discard(self, house: House, client: str, pendings: list[Pending], failed: bool) -> None:
        """Not back: they die of being rejected."""
        raise NotImplementedError

    def channel_down(self, house: House, client: str, pendings: list[Pending]) -> None:
        """The channel is gone; `pendings` are its deliveries from this queue that it had not settled."""
        raise NotImplementedError

    def purge(self, house: House) -> list[Held]:
        """Remove what waits; returns it in order of service."""
        raise NotImplementedError

    def messages_due(self, house: House) -> None:
        """The "messages" timer: something expires, or a delay is over."""
        raise NotImplementedError

    def unused_due(self, house: House) -> None:
        """The "unused" timer: x-expires."""
        raise NotImplementedError

    def everything(self) -> list[Held]:
        """All copies, zone by zone."""
        raise NotImplementedError
