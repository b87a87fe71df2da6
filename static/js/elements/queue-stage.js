// <queue-stage>: the figure. Holds the parts together: what is known (timeline), which moment is on the
// screen (a clock), and the drawing of that moment. Panels around the figure listen to its events:
// "moment" (the time shown has changed) and "change" (what is shown has changed).

import { LocalClock, RoomClock } from "mailroom/scene/clock.js";
import { TICK_US, Timeline } from "mailroom/scene/timeline.js";
import { Atlas, fitCanvas, paint } from "mailroom/view/tokens.js";

const PANE_MARGIN = 240;
/** px of the figure that may be out of sight without a word. */
const EDGE = 8;
/** However low the screen is, this much of a figure is seen. (stage.css) */
const ROOM_MIN = 300;

/**
 * How each system is drawn: where everything stands, what is drawn at a moment, nodes and wires. A page
 * fetches what its stage needs, before the first picture; `kafka/` brings what its events mean with it.
 */
const VIEWS = {
  rabbitmq: () =>
    Promise.all([
      import("mailroom/view/layout.js"),
      import("mailroom/view/positions.js"),
      import("mailroom/view/nodes.js"),
    ]),
  kafka: () =>
    Promise.all([
      import("mailroom/kafka/layout.js"),
      import("mailroom/kafka/positions.js"),
      import("mailroom/kafka/nodes.js"),
      import("mailroom/kafka/parts.js"),
    ]),
};

/**
 * {layout, positions, drawNodes, drawWires} of the one that draws `systems`: "kafka" or "rabbitmq", and
 * what a cluster has that not each one has: "share-group", "transactions".
 */
export async function viewOf(systems) {
  const parts = await VIEWS[/\bkafka\b/.test(systems) ? "kafka" : "rabbitmq"]();
  const made = Object.assign({}, ...parts);
  await made.prepare?.(systems);
  return made;
}

const stage = document.querySelector("queue-stage");
const view = stage && (await viewOf(stage.dataset.systems ?? ""));

export class QueueStage extends HTMLElement {
  connectedCallback() {
    if (this.timeline) return;
    this.prepare();
    this.takeFirstChunk();
    this.watchSurroundings();
    this.draw();
    if (this.dataset.autoplay !== undefined && !this.calm) this.clock.play(performance.now());
    this.wake();
    if (this.dataset.panels !== "later") this.furnish();
  }

  /** Fetches what stands around the figure; a page may put that off until it is needed. */
  furnish() {
    this.furnishing ??= Promise.all([
      import("mailroom/lazy/panels.js"),
      ...this.systems.map((system) => import(`mailroom/lazy/${system}/sayings.js`)),
      view.prepareMore?.(),
    ]).then(([{ furnish }]) => furnish(this));
    return this.furnishing;
  }

  prepare() {
    this.parts = {};
    for (const part of this.querySelectorAll("[data-part]")) this.parts[part.dataset.part] = part;
    this.timeline = new Timeline();
    this.clock = new LocalClock();
    this.room = null;
    this.looking = false;
    this.stepping = false;
    this.selected = 0;
    this.furthest_us = 0;
    this.shown_us = 0;
    this.kinds = JSON.parse(this.dataset.kinds || "[]");
    this.length_us = Number(this.dataset.lengthUs) || 60_000_000;
    this.limit_us = Infinity;
    this.atlas = new Atlas();
    this.memo = new Map();
    this.awaited = new WeakSet();
    this.reduced = matchMedia("(prefers-reduced-motion: reduce)");
    /**
     * Whether whoever looks wants nothing to travel. (Who asks in each frame is not told of a change any
     * more.)
     */
    this.calm = this.reduced.matches;
    this.drawnVersion = "";
  }

  takeFirstChunk() {
    const text = document.getElementById("first-chunk")?.textContent.trim();
    if (!text) return;
    this.timeline.addChunk(JSON.parse(text));
    const first = this.dataset.at ? Number(this.dataset.at) : this.timeline.firstMovement();
    if (first !== null) this.clock.seek(0, first);
  }

