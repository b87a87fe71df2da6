// What the rows of settings have in common, whatever system a node is of. Pure.

/** Buttons of which one is pressed; a number `now` that is none of `values` takes its place among them. */
export function choice(values, now, words, command) {
  const at = values.findIndex((value) => value > now || value === 0);
  const all =
    now === undefined || values.includes(now)
      ? values
      : values.toSpliced(at < 0 ? values.length : at, 0, now);
  return all.map((value) => ({ text: words(value), pressed: value === now, command: command(value) }));
}

export const act = (text, command, off = false) => ({ text, command, off });

export const seconds = (us) => (us < 1e6 ? `${us / 1e3} ms` : `${us / 1e6} s`);

export const named = (scene, test) => [...scene.nodes.values()].filter(test);

export const STATES = {
  up: "at work",
  slow: "slow",
  crashed: "crashed",
  stopped: "stopped",
  connecting: "connecting",
  paused: "paused",
};
export const LINKS = { cut: ", network cut", closed: ", disconnected" };
export const alive = (node) => node.state !== "crashed" && node.state !== "stopped";

export const KEEPS = {
  "": ["nothing", "A message that comes again has its effect again."],
  "with the effect": [
    "in one step with its effect",
    "A message that comes again is recognised: its effect happens once.",
  ],
  "check then act": [
    "asks first, notes at the end",
    "Two workers at once, or a crash before the note, can still do it twice.",
  ],
};
export const WORK_US = [250_000, 500_000, 1_000_000, 2_000_000, 5_000_000];

export function networkRow(node, what) {
  const actor = node.name;
  return {
    label: "Network",
    says:
      node.link === "up"
        ? "Once a cut has lasted a heartbeat, both sides give the connection up."
        : "Nothing gets through until it is mended.",
    controls: [
      act("Cut", ["CutLink", { actor }], node.link !== "up"),
      act("Mend", ["RestoreLink", { actor }], node.link === "up"),
      act(`Lose the next ${what}`, ["DropNextAck", { actor }]),
    ],
  };
}

// -- producers ----------------------------------------------------------------------------------

export const RATES = [6, 30, 60, 120, 300];
export const KEYS_MAX = 6;

/** How a producer's own note says that it makes so many a minute, evenly or by chance. */
export const saysRate = (rate) => [
  `every ${seconds(60e6 / rate)}`,
  `≈ ${Number((rate / 60).toPrecision(6))}/s`,
];

/** How often a producer makes messages, of which keys one more, and whether the next is poison. */
export function makingRows(node, stage, rates) {
  const producer = node.name;
  const now = rates.find((rate) => saysRate(rate).includes(node.about));
  const paused = node.state === "paused";
  const publish = (text, key) => act(text, ["PublishNow", { producer, key }], node.state !== "up" && !paused);
  return [
    {
      label: "Messages a minute",
      says: `Now ${node.about}.`,
      controls: [
        ...choice(rates, now, String, (per_minute) => ["SetRate", { producer, per_minute }]),
        act(
          paused ? "Go on" : "Pause",
          [paused ? "ResumeProducer" : "PauseProducer", { producer }],
          !alive(node),
        ),
      ],
    },
    {
      label: "Publish one now",
      says: "One more message at once, beside those that it makes anyway.",
      controls: [
        publish("with its own next key", ""),
        ...stage.kinds.slice(0, KEYS_MAX).map((key) => publish(key, key)),
      ],
    },
    {
      label: "Poison",
      says: "Every worker fails at such a message, however often it comes.",
      controls: [act("Poison the next one", ["PoisonNext", { producer }], !alive(node))],
    },
  ];
}

export const othersRow = ({ name: producer }) => ({
  label: "Producers",
  says: "Another one makes messages of its own, at the same rate.",
  controls: [
    act("Add another like it", ["AddProducer", { like: producer }]),
    act("Remove it", ["RemoveProducer", { producer }]),
  ],
});

/** How fast a worker works, and what it remembers of what it has done. */
export function workRows(consumer, set, node, slowly) {
  return [
    {
      label: "Work",
      says: "How long it works on each, from the next message on.",
      controls: choice(WORK_US, set.work_us, seconds, (constant_us) => [
        "SetWork",
        { consumer, constant_us },
      ]),
    },
    {
      label: "Speed",
      says:
        node.state === "slow" ? `The same work takes longer: ${slowly}.` : "It works at its normal speed.",
      controls: choice(
        ["normal", "three times slower"],
        node.state === "slow" ? "three times slower" : "normal",
        (word) => word,
        (word) => ["SlowConsumer", { consumer, factor: word === "normal" ? 1000 : 3000 }],
      ),
    },
    {
      label: "Remembers",
      says: KEEPS[set.keep][1],
      controls: choice(
        Object.keys(KEEPS),
        set.keep,
        (keep) => KEEPS[keep][0],
        (keep) => ["SetIdempotency", { consumer, keep: keep || "none" }],
      ),
    },
  ];
}
