// The phases of a rebalance: which of them a group is in, and what is written of it below the rows or over
// them. Pure but for painting. Fetched with the panels, or when a group is first seen in a rebalance.

import { isShared } from "mailroom/kafka/fold.js";
import { line } from "mailroom/kafka/paint.js";

const EAGER = ["everyone revokes", "join", "assign", "resume from committed"];
const COOPERATIVE = ["join", "assign", "give up what moves", "take it over"];
const SERVER = ["new target", "give up what moves", "take it over", "resume"];

const isServer = (group) => group.protocol === "uniform" || group.state === "Reconciling" || group.server;

/** Whether members of the group have to let go of everything at each rebalance. */
const isEager = (group) => !/cooperative|uniform/.test(group.protocol) && !isServer(group);

/**
 * {words, at, silent_us}: the phases of the rebalance that a group is in, and which one it is; null
 * outside one.
 */
function rebalanceOf(scene, group, t_us) {
  const members = [...group.members.values()].filter(({ away }) => !away);
  const crashed = members.find(({ node }) => node && scene.nodes.get(node)?.state === "crashed");
  const readers = [...scene.readers.values()].filter((reader) => reader.group === group.node);
  const owners = readers.filter(
    (reader) => Object.keys(reader.owned).length && scene.nodes.get(reader.node)?.state !== "crashed",
  );
  const setting = owners.some((reader) => Object.values(reader.owned).some(({ position }) => position < 0));
  const eager = isEager(group);
  const words = isServer(group) ? SERVER : eager ? EAGER : COOPERATIVE;
  const lost = group.lost?.why === "session" && !members.some((member) => member.since_us > group.lost.at_us);
  const first = crashed
    ? `${scene.nodes.get(crashed.node).name} not heard of`
    : lost
      ? "session timeout"
      : "a member comes or goes";
  const phase = (at) => ({ group, words: [first, ...words], at, since_us: group.since_us });
  if (group.state === "PreparingRebalance") return phase(eager ? (owners.length ? 1 : 2) : 1);
  if (group.state === "CompletingRebalance") return phase(eager ? 3 : 2);
  if (group.state === "Reconciling") return phase(owners.length ? 2 : 3);
  if (group.state === "Stable" && setting) return phase(4);
  if (crashed && group.state === "Stable") return { ...phase(0), since_us: t_us };
  return null;
}

/** Adds to `drawn` the phases of the rebalance that began last, of those that are under way. */
export function drawPhases(seen, drawn) {
  const { scene, t_us, groups } = seen;
  if (!seen.figure.phases) return;
  const all = groups
    .filter((group) => group.generation > 0 && !isShared(scene, group.node))
    .map((group) => rebalanceOf(scene, group, t_us))
    .filter(Boolean)
    .sort((a, b) => b.since_us - a.since_us);
  if (!all.length) return;
  const [{ group, words, at }] = all;
  drawn.phases = {
    words,
    at,
    name: scene.nodes.get(group.node)?.name ?? "",
    protocol: group.protocol,
    silent: silence(scene, group, t_us),
    briefly: silence(scene, group, t_us, true),
  };
}

/**
 * Which partitions nobody of a group reads, and for how long: "nobody has read P2, P3 for 13.0 s, 4 more for
 * 1.2 s"; of the others the shortest time, where they differ (nothing where it is to be `short`). "" where
 * each is read. Pure.
 */
function silence(scene, group, t_us, short = false) {
  const free = Object.entries(group.free)
    .map(([node, { at_us }]) => ({ number: scene.logs.get(Number(node))?.number, for_us: t_us - at_us }))
    .filter(({ number }) => number !== undefined)
    .sort((a, b) => b.for_us - a.for_us || a.number - b.number);
  if (!free.length) return "";
  const longest = free.filter(({ for_us }) => for_us > free[0].for_us - SAME_US);
  const others = free.slice(longest.length);
  const numbers = longest.map(({ number }) => number).sort((a, b) => a - b);
  const which =
    numbers.length > (short ? 3 : 4)
      ? `${numbers.length} partitions`
      : numbers.map((n) => `P${n}`).join(", ");
  const more = others.length && !short ? `, ${others.length} more for ${seconds(others.at(-1).for_us)}` : "";
  return `nobody has read ${which} for ${seconds(free[0].for_us)}${more}`;
}

