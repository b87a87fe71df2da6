// Kafka's part of a scene as plain, ordered data, beside lazy/describe.js. For tests and reports.
//
// Of each log only what is known whatever way one has come to the moment (`knownFrom`); what was last seen to
// leave or to glide is no part of it.

import "mailroom/kafka/fold.js";
import { MOST, recordsFrom } from "mailroom/kafka/logs.js";

/** As the engine states of the present (STATED_TAIL in engine/kafka/telling.py). */
const TAIL = 48;

export function describeKafka(scene, t_us = scene.at_us) {
  return {
    logs: byKey(scene.logs, (log) => describeLog(scene, log)),
    groups: byKey(scene.groups, describeGroup, (g) => g.generation || g.members.size || !empty(g.committed)),
    readers: byKey(scene.readers, describeReader, (r) => !empty(r.owned) || r.hand.length),
    batches: byKey(
      scene.batches,
      ({ at_us: _, ...batch }) => batch,
      (b) => b.arrive_us > t_us,
    ),
    transactions: byKey(scene.transactions, ({ state, pid, epoch }) => [state, pid, epoch]),
    shares: byKey(scene.shares, describeShare),
  };
}

/**
 * From where on a log's records are known whatever way one has come to this moment: the tail, and what some
 * group has yet to commit, within bounds.
 */
function knownFrom(scene, log) {
  let needed = log.end;
  for (const { committed, begun } of scene.groups.values())
    needed = Math.min(needed, committed[log.node] ?? begun[log.node] ?? needed);
  return Math.max(log.start, log.end - MOST, Math.min(needed, log.end - TAIL));
}

const empty = (object) => Object.keys(object).length === 0;

const ordered = (object) => Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));

function byKey(map, describe, some = () => true) {
  const told = {};
  for (const [key, value] of map) if (some(value)) told[key] = describe(value);
  return ordered(told);
}

function describeLog(scene, { chunks: _chunks, gone: _gone, ends, ...log }) {
  const from = knownFrom(scene, scene.logs.get(log.node));
  const records = recordsFrom(scene.logs.get(log.node), from).map(
    ({ offset, message, pid, transactional, marker, aborted, tombstone }) => {
      const { key, poison, node } = scene.facts.messages.get(message) ?? {};
      return [offset, message, key, poison, node, pid, transactional, marker, aborted, tombstone].join(" ");
    },
  );
  const reached = Object.fromEntries(Object.entries(ends).filter(([, end]) => end));
  return { ...log, ends: ordered(reached), from, records };
}

function describeGroup({ members, committed, free, begun, glides: _glides, ...group }) {
  const who = byKey(members, ({ node, away, since_us }) => ({ node, away, since_us }));
  const first = Object.entries(begun).filter(([partition]) => committed[partition] === undefined);
  const told = { begun: ordered(Object.fromEntries(first)), free: ordered(free), members: who };
  return { ...group, committed: ordered(committed), ...told };
}

function describeReader({ owned, failing, hand, since_us, glides: _glides, sent: _sent, ...reader }) {
  const { number: _number, cause: _cause, type: _type, ...failed } = failing ?? {};
  return { ...reader, hand, since_us: hand.length ? since_us : 0, owned: ordered(owned), failing: failed };
}

function describeShare({ group, partition, start, end, records }) {
  const told = byKey(records, ({ state, member, holder, deliveries, until_us, why }) =>
    [state, member, holder, deliveries, until_us, why].join(" "),
  );
  return { group, partition, start, end, records: told };
}
