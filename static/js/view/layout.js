// Where everything stands: automatic lanes in fixed columns, from what the run has on its stage. Pure.
//
// Wide: producers | exchanges | queues | consumers. Narrow: the same order from top to bottom, lanes keep
// their direction (tail left, head right). All numbers are CSS px of the figure. Up to three lanes are roomy,
// or a little less where the screen is low; more are close, so that five fit, or
// tight.

import { path } from "mailroom/scene/tween.js";

const NARROW = 720;
const ROOMY = {
  lane: { cell: 54, height: 64, above: 56, below: 24 },
  consumer: { height: 80, above: 26, gap: 18 },
  row: 12,
  scale: 0.95,
};
const MIDDLE = {
  lane: { cell: 50, height: 54, above: 52, below: 14 },
  consumer: { height: 66, above: 26, gap: 12 },
  row: 4,
  scale: 0.88,
};
/** Name and note of a lane stand in one line. */
const CLOSE = {
  lane: { cell: 46, height: 46, above: 30, below: 12 },
  consumer: { height: 54, above: 21, gap: 7 },
  row: 0,
  scale: 0.82,
};
const TIGHT = {
  lane: { cell: 44, height: 42, above: 30, below: 8 },
  consumer: { height: 46, above: 21, gap: 4 },
  row: 0,
  scale: 0.78,
};
const ROOMY_LANES_MAX = 3;
/** Where nothing says how high a figure may be (a thumbnail, a phone), and on a high screen. */
const ROOM_MAX = 520;
const CONSUMER_WIDTH = { min: 162, max: 340 };
const PRODUCER = { min: 126, max: 364, height: 58, gap: 26 };
const EXCHANGE = { radius: 33, below: 44 };
const LETTER = { name: 8.2, note: 7.3, word: 6.9, key: 8.1 };
const DEAD_HEIGHT = 2;
const NOTE_LETTERS = 12;
const COUNT_ROOM = 116;
/** A message of a lane is never narrower than this: labels stay legible at .78 of full size. */
const CELL_MIN = 42;
const GAP_MIN = 38;
const READY = { least: 4, comfortable: 6, most: 12 };
const RECEIPTS = { unlimited: 4, most: 6 };
const LANE_WIDTH_MIN = 330;
const NOTE_BELOW = 24;
/** Over the highest lane are the heads of the columns. */
const HEAD = 34;
/** Between the lowest box and the line under the figure. */
const FOOT = 12;

/**
 * @returns {{width, height, narrow, close, heads, nodes: Map, wires: Map}} places of `plan`'s nodes in
 * `width`; `room` is how high the figure may be on the screen.
 */
export function layout(plan, width, { room = Infinity } = {}) {
  const parts = sort(plan);
  const narrow = width < NARROW;
  const { nodes, close, ...place } = narrow
    ? placeNarrow(parts, width)
    : placeToFit(parts, width, Math.min(room, ROOM_MAX));
  for (const [node, first] of parts.heirs) nodes.set(node, nodes.get(first));
  const figure = { width, narrow, close, nodes, ...place };
  figure.wires = new Map(
    [...plan.wires].map(([key, wire]) => [key, wirePath(figure, wire.source, wire.target)]),
  );
  return figure;
}

/** In the largest size in which what was there at first fits into `room`: who comes later moves no lane. */
function placeToFit(parts, width, room) {
  const sizes =
    atFirst(parts).queues.length > ROOMY_LANES_MAX ? [CLOSE, TIGHT] : [ROOMY, MIDDLE, CLOSE, TIGHT];
  for (const size of sizes) {
    const { settled, ...place } = placeWide(parts, width, size);
    const close = size === CLOSE || size === TIGHT;
    if (settled <= room || size === TIGHT) return { ...place, close };
  }
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
    const queue =
      byQueue.get(Number(Object.keys(node.consumes)[0])) ??
      byQueue.get(node.settings?.queue) ??
      queues[i % Math.max(1, queues.length)];
    queue?.consumers.push(node);
  });
  const heirs = new Map();
  const since_us = Math.min(...[...plan.nodes.values()].map((node) => node.from_us ?? 0));
  for (const row of queues) {
    row.consumers = inPlaces(
      row.consumers.sort((a, b) => a.node - b.node),
      heirs,
    );
    // A lane stands in the middle of those who were there at first: who comes later moves nobody.
    row.atFirst = (row.node.from_us ?? 0) <= since_us;
    row.settled =
      row.consumers.filter((node) => (node.from_us ?? 0) <= since_us).length || row.consumers.length;
  }
  const [producers, consumers] = [inPlaces(of("producer"), heirs), of("consumer")];
  return { producers, exchanges: of("exchange"), queues, consumers, heirs, wires: [...plan.wires.values()] };
}

