// A cluster's nodes and wires: what is drawn of them behind the records, and what they say over them.

import { groupsOf, isShared, lagOf } from "mailroom/kafka/fold.js";
import { isLong, laneOf, readWay, ROOMY } from "mailroom/kafka/layout.js";
import { parts } from "mailroom/kafka/parts.js";
import { LOW, MORE_WIDTH, ownerOf, windowsOf } from "mailroom/kafka/positions.js";
import {
  arrow,
  consumerOutline,
  cutShapes,
  drawItems,
  drawShapes,
  line,
  producerOutline,
  shape,
  shapesOf,
} from "mailroom/view/shapes.js";

const STUB = 30;
const BAR = 7;

/** Draws `figure` (a layout) for `scene` into `svg`. */
export function drawWires(svg, figure, scene) {
  drawShapes(svg, figure, (kept) => shapesIn(figure, scene, kept));
}

/** All shapes of wires and outlines, as `shapesOf` gives them. */
export const shapesIn = (figure, scene, kept) => [
  ...publishing(figure, scene, kept),
  ...reading(figure, scene, kept),
  ...outlines(figure, scene, kept),
];

/** Brings `list` (a ul) up to date with `scene` in `figure`. */
export function drawNodes(list, figure, scene) {
  drawHeads(list.parentElement.querySelector(".heads"), figure, scene);
  drawItems(list, figure, scene, (node, box) => {
    const words = wordsOf(node, scene, box, figure);
    const member =
      node.kind === "consumer" ? ` member${isLong(words.name, words.note, box.width) ? " long" : ""}` : "";
    const low = node.kind === "consumer" && box.height < 50 ? " low" : "";
    return {
      words,
      fitting: `${member}${low}${box.labelled === false ? " mini" : box.height < ROOMY ? " tight" : ""}`,
    };
  });
}

// -- heads --------------------------------------------------------------------------------------

/** What stands over the columns, for a figure that has been scrolled: one topic's offsets too. */
function drawHeads(box, figure, scene) {
  const heads = headsOf(figure, scene);
  const key = JSON.stringify(heads);
  if (!box || box.told === key) return;
  box.told = key;
  box.classList.add("cluster");
  box.replaceChildren(
    ...heads.map(([text, x, klass]) => {
      const head = document.createElement("span");
      head.textContent = text;
      if (klass) head.className = klass;
      head.style.left = `${x}px`;
      return head;
    }),
  );
}

function headsOf(figure, scene) {
  if (figure.narrow) return [];
  const name = (ids, kind) =>
    ids.length === 1 ? `${kind} ${scene.nodes.get(ids[0])?.name ?? ""}` : `${kind}s`;
  const [topics, groups] = [[...figure.topics.keys()], [...figure.groups.keys()]];
  const heads = [
    ["producers", 1],
    [name(topics, "topic"), figure.cellsX],
  ];
  if (groups.length) heads.push([name(groups, "group"), figure.memberX]);
  if (topics.length !== 1) return heads;
  const topic = figure.topics.get(topics[0]);
  const logs = topic.rows.map((row) => scene.logs.get(row)).filter(Boolean);
  const { shared, base } = windowsOf(logs, topic.columns);
  if (!shared) return heads;
  const every = topic.cell >= 30 ? 1 : 5;
  for (let i = 0; i < topic.columns; i++)
    if ((base + i) % every === 0)
      heads.push([String(base + i), topic.cellsX + (i + 0.5) * topic.cell, "offset"]);
  return heads;
}

// -- wires --------------------------------------------------------------------------------------

function publishing(figure, scene, kept) {
  const shapes = [];
  const sends = new Set([...scene.wires.values()].map(({ source, target }) => `${source} ${target}`));
  for (const [key, { points }] of figure.wires) {
    const [source, row] = key.split(" ").map(Number);
    const [producer, log] = [scene.nodes.get(source), scene.logs.get(row)];
    if (!producer || !log || !sends.has(`${source} ${log.topic}`)) continue;
    const { link } = producer;
    const make = () => (link === "up" ? [shape("wire", line(points)), arrow(points)] : cutShapes(points));
    shapes.push(...shapesOf(kept, `publish ${key}`, link, make));
  }
  return shapes;
}

