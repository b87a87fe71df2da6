// The life of one record: what happened to it in its log and in each group that reads it, when and why. From
// the events held and, for where it lies, from the presents that were stated. Pure.

import { groupsOf, isShared, lagOf } from "mailroom/kafka/fold.js";
import { ownerOf } from "mailroom/kafka/positions.js";
import { say } from "mailroom/lazy/sayings.js";

const ENTRIES_MAX = 300;
/** How an acquisition of a share group ended. */
const ENDED = {
  accept: "its member has worked on it",
  reject: "its member rejected it",
  gap: "there is nothing to deliver",
  release: "its member released it",
  lock: "the acquisition lock ran out",
  gone: "its member left, or its connection broke",
  limit: "it was delivered as often as the limit allows",
  leader: "another broker leads, and knows of no acquisition",
  deleted: "it was deleted from the log",
};
const GONE = {
  retention: "the log keeps no more than its retention says",
  deleted: "an administrator deleted what lies before",
  compacted: "a newer record of its key is in the log",
  tombstone: "delete.retention.ms is over: its key is forgotten",
  truncated: "the new leader did not have it",
};

/** All that is held of `message`'s life, in order: entries {number, type, at_us, what, why}. */
export function lifeOf(message, timeline) {
  const life = new Life(message, timeline);
  const events = new Map();
  for (const { bases, events: told } of timeline.segments) {
    for (const { state } of bases) for (const event of state) life.learn(event);
    for (const event of told) {
      life.learn(event);
      events.set(event.number, event);
    }
  }
  const entries = [...events.values()].map((event) => life.entry(event)).filter(Boolean);
  return entries.slice(0, ENTRIES_MAX);
}

class Life {
  constructor(message, timeline) {
    Object.assign(this, { message, timeline });
    /** Partition → its offsets there: more than one where it was written twice. */
    this.offsets = new Map();
    this.visible = new Set();
    /** "group partition offset" → how often it was handed to a member. */
    this.handed = new Map();
    this.isTombstone = false;
    /** "group partition" → the committed offset. */
    this.committed = new Map();
  }

  name(node) {
    return this.timeline.plan.nodes.get(node)?.name || "somebody";
  }

  learn({ type, node, base, messages }) {
    if (type !== "RecordsAppended") return;
    messages.forEach((message, i) => {
      if (message !== this.message) return;
      const known = this.offsets.get(node) ?? this.offsets.set(node, new Set()).get(node);
      known.add(base + i);
    });
  }

  /** Its offsets in `partition` that lie in [first, next). */
  within(partition, first, next) {
    return [...(this.offsets.get(partition) ?? [])].filter((offset) => first <= offset && offset < next);
  }

  entry(event) {
    const said = WORDS[event.type]?.(this, event);
    if (!said) return null;
    const [what, why = ""] = said;
    return { number: event.number, type: event.type, at_us: event.at_us, what, why, attempt: 0 };
  }
}

