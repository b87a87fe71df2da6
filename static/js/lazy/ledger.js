// The equation that must balance, one per destination, and what is counted beside it. Never counts up; while
// it plays it is written at most `PLAYING_MS` after a change, when the picture stands at once.

import { seldom } from "mailroom/lazy/seldom.js";

const ALWAYS = ["done", "ready", "unacked"];
const SOMETIMES = ["on_the_wire", "waiting", "held", "dead", "expired", "dropped", "lost"];
const BESIDE = {
  duplicated_deliveries: "duplicated",
  duplicated_effects: "effects twice",
  out_of_order: "out of order",
};
const WORDS = { on_the_wire: "on the wire" };
/** Of a group what is visible and not committed is its lag, read or not; `held` is committed and in work. */
const GROUP_WORDS = { ready: "lag", held: "in work", dropped: "deleted" };
/** Of a share group each record stands somewhere by itself. */
const SHARE_WORDS = {
  done: "accepted",
  ready: "available",
  unacked: "acquired",
  dead: "archived",
  held: "in work",
  dropped: "deleted",
};
const BROKEN_BY = {
  nothing_lost: ["lost", "dropped", "expired"],
  nothing_dead: ["dead"],
  each_effect_once: ["duplicated_effects"],
  order_per_key: ["out_of_order"],
};

const PLAYING_MS = 250;
/** How wide a letter of a word is, in px, and how many destinations are seen at once (stage.css). */
const LETTER = 7.2;
const IN_SIGHT = 3;

export function furnishLedger(stage) {
  const box = stage.parts.ledger;
  seldom(stage, ["moment", "change", "transport"], PLAYING_MS, () => {
    const rows = ledgerRows(stage.shownScene, stage.timeline, stage.shown_us);
    const shape = rows.map((row) => `${row.name} ${row.terms.map((t) => t.place)}`).join("|");
    if (shape !== box.shape) build(box, rows, shape);
    rows.forEach((row, i) => row.terms.forEach((term, j) => write(box.cells[i][j], term)));
  });
}

/** Since when the copy that has been ready longest was routed, by destination, in µs. Pure. */
export function oldestReady(scene) {
  const oldest = new Map();
  for (const [copy, { place, routed_us }] of scene.copies) {
    if (place !== "ready") continue;
    const home = homeOf(scene, copy);
    if (!(oldest.get(home) <= routed_us)) oldest.set(home, routed_us);
  }
  return oldest;
}

function homeOf(scene, copy) {
  const queue = scene.facts.copies.get(copy)?.destination;
  return scene.nodes.get(queue)?.stands_for || queue;
}

/** One row a destination: its name, and terms {place, word, count, mark}. Pure. */
export function ledgerRows(scene, { reached, destinations }, t_us = scene.at_us) {
  const oldest = oldestReady(scene);
  const places = [...ALWAYS, ...SOMETIMES.filter((place) => reached.has(place))];
  const stands = [...scene.nodes.values()]
    .filter((n) => destinations.has(n.node))
    .sort((a, b) => HOMES.includes(b.kind) - HOMES.includes(a.kind) || a.node - b.node);
  // What no group reads stands below the groups, in their columns.
  const group = stands.find(({ kind }) => kind === "group");
  return stands.map((node) => {
    const stand = scene.ledger.get(node.node) ?? {};
    const like = (node.kind === "topic" && group) || node;
    const isShared = like.kind === "group" && scene.groups.get(like.node)?.protocol === "simple";
    const terms = isShared
      ? ofQueue(places, stand, SHARE_WORDS)
      : like.kind === "group"
        ? ofGroup(places, stand)
        : ofQueue(places, stand);
    const owed = { place: "owed", word: "owed", count: terms.reduce((sum, term) => sum + term.count, 0) };
    const beside = Object.entries(BESIDE)
      .filter(([place]) => place !== "duplicated_effects" || reached.has(place))
      .map(([place, word]) => ({ place, word, count: stand[place] ?? 0, beside: true }));
    if (like.kind === "group" && !isShared)
      beside.unshift({
        place: "unacked",
        word: "read, not committed",
        count: stand.unacked ?? 0,
        beside: true,
      });
    if (node.kind === "queue") {
      const since_us = oldest.get(node.node);
      beside.push({
        place: "oldest",
        word: "oldest ready",
        count: since_us === undefined ? "none" : `${(Math.max(0, t_us - since_us) / 1e6).toFixed(1)} s`,
        beside: true,
      });
    }
    const all = [owed, ...terms, ...beside];
    for (const term of all) term.mark = markOf(scene, node.node, term);
    return { name: nameOf(node), terms: all };
  });
}

const HOMES = ["queue", "group"];

const nameOf = ({ kind, name }) =>
  HOMES.includes(kind)
    ? name
    : kind === "topic"
      ? `no group (${name})`
      : `no queue (${name || "default exchange"})`;

const ofQueue = (places, stand, words = WORDS) =>
  places.map((place) => ({ place, word: words[place] ?? place, count: stand[place] ?? 0 }));

const ofGroup = (places, stand) =>
  places
    .filter((place) => place !== "unacked")
    .map((place) => ({
      place,
      word: GROUP_WORDS[place] ?? place,
      count: (stand[place] ?? 0) + (place === "ready" ? (stand.unacked ?? 0) : 0),
    }));

function markOf(scene, destination, { place, count }) {
  if (!count) return "";
  for (const { promise, destination: of } of scene.broken.values()) {
    if (of === destination && BROKEN_BY[promise]?.includes(place)) return "wrong";
  }
  return place in BESIDE || place === "lost" ? "noticed" : "";
}

function build(box, rows, shape) {
  box.shape = shape;
  box.cells = [];
  const columns = rows[0]?.terms.map(({ word }) => `${Math.max(52, Math.round(word.length * LETTER))}px`);
  box.style.setProperty("--columns", columns?.join(" ") ?? "");
  // Who has only a keyboard can move what is longer than its place.
  if (rows.length > IN_SIGHT) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
  box.replaceChildren(
    ...rows.map((row) => {
      const list = document.createElement("dl");
      list.setAttribute("aria-label", `Ledger of ${row.name}`);
      const name = document.createElement("div");
      name.className = "about";
      const title = document.createElement("dt");
      title.textContent = "destination";
      title.hidden = true;
      const value = document.createElement("dd");
      value.textContent = row.name;
      name.append(title, value);
      const cells = row.terms.map(cell);
      box.cells.push(cells);
      list.append(name, ...cells.map((each) => each.box));
      return list;
    }),
  );
}

function cell(term, i) {
  const box = document.createElement("div");
  const word = document.createElement("dt");
  const count = document.createElement("dd");
  word.textContent = term.word;
  box.append(word, count);
  const base = `term${term.beside ? " beside" : ["", " owed", " first"][i < 2 ? i + 1 : 0]}`;
  return { box, count, base, shown: "" };
}

function write(to, term) {
  const key = `${term.count} ${term.mark}`;
  if (to.shown === key) return;
  to.shown = key;
  to.box.className = `${to.base} ${term.mark}`.trim();
  to.count.textContent = term.count;
}
