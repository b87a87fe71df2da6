// Messages at rest as real buttons over the picture: made when the picture stops, one tab stop a lane.

import { zoneKeys } from "mailroom/scene/reducer.js";
import { labelOf } from "mailroom/view/tokens.js";

const SIZE = 40;
/** Of a zone, when it is not 12: all the columns of a log. */
const BUTTONS_MAX = { log: 26 };
const ZONE_WORDS = {
  ready: "ready in",
  unacked: "unacked in",
  delayed: "delayed in",
  prefetched: "waiting at",
  working: "worked on by",
  socket: "in the socket of",
  dead_lettering: "being dead-lettered by",
  log: "in the log of",
};

export function furnishTokens(stage) {
  const box = stage.parts.tokens;
  const refresh = () => {
    if (stage.playing) return box.replaceChildren();
    return fill(stage, box);
  };
  setTimeout(refresh, 60);
  stage.addEventListener("transport", () => setTimeout(refresh, 60));
  stage.addEventListener("change", () => {
    if (!stage.playing) refresh();
  });
  box.addEventListener("keydown", (event) => roam(event));
  box.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    event.stopPropagation();
    if (button.dataset.message) stage.inspect(Number(button.dataset.message));
    else list(stage, Number(button.dataset.node), button.dataset.zone);
  });
}

/** Opens the table of a zone; what a cluster holds is listed by its own module. */
async function list(stage, node, zone) {
  const { showList } = await import("mailroom/lazy/inspector.js");
  const isKafka = zone === "log" || stage.shownScene.readers?.has(node);
  const listed = isKafka ? (await import("mailroom/lazy/kafka/records.js")).tableOf : tableOf;
  showList(stage, listed(stage, node, zone));
}

/** Makes the buttons anew when they would differ; whoever has the focus keeps it. */
function fill(stage, box) {
  const key = JSON.stringify([
    stage.drawn.more,
    stage.drawn.tokens.map((item) => [item.id, item.node, item.zone, item.x, item.y]),
  ]);
  if (key === box.filledWith && box.firstChild) return;
  box.filledWith = key;
  const focused = box.contains(document.activeElement)
    ? document.activeElement.getAttribute("aria-label")
    : null;
  build(stage, box);
  if (focused)
    [...box.querySelectorAll("button")]
      .find((button) => button.getAttribute("aria-label") === focused)
      ?.focus();
}

function build(stage, box) {
  const lanes = new Map();
  for (const item of stage.drawn.tokens) {
    if (item.zone === "flight" || item.look === "replica" || !item.labelled) continue;
    const key = `${item.node} ${item.zone}`;
    if (!lanes.has(key)) lanes.set(key, []);
    lanes.get(key).push(item);
  }
  const groups = [...lanes].map(([key, items]) =>
    group(stage, key, items.sort((a, b) => a.index - b.index).slice(0, BUTTONS_MAX[key.split(" ")[1]] ?? 12)),
  );
  const deep = stage.drawn.more.map((more) => moreButton(stage, more));
  const minis = stage.drawn.tokens
    .filter(
      ({ labelled, look, zone, first, index }) =>
        !labelled && look !== "replica" && zone !== "flight" && (first ?? index === 0),
    )
    .map((item) => moreButton(stage, { ...item, count: 0 }));
  box.replaceChildren(...groups, ...deep, ...minis);
}

function group(stage, key, items) {
  const box = document.createElement("div");
  const [node, zone] = key.split(" ");
  const name = stage.shownScene.nodes.get(Number(node))?.name ?? "";
  box.className = "lane";
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `Messages ${ZONE_WORDS[zone]} ${name}`);
  box.append(...items.map((item, i) => tokenButton(item, name, i)));
  return box;
}

function tokenButton(item, nodeName, i) {
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = i ? -1 : 0;
  button.dataset.message = item.message;
  const key = item.key ? `, key ${item.key}` : "";
  const again = item.deliveries > 1 || item.redelivered ? `, handed out ${item.deliveries} times` : "";
  button.setAttribute(
    "aria-label",
    `${item.label}${key}, ${ZONE_WORDS[item.zone]} ${nodeName}, ${placeWords(item)}${again}`,
  );
  const size = Math.min(SIZE, Math.max(24, item.scale * 48));
  put(button, item.x - size / 2, item.y - size / 2, size, size);
  return button;
}

const placeWords = ({ zone, index, aborted }) =>
  zone === "log" ? `offset ${index}${aborted ? ", aborted" : ""}` : `place ${index + 1}`;

/** Opens the table of a zone of which not every message is a button. */
function moreButton(stage, { node, zone, count, x, y }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = count ? "more" : "";
  button.textContent = count ? `+${count}` : "";
  Object.assign(button.dataset, { node, zone });
  const name = stage.shownScene.nodes.get(node)?.name ?? "";
  const all = zoneKeys(stage.shownScene, node, zone).length || "";
  button.setAttribute(
    "aria-label",
    count
      ? `and ${count} more ${ZONE_WORDS[zone]} ${name}`
      : `all ${all} messages ${ZONE_WORDS[zone]} ${name}`.replace("  ", " "),
  );
  if (count) put(button, x - 22, y - 13, 44, 26);
  else put(button, x - 12, y - 12, 24, 24);
  return button;
}

function put(element, x, y, width, height) {
  Object.assign(element.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
}

/** Arrow keys go from button to button within one `.lane`, which is one tab stop. */
export function roam(event) {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const lane = event.target.closest(".lane");
  if (!by || !lane) return;
  event.preventDefault();
  const buttons = [...lane.children];
  const next = buttons[(buttons.indexOf(event.target) + by + buttons.length) % buttons.length];
  for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
  next.focus();
}

function tableOf(stage, node, zone) {
  const scene = stage.shownScene;
  const name = scene.nodes.get(node)?.name ?? "";
  const rows = zoneKeys(scene, node, zone).map((key, i) => {
    const { copy } = scene.tokens.get(key);
    const about = labelOf(scene, scene.facts.copies.get(copy)?.message ?? 0, stage.kinds);
    return [i + 1, about.label, about.key || "none", scene.copies.get(copy)?.deliveries ?? 0];
  });
  return { title: `Messages ${ZONE_WORDS[zone]} ${name}`, rows };
}
