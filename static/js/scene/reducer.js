// The fold: a scene is what the events so far have said, and nothing else. No broker rule lives here.
//
// Small objects in a scene are never changed in place but replaced, so that a clone is a copy of a few
// maps. What a message is (its key, its copies) never changes once said; those facts are shared by all
// clones of a scene. `drift` and `was` are the last moments' displacements, which tween.js draws.

import { PLACES, TALLIES } from "mailroom/stream/vocabulary.js";

/** As many as the engine states of the present (engine/places.py, engine/world.py). */
const FINISHED_KEPT = 16;
const SHELF_KEPT = 6;

const DRIFT_US = 180_000;
const DRIFT_MAX = 16;

/** A token's identity as one number: attempt 0 is the broker's hold on the copy, attempt n its nth body. */
export const tokenKey = (copy, attempt) => copy * 65536 + attempt;

/** @returns the facts that all scenes of one run share: messages by number, copies by number. */
export const emptyFacts = () => ({ messages: new Map(), copies: new Map() });

/** The maps of a scene whose objects are replaced, never changed in place: a clone copies the maps only. */
const PARTS = [
  "nodes",
  "wires",
  "tokens",
  "copies",
  "signals",
  "work",
  "fuses",
  "ledger",
  "broken",
  "finished",
  "sums",
  "stores",
];

/** Those of them that hold single messages: nobody is known by name in a tick of numbers. */
const PASSING = ["zones", "tokens", "copies", "signals", "work", "fuses", "finished"];

/** What a plan learns of an event beside the stage itself. Returns whether the layout is another one. */
let learnMore = () => false;
export const learn = (plan, event) => learnMore(plan, event);

/**
 * Teaches the fold another system's events, before the first scene is made: `handlers` by event, `parts` and
 * `passing` (maps of a scene, as above), and `learn` (see there).
 */
export function register(system) {
  Object.assign(HANDLERS, system.handlers);
  PARTS.push(...system.parts);
  PASSING.push(...system.passing);
  learnMore = system.learn;
}

export function emptyScene(facts = emptyFacts()) {
  const scene = { number: 0, at_us: 0, facts, ended: "", zones: new Map(), aggregated: null };
  for (const part of PARTS) scene[part] = new Map();
  return scene;
}

export function cloneScene(scene) {
  const clone = { ...scene };
  for (const part of PARTS) clone[part] = new Map(scene[part]);
  clone.zones = new Map();
  for (const [node, zones] of scene.zones) {
    const copy = {};
    for (const name in zones)
      copy[name] = { keys: zones[name].keys.slice(), drift: zones[name].drift.slice() };
    clone.zones.set(node, copy);
  }
  return clone;
}

/** Folds `event` into `scene`, in place. Events that draw nothing change only the scene's number. */
export function reduce(scene, event) {
  if (event.number) scene.number = event.number;
  scene.at_us = event.at_us;
  HANDLERS[event.type]?.(scene, event);
  return scene;
}

/** Forgets displacements: a present that was stated, not reached, does not glide. */
export function settle(scene) {
  for (const [key, token] of scene.tokens) if (token.was) scene.tokens.set(key, { ...token, was: null });
  for (const zones of scene.zones.values()) for (const name in zones) zones[name].drift.length = 0;
  return scene;
}

/** The ordered tokens of one zone: [] when there are none. */
export function zoneKeys(scene, node, zone) {
  return scene.zones.get(node)?.[zone]?.keys ?? [];
}

