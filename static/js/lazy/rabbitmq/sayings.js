// What becomes of messages in exchanges, queues and hands, in words: added to lazy/sayings.js on stages with
// RabbitMQ. Pure.

import { BACK, SENTENCES, words } from "mailroom/lazy/sayings.js";

/** Why something came back: [words, ids], to go on a sentence that ends with "because". */
Object.assign(BACK, {
  Requeued(t, e) {
    const crash = t.alsoOf("NodeStateChanged", (c) => c.state === "crashed");
    if (crash) return ["crashed before it acknowledged", t.name(crash.node)];
    const link = t.alsoOf("LinkStateChanged", (c) => c.state !== "up");
    if (link) return ["could not be reached", t.name(link.node)];
    const answer = t.alsoOf("Sent", (c) => c.kind === "nack" || c.kind === "reject");
    if (answer) return ["gave it back", t.name(answer.source)];
    const closed = t.alsoOf("ChannelClosed");
    return closed
      ? ["had its channel closed before it acknowledged", t.name(closed.node)]
      : ["has it back, not acknowledged", t.name(e.queue)];
  },
  DeadLettered: (t, e) => (e.reason === "expired" ? ["has held it for its time", t.name(e.queue)] : null),
});

const REASONS = {
  rejected: "it was rejected",
  expired: "its time ran out",
  maxlen: "the queue was full",
  delivery_limit: "it was handed out too often",
};
const ANSWERS = { ack: "acknowledges", nack: "gives back", reject: "rejects" };
const LEFT = {
  expired: "its time ran out",
  maxlen: "the queue was full",
  delivery_limit: "it was handed out too often",
  rejected: "it was rejected",
  cycle: "it came round in a circle",
  unroutable: "its dead-letter target has no queue",
};

