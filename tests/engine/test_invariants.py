"""Whatever people do to a room, every copy is in exactly one place, and the checks see it when not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvariantBroken
from engine.events import LedgerStands, Moved, Placed, Settled
from engine.invariants import check, check_wholly
from engine.ledger import PLACES, READY
from engine.simulation import Simulation
from engine.wire import decode
from tests.engine.rooms import BUSY, Journal, journal, play


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**40), journal)
def test_whatever_is_done_to_a_room_its_places_add_up(seed: int, entries: Journal) -> None:
    # Given any journal; `play` checks after every tick, and every copy at the end
    _, simulation = play(BUSY, seed, entries)
    ledger = simulation.totals()
    places = [ledger[place] for place in PLACES[1:]]
    assert all(count >= 0 for count in places)
    assert sum(places) == ledger["owed"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**40), journal)
def test_the_settlements_that_were_said_add_up_to_the_counts(seed: int, entries: Journal) -> None:
    # Given the events alone, as a browser gets them
    ticks, simulation = play(BUSY, seed, entries)
    counts: dict[int, dict[str, int]] = {}
    for tick in ticks:
        for event in decode(tick.events):
            if isinstance(event, Settled):
                of = counts.setdefault(event.destination, dict.fromkeys(PLACES, 0))
                for _ in event.copies:
                    of[event.was] -= 1
                    of[event.now] += 1
    # Then counting them gives what the ledger states outright
    for event in simulation.ledger.state_events(0):
        if isinstance(event, LedgerStands):
            said = counts.get(event.destination, dict.fromkeys(PLACES, 0))
            assert [said[place] for place in PLACES[1:]] == list(event.places)


def started() -> Simulation:
    simulation = Simulation(BUSY, 1)
    while not simulation.advance(8_000_000):
        pass
    return simulation


def line_of(simulation: Simulation) -> tuple[int, int, int]:
    """The first two copies of a line that were never handed out, and their queue."""
    lines: dict[int, list[tuple[int, int]]] = {}
    for copy, record in simulation.ledger.copies.items():
        if record.ready and record.sequence:
            lines.setdefault(record.queue, []).append((record.sequence, copy))
    queue, line = max(lines.items(), key=lambda item: len(item[1]))
    (_, first), (_, second) = sorted(line)[:2]
    return first, second, queue


def test_a_copy_that_the_ledger_has_not_heard_of_is_noticed_and_the_error_says_where() -> None:
    simulation = started()
    account = next(a for a in simulation.ledger.accounts.values() if a.places[READY])
    account.places[READY] -= 1
    with pytest.raises(
        InvariantBroken, match="scenario 'busy', seed 1, journal entry 0, at 8 s: destination"
    ):
        check(simulation)


def test_a_copy_that_a_queue_has_lost_is_noticed() -> None:
    simulation = started()
    check_wholly(simulation)
    queue = next(q for q in simulation.brokers[0].queues.values() if q.counts()[0])
    counts = simulation.brokers[0].queue_counts()
    simulation.brokers[0].queue_counts = lambda: {**counts, queue.node: (0, *counts[queue.node][1:])}  # type: ignore[method-assign]
    with pytest.raises(InvariantBroken, match="the brokers hold"):
        check(simulation)


def test_one_delivery_too_many_is_noticed_as_it_departs() -> None:
    simulation = started()
    registration, limit = next(r for r in simulation.ledger.registrations.values() if r[1])
    node = next(n for n, r in simulation.ledger.registrations.items() if r[0] == registration)
    simulation.ledger.in_flight[registration] = limit
    copy, _, queue = line_of(simulation)
    with pytest.raises(
        InvariantBroken, match=f"{limit + 1} deliveries in flight to node {node}, prefetch {limit}"
    ):
        simulation.kernel.emit(Moved(8_000_000, 0, copy, 1, queue, node, 8_040_000, "unacked"))


def test_a_delivery_out_of_turn_is_noticed_as_it_departs() -> None:
    simulation = started()
    first, second, queue = line_of(simulation)
    emit = simulation.kernel.emit
    emit(Moved(8_000_000, 0, second, 1, queue, 99, 8_040_000, ""))
    with pytest.raises(InvariantBroken, match=f"copy {first} .* leaves node {queue} after arrival"):
        emit(Moved(8_000_000, 0, first, 1, queue, 99, 8_040_000, ""))


def test_a_return_may_overtake() -> None:
    simulation = started()
    first, second, queue = line_of(simulation)
    emit = simulation.kernel.emit
    emit(Moved(8_000_000, 0, first, 1, queue, 99, 8_040_000, "unacked"))
    emit(Moved(8_000_000, 0, second, 1, queue, 99, 8_040_000, "unacked"))
    emit(Placed(8_000_000, 0, first, 0, queue, "ready", 0))
    emit(Moved(8_000_000, 0, first, 2, queue, 99, 8_040_000, "unacked"))
