"""Quorum queues: what returns is served first, counts failures, and may have to wait.

Source: www.rabbitmq.com/docs/quorum-queues, rabbit_fifo.erl. The real queue is a state machine that
applies one command at a time and then "checks out" (hands out what it can and looks at its limits);
each public method here is one command and ends with `check_out`.
"""

from __future__ import annotations

from engine.kernel import NEVER_US
from engine.rabbitmq import at_least_once, holding, returning, single_active
from engine.rabbitmq.channels import Pending
from engine.rabbitmq.events import DeathReason
from engine.rabbitmq.messages import NEVER_EXPIRES, Content, Held
from engine.rabbitmq.queues import Hand, House, Queue
from engine.rabbitmq.turns import Consumer, join, leave

DEFAULT_PRIORITY = 4
MAX_PRIORITY = 31
UNLIMITED_PREFETCH = 2_000


class QuorumQueue(Queue, tag="quorum", kw_only=True):
    """`waiting` are the consumers of a single-active queue that are not the active one, next in front.

    `next_delayed` is the copy whose delay ends first. `dying` are the dead letters of an at-least-once
    queue that their targets have not accepted. `publishers` are the channels that publish here to a
    reject-publish queue → whether they are told to stop. `delivery_limit` None is no limit; `limit_given`
    whether the argument was there at all.
    """

    waiting: list[Consumer] = []
    delayed: list[returning.Delayed] = []
    delayed_weight: int = 0
    next_delayed: int = 0
    dying: dict[int, at_least_once.Dying] = {}
    dying_weight: int = 0
    publishers: dict[str, bool] = {}
    delivery_limit: int | None = None
    limit_given: bool = False
    at_least_once: bool = False
    retry: returning.RetryDelay = returning.RetryDelay()
    timeout_ms: int = holding.DEFAULT_TIMEOUT_MS
    last_active_us: int = 0
    has_fuses: bool = False
    timeout_timer: int = 0
    timeout_due_us: int = 0
    retry_timer: int = 0

    @property
    def kind(self) -> str:
        return "quorum"

    def read_limits(self, house: House) -> None:
        """Take from the arguments what only quorum queues know, as this version reads it."""
        super().read_arguments()
        arguments, switches = self.arguments, house.switches
        if self.overflow == "reject-publish-dlx":
            self.overflow = "drop-head"
        limit = arguments.get("x-delivery-limit")
        self.limit_given = limit is not None
        self.delivery_limit = limit if type(limit) is int else switches.default_delivery_limit
        if switches.negative_limit_is_none and (self.delivery_limit or 0) < 0:
            self.delivery_limit = None
        self.at_least_once = (
            self.dead_letter_exchange is not None
            and arguments.get("x-dead-letter-strategy") == "at-least-once"
            and self.overflow == "reject-publish"
        )
        if switches.consumer_timeout:
            self.timeout_ms = arguments.get("x-consumer-timeout", holding.DEFAULT_TIMEOUT_MS)
            self.retry = returning.read_retry_delay(arguments)
        self.last_active_us = house.kernel.now_us
        self.watch_use(house)

    def counts(self) -> tuple[int, int, int, int]:
        return self.ready.count, len(self.unacked), len(self.delayed), len(self.dying)

    def consumer_count(self) -> int:
        """Also gets that are not settled and cancelled consumers that hold something; not who timed out."""
        up = sum(1 for consumer in self.consumers.values() if not consumer.timed_out)
        return up + len(self.waiting)

    def everything(self) -> list[Held]:
        return [
            *self.ready,
            *self.unacked.values(),
            *(delayed.held for delayed in self.delayed),
            *(dying.held for dying in self.dying.values()),
        ]

    # -- a message arrives ------------------------------------------------------------------------

    def refuses(self, house: House, content: Content, publisher: str) -> bool:
        if self.overflow != "reject-publish" or not publisher:
            return False
        told = self.publishers.get(publisher)
        if told is None:
            told = self.publishers[publisher] = self._over_limit()
            channel = house.channels.get(publisher)
            if channel is not None:
                channel.published_to[self.node] = 1
        return told

    def accept(self, house: House, held: Held) -> None:
        below = self.below_soft_limit()
        self._receive(house, held)
        self.say_placed(house, held, "ready", self.ready.append(held))
        self.check_out(house, below)

    def _receive(self, house: House, held: Held) -> None:
        """Set what this queue decides about an arriving copy."""
        content = held.content
        held.seq = self.next_seq
        self.next_seq += 1
        held.level = 0
        if house.switches.quorum_priorities:
            priority = content.properties.priority
            held.level = DEFAULT_PRIORITY if priority is None else min(priority, MAX_PRIORITY)
        held.weight = content.weight
        held.redelivered = False
        held.failures = content.failures or -1
        held.acquired = -1
        ttl_ms = self.ttl_ms
        if content.ttl_ms >= 0 and (ttl_ms < 0 or content.ttl_ms < ttl_ms):
            ttl_ms = content.ttl_ms
        held.expires_us = NEVER_EXPIRES
        if ttl_ms >= 0:
            # With 0 it may still be taken in the instant in which it came (update_expiry_header/3).
            held.expires_us = house.kernel.now_us + (ttl_ms * 1_000 or 1)
            self.has_fuses = True

    # -- checking out -----------------------------------------------------------------------------

    def check_out(self, house: House, below: bool) -> None:
        """Hand out what can be handed out, then look at the limits.

        `below` is what `below_soft_limit` said before the command.
        """
        ready, line, consumers = self.ready, self.round, self.consumers
        automatic: dict[int, list[int]] = {}
        while True:
            if self.has_fuses:
                self._expire_if_next(house)
            if not line:
                break
            key = line[0]
            consumer = consumers.get(key)
            if consumer is None:
                del line[0]
                continue
            if not ready.count:
                break
            del line[0]
            if consumer.credit <= 0 or consumer.status != "up" or consumer.timed_out:
                continue
            held = ready.take()
            lease = self._lease(house, consumer, held)
            if consumer.credit > 0:
                join(line, consumers, key)
            house.hand_out(self, consumer, held, self._hand(house, held, lease))
            if consumer.no_ack:
                automatic.setdefault(key, []).append(lease)
        if self.dying:
            at_least_once.check_out(house, self)
        self._evaluate_limit(house, below)
        self._arm(house)
        for key, leases in automatic.items():
            house.later("settle_automatic", self.node, key, leases)

    def _lease(self, house: House, consumer: Consumer, held: Held) -> int:
        lease = consumer.next_lease
        consumer.next_lease += 1
        due_us = house.kernel.now_us + consumer.timeout_us
        consumer.leases[lease] = (held.copy, due_us)
        consumer.credit -= 1
        self.unacked[held.copy] = held
        if house.switches.consumer_timeout:
            holding.watch(house, self, due_us)
        return lease

    def _hand(self, house: House, held: Held, lease: int) -> Hand:
        """The counts as headers (rabbit_fifo_client:add_delivery_count_header/2)."""
        failures = held.failures if held.failures >= 0 else None
        if not house.switches.acquired_count:
            return Hand(failures is not None, lease, failures)
        acquired = held.acquired if held.acquired >= 0 else failures
        return Hand(bool(acquired), lease, failures, acquired)

    def settle_automatic(self, house: House, key: int, leases: list[int]) -> None:
        """A channel settles at once what it got for a consumer without acknowledgements."""
        consumer = self.consumers.get(key)
        if consumer is None:
            return
        below = self.below_soft_limit()
        for copy in self._complete(house, consumer, leases):
            del self.unacked[copy]
        single_active.activate_next(house, self)
        self.check_out(house, below)

    # -- limits -----------------------------------------------------------------------------------

    def _load(self) -> tuple[int, int]:
        """(messages, bytes) that count towards the limits: all but what is unacked."""
        ready = self.ready
        count = ready.count + len(self.delayed) + len(self.dying)
        return count, ready.weight + self.delayed_weight + self.dying_weight

    def _over_limit(self) -> bool:
        if self.max_length < 0 and self.max_bytes < 0:
            return False
        count, weight = self._load()
        return count > self.max_length >= 0 or weight > self.max_bytes >= 0

    def below_soft_limit(self) -> bool:
        """Whether at most 80 % of each limit is used (LOW_LIMIT). Only asked of reject-publish queues."""
        if self.overflow != "reject-publish" or (self.max_length < 0 and self.max_bytes < 0):
            return False
        count, weight = self._load()
        return (self.max_length < 0 or count <= self.max_length * 4 // 5) and (
            self.max_bytes < 0 or weight <= self.max_bytes * 4 // 5
        )

    def _evaluate_limit(self, house: House, below: bool) -> None:
        if self.max_length < 0 and self.max_bytes < 0:
            return
        if self.overflow == "drop-head":
            dropped: list[Held] = []
            while self.ready.count and self._over_limit():
                dropped.append(self.ready.take())
            if dropped:
                self.die(house, dropped, "maxlen")
        elif self._over_limit():
            self.publishers = dict.fromkeys(self.publishers, True)
        elif not below and self.below_soft_limit():
            self.publishers = dict.fromkeys(self.publishers, False)

    # -- time -------------------------------------------------------------------------------------

    def _expire_if_next(self, house: House) -> None:
        """If the next message has expired: it and, where there are levels, every head that has."""
        now_us = house.kernel.now_us
        head = self.ready.first()
        if head is None or not 0 <= head.expires_us <= now_us:
            return
        if house.switches.quorum_priorities:
            self._expire_heads(house)
            return
        expired: list[Held] = []
        while (head := self.ready.first()) is not None and 0 <= head.expires_us <= now_us:
            expired.append(self.ready.take())
        self.die(house, expired, "expired")

    def _expire_heads(self, house: House) -> None:
        now_us = house.kernel.now_us
        expired: list[Held] = []
        for line in self.ready.heads():
            while len(line) and 0 <= line.first().expires_us <= now_us:
                expired.append(self.ready.forget(line))
        if expired:
            self.die(house, expired, "expired")

    def messages_due(self, house: House) -> None:
        below = self.below_soft_limit()
        returning.end_delays(house, self)
        if house.switches.quorum_priorities:
            self._expire_heads(house)
        self.check_out(house, below)

    def _arm(self, house: House) -> None:
        """Wake when the next head expires or the next delay is over."""
        if not self.has_fuses and not self.delayed and not self.message_timer:
            return
        due_us = self.delayed[0].ready_us if self.delayed else NEVER_US
        heads = self.ready.heads()
        for line in heads if house.switches.quorum_priorities else heads[:1]:
            expires_us = line.first().expires_us
            if 0 <= expires_us < due_us:
                due_us = expires_us
        if due_us == NEVER_US:
            self.sleep_for_messages(house)
        else:
            self.wake_for_messages(house, due_us)

    def die(self, house: House, dying: list[Held], reason: DeathReason) -> None:
        if self.at_least_once and reason != "maxlen":
            at_least_once.keep(house, self, dying, reason)
        else:
            house.bury(self, dying, reason)

    # -- settling ---------------------------------------------------------------------------------

    def _settling(self, house: House, pendings: list[Pending]) -> tuple[Consumer | None, list[int]]:
        """The consumer that a settlement is from, and its leases. None: it has stood down, or is gone."""
        consumer = self.consumers.get(pendings[0].consumer)
        leases = [pending.lease for pending in pendings]
        if consumer is None:
            holding.settle_waiting(house, self, pendings[0].consumer, leases)
        else:
            holding.settle(consumer, leases)
        return consumer, leases

    def ack(self, house: House, client: str, pendings: list[Pending]) -> None:
        below = self.below_soft_limit()
        consumer, leases = self._settling(house, pendings)
        if consumer is None:
            return
        copies = self._complete(house, consumer, leases)
        for copy in copies:
            del self.unacked[copy]
        if copies:
            self.say_left(house, tuple(copies), "acknowledged")
        single_active.activate_next(house, self)
        self.check_out(house, below)

    def discard(self, house: House, client: str, pendings: list[Pending], failed: bool) -> None:
        below = self.below_soft_limit()
        consumer, leases = self._settling(house, pendings)
        if consumer is None:
            return
        dying = [self.unacked.pop(copy) for copy in self._complete(house, consumer, leases)]
        if house.switches.acquired_count:
            for held in dying:
                returning.count(held, failed, acquired=True)
        if dying:
            self.die(house, dying, "rejected")
        single_active.activate_next(house, self)
        self.check_out(house, below)

    def requeue(self, house: House, client: str, pendings: list[Pending], failed: bool) -> None:
        below = self.below_soft_limit()
        consumer, leases = self._settling(house, pendings)
        if consumer is None:
            return
        if house.switches.unlimited_returns_go_back and not self.limit_given:
            returning.enqueue_anew(house, self, consumer, leases)
            return
        returning.give_back(house, self, consumer, leases, failed)
        single_active.activate_next(house, self)
        self.check_out(house, below)

    def _complete(self, house: House, consumer: Consumer, leases: list[int]) -> list[int]:
        """These leases are over; returns the copies that they were for."""
        copies = [consumer.leases.pop(lease)[0] for lease in leases if lease in consumer.leases]
        self.give_credit(house, consumer, len(copies))
        self.keep_or_remove(house, consumer)
        return copies

    def give_credit(self, house: House, consumer: Consumer, more: int) -> None:
        if consumer.once:
            return
        consumer.credit += more
        if not house.switches.slot_too_many:
            consumer.credit = min(consumer.credit, consumer.prefetch or UNLIMITED_PREFETCH)

    def keep_or_remove(self, house: House, consumer: Consumer) -> None:
        """What becomes of a consumer that holds less now (update_or_remove_con/4)."""
        if consumer.once and consumer.credit == 0:
            if not consumer.leases:
                self._remove(house, consumer)
        elif consumer.status == "quiescing" and not consumer.leases:
            consumer.status = "up"
            del self.consumers[consumer.key]
            single_active.wait(house, self, consumer)
        else:
            self.queue_up(consumer)

    def queue_up(self, consumer: Consumer) -> None:
        """Into the round, if it has room and is not in it."""
        if (
            consumer.credit > 0
            and consumer.status == "up"
            and not consumer.timed_out
            and consumer.key not in self.round
        ):
            join(self.round, self.consumers, consumer.key)

    def _remove(self, house: House, consumer: Consumer) -> None:
        del self.consumers[consumer.key]
        leave(self.round, consumer.key)
        self.last_active_us = house.kernel.now_us
        self.watch_use(house)

    # -- consumers --------------------------------------------------------------------------------

    def consume(self, house: House, consumer: Consumer) -> None:
        """A tag that comes back while its old deliveries are out is the same consumer again."""
        consumer.credit = consumer.prefetch or UNLIMITED_PREFETCH
        old = self._cancelled(consumer.client, consumer.tag)
        consumer.key = old.key if old is not None else self.new_key()
        if old is not None and not (self.single_active and single_active.active_of(self) is not None):
            _merge(old, consumer)
        elif self.single_active:
            single_active.wait(house, self, consumer)
        else:
            self.consumers[consumer.key] = consumer

    def _cancelled(self, client: str, tag: str) -> Consumer | None:
        for consumer in self.consumers.values():
            if consumer.client == client and consumer.tag == tag and not consumer.get_tag:
                return consumer
        return None

    def start(self, house: House, key: int) -> None:
        below = self.below_soft_limit()
        consumer = self.consumers.get(key)
        if consumer is not None:
            self.queue_up(consumer)
        single_active.activate_next(house, self)
        self.check_out(house, below)
        self.watch_use(house)

    def cancel(self, house: House, key: int) -> None:
        below = self.below_soft_limit()
        consumer = self.consumers.get(key)
        waiting = next((other for other in self.waiting if other.key == key), None)
        if consumer is not None:
            house.subscription_ended(self, consumer, "client")
            consumer.once, consumer.credit, consumer.status = True, 0, "cancelled"
            leave(self.round, key)
            self.keep_or_remove(house, consumer)
        elif waiting is not None:
            house.subscription_ended(self, waiting, "client")
            self.waiting.remove(waiting)
        single_active.activate_next(house, self)
        self.check_out(house, below)

    def get(
        self, house: House, client: str, delivery_tag: int, no_ack: bool
    ) -> tuple[Held, Hand, int] | None:
        self.last_active_us = house.kernel.now_us
        self.watch_use(house)
        if not self.ready.count:
            return None
        below = self.below_soft_limit()
        self._expire_if_next(house)
        if not self.ready.count:
            self._evaluate_limit(house, below)
            self._arm(house)
            return None
        held = self.ready.take()
        hand = self._hand(house, held, 0)
        if house.switches.get_shows_zero_count and hand.delivery_count is None:
            hand = Hand(False, 0, 0)
        key = 0 if no_ack else self._hold_for_get(house, client, delivery_tag, held)
        self.check_out(house, below)
        return held, hand, key

    def _hold_for_get(self, house: House, client: str, delivery_tag: int, held: Held) -> int:
        """A consumer of one message, until it is settled. Returns its key."""
        key = self.new_key()
        consumer = Consumer(
            key, "", client, 0, 1, 0, False, False, 1,
            timeout_us=self.timeout_ms * 1_000, get_tag=delivery_tag, once=True,
        )  # fmt: skip
        self.consumers[key] = consumer
        self._lease(house, consumer, held)
        self.watch_use(house)
        return key

    def channel_down(self, house: House, client: str, pendings: list[Pending]) -> None:
        below = self.below_soft_limit()
        self.publishers.pop(client, None)
        for waiting in [consumer for consumer in self.waiting if consumer.client == client]:
            self.waiting.remove(waiting)
            house.subscription_ended(self, waiting, "channel_closed")
        gone = [consumer for consumer in self.consumers.values() if consumer.client == client]
        gone.sort(key=lambda consumer: holding.order(house, consumer))
        for consumer in gone:
            house.subscription_ended(self, consumer, "channel_closed")
            leave(self.round, consumer.key)
            consumer.status = "gone"
            returning.give_back(house, self, consumer, list(consumer.leases), failed=True)
            if consumer.key in self.consumers:
                self._remove(house, consumer)
            self.last_active_us = house.kernel.now_us
        single_active.activate_next(house, self)
        self.check_out(house, below)
        self.watch_use(house)

    # -- the queue itself -------------------------------------------------------------------------

    def declared_again(self, house: House) -> None:
        """A declaration does not renew the lease of a quorum queue."""

    def watch_use(self, house: House) -> None:
        """x-expires counts from the last use, while no consumer (or unsettled get) is left."""
        if self.expires_ms < 0:
            return
        if self.consumers:
            self.sleep_when_unused(house)
        else:
            self.wake_when_unused(house, self.last_active_us + self.expires_ms * 1_000)

    def unused_due(self, house: House) -> None:
        if not self.consumers:
            house.delete_queue(self, "expires")

    def purge(self, house: House) -> list[Held]:
        below = self.below_soft_limit()
        gone = self.ready.clear()
        if house.switches.purge_takes_waiting:
            gone += [delayed.held for delayed in self.delayed]
            gone += [dying.held for dying in self.dying.values()]
            self.delayed.clear()
            self.dying.clear()
            self.delayed_weight = self.dying_weight = self.next_delayed = 0
        self._evaluate_limit(house, below)
        self._arm(house)
        return gone

    def stop_timers(self, house: House) -> None:
        super().stop_timers(house)
        for entry in (self.timeout_timer, self.retry_timer):
            if entry:
                house.kernel.cancel(entry)
        self.timeout_timer = self.retry_timer = 0


def _merge(old: Consumer, new: Consumer) -> None:
    """The cancelled consumer is up again, as it was asked for now; what it holds takes its place."""
    old.prefetch, old.priority, old.no_ack = new.prefetch, new.priority, new.no_ack
    old.once, old.status, old.ended = False, "up", False
    old.credit = max(0, new.credit - len(old.leases))
