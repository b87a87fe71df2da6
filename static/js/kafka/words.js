// What is written into the picture of a cluster at the rows: what is committed, the lag, what is done and
// not committed. Pure, as positions.js is.

import { BAND, ROOMY } from "mailroom/kafka/layout.js";
import { parts } from "mailroom/kafka/parts.js";

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
  for (const share of row.shares) parts.shares.sayShare(lines, words, row, share);
  for (const done of row.done) if (done.words && done.place < 2) sayDone(lines, words, row, done);
  row.marks?.sayEvents(seen, lines, words, row);
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
  const lanes = Math.max(
    figure.topics.get(log.topic).groups.length,
    1 + Math.max(-1, ...row.pointers.map(({ place }) => place)),
  );
  const under = box.height < ROOMY ? BELOW - 1 : BELOW;
  const below = Array.from({ length: Math.max(1, lanes - 1) }, (_, i) =>
    at(foot + under + i * BAND, !narrow && (!box.labelled || (!i && isShort)) ? box.x - 6 : left),
  );
  if (!box.labelled)
    return { below: below.slice(0, 1), middle: at(box.y + box.height / 2, row.xOf(row.next)) };
  row.bracketY = box.y - (lanes > 1 ? 15 : box.cell > 38 ? 8 : box.height < ROOMY ? 4 : 5);
  const top = at(row.bracketY - (box.cell > 38 ? 11 : 9));
  if (narrow) top.block(end - box.leaderWidth, width);
  const held = row.shares.length ? at(foot + BELOW + below.length * BAND - 1) : null;
  return { top, above: lanes > 1 ? at(box.y - ABOVE) : top, below, held };
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
  const isSmall = box.height < ROOMY;
  line.block(from - 5, hw + 4);
  if (place !== 1 || lag) {
    const word = { text: "lag", count: lag, size: isSmall ? 12 : 14, what: "lag" };
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
  top.say(words, { text: done.words, bold: true, size: row.box.height < ROOMY ? 12 : 13, what: "done" }, [
    [(left + end) / 2, "center"],
    [Math.max(left, row.box.x), "left"],
    [Math.min(end, row.box.x + row.box.width), "right"],
    [row.box.x, "left"],
  ]);
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
