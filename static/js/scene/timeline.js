// All events that this page holds, and the scene at any moment of them. The only module that keeps state.
//
// The history is a list of segments, each a stated present and the events after it, without gaps; a
// segment grows at its end. `sceneAt` folds forward from the nearest of: the last scene asked for, a
// checkpoint, a chunk's own statement of the present.

import { cloneScene, emptyFacts, emptyScene, learn, reduce, settle } from "mailroom/scene/reducer.js";
import { decodeAll, PLACES, TALLIES } from "mailroom/stream/vocabulary.js";

export const TICK_US = 25_000;
const CHECKPOINT_EVENTS = 500;
const FOLD_MAX = 20_000;

export class Timeline {
  constructor() {
    this.epoch = 0;
    this.seq = 0;
    this.version = 0;
    this.forget();
  }

  /** Nothing is held any more. */
  forget() {
    this.segments = [];
    this.cursor = null;
    this.facts = emptyFacts();
    this.plan = emptyScene(this.facts);
    // Never a number that it has had: a figure that was laid out for another run is known by it.
    this.planVersion = (this.planVersion ?? 0) + 1;
    this.digests = new Map();
    this.reached = new Set();
    this.destinations = new Set();
    this.last = false;
    this.planIsOld = false;
    /** From here on the events that were held have been replaced, or are about to be; Infinity when not. */
    this.retold_us = Infinity;
    this.version += 1;
  }

  // -- taking in --------------------------------------------------------------------------------

  /**
   * A `state` frame: the present at the start of `tick` is this; forget everything else, unless it says
   * `keep`.
   */
  reset(frame) {
    if (!frame.keep) this.forget();
    this.position(frame);
    const segment = this.open(frame.tick, frame.events);
    if (frame.aggregated) {
      segment.bases[0].state.push(aggregatedAt(frame.tick * TICK_US - 1, frame));
      segment.coarse = frame.tick - 1;
    }
    if (frame.digest) this.digests.set(frame.tick - 1, frame.digest);
  }

  /** A `ticks` frame. Returns false when it leaves a gap after what is held: then ask for more. */
  append(frame) {
    if (frame.forget) this.forgetFrom(frame.forget);
    const segment = this.tail ?? (frame.tick === 0 ? this.open(0, []) : null);
    if (!segment || frame.tick > segment.end) return false;
    this.position(frame);
    if (frame.tick + frame.n > segment.end) this.extend(segment, frame);
    return true;
  }

  /** A `revise` frame: forget the ticks from `cut` on, then as `append`. */
  revise(frame) {
    const holder = this.segments.findLast((s) => !s.aside && s.start <= frame.cut && frame.cut <= s.end);
    if (!holder) return false;
    this.position(frame);
    this.segments = this.segments.filter((s) => s.start <= holder.start);
    for (const segment of this.segments)
      if (segment === holder || segment.end > frame.cut) this.cut(segment, frame.cut);
    this.extend(holder, { ...frame, tick: frame.cut });
    return true;
  }

  /** A `branch` frame: the ticks from `tick` on are another branch's; with 0 nothing is held any more. */
  forgetFrom(tick) {
    if (tick <= 0) return this.forgetAll();
    this.segments = this.segments.filter((s) => s.start < tick);
    for (const segment of this.segments) if (segment.end > tick) this.cut(segment, tick);
    this.planAnew();
    this.version += 1;
    return undefined;
  }

  /** Nothing is held, but the empty stage stays until the first events of the other run are there. */
  forgetAll() {
    const { plan } = this;
    this.forget();
    this.plan = { ...plan, facts: this.facts };
    this.planIsOld = true;
  }

  /**
   * A chunk of history: goes on at the end of a segment, or opens one of its own (beside numbers: it knows
   * more).
   */
  addChunk(chunk) {
    if (this.holds(chunk.tick, chunk.tick + chunk.n)) return;
    if (chunk.last) this.last = true;
    let segment = this.segments.find(
      (s) => s.coarse === Infinity && s.start <= chunk.tick && chunk.tick <= s.end,
    );
    const aside =
      !segment && this.segments.some((s) => s.coarse < chunk.tick + chunk.n && chunk.tick < s.end);
    if (segment)
      segment.bases.push({
        index: this.upTo(segment, chunk.tick * TICK_US - 1),
        state: decodeAll(chunk.state, 0),
      });
    else segment = Object.assign(this.open(chunk.tick, chunk.state), { aside });
    this.extend(segment, chunk);
    this.join(segment);
  }