Object.assign(SENTENCES, {
  ConsumerRegistered(t, e) {
    const limit = e.prefetch ? `it may hold ${e.prefetch}` : "without a limit";
    return [
      1,
      words`${t.name(e.node)} subscribes to ${t.name(e.queue)}: ${limit}.`,
      words`${t.name(e.node)} subscribes.`,
    ];
  },
  ConsumerTimedOut: (t, e) => [
    3,
    words`${t.name(e.node)} held a message of ${t.name(e.queue)} for too long.`,
    words`${t.name(e.node)} held a message for too long.`,
  ],
  ChannelClosed(t, e) {
    return e.why === "client" || e.why === "socket" || e.why === "heartbeat"
      ? null
      : [
          3,
          words`The broker closed the channel of ${t.name(e.node)}: ${e.why}.`,
          words`The channel of ${t.name(e.node)} was closed.`,
        ];
  },

  Sent(t, e) {
    const source = t.name(e.source);
    const failed = e.kind === "publish" && t.cause("WorkFinished", (w) => !w.ok && w.node === e.source);
    if (failed)
      return [
        2,
        words`${source} failed at ${t.copy(failed.copy)}, so it publishes it again, to ${t.name(e.target)}.`,
        words`${t.name(e.source)} publishes ${t.message(e.about)} again.`,
      ];
    if (e.kind === "publish")
      return [
        1,
        words`${t.name(e.source)} sends ${t.message(e.about)} to ${t.name(e.target)}.`,
        words`${t.name(e.source)} sends ${t.message(e.about)}.`,
      ];
    if (e.kind in ANSWERS)
      return [e.kind === "ack" ? 0 : 2, words`${t.name(e.source)} ${ANSWERS[e.kind]} ${t.copy(e.about)}.`];
    if (e.kind === "confirm") return [0, words`The broker confirms ${t.message(e.about)}.`];
    if (e.kind === "refuse") return [2, words`The broker refuses ${t.message(e.about)}.`];
    if (e.kind === "return")
      return [
        2,
        words`${t.message(e.about)} comes back to ${t.name(e.target)}: no queue took it.`,
        words`${t.message(e.about)} comes back.`,
      ];
    return null;
  },
  Routed: (t, e) => {
    const source = t.name(e.source);
    const queues = e.copies.slice(0, 3).map((owed) => t.name(owed.destination));
    if (queues.length === 1)
      return [0, words`${t.name(e.source)} puts ${t.message(e.message)} into ${queues[0]}.`];
    if (queues.length === 2)
      return [
        1,
        words`${source} puts a copy of ${t.message(e.message)} into ${queues[0]} and into ${queues[1]}.`,
        words`${t.message(e.message)} goes to two queues.`,
      ];
    return queues.length
      ? [1, words`${t.name(e.source)} puts ${t.message(e.message)} into ${e.copies.length} queues.`]
      : null;
  },
  Unroutable(t, e) {
    const end = e.returned ? "it is returned" : "it is dropped";
    return [
      2,
      words`${t.message(e.message)} matches no queue at ${t.name(e.exchange)}: ${end}.`,
      words`${t.message(e.message)} matches no queue: ${end}.`,
    ];
  },
  PublishRefused: (t, e) => [2, words`${t.name(e.queue)} is full and refuses ${t.message(e.message)}.`],
  GivenUp: (t, e) => [
    3,
    words`${t.message(e.message)} is lost: no broker has it and ${t.name(e.node)} will not send it again.`,
    words`${t.message(e.message)} is lost.`,
  ],

  Placed(t, e) {
    if (e.zone === "prefetched")
      return [
        0,
        words`${t.copy(e.copy)} waits in ${t.name(e.node)}’s hands: another one comes first.`,
        words`${t.copy(e.copy)} waits at ${t.name(e.node)}.`,
      ];
    if (e.zone === "delayed") return [1, words`${t.copy(e.copy)} waits out a delay in ${t.name(e.node)}.`];
    if (e.zone === "socket") return [2, words`${t.copy(e.copy)} is stuck in the socket: the network is cut.`];
    return e.zone === "ready" ? [0, words`${t.copy(e.copy)} waits in ${t.name(e.node)}.`] : null;
  },
  Moved(t, e) {
    const [m, to] = [t.copy(e.copy), t.name(e.target)];
    if (e.attempt > 1) {
      const [why, who] = t.back(e.copy) ?? [];
      const short = words`${m} is delivered again, to ${to}.`;
      if (!why) return [2, words`${m} is delivered again, to ${to}: it was not settled before.`, short];
      if (who.node === e.target)
        return [2, words`${m} is delivered again, to ${to}, because it ${why}.`, short];
      return [
        2,
        words`${m} is delivered again, to ${to}, because ${who} ${why}.`,
        words`${m} is delivered again because ${who} ${why}.`,
        short,
      ];
    }
    const ack =
      t.chain[1]?.type === "Left" || t.chain[1]?.type === "Sent"
        ? t.cause("Sent", (s) => s.kind === "ack" && s.source === e.target)
        : null;
    if (ack)
      return [
        1,
        words`${m} goes to ${to}: its acknowledgement of ${t.copy(ack.about)} made room.`,
        words`${m} goes to ${to}.`,
      ];
    if (t.chain[1]?.at_us === e.at_us && ["Placed", "Routed"].includes(t.chain[1].type))
      return [1, words`${m} goes to ${to} at once: it has room.`, words`${m} goes to ${to}.`];
    return [1, words`${m} goes from ${t.name(e.source)} to ${to}.`, words`${m} goes to ${to}.`];
  },
  Left(t, e) {
    const first = e.copies.length === 1 ? t.copy(e.copies[0]) : `${e.copies.length} messages`;
    if (e.reason === "acknowledged")
      return [0, words`${t.name(e.node)} strikes ${first} out: it is acknowledged.`];
    if (e.reason === "crashed") return [0, words`${first} is gone from ${t.name(e.node)}: its process died.`];
    if (e.reason === "connection_closed")
      return [0, words`${first} is gone on its way to ${t.name(e.node)}: nobody is there.`];
    if (e.reason in LEFT && e.attempt === 0)
      return [
        2,
        words`${first} is dropped from ${t.name(e.node)}: ${LEFT[e.reason]}.`,
        words`${first} is dropped: ${LEFT[e.reason]}.`,
      ];
    return null;
  },
  Requeued(t, e) {
    const [m, q] = [t.copy(e.copy), t.name(e.queue)];
    const short = words`${m} goes back to ${q}.`;
    const crash = t.cause("NodeStateChanged", (c) => c.state === "crashed");
    if (crash)
      return [
        2,
        words`${t.name(crash.node)} crashed, so its unacknowledged ${m} goes back to ${q}.`,
        words`${t.name(crash.node)} crashed, so ${m} goes back to ${q}.`,
        short,
      ];
    const link = t.cause("LinkStateChanged", (c) => c.state !== "up");
    if (link) return [2, words`${t.name(link.node)} cannot be reached, so ${m} goes back to ${q}.`, short];
    const answer = t.cause("Sent", (c) => c.kind === "nack" || c.kind === "reject");
    if (answer) return [2, words`${t.name(answer.source)} gave ${m} back to ${q}.`, short];
    const closed = t.cause("ChannelClosed");
    return closed
      ? [2, words`The channel of ${t.name(closed.node)} closed, so ${m} goes back to ${q}.`, short]
      : [2, short];
  },
  DeadLettered: (t, e) =>
    e.reason === "expired" && t.timeline.plan.nodes.get(e.queue)?.place === "waiting"
      ? [2, words`${t.copy(e.copy)} has waited out its time in ${t.name(e.queue)}.`]
      : [
          2,
          words`${t.copy(e.copy)} leaves ${t.name(e.queue)} as a dead letter: ${REASONS[e.reason]}.`,
          words`${t.copy(e.copy)} becomes a dead letter.`,
        ],
  QueuePurged: (t, e) => [2, words`${t.name(e.queue)} was emptied of ${e.count} messages.`],
  QueueExpired: (t, e) => [2, words`${t.name(e.queue)} was not used for so long that it is deleted.`],

  WorkStarted: (t, e) => [0, words`${t.name(e.node)} works on ${t.copy(e.copy)}.`],
  WorkFinished(t, e) {
    if (!e.ok)
      return [
        2,
        words`${t.name(e.node)} fails at ${t.copy(e.copy)}: ${e.why || "an error"}.`,
        words`${t.name(e.node)} fails at ${t.copy(e.copy)}.`,
      ];
    return [0, words`${t.name(e.node)} has finished ${t.copy(e.copy)}.`];
  },
  EffectApplied(t, e) {
    if (e.effect_number > 1) {
      const n = t.name(e.node);
      const [why, who] = t.back(e.copy) ?? [];
      const short = words`${t.message(e.message)} has its effect again.`;
      if (!why)
        return [
          3,
          words`${n} does “${e.effect}” for ${t.message(e.message)} again: time ${e.effect_number}.`,
          short,
        ];
      return [
        4,
        words`${n} does “${e.effect}” for ${t.message(e.message)} again, because ${who} ${why}.`,
        words`“${e.effect}” for ${t.message(e.message)} again, because ${who} ${why}.`,
        short,
      ];
    }
    return [0, words`${t.name(e.node)} does “${e.effect}” for ${t.copy(e.copy)}.`];
  },
  StoreAsked: (t, e) => [
    e.seen ? 2 : 0,
    e.seen
      ? words`${t.name(e.node)} has seen ${t.copy(e.copy)} before and skips its effect.`
      : words`${t.name(e.node)} has not seen ${t.copy(e.copy)} before.`,
  ],
  StoreKept: (t, e) => [0, words`${t.name(e.node)} notes that ${t.copy(e.copy)} is done.`],

  Settled(t, e) {
    if (e.now !== "lost" || e.copies.length !== 1 || !t.timeline.facts.copies.has(e.copies[0])) return null;
    return [
      3,
      words`${t.copy(e.copies[0])} is lost: nobody holds it and its effect never happened.`,
      words`${t.copy(e.copies[0])} is lost.`,
    ];
  },
  Tallied(t, e) {
    if (e.what !== "out_of_order" || !e.other) return null;
    return [
      2,
      words`${t.copy(e.copy)} takes effect after ${t.message(e.other)}, a later one with its key.`,
      words`${t.copy(e.copy)} is out of order.`,
    ];
  },
});
