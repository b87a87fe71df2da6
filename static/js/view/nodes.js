// RabbitMQ's nodes and wires: what is drawn of them behind the messages, and what they say over them.

import { isLong, isLow, queueNote } from "mailroom/view/layout.js";
import {
  consumerOutline,
  cutShapes,
  drawItems,
  drawShapes,
  line,
  producerOutline,
  shape,
  shapesOf,
  wireShapes,
} from "mailroom/view/shapes.js";

/** Draws `figure` (a layout) for `scene` into `svg`. */
export function drawWires(svg, figure, scene) {
  drawShapes(svg, figure, (kept) => [...wires(figure, scene, kept), ...outlines(figure, scene, kept)]);
}

/** Brings `list` (a ul) up to date with `scene` in `figure`. */
export function drawNodes(list, figure, scene) {
  const write = (node, box) => {
    const words = wording(node, scene, box);
    return { words, fitting: fit(words, box, figure) };
  };
  drawItems(list, figure, scene, write, (node) => countsOf(scene, node));
}

/** All that is said of a node and does not stand in the node itself. */
function countsOf(scene, { node, kind, stands_for }) {
  if (kind !== "queue") return "";
  const zones = scene.zones.get(node);
  let counts = stands_for ? `${scene.nodes.get(stands_for)?.name} ` : "";
  for (const zone in zones) counts += `${zone} ${zones[zone].keys.length} `;
  return counts;
}

// -- wires --------------------------------------------------------------------------------------

function wires(figure, scene, kept) {
  const shapes = [];
  for (const [key, wire] of scene.wires) {
    const way = figure.wires.get(key);
    if (!way) continue;
    const label = scene.nodes.get(wire.source)?.name === "" ? "" : wire.label;
    const link = linkOf(scene, wire);
    const make = () => wireShapes(way.points, link, label, figure);
    shapes.push(...shapesOf(kept, `wire ${key}`, `${link} ${label}`, make));
  }
  return [...shapes, ...brokenWires(figure, scene, kept)];
}

/** A consumer without its wire shows it broken (crashed, closed), or dashed while it is about to connect. */
function brokenWires(figure, scene, kept) {
  const shapes = [];
  for (const [key, way] of figure.wires) {
    if (scene.wires.has(key)) continue;
    const target = scene.nodes.get(Number(key.split(" ")[1]));
    if (target?.kind !== "consumer") continue;
    const comes = target.state === "up" && target.link === "up";
    const make = () => (comes ? [shape("wire cut", line(way.points))] : cutShapes(way.points));
    shapes.push(...shapesOf(kept, `broken ${key}`, comes, make));
  }
  return shapes;
}

const linkOf = (scene, { source, target, kind }) =>
  scene.nodes.get(kind === "publish" ? source : target)?.link ?? "up";

// -- outlines -----------------------------------------------------------------------------------

function outlines(figure, scene, kept) {
  const shapes = [];
  for (const node of scene.nodes.values()) {
    const box = figure.nodes.get(node.node);
    if (!box) continue;
    const idle = box.kind === "consumer" && isIdle(scene, node);
    const said = `${node.state} ${idle} ${node.exchange_type} ${node.name}`;
    shapes.push(...shapesOf(kept, node.node, said, () => OUTLINES[box.kind](box, node, idle)));
  }
  return shapes;
}

function isIdle(scene, { node }) {
  const zones = scene.zones.get(node);
  return !zones?.working?.keys.length && !zones?.prefetched?.keys.length;
}

const OUTLINES = {
  producer: producerOutline,
  exchange({ x, y, radius }, node) {
    const [cx, cy] = [x + radius, y + radius];
    return [
      ["circle", { class: "box", cx, cy, r: radius }],
      shape("glyph", glyph(node.exchange_type, node.name, cx, cy)),
    ];
  },
  queue({ x, y, width, height, headX, cells, cell, receipts, dead }) {
    const foot = y + height;
    if (dead && !receipts)
      return [
        shape("bed", `M${x} ${y}H${x + width}V${foot}H${x}z`),
        ["rect", { class: "mourning", x: x + 2.5, y: y + 2.5, width: width - 5, height: height - 5 }],
      ];
    const end = headX + receipts * cell + 3;
    let ticks = "";
    for (let i = 1; i <= cells; i++)
      if (headX - i * cell > x + 6) ticks += `M${headX - i * cell - 2} ${foot - 1}v-8`;
    const lane = [
      shape("bed", `M${x} ${y}H${headX}V${foot}H${x}z`),
      shape("tick", ticks),
      shape(dead ? "rail heavy" : "rail", `M${x} ${y}H${headX}M${x} ${foot}H${headX}`),
      shape("headbar", `M${headX} ${y - 6}V${foot + 6}`),
    ];
    if (receipts)
      lane.splice(
        1,
        0,
        shape("kept", `M${headX} ${y}H${end}V${foot}H${headX}z`),
        shape("rail dashed", `M${headX} ${y}H${end}V${foot}H${headX}`),
      );
    return lane;
  },
  consumer: consumerOutline,
};

