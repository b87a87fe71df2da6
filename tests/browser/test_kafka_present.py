"""Whatever way one comes to a moment of a cluster, the same is drawn and said: from the first event on, from a
present that was stated at it, and from an earlier one and what happened since."""

from __future__ import annotations

from typing import Any

import pytest

from engine.scenario import Scenario, load
from tests.browser.test_kafka_fold import some_command
from tests.browser.test_scene_equality import moments_of
from tests.engine.kafka.playing import BUSY, MODERN, PROCESSING, SHARED, USER_EVENTS
from tests.engine.playing import SHIPPED
from tests.in_node import ask

COMPARE = """
const [{ emptyScene, reduce, learn, settle }, { decodeAll }, { describeKafka }, { describe }] = await Promise.all(
  ["scene/reducer.js", "stream/vocabulary.js", "lazy/kafka/describe.js", "lazy/describe.js"].map(fetched));
const { recordsFrom } = await fetched("kafka/logs.js");
const [{ positions }, { layout }, { shapesIn, wordsOf }, { whereNow, standings }] = await Promise.all(
  ["kafka/positions.js", "kafka/layout.js", "kafka/nodes.js", "lazy/kafka/life.js"].map(fetched));
const { fetchPart } = await fetched("kafka/parts.js");
await Promise.all(["marks", "phases", "shares"].map(fetchPart));
function fetched(name) { return import(`mailroom/${name}`); }

/** All that a stage shows at a moment, of what moves but where it stands when nothing is to glide. */
function shown(scene, t_us, figure) {
  const drawn = positions(scene, t_us, figure, [], "none");
  const { tokens, signals, bars, slots, more, words, phases } = drawn;
  const rows = drawn.rows.map(({ log, pointers, marks, ...row }) => ({ ...row, log: log.node,
    pointers: pointers.map(({ owner, ...pointer }) => ({ ...pointer, owner: owner?.node })) }));
  const nodes = [...scene.nodes.values()].filter(({ node }) => figure.nodes.has(node));
  const lives = inSight(scene);
  return {
    ...describe(scene, t_us),
    ...describeKafka(scene, t_us),
    tokens: byId(tokens.map(({ since_us, move, t_us, ...token }) => token)),
    travelling: byId(signals),
    bars: byPlace(bars), slots: byPlace(slots), more: byPlace(more), words, phases: phases ?? {}, rows,
    said: Object.fromEntries(nodes.map((node) => [node.node, wordsOf(node, scene, figure.nodes.get(node.node), figure)])),
    shapes: Object.fromEntries(shapesIn(figure, scene, new Map()).map(({ key }) => [key, 1]).sort()),
    lives: Object.fromEntries(lives.map((message) => [message, [whereNow(scene, message, t_us), standings(scene, message)]])),
  };
}

const common = (a, b) => [a, b].map((each) =>
  Object.fromEntries(Object.entries(each).filter(([message]) => message in a && message in b)));

/** Whether somebody begins to read, or a log ends, before what was stated of it: of that nobody knows who came later. */
function reachesBack({ type, partition, offset, why, node, ranges }, first, { logs }) {
  if (type === "RecordsGone" && why === "truncated") return ranges[0][0] - 48 < first[node];
  return type === "PositionSet" && Math.max(offset, logs.get(partition).start) < first[partition];
}

/** A group that is set back needs records again that were not stated when nobody needed them. */
function known(mine, theirs) {
  for (const [node, { records }] of Object.entries(mine)) {
    const told = theirs[node]?.records ?? records;
    const first = Math.max(...[records, told].map((each) => parseInt(each[0] ?? 0)));
    for (const each of [mine, theirs]) each[node].records = each[node].records.filter((r) => parseInt(r) >= first);
  }
}

/** In an order of their own: they do not lie one over the other. */
const byPlace = (items) => items.map((item) => JSON.stringify(item)).sort();

/** The messages near the ends of logs that lie nowhere else: where one lies that was seen long ago is not known to all. */
function inSight(scene) {
  const places = new Map();
  const place = (message, isNear) => places.set(message, (places.get(message) ?? true) && isNear);
  for (const { chunks, end } of scene.logs.values())
    for (const cell of chunks.flatMap(({ cells }) => cells)) if (cell?.message) place(cell.message, cell.offset >= end - 20);
  return [...places].filter(([, isNear]) => isNear).map(([message]) => message).sort((a, b) => a - b);
}

function byId(items) {
  return Object.fromEntries(items.map((item) => [item.id, item]).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const [events, stated] = data;
const all = decodeAll(events, 1);
const wrong = [];
const plan = emptyScene();
const STAGE = ["NodeAdded", "WireAdded", "HandlerDeclared"];
for (const event of all) {
  if (STAGE.includes(event.type)) reduce(plan, event);
  learn(plan, event);
}
const figures = [1280, 390].map((width) => layout(plan, width));
const whole = emptyScene();
let told = [];
let next = 0;
for (const { at_us, state } of stated) {
  for (; next < all.length && all[next].at_us < at_us; next++) {
    reduce(whole, all[next]);
    told = told.filter(({ first }) => !reachesBack(all[next], first, whole));
    for (const { scene } of told) reduce(scene, all[next]);
  }
  const scene = emptyScene();
  for (const event of decodeAll(state, 0)) reduce(scene, event);
  const first = Object.fromEntries([...scene.logs.values()].map((log) => [log.node, recordsFrom(log, 0)[0]?.offset ?? log.end]));
  told.push({ from_us: at_us, scene: settle(scene), first });
  if (told.length > 4) told.shift();
  for (const figure of figures) {
    for (const { from_us, scene } of told) {
      const mine = shown(whole, at_us - 1, figure);
      const theirs = shown(scene, at_us - 1, figure);
      [mine.lives, theirs.lives] = common(mine.lives, theirs.lives);
      if (from_us < at_us) known(mine.logs, theirs.logs);
      for (const part of Object.keys(mine))
        if (JSON.stringify(mine[part]) !== JSON.stringify(theirs[part]))
          wrong.push([at_us, from_us, figure.width, part, ...difference(mine[part], theirs[part])]);
    }
  }
}
return wrong.slice(0, 40);

function difference(a, b) {
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const [x, y] = [JSON.stringify(a[key]), JSON.stringify(b[key])];
    if (x !== y) return [`${key}: all events give ${x}`, `the present says ${y}`];
  }
  return [JSON.stringify(a), JSON.stringify(b)];
}
"""

ROOMS = {
    "user-events": USER_EVENTS,
    "busy": BUSY,
    "modern": MODERN,
    "processing": PROCESSING,
    "shared": SHARED,
}
ROOMS |= {path.stem: load(path) for path in SHIPPED if load(path).kafka}


def compared(scenario: Scenario, seed: int, disturbances: int) -> list[Any]:
    until_us = min(scenario.length_us, 60_000_000)
    events, stated = moments_of(scenario, seed, until_us, disturbances, some_command)
    return ask(COMPARE, [events, stated])  # type: ignore[no-any-return]


@pytest.mark.needs("node")
@pytest.mark.parametrize("disturbances", [0, 40])
@pytest.mark.parametrize("name", ROOMS)
def test_a_moment_is_drawn_alike_whatever_way_one_has_come(name: str, disturbances: int) -> None:
    seed = sum(name.encode()) + disturbances
    assert compared(ROOMS[name], seed, disturbances) == [], f"seed {seed}"
