// One WebSocket that comes back: resume from the position held, acknowledgements, commands sent until
// answered.

const BACKOFF_MS = [10, 50, 100, 250, 500, 1000, 2000, 5000];
/** A connection that has held for this long was a good one: the next loss begins with the shortest wait. */
const GOOD_MS = 2_000;
/** A room tells its clock every second; who has heard nothing for this long is talking to nobody. */
const SILENT_MS = 4_000;
const CONNECTING_MS = 10_000;
const LOOK_EVERY_MS = 1_000;
/** An acknowledgement is for all frames before it too. The server leaves eight open, and rests at four. */
const SAID_EVERY = 2;

/**
 * `hooks`: position() → {epoch, tick, digest}, frame(frame), lost() when an open one was lost,
 * refused() when none was ever open, talks() whether the other end ought to be heard every second,
 * ends(code) whether there is no use in coming back.
 */
export class Socket {
  constructor(path, hooks) {
    this.url = new URL(path, location.href);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.hooks = hooks;
    this.pending = new Map();
    this.failures = 0;
    this.everOpen = false;
    this.look = (event) => this.looked(event !== undefined);
    document.addEventListener("visibilitychange", this.look);
    this.looking = setInterval(() => this.look(), LOOK_EVERY_MS);
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.closed || document.hidden) return;
    const socket = (this.socket = new WebSocket(this.url));
    this.heard();
    this.openedAt_ms = Infinity;
    socket.onopen = () => {
      if (this.socket === socket) this.opened();
    };
    socket.onmessage = ({ data }) => {
      if (this.socket === socket) this.took(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      if (this.socket === socket) this.wentAway(code);
    };
  }

  opened() {
    this.everOpen = true;
    this.unsaid = SAID_EVERY - 1;
    this.openedAt_ms = performance.now();
    this.heard();
    this.send({ t: "watch", v: 1, ...this.hooks.position() });
    for (const frame of this.pending.values()) this.send(frame);
  }

  took(frame) {
    this.heard();
    if (frame.t === "done" || (frame.t === "error" && frame.id)) this.pending.delete(frame.id);
    this.hooks.frame(frame);
    if (frame.f !== undefined && ++this.unsaid >= SAID_EVERY) {
      this.unsaid = 0;
      this.send({ t: "seen", v: 1, f: frame.f });
    }
  }

  wentAway(code) {
    this.socket = null;
    if (this.closed) return;
    if (this.hooks.ends(code)) {
      this.close();
      return;
    }
    if (performance.now() - this.openedAt_ms > GOOD_MS) this.failures = 0;
    const step_ms = BACKOFF_MS[Math.min(this.failures++, BACKOFF_MS.length - 1)];
    if (this.everOpen) this.hooks.lost();
    else this.hooks.refused();
    this.timer = setTimeout(() => this.open(), step_ms * (0.5 + Math.random() / 2));
  }

  /** Wall time, because the page's own clock may stand while the machine sleeps. */
  heard() {
    this.heardAt_ms = Date.now();
  }

  /** Once a second, and when the page is seen again or the machine wakes: is anybody at the other end? */
  looked(back = false) {
    const slept = Date.now() - this.lookedAt_ms > SILENT_MS;
    this.lookedAt_ms = Date.now();
    if (document.hidden || this.closed) return;
    const silent_ms = Date.now() - this.heardAt_ms;
    if (!this.socket) {
      if (!this.timer || slept || back) this.open();
    } else if (
      silent_ms > (this.socket.readyState === WebSocket.OPEN ? SILENT_MS : CONNECTING_MS) &&
      this.hooks.talks()
    ) {
      this.hooks.lost();
      this.restart();
    }
  }

  /** Starts over with whatever position the hooks say now. */
  restart() {
    const old = this.socket;
    this.socket = null;
    old?.close();
    this.open();
  }

  send(frame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  /** Sends a command; it is sent again after a reconnect until the server has answered it. */
  command(frame) {
    this.pending.set(frame.id, frame);
    this.send(frame);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    clearInterval(this.looking);
    document.removeEventListener("visibilitychange", this.look);
    this.socket?.close();
  }
}
