// What is drawn of a cluster at a moment, and where: pure, of (scene, t, layout), without canvas or page.
//
// Records stand in the cell of their offset and never leave it; the window of columns moves, by whole
// cells. A group's pointers are offsets too. What a consumer has been sent travels as a pale copy.
//
// An item is {id, message, label, kind, look, node, zone, index, x, y, scale, …} as in view/positions.js;
// a row (drawn.rows) is what paint.js needs of one partition.

import { glided, isFetched, isShared, lagOf } from "mailroom/kafka/fold.js";
import { readWay } from "mailroom/kafka/layout.js";
import { everAt, recordAt } from "mailroom/kafka/logs.js";
import { paintOver, paintUnder } from "mailroom/kafka/paint.js";
import { need } from "mailroom/kafka/parts.js";
import { rowWords, widthOf } from "mailroom/kafka/words.js";
import { leftover, path as measured, pointAt, travelled } from "mailroom/scene/tween.js";
import { labelOf } from "mailroom/view/tokens.js";

/** What has changed at a row is news for so long, simulated µs. */
export const FRESH_US = 3_000_000;
const TRAVELLERS_MAX = 12;
/** Of one answer to a fetch, so many copies are drawn on the wire. */
const COPIES_MAX = 3;
const SHORTEST_US = 80_000;
const COPY_SCALE = 0.5;
const WIRE_SCALE = 0.7;
const RIDE_SCALE = 0.4;
const LABELLED_SCALE = 0.55;
const HELD_SCALE = 0.3;
const HELD_PITCH = 14;
/** px: a member's box of this height has one line of words, beside which its records are a number. */
export const LOW = 34;
export const MORE_WIDTH = 44;

/** All that is drawn; `motion` as in view/positions.js. */
export function positions(scene, t_us, figure, kinds, motion = "all") {
  const drawn = {
    tokens: [],
    signals: [],
    bars: [],
    slots: [],
    more: [],
    rows: [],
    words: [],
    phases: null,
    lacks: new Set(),
  };
  const seen = { scene, t_us, figure, kinds, motion, groups: [], lacks: drawn.lacks };
  seen.groups = [...figure.groups.keys()].map((node) => scene.groups.get(node)).filter(Boolean);
  for (const [node, topic] of figure.topics) drawTopic(seen, drawn, node, topic);
  for (const node of scene.nodes.values()) if (node.kind === "consumer") drawReader(seen, drawn, node);
  drawTravellers(seen, drawn);
  if (scene.transactions.size) need(seen, "marks");
  if (seen.groups.some((group) => isUnsettled(scene, group))) need(seen, "phases")?.drawPhases(seen, drawn);
  drawn.under = (c, atlas) => paintUnder(c, atlas, drawn, figure);
  drawn.over = (c, atlas) => paintOver(c, atlas, drawn, figure);
  return drawn;
}

/** Whether a group may be in a rebalance: one that is settled has all its members at work. */
const isUnsettled = (scene, { node: id, state, members }) =>
  !SETTLED.includes(state) ||
  [...members.values()].some(({ node }) => scene.nodes.get(node)?.state === "crashed") ||
  [...scene.readers.values()].some(
    ({ group, owned }) => group === id && Object.values(owned).some(({ position }) => position < 0),
  );

const SETTLED = ["Empty", "Stable"];

// -- the window of columns ----------------------------------------------------------------------

/** By so many cells the window moves when a log has grown to its end. */
export const stepOf = (columns) => Math.max(2, Math.min(6, Math.floor(columns / 3)));

/** The first offset of a window of `columns` that shows the end of a log. It grows in steps. */
export function windowOf(end, start, columns) {
  const step = stepOf(columns);
  const beyond = end - (columns - 1);
  const base = beyond <= 0 ? 0 : Math.ceil(beyond / step) * step;
  return Math.max(base, Math.floor(start / step) * step);
}

/**
 * {shared, base}: one window for all rows of a topic while their ends lie near each other, else each has
 * its own.
 */
