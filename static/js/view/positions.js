// What is drawn at a moment, and where: a pure function of (scene, t, layout). No canvas, no page.
//
// An item is {id, copy, attempt, message, label, kind, look, node, zone, index, x, y, scale, …marks}. Who
// draws frame after frame gives a `memo` (a Map): then the items of the last moment are brought up to date
// instead of made anew.

import { tokenKey, zoneKeys } from "mailroom/scene/reducer.js";
import { displacement, leftover, path as measured, pointAt, travelled } from "mailroom/scene/tween.js";
import { wirePath } from "mailroom/view/layout.js";
import { labelOf } from "mailroom/view/tokens.js";

const LABELLED_MAX = 12;
const MINIS_MAX = 60;
const TRAVELLERS_MAX = 12;
const CLOSE = { scale: 0.8, pitch: 37 };
const MINI = { scale: 0.42, pitch: 19 };
const MINI_CLOSE = { scale: 0.32, pitch: 14 };
const DEAD_SCALE = 0.92;
const DEAD_SCALE_CLOSE = 0.74;
const DEAD_RISE = 4;
const MEMO_SPARE = 200;
const EXTRA_ZONES = ["delayed", "dead_lettering", "socket"];

/**
 * All that is drawn. `motion` is "all", "travel" (nothing closes up by itself: when stepping) or "none"
 * (reduced motion: what sets out is at its destination at once, and stays there).
 *
 * `tokens`, `signals` (acks and the like), `bars` (work), `slots` (free places), `more` (not drawn).
 */
export function positions(scene, t_us, figure, kinds, motion = "all", memo = new Map()) {
  const drawn = { tokens: [], signals: [], bars: [], slots: [], more: [] };
  const seen = { scene, t_us, figure, kinds, motion, memo, ways: new Map() };
  for (const node of scene.nodes.values()) {
    const box = figure.nodes.get(node.node);
    if (box?.kind === "queue") drawQueue(seen, drawn, node, box);
    else if (box?.kind === "consumer") drawConsumer(seen, drawn, node, box);
  }
  drawTravellers(seen, drawn);
  if (memo.size > 2 * drawn.tokens.length + MEMO_SPARE)
    for (const [key, known] of memo) if (known.t_us !== t_us) memo.delete(key);
  return drawn;
}

// -- what a token looks like --------------------------------------------------------------------

/** The item of a token, brought to where it is `at` ({x, y}) and how it stands there. */
function item(seen, key, at, stands) {
  const { scene, memo, t_us } = seen;
  const token = scene.tokens.get(key);
  const copy = scene.copies.get(token.copy);
  const home = scene.nodes.get(scene.facts.copies.get(token.copy)?.destination);
  let known = memo.get(key);
  if (known?.token !== token || known.held !== copy || known.home !== home) {
    known = newItem(seen, token, copy, home);
    memo.set(key, known);
  }
  known.fuse = token.attempt === 0 ? scene.fuses.get(token.copy) : undefined;
  known.twin = token.attempt > 0 && bodies(scene, token.copy, known.deliveries) > 1;
  known.t_us = t_us;
  known.alpha = 1;
  known.x = at.x;
  known.y = at.y;
  known.scale = stands?.scale ?? 1;
  known.labelled = stands?.labelled ?? true;
  known.index = stands?.index ?? 0;
  known.squares = stands?.squares ?? 0;
  return known;
}

function newItem({ scene, kinds }, token, copy, home) {
  const look =
    token.attempt === 0 && token.zone === "unacked" ? "receipt" : copy?.place === "dead" ? "dead" : "body";
  return {
    id: `${token.copy}.${token.attempt}`,
    token,
    held: copy,
    home,
    copy: token.copy,
    attempt: token.attempt,
    ...labelOf(scene, scene.facts.copies.get(token.copy)?.message ?? 0, kinds),
    look,
    node: token.node,
    zone: token.zone || "flight",
    redelivered: copy?.redelivered ?? false,
    deliveries: copy?.deliveries ?? 0,
    /** How often it may be handed out, 0 when nothing says. */
    limit: Number(home?.arguments?.["x-delivery-limit"] ?? 0),
  };
}

/** How many workers hold a body of the copy. */
function bodies(scene, copy, deliveries) {
  let count = 0;
  for (let attempt = 1; attempt <= deliveries; attempt++)
    if (scene.tokens.has(tokenKey(copy, attempt))) count += 1;
  return count;
}

