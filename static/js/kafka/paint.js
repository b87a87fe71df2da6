// Paints the rows of a cluster onto the one canvas: what lies under the records (beds, rails, pointers,
// lag) and what lies over them (words, brackets, strokes). What it paints, positions.js says.

import { parts } from "mailroom/kafka/parts.js";

const TOOTH = 5;
const LAG = 9;

// -- under the records --------------------------------------------------------------------------

export function paintUnder(c, atlas, drawn, figure) {
  const { colours } = atlas;
  for (const row of drawn.rows) {
    row.marks?.paintUnder(c, row, figure, colours);
    bed(c, row, colours);
    for (const follower of row.followers) followerRow(c, row, follower, colours);
    for (const pointer of row.pointers) lagBar(c, row, pointer, colours);
    for (const share of row.shares) parts.shares.paintShare(c, row, share, colours, hatch);
  }
  if (drawn.phases) parts.phases.phaseLine(c, drawn.phases, figure, colours);
}

export function line(c, colour, width, dash, draw) {
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
  row.marks?.paintOpen(c, row, colours);
  c.restore();
  marks(c, row, colours);
}

/** Where the log ends (4 px), and up to where consumers may read (dashes). */
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
  row.marks?.paintStable(c, row, colours);
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
  const { place, texture, hw, committed } = pointer;
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
    hatch(c, left, y, right - left, height, texture, texture ? colours["rule-strong"] : colours.hatch);
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
    for (const share of row.shares) parts.shares.paintShareOver(c, row, share, colours);
    row.marks?.paintOver(c, row, colours);
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
