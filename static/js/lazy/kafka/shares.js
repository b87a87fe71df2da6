// A share group at a partition: no pointer, but a window of records in flight, of which each is acquired by
// somebody, available, accepted or archived. What of it is drawn, written and painted. Pure but for painting.
// A stage whose scenario has a share group fetches it before its first picture; others when there is one.

import { isShared } from "mailroom/kafka/fold.js";
import { MOST, heldFrom, recordAt } from "mailroom/kafka/logs.js";

const STRIP = 9;

/** What a share group has in flight of a partition; undefined before its first fetch. */
export const shareOf = (scene, group, partition) => scene.shares.get(`${group} ${partition}`);

/** The consumers that read a partition for a share group. */
export const readersOf = (scene, group, partition) =>
  [...scene.readers.values()].filter((reader) => reader.group === group && reader.owned[partition]);

const FINISHED = ["ACKNOWLEDGED", "ARCHIVED"];

/** Records that the group has not finished: in flight, or behind the window's end. */
export function shareLag(scene, group, partition) {
  const share = shareOf(scene, group, partition);
  const log = scene.logs.get(partition);
  if (!share || !log) return 0;
  let finished = 0;
  for (const { state, deliveries } of share.records.values())
    finished += FINISHED.includes(state) && deliveries > 0;
  const span = Math.max(0, log.hw - share.start);
  return (span < 4096 ? countRecords(log, share.start, log.hw) : span) - finished;
}

/**
 * How many records lie in [from, until): gaps and control records do not count where they are known, whatever
 * way one has come to this moment.
 */
function countRecords(log, from, until) {
  let count = Math.max(0, until - Math.max(from, log.start));
  for (let offset = Math.max(from, heldFrom(log), log.end - MOST); offset < until; offset++) {
    const record = recordAt(log, offset);
    if (record === null || record?.marker) count -= 1;
  }
  return count;
}

/** One sentence's part about a share group at a partition, for who does not see the picture; "" for none. */
export function shareSays(scene, group, partition) {
  const share = shareOf(scene, group, partition);
  if (!share) return "";
  const count = (state) => [...share.records.values()].filter((record) => record.state === state).length;
  const name = scene.nodes.get(group)?.name;
  return (
    `${name} has ${count("ACQUIRED")} acquired from offset ${share.start} to ${share.end}, ` +
    `lag ${shareLag(scene, group, partition)}`
  );
}

/** "w2" of "worker 2", "pr" of "printer". */
export function shortName(name) {
  const end = /[\s-]*(\d+|[A-Z])$/.exec(name);
  return end && end.index ? `${name[0]}${end[1]}` : name.slice(0, 2);
}

// -- what is drawn ------------------------------------------------------------------------------

/** Adds to a row what `group`, the `place`-th of the picture, has in flight there. */
export function drawShare({ scene, t_us }, row, group, place) {
  const share = isShared(scene, group.node) ? shareOf(scene, group.node, row.log.node) : undefined;
  if (!share) return;
  const cells = [];
  for (let offset = Math.max(share.start, row.base); offset < share.end; offset++) {
    if (!row.within(offset + 1)) break;
    const { state = "AVAILABLE", deliveries = 0, until_us = 0, holder } = share.records.get(offset) ?? {};
    const name = scene.nodes.get(holder)?.name;
    const rest_s = state === "ACQUIRED" ? Math.max(0, Math.ceil((until_us - t_us) / 1e6)) : 0;
    cells.push({ offset, state, deliveries, rest_s, holder: name ? shortName(name) : "" });
    if (state === "ARCHIVED" && deliveries && row.box.labelled)
      row.struck.push({ x: row.xOf(offset) + row.box.cell / 2, y: row.box.y + row.box.height / 2 });
  }
  const { start, end } = share;
  row.shares.push({ place, start, end, cells, lag: shareLag(scene, group.node, row.log.node) });
}

// -- what is written ----------------------------------------------------------------------------

