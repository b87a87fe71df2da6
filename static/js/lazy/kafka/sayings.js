// What Kafka's events are in words, added to lazy/sayings.js on stages with a cluster: what happened, and
// why, from the event, its causes, and what the log or the group was told of before (`also`). Pure.

import "mailroom/lazy/kafka/sayings-commands.js";
import { SENTENCES, words } from "mailroom/lazy/sayings.js";

const LOOK_BACK_EVENTS = 20_000;

/** Assignors under which each member gives up all it has before anybody gets anything. */
const EAGER = ["range", "roundrobin", "sticky"];

/** The last event before this one that passes `test`: of what is held, then of the statement before. */
export function earlier(t, test) {
  const [event] = t.chain;
  const segment = t.timeline.segmentAt(event.at_us);
  if (!segment) return null;
  const { events } = segment;
  let i = event.number ? event.number - (events[0]?.number ?? 0) : events.length;
  for (const least = Math.max(0, i - LOOK_BACK_EVENTS); --i >= least;)
    if (test(events[i])) return found(t, events[i]);
  const stated = i < 0 ? segment.bases[0].state.findLast(test) : null;
  return stated ? found(t, stated) : null;
}

function found(t, event) {
  t.also.push(event);
  return event;
}

/** Of the same moment: what came with this event, before or after it. */
function beside(t, test) {
  const [event] = t.chain;
  const near = t.timeline
    .between(event.at_us - 1, event.at_us)
    .filter((e) => Math.abs(e.number - event.number) <= 12);
  const one = near.find((e) => e !== event && test(e));
  return one ? found(t, one) : null;
}

const offsets = (first, next) => (next - first === 1 ? `offset ${first}` : `offsets ${first} to ${next - 1}`);

/** Offsets as people say them: one, a range, or how many where they are not side by side. */
function offsetsOf(list) {
  const [first, last] = [list[0], list.at(-1)];
  return last - first + 1 === list.length ? offsets(first, last + 1) : `${list.length} records`;
}

const nth = (n) => `${n}${["th", "st", "nd", "rd"][n > 3 && n < 21 ? 0 : n % 10] ?? "th"}`;

const range = (base, count) => offsets(base, base + count);

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

const go = (count) => (count === 1 ? "travels" : "travel");

const records = (count) => (count === 1 ? "1 record" : `${count} records`);

/** What a cluster's leaders change for: a broker that came or went. */
function because(t) {
  const by = t.cause("Commanded", (c) => c.command in WHY_LED);
  return by ? [`, because ${t.name(by.node).id} ${WHY_LED[by.command]}`, t.name(by.node)] : ["", ""];
}

const WHY_LED = {
  KillBroker: "was killed",
  StopBroker: "is shut down",
  StartBroker: "is back",
  HangBroker: "copies nothing",
  ResumeBroker: "copies again",
};

/** Who is meant by a member: its consumer, or the coordinator's name for a client without one. */
const who = (t, e) => (e.node ? t.name(e.node) : e.member);

/** As `words`, with ids that stand in texts made before. */
const plain = (text, ...ids) => ({ text, ids: ids.filter((id) => id?.id) });

const isAre = (items) => (items.length === 1 ? "is" : "are");

const GONE = {
  retention: "retention deletes",
  deleted: "an administrator deletes",
  compacted: "the cleaner removes",
};

function led(t, e) {
  const p = t.name(e.node);
  const was = earlier(t, (b) => b.type === "PartitionLed" && b.node === e.node);
  if (!was) return null;
  const [why, by] = because(t);
  if (was.leader !== e.leader) {
    if (!e.leader)
      return [
        3,
        plain(`${p.id} has no leader${why}: nobody can write to it or read it.`, p, by),
        words`${p} has no leader: nobody can read or write it.`,
      ];
    const leader = t.name(e.leader);
    if (was.leader && !was.isr.includes(e.leader))
      return [
        4,
        words`${p} is led by ${leader}, which was not in sync: what it lacks is lost.`,
        words`${p} is led by ${leader}, which was not in sync.`,
      ];
    return [
      3,
      plain(`${p.id} is led by ${leader.id} now${why}; what all in sync have stays.`, p, leader, by),
      plain(`${p.id} is led by ${leader.id} now${why}.`, p, leader, by),
      words`${p} is led by ${leader} now.`,
    ];
  }
  const out = was.isr.find((b) => !e.isr.includes(b));
  if (out)
    return [
      2,
      words`${t.name(out)} is out of sync with ${p}: an acknowledgement does not wait for it.`,
      words`${t.name(out)} is out of sync with ${p}.`,
    ];
  const back = e.isr.find((b) => !was.isr.includes(b));
  return back ? [2, words`${t.name(back)} has caught up: it is in sync with ${p} again.`] : null;
}

