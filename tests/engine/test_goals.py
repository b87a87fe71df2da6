"""Goals and keys: what can be asked of a run, and that the answers are the run's own."""

from __future__ import annotations

from typing import Any

import pytest

from engine.asked import GoalError
from engine.commands import CrashConsumer, DropNextAck, RestartConsumer
from engine.goals import Order, place_at, read_key, read_predicate
from engine.history import History, play
from engine.scenario import Scenario, from_data

MS = 1_000
S = 1_000_000


@pytest.fixture(scope="module")
def shop() -> Scenario:
    """One order each 2 s to two queues; billing works 500 ms, mail 1.5 s."""
    return from_data({
        "format": 1, "title": "Shop", "length": "20s", "kinds": ["ana", "ben"],
        "system": [{"name": "broker", "kind": "rabbitmq", "link": "100ms",
                    "exchanges": [{"name": "orders", "type": "fanout"}],
                    "queues": [{"name": "billing"}, {"name": "mail"}],
                    "bindings": [{"exchange": "orders", "queue": "billing"},
                                 {"exchange": "orders", "queue": "mail"}]}],
        "producer": [{"name": "shop", "system": "broker", "to": {"exchange": "orders"},
                      "arrivals": {"every": "2s"}, "keys": ["ana", "ben"]}],
        "consumer": [{"name": "biller", "system": "broker", "from": {"queue": "billing"}, "prefetch": 1,
                      "work": {"constant": "500ms"}, "effect": {"name": "charge"}},
                     {"name": "mailer", "system": "broker", "from": {"queue": "mail"}, "prefetch": 1,
                      "work": {"constant": "1500ms"}, "wrap_up": "400ms", "effect": {"name": "mail"}}],
    })  # fmt: skip


@pytest.fixture(scope="module")
def calm(shop: Scenario) -> History:
    return play(shop, 1)


@pytest.fixture(scope="module")
def crashed(shop: Scenario) -> History:
    """The mailer dies between its effect and its acknowledgement, and comes back."""
    calm = play(shop, 1)
    mailed = next(e.at_us for e in calm.events if calm.names.get(getattr(e, "node", 0)) == "mailer"
                  and type(e).__name__ == "EffectApplied")  # fmt: skip
    return play(shop, 1, [(mailed + MS, CrashConsumer("mailer")), (mailed + S, RestartConsumer("mailer"))])


def holds(history: History, **predicate: Any) -> bool:
    return read_predicate(predicate).holds(history)


def test_a_history_has_every_event_and_the_ledgers_counts(shop: Scenario, calm: History) -> None:
    assert {"shop", "orders", "billing", "mail", "biller", "mailer"} <= set(calm.names.values())
    assert calm.totals["owed"] == 2 * calm.totals["sent"]
    assert calm.accounts["billing"]["owed"] == calm.totals["sent"]
    assert [e.at_us for e in calm.events] == sorted(e.at_us for e in calm.events)


def test_a_history_until_a_moment_is_the_beginning_of_the_whole(shop: Scenario, calm: History) -> None:
    part = play(shop, 1, until_us=7 * S)
    assert part.events == calm.events[: len(part.events)]
    assert part.totals["owed"] < calm.totals["owed"]


def test_counts_are_of_events_and_may_be_narrowed(calm: History) -> None:
    done = calm.accounts["billing"]["done"]
    assert holds(calm, count="EffectApplied", where={"effect": "charge"}, op="==", n=done)
    assert holds(calm, count="EffectApplied", where={"node": "biller"}, op="==", n=done)
    assert holds(calm, count="EffectApplied", where={"effect": "charge", "key": "ana"}, op="<", n=done)
    assert not holds(calm, count="EffectApplied", where={"effect": "charge"}, op=">", n=done)


def test_the_ledger_is_asked_over_all_or_for_one_destination(crashed: History) -> None:
    assert holds(crashed, ledger="duplicated_effects", n=1)
    assert holds(crashed, ledger="duplicated_effects", n=1, destination="mail")
    assert holds(crashed, ledger="duplicated_effects", n=0, destination="billing")


def test_never_before_and_logic(calm: History, crashed: History) -> None:
    twice = {"never": "EffectApplied", "where": {"effect_number": 2}}
    assert holds(calm, **twice) and not holds(crashed, **twice)
    assert holds(crashed, **{"not": twice})
    assert holds(crashed, any=[twice, {"ledger": "lost", "n": 0}])
    assert not holds(crashed, all=[twice, {"ledger": "lost", "n": 0}])
    charged = {"event": "EffectApplied", "where": {"message": 1, "node": "biller"}}
    mailed = {"event": "EffectApplied", "where": {"message": 1, "node": "mailer"}}
    assert holds(calm, before=charged, then=mailed) and not holds(calm, before=mailed, then=charged)
    assert not holds(calm, before=charged, then={"event": "DeadLettered"}), "both must have happened"