// -- queues -------------------------------------------------------------------------------------

function drawQueue(seen, drawn, node, box) {
  drawRow(seen, drawn, node.node, "ready", box, -1, box.cells, box.headX - box.x);
  drawRow(seen, drawn, node.node, "unacked", box, 1, box.receipts, box.receipts * box.cell);
  EXTRA_ZONES.forEach((zone, row) => {
    zoneKeys(seen.scene, node.node, zone)
      .slice(0, 12)
      .forEach((key, index) => {
        const at = { x: box.headX - 12 - index * MINI.pitch, y: box.y + box.height + 16 + row * 20 };
        drawn.tokens.push(item(seen, key, at, { scale: MINI.scale, labelled: false, index }));
      });
  });
}

/** One zone of a lane, from the head bar outwards (`way` −1 to the tail, 1 to the receipts' end). */
function drawRow(seen, drawn, node, zone, box, way, cells, room) {
  const keys = zoneKeys(seen.scene, node, zone);
  const spot = rowSpots(keys.length, box, way, cells, room, seen.figure.narrow);
  const { drift } = seen.scene.zones.get(node)?.[zone] ?? { drift: [] };
  const stands = { scale: spot.scale, labelled: spot.labelled, index: 0, squares: underLane(box) };
  for (let index = 0; index < spot.shown; index++) {
    stands.index = index;
    const shift = displaced(seen, drift, index);
    const rest = spot.at(way > 0 ? Math.min(index + shift, Math.max(keys.length, cells) - 1) : index + shift);
    drawn.tokens.push(item(seen, keys[index], glide(seen, keys[index], rest), stands));
  }
  const more = keys.length - spot.shown;
  if (more > 0) drawn.more.push({ node, zone, count: more, x: spot.end(), y: box.y + box.height / 2 });
}

/** Where the squares of attempts stand when there is no room for them between a message and its rail. */
const underLane = (box) => (box.height < 60 && !box.dead ? box.y + box.height + 3 : 0);
const overBar = (box) => (box.height < 60 ? box.y + box.height - 20 : 0);

/** Where index i of a row of `count` stands: labelled cells, minis in three rows, or a part of them. */
export function rowSpots(count, box, way, cells, room, narrow) {
  const middle = box.y + box.height / 2;
  const capacity = Math.min(LABELLED_MAX, cells);
  const cell = (i) => ({
    x: box.headX + way * (box.cell * (i + 0.5) + (box.dead ? 6 : 2)),
    y: middle - (box.dead ? DEAD_RISE : 0),
  });
  const scale = (box.cell / 54) * (box.dead ? (box.height < 60 ? DEAD_SCALE_CLOSE : DEAD_SCALE) : 1);
  if (count <= capacity) return { shown: count, labelled: true, scale, at: cell };
  if (!narrow && way < 0 && count <= LABELLED_MAX && room >= LABELLED_MAX * CLOSE.pitch) {
    const pitch = room / LABELLED_MAX;
    return {
      shown: count,
      labelled: true,
      scale: CLOSE.scale,
      at: (i) => ({ x: box.headX - pitch * (i + 0.5) - 1, y: middle }),
    };
  }
  if (narrow && way < 0) {
    const shown = capacity - 1;
    return { shown, labelled: true, scale, at: cell, end: () => cell(shown).x };
  }
  const { scale: small, pitch: step } = box.height < 60 ? MINI_CLOSE : MINI;
  const columns = Math.floor((room - 34) / step);
  const fits = Math.min(MINIS_MAX, Math.floor((room - 4) / step) * 3);
  const shown = count <= fits ? count : Math.min(30, columns * 3);
  const mini = (i) => ({
    x: box.headX + way * (Math.floor(i / 3) * step + 13),
    y: middle + ((((i % 3) + 3) % 3) - 1) * step,
  });
  const at = (i) => (Number.isInteger(i) ? mini(i) : mini(Math.round(i)));
  return {
    shown,
    labelled: false,
    scale: small,
    at,
    end: () => box.headX + way * (Math.ceil(shown / 3) * step + 20),
  };
}

// -- consumers ----------------------------------------------------------------------------------

