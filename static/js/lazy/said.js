// What the page says about itself: one calm line about the connection, and answers near what was pressed.

/** The most important first; the line shows the first that there is. */
const ORDER = ["final", "degraded", "link", "dark", "history", "fetching", "note"];
const NOTE_MS = 8_000;

export class Line {
  constructor(element) {
    this.element = element;
    this.said = new Map();
  }

  /** `text` is so from now on ("" ends it); a note ends by itself. `link` {text, href} goes behind it. */
  say(kind, text, link = null) {
    if ((this.said.get(kind)?.text ?? "") === text) return;
    if (text) this.said.set(kind, { text, link });
    else this.said.delete(kind);
    if (kind === "note") {
      clearTimeout(this.timer);
      if (text) this.timer = setTimeout(() => this.say("note", ""), NOTE_MS);
    }
    this.show(ORDER.map((each) => this.said.get(each)).find(Boolean));
  }

  show(first) {
    const parts = [first?.text ?? ""];
    if (first?.link) {
      const link = document.createElement("a");
      Object.assign(link, { textContent: first.link.text, href: first.link.href });
      parts.push(" ", link);
    }
    if (this.element.textContent !== parts.map((part) => part.textContent ?? part).join(""))
      this.element.replaceChildren(...parts);
  }
}

/** Says `text` in a status line right after `place` ("" takes it away). */
export function sayNear(place, text) {
  let line = place.nextElementSibling;
  if (!line?.classList.contains("said")) {
    if (!text) return;
    line = document.createElement("p");
    line.className = "said";
    line.setAttribute("role", "status");
    place.after(line);
  }
  line.textContent = text;
  line.hidden = !text;
}
