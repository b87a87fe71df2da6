// What can be changed of each kind of node of RabbitMQ, in plain words with what follows from it, and the
// command for it. Pure.

import { settingsOf } from "mailroom/lazy/faults.js";
import {
  LINKS,
  RATES,
  STATES,
  act,
  alive,
  choice,
  makingRows,
  named,
  networkRow,
  othersRow,
  seconds,
  workRows,
} from "mailroom/lazy/settings-parts.js";

export const ROWS = {
  consumer: consumerRows,
  producer: producerRows,
  queue: queueRows,
  exchange: exchangeRows,
};

// -- consumers ----------------------------------------------------------------------------------

const ACKNOWLEDGES = {
  "after work": "A crash at work gives the message back: nothing is lost, but it may be done twice.",
  "before work": "A crash at work loses the message: it is never done twice.",
  automatic:
    "The broker forgets each message as it sends it: a crash or a cut loses what is on its way or at work.",
};
const PREFETCHES = [1, 2, 3, 5, 10, 0];

function consumerRows(node, scene, stage) {
  const set = settingsOf(stage, node);
  const consumer = node.name;
  const reads =
    named(scene, (other) => scene.wires.has(`${other.node} ${node.node} `))[0] ??
    scene.nodes.get(set?.queue) ??
    named(scene, (other) => other.kind === "queue" && other.name === set?.reads)[0];
  const facts = `Consumer of ${reads?.name ?? "a queue"}, ${STATES[node.state]}${LINKS[node.link] ?? ""}.`;
  const rows = set ? [...takingRows(consumer, set, node), ...failingRows(consumer, set, reads, scene)] : [];
  return {
    facts,
    rows: [
      ...rows,
      ...processRows(node),
      {
        label: "Workers",
        says: "Workers of one queue share its messages: each message goes to one of them.",
        controls: [
          act("Add another like it", ["AddConsumer", { like: consumer }]),
          act("Remove it", ["RemoveConsumer", { consumer }]),
        ],
      },
    ],
  };
}

function takingRows(consumer, set, node) {
  const automatic = set.acknowledge === "automatic";
  const held = set.prefetch
    ? `The broker hands it no more than ${set.prefetch} that it has not acknowledged.`
    : "The broker hands it all that is ready, as fast as it comes.";
  return [
    {
      label: "Prefetch",
      says: automatic ? "Without acknowledgements no limit holds." : held,
      controls: choice(
        PREFETCHES,
        set.prefetch,
        (n) => (n ? String(n) : "no limit"),
        (prefetch) => ["SetPrefetch", { consumer, prefetch }],
      ),
    },
    {
      label: "Acknowledges",
      says: ACKNOWLEDGES[set.acknowledge],
      controls: choice(
        Object.keys(ACKNOWLEDGES),
        set.acknowledge,
        (word) => word,
        (acknowledge) => ["SetAcknowledge", { consumer, acknowledge }],
      ),
    },
    ...workRows(consumer, set, node, "its queue grows"),
  ];
}

const RETRIES = { requeue: "try again at once", discard: "give it up", republish: "try again later" };
const DELAYS_US = [500_000, 1_000_000, 2_000_000, 5_000_000];
const LIMITS = [2, 3, 5, 0];

/**
 * What it does after a failure. Each command says the whole policy: what is set now, with one thing changed.
 */
