// The run as charts, one a destination: how many were ready (of a group: its lag) when, and how much was done
// each second. One axis of time, the scrubber's. What lies ahead of the moment on the screen is not drawn.
// Fetched when they are opened.

import { TICK_US } from "mailroom/scene/timeline.js";
import { Series, SECOND_US } from "mailroom/lazy/series.js";

const NS = "http://www.w3.org/2000/svg";
const WIDE = 1200;
const SCALE_MIN = 4;

export function furnishCharts(stage) {
  const box = stage.parts.charts;
  const series = new Series(stage.timeline);
  const [said, list] = [part("p", "small"), part("div", "charts-list")];
  box.append(said, list);
  let charts = new Map();
  let drawn = "";
  const follow = () => {
    if (!box.open) return;
    series.refresh();
    const { shown_us, length_us, shownScene, timeline } = stage;
    const queues = [...shownScene.nodes.values()]
      .filter(({ node, kind }) => (kind === "queue" || kind === "group") && timeline.destinations.has(node))
      .sort((a, b) => a.node - b.node);
    const missing = series.missing(shown_us);
    const gap = missing.findLast(({ what }) => what === "gap");
    if (gap) stage.session?.chunks.want(timeline, gap.to_us - 1, 0, TICK_US);
    const x = Math.round((shown_us / length_us) * WIDE);
    const held = `${series.version} ${series.count} ${timeline.cursor?.index}`;
    const key = `${held} ${x} ${length_us} ${queues.map((q) => q.node)}`;
    if (key === drawn) return;
    drawn = key;
    if (queues.some(({ node }) => !charts.has(node)) || queues.length !== charts.size) {
      charts = new Map(
        queues.map((queue) => [queue.node, charts.get(queue.node) ?? new Chart(stage, queue, series)]),
      );
      list.replaceChildren(...[...charts.values()].map((chart) => chart.box));
    }
    write(said, saysOf(missing));
    for (const chart of charts.values()) chart.draw(missing);
  };
  for (const name of ["change", "moment", "transport"]) stage.addEventListener(name, follow);
  box.addEventListener("toggle", () => {
    drawn = "";
    follow();
  });
  follow();
}

/** What the charts cannot show, in words. */
function saysOf(missing) {
  const span = ({ from_us, to_us }) => `${tenths(from_us)} to ${tenths(to_us)} s`;
  const spans = (what) =>
    missing
      .filter((each) => each.what === what)
      .map(span)
      .join(", ");
  const [gaps, numbers] = [spans("gap"), spans("numbers")];
  return [
    gaps && `Not held here, so not drawn: ${gaps}.`,
    numbers && `Too fast to count effects singly: ${numbers}.`,
  ]
    .filter(Boolean)
    .join(" ");
}

class Chart {
  constructor(stage, { node, name, kind }, series) {
    const word = kind === "group" ? "lag" : "ready";
    Object.assign(this, {
      stage,
      node,
      name,
      word,
      series,
      ready: strip(word, 44),
      effects: strip("effects per second", 26),
    });
    [this.now, this.gaps, this.peak, this.end] = [
      part("div", "chart-now"),
      part("div", "chart-gaps"),
      part("p", "small"),
      part("span"),
    ];
    this.input = Object.assign(part("input", "scrub-input"), {
      type: "range",
      min: "0",
      step: "100",
      ariaLabel: `Time, chart of ${name}`,
    });
    this.input.addEventListener("input", () => stage.seek(Number(this.input.value) * 1000));
    this.table = part("details", "", part("summary", "", "As a table"));
    this.table.addEventListener("toggle", () => this.fill());
    const plot = part("div", "chart-plot", this.gaps, this.ready.box, this.effects.box, this.now, this.input);
    const axis = part("p", "chart-axis", part("span", "", "0 s"), this.end);
    axis.ariaHidden = "true";
    this.box = part("section", "chart", part("h2", "", name), plot, axis, this.peak, this.table);
    this.box.ariaLabel = `Chart of ${name}`;
  }

  draw(missing) {
    const { stage, series, node, input, word } = this;
    const { shown_us, length_us } = stage;
    const percent = (t_us) => `${(100 * t_us) / length_us}%`;
    const ready = series.readyAt(node, shown_us);
    const second = Math.floor(shown_us / SECOND_US) * SECOND_US;
    const done = series.effects(node, second - 1, shown_us);
    write(this.ready.value, ready ?? "not held");
    write(this.effects.value, done ?? "not counted");
    const peak = this.drawReady(shown_us, length_us);
    this.drawEffects(shown_us, length_us);
    write(
      this.peak,
      peak
        ? `Most ${word} so far: ${peak.ready}, first at ${(peak.at_us / SECOND_US).toFixed(2)} s.`
        : word === "lag"
          ? "No lag so far."
          : "Nothing has been ready so far.",
    );
    this.now.style.left = percent(shown_us);
    this.gaps.replaceChildren(
      ...missing.map(({ from_us, to_us, what }) => {
        const gap = part("span", what);
        [gap.style.left, gap.style.width] = [percent(from_us), percent(to_us - from_us)];
        return gap;
      }),
    );
    input.max = length_us / 1000;
    input.value = Math.floor(shown_us / 100_000) * 100;
    const time = `${tenths(shown_us)} of ${length_us / SECOND_US} seconds`;
    input.ariaValueText = `${time}, ${word} ${ready ?? "not held"}`;
    write(this.end, `${length_us / SECOND_US} s`);
    this.fill();
  }

