// What an event is in words: what happened, and why, from the event and the events that caused it. Pure. Here
// are the events that all systems have; `rabbitmq/sayings.js` and `kafka/sayings.js` add their own.
//
// `say` gives {number, causes, also, text, rank, ids}: rank 4 what breaks a promise, 3 a fault or a loss, 2
// something unusual, 1 ordinary, 0 only for a message's own story. Every id in the text comes from the event,
// its causes, or what brought the same copy back before (`also`: that event and its causes).

const SENTENCE_MAX = 90;
const CHAIN_MAX = 8;
const LOOK_BACK_EVENTS = 4_000;

/** The sentence for `event`, null when there is none worth saying. */
export function say(event, timeline) {
  const build = SENTENCES[event.type];
  if (!build) return null;
  const talk = new Talk(event, timeline);
  const said = build(talk, event);
  if (!said) return null;
  const [rank, ...variants] = said;
  const chosen =
    variants.find((variant) => variant.text.length <= SENTENCE_MAX) ?? variants[variants.length - 1];
  return {
    number: event.number,
    at_us: event.at_us,
    causes: talk.chain.slice(1).map((e) => e.number),
    also: talk.also.map((e) => e.number),
    text: chosen.text,
    rank,
    ids: chosen.ids,
  };
}

/** The event, its cause, the cause of that, …, as far as they are held. */
function chainOf(event, timeline) {
  const chain = [event];
  for (let cause = event.cause; cause > 0 && chain.length < CHAIN_MAX;) {
    const earlier = timeline.event(cause);
    if (!earlier || earlier.number >= chain[chain.length - 1].number) break;
    chain.push(earlier);
    cause = earlier.cause;
  }
  return chain;
}

class Talk {
  constructor(event, timeline) {
    this.timeline = timeline;
    this.chain = chainOf(event, timeline);
    this.also = [];
  }

  /** What the last thing that brought `copy` back says of why; null when none is held. */
  back(copy) {
    const {
      timeline,
      chain: [event],
    } = this;
    const segment = timeline.segmentAt(event.at_us);
    const from = segment ? timeline.upTo(segment, event.at_us) - 1 : -1;
    for (let i = from; i >= Math.max(0, from - LOOK_BACK_EVENTS); i--) {
      const earlier = segment.events[i];
      if (earlier.copy !== copy || earlier.number >= event.number || !(earlier.type in BACK)) continue;
      this.also = chainOf(earlier, timeline);
      return BACK[earlier.type](this, earlier);
    }
    return null;
  }

  /** As `cause`, of what `back` has found. */
  alsoOf(type, test = () => true) {
    return this.also.find((event) => event.type === type && test(event));
  }

  /** The nearest cause of that type (and test), undefined when there is none. */
  cause(type, test = () => true) {
    return this.chain.slice(1).find((event) => event.type === type && test(event));
  }

  name(node) {
    const known = this.timeline.plan.nodes.get(node);
    return { id: known ? known.name || "the default exchange" : "the broker", kind: "node", node };
  }

  copy(copy) {
    const message = this.timeline.facts.copies.get(copy)?.message ?? 0;
    return { id: `m${message}`, kind: "message", message, copy };
  }

  message(message) {
    return { id: `m${message}`, kind: "message", message };
  }
}

/** A sentence from words and ids; the ids are kept beside the text. */
export function words(parts, ...ids) {
  const text = parts.reduce((whole, part, i) => whole + (ids[i - 1]?.id ?? ids[i - 1] ?? "") + part);
  return { text, ids: ids.filter((id) => id?.id) };
}

const PROMISES = {
  nothing_lost: "nothing is lost",
  nothing_dead: "nothing ends as a dead letter",
  each_effect_once: "each effect happens once",
  order_per_key: "order is kept for each key",
};
/**
 * What a command changes from now on, where no other event says so in words: of the node, and of what the
 * command says about itself. Those that only people give are added by `sayings-commands.js`, in rooms.
 */
export const CHANGES = { SetRate: (n, about) => [2, words`${n} makes ${about} from now on.`] };

/** Why something came back, of the event that said so: [words, ids], to go on after "because". */
export const BACK = {};

export const SENTENCES = {
  NodeStateChanged(t, e) {
    const n = t.name(e.node);
    if (e.state === "crashed")
      return [3, words`${n} crashed: its process is gone, and its work with it.`, words`${n} crashed.`];
    if (e.state === "slow")
      return [3, words`${n} is slow from now on: the same work takes longer.`, words`${n} is slow now.`];
    const by = t.cause("Commanded")?.command;
    if (e.state === "up" && by === "SlowConsumer") return [2, words`${n} works as fast as before again.`];
    if (e.state === "up") return by === "SetRate" || by === "SetWork" ? null : [2, words`${n} is up.`];
    if (e.state === "stopped") return [2, words`${n} has stopped.`];
    return null;
  },
  LinkStateChanged(t, e) {
    const n = t.name(e.node);
    if (e.state === "cut")
      return [
        3,
        words`The network to ${n} is cut: nothing gets through.`,
        words`The network to ${n} is cut.`,
      ];
    if (e.state === "closed")
      return [
        3,
        words`The connection to ${n} is given up: no heartbeat got through.`,
        words`The connection to ${n} is given up.`,
      ];
    return [3, words`The network to ${n} works again.`];
  },
  Commanded(t, e) {
    if (e.command === "Reseed") return [2, words`From here on chance takes another course: ${e.about}.`];
    const n = t.name(e.node);
    if (e.command === "PoisonNext")
      return [
        2,
        words`The next message of ${n} will be poison: every handler fails at it.`,
        words`The next message of ${n} will be poison.`,
      ];
    if (e.command === "DropNextAck")
      return [2, words`The next acknowledgement on ${n}’s link will be lost.`, words`${n} will lose an ack.`];
    if (e.command === "PauseProducer") return [2, words`${n} pauses.`];
    if (e.command === "ResumeProducer") return [2, words`${n} goes on.`];
    return CHANGES[e.command]?.(n, e.about, e.node) ?? null;
  },
  NodeRemoved: (t, e) => [2, words`${t.name(e.node)} is gone from the stage.`],
  MessageCreated: (t, e) => [0, words`${t.name(e.node)} makes ${t.message(e.message)}.`],
  SignalLost(t, e) {
    const sent = t.cause("Sent", (s) => s.signal === e.signal);
    if (sent?.kind !== "ack" && sent?.kind !== "confirm") return null;
    const what = sent.kind === "ack" ? t.copy(sent.about) : t.message(sent.about);
    return [3, words`The acknowledgement of ${what} is lost on its way.`];
  },
  PromiseBroken(t, e) {
    const promise = PROMISES[e.promise] ?? e.promise;
    const short = words`The promise that ${promise} is broken.`;
    const effect = t.cause("EffectApplied");
    const how = effect?.effect_number > 1 ? "again" : "too late";
    if (effect)
      return [
        3,
        words`The promise that ${promise} is broken: ${t.message(effect.message)} took effect ${how}.`,
        short,
      ];
    const settled = t.cause(
      "Settled",
      (s) => s.copies.length === 1 && t.timeline.facts.copies.has(s.copies[0]),
    );
    return settled
      ? [
          3,
          words`The promise that ${promise} is broken: ${t.copy(settled.copies[0])} is ${settled.now}.`,
          short,
        ]
      : [3, short];
  },
  RunEnded: () => [1, words`The run is over.`],
};
