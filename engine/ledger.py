"""The count: one copy for each destination a message was owed to, each in exactly one place.

The ledger is a fold over events, called inside `emit`, and says `Settled` in the same moment. It
knows no broker: it hears what was placed, moved and done, and which queue stands in for which
(`stands_for`: a retry or dead-letter queue of a destination).

Places: on_the_wire (no broker holds it, no handler has it yet) · ready · unacked · waiting (delay or
retry) · held (acknowledged, its work not finished) · done (acknowledged, its effect happened) · dead ·
expired · dropped · lost (no holder left and the effect never happened). Beside them stand
duplicated_deliveries (a copy handed out again), duplicated_effects (an effect done again for one
message and destination) and out_of_order (an effect after that of a later message with its key).

A retry that republishes is the same work: the new copy takes over the place of the one named by
`Owed.after`, which leaves the count. Should that one come back (its channel closed between publish
and acknowledgement), two copies are owed from then on: the count says so.
"""

from __future__ import annotations

from engine.counted import counted
from engine.errors import InvariantBroken
from engine.events import (
    EffectApplied,
    Event,
    GivenUp,
    Left,
    MessageCreated,
    Moved,
    Owed,
    Placed,
    PromiseBroken,
    Routed,
    Settled,
    StoreAsked,
    Tallied,
    Tally,
    WorkFinished,
    WorkStarted,
)
from engine.finished import came_after, finish
from engine.kernel import Kernel
from engine.places import (
    DEAD,
    DONE,
    DROPPED,
    EXPIRED,
    HELD,
    LOST,
    NOWHERE,
    ON_THE_WIRE,
    PLACES,
    READY,
    TALLIES,
    TALLY,
    UNACKED,
    WAITING,
    Account,
    CopyRecord,
    LedgerState,
    QueueOrder,
)
from engine.rabbitmq.events import (
    ConsumerRegistered,
    DeadLettered,
    PublishRefused,
    Requeued,
    Unroutable,
)
from engine.world import GIVEN_UP, NO_KEY, ROUTED, World

NOBODY = (0, 0)
"""The registration of a node that has none."""

PROMISE_OF_PLACE = {LOST: "nothing_lost", DROPPED: "nothing_lost", EXPIRED: "nothing_lost",
                    DEAD: "nothing_dead"}  # fmt: skip
PROMISE_OF_TALLY = {"duplicated_effects": "each_effect_once", "out_of_order": "order_per_key"}


