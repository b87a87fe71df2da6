// Reduced motion: nothing travels. What sets out is at its destination at once, in a cross-fade; a dashed
// trace says where it came from until the next event; clocks go on in steps of a tenth. Fetched only where
// that is asked for.

import { pointAt } from "mailroom/scene/tween.js";

export const FADE_US = 120_000;
const STEPS = 10;
const TRACES_MAX = 12;
/**
 * px: what the end of a trace leaves free, so that the arrow is not below what has arrived; and its least
 * length.
 */
const FREE = { token: 23, dot: 9 };
const SHORTEST = 30;
const ARROW = 9;

/** From now on the stage draws calmly, for as long as it is asked to. */
export async function furnishCalm(stage) {
  const ways = await (stage.draws("kafka")
    ? import("mailroom/lazy/kafka/calm-ways.js")
    : import("mailroom/lazy/rabbitmq/calm-ways.js"));
  let shown_us = stage.shown_us;
  let since_ms = -Infinity;
  stage.soothe = () => {
    const now_ms = performance.now();
    if (stage.shown_us !== shown_us) [shown_us, since_ms] = [stage.shown_us, now_ms];
    const seen_us = shown_us + (now_ms - since_ms) * 1000;
    if (soothe(stage.drawn, stage.shownScene, shown_us, stage.figure, ways, seen_us)) stage.wake();
  };
  stage.wake();
}

/**
 * Makes `drawn` (positions with motion "none") calm: adds `traces` [{points}], `ghosts` (what fades away), an
 * `alpha` to what appears, and `under`, which paints the first two; rounds clocks down. Pure but for that.
 *
 * `ways` says of the system's items since when they are where they are, and how they came there. A
 * picture that stands goes on fading: `seen_us` is `t_us` and the time since it is on the screen.
 * @returns {boolean} whether something still fades
 */
export function soothe(drawn, scene, t_us, figure, ways, seen_us = t_us) {
  drawn.traces = [];
  drawn.ghosts = [];
  for (const bar of drawn.bars) bar.part = stepped(bar.part);
  for (const item of drawn.tokens) {
    const { fuse } = item;
    if (fuse)
      item.t_us =
        fuse.at_us +
        stepped((t_us - fuse.at_us) / (fuse.until_us - fuse.at_us || 1)) * (fuse.until_us - fuse.at_us);
    const since_us = ways.sinceOf(scene, item);
    const rest = item.alpha ?? 1;
    item.alpha = rest * Math.max(0, Math.min(1, (seen_us - since_us) / FADE_US));
    const isNew = since_us === scene.at_us;
    if (!isNew && item.alpha === 1) continue;
    const way = ways.wayOf(scene, figure, item);
    if (isNew) trace(drawn, way, FREE.token * item.scale);
    if (way && item.token && item.alpha < 1) {
      const [x, y] = pointAt(way, 0);
      drawn.ghosts.push({ ...item, x, y, alpha: 1 - item.alpha });
    }
  }
  for (const dot of drawn.signals) {
    const { since_us, way } = ways.signalWay(scene, figure, dot);
    if (since_us === scene.at_us) trace(drawn, way, FREE.dot);
  }
  const { under } = drawn;
  drawn.under = (c, atlas) => {
    under?.(c, atlas);
    paintUnder(c, atlas, drawn, figure);
  };
  return drawn.tokens.some(({ alpha }) => alpha < 1);
}

/** The last whole tenth; what floats a hair below one is that tenth. */
const stepped = (part) => Math.floor(Math.max(0, Math.min(1, part)) * STEPS + 1e-9) / STEPS;

function trace(drawn, way, free) {
  const points = way && shortened(way.points, free);
  if (points && drawn.traces.length < TRACES_MAX) drawn.traces.push({ points });
}

/** `points` without the last `free` px, null when too little is left. */
function shortened(points, free) {
  const kept = points.map((point) => [...point]);
  let left = free;
  while (kept.length > 1) {
    const [[x0, y0], [x1, y1]] = kept.slice(-2);
    const length = Math.hypot(x1 - x0, y1 - y0);
    if (length > left) {
      kept[kept.length - 1] = [x1 - ((x1 - x0) * left) / length, y1 - ((y1 - y0) * left) / length];
      break;
    }
    left -= length;
    kept.pop();
  }
  const long = kept.reduce(
    (sum, [x, y], i) => sum + (i ? Math.hypot(x - kept[i - 1][0], y - kept[i - 1][1]) : 0),
    0,
  );
  return long >= SHORTEST ? kept : null;
}

// -- painting -----------------------------------------------------------------------------------

/** Dashes on a casing, which parts them from the wires below; in a lane, which has none, without it. */
function paintUnder(c, atlas, { traces, ghosts }, figure) {
  const { ink, sheet } = atlas.colours;
  const lanes = new Path2D();
  lanes.rect(0, 0, figure.width, figure.height);
  for (const box of figure.nodes.values())
    if (box.kind === "queue" || box.kind === "partition")
      lanes.rect(box.x, box.y - 8, box.width, box.height + 16);
  c.save();
  c.clip(lanes, "evenodd");
  for (const { points } of traces) paintLine(c, points, sheet, 6, []);
  c.restore();
  for (const { points } of traces) {
    paintLine(c, points, ink, 2, [7, 5]);
    paintArrow(c, points, ink);
  }
  for (const ghost of ghosts) {
    c.globalAlpha = ghost.alpha;
    atlas.draw(c, ghost);
  }
  c.globalAlpha = 1;
}

function paintLine(c, points, colour, width, dash) {
  c.beginPath();
  points.forEach(([x, y], i) => c[i ? "lineTo" : "moveTo"](x, y));
  c.lineJoin = "round";
  c.strokeStyle = colour;
  c.lineWidth = width;
  c.setLineDash(dash);
  c.stroke();
  c.setLineDash([]);
}

function paintArrow(c, points, colour) {
  const [[x0, y0], [x1, y1]] = points.slice(-2);
  c.save();
  c.translate(x1, y1);
  c.rotate(Math.atan2(y1 - y0, x1 - x0));
  c.beginPath();
  c.moveTo(1, 0);
  c.lineTo(-ARROW, -ARROW * 0.55);
  c.lineTo(-ARROW, ARROW * 0.55);
  c.fillStyle = colour;
  c.fill();
  c.restore();
}
