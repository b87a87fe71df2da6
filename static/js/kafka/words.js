// What is written into the picture of a cluster: at the rows (what is committed, the lag, what is done and
// not committed), and below them the phases of a rebalance. Pure, as positions.js is.

import { isShared, sharing } from "mailroom/kafka/fold.js";
import { BAND } from "mailroom/kafka/layout.js";

// -- lines of words ------------------------------------------------------------------------------

const GAP = 5;
/** Widest of a font's usual letters, in parts of its size: there is no canvas here to ask. */
const LETTER = { sans: 0.56, bold: 0.58, mono: 0.64 };

/** How much room a word takes at most, px. */
export function widthOf({ text, count, size = 13, mono, bold }) {
  const letters = text.length * size * LETTER[mono ? "mono" : bold ? "bold" : "sans"];
  return count === undefined
    ? letters
    : letters + size * 0.3 + String(count).length * (size + 3) * LETTER.mono;
}

/** Words at one height, none of which touches another: who comes first has the choice. */
class Line {
  constructor(y, left, right) {
    Object.assign(this, { y, left, right, taken: [] });
  }

  /** Nothing is written between these. */
  block(left, right) {
    this.taken.push([left, right]);
    return this;
  }

  /**
   * Adds `word` to `words` at the first of `places`, each [x, align], where there is room for it. Returns
   * whether there is one.
   */
  say(words, word, places) {
    const width = widthOf(word);
    for (const [x, align] of places) {
      const left = align === "right" ? x - width : align === "center" ? x - width / 2 : x;
      const isFree = this.taken.every(([from, to]) => left > to + GAP || from > left + width + GAP);
      if (!isFree || left < this.left || left + width > this.right) continue;
      this.block(left, left + width);
      // A word with a count is painted from its left end.
      const at = word.count === undefined ? { x, align } : { x: left, align: "left" };
      words.push({ ...word, y: this.y, ...at });
      return true;
    }
    return false;
  }
}

// -- words at a row -----------------------------------------------------------------------------

/** What has changed at a row is said for so long, simulated µs. */
export const FRESH_US = 3_000_000;
/** How far from the cells words may stand: right, and right where a stub says "revoked". */
const RIGHT = 36;
const RIGHT_OF_STUB = 18;
/** px, from the rails to the middle of the words above and below. */
const ABOVE = 9;
const BELOW = 13;

/** Adds to `drawn` what is written at a row, and to the row where its brackets stand. */
export function rowWords(seen, drawn, row) {
  const { words } = drawn;
  const lines = linesOf(seen, row);
  if (row.before && !row.shared) sayBefore(seen, lines, words, row);
  for (const pointer of row.pointers) sayPointer(lines, words, row, pointer);
  for (const share of row.shares) sharing.sayShare(lines, words, row, share);
  for (const done of row.done) if (done.words && done.place < 2) sayDone(lines, words, row, done);
  for (const text of eventsOf(seen, row)) sayEvent(lines, words, row, text);
  if (row.log.lso < row.log.hw && row.within(row.log.lso))
    lines.above?.say(words, { text: "last stable", size: 12, what: "stable" }, [
      [row.xOf(row.log.lso) + 6, "left"],
      [row.xOf(row.log.lso) - 6, "right"],
    ]);
  sayFollowers(seen, words, row);
}

/** The lines at a row: `top` for events, `above` for the second group, `below` one for each other group. */
function linesOf({ figure, scene }, row) {
  const { box, log } = row;
  const { narrow, width, groups } = figure;
  const end = box.x + box.columns * box.cell;
  const stubs = [...groups.keys()].some((group) => scene.groups.get(group)?.free[log.node]);
  const right = narrow ? width - 14 - 3 * groups.size : end + (stubs ? RIGHT_OF_STUB : RIGHT);
  const left = narrow ? 22 : box.x - box.labels - 12;
  const isShort = log.isr.length < log.replicas.length;
  const at = (y, from = left) => new Line(y, from, right);
  const foot = box.y + box.height;
  const below = Array.from({ length: Math.max(1, row.pointers.length - 1) }, (_, i) =>
    at(foot + BELOW + i * BAND, !narrow && (!box.labelled || (!i && isShort)) ? box.x - 6 : left),
  );
  if (!box.labelled)
    return { below: below.slice(0, 1), middle: at(box.y + box.height / 2, row.xOf(row.next)) };
  row.bracketY = box.y - (row.pointers.length > 1 ? 15 : box.cell > 38 ? 8 : 5);
  const top = at(row.bracketY - (box.cell > 38 ? 11 : 9));
  if (narrow) top.block(end - box.leaderWidth, width);
  const held = row.shares.length ? at(foot + BELOW + below.length * BAND - 1) : null;
  return { top, above: row.pointers.length > 1 ? at(box.y - ABOVE) : top, below, held };
}

