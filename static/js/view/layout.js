// Where everything stands: automatic lanes in fixed columns, from what the run has on its stage. Pure.
//
// Wide: producers | exchanges | queues | consumers. Narrow: the same order from top to bottom, lanes keep
// their direction (tail left, head right). All numbers are CSS px of the figure.

import { path } from "mailroom/scene/tween.js";

const NARROW = 720;
const LANE = { cell: 54, height: 64, above: 52, below: 26 };
const CONSUMER = { width: 176, height: 80, above: 26, gap: 18 };
const PRODUCER = { width: 138, height: 58, gap: 26 };
const EXCHANGE = { radius: 33, below: 44 };

/** @returns {{width, height, narrow, heads, nodes: Map, wires: Map}} places of `plan`'s nodes in a figure `width` wide. */
export function layout(plan, width) {
  const parts = sort(plan);
  const narrow = width < NARROW;
  const nodes = new Map();
  const place = narrow ? placeNarrow(parts, width, nodes) : placeWide(parts, width, nodes);
  const figure = { width, narrow, nodes, ...place };
  figure.wires = new Map([...plan.wires].map(([key, wire]) => [key, wirePath(figure, wire.source, wire.target)]));
  return figure;
}

/** Nodes by kind in order of appearance, consumers under the queue they have (or had). */
function sort(plan) {
  const of = (kind) => [...plan.nodes.values()].filter((node) => node.kind === kind);
  const queues = of("queue").map((node) => ({ node, consumers: [], exchanges: [] }));
  const byQueue = new Map(queues.map((row) => [row.node.node, row]));
  const placed = new Set();
  for (const { source, target, kind } of plan.wires.values()) {
    if (kind === "consume" && byQueue.has(source) && !placed.has(target) && plan.nodes.has(target)) {
      byQueue.get(source).consumers.push(plan.nodes.get(target));
      placed.add(target);
    } else if (kind === "binding") byQueue.get(target)?.exchanges.push(source);
  }
  const loose = of("consumer").filter((node) => !placed.has(node.node));
  loose.forEach((node, i) => {
    const queue = byQueue.get(Number(Object.keys(node.consumes)[0])) ?? queues[i % Math.max(1, queues.length)];
    queue?.consumers.push(node);
  });
  for (const row of queues) row.consumers.sort((a, b) => a.node - b.node);
  return { producers: of("producer"), exchanges: of("exchange"), queues, wires: [...plan.wires.values()] };
}

// -- wide ---------------------------------------------------------------------------------------

function placeWide(parts, width, nodes) {
  const gap = Math.round(Math.min(96, Math.max(40, width * 0.06)));
  const exchangeX = PRODUCER.width + gap + EXCHANGE.radius;
  const laneX = exchangeX + EXCHANGE.radius + Math.max(gap, labelRoom(parts));
  const consumerX = width - CONSUMER.width - 2;
  const laneWidth = consumerX - gap - laneX;
  const receipts = Math.max(1, Math.min(4, ...parts.queues.map(kept).sort((a, b) => b - a).slice(0, 1)));
  let y = 34;
  for (const row of parts.queues) {
    const stack = row.consumers.length * (CONSUMER.above + CONSUMER.height + CONSUMER.gap) - CONSUMER.gap;
    const height = Math.max(LANE.above + LANE.height + LANE.below, stack + 26);
    const middle = Math.round(y + Math.max(LANE.above + LANE.height / 2, (height + CONSUMER.above) / 2));
    nodes.set(row.node.node, lane(laneX, middle - LANE.height / 2, laneWidth, receipts));
    let top = Math.round(middle - (stack - CONSUMER.above) / 2);
    for (const node of row.consumers) {
      nodes.set(node.node, consumer(consumerX, top));
      top += CONSUMER.height + CONSUMER.gap + CONSUMER.above;
    }
    y += height + 12;
  }
  const exchangeEnd = stackColumn(parts.exchanges.map((node) => ({
    node, wish: mean(parts.wires.filter((w) => w.source === node.node).map((w) => centre(nodes.get(w.target)))),
    above: EXCHANGE.radius, below: EXCHANGE.radius + EXCHANGE.below,
  })), (node, middle) => nodes.set(node.node, exchange(node, exchangeX, middle)));
  const producerEnd = stackColumn(parts.producers.map((node) => ({
    node, wish: mean(parts.wires.filter((w) => w.source === node.node).map((w) => centre(nodes.get(w.target)))),
    above: PRODUCER.height / 2, below: PRODUCER.height / 2 + PRODUCER.gap,
  })), (node, middle) => nodes.set(node.node, producer(1, Math.round(middle - PRODUCER.height / 2))));
  const height = Math.max(220, y, exchangeEnd, producerEnd) + (returns(parts) ? 28 : 0);
  const heads = [["producer", 0], ["exchange", exchangeX - EXCHANGE.radius], ["queue", laneX], ["consumer", consumerX]];
  return { height, heads: heads.map(([kind, x]) => ({ kind, x, count: count(parts, kind) })) };
}

