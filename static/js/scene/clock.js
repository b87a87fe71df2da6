// Which simulated moment is on the screen. Two clocks with one face: `at(wall_ms)` gives simulated µs.
//
// wall_ms is performance.now(): it never jumps. A room's clock is the server's, piecewise linear; a
// recording's is the browser's own.

const SNAP_US = 1_000_000;
const SLEW = 0.1;
const SLEW_STANDING = 0.6;

/** The clock of a recording, or of somebody who looks back: play, pause, seek, speed; stops at its bounds. */
export class LocalClock {
  constructor(at_us = 0, rate = 1) {
    this.from_us = at_us;
    this.since_ms = null;
    this.rate = rate;
  }

  get playing() {
    return this.since_ms !== null;
  }

  moving() {
    return this.playing;
  }

  /** `edge_us` is how far events are known: the clock waits there and goes on from there. */
  at(wall_ms, edge_us = Infinity) {
    if (this.since_ms === null) return this.from_us;
    const now_us = this.from_us + (wall_ms - this.since_ms) * 1000 * this.rate;
    if (now_us <= edge_us) return now_us;
    this.from_us = Math.max(edge_us, this.from_us);
    this.since_ms = wall_ms;
    return this.from_us;
  }

  play(wall_ms) {
    this.since_ms ??= wall_ms;
  }

  pause(wall_ms, edge_us) {
    this.from_us = this.at(wall_ms, edge_us);
    this.since_ms = null;
  }

  seek(wall_ms, to_us) {
    this.from_us = to_us;
    if (this.playing) this.since_ms = wall_ms;
  }

  setRate(wall_ms, rate, edge_us) {
    this.seek(wall_ms, this.at(wall_ms, edge_us));
    this.rate = rate;
  }
}

/** The clock of a room, from the server's `clock` frames; shown with a small remainder that fades. */
export class RoomClock {
  constructor() {
    this.pieces = [];
    this.lit_until_us = Infinity;
    this.offset_us = 0;
    this.anew = true;
    this.remainder_us = 0;
    this.asked_ms = 0;
  }

  get known() {
    return this.pieces.length > 0;
  }

  /** Another process tells the time from now on: its clock is compared anew. */
  compareAnew() {
    this.anew = true;
  }

  /** Shows the truth at once. */
  jump() {
    this.remainder_us = 0;
  }

  /**
   * Takes a frame in. `shown_us` is what the screen says now: the step to the truth is taken slowly if small,
   * at once if large (or `shown_us` infinite: after a change of branch).
   */
  take(frame, wall_ms, shown_us) {
    const offset_us = frame.now_us - wall_ms * 1000;
    const stale = this.anew || Math.abs(offset_us - this.offset_us) > SNAP_US;
    this.offset_us = stale ? offset_us : Math.max(offset_us, this.offset_us);
    this.anew = false;
    this.pieces = frame.pieces;
    this.lit_until_us = frame.lit_until_us ?? Infinity;
    this.asked_ms = wall_ms;
    this.remainder_us = shown_us - this.truth(wall_ms);
    if (Math.abs(this.remainder_us) > SNAP_US) this.remainder_us = 0;
  }

  /** The server's clock without the remainder. */
  truth(wall_ms) {
    const server_us = Math.min(wall_ms * 1000 + this.offset_us, this.lit_until_us);
    const [wall_us, sim_us, rate] = this.piece(server_us);
    return sim_us + (Math.max(0, server_us - wall_us) * rate) / 1000;
  }

  /** When, in wall_ms, it stops by itself unless it hears that somebody lives who may drive it. */
  get darkAt_ms() {
    return (this.lit_until_us - this.offset_us) / 1000;
  }

  piece(server_us) {
    let ruling = this.pieces[0];
    for (const piece of this.pieces) if (piece[0] <= server_us) ruling = piece;
    return ruling;
  }

  /** The rate of the wish that is newest, also when it takes effect only in a moment. 0 is paused. */
  get rate() {
    return this.known ? this.pieces[this.pieces.length - 1][2] / 1000 : 0;
  }

  get playing() {
    return this.rate > 0;
  }

  /**
   * Whether what it shows still changes by itself (a clock that stands may have a step to take, or a piece
   * ahead).
   */
  moving(wall_ms) {
    return (
      (this.playing && wall_ms < this.darkAt_ms) ||
      this.remainder_us !== 0 ||
      (this.known && this.pieces.at(-1)[0] > wall_ms * 1000 + this.offset_us)
    );
  }

  at(wall_ms, edge_us = Infinity) {
    const passed_us = Math.max(0, wall_ms - this.asked_ms) * 1000 * (this.rate ? SLEW : SLEW_STANDING);
    this.asked_ms = wall_ms;
    this.remainder_us -= Math.sign(this.remainder_us) * Math.min(Math.abs(this.remainder_us), passed_us);
    return Math.min(Math.max(0, this.truth(wall_ms) + this.remainder_us), edge_us);
  }
}
