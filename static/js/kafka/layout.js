// Where a cluster stands: producers, topics with a row a partition, groups with their members. Pure.
//
// Wide: producers | rows of cells | groups; brokers below the producers where there is room, else below the
// rows. Narrow: the same from top to bottom. All partitions of a topic share their columns. All numbers are
// CSS px of the figure; nothing here depends on what lies in the logs, so that rows stay where they are.

import { isShared } from "mailroom/kafka/fold.js";
import { path } from "mailroom/scene/tween.js";

const NARROW = 720;
const LETTER = { name: 8.2, note: 7.3, word: 6.9 };

/** Rows of at least this height (px) leave room for words of the usual size. */
export const ROOMY = 32;
/** Where four rows would not fit on the screen, and where eight would not. */
const CLOSER = { cell: 34, above: 21, below: 20, scale: 0.74, follower: 10, labelled: true };
const CLOSEST = { cell: 34, tall: 30, above: 18, below: 19, scale: 0.66, follower: 0, labelled: true };
/**
 * Up to so many rows: cell (px; `tall` where it is lower than wide), room above and below a row's rails,
 * scale of a record, height of a follower.
 */
const SIZES = [
  { most: 4, cell: 42, above: 30, below: 22, scale: 0.84, follower: 13, labelled: true },
  { most: 8, cell: 34, above: 21, below: 20, scale: 0.74, follower: 0, labelled: true },
  { most: Infinity, cell: 20, above: 9, below: 17, scale: 0.38, follower: 0, labelled: false },
];
/** More rows than these are not drawn: a line says how many more there are. */
export const ROWS_MAX = 12;
const FOLLOWERS_MAX = 12;
/** What a group after the second adds below each row: a line with its bar; of a mini the bar alone. */
export const BAND = 17;
const BAND_MINI = 9;
/** So high over the rails a record comes to its cell, and over what is written there; along a mini itself. */
const RIDE = 9;
/** What is done and not committed is said above the pointers of the second group, which stand above a row. */
const SECOND_ABOVE = 12;
const NARROW_ABOVE = 20;
const COLUMNS_MAX = 26;
const MEMBERS = [
  { most: 4, height: 54, above: 24, gap: 16, scale: 0.84 },
  { most: 8, height: 44, above: 21, gap: 7, scale: 0.78 },
  { most: Infinity, height: 34, above: 19, gap: 5, scale: 0.6 },
];
const MEMBER_WIDTH = { min: 156, max: 290 };
const PRODUCER = { min: 76, max: 220, height: 50, gap: 22, many: 4, less: 10 };
/** From a figure of so many px on brokers may stand below the producers, so far apart from them. */
const BROKER = { width: 118, height: 42, gap: 10, stacked: 6, leftFrom: 1000, apart: 20 };
const HEAD = 20;
const OFFSETS = 20;
/** Below what stands in the figure. */
const FOOT = 2;
/**
 * A rebalance's phases: beside the first topic's name from so many px on, which costs no room; else over many
 * rows, so that they are in sight while those scroll, in one line or two, or below a few.
 */
const PHASES = { beside: 420, under: 58, narrow: 56, overFrom: 5, one: 28, two: 48, oneLine: 840 };
const WIRES = 104;
/** Right of the members: commits go up there, beside the words. */
const RIM = 12;
const GUTTER = { left: 46, right: 18, head: 20 };

/**
 * @returns {{width, height, narrow, close, heads, nodes: Map, wires: Map, topics: Map, groups: Map,
 * phases}} places of `plan`'s nodes in `width`, from `top` on; `room` is how high the figure may be on the
 * screen.
 */