/** Where the window begins and ends, the lag, and below each acquired cell who has it and for how long. */
export function sayShare(lines, words, row, { start, end, cells, lag }) {
  const line = lines.below[0];
  if (!line) return;
  const [from, to] = [row.xOf(start), row.xOf(end)];
  line.block(from - 5, to + 4);
  if (row.box.labelled) line.say(words, word(`start ${start}`), [[from - 11, "right"]]);
  if (row.box.labelled && end > start) line.say(words, word(`end ${end}`), [[to + 10, "left"]]);
  const size = row.box.labelled ? 14 : 12;
  const ends = Math.max(to, row.xOf(row.log.hw));
  line.say(words, { text: "lag", count: lag, size, what: "lag" }, [
    [ends + 10, "left"],
    [to + 74, "left"],
    [from - 80, "right"],
  ]);
  if (!lines.held) return;
  for (const { offset, state, holder, rest_s } of cells) {
    if (state !== "ACQUIRED") continue;
    const x = row.xOf(offset) + row.box.cell / 2;
    const full = holder ? `${holder} ${rest_s}s` : `${rest_s}s`;
    const place = [[x, "center"]];
    if (!lines.held.say(words, { text: full, size: 12, what: "held" }, place))
      lines.held.say(words, { text: holder, size: 12, what: "held" }, place);
  }
}

const word = (text) => ({ text, what: "window" });

// -- what is painted ----------------------------------------------------------------------------

/** Under the records: whose they are, in the group's own texture `hatch`; below the row the window. */
export function paintShare(c, row, share, colours, hatch) {
  const { box, xOf } = row;
  const { place, start, end, cells } = share;
  const y = box.y + box.height + (box.labelled ? 6 : 4);
  const height = box.labelled ? STRIP : 5;
  for (const { offset, state } of cells) {
    const x = xOf(offset);
    if (state === "ACQUIRED") {
      if (box.labelled) acquired(c, x, box, place, colours, hatch);
      hatch(c, x, y, box.cell, height, place, colours.ink);
    } else if (state !== "AVAILABLE") {
      c.fillStyle = state === "ARCHIVED" ? colours.ink : colours["rule-strong"];
      c.fillRect(x, y, box.cell, height);
    }
  }
  windowBar(
    c,
    xOf(start),
    xOf(end),
    y,
    height,
    start >= row.base,
    cells.map(({ offset }) => xOf(offset)),
    colours,
  );
}

function acquired(c, x, box, place, colours, hatch) {
  c.fillStyle = colours.mark;
  c.fillRect(x + 1, box.y + 1, box.cell - 2, box.height - 2);
  hatch(c, x + 1, box.y + 1, box.cell - 2, box.height - 2, place, colours.hatch);
}

function windowBar(c, left, right, y, height, whole, between, colours) {
  c.strokeStyle = colours.ink;
  c.lineWidth = 1.5;
  c.beginPath();
  if (right > left) {
    c.moveTo(left, y);
    c.lineTo(right, y);
    c.moveTo(left, y + height);
    c.lineTo(right, y + height);
    for (const x of between.slice(whole ? 1 : 0)) {
      c.moveTo(x, y);
      c.lineTo(x, y + height);
    }
  }
  c.stroke();
  c.lineWidth = 2.5;
  c.beginPath();
  for (const x of whole ? [left, right] : [right]) {
    c.moveTo(x, y - 3);
    c.lineTo(x, y + height + 3);
  }
  c.stroke();
}

/** Over the records: how often one was delivered, and what is accepted in the midst of others. */
export function paintShareOver(c, row, { cells }, colours) {
  const { box, xOf } = row;
  if (!box.labelled) return;
  c.textAlign = "right";
  c.textBaseline = "middle";
  c.lineJoin = "round";
  c.font = `700 12px ${colours.mono}`;
  for (const { offset, state, deliveries } of cells) {
    const right = xOf(offset) + box.cell - 2;
    if (deliveries > 1) {
      c.strokeStyle = colours.sheet;
      c.lineWidth = 4;
      c.strokeText(`×${deliveries}`, right, box.y + 8);
      c.fillStyle = colours.ink;
      c.fillText(`×${deliveries}`, right, box.y + 8);
    }
    if (state === "ACKNOWLEDGED") tick(c, right - 5, box.y + box.height - 8, colours);
  }
}

function tick(c, x, y, colours) {
  for (const [colour, width] of [
    [colours.sheet, 6],
    [colours.ink, 2.4],
  ]) {
    c.strokeStyle = colour;
    c.lineWidth = width;
    c.beginPath();
    c.moveTo(x - 5, y);
    c.lineTo(x - 1.5, y + 4);
    c.lineTo(x + 5, y - 4);
    c.stroke();
  }
}
