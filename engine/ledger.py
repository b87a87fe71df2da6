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

from typing import Any, get_args

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
    StoreAsked,
    Tallied,
    Tally,
    WorkFinished,
    WorkStarted,
)
from engine.kernel import Kernel
from engine.rabbitmq.events import ConsumerRegistered, DeadLettered, PublishRefused, Unroutable
from engine.world import NO_KEY, ROUTED, World

PLACES: tuple[Place, ...] = get_args(Place)[1:]
TALLIES: tuple[Tally, ...] = get_args(Tally)
PLACE_INDEX: dict[str, int] = {place: index for index, place in enumerate(PLACES)}
TALLY_INDEX: dict[str, int] = {tally: index for index, tally in enumerate(TALLIES)}

ENDED = frozenset(("done", "expired", "dropped", "lost"))

PROMISE_OF_PLACE = {"lost": "nothing_lost", "dropped": "nothing_lost", "expired": "nothing_lost",
                    "dead": "nothing_dead"}  # fmt: skip
PROMISE_OF_TALLY = {"duplicated_effects": "each_effect_once", "out_of_order": "order_per_key"}


class CopyRecord(msgspec.Struct, array_like=True):
    """One copy that has not come to its end."""

    message: int
    destination: int
    place: Place = ""
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


class Account(msgspec.Struct, array_like=True):
    """The counts of one destination. `places` follows `PLACES`, `tallies` follows `TALLIES`."""

    owed: int
    places: list[int]
    tallies: list[int]
    latest: list[int]
    """Per key: the latest message whose effect has happened."""


class QueueOrder(msgspec.Struct, array_like=True):
    """How many arrived at the tail of a queue, and up to which of them it was handed out."""

    arrived: int = 0
    delivered: int = 0
    ready: int = 0


