"""The ledger of a cluster is one table: what stands below a word is the count of that word, in every row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.scenario import load
from engine.simulation import Simulation
from tests.engine.playing import SHIPPED
from tests.in_node import ask

ROWS = """
await import("mailroom/kafka/fold.js");
const [{ Timeline }, { ledgerRows }] = await Promise.all(
  ["mailroom/scene/timeline.js", "mailroom/lazy/ledger.js"].map((name) => import(name)));
const timeline = new Timeline();
timeline.append({ tick: 0, n: data.n, first: 1, events: data.events, digest: "" });
return ledgerRows(timeline.sceneAt(data.n * 25_000 - 1), timeline).map(({ name, terms }) =>
  ({ name, words: terms.map(({ word }) => word), counts: terms.map(({ count }) => count) }));
"""


def rows_of(slug: str, until_us: int) -> list[dict[str, Any]]:
    scenario = next(load(path) for path in SHIPPED if path.stem == slug)
    simulation = Simulation(scenario, scenario.seed)
    while not simulation.advance(until_us):
        pass
    assert simulation.ticks is not None
    events = [event for tick in simulation.ticks.take() for event in json.loads(tick.events)]
    return list(ask(ROWS, {"events": events, "n": until_us // 25_000}))


@pytest.mark.needs("node")
@pytest.mark.parametrize("slug", ["kafka-broker-crash", "kafka-share-group", "kafka-transactions"])
def test_all_rows_have_the_words_of_the_first(slug: str) -> None:
    rows = rows_of(slug, 50_000_000)
    assert [row["words"] for row in rows] == [rows[0]["words"]] * len(rows)


@pytest.mark.needs("node")
def test_what_no_group_reads_any_more_stands_below_the_groups() -> None:
    *groups, clicks = rows_of("kafka-broker-crash", 50_000_000)
    assert [row["name"] for row in groups] == ["books", "statistics"]
    assert clicks["name"] == "no group (clicks)"
    assert dict(zip(clicks["words"], clicks["counts"], strict=True))["lost"] > 0
