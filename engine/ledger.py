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

from typing import get_args

import msgspec

from engine.errors import InvariantBroken
from engine.events import (
    EffectApplied,
    Event,
    GivenUp,
    Left,
    LedgerStands,
    MessageCreated,
    Moved,
    Place,
    Placed,
    PromiseBroken,
    Routed,
    Settled,
    StandsFor,
    StoreAsked,
    Tallied,
    Tally,
    WorkFinished,
    WorkStarted,
)
from engine.kernel import Kernel
from engine.rabbitmq.events import (
    ConsumerRegistered,
    DeadLettered,
    PublishRefused,
    Requeued,
    Unroutable,
)
from engine.world import NO_KEY, ROUTED, World

PLACES: tuple[Place, ...] = get_args(Place)
"""Place 0 is nowhere: a copy that is not counted (yet, or any longer)."""
TALLIES: tuple[Tally, ...] = get_args(Tally)
PLACE: dict[str, int] = {place: index for index, place in enumerate(PLACES)}
TALLY: dict[str, int] = {tally: index for index, tally in enumerate(TALLIES)}

NOWHERE, ON_THE_WIRE, READY, UNACKED, WAITING, HELD, DONE, DEAD, EXPIRED, DROPPED, LOST = range(len(PLACES))

PROMISE_OF_PLACE = {LOST: "nothing_lost", DROPPED: "nothing_lost", EXPIRED: "nothing_lost",
                    DEAD: "nothing_dead"}  # fmt: skip
PROMISE_OF_TALLY = {"duplicated_effects": "each_effect_once", "out_of_order": "order_per_key"}


class CopyRecord(msgspec.Struct, array_like=True):
    """One copy that has not come to its end. `place` is an index of `PLACES`."""

    message: int
    destination: int
    place: int = NOWHERE
    deliveries: int = 0
    bodies: int = 0
    effect: bool = False
    kept: bool = True
    """Whether a broker holds it."""
    holder: int = 0
    """The registration (its event's number) whose unsettled delivery it is, 0 for none."""
    queue: int = 0
    """The queue it was last placed in, ready there or not."""
    ready: bool = False
    sequence: int = 0
    """Its place in the order of arrival in its queue; 0 when a priority or a return broke that order."""
    superseded: bool = False
    """Another copy does its work: it stands outside the count."""
    redelivered: bool = False
    """Whether its broker has said so."""


class Account(msgspec.Struct, array_like=True):
    """The counts of one destination. `places` follows `PLACES`, `tallies` follows `TALLIES`."""

    owed: int
    places: list[int]
    """What place 0 counts means nothing."""
    tallies: list[int]
    latest: list[int]
    """Per key: the latest message whose effect has happened."""


class QueueOrder(msgspec.Struct, array_like=True):
    """How many arrived at the tail of a queue, and up to which of them it was handed out."""

    arrived: int = 0
    delivered: int = 0
    ready: int = 0


class LedgerState(msgspec.Struct):
    """What a snapshot keeps: everything but the kernel and the world."""

    promises: list[str]
    stands_for: dict[int, tuple[int, int]]
    copies: dict[int, CopyRecord]
    accounts: dict[int, Account]
    orders: dict[int, QueueOrder]
    registrations: dict[int, tuple[int, int]]
    in_flight: dict[int, int]
    broken: list[str]
    superseded: int
    stale: dict[int, CopyRecord]