const OUT = {
  session: (n, g) => [
    3,
    words`${n} was not heard of for its session timeout: ${g} takes its partitions away.`,
    words`${n} was not heard of for its session timeout.`,
  ],
  late: (n, g) => [
    3,
    words`${n} did not join the rebalance in time: ${g} goes on without it.`,
    words`${n} did not join the rebalance in time.`,
  ],
  left: (n, g) => [2, words`${n} leaves ${g}.`],
  away: (n, g) => [
    2,
    words`${n} is away: as a static member of ${g} it keeps its partitions.`,
    words`${n} is away and keeps its partitions.`,
  ],
};

const WHY_GONE = {
  session: "was not heard of for its session timeout",
  late: "did not come in time",
  left: "leaves",
  away: "is away",
};

/** Whether a group is a share group: several of its members may read one partition. */
const isShared = (t, group) => t.timeline.plan.groups.get(group)?.protocol === "simple";

/** Of a consumer, whether it is a share group's member. */
const isSharing = (t, node) => isShared(t, t.timeline.plan.readers.get(node)?.group);

function regrouped(t, e) {
  const g = t.name(e.group);
  if (e.protocol === "simple" && e.state === "Stable")
    return [1, words`${g} shares its partitions out anew, in epoch ${e.generation}: nobody waits for that.`];
  if (e.state === "Stable")
    return [2, words`${g} is stable in generation ${e.generation}: each member has its partitions.`];
  if (e.state === "Empty") return e.generation ? [2, words`${g} has no members: nobody reads for it.`] : null;
  if (e.state === "Reconciling")
    return [
      2,
      words`${g} goes to epoch ${e.generation}: only partitions that move are not read.`,
      words`${g} goes to epoch ${e.generation}.`,
    ];
  if (e.state === "CompletingRebalance")
    return [
      2,
      EAGER.includes(e.protocol)
        ? words`Nobody in ${g} reads until each member is told its partitions: lag grows.`
        : words`All of ${g} have joined: they keep what they have until they are told.`,
      words`${g} waits for its assignment.`,
    ];
  const other = beside(
    t,
    (b) => (b.type === "MemberGone" || b.type === "MemberJoined") && b.group === e.group,
  );
  if (!other) return [2, words`${g} begins to form anew.`];
  const n = who(t, other);
  const why = other.type === "MemberJoined" ? `comes to it` : WHY_GONE[other.why];
  return [3, words`${g} forms anew, because ${n} ${why}.`, words`${g} forms anew: ${n} ${why}.`];
}

/** Whether an event is of the same transactional id. */
const isOf = (b, { transactional_id }) =>
  b.type === "TransactionChanged" && b.transactional_id === transactional_id;

/** A member stood where nothing lies any more, and begins where auto.offset.reset says. */
function resetBy(t, e, of) {
  const gone = earlier(
    t,
    (b) => b.type === "RecordsGone" && b.node === e.partition && /retention|deleted/.test(b.why),
  );
  const stood = earlier(
    t,
    (b) => of(b) && ["PositionSet", "RecordsDelivered", "OffsetCommitted"].includes(b.type),
  );
  const edge = gone?.ranges.at(-1)[1];
  const at = stood?.next ?? stood?.offset;
  if (!(at < edge && e.offset >= edge)) return null;
  const [g, p] = [t.name(e.group), t.name(e.partition)];
  return [
    3,
    words`Offset ${at} of ${p}, where ${g} stood, is gone: auto.offset.reset puts it at ${e.offset}.`,
    words`${p} has lost offset ${at}: auto.offset.reset puts ${g} at ${e.offset}.`,
  ];
}

