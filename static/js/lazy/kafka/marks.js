// What befalls a partition and its records, where something does: who has come to lead it, what has left the
// ISR, what has gone from the log, control records, open and aborted transactions, tombstones. What of it is
// drawn, written and painted. Pure but for painting. Fetched where it is first met, on a stage with
// transactions before the first picture.

import { ROOMY } from "mailroom/kafka/layout.js";
import { line } from "mailroom/kafka/paint.js";
import { FRESH_US, recordItem } from "mailroom/kafka/positions.js";

// -- what is drawn ------------------------------------------------------------------------------

/** Adds to a row what a record is beside itself. */
export function drawMark({ log, markers, open, struck, tombstones }, record, x, y) {
  if (record.marker) return void markers.push({ x, y, what: record.marker });
  if (record.aborted) struck.push({ x, y });
  if (record.tombstone) tombstones.push({ x, y });
  if (record.transactional && !record.aborted && record.offset >= log.lso) open.push(x);
}

/** What has just gone from the log fades where it stood; truncated records are struck. */
export function drawGone(seen, drawn, row) {
  const { gone } = row.log;
  const { t_us, motion } = seen;
  const stay_us = gone?.why === "truncated" ? 1_200_000 : 240_000;
  if (!gone || motion === "none" || t_us - gone.at_us >= stay_us) return;
  for (const { offset, message, marker } of gone.records) {
    if (!row.within(offset + 1) || marker || (gone.why === "truncated" && offset < row.log.end)) continue;
    const x = row.xOf(offset) + row.box.cell / 2;
    const y = row.box.y + row.box.height / 2;
    drawn.tokens.push(
      recordItem(seen, message, {
        id: `${row.log.node}.${offset}.gone`,
        node: row.log.node,
        zone: "gone",
        index: offset,
        x,
        y,
        scale: row.box.scale,
        labelled: row.box.labelled,
        look: "replica",
        alpha: 1 - (t_us - gone.at_us) / stay_us,
        since_us: gone.at_us,
      }),
    );
    if (gone.why === "truncated") row.struck.push({ x, y });
  }
}

// -- what is written ----------------------------------------------------------------------------

/** The news of a partition, and up to where who reads what is committed may read. */
export function sayEvents(seen, lines, words, row) {
  for (const text of eventsOf(seen, row)) sayEvent(lines, words, row, text);
  if (row.log.lso < row.log.hw && row.within(row.log.lso))
    lines.above?.say(words, { text: "last stable", size: 12, what: "stable" }, [
      [row.xOf(row.log.lso) + 6, "left"],
      [row.xOf(row.log.lso) - 6, "right"],
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
  const word = { text, bold: true, size: box.height < ROOMY ? 12 : 13, what: "event" };
  const places = [
    [box.x, "left"],
    [end, "right"],
    [(box.x + end) / 2, "center"],
  ];
  const among = [lines.top, lines.middle, lines.above, ...lines.below].filter(Boolean);
  among.some((line) => line.say(words, word, line === lines.middle ? [[line.left + 8, "left"]] : places));
}

// -- what is painted ----------------------------------------------------------------------------

/** Who leads now, for as long as that is news: its name is marked, and the rails are heavy. */
export function paintUnder(c, { box, isFresh, log }, figure, colours) {
  if (!isFresh || !log.leader || !box.labelled) return;
  const wide = box.leaderWidth + 8;
  c.fillStyle = colours.mark;
  if (figure.narrow) c.fillRect(box.x + box.width - wide + 4, box.y - 36, wide, 17);
  else c.fillRect(box.x - 8 - wide, box.y + box.height / 2, wide, 17);
}

/** Up to where who reads what is committed may read. */
export function paintStable(c, { box, log, xOf, within }, colours) {
  if (log.lso === log.hw || !within(log.lso)) return;
  const x = xOf(log.lso);
  line(c, colours.ink, 2, [1.5, 3], () => {
    c.moveTo(x, box.y - 4);
    c.lineTo(x, box.y + box.height + 4);
  });
}

/** Below each record of a transaction that is open. */
export function paintOpen(c, { box, open }, colours) {
  const { y, height } = box;
  for (const x of open)
    line(c, colours.ink, 1.5, [3, 3], () => {
      c.moveTo(x - box.cell / 2 + 3, y + height - 4);
      c.lineTo(x + box.cell / 2 - 3, y + height - 4);
    });
}

/** Over the records: tombstones and control records. */
export function paintOver(c, row, colours) {
  for (const { x, y } of row.tombstones)
    noValue(c, x + row.box.cell * 0.33, y - row.box.cell * 0.33, colours);
  for (const marker of row.markers) control(c, marker, row.box, colours);
}

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

/** A control record: a small flag with what it says, no message. */
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
