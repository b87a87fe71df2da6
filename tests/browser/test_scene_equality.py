"""What the engine says of the present builds the scene that all its past events build, in a real browser."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from engine import commands
from engine.errors import CommandError, RunOver
from engine.scenario import load
from engine.simulation import Simulation
from tests.browser.conftest import House
from tests.browser.scripts import TICK_US, post_office, wire

SCENARIOS = sorted((Path(__file__).parent.parent.parent / "lessons").rglob("*.toml"))
SCENARIOS = [path for path in SCENARIOS if path.parent.name == "scenarios" or path.name == "scenario.toml"]
SCENARIOS = [path for path in SCENARIOS if load(path).rabbitmq]
"""Those of a cluster are in test_kafka_fold.py."""
MOMENTS = 20

COMPARE = """async ([events, stated]) => {
  const describe = (scene, t_us) => window.describeAll(scene, t_us);
  const [{ emptyScene, reduce }, { decodeAll }] = await Promise.all([
    import("mailroom/scene/reducer.js"), import("mailroom/stream/vocabulary.js")]);
  const all = decodeAll(events, 1);
  const whole = emptyScene();
  let next = 0;
  const wrong = [];
  for (const { at_us, state } of stated) {
    while (next < all.length && all[next].at_us < at_us) reduce(whole, all[next++]);
    const told = emptyScene();
    for (const event of decodeAll(state, 0)) reduce(told, event);
    const [a, b] = [describe(whole, at_us - 1), describe(told, at_us - 1)];
    for (const part of Object.keys(a)) {
      const [x, y] = [JSON.stringify(a[part]), JSON.stringify(b[part])];
      if (x !== y) wrong.push([at_us, part, ...difference(a[part], b[part])]);
    }
  }
  return wrong;

  function difference(a, b) {
    const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
    for (const key of keys) {
      const [x, y] = [JSON.stringify(a[key]), JSON.stringify(b[key])];
      if (x !== y) return [`${key}: all events give ${x}`, `the present says ${y}`];
    }
    return [JSON.stringify(a), JSON.stringify(b)];
  }
}"""


def some_command(scenario: Any, chance: random.Random) -> Any:
    """One of the things that a person can do to a room."""
    consumer = chance.choice(scenario.consumer).name
    producer = chance.choice(scenario.producer).name
    system = scenario.system[0]
    queue = chance.choice([*system.queues, system.queues[0]]).name
    exchange = chance.choice([each.name for each in system.exchanges] or ["amq.fanout"])
    newcomer, guest = f"{consumer} 2", chance.choice([queue, "audit"])
    return chance.choice([
        commands.AddConsumer(like=consumer), commands.AddConsumer(queue=guest, system=system.name),
        commands.RemoveConsumer(chance.choice([consumer, newcomer])), commands.CrashConsumer(newcomer),
        commands.AddProducer(producer), commands.RemoveProducer(f"{producer} 2"), commands.RemoveProducer(producer),
        commands.DeclareQueue(system.name, "audit"), commands.BindQueue(system.name, exchange, guest, "a"),
        commands.BindQueue(system.name, exchange, guest), commands.UnbindQueue(system.name, exchange, guest),
        commands.SetRetry(consumer, "discard", limit=2), commands.SetIdempotency(consumer, "with the effect"),
        commands.CrashConsumer(consumer), commands.RestartConsumer(consumer), commands.StopConsumer(consumer),
        commands.SlowConsumer(consumer, chance.choice([300, 1000, 4000])), commands.CrashProducer(producer),
        commands.RestartProducer(producer), commands.PauseProducer(producer), commands.ResumeProducer(producer),
        commands.PoisonNext(producer), commands.PublishNow(producer, "", 5), commands.SetRate(producer, 300),
        commands.DropNextAck(consumer), commands.CutLink(consumer), commands.CutLink(producer),
        commands.RestoreLink(consumer), commands.RestoreLink(producer), commands.SetPrefetch(consumer, chance.randrange(6)),
        commands.SetAcknowledge(consumer, chance.choice(["after work", "before work", "automatic"])),
        commands.PurgeQueue(system.name, queue), commands.DeleteQueue(system.name, guest),
    ])  # fmt: skip


def moments_of(
    scenario: Any, seed: int, until_us: int, disturbances: int, some_command: Any = some_command
) -> tuple[list[Any], list[dict[str, Any]]]:
    """All events of a run, and what the engine says of the present at the starts of seeded ticks."""
    chance = random.Random(seed)
    simulation = Simulation(scenario, seed)
    stated = []
    entries = sorted((chance.randrange(until_us), n) for n in range(disturbances))
    for tick in sorted(chance.sample(range(2, until_us // TICK_US), MOMENTS)):
        while entries and entries[0][0] < tick * TICK_US:
            at_us, _n = entries.pop(0)
            with suppress(CommandError, RunOver):
                simulation.apply_at(at_us, some_command(scenario, chance), disturbances - len(entries))
        while not simulation.advance(tick * TICK_US):
            pass
        stated.append({"at_us": tick * TICK_US, "state": wire(simulation.state_events())})
    events = [event for tick in simulation.ticks.take() for event in decode(tick.events)]  # type: ignore[union-attr]
    return events, stated


def decode(text: bytes) -> list[Any]:
    import msgspec

    return msgspec.json.decode(text)


@pytest.fixture(scope="module")
def bench(chromium: Any, house: House) -> Any:
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(house.show(post_office()))
    page.evaluate(
        """async () => { window.describeAll = (await import("mailroom/lazy/describe.js")).describe; }"""
    )
    yield page
    context.close()


@pytest.mark.parametrize("disturbances", [0, 12, 40])
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_stated_present_is_the_fold_of_the_past(bench: Page, path: Path, disturbances: int) -> None:
    scenario = load(path)
    seed = sum(path.stem.encode()) + disturbances
    events, stated = moments_of(scenario, seed, min(scenario.length_us, 60_000_000), disturbances)
    wrong = bench.evaluate(COMPARE, [events, stated])
    assert wrong == [], f"seed {seed}"