export const HANDLERS = {
  NodeAdded(scene, e) {
    const { node, kind, name, system, about } = e;
    scene.nodes.set(node, {
      node,
      kind,
      name,
      system,
      about,
      state: "up",
      link: "up",
      open: false,
      consumes: {},
    });
  },
  NodeRemoved(scene, { node }) {
    scene.nodes.delete(node);
    for (const [key, wire] of scene.wires)
      if (wire.source === node || wire.target === node) scene.wires.delete(key);
    for (const zone of Object.values(scene.zones.get(node) ?? {}))
      for (const key of zone.keys) forget(scene, key);
    scene.zones.delete(node);
  },
  NodeStateChanged: (scene, e) => change(scene, e.node, { state: e.state, about: e.about }),
  WireAdded(scene, { source, target, kind, label }) {
    scene.wires.set(`${source} ${target} ${label}`, { source, target, kind, label });
  },
  WireRemoved: (scene, e) => scene.wires.delete(`${e.source} ${e.target} ${e.label}`),
  LinkStateChanged: (scene, e) => change(scene, e.node, { link: e.state }),

  ConsumerSettings: (scene, { number, at_us, cause, ...settings }) =>
    change(scene, settings.node, { settings }),
  StandsFor: (scene, e) => change(scene, e.node, { stands_for: e.destination, place: e.place }),

  MessageCreated(scene, { message, node, key, poison, at_us }) {
    scene.facts.messages.set(message, { message, node, key, poison, at_us });
  },
  Sent(scene, e) {
    for (const [key, old] of scene.signals) if (old.arrive_us <= e.at_us) scene.signals.delete(key);
    const { signal, kind, about, source, target, arrive_us } = e;
    scene.signals.set(signal, { signal, kind, about, source, target, depart_us: e.at_us, arrive_us });
  },
  SignalLost: (scene, e) => scene.signals.delete(e.signal),
  Routed(scene, e) {
    for (const { copy, destination, after, deliveries, redelivered } of e.copies) {
      scene.facts.copies.set(copy, { copy, message: e.message, source: e.source, destination, after });
      scene.copies.set(copy, {
        deliveries,
        redelivered,
        routed_us: e.at_us,
        place: "",
        tokens: scene.copies.get(copy)?.tokens ?? 0,
      });
    }
  },

  Placed(scene, e) {
    put(scene, e.copy, e.attempt, e.node, e.zone, e.index, e.at_us);
    if (e.attempt === 0) scene.fuses.delete(e.copy);
  },
  Moved(scene, { copy, attempt, source, target, arrive_us, keeps, at_us }) {
    const own = scene.tokens.get(tokenKey(copy, 0));
    if (keeps && !(own?.zone === keeps && own.node === source)) put(scene, copy, 0, source, keeps, -1, at_us);
    const key = tokenKey(copy, attempt);
    take(scene, scene.tokens.get(key), at_us);
    hold(scene, key, {
      copy,
      attempt,
      node: target,
      zone: "",
      since_us: at_us,
      was: null,
      flight: { source, target, depart_us: at_us, arrive_us },
    });
    if (!keeps && attempt !== 0) forget(scene, tokenKey(copy, 0), at_us);
    scene.fuses.delete(copy);
  },
  Left(scene, { copies, attempt, at_us }) {
    for (const copy of copies) {
      if (attempt === 0) scene.fuses.delete(copy);
      forget(scene, tokenKey(copy, attempt), at_us);
    }
  },
  FuseLit(scene, { copy, node, what, until_us, at_us }) {
    scene.fuses.set(copy, { node, what, at_us, until_us });
  },

  WorkStarted(scene, { copy, attempt, node, until_us, at_us }) {
    const key = tokenKey(copy, attempt);
    if (scene.tokens.get(key)?.zone !== "working") put(scene, copy, attempt, node, "working", -1, at_us);
    scene.work.set(key, { node, at_us, until_us });
  },
  WorkFinished: (scene, e) => forget(scene, tokenKey(e.copy, e.attempt), e.at_us),
  HandlerDeclared(scene, { node, effect, amount, unit, store }) {
    change(scene, node, { handler: { effect, amount, unit, store } });
    if (!scene.sums.has(effect)) scene.sums.set(effect, { unit, total: 0, due: 0 });
    if (store && !scene.stores.has(store)) scene.stores.set(store, { recent: [], asked: 0, seen: false });
  },
  EffectApplied(scene, { message, copy, destination, effect, amount, effect_number, at_us, total, due }) {
    const done = { message, copy, effect, amount, effect_number, at_us, after: 0 };
    scene.finished.set(destination, [...(scene.finished.get(destination) ?? []), done].slice(-FINISHED_KEPT));
    scene.sums.set(effect, { ...scene.sums.get(effect), total, due });
  },
  StoreAsked(scene, { node, copy, seen }) {
    const store = scene.nodes.get(node)?.handler?.store;
    if (store) scene.stores.set(store, { ...scene.stores.get(store), asked: messageOf(scene, copy), seen });
  },
  StoreKept(scene, { node, copy }) {
    const store = scene.nodes.get(node)?.handler?.store;
    const [known, message] = [scene.stores.get(store), messageOf(scene, copy)];
    if (known && !known.recent.includes(message))
      scene.stores.set(store, { ...known, recent: [...known.recent, message].slice(-SHELF_KEPT) });
  },
  EffectsStand: (scene, { queue, recent }) => scene.finished.set(queue, recent),
  SumStands: (scene, { effect, unit, total, due }) => scene.sums.set(effect, { unit, total, due }),
  StoreStands: (scene, { store, recent, asked, seen }) => scene.stores.set(store, { recent, asked, seen }),

  /** Ticks with more than can be drawn singly: what lies where and what went where, and nobody by name. */
  Aggregated(scene, { counts, flows }) {
    for (const part of PASSING) scene[part].clear();
    scene.aggregated = { counts, flows };
  },
  RunEnded(scene, e) {
    scene.ended = e.why;
  },

  Settled(scene, { copies, destination, was, now }) {
    const stand = { ...scene.ledger.get(destination) };
    if (was) stand[was] = (stand[was] ?? 0) - copies.length;
    if (now) stand[now] = (stand[now] ?? 0) + copies.length;
    scene.ledger.set(destination, stand);
    for (const copy of copies) {
      const known = scene.copies.get(copy);
      if (known) scene.copies.set(copy, { ...known, place: now });
    }
  },
  Tallied(scene, { destination, what, copy, other }) {
    const stand = scene.ledger.get(destination);
    scene.ledger.set(destination, { ...stand, [what]: (stand?.[what] ?? 0) + 1 });
    if (what !== "out_of_order") return;
    for (const [queue, row] of scene.finished) {
      const last = row.at(-1);
      if (last?.copy === copy) scene.finished.set(queue, [...row.slice(0, -1), { ...last, after: other }]);
    }
  },
  LedgerStands(scene, { destination, places, tallies }) {
    const stand = {};
    places.forEach((count, i) => {
      stand[PLACES[i]] = count;
    });
    tallies.forEach((count, i) => {
      stand[TALLIES[i]] = count;
    });
    scene.ledger.set(destination, stand);
  },
  PromiseBroken(scene, { promise, destination, at_us }) {
    const key = `${promise} ${destination}`;
    if (!scene.broken.has(key)) scene.broken.set(key, { promise, destination, at_us });
  },

  ExchangeDeclared: (scene, e) => change(scene, e.node, { exchange_type: e.exchange_type }),
  QueueDeclared: (scene, e) => change(scene, e.node, { queue_type: e.queue_type, arguments: e.arguments }),
  ConsumerRegistered(scene, { node, queue, prefetch, priority, no_ack }) {
    const consumes = { ...scene.nodes.get(node)?.consumes, [queue]: { prefetch, priority, no_ack } };
    change(scene, node, { consumes });
  },
  ConsumerCancelled(scene, { node, queue }) {
    const consumes = { ...scene.nodes.get(node)?.consumes };
    delete consumes[queue];
    change(scene, node, { consumes });
  },
  ActiveConsumerChanged: (scene, e) => change(scene, e.queue, { active: e.node }),
  ChannelOpened: (scene, e) => change(scene, e.node, { open: true }),
  ChannelClosed: (scene, e) => change(scene, e.node, { open: false, consumes: {} }),
  DeadLettered(scene, { copy, at_us }) {
    const key = tokenKey(copy, 0);
    const token = scene.tokens.get(key);
    const was = take(scene, token, at_us);
    if (was) hold(scene, key, { ...token, zone: "", was });
  },
  Requeued(scene, { copy, redelivered }) {
    const known = scene.copies.get(copy);
    if (known) scene.copies.set(copy, { ...known, redelivered });
  },
};

