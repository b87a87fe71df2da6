"""Classic queues: every message has its place, and returns to it.

Source: www.rabbitmq.com/docs/classic-queues, rabbit_amqqueue_process.erl, rabbit_queue_consumers.erl,
rabbit_priority_queue.erl, rabbit_variable_queue.erl.
"""

from __future__ import annotations

from engine.events import Left, Placed
from engine.rabbitmq.channels import Channel, Pending
from engine.rabbitmq.errors import Refused
from engine.rabbitmq.messages import NEVER_EXPIRES, Content, Held
from engine.rabbitmq.queues import AGAIN, FIRST_TIME, Hand, House, Queue
from engine.rabbitmq.turns import Consumer, join, leave

EARLIER_US = 1_000
"""ensure_ttl_timer/2 moves its timer only for a head that expires more than 1 ms earlier."""


class ClassicQueue(Queue, tag="classic", kw_only=True):
    """`blocked` are consumers that were found full at their turn, in the order in which that happened.

    `suspended` are channels whose shared prefetch limit stopped this queue (basic.qos global).
    `plain` says that no argument bears on how a message arrives (length, TTL, priority, single active
    consumer), `has_fuses` that a message with a TTL has been here.
    """

    max_priority: int = -1
    plain: bool = False
    has_fuses: bool = False
    blocked: list[int] = []
    suspended: list[str] = []
    had_consumers: bool = False

    @property
    def kind(self) -> str:
        return "classic"

    def read_arguments(self) -> None:
        super().read_arguments()
        self.max_priority = self.arguments.get("x-max-priority", -1)
        limits = (self.max_length, self.max_bytes, self.ttl_ms, self.max_priority)
        self.plain = limits == (-1, -1, -1, -1) and not self.single_active

    def counts(self) -> tuple[int, int, int, int]:
        return self.ready.count, len(self.unacked), 0, 0

    def consumer_count(self) -> int:
        return len(self.consumers)

    def everything(self) -> list[Held]:
        return [*self.ready, *self.unacked.values()]

    # -- a message arrives ------------------------------------------------------------------------

    def refuses(self, house: House, content: Content, publisher: str) -> bool:
        if self.overflow == "drop-head":
            return False
        too_many = 0 <= self.max_length <= self.ready.count
        return too_many or 0 <= self.max_bytes < self.ready.weight + content.size

    def accept(self, house: House, held: Held) -> None:
        self._receive(house, held)
        ready = self.ready
        consumer = self._next_consumer(house)
        if consumer is not None and (not ready.count or consumer.no_ack):
            # Handed straight to whoever has room, even if others wait (attempt_delivery/4).
            self.say_placed(house, held, "ready", 0)
            self._hand(house, consumer, held, FIRST_TIME)
            return
        self.say_placed(house, held, "ready", ready.place_of_next(held.level))
        if consumer is not None:
            self._wake_up(house, consumer, held)
            return
        ready.append(held)
        dropped = self._drop_head(house)
        alone = ready.count == 1
        if (dropped or alone) and not (dropped and alone and held.expires_us == NEVER_EXPIRES):
            self._expire(house)

    def accept_plain(self, house: House, copy: int, content: Content) -> None:
        """`accept` of a new copy where the queue is `plain` and the message has no TTL and no priority."""
        self.next_seq = (seq := self.next_seq) + 1
        size, ready = content.size, self.ready
        held = Held(copy, content, self.node, 0, 0, seq, 0, size, NEVER_EXPIRES, False, content.failures)
        consumer = self._next_consumer(house) if self.round else None
        kernel = house.kernel
        kernel.observer.placed(Placed(kernel.now_us, kernel.cause, copy, 0, self.node, "ready", ready.count))
        if consumer is None:
            ready.append(held)
        elif ready.count and not consumer.no_ack:
            self._wake_up(house, consumer, held)
        else:
            self._hand(house, consumer, held, FIRST_TIME)

    def _wake_up(self, house: House, consumer: Consumer, held: Held) -> None:
        """Messages wait although the consumer has room: only after a cancel of 3.10's active consumer.

        The real queue dies of this (its assertion says that nothing may wait) and comes back without
        consumers; here it goes on in order.
        """
        self.ready.append(held)
        self._serve(house, consumer)
        self._run(house)

    def _receive(self, house: House, held: Held) -> None:
        """Set what this queue decides about an arriving copy."""
        content = held.content
        held.seq = self.next_seq
        self.next_seq += 1
        held.level = min(content.properties.priority or 0, self.max_priority) if self.max_priority > 0 else 0
        held.weight = content.size
        held.redelivered = False
        held.failures = content.failures
        held.acquired = -1
        ttl_ms = self.ttl_ms
        if content.ttl_ms >= 0 and (ttl_ms < 0 or content.ttl_ms < ttl_ms):
            ttl_ms = content.ttl_ms
        held.expires_us = NEVER_EXPIRES
        if ttl_ms >= 0:
            held.expires_us = house.kernel.now_us + ttl_ms * 1_000
            self.has_fuses = True

    def _drop_head(self, house: House) -> bool:
        """Whether anything had to go. Among priorities the head is the highest."""
        if self.overflow != "drop-head" or (self.max_length < 0 and self.max_bytes < 0):
            return False
        dropped: list[Held] = []
        ready = self.ready
        while ready.count > self.max_length >= 0 or ready.weight > self.max_bytes >= 0:
            dropped.append(ready.take())
        if dropped:
            house.bury(self, dropped, "maxlen")
        return bool(dropped)

    def _expire(self, house: House) -> None:
        """Only the head expires. Sets the timer for the one that is the head then."""
        if not self.has_fuses:
            return
        ready = self.ready
        expired: list[Held] = []
        now_us = house.kernel.now_us
        while (head := ready.first()) is not None and 0 <= head.expires_us <= now_us:
            expired.append(ready.take())
        if expired:
            house.bury(self, expired, "expired")
        if head is None or head.expires_us == NEVER_EXPIRES:
            return
        if not self.message_timer or head.expires_us + EARLIER_US < self.message_due_us:
            self.wake_for_messages(house, head.expires_us)

    def messages_due(self, house: House) -> None:
        self._expire(house)

    # -- whose turn -------------------------------------------------------------------------------

    def _next_consumer(self, house: House) -> Consumer | None:
        """The consumer that gets the next message; its credit is taken. None: nobody has room."""
        if self.single_active:
            return self._active_consumer(house)
        line, consumers = self.round, self.consumers
        while line:
            key = line[0]
            consumer = consumers[key]
            if self._takes(house, consumer):
                if len(line) > 1:
                    del line[0]
                    join(line, consumers, key)
                return consumer
            del line[0]
            self.blocked.append(key)
        return None

    def _active_consumer(self, house: House) -> Consumer | None:
        active = self.consumers.get(self.active)
        if active is None or active.key in self.blocked:
            return None
        if self._takes(house, active):
            return active
        leave(self.round, active.key)
        self.blocked.append(active.key)
        return None

    def _takes(self, house: House, consumer: Consumer) -> bool:
        """Whether it has room (rabbit_limiter:can_send/3); if so, one place less."""
        limited = consumer.prefetch > 0 and not consumer.no_ack
        if limited and consumer.credit <= 0:
            return False
        if house.switches.global_qos and not self._has_room(house.channels[consumer.client], consumer):
            return False
        if limited:
            consumer.credit -= 1
        return True

    def _has_room(self, channel: Channel, consumer: Consumer) -> bool:
        """Whether the channel's shared limit lets one more through; if so, it counts."""
        if channel.client in self.suspended:
            return False
        if channel.full:
            self.suspended.append(channel.client)
            channel.suspended.append(self.node)
            return False
        if channel.limit and not consumer.no_ack:
            channel.volume += 1
        return True

    def _run(self, house: House) -> None:
        """Deliver what waits while somebody has room."""
        ready = self.ready
        while ready.count:
            consumer = self._next_consumer(house)
            if consumer is None:
                return
            self._serve(house, consumer)

    def _serve(self, house: House, consumer: Consumer) -> None:
        """The first of those that wait."""
        held = self.ready.take()
        if self.has_fuses:
            self._expire(house)
        self._hand(house, consumer, held, AGAIN if held.redelivered or held.failures > 0 else FIRST_TIME)

    def _hand(self, house: House, consumer: Consumer, held: Held, hand: Hand) -> None:
        if not consumer.no_ack:
            self.unacked[held.copy] = held
        house.hand_out(self, consumer, held, hand)

    def _unblock(self, client: str) -> None:
        """The channel's consumers that have room again join the round at the end."""
        back = [
            key
            for key in self.blocked
            if self.consumers[key].client == client
            and not (self.consumers[key].limited and self.consumers[key].credit <= 0)
        ]
        back.sort(key=lambda key: -self.consumers[key].priority)
        for key in back:
            self.blocked.remove(key)
            join(self.round, self.consumers, key)

    def _unblock_one(self, channel: Channel, consumer: Consumer) -> None:
        """As `_unblock`, after `consumer` got room."""
        if len(channel.subscriptions) > 1:
            self._unblock(channel.client)
        elif consumer.key in self.blocked:
            self.blocked.remove(consumer.key)
            join(self.round, self.consumers, consumer.key)

    def resume(self, house: House, client: str) -> None:
        """The channel's shared limit is no longer reached."""
        if client in self.suspended:
            self.suspended.remove(client)
            self._unblock(client)
            self._run(house)

    # -- settling ---------------------------------------------------------------------------------

    def _subtract(self, house: House, client: str, pendings: list[Pending]) -> bool:
        """Give the credit back. Whether that unblocked anybody."""
        unblocked = False
        channel: Channel | None = house.channels.get(client)
        for pending in pendings:
            subscription = channel.subscriptions.get(pending.tag) if channel else None
            if subscription is None or subscription.queue != self.node:
                continue
            consumer = self.consumers.get(subscription.consumer)
            if consumer is not None and consumer.limited:
                unblocked = unblocked or consumer.credit == 0
                consumer.credit += 1
        if unblocked:
            self._unblock(client)
        return unblocked

    def _take_back(self, pendings: list[Pending]) -> list[Held]:
        return [self.unacked.pop(pending.copy) for pending in pendings if pending.copy in self.unacked]

    def ack(self, house: House, client: str, pendings: list[Pending]) -> None:
        self._finish(house, client, pendings, rejected=False)

    def ack_one(self, house: House, channel: Channel, pending: Pending) -> None:
        """As `_finish`, for one."""
        unblocked = False
        subscription = channel.subscriptions.get(pending.tag)
        if subscription is not None and subscription.queue == self.node:
            consumer = self.consumers.get(subscription.consumer)
            if consumer is not None and consumer.prefetch > 0 and not consumer.no_ack:
                unblocked = consumer.credit == 0
                consumer.credit += 1
                if unblocked:
                    self._unblock_one(channel, consumer)
        if self.unacked.pop(pending.copy, None) is not None:
            kernel = house.kernel
            kernel.observer.left(
                Left(kernel.now_us, kernel.cause, (pending.copy,), 0, self.node, "acknowledged")
            )
        if unblocked:
            self._run(house)

    def _finish(self, house: House, client: str, pendings: list[Pending], rejected: bool) -> None:
        unblocked = self._subtract(house, client, pendings)
        done = tuple([held.copy for held in self._take_back(pendings)])
        if done:
            self.say_left(house, done, "rejected" if rejected else "acknowledged")
        if unblocked:
            self._run(house)

    def requeue(self, house: House, client: str, pendings: list[Pending], failed: bool) -> None:
        self._subtract(house, client, pendings)
        self._requeue(house, self._take_back(pendings), failed)

    def _requeue(self, house: House, returned: list[Held], failed: bool) -> None:
        """To their old places; then what is too much is dropped, then what waits is delivered."""
        returned.sort(key=lambda held: held.seq)
        for held in returned:
            held.redelivered = True
            if failed:
                held.failures += 1
            self.say_requeued(house, held, True, -1)
            self.say_placed(house, held, "ready", self.ready.put_back(held))
        self._drop_head(house)
        self._expire(house)
        self._run(house)

    def discard(self, house: House, client: str, pendings: list[Pending], failed: bool) -> None:
        if not house.dead_letter_exchange_exists(self):
            self._finish(house, client, pendings, rejected=True)
            return
        unblocked = self._subtract(house, client, pendings)
        dying = self._take_back(pendings)
        dying.sort(key=lambda held: -held.level)
        for held in dying:
            if failed:
                held.failures += 1
        house.bury(self, dying, "rejected")
        if unblocked:
            self._run(house)

    # -- consumers --------------------------------------------------------------------------------

    def consume(self, house: House, consumer: Consumer) -> None:
        if consumer.exclusive and (self.single_active or self.consumers):
            raise Refused("ACCESS_REFUSED", f"queue '{self.name}' in vhost '/' in exclusive use")
        if not self.single_active and self.active:
            raise Refused("ACCESS_REFUSED", f"queue '{self.name}' in vhost '/' in exclusive use")
        consumer.key = self.new_key()
        consumer.credit = consumer.prefetch
        self.consumers[consumer.key] = consumer
        join(self.round, self.consumers, consumer.key)
        self.had_consumers = True

    def start(self, house: House, key: int) -> None:
        """The consumer is known to its channel: it may be the active one, and deliveries begin."""
        if self.single_active and not self.active:
            self._activate(house, key)
        elif self.consumers[key].exclusive:
            self.active = key
        self._run(house)

    def _activate(self, house: House, key: int) -> None:
        if key != self.active:
            self.active = key
            house.active_consumer_changed(self, key)

    def _follow(self, house: House) -> None:
        """The active consumer is gone: who follows is the first of the round."""
        self._activate(house, self.round[0] if self.single_active and self.round else 0)

    def cancel(self, house: House, key: int) -> None:
        consumer = self.consumers.pop(key)
        leave(self.round, key)
        leave(self.blocked, key)
        house.subscription_ended(self, consumer, "client")
        if key == self.active:
            self._follow(house)
        if self._has_served():
            house.delete_queue(self, "auto_delete")
            return
        if house.switches.classic_cancel_runs_queue:
            self._run(house)
        self._renew(house)

    def channel_down(self, house: House, client: str, pendings: list[Pending]) -> None:
        gone = [consumer for consumer in self.consumers.values() if consumer.client == client]
        for consumer in gone:
            del self.consumers[consumer.key]
            leave(self.round, consumer.key)
            leave(self.blocked, consumer.key)
            house.subscription_ended(self, consumer, "channel_closed")
        if client in self.suspended:
            self.suspended.remove(client)
        if any(consumer.key == self.active for consumer in gone):
            self._follow(house)
        if self._has_served():
            house.delete_queue(self, "auto_delete")
            return
        self._renew(house)
        self._requeue(house, self._take_back(pendings), failed=True)

    def _has_served(self) -> bool:
        return self.auto_delete and self.had_consumers and not self.consumers

    def get(
        self, house: House, client: str, delivery_tag: int, no_ack: bool
    ) -> tuple[Held, Hand, int] | None:
        self._renew(house)
        if not self.ready.count:
            return None
        held = self.ready.take()
        self._expire(house)
        return held, Hand(held.redelivered or held.failures > 0), 0

    # -- the queue itself -------------------------------------------------------------------------

    def declared_again(self, house: House) -> None:
        self._renew(house)

    def _renew(self, house: House) -> None:
        """A use: while nobody consumes, x-expires counts anew from here (ensure_expiry_timer/1)."""
        if self.expires_ms >= 0 and not self.consumers:
            self.wake_when_unused(house, house.kernel.now_us + self.expires_ms * 1_000)

    def unused_due(self, house: House) -> None:
        if not self.consumers:
            house.delete_queue(self, "expires")

    def purge(self, house: House) -> list[Held]:
        return self.ready.clear()
