// One sentence about what has just happened: at most one every 1.5 s, the weightiest first, ordinary ones
// more seldom. When somebody steps: the moment that was stepped to, whatever it is.

import { TICK_US } from "mailroom/scene/timeline.js";
import { say, words } from "mailroom/lazy/sayings.js";
import { isFirstToWait, waitsOf } from "mailroom/lazy/waiting.js";

const EVERY_MS = 1_500;
const WEIGHTY_MS = 3_500;
const ORDINARY_MS = 3_000;
const JUMP_US = 2_000_000;
const LOOK_BACK_US = 5_000_000;
/** How long, of simulated time and on the wall, what is ordinary stays worth saying after it has happened. */
const FRESH_US = 1_000_000;
const FRESH_MS = 1_000;
const KEPT_MAX = 100;

export function furnishNarrator(stage) {
  stage.narrator = new Narrator(stage);
  stage.addEventListener("change", () => stage.narrator.follow());
  stage.addEventListener("moment", () => stage.narrator.follow());
}

/** Of two sentences of one rank the news is said. */
const weight = (sentence) => (sentence ? sentence.rank + (sentence.news ? 0.5 : 0) : 0);

class Narrator {
  constructor(stage) {
    this.stage = stage;
    this.heard_us = stage.shown_us;
    this.best = null;
    this.saidAt_ms = -1e9;
    this.saidRank = 0;
    /** What was said, for whoever wants to check it: sentences as `say` gives them. */
    this.told = [];
  }

  follow() {
    const { timeline, shown_us } = this.stage;
    // The first command opens a room: what it does has happened before its events are here.
    if (timeline.retold_us <= this.heard_us) this.heard_us = timeline.retold_us - 1;
    timeline.retold_us = Infinity;
    const passed_us = shown_us - this.heard_us;
    if (passed_us < 0 || passed_us > JUMP_US * Math.max(1, this.stage.clock.rate) || !this.stage.playing)
      this.recall(shown_us);
    else if (passed_us > 0) this.listen(timeline.between(this.heard_us, shown_us));
    this.heard_us = Math.min(shown_us, Math.max(this.heard_us, timeline.reachTick * TICK_US - 1));
    this.showTime(shown_us);
  }

  /** While it plays: keep the weightiest of what happens until there is time to say it. */
  listen(events) {
    if (this.best?.rank === 1 && this.isStale(this.best)) this.best = null;
    for (const event of events) {
      const sentence = this.newsOf(event) ?? say(event, this.stage.timeline);
      if (!sentence?.rank) continue;
      const more = weight(sentence) - weight(this.best);
      if (more > 0 || (more === 0 && sentence.rank === 1)) {
        this.best = sentence;
        this.heardAt_ms = performance.now();
      }
    }
    if (this.best?.rank === 1 && this.isStale(this.best)) this.best = null;
    const rank = this.best?.rank ?? 0;
    const wait_ms = this.saidRank > rank ? WEIGHTY_MS : rank === 1 ? ORDINARY_MS : EVERY_MS;
    if (this.best && performance.now() - this.saidAt_ms >= wait_ms) this.tell(this.best);
  }

  isStale(sentence) {
    const late_us = this.stage.shown_us - sentence.at_us;
    return late_us > FRESH_US || performance.now() - this.heardAt_ms > FRESH_MS;
  }

  /** The first message that has to wait in a queue, and why: at the moment shown, so it still does. */
  newsOf(event) {
    const { shownScene: scene, timeline } = this.stage;
    if (event.type !== "Placed" || event.zone !== "ready" || !isFirstToWait(scene, event)) return null;
    const message = timeline.facts.copies.get(event.copy)?.message;
    const held = waitsOf(scene, message).find(({ copy }) => copy === event.copy);
    if (!held) return null;
    const others = [...timeline.facts.copies.values()].some(
      (c) => c.message === message && c.copy !== event.copy,
    );
    const id = { id: `m${message}`, kind: "message", message, copy: event.copy };
    const queue = { id: held.name, kind: "node", node: event.node };
    const { text, ids } = others
      ? words(["", " waits in ", `: ${held.why}.`], id, queue)
      : words(["", ` waits: ${held.why}.`], id);
    return { number: event.number, at_us: event.at_us, causes: [], also: [], text, rank: 1, ids, news: true };
  }

  /**
   * After a jump, or when it stands: what was last worth saying; of one moment's sentences the one that led
   * to the others.
   */
  recall(t_us) {
    this.best = null;
    const events = this.stage.timeline.between(t_us - LOOK_BACK_US, t_us);
    let found = null;
    for (let i = events.length - 1; i >= 0 && (!found || events[i].at_us === found.at_us); i--) {
      const now = events[i].at_us === t_us;
      const sentence = (now && this.newsOf(events[i])) || say(events[i], this.stage.timeline);
      if (sentence?.rank === 1 && t_us - sentence.at_us > FRESH_US) continue;
      const least = this.stage.stepping && now ? -1 : 0;
      if (sentence && sentence.rank > least && weight(sentence) >= weight(found)) found = sentence;
    }
    if (found) this.tell(found);
    else this.stage.parts.narrator.textContent = "";
  }

  tell(sentence) {
    this.best = null;
    this.saidAt_ms = performance.now();
    this.saidRank = sentence.rank;
    const line = this.stage.parts.narrator;
    if (line.textContent === sentence.text) return;
    line.textContent = sentence.text;
    this.told.push({ ...sentence, shown_us: this.stage.shown_us });
    if (this.told.length > KEPT_MAX) this.told.shift();
  }

  showTime(t_us) {
    const text = (Math.floor(t_us / 100_000) / 10).toFixed(1);
    if (text === this.time) return;
    this.time = text;
    const { time } = this.stage.parts;
    if (time.firstElementChild) return void (time.firstChild.data = text);
    const unit = document.createElement("span");
    unit.className = "unit";
    unit.textContent = "s";
    time.replaceChildren(text, unit);
  }
}