const messageOf = (scene, copy) => scene.facts.copies.get(copy)?.message ?? 0;

export function change(scene, node, with_) {
  const known = scene.nodes.get(node);
  if (known) scene.nodes.set(node, { ...known, ...with_ });
}

/** Puts a token into a zone at `index`, taking it away from wherever it was. */
function put(scene, copy, attempt, node, zone, index, at_us) {
  const key = tokenKey(copy, attempt);
  const old = scene.tokens.get(key);
  const was = take(scene, old, at_us) ?? old?.was ?? origin(scene, copy, attempt);
  const zones = scene.zones.get(node) ?? scene.zones.set(node, {}).get(node);
  const { keys, drift } = zones[zone] ?? (zones[zone] = { keys: [], drift: [] });
  const place = index < 0 ? keys.length : Math.min(index, keys.length);
  if (place < keys.length) note(drift, { at_us, index: place, by: -1 });
  keys.splice(place, 0, key);
  hold(scene, key, { copy, attempt, node, zone, flight: null, since_us: at_us, was });
  if (zone !== "working") scene.work.delete(key);
}

/** Takes a token out of its zone. Returns where it stood, for the glide to where it goes. */
function take(scene, token, at_us) {
  if (!token) return null;
  if (token.flight) return { node: token.flight.target, zone: "door", index: 0 };
  const zone = scene.zones.get(token.node)?.[token.zone];
  const index = zone ? zone.keys.indexOf(tokenKey(token.copy, token.attempt)) : -1;
  if (index < 0) return null;
  if (index < zone.keys.length - 1) note(zone.drift, { at_us, index, by: 1 });
  zone.keys.splice(index, 1);
  return { node: token.node, zone: token.zone, index };
}