export function windowsOf(logs, columns) {
  const ends = logs.map((log) => log.end);
  const [least, most] = [Math.min(...ends), Math.max(...ends)];
  const start = Math.min(...logs.map((log) => log.start));
  const shared = most < columns || most - least <= columns - 4 - stepOf(columns);
  return { shared, base: shared ? windowOf(most, start, columns) : 0 };
}

/** How far (cells, to the right of where they belong) a row still is after its window has moved. */
function sliding({ motion, t_us }, logs, base, columns) {
  const step = stepOf(columns);
  if (motion !== "all" || base < step) return 0;
  const mover = base + columns - step - 1;
  let at_us = Infinity;
  for (const log of logs) at_us = Math.min(at_us, everAt(log, mover)?.at_us ?? Infinity);
  return at_us === Infinity || at_us > t_us ? 0 : step * leftover(t_us, at_us);
}

// -- topics -------------------------------------------------------------------------------------

function drawTopic(seen, drawn, node, topic) {
  const { scene } = seen;
  const logs = topic.rows.map((row) => scene.logs.get(row)).filter(Boolean);
  if (!logs.length) return;
  const { shared, base } = windowsOf(logs, topic.columns);
  const common = shared ? sliding(seen, logs, base, topic.columns) : 0;
  if (shared) drawOffsets(drawn, topic, base, common, Math.min(...logs.map((log) => log.start)));
  for (const log of logs) {
    const own = shared ? base : windowOf(log.end, log.start, topic.columns);
    const slide = shared ? common : sliding(seen, [log], own, topic.columns);
    drawRow(seen, drawn, log, { base: own, slide, shared });
  }
  if (topic.more.length) drawMore(drawn, topic);
}

/** The offsets over the columns; every one, or as many as there is room for. */
function drawOffsets(drawn, topic, base, slide, start) {
  const every = topic.cell >= 30 ? 1 : 5;
  const narrow = topic.x < topic.cellsX;
  const word = {
    text: base > start ? `… ${base - start} more` : "offset",
    size: 12,
    mono: true,
    what: "before",
  };
  const at = { x: narrow ? topic.x : topic.cellsX - 12, y: topic.offsetsY, align: narrow ? "left" : "right" };
  const isSaid = !narrow || base > start;
  if (isSaid) drawn.words.push({ ...word, ...at });
  const free = narrow && isSaid ? at.x + widthOf(word) + 12 : 0;
  const end = topic.cellsX + topic.columns * topic.cell;
  for (let i = 0; i < topic.columns; i++) {
    const offset = base + i;
    const x = topic.cellsX + (i + 0.5 + slide) * topic.cell;
    if (offset % every || x < free || x > end) continue;
    drawn.words.push({
      x,
      y: topic.offsetsY,
      text: String(offset),
      align: "center",
      mono: true,
      what: "offset",
    });
  }
}

/** Partitions that there is no row for: how many. What their groups have yet to read stands at the groups. */
function drawMore(drawn, topic) {
  const count = topic.more.length;
  const text = `and ${count} more partition${count === 1 ? "" : "s"}`;
  drawn.words.push({ x: topic.cellsX, y: topic.moreY, text, align: "left", what: "more" });
}

