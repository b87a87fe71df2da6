// Where events come from: the socket of a recording or a room, chunks beside it, and the way from one to the
// other.

import { TICK_US } from "mailroom/scene/timeline.js";
import { Chunks } from "mailroom/lazy/chunks.js";
import { Line, sayNear } from "mailroom/lazy/said.js";
import { Socket } from "mailroom/lazy/socket.js";

export function furnishConnection(stage) {
  stage.session = new Session(stage);
}

/** A break that is mended sooner than this is not worth a word. */
const CALM_MS = 500;
const GONE = 4004;
/** Codes after which this room's socket has nothing more to say. */
const FINAL = new Set(["no_room", "expired", "other_rules"]);
const BRANCHING = new Set(["Fork", "NewSeed", "ToStart"]);

const randomId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(9)), (b) => b.toString(36).padStart(2, "0")).join("");
export const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;

class Session {
  constructor(stage) {
    this.stage = stage;
    this.line = new Line(stage.parts.connection);
    this.inRoom = stage.dataset.mode === "room";
    this.role = stage.dataset.role || "visitor";
    this.fromNothing = false;
    this.places = new Map();
    this.clockSeq = -1;
    stage.timeline.epoch = Number(stage.dataset.epoch) || 0;
    this.chunks = new Chunks(this.inRoom ? [] : JSON.parse(stage.dataset.chunks || "[]"), {
      took: (chunk) => {
        stage.timeline.addChunk(chunk);
        stage.woken();
      },
      failed: (is) =>
        this.line.say("history", is ? "The history cannot be fetched just now. Trying again." : ""),
      again: () => stage.dispatchEvent(new Event("moment")),
    });
    stage.addEventListener("moment", () => this.want());
    stage.addEventListener("transport", () => this.want());
    if (stage.dataset.socket) this.connect(stage.dataset.socket);
    this.want();
  }

  /** Fetches what the moment shown needs. What a room's own clock shows comes over its socket. */
  want() {
    const { stage, line } = this;
    const missing = stage.looking && !stage.timeline.knows(stage.shown_us);
    const due_us = missing && this.chunks.due_us(stage.shown_us, TICK_US);
    const when = due_us
      ? `This moment can be looked at when the room has passed ${due_us / 1e6} s.`
      : "Fetching this moment…";
    line.say("fetching", missing ? when : "");
    if (!this.inRoom || stage.looking)
      this.chunks.want(stage.timeline, stage.shown_us, stage.clock.rate, TICK_US);
  }

  // -- the socket -------------------------------------------------------------------------------

  connect(path) {
    if (this.inRoom) import("mailroom/lazy/sayings-commands.js");
    this.socket?.close();
    this.socket = new Socket(path, {
      position: () => this.position(),
      frame: (frame) => this.take(frame),
      refused: () =>
        this.line.say(
          "link",
          this.inRoom
            ? "This room cannot be reached. Trying again."
            : "Live connection refused: playing the recorded history.",
        ),
      lost: () => this.lost(),
      talks: () => this.inRoom && !this.degraded,
      ends: (code) => code === GONE && this.final,
    });
  }

  /** A frame is taken in when the last of its parts is there. */
  take(frame) {
    if (frame.part !== undefined) {
      this.parts = frame.part ? this.parts.concat(frame.events) : frame.events;
      if (frame.more) return;
      frame.events = this.parts;
    }
    if (frame.aggregated)
      import("mailroom/lazy/aggregated.js").then(({ furnishAggregated }) => furnishAggregated(this.stage));
    FRAMES[frame.t]?.(this, frame);
  }

  /** Somebody has said hello. */
  reached() {
    clearTimeout(this.mourning);
    this.mourning = null;
    this.restarting = this.degraded = false;
    this.line.say("link", "");
    this.line.say("degraded", "");
  }

  lost() {
    if (!this.inRoom) return;
    this.mourning ??= setTimeout(
      () => {
        const first = this.restarting ? "The server restarts; nothing is lost." : "Reconnecting…";
        this.line.say(
          "link",
          this.socket.pending.size ? `${first} What you did is sent as soon as it answers.` : first,
        );
      },
      this.restarting ? 0 : CALM_MS,
    );
  }

  position() {
    const { timeline } = this.stage;
    const { segments } = timeline;
    const held = this.fromNothing
      ? 0
      : !this.inRoom && segments[0]?.start === 0
        ? segments[0].end
        : timeline.endTick;
    this.fromNothing = false;
    const digest = held ? (timeline.digests.get(held - 1) ?? "") : "";
    return {
      epoch: timeline.epoch,
      tick: held,
      digest,
      ...(held && timeline.aggregated && { aggregated: true }),
    };
  }

  /** What was sent does not fit to what is held: start over. */
  startOver() {
    this.fromNothing = true;
    this.socket.restart();
  }

  /**
   * Frames of another branch: what stands on the screen is not that branch's moment, so its clock is not
   * glided to.
   */
  inBranch(epoch) {
    const { timeline } = this.stage;
    if (epoch === undefined || epoch === timeline.epoch) return;
    timeline.epoch = epoch;
    this.stage.room?.jump();
    this.jumps = true;
    this.chunks.listAt(this.history ? `${this.history}${epoch}/` : "");
  }

  /** After a branch, when its clock is known: who made it or looks at what it has not reached comes along. */
  follow() {
    const { stage, following } = this;
    if (!following || this.clockSeq < following.seq) return;
    this.following = null;
    if (stage.looking && (following.always || stage.shown_us >= stage.roomNow_us)) stage.returnToNow();
  }

