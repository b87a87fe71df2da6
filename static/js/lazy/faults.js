// Break it: press a fault, choose its target; one possible target is taken at once.

/** What events have said that a client does, or its scenario while none has. */
export function settingsOf(stage, node) {
  stage.workers ??= JSON.parse(stage.dataset.workers || "{}");
  return node.settings ?? stage.workers[node.name] ?? null;
}

/** Whether these are the settings of a client of Kafka: a member of a group, or a producer. */
export const isKafkas = (set) => Boolean(set && ["protocol", "acks", "acquire"].some((one) => one in set));

export const up = (node) => node.state !== "crashed" && node.state !== "stopped";

/**
 * kinds of nodes, which of them are possible, and the command for one; `undo` names the way back. Or
 * `choices`, which has what can be chosen of one node as [words, command].
 */
const FAULTS = {
  crash: { kinds: ["consumer"], may: up, command: (n) => ["CrashConsumer", { consumer: n.name }] },
  restart: {
    kinds: ["consumer"],
    may: (n) => !up(n),
    command: (n) => ["RestartConsumer", { consumer: n.name }],
  },
  slow: {
    kinds: ["consumer"],
    may: up,
    on: (n) => n.state === "slow",
    undo: "normal speed",
    command: (n) => ["SlowConsumer", { consumer: n.name, factor: n.state === "slow" ? 1000 : 3000 }],
  },
  poison: { kinds: ["producer"], may: up, command: (n) => ["PoisonNext", { producer: n.name }] },
  drop: { kinds: ["consumer"], may: up, command: (n) => ["DropNextAck", { actor: n.name }] },
  cut: {
    kinds: ["consumer", "producer"],
    may: up,
    on: (n) => n.link !== "up",
    undo: "mend",
    command: (n) => [n.link === "up" ? "CutLink" : "RestoreLink", { actor: n.name }],
  },
};

export function furnishFaults(stage) {
  const { faults, targets } = stage.parts;
  if (/\bkafka\b/.test(stage.dataset.systems))
    import("mailroom/lazy/kafka/faults.js").then(({ furnishKafkaFaults }) => {
      furnishKafkaFaults(stage, FAULTS);
      refresh();
    });
  let chosen = null;
  const choose = (name) => {
    chosen = name;
    offer(stage, targets, chosen, done);
    for (const button of faults.querySelectorAll("[data-fault]"))
      button.setAttribute("aria-pressed", String(button.dataset.fault === chosen));
  };
  const done = (command) => {
    const pressed = faults.querySelector(`[data-fault="${chosen}"]`);
    if (command) stage.session.command(...command);
    choose(null);
    pressed.focus();
  };
  faults.addEventListener("click", (event) => {
    const button = event.target.closest("[data-fault]");
    if (!button) return;
    const name = button.dataset.fault;
    const possible = choicesOf(stage, name);
    if (chosen === name || !possible.length) return choose(null);
    choose(name);
    if (possible.length === 1) done(possible[0][1]);
    else targets.querySelector("button")?.focus();
    return undefined;
  });
  targets.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    done(null);
  });
  const refresh = () => enable(stage, faults);
  stage.addEventListener("change", refresh);
  stage.addEventListener("transport", refresh);
}

function targetsOf(stage, name) {
  const fault = FAULTS[name];
  return [...stage.shownScene.nodes.values()].filter(
    (node) => fault.kinds.includes(node.kind) && fault.may(node, stage),
  );
}

/** [words, command] of each target, or of what can be chosen of each. */
function choicesOf(stage, name) {
  const fault = FAULTS[name];
  const word = (node) => (fault.on?.(node) ? `${node.name}: ${fault.undo}` : node.name);
  return targetsOf(stage, name).flatMap(
    (node) => fault.choices?.(node, stage) ?? [[word(node), fault.command(node, stage)]],
  );
}

/** Buttons for the possible targets; none when nothing is chosen. */
function offer(stage, box, name, done) {
  box.hidden = !name;
  if (!name) return box.replaceChildren();
  const head = document.createElement("span");
  head.className = "targets-head";
  head.textContent = "Which one?";
  const make = (text, act, klass = "") => {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: text, className: klass });
    button.addEventListener("click", act);
    return button;
  };
  const buttons = choicesOf(stage, name).map(([text, command]) => make(text, () => done(command)));
  box.setAttribute("aria-label", `Targets of ${FAULTS[name].label ?? name}`);
  return box.replaceChildren(
    head,
    ...buttons,
    make("Never mind", () => done(null), "never-mind"),
  );
}

function enable(stage, faults) {
  const allowed = stage.session?.steers && !stage.shownScene.ended;
  for (const button of faults.querySelectorAll("[data-fault]")) {
    const off = !allowed || !targetsOf(stage, button.dataset.fault).length;
    if (button.disabled !== off) button.disabled = off;
  }
}
