// The life of one message: everything that happened to it, in all its copies and deliveries, when and why. It
// follows the moment on the screen: what is past, where the message is now, and what has been seen to come.

import { waitsOf } from "mailroom/lazy/waiting.js";
import { TICK_US } from "mailroom/scene/timeline.js";
import { labelOf } from "mailroom/view/tokens.js";

const TOKEN = 62;

/** The messages of a cluster are records, which have a life of another kind. */
const livesOf = (stage) =>
  stage.draws("kafka") ? import("mailroom/lazy/kafka/life.js") : import("mailroom/lazy/rabbitmq/life.js");

export async function furnishInspector(stage) {
  const box = stage.parts.inspector;
  const inspector = new Inspector(stage, box, await livesOf(stage));
  stage.addEventListener("inspect", (event) => inspector.open(event.detail));
  for (const name of ["change", "transport", "moment"])
    stage.addEventListener(name, () => inspector.follow());
  box.addEventListener("click", (event) => {
    const jump = event.target.closest("[data-at]");
    if (event.target.closest(".close")) close(stage, box);
    else if (jump) inspector.jump(Number(jump.dataset.at));
  });
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    close(stage, box);
  });
}

function show(stage, box, visible) {
  box.hidden = !visible;
  stage.classList.toggle("inspecting", visible);
}

function close(stage, box) {
  const { from } = box;
  show(stage, box, false);
  stage.inspect(0);
  (from?.isConnected ? from : stage.querySelector('[data-do="toggle"]')).focus();
}

class Inspector {
  /** `lives`: what is held of one message and where it is, {lifeOf, whereNow, standings?}. */
  constructor(stage, box, lives) {
    Object.assign(this, { stage, box, lives, message: 0, drawn: "" });
  }

  open(message) {
    const { stage, box } = this;
    this.message = message;
    this.drawn = this.known = "";
    show(stage, box, message > 0);
    if (!message) return;
    if (!box.contains(document.activeElement)) box.from = document.activeElement;
    this.follow();
    box.focus({ preventScroll: innerWidth > 980 });
  }

  /** Brings the list up to date; writes only what has changed. */
  follow() {
    if (!this.message) return;
    const { stage, message } = this;
    const { timeline, shown_us } = stage;
    const known = `${message} ${timeline.version} ${timeline.segments.length}`;
    if (known !== this.known) {
      this.known = known;
      this.life = this.lives.lifeOf(message, timeline);
    }
    this.fetchEarlier();
    const seen = this.life.filter((entry) => entry.at_us <= Math.max(stage.furthest_us, shown_us));
    const past = seen.filter((entry) => entry.at_us <= shown_us).length;
    const why = waitsOf(stage.shownScene, message).map((held) => `Waits in ${held.name}: ${held.why}`);
    const now = [this.lives.whereNow(stage.shownScene, message, stage.shown_us), why.join("; ")];
    const standings = this.lives.standings?.(stage.shownScene, message) ?? [];
    const drawn = `${known} ${seen.length} ${past} ${now} ${standings} ${this.missing} ${stage.atlas.theme}`;
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      this.draw(seen, past, now, standings);
    }
    const time = this.box.querySelector(".now time");
    if (time) time.textContent = seconds(shown_us);
  }

  /** What came before all that is held of it lies in the chunks before. */
  fetchEarlier() {
    const { timeline, shown_us, session } = this.stage;
    const segment = timeline.segmentAt(shown_us) ?? timeline.nearest(shown_us);
    this.missing = Boolean(segment?.start) && this.life[0]?.type !== "MessageCreated";
    if (this.missing) session?.chunks.want(timeline, segment.start * TICK_US - 1, 0, TICK_US);
  }

  jump(at_us) {
    const { stage } = this;
    if (stage.playing && !stage.room) stage.pause();
    stage.seek(at_us, true);
  }

  /** Where the list scrolls by itself, the moment shown stays in sight. */
  keepInSight(row, past) {
    const { box } = this;
    if (box.scrollHeight <= box.clientHeight || past === this.past) return;
    this.past = past;
    const top = row.getBoundingClientRect().top - box.getBoundingClientRect().top;
    if (top < 0 || top > box.clientHeight - 90) box.scrollTop += top - box.clientHeight / 2;
  }

  draw(seen, past, now, standings) {
    const { stage, box, message } = this;
    const { scrollTop } = box;
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.at : undefined;
    const homes = new Set(seen.map((entry) => homeOf(stage.timeline, entry.copy)).filter(Boolean));
    const items = seen.map((entry, i) => item(entry, i >= past, homes.size > 1 ? stage.timeline : null));
    items.splice(past, 0, nowItem(now));
    const list = text("ol", "", "life");
    list.append(...items);
    const parts = [heading(stage, message), facts(stage, message, standings), list];
    if (this.missing) parts.splice(2, 0, text("p", "What came before is being fetched.", "small"));
    if (past < seen.length)
      parts.push(text("p", "Dashed steps lie ahead of the moment you are looking at.", "small"));
    box.replaceChildren(...parts);
    box.scrollTop = scrollTop;
    this.keepInSight(list.querySelector(".now"), past);
    if (focused) box.querySelector(`[data-at="${focused}"]`)?.focus({ preventScroll: true });
  }
}