class Ledger:
    """See the module. Made as an observer of `kernel`: folds every event emitted from then on.

    `stands_for`: node of a retry or dead-letter queue → (its destination, WAITING or DEAD).
    `registrations`: consumer node → (its present registration's event number, its prefetch or 0).
    `in_flight`: registration → deliveries that it has not settled. `broken`: "promise/destination" of
    promises broken so far. `superseded`: how many records stand outside the count. `stale`: copies that
    have come to their end while a body of theirs is still somewhere. `slack`: registration → slots that
    3.10 has given it too many; `slots_leak`: whether a broker of this run does that. `finished`: see there.
    """

    __slots__ = (
        "accounts", "broken", "copies", "finished", "in_flight", "kernel", "orders", "promises",
        "registrations", "slack", "slots_leak", "stale", "stands_for", "superseded", "world",
    )  # fmt: skip

    def __init__(self, kernel: Kernel, world: World, state: LedgerState) -> None:
        self.kernel = kernel
        self.world = world
        self.promises = state.promises
        self.stands_for = state.stands_for
        self.copies = state.copies
        self.accounts = state.accounts
        self.orders = state.orders
        self.registrations = state.registrations
        self.in_flight = state.in_flight
        self.broken = state.broken
        self.superseded = state.superseded
        self.stale = state.stale
        self.slack = state.slack
        self.slots_leak = state.slots_leak
        self.finished = state.finished
        kernel.observer = self
        kernel.folds.update({
            MessageCreated: self.made, Routed: self.routed, Placed: self.placed, Moved: self.moved,
            Left: self.left, WorkStarted: self.work_started, WorkFinished: self.work_finished,
            EffectApplied: self.effect_applied, StoreAsked: self.store_asked, GivenUp: self.given_up,
            Unroutable: self.unroutable, PublishRefused: self.publish_refused,
            DeadLettered: self.dead_lettered, Requeued: self.requeued,
            ConsumerRegistered: self.consumer_registered,
        })  # fmt: skip

    @classmethod
    def empty(cls, kernel: Kernel, world: World, promises: list[str], slots_leak: bool = False) -> Ledger:
        """The count at the start of a run."""
        state = LedgerState(promises, {}, {}, {}, {}, {}, {}, [], 0, {}, {}, slots_leak, {})
        return cls(kernel, world, state)

    def state(self) -> LedgerState:
        """As plain data; shares its lists with the ledger, so encode it at once."""
        return LedgerState(
            self.promises, self.stands_for, self.copies, self.accounts, self.orders, self.registrations,
            self.in_flight, self.broken, self.superseded, self.stale, self.slack, self.slots_leak,
            self.finished,
        )  # fmt: skip

    # -- messages and copies --------------------------------------------------------------------

    def made(self, event: MessageCreated) -> int:
        self.world.made(event.message, event.key, event.poison, event.node)
        return self.kernel.say(event)

    def routed(self, event: Routed) -> int:
        kernel = self.kernel
        kernel.number = number = kernel.number + 1
        kernel.log.append(event)
        message = event.message
        flags = self.world.flags
        if message < len(flags):
            flags[message] |= ROUTED
        for owed in event.copies:
            home = owed.destination
            if owed.after or home in self.stands_for or home not in self.accounts:
                self._owe_otherwise(owed, event, number)
            else:
                self.copies[owed.copy] = CopyRecord(message, home, routed_us=event.at_us)
                self.accounts[home].owed += 1
        return number

    def _owe_otherwise(self, owed: Owed, event: Routed, number: int) -> None:
        """It may take over from another copy, or stand in for a destination, or be the first there."""
        old = self.copies.get(owed.after) if owed.after else None
        if old is not None and not old.superseded:
            record = self._taken_over(owed.after, old, number)
        else:
            home = self._home(owed.destination)
            record = CopyRecord(event.message, home)
            self._account(home).owed += 1
        record.routed_us, record.routed_to = event.at_us, owed.destination
        self.copies[owed.copy] = record

    def _taken_over(self, copy: int, old: CopyRecord, cause: int) -> CopyRecord:
        """The record of a new copy that goes on with the work of `copy`, which is counted no longer."""
        if old.place:
            account = self.accounts[old.destination]
            account.places[old.place] -= 1
            self._say_settled(copy, old.destination, old.place, NOWHERE, cause)
        old.place, old.superseded = NOWHERE, True
        self.superseded += 1
        self._forget_superseded(copy, old)
        return CopyRecord(old.message, old.destination, deliveries=old.deliveries, effect=old.effect)

    def _forget_superseded(self, copy: int, record: CopyRecord) -> None:
        if record.superseded and not record.kept and record.bodies <= 0:
            del self.copies[copy]
            self.superseded -= 1

    def unroutable(self, event: Unroutable) -> int:
        number = self.kernel.say(event)
        if not event.returned:
            self._settle_new(event.exchange, DROPPED, number)
        return number

    def publish_refused(self, event: PublishRefused) -> int:
        number = self.kernel.say(event)
        self._settle_new(self._home(event.queue), DROPPED, number)
        return number

    def given_up(self, event: GivenUp) -> int:
        number = self.kernel.say(event)
        flags = self.world.flags
        if not flags[event.message] & (ROUTED | GIVEN_UP):
            flags[event.message] |= GIVEN_UP
            self._settle_new(event.node, LOST, number)
        return number

    # -- a broker's hold ------------------------------------------------------------------------

    def placed(self, event: Placed) -> int:
        kernel = self.kernel
        kernel.number = number = kernel.number + 1
        kernel.log.append(event)
        copy, node = event.copy, event.node
        record = self.copies.get(copy)
        if record is None:
            return number
        order = self.orders.get(node)
        fresh = not record.place and not record.superseded
        if not fresh or order is None or node != record.destination or event.zone != "ready":
            self._placed_otherwise(event, record, number)
            return number
        # A fresh copy joins the line of its destination: `_ready` and `_settle` in one.
        index = event.index
        if index == order.ready or index < 0:
            order.arrived = record.sequence = order.arrived + 1
        order.ready += 1
        record.ready = True
        record.queue = node
        record.place = READY
        places = self.accounts[node].places
        places[NOWHERE] -= 1
        places[READY] += 1
        kernel.number = number + 1
        kernel.log.append(Settled(kernel.now_us, number, (copy,), node, "", "ready"))
        return number

    def _placed_otherwise(self, event: Placed, record: CopyRecord, number: int) -> None:
        node, zone = event.node, event.zone
        if event.attempt:
            if zone == "prefetched":
                self._arrived(event.copy, record, number)
            elif zone == "socket":
                self._handed_out(event.copy, record, event.attempt, node, number)
            return
        if record.ready:
            self._not_ready(record)
        if zone == "unacked":
            place = UNACKED if node == record.destination else self._standing(node)
        else:
            if record.holder:
                self._let_go(record)
            if zone == "ready":
                self._ready(record, node, event.index)
                place = READY if node == record.destination else self._standing(node)
            else:
                place = WAITING if zone == "delayed" else self._standing(node)
            record.queue = node
        if place != record.place:
            self._settle(event.copy, record, place, number)

    def _ready(self, record: CopyRecord, node: int, index: int) -> None:
        order = self.orders.get(node)
        if order is None:
            order = self.orders[node] = QueueOrder()
        if node != record.queue and (index == order.ready or index < 0):
            order.arrived = record.sequence = order.arrived + 1
        else:
            record.sequence = 0
        order.ready += 1
        record.ready = True

    def _not_ready(self, record: CopyRecord) -> None:
        self.orders[record.queue].ready -= 1
        record.ready = False

    def dead_lettered(self, event: DeadLettered) -> int:
        """It holds no slot and no place in a line any longer; where it goes, its next event says."""
        record = self.copies.get(event.copy)
        if record is not None:
            if record.holder:
                if event.reason == "delivery_limit":
                    self._one_slot_more(record)
                self._let_go(record)
            if record.ready:
                self._not_ready(record)
        return self.kernel.say(event)

    def requeued(self, event: Requeued) -> int:
        record = self.copies.get(event.copy)
        if record is not None:
            record.redelivered = event.redelivered
        return self.kernel.say(event)

    # -- deliveries -----------------------------------------------------------------------------

    def consumer_registered(self, event: ConsumerRegistered) -> int:
        number = self.kernel.say(event)
        self.registrations[event.node] = (number, event.prefetch)
        return number

    def moved(self, event: Moved) -> int:
        kernel = self.kernel
        kernel.number = number = kernel.number + 1
        kernel.log.append(event)
        copy = event.copy
        record = self.copies.get(copy)
        if record is None:
            return number
        source, attempt = event.source, event.attempt
        if attempt > 1 or record.deliveries:
            self._handed_out(copy, record, attempt, source, number)
        else:
            record.bodies = record.deliveries = 1
            if record.sequence:
                self._take_turn(copy, record, source, number)
        if record.ready:
            self.orders[record.queue].ready -= 1
            record.ready = False
        if not event.keeps:
            record.kept = False
            place = ON_THE_WIRE
        else:
            place = UNACKED if source == record.destination else self._standing(source)
            if not record.holder:
                registration, limit = self.registrations.get(event.target, NOBODY)
                record.holder = registration
                self.in_flight[registration] = count = self.in_flight.get(registration, 0) + 1
                if count > limit > 0:
                    self._too_many(event.target, count, limit, number)
        if record.place == READY and place == UNACKED:
            # How most copies are handed out: `_settle` of it.
            record.place = UNACKED
            places = self.accounts[record.destination].places
            places[READY] -= 1
            places[UNACKED] += 1
            kernel.number += 1
            kernel.log.append(Settled(kernel.now_us, number, (copy,), record.destination, "ready", "unacked"))
        elif place != record.place:
            self._settle(copy, record, place, number)
        return number

    def _handed_out(self, copy: int, record: CopyRecord, attempt: int, source: int, number: int) -> None:
        """If a new body of `copy` exists: check its turn, and count it when it is not the first."""
        if attempt <= record.deliveries:
            return
        record.bodies += 1
        record.deliveries = attempt
        if attempt > 1:
            self._tally(record.destination, "duplicated_deliveries", copy, 0, number)
        if record.sequence:
            self._take_turn(copy, record, source, number)

    def _take_turn(self, copy: int, record: CopyRecord, source: int, number: int) -> None:
        """What arrived at the tail leaves in the order of arrival, whatever is served before it."""
        order, sequence = self.orders[source], record.sequence
        if sequence <= order.delivered:
            raise InvariantBroken(
                f"event {number}: copy {copy} (arrival {sequence}) leaves node {source} after "
                f"arrival {order.delivered}"
            )
        order.delivered = sequence
        record.sequence = 0

    def _one_slot_more(self, record: CopyRecord) -> None:
        """3.10's own fault: a message over its delivery limit gives its consumer a slot too many."""
        if self.slots_leak:
            self.slack[record.holder] = self.slack.get(record.holder, 0) + 1

    def _too_many(self, node: int, count: int, limit: int, number: int) -> None:
        """Of one registration: never more unsettled deliveries than its prefetch."""
        if count <= limit + self.slack.get(self.registrations[node][0], 0):
            return
        raise InvariantBroken(
            f"event {number}: {count} deliveries in flight to node {node}, prefetch {limit}"
        )

    def _let_go(self, record: CopyRecord) -> None:
        self.in_flight[record.holder] -= 1
        record.holder = 0

    def left(self, event: Left) -> int:
        kernel = self.kernel
        kernel.number = number = kernel.number + 1
        kernel.log.append(event)
        for copy in event.copies:
            record = self.copies.get(copy)
            if event.attempt:
                self._body_gone(copy, record, number)
                continue
            if record is None:
                continue
            if record.holder:
                if event.reason == "delivery_limit":
                    self._one_slot_more(record)
                self.in_flight[record.holder] -= 1
                record.holder = 0
            if record.ready:
                self._not_ready(record)
            record.kept = False
            if record.superseded:
                self._forget_superseded(copy, record)
            elif record.effect and event.reason == "acknowledged":
                # How most copies come to their end: `_settle` of it.
                places = self.accounts[record.destination].places
                places[record.place] -= 1
                places[DONE] += 1
                kernel.number += 1
                was, record.place = PLACES[record.place], DONE
                kernel.log.append(Settled(kernel.now_us, number, (copy,), record.destination, was, "done"))
                del self.copies[copy]
                if record.bodies > 0:
                    self.stale[copy] = record
            else:
                self._settle(copy, record, self._end(record, event.reason), number)
        return number

    def _end(self, record: CopyRecord, reason: str) -> int:
        """Where a copy stands once its broker holds it no longer."""
        if reason == "acknowledged":
            return DONE if record.effect else HELD if record.bodies > 0 else LOST
        if reason == "automatic":
            return ON_THE_WIRE if record.bodies > 0 else HELD
        return EXPIRED if reason == "expired" else DROPPED

    # -- bodies and work ------------------------------------------------------------------------

    def _arrived(self, copy: int, record: CopyRecord, number: int) -> None:
        if record.place == ON_THE_WIRE:
            self._settle(copy, record, HELD, number)

    def work_started(self, event: WorkStarted) -> int:
        kernel = self.kernel
        kernel.number = number = kernel.number + 1
        kernel.log.append(event)
        record = self.copies.get(event.copy)
        if record is not None and record.place == ON_THE_WIRE:
            self._settle(event.copy, record, HELD, number)
        return number

    def work_finished(self, event: WorkFinished) -> int:
        kernel = self.kernel
        kernel.number = number = kernel.number + 1
        kernel.log.append(event)
        record = self.copies.get(event.copy)
        if record is not None and record.kept and not record.superseded:
            record.bodies -= 1  # the broker still has it: nothing ends here
        else:
            self._body_gone(event.copy, record, number)
        return number

    def _body_gone(self, copy: int, record: CopyRecord | None, number: int) -> None:
        if record is None:
            self._stale_gone(copy)
            return
        record.bodies -= 1
        if record.bodies <= 0:
            if record.place == HELD or record.place == ON_THE_WIRE:
                self._settle(copy, record, DONE if record.effect else LOST, number)
            elif record.superseded:
                self._forget_superseded(copy, record)

    def _stale_gone(self, copy: int) -> None:
        record = self.stale.get(copy)
        if record is not None:
            record.bodies -= 1
            if record.bodies <= 0:
                del self.stale[copy]

    def effect_applied(self, event: EffectApplied) -> int:
        kernel = self.kernel
        kernel.number = number = kernel.number + 1
        kernel.log.append(event)
        record = self.copies.get(event.copy)
        destination = self._home(event.destination) if record is None else record.destination
        finish(self.finished, event)
        if event.effect_number > 1:
            self._tally(destination, "duplicated_effects", event.copy, 0, number)
        message = event.message
        key = self.world.key_of[message]
        if key != NO_KEY:
            latest = self._account(destination).latest
            if key < len(latest) and latest[key] <= message:
                latest[key] = message
            else:
                self._check_key_order(event, destination, key, number)
        if record is not None:
            record.effect = True
            if record.place == HELD:
                self._settle(event.copy, record, DONE, number)
        return number

    def _check_key_order(self, event: EffectApplied, destination: int, key: int, number: int) -> None:
        latest = self._account(destination).latest
        while len(latest) <= key:
            latest.append(0)
        if latest[key] > event.message:
            self._tally(destination, "out_of_order", event.copy, latest[key], number)
            came_after(self.finished, event.destination, latest[key])
        else:
            latest[key] = event.message

    def store_asked(self, event: StoreAsked) -> int:
        """What the store remembers has had its effect."""
        number = self.kernel.say(event)
        record = self.copies.get(event.copy)
        if event.seen and record is not None:
            record.effect = True
            if record.place == HELD:
                self._settle(event.copy, record, DONE, number)
        return number

    # -- counts ---------------------------------------------------------------------------------

    def _account(self, destination: int) -> Account:
        account = self.accounts.get(destination)
        if account is None:
            account = self.accounts[destination] = Account(0, [0] * len(PLACES), [0] * len(TALLIES), [])
        return account

    def _home(self, node: int) -> int:
        stands = self.stands_for.get(node)
        return node if stands is None else stands[0]

    def _standing(self, node: int) -> int:
        stands = self.stands_for.get(node)
        return DEAD if stands is None else stands[1]

    def _settle(self, copy: int, record: CopyRecord, now: int, cause: int) -> None:
        if record.superseded:
            # It was taken over, and comes back all the same: from now on it is owed by itself.
            record.superseded = False
            self.superseded -= 1
            self.accounts[record.destination].owed += 1
        destination, was = record.destination, record.place
        places = self.accounts[destination].places
        places[was] -= 1
        places[now] += 1
        record.place = now
        kernel = self.kernel
        kernel.number += 1
        kernel.log.append(Settled(kernel.now_us, cause, (copy,), destination, PLACES[was], PLACES[now]))
        if now >= DONE:
            if now != DEAD:
                del self.copies[copy]
                if record.bodies > 0:
                    self.stale[copy] = record
            if now != DONE:
                self.promise_broken(PROMISE_OF_PLACE[now], destination, cause)

    def _say_settled(self, copy: int, destination: int, was: int, now: int, cause: int) -> None:
        kernel = self.kernel
        kernel.say(Settled(kernel.now_us, cause, (copy,), destination, PLACES[was], PLACES[now]))

    def _settle_new(self, destination: int, place: int, cause: int) -> None:
        """A message comes to its end without ever having been in a queue."""
        account = self._account(destination)
        account.owed += 1
        account.places[place] += 1
        self._say_settled(self.kernel.next_copy(), destination, NOWHERE, place, cause)
        self.promise_broken(PROMISE_OF_PLACE[place], destination, cause)

    def _tally(self, destination: int, what: Tally, copy: int, other: int, cause: int) -> None:
        kernel = self.kernel
        self._account(destination).tallies[TALLY[what]] += 1
        kernel.emit(Tallied(kernel.now_us, cause, destination, what, copy, other))
        if what in PROMISE_OF_TALLY:
            self.promise_broken(PROMISE_OF_TALLY[what], destination, cause)

    def promise_broken(self, promise: str, destination: int, cause: int) -> None:
        name = f"{promise}/{destination}"
        if promise in self.promises and name not in self.broken:
            self.broken.append(name)
            self.kernel.emit(PromiseBroken(self.kernel.now_us, cause, promise, destination))

    # -- the present ----------------------------------------------------------------------------

    def alive(self) -> int:
        """How many copies have not come to their end."""
        return len(self.copies)

    def totals(self) -> dict[str, int]:
        """All destinations together: owed, then places, then tallies, by name."""
        accounts = self.accounts.values()
        total = {"owed": sum(a.owed for a in accounts)}
        for index, place in enumerate(PLACES):
            if index != NOWHERE:
                total[place] = sum(a.places[index] for a in accounts)
        for index, tally in enumerate(TALLIES):
            total[tally] = sum(a.tallies[index] for a in accounts)
        return total

    def state_events(self, now_us: int) -> list[Event]:
        """Where each copy alive is counted, then the counts outright."""
        return counted(self.state(), now_us)
