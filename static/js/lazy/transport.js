// Play, pause, step, speed, scrub, and their keys. On a recording all of it is private to this page; in a
// room the owner's play, pause, speed, step and start are commands, looking back is private again. The key
// Home looks back: only the button To start makes a branch.

import "mailroom/lazy/time-scrubber.js";
import { sayNear } from "mailroom/lazy/said.js";
import { randomSeed } from "mailroom/lazy/session.js";

const NUDGE_US = 500_000;
const SPEED_KEYS = { 1: 250, 2: 500, 3: 1000, 4: 2000, 5: 4000 };

/** What not everybody may press at every moment. */
const GUARDED = '[data-rate], [data-do="toggle"], [data-do="step"], [data-do="fork"], [data-do="newSeed"]';

export function furnishTransport(stage) {
  const actions = makeActions(stage);
  stage.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button || !stage.contains(button)) return;
    if (button.dataset.do) actions[button.dataset.do]?.();
    if (button.dataset.rate) actions.speed(Number(button.dataset.rate));
  });
  document.addEventListener("keydown", (event) => keyed(event, stage, actions));
  const { scrubber } = stage.parts;
  scrubber.addEventListener("seek", (event) => {
    stage.seek(event.detail);
  });
  stage.addEventListener("moment", () => {
    scrubber.show(stage);
    showAgo(stage);
  });
  stage.addEventListener("change", () => scrubber.show(stage));
  stage.addEventListener("transport", () => {
    scrubber.show(stage);
    showState(stage);
  });
}

/** Whether the owner's buttons move the room's own clock now. */
const rules = (stage) => stage.room && !stage.looking && stage.session?.role === "owner";

function makeActions(stage) {
  const place = stage.querySelector(".transport");
  const tell = (cmd, args = {}) => {
    sayNear(place, "");
    stage.session.send(cmd, args, place);
  };
  const step = (moment) => {
    if (stage.playing) stage.room && !stage.looking ? stage.lookBack() : stage.pause();
    if (moment !== null) stage.seek(moment, true);
    else stage.woken();
  };
  return {
    toggle() {
      if (rules(stage)) tell(stage.playing ? "Pause" : "Play");
      else if (stage.room && !stage.looking && stage.playing) {
        stage.lookBack();
        stage.woken();
      } else if (stage.playing) stage.pause();
      else if (stage.clock !== stage.room) stage.play();
    },
    speed(thousandths) {
      if (rules(stage)) tell("Speed", { rate: thousandths });
      else if (!stage.room || stage.looking)
        stage.clock.setRate(performance.now(), thousandths / 1000, stage.edge_us);
      stage.woken();
    },
    step() {
      if (rules(stage)) tell("Step");
      else if (stage.clock !== stage.room) step(stage.timeline.momentAfter(stage.shown_us));
    },
    stepBack: () => step(stage.timeline.momentBefore(stage.shown_us)),
    toStart() {
      if (rules(stage)) tell("ToStart");
      else stage.seek(0);
    },
    lookAtStart: () => stage.seek(0),
    returnToNow: () => stage.returnToNow(),
    fork() {
      if (!stage.room) stage.session.open({}, place);
      else if (stage.looking) tell("Fork", { at_us: stage.now });
    },
    newSeed() {
      if (stage.room) tell("NewSeed", { seed: null });
      else stage.session.open({ seed: randomSeed(), now_us: 0 }, place);
    },
    nudge: (by_us) => stage.seek(stage.shown_us + by_us),
  };
}

function keyed(event, stage, actions) {
  const inside = stage.contains(event.target);
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const free = [document.body, document.documentElement].includes(event.target);
  if (!inside && !free && !event.target.matches("[data-running]")) return;
  const { key, target, shiftKey } = event;
  const act = keyAction(key, shiftKey, inside, actions);
  if (!act) return;
  if (key === " " && target.closest("button, input, summary, a")) return;
  if (key.startsWith("Arrow") && target.closest("input, [role=group].lane")) return;
  event.preventDefault();
  act();
}

/** Letters and digits only act when the stage has the focus, so that they are in nobody's way. */
function keyAction(key, shift, inside, actions) {
  if (key === " ") return actions.toggle;
  if (key === "ArrowRight") return shift ? actions.step : () => actions.nudge(NUDGE_US);
  if (key === "ArrowLeft") return shift ? actions.stepBack : () => actions.nudge(-NUDGE_US);
  if (key === "Home") return inside ? actions.lookAtStart : null;
  if (key === "Escape") return inside ? actions.returnToNow : null;
  if (inside && SPEED_KEYS[key]) return () => actions.speed(SPEED_KEYS[key]);
  return null;
}

function showState(stage) {
  const { playing } = stage;
  stage.classList.toggle("is-playing", playing);
  const set = (button, name, value) => {
    if (button.getAttribute(name) !== value) button.setAttribute(name, value);
  };
  const toggle = stage.querySelector('[data-do="toggle"]');
  set(toggle, "aria-label", playing ? "Pause" : "Play");
  const rate = String(Math.round(stage.clock.rate * 1000));
  if (rate !== "0")
    for (const button of stage.querySelectorAll("[data-rate]"))
      set(button, "aria-pressed", String(button.dataset.rate === rate));
  const behind_us = stage.looking ? 1 : stage.furthest_us - stage.shown_us;
  const back = stage.room ? stage.looking : behind_us > 50_000;
  const { activeElement } = document;
  const returns = stage.querySelector('[data-do="returnToNow"]');
  returns.hidden = false;
  returns.classList.toggle("away", !back);
  if (stage.room || stage.session?.inRoom) showRole(stage);
  if (activeElement?.matches(".away") && stage.contains(activeElement)) toggle.focus();
  showAgo(stage);
}

/** In a room not everybody may press everything at every moment. */
async function showRole(stage) {
  const { mayNot, showSeat } = await import("mailroom/lazy/seat.js");
  const { activeElement } = document;
  showSeat(stage);
  for (const button of stage.querySelectorAll(GUARDED)) mayNot(stage, button);
  if (activeElement?.matches("button:disabled") && stage.contains(activeElement))
    stage.querySelector('[data-do="toggle"]').focus();
}

/** Who looks back is told how far. */
function showAgo(stage) {
  const ago_us = stage.room && stage.looking ? stage.room.truth(performance.now()) - stage.shown_us : 0;
  const text = ago_us > 0 ? ` as it was ${(ago_us / 1e6).toFixed(1)} s ago` : "";
  if (stage.parts.looking.textContent !== text) stage.parts.looking.textContent = text;
}
