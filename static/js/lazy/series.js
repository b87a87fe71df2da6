// What a chart shows, from the events held: how many were ready when, and what was done in each second. Pure,
// but for what of a segment was read already; where nothing is held there is a gap, and nothing is guessed.

import { TICK_US } from "mailroom/scene/timeline.js";
import { PLACES } from "mailroom/stream/vocabulary.js";

export const SECOND_US = 1_000_000;
const READY = PLACES.indexOf("ready");
const UNACKED = PLACES.indexOf("unacked");
/** Of a group all that is visible and not committed: its lag. */
const LAG = ["ready", "unacked"];
const ROWS_MAX = 20;

export class Series {
  constructor(timeline) {
    this.timeline = timeline;
    this.read = new WeakMap();
    this.version = -1;
  }

  /** From now on it tells what the timeline holds now. */
  refresh() {
    const { timeline, version } = this;
    if (version === timeline.version && this.count === timeline.segments.length) return;
    this.version = timeline.version;
    this.count = timeline.segments.length;
    this.pieces = stretches(timeline).map((piece) => ({
      ...piece,
      told: piece.segment && this.toldBy(piece.segment),
    }));
  }

  /** What `segment` says of each destination: its steps {at_us, ready} and its effects, both in order. */
  toldBy(segment) {
    const { events, bases } = segment;
    let told = this.read.get(segment);
    if (!told || told.base !== bases[0] || told.last !== events[told.n - 1]) {
      told = { base: bases[0], n: 0, last: undefined, steps: new Map(), effects: new Map(), sums: new Map() };
      for (const event of bases[0].state) this.take(told, event, segment.start * TICK_US);
      this.read.set(segment, told);
    }
    for (; told.n < events.length; told.n++) this.take(told, events[told.n], events[told.n].at_us);
    told.last = events[told.n - 1];
    return told;
  }

  /** A destination is a queue, or a group, whose `ready` is its lag. */
  take({ steps, effects, sums }, event, at_us) {
    const { type, destination } = event;
    const group = this.timeline.plan.nodes.get(destination)?.kind === "group";
    const more = (by) => {
      if (by) note(steps, destination, { at_us, ready: (steps.get(destination)?.at(-1).ready ?? 0) + by });
    };
    if (type === "Settled") {
      more(event.copies.length * ((event.now === "ready") - (event.was === "ready")));
    } else if (type === "Counted") more(event.count * (LAG.includes(event.now) - LAG.includes(event.was)));
    else if (type === "LedgerStands") {
      const ready = event.places[READY] + (group ? event.places[UNACKED] : 0);
      note(steps, destination, { at_us, ready });
    } else if (type === "SumStands") sums.set(event.effect, event.total);
    else if (type === "RecordsWorked") {
      // Not each offset of a range is a record, nor each record worked on without a failure: the sum tells.
      const { effect, amount, total } = event;
      const times = amount ? (total - (sums.get(effect) ?? 0)) / amount : 0;
      for (let i = 0; i < times; i++) note(effects, event.group, event);
      sums.set(effect, total);
    } else if (type === "EffectApplied")
      note(effects, this.timeline.plan.nodes.get(destination)?.stands_for || destination, event);
  }

  /** How many of `events`, which are in order, are not after `t_us`. */
  upTo(events, t_us) {
    return this.timeline.upTo({ events }, t_us);
  }

  get end_us() {
    return this.pieces.at(-1)?.to_us ?? 0;
  }

  /** How many were ready at `t_us`; null where that is not held. */
  readyAt(destination, t_us) {
    const told = this.pieces.find(({ to_us }) => t_us < to_us + (to_us === this.end_us) * TICK_US)?.told;
    if (!told) return null;
    const steps = told.steps.get(destination) ?? [];
    return steps[this.upTo(steps, t_us) - 1]?.ready ?? 0;
  }

  /** The runs of steps up to `until_us` that hang together: [{from_us, to_us, steps: [{at_us, ready}…]}]. */
  runs(destination, until_us) {
    const runs = [];
    for (const { from_us, to_us, told } of this.pieces) {
      if (!told || from_us > until_us) continue;
      const steps = told.steps.get(destination) ?? [];
      const first = this.upTo(steps, from_us);
      const mine = [
        { at_us: from_us, ready: steps[first - 1]?.ready ?? 0 },
        ...steps.slice(first, this.upTo(steps, Math.min(to_us - 1, until_us))),
      ];
      if (runs.at(-1)?.to_us === from_us) runs.at(-1).steps.push(...mine);
      else runs.push({ from_us, steps: mine });
      runs.at(-1).to_us = Math.min(to_us, until_us);
    }
    return runs;
  }

  /** How many effects after `after_us` and up to `until_us`; null where not each event between is held. */
  effects(destination, after_us, until_us) {
    if (until_us >= this.end_us + TICK_US) return null;
    let count = 0;
    for (const { from_us, to_us, told, single } of this.pieces) {
      if (to_us <= after_us + 1 || from_us > until_us) continue;
      if (!single) return null;
      const effects = told.effects.get(destination) ?? [];
      count +=
        this.upTo(effects, Math.min(until_us, to_us - 1)) -
        this.upTo(effects, Math.max(after_us, from_us - 1));
    }
    return count;
  }

  /** What up to `until_us` is not held ("gap"), or in numbers only ("numbers"): [{from_us, to_us, what}]. */
  missing(until_us) {
    const found = this.pieces
      .filter(({ from_us, single }) => !single && from_us < until_us)
      .map(({ from_us, to_us, told }) => ({
        from_us,
        to_us: Math.min(to_us, until_us),
        what: told ? "numbers" : "gap",
      }));
    const { end_us } = this;
    if (end_us + TICK_US <= until_us) found.push({ from_us: end_us, to_us: until_us, what: "gap" });
    return found;
  }

  /**
   * At most 20 moments of whole seconds up to `until_us`: [{at_us, ready, effects}], effects a second since
   * the one before.
   */
  rows(destination, until_us) {
    const by = Math.max(1, Math.ceil(until_us / SECOND_US / ROWS_MAX));
    const rows = [];
    for (let s = by; s * SECOND_US <= until_us; s += by) {
      const count = this.effects(destination, (s - by) * SECOND_US - 1, s * SECOND_US - 1);
      rows.push({
        at_us: s * SECOND_US,
        ready: this.readyAt(destination, s * SECOND_US),
        effects: count === null ? null : count / by,
      });
    }
    return rows;
  }
}

/**
 * From 0 to the far end: who knows most of each stretch. [{from_us, to_us, segment (none in a gap), single}]
 */
function stretches(timeline) {
  const ticks = timeline.segments.flatMap(({ start, end, coarse }) => [start, end, coarse]).concat(0);
  const bounds = [...new Set(ticks)].filter((tick) => tick <= timeline.reachTick).sort((a, b) => a - b);
  return bounds.slice(1).map((to, i) => {
    const known = timeline.segmentAt(bounds[i] * TICK_US);
    const segment = known?.end > bounds[i] ? known : undefined;
    return {
      from_us: bounds[i] * TICK_US,
      to_us: to * TICK_US,
      segment,
      single: bounds[i] < segment?.coarse,
    };
  });
}

function note(lists, destination, entry) {
  if (!lists.has(destination)) lists.set(destination, []);
  lists.get(destination).push(entry);
}