  position(frame) {
    this.epoch = frame.epoch ?? this.epoch;
    this.seq = Math.max(this.seq, frame.seq ?? 0);
  }

  open(tick, state) {
    if (this.planIsOld) this.plan = emptyScene(this.facts);
    this.planIsOld = false;
    const segment = {
      start: tick,
      end: tick,
      coarse: Infinity,
      events: [],
      bases: [{ index: 0, state: decodeAll(state, 0) }],
      checkpoints: [],
    };
    this.segments.push(segment);
    this.segments.sort((a, b) => a.start - b.start);
    this.learn(segment.bases[0].state);
    return segment;
  }

  extend(segment, frame) {
    const { tick, n, first, events, digest, aggregated } = frame;
    const from_us = segment.end * TICK_US;
    const fresh = decodeAll(events ?? [], first ?? 0).filter((event) => event.at_us >= from_us);
    if (aggregated) {
      fresh.push(aggregatedAt((tick + n) * TICK_US - 1, frame));
      segment.coarse = Math.min(segment.coarse, tick);
    }
    for (const event of fresh) segment.events.push(event);
    this.learn(fresh);
    segment.end = Math.max(segment.end, tick + n);
    if (digest) this.digests.set(tick + n - 1, digest);
    const { start, end } = segment;
    const { tail } = this;
    this.segments = this.segments.filter(
      (s) => s === tail || s.coarse === Infinity || s.start < start || s.end > end,
    );
    this.version += 1;
  }

  /** Two segments that meet are one from then on. */
  join(segment) {
    const next = this.segments.find(
      (s) => s !== segment && s.start > segment.start && s.start <= segment.end,
    );
    if (!next || segment.aside || next.coarse !== Infinity) return;
    const from_us = segment.end * TICK_US;
    const rest = next.events.filter((event) => event.at_us >= from_us);
    if (next.start === segment.end)
      segment.bases.push({ index: segment.events.length, state: next.bases[0].state });
    for (const event of rest) segment.events.push(event);
    segment.end = Math.max(segment.end, next.end);
    this.segments = this.segments.filter((s) => s !== next);
    this.cursor = null;
  }

  cut(segment, tick) {
    this.retold_us = Math.min(this.retold_us, tick * TICK_US);
    const kept = this.upTo(segment, tick * TICK_US - 1);
    const gone = segment.events.splice(kept);
    for (const event of gone) this.unlearn(event);
    if (gone.some((event) => event.type === "NodeRemoved" || event.type === "NodeAdded")) this.planAnew();
    segment.end = tick;
    if (tick <= segment.coarse) segment.coarse = Infinity;
    segment.checkpoints = segment.checkpoints.filter((c) => c.index <= kept);
    segment.bases = segment.bases.filter((b) => b.index < kept || b.index === 0);
    for (const known of this.digests.keys()) if (known >= tick) this.digests.delete(known);
    if (this.cursor && (this.cursor.segment !== segment || this.cursor.index > kept)) this.cursor = null;
  }

  /** What the whole run so far has on its stage, for a layout that does not move; and everybody's names. */
  learn(events) {
    for (const event of events) {
      if (event.type === "Settled" || event.type === "Counted") {
        this.reached.add(event.now);
        this.destinations.add(event.destination);
      } else if (event.type === "Tallied" || event.type === "TalliedMore") this.reached.add(event.what);
      else if (event.type === "LedgerStands") this.learnStand(event);
      if (event.type === "MessageCreated" || event.type === "Routed") reduce(this.plan, event);
      else if (PLANNED.has(event.type) && this.plan.nodes.get(event.node)?.name !== (event.name ?? "")) {
        reduce(this.plan, event);
        this.planVersion += 1;
      }
      if (learn(this.plan, event)) this.planVersion += 1;
      if (event.type === "NodeAdded" || event.type === "NodeRemoved") this.stay(event);
    }
    this.plan.copies.clear();
  }