function drawConsumer(seen, drawn, node, box) {
  const working = zoneKeys(seen.scene, node.node, "working");
  const waiting = zoneKeys(seen.scene, node.node, "prefetched");
  const slots = consumerSlots(box, working.length, waiting.length);
  working.forEach((key, index) => {
    const stands = { scale: slots.scale, index, squares: overBar(box) };
    drawn.tokens.push(item(seen, key, glide(seen, key, slots.working(index)), stands));
    const work = seen.scene.work.get(key);
    if (work && index === 0)
      drawn.bars.push({
        node: node.node,
        part: Math.min(1, (seen.t_us - work.at_us) / (work.until_us - work.at_us || 1)),
      });
  });
  const { drift } = seen.scene.zones.get(node.node)?.prefetched ?? { drift: [] };
  for (let index = 0; index < Math.min(waiting.length, slots.shown); index++) {
    const rest = slots.waiting(index + displaced(seen, drift, index));
    const stands = { scale: slots.waitingScale, labelled: slots.labelled, index, squares: overBar(box) };
    drawn.tokens.push(item(seen, waiting[index], glide(seen, waiting[index], rest), stands));
  }
  if (waiting.length > slots.shown)
    drawn.more.push({
      node: node.node,
      zone: "prefetched",
      count: waiting.length - slots.shown,
      x: box.x + 28,
      y: box.y + 16,
    });
  if (node.state !== "crashed") drawFree(seen, drawn, node, slots, working.length + waiting.length);
}

/** The places of a worker: the working token rightmost, those that wait to its left. */
export function consumerSlots(box, working, waiting) {
  const y = box.y + box.height / 2 - 5;
  const right = box.x + box.width - 32;
  const busy = Math.max(1, working);
  const places = Math.floor((box.width - 18) / 46);
  const labelled = busy + waiting <= places;
  const columns = Math.max(1, Math.floor((box.width - 20 - busy * 46) / 17));
  return {
    scale: box.scale,
    labelled,
    places,
    shown: labelled ? waiting : columns * 3,
    waitingScale: labelled ? box.scale : 0.38,
    working: (i) => ({ x: right - i * 46, y }),
    waiting: (i) =>
      labelled ? { x: right - (busy + i) * 46, y } : miniPlace(right - (busy - 1) * 46 - 34, y, i),
  };
}

const miniPlace = (right, y, i) => ({
  x: right - Math.floor(i / 3 + 0.001) * 17,
  y: y + ((Math.round(i) % 3) - 1) * 15,
});

function drawFree(seen, drawn, node, slots, used) {
  const limits = Object.values(node.consumes).map((c) => c.prefetch);
  const free = limits.length && limits[0] > 0 ? Math.min(limits[0], slots.places) - used : 0;
  for (let i = 0; i < free && slots.labelled; i++) {
    const place = used + i;
    const at = place === 0 ? slots.working(0) : slots.waiting(place - 1);
    drawn.slots.push(at);
  }
}

// -- between places -----------------------------------------------------------------------------

const displaced = ({ motion, t_us }, drift, index) =>
  drift.length && motion === "all" ? displacement(drift, index, t_us) : 0;

/** A token that has just changed its place closes up from where it was; no event times that. */
function glide(seen, key, rest) {
  const token = seen.scene.tokens.get(key);
  if (!token.was || seen.motion !== "all") return rest;
  const left = leftover(seen.t_us, token.since_us);
  if (left <= 0) return rest;
  if (token.was.zone === "door" && seen.figure.nodes.get(token.was.node)?.kind === "exchange")
    return alongWire(seen, token, rest, 1 - left);
  const from = formerSpot(seen, token.was);
  return from ? { x: rest.x + (from.x - rest.x) * left, y: rest.y + (from.y - rest.y) * left } : rest;
}

/** From an exchange a copy comes along the wire and then along the lane, so that it crosses no other. */
function alongWire(seen, token, rest, part) {
  const key = `${token.was.node} ${token.node} in`;
  if (!seen.ways.has(key)) seen.ways.set(key, wayBetween(seen.figure, token.was.node, token.node, "copy"));
  const way = seen.ways.get(key);
  if (!way) return rest;
  const [x, y] = pointAt(measured([...way.points, [rest.x, rest.y]]), part);
  return { x, y };
}

