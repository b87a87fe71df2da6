// Paints the rows of a cluster onto the one canvas: what lies under the records (beds, rails, pointers,
// lag) and what lies over them (words, brackets, strokes). What it paints, positions.js says.

import { sharing } from "mailroom/kafka/fold.js";

const TOOTH = 5;
const LAG = 9;
/** px: between two phases. */
const LINK = { least: 8, most: 34 };

// -- under the records --------------------------------------------------------------------------

export function paintUnder(c, atlas, drawn, figure) {
  const { colours } = atlas;
  for (const row of drawn.rows) {
    freshName(c, row, figure, colours);
    bed(c, row, colours);
    for (const follower of row.followers) followerRow(c, row, follower, colours);
    for (const pointer of row.pointers) lagBar(c, row, pointer, colours);
    for (const share of row.shares) sharing.paintShare(c, row, share, colours, hatch);
  }
  if (drawn.phases) phaseLine(c, drawn.phases, figure, colours);
}

function line(c, colour, width, dash, draw) {
  c.beginPath();
  draw(c);
  c.strokeStyle = colour;
  c.lineWidth = width;
  c.setLineDash(dash);
  c.stroke();
  c.setLineDash([]);
}

/**
 * The left edge of a row: torn where the log has lost its beginning, open where it goes on out of the
 * picture.
 */
function edge(c, x, y, height, torn) {
  c.moveTo(x, y);
  const teeth = torn ? Math.max(2, Math.round(height / 12) * 2) : 0;
  for (let i = 1; i <= teeth; i++) c.lineTo(i % 2 ? x - TOOTH : x, y + (height * i) / teeth);
  if (!torn) c.lineTo(x, y + height);
}

/** Who leads now, for as long as that is news: its name is marked, and the rails are heavy. */
function freshName(c, { box, isFresh, log }, figure, colours) {
  if (!isFresh || !log.leader || !box.labelled) return;
  const wide = box.leaderWidth + 8;
  c.fillStyle = colours.mark;
  if (figure.narrow) c.fillRect(box.x + box.width - wide + 4, box.y - 36, wide, 17);
  else c.fillRect(box.x - 8 - wide, box.y + box.height / 2, wide, 17);
}

function bed(c, row, colours) {
  const { box, log, gaps, xOf, first, next, before } = row;
  const [left, right] = [xOf(first), Math.min(xOf(next), box.x + box.columns * box.cell)];
  const { y, height } = box;
  const mini = !box.labelled;
  c.save();
  c.beginPath();
  c.rect(box.x - TOOTH - 1, y - 16, box.columns * box.cell + TOOTH + 12, height + 32);
  c.clip();
  if (next > first) {
    c.beginPath();
    edge(c, left, y, height, log.start > 0 && !before);
    c.lineTo(right, y + height);
    c.lineTo(right, y);
    c.closePath();
    c.fillStyle = colours.bed;
    c.fill();
  }
  for (const { from, to, place } of row.done) {
    if (place > 1 || to <= row.base) continue;
    c.fillStyle = colours.mark;
    c.fillRect(xOf(from) + 1, y + 1, xOf(to) - xOf(from) - 2, height - 2);
  }
  for (const x of gaps) hatch(c, x - box.cell / 2, y + 1, box.cell, height - 2, 0, colours.hatch);
  line(c, colours["rule-strong"], 1, [], () => {
    for (let offset = first + 1; offset < next; offset++) {
      const x = Math.round(xOf(offset)) + 0.5;
      c.moveTo(x, y + (mini ? height - 5 : 0));
      c.lineTo(x, y + height);
    }
  });
  const rails = row.isFresh ? 3.5 : 2;
  line(c, colours.ink, log.leader ? rails : 1.5, log.leader ? [] : [6, 5], () => {
    c.moveTo(left, y);
    c.lineTo(right, y);
    c.moveTo(left, y + height);
    c.lineTo(right, y + height);
  });
  if (next > first && (log.start === 0 || before === 0))
    line(c, colours.ink, 1.5, [], () => edge(c, left, y, height, log.start > 0));
  for (const x of row.open)
    line(c, colours.ink, 1.5, [3, 3], () => {
      c.moveTo(x - box.cell / 2 + 3, y + height - 4);
      c.lineTo(x + box.cell / 2 - 3, y + height - 4);
    });
  c.restore();
  marks(c, row, colours);
}

/**
 * Where the log ends (4 px), up to where consumers may read (dashes), and up to where read_committed ones
 * may.
 */
function marks(c, row, colours) {
  const { box, log, xOf, within } = row;
  const { y, height } = box;
  const proud = box.labelled ? 6 : 3;
  const bar = (x, width, dash, by) =>
    line(c, colours.ink, width, dash, () => {
      c.moveTo(x, y - by);
      c.lineTo(x, y + height + by);
    });
  if (within(log.end) && log.leader) bar(xOf(log.end), 4, [], proud);
  else if (within(log.end)) bar(xOf(log.end), 4, [5, 4], proud);
  if (log.hw < log.end && log.hw > row.first && within(log.hw)) bar(xOf(log.hw), 2.5, [4, 3], 0);
  if (log.lso < log.hw && within(log.lso)) bar(xOf(log.lso), 2, [1.5, 3], 4);
}

