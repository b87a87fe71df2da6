// Kafka's part of the fold: what its events say of logs, groups and their members. Loaded on pages with a
// cluster, before the first scene is made; the scene then has beside nodes, wires, ledger, …:
//
// logs: partition → { node, topic, number, replicas, leader, epoch, isr, elr, start, hw, lso, end,
//   ends: { broker: its replica's end }, chunks, gone, led, synced }. Records are read with `recordAt` and
//   `recordsFrom` of logs.js: each { offset, message, pid, transactional, marker, aborted, tombstone,
//   at_us }, or null where nothing stands (any more: a gap). Only a tail of the log is held, `KEPT` offsets;
//   what lies before is counted by its offsets alone. `gone`: what the last RecordsGone took, { at_us,
//   why, records }, for whoever draws it leave. `led`: the last change of the leader, { at_us, was },
//   and `synced` that of the ISR, { at_us, left, joined }; null where none has been seen.
// groups: group → { node, state, generation, protocol, since_us, members: Map(member id → { member, node,
//   away, since_us }), committed: { partition: offset }, lost: the last MemberGone, free: { partition: {
//   node, worked_to, at_us } }, begun: { partition: offset } }: `free` is what a member has let go of, as
//   long as nobody reads it, and `begun` where a group that has committed nothing there began to read.
//   `glides`: { partition: { from, at_us } }, what its committed offset was seen at when it last moved;
//   readers have the same of their positions.
// readers: consumer → { node, group, owned: { partition: { position, worked_to, delivered_to } }, hand,
//   failing, since_us, glides, sent }: `hand` is what it has and has not worked, [{ partition, first, next,
//   records: [{ offset, message }] }] in the order of its work (the log may have done away with them),
//   hand[0].records[0] being worked on since `since_us`; `failing` the RecordFailed whose retry it waits
//   for; `sent` what is on its way to it, as it was in the log when it was sent, [{ partition, first, next,
//   records }]. Of a partition whose position it has not set yet the three are -1.
// batches: signal → a BatchSent, BatchAcknowledged or RecordsSent on its way, with `depart_us`.
// transactions: transactional id → { state, pid, epoch, at_us }.
// shares: "group partition" → { group, partition, start, end, records: Map(offset → { state, member, holder,
//   deliveries, until_us, why }) }, of what is in flight in [start, end): state "ACQUIRED", then by `holder`
//   (a consumer, 0 without one) until `until_us`, or AVAILABLE, ACKNOWLEDGED or ARCHIVED since its last
//   acquisition ended for `why`.
//
// As in reducer.js, small objects are replaced and never changed in place. A log's records lie in chunks of
// 64, of which an append copies the last one: a clone of a scene shares all of them.

import { abort, everAt, recordAt, standing, written } from "mailroom/kafka/logs.js";
import { change, HANDLERS, register } from "mailroom/scene/reducer.js";
import { leftover } from "mailroom/scene/tween.js";
import "mailroom/stream/kafka-vocabulary.js";

/** As many as the engine states of the present (engine/world.py). */
const SHELF_KEPT = 6;

// -- reading ----------------------------------------------------------------------------------------

/** The groups, always in the same order. */
export const groupsOf = (scene) => [...scene.groups.values()].sort((a, b) => a.node - b.node);

/**
 * Committed, high watermark and what lies between of a group at a partition. Before the first commit
 * `committed` is undefined and counts `from` where the group began to read; `from` is undefined before that.
 */
export function lagOf(scene, group, partition) {
  const log = scene.logs.get(partition);
  const known = scene.groups.get(group);
  const committed = known?.committed[partition];
  const from = committed ?? known?.begun[partition];
  return { committed, from, hw: log.hw, lag: Math.max(0, log.hw - (from ?? log.hw)) };
}

/** What an offset that has come to `offset` is seen at: it glides there from where it was seen before. */
export const glided = (offset, glide, t_us) =>
  glide ? offset + (glide.from - offset) * leftover(t_us, glide.at_us) : offset;

/** `glides` with that of `partition`, whose offset was `was` until `at_us`. */
const glidesFrom = (glides, partition, was, at_us) => ({
  ...glides,
  [partition]: { from: glided(was, glides[partition], at_us), at_us },
});

const notOf = (glides, partition) => {
  const { [partition]: _, ...rest } = glides;
  return rest;
};

// -- logs -------------------------------------------------------------------------------------------

const alter = (map, key, with_) => {
  const known = map.get(key);
  if (known) map.set(key, { ...known, ...with_ });
};

