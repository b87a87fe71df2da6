// The nodes as text over the picture: a list item each, placed by the layout, rewritten only when it changes.

import { isLong, isLow, queueNote } from "mailroom/view/layout.js";

/** Brings `list` (a ul) up to date with `scene` in `figure`. */
export function drawNodes(list, figure, scene) {
  const known = (list.known ??= new Map());
  for (const [id, entry] of known)
    if (!scene.nodes.has(id) || !figure.nodes.has(id)) {
      entry.item.remove();
      known.delete(id);
    }
  for (const node of scene.nodes.values()) {
    const box = figure.nodes.get(node.node);
    if (!box) continue;
    const entry = known.get(node.node) ?? begin(list, known, node);
    const counts = countsOf(scene, node);
    if (entry.node === node && entry.of === box && entry.counts === counts) continue;
    Object.assign(entry, { node, of: box, counts });
    place(entry, box);
    const words = wording(node, scene, box);
    write(entry, node, words, fit(words, box, figure));
  }
}

/** All that is said of a node and does not stand in the node itself. */
function countsOf(scene, { node, kind, stands_for }) {
  if (kind !== "queue") return "";
  const zones = scene.zones.get(node);
  let counts = stands_for ? `${scene.nodes.get(stands_for)?.name} ` : "";
  for (const zone in zones) counts += `${zone} ${zones[zone].keys.length} `;
  return counts;
}

function begin(list, known, node) {
  const item = document.createElement("li");
  item.dataset.node = node.node;
  if (node.name) item.append(opener(node.name));
  const entry = { item, text: "", box: "", spans: new Map() };
  known.set(node.node, entry);
  list.append(item);
  return entry;
}

/** Opens the node's settings: for the keyboard, and for a click that hits no message. */
function opener(name) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "open" });
  button.setAttribute("aria-label", `Change ${name}`);
  return button;
}

function place(entry, box) {
  const key = `${box.x} ${box.y} ${box.width} ${box.height} ${box.headX}`;
  if (entry.box === key) return;
  entry.box = key;
  const { style } = entry.item;
  style.left = `${box.x}px`;
  style.top = `${box.y}px`;
  style.width = `${box.width}px`;
  style.height = `${box.height}px`;
  if (box.headX) style.setProperty("--head", `${box.headX - box.x}px`);
}

/** Where the note goes when it does not fit where notes are: " long" for a worker, " low" for a lane. */
function fit(words, box, figure) {
  if (box.kind === "consumer") return isLong(words.name, words.note, box.width) ? " long" : "";
  if (box.kind !== "queue") return box.kind === "exchange" && !words.note ? " unnamed" : "";
  const low = isLow(words.name, words.note, box.headX - box.x, figure.close) ? " low" : "";
  return `${low}${box.receipts ? "" : " alone"}${box.dead ? " dead" : ""}`;
}

function write(entry, node, words, fitting) {
  const text = JSON.stringify([words, fitting]);
  if (entry.text === text) return;
  entry.text = text;
  entry.item.className = `node ${node.kind} ${node.state}${fitting}`;
  for (const [name, value] of Object.entries(words)) span(entry, name, value);
  for (const [name, old] of entry.spans)
    if (!(name in words)) {
      old.remove();
      entry.spans.delete(name);
    }
}

/** A value is text, or [number, word] with the number set large. */
function span(entry, name, value) {
  const old = entry.spans.get(name) ?? entry.item.appendChild(document.createElement("span"));
  entry.spans.set(name, old);
  old.className = name;
  if (typeof value === "string") {
    if (old.textContent !== value) old.textContent = value;
    return;
  }
  const strong = document.createElement("b");
  strong.textContent = value.count;
  old.replaceChildren(...(value.after ? [strong, ` ${value.word}`] : [`${value.word} `, strong]));
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