  // -- commands ---------------------------------------------------------------------------------

  /** Whether this page may steer: on a recording anybody, there it opens a room; in a room its owner. */
  get steers() {
    return this.stage.dataset.looks === undefined && (!this.inRoom || this.role === "owner");
  }

  /**
   * Does `cmd` to the room at the moment shown; on a recording that opens a room there. Answers stand near
   * `place`.
   */
  command(cmd, args = {}, place = this.stage.parts.faults) {
    const { stage } = this;
    sayNear(place, "");
    if (!this.inRoom) return this.open({ cmd, args }, place);
    return this.send(cmd, args, place, stage.looking ? { from_us: stage.now } : {});
  }

  /** A command of the clock's, or one that makes a branch: it means no moment looked at. */
  send(cmd, args, place, more = {}) {
    const id = randomId();
    if ("from_us" in more || BRANCHING.has(cmd)) this.branching = id;
    this.say(id, cmd, args, place, more);
  }

  say(id, cmd, args, place, more) {
    if (this.places.size > 50) this.places.clear();
    this.places.set(id, place);
    this.socket.command({ t: "command", v: 1, id, cmd, args, epoch: this.stage.timeline.epoch, ...more });
  }

  /**
   * Opens a room of this browser's own at the moment shown, unless `more` says another. Its command is said
   * again in there, by the same id: that does nothing, and whether the engine refuses it is the answer.
   */
  open(more, place) {
    const id = randomId();
    this.opening ??= import("mailroom/lazy/opening.js")
      .then(({ openRoom }) => openRoom(this.stage, { id, ...more }))
      .then((told) => {
        if (!told.url) return sayNear(place, told.text);
        this.enter(told, more.seed);
        return more.cmd && this.say(id, more.cmd, more.args, place);
      })
      .finally(() => {
        this.opening = null;
      });
  }

  /**
   * From the recording into the room, without a jump: what is held and what is shown stay, unless the seed is
   * another.
   */
  enter({ room, url }, seed) {
    const { stage } = this;
    this.inRoom = true;
    this.role = "owner";
    this.chunks.list([]);
    if (seed !== undefined) stage.branchAt(0);
    stage.dataset.mode = "room";
    stage.dataset.room = room;
    history.pushState({ room }, "", stage.dataset.within ? `${stage.dataset.within}?room=${room}` : url);
    addEventListener("popstate", () => location.reload(), { once: true });
    this.connect(`/ws/room/${room}/`);
  }

  // -- when nobody drives the room --------------------------------------------------------------

  /** The clock stops by itself when its light ends: say so then, unless it was renewed. */
  watchLight() {
    const { room } = this.stage;
    clearTimeout(this.dusk);
    this.line.say("dark", "");
    if (!room.playing || room.lit_until_us === Infinity) return;
    this.dusk = setTimeout(
      () => {
        this.line.say("dark", "The room stands still until the server is heard again.");
        this.stage.woken();
      },
      Math.max(0, room.darkAt_ms - performance.now()) + 50,
    );
  }
}

const FRAMES = {
  hello(session, frame) {
    const { stage } = session;
    session.role = frame.role;
    session.reached();
    session.history = frame.chunks ?? "";
    session.chunks.listAt(session.history ? `${session.history}${frame.epoch}/` : "");
    if (frame.length_us) stage.length_us = frame.length_us;
    if (frame.seed !== undefined) stage.dataset.seed = frame.seed;
    if (stage.room) stage.room.compareAnew();
    else stage.timeline.epoch = frame.epoch;
    stage.dispatchEvent(new Event("transport"));
  },
  state(session, frame) {
    session.inBranch(frame.epoch);
    session.stage.timeline.reset(frame);
    if (!frame.keep) session.chunks.forget();
    session.stage.woken();
  },
  ticks(session, frame) {
    session.inBranch(frame.epoch);
    if (!session.stage.timeline.append(frame)) return session.startOver();
    session.stage.wake();
    return undefined;
  },
  revise(session, frame) {
    session.inBranch(frame.epoch);
    if (!session.stage.timeline.revise(frame)) return session.startOver();
    session.stage.wake();
    return undefined;
  },
  branch(session, { epoch, cut, seed, name, seq = 0 }) {
    const { stage } = session;
    session.chunks.forgetFrom(cut);
    session.inBranch(epoch);
    stage.branchAt(cut);
    stage.dataset.seed = seed;
    const mine = session.branching;
    session.branching = null;
    session.line.say("note", mine ? "" : `The room begins anew: ${name}.`);
    session.following = { seq, always: Boolean(mine) || cut === 0 };
    session.follow();
  },
  clock(session, frame) {
    if (!session.inRoom || !frame.pieces.length) return;
    session.clockSeq = frame.seq;
    session.stage.takeClock(frame, session.jumps);
    session.jumps = false;
    session.watchLight();
    session.follow();
  },
  degraded(session, { on, text }) {
    session.degraded = on;
    session.line.say("degraded", on ? text : "");
  },
  restart(session, { text }) {
    session.restarting = true;
    session.line.say("link", text || "The server restarts; nothing is lost.");
  },
  error(session, { id, code, text }) {
    if (id && id === session.branching) session.branching = null;
    if (FINAL.has(code) && !id) {
      session.final = true;
      session.line.say("final", text, {
        text: "Open the scenario",
        href: `/play/${session.stage.dataset.slug}/`,
      });
      return;
    }
    const place = session.places.get(id);
    if (place) sayNear(place, text);
    else session.line.say("note", text);
  },
};