/** A copy that is new in its queue comes from the exchange that routed it. */
function origin(scene, copy, attempt) {
  const source = attempt === 0 ? scene.facts.copies.get(copy)?.source : 0;
  return source ? { node: source, zone: "door", index: 0 } : null;
}

function note(drift, entry) {
  while (drift.length && (drift.length >= DRIFT_MAX || drift[0].at_us < entry.at_us - DRIFT_US))
    drift.shift();
  drift.push(entry);
}

function hold(scene, key, token) {
  const known = scene.copies.get(token.copy) ?? { deliveries: 0, redelivered: false, place: "", tokens: 0 };
  const tokens = known.tokens + (scene.tokens.has(key) ? 0 : 1);
  scene.copies.set(token.copy, { ...known, tokens, deliveries: Math.max(known.deliveries, token.attempt) });
  scene.tokens.set(key, token);
}

/** A token is gone; with the last one of a copy the copy is. */
function forget(scene, key, at_us) {
  const token = scene.tokens.get(key);
  if (!token) {
    const copy = Math.floor(key / 65536);
    if (scene.copies.get(copy)?.tokens === 0) scene.copies.delete(copy);
    return;
  }
  if (at_us !== undefined) take(scene, token, at_us);
  scene.tokens.delete(key);
  scene.work.delete(key);
  const known = scene.copies.get(token.copy);
  if (!known) return;
  if (known.tokens <= 1) scene.copies.delete(token.copy);
  else scene.copies.set(token.copy, { ...known, tokens: known.tokens - 1 });
}
