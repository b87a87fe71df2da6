// History over HTTP: fetches the chunk that a moment needs, and the next one before it is needed.

const AHEAD_US = 6_000_000;
const CHUNK_TICKS = 400;
const AGAIN_MS = 2_000;

export class Chunks {
  /** `urls`: addresses of chunks of 10 s, first to last. Hooks: `took(chunk)` with each, `failed(true)` when
   * one cannot be had, `failed(false)` when one could, `again()` when it is time to ask anew. */
  constructor(urls, hooks) {
    this.hooks = hooks;
    this.index = "";
    this.list(urls);
  }

  /** The list of addresses is at `index` from now on and grows: it is asked for when one is missing. */
  listAt(index) {
    if (index === this.index) return;
    this.index = index;
    this.told = false;
    this.indexAsked_ms = -Infinity;
  }

  /** From now on these are the addresses; what was asked for under others is not taken. */
  list(urls) {
    this.urls = urls;
    this.asked = new Set();
  }

  /** The chunks that reach beyond tick `cut` tell of another branch. */
  forgetFrom(cut) {
    this.list(this.urls.slice(0, Math.floor(cut / CHUNK_TICKS)));
  }

  /** What was held is not held any more: ask for it again when it is wanted. */
  forget() {
    this.asked.clear();
  }

  /** When the chunk of `t_us` is over, in simulated µs, if there is none of it yet; else 0. */
  due_us(t_us, tick_us) {
    const number = Math.floor(t_us / tick_us / CHUNK_TICKS);
    return this.told && !this.urls[number] ? (number + 1) * CHUNK_TICKS * tick_us : 0;
  }

  /**
   * Makes sure that what comes within the next seconds is held or asked for, from the first moment that is
   * not: a fast run passes whole chunks in that time, and what is held may end in the middle of one.
   */
  want(timeline, t_us, rate, tick_us) {
    const span_us = CHUNK_TICKS * tick_us;
    const until_us = t_us + AHEAD_US * Math.max(1, rate);
    const from_us = timeline.knowsSingly(t_us) ? timeline.edgeAfter(t_us) + 1 : t_us;
    const moments = [from_us, Math.max(from_us, until_us)];
    for (let next_us = (Math.floor(from_us / span_us) + 1) * span_us; next_us < until_us; next_us += span_us)
      moments.push(next_us);
    for (const moment_us of moments) {
      const url = this.urls[Math.floor(moment_us / span_us)];
      if (this.asked.has(url) || timeline.knowsSingly(moment_us) || moment_us < 0) continue;
      if (url && moment_us <= until_us) this.ask(url, (chunk) => this.hooks.took(chunk));
      else if (!url && this.index && moment_us === t_us) this.askIndex();
    }
  }

  askIndex() {
    const { index } = this;
    const now_ms = performance.now();
    if (now_ms - this.indexAsked_ms < AGAIN_MS) return;
    this.indexAsked_ms = now_ms;
    this.fetch(
      index,
      () => index === this.index,
      ({ chunks }) => {
        this.urls = chunks;
        this.told = true;
        this.hooks.again();
      },
    );
    setTimeout(() => this.hooks.again(), AGAIN_MS);
  }

  ask(url, take) {
    this.asked.add(url);
    this.fetch(url, () => this.urls.includes(url), take);
  }

  /** `take`s what stands at `url`, if it is `still` wanted when it comes; else says so and tries again. */
  async fetch(url, still, take) {
    try {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
      const told = await answer.json();
      if (!still()) return;
      this.hooks.failed(false);
      take(told);
    } catch {
      if (!still()) return;
      this.hooks.failed(true);
      setTimeout(() => {
        this.asked.delete(url);
        this.hooks.again();
      }, AGAIN_MS);
    }
  }
}