def test_within_wants_an_answer_to_each(calm: History) -> None:
    made, charged = {"event": "MessageCreated"}, {"event": "EffectApplied", "where": {"effect": "charge"}}
    assert holds(calm, within="1s", **{"from": made}, to=charged)
    assert not holds(calm, within="100ms", **{"from": made}, to=charged)
    assert not holds(calm, within="1s", **{"from": {"event": "DeadLettered"}}, to=charged), "nothing began"


def test_within_may_ask_for_the_same_message(calm: History) -> None:
    """One order each 2 s is charged within 0.8 s; any mail will do answers each of them in 2.5 s."""
    made, mailed = {"event": "MessageCreated"}, {"event": "EffectApplied", "where": {"effect": "mail"}}
    first, second = ({"event": "EffectApplied", "where": {"message": n, "effect": "mail"}} for n in (1, 2))
    assert holds(calm, within="5s", **{"from": first}, to=second)
    assert not holds(calm, within="5s", same="message", **{"from": first}, to=second)
    assert holds(calm, within="2500ms", same="message", **{"from": made}, to=mailed)
    one = {"event": "MessageCreated", "where": {"message": 1}}
    others = {"event": "EffectApplied", "where": {"message": 2, "effect": "mail"}}
    assert holds(calm, within="5s", **{"from": one}, to=others)
    assert not holds(calm, within="5s", same="message", **{"from": one}, to=others)


def test_within_may_ask_for_the_same_copy(calm: History) -> None:
    """A fan-out makes two copies of each message: what was charged is one, what was mailed the other."""
    charged = {"event": "EffectApplied", "where": {"effect": "charge"}}
    mailed = {"event": "EffectApplied", "where": {"effect": "mail"}}
    done = {"event": "Settled", "where": {"now": "done"}}
    assert holds(calm, within="2s", same="message", **{"from": charged}, to=mailed)
    assert not holds(calm, within="2s", same="copy", **{"from": charged}, to=mailed)
    assert holds(calm, within="2s", same="copy", **{"from": mailed}, to=done)
    assert holds(calm, within="5s", same="copy", **{"from": {"event": "Routed"}}, to=done), (
        "each of both copies"
    )
    only_mail = {"event": "Settled", "where": {"now": "done", "destination": "mail"}}
    assert not holds(calm, within="5s", same="copy", **{"from": {"event": "Routed"}}, to=only_mail)
    assert holds(calm, within="5s", same="message", **{"from": {"event": "Routed"}}, to=only_mail)


def test_a_signal_is_of_the_message_or_copy_that_it_is_about(calm: History) -> None:
    publish = {"event": "Sent", "where": {"kind": "publish"}}
    acks = {"event": "Sent", "where": {"kind": "ack"}}
    charged = {"event": "EffectApplied", "where": {"effect": "charge"}}
    assert holds(calm, within="1s", same="message", **{"from": publish}, to=charged)
    assert holds(calm, within="1s", same="copy", **{"from": charged}, to=acks)
    assert holds(calm, within="3s", same="message", **{"from": publish}, to=acks)


def test_the_place_of_a_message_is_the_pictures(calm: History) -> None:
    made_us = next(e.at_us for e in calm.events if type(e).__name__ == "MessageCreated")
    places = [place_at(calm, 1, made_us + ms * MS, "mail") for ms in (50, 150, 250, 800, 2_150, 5_000)]
    assert places[0] == ("", "not there")
    assert places[1] == ("mailer", "on the way")
    assert places[3] == ("mailer", "working")
    assert places[4] == ("mail", "unacked"), "mailed, and not acknowledged yet"
    assert places[-1] == ("", "gone")


def test_a_second_delivery_is_where_the_message_stands(crashed: History) -> None:
    delivered = [e.at_us for e in crashed.events if type(e).__name__ == "Moved" and e.attempt == 2]  # type: ignore[attr-defined]
    assert place_at(crashed, 1, delivered[0] + 500 * MS, "mail") == ("mailer", "working")


def test_a_place_is_looked_for_among_all_copies(calm: History) -> None:
    """1.9 s after it was made the first order is charged and gone from billing; its other copy is being mailed."""
    made_us = next(e.at_us for e in calm.events if type(e).__name__ == "MessageCreated")
    assert place_at(calm, 1, made_us + 1_700 * MS, "billing") == ("", "gone")
    assert (
        place_at(calm, 1, made_us + 1_700 * MS)
        == place_at(calm, 1, made_us + 1_700 * MS, "mail")
        == ("mailer", "working")
    )
    assert place_at(calm, 1, made_us + 50 * MS) == ("", "not there")
    assert place_at(calm, 1, made_us + 5_000 * MS) == ("", "gone"), "when both have gone, and not before"


