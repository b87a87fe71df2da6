// History over HTTP: fetches the chunk that a moment needs, and the next one before it is needed.

const AHEAD_US = 6_000_000;
const CHUNK_TICKS = 400;
const AGAIN_MS = 2_000;

export class Chunks {
  /** `urls`: addresses of chunks of 10 s, first to last. `took(chunk)` is called with each; `failed()` when one cannot be had. */
  constructor(urls, took, failed) {
    Object.assign(this, { urls, took, failed });
    this.asked = new Set();
  }

  /** Makes sure that the chunk of `t_us`, and the next one when its beginning is near, are held or asked for. */
  want(timeline, t_us, rate, tick_us) {
    for (const moment_us of [t_us, t_us + AHEAD_US * Math.max(1, rate)]) {
      const number = Math.floor(moment_us / tick_us / CHUNK_TICKS);
      const url = this.urls[number];
      if (!url || this.asked.has(number) || timeline.holds(number * CHUNK_TICKS, number * CHUNK_TICKS + 1)) continue;
      this.asked.add(number);
      this.fetch(url, number);
    }
  }

  async fetch(url, number) {
    try {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
      const chunk = await answer.json();
      if (!this.stopped) this.took(chunk);
    } catch {
      this.failed();
      setTimeout(() => this.asked.delete(number), AGAIN_MS);
    }
  }

  stop() {
    this.stopped = true;
    this.urls = [];
  }
}