/** [what, why] of what concerns the record, null for all else. */
const WORDS = {
  MessageCreated(life, { message, node, poison, cause }) {
    if (message !== life.message) return null;
    const before = cause > 0 && life.timeline.event(cause);
    const why = before
      ? say(before, life.timeline)?.text.replace(/\.$/, "")
      : cause < 0 && "somebody did that";
    return [`Made by ${life.name(node)}`, poison ? "poison: every handler fails at it" : why || ""];
  },
  BatchSent(life, { messages, target }) {
    if (!messages.includes(life.message)) return null;
    const others = messages.length - 1;
    return [
      `Sent to ${life.name(target)}`,
      others ? `in a batch with ${others} other${others > 1 ? "s" : ""}` : "in a batch of its own",
    ];
  },
  RecordsAppended(life, { node, base, messages, cause }) {
    const place = messages.indexOf(life.message);
    if (place < 0) return null;
    const key = life.timeline.facts.messages.get(life.message)?.key;
    const before = cause > 0 && life.timeline.event(cause);
    if (before?.type === "AcquisitionEnded")
      return [
        `Copied to ${life.name(node)} at offset ${base + place}`,
        `the dead-letter queue of ${life.name(before.group)}`,
      ];
    return [
      `Written to ${life.name(node)} at offset ${base + place}`,
      key ? `its key, ${key}, chose the partition` : "it has no key",
    ];
  },
  BatchAcknowledged(life, { source, target, base, count }) {
    return life.within(source, base, base + count).length ? [`Acknowledged to ${life.name(target)}`] : null;
  },
  LogMarked(life, { node, high_watermark }) {
    const fresh = life.within(node, 0, high_watermark).filter((at) => !life.visible.has(`${node} ${at}`));
    for (const at of fresh) life.visible.add(`${node} ${at}`);
    return fresh.length ? ["Below the high watermark", "all replicas in sync have it"] : null;
  },
  RecordsSent(life, { source, target, first, next }) {
    return life.within(source, first, next).length ? [`On its way to ${life.name(target)}`] : null;
  },
  RecordsDelivered(life, { group, node, partition, first, next }) {
    const [offset] = life.within(partition, first, next);
    if (offset === undefined) return null;
    const key = `${group} ${partition} ${offset}`;
    const before = life.handed.get(key) ?? 0;
    life.handed.set(key, before + 1);
    const shared = isShared(life.timeline.plan, group);
    return [
      `${life.name(node)} has it${before && !shared ? " again" : ""}`,
      before && !shared ? `${life.name(group)} had read it and not committed it` : `for ${life.name(group)}`,
    ];
  },
  RecordsWorked(life, { group, node, partition, first, next, failed, skipped, repeated, effect }) {
    const [offset] = life.within(partition, first, next);
    if (offset === undefined) return null;
    // What a share group's member failed on is told as its failure, and by how its acquisition ended
    if (failed.includes(offset) && isShared(life.timeline.plan, group)) return null;
    if (failed.includes(offset)) return [`${life.name(node)} gives up on it`, `for ${life.name(group)}`];
    if (skipped.includes(offset)) return [`${life.name(node)} skips it`, "its store remembers it"];
    return [
      `${life.name(node)} does “${effect}”`,
      repeated?.includes(offset) ? "it was done before" : `for ${life.name(group)}`,
    ];
  },
  TombstonesAppended(life, { node, offsets }) {
    if (!offsets.some((offset) => life.within(node, offset, offset + 1).length)) return null;
    life.isTombstone = true;
    return ["It has no value: a tombstone", "the cleaner removes what its key had before"];
  },
  RecordsTransformed(life, { node, partition, offsets, topic, messages }) {
    const made = messages.indexOf(life.message);
    if (made >= 0)
      return [
        `${life.name(node)} produces it to ${life.name(topic)}`,
        `of offset ${offsets[made]} of ${life.name(partition)}, which it has handled`,
      ];
    const read = offsets.findIndex((offset) => life.offsets.get(partition)?.has(offset));
    if (read < 0) return null;
    return [`${life.name(node)} produces m${messages[read]} of it`, `to ${life.name(topic)}`];
  },
  RecordFailed(life, { node, partition, offset, attempt, why }) {
    if (!life.within(partition, offset, offset + 1).length) return null;
    if (why.startsWith("told to")) return [`${life.name(node)} does not work on it`, `it was ${why} it`];
    return [`${life.name(node)} fails at it`, `${why || "an error"}, attempt ${attempt}`];
  },
  RecordsAcquired(life, { group, node, member, holder, offsets, deliveries }) {
    const place = offsets.findIndex((offset) => life.offsets.get(node)?.has(offset));
    if (place < 0) return null;
    const who = holder ? life.name(holder) : member;
    return [`${who} acquires it`, `delivery ${deliveries[place]} for ${life.name(group)}`];
  },
  AcquisitionEnded(life, { group, node, offsets, state, why }) {
    if (!offsets.some((offset) => life.offsets.get(node)?.has(offset))) return null;
    const now = { AVAILABLE: "Available again", ACKNOWLEDGED: "Accepted", ARCHIVED: "Archived" }[state];
    return [`${now} for ${life.name(group)}`, ENDED[why]];
  },
  AcquisitionRenewed(life, { node, offsets }) {
    return offsets.some((offset) => life.offsets.get(node)?.has(offset))
      ? ["Its lock is renewed", "whoever has it works on it still"]
      : null;
  },
  OffsetCommitted(life, { group, node, offset }) {
    const key = `${group} ${node}`;
    const before = life.committed.get(key);
    life.committed.set(key, offset);
    const passed = (committed) => life.within(node, 0, committed ?? 0).length;
    if (passed(offset) > passed(before))
      return [`${life.name(group)} commits offset ${offset}`, "whoever reads next begins behind it"];
    if (passed(offset) < passed(before))
      return [`${life.name(group)} is set back to offset ${offset}`, "it will read it again"];
    return null;
  },
  RecordsGone(life, { node, ranges, why }) {
    const mine = ranges.some(([first, next]) => life.within(node, first, next).length);
    const over = why === "compacted" && life.isTombstone ? "tombstone" : why;
    return mine ? [`Gone from ${life.name(node)}`, GONE[over]] : null;
  },
};

