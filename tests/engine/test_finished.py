"""What handlers did, as events: the sum that it comes to and should come to, the order, what stores remember."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.commands import SetIdempotency
from engine.events import EffectApplied, EffectsStand, Event, HandlerDeclared, StoreStands, SumStands, Tallied
from engine.finished import KEPT
from engine.history import play
from engine.scenario import from_data, load
from engine.simulation import Simulation
from engine.world import SHELF_KEPT

SHIPPED = Path(__file__).parent.parent.parent / "lessons/scenarios"


def payments() -> Any:
    return load(SHIPPED / "idempotent-payments.toml")


def present(scenario: Any, until_us: int) -> list[Event]:
    simulation = Simulation(scenario, scenario.seed)
    while not simulation.advance(until_us):
        pass
    return simulation.state_events()


def one_by_one(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def test_a_handler_says_what_it_does_and_which_store_it_asks() -> None:
    declared = one_by_one(play(payments(), 1, until_us=1_000_000).events, HandlerDeclared)
    assert [(d.effect, d.amount, d.unit, d.store) for d in declared] == [
        ("charge", 25, "$", ""),
        ("safe charge", 25, "$", "seen"),
    ]


def test_a_charge_done_twice_makes_the_sum_differ_from_what_is_due() -> None:
    # Given a charger that dies between charge and acknowledgement, when its message comes again
    effects = one_by_one(play(payments(), 1, until_us=9_000_000).events, EffectApplied)
    charges = [(e.message, e.effect_number, e.total, e.due) for e in effects if e.effect == "charge"]
    # Then the second charge of m2 adds to the total and to nothing that is due
    assert charges[:4] == [(1, 1, 25, 25), (2, 1, 50, 50), (2, 2, 75, 50), (3, 1, 100, 75)]
    # And where a store is asked first, both are the same
    assert all(e.total == e.due for e in effects if e.effect == "safe charge")


def test_who_comes_late_is_told_the_latest_effects_the_sums_and_the_stores() -> None:
    state = present(payments(), 20_000_000)
    played = one_by_one(play(payments(), 1, until_us=20_000_000).events, EffectApplied)
    for stand in one_by_one(state, EffectsStand):
        mine = [e for e in played if e.destination == stand.queue]
        assert [(d.message, d.effect_number, d.at_us) for d in stand.recent] == [
            (e.message, e.effect_number, e.at_us) for e in mine[-KEPT:]
        ]
    sums = {s.effect: (s.unit, s.total, s.due) for s in one_by_one(state, SumStands)}
    last = {e.effect: e for e in played}
    assert sums == {name: ("$", e.total, e.due) for name, e in last.items()}
    assert sums["charge"][1] == sums["charge"][2] + 25
    (store,) = one_by_one(state, StoreStands)
    careful = [e.message for e in played if e.effect == "safe charge"]
    assert store.recent == tuple(careful[-SHELF_KEPT:]) and store.asked == careful[-1] and not store.seen


def test_no_more_is_kept_than_is_shown() -> None:
    state = present(payments(), 59_000_000)
    for stand in one_by_one(state, EffectsStand):
        assert len(stand.recent) == KEPT
    (store,) = one_by_one(state, StoreStands)
    assert len(store.recent) == SHELF_KEPT


def test_an_effect_out_of_order_names_the_later_message_that_came_first() -> None:
    # Given a fast and a slow worker on one queue, and one key
    workers = [
        {
            "name": name,
            "system": "broker",
            "from": {"queue": "jobs"},
            "prefetch": 1,
            "work": {"constant": work},
        }
        for name, work in (("slow", "3s"), ("fast", "200ms"))
    ]
    scenario = from_data({
        "format": 1, "title": "overtaken", "length": "10s", "kinds": ["ana"],
        "system": [{"name": "broker", "kind": "rabbitmq", "queues": [{"name": "jobs"}]}],
        "producer": [{"name": "maker", "system": "broker", "to": {"queue": "jobs"}, "keys": ["ana"],
                      "arrivals": {"every": "1s"}, "count": 3}],
        "consumer": workers,
    })  # fmt: skip
    told = one_by_one(play(scenario, 1).events, Tallied)
    late = [t for t in told if t.what == "out_of_order"]
    assert len(late) == 1
    # When somebody comes after that, then the effect says which message it came after
    (stand,) = one_by_one(present(scenario, 9_900_000), EffectsStand)
    assert [(d.message, d.after) for d in stand.recent if d.after] == [(1, late[0].other)]


def test_a_handler_that_asks_no_store_any_longer_says_so() -> None:
    off = SetIdempotency("careful charger", "none")
    events = play(payments(), 1, [(5_000_000, off)], until_us=6_000_000).events
    assert [d.store for d in one_by_one(events, HandlerDeclared)] == ["", "seen", ""]