/** Those that need a place of their own; the others are `heirs` of one that is gone before they come. */
function inPlaces(nodes, heirs) {
  const places = [];
  for (const node of nodes) {
    const free = places.find((place) => place.until_us <= (node.from_us ?? 0));
    if (free) {
      heirs.set(node.node, free.node.node);
      free.until_us = node.until_us ?? Infinity;
    } else places.push({ node, until_us: node.until_us ?? Infinity });
  }
  return places.map((place) => place.node);
}

// -- how wide words are -------------------------------------------------------------------------

/** Whether a worker's name and note fit side by side in `width`; the note may become "disconnected". */
export const isLong = (name, note, width) =>
  name.length * LETTER.name + 12 + Math.max(NOTE_LETTERS, note.length) * LETTER.word > width;

/** Whether a lane's note fits between its tail (or its name) and the count at its head. */
export const isLow = (name, note, room, sameLine) =>
  (sameLine ? name.length * LETTER.name + 12 : 0) + note.length * LETTER.note > room - COUNT_ROOM;

/** What a queue's lane says below its name. */
export function queueNote(node) {
  const notes = Object.entries(node.arguments ?? {})
    .filter(([name]) => name !== "x-queue-type" && !name.startsWith("x-dead-letter"))
    .map(([name, value]) => `${name.replace("x-", "")} ${value}`);
  return [`${node.queue_type ?? "classic"} queue`, ...notes].join(", ");
}

const between = (low, high, value) => Math.round(Math.max(low, Math.min(high, value)));

const longest = (values) => values.reduce((most, value) => Math.max(most, value), 0);

/** The default exchange's name stands in two lines. */
const exchangeHalf = ({ exchanges }) =>
  longest(exchanges.map(({ name }) => ((name || "exchange").length * LETTER.name) / 2));

const producerWidth = ({ producers }) =>
  between(
    PRODUCER.min,
    PRODUCER.max,
    longest(
      producers.map(
        ({ name, about }) => 34 + Math.max(name.length * LETTER.name, (about ?? "").length * LETTER.note),
      ),
    ),
  );

const consumerWidth = ({ consumers }) =>
  between(
    CONSUMER_WIDTH.min,
    CONSUMER_WIDTH.max,
    longest(consumers.map(({ name }) => 4 + name.length * LETTER.name)),
  );

/** What the longest binding key needs between exchanges and lanes; the default exchange's are not written. */
const keyRoom = ({ wires, exchanges }) =>
  Math.min(
    190,
    longest(
      wires.map(({ kind, source, label }) =>
        kind === "binding" && exchanges.some(({ node, name }) => node === source && name)
          ? label.length * LETTER.key + 30
          : 0,
      ),
    ),
  );

// -- wide ---------------------------------------------------------------------------------------