function drawRow(seen, drawn, log, { base, slide, shared }) {
  const { scene, figure, t_us } = seen;
  const box = figure.nodes.get(log.node);
  const last = base + box.columns;
  const from = Math.max(base, log.start);
  const right = box.x + box.width;
  const xOf = (offset) =>
    Math.min(right, box.x + (Math.max(base, Math.min(last, offset)) - base + slide) * box.cell);
  const row = {
    box,
    log,
    base,
    slide,
    shared,
    first: from,
    next: Math.max(from, Math.min(log.end, last)),
    xOf,
    within: (offset) => offset >= base && offset <= last,
    before: Math.max(0, base - log.start),
    gaps: [],
    struck: [],
    tombstones: [],
    markers: [],
    open: [],
    done: [],
    pointers: [],
    shares: [],
    followers: [],
    begun: false,
    isFresh: Boolean(log.led) && t_us - log.led.at_us < FRESH_US,
    marks: log.led || log.synced || log.gone || log.lso < log.hw ? need(seen, "marks") : undefined,
  };
  for (let offset = from; offset < row.next; offset++)
    drawRecord(seen, drawn, row, recordAt(log, offset), offset);
  row.marks?.drawGone(seen, drawn, row);
  // Each group has its own texture; its place at a row is among those that read from this topic.
  const order = figure.topics.get(log.topic).groups;
  seen.groups.forEach((group, texture) => {
    const place = order.includes(group.node) ? order.indexOf(group.node) : order.length;
    drawPointers(seen, row, group, { place, texture });
    if (isShared(scene, group.node)) need(seen, "shares")?.drawShare(seen, row, group, place);
  });
  drawFollowers(seen, drawn, row);
  drawn.rows.push(row);
  rowWords(seen, drawn, row);
}

function drawRecord(seen, drawn, row, record, offset) {
  const { box, log } = row;
  const x = row.xOf(offset) + box.cell / 2;
  const y = box.y + box.height / 2;
  if (x > box.x + box.width) return undefined;
  if (!record) return row.gaps.push(x);
  if (record.transactional || record.marker || record.tombstone) {
    row.marks ??= need(seen, "marks");
    row.marks?.drawMark(row, record, x, y);
  }
  if (record.marker) return undefined;
  drawn.tokens.push(
    recordItem(seen, record.message, {
      id: `${log.node}.${offset}`,
      node: log.node,
      zone: "log",
      index: offset,
      x,
      y,
      scale: box.scale,
      labelled: box.labelled,
      first: !row.begun,
      look: record.aborted || record.tombstone ? "replica" : "body",
      aborted: record.aborted,
      since_us: record.at_us,
    }),
  );
  row.begun = true;
  return undefined;
}

/** A record as something to draw; `at` says where and how. */
export const recordItem = ({ scene, kinds, t_us }, message, at) => ({
  ...labelOf(scene, message, kinds),
  copy: 0,
  attempt: 0,
  token: null,
  redelivered: false,
  deliveries: 0,
  t_us,
  look: "body",
  ...at,
});

/** Followers as thin rows of pale records, as far as each has copied. */
function drawFollowers({ scene, kinds }, drawn, row) {
  const { box, log } = row;
  const brokers = log.replicas.filter((broker) => broker !== log.leader);
  box.followers.forEach((place, i) => {
    const broker = brokers[i];
    if (broker === undefined) return;
    const end = Math.min(log.ends[broker] ?? log.start, row.base + box.columns);
    const name = scene.nodes.get(broker)?.name ?? "";
    const behind = Math.max(0, log.end - (log.ends[broker] ?? log.start));
    const inSync = log.isr.includes(broker);
    row.followers.push({
      ...place,
      end: Math.max(row.first, end),
      name,
      behind,
      inSync,
      down: scene.nodes.get(broker)?.state === "crashed",
    });
    for (let offset = row.first; offset < end; offset++) {
      const record = recordAt(log, offset);
      if (!record || record.marker || row.xOf(offset + 1) - row.xOf(offset) < box.cell - 1) continue;
      drawn.tokens.push({
        ...labelOf(scene, record.message, kinds),
        id: `${log.node}.${offset}.${broker}`,
        copy: 0,
        attempt: 0,
        token: null,
        redelivered: false,
        deliveries: 0,
        look: "replica",
        node: log.node,
        zone: "log",
        index: offset,
        x: row.xOf(offset) + box.cell / 2,
        y: place.y + place.height / 2,
        scale: 0.24,
        labelled: false,
        since_us: record.at_us,
      });
    }
  });
}

// -- groups' pointers ---------------------------------------------------------------------------

