// What can be broken of a cluster beside what every stage has: the palette learns its targets and gets its
// buttons.

import { isShared } from "mailroom/kafka/fold.js";
import { isKafkas, settingsOf, up } from "mailroom/lazy/faults.js";
import "mailroom/lazy/kafka/sayings-commands.js";

const always = () => true;
/** A share group has no offsets, and but one assignor. */
const hasOffsets = (node, stage) => !isShared(stage.shownScene, node.node);
const isMember = (node, stage) => isKafkas(settingsOf(stage, node));

/** A broker's number, which is in its name: "broker 2". */
export const brokerOf = ({ system, name }) => ({ system, broker: Number(name.split(" ").at(-1)) });

/** How many partitions a topic has. */
export const partitionsOf = (scene, topic) =>
  [...scene.logs.values()].filter((log) => log.topic === topic.node).length;

/** The lists of assignors that a group's members may be given: those of the protocol that they speak. */
export function assignorsFor(stage, group) {
  const member = [...stage.shownScene.nodes.values()].find(
    (node) =>
      node.kind === "consumer" &&
      node.system === group.system &&
      settingsOf(stage, node)?.group === group.name,
  );
  const set = member && settingsOf(stage, member);
  if (set?.protocol === "consumer") return { now: set.assignors, lists: [["uniform"], ["range"]] };
  const lists = [
    ["range"],
    ["roundrobin"],
    ["sticky"],
    ["cooperative-sticky"],
    ["range", "cooperative-sticky"],
  ];
  return { now: set?.assignors ?? [], lists };
}

const MORE = {
  pause: {
    label: "Pause member",
    icon: "M6.5 4v12M13.5 4v12",
    kinds: ["consumer"],
    may: (n, stage) => up(n) && isMember(n, stage),
    on: (n) => n.state === "paused",
    undo: "go on",
    command: (n) => [n.state === "paused" ? "ResumeConsumer" : "PauseConsumer", { consumer: n.name }],
  },
  broker: {
    label: "Kill broker",
    icon: "M3 5h14v10H3zM6 8l8 4M14 8l-8 4",
    kinds: ["broker"],
    may: always,
    on: (n) => !up(n),
    undo: "start again",
    command: (n) => [up(n) ? "KillBroker" : "StartBroker", brokerOf(n)],
  },
  partition: {
    label: "Add partition",
    icon: "M2 5h16M2 10h16M6 15h8M10 12v6",
    kinds: ["topic"],
    may: always,
    command: ({ system, name: topic, node }, stage) => [
      "AddPartitions",
      { system, topic, count: partitionsOf(stage.shownScene, { node }) + 1 },
    ],
  },
  assignor: {
    label: "Change assignor",
    icon: "M3 6h10l-3-3M17 14H7l3 3",
    kinds: ["group"],
    may: hasOffsets,
    choices(group, stage) {
      const { now, lists } = assignorsFor(stage, group);
      return lists
        .filter((list) => String(list) !== String(now))
        .map((assignors) => [
          `${group.name}: ${assignors.join(", ")}`,
          ["SetAssignors", { system: group.system, group: group.name, assignors }],
        ]);
    },
  },
  seek: {
    label: "Seek group",
    icon: "M10 4L4 10l6 6M17 4l-6 6 6 6",
    kinds: ["group"],
    may: hasOffsets,
    choices: ({ system, name: group }) =>
      ["earliest", "latest"].map((to) => [`${group}: to ${to}`, ["SeekGroup", { system, group, to }]]),
  },
  idempotence: {
    label: "Idempotence off",
    icon: "M4 7h12M4 13h12M13 3L7 17",
    kinds: ["producer"],
    may(n, stage) {
      const set = settingsOf(stage, n);
      return isKafkas(set) && set.acks === "all" && !set.transactional_id;
    },
    choices(node, stage) {
      const { idempotence } = settingsOf(stage, node);
      const text = idempotence ? node.name : `${node.name}: on again`;
      return [[text, ["SetIdempotence", { producer: node.name, on: !idempotence }]]];
    },
  },
};

/** What a share group's member says of the record that it works on, or acquires next. */
const refusal = (command, icon) => ({
  label: command.replace("Next", " next"),
  icon,
  kinds: ["consumer"],
  may: (n, stage) =>
    up(n) && settingsOf(stage, n)?.acquire && settingsOf(stage, n).acknowledge === "explicit",
  command: (n) => [command, { consumer: n.name }],
});
const REFUSALS = {
  reject: refusal("RejectNext", "M3 7h14v10H3zM7 10l6 4M13 10l-6 4M10 1v4"),
  release: refusal("ReleaseNext", "M3 9h14v8H3zM10 13V2M6 6l4-4 4 4"),
};

/** Only where a producer writes in transactions; a member that does begins and ends them by itself. */
const TRANSACTION = {
  label: "Transaction",
  icon: "M7 3H4v14h3M13 3h3v14h-3M7 10h6",
  kinds: ["producer", "consumer"],
  may: (n, stage) =>
    up(n) && Boolean(settingsOf(stage, n)?.transactional_id) && (n.kind === "producer" || isOpen(stage, n)),
  choices: (node, stage) =>
    endsOf(stage, node).map((word) => [
      `${node.name}: ${word.toLowerCase()}`,
      [`${word}Transaction`, { producer: node.name }],
    ]),
};

/** A member begins and commits its transactions by itself: people can only have it abort one. */
function endsOf(stage, node) {
  if (node.kind === "consumer") return ["Abort"];
  return isOpen(stage, node) ? ["Commit", "Abort"] : ["Begin"];
}

/** Whether the coordinator knows that the producer has written into a transaction which is not over. */
export const isOpen = (stage, node) =>
  stage.shownScene.transactions.get(settingsOf(stage, node)?.transactional_id)?.state === "Ongoing";

/** Adds to `faults`, by name, and to the group of buttons. */
export function furnishKafkaFaults(stage, faults) {
  const { crash, restart, drop } = faults;
  drop.kinds.push("producer");
  for (const [fault, kafkas] of [
    [crash, (n) => ["CrashProducer", { producer: n.name }]],
    [restart, (n) => ["RestartProducer", { producer: n.name }]],
  ]) {
    const { command } = fault;
    fault.kinds.push("producer");
    fault.command = (n) => (n.kind === "producer" ? kafkas(n) : command(n));
  }
  const { assignor, seek, ...always_ } = MORE;
  const { workers } = stage.dataset;
  const byHand = Object.values(JSON.parse(workers || "{}")).some((set) => set.acks && set.transactional_id);
  const more = {
    ...always_,
    ...(!/"acquire":/.test(workers) || /"protocol":/.test(workers) ? { assignor, seek } : {}),
    ...(/"acquire":/.test(workers) ? REFUSALS : {}),
    ...(byHand ? { transaction: TRANSACTION } : {}),
  };
  Object.assign(faults, more);
  stage.parts.faults.append(...Object.entries(more).map(button));
}

function button([name, { label, icon }]) {
  const made = Object.assign(document.createElement("button"), { type: "button", disabled: true });
  made.dataset.fault = name;
  const namespace = "http://www.w3.org/2000/svg";
  const [svg, path] = ["svg", "path"].map((tag) => document.createElementNS(namespace, tag));
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", icon);
  svg.append(path);
  made.append(svg, label);
  return made;
}