  watchSurroundings() {
    const redraw = () => {
      this.figureWidth = 0;
      this.pane = null;
      this.dressed = 0;
      this.wake();
    };
    document.addEventListener("scroll", () => this.scrolled(), { capture: true, passive: true });
    new ResizeObserver(redraw).observe(this.parts.figure);
    const refit = () => {
      this.figureRoom = 0;
      this.wake();
    };
    const [above, foot] = [this.querySelector(".stage-bar"), this.parts.steering];
    const rows = new ResizeObserver(() => this.parts.targets.hidden && refit());
    for (const part of [above, foot]) if (part) rows.observe(part);
    addEventListener("resize", refit);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", redraw);
    }
    this.reduced.addEventListener("change", () => {
      this.calm = this.reduced.matches;
      this.obeyCalm();
    });
    if (this.calm) this.obeyCalm();
    document.fonts?.ready.then(() => {
      this.atlas.theme = "";
      redraw();
    });
    document.addEventListener("visibilitychange", () => this.hiddenChanged());
    this.parts.figure.addEventListener("click", (event) => this.clicked(event));
  }

  /** The kinds of systems that the run has: "kafka", "rabbitmq". */
  get systems() {
    return (this.dataset.systems || "rabbitmq").split(" ").filter((system) => system in VIEWS);
  }

  draws(system) {
    return this.systems.includes(system);
  }

  /** Who asks for calm while it plays gets a picture that stands; a room's clock is everybody's. */
  obeyCalm() {
    if (!this.calm) return this.wake();
    if (this.clock !== this.room) this.pause();
    return import("mailroom/lazy/calm.js").then(({ furnishCalm }) => furnishCalm(this));
  }

  // -- what others may hold on to (design, § 7) --------------------------------------------------

  /** Simulated µs on the screen. */
  get now() {
    return Math.round(this.shown_us);
  }

  get epoch() {
    return this.timeline.epoch;
  }

  /** The last whole tick that is held; `digest` is its digest. */
  get tick() {
    return this.timeline.endTick - 1;
  }

  get seq() {
    return this.timeline.seq;
  }

  get digest() {
    return this.timeline.digest;
  }

  /** What is drawn now, in CSS pixels of this element. */
  scene() {
    this.draw();
    const host = this.getBoundingClientRect();
    const picture = this.parts.scroller.getBoundingClientRect();
    const [dx, dy] = [picture.x - host.x, picture.y - host.y];
    const nodes = [...this.figure.nodes]
      .filter(([id]) => this.shownScene.nodes.has(id))
      .map(([id, { kind, x, y, width, height }]) => ({ id, kind, x: x + dx, y: y + dy, width, height }));
    const messages = this.drawn.tokens.map(({ id, label, kind, attempt, look, node, zone, index, x, y }) => ({
      id,
      label,
      kind,
      attempt,
      role: look === "receipt" || look === "replica" ? look : "body",
      node,
      zone,
      index,
      x: x + dx,
      y: y + dy,
    }));
    const signals = this.drawn.signals.map(({ id, kind, about, x, y }) => ({
      id,
      kind,
      about,
      x: x + dx,
      y: y + dy,
    }));
    return { now: this.now, nodes, messages, signals };
  }

  // -- time -------------------------------------------------------------------------------------

  get playing() {
    return this.clock.playing;
  }

  /** Where the clock has to wait: the end of what is known, of the run, and of what may be shown. */
  get edge_us() {
    const known =
      this.clock === this.room
        ? this.timeline.reachTick * TICK_US - 1
        : this.timeline.edgeAfter(this.shown_us);
    return Math.max(0, Math.min(known, this.looking ? this.roomNow_us : this.end_us));
  }

  /** Where the run ends: at its length, or where the page lets it go to for now (`limit_us`). */
  get end_us() {
    return Math.min(this.length_us, this.limit_us);
  }

  /** The moment on the room's own clock, also while this page looks back; Infinity on a recording. */
  get roomNow_us() {
    return this.room ? Math.min(this.room.truth(performance.now()), this.length_us) : Infinity;
  }

  play() {
    if (!this.room && this.shown_us >= this.length_us) this.seek(0);
    this.stepping = false;
    this.clock.play(performance.now());
    this.woken();
  }

  pause() {
    this.clock.pause(performance.now(), this.edge_us);
    this.draw();
    this.woken();
  }

  /**
   * Shows the moment `t_us`; in a room that is looking back, private to this page, and ends at the room's
   * now.
   */
  seek(t_us, stepping = false) {
    const to_us = Math.max(0, Math.min(this.end_us, t_us));
    if (to_us >= this.roomNow_us) return this.returnToNow();
    if (this.room && !this.looking) this.lookBack();
    this.stepping = stepping;
    this.clock.seek(performance.now(), to_us);
    this.draw();
    return this.woken();
  }

  /** Leaves the room's clock for one of this page's own. */
  lookBack() {
    this.looking = true;
    this.clock = new LocalClock(this.shown_us);
  }

  returnToNow() {
    if (!this.room) return this.seek(this.furthest_us);
    this.looking = false;
    this.stepping = false;
    this.clock = this.room;
    return this.woken();
  }

  /** Another branch from tick `cut` on: what came later has not happened. */
  branchAt(cut) {
    this.timeline.forgetFrom(cut);
    this.furthest_us = Math.min(this.furthest_us, cut * TICK_US);
    if (!this.timeline.facts.messages.has(this.selected)) this.inspect(0);
    this.woken();
  }

  /**
   * A `clock` frame: from now on the room's clock rules, unless somebody looks back. `jumps`: do not glide to
   * it.
   */
  takeClock(frame, jumps = false) {
    this.room ??= new RoomClock();
    this.room.take(frame, performance.now(), this.looking || jumps ? Infinity : this.shown_us);
    if (!this.looking) this.clock = this.room;
    this.woken();
  }

  hiddenChanged() {
    if (document.hidden) {
      this.playedWhenHidden = this.clock !== this.room && this.clock.playing;
      if (this.playedWhenHidden) this.clock.pause(performance.now(), this.edge_us);
    } else if (this.playedWhenHidden) this.clock.play(performance.now());
    this.wake();
  }

  // -- drawing ----------------------------------------------------------------------------------

  /** Something about time has changed: draw, and tell the panels. */
  woken() {
    this.wake();
    this.dispatchEvent(new Event("transport"));
  }

  wake() {
    this.raf ??= requestAnimationFrame(() => {
      this.raf = null;
      const more = this.clock.moving(performance.now());
      this.draw();
      if (more) this.wake();
    });
  }

  draw() {
    const before = this.shown_us;
    this.shown_us = this.clock.at(performance.now(), this.edge_us);
    this.furthest_us = Math.max(this.furthest_us, this.shown_us);
    this.shownScene = this.timeline.sceneAt(this.shown_us);
    this.arrange();
    const motion = this.calm ? "none" : this.stepping ? "travel" : "all";
    this.drawn = view.positions(this.shownScene, this.shown_us, this.figure, this.kinds, motion, this.memo);
    for (const part of this.drawn.lacks ?? []) this.drawWith(part);
    if (this.calm) this.soothe?.();
    paint(this.parts.canvas, this.drawn, this.figure, this.atlas, this.selected, this.pane);
    this.tellChanges();
    if (before !== this.shown_us) this.dispatchEvent(new Event("moment"));
    this.stopAtEnd();
  }

  /** Draws again when `part` of how it is drawn has come. */
  drawWith(part) {
    if (this.awaited.has(part)) return;
    this.awaited.add(part);
    part.then(() => {
      this.drawnVersion = "";
      this.wake();
    });
  }

  /** Lays the figure out anew when its width or what is on the stage has changed. */
  arrange() {
    const width = this.figureWidth || (this.figureWidth = this.parts.figure.clientWidth);
    const room = (this.figureRoom ||= this.roomForFigure());
    const key = `${width} ${room} ${this.timeline.planVersion}`;
    const ratio = Math.min(3, devicePixelRatio || 1);
    if (this.layoutKey !== key) {
      this.layoutKey = key;
      this.figure = view.layout(this.timeline.plan, Math.max(width, 320), { room });
      this.drawnVersion = "";
      this.pane = null;
      this.parts.figure.classList.toggle("narrow", this.figure.narrow);
      this.parts.scroller.style.height = `${this.figure.height}px`;
      this.parts.figure.classList.toggle("fitted", room < Infinity);
      this.parts.figure.style.setProperty("--room", `${room}px`);
      this.tellEdges();
    }
    if (this.dressed !== ratio) this.atlas.dress(this, ratio);
    this.dressed = ratio;
    if (!this.pane) {
      this.pane = this.inView();
      this.tellEdges();
    }
    fitCanvas(this.parts.canvas, this.figure, ratio, this.pane);
  }

  /**
   * How high the figure may be between what is above it and what sticks to the foot of the screen (narrator,
   * transport, ledger); Infinity where nothing does. It is measured when the window, the bar or the foot
   * becomes another, not when a row of targets or a sheet of settings opens: the picture does not jump then.
   */
  roomForFigure() {
    const { figure, steering, connection } = this.parts;
    if (getComputedStyle(steering).position !== "sticky") return Infinity;
    const topOf = (element) => element.getBoundingClientRect().top;
    const host = getComputedStyle(this).position === "sticky" ? this.parentElement : this;
    const top = topOf(figure) - topOf(this) + topOf(host) + scrollY;
    // What is said of a lost connection covers the figure's foot: lanes do not move for it.
    const foot = steering.offsetHeight - connection.offsetHeight;
    return Math.max(ROOM_MIN, Math.floor(innerHeight - top - foot));
  }

  /**
   * The strip of the figure that the canvas covers: all of it, or of a tall one what is in view and a margin.
   */
  inView() {
    const { figure, scroller } = this.parts;
    const height = Math.min(
      this.figure.height,
      Math.min(innerHeight, figure.clientHeight || innerHeight) + 2 * PANE_MARGIN,
    );
    const hidden = Math.max(0, figure.getBoundingClientRect().top) - scroller.getBoundingClientRect().top;
    return {
      top: Math.round(Math.max(0, Math.min(this.figure.height - height, hidden - PANE_MARGIN))),
      height,
    };
  }

  /** Whether the figure goes on above and below what is seen of it: that is said at its edges. */
  tellEdges() {
    const { scrollTop, scrollHeight, clientHeight, dataset } = this.parts.figure;
    dataset.above = scrollTop > EDGE;
    dataset.below = scrollTop + clientHeight < scrollHeight - EDGE;
  }

  /** The canvas follows before what it does not cover comes into view. */
  scrolled() {
    this.tellEdges();
    if (!this.pane || this.pane.height >= this.figure.height) return;
    const pane = this.inView();
    if (Math.abs(pane.top - this.pane.top) < PANE_MARGIN / 2) return;
    this.pane = pane;
    this.draw();
  }

  tellChanges() {
    const { version: known, cursor } = this.timeline;
    const version = `${this.layoutKey} ${known} ${cursor?.index} ${this.shownScene.number}`;
    if (version === this.drawnVersion) return;
    this.drawnVersion = version;
    view.drawWires(this.parts.wires, this.figure, this.shownScene);
    view.drawNodes(this.parts.nodes, this.figure, this.shownScene);
    this.dispatchEvent(new Event("change"));
  }

  stopAtEnd() {
    if (this.clock === this.room || !this.clock.playing) return;
    if (this.looking && this.shown_us >= this.roomNow_us) return this.returnToNow();
    if (this.shown_us < this.end_us) return;
    this.clock.pause(performance.now(), this.edge_us);
    this.woken();
  }

  // -- looking at a message ---------------------------------------------------------------------

  clicked(event) {
    const picture = this.parts.scroller.getBoundingClientRect();
    const [x, y] = [event.clientX - picture.x, event.clientY - picture.y];
    const opener = event.target.closest(".open");
    let best = null;
    let nearest = opener && !event.detail ? 0 : 26;
    for (const item of this.drawn.tokens) {
      const distance = Math.hypot(item.x - x, item.y - y);
      if (distance < nearest) [best, nearest] = [item, distance];
    }
    if (best) this.inspect(best.message);
    else if (opener)
      this.dispatchEvent(new CustomEvent("choose", { detail: Number(opener.parentElement.dataset.node) }));
  }

  /** Selects a message (0: none); the inspector shows its life. */
  inspect(message) {
    this.selected = message;
    this.wake();
    this.dispatchEvent(new CustomEvent("inspect", { detail: message }));
  }
}

customElements.define("queue-stage", QueueStage);
