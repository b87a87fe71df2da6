// A question's page: lists to be ordered, and places to be picked on the picture. The form itself needs no
// script.

import { boxOf, frame } from "mailroom/lazy/mark.js";
import { furnishOrders } from "mailroom/lazy/order.js";

export function furnishQuestion(root) {
  furnishOrders(root);
  root.querySelector("[data-said] h2")?.focus();
  const stage = root.querySelector("queue-stage");
  if (root.dataset.question !== "place" || !stage) return;
  if (root.dataset.right === undefined) letPick(root, stage);
  else showBoth(root, stage);
}

/** A click on the picture chooses the place there; the choice is marked on it. */
function letPick(root, stage) {
  const radios = [...root.querySelectorAll("[data-node]")];
  const show = () => {
    const chosen = radios.find((radio) => radio.checked);
    frame(
      stage,
      chosen ? boxNamed(stage, chosen.dataset.node, chosen.dataset.zone) : null,
      "your pick",
      "pick",
    );
  };
  root.addEventListener("change", show);
  new ResizeObserver(show).observe(stage.parts.figure);
  stage.parts.figure.addEventListener("click", (event) => {
    const at = stage.parts.scroller.getBoundingClientRect();
    const [x, y] = [event.clientX - at.x, event.clientY - at.y];
    const radio = radios.find(
      ({ dataset }) =>
        dataset.zone !== "on the way" && inside(boxNamed(stage, dataset.node, dataset.zone), x, y),
    );
    if (!radio) return;
    radio.checked = true;
    show();
  });
  show();
}

/** Plays on to the moment that was asked about and draws what is right beside what was picked. */
function showBoth(root, stage) {
  const { right, given, asked } = root.dataset;
  const draw = () => {
    frame(stage, boxOfPlace(stage, given), "your pick", "pick");
    frame(
      stage,
      stage.shown_us >= Number(asked) ? boxOfPlace(stage, right) : null,
      given === right ? "" : "here",
      "pointed",
    );
  };
  stage.limit_us = Number(asked);
  new ResizeObserver(draw).observe(stage.parts.figure);
  for (const name of ["transport", "moment"]) stage.addEventListener(name, draw);
  if (!stage.calm) stage.play();
  else stage.seek(Number(asked));
  draw();
}

function boxOfPlace(stage, place) {
  const node = [...stage.shownScene.nodes.values()]
    .filter(({ name }) => name && (place === name || place.startsWith(`${name} `)))
    .sort((a, b) => b.name.length - a.name.length)[0];
  return node ? boxOf(stage, node.node, place.slice(node.name.length + 1)) : null;
}

function boxNamed(stage, name, zone) {
  const node = [...stage.shownScene.nodes.values()].find((each) => each.name === name);
  return node ? boxOf(stage, node.node, zone) : null;
}

const inside = (box, x, y) =>
  box && x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
