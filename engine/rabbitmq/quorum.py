"""Quorum queues: what returns is served first, counts failures, and may have to wait.

Source: www.rabbitmq.com/docs/quorum-queues, rabbit_fifo.erl. The real queue is a state machine that
applies one command at a time and then "checks out" (hands out what it can and looks at its limits);
each public method here is one command and ends with `_check_out`.
"""

from __future__ import annotations

from bisect import insort

import msgspec

from engine.events import FuseLit
from engine.kernel import NEVER_US
from engine.rabbitmq import at_least_once
from engine.rabbitmq.channels import Pending
from engine.rabbitmq.events import DeathReason
from engine.rabbitmq.lines import Line
from engine.rabbitmq.messages import NEVER_EXPIRES, Content, Held
from engine.rabbitmq.queues import Hand, House, Queue
from engine.rabbitmq.turns import Consumer, join, leave

DEFAULT_PRIORITY = 4
MAX_PRIORITY = 31
UNLIMITED_PREFETCH = 2_000
DEFAULT_CONSUMER_TIMEOUT_MS = 1_800_000
RETRY_TYPES = ("all", "failed", "returned")


class Delayed(msgspec.Struct, array_like=True, order=True):
    """A returned message that waits out its retry delay. Ordered by time, then by arrival."""

    ready_us: int
    seq: int
    held: Held = msgspec.field()

    def __lt__(self, other: Delayed) -> bool:
        return (self.ready_us, self.seq) < (other.ready_us, other.seq)