/** The hatch of a group: each has its own, so that two at one row are told apart. */
function hatch(c, x, y, width, height, texture, colour) {
  if (width <= 0) return;
  c.save();
  c.beginPath();
  c.rect(x, y, width, height);
  c.clip();
  c.strokeStyle = c.fillStyle = colour;
  c.lineWidth = 1.3;
  c.beginPath();
  const begin = Math.floor(x / 8) * 8;
  if (texture === 0) for (let i = begin - height; i < x + width; i += 8) line45(c, i, y, height);
  else if (texture === 2) for (let i = y + 2; i < y + height; i += 3) flat(c, x, i, width);
  else if (texture === 3) for (let i = begin; i < x + width; i += 5) plumb(c, i, y, height);
  c.stroke();
  if (texture === 1)
    for (let i = begin; i < x + width; i += 5)
      for (let j = 0; j < 2; j++) {
        c.beginPath();
        c.arc(i + (j % 2) * 2.5 + 1, y + 2 + j * (height - 4), 1.1, 0, 7);
        c.fill();
      }
  c.restore();
}

function line45(c, x, y, height) {
  c.moveTo(x, y + height);
  c.lineTo(x + height, y);
}

function flat(c, x, y, width) {
  c.moveTo(x, y);
  c.lineTo(x + width, y);
}

function plumb(c, x, y, height) {
  c.moveTo(x, y);
  c.lineTo(x, y + height);
}

/** From what is committed to the high watermark; the first group below the row, the second above it. */
function lagBar(c, row, pointer, colours) {
  const { box, xOf, base } = row;
  const { place, hw, committed } = pointer;
  const { from, position } = pointer.shown;
  const above = place === 1;
  const mini = !box.labelled;
  const height = mini ? 5 : above ? 6 : LAG;
  const foot = box.y + box.height;
  const y = above ? box.y - height - 2 : foot + (mini ? 4 : 6) + Math.max(0, place - 1) * box.band;
  const [left, right] = [xOf(from), xOf(hw)];
  if (right > left) {
    c.fillStyle = colours.sheet;
    c.fillRect(left, y, right - left, height);
    hatch(c, left, y, right - left, height, place, place === 0 ? colours.hatch : colours["rule-strong"]);
    c.lineWidth = 1.5;
    c.strokeStyle = colours.ink;
    c.beginPath();
    c.moveTo(left, y);
    c.lineTo(right, y);
    c.lineTo(right, y + height);
    c.lineTo(left, y + height);
    if (from >= base) c.closePath();
    c.stroke();
  }
  if (committed === undefined) return;
  if (from < base) return void arrowOut(c, left, y + height / 2, colours.ink);
  const size = mini ? 4.5 : above ? 6 : 7.5;
  if (position !== undefined && row.within(position))
    triangle(c, xOf(position), above ? box.y - 1 : y - 4, size * 0.8, above ? -1 : 1, colours, false);
  triangle(c, left, above ? box.y - 1 : y - 4, size, above ? -1 : 1, colours, !above);
}

/** A pointer whose tip is at x, y: ▲ with `way` 1, ▽ with −1. */
function triangle(c, x, y, size, way, colours, solid) {
  c.beginPath();
  c.moveTo(x, y);
  c.lineTo(x + size, y + way * size * 1.7);
  c.lineTo(x - size, y + way * size * 1.7);
  c.closePath();
  c.lineJoin = "miter";
  c.fillStyle = solid ? colours.ink : colours.sheet;
  c.fill();
  c.lineWidth = 1.75;
  c.strokeStyle = colours.ink;
  if (!solid) c.stroke();
}

/** The pointer lies before the picture's first column. */
function arrowOut(c, x, y, colour) {
  c.beginPath();
  c.moveTo(x - 7, y);
  c.lineTo(x + 1, y - 5);
  c.lineTo(x + 1, y + 5);
  c.closePath();
  c.fillStyle = colour;
  c.fill();
}

function followerRow(c, row, { y, height, end, inSync, down }, colours) {
  const { xOf, first, log } = row;
  const [left, right] = [xOf(first), xOf(end)];
  line(c, colours["rule-strong"], 1.25, inSync && !down ? [] : [4, 4], () => {
    c.moveTo(left, y);
    c.lineTo(right, y);
    c.moveTo(left, y + height);
    c.lineTo(right, y + height);
  });
  line(c, colours["rule-strong"], 3, [], () => {
    c.moveTo(right, y - 1);
    c.lineTo(right, y + height + 1);
  });
  if (log.start === 0 && !row.before)
    line(c, colours["rule-strong"], 1.25, [], () => {
      c.moveTo(left, y);
      c.lineTo(left, y + height);
    });
}

// -- over the records ---------------------------------------------------------------------------