def test_a_place_is_refused_where_copies_stand_in_different_places(calm: History) -> None:
    made_us = next(e.at_us for e in calm.events if type(e).__name__ == "MessageCreated")
    assert place_at(calm, 1, made_us + 500 * MS, "billing") == ("biller", "working")
    with pytest.raises(
        GoalError, match="m1 has copies at biller working, mailer working then: name its destination"
    ):
        place_at(calm, 1, made_us + 500 * MS)


def test_a_second_copy_for_the_same_destination_is_found_too() -> None:
    """Confirms that get lost: the shop publishes again, the queue gets a second copy of the same message."""
    scenario = from_data({
        "format": 1, "title": "Again", "length": "20s",
        "system": [{"name": "b", "kind": "rabbitmq", "link": "100ms", "queues": [{"name": "q"}]}],
        "producer": [{"name": "p", "system": "b", "to": {"queue": "q"}, "arrivals": {"every": "5s"},
                      "confirm": True, "confirm_timeout": "1s"}],
        "consumer": [{"name": "c", "system": "b", "from": {"queue": "q"}, "work": {"constant": "200ms"}}],
    })  # fmt: skip
    history = play(scenario, 1, [(0, DropNextAck("p"))])
    copies = [copy for copy, message in history.message_of.items() if message == 1]
    assert len(copies) == 2
    again_us = [e.at_us for e in history.events if type(e).__name__ == "WorkStarted" and e.copy == copies[1]]  # type: ignore[attr-defined]
    assert place_at(history, 1, again_us[0] + 100 * MS) == ("c", "working")
    assert place_at(history, 1, again_us[0] + 100 * MS, "q") == ("c", "working")


def test_keys_are_computed_by_the_run_and_follow_its_seed(shop: Scenario) -> None:
    scenario = from_data({
        "format": 1, "title": "Luck", "length": "20s",
        "system": [{"name": "b", "kind": "rabbitmq", "queues": [{"name": "q"}]}],
        "producer": [{"name": "p", "system": "b", "to": {"queue": "q"}, "arrivals": {"poisson": "1/s"}}],
        "consumer": [{"name": "c", "system": "b", "from": {"queue": "q"}, "work": {"exponential": "1s"}}],
    })  # fmt: skip
    key = read_key({"value": {"count": "MessageCreated"}})
    answers = {seed: key.answer(play(scenario, seed)) for seed in range(6)}
    assert len(set(answers.values())) > 1
    assert answers == {seed: key.answer(play(scenario, seed)) for seed in range(6)}


def test_an_order_is_that_of_the_first_of_each(calm: History) -> None:
    key = read_key({"order": [
        {"label": "mailed", "event": "EffectApplied", "where": {"message": 1, "node": "mailer"}},
        {"label": "made", "event": "MessageCreated"},
        {"label": "charged", "event": "EffectApplied", "where": {"message": 1, "node": "biller"}},
    ]})  # fmt: skip
    assert key.answer(calm) == ("made", "charged", "mailed")
    assert isinstance(key, Order)
    with pytest.raises(GoalError, match="'dead' never happens"):
        read_key({"order": [{"label": "dead", "event": "DeadLettered"},
                            {"label": "made", "event": "MessageCreated"}]}).answer(calm)  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"count": "Exploded"}, "goal: there is no event 'Exploded'"),
        ({"count": "Sent", "where": {"colour": "red"}}, "goal.where: Sent has no 'colour'; it has"),
        ({"ledger": "happy"}, "goal.ledger: expected one of sent, owed"),
        ({"ledger": "lost", "never": "Sent"}, "goal: expected one of count, ledger"),
        ({"all": []}, "goal.all: expected a list of predicates"),
        ({"any": [{"ledger": "lost"}], "n": 1}, "goal: 'n' does not belong beside 'any'"),
        ({"within": "soon", "from": {"event": "Sent"}, "to": {"event": "Sent"}}, "goal.within: expected a duration"),
        ({"within": "1s", "same": "copy", "from": {"event": "MessageCreated"}, "to": {"event": "Left"}},
         "goal.same: MessageCreated is of no copy"),
        ({"within": "1s", "same": "message", "from": {"event": "Sent"}, "to": {"event": "NodeAdded"}},
         "goal.same: NodeAdded is of no message"),
        ({"within": "1s", "same": "colour", "from": {"event": "Sent"}, "to": {"event": "Sent"}},
         "goal: Invalid enum value 'colour' - at `$.same`"),
        ({"count": "Sent", "n": -1}, "goal: Expected `int` >= 0"),
        ([], "goal: expected a table, got list"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_told(wrong: Any, said: str) -> None:
    with pytest.raises(GoalError) as caught:
        read_predicate(wrong)
    assert str(caught.value).startswith(said)


def test_predicates_are_not_nested_without_end() -> None:
    deep: Any = {"ledger": "lost"}
    for _ in range(10):
        deep = {"not": deep}
    with pytest.raises(GoalError, match="at most 8 predicates inside each other"):
        read_predicate(deep)
