// A lesson's page: the text beside the stage, which the server writes, and what the stage does for it.
//
// Every step is a form. It is posted, the answer's text takes the old one's place, and the stage is told
// where to stand, how far it may run, and what to point at. Without this module the forms work as forms do.

import { mark } from "mailroom/lazy/mark.js";
import { furnishOrders } from "mailroom/lazy/order.js";
import { sayNear } from "mailroom/lazy/said.js";

const BY_STEPS =
  "Step, or Shift and the right arrow, goes on to the next stop, one event at a time. Play runs there.";
const SILENT = "The server does not answer. What you did is still here: try again.";

/** `first`: the submit event that was waiting while this module came. */
export function furnishLesson(root, first) {
  const lesson = new Lesson(root);
  if (first) lesson.submitted(first);
}

class Lesson {
  constructor(root) {
    this.root = root;
    this.stage = root.querySelector("queue-stage");
    root.addEventListener("submit", (event) => this.submitted(event));
    for (const name of ["transport", "moment"]) this.stage.addEventListener(name, () => this.watched());
    furnishOrders(root);
    this.take();
  }

  get text() {
    return this.root.querySelector("[data-lesson-text]");
  }

  /** What the text says about the stage is so from now on. */
  take() {
    const { dataset } = this.text;
    this.root.dataset.step = dataset.step;
    this.step = dataset.step;
    if (this.step !== "predict") this.stage.furnish().then(() => this.limitFaults(dataset.faults));
    this.stops = [...this.text.querySelectorAll("[data-at]")];
    this.shown = this.stops.findIndex((stop) => !stop.hidden);
    if (this.step === "run") this.ahead();
    else mark(this.stage, "");
    if (this.step === "goal" && dataset.way === undefined) delete this.stage.dataset.looks;
    if (this.step === "goal") this.stage.limit_us = Infinity;
    else if (this.step !== "run" && this.stage.limit_us === Infinity)
      this.stage.limit_us = Number(this.stage.dataset.at);
    this.judged = false;
    this.until_us = Number(dataset.until) || Infinity;
  }

  /** Only what the lesson is about can be broken in it. */
  limitFaults(names) {
    if (!names) return;
    const allowed = names.split(",");
    for (const button of this.stage.querySelectorAll("[data-fault]"))
      button.hidden = !allowed.includes(button.dataset.fault);
  }

  // -- the run ----------------------------------------------------------------------------------

  /** The run ends, for now, at the next stop. */
  ahead() {
    const next = this.stops[this.shown + 1];
    if (next) this.stage.limit_us = Number(next.dataset.at);
    mark(this.stage, this.stops[this.shown]?.dataset.points ?? "");
  }

  run() {
    const next = this.stops[this.shown + 1];
    if (this.stage.shown_us >= Number(next.dataset.at)) return this.arrive(next);
    for (const stop of this.text.querySelectorAll("[data-stop]")) stop.hidden = true;
    const running = this.text.querySelector("[data-running]");
    running.hidden = false;
    if (this.stage.calm) running.textContent = BY_STEPS;
    running.focus({ preventScroll: true });
    if (this.stage.getBoundingClientRect().top < 0) this.stage.scrollIntoView();
    mark(this.stage, "");
    return this.stage.calm ? undefined : this.stage.play();
  }

  /** Looks whether the run has come to its next stop, or the goal to its moment. */
  watched() {
    const { stage, step } = this;
    if (step === "goal") return this.lookAtGoal();
    const next = this.stops[this.shown + 1];
    if (step !== "run" || stage.playing || !next || stage.shown_us < Number(next.dataset.at))
      return undefined;
    return this.arrive(next);
  }

  /** The run stands at `next`, whose text is shown; from here it may go on to the one after. */
  arrive(next) {
    this.shown += 1;
    for (const stop of this.text.querySelectorAll("[data-stop], [data-running]")) stop.hidden = stop !== next;
    next.querySelector("button").focus();
    this.ahead();
    return this.keep(next.dataset.stop);
  }

  /** Tells the server, so that a page that is loaded anew stands here. */
  keep(stop) {
    const form = this.text.querySelector("form");
    const body = new URLSearchParams(new FormData(form));
    body.set("stop", stop);
    fetch(form.action, { method: "POST", body, headers: { "X-Part": "text" }, keepalive: true }).catch(
      () => {},
    );
  }

  // -- the goal ---------------------------------------------------------------------------------

  lookAtGoal() {
    const { stage } = this;
    const over = stage.room && !stage.looking && stage.shown_us >= this.until_us - 1;
    if (!over || this.judged) return;
    this.judged = true;
    this.text.querySelector("[data-goal]")?.requestSubmit();
  }

  // -- forms ------------------------------------------------------------------------------------

  submitted(event) {
    const form = event.target;
    event.preventDefault();
    if (form.dataset.next !== undefined) return this.run();
    return this.send(form, event.submitter);
  }

  async send(form, submitter) {
    if (this.sending) return;
    this.sending = true;
    const body = new URLSearchParams(new FormData(form, submitter));
    if (form.dataset.goal !== undefined) body.set("room", this.stage.dataset.room);
    try {
      const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Part": "text" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const text = page.querySelector("[data-lesson-text]");
      if (text) this.changed(text, page.querySelector("[data-steps]"));
      else sayNear(form, SILENT);
    } catch {
      sayNear(form, SILENT);
    } finally {
      this.sending = false;
    }
  }

  changed(text, steps) {
    const before = this.step;
    this.text.replaceWith(document.adoptNode(text));
    const old = document.querySelector("[data-steps]");
    if (steps && old) old.replaceWith(document.adoptNode(steps));
    this.take();
    if (before === this.step) {
      this.judged = true;
      (
        this.text.querySelector(".said-here") ??
        this.text.querySelector(".verdict") ??
        this.text.querySelector("h1")
      ).focus();
      return;
    }
    this.text.querySelector("[data-focus]").focus();
    scrollTo(0, 0);
    if (this.step === "run") this.stage.furnishing.then(() => this.run());
    if (this.step === "goal") this.stage.seek(0);
  }
}