  /** @returns the step {at_us, ready} to the first peak, undefined when there is none */
  drawReady(until_us, length_us) {
    const runs = this.series.runs(this.node, until_us);
    let peak;
    for (const { steps } of runs) for (const each of steps) if (each.ready > (peak?.ready ?? 0)) peak = each;
    const y = scale(this.ready.high, peak?.ready ?? 0);
    const x = (t_us) => Math.round((t_us / length_us) * WIDE);
    const paths = runs.map(({ from_us, to_us, steps }) => {
      let d = `M${x(from_us)} ${y(steps[0].ready)}`;
      let [at, level] = [-1, -1];
      for (const { at_us, ready } of steps) {
        if (x(at_us) === at && y(ready) === level) continue;
        if (x(at_us) !== at) d += `H${x(at_us)}`;
        [at, level] = [x(at_us), y(ready)];
        d += `V${level}`;
      }
      return { line: `${d}H${x(to_us)}`, fill: `${d}H${x(to_us)}V${this.ready.high}H${x(from_us)}Z` };
    });
    this.ready.fill.setAttribute("d", paths.map(({ fill }) => fill).join(""));
    this.ready.line.setAttribute("d", paths.map(({ line }) => line).join(""));
    return peak;
  }

  drawEffects(until_us, length_us) {
    const bars = [];
    for (let from_us = 0; from_us <= until_us; from_us += SECOND_US) {
      const to_us = Math.min(from_us + SECOND_US - 1, until_us);
      const count = this.series.effects(this.node, from_us - 1, to_us);
      if (count) bars.push([from_us, to_us, count]);
    }
    const y = scale(
      this.effects.high,
      bars.reduce((most, bar) => Math.max(most, bar[2]), 0),
    );
    const x = (t_us) => ((t_us / length_us) * WIDE).toFixed(1);
    this.effects.fill.setAttribute(
      "d",
      bars
        .map(
          ([from_us, to_us, count]) =>
            `M${x(from_us)} ${this.effects.high}V${y(count)}H${x(to_us)}V${this.effects.high}Z`,
        )
        .join(""),
    );
  }

  /** The same as numbers, while somebody reads them. */
  fill() {
    const { table, series, node, stage } = this;
    if (!table.open) return;
    const rows = series.rows(node, stage.shown_us);
    const key = JSON.stringify(rows);
    if (table.shown === key) return;
    table.shown = key;
    const row = (tag, texts) => part("tr", "", ...texts.map((text) => part(tag, "", text)));
    const made = part(
      "table",
      "",
      part("caption", "", `${this.name}, up to ${tenths(stage.shown_us)} s`),
      row("th", ["time", this.word, "effects per second"]),
    );
    made.append(
      ...rows.map(({ at_us, ready, effects }) =>
        row("td", [
          `${at_us / SECOND_US} s`,
          ready ?? "not held",
          effects === null ? "not counted" : Math.round(effects * 100) / 100,
        ]),
      ),
    );
    table.replaceChildren(
      table.firstChild,
      rows.length ? made : part("p", "small", "No whole second has been shown yet."),
    );
  }
}

/** A strip of the chart: its words, its value now, and a picture with a filled part and a line. */
function strip(word, high) {
  const value = part("b");
  const svg = document.createElementNS(NS, "svg");
  const shapes = ["fill", "line", "base"].map((name) => {
    const path = document.createElementNS(NS, "path");
    path.setAttribute("class", name);
    return svg.appendChild(path);
  });
  svg.setAttribute("viewBox", `0 0 ${WIDE} ${high}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.ariaHidden = "true";
  shapes[2].setAttribute("d", `M0 ${high}H${WIDE}`);
  return {
    box: part("div", "chart-strip", part("p", "", part("span", "", word), value), svg),
    value,
    high,
    fill: shapes[0],
    line: shapes[1],
  };
}

const scale = (high, most) => (count) =>
  Math.round((high - (count / Math.max(SCALE_MIN, most)) * (high - 2)) * 10) / 10;
const tenths = (t_us) => (Math.floor(t_us / 100_000) / 10).toFixed(1);

function write(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

function part(tag, className = "", ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}