class QuorumQueue(Queue, tag="quorum", kw_only=True):
    """`waiting` are the consumers of a single-active queue that are not the active one, next in front.

    `dying` are the dead letters of an at-least-once queue that their targets have not accepted.
    `publishers` are the channels that publish here to a reject-publish queue → whether they are told
    to stop. `delivery_limit` None is no limit; `limit_given` whether the argument was there at all.
    """

    waiting: list[Consumer] = []
    delayed: list[Delayed] = []
    dying: dict[int, at_least_once.Dying] = {}
    publishers: dict[str, bool] = {}
    delivery_limit: int | None = None
    limit_given: bool = False
    at_least_once: bool = False
    retry_type: str = ""
    retry_min_ms: int = 0
    retry_max_ms: int = 0
    timeout_ms: int = DEFAULT_CONSUMER_TIMEOUT_MS
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
        self.delivery_limit = limit if isinstance(limit, int) else switches.default_delivery_limit
        if switches.negative_limit_is_none and self.delivery_limit is not None and self.delivery_limit < 0:
            self.delivery_limit = None
        self.at_least_once = (
            self.dead_letter_exchange is not None
            and arguments.get("x-dead-letter-strategy") == "at-least-once"
            and self.overflow == "reject-publish"
        )
        if switches.consumer_timeout:
            self.timeout_ms = arguments.get("x-consumer-timeout", DEFAULT_CONSUMER_TIMEOUT_MS)
            self._read_retry()
        self.last_active_us = house.kernel.now_us
        self._watch_use(house)

    def _read_retry(self) -> None:
        """Delayed retry is off, without a word, unless type and minimum make sense."""
        kind = self.arguments.get("x-delayed-retry-type")
        least = self.arguments.get("x-delayed-retry-min")
        most = self.arguments.get("x-delayed-retry-max")
        if kind not in RETRY_TYPES or type(least) is not int or least <= 0:
            return
        self.retry_type, self.retry_min_ms = kind, least
        self.retry_max_ms = most if type(most) is int and most > 0 else least

    def counts(self) -> tuple[int, int, int, int]:
        return self.ready.count, len(self.unacked), len(self.delayed), len(self.dying)

    def consumer_count(self) -> int:
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
        below = self._below_soft_limit()
        self._receive(house, held)
        self.say_placed(house, held, "ready", self.ready.append(held))
        self._check_out(house, below)

    def _receive(self, house: House, held: Held) -> None:
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

    def _check_out(self, house: House, below: bool) -> None:
        """Hand out what can be handed out, then look at the limits. `below`: soft limit, before."""
        ready, line, consumers = self.ready, self.round, self.consumers
        handed: dict[int, list[int]] = {}
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
                handed.setdefault(key, []).append(lease)
        if self.dying:
            at_least_once.check_out(house, self)
        self._evaluate_limit(house, below)
        self._arm(house)
        for key, leases in handed.items():
            house.later("settle_automatic", self.node, key, leases)

    def _lease(self, house: House, consumer: Consumer, held: Held) -> int:
        lease = consumer.next_lease
        consumer.next_lease += 1
        due_us = house.kernel.now_us + consumer.timeout_us
        consumer.leases[lease] = (held.copy, due_us)
        consumer.credit -= 1
        self.unacked[held.copy] = held
        if house.switches.consumer_timeout and (not self.timeout_timer or due_us < self.timeout_due_us):
            self._wake_for_timeout(house, due_us)
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
        below = self._below_soft_limit()
        for copy in self._complete(house, consumer, leases):
            del self.unacked[copy]
        self._activate_next(house)
        self._check_out(house, below)

    # -- limits -----------------------------------------------------------------------------------

    def _load(self) -> tuple[int, int]:
        """(messages, bytes) that count towards the limits: all but what is unacked."""
        weight = self.ready.weight
        if self.delayed:
            weight += sum(delayed.held.weight for delayed in self.delayed)
        if self.dying:
            weight += sum(dying.held.weight for dying in self.dying.values())
        return self.ready.count + len(self.delayed) + len(self.dying), weight

    def _over_limit(self) -> bool:
        if self.max_length < 0 and self.max_bytes < 0:
            return False
        count, weight = self._load()
        return count > self.max_length >= 0 or weight > self.max_bytes >= 0

    def _below_soft_limit(self) -> bool:
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
                self._die(house, dropped, "maxlen")
        elif self._over_limit():
            self.publishers = dict.fromkeys(self.publishers, True)
        elif not below and self._below_soft_limit():
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
        self._die(house, expired, "expired")

    def _expire_heads(self, house: House) -> None:
        now_us = house.kernel.now_us
        expired: list[Held] = []
        for line in self.ready.heads():
            while len(line) and 0 <= line.first().expires_us <= now_us:
                expired.append(self.ready.forget(line))
        if expired:
            self._die(house, expired, "expired")

    def messages_due(self, house: House) -> None:
        below = self._below_soft_limit()
        now_us = house.kernel.now_us
        while self.delayed and self.delayed[0].ready_us <= now_us:
            held = self.delayed.pop(0).held
            self.say_placed(house, held, "ready", self.ready.put_returned(held))
        if house.switches.quorum_priorities:
            self._expire_heads(house)
        self._check_out(house, below)

    def _arm(self, house: House) -> None:
        """Wake when the next head expires or the next delay is over."""
        if not self.has_fuses and not self.delayed:
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

    def _die(self, house: House, dying: list[Held], reason: DeathReason) -> None:
        if self.at_least_once and reason != "maxlen":
            at_least_once.keep(house, self, dying, reason)
        else:
            house.bury(self, dying, reason)

    # -- settling ---------------------------------------------------------------------------------

    def _consumer_of(self, pendings: list[Pending]) -> Consumer | None:
        return self.consumers.get(pendings[0].consumer)

    def ack(self, house: House, client: str, pendings: list[Pending]) -> None:
        consumer = self._consumer_of(pendings)
        leases = [pending.lease for pending in pendings]
        if consumer is None:
            self._late(house, pendings[0].consumer, leases)
            return
        below = self._below_soft_limit()
        self._untimeout(consumer, leases)
        copies = self._complete(house, consumer, leases)
        for copy in copies:
            del self.unacked[copy]
        if copies:
            self.say_left(house, tuple(copies), "acknowledged")
        self._activate_next(house)
        self._check_out(house, below)

    def discard(self, house: House, client: str, pendings: list[Pending], failed: bool) -> None:
        consumer = self._consumer_of(pendings)
        leases = [pending.lease for pending in pendings]
        if consumer is None:
            self._late(house, pendings[0].consumer, leases)
            return
        below = self._below_soft_limit()
        self._untimeout(consumer, leases)
        dying = [self.unacked.pop(copy) for copy in self._complete(house, consumer, leases)]
        if house.switches.acquired_count:
            for held in dying:
                self._count(held, failed)
        if dying:
            self._die(house, dying, "rejected")
        self._activate_next(house)
        self._check_out(house, below)

    def requeue(self, house: House, client: str, pendings: list[Pending], failed: bool) -> None:
        consumer = self._consumer_of(pendings)
        leases = [pending.lease for pending in pendings]
        if consumer is None:
            self._late(house, pendings[0].consumer, leases)
            return
        if house.switches.unlimited_returns_go_back and not self.limit_given:
            self._requeue_at_the_back(house, consumer, leases)
            return
        below = self._below_soft_limit()
        self._untimeout(consumer, leases)
        self._return(house, consumer, leases, failed)
        self._activate_next(house)
        self._check_out(house, below)

    def _complete(self, house: House, consumer: Consumer, leases: list[int]) -> list[int]:
        """These leases are over; returns the copies that they were for."""
        copies = [consumer.leases.pop(lease)[0] for lease in leases if lease in consumer.leases]
        self._credit(house, consumer, len(copies))
        self._keep_or_remove(house, consumer)
        return copies

    def _return(self, house: House, consumer: Consumer, leases: list[int], failed: bool) -> None:
        """One after the other: over the limit it dies, else it waits its delay out or is served first."""
        switches = house.switches
        for lease in leases:
            if lease not in consumer.leases:
                continue
            held = self.unacked.pop(consumer.leases.pop(lease)[0])
            self._count(held, failed or switches.nack_is_failure, switches.acquired_count)
            over = self.delivery_limit is not None and held.failures > self.delivery_limit
            if over:
                self._die(house, [held], "delivery_limit")
            else:
                self._put_back(house, held, failed)
            self._credit(house, consumer, 2 if over and switches.slot_too_many else 1)
            self._keep_or_remove(house, consumer)

    def _count(self, held: Held, failed: bool, acquired: bool = True) -> None:
        if acquired:
            held.acquired = max(held.acquired, 0) + 1
        if failed:
            held.failures = max(held.failures, 0) + 1

    def _put_back(self, house: House, held: Held, failed: bool) -> None:
        self.say_requeued(house, held, True, held.failures)
        if not self.retry_type or self.retry_type == ("returned" if failed else "failed"):
            self.say_placed(house, held, "ready", self.ready.put_returned(held))
            return
        delay_ms = min(self.retry_min_ms * max(1, held.failures), self.retry_max_ms)
        ready_us = house.kernel.now_us + delay_ms * 1_000
        delayed = Delayed(ready_us, held.seq, held)
        insort(self.delayed, delayed)
        self.say_placed(house, held, "delayed", self.delayed.index(delayed))
        kernel = house.kernel
        kernel.emit(FuseLit(kernel.now_us, kernel.cause, held.copy, self.node, "delay", ready_us))

    def _requeue_at_the_back(self, house: House, consumer: Consumer, leases: list[int]) -> None:
        """3.10 without x-delivery-limit: each is enqueued anew, a command of its own (#requeue)."""
        for lease in leases:
            if lease not in consumer.leases:
                continue
            below = self._below_soft_limit()
            held = self.unacked.pop(consumer.leases.pop(lease)[0])
            self._count(held, True, house.switches.acquired_count)
            held.seq = self.next_seq
            self.next_seq += 1
            self.say_requeued(house, held, True, held.failures)
            self.say_placed(house, held, "ready", self.ready.append(held))
            self._credit(house, consumer, 1)
            self._keep_or_remove(house, consumer)
            self._check_out(house, below)

    def _credit(self, house: House, consumer: Consumer, more: int) -> None:
        if consumer.once:
            return
        consumer.credit += more
        if not house.switches.slot_too_many:
            consumer.credit = min(consumer.credit, consumer.prefetch or UNLIMITED_PREFETCH)

    def _keep_or_remove(self, house: House, consumer: Consumer) -> None:
        """What becomes of a consumer that holds less now (update_or_remove_con/4)."""
        if consumer.once and consumer.credit == 0:
            if not consumer.leases:
                self._remove(house, consumer)
        elif consumer.status == "quiescing" and not consumer.leases:
            consumer.status = "up"
            del self.consumers[consumer.key]
            self._wait(house, consumer)
        else:
            self._queue_up(consumer)

    def _queue_up(self, consumer: Consumer) -> None:
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
        self._watch_use(house)

    # -- consumers --------------------------------------------------------------------------------

    def consume(self, house: House, consumer: Consumer) -> None:
        """A tag that comes back while its old deliveries are out is the same consumer again."""
        consumer.credit = consumer.prefetch or UNLIMITED_PREFETCH
        old = self._cancelled(consumer.client, consumer.tag)
        consumer.key = old.key if old is not None else self.new_key()
        if old is None or (self.single_active and self._active() is not None):
            if self.single_active:
                self._wait(house, consumer)
            else:
                self.consumers[consumer.key] = consumer
        else:
            self._merge(old, consumer)

    def _merge(self, old: Consumer, new: Consumer) -> None:
        old.prefetch, old.priority, old.no_ack = new.prefetch, new.priority, new.no_ack
        old.once, old.status, old.ended = False, "up", False
        old.credit = max(0, new.credit - len(old.leases))

    def _cancelled(self, client: str, tag: str) -> Consumer | None:
        for consumer in self.consumers.values():
            if consumer.client == client and consumer.tag == tag and not consumer.get_tag:
                return consumer
        return None

    def start(self, house: House, key: int) -> None:
        self.sleep_when_unused(house)
        below = self._below_soft_limit()
        consumer = self.consumers.get(key)
        if consumer is not None:
            self._queue_up(consumer)
        self._activate_next(house)
        self._check_out(house, below)
        self._watch_use(house)

    def cancel(self, house: House, key: int) -> None:
        below = self._below_soft_limit()
        consumer = self.consumers.get(key)
        waiting = next((other for other in self.waiting if other.key == key), None)
        if consumer is not None:
            house.subscription_ended(self, consumer, "client")
            consumer.once, consumer.credit, consumer.status = True, 0, "cancelled"
            leave(self.round, key)
            self._keep_or_remove(house, consumer)
        elif waiting is not None:
            house.subscription_ended(self, waiting, "client")
            self.waiting.remove(waiting)
        self._activate_next(house)
        self._check_out(house, below)

    def get(self, house: House, client: str, delivery_tag: int, no_ack: bool) -> tuple[Held, Hand, int] | None:
        self.last_active_us = house.kernel.now_us
        self._watch_use(house)
        if not self.ready.count:
            return None
        below = self._below_soft_limit()
        self._expire_if_next(house)
        if not self.ready.count:
            self._evaluate_limit(house, below)
            self._arm(house)
            return None
        held = self.ready.take()
        hand = self._hand(house, held, 0)
        if house.switches.get_shows_zero_count and hand.delivery_count is None:
            hand = Hand(False, 0, 0)
        key = 0
        if not no_ack:
            key = self.new_key()
            consumer = Consumer(
                key, "", client, 0, 1, 0, False, False, 1,
                timeout_us=self.timeout_ms * 1_000, get_tag=delivery_tag, once=True,
            )  # fmt: skip
            self.consumers[key] = consumer
            self._lease(house, consumer, held)
            self._watch_use(house)
        self._check_out(house, below)
        return held, hand, key

    def channel_down(self, house: House, client: str, pendings: list[Pending]) -> None:
        below = self._below_soft_limit()
        self.publishers.pop(client, None)
        for waiting in [consumer for consumer in self.waiting if consumer.client == client]:
            self.waiting.remove(waiting)
            house.subscription_ended(self, waiting, "channel_closed")
        gone = [consumer for consumer in self.consumers.values() if consumer.client == client]
        gone.sort(key=lambda consumer: self._order(house, consumer))
        for consumer in gone:
            house.subscription_ended(self, consumer, "channel_closed")
            leave(self.round, consumer.key)
            consumer.status = "gone"
            self._return(house, consumer, list(consumer.leases), failed=True)
            if consumer.key in self.consumers:
                self._remove(house, consumer)
            self.last_active_us = house.kernel.now_us
        self._activate_next(house)
        self._check_out(house, below)
        self._watch_use(house)

    def _order(self, house: House, consumer: Consumer) -> tuple[int, int, str]:
        """In which order a closed channel's consumers return what they hold (keys of a map)."""
        if house.switches.returns_by_tag:
            return (0, 0, consumer.tag or str(consumer.get_tag))
        return (1, 0, str(consumer.get_tag)) if consumer.get_tag else (0, consumer.key, "")

    # -- single active consumer -------------------------------------------------------------------

    def _active(self) -> Consumer | None:
        for consumer in self.consumers.values():
            if consumer.status in ("up", "quiescing") and not consumer.timed_out and not consumer.get_tag:
                return consumer
        return None

    def _wait(self, house: House, consumer: Consumer) -> None:
        """Join those that wait. 4.3: by priority, then by credit, then by age (sort_waiting/1)."""
        self.waiting = [other for other in self.waiting if other.key != consumer.key] + [consumer]
        if house.switches.single_active_by_priority:
            self.waiting.sort(
                key=lambda other: (
                    (1, 0, 0, 0) if other.timed_out else (0, -other.priority, -other.credit, other.key)
                )
            )

    def _activate_next(self, house: House) -> None:
        """Nobody is active: the first that waits is. A higher priority takes over from one that holds nothing."""
        if not self.single_active or not self.waiting or self.waiting[0].timed_out:
            return
        following, active = self.waiting[0], self._active()
        if active is None:
            self._activate(house, following)
        elif house.switches.single_active_by_priority and following.priority > active.priority:
            if active.leases:
                active.status = "quiescing"
            else:
                del self.consumers[active.key]
                leave(self.round, active.key)
                self._activate(house, following)
                self._wait(house, active)

    def _activate(self, house: House, following: Consumer) -> None:
        del self.waiting[0]
        present = self.consumers.get(following.key)
        if present is None:
            self.consumers[following.key] = present = following
        else:
            # It was cancelled and came back while its old deliveries are out: it stays cancelled.
            present.prefetch, present.priority, present.no_ack = (
                following.prefetch, following.priority, following.no_ack,
            )  # fmt: skip
        self._queue_up(present)
        self.active = present.key
        house.active_consumer_changed(self, present.key)

    # -- consumer timeout -------------------------------------------------------------------------

    def _wake_for_timeout(self, house: House, due_us: int) -> None:
        if self.timeout_timer:
            house.kernel.cancel(self.timeout_timer)
        self.timeout_timer = house.kernel.schedule(due_us, house.owner, "held_too_long", self.node)
        self.timeout_due_us = due_us

    def held_too_long(self, house: House) -> None:
        """Whoever holds something longer than its timeout gets nothing more; what is overdue returns."""
        self.timeout_timer = 0
        below = self._below_soft_limit()
        now_us = house.kernel.now_us
        for consumer in sorted(self.consumers.values(), key=lambda other: self._order(house, other)):
            overdue = [lease for lease, (_, due_us) in consumer.leases.items() if due_us <= now_us]
            if overdue:
                consumer.overdue += overdue
                consumer.timed_out = True
                leave(self.round, consumer.key)
                house.overdue(self, consumer)
                self._return(house, consumer, overdue, failed=False)
        if self.single_active:
            for consumer in list(self.consumers.values()):
                if consumer.timed_out and not consumer.leases:
                    del self.consumers[consumer.key]
                    self._wait(house, consumer)
        dues = [due_us for consumer in self.consumers.values() for _, due_us in consumer.leases.values()]
        if dues:
            self._wake_for_timeout(house, min(dues))
        self._activate_next(house)
        self._check_out(house, below)
        self._watch_use(house)

    def _untimeout(self, consumer: Consumer, leases: list[int]) -> None:
        """A late settlement: once nothing overdue is left, the consumer is up again."""
        if consumer.timed_out:
            consumer.overdue = [lease for lease in consumer.overdue if lease not in leases]
            consumer.timed_out = bool(consumer.overdue)

    def _late(self, house: House, key: int, leases: list[int]) -> None:
        """A settlement for a consumer that timed out and waits in the single-active line."""
        for consumer in self.waiting:
            if consumer.key == key and consumer.timed_out:
                below = self._below_soft_limit()
                self._untimeout(consumer, leases)
                self._wait(house, consumer)
                if not consumer.timed_out:
                    self._activate_next(house)
                    self._check_out(house, below)
                return

    # -- the queue itself -------------------------------------------------------------------------

    def declared_again(self, house: House) -> None:
        """A declaration does not renew the lease of a quorum queue."""

    def _watch_use(self, house: House) -> None:
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
        below = self._below_soft_limit()
        gone = self.ready.clear()
        if house.switches.purge_takes_waiting:
            gone += [delayed.held for delayed in self.delayed]
            gone += [dying.held for dying in self.dying.values()]
            self.delayed.clear()
            self.dying.clear()
        self._evaluate_limit(house, below)
        self._arm(house)
        return gone

    def dead_letters_settled(self, house: House, below: bool) -> None:
        """Targets have accepted dead letters: the load is less now."""
        self._check_out(house, below)

    def below_soft_limit(self) -> bool:
        return self._below_soft_limit()

    def stop_timers(self, house: House) -> None:
        super().stop_timers(house)
        for entry in (self.timeout_timer, self.retry_timer):
            if entry:
                house.kernel.cancel(entry)
        self.timeout_timer = self.retry_timer = 0


def heads(queue: QuorumQueue) -> list[Line]:
    return queue.ready.heads()