/** What the longest binding key needs between exchanges and lanes. */
const labelRoom = ({ wires }) => Math.min(150, Math.max(0, ...wires.map((w) => (w.kind === "binding" ? w.label.length * 7.9 + 30 : 0))));

const count = (parts, kind) => parts[`${kind}s`]?.length ?? parts.queues.flatMap((row) => row.consumers).length;

/** Puts the items of a column where they wish, pushing down what would overlap. Returns where the column ends. */
function stackColumn(items, put) {
  let floor = 40;
  for (const item of items.sort((a, b) => (a.wish ?? 1e9) - (b.wish ?? 1e9))) {
    const middle = Math.max(Math.round(item.wish ?? 0), floor + item.above);
    put(item.node, middle);
    floor = middle + item.below;
  }
  return floor;
}

const mean = (values) => {
  const known = values.filter((value) => value !== undefined);
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : undefined;
};

const centre = (box) => box && box.y + box.height / 2;

/** How many receipts a queue's workers can hold at once; 3 when nothing limits them. */
const kept = (row) => row.consumers.reduce((sum, node) => sum + (node.consumes[row.node.node]?.prefetch || 3), 0);

/** Whether somebody publishes from the right end of the stage back to its left. */
const returns = (parts) => parts.wires.some((wire) => wire.kind === "publish" && parts.queues.some((row) =>
  row.consumers.some((node) => node.node === wire.source)));

// -- narrow -------------------------------------------------------------------------------------

function placeNarrow(parts, width, nodes) {
  const gutter = 22;
  let left = 8;
  for (const node of parts.producers) {
    nodes.set(node.node, producer(1, left, 126));
    left += PRODUCER.height + 14;
  }
  let right = 8 + EXCHANGE.radius;
  for (const node of parts.exchanges) {
    nodes.set(node.node, exchange(node, Math.round(width * 0.6), right));
    right += EXCHANGE.radius * 2 + EXCHANGE.below;
  }
  let y = Math.max(left, right - EXCHANGE.radius) + 24;
  for (const row of parts.queues) {
    nodes.set(row.node.node, lane(gutter, y + LANE.above, width - gutter - 2, 2, 46));
    y += LANE.above + LANE.height + 26;
    const each = Math.min(CONSUMER.width, (width - gutter - 14) / 2);
    row.consumers.forEach((node, i) => {
      if (i && i % 2 === 0) y += CONSUMER.height + 54;
      const column = row.consumers.length === 1 ? 1 : i % 2;
      nodes.set(node.node, consumer(width - 2 - each - (column ? 0 : each + 12), y, each));
    });
    if (row.consumers.length) y += CONSUMER.height + 44;
    y += 14;
  }
  return { height: y + 4, heads: [] };
}

