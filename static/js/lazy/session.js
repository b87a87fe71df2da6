// Where events come from: the socket of a recording or a room, chunks beside it, and the way from one to the other.

import { TICK_US } from "mailroom/scene/timeline.js";
import { Chunks } from "mailroom/lazy/chunks.js";
import { Socket } from "mailroom/lazy/socket.js";

export function furnishConnection(stage) {
  stage.session = new Session(stage);
}

const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(9)), (b) => b.toString(36).padStart(2, "0")).join("");

class Session {
  constructor(stage) {
    this.stage = stage;
    this.line = stage.parts.connection;
    this.inRoom = stage.dataset.mode === "room";
    this.role = stage.dataset.role || "visitor";
    this.fromNothing = false;
    stage.timeline.epoch = Number(stage.dataset.epoch) || 0;
    const urls = this.inRoom ? [] : JSON.parse(stage.dataset.chunks || "[]");
    this.chunks = new Chunks(urls, (chunk) => this.took(chunk), () => this.say("The rest of this recording cannot be fetched. Trying again."));
    this.clear = () => this.say("");
    stage.addEventListener("moment", () => this.want());
    stage.addEventListener("transport", () => this.want());
    if (stage.dataset.socket) this.connect(stage.dataset.socket);
    this.want();
  }

  want() {
    const { stage } = this;
    this.chunks.want(stage.timeline, stage.shown_us, stage.clock.rate, TICK_US);
  }

  took(chunk) {
    this.stage.timeline.addChunk(chunk);
    this.stage.woken();
  }

  say(text) {
    if (this.line.textContent !== text) this.line.textContent = text;
  }

  // -- the socket -------------------------------------------------------------------------------

  connect(path) {
    this.socket?.close();
    this.socket = new Socket(path, {
      position: () => this.position(),
      frame: (frame) => this.frame(frame),
      opened: this.clear,
      refused: () => this.say(this.inRoom ? "This room cannot be reached. Trying again."
        : "Live connection refused: playing the recorded history."),
      lost: (wait_ms) => { if (this.inRoom && wait_ms > 60) this.say("Connection lost. Trying again."); },
    });
  }

  position() {
    const { timeline } = this.stage;
    const held = this.fromNothing ? 0 : timeline.segments[0]?.start === 0 ? timeline.segments[0].end : timeline.endTick;
    this.fromNothing = false;
    return { epoch: timeline.epoch, tick: held, digest: held ? timeline.digests.get(held - 1) ?? "" : "" };
  }

  frame(frame) {
    const handler = FRAMES[frame.t];
    if (handler) handler(this, frame);
  }

  /** What was sent does not fit to what is held: start over. */
  startOver() {
    this.fromNothing = true;
    this.socket.restart();
  }

  // -- commands ---------------------------------------------------------------------------------

  /** Does `cmd` to the room; on a recording that opens a room at the moment shown. */
  command(cmd, args) {
    this.clear();
    if (this.inRoom) return this.socket.command(randomId(), cmd, args);
    this.opening ??= this.openRoom(cmd, args).finally(() => { this.opening = null; });
    return undefined;
  }

  async openRoom(cmd, args) {
    const { dataset, clock, now } = this.stage;
    const rate = clock.playing ? clock.rate * 1000 : 0;
    const body = { slug: dataset.slug, seed: Number(dataset.seed), now_us: now, rate, id: randomId(), cmd, args };
    const token = this.stage.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
    try {
      const answer = await fetch(dataset.open || "/room/open/", {
        method: "POST", headers: { "Content-Type": "application/json", "X-CSRFToken": token }, body: JSON.stringify(body),
      });
      const told = await answer.json().catch(() => ({}));
      if (!answer.ok) return this.say(told.text ?? "No room could be opened. Try again.");
      this.enter(told);
    } catch {
      this.say("No room could be opened: the server does not answer. Try again.");
    }
    return undefined;
  }

  /** From the recording into the room, without a jump: what is held and what is shown stay. */
  enter({ room, url }) {
    this.inRoom = true;
    this.role = "owner";
    this.chunks.stop();
    this.stage.dataset.mode = "room";
    this.stage.dataset.room = room;
    history.pushState({ room }, "", url);
    addEventListener("popstate", () => location.reload(), { once: true });
    this.connect(`/ws/room/${room}/`);
  }
}

const FRAMES = {
  hello(session, frame) {
    session.role = frame.role;
    if (frame.length_us) session.stage.length_us = frame.length_us;
    session.stage.dispatchEvent(new Event("transport"));
  },
  state(session, frame) {
    session.stage.timeline.reset(frame);
    session.stage.woken();
  },
  ticks(session, frame) {
    if (!session.stage.timeline.append(frame)) return session.startOver();
    session.stage.wake();
    return undefined;
  },
  revise(session, frame) {
    if (!session.stage.timeline.revise(frame)) return session.startOver();
    session.stage.wake();
    return undefined;
  },
  clock(session, frame) {
    if (session.inRoom && frame.pieces.length) session.stage.takeClock(frame);
  },
  error(session, frame) {
    session.say(frame.text);
  },
};