/** From each row to who reads it, for each group; where nobody may, stubs with an end bar on both sides. */
function reading(figure, scene, kept) {
  const shapes = [];
  const groups = [...figure.groups.keys()];
  const words = [];
  groups.forEach((id, index) => {
    const group = scene.groups.get(id);
    if (!group || (group.state === "Empty" && !group.generation)) return;
    let isSaid = false;
    for (const topic of figure.topics.values())
      for (const partition of topic.rows) {
        const row = figure.nodes.get(partition);
        if (isShared(scene, id)) {
          shapes.push(
            ...sharedWires(figure, scene, kept, { id, partition, row, index, count: groups.length }),
          );
          continue;
        }
        const owner = ownerOf(scene, id, partition);
        const key = `read ${partition} ${id}`;
        if (owner && figure.nodes.has(owner.node)) {
          const said = `${owner.node} ${scene.nodes.get(owner.node)?.link}`;
          const make = () => wireTo(figure, scene, row, owner, index, groups.length);
          shapes.push(...shapesOf(kept, key, said, make));
        } else if (reads(scene, id, partition)) {
          const stub = rowStub(figure, row, index, groups.length);
          shapes.push(...shapesOf(kept, key, "cut", () => stub.shapes));
          if (group.free[partition] && !isSaid) isSaid = words.push(revoked(stub, index, groups.length)) > 0;
        }
      }
    shapes.push(...memberStubs(figure, scene, group, kept));
  });
  if (figure.narrow) return shapes;
  for (const [i, word] of words.entries()) {
    if (words.slice(0, i).some(({ y }) => Math.abs(y - word.y) < 16)) continue;
    shapes.push(...shapesOf(kept, `revoked ${word.y}`, word.y, () => [["text", word]]));
  }
  return shapes;
}

/** From a row to each of those who read it for a share group. */
function sharedWires(figure, scene, kept, { id, partition, row, index, count }) {
  return (parts.shares?.readersOf(scene, id, partition) ?? [])
    .filter((reader) => figure.nodes.has(reader.node))
    .flatMap((reader) => {
      const said = `${reader.node} ${scene.nodes.get(reader.node)?.link}`;
      const make = () => wireTo(figure, scene, row, reader, index, count);
      return shapesOf(kept, `read ${partition} ${id} ${reader.node}`, said, make);
    });
}

/** The word at a group's first stub: above it, or below it where another group's lie above. */
const revoked = (stub, index, count) => ({
  class: "wire-word",
  x: stub.x + STUB / 2 + 12,
  y: stub.y + (index > (count - 1) / 2 ? 22 : -14),
  text: "revoked",
});

/** Whether a group has read from this partition, or one that it did read from is of the same topic. */
function reads(scene, id, partition) {
  const { committed, free } = scene.groups.get(id);
  const { topic } = scene.logs.get(partition) ?? {};
  const known = (node) => scene.logs.get(Number(node))?.topic === topic;
  return Object.keys(committed).some(known) || Object.keys(free).some(known);
}

function wireTo(figure, scene, row, owner, index, count) {
  const { points } = readWay(figure, row, figure.nodes.get(owner.node), index, count);
  const node = scene.nodes.get(owner.node);
  if (node && node.link !== "up") return cutShapes(points);
  return [shape("wire", line(points)), arrow(points)];
}

function rowStub(figure, row, index, count) {
  const y = laneOf(row, index, count);
  const x = row.x + row.width + (figure.narrow ? 4 : 10);
  const end = x + (figure.narrow ? 9 : STUB);
  const half = count > 1 ? 4 : BAR;
  return {
    x,
    y,
    shapes: [shape("stub", `M${x} ${y}H${end}`), shape("stub-end", `M${end + 1.5} ${y - half}v${2 * half}`)],
  };
}