/** Who owns a partition for a group, null for nobody: of two that think so the one that is a member. */
export function ownerOf(scene, group, partition) {
  const owners = [...scene.readers.values()].filter((each) => each.group === group && each.owned[partition]);
  if (owners.length < 2) return owners[0] ?? null;
  const members = new Set([...scene.groups.get(group).members.values()].map(({ node }) => node));
  owners.sort((a, b) => members.has(b.node) - members.has(a.node) || a.node - b.node);
  return owners[0];
}

function drawPointers(seen, row, group, { place, texture }) {
  const { scene } = seen;
  const { log } = row;
  const { committed, from, hw, lag } = lagOf(scene, group.node, log.node);
  if (from === undefined) return;
  const owner = ownerOf(scene, group.node, log.node);
  const at = owner?.owned[log.node];
  // Also of a member that is gone: what it has done beyond what it had committed.
  const done = at?.worked_to >= 0 ? at : group.free[log.node];
  const worked = Math.max(from, done?.worked_to ?? from);
  const pointer = {
    group: group.node,
    name: scene.nodes.get(group.node)?.name ?? "",
    alone: seen.groups.length === 1,
    place,
    texture,
    committed,
    from,
    position: at && at.position > from ? at.position : undefined,
    hw,
    lag,
    worked,
    owner,
  };
  pointer.shown = shownOf(seen, group, pointer, log.node);
  row.pointers.push(pointer);
  if (worked > from) row.done.push({ place, from, to: worked, words: doneWords(scene, pointer, group, log) });
}

/** Where a group's pointers are seen at: they glide from offset to offset, unless nothing is to move. */
function shownOf({ motion, t_us }, group, { from, position, owner }, partition) {
  if (motion !== "all") return { from, position };
  return {
    from: glided(from, group.glides[partition], t_us),
    position: position === undefined ? position : glided(position, owner.glides[partition], t_us),
  };
}

/** "done by c2, not committed", where that matters: nobody goes on from there, or much of it is at stake. */
function doneWords(scene, { owner, worked, from }, group, log) {
  const by = owner?.node ?? group.free[log.node]?.node;
  const name = scene.nodes.get(by)?.name;
  const gone = !owner || scene.nodes.get(owner.node)?.state === "crashed";
  if (!gone && worked - from < 3) return "";
  return name ? `done by ${name}, not committed` : "done, not committed";
}

// -- members ------------------------------------------------------------------------------------

/** The record that is being worked on rightmost, what waits below the words, in the order of the work. */
function drawReader(seen, drawn, node) {
  const { scene, figure, t_us } = seen;
  const box = figure.nodes.get(node.node);
  const reader = scene.readers.get(node.node) ?? { node: node.node, hand: [], since_us: 0 };
  if (!box || node.state === "crashed") return;
  const place = workPlace(box);
  const waits = waitPlace(box, place);
  let count = 0;
  let waiting = 0;
  for (const { partition, records } of reader.hand)
    for (const record of records) {
      if (count++ === 0) {
        drawn.tokens.push(bodyItem(seen, reader, record, partition, { ...place, zone: "working", index: 0 }));
      } else if (waiting++ < waits.most)
        drawn.tokens.push(
          bodyItem(seen, reader, record, partition, {
            x: place.x - 34 - (waiting - 1) * HELD_PITCH,
            y: waits.y,
            scale: HELD_SCALE,
            labelled: false,
            zone: "prefetched",
            index: waiting - 1,
          }),
        );
    }
  if (!count) drawn.slots.push({ x: place.x, y: place.y, radius: 19 * box.scale });
  if (waiting > waits.most)
    drawn.more.push({
      node: reader.node,
      zone: "prefetched",
      count: waiting - waits.most,
      x: waits.moreX,
      y: waits.y,
    });
  const work_us = workOf(node);
  if (count && work_us && !reader.failing)
    drawn.bars.push({
      node: reader.node,
      part: Math.max(0, Math.min(1, (t_us - reader.since_us) / work_us)),
    });
}

