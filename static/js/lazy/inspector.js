// The life of one message: everything that happened to it, when and why; what is recorded but still ahead, marked so.

import { say } from "mailroom/lazy/sayings.js";

const ENTRIES_MAX = 200;

export function furnishInspector(stage) {
  const box = stage.parts.inspector;
  let shown = 0;
  const refresh = () => { if (shown) fill(stage, box, shown); };
  stage.addEventListener("inspect", (event) => {
    shown = event.detail;
    box.hidden = !shown;
    refresh();
    if (shown) box.focus();
  });
  stage.addEventListener("change", () => { if (shown && !stage.playing) refresh(); });
  stage.addEventListener("transport", refresh);
  box.addEventListener("click", (event) => { if (event.target.closest(".close")) close(stage, box); });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    close(stage, box);
  });
}

function close(stage, box) {
  box.hidden = true;
  stage.inspect(0);
  stage.querySelector('[data-do="toggle"]').focus();
}

/** All that is held of `message`'s life, as sentences with their causes. Pure. */
export function lifeOf(message, timeline) {
  const copies = new Set([...timeline.facts.copies.values()].filter((c) => c.message === message).map((c) => c.copy));
  const entries = [];
  for (const { events } of timeline.segments) {
    for (const event of events) {
      if (!concerns(event, message, copies)) continue;
      const sentence = say(event, timeline);
      if (sentence) entries.push(sentence);
    }
  }
  return entries.slice(0, ENTRIES_MAX);
}

const BY_MESSAGE = new Set(["publish", "confirm", "refuse", "return"]);

function concerns(event, message, copies) {
  if (event.type === "Sent") return BY_MESSAGE.has(event.kind) ? event.about === message : copies.has(event.about);
  return event.message === message || copies.has(event.copy) || (event.copies ?? []).some((c) => copies.has(c));
}

function fill(stage, box, message) {
  const { timeline, shown_us } = stage;
  const entries = lifeOf(message, timeline);
  const fact = timeline.facts.messages.get(message);
  const ol = document.createElement("ol");
  ol.append(...entries.map((entry) => item(entry, timeline, shown_us)));
  const facts = text("p", factsOf(fact, timeline), "facts");
  box.replaceChildren(text("h2", `The life of m${message}`), facts, ol, closeButton());
}

function factsOf(fact, timeline) {
  if (!fact) return "It was made before what is held here.";
  const maker = timeline.plan.nodes.get(fact.node)?.name ?? "somebody";
  return `Made by ${maker}${fact.key ? `, key ${fact.key}` : ", without a key"}${fact.poison ? ", poison: every handler fails at it" : ""}.`;
}

function item(entry, timeline, shown_us) {
  const li = document.createElement("li");
  if (entry.at_us > shown_us) li.className = "ahead";
  const why = timeline.event(entry.causes[0]);
  const because = why ? say(why, timeline) : null;
  li.append(text("time", `${(entry.at_us / 1e6).toFixed(2)} s`), text("span", entry.text));
  if (because && because.text !== entry.text) li.append(text("small", `because: ${because.text}`));
  return li;
}

/** The messages of one zone as a table. */
export function showList(stage, { title, rows }) {
  const box = stage.parts.inspector;
  stage.inspect(0);
  box.hidden = false;
  box.onclick = (event) => { if (event.target.closest(".close")) close(stage, box); };
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of ["place", "message", "key", "deliveries"]) {
    const cell = text("th", name);
    cell.scope = "col";
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of rows) for (const [cells, values] of [[body.insertRow(), row]]) cells.append(...values.map((value) => text("td", value)));
  box.replaceChildren(text("h2", title), table, closeButton());
  box.focus();
}

function text(tag, content, klass = "") {
  const element = document.createElement(tag);
  element.textContent = content;
  if (klass) element.className = klass;
  return element;
}

function closeButton() {
  const button = text("button", "Close", "close");
  button.type = "button";
  return button;
}