function placeWide(parts, width, size) {
  const nodes = new Map();
  const { exchangeX, making, ...columns } = columnsOf(parts, width, size.lane.cell);
  const { laneX, consumerX, working, cell } = columns;
  const roomy = roomFor(parts, { ...size, lane: { ...size.lane, cell } }, columns);
  const y = placeRows(parts, nodes, roomy, columns);
  const settledEnd = placeRows(atFirst(parts), new Map(), roomy, columns);
  const wish = (node) =>
    mean(
      parts.wires
        .filter((w) => w.source === node.node && w.kind !== "publish")
        .map((w) => centre(nodes.get(w.target))),
    );
  const exchangeEnd = stackColumn(
    parts.exchanges.map((node) => ({
      node,
      wish: wish(node),
      above: EXCHANGE.radius,
      below: EXCHANGE.radius + EXCHANGE.below,
    })),
    (node, middle) => nodes.set(node.node, exchange(node, exchangeX, middle)),
  );
  const target = (node) =>
    mean(parts.wires.filter((w) => w.source === node.node).map((w) => centre(nodes.get(w.target))));
  const producerEnd = stackColumn(
    parts.producers.map((node) => ({
      node,
      wish: target(node),
      above: PRODUCER.height / 2,
      below: PRODUCER.height / 2 + PRODUCER.gap,
    })),
    (node, middle) => nodes.set(node.node, producer(1, Math.round(middle - PRODUCER.height / 2), making)),
  );
  const foot = FOOT + (returns(parts) ? 28 : 0);
  const heads = [
    ["producer", 0],
    ["exchange", exchangeX - EXCHANGE.radius],
    ["queue", laneX],
    ["consumer", consumerX],
  ];
  return {
    nodes,
    width: consumerX + working + 2,
    height: Math.max(220, y, exchangeEnd, producerEnd) + foot,
    settled: Math.max(220, settledEnd, exchangeEnd, producerEnd) + foot,
    heads: heads.map(([kind, x]) => ({ kind, x, count: parts[`${kind}s`].length })),
  };
}

/**
 * Where the columns stand, and how a lane is shared out: by what its workers may hold, not by what they hold
 * now, so that its head stays where it is. Wires give way before messages become small.
 */
function columnsOf(parts, width, cellMax) {
  const making = producerWidth(parts);
  const working = consumerWidth(parts);
  const half = Math.ceil(exchangeHalf(parts)) + 10;
  const radius = longest(parts.exchanges.map(radiusOf)) || EXCHANGE.radius;
  const notes = longest(parts.queues.map(({ node }) => queueNote(node).length * LETTER.note));
  const asked = between(1, RECEIPTS.most, longest(parts.queues.map(kept)));
  const at = (gap) => {
    const exchangeX = making + Math.max(gap + radius, half);
    const laneX = exchangeX + Math.max(radius + Math.max(gap, keyRoom(parts)), half);
    const laneWidth = Math.max(LANE_WIDTH_MIN, Math.ceil(notes), width - working - 2 - gap - laneX);
    return { making, working, exchangeX, laneX, laneWidth, consumerX: laneX + laneWidth + gap };
  };
  const gap = between(40, 96, width * 0.06);
  const missing = (asked + READY.comfortable) * CELL_MIN + 5 - at(gap).laneWidth;
  const columns = at(missing > 0 ? between(GAP_MIN, gap, Math.floor(gap - missing / 3)) : gap);
  return { ...columns, ...share(columns.laneWidth, asked, cellMax) };
}

/** {receipts, cell}: how many receipts of `asked` have a place in a lane, and how wide one message is. */
function share(laneWidth, asked, cellMax) {
  const room = laneWidth - 5;
  const receipts = between(1, asked, Math.floor(room / CELL_MIN) - READY.least);
  return { receipts, cell: between(CELL_MIN, cellMax, Math.floor(room / (receipts + READY.most))) };
}

/** `size`, with room for notes that do not fit beside the names. */
function roomFor(parts, size, { working, laneWidth, receipts }) {
  const { lane, consumer: each } = size;
  const long = parts.consumers.some((node) => isLong(node.name, node.about ?? "", working));
  const sameLine = lane.above < MIDDLE.lane.above;
  const low = parts.queues.some(({ node }) =>
    isLow(node.name, queueNote(node), laneWidth - receipts * lane.cell - 3, sameLine),
  );
  return {
    ...size,
    consumer: { ...each, gap: long ? Math.max(each.gap, NOTE_BELOW) : each.gap, note: long ? NOTE_BELOW : 0 },
    lane: { ...lane, below: low ? Math.max(lane.below, NOTE_BELOW) : lane.below },
  };
}

/** `parts` without the lanes and workers that come later. */
function atFirst({ queues }) {
  const first = queues.filter((row) => row.atFirst);
  return {
    queues: (first.length ? first : queues).map((row) => ({
      ...row,
      consumers: row.consumers.slice(0, row.settled),
    })),
  };
}