const ON_LOGS = {
  PartitionDeclared(scene, { node, topic, index, replicas }) {
    scene.logs.set(node, {
      node,
      topic,
      number: index,
      replicas,
      leader: 0,
      epoch: -1,
      isr: [],
      elr: [],
      start: 0,
      hw: 0,
      lso: 0,
      end: 0,
      ends: {},
      chunks: [],
      gone: null,
      led: null,
      synced: null,
    });
  },
  PartitionLed(scene, { node, leader, epoch, isr, elr, at_us }) {
    const known = scene.logs.get(node);
    if (!known) return;
    const isFirst = known.epoch < 0;
    const led = isFirst || known.leader === leader ? known.led : { at_us, was: known.leader };
    const left = known.isr.filter((broker) => !isr.includes(broker));
    const joined = isr.filter((broker) => !known.isr.includes(broker));
    const isSame = isFirst || (!left.length && !joined.length);
    const synced = isSame ? known.synced : { at_us, left, joined };
    scene.logs.set(node, { ...known, leader, epoch, isr, elr, led, synced });
  },
  LeadershipStands(scene, { node, was, led_us, left, joined, synced_us }) {
    const led = led_us < 0 ? null : { at_us: led_us, was };
    const synced = synced_us < 0 ? null : { at_us: synced_us, left, joined };
    alter(scene.logs, node, { led, synced });
  },
  RecordsAppended(scene, { node, base, messages, pid, transactional, marker, at_us }) {
    const log = scene.logs.get(node);
    if (!log) return;
    const cells = messages.map((message, i) => ({
      offset: base + i,
      message,
      pid,
      transactional,
      marker,
      aborted: false,
      tombstone: false,
      at_us,
    }));
    const holes = log.chunks.length ? Array(Math.max(0, base - log.end)).fill(null) : [];
    const end = Math.max(log.end, base + cells.length);
    const longer = {
      ...log,
      end,
      chunks: written(log.chunks, base - holes.length, [...holes, ...cells], end),
    };
    if (marker === "abort") longer.chunks = abort(longer, pid, base);
    scene.logs.set(node, longer);
  },
  TombstonesAppended(scene, { node, offsets }) {
    const log = scene.logs.get(node);
    if (!log) return;
    let { chunks } = log;
    for (const offset of offsets) {
      const record = recordAt(log, offset);
      if (record) chunks = written(chunks, offset, [{ ...record, tombstone: true }], log.end);
    }
    scene.logs.set(node, { ...log, chunks });
  },
  LogMarked(scene, { node, start, high_watermark: hw, last_stable: lso }) {
    const log = scene.logs.get(node);
    if (!log) return;
    scene.logs.set(node, { ...log, start, hw, lso, end: Math.max(log.end, start) });
  },
  ReplicaReached(scene, { node, broker, end }) {
    const log = scene.logs.get(node);
    if (log) scene.logs.set(node, { ...log, ends: { ...log.ends, [broker]: end } });
  },
  RecordsGone(scene, { node, ranges, why, at_us }) {
    const log = scene.logs.get(node);
    if (!log) return;
    const records = ranges.flatMap(([first, next]) => standing(log, first, next));
    let { chunks, end } = log;
    for (const record of records) chunks = written(chunks, record.offset, [{ ...record, gone: why }], end);
    if (why === "truncated") end = Math.min(end, ranges[0][0]);
    scene.logs.set(node, { ...log, chunks, end, gone: { at_us, why, records } });
  },
};

// -- groups -----------------------------------------------------------------------------------------

const groupOf = (scene, node) =>
  scene.groups.get(node) ?? {
    node,
    state: "Empty",
    generation: 0,
    protocol: "",
    since_us: 0,
    members: new Map(),
    committed: {},
    lost: null,
    free: {},
    begun: {},
    glides: {},
  };

const readerOf = (scene, node, group) =>
  scene.readers.get(node) ?? {
    node,
    group,
    owned: {},
    hand: [],
    failing: null,
    since_us: 0,
    glides: {},
    sent: [],
  };

const NOWHERE = { position: -1, worked_to: -1, delivered_to: -1 };

function member(scene, { group, node, member: id, at_us }, away) {
  const known = groupOf(scene, group);
  const members = new Map(known.members).set(id, { member: id, node, away, since_us: at_us });
  scene.groups.set(group, { ...known, members });
}

