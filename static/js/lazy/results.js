// What the work has come to, under the figure: the finished strips (in the order of their effects), what the
// idempotency stores remember, and the tills. Fetched with the first effect. Pure but for `furnishResults`.

import { seldom } from "mailroom/lazy/seldom.js";
import { labelOf } from "mailroom/view/tokens.js";

const PLAYING_MS = 100;
const SLIP_ROWS = 4;
const SEEN_ROWS = 3;
/** How wide a finished message is, and one with a word beside it. */
const PITCH = { plain: 50, marked: 96 };
const NS = "http://www.w3.org/2000/svg";

export function furnishResults(stage) {
  const box = stage.parts.results;
  const strips = part("div", "strips");
  const slips = part("div", "slips");
  box.replaceChildren(strips, slips);
  box.classList.add("furnished");
  strips.addEventListener("keydown", (event) => {
    if (!event.key.startsWith("Arrow")) return;
    event.preventDefault();
    import("mailroom/lazy/token-buttons.js").then(({ roam }) => roam(event));
  });
  box.addEventListener("click", (event) => {
    const button = event.target.closest("[data-message]");
    if (button) stage.inspect(Number(button.dataset.message));
  });
  let wide = 0;
  const show = () => {
    showStrips(stage, strips, wide - (wide < 500 ? 0 : 132));
    showSlips(stage, slips);
  };
  new ResizeObserver(() => {
    if (wide === strips.clientWidth) return;
    wide = strips.clientWidth;
    show();
  }).observe(strips);
  seldom(stage, ["change", "transport"], PLAYING_MS, show);
}

// -- strips -------------------------------------------------------------------------------------

/** One strip a queue that is worked on: {queue, name, done: what each of its consumers' effects was}. */
export function stripsOf(scene, plan) {
  const queues = new Set(scene.finished.keys());
  for (const node of plan.nodes.values())
    if (node.handler) for (const queue in node.consumes) queues.add(Number(queue));
  return [...queues]
    .sort((a, b) => a - b)
    .filter((queue) => plan.nodes.has(queue))
    .map((queue) => ({ queue, name: plan.nodes.get(queue).name, done: scene.finished.get(queue) ?? [] }));
}

/** What is not finished anywhere yet takes no row, where there are several. */
function showStrips(stage, box, room) {
  const strips = stripsOf(stage.shownScene, stage.timeline.plan);
  const known = (box.known ??= new Map());
  const shape = strips.map(({ queue }) => queue).join(" ");
  if (box.shape !== shape) {
    box.shape = shape;
    known.clear();
    box.replaceChildren(...strips.map((strip) => begin(strip, strips.length > 1, known)));
    box.dataset.count = strips.length;
  }
  const empty = (strip) =>
    !strip.done.length && strip !== (strips.find(({ done }) => done.length) ?? strips[0]);
  for (const strip of strips) {
    const entry = known.get(strip.queue);
    entry.tokens.parentElement.hidden = empty(strip);
    fill(stage, entry, strip, room);
  }
}

function begin({ queue, name }, several, known) {
  const row = part("div", "strip");
  const label = part("p", "strip-name");
  label.append(
    ...(several ? [part("b", "", name), " finished, in order"] : ["finished,", part("br"), "in this order"]),
  );
  const tokens = part("div", "lane done");
  tokens.setAttribute("role", "group");
  tokens.setAttribute("aria-label", `Finished in ${name}, in this order`);
  row.append(label, tokens);
  known.set(queue, { tokens, shown: "", buttons: new Map() });
  return row;
}

/** The latest that fit into `room` px. */
function fitting(done, room) {
  let from = done.length;
  for (let used = 0; from > 0; from--) {
    used += mark(done[from - 1]) ? PITCH.marked : PITCH.plain;
    if (used > room) break;
  }
  return done.slice(from);
}

const mark = (row) => (row.effect_number > 1 ? "again" : row.after ? `after m${row.after}` : "");