/** Lanes from top to bottom, each with its workers beside it. Returns where they end. */
function placeRows(parts, nodes, size, { laneX, laneWidth, consumerX, working, receipts }) {
  const each = size.consumer;
  let y = HEAD;
  for (const row of parts.queues) {
    const stack = row.settled * (each.above + each.height + each.gap) - each.gap;
    const own = size.lane.above + size.lane.height + size.lane.below;
    const height = Math.max(own, row.consumers.length ? stack + each.note + 8 : 0);
    const middle = Math.round(
      y + Math.max(size.lane.above + size.lane.height / 2, (height - each.note + each.above) / 2),
    );
    nodes.set(
      row.node.node,
      lane(laneX, middle, laneWidth, row.consumers.length ? receipts : 0, size, row.node),
    );
    let top = Math.round(middle - (stack - each.above) / 2);
    for (const node of row.consumers) {
      nodes.set(node.node, consumer(consumerX, top, working, size));
      top += each.height + each.gap + each.above;
    }
    const workersEnd = row.consumers.length ? top - each.above - each.gap + each.note + 4 : 0;
    y = Math.max(y + height, middle + size.lane.height / 2 + size.lane.below, workersEnd) + size.row;
  }
  return y;
}

/**
 * Puts the items of a column where they wish, pushing down what would overlap. Returns where the column ends.
 */
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

/** How many messages a queue's workers may hold at once; 4 each where nothing limits them. */
const kept = (row) =>
  row.consumers.reduce(
    (sum, node) => sum + (node.consumes[row.node.node]?.prefetch || RECEIPTS.unlimited),
    0,
  );

/** Whether somebody publishes from the right end of the stage back to its left. */
const returns = (parts) =>
  parts.wires.some(
    (wire) =>
      wire.kind === "publish" &&
      parts.queues.some((row) => row.consumers.some((node) => node.node === wire.source)),
  );

// -- narrow -------------------------------------------------------------------------------------

const GUTTER = 48;

function placeNarrow(parts, width) {
  const nodes = new Map();
  const making = Math.min(producerWidth(parts), width - 4);
  const half = Math.max(EXCHANGE.radius, exchangeHalf(parts));
  const exchangeX = Math.min(
    Math.round(width - half - 6),
    Math.max(Math.round(width * 0.66), Math.ceil(making + half + 12)),
  );
  const stacked = exchangeX - half < making + 8;
  let left = 8;
  for (const node of parts.producers) {
    nodes.set(node.node, producer(1, left, making));
    left += PRODUCER.height + 14;
  }
  let right = (stacked ? left + 12 : 8) + EXCHANGE.radius;
  for (const node of parts.exchanges) {
    nodes.set(node.node, exchange(node, exchangeX, right));
    right += EXCHANGE.radius * 2 + EXCHANGE.below;
  }
  let y = Math.max(left, right - EXCHANGE.radius) + 12;
  const room = width - GUTTER - 2;
  const { receipts } = share(room, between(2, RECEIPTS.most, longest(parts.queues.map(kept))), CELL_MIN);
  const cell = between(CELL_MIN, 46, Math.floor((room - 5) / (receipts + READY.least)));
  const size = { ...ROOMY, lane: { ...ROOMY.lane, cell, above: 60 } };
  for (const row of parts.queues) {
    const middle = y + size.lane.above + size.lane.height / 2;
    nodes.set(row.node.node, lane(GUTTER, middle, room, row.consumers.length ? receipts : 0, size, row.node));
    y += size.lane.above + size.lane.height + 36;
    y = placeWorkers(row, width, nodes, size, y) + 14;
  }
  return { nodes, close: false, height: y + 4, heads: [] };
}