function failingRows(consumer, set, reads, scene) {
  const standing = (place) =>
    named(scene, (node) => node.stands_for === reads?.node && node.place === place)[0]?.name ?? "";
  const [later, dead] = [set.retry_queue || standing("waiting"), set.then || standing("dead")];
  const retry = (change) => {
    const to = {
      do: set.retry,
      queue: set.retry_queue,
      backoff: set.backoff,
      delay_us: set.delay_us,
      limit: set.limit || null,
      then: set.then,
      ...change,
    };
    if (to.do !== "republish") to.queue = "";
    if (!to.limit) to.then = "";
    return ["SetRetry", { consumer, ...to }];
  };
  const ways = Object.keys(RETRIES).filter((way) => way !== "republish" || later || set.retry === way);
  const rows = [
    {
      label: "After a failure",
      says: afterFailure(set, dead),
      controls: choice(
        ways,
        set.retry,
        (way) => RETRIES[way],
        (way) => retry({ do: way, queue: way === "republish" ? set.retry_queue || later : "" }),
      ),
    },
  ];
  if (set.retry === "republish" && set.retry_queue) {
    const doubles = set.backoff === "exponential";
    rows.push({
      label: "Waits",
      says: doubles ? "Twice as long before each further attempt." : "As long before each attempt.",
      controls: [
        ...choice(DELAYS_US, set.delay_us, seconds, (delay_us) => retry({ delay_us })),
        {
          text: "doubled each time",
          pressed: doubles,
          command: retry({ backoff: doubles ? "fixed" : "exponential" }),
        },
      ],
    });
  }
  if (set.retry !== "discard") {
    const end = set.then ? `it goes to ${set.then}` : "it is given up";
    rows.push({
      label: "Attempts",
      says: set.limit
        ? `After ${set.limit} attempts ${end}.`
        : "A message that always fails is tried for ever.",
      controls: choice(
        LIMITS,
        set.limit,
        (n) => (n ? String(n) : "no limit"),
        (limit) => retry({ limit: limit || null, then: set.limit ? set.then : dead }),
      ),
    });
    if (set.limit && dead)
      rows.push({
        label: "After the last",
        says: set.then
          ? "It publishes the message there and acknowledges it."
          : "The queue drops it, unless it has somewhere to send dead letters.",
        controls: choice(
          ["", dead],
          set.then,
          (queue) => (queue ? `publish it to ${queue}` : "give it up"),
          (then) => retry({ then }),
        ),
      });
  }
  return rows;
}

function afterFailure(set, dead) {
  if (set.retry === "requeue") return "It goes back to its place in the queue and is handed out again.";
  if (set.retry === "discard")
    return dead
      ? "The queue drops it, or hands it on as a dead letter."
      : "The queue drops it, unless it has somewhere to send dead letters.";
  return `It waits in ${set.retry_queue || "a retry queue"} and comes back by itself.`;
}

function processRows(node) {
  const consumer = node.name;
  return [
    {
      label: "Process",
      says: "To stop is to finish what it works on first; a crash finishes nothing.",
      controls: [
        act("Stop", ["StopConsumer", { consumer }], !alive(node)),
        act("Crash it", ["CrashConsumer", { consumer }], !alive(node)),
        act("Start again", ["RestartConsumer", { consumer }], alive(node)),
      ],
    },
    networkRow(node, "ack"),
  ];
}

// -- producers ----------------------------------------------------------------------------------

function producerRows(node, scene, stage) {
  const producer = node.name;
  return {
    facts: `Producer, ${STATES[node.state]}${LINKS[node.link] ?? ""}: ${node.about}.`,
    rows: [
      ...makingRows(node, stage, RATES),
      {
        label: "Process",
        says: "What it had not got confirmed a dead producer will not send again.",
        controls: [
          act("Crash it", ["CrashProducer", { producer }], !alive(node)),
          act("Start again", ["RestartProducer", { producer }], node.state !== "crashed"),
        ],
      },
      networkRow(node, "confirm"),
      othersRow(node),
    ],
  };
}

// -- queues and exchanges -----------------------------------------------------------------------

const COPIES = "A queue gets a copy of each message that fits a binding of its own.";

const bindingsOf = (scene, test) =>
  [...scene.wires.values()].filter(
    (wire) =>
      wire.kind === "binding" &&
      test(wire) &&
      scene.nodes.get(wire.source)?.name &&
      scene.nodes.get(wire.target)?.kind === "queue",
  );

const HEADER = /\s*("(?:[^"\\]|\\.)*"|[^,="]+?)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^,"]*?)\s*)?(?:,|$)/y;

/**
 * What a header is written as: a number, true or false, or text, in quotes where it could be taken for one of
 * those.
 */
