"""Transactions in a room: what is read of them, aborts, a producer that dies in one, and one that is fenced."""

from __future__ import annotations

from typing import Any

import pytest

from engine import commands as c
from engine.errors import CommandError, ScenarioError
from engine.events import NodeStateChanged
from engine.kafka import events as k
from engine.places import PLACES
from engine.simulation import Simulation
from tests.engine.kafka.test_promises import S, member, of, room, run

TEN = {"records": 10, "abort_every": 2}


def transactional(transaction: Any = None, **changes: Any) -> Any:
    """Producer shop writes 200 records in transactions; group g reads all, group h what is committed."""
    careful = member("B", isolation="read_committed", work={"constant": "5ms"})
    careful["from"] = {"topics": ["t"], "group": "h"}
    values = {"producer__transactional_id": "orders", "producer__transaction": transaction,
              "consumer": [member("A", work={"constant": "5ms"}), careful], **changes}  # fmt: skip
    return room(**values)


def by_group(simulation: Simulation) -> dict[str, dict[str, int]]:
    assert simulation.counting is not None
    nodes = simulation.clusters[0].group_nodes
    accounts = simulation.counting.state.accounts
    return {
        group: {"owed": accounts[node].owed, **dict(zip(PLACES, accounts[node].places, strict=True))}
        for group, node in nodes.items()
        if node in accounts
    }


def test_who_reads_committed_is_owed_no_record_of_an_aborted_transaction() -> None:
    simulation = Simulation(transactional(TEN), 1)
    simulation.advance(60 * S, 1 << 40)
    counts = by_group(simulation)
    # Twenty transactions of ten records, every second one aborted; its last record was not sent by then
    assert counts["g"]["owed"] == counts["g"]["done"] == 190
    assert counts["h"]["owed"] == counts["h"]["done"] == 100
    assert simulation.totals()["lost"] == 0


def test_every_transaction_ends_with_a_marker_in_each_partition_that_it_wrote_to() -> None:
    _, events = run(transactional(TEN))
    ends = [event.state for event in of(events, k.TransactionChanged) if event.state != "Ongoing"]
    assert ends == ["Empty"] + ["CompleteCommit", "CompleteAbort"] * 10
    markers = [event for event in of(events, k.RecordsAppended) if event.marker]
    assert {event.marker for event in markers} == {"commit", "abort"}
    assert 20 <= len(markers) <= 40 and all(event.messages == (0,) for event in markers)


def test_what_an_open_transaction_wrote_waits_for_its_end_where_committed_is_read() -> None:
    scenario = transactional(producer__arrivals={"every": "1s"}, producer__count=20)
    simulation = Simulation(scenario, 1)
    simulation.apply_at(2 * S, c.BeginTransaction("shop"), 1)
    simulation.advance(12 * S, 1 << 40)
    assert by_group(simulation)["g"]["done"] >= 9
    assert by_group(simulation).get("h", {"owed": 0})["owed"] == 0
    simulation.apply_at(12 * S, c.CommitTransaction("shop"), 2)
    simulation.advance(14 * S, 1 << 40)
    assert by_group(simulation)["h"]["done"] >= 9
    # And none is open now: what is made meanwhile waits in the application
    told = [event.state for event in simulation.state_events() if isinstance(event, k.TransactionChanged)]
    assert told == ["CompleteCommit"]


def test_an_abort_takes_back_what_was_written() -> None:
    scenario = transactional()
    simulation = Simulation(scenario, 1)
    simulation.apply_at(2 * S, c.BeginTransaction("shop"), 1)
    simulation.apply_at(8 * S, c.AbortTransaction("shop"), 2)
    simulation.apply_at(9 * S, c.BeginTransaction("shop"), 3)
    simulation.apply_at(22 * S, c.CommitTransaction("shop"), 4)
    simulation.advance(40 * S, 1 << 40)
    counts = by_group(simulation)
    # Eighty records were made before 8 s, all but the last of which stand in the log, aborted
    assert 75 <= 200 - counts["h"]["done"] <= 82
    assert counts["h"]["owed"] == counts["h"]["done"]
    assert counts["g"]["owed"] == counts["g"]["done"] > counts["h"]["done"]


def test_a_producer_that_dies_in_a_transaction_holds_readers_up_until_its_time_is_over() -> None:
    scenario = transactional(producer__transaction_timeout="10s")
    simulation = Simulation(scenario, 1)
    simulation.apply_at(2 * S, c.BeginTransaction("shop"), 1)
    simulation.apply_at(5 * S, c.CrashProducer("shop"), 2)
    simulation.advance(11 * S, 1 << 40)
    [told] = [event for event in simulation.state_events() if isinstance(event, k.TransactionChanged)]
    assert told.state == "Ongoing"
    simulation.advance(13 * S, 1 << 40)
    [told] = [event for event in simulation.state_events() if isinstance(event, k.TransactionChanged)]
    assert told.state == "CompleteAbort"
    assert by_group(simulation).get("h", {"owed": 0})["owed"] == 0


