"""A thousand runs of Kafka scenarios: what is counted is what the scenario's ledger says, seed for seed."""

from __future__ import annotations

import pytest
from django.test import Client

from engine.simulation import Simulation
from lessons.scenarios import library
from playground.runs import jobs, tasks, work
from playground.runs.jobs import Wish
from playground.runs.models import Job, State

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "ring", lambda times=1: None)
    work._pasts.clear()


def worked_off(slug: str, count: int = 6, moment_us: int = 0) -> Job:
    job = jobs.begin(Wish(slug, library()[slug].scenario.seed, count=count, moment_us=moment_us), "me")
    while Job.objects.get(pk=job.pk).state == State.RUNNING:
        assert work.work("worker")
    return Job.objects.get(pk=job.pk)


EXPECTED = {
    "kafka-broker-crash": {"lost"},
    "kafka-retention": {"dropped"},
    "kafka-commit-before": {"lost", "duplicated_deliveries"},
    "kafka-duplicate": {"duplicated_effects", "out_of_order"},
    "kafka-rebalance-eager": {"duplicated_deliveries"},
    "kafka-transactions": {"duplicated_effects", "duplicated_deliveries"},
    "kafka-compaction": set(),
    "kafka-user-events": set(),
}
"""What each run of them has some of, for certain."""


@pytest.mark.parametrize("slug", EXPECTED)
def test_outcomes_are_the_ledgers_of_those_runs(slug: str) -> None:
    rows = list(worked_off(slug).results.order_by("seed").values())
    assert [row["seed"] for row in rows] == [1, 2, 3, 4, 5, 6]
    for row in rows:
        simulation = Simulation(library()[slug].scenario, row["seed"], watched=False)
        while not simulation.advance(60_000_000):
            pass
        totals = simulation.totals()
        counted = (
            "sent",
            "lost",
            "dropped",
            "dead",
            "duplicated_deliveries",
            "duplicated_effects",
            "out_of_order",
        )
        assert {name: row[name] for name in counted} == {name: totals[name] for name in counted}
        assert {name for name in EXPECTED[slug] if row[name]} == EXPECTED[slug]
        if not EXPECTED[slug]:
            assert not any(row[name] for name in counted[1:])
        # From a record's making to its first effect in a group: never sooner than both links
        assert 600_000 < row["p50_us"] <= row["p95_us"] < 60_000_000


def test_from_a_moment_the_past_is_the_same_and_the_future_is_not() -> None:
    rows = list(
        worked_off("kafka-retention", moment_us=20_000_000).results.order_by("seed").values("sent", "dropped")
    )
    assert len({row["sent"] for row in rows}) > 1


def test_the_page_tells_what_there_is_and_no_dead_letters() -> None:
    html = (
        Client(SERVER_NAME="localhost")
        .get(f"/runs/{worked_off('kafka-commit-before').code}/")
        .content.decode()
    )
    for name in ("Lost messages", "Dropped messages", "Duplicated deliveries", "Latency, median"):
        assert name in html
    assert "Dead letters" not in html