/** Where something stood before it came to where it is, null when that was nowhere. */
export function formerSpot({ scene, figure }, { node, zone, index }) {
  const box = figure.nodes.get(node);
  if (!box) return null;
  if (box.kind === "queue") {
    const way = zone === "unacked" ? 1 : -1;
    const cells = way > 0 ? box.receipts : box.cells;
    return {
      x: box.headX + way * (box.cell * (Math.min(index, cells) + 0.5) + 2),
      y: box.y + box.height / 2,
    };
  }
  if (box.kind !== "consumer") return null;
  if (zone === "door") return door(box, figure.narrow);
  const slots = consumerSlots(
    box,
    zoneKeys(scene, node, "working").length,
    zoneKeys(scene, node, "prefetched").length,
  );
  return zone === "working" ? slots.working(index) : slots.waiting(Math.min(index, slots.shown));
}

const door = (box, narrow) =>
  narrow ? { x: box.x + box.width / 2, y: box.y + 22 } : { x: box.x + 30, y: box.y + box.height / 2 };

/** What is between two nodes: bodies on their way, messages before the exchange, and signals. */
function drawTravellers(seen, drawn) {
  const { scene, t_us } = seen;
  let travellers = 0;
  const part = (move) => {
    const eased = travelled(t_us, move.depart_us, move.arrive_us);
    if (eased >= 1) return 1;
    travellers += 1;
    return seen.motion === "none" ? 1 : travellers > TRAVELLERS_MAX ? Math.round(eased) : eased;
  };
  for (const [key, token] of scene.tokens) {
    if (!token.flight) continue;
    const at = spotOnWay(seen, token.flight, part(token.flight), "body");
    if (at) drawn.tokens.push(item(seen, key, at));
  }
  for (const signal of scene.signals.values()) {
    if (signal.arrive_us <= t_us) continue;
    const message = signal.kind === "publish" || signal.kind === "return";
    const at = spotOnWay(seen, signal, part(signal), message ? "body" : "signal");
    if (at && message) drawn.tokens.push(messageItem(seen, signal, at));
    else if (at)
      drawn.signals.push({ id: `s${signal.signal}`, kind: signal.kind, about: signal.about, ...at });
  }
}

function messageItem({ scene, kinds }, signal, at) {
  return {
    id: `s${signal.signal}`,
    token: null,
    copy: 0,
    attempt: 0,
    ...labelOf(scene, signal.about, kinds),
    look: "body",
    node: signal.target,
    zone: "flight",
    index: 0,
    scale: 0.95,
    labelled: true,
    redelivered: false,
    deliveries: 0,
    ...at,
  };
}

function spotOnWay(seen, { source, target }, part, what) {
  const key = `${source} ${target} ${what}`;
  if (!seen.ways.has(key)) seen.ways.set(key, wayBetween(seen.figure, source, target, what));
  const way = seen.ways.get(key);
  if (!way) return null;
  const [x, y] = pointAt(way, part);
  return { x, y };
}

/**
 * The way of a move: bodies leave the head of a lane and end in the worker's door; answers go the wire
 * backwards.
 */
export function wayBetween(figure, source, target, what = "body") {
  const from = figure.nodes.get(source);
  const to = figure.nodes.get(target);
  if (!from || !to) return null;
  const back = ORDER[from.kind] > ORDER[to.kind] && !(from.kind === "consumer" && to.kind === "exchange");
  const wire = back ? wirePath(figure, target, source) : wirePath(figure, source, target);
  const points = back ? [...wire.points].reverse() : [...wire.points];
  if (what === "signal") return measured(points.map(([x, y]) => [x, y + (back ? 7 : 0)]));
  const start =
    from.kind === "queue" ? { x: from.headX - from.cell / 2 - 2, y: from.y + from.height / 2 } : null;
  const end =
    to.kind === "exchange"
      ? { x: to.x + to.radius, y: to.y + to.radius }
      : to.kind === "consumer"
        ? door(to, figure.narrow)
        : null;
  if (start && figure.narrow) points.unshift([points[0][0], start.y]);
  if (start) points.unshift([start.x, start.y]);
  if (what === "copy") points.unshift([from.x + from.width / 2, from.y + from.height / 2]);
  if (end) points.push([end.x, end.y]);
  return measured(points);
}

const ORDER = { producer: 0, exchange: 1, queue: 2, consumer: 3 };
