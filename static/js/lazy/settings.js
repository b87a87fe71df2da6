// The settings of one node of the stage: chosen there, shown in a ruled sheet below the figure, changed by
// commands.
//
// What is set now is what events have said of the node, or what its scenario says while none has. A row is
// {label, says, controls}; a control is {text, command: [name, args], pressed (a choice), off} or an input.

import { isKafkas, settingsOf } from "mailroom/lazy/faults.js";

const VIEWERS = "Only the room’s owner may change this. Open the scenario yourself to try it.";
const OVER = "The run is over: go back to change something.";

/** The rows of each system, by kind of node. */
const ROWS = {
  rabbitmq: () => import("mailroom/lazy/rabbitmq/settings-rows.js"),
  kafka: () => import("mailroom/lazy/kafka/settings-rows.js"),
};

export async function furnishSettings(stage) {
  const { systems } = stage;
  const loaded = await Promise.all(systems.map((system) => ROWS[system]()));
  const sheet = new Sheet(stage, Object.fromEntries(systems.map((system, i) => [system, loaded[i].ROWS])));
  stage.addEventListener("choose", (event) => sheet.choose(event.detail));
  stage.addEventListener("change", () => sheet.refresh());
  stage.addEventListener("transport", () => sheet.refresh());
}

class Sheet {
  /** `tables`: by system ("kafka", "rabbitmq"), by kind of node, what the sheet shows of one. */
  constructor(stage, tables) {
    this.stage = stage;
    this.tables = tables;
    this.node = 0;
    this.rows = new Map();
    this.box = make("section", "settings");
    this.box.tabIndex = -1;
    this.box.hidden = true;
    this.head = make("h2");
    this.facts = make("p", "facts");
    this.why = make("p", "why");
    this.why.id = "settings-why";
    this.list = make("div", "rows");
    const close = Object.assign(make("button", "close", "Close"), { type: "button" });
    close.addEventListener("click", () => this.close());
    this.box.append(this.head, this.facts, close, this.why, this.list);
    this.box.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      this.close();
    });
    stage.parts.figure.after(this.box);
  }

  opener(node) {
    return this.stage.parts.nodes.querySelector(`[data-node="${node}"] .open`);
  }

  /** Shows the settings of `node`; the one that is shown already is put away. */
  choose(node) {
    if (node === this.node) return this.close();
    this.opener(this.node)?.removeAttribute("aria-expanded");
    this.node = node;
    this.rows.clear();
    this.list.replaceChildren();
    this.box.hidden = false;
    this.opener(node)?.setAttribute("aria-expanded", "true");
    this.refresh();
    this.box.focus({ preventScroll: true });
    return this.box.scrollIntoView({ block: "nearest" });
  }

  /** Puts the sheet away; who was in it goes back to the node, or to the figure when that is gone. */
  close() {
    const within = this.box.contains(document.activeElement);
    const opener = this.opener(this.node);
    opener?.removeAttribute("aria-expanded");
    this.node = 0;
    this.box.hidden = true;
    if (within) (opener ?? this.stage.parts.figure).focus({ preventScroll: true });
  }

  refresh() {
    if (!this.node) return;
    const { stage } = this;
    const node = stage.shownScene.nodes.get(this.node);
    if (!node) {
      this.close();
      return;
    }
    const { facts, rows } = this.rowsOf(node);
    const head = node.name || "default exchange";
    this.box.setAttribute("aria-label", `Settings of ${head}`);
    write(this.head, head);
    write(this.facts, facts);
    const why = !stage.session?.steers ? VIEWERS : stage.shownScene.ended ? OVER : "";
    write(this.why, why);
    this.why.hidden = !why;
    this.fill(rows, Boolean(why));
  }

  /**
   * Facts and rows of `node` now. Where there are two systems, its settings or its kind say of which it is.
   */
  rowsOf(node) {
    const { stage, tables } = this;
    const { kafka, rabbitmq } = tables;
    const own = isKafkas(settingsOf(stage, node)) || !(rabbitmq && node.kind in rabbitmq);
    const table = kafka && own ? kafka : rabbitmq;
    return table[node.kind]?.(node, stage.shownScene, stage) ?? { facts: "", rows: [] };
  }

  /** Rows that stay keep their elements, so that focus and what is being written stay. */
  fill(rows, barred) {
    const wanted = new Map(rows.map((row) => [row.label, row]));
    for (const [label, known] of this.rows)
      if (!wanted.has(label)) {
        known.element.remove();
        this.rows.delete(label);
      }
    rows.forEach((row, i) => {
      const shape = JSON.stringify(
        row.controls.map((control) => [control.text, control.input, control.options]),
      );
      let known = this.rows.get(row.label);
      if (known?.shape !== shape) known = this.build(row, shape, known);
      if (this.list.children[i] !== known.element)
        this.list.insertBefore(known.element, this.list.children[i] ?? null);
      write(known.says, row.says);
      row.controls.forEach((control, at) => adjust(known.controls[at], control, barred));
    });
  }

  build(row, shape, old) {
    const element = make("div", "row");
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", row.label);
    const says = make("p", "says");
    const controls = row.controls.map((control) => this.control(control, element));
    const box = make("div", "controls");
    box.append(...controls.map((each) => each.closest("label") ?? each));
    const label = make("span", "label", row.label);
    label.setAttribute("aria-hidden", "true");
    element.append(label, box, says);
    const focused = old?.controls.indexOf(document.activeElement) ?? -1;
    old?.element.replaceWith(element);
    if (focused >= 0) (controls[focused] ?? controls[controls.length - 1])?.focus();
    const known = { element, says, controls, shape };
    this.rows.set(row.label, known);
    return known;
  }

  control(control, row) {
    if (control.input || control.options) return field(control);
    const button = Object.assign(make("button", "", control.text), { type: "button" });
    button.addEventListener("click", () => {
      const said = Object.fromEntries(
        [...row.querySelectorAll("[name]")].map((each) => [each.name, each.value.trim()]),
      );
      const command = typeof button.does === "function" ? button.does(said) : button.does;
      if (command) this.stage.session.command(...command, this.box);
    });
    return button;
  }
}

/** An input, or a choice among `options`, with its words before it. */
function field({ text, input, options, value }) {
  const label = make("label", "", text);
  const element = make(options ? "select" : "input");
  element.name = input;
  if (options) element.append(...options.map((option) => make("option", "", option)));
  else
    Object.assign(element, {
      type: "text",
      maxLength: 255,
      value: value ?? "",
      autocomplete: "off",
      spellcheck: false,
    });
  label.append(element);
  return element;
}

function adjust(element, { command, pressed, off }, barred) {
  if (command) element.does = command;
  const disabled = barred || Boolean(off);
  if (element.disabled !== disabled) element.disabled = disabled;
  if (pressed !== undefined && element.getAttribute("aria-pressed") !== String(pressed))
    element.setAttribute("aria-pressed", String(pressed));
}

function make(tag, klass = "", text = "") {
  const element = document.createElement(tag);
  if (klass) element.className = klass;
  if (text) element.textContent = text;
  return element;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