class Ledger:
    """See the module. Made as an observer of `kernel`: folds every event emitted from then on.

    `stands_for`: node of a retry or dead-letter queue → (its destination, WAITING or DEAD).
    `registrations`: consumer node → (its present registration's event number, its prefetch or 0).
    `in_flight`: registration → deliveries that it has not settled. `broken`: "promise/destination" of
    promises broken so far. `superseded`: how many records stand outside the count. `stale`: copies that
    have come to their end while a body of theirs is still somewhere.
    """

    __slots__ = (
        "accounts", "broken", "copies", "in_flight", "kernel", "orders", "promises", "registrations",
        "stale", "stands_for", "superseded", "world",
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
        kernel.folds.update({
            MessageCreated: self.made, Routed: self.routed, Placed: self.placed, Moved: self.moved,
            Left: self.left, WorkStarted: self.work_started, WorkFinished: self.work_finished,
            EffectApplied: self.effect_applied, StoreAsked: self.store_asked, GivenUp: self.given_up,
            Unroutable: self.unroutable, PublishRefused: self.publish_refused,
            DeadLettered: self.dead_lettered, Requeued: self.requeued, ConsumerRegistered: self.consumer_registered,
        })  # fmt: skip

    @classmethod
    def empty(cls, kernel: Kernel, world: World, promises: list[str]) -> Ledger:
        """The count at the start of a run."""
        return cls(kernel, world, LedgerState(promises, {}, {}, {}, {}, {}, {}, [], 0, {}))

    def state(self) -> LedgerState:
        """As plain data; shares its lists with the ledger, so encode it at once."""
        return LedgerState(
            self.promises, self.stands_for, self.copies, self.accounts, self.orders, self.registrations,
            self.in_flight, self.broken, self.superseded, self.stale,
        )  # fmt: skip

    # -- messages and copies --------------------------------------------------------------------

    def made(self, event: MessageCreated, number: int) -> None:
        self.world.made(event.message, event.key, event.poison, event.node)

    def routed(self, event: Routed, number: int) -> None:
        flags = self.world.flags
        if event.message < len(flags):
            flags[event.message] |= ROUTED
        for owed in event.copies:
            old = self.copies.get(owed.after) if owed.after else None
            if old is not None and not old.superseded:
                self.copies[owed.copy] = self._taken_over(owed.after, old, number)
                continue
            home = owed.destination
            if home in self.stands_for:
                home = self.stands_for[home][0]
            self.copies[owed.copy] = CopyRecord(event.message, home)
            account = self.accounts.get(home)
            if account is None:
                account = self._account(home)
            account.owed += 1

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

    def unroutable(self, event: Unroutable, number: int) -> None:
        if not event.returned:
            self._settle_new(event.exchange, DROPPED, number)

    def publish_refused(self, event: PublishRefused, number: int) -> None:
        self._settle_new(self._home(event.queue), DROPPED, number)

    def given_up(self, event: GivenUp, number: int) -> None:
        if not self.world.flags[event.message] & ROUTED:
            self._settle_new(event.node, LOST, number)

    # -- a broker's hold ------------------------------------------------------------------------

    def placed(self, event: Placed, number: int) -> None:
        zone = event.zone
        if event.attempt:
            if zone == "prefetched":
                self._arrived(event.copy, number)
            elif zone == "socket":
                self._handed_out(event.copy, event.attempt, event.node, number)
            return
        record = self.copies.get(event.copy)
        if record is None:
            return
        node = event.node
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

    def dead_lettered(self, event: DeadLettered, number: int) -> None:
        """It holds no slot and no place in a line any longer; where it goes, its next event says."""
        record = self.copies.get(event.copy)
        if record is not None:
            if record.holder:
                self._let_go(record)
            if record.ready:
                self._not_ready(record)

    def requeued(self, event: Requeued, number: int) -> None:
        record = self.copies.get(event.copy)
        if record is not None:
            record.redelivered = event.redelivered

    # -- deliveries -----------------------------------------------------------------------------

    def consumer_registered(self, event: ConsumerRegistered, number: int) -> None:
        self.registrations[event.node] = (number, event.prefetch)

    def moved(self, event: Moved, number: int) -> None:
        copy = event.copy
        record = self.copies.get(copy)
        if record is None:
            return
        source = event.source
        if event.attempt > record.deliveries:
            self._handed_out(copy, event.attempt, source, number)
        if record.ready:
            self._not_ready(record)
        if event.keeps:
            if not record.holder:
                self._hold(record, event.target, number)
            place = UNACKED if source == record.destination else self._standing(source)
        else:
            record.kept = False
            place = ON_THE_WIRE
        if place != record.place:
            self._settle(copy, record, place, number)

    def _handed_out(self, copy: int, attempt: int, source: int, number: int) -> None:
        """A body of `copy` exists from now on: check its turn, and count it when it is not the first."""
        record = self.copies.get(copy)
        if record is None or attempt <= record.deliveries:
            return
        record.bodies += 1
        record.deliveries = attempt
        if attempt > 1:
            self._tally(record.destination, "duplicated_deliveries", copy, 0, number)
        if record.sequence:
            order = self.orders[source]
            if record.sequence <= order.delivered:
                self._out_of_turn(copy, record, source, number)
            order.delivered = record.sequence
            record.sequence = 0

    def _out_of_turn(self, copy: int, record: CopyRecord, source: int, number: int) -> None:
        """What arrived at the tail leaves in the order of arrival, whatever is served before it."""
        raise InvariantBroken(
            f"event {number}: copy {copy} (arrival {record.sequence}) leaves node {source} after "
            f"arrival {self.orders[source].delivered}"
        )

    def _hold(self, record: CopyRecord, node: int, number: int) -> None:
        """One more unsettled delivery of the node's registration: never more than its prefetch."""
        registration, limit = self.registrations.get(node, (0, 0))
        record.holder = registration
        self.in_flight[registration] = count = self.in_flight.get(registration, 0) + 1
        if limit and count > limit:
            raise InvariantBroken(
                f"event {number}: {count} deliveries in flight to node {node}, prefetch {limit}"
            )

    def _let_go(self, record: CopyRecord) -> None:
        self.in_flight[record.holder] -= 1
        record.holder = 0

    def left(self, event: Left, number: int) -> None:
        if event.attempt:
            for copy in event.copies:
                self._body_gone(copy, number)
            return
        for copy in event.copies:
            record = self.copies.get(copy)
            if record is None:
                continue
            if record.holder:
                self._let_go(record)
            if record.ready:
                self._not_ready(record)
            record.kept = False
            if record.superseded:
                self._forget_superseded(copy, record)
            else:
                self._settle(copy, record, self._end(record, event.reason), number)

    def _end(self, record: CopyRecord, reason: str) -> int:
        """Where a copy stands once its broker holds it no longer."""
        if reason == "acknowledged":
            return DONE if record.effect else HELD if record.bodies > 0 else LOST
        if reason == "automatic":
            return ON_THE_WIRE if record.bodies > 0 else HELD
        return EXPIRED if reason == "expired" else DROPPED

    # -- bodies and work ------------------------------------------------------------------------

    def _arrived(self, copy: int, number: int) -> None:
        record = self.copies.get(copy)
        if record is not None and record.place == ON_THE_WIRE:
            self._settle(copy, record, HELD, number)

    def work_started(self, event: WorkStarted, number: int) -> None:
        record = self.copies.get(event.copy)
        if record is not None and record.place == ON_THE_WIRE:
            self._settle(event.copy, record, HELD, number)

    def work_finished(self, event: WorkFinished, number: int) -> None:
        self._body_gone(event.copy, number)

    def _body_gone(self, copy: int, number: int) -> None:
        record = self.copies.get(copy)
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

    def effect_applied(self, event: EffectApplied, number: int) -> None:
        record = self.copies.get(event.copy)
        destination = self._home(event.destination) if record is None else record.destination
        if event.effect_number > 1:
            self._tally(destination, "duplicated_effects", event.copy, 0, number)
        key = self.world.key_of[event.message]
        if key != NO_KEY:
            self._check_key_order(event, destination, key, number)
        if record is not None:
            record.effect = True
            if record.place == HELD:
                self._settle(event.copy, record, DONE, number)

    def _check_key_order(self, event: EffectApplied, destination: int, key: int, number: int) -> None:
        latest = self._account(destination).latest
        while len(latest) <= key:
            latest.append(0)
        if latest[key] > event.message:
            self._tally(destination, "out_of_order", event.copy, latest[key], number)
        else:
            latest[key] = event.message

    def store_asked(self, event: StoreAsked, number: int) -> None:
        """What the store remembers has had its effect."""
        record = self.copies.get(event.copy)
        if event.seen and record is not None:
            record.effect = True
            if record.place == HELD:
                self._settle(event.copy, record, DONE, number)

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
        destination, was = record.destination, record.place
        account = self.accounts[destination]
        if record.superseded:
            # It was taken over, and comes back all the same: from now on it is owed by itself.
            record.superseded = False
            self.superseded -= 1
            account.owed += 1
        places = account.places
        places[was] -= 1
        places[now] += 1
        record.place = now
        self._say_settled(copy, destination, was, now, cause)
        if now >= DONE:
            if now != DEAD:
                del self.copies[copy]
                if record.bodies > 0:
                    self.stale[copy] = record
            if now != DONE:
                self._broken(PROMISE_OF_PLACE[now], destination, cause)

    def _say_settled(self, copy: int, destination: int, was: int, now: int, cause: int) -> None:
        kernel = self.kernel
        kernel.number += 1  # as `emit` does for what nobody folds
        kernel.log.append(Settled(kernel.now_us, cause, (copy,), destination, PLACES[was], PLACES[now]))

    def _settle_new(self, destination: int, place: int, cause: int) -> None:
        """A message comes to its end without ever having been in a queue."""
        account = self._account(destination)
        account.owed += 1
        account.places[place] += 1
        self._say_settled(self.kernel.next_copy(), destination, NOWHERE, place, cause)
        self._broken(PROMISE_OF_PLACE[place], destination, cause)

    def _tally(self, destination: int, what: Tally, copy: int, other: int, cause: int) -> None:
        kernel = self.kernel
        self._account(destination).tallies[TALLY[what]] += 1
        kernel.emit(Tallied(kernel.now_us, cause, destination, what, copy, other))
        if what in PROMISE_OF_TALLY:
            self._broken(PROMISE_OF_TALLY[what], destination, cause)

    def _broken(self, promise: str, destination: int, cause: int) -> None:
        name = f"{promise}/{destination}"
        if promise in self.promises and name not in self.broken:
            self.broken.append(name)
            self.kernel.emit(PromiseBroken(self.kernel.now_us, cause, promise, destination))

    # -- the present ----------------------------------------------------------------------------

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
        told: list[Event] = self._places(now_us)
        told += [
            LedgerStands(now_us, 0, node, tuple(a.places[1:]), tuple(a.tallies))
            for node, a in self.accounts.items()
        ]
        for name in self.broken:
            promise, node = name.split("/")
            told.append(PromiseBroken(now_us, 0, promise, int(node)))
        return told

    def _places(self, now_us: int) -> list[Event]:
        told: list[Event] = [
            StandsFor(now_us, 0, node, home, "waiting" if place == WAITING else "dead")
            for node, (home, place) in self.stands_for.items()
        ]
        groups: dict[tuple[int, int], list[int]] = {}
        for copy, record in [*self.copies.items(), *self.stale.items()]:
            groups.setdefault((record.destination, record.place), []).append(copy)
        told += [
            Settled(now_us, 0, tuple(copies), destination, "", PLACES[place])
            for (destination, place), copies in groups.items()
        ]
        return told