  /** From when to when a node of the plan is on the stage: one that comes later may stand where it stood. */
  stay({ type, node, at_us }) {
    const known = this.plan.nodes.get(node);
    if (!known) return;
    const when =
      type === "NodeRemoved" ? { until_us: at_us } : { from_us: Math.min(at_us, known.from_us ?? at_us) };
    this.plan.nodes.set(node, { ...known, ...when });
  }

  /** The plan of what is still held: nobody keeps a place who has not come (any more). */
  planAnew() {
    this.plan = emptyScene(this.facts);
    this.planVersion += 1;
    for (const { bases, events } of this.segments)
      for (const list of [...bases.map((base) => base.state), events]) this.learn(list);
  }

  /** What a cut event alone has said is not known any more. */
  unlearn(event) {
    if (event.type === "MessageCreated") this.facts.messages.delete(event.message);
    else if (event.type === "Routed") for (const { copy } of event.copies) this.facts.copies.delete(copy);
  }

  learnStand({ destination, places, tallies }) {
    this.destinations.add(destination);
    places.forEach((count, i) => {
      if (count) this.reached.add(PLACES[i]);
    });
    tallies.forEach((count, i) => {
      if (count) this.reached.add(TALLIES[i]);
    });
  }

  // -- asking -----------------------------------------------------------------------------------

  /** Whether these ticks are held, each event of them. */
  holds(startTick, endTick) {
    return this.segments.some((s) => s.start <= startTick && endTick <= Math.min(s.end, s.coarse));
  }

  /** The segment that frames go on from. */
  get tail() {
    return this.segments.findLast((s) => !s.aside);
  }

  /** Whether the last ticks of it are held in numbers only. */
  get aggregated() {
    return this.tail?.coarse < this.tail?.end;
  }

  get start_us() {
    return (this.segments[0]?.start ?? 0) * TICK_US;
  }

  /**
   * The last moment that is known without a gap from `t_us` on; `t_us` itself when nothing is known there.
   */
  edgeAfter(t_us) {
    let edge_us = t_us;
    for (let s = this.segmentAt(t_us); s && s.end * TICK_US > edge_us + 1; s = this.segmentAt(edge_us + 1))
      edge_us = s.end * TICK_US - 1;
    return edge_us;
  }

  /** The number of ticks held at the far end. */
  get endTick() {
    return this.tail?.end ?? 0;
  }

  /** As `endTick`, with numbers that lie beyond until messages take their place. */
  get reachTick() {
    return this.segments.reduce((most, s) => Math.max(most, s.end), 0);
  }

  get digest() {
    return this.digests.get(this.endTick - 1) ?? "";
  }

  /** The segment that knows most of the moment `t_us`. */
  segmentAt(t_us) {
    const tick = Math.floor(t_us / TICK_US);
    const there = this.segments.filter((s) => s.start <= tick && (tick < s.end || s.start === s.end));
    return there.findLast((s) => tick < s.coarse) ?? there.at(-1);
  }

  /** The segment of the moment before `segment` begins. */
  before(segment) {
    return segment.start > 0 ? this.segmentAt(segment.start * TICK_US - 1) : undefined;
  }