function fill(stage, entry, { done }, room) {
  const rows = fitting(done, room);
  const key = rows.map(idOf).join(" ") + stage.atlas.theme;
  if (entry.shown === key) return;
  if (!entry.shown.endsWith(stage.atlas.theme)) entry.buttons.clear();
  entry.shown = key;
  const buttons = new Map(
    rows.map((row) => [idOf(row), entry.buttons.get(idOf(row)) ?? finishedButton(stage, row)]),
  );
  entry.buttons = buttons;
  entry.tokens.replaceChildren(...buttons.values());
  if (!entry.tokens.querySelector('[tabindex="0"]') && buttons.size)
    [...buttons.values()].at(-1).tabIndex = 0;
}

const idOf = (row) => `${row.copy}.${row.effect_number}.${row.at_us}.${row.after}`;

function finishedButton(stage, row) {
  const about = labelOf(stage.shownScene, row.message, stage.kinds);
  const button = part("button");
  button.type = "button";
  button.tabIndex = -1;
  button.dataset.message = row.message;
  const wrong = mark(row);
  button.setAttribute(
    "aria-label",
    [about.label, about.key && `key ${about.key}`, `at ${seconds(row.at_us)}`, wrong]
      .filter(Boolean)
      .join(", "),
  );
  button.append(picture(stage, about, 0.8, 44, 40));
  button.classList.toggle("wrong", Boolean(wrong));
  if (wrong) button.append(wave(), part("span", "wrong-word", wrong));
  return button;
}

/** A message on a canvas of its own. */
function picture(stage, about, scale, width, height) {
  const { atlas } = stage;
  const canvas = part("canvas");
  Object.assign(canvas, { width: Math.round(width * atlas.ratio), height: Math.round(height * atlas.ratio) });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const context = canvas.getContext("2d");
  context.setTransform(atlas.ratio, 0, 0, atlas.ratio, 0, 0);
  atlas.draw(context, { ...about, look: "body", scale, labelled: scale > 0.7, x: width / 2, y: height / 2 });
  return canvas;
}

function wave() {
  const svg = document.createElementNS(NS, "svg");
  const path = document.createElementNS(NS, "path");
  svg.setAttribute("viewBox", "0 0 44 7");
  svg.setAttribute("class", "wave");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", "M1 3.5q3.5 -4.5 7 0t7 0t7 0t7 0t7 0t7 0");
  svg.append(path);
  return svg;
}

// -- stores and tills ---------------------------------------------------------------------------

function showSlips(stage, box) {
  const {
    shownScene: scene,
    timeline: { plan },
    kinds,
  } = stage;
  const slips = slipsOf(scene, plan, kinds);
  const key = JSON.stringify(slips) + stage.atlas.theme;
  if (box.shown === key) return;
  box.shown = key;
  box.replaceChildren(...slips.map((slip) => (slip.store ? seenList(stage, slip) : till(slip))));
  box.hidden = !slips.length;
}

/** Stores and tills in the order of the workers that use them. Only effects with a unit have a till. */
export function slipsOf(scene, plan, kinds) {
  const slips = [];
  const said = new Set();
  for (const { handler } of plan.nodes.values()) {
    if (!handler) continue;
    const { store, effect, unit } = handler;
    if (store && !said.has(`store ${store}`)) slips.push(seenOf(scene, store, askers(plan, store)));
    if (unit && !said.has(effect)) slips.push(tillOf(scene, effect, unit, kinds));
    said.add(`store ${store}`).add(effect);
  }
  return slips;
}

/** The names of all workers that share a store. */
const askers = (plan, store) =>
  [...plan.nodes.values()]
    .filter((node) => node.handler?.store === store)
    .map((node) => node.name)
    .join(" and ");

/**
 * {store, by, rows: [{message, verdict, asked}]}: the latest it remembers; the one last asked for is marked.
 */