function heading(stage, message) {
  const { atlas } = stage;
  const about = labelOf(stage.shownScene, message, stage.kinds);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.round(TOKEN * atlas.ratio);
  canvas.style.width = canvas.style.height = `${TOKEN}px`;
  canvas.setAttribute("aria-hidden", "true");
  const context = canvas.getContext("2d");
  context.setTransform(atlas.ratio, 0, 0, atlas.ratio, 0, 0);
  atlas.draw(context, { ...about, look: "body", scale: 1.28, labelled: true, x: TOKEN / 2, y: TOKEN / 2 });
  const words = text("div", "");
  words.append(
    text("h2", `The life of m${message}`),
    text("p", about.key ? `key ${about.key}` : "without a key", "mono"),
  );
  const box = text("div", "", "who");
  box.append(canvas, words, closeButton());
  return box;
}

/** What is true of it at the moment shown, a row a copy, or a group that reads it. */
function facts(stage, message, standings) {
  const { shownScene: scene, timeline } = stage;
  const list = text("dl", "", "facts");
  const say = (term, value) => list.append(text("dt", term), text("dd", value));
  const fact = timeline.facts.messages.get(message);
  const nameOf = (node) => timeline.plan.nodes.get(node)?.name || "somebody";
  if (fact) say("made by", `${nameOf(fact.node)}${fact.poison ? ", as poison" : ""}`);
  for (const { copy, message: of, destination } of timeline.facts.copies.values()) {
    const known = scene.copies.get(copy);
    if (of !== message || !known) continue;
    const again = known.redelivered ? ", redelivered" : "";
    say(
      nameOf(destination),
      `${known.deliveries === 1 ? "1 delivery" : `${known.deliveries} deliveries`}${again}`,
    );
  }
  for (const [group, stands] of standings) say(group, stands);
  return list;
}

/** The destination that is owed the copy, also when it waits or is dead in another queue. */
function homeOf({ facts, plan }, copy) {
  const queue = facts.copies.get(copy)?.destination;
  return plan.nodes.get(queue)?.stands_for || queue;
}

function item(entry, ahead, timeline) {
  const li = text("li", "", ahead ? "ahead" : "");
  const time = text("button", seconds(entry.at_us), "jump");
  Object.assign(time, { type: "button", title: "Go to this moment" });
  time.dataset.at = entry.at_us;
  time.setAttribute("aria-label", `Go to ${seconds(entry.at_us)}: ${entry.what}`);
  li.append(time, text("span", entry.what));
  const home = timeline && timeline.plan.nodes.get(homeOf(timeline, entry.copy))?.name;
  const whose = home && !entry.what.includes(home) ? `for ${home}` : "";
  const why = [entry.why, entry.attempt > 1 && `delivery ${entry.attempt}`, whose].filter(Boolean).join("; ");
  if (why) li.append(text("small", why));
  return li;
}

function nowItem([where, why]) {
  const li = text("li", "", "now");
  li.append(text("time", ""), text("span", where || "No longer on the stage"));
  if (why) li.append(text("small", why));
  li.setAttribute("aria-current", "time");
  return li;
}

/** The messages of one zone as a table. */
export function showList(stage, { title, rows }) {
  const box = stage.parts.inspector;
  stage.inspect(0);
  show(stage, box, true);
  box.onclick = (event) => {
    if (event.target.closest(".close")) close(stage, box);
  };
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of ["place", "message", "key", "deliveries"]) {
    const cell = text("th", name);
    cell.scope = "col";
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of rows) body.insertRow().append(...row.map((value) => text("td", value)));
  box.replaceChildren(text("h2", title), table, closeButton());
  box.focus();
}

const seconds = (at_us) => `${(at_us / 1e6).toFixed(2)} s`;

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