const UNITS = { s: 1_000_000, ms: 1_000 };

/** How long the node says that it works on each record, µs; 0 when that is chance. */
function workOf({ about }) {
  const said = /^([\d.]+) (ms|s) each$/.exec(about ?? "");
  return said ? Number(said[1]) * UNITS[said[2]] : 0;
}

const workPlace = (box) => ({
  x: box.x + box.width - (box.height > 40 ? 34 : 26),
  y: box.y + box.height / 2 - (box.height > 50 ? 3 : 0),
  scale: box.scale,
  labelled: box.height > 40,
});

/** Where a member's further records stand and how many, and where the number of those stands that do not. */
function waitPlace(box, place) {
  if (box.height <= LOW) return { y: place.y, most: 0, moreX: place.x - 26 - MORE_WIDTH / 2 };
  const left = box.x + 16 + MORE_WIDTH;
  const most = Math.max(1, Math.floor((place.x - 34 - left - 6) / HELD_PITCH));
  return { y: box.y + box.height - 14, most, moreX: left - MORE_WIDTH / 2 };
}

const bodyItem = (seen, reader, record, partition, at) =>
  recordItem(seen, record.message, {
    id: `${partition}.${record.offset}@${reader.node}`,
    node: reader.node,
    since_us: reader.since_us,
    ...at,
  });

// -- on the wires -------------------------------------------------------------------------------

function drawTravellers(seen, drawn) {
  const { scene, t_us, figure } = seen;
  let travellers = 0;
  const part = (move) => {
    if (move.arrive_us <= t_us || move.depart_us > t_us) return -1;
    if (seen.motion === "none") return 1;
    if (move.arrive_us - move.depart_us < SHORTEST_US) return -1;
    travellers += 1;
    const eased = travelled(t_us, move.depart_us, move.arrive_us);
    return travellers > TRAVELLERS_MAX ? Math.round(eased) : eased;
  };
  for (const batch of scene.batches.values()) {
    const at = part(batch);
    if (at < 0) continue;
    if (batch.type === "BatchSent") drawBatch(seen, drawn, batch, at);
    else if (batch.type === "RecordsSent") drawCopies(seen, drawn, batch, at);
    else {
      const way = wayOf(seen, batch);
      if (!way) continue;
      const [x, y] = pointAt(way, at);
      drawn.signals.push({ id: `s${batch.signal}`, kind: "ack", about: 0, x, y: y + 6, move: batch });
    }
  }
  for (const signal of scene.signals.values()) {
    const at = part(signal);
    const way = at < 0 ? null : commitWay(figure, signal);
    if (!way) continue;
    const [x, y] = pointAt(way, at);
    drawn.signals.push({
      id: `s${signal.signal}`,
      kind: signal.kind,
      about: signal.about,
      x,
      y,
      move: signal,
    });
  }
}

/** A produce request: its records one behind the other, along the wire, over the row, into their cells. */
function drawBatch(seen, drawn, batch, part) {
  const way = wayOf(seen, batch);
  if (!way) return;
  const count = Math.min(COPIES_MAX, batch.messages.length);
  const row = seen.figure.nodes.get(batch.target);
  for (let i = 0; i < count; i++) {
    const [x, y] = pointAt(way, Math.max(0, part - i * 0.04));
    const scale = sizeAt(way, row, x);
    drawn.tokens.push(
      recordItem(seen, batch.messages[i], {
        id: `s${batch.signal}${i ? `.${i}` : ""}`,
        node: batch.target,
        zone: "flight",
        index: i,
        x,
        y,
        scale,
        labelled: scale >= LABELLED_SCALE,
        since_us: batch.depart_us,
        move: batch,
      }),
    );
  }
  if (batch.messages.length > count) {
    const [x, y] = pointAt(way, part);
    drawn.more.push({
      node: batch.target,
      zone: "flight",
      count: batch.messages.length - count,
      x,
      y: y - 20,
    });
  }
}

