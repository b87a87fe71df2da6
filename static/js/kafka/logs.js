// The records of a log as the fold holds them: chunks of 64 offsets, of which only a tail is kept. `fold.js`
// says what a record is. Chunks are replaced, never changed in place.

const CHUNK = 64;
/**
 * Offsets of a log that are held: four times what the engine states of the present (engine/kafka/telling.py).
 */
export const KEPT = 1024;
/** As the engine states of the present (STATED_MOST there). */
export const MOST = 256;

// -- reading ----------------------------------------------------------------------------------------

/** The record at `offset` of a log, null for a gap, undefined where nothing is known (any more). */
export function recordAt(log, offset) {
  const record = everAt(log, offset);
  return record?.gone ? null : record;
}

/** The record that stands or stood last at `offset`: one that has gone says why, in `gone`. */
export function everAt(log, offset) {
  const { chunks } = log;
  const index = Math.floor(offset / CHUNK) - (chunks[0]?.number ?? 0);
  return chunks[index]?.cells[offset % CHUNK];
}

/** The records of [from, until), in order; gaps and what is not known are left out. */
export function recordsFrom(log, from, until = log.end) {
  const found = [];
  for (let offset = Math.max(from, heldFrom(log)); offset < until; offset++) {
    const record = recordAt(log, offset);
    if (record) found.push(record);
  }
  return found;
}

/** The first offset that may be held. */
export const heldFrom = (log) => Math.max(log.start, (log.chunks[0]?.number ?? 0) * CHUNK);

// -- writing ----------------------------------------------------------------------------------------

/** The chunks with `cells` from `base` on written over; what is too far behind `end` is left out. */
export function written(chunks, base, cells, end) {
  const changed = chunks.slice();
  let first = changed[0]?.number ?? Math.floor(base / CHUNK);
  while (base < first * CHUNK) changed.unshift({ number: --first, cells: [] });
  const fresh = new Set();
  cells.forEach((cell, i) => {
    const number = Math.floor((base + i) / CHUNK);
    while (first + changed.length <= number) changed.push({ number: first + changed.length, cells: [] });
    const at = number - first;
    if (!fresh.has(number)) changed[at] = { number, cells: changed[at].cells.slice() };
    fresh.add(number);
    const row = changed[at].cells;
    const place = (base + i) % CHUNK;
    while (row.length < place) row.push(undefined);
    row[place] = cell;
  });
  while (changed.length && (changed[0].number + 1) * CHUNK <= end - KEPT) changed.shift();
  return changed;
}

/** What of [first, next) is held and stands, be it before the log's start. */
export function standing(log, first, next) {
  const found = [];
  const held = (log.chunks[0]?.number ?? 0) * CHUNK;
  for (let offset = Math.max(first, held); offset < Math.min(next, log.end); offset++) {
    const record = recordAt(log, offset);
    if (record) found.push(record);
  }
  return found;
}

/** Records of the transaction that a marker has just aborted. */
export function abort(log, pid, marker) {
  let { chunks } = log;
  for (let offset = marker - 1; offset >= heldFrom(log); offset--) {
    const record = recordAt(log, offset);
    if (record?.pid !== pid) continue;
    if (record.marker) break;
    if (record.transactional) chunks = written(chunks, offset, [{ ...record, aborted: true }], log.end);
  }
  return chunks;
}