/** Where a member begins: behind what was committed, which may lie before what was read already. */
function positioned(t, e) {
  const [n, p] = [t.name(e.node), t.name(e.partition)];
  const of = (b) => b.group === e.group && (b.partition ?? b.node) === e.partition;
  const read = earlier(t, (b) => b.type === "RecordsWorked" && of(b));
  const last = earlier(t, (b) => b.type === "OffsetCommitted" && of(b));
  const reset = resetBy(t, e, of);
  if (reset) return reset;
  if (!(read?.next > e.offset)) {
    const had = earlier(t, (b) => b.type === "RecordsDelivered" && of(b));
    if (!(had?.next > e.offset)) return [1, words`${n} reads ${p} from offset ${e.offset} on.`];
    const those = capital(offsets(e.offset, had.next));
    const [whose, come] = [t.name(had.node), had.next - e.offset === 1 ? "is" : "are"];
    return [
      2,
      words`${those} of ${p} ${come} read again: ${whose} had not finished with it.`,
      words`${those} of ${p} ${come} read again.`,
    ];
  }
  const which = capital(offsets(e.offset, read.next));
  const are = read.next - e.offset === 1 ? "is" : "are";
  const short = words`${which} of ${p} ${are} read again.`;
  if (last && !last.by && last.offset === e.offset)
    return [
      3,
      words`${which} of ${p} ${are} read again: the offsets of ${t.name(e.group)} were reset.`,
      short,
    ];
  if (last && last.offset > e.offset) return [3, short];
  const reader = t.name(read.node);
  return [
    3,
    words`${which} of ${p} ${are} read again, because ${reader} had worked on them and not committed.`,
    words`${which} of ${p} ${are} read again: ${reader} had not committed.`,
    short,
  ];
}

function worked(t, e) {
  const [n, p] = [t.name(e.node), t.name(e.partition)];
  if (e.repeated.length) {
    const which = e.repeated.length === 1 ? `offset ${e.repeated[0]}` : records(e.repeated.length);
    return [
      4,
      words`${n} does “${e.effect}” for ${which} of ${p} again: it had happened before.`,
      words`“${e.effect}” happens again for ${which} of ${p}.`,
      words`${n} does “${e.effect}” again.`,
    ];
  }
  if (e.skipped.length) {
    const which = e.skipped.length === 1 ? `offset ${e.skipped[0]}` : records(e.skipped.length);
    return [
      2,
      words`${n} has seen ${which} of ${p} before and skips the effect.`,
      words`${n} skips what it has seen before.`,
    ];
  }
  return [0, words`${n} is done with ${offsets(e.first, e.next)} of ${p}.`];
}

const ENDED = {
  accept: (what, p, are) => [1, words`${what} of ${p} ${are} accepted: finished.`],
  reject: (what, p, are) => [3, words`${what} of ${p} ${are} rejected: archived, and not delivered again.`],
  gap: () => null,
  release: (what, p, are) => [2, words`${what} of ${p} ${are} released: available to any member again.`],
  lock: (what, p, are) => [
    3,
    words`${what} of ${p} ${are} available again: the acquisition lock has run out.`,
    words`${what} of ${p} ${are} available again: the lock has run out.`,
  ],
  gone: (what, p, are) => [3, words`${what} of ${p} ${are} available again: the member is gone.`],
  limit: (what, p, are) => [
    3,
    words`${what} of ${p} ${are} archived: delivered as often as the group's limit allows.`,
    words`${what} of ${p} ${are} archived: the delivery limit is reached.`,
  ],
  leader: (what, p, are) => [2, words`${what} of ${p} ${are} available again: another broker leads.`],
  deleted: (what, p, are) => [2, words`${what} of ${p} ${are} deleted from the log while acquired.`],
};

const ofClient = { NodeStateChanged: SENTENCES.NodeStateChanged, SignalLost: SENTENCES.SignalLost };