// -- boxes --------------------------------------------------------------------------------------

const producer = (x, y, width = PRODUCER.width) => ({ kind: "producer", x, y, width, height: PRODUCER.height });

const consumer = (x, y, width = CONSUMER.width) => ({ kind: "consumer", x, y, width, height: CONSUMER.height });

function exchange(node, x, middle) {
  const radius = node.name === "" ? 20 : EXCHANGE.radius;
  return { kind: "exchange", x: x - radius, y: middle - radius, width: radius * 2, height: radius * 2, radius };
}

/** A lane: cells left of the head bar, receipts right of it. */
function lane(x, y, width, receipts, cell = LANE.cell) {
  const headX = x + width - receipts * cell - 3;
  return { kind: "queue", x, y, width, height: LANE.height, cell, headX, cells: Math.floor((headX - x) / cell), receipts };
}

// -- wires --------------------------------------------------------------------------------------

/** The way from one node to another, as a path with points: along the wire, or straight where there is none. */
export function wirePath(figure, source, target) {
  const from = figure.nodes.get(source);
  const to = figure.nodes.get(target);
  if (!from || !to) return null;
  const start = outlet(figure, from, to);
  const end = inlet(figure, from, to);
  if (figure.narrow) return path(narrowWay(from, to, start, end));
  if (end[0] > start[0] + 12) return path(curve(start, end));
  return path(around(figure, start, end));
}

function outlet(figure, box, to) {
  const middle = box.y + box.height / 2;
  if (figure.narrow && box.kind === "queue") return [box.headX + box.receipts * box.cell / 2, box.y + box.height + 2];
  if (figure.narrow && box.kind === "exchange") return [box.x + box.width / 2, box.y + box.height];
  if (box.kind === "exchange" && !figure.narrow) {
    const toward = to.y + to.height / 2 - middle;
    const bend = Math.max(-0.6, Math.min(0.6, toward / 160));
    return [box.x + box.radius + Math.cos(bend) * (box.radius + 2), middle + Math.sin(bend) * box.radius];
  }
  return [box.x + box.width + 2, middle];
}

function inlet(figure, from, box) {
  const middle = box.y + box.height / 2;
  if (figure.narrow && box.kind === "consumer") {
    return [Math.max(box.x + 24, Math.min(box.x + box.width - 24, outlet(figure, from, box)[0])), box.y - 2];
  }
  return [box.x - 3, middle];
}

/** One S-curve that starts and ends level. */
function curve([x0, y0], [x1, y1]) {
  if (Math.abs(y1 - y0) < 2) return [[x0, y0], [x1, y1]];
  const points = [];
  for (let i = 0; i <= 24; i++) {
    const u = i / 24;
    points.push([x0 + (x1 - x0) * (1.5 * u - 1.5 * u * u + u * u * u), y0 + (y1 - y0) * (3 * u * u - 2 * u * u * u)]);
  }
  return points;
}

/** Back to the left, under the lanes. */
function around(figure, [x0, y0], [x1, y1]) {
  const floor = figure.height - 12;
  return [[x0, y0], [x0 + 10, y0 + 8], [x0 + 10, floor - 8], [x0, floor], [x1 - 14, floor], [x1 - 22, floor - 8], [x1 - 22, y1], [x1, y1]];
}

function narrowWay(from, to, [x0, y0], [x1, y1]) {
  if (from.kind === "queue") return vertical([x0, y0], [x1, y1]);
  if (to.kind === "queue") return [[x0, y0], [x0, y0 + 50], [x0 - 8, y0 + 56], [14, y0 + 56], [6, y0 + 64], [6, y1 - 10], [10, y1], [x1, y1]];
  return curve([x0, y0], [x1, y1]);
}

function vertical([x0, y0], [x1, y1]) {
  return curve([y0, x0], [y1, x1]).map(([y, x]) => [x, y]);
}
