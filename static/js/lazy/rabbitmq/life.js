// The life of one message of RabbitMQ: what each event means for it, in its own words, and why; from the
// events held and their causes. Pure.

import { say } from "mailroom/lazy/sayings.js";
import { zoneKeys } from "mailroom/scene/reducer.js";

const ENTRIES_MAX = 300;

const BY_MESSAGE = new Set(["publish", "confirm", "refuse", "return"]);
const SILENT = new Set(["Settled", "Tallied", "StoreKept"]);

/**
 * All that is held of `message`'s life, in order: entries {number, type, at_us, what, why, copy, attempt}.
 * Pure.
 */
export function lifeOf(message, timeline) {
  const copies = new Set(
    [...timeline.facts.copies.values()].filter((c) => c.message === message).map((c) => c.copy),
  );
  const events = new Map(
    timeline.segments
      .flatMap((s) => s.events)
      .filter((e) => concerns(e, message, copies))
      .map((e) => [e.number, e]),
  );
  const entries = [...events.values()]
    .map((event) => entryOf(event, timeline, message, copies))
    .filter(Boolean);
  return entries.slice(0, ENTRIES_MAX);
}

const ZONES = {
  ready: (name, place) => `Ready in ${name}, place ${place}`,
  unacked: (name) => `Unacked in ${name}`,
  delayed: (name) => `Waits out a delay in ${name}`,
  dead_lettering: (name) => `Being dead-lettered by ${name}`,
  socket: (name) => `In the socket of ${name}`,
  prefetched: (name, place) => `Waiting at ${name}, place ${place}`,
  working: (name) => `Worked on by ${name}`,
};

/**
 * Where the message is at the moment of `scene`, in words; "" when nowhere. A body says more than its
 * receipt. Pure.
 */
export function whereNow(scene, message) {
  const tokens = [...scene.tokens].filter(
    ([, { copy }]) => scene.facts.copies.get(copy)?.message === message,
  );
  const bodies = tokens.filter(
    ([, { copy, attempt, zone }]) =>
      attempt > 0 || zone !== "unacked" || !tokens.some(([, t]) => t.copy === copy && t.attempt > 0),
  );
  const places = bodies.map(([key, { node, zone, flight }]) => {
    const name = scene.nodes.get(flight ? flight.target : node)?.name || "the default exchange";
    if (flight) return flight.arrive_us > scene.at_us ? `On its way to ${name}` : `At ${name}`;
    return ZONES[zone]?.(name, zoneKeys(scene, node, zone).indexOf(key) + 1) ?? "";
  });
  for (const { kind, about, target, arrive_us } of scene.signals.values()) {
    if (kind === "publish" && about === message && arrive_us > scene.at_us)
      places.push(`On its way to ${scene.nodes.get(target)?.name || "the default exchange"}`);
  }
  return [...new Set(places.filter(Boolean))].join("; ");
}

/** Whether `event` is part of the life of `message`, whose copies are `copies`. */
function concerns(event, message, copies) {
  if (event.type === "Sent")
    return BY_MESSAGE.has(event.kind) ? event.about === message : copies.has(event.about);
  return (
    event.message === message || copies.has(event.copy) || (event.copies ?? []).some((c) => copies.has(c))
  );
}

/** {number, type, at_us, what, why, copy, attempt}, null for what is only counted. */
function entryOf(event, timeline, message, copies) {
  if (SILENT.has(event.type) && !(event.type === "Settled" && event.now === "lost")) return null;
  const sentence = say(event, timeline);
  const own = WORDS[event.type]?.(event, (node) => nameOf(timeline, node), sentence?.text);
  if (!own && !sentence) return null;
  const [what, why] = own ?? split(sentence.text.replace(new RegExp(`^m${message} `), ""));
  const copy = event.copy ?? (event.type === "Sent" && !BY_MESSAGE.has(event.kind) ? event.about : undefined);
  return {
    number: event.number,
    type: event.type,
    at_us: event.at_us,
    what: capital(what),
    copy,
    attempt: event.attempt ?? 0,
    why: (why ?? split(sentence?.text ?? "")[1]) || because(event, timeline, message, copies),
  };
}

const nameOf = (timeline, node) => {
  const known = timeline.plan.nodes.get(node);
  return known ? known.name || "the default exchange" : "the broker";
};

/** "m8 is dropped: the queue was full." in two. */
function split(sentence) {
  const at = sentence.indexOf(": ");
  return at < 0
    ? [sentence.replace(/\.$/, ""), ""]
    : [sentence.slice(0, at), sentence.slice(at + 2).replace(/\.$/, "")];
}

/** "X crashed, so m8 goes back to Y." without what follows from it. */
const before = (sentence) => sentence.split(/, so (?:its unacknowledged )?m\d+ goes /)[0];

const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** The cause, when it is not a part of this life itself. */
function because(event, timeline, message, copies) {
  const cause = event.cause > 0 ? timeline.event(event.cause) : null;
  if (!cause || concerns(cause, message, copies)) return event.cause < 0 ? "somebody did that" : "";
  return (say(cause, timeline)?.text ?? "").replace(/\.$/, "");
}

const ANSWERS = { ack: "Acknowledged by", nack: "Given back by", reject: "Rejected by" };

/** [what, why]; why undefined: from the narrator's sentence or from the cause, "" for none. */
const WORDS = {
  MessageCreated: (e, name) => [
    `Made by ${name(e.node)}`,
    e.poison ? "poison: every handler fails at it" : undefined,
  ],
  Sent(e, name) {
    if (e.kind === "publish") return [`Published to ${name(e.target)}`, ""];
    if (e.kind === "confirm") return ["Confirmed by the broker", ""];
    return ANSWERS[e.kind] ? [`${ANSWERS[e.kind]} ${name(e.source)}`, ""] : null;
  },
  Routed: (e, name) =>
    e.copies.length ? [`Routed to ${e.copies.map((owed) => name(owed.destination)).join(", ")}`, ""] : null,
  Placed(e, name) {
    if (e.zone === "ready")
      return [
        `Queued in ${name(e.node)}`,
        e.index > 0 ? `behind ${e.index} other${e.index > 1 ? "s" : ""}` : undefined,
      ];
    if (e.zone === "prefetched")
      return [
        `Waiting at ${name(e.node)}`,
        e.index > 0 ? `behind ${e.index} other${e.index > 1 ? "s" : ""}` : "it works on one at a time",
      ];
    return null;
  },
  Moved: (e, name) => [`Delivered ${e.attempt > 1 ? "again " : ""}to ${name(e.target)}`],
  Requeued: (e, name, said) => [
    `Goes back to ${name(e.queue)}`,
    said?.includes(", so ") ? before(said) : said?.includes(" gave ") ? "it was given back" : undefined,
  ],
  DeadLettered: (e, name) => [`Leaves ${name(e.queue)} as a dead letter`],
  WorkStarted: (e, name) => [`${name(e.node)} starts on it`],
  EffectApplied: (e, name) => [
    `${name(e.node)} does “${e.effect}”`,
    e.effect_number > 1 ? `time ${e.effect_number}: it was done before` : "",
  ],
  StoreAsked: (e, name) => [
    `${name(e.node)} asks its store`,
    e.seen ? "it is there already" : "it is not there yet",
  ],
  WorkFinished: (e, name) =>
    e.ok ? [`${name(e.node)} is done with it`, ""] : [`${name(e.node)} fails at it`, e.why || "an error"],
  Left: (e, name) =>
    e.reason === "acknowledged" ? [`Struck out in ${name(e.node)}`, "it is acknowledged"] : null,
};