/** Where the picture of a row begins that has a window of its own. */
function sayBefore({ figure }, lines, words, row) {
  const { box } = row;
  const word = { text: `from ${row.base}`, size: 12, mono: true, what: "before" };
  if (figure.narrow) return void lines.above?.say(words, word, [[box.x, "left"]]);
  for (const line of [lines.top, lines.above]) line?.block(0, box.x - 10);
  words.push({ ...word, x: box.x - 12, y: box.y - (box.labelled ? 11 : 7), align: "right" });
}

/** What is committed, left of its pointer, and the lag right of the high watermark. */
function sayPointer(lines, words, row, pointer) {
  const { box } = row;
  const { place, committed, lag, name, alone, shown } = pointer;
  const line = place === 1 ? lines.above : lines.below[Math.max(0, place - 1)];
  if (!line) return;
  const [from, hw] = [row.xOf(shown.from), Math.max(row.xOf(pointer.hw), row.xOf(shown.position ?? 0))];
  const isMini = !box.labelled;
  line.block(from - 5, hw + 4);
  if (place !== 1 || lag) {
    const word = { text: "lag", count: lag, size: isMini ? 12 : 14, what: "lag" };
    const sides = [
      [hw + 10, "left"],
      [from - 11, "right"],
    ];
    if (!line.say(words, word, sides)) words.push({ ...word, ...middleOf(word, from, hw), y: line.y });
  }
  if (isMini || shown.from < row.base) return;
  const text = committed === undefined ? name : `${alone ? "committed" : name} ${committed}`;
  line.say(words, { text, what: "committed" }, [[from - 11, "right"]]);
}

/** A word with a count is written from its left end. */
const middleOf = (word, from, to) => ({ x: (from + to - widthOf(word)) / 2, align: "left" });

/** "done by c2, not committed", over a bracket. */
function sayDone({ top }, words, row, done) {
  const [left, end] = [row.xOf(done.from), row.xOf(done.to)];
  if (!top) return;
  done.bracket = { left: left + 2, right: Math.max(left + 6, end - 2), y: row.bracketY };
  top.say(words, { text: done.words, bold: true, what: "done" }, [
    [(left + end) / 2, "center"],
    [Math.max(left, row.box.x), "left"],
    [Math.min(end, row.box.x + row.box.width), "right"],
    [row.box.x, "left"],
  ]);
}

/** What the controller has just decided on a partition: who leads, who is in sync. */
function eventsOf({ scene, t_us }, { log }) {
  const said = [];
  const nameOf = (node) => scene.nodes.get(node)?.name ?? "nobody";
  const isFresh = (change) => change && t_us >= change.at_us && t_us - change.at_us < FRESH_US;
  if (isFresh(log.led))
    said.push(log.leader ? `leader now ${nameOf(log.leader)}, epoch ${log.epoch}` : "no leader now");
  if (isFresh(log.synced)) {
    const { left, joined } = log.synced;
    if (left.length) said.push(`${left.map(nameOf).join(", ")} left the ISR`);
    if (joined.length) said.push(`${joined.map(nameOf).join(", ")} joined the ISR`);
  }
  return said;
}

function sayEvent(lines, words, { box }, text) {
  const end = box.x + box.width;
  const word = { text, bold: true, size: box.labelled ? 13 : 12, what: "event" };
  const places = [
    [box.x, "left"],
    [end, "right"],
    [(box.x + end) / 2, "center"],
  ];
  const among = [lines.top, lines.middle, lines.above, ...lines.below].filter(Boolean);
  among.some((line) => line.say(words, word, line === lines.middle ? [[line.left + 8, "left"]] : places));
}

function sayFollowers({ figure }, words, row) {
  for (const { y: top, height, down, behind, end, name } of row.followers) {
    const [y, text] = [top + height / 2, down ? "down" : behind ? `${behind} behind` : ""];
    if (text) words.push({ x: row.xOf(end) + 8, y, text, align: "left", size: 12, what: "behind" });
    if (figure.narrow) continue;
    const who = { text: name, align: "right", size: 12, mono: true, faint: true, what: "follower" };
    words.push({ ...who, x: row.box.x - 12, y });
  }
}

// -- a rebalance --------------------------------------------------------------------------------

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
export function rebalanceOf(scene, group, t_us) {
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
export function silence(scene, group, t_us, short = false) {
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