class Ledger(msgspec.Struct):
    """See the module. `begin` makes it an observer of a kernel."""

    promises: list[str]
    stands_for: dict[int, tuple[int, str]] = {}
    """Node of a retry or dead-letter queue → (its destination, "waiting" or "dead")."""
    copies: dict[int, CopyRecord] = {}
    accounts: dict[int, Account] = {}
    orders: dict[int, QueueOrder] = {}
    registrations: dict[int, tuple[int, int]] = {}
    """Consumer node → (its present registration's event number, its prefetch or 0)."""
    in_flight: dict[int, int] = {}
    """Registration → deliveries that it has not settled."""
    broken: list[str] = []
    """"promise/destination" of promises broken so far."""
    superseded: int = 0

    def begin(self, kernel: Kernel) -> None:
        """Fold every event that `kernel` emits from now on."""
        world: World = kernel.parts[0]

        def made(event: MessageCreated, number: int) -> None:
            world.made(event.message, event.key, event.poison, event.node)

        def routed(event: Routed, number: int) -> None:
            self._routed(kernel, world, event)

        def placed(event: Placed, number: int) -> None:
            if event.attempt == 0:
                self._placed(kernel, event, number)
            elif event.zone == "prefetched":
                self._arrived(kernel, event.copy, number)
            elif event.zone == "socket":
                self._handed_out(kernel, event.copy, event.attempt, event.node, number)

        def moved(event: Moved, number: int) -> None:
            self._moved(kernel, event, number)

        def left(event: Left, number: int) -> None:
            self._left(kernel, event, number)

        def started(event: WorkStarted, number: int) -> None:
            self._arrived(kernel, event.copy, number)

        def finished(event: WorkFinished, number: int) -> None:
            self._body_gone(kernel, event.copy, number)

        def effect(event: EffectApplied, number: int) -> None:
            self._effect(kernel, world, event, number)

        def asked(event: StoreAsked, number: int) -> None:
            if event.seen:
                self._effect_known(kernel, event.copy, number)

        def unroutable(event: Unroutable, number: int) -> None:
            if not event.returned:
                self._settle_new(kernel, event.exchange, "dropped", number)

        def refused(event: PublishRefused, number: int) -> None:
            self._settle_new(kernel, self._home(event.queue), "dropped", number)

        def given_up(event: GivenUp, number: int) -> None:
            if not world.flags[event.message] & ROUTED:
                self._settle_new(kernel, event.node, "lost", number)

        def registered(event: ConsumerRegistered, number: int) -> None:
            self.registrations[event.node] = (number, event.prefetch)

        def died(event: DeadLettered, number: int) -> None:
            record = self.copies.get(event.copy)
            if record is not None:
                self._let_go(record)
                if record.ready:
                    self._not_ready(record)

        kernel.folds.update({
            MessageCreated: made, Routed: routed, Placed: placed, Moved: moved, Left: left,
            WorkStarted: started, WorkFinished: finished, EffectApplied: effect, StoreAsked: asked,
            Unroutable: unroutable, PublishRefused: refused, GivenUp: given_up,
            ConsumerRegistered: registered, DeadLettered: died,
        })  # fmt: skip

    # -- folds ----------------------------------------------------------------------------------

    def _routed(self, kernel: Kernel, world: World, event: Routed) -> None:
        if event.message < len(world.flags):
            world.flags[event.message] |= ROUTED
        for owed in event.copies:
            old = self.copies.get(owed.after) if owed.after else None
            if old is not None and not old.superseded:
                self.copies[owed.copy] = self._taken_over(kernel, owed.after, old)
            else:
                home = self._home(owed.destination) if self.stands_for else owed.destination
                self.copies[owed.copy] = CopyRecord(event.message, home)
                self._account(home).owed += 1

    def _taken_over(self, kernel: Kernel, copy: int, old: CopyRecord) -> CopyRecord:
        """The record of a new copy that goes on with the work of `copy`, which is counted no longer."""
        if old.place:
            self.accounts[old.destination].places[PLACE_INDEX[old.place]] -= 1
            kernel.emit(Settled(kernel.now_us, kernel.number, (copy,), old.destination, old.place, ""))
        old.place, old.superseded = "", True
        self.superseded += 1
        self._forget_superseded(copy, old)
        return CopyRecord(old.message, old.destination, deliveries=old.deliveries, effect=old.effect)

    def _forget_superseded(self, copy: int, record: CopyRecord) -> None:
        if record.superseded and not record.kept and record.bodies <= 0:
            del self.copies[copy]
            self.superseded -= 1

    def _placed(self, kernel: Kernel, event: Placed, number: int) -> None:
        record = self.copies.get(event.copy)
        if record is None:
            return
        node, zone = event.node, event.zone
        if record.ready:
            self._not_ready(record)
        if zone == "ready":
            self._let_go(record)
            self._ready(record, node, event.index)
            place: Place = "ready" if node == record.destination else self._standing(node)
        elif zone == "unacked":
            place = "unacked" if node == record.destination else self._standing(node)
        else:
            self._let_go(record)
            record.queue = node
            place = "waiting" if zone == "delayed" else self._standing(node)
        if place != record.place:
            self._settle(kernel, event.copy, record, place, number)

    def _ready(self, record: CopyRecord, node: int, index: int) -> None:
        order = self.orders.get(node)
        if order is None:
            order = self.orders[node] = QueueOrder()
        if node != record.queue and (index == order.ready or index < 0):
            order.arrived = record.sequence = order.arrived + 1
        else:
            record.sequence = 0
        order.ready += 1
        record.queue, record.ready = node, True

    def _handed_out(self, kernel: Kernel, copy: int, attempt: int, source: int, number: int) -> None:
        """A body of `copy` exists from now on: check its turn, and count it when it is not the first."""
        record = self.copies.get(copy)
        if record is None or attempt <= record.deliveries:
            return
        record.bodies += 1
        record.deliveries = attempt
        if attempt > 1:
            self._tally(kernel, record.destination, "duplicated_deliveries", copy, 0, number)
        if record.sequence:
            self._check_turn(copy, record, source, number)
            record.sequence = 0

    def _check_turn(self, copy: int, record: CopyRecord, source: int, number: int) -> None:
        """What arrived at the tail leaves in the order of arrival, whatever is served before it."""
        order = self.orders[source]
        if record.sequence <= order.delivered:
            raise InvariantBroken(
                f"event {number}: copy {copy} (arrival {record.sequence}) leaves node {source} after "
                f"arrival {order.delivered}"
            )
        order.delivered = record.sequence

    def _moved(self, kernel: Kernel, event: Moved, number: int) -> None:
        record = self.copies.get(event.copy)
        if record is None:
            return
        if event.attempt > record.deliveries:
            self._handed_out(kernel, event.copy, event.attempt, event.source, number)
        if record.ready:
            self._not_ready(record)
        if event.keeps:
            if not record.holder:
                self._hold(record, event.target, number)
            place: Place = "unacked" if event.source == record.destination else self._standing(event.source)
        else:
            record.kept = False
            place = "on_the_wire"
        if place != record.place:
            self._settle(kernel, event.copy, record, place, number)

    def _hold(self, record: CopyRecord, node: int, number: int) -> None:
        """One more unsettled delivery of the node's registration: never more than its prefetch."""
        registration, limit = self.registrations.get(node, (0, 0))
        record.holder = registration
        self.in_flight[registration] = count = self.in_flight.get(registration, 0) + 1
        if limit and count > limit:
            raise InvariantBroken(
                f"event {number}: {count} deliveries in flight to node {node}, prefetch {limit}"
            )

    def _arrived(self, kernel: Kernel, copy: int, number: int) -> None:
        record = self.copies.get(copy)
        if record is not None and record.place == "on_the_wire":
            self._settle(kernel, copy, record, "held", number)

    def _left(self, kernel: Kernel, event: Left, number: int) -> None:
        if event.attempt:
            for copy in event.copies:
                self._body_gone(kernel, copy, number)
            return
        for copy in event.copies:
            record = self.copies.get(copy)
            if record is None:
                continue
            self._let_go(record)
            if record.ready:
                self._not_ready(record)
            record.kept = False
            if record.superseded:
                self._forget_superseded(copy, record)
            else:
                self._settle(kernel, copy, record, self._end(record, event.reason), number)

    def _end(self, record: CopyRecord, reason: str) -> Place:
        """Where a copy stands once its broker holds it no longer."""
        if reason == "acknowledged":
            return "done" if record.effect else "held" if record.bodies > 0 else "lost"
        if reason == "automatic":
            return "on_the_wire" if record.bodies > 0 else "held"
        return "expired" if reason == "expired" else "dropped"

    def _body_gone(self, kernel: Kernel, copy: int, number: int) -> None:
        record = self.copies.get(copy)
        if record is None:
            return
        record.bodies -= 1
        if record.bodies <= 0 and (record.place == "held" or record.place == "on_the_wire"):
            self._settle(kernel, copy, record, "done" if record.effect else "lost", number)
        elif record.superseded:
            self._forget_superseded(copy, record)

    def _effect(self, kernel: Kernel, world: World, event: EffectApplied, number: int) -> None:
        record = self.copies.get(event.copy)
        destination = self._home(event.destination) if record is None else record.destination
        if event.effect_number > 1:
            self._tally(kernel, destination, "duplicated_effects", event.copy, 0, number)
        self._check_key_order(kernel, world, event.copy, event.message, destination, number)
        self._effect_known(kernel, event.copy, number)

    def _check_key_order(self, kernel: Kernel, world: World, copy: int, message: int, destination: int,
                         number: int) -> None:  # fmt: skip
        key = world.key_of[message] if message < len(world.key_of) else NO_KEY
        if key == NO_KEY:
            return
        latest = self._account(destination).latest
        while len(latest) <= key:
            latest.append(0)
        if latest[key] > message:
            self._tally(kernel, destination, "out_of_order", copy, latest[key], number)
        else:
            latest[key] = message

    def _effect_known(self, kernel: Kernel, copy: int, number: int) -> None:
        record = self.copies.get(copy)
        if record is not None:
            record.effect = True
            if record.place == "held":
                self._settle(kernel, copy, record, "done", number)

    # -- counts ---------------------------------------------------------------------------------

    def _account(self, destination: int) -> Account:
        account = self.accounts.get(destination)
        if account is None:
            account = self.accounts[destination] = Account(0, [0] * len(PLACES), [0] * len(TALLIES), [])
        return account

    def _home(self, node: int) -> int:
        stands = self.stands_for.get(node)
        return node if stands is None else stands[0]

    def _standing(self, node: int) -> Place:
        stands = self.stands_for.get(node)
        return "dead" if stands is None or stands[1] == "dead" else "waiting"

    def _settle(self, kernel: Kernel, copy: int, record: CopyRecord, now: Place, cause: int) -> None:
        account = self.accounts[record.destination]
        was = record.place
        if was:
            account.places[PLACE_INDEX[was]] -= 1
        elif record.superseded:
            record.superseded = False
            self.superseded -= 1
            account.owed += 1
        account.places[PLACE_INDEX[now]] += 1
        record.place = now
        kernel.emit(Settled(kernel.now_us, cause, (copy,), record.destination, was, now))
        if now in ENDED:
            del self.copies[copy]
        if now in PROMISE_OF_PLACE:
            self._broken(kernel, PROMISE_OF_PLACE[now], record.destination, cause)

    def _settle_new(self, kernel: Kernel, destination: int, place: Place, cause: int) -> None:
        """A message comes to its end without ever having been in a queue."""
        account = self._account(destination)
        account.owed += 1
        account.places[PLACE_INDEX[place]] += 1
        kernel.emit(Settled(kernel.now_us, cause, (kernel.next_copy(),), destination, "", place))
        self._broken(kernel, PROMISE_OF_PLACE[place], destination, cause)

    def _tally(self, kernel: Kernel, destination: int, what: Tally, copy: int, other: int, cause: int) -> None:
        self._account(destination).tallies[TALLY_INDEX[what]] += 1
        kernel.emit(Tallied(kernel.now_us, cause, destination, what, copy, other))
        if what in PROMISE_OF_TALLY:
            self._broken(kernel, PROMISE_OF_TALLY[what], destination, cause)

    def _broken(self, kernel: Kernel, promise: str, destination: int, cause: int) -> None:
        name = f"{promise}/{destination}"
        if promise in self.promises and name not in self.broken:
            self.broken.append(name)
            kernel.emit(PromiseBroken(kernel.now_us, cause, promise, destination))

    def _let_go(self, record: CopyRecord) -> None:
        holder = record.holder
        if holder:
            self.in_flight[holder] -= 1
            record.holder = 0

    def _not_ready(self, record: CopyRecord) -> None:
        self.orders[record.queue].ready -= 1
        record.ready = False

    # -- the present ----------------------------------------------------------------------------

    def totals(self) -> dict[str, int]:
        """All destinations together: owed, then places, then tallies, by name."""
        accounts = self.accounts.values()
        total = {"owed": sum(a.owed for a in accounts)}
        for index, place in enumerate(PLACES):
            total[place] = sum(a.places[index] for a in accounts)
        for index, tally in enumerate(TALLIES):
            total[tally] = sum(a.tallies[index] for a in accounts)
        return total

    def state_events(self, now_us: int) -> list[Event]:
        """The counts, outright."""
        told: list[Event] = [
            LedgerStands(now_us, 0, node, tuple(a.places), tuple(a.tallies))
            for node, a in self.accounts.items()
        ]
        for name in self.broken:
            promise, node = name.split("/")
            told.append(PromiseBroken(now_us, 0, promise, int(node)))
        return told
