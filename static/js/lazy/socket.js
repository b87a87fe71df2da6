// One WebSocket that comes back: resume from the position held, acknowledgements, commands sent until answered.

const BACKOFF_MS = [10, 50, 100, 250, 500, 1000, 2000, 5000];

/**
 * `hooks`: position() → {epoch, tick, digest}, frame(frame), opened(), refused(tries) when it never opened,
 * lost(in_ms) when an open one was lost.
 */
export class Socket {
  constructor(path, hooks) {
    this.url = new URL(path, location.href);
    this.url.protocol = this.url.protocol.replace("http", "ws");
    this.hooks = hooks;
    this.pending = new Map();
    this.failures = 0;
    this.everOpen = false;
    this.onVisible = () => { if (!document.hidden && !this.socket) this.open(); };
    document.addEventListener("visibilitychange", this.onVisible);
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    if (this.closed || document.hidden) return;
    const socket = this.socket = new WebSocket(this.url);
    socket.onopen = () => this.opened();
    socket.onmessage = ({ data }) => this.took(JSON.parse(data));
    socket.onclose = () => { if (this.socket === socket) this.wentAway(); };
  }

  opened() {
    this.everOpen = true;
    this.send({ t: "watch", v: 1, ...this.hooks.position() });
    for (const frame of this.pending.values()) this.send(frame);
    this.hooks.opened();
  }

  took(frame) {
    this.failures = 0;
    if (frame.t === "done" || (frame.t === "error" && frame.id)) this.pending.delete(frame.id);
    this.hooks.frame(frame);
    if (frame.f !== undefined) this.send({ t: "seen", v: 1, f: frame.f });
  }

  wentAway() {
    this.socket = null;
    if (this.closed) return;
    const step = BACKOFF_MS[Math.min(this.failures++, BACKOFF_MS.length - 1)];
    const wait_ms = step * (0.5 + Math.random());
    if (this.everOpen) this.hooks.lost(wait_ms);
    else this.hooks.refused(this.failures);
    this.timer = setTimeout(() => this.open(), wait_ms);
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
  command(id, cmd, args) {
    const frame = { t: "command", v: 1, id, cmd, args };
    this.pending.set(id, frame);
    this.send(frame);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.onVisible);
    this.socket?.close();
  }
}