/** Workers below their lane, two beside each other. Returns where they end. */
function placeWorkers(row, width, nodes, size, top) {
  const half = Math.min(CONSUMER_WIDTH.min, Math.floor((width - GUTTER - 14) / 2));
  const room = width - GUTTER - 2;
  const needed = longest(row.consumers.map(({ name }) => name.length * LETTER.name));
  const abreast = needed <= half ? 2 : 1;
  const each = abreast > 1 ? half : Math.min(room, Math.max(CONSUMER_WIDTH.min, Math.ceil(needed)));
  let y = top;
  row.consumers.forEach((node, i) => {
    if (i && i % abreast === 0) y += size.consumer.height + 54;
    const column = abreast === 1 || (row.settled === 1 ? i % 2 === 0 : i % 2);
    nodes.set(node.node, consumer(width - 2 - each - (column ? 0 : each + 10), y, each, size));
  });
  return row.consumers.length ? y + size.consumer.height + 44 : y - 10;
}

// -- boxes --------------------------------------------------------------------------------------

const producer = (x, y, width) => ({ kind: "producer", x, y, width, height: PRODUCER.height });

const consumer = (x, y, width, size) => ({
  kind: "consumer",
  x,
  y,
  width,
  height: size.consumer.height,
  scale: size.scale,
});

const radiusOf = (node) => (node.name === "" ? 20 : EXCHANGE.radius);

function exchange(node, x, middle) {
  const radius = radiusOf(node);
  return {
    kind: "exchange",
    x: x - radius,
    y: middle - radius,
    width: radius * 2,
    height: radius * 2,
    radius,
  };
}

/**
 * A lane: cells left of the head bar, receipts right of it; none where nobody consumes. `dead`: for dead
 * letters.
 */
function lane(x, middle, width, receipts, size, node) {
  const { cell } = size.lane;
  const dead = node.place === "dead";
  const height = size.lane.height + (dead ? DEAD_HEIGHT : 0);
  const headX = x + width - receipts * cell - 3;
  return {
    kind: "queue",
    x,
    y: middle - height / 2,
    width,
    height,
    cell,
    headX,
    cells: Math.floor((headX - x) / cell),
    receipts,
    dead,
  };
}

// -- wires --------------------------------------------------------------------------------------

/** The way from one node to another, as a path with points. */
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
  if (figure.narrow && box.kind === "queue")
    return [box.headX + (box.receipts * box.cell) / 2, box.y + box.height + 2];
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
  if (Math.abs(y1 - y0) < 2)
    return [
      [x0, y0],
      [x1, y1],
    ];
  const points = [];
  for (let i = 0; i <= 24; i++) {
    const u = i / 24;
    points.push([
      x0 + (x1 - x0) * (1.5 * u - 1.5 * u * u + u * u * u),
      y0 + (y1 - y0) * (3 * u * u - 2 * u * u * u),
    ]);
  }
  return points;
}

/** Back to the left, under the lanes. */
function around(figure, [x0, y0], [x1, y1]) {
  const floor = figure.height - 12;
  return [
    [x0, y0],
    [x0 + 10, y0 + 8],
    [x0 + 10, floor - 8],
    [x0, floor],
    [x1 - 14, floor],
    [x1 - 22, floor - 8],
    [x1 - 22, y1],
    [x1, y1],
  ];
}

const RUN_X = 24;

/** From an exchange down the left edge, far enough from it that a message on the way is whole. */
function narrowWay(from, to, [x0, y0], [x1, y1]) {
  if (from.kind === "queue") return vertical([x0, y0], [x1, y1]);
  if (to.kind !== "queue") return x1 > x0 ? curve([x0, y0], [x1, y1]) : vertical(...belowTo(from, to));
  const turn = y0 + 50;
  return [
    [x0, y0],
    [x0, turn - 6],
    [x0 - 6, turn],
    [RUN_X + 8, turn],
    [RUN_X, turn + 8],
    [RUN_X, y1 - 8],
    [RUN_X + 6, y1],
    [x1, y1],
  ];
}

/** From under a producer to the top of an exchange that stands below it. */
const belowTo = (from, to) => [
  [Math.min(from.x + from.width - 30, to.x + to.width / 2), from.y + from.height],
  [to.x + to.width / 2, to.y - 3],
];

/** From a lane's receipts down to a worker; the last piece is plumb, so that the arrow is. */
function vertical([x0, y0], [x1, y1]) {
  const bend = curve([y0, x0], [y1 - 10, x1]).map(([y, x]) => [x, y]);
  return [...bend, [x1, y1]];
}