function seenOf(scene, store, by) {
  const { recent, asked, seen } = scene.stores.get(store) ?? { recent: [], asked: 0, seen: false };
  const verdict = (message) => (message !== asked ? "remembered" : seen ? "here already" : "new");
  const rows = recent
    .slice(-SEEN_ROWS)
    .map((message) => ({ message, verdict: verdict(message), asked: message === asked }));
  if (asked && !rows.some((row) => row.asked))
    rows.push({ message: asked, verdict: seen ? "here already" : "not here yet", asked: true });
  return { store, by, rows: rows.slice(-SEEN_ROWS) };
}

/**
 * {effect, unit, total, due, before: what the rows that are not shown come to, rows: [{text, amount,
 * again}]}.
 */
function tillOf(scene, effect, unit, kinds) {
  const { total, due } = scene.sums.get(effect) ?? { total: 0, due: 0 };
  const done = [...scene.finished.values()]
    .flat()
    .filter((row) => row.effect === effect)
    .sort((a, b) => a.at_us - b.at_us);
  const shown = done.slice(
    done.length > SLIP_ROWS || done[0]?.amount !== total - sumOf(done.slice(1)) ? 1 - SLIP_ROWS : 0,
  );
  const rows = shown.map(({ message, amount, effect_number }) => {
    const { label, key } = labelOf(scene, message, kinds);
    return { text: key ? `${label} ${key}` : label, amount: spoken(amount, unit), again: effect_number > 1 };
  });
  const before = total - sumOf(shown);
  return {
    effect,
    total: spoken(total, unit),
    due: total === due ? "" : spoken(due, unit),
    before: before ? spoken(before, unit) : "",
    rows,
  };
}

const sumOf = (rows) => rows.reduce((sum, row) => sum + row.amount, 0);

const spoken = (amount, unit) => (/^\p{Sc}$/u.test(unit) ? `${unit}${amount}` : `${amount} ${unit}`);

function till({ effect, total, due, before, rows }) {
  const box = part("figure", due ? "till wrong" : "till");
  const list = part("dl");
  list.append(
    ...[
      ...(before ? [line("before", before)] : []),
      ...rows.map(({ text, amount, again }) =>
        line(again ? `${text} again` : text, amount, again ? "again" : ""),
      ),
      line("total", total, "total"),
    ],
  );
  const paper = part("div", "paper");
  paper.append(list, saw());
  box.append(part("figcaption", "", effect), paper);
  if (due) box.append(part("p", "due", `should be ${due}`));
  return box;
}

function line(text, amount, klass = "") {
  const row = part("div", klass);
  row.append(part("dt", "", text), part("dd", "", amount));
  return row;
}

/** The torn foot of a paper slip. */
function saw() {
  const svg = document.createElementNS(NS, "svg");
  const path = document.createElementNS(NS, "path");
  svg.setAttribute("viewBox", "0 0 164 8");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", `M0 0V7${"l10.25 -5l10.25 5".repeat(8)}V0`);
  svg.append(path);
  return svg;
}

function seenList(stage, { store, by, rows }) {
  const box = part("figure", "seen");
  const table = part("table");
  for (const { message, verdict, asked } of rows) {
    const about = labelOf(stage.shownScene, message, stage.kinds);
    const row = part("tr", asked ? "asked" : "");
    const token = part("th");
    token.scope = "row";
    token.append(picture(stage, about, 0.52, 26, 26), about.label);
    row.append(token, part("td", "", verdict));
    table.append(row);
  }
  box.append(part("figcaption", "", store), table, part("p", "by", `asked by ${by}`));
  return box;
}

const seconds = (at_us) => `${(at_us / 1e6).toFixed(1)} s`;

function part(tag, klass = "", text = "") {
  const element = document.createElement(tag);
  if (klass) element.className = klass;
  if (text) element.textContent = text;
  return element;
}
