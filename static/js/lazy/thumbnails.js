// Moving pictures of recordings, small and cheap: each plays its first ten seconds over and over while it is
// in view, drawn by the stage's own layout and atlas. Nothing is fetched for a picture that nobody has
// scrolled to.

import { Timeline } from "mailroom/scene/timeline.js";
import { viewOf } from "mailroom/elements/queue-stage.js";
import { Atlas, paint } from "mailroom/view/tokens.js";

const FIGURE_WIDTH = 721;
const START_US = 2_000_000;
const LENGTH_US = 9_900_000;
const STILL_US = 8_000_000;
const FRAME_MS = 33;

export function furnishThumbnails(boxes) {
  const reduced = matchMedia("(prefers-reduced-motion: reduce)");
  const films = new Map([...boxes].map((box) => [box, new Film(box)]));
  const inView = new Set();
  let raf = null;
  let last_ms = 0;
  const turn = (now_ms) => {
    raf = inView.size ? requestAnimationFrame(turn) : null;
    if (now_ms - last_ms < FRAME_MS) return;
    last_ms = now_ms;
    for (const film of inView) film.show(now_ms);
  };
  const begin = (film) => {
    if (reduced.matches) film.still();
    else if (film.wanted) inView.add(film);
    if (inView.size) raf ??= requestAnimationFrame(turn);
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const film = films.get(target);
      film.wanted = isIntersecting;
      if (isIntersecting)
        film.load().then(
          () => begin(film),
          () => {},
        );
      else inView.delete(film);
    }
  });
  for (const box of boxes) watcher.observe(box);
  const redress = () => {
    for (const film of films.values()) film.redress(reduced.matches);
  };
  new MutationObserver(redress).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redress);
  addEventListener("resize", () => {
    for (const film of films.values()) film.fit(reduced.matches);
  });
  reduced.addEventListener("change", () => {
    inView.clear();
    for (const film of films.values()) if (film.figure) begin(film);
  });
}

/** One recording's first chunk, and the picture of a moment of it. */
class Film {
  constructor(box) {
    this.box = box;
    this.kinds = JSON.parse(box.dataset.kinds || "[]");
    this.frame = box.querySelector(".thumb-frame");
    this.svg = box.querySelector("svg");
    this.canvas = box.querySelector("canvas");
    this.atlas = new Atlas();
    this.shown_us = -1;
  }

  load() {
    this.loading ??= Promise.all([
      fetch(this.box.dataset.chunk).then((answer) => answer.json()),
      viewOf(this.box.dataset.systems ?? ""),
    ]).then(([chunk, view]) => {
      this.view = view;
      this.timeline = new Timeline();
      this.timeline.addChunk(chunk);
      this.start_us = Math.max(START_US, this.timeline.firstMovement() ?? 0);
      this.figure = this.view.layout(this.timeline.plan, FIGURE_WIDTH);
      this.fit(false);
      this.draw(this.start_us);
    });
    return this.loading;
  }

  /** Scales the figure into its box. */
  fit(again) {
    if (!this.figure) return;
    const { width, height } = this.figure;
    const scale = Math.min(this.box.clientWidth / width, this.box.clientHeight / height);
    this.frame.style.width = `${Math.floor(width * scale)}px`;
    this.frame.style.height = `${Math.floor(height * scale)}px`;
    this.ratio = scale * Math.min(2, devicePixelRatio || 1);
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(height * this.ratio);
    if (again) this.still();
  }

  redress(again) {
    if (again && this.figure) this.still();
  }

  /** For who wants nothing to move: one moment, in which nothing is on its way. */
  still() {
    const { lacks } = this.draw(STILL_US, "none");
    const again = () => this.shown_us === STILL_US && this.draw(STILL_US, "none");
    if (lacks?.size) Promise.all(lacks).then(again);
  }

  show(now_ms) {
    this.begun_ms ??= now_ms;
    const span_us = LENGTH_US - this.start_us;
    this.draw(this.start_us + (((now_ms - this.begun_ms) * 1000) % span_us));
  }

  draw(t_us, motion = "all") {
    this.shown_us = t_us;
    const scene = this.timeline.sceneAt(t_us);
    const drawn = this.view.positions(scene, t_us, this.figure, this.kinds, motion);
    for (const item of drawn.tokens) item.labelled = false;
    if (drawn.words) [drawn.words, drawn.phases] = [[], null];
    this.atlas.dress(this.box, this.ratio);
    this.view.drawWires(this.svg, this.figure, scene);
    paint(this.canvas, drawn, this.figure, this.atlas, 0);
    return drawn;
  }
}