function headerValue(written) {
  if (written === undefined) return null;
  return /^("|-?\d+$|true$|false$)/.test(written) ? JSON.parse(written) : written;
}

/** Arguments as they stand on a wire, `format=pdf, urgent, x-match=any`; null where that cannot be read. */
export function headersIn(text) {
  const found = {};
  for (HEADER.lastIndex = 0; HEADER.lastIndex < text.length;) {
    const [, name, value] = HEADER.exec(text) ?? [];
    if (!name) return null;
    found[String(headerValue(name))] = headerValue(value);
  }
  return found;
}

/** How a binding is named: by its key, or in front of a headers exchange by its arguments. */
const bindingBy = (exchange, text) =>
  exchange.exchange_type === "headers"
    ? { routing_key: "", arguments: headersIn(text) ?? {} }
    : { routing_key: text };

function unbind(scene, { source, target, label }, text) {
  const [exchange, queue] = [scene.nodes.get(source), scene.nodes.get(target)];
  return act(`${text}${label ? ` by ${label}` : ""}`, [
    "UnbindQueue",
    { system: queue.system, exchange: exchange.name, queue: queue.name, ...bindingBy(exchange, label) },
  ]);
}

function queueRows(node, scene) {
  const { system, name: queue } = node;
  const count = (zone) => scene.zones.get(node.node)?.[zone]?.keys.length ?? 0;
  const worker = named(
    scene,
    (other) => other.kind === "consumer" && scene.wires.has(`${node.node} ${other.node} `),
  )[0];
  const home = scene.nodes.get(node.stands_for);
  const exchanges = named(
    scene,
    (other) => other.kind === "exchange" && other.name && other.system === system,
  );
  const headers = exchanges.some((other) => other.exchange_type === "headers");
  const bound = bindingsOf(scene, (wire) => wire.target === node.node);
  const rows = [
    {
      label: "Workers",
      says: worker
        ? "One more shares its messages with those that it has."
        : "Nobody reads it: its messages wait.",
      controls: [act("Add a worker", ["AddConsumer", worker ? { like: worker.name } : { queue, system }])],
    },
    {
      label: "Messages",
      says: home
        ? `Redrive publishes what is ready to ${home.name} again.`
        : "What is ready is gone for good; what workers hold stays.",
      controls: [
        act("Empty it", ["PurgeQueue", { system, queue }], !count("ready")),
        ...(home
          ? [act(`Redrive to ${home.name}`, ["Redrive", { system, queue, to: home.name }], !count("ready"))]
          : []),
      ],
    },
  ];
  if (bound.length)
    rows.push({
      label: "Bindings",
      says: COPIES,
      controls: bound.map((wire) => unbind(scene, wire, `Unbind from ${scene.nodes.get(wire.source).name}`)),
    });
  if (exchanges.length) {
    rows.push({
      label: "Bind it",
      says: headers
        ? "A fanout exchange looks at no key; a headers exchange at headers, such as format=pdf, x-match=any."
        : "From then on; a fanout exchange looks at no key.",
      controls: [
        { text: "to", input: "exchange", options: exchanges.map((other) => other.name) },
        { text: headers ? "by key or headers" : "by key", input: "by" },
        act("Bind", ({ exchange, by }) => [
          "BindQueue",
          {
            system,
            queue,
            exchange,
            ...bindingBy(
              exchanges.find((other) => other.name === exchange),
              by,
            ),
          },
        ]),
      ],
    });
  }
  rows.push({
    label: "The queue",
    says: "Deleted, what is in it is dropped, and its workers find no queue until there is one of its name.",
    controls: [act("Delete it", ["DeleteQueue", { system, queue }])],
  });
  return {
    facts: `${node.about}: ${count("ready")} ready, ${count("unacked")} unacked.`.replace(/^./, (c) =>
      c.toUpperCase(),
    ),
    rows,
  };
}

function exchangeRows(node, scene) {
  const { system, name: exchange } = node;
  const bound = bindingsOf(scene, (wire) => wire.source === node.node);
  const taken = new Set(named(scene, (other) => other.kind === "queue").map((other) => other.name));
  const fresh = ["audit", "archive", "statistics"].find((word) => !taken.has(word)) ?? "";
  const fanout = node.exchange_type === "fanout";
  const headers = node.exchange_type === "headers";
  const rows = [
    {
      label: "New queue",
      says: headers
        ? "Bind it by headers afterwards, in its own settings."
        : "Adding a queue copies what comes; adding a worker to a queue splits it.",
      controls: [
        { text: "called", input: "queue", value: fresh },
        ...(fanout || headers ? [] : [{ text: "by key", input: "routing_key" }]),
        act(
          headers ? "Add" : "Add and bind",
          ({ queue, routing_key = "" }) =>
            queue && ["DeclareQueue", { system, queue, ...(headers ? {} : { exchange, routing_key }) }],
        ),
      ],
    },
  ];
  if (bound.length)
    rows.push({
      label: "Bindings",
      says: COPIES,
      controls: bound.map((wire) => unbind(scene, wire, `Unbind ${scene.nodes.get(wire.target).name}`)),
    });
  return {
    facts: `${node.about} exchange${fanout ? ": to every queue bound to it" : ""}.`.replace(/^./, (c) =>
      c.toUpperCase(),
    ),
    rows,
  };
}