  /** How many events of `segment` have happened at `t_us`. */
  upTo(segment, t_us) {
    const { events } = segment;
    let low = 0;
    let high = events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (events[middle].at_us <= t_us) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether the moment `t_us` is held. */
  knows(t_us) {
    return this.segmentAt(t_us) !== undefined;
  }

  /** Whether its events are, each. */
  knowsSingly(t_us) {
    return t_us / TICK_US < (this.segmentAt(t_us)?.coarse ?? 0);
  }

  /**
   * The scene at `t_us`: a pure function of the events held. Read it, do not keep it: the next call reuses
   * it. Of a moment in a gap only the stage is known, and nobody on it.
   */
  sceneAt(t_us) {
    const segment = this.segmentAt(t_us) ?? this.nearest(t_us);
    if (!segment) return this.plan;
    if (t_us < segment.start * TICK_US || (t_us >= segment.end * TICK_US && segment !== this.tail))
      return this.plan;
    const index = this.upTo(segment, t_us);
    const cursor = this.seat(segment, index);
    while (cursor.index < index) {
      reduce(cursor.scene, segment.events[cursor.index++]);
      this.mark(cursor);
    }
    return cursor.scene;
  }

  nearest(t_us) {
    const before = this.segments.filter((s) => !s.aside && s.start * TICK_US <= t_us);
    return before[before.length - 1] ?? this.segments[0];
  }

  /** A scene to fold forward from, as near below `index` as is held. */
  seat(segment, index) {
    const near = (list) =>
      list.reduce((best, c) => (c.index <= index && c.index >= (best?.index ?? -1) ? c : best), null);
    const mark = near(segment.checkpoints);
    const at = this.cursor?.segment === segment && this.cursor.index <= index ? this.cursor : null;
    if (at && at.index >= (mark?.index ?? 0)) return at;
    const base = near(segment.bases);
    if (mark && index - mark.index <= FOLD_MAX)
      this.cursor = { segment, index: mark.index, scene: cloneScene(mark.scene) };
    else if (index <= FOLD_MAX || base.index === 0) this.cursor = this.begin(segment, segment.bases[0]);
    else this.cursor = this.begin(segment, base);
    return this.cursor;
  }

  begin(segment, base) {
    const scene = emptyScene(this.facts);
    for (const event of base.state) reduce(scene, event);
    return { segment, index: base.index, scene: settle(scene) };
  }

  mark({ segment, index, scene }) {
    const last = segment.checkpoints[segment.checkpoints.length - 1]?.index ?? 0;
    if (index - last < Math.max(CHECKPOINT_EVENTS, scene.tokens.size * 2)) return;
    segment.checkpoints.push({ index, scene: cloneScene(scene) });
  }

  /** When the first message (or body) sets out, null when none is held. */
  firstMovement() {
    const moves = ({ type, kind }) =>
      type === "Moved" || type === "BatchSent" || (type === "Sent" && kind === "publish");
    return this.segments[0]?.events.find(moves)?.at_us ?? null;
  }

  /** The events after `after_us` and up to `until_us`, as far back as they are held without a gap. */
  between(after_us, until_us) {
    let [found, to_us] = [[], until_us];
    for (
      let s = this.segmentAt(until_us) ?? this.nearest(until_us);
      s && to_us > after_us;
      s = this.before(s)
    ) {
      found = s.events.slice(this.upTo(s, after_us), this.upTo(s, to_us)).concat(found);
      to_us = Math.min(to_us, s.start * TICK_US - 1);
    }
    return found;
  }

  /** The moment of the next event after `t_us`, null when none is held. */
  momentAfter(t_us) {
    for (
      let s = this.segmentAt(t_us), end = -1;
      s && s.end > end;
      end = s.end, s = this.segmentAt(end * TICK_US)
    ) {
      const next = s.events[this.upTo(s, t_us)];
      if (next) return next.at_us;
    }
    return null;
  }

  /** The moment of the last event before `t_us`, null when none is held. */
  momentBefore(t_us) {
    for (let s = this.segmentAt(t_us) ?? this.nearest(t_us); s; s = this.before(s)) {
      const last = s.events[this.upTo(s, t_us - 1) - 1];
      if (last) return last.at_us;
    }
    return null;
  }

  /** The event of that number, null when it is not held. */
  event(number) {
    for (const { events } of this.segments) {
      const found = events.length ? events[number - events[0].number] : undefined;
      if (found && found.number === number) return found;
    }
    return null;
  }
}

const aggregatedAt = (at_us, { counts = [], flows = [] }) => ({
  type: "Aggregated",
  number: 0,
  cause: 0,
  at_us,
  counts,
  flows,
});

const PLANNED = new Set([
  "NodeAdded",
  "WireAdded",
  "ExchangeDeclared",
  "QueueDeclared",
  "ConsumerRegistered",
  "ConsumerSettings",
  "StandsFor",
  "HandlerDeclared",
]);