/** Over a row a record is small, to pass between the words; in its cell it is as large as those there. */
function sizeAt(way, row, x) {
  const last = way.points[way.points.length - 1][0];
  if (x < row.x - 8 || x > row.x + row.width + 8) return WIRE_SCALE;
  const landed = Math.max(0, 1 - Math.abs(last - x) / row.cell);
  return RIDE_SCALE + (row.scale - RIDE_SCALE) * landed;
}

/** What a consumer is sent: pale copies, for the log keeps its records. */
function drawCopies(seen, drawn, batch, part) {
  const way = wayOf(seen, batch);
  const log = seen.scene.logs.get(batch.source);
  if (!way || !log) return;
  let i = 0;
  for (let offset = batch.first; offset < batch.next && i < COPIES_MAX; offset++) {
    const record = recordAt(log, offset);
    if (!record || !isFetched(seen.scene, batch.target, record)) continue;
    const [x, y] = pointAt(way, Math.max(0, part - i * 0.05));
    drawn.tokens.push(
      recordItem(seen, record.message, {
        id: `s${batch.signal}.${offset}`,
        node: batch.target,
        zone: "flight",
        index: i,
        x,
        y,
        scale: COPY_SCALE,
        labelled: false,
        look: "replica",
        since_us: batch.depart_us,
        move: batch,
      }),
    );
    i += 1;
  }
}

/** The way of what travels between a client and a partition; null where one of them is not drawn. */
export function wayOf({ scene, figure }, batch) {
  const key =
    batch.type === "BatchAcknowledged"
      ? `${batch.target} ${batch.source}`
      : `${batch.source} ${batch.target}`;
  if (batch.type === "RecordsSent") {
    const [row, member] = [figure.nodes.get(batch.source), figure.nodes.get(batch.target)];
    if (row?.kind !== "partition" || !member) return null;
    const groups = [...figure.groups.keys()];
    const group = scene.readers.get(batch.target)?.group;
    return readWay(figure, row, member, Math.max(0, groups.indexOf(group)), groups.length);
  }
  const wire = figure.wires.get(key);
  const row = figure.nodes.get(batch.type === "BatchSent" ? batch.target : batch.source);
  if (!wire || row?.kind !== "partition") return null;
  if (batch.type === "BatchAcknowledged") return measured([...wire.points].reverse());
  const fromRight = figure.nodes.get(batch.source)?.kind === "consumer";
  return measured([...wire.points, ...overRow({ scene, figure }, batch.target, row, fromRight)]);
}

/** From a row's left end, or its right one, over its records to the first free cell. */
function overRow({ scene, figure }, partition, row, fromRight) {
  const log = scene.logs.get(partition);
  const topic = figure.topics.get(row.topic);
  const logs = topic.rows.map((each) => scene.logs.get(each)).filter(Boolean);
  const { shared, base } = windowsOf(logs, row.columns);
  const own = shared ? base : windowOf(log.end, log.start, row.columns);
  const x = row.x + (Math.max(0, Math.min(row.columns - 1, log.end - own)) + 0.5) * row.cell;
  const middle = row.y + row.height / 2;
  if ((x - row.x < row.cell && !fromRight) || !row.ride) return [[x, middle]];
  const above = row.y - row.ride;
  if (fromRight)
    return [
      [x + 12, above],
      [x, middle],
    ];
  return [
    [row.x - 8, above + 6],
    [row.x + 4, above],
    [x - 12, above],
    [x, middle],
  ];
}

/** A commit goes from a member up to its group's name, right of all words. */
export function commitWay(figure, { source, target }) {
  const [from, to] = [figure.nodes.get(source), figure.nodes.get(target)];
  if (!from || !to || to.kind !== "group" || from.kind !== "consumer") return null;
  const x = from.x + from.width + 6;
  return measured([
    [x, from.y + from.height / 2],
    [x, to.y + to.height / 2],
  ]);
}