const ON_GROUPS = {
  GroupChanged(scene, { group, state, generation, protocol, at_us }) {
    scene.groups.set(group, { ...groupOf(scene, group), state, generation, protocol, since_us: at_us });
  },
  MemberJoined(scene, e) {
    member(scene, e, false);
    if (e.node) scene.readers.set(e.node, { ...readerOf(scene, e.node, e.group), group: e.group });
  },
  MemberGone(scene, e) {
    if (e.why === "away") return member(scene, e, true);
    const known = groupOf(scene, e.group);
    const members = new Map(known.members);
    members.delete(e.member);
    const { node, why, at_us } = e;
    scene.groups.set(e.group, { ...known, members, lost: { member: e.member, node, why, at_us } });
    return undefined;
  },
  OffsetCommitted(scene, { group, node, offset, at_us }) {
    const known = groupOf(scene, group);
    const was = known.committed[node] ?? known.begun[node] ?? offset;
    const glides = was === offset ? known.glides : glidesFrom(known.glides, node, was, at_us);
    scene.groups.set(group, { ...known, glides, committed: { ...known.committed, [node]: offset } });
  },
  ReadingStands(scene, { group, partition, begun: offset, node, worked_to, at_us }) {
    const known = groupOf(scene, group);
    const begun = offset < 0 ? known.begun : { ...known.begun, [partition]: offset };
    const free = node ? { ...known.free, [partition]: { node, worked_to, at_us } } : known.free;
    scene.groups.set(group, { ...known, begun, free });
  },
  TransactionChanged(scene, { transactional_id, state, pid, epoch, at_us }) {
    scene.transactions.set(transactional_id, { state, pid, epoch, at_us });
  },
};

// -- members ----------------------------------------------------------------------------------------

function reader(scene, { node, group, at_us }, with_) {
  const known = readerOf(scene, node, group);
  const changed = { ...known, ...with_(known) };
  const [was, is] = [known.hand[0], changed.hand[0]];
  if (is && (is.partition !== was?.partition || is.first !== was.first)) changed.since_us = at_us;
  scene.readers.set(node, changed);
}

/** A share group: its members have no positions, and keep what they have acquired wherever they read. */
export const isShared = (scene, group) => scene.groups.get(group)?.protocol === "simple";

/**
 * Nobody of the group reads these partitions from now on: who did, and how far it had worked. One that the
 * group had given up may let go of what another reads already.
 */
function release(scene, { group, node, partitions, at_us }) {
  const known = groupOf(scene, group);
  const owned = scene.readers.get(node)?.owned ?? {};
  const free = { ...known.free };
  const others = [...scene.readers.values()].filter(
    (reader) => reader.group === group && reader.node !== node,
  );
  for (const partition of partitions)
    if (!others.some((reader) => reader.owned[partition]?.worked_to >= 0))
      free[partition] = { node, worked_to: owned[partition]?.worked_to ?? -1, at_us };
  scene.groups.set(group, { ...known, free });
}

function resume(scene, { group, partition, offset }) {
  const known = groupOf(scene, group);
  const free = { ...known.free };
  delete free[partition];
  const begun =
    known.committed[partition] === undefined ? { ...known.begun, [partition]: offset } : known.begun;
  scene.groups.set(group, { ...known, free, begun });
}

const without = (hand, partitions) => hand.filter((part) => !partitions.includes(part.partition));

const stillFailing = (failing, partitions) => (partitions.includes(failing?.partition) ? null : failing);