export function paintOver(c, { colours }, drawn) {
  for (const row of drawn.rows) {
    for (const { x, y } of row.struck)
      line(c, colours.ink, 2.2, [], () => {
        const by = row.box.cell * 0.4;
        c.moveTo(x - by, y + by * 0.7);
        c.lineTo(x + by, y - by * 0.7);
      });
    for (const { x, y } of row.tombstones)
      noValue(c, x + row.box.cell * 0.33, y - row.box.cell * 0.33, colours);
    for (const share of row.shares) sharing.paintShareOver(c, row, share, colours);
    for (const marker of row.markers) control(c, marker, row.box, colours);
    for (const { bracket } of row.done)
      if (bracket)
        line(c, colours.ink, 1.5, [], () => {
          const { left, right, y } = bracket;
          c.moveTo(left, y + 5);
          c.lineTo(left, y);
          c.lineTo(right, y);
          c.lineTo(right, y + 5);
        });
  }
  for (const word of drawn.words) write(c, word, colours);
}

/** A control record: a small flag with what it says, no message. */
/** The sign of a record without a value, at the corner of its cell. */
function noValue(c, x, y, colours) {
  c.fillStyle = colours.ink;
  c.strokeStyle = colours.invert;
  c.beginPath();
  c.arc(x, y, 7.5, 0, 7);
  c.fill();
  c.lineWidth = 1.6;
  c.beginPath();
  c.arc(x, y, 3.6, 0, 7);
  c.moveTo(x - 4.6, y + 4.6);
  c.lineTo(x + 4.6, y - 4.6);
  c.stroke();
}

function control(c, { x, y, what }, box, colours) {
  const half = box.cell * 0.34;
  c.fillStyle = colours.sheet;
  c.strokeStyle = colours["ink-2"];
  c.lineWidth = 1.5;
  c.beginPath();
  c.rect(x - half, y - half, half * 2, half * 2);
  c.fill();
  c.stroke();
  c.lineWidth = 2.2;
  c.beginPath();
  if (what === "commit") {
    c.moveTo(x - half * 0.5, y);
    c.lineTo(x - half * 0.1, y + half * 0.45);
    c.lineTo(x + half * 0.55, y - half * 0.45);
  } else {
    c.moveTo(x - half * 0.45, y - half * 0.45);
    c.lineTo(x + half * 0.45, y + half * 0.45);
    c.moveTo(x + half * 0.45, y - half * 0.45);
    c.lineTo(x - half * 0.45, y + half * 0.45);
  }
  c.stroke();
}

function write(c, { x, y, text, count, align, size = 13, mono, bold, faint, what }, colours) {
  c.textAlign = align;
  c.textBaseline = "middle";
  c.lineJoin = "round";
  c.strokeStyle = colours.sheet;
  c.font = `${bold ? 600 : 400} ${size}px ${mono ? colours.mono : colours.sans}`;
  c.fillStyle = bold ? colours.ink : faint ? colours["ink-3"] : colours["ink-2"];
  c.lineWidth = what === "offset" || faint ? 0.001 : 4;
  c.strokeText(text, x, y + 0.5);
  c.fillText(text, x, y + 0.5);
  if (count === undefined) return;
  const right = x + c.measureText(`${text} `).width;
  c.font = `700 ${size + 3}px ${colours.mono}`;
  c.fillStyle = colours.ink;
  c.strokeText(String(count), right, y + 0.5);
  c.fillText(String(count), right, y + 0.5);
}

// -- the phases of a rebalance ------------------------------------------------------------------

/**
 * Dots with words from left to right, and below them whose rebalance it is; where there is less room the dots
 * alone, the present one's word, and the rest in as many `lines` as there are.
 */
function phaseLine(c, phases, figure, colours) {
  const { x, y, width } = figure.phases;
  const lines = figure.phases.lines || (fits(c, phases.words, width, colours) ? 0 : 2);
  const isUnder = y > 0;
  if (isUnder)
    line(c, colours.rule, 1, [], () => {
      c.moveTo(x, y + 0.5);
      c.lineTo(x + width, y + 0.5);
    });
  const middle = y + (isUnder ? 22 : 14);
  c.textBaseline = "middle";
  c.textAlign = "left";
  const left = dots(c, phases, { x: x + 10, middle, width, named: !lines }, colours);
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
  if (lines === 3) {
    write(words[at], x + 2, y + 46, true);
    write(group, x + 2, y + 66);
    return void write(briefly, x + 2, y + 84);
  }
  const end = write(words[at], left, middle, true) + 16;
  const from = lines === 1 ? end : x + 2;
  c.font = `400 13px ${colours.sans}`;
  const fitting = [all, [group, briefly].filter(Boolean).join(", "), briefly || group];
  const said = fitting.find((text) => from + c.measureText(text).width < x + width) ?? "";
  return void write(said, from, lines === 1 ? middle : middle + 21);
}

/** The dots with the lines between them, each `named` or none. Returns where they end. */
function dots(c, { words, at }, { x, middle, width, named }, colours) {
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
        c.lineTo(named ? end + gap : left + 25, middle);
      });
    phaseDot(c, left, middle, i, at, colours);
    left = named ? end + gap + 10 : left + 34;
  });
  return named ? left : left - 16;
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