/** Members that were left without a partition, or have none yet while their group settles. */
function memberStubs(figure, scene, group, kept) {
  const shapes = [];
  for (const { node } of group.members.values()) {
    const box = figure.nodes.get(node);
    const reader = scene.readers.get(node);
    if (!box || scene.nodes.get(node)?.state === "crashed") continue;
    if (Object.keys(reader?.owned ?? {}).length || group.state === "Stable") continue;
    const y = box.y + box.height / 2;
    const [from, to] = figure.narrow
      ? [box.x + box.width + 3, box.x + box.width + 12]
      : [box.x - 3, box.x - 3 - STUB];
    const end = to + (figure.narrow ? 1.5 : -1.5);
    const make = () => [
      shape("stub", `M${from} ${y}H${to}`),
      shape("stub-end", `M${end} ${y - BAR}v${2 * BAR}`),
    ];
    shapes.push(...shapesOf(kept, `stub ${node}`, "cut", make));
  }
  return shapes;
}

// -- outlines -----------------------------------------------------------------------------------

function outlines(figure, scene, kept) {
  const shapes = [];
  for (const node of scene.nodes.values()) {
    const box = figure.nodes.get(node.node);
    if (!box || !OUTLINES[box.kind]) continue;
    const idle = box.kind === "consumer" && !scene.readers.get(node.node)?.hand.length;
    const make = () => OUTLINES[box.kind](box, node, idle);
    shapes.push(...shapesOf(kept, node.node, `${node.state} ${idle}`, make));
  }
  return shapes;
}

const OUTLINES = {
  producer: producerOutline,
  consumer: consumerOutline,
  broker({ x, y, width, height }, node) {
    const d = `M${x} ${y}H${x + width}V${y + height}H${x}z`;
    if (node.state !== "crashed") return [shape(node.state === "up" ? "box" : "box idle dashed", d)];
    const [cx, cy, r] = [x + width - 20, y + height / 2, 9];
    return [
      shape("box crashed", d),
      shape("cross", `M${cx - r} ${cy - r}l${2 * r} ${2 * r}M${cx + r} ${cy - r}l${-2 * r} ${2 * r}`),
    ];
  },
};

// -- words --------------------------------------------------------------------------------------

const NOTES = { crashed: "crashed", stopped: "stopped", connecting: "connecting", paused: "paused" };
const LINKS = { cut: "network cut", closed: "disconnected" };

const STATES = {
  PreparingRebalance: "rebalancing",
  CompletingRebalance: "rebalancing",
  Reconciling: "rebalancing",
  Empty: "no members",
};

/** What is written at a node: { name, note, … }. */
export const wordsOf = (node, scene, box, figure) => WORDS[node.kind]?.(node, scene, box, figure) ?? {};

const WORDS = {
  producer: (node) => ({ name: node.name, note: NOTES[node.state] ?? LINKS[node.link] ?? node.about }),
  topic(node, scene) {
    const count = [...scene.logs.values()].filter((log) => log.topic === node.node).length;
    return { name: `topic ${node.name}`, note: `${count} partition${count === 1 ? "" : "s"}` };
  },
  partition(node, scene, box, figure) {
    const log = scene.logs.get(node.node);
    if (!log) return { name: "" };
    const words = { name: `P${log.number}`, says: partitionSays(scene, log) };
    const brokers = [...scene.nodes.values()].some(
      ({ kind, node: id }) => kind === "broker" && id !== log.leader,
    );
    if (brokers && box.labelled)
      words.note = log.leader ? (scene.nodes.get(log.leader)?.name ?? "") : "no leader";
    if (box.labelled && !figure.narrow && log.isr.length < log.replicas.length)
      words.sync = `${log.isr.length} of ${log.replicas.length} in sync`;
    return words;
  },
  group(node, scene, box, figure) {
    const group = scene.groups.get(node.node);
    const count = group?.members.size ?? 0;
    const note = (group && STATES[group.state]) || `${count} member${count === 1 ? "" : "s"}`;
    const lag = figure.size.labelled ? "" : `, lag ${wholeLag(scene, node.node)}`;
    return { name: `group ${node.name}`, note: note + lag };
  },
  consumer(node, scene, box) {
    const owned = ownedWords(node, scene, box.width - 84 - (box.height <= LOW ? MORE_WIDTH : 0));
    return { name: node.name, note: memberNote(node, scene), ...(owned && { owned }) };
  },
  broker(node, scene) {
    const leads = [...scene.logs.values()].filter((log) => log.leader === node.node);
    const note = node.state === "crashed" ? "down" : leadsWords(scene, leads);
    const hangs = leads.length ? `hangs, ${note}` : "hangs";
    return { name: node.name, note: node.state === "paused" ? hangs : note };
  },
};