/** Where the record is at `t_us`, in words; "" when nowhere. */
export function whereNow(scene, message, t_us) {
  const places = [];
  for (const log of scene.logs.values()) {
    for (const { offset } of lyingIn(log, message))
      places.push(`At offset ${offset} of ${scene.nodes.get(log.node)?.name}`);
  }
  for (const { type, messages, target, arrive_us } of scene.batches.values()) {
    if (type === "BatchSent" && messages.includes(message) && arrive_us > t_us)
      places.push(`On its way to ${scene.nodes.get(target)?.name}`);
  }
  return [...new Set(places)].join("; ");
}

/** [group, how it stands with it] at the moment of `scene`, for each group that may read it. */
export function standings(scene, message) {
  const said = [];
  for (const log of scene.logs.values()) {
    for (const { offset } of lyingIn(log, message)) {
      for (const { node: group, committed } of groupsOf(scene)) {
        if (isShared(scene, group)) {
          const stands = shareStanding(scene, group, log.node, offset);
          if (stands) said.push([scene.nodes.get(group)?.name, stands]);
          continue;
        }
        const own = ownerOf(scene, group, log.node)?.owned[log.node];
        const name = scene.nodes.get(group)?.name;
        const from = lagOf(scene, group, log.node).from;
        if (from === undefined) continue;
        if (offset < from)
          said.push([name, committed[log.node] === undefined ? "not to be read" : "committed"]);
        else if (own && offset < own.worked_to) said.push([name, "done, not committed"]);
        else if (own && offset < own.delivered_to) said.push([name, "read, not committed"]);
        else said.push([name, "not read"]);
      }
    }
  }
  return said;
}

const STANDS = { AVAILABLE: "available", ACKNOWLEDGED: "accepted", ARCHIVED: "archived" };

/** How a share group has a record: "acquired by worker 2", and so on; "" where it has never read there. */
function shareStanding(scene, group, partition, offset) {
  const share = scene.shares.get(`${group} ${partition}`);
  if (!share) return "";
  if (offset < share.start) return "finished";
  const { state = "AVAILABLE", holder, member, deliveries = 0 } = share.records.get(offset) ?? {};
  const times = deliveries > 1 ? `, delivery ${deliveries}` : "";
  return state === "ACQUIRED"
    ? `acquired by ${scene.nodes.get(holder)?.name ?? member}${times}`
    : `${STANDS[state]}${deliveries > 1 ? `, delivered ${deliveries} times` : ""}`;
}

function lyingIn(log, message) {
  return log.chunks.flatMap(({ cells }) =>
    cells.filter((cell) => cell && !cell.gone && cell.message === message && cell.offset >= log.start),
  );
}
