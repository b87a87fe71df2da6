// <time-scrubber>: the run as a line. A real range input (named Time) lies over the drawn line.

const MARKS = { NodeStateChanged: "✕", Requeued: "←", DeadLettered: "□", PromiseBroken: "▲" };

class TimeScrubber extends HTMLElement {
  connectedCallback() {
    if (this.input) return;
    const make = (name, tag = "div") => {
      const element = document.createElement(tag);
      element.className = `scrub-${name}`;
      return this.appendChild(element);
    };
    for (const name of ["track", "ahead", "past", "marks", "head", "flag", "end"]) this[name] = make(name);
    for (const name of ["track", "ahead", "past", "marks", "head", "flag", "end"])
      this[name].setAttribute("aria-hidden", "true");
    this.input = make("input", "input");
    Object.assign(this.input, { type: "range", min: "0", max: "60000", step: "100", value: "0" });
    this.input.setAttribute("aria-label", "Time");
    this.input.addEventListener("input", () => {
      this.dispatchEvent(new CustomEvent("seek", { detail: Number(this.input.value) * 1000 }));
    });
    new ResizeObserver(() => {
      this.wide = this.clientWidth;
      this.drawn = "";
      if (this.stage) this.show(this.stage);
    }).observe(this);
    this.wide = this.clientWidth;
  }

  /** Brings the line up to date with the stage; writes only what has changed. */
  show(stage) {
    this.stage = stage;
    const { shown_us, length_us, furthest_us, timeline } = stage;
    const tenths = Math.floor(shown_us / 100_000);
    const x = Math.round((shown_us / length_us) * this.wide);
    const moved = `${x} ${length_us}`;
    if (moved !== this.drawn) {
      this.drawn = moved;
      this.head.style.transform = `translateX(${x}px)`;
      this.past.style.transform = `scaleX(${shown_us / length_us})`;
      this.flag.style.transform = `translateX(calc(${x}px - ${Math.round((100 * shown_us) / length_us)}%))`;
    }
    if (tenths !== this.tenths || length_us !== this.ofLength) this.write(tenths, length_us);
    const known = `${timeline.version} ${Math.floor(furthest_us / 500_000)} ${length_us}`;
    if (known !== this.known) this.mark(known, timeline, furthest_us, length_us);
  }

  write(tenths, length_us) {
    [this.tenths, this.ofLength] = [tenths, length_us];
    const text = (tenths / 10).toFixed(1);
    this.flag.textContent = `${text} s`;
    this.end.textContent = `${length_us / 1_000_000} s`;
    this.input.max = length_us / 1000;
    this.input.value = tenths * 100;
    this.input.setAttribute("aria-valuetext", `${text} of ${length_us / 1_000_000} seconds`);
  }

  /** What happened, as marks over the line: only of what has been shown, a recording does not tell ahead. */
  mark(known, timeline, furthest_us, length_us) {
    this.known = known;
    this.ahead.style.width = `${Math.min(100, (timeline.endTick * 2_500_000) / length_us)}%`;
    const marks = [];
    let last = { percent: -9, sign: "" };
    for (const event of timeline.between(-1, furthest_us)) {
      const sign = MARKS[event.type];
      if (!sign || (event.type === "NodeStateChanged" && event.state !== "crashed")) continue;
      const percent = (event.at_us / length_us) * 100;
      if (percent - last.percent < 1.5 && (sign === last.sign || marks.length > 60)) continue;
      last = { percent, sign };
      marks.push(this.sign(sign, percent));
    }
    this.marks.replaceChildren(...marks);
  }

  sign(sign, percent) {
    const mark = document.createElement("span");
    mark.className = sign === "▲" ? "scrub-mark broken" : "scrub-mark";
    mark.textContent = sign;
    mark.style.left = `${percent}%`;
    return mark;
  }
}

customElements.define("time-scrubber", TimeScrubber);