def test_a_restart_with_the_same_id_aborts_what_the_former_process_left_open() -> None:
    _, events = run(
        transactional(), (2 * S, c.BeginTransaction("shop")), (5 * S, c.CrashProducer("shop")),
        (6 * S, c.RestartProducer("shop")),
    )  # fmt: skip
    aborted = [event.at_us for event in of(events, k.RecordsAppended) if event.marker == "abort"]
    assert aborted and all(6 * S <= at_us < 6.2 * S for at_us in aborted)


def test_a_second_producer_with_the_same_id_fences_the_first_one() -> None:
    scenario = transactional({"records": 10})
    _, events = run(scenario, (5 * S, c.AddProducer("shop", "twin")))
    shop = of(events, NodeStateChanged)
    fenced = [event for event in shop if event.about.startswith("fenced")]
    assert len(fenced) == 1 and fenced[0].state == "crashed" and fenced[0].at_us < 8 * S
    # The older one is over, the newer one goes on; and started again the older one fences that in its turn
    _, events = run(scenario, (5 * S, c.AddProducer("shop", "twin")), (9 * S, c.RestartProducer("shop")))
    fenced = [event for event in of(events, NodeStateChanged) if event.about.startswith("fenced")]
    assert len(fenced) == 2 and fenced[0].node != fenced[1].node


def test_a_commit_whose_answer_is_lost_with_the_connection_is_asked_again_and_counts_once() -> None:
    simulation = Simulation(transactional({"records": 5}), 1)
    simulation.advance(3 * S, 1 << 40)
    while simulation.actors[0].ending != "commit":  # type: ignore[union-attr]
        simulation.advance(simulation.now_us + 1_000, 1 << 40)
    simulation.advance(simulation.now_us + 11_000, 1 << 40)  # the end has come to the cluster
    simulation.apply_at(simulation.now_us, c.CutLink("shop"), 1)
    simulation.apply_at(simulation.now_us + 4 * S, c.RestoreLink("shop"), 2)
    simulation.advance(60 * S, 1 << 40)
    counts = by_group(simulation)
    assert counts["h"]["owed"] == counts["h"]["done"] == 200
    assert simulation.actors[0].state == "up"


def test_markers_wait_for_a_partition_that_has_no_leader() -> None:
    alone = [{"name": "log", "kind": "kafka", "link": "10ms", "request_timeout": "3s", "brokers": 2,
              "config": {"group.initial.rebalance.delay.ms": 0},
              "topics": [{"name": "t", "partitions": 2, "replication": 1}]}]  # fmt: skip
    simulation = Simulation(transactional(system=alone, producer__transaction_timeout="60s"), 1)
    simulation.apply_at(2 * S, c.BeginTransaction("shop"), 1)
    simulation.apply_at(5 * S, c.PauseProducer("shop"), 2)
    simulation.apply_at(6 * S, c.KillBroker("log", 1), 3)
    simulation.apply_at(7 * S, c.CommitTransaction("shop"), 4)
    simulation.advance(10 * S, 1 << 40)
    half = by_group(simulation)["h"]["owed"]
    simulation.apply_at(11 * S, c.StartBroker("log", 1), 5)
    simulation.advance(20 * S, 1 << 40)
    counts = by_group(simulation)
    assert half < counts["h"]["done"] == counts["g"]["done"] == counts["h"]["owed"]


REFUSED = [
    (c.CommitTransaction("shop"), "shop has no transaction open"),
    (c.AbortTransaction("shop"), "shop has no transaction open"),
    (c.SetIdempotence("shop", False), "shop writes in transactions: they need idempotence"),
]


@pytest.mark.parametrize(("command", "said"), REFUSED)
def test_a_command_that_makes_no_sense_is_refused_in_words(command: Any, said: str) -> None:
    simulation = Simulation(transactional(), 1)
    with pytest.raises(CommandError) as caught:
        simulation.apply_at(2 * S, command, 1)
    assert str(caught.value) == said


def test_a_transaction_is_begun_once_and_by_a_producer_that_has_an_id() -> None:
    simulation = Simulation(transactional(), 1)
    simulation.apply_at(2 * S, c.BeginTransaction("shop"), 1)
    with pytest.raises(CommandError, match="shop has a transaction open"):
        simulation.apply_at(3 * S, c.BeginTransaction("shop"), 2)
    with pytest.raises(CommandError, match=r"shop has no transactional\.id: it writes without transactions"):
        Simulation(room(), 1).apply_at(S, c.BeginTransaction("shop"), 1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"producer__transaction": {"records": 5}},
         "producer[0].transaction: expected it with a transactional_id only"),
        ({"producer__transactional_id": "x", "producer__idempotence": False},
         "producer[0].transactional_id: expected it with idempotence only"),
        ({"consumer": [member("A"), member("B", isolation="read_committed")]},
         'consumer[1].isolation: expected "read_uncommitted", as A of the same group has it, got "read_committed"'),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        room(**changes)
    assert said in caught.value.problems