Object.assign(SENTENCES, {
  NodeStateChanged(t, e) {
    const n = t.name(e.node);
    const { kind } = t.timeline.plan.nodes.get(e.node) ?? {};
    if (kind === "broker") {
      if (e.state === "crashed")
        return [3, words`${n} is killed: what it leads needs another leader.`, words`${n} is killed.`];
      if (e.state === "stopped") return [3, words`${n} is shut down: others lead what it led.`];
      if (e.state === "paused") return [3, words`${n} hangs: it is up, and copies nothing.`];
      return [2, words`${n} is up again and copies what it has missed.`];
    }
    if (e.state === "crashed" && isSharing(t, e.node))
      return [
        3,
        words`${n} crashed. Its connections close: what it had acquired is released at once.`,
        words`${n} crashed: what it had acquired is released.`,
      ];
    if (e.state === "paused" && isSharing(t, e.node))
      return [
        3,
        words`${n} stands still: what it has acquired nobody else gets until its locks run out.`,
        words`${n} stands still, and keeps what it has acquired.`,
      ];
    if (e.state === "crashed" && t.timeline.plan.readers.has(e.node))
      return [
        3,
        words`${n} crashed. Its group waits for its session timeout before it acts.`,
        words`${n} crashed; its group does not know yet.`,
        words`${n} crashed.`,
      ];
    if (e.state === "paused") return [3, words`${n} stands still: no work, no heartbeats.`];
    return ofClient.NodeStateChanged(t, e);
  },
  SignalLost(t, e) {
    const sent = earlier(t, (b) => b.signal === e.signal && b.type !== "SignalLost");
    if (sent?.type === "BatchAcknowledged")
      return [
        3,
        words`The answer of ${t.name(sent.source)} to ${t.name(sent.target)} is lost, not what was written.`,
        words`The answer of ${t.name(sent.source)} to ${t.name(sent.target)} is lost.`,
        words`An acknowledgement is lost on its way.`,
      ];
    if (sent?.type === "BatchSent")
      return [3, words`A batch of ${t.name(sent.source)} for ${t.name(sent.target)} is lost on its way.`];
    if (sent?.type === "RecordsSent")
      return [2, words`Records for ${t.name(sent.target)} are lost on their way; it will ask again.`];
    return ofClient.SignalLost(t, e);
  },
  PartitionLed: led,
  RecordsAppended(t, e) {
    const p = t.name(e.node);
    if (e.marker) return [2, words`A marker at offset ${e.base} of ${p} ends a transaction: ${e.marker}.`];
    const at = offsets(e.base, e.base + e.messages.length);
    const ended = t.cause("AcquisitionEnded");
    if (ended)
      return [
        3,
        words`What ${t.name(ended.group)} gives up of ${t.name(ended.node)} goes to ${p}, at ${at}.`,
        words`${p} takes what was given up, at ${at}.`,
      ];
    return e.messages.length === 1 && e.messages[0]
      ? [1, words`${t.message(e.messages[0])} is appended to ${p} at ${at}.`]
      : [1, words`${p} takes ${records(e.messages.length)}, ${at}.`];
  },
  LogMarked: (t, e) => [
    0,
    words`The high watermark of ${t.name(e.node)} is ${e.high_watermark}: what lies before may be read.`,
    words`The high watermark of ${t.name(e.node)} is ${e.high_watermark}.`,
  ],
  ReplicaReached: (t, e) => [0, words`${t.name(e.broker)} has ${t.name(e.node)} up to offset ${e.end}.`],
  TombstonesAppended: (t, e) => [
    2,
    words`${capital(offsetsOf(e.offsets))} of ${t.name(e.node)}: without a value, a tombstone for the key.`,
    words`A tombstone is appended to ${t.name(e.node)}.`,
  ],
  RecordsGone(t, e) {
    const p = t.name(e.node);
    const count = e.ranges.reduce((sum, [first, next]) => sum + next - first, 0);
    const which = e.ranges.length === 1 ? offsets(...e.ranges[0]) : records(count);
    if (e.why === "truncated")
      return [
        4,
        words`${capital(which)} of ${p} are cut off: the log of its leader now ends before them.`,
        words`${capital(which)} of ${p} are cut off.`,
      ];
    if (e.why === "compacted") {
      const within = (at) => e.ranges.some(([first, next]) => first <= at && at < next);
      const dead = earlier(
        t,
        (b) => b.type === "TombstonesAppended" && b.node === e.node && b.offsets.some(within),
      );
      if (dead)
        return [
          3,
          words`The cleaner removes ${which} of ${p}, a tombstone too: its time is over.`,
          words`The cleaner removes ${which} of ${p}.`,
        ];
      return [
        2,
        words`The cleaner removes ${which} of ${p}: later records have their keys.`,
        words`The cleaner removes ${which} of ${p}.`,
      ];
    }
    return [
      2,
      words`${capital(GONE[e.why])} ${which} of ${p}, read or not.`,
      words`${capital(GONE[e.why])} ${which} of ${p}.`,
    ];
  },

  GroupChanged: regrouped,
  MemberJoined: (t, e) => [1, words`${who(t, e)} joins ${t.name(e.group)}.`],
  MemberGone: (t, e) => OUT[e.why](who(t, e), t.name(e.group)),
  OffsetCommitted(t, e) {
    const [g, p] = [t.name(e.group), t.name(e.node)];
    if (!e.by) return [2, words`The offset of ${g} at ${p} is set to ${e.offset}.`];
    return [
      1,
      words`${t.name(e.by)} commits ${p} up to offset ${e.offset}: it will not be read again.`,
      words`${t.name(e.by)} commits offset ${e.offset} of ${p}.`,
      words`Offset ${e.offset} of ${p} is committed.`,
    ];
  },
  PartitionsAssigned(t, e) {
    const [n, parts] = [t.name(e.node), e.partitions.map((partition) => t.name(partition))];
    if (!parts.length) return null;
    if (isShared(t, e.group))
      return [
        1,
        parts.length === 1
          ? words`${n} reads ${parts[0]} for ${t.name(e.group)}, beside whoever does.`
          : words`${n} reads ${parts.length} partitions for ${t.name(e.group)}.`,
      ];
    const many = words`${n} gets ${parts.length} partitions.`;
    if (parts.length === 1) return [2, words`${n} gets ${parts[0]}.`];
    return parts.length === 2 ? [2, words`${n} gets ${parts[0]} and ${parts[1]}.`, many] : [2, many];
  },
  PartitionsRevoked(t, e) {
    const [n, parts] = [t.name(e.node), e.partitions.map((partition) => t.name(partition))];
    if (!parts.length) return null;
    const what = parts.length === 1 ? parts[0] : `${parts.length} partitions`;
    if (isShared(t, e.group))
      return e.why === "crashed"
        ? null
        : [1, words`${n} reads ${what} no more; what it has acquired it keeps.`];
    if (e.why === "crashed")
      return [
        2,
        words`Nobody in ${t.name(e.group)} reads ${what} now: ${n} crashed with it.`,
        words`Nobody reads ${what} now.`,
      ];
    return [
      2,
      words`${n} gives up ${what}: nobody reads it until somebody else gets it.`,
      words`${n} gives up ${what}.`,
    ];
  },
  PositionSet: positioned,

  BatchSent: (t, e) =>
    e.messages.length === 1
      ? [1, words`${t.name(e.source)} sends ${t.message(e.messages[0])} to ${t.name(e.target)}.`]
      : [1, words`${t.name(e.source)} sends ${records(e.messages.length)} to ${t.name(e.target)}.`],
  BatchAcknowledged: (t, e) =>
    e.base < 0
      ? [0, words`${t.name(e.source)} answers ${t.name(e.target)}.`]
      : [
          0,
          words`${t.name(e.source)} acknowledges ${range(e.base, e.count)} to ${t.name(e.target)}.`,
          words`${t.name(e.source)} acknowledges to ${t.name(e.target)}.`,
        ],
  RecordsSent(t, e) {
    const [range, travel] = [capital(offsets(e.first, e.next)), go(e.next - e.first)];
    return [
      1,
      words`${range} of ${t.name(e.source)} ${travel} to ${t.name(e.target)}.`,
      words`${records(e.count)} ${go(e.count)} to ${t.name(e.target)}.`,
    ];
  },
  RecordsDelivered: (t, e) => [
    0,
    words`${t.name(e.node)} has ${offsets(e.first, e.next)} of ${t.name(e.partition)} now.`,
    words`${t.name(e.node)} has records of ${t.name(e.partition)} now.`,
  ],
  RecordsWorked: worked,
  RecordFailed(t, e) {
    const [n, p] = [t.name(e.node), t.name(e.partition)];
    if (e.why.startsWith("told to"))
      return [
        2,
        words`${n} was ${e.why} a record, and does not work on offset ${e.offset} of ${p}.`,
        words`${n} was ${e.why} offset ${e.offset}.`,
      ];
    if (isShared(t, e.group))
      return [
        2,
        words`${n} fails at offset ${e.offset} of ${p} (${e.why}), at its ${nth(e.attempt)} delivery.`,
        words`${n} fails at offset ${e.offset}: delivery ${e.attempt}.`,
      ];
    const then = e.until_us ? "what lies behind it waits" : "it goes on without it";
    return [
      2,
      words`${n} fails at offset ${e.offset} of ${p} (${e.why}): ${then}.`,
      words`${n} fails at offset ${e.offset}: ${then}.`,
      words`${n} fails at offset ${e.offset}.`,
    ];
  },

  TransactionChanged(t, e) {
    const id = `“${e.transactional_id}”`;
    if (e.state === "Ongoing") return [2, words`A transaction of ${id} begins.`];
    if (e.state === "CompleteCommit") return [2, words`The transaction of ${id} is committed.`];
    if (e.state === "CompleteAbort") {
      const anew = t.cause("NodeStateChanged", (c) => c.state === "up");
      if (anew)
        return [
          2,
          words`${t.name(anew.node)} begins anew as ${id}: what its former process left open is aborted.`,
          words`The transaction of ${id} is aborted: ${t.name(anew.node)} begins anew.`,
        ];
      const began = earlier(t, (b) => isOf(b, e) && b.state === "Ongoing");
      const by = began && e.epoch > began.epoch + 1;
      const next = t.timeline.event(e.number + 1);
      if (by && next && isOf(next, e) && next.state === "Empty")
        return [3, words`The transaction of ${id} is aborted: another process begins as ${id}.`];
      if (by)
        return [
          3,
          words`${id} outlives transaction.timeout.ms: it is aborted and its producer fenced.`,
          words`The transaction of ${id} is aborted: transaction.timeout.ms is over.`,
        ];
      return [2, words`The transaction of ${id} is aborted: its records are skipped.`];
    }
    return null;
  },
  RecordsTransformed(t, e) {
    const [n, topic, p] = [t.name(e.node), t.name(e.topic), t.name(e.partition)];
    const what = e.messages.length === 1 ? t.message(e.messages[0]) : records(e.messages.length);
    return [
      1,
      words`${n} produces ${what} to ${topic}, of ${offsetsOf(e.offsets)} of ${p}.`,
      words`${n} produces ${what} to ${topic}.`,
    ];
  },
  RecordsWithdrawn: (t, e) => [
    2,
    words`${t.name(e.node)} aborts: ${records(e.messages.length)} ${isAre(e.messages)} not sent.`,
    words`${t.name(e.node)} aborts its transaction.`,
  ],
  RecordsAcquired(t, e) {
    const most = Math.max(...e.deliveries);
    const who = e.holder ? t.name(e.holder) : e.member;
    const what = offsetsOf(e.offsets);
    if (most > 1)
      return [
        2,
        words`${who} acquires ${what} of ${t.name(e.node)}, delivered for the ${nth(most)} time.`,
        words`${who} acquires ${what} of ${t.name(e.node)}: delivery ${most}.`,
      ];
    return [1, words`${who} acquires ${what} of ${t.name(e.node)}.`, words`${who} acquires ${what}.`];
  },
  AcquisitionEnded: (t, e) =>
    ENDED[e.why](capital(offsetsOf(e.offsets)), t.name(e.node), e.offsets.length === 1 ? "is" : "are"),
  AcquisitionRenewed: (t, e) => [
    1,
    words`The lock on ${offsetsOf(e.offsets)} of ${t.name(e.node)} is renewed.`,
  ],

  Counted(t, e) {
    const d = t.name(e.destination);
    const n = records(e.count);
    const ofTopic = t.timeline.plan.nodes.get(e.destination)?.kind === "topic";
    const are = e.count === 1 ? "is" : "are";
    if (e.now === "lost")
      return [
        3,
        ofTopic
          ? words`${n} of ${d} ${are} lost: acknowledged to the producer, and cut off.`
          : words`${n} ${are} lost for ${d}: nobody works on it, and it is not read again.`,
        words`${n} ${are} lost for ${d}.`,
      ];
    if (e.now === "dropped") return [3, words`${n} ${are} deleted before ${d} committed.`];
    return null;
  },
  TalliedMore(t, e) {
    const d = t.name(e.destination);
    if (e.what === "out_of_order")
      return [2, words`In ${d} an effect comes after that of a later record with its key.`];
    if (e.what === "duplicated_deliveries")
      return [2, words`${records(e.count)} are delivered again in ${d}.`];
    return null;
  },
});