const wholeLag = (scene, group) =>
  [...scene.logs.keys()].reduce(
    (sum, row) =>
      sum +
      (isShared(scene, group)
        ? (parts.shares?.shareLag(scene, group, row) ?? 0)
        : lagOf(scene, group, row).lag),
    0,
  );

/** "P0, P1", with their topics where the run has several. */
function partitionNames(scene, nodes) {
  const logs = nodes.map((id) => scene.logs.get(Number(id))).filter(Boolean);
  const topics = new Set([...scene.logs.values()].map((log) => log.topic));
  const name = (log) =>
    topics.size > 1 ? `${scene.nodes.get(log.topic)?.name} P${log.number}` : `P${log.number}`;
  return logs.sort((a, b) => a.topic - b.topic || a.number - b.number).map(name);
}

function ownedWords(node, scene, room) {
  const reader = scene.readers.get(node.node);
  if (!reader) return "";
  const owned = Object.keys(reader.owned);
  const { free = {} } = scene.groups.get(reader.group) ?? {};
  const had = Object.keys(free).filter((partition) => free[partition].node === node.node);
  const names = partitionNames(scene, owned.length ? owned : had);
  if (!names.length) return "";
  const all = names.join(", ");
  const text = all.length * 7 > room ? `${names.length} partition${names.length > 1 ? "s" : ""}` : all;
  return owned.length ? text : `had ${text}`;
}

const leadsWords = (scene, logs) => {
  if (!logs.length) return "leads nothing";
  const names = partitionNames(
    scene,
    logs.map((log) => log.node),
  );
  const text = `leads ${names.join(", ")}`;
  return text.length > 14 ? `leads ${names.length}` : text;
};

function memberNote(node, scene) {
  const state = NOTES[node.state] ?? LINKS[node.link];
  const reader = scene.readers.get(node.node);
  const group = scene.groups.get(reader?.group);
  const isMember = group && [...group.members.values()].some((member) => member.node === node.node);
  if (node.state === "crashed") return isMember ? "no heartbeat" : "crashed";
  if (state) return state;
  if (reader?.failing) return `try ${reader.failing.attempt + 1} to come`;
  if (isMember && group.state === "Stable" && !Object.keys(reader.owned).length) return "no partition";
  return node.about;
}

/** One sentence of a partition, for who does not see the picture. */
function partitionSays(scene, log) {
  const leader = scene.nodes.get(log.leader)?.name;
  const says = [leader ? `led by ${leader}` : "without a leader", `offsets ${log.start} to ${log.end}`];
  if (log.hw < log.end) says.push(`readable up to ${log.hw}`);
  for (const { node } of groupsOf(scene)) {
    if (isShared(scene, node)) says.push(parts.shares?.shareSays(scene, node, log.node) ?? "");
    const { committed, lag } = lagOf(scene, node, log.node);
    if (committed !== undefined)
      says.push(`${scene.nodes.get(node)?.name} committed ${committed}, lag ${lag}`);
  }
  return says.filter(Boolean).join(", ");
}
