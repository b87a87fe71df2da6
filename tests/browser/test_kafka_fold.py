"""Kafka's part of the fold: what the engine says of the present builds the scene that all its past events build, and
a seek comes to the same scene."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from engine import commands as c
from engine.scenario import Scenario
from tests.browser.conftest import House
from tests.browser.scripts import TICK_US, post_office
from tests.browser.test_scene_equality import COMPARE, moments_of
from tests.engine.kafka.playing import BUSY, PROCESSING, SHARED, USER_EVENTS

SETUP = """async () => {
  const { describeKafka } = await import("mailroom/lazy/kafka/describe.js");
  const { describe } = await import("mailroom/lazy/describe.js");
  window.describeAll = (scene, t_us) => ({ ...describe(scene, t_us), ...describeKafka(scene, t_us) });
}"""


@pytest.fixture
def bench(open_page: Callable[..., Page], house: House) -> Page:
    page = open_page(house.show(post_office()), bypass_csp=True)
    page.evaluate(SETUP)
    return page


def some_command(scenario: Scenario, chance: random.Random) -> Any:
    """One of the things that a person can do to a room with a cluster."""
    member = chance.choice(scenario.consumer).name
    producer = chance.choice(scenario.producer).name
    broker = chance.randrange(1, 4)
    topic = chance.choice(scenario.system[0].topics).name  # type: ignore[union-attr]
    group = chance.choice(["statistics", "billing", "workers"])
    return chance.choice([
        c.CrashConsumer(member), c.RestartConsumer(member), c.StopConsumer(member), c.PauseConsumer(member),
        c.ResumeConsumer(member), c.SlowConsumer(member, chance.choice([100, 3_000, 50_000])),
        c.SetWork(member, chance.choice([0, 3_000, 900_000])), c.AddConsumer(like=member), c.RemoveConsumer(member),
        c.SetAcknowledge(member, chance.choice(["after work", "before work", "automatic"])),
        c.SetIdempotency(member, chance.choice(["none", "with the effect", "check then act"])),
        c.CrashProducer(producer), c.RestartProducer(producer), c.PoisonNext(producer), c.AddProducer(producer),
        c.PublishNow(producer, "ana", 7), c.SetRate(producer, chance.choice([60, 900])), c.RemoveProducer(producer),
        c.DropNextAck(chance.choice([member, producer])), c.RejectNext(member), c.ReleaseNext(member),
        c.CutLink(member), c.RestoreLink(member), c.CutLink(producer), c.RestoreLink(producer),
        c.KillBroker("log", broker), c.StopBroker("log", broker), c.StartBroker("log", broker),
        c.AddPartitions("log", topic, chance.randrange(3, 6)), c.SeekGroup("log", group, chance.choice(["earliest", "latest"])),
    ])  # fmt: skip


@pytest.mark.parametrize("disturbances", [0, 12, 40])
@pytest.mark.parametrize(
    "scenario", [USER_EVENTS, BUSY, SHARED, PROCESSING], ids=["user-events", "busy", "shared", "processing"]
)
def test_the_stated_present_is_the_fold_of_the_past(
    bench: Page, scenario: Scenario, disturbances: int
) -> None:
    until_us = min(scenario.length_us, 60_000_000)
    events, stated = moments_of(scenario, 7 + disturbances, until_us, disturbances, some_command)
    assert bench.evaluate(COMPARE, [events, stated]) == []


def test_the_stated_present_says_what_a_share_group_has_in_flight(bench: Page) -> None:
    _, stated = moments_of(SHARED, 7, 12_000_000, 0, some_command)
    told = bench.evaluate(PRESENT, stated[-1]["state"])
    shares = list(told["shares"].values())
    assert len(shares) == 5 and all(share["start"] <= share["end"] for share in shares)
    lent = [words for share in shares for words in share["records"].values() if words.startswith("ACQUIRED")]
    assert lent and all(int(words.split(" ")[2]) for words in lent)
    names = [reader["owned"] for reader in told["readers"].values() if reader["group"] == shares[0]["group"]]
    assert sum(len(owned) for owned in names) >= 5


PRESENT = """async (state) => {
  const { emptyScene, reduce } = await import("mailroom/scene/reducer.js");
  const { decodeAll } = await import("mailroom/stream/vocabulary.js");
  const scene = emptyScene();
  for (const event of decodeAll(state, 0)) reduce(scene, event);
  return describeAll(scene);
}"""


def test_the_stated_present_says_what_a_stage_shows(bench: Page) -> None:
    """Two scenes that both know nothing would be alike as well."""
    _, stated = moments_of(BUSY, 7, 20_000_000, 0, some_command)
    told = bench.evaluate(PRESENT, stated[-1]["state"])
    log = max(told["logs"].values(), key=lambda log: len(log["records"]))
    assert len(log["records"]) >= 48 and log["hw"] and log["leader"] and log["ends"]
    for record in log["records"]:
        _offset, message, key, poison, producer, *_ = record.split(" ")
        assert (
            int(message)
            and key in ("ana", "ben", "cho", "")
            and poison in ("true", "false")
            and int(producer)
        )
    assert {group["state"] for group in told["groups"].values()} == {"Stable"}
    assert all(group["members"] and group["committed"] for group in told["groups"].values())
    assert all(reader["owned"] for reader in told["readers"].values())
    assert told["ledger"] and told["sums"] and told["stores"]


@pytest.mark.parametrize("seed", range(3))
def test_seeking_anywhere_equals_the_straight_fold(bench: Page, seed: int) -> None:
    chance = random.Random(seed)
    events, _ = moments_of(BUSY, seed, 20_000_000, 20, some_command)
    frames, first = [], 1
    for tick in range(0, 800, 40):
        inside = [e for e in events if tick * TICK_US <= e[1] < (tick + 40) * TICK_US]
        frames.append({"t": "ticks", "epoch": 0, "tick": tick, "n": 40, "seq": 0, "first": first, "events": inside,
                       "digest": f"d{tick}"})  # fmt: skip
        first += len(inside)
    moments = [chance.randrange(20_000_000) for _ in range(25)]
    wrong = bench.evaluate(
        """async ([frames, events, moments]) => {
          const { Timeline } = await import("mailroom/scene/timeline.js");
          const { emptyScene, reduce } = await import("mailroom/scene/reducer.js");
          const { decodeAll } = await import("mailroom/stream/vocabulary.js");
          const timeline = new Timeline();
          for (const frame of frames) timeline.append(frame);
          const all = decodeAll(events, 1);
          return moments.filter((t) => {
            const scene = emptyScene();
            for (const event of all) if (event.at_us <= t) reduce(scene, event);
            return JSON.stringify(describeAll(timeline.sceneAt(t), t)) !== JSON.stringify(describeAll(scene, t));
          });
        }""",
        [frames, events, moments],
    )
    assert wrong == []


def test_a_long_log_is_held_as_a_tail_and_clones_share_it(bench: Page) -> None:
    held, same, last, before = bench.evaluate(
        """async () => {
          const { emptyScene, cloneScene, reduce } = await import("mailroom/scene/reducer.js");
          await import("mailroom/kafka/fold.js");
          const { recordAt, recordsFrom, KEPT } = await import("mailroom/kafka/logs.js");
          const scene = emptyScene();
          reduce(scene, { type: "PartitionDeclared", node: 3, topic: 2, index: 0, replicas: [1], at_us: 0 });
          let clone;
          for (let i = 0; i < 20_000; i++) {
            if (i === 19_999) clone = cloneScene(scene);
            reduce(scene, { type: "RecordsAppended", node: 3, base: i, messages: [i + 1], pid: 1, marker: "", at_us: i });
          }
          const [log, old] = [scene.logs.get(3), clone.logs.get(3)];
          const shared = log.chunks.filter((chunk) => old.chunks.includes(chunk)).length;
          return [recordsFrom(log, 0).length - KEPT, log.chunks.length - shared, recordAt(log, 19_999).message,
                  recordAt(old, 19_999) ?? null];
        }"""
    )
    assert 0 <= held <= 64
    assert same == 1
    assert last == 20_000 and before is None