const SAME_US = 100_000;

const seconds = (span_us) => `${(span_us / 1e6).toFixed(1)} s`;

// -- what is painted ---------------------------------------------------------------------------

/** px: between two phases. */
const LINK = { least: 8, most: 34 };

/**
 * Dots with words from left to right, and below them whose rebalance it is; where there is less room the dots
 * alone, the present one's word, and the rest in as many `lines` as there are.
 */
export function phaseLine(c, phases, figure, colours) {
  const { x, y, width, beside, under } = figure.phases;
  const lines = figure.phases.lines || (fits(c, phases.words, width, colours) ? 0 : 2);
  if (under)
    line(c, colours.rule, 1, [], () => {
      c.moveTo(x, y + 0.5);
      c.lineTo(x + width, y + 0.5);
    });
  const middle = y + (under ? 22 : beside ? 10 : 14);
  c.textBaseline = "middle";
  c.textAlign = "left";
  const pitch = figure.narrow ? 22 : 34;
  const left = dots(c, phases, { x: x + 10, middle, width, named: !lines, pitch }, colours);
  const { words, at, name, protocol, silent, briefly } = phases;
  const write = (text, at_x, at_y, bold) => {
    c.font = bold ? `700 14px ${colours.sans}` : `400 13px ${colours.sans}`;
    c.fillStyle = bold ? colours.ink : colours["ink-2"];
    c.fillText(text, at_x, at_y + 0.5);
    return at_x + c.measureText(text).width;
  };
  const group = [`group ${name}`, protocol].filter(Boolean).join(", ");
  const all = [group, silent].filter(Boolean).join(", ");
  if (!lines) return void write(all, x + 2, y + 44);
  const end = write(words[at], left, middle, true) + 16;
  const from = lines === 1 ? end : x + 2;
  c.font = `400 13px ${colours.sans}`;
  const fitting = [all, [group, briefly].filter(Boolean).join(", "), briefly || group];
  const said = fitting.find((text) => from + c.measureText(text).width < x + width) ?? "";
  return void write(said, from, lines === 1 ? middle : middle + 21);
}

/** The dots with the lines between them, each `named` or none. Returns where they end. */
function dots(c, { words, at }, { x, middle, width, named, pitch }, colours) {
  const gap = named ? spread(c, words, width, colours) : 0;
  let left = x;
  words.forEach((word, i) => {
    c.font = `${i === at ? 700 : 400} 14px ${colours.sans}`;
    if (named) {
      c.fillStyle = i === at ? colours.ink : colours["ink-2"];
      c.fillText(word, left + 15, middle + 0.5);
    }
    const end = named ? left + 23 + c.measureText(word).width : left + 9;
    if (i < words.length - 1)
      line(c, i < at ? colours.ink : colours["rule-strong"], 2, i < at ? [] : [3, 4], () => {
        c.moveTo(end, middle);
        c.lineTo(named ? end + gap : left + pitch - 9, middle);
      });
    phaseDot(c, left, middle, i, at, colours);
    left = named ? end + gap + 10 : left + pitch;
  });
  return named ? left : left - pitch + 18;
}

/** How wide the words of the phases are with their dots. */
function wordsWidth(c, words, colours) {
  c.font = `700 14px ${colours.sans}`;
  return words.reduce((sum, word) => sum + c.measureText(word).width + 36, 0);
}

const fits = (c, words, width, colours) => wordsWidth(c, words, colours) + words.length * LINK.least < width;

/** How long the lines between words are, so that all fit. */
const spread = (c, words, width, colours) =>
  Math.max(LINK.least, Math.min(LINK.most, (width - wordsWidth(c, words, colours)) / words.length));

function phaseDot(c, x, y, i, at, colours) {
  c.beginPath();
  c.arc(x, y, i === at ? 9 : 7, 0, 7);
  c.fillStyle = i <= at ? colours.ink : colours.sheet;
  c.strokeStyle = colours.ink;
  c.lineWidth = 2;
  c.fill();
  c.stroke();
  if (i !== at) return;
  c.beginPath();
  c.arc(x, y, 4, 0, 7);
  c.fillStyle = colours.mark;
  c.fill();
}