const ON_MEMBERS = {
  PartitionsAssigned(scene, e) {
    reader(scene, e, ({ owned }) => ({
      group: e.group,
      owned: { ...owned, ...Object.fromEntries(e.partitions.map((partition) => [partition, NOWHERE])) },
    }));
  },
  PartitionsRevoked(scene, e) {
    const shared = isShared(scene, e.group);
    if (!shared) release(scene, e);
    reader(scene, e, ({ owned, hand, failing }) => {
      const left = { ...owned };
      for (const partition of e.partitions) delete left[partition];
      if (shared) return e.why === "crashed" ? { owned: left, hand: [], failing: null } : { owned: left };
      return { owned: left, hand: without(hand, e.partitions), failing: stillFailing(failing, e.partitions) };
    });
  },
  PositionSet(scene, e) {
    const { partition, offset } = e;
    resume(scene, e);
    const at = { position: offset, worked_to: offset, delivered_to: offset };
    reader(scene, e, ({ owned, hand, failing, glides }) => ({
      owned: { ...owned, [partition]: at },
      glides: notOf(glides, partition),
      hand: without(hand, [partition]),
      failing: stillFailing(failing, [partition]),
    }));
  },
  RecordsDelivered(scene, e) {
    const { sent } = readerOf(scene, e.node, e.group);
    const isMine = ({ partition, first, next }) =>
      partition === e.partition && first < e.next && e.first < next;
    const mine = sent.filter(isMine);
    hold(scene, e, mine.length ? mine.flatMap(({ records }) => records) : fetched(scene, e));
    if (mine.length) reader(scene, e, () => ({ sent: sent.filter((each) => !isMine(each)) }));
  },
  RecordsHeld(scene, e) {
    const records = e.offsets.map((offset, i) => ({ offset, message: e.messages[i] }));
    hold(scene, e, records);
  },
  RecordsAwaited(scene, { node, group, partition, first, next, offsets, messages }) {
    const records = offsets.map((offset, i) => ({ offset, message: messages[i] }));
    awaits(scene, readerOf(scene, node, group), { partition, first, next, records });
  },
  RecordsWorked(scene, e) {
    const { partition, next } = e;
    applied(scene, e);
    reader(scene, e, ({ owned, hand, failing }) => {
      const at = hand.findIndex((part) => part.partition === partition);
      const rest = hand.slice();
      if (at >= 0 && next < rest[at].next) {
        const records = rest[at].records.filter((record) => record.offset >= next);
        rest[at] = { ...rest[at], first: next, records };
      } else if (at >= 0) rest.splice(at, 1);
      const place = isShared(scene, e.group) ? null : owned[partition];
      return {
        hand: rest,
        failing: failing?.partition === partition && failing.offset < next ? null : failing,
        owned: place ? { ...owned, [partition]: { ...place, worked_to: next } } : owned,
      };
    });
  },
  RecordFailed(scene, e) {
    const { partition, offset, attempt, why, until_us, at_us } = e;
    const failing = until_us ? { partition, offset, attempt, why, until_us, at_us } : null;
    reader(scene, e, () => ({ failing }));
  },
};

/** An answer to a fetch is on its way to `known`; what was on its way of the same records is not any more. */
function awaits(scene, known, part) {
  const others = known.sent.filter((each) => each.partition !== part.partition || each.next <= part.first);
  scene.readers.set(known.node, { ...known, sent: [...others, part] });
}

/** Why a record may be gone that a consumer was given all the same. */
const TAKEN_LATER = ["retention", "deleted"];

/** Whether a fetch of consumer `node` brings this record: no control record, nor what was taken back if it
 * reads committed records only. */
export const isFetched = (scene, node, record) =>
  !record.marker && !(record.aborted && scene.nodes.get(node)?.settings?.isolation === "read_committed");

/** What a fetch has brought: the records of its range. */
function fetched(scene, { node, partition, first, next }) {
  const log = scene.logs.get(partition);
  const found = [];
  for (let offset = first; log && offset < next; offset++) {
    const record = everAt(log, offset);
    if (record && isFetched(scene, node, record) && (!record.gone || TAKEN_LATER.includes(record.gone)))
      found.push({ offset, message: record.message });
  }
  return found;
}

/** Records come into a consumer's hand. */
function hold(scene, e, records) {
  const { partition, first, next } = e;
  reader(scene, e, ({ owned, hand, glides }) => {
    const last = hand.at(-1);
    const joined = last?.partition === partition && last.next === first;
    const more = joined
      ? [...hand.slice(0, -1), { ...last, next, records: [...last.records, ...records] }]
      : [...hand, { partition, first, next, records }];
    const place = isShared(scene, e.group) ? null : owned[partition];
    if (!place) return { hand: more };
    return {
      hand: more,
      owned: { ...owned, [partition]: { ...place, position: next, delivered_to: next } },
      glides: glidesFrom(glides, partition, place.position < 0 ? first : place.position, e.at_us),
    };
  });
}

/** What the work on a range has done to the world outside: sums and stores. */
function applied(scene, e) {
  const { node, partition, first, next, failed, skipped, effect, total, due } = e;
  if (total) scene.sums.set(effect, { unit: "", ...scene.sums.get(effect), total, due });
  const held = scene.readers.get(node)?.hand.find((part) => part.partition === partition)?.records ?? [];
  const worked = held.filter(
    (r) => r.message && first <= r.offset && r.offset < next && !failed.includes(r.offset),
  );
  const store = scene.nodes.get(node)?.handler?.store;
  if (!store || !worked.length) return;
  let { recent } = scene.stores.get(store) ?? { recent: [] };
  for (const { message, offset } of worked)
    if (!skipped.includes(offset) && !recent.includes(message))
      recent = [...recent, message].slice(-SHELF_KEPT);
  const last = worked.at(-1);
  scene.stores.set(store, { recent, asked: last.message, seen: skipped.includes(last.offset) });
}

// -- what travels -----------------------------------------------------------------------------------