export function layout(plan, width, { top = 0, room = Infinity } = {}) {
  const parts = sort(plan);
  const narrow = width < NARROW;
  const [size, closer] = sizesFor(parts);
  const placed = (size) => {
    const places = { nodes: new Map(), wires: new Map(), topics: new Map(), groups: new Map() };
    const figure = { width, narrow, close: false, heads: [], ...places, size, room };
    return Object.assign(figure, narrow ? placeNarrow(parts, figure, top) : placeWide(parts, figure, top));
  };
  let figure = placed(size);
  // Not by its height: a member that comes later would make all rows smaller.
  if (!narrow && closer && figure.rowsHeight > room) {
    const lower = placed(closer);
    if (lower.rowsHeight < figure.rowsHeight) figure = lower;
  }
  for (const [node, first] of parts.heirs) figure.nodes.set(node, figure.nodes.get(first));
  return figure;
}

// -- what there is ------------------------------------------------------------------------------

function sort(plan) {
  const nodes = [...plan.nodes.values()];
  const of = (kind) => nodes.filter((node) => node.kind === kind);
  const logs = [...plan.logs.values()].filter((log) => plan.nodes.get(log.node)?.kind === "partition");
  let free = ROWS_MAX;
  const topics = of("topic").map((node) => {
    const all = logs.filter((log) => log.topic === node.node).sort((a, b) => a.number - b.number);
    const rows = all.slice(0, Math.max(1, free));
    free -= rows.length;
    return { node, rows, more: all.slice(rows.length), groups: [] };
  });
  const heirs = new Map();
  const groups = of("group").map((node) => ({ node, members: [], shared: isShared(plan, node.node) }));
  for (const node of of("consumer")) {
    const group = plan.readers.get(node.node)?.group ?? node.settings?.group;
    (groups.find((each) => each.node.node === group) ?? groups[0])?.members.push(node);
  }
  for (const group of groups) {
    const read = new Set(group.members.flatMap(({ node }) => [...(plan.readers.get(node)?.reads ?? [])]));
    for (const topic of topics) if (!read.size || read.has(topic.node.node)) topic.groups.push(group);
    group.members = inPlaces(group.members, heirs);
  }
  return {
    topics,
    groups,
    heirs,
    brokers: of("broker"),
    producers: inPlaces(of("producer"), heirs),
    wires: [...plan.wires.values()],
  };
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

/** The sizes that so many rows may have, the largest first. */
function sizesFor(parts) {
  const rows = parts.topics.reduce((sum, topic) => sum + topic.rows.length, 0);
  const size = SIZES.find(({ most }) => rows <= most);
  return [size, [CLOSER, CLOSEST][SIZES.indexOf(size)]].map((each) => each && sizeOf(parts, each, rows));
}

function sizeOf({ topics }, size, rows) {
  const replicas = Math.max(1, ...topics.flatMap((topic) => topic.rows.map((log) => log.replicas.length)));
  const followers = size.follower && rows * (replicas - 1) <= FOLLOWERS_MAX ? replicas - 1 : 0;
  return { ...size, rows, followers, band: size.labelled ? BAND : BAND_MINI };
}

/** What the groups that read a topic add to each of its rows, px. */
function linesOf({ groups }, { above, band, labelled }) {
  const second = labelled && groups.length > 1;
  // Who has acquired which records is written in a line of its own.
  const bands = Math.max(0, groups.length - 2) + (labelled && groups.some(({ shared }) => shared) ? 1 : 0);
  return {
    above: above + (second ? SECOND_ABOVE : 0),
    ride: labelled ? RIDE + (second ? BAND : 0) : 0,
    bands: bands * band,
  };
}

const between = (low, high, value) => Math.round(Math.max(low, Math.min(high, value)));
const longest = (values) => values.reduce((most, value) => Math.max(most, value), 0);
const wide = (text, letter) => (text ?? "").length * letter;

/** Words that may stand at a member's right: what it is doing, or what it is said to do. */
const NOTE_LETTERS = 12;
/** At a group's right, where the rows do not say its lag: "3 members, lag 123". */
const LAG_LETTERS = 19;

/** Whether a member's name and note fit side by side. */
export const isLong = (name, note, width) =>
  wide(name, LETTER.name) + 12 + Math.max(NOTE_LETTERS, note.length) * LETTER.word > width;

const memberWidth = ({ groups }, size) =>
  between(
    MEMBER_WIDTH.min,
    MEMBER_WIDTH.max,
    longest(
      groups.flatMap(({ node, members }) => [
        wide(`group ${node.name}`, LETTER.name) +
          12 +
          (size.labelled ? NOTE_LETTERS : LAG_LETTERS) * LETTER.word,
        ...members.map(({ name, about }) => {
          const note = Math.max(NOTE_LETTERS, (about ?? "").length) * LETTER.word;
          return wide(name, LETTER.name) + 16 + note;
        }),
      ]),
    ),
  );

const producerWidth = ({ producers }) =>
  between(
    PRODUCER.min,
    PRODUCER.max,
    longest(
      producers.map(({ name, about }) => 34 + Math.max(wide(name, LETTER.name), wide(about, LETTER.note))),
    ),
  );

/** Room for a partition's name and its leader's, left of the cells. */
const labelWidth = ({ brokers, topics }) =>
  Math.max(
    wide("no leader", LETTER.note),
    wide(`P${longest(topics.flatMap(({ rows }) => rows.map((log) => log.number)))}`, 9.6),
    brokers.length > 1 ? Math.min(96, longest(brokers.map(({ name }) => wide(name, LETTER.note)))) : 0,
  );

// -- wide ---------------------------------------------------------------------------------------

function placeWide(parts, figure, top) {
  const { width, size } = figure;
  const working = memberWidth(parts, size);
  const labels = Math.ceil(labelWidth(parts));
  const alone = parts.groups.some(({ shared }) => !shared);
  const over = alone ? phasesOver(parts, size, width, width - RIM - working) : null;
  const begin = top + 2 + (over?.beside ? 0 : (over?.height ?? 0));
  const place = (making) => {
    const cellsX = making + 46 + labels + 12;
    const room = width - RIM - working - WIRES - cellsX;
    const columns = Math.max(6, Math.min(COLUMNS_MAX, Math.floor(room / size.cell)));
    const rowsEnd = placeTopics(parts, figure, { cellsX, columns, labels }, begin);
    return { making, cellsX, columns, rowsEnd };
  };
  const rowsTop = begin + HEAD + OFFSETS + size.above;
  let at = place(producerWidth(parts));
  const brokersLeft = leftOfRows(parts, width, at.rowsEnd - top);
  if (brokersLeft) at = place(Math.max(at.making, brokersLeft.width));
  const { making, cellsX, columns, rowsEnd } = at;
  const memberX = Math.max(width - RIM - working, cellsX + columns * size.cell + WIRES);
  const free = brokersLeft ? rowsEnd - brokersLeft.height - BROKER.apart : rowsEnd;
  placeProducers(parts, figure, making, (rowsTop + free) / 2, top);
  const producersEnd = longest(
    parts.producers.map(({ node }) => figure.nodes.get(node).y + PRODUCER.height + 4),
  );
  let foot = Math.max(rowsEnd, producersEnd);
  if (brokersLeft) placeBrokers(parts, figure, 0, rowsEnd - brokersLeft.height, 0);
  const phases = over ?? (alone ? phasesUnder(foot + 6, memberX - 40) : null);
  if (phases && !over) foot += PHASES.under;
  if (over?.beside) Object.assign(over, besideTopic(parts, figure, memberX));
  if (!brokersLeft) foot = placeBrokers(parts, figure, 0, foot + 6, memberX - 60);
  const groupsEnd = placeGroups(parts, figure, memberX, working, begin, rowsEnd);
  const height = Math.max(220, foot, groupsEnd) + FOOT;
  wireProducers(parts, figure, (box, row) => publishWay(box, row));
  const rowsHeight = foot + FOOT;
  return { width: memberX + working + RIM, height, rowsHeight, phases, columns, cellsX, memberX };
}

/** Where the phases of a rebalance are written at the rows' head, which ends at `right`; null: below them. */
function phasesOver(parts, { rows, cell }, width, right) {
  const making = Math.max(producerWidth(parts), width < BROKER.leftFrom ? 0 : brokerWidth(parts.brokers));
  const cellsX = making + 46 + Math.ceil(labelWidth(parts)) + 12;
  const memberX = Math.max(right, cellsX + 6 * cell + WIRES);
  const { x, width: free } = besideName(parts.topics[0], cellsX, memberX);
  if (free >= PHASES.beside) return { x, width: free, height: HEAD, lines: 1, beside: true };
  if (rows < PHASES.overFrom) return null;
  const lines = right - 40 >= PHASES.oneLine ? 1 : 2;
  return { x: 0, y: 0, width: right - 40, height: lines === 1 ? PHASES.one : PHASES.two, lines };
}

/** {x, width} of the room between a topic's name, which begins at `x`, and its groups. */
function besideName(topic, x, right) {
  if (!topic) return { x, width: 0 };
  const begin = x + nameWidth(topic) + 16;
  return { x: begin, width: right - 24 - begin };
}

const nameWidth = ({ node, rows, more }) =>
  Math.ceil(
    wide(`topic ${node.name}`, LETTER.name) +
      18 +
      wide(`${rows.length + more.length} partitions`, LETTER.note),
  );

function besideTopic({ topics }, figure, right) {
  const { x, y } = figure.nodes.get(topics[0].node.node);
  return { y, ...besideName(topics[0], x, right) };
}

const phasesUnder = (y, width) => ({ x: 0, y, width, height: PHASES.under - 8, lines: 0, under: true });

/** {width, height} of the brokers where they find room below the producers, so that the figure is lower. */
function leftOfRows({ brokers, producers }, width, rowsHeight) {
  if (width < BROKER.leftFrom || !brokers.length) return null;
  const height = brokers.length * (BROKER.height + BROKER.stacked) - BROKER.stacked;
  const making = producers.length * (PRODUCER.height + gapOf(producers)) - gapOf(producers);
  const fits = HEAD + OFFSETS + making + BROKER.apart + height <= rowsHeight;
  return fits ? { width: brokerWidth(brokers), height } : null;
}

const gapOf = (producers) => (producers.length < PRODUCER.many ? PRODUCER.gap : PRODUCER.less);

const brokerWidth = (brokers) =>
  between(BROKER.width, 210, longest(brokers.map(({ name }) => wide(name, LETTER.name) + 26)));

/** Topics from top to bottom, a row a partition. Returns where they end. */
function placeTopics(parts, figure, { cellsX, columns, labels }, top) {
  const { size, narrow } = figure;
  const leaderWidth = longest(parts.brokers.map(({ name }) => wide(name, LETTER.note)));
  let y = top;
  for (const each of parts.topics) {
    const { node, rows, more, groups } = each;
    const { above, ride, bands } = linesOf(each, size);
    const { tall = size.cell } = size;
    const width = columns * size.cell;
    const topic = {
      kind: "topic",
      x: narrow ? GUTTER.head : cellsX,
      y,
      width: narrow ? figure.width - GUTTER.head - 2 : nameWidth(each),
      height: HEAD,
      columns,
      cellsX,
      cell: size.cell,
      offsetsY: y + HEAD + OFFSETS / 2 + 3,
      rows: rows.map((log) => log.node),
      more: more.map((log) => log.node),
      groups: groups.map((group) => group.node.node),
    };
    figure.nodes.set(node.node, topic);
    figure.topics.set(node.node, topic);
    y += HEAD + OFFSETS;
    for (const log of rows) {
      y += above + (narrow ? NARROW_ABOVE : 0);
      const box = {
        kind: "partition",
        topic: node.node,
        number: log.number,
        x: cellsX,
        y,
        width,
        height: tall,
        cell: size.cell,
        columns,
        labels,
        band: size.band,
        ride,
        leaderWidth,
        scale: size.scale,
        labelled: size.labelled,
        followers: followersOf(log, size, y + tall + size.below - 2 + bands),
      };
      figure.nodes.set(log.node, box);
      const followers = box.followers.length * (size.follower + 3);
      y += tall + size.below + bands + followers;
    }
    if (more.length) {
      topic.moreY = y + 14;
      y += 30;
    }
    y += 12;
  }
  return y - 12;
}

function followersOf(log, size, top) {
  return Array.from({ length: Math.min(size.followers, log.replicas.length - 1) }, (_, i) => ({
    y: top + i * (size.follower + 3),
    height: size.follower,
  }));
}

function placeProducers({ producers }, figure, width, middle, top) {
  const gap = gapOf(producers);
  const each = PRODUCER.height + gap;
  let y = Math.max(top + 40, Math.round(middle - (producers.length * each - gap) / 2));
  for (const node of producers) {
    figure.nodes.set(node.node, { kind: "producer", x: 1, y, width, height: PRODUCER.height });
    y += each;
  }
}

/** Brokers side by side, in as many lines as they need. Returns where they end. */
function placeBrokers({ brokers }, figure, left, top, right) {
  if (!brokers.length) return top;
  const each = brokerWidth(brokers);
  let [x, y] = [left, top];
  for (const node of brokers) {
    if (x + each > right && x > left) [x, y] = [left, y + BROKER.height + BROKER.stacked];
    figure.nodes.set(node.node, { kind: "broker", x: x + 1, y, width: each, height: BROKER.height });
    x += each + BROKER.gap;
  }
  return y + BROKER.height;
}

/**
 * Groups from top to bottom, their members below each name; a short stack stands in the middle of the
 * rows.
 */
function placeGroups({ groups }, figure, x, width, top, rowsEnd) {
  const count = groups.reduce((sum, { members }) => sum + members.length, 0);
  const long = groups.some(({ members }) =>
    members.some((node) => isLong(node.name, node.about ?? "", width)),
  );
  const sizes = MEMBERS.filter(({ most }) => count <= most).map((size) => {
    const each = size.above + size.height + (long ? Math.max(size.gap, 24) : size.gap);
    return { ...size, each, tall: groups.length * (HEAD + 6) + count * each + (groups.length - 1) * 14 };
  });
  const size = sizes.find(({ tall }) => top + tall <= figure.room) ?? sizes.at(-1);
  const { each, tall } = size;
  const spare = Math.max(0, rowsEnd - top - tall - 20);
  // One group's members spread over the height of the rows that they read; more groups stay together.
  const spread = groups.length === 1 && count ? Math.min(40, spare / (count + 1)) : 0;
  let y = top;
  for (const { node, members } of groups) {
    const head = { kind: "group", x, y, width, height: HEAD };
    figure.nodes.set(node.node, head);
    figure.groups.set(node.node, { ...head, members: members.map((each_) => each_.node) });
    y += HEAD + 6 + (spread ? spread : 0);
    for (const each_ of members) {
      y += size.above;
      figure.nodes.set(each_.node, consumer(x, Math.round(y), width, size));
      y += each - size.above + spread;
    }
    y += 14;
  }
  return y - 8;
}

const consumer = (x, y, width, size) => ({
  kind: "consumer",
  x,
  y,
  width,
  height: size.height,
  scale: size.scale,
});

// -- narrow -------------------------------------------------------------------------------------

function placeNarrow(parts, figure, top) {
  const { width, size } = figure;
  const making = Math.min(producerWidth(parts), width - 4);
  let y = top + 8;
  for (const node of parts.producers) {
    figure.nodes.set(node.node, { kind: "producer", x: 22, y, width: making, height: PRODUCER.height });
    y += PRODUCER.height + 12;
  }
  const cellsX = GUTTER.left;
  const columns = Math.max(4, Math.floor((width - cellsX - GUTTER.right) / size.cell));
  y = placeTopics(parts, figure, { cellsX, columns, labels: 24 }, y + 6);
  const phases = parts.groups.some(({ shared }) => !shared)
    ? { x: 0, y: y + 4, width: width - 2, height: PHASES.narrow, lines: 2, under: true }
    : null;
  if (phases) y += PHASES.narrow + 8;
  y = placeGroups(parts, figure, 0, width - GUTTER.right - 6, y + 4, 0) + 16;
  y = placeBrokers(parts, figure, 0, y, width - 2);
  wireProducers(parts, figure, (box, row) => narrowWay(box, row));
  return { height: y + 14, phases, columns, cellsX, memberX: 0 };
}

// -- wires --------------------------------------------------------------------------------------

/** A producer's wire forks to all partitions of the topics it publishes to; so does a member's. */
function wireProducers(parts, figure, way) {
  for (const { source, target, kind } of parts.wires) {
    const [box, topic] = [figure.nodes.get(source), figure.topics.get(target)];
    if (kind !== "publish" || !box || !topic) continue;
    const from = box.kind === "consumer" ? (row) => outputWay(figure, box, row, parts.groups.length) : null;
    for (const each of topic.rows) {
      const row = figure.nodes.get(each);
      figure.wires.set(`${source} ${each}`, from ? from(row) : way(box, row));
    }
  }
}

const middleOf = (box) => box.y + box.height / 2;

function publishWay(box, row) {
  const [x0, x1] = [box.x + box.width + 1, row.x - row.labels - 18];
  const end = [x1, middleOf(row)];
  return path([...curve([x0, middleOf(box)], [x1 - 9, end[1]]), end]);
}

/** Down the left edge, and into the row. */
function narrowWay(box, row) {
  const y = middleOf(row);
  return path([
    [box.x, middleOf(box)],
    [17, middleOf(box)],
    [12, middleOf(box) + 5],
    [12, y - 5],
    [15, y],
    [18, y],
  ]);
}

/** From a member that produces of what it reads to the right end of a row, below what is read of it. */
function outputWay(figure, member, row, lanes) {
  const y1 = row.y + row.height - 5;
  if (figure.narrow) {
    const [x, y0] = [figure.width - 4 - lanes * 3, member.y + member.height - 8];
    return path([
      [member.x + member.width, y0],
      [x - 3, y0],
      [x, y0 - 3],
      [x, y1 + 3],
      [x - 3, y1],
      [row.x + row.width + 2, y1],
    ]);
  }
  const end = [row.x + row.width + 6, y1];
  return path([...curve([member.x - 1, member.y + member.height - 7], [end[0] + 9, y1]), end]);
}

/** Where at a row's right end the wire of the `index`-th of `count` groups begins, or is cut. */
export const laneOf = (row, index, count) =>
  middleOf(row) + (index - (count - 1) / 2) * Math.min(9, (row.height - 8) / Math.max(1, count));

/** From a row to whoever owns it for the `index`-th of `count` groups. */
export function readWay(figure, row, member, index, count) {
  const y0 = laneOf(row, index, count);
  if (figure.narrow) {
    const x = figure.width - 4 - index * 3;
    const inner = member.x + member.width;
    const y1 = member.y + member.height / 2;
    return path([
      [row.x + row.width + 1, y0],
      [x - 3, y0],
      [x, y0 + 3],
      [x, y1 - 3],
      [x - 3, y1],
      [Math.min(x - 6, inner + 3), y1],
    ]);
  }
  return path(curve([row.x + row.width + 10, y0], [member.x - 3, middleOf(member)]));
}

/** One S-curve that starts and ends level. */
export function curve([x0, y0], [x1, y1]) {
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