/** The sign of an exchange's type, 40 wide. */
function glyph(type, name, cx, cy) {
  const at = (x, y) => `M${cx + x} ${cy + y}`;
  const tip = (x, y) => `${at(x - 5, y - 4.5)}l5 4.5l-5 4.5`;
  if (name === "") return `${at(-10, 0)}h19${tip(9, 0)}`;
  if (type === "fanout") {
    const up = `${at(-6, 0)}l19 -11${at(6.5, -12)}h6.5l-3 6`;
    const down = `${at(-6, 0)}l19 11${at(10, 5.5)}l3 5.5h-6.5`;
    return `${at(-18, 0)}h34${tip(16, 0)}${up}${down}`;
  }
  if (type === "topic") {
    const star = `${at(-13, -8)}v10${at(-17.3, -5.5)}l8.6 5${at(-8.7, -5.5)}l-8.6 5`;
    return `${star}${at(-1, 5)}v2.5${at(8, -8)}l-2 15${at(15, -8)}l-2 15${at(5, -3)}h12${at(4, 2.5)}h12`;
  }
  if (type === "headers") return [-9, 0, 9].map((y) => `${at(-14, y)}h10${at(3, y)}h10`).join("");
  const ring = `${at(14, 8)}a5 5 0 1 1 -10 0a5 5 0 1 1 10 0`;
  return `${at(-18, -7)}h35${tip(17, -7)}${at(-18, 8)}h20${ring}`;
}

// -- words --------------------------------------------------------------------------------------

/** Where the note goes when it does not fit where notes are: " long" for a worker, " low" for a lane. */
function fit(words, box, figure) {
  if (box.kind === "consumer") return isLong(words.name, words.note, box.width) ? " long" : "";
  if (box.kind !== "queue") return box.kind === "exchange" && !words.note ? " unnamed" : "";
  const low = isLow(words.name, words.note, box.headX - box.x, figure.close) ? " low" : "";
  return `${low}${box.receipts ? "" : " alone"}${box.dead ? " dead" : ""}`;
}

const WORDS = {
  producer: (node) => ({ name: node.name, note: NOTES[node.state] ?? node.about }),
  exchange: (node) =>
    node.name === "" ? { name: "default exchange" } : { name: node.name, note: node.exchange_type ?? "" },
  queue(node, scene, box) {
    const zones = scene.zones.get(node.node) ?? {};
    const count = (zone) => zones[zone]?.keys.length ?? 0;
    const words = {
      name: node.name,
      note: standsFor(node, scene) ?? queueNote(node),
      ready: { count: count("ready"), word: "ready" },
    };
    if (box.receipts || count("unacked"))
      words.kept = { count: count("unacked"), word: "unacked", after: true };
    const extra = [
      ["delayed", "delayed"],
      ["dead_lettering", "dead-lettering"],
      ["socket", "in the socket"],
    ]
      .filter(([zone]) => count(zone))
      .map(([zone, word]) => `${count(zone)} ${word}`);
    if (extra.length) words.extra = extra.join(", ");
    return words;
  },
  consumer: (node) => ({ name: node.name, note: consumerNote(node) }),
};

const STANDS = { waiting: "waits here for", dead: "dead letters of" };

/** What a queue that holds another one's messages says of itself. */
function standsFor(node, scene) {
  const home = scene.nodes.get(node.stands_for)?.name;
  return home && STANDS[node.place] ? `${STANDS[node.place]} ${home}` : null;
}

const NOTES = { crashed: "crashed", stopped: "stopped", connecting: "connecting", paused: "paused" };

const LINKS = { cut: "network cut", closed: "disconnected" };

const wording = (node, scene, box) => WORDS[node.kind](node, scene, box);

function consumerNote(node) {
  return NOTES[node.state] ?? LINKS[node.link] ?? node.about;
}