function travels(scene, { number: _number, cause: _cause, ...e }) {
  for (const [signal, old] of scene.batches) if (old.arrive_us <= e.at_us) scene.batches.delete(signal);
  scene.batches.set(e.signal, { ...e, depart_us: e.at_us });
}

const lost = HANDLERS.SignalLost;

const ON_LINKS = {
  BatchSent: travels,
  BatchAcknowledged: travels,
  RecordsSent(scene, e) {
    travels(scene, e);
    const known = scene.readers.get(e.target);
    if (!known) return;
    const { first, next, source: partition, target: node } = e;
    const records = fetched(scene, { node, partition, first, next });
    awaits(scene, known, { partition, first, next, records });
  },
  SignalLost(scene, e) {
    lost(scene, e);
    scene.batches.delete(e.signal);
  },
};

// -- share groups -----------------------------------------------------------------------------------

function share(scene, { group, node: partition }, with_) {
  const key = `${group} ${partition}`;
  const known = scene.shares.get(key) ?? { group, partition, start: 0, end: 0, records: new Map() };
  const records = new Map(known.records);
  scene.shares.set(key, { ...known, ...with_(records), records });
}

const ON_SHARES = {
  RecordsAcquired(scene, e) {
    const { member, holder, deliveries, until_us } = e;
    share(scene, e, (records) => {
      e.offsets.forEach((offset, i) => {
        const now = { state: "ACQUIRED", member, holder, deliveries: deliveries[i], until_us, why: "" };
        records.set(offset, now);
      });
    });
  },
  AcquisitionEnded(scene, e) {
    const { state, deliveries, why } = e;
    share(scene, e, (records) => {
      e.offsets.forEach((offset, i) => {
        const now = { state, member: "", holder: 0, deliveries: deliveries[i], until_us: 0, why };
        records.set(offset, now);
      });
    });
  },
  AcquisitionRenewed(scene, e) {
    share(scene, e, (records) => {
      for (const offset of e.offsets) records.set(offset, { ...records.get(offset), until_us: e.until_us });
    });
  },
  SharePartitionMarked(scene, e) {
    share(scene, e, (records) => {
      for (const offset of records.keys()) if (offset < e.start || offset >= e.end) records.delete(offset);
      return { start: e.start, end: e.end };
    });
  },
};

// -- counts -----------------------------------------------------------------------------------------

function count(scene, destination, what, by) {
  if (!what) return;
  const stand = scene.ledger.get(destination);
  scene.ledger.set(destination, { ...stand, [what]: (stand?.[what] ?? 0) + by });
}

const ON_COUNTS = {
  Counted(scene, { destination, was, now, count: n }) {
    count(scene, destination, was, -n);
    count(scene, destination, now, n);
  },
  TalliedMore: (scene, { destination, what, count: n }) => count(scene, destination, what, n),
};

const settings = (scene, { number: _number, at_us: _at, cause: _cause, type: _type, ...set }) =>
  change(scene, set.node, { settings: set });

const ON_NODES = {
  MemberSettings: settings,
  ProducerSettings: settings,
  ShareMemberSettings: settings,
  NodeRemoved: ((removed) => (scene, e) => {
    removed(scene, e);
    scene.readers.delete(e.node);
  })(HANDLERS.NodeRemoved),
};

/**
 * What the stage is laid out by: partitions, which group a consumer is of, which topics it has `reads` from,
 * and which groups are share groups. Returns whether that is news.
 */
function learn(plan, event) {
  if (event.type === "PartitionDeclared") {
    if (plan.logs.has(event.node)) return false;
    ON_LOGS.PartitionDeclared(plan, event);
    return true;
  }
  if (event.type === "GroupChanged" && event.protocol === "simple" && !isShared(plan, event.group)) {
    ON_GROUPS.GroupChanged(plan, event);
    return true;
  }
  if (event.type !== "MemberJoined" && event.type !== "PartitionsAssigned") return false;
  if (!event.node) return false;
  const { group, reads = new Set() } = plan.readers.get(event.node) ?? {};
  const topics = (event.partitions ?? []).map((row) => plan.logs.get(row)?.topic).filter(Boolean);
  if (group === event.group && topics.every((topic) => reads.has(topic))) return false;
  const known = readerOf(plan, event.node, event.group);
  plan.readers.set(event.node, { ...known, group: event.group, reads: new Set([...reads, ...topics]) });
  return true;
}

register({
  handlers: { ...ON_LOGS, ...ON_GROUPS, ...ON_MEMBERS, ...ON_LINKS, ...ON_SHARES, ...ON_COUNTS, ...ON_NODES },
  parts: ["logs", "groups", "readers", "batches", "transactions", "shares"],
  passing: ["batches"],
  learn,
});
