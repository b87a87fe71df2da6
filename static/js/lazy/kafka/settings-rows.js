// What can be changed of each kind of node of a cluster, in Kafka's words with what follows from it, and the
// command for it. Pure.

import { isShared } from "mailroom/kafka/fold.js";
import { settingsOf } from "mailroom/lazy/faults.js";
import { assignorsFor, brokerOf, isOpen, partitionsOf } from "mailroom/lazy/kafka/faults.js";
import { shareGroupRows, shareMemberRows } from "mailroom/lazy/kafka/share-rows.js";
import {
  LINKS,
  STATES,
  act,
  alive,
  choice,
  makingRows,
  networkRow,
  othersRow,
  workRows,
} from "mailroom/lazy/settings-parts.js";

export const ROWS = {
  consumer: memberRows,
  producer: producerRows,
  broker: brokerRows,
  topic: topicRows,
  partition: partitionRows,
  group: groupRows,
};

/** A whole number that was written, undefined where it is none. */
const whole = (text) => (/^[+-]?\d{1,7}$/.test(text) ? Number(text) : undefined);

// -- members ------------------------------------------------------------------------------------

const COMMITS = {
  automatic: "enable.auto.commit: a later poll commits what earlier ones returned, worked or not.",
  "after work": "A crash before the commit has the work done again: nothing is lost, some may be done twice.",
  "before work": "A crash after the commit loses what was in hand: nothing is done twice.",
};

function memberRows(node, scene, stage) {
  const consumer = node.name;
  const set = settingsOf(stage, node);
  if (set.acquire) return shareMemberRows(node, set);
  const paused = node.state === "paused";
  const link = LINKS[node.link] ?? "";
  const refused = node.about.startsWith("refused") ? `, ${node.about}` : "";
  return {
    facts: `Member of ${set.group}, ${set.isolation}, ${STATES[node.state]}${link}${refused}.`,
    rows: [
      {
        label: "Commits",
        says: COMMITS[set.acknowledge],
        controls: choice(
          Object.keys(COMMITS),
          set.acknowledge,
          (word) => word,
          (acknowledge) => ["SetAcknowledge", { consumer, acknowledge }],
        ),
      },
      ...workRows(consumer, set, node, "its partitions lag"),
      ...outputRows(node, set, stage),
      {
        label: "Seek",
        says: "It reads on from there after its poll. Nothing is committed by that alone.",
        controls: [
          act("to the beginning", ["Seek", { consumer, to: "earliest" }], node.state === "crashed"),
          act("to the end", ["Seek", { consumer, to: "latest" }], node.state === "crashed"),
        ],
      },
      {
        label: "Process",
        says: paused
          ? "It sends no heartbeats: past its session timeout the group goes on without it."
          : "To stop is to leave the group; a crash is noticed by the session timeout only.",
        controls: [
          act("Stop", ["StopConsumer", { consumer }], !alive(node)),
          act("Crash it", ["CrashConsumer", { consumer }], !alive(node)),
          act("Start again", ["RestartConsumer", { consumer }], alive(node)),
          act(
            paused ? "Go on" : "Pause it",
            [paused ? "ResumeConsumer" : "PauseConsumer", { consumer }],
            !alive(node),
          ),
        ],
      },
      networkRow(node, "commit"),
      {
        label: "Members",
        says: "A group shares partitions out: more members than partitions have nothing to do.",
        controls: [
          act("Add another like it", ["AddConsumer", { like: consumer }]),
          act("Remove it", ["RemoveConsumer", { consumer }]),
        ],
      },
    ],
  };
}

/** Of a member that produces of what it reads. */
function outputRows(node, { topic, transactional_id: id }, stage) {
  if (!topic) return [];
  const abort = act(
    "Abort",
    ["AbortTransaction", { producer: node.name }],
    !isOpen(stage, node) || !alive(node),
  );
  return [
    {
      label: "Produces",
      says: id
        ? `To ${topic}, in the same transaction as the offsets of what it read: both count, or neither does.`
        : `To ${topic}. It commits what it read after that: a crash in between has it produced again.`,
      controls: id ? [abort] : [],
    },
  ];
}

function groupRows(node, scene, stage) {
  if (isShared(scene, node.node)) return shareGroupRows(node, scene);
  const { system, name: group } = node;
  const known = scene.groups.get(node.node);
  const members = known?.members.size ?? 0;
  const { now, lists } = assignorsFor(stage, node);
  const seek = (to, more = {}) => ["SeekGroup", { system, group, to, ...more }];
  const seeks = members
    ? "Refused while the group is active: stop its members first."
    : "Where its members will begin when they are back.";
  return {
    facts: `Consumer group, ${known?.state ?? "Empty"}: ${members} ${members === 1 ? "member" : "members"}.`,
    rows: [
      {
        label: "Assignor",
        says: "Members restart one after the other; those with none in common are refused.",
        controls: choice(
          lists.map((list) => list.join(", ")),
          now.join(", "),
          (text) => text,
          (text) => ["SetAssignors", { system, group, assignors: text.split(", ") }],
        ),
      },
      {
        label: "Reset offsets",
        says: seeks,
        controls: [act("to earliest", seek("earliest")), act("to latest", seek("latest"))],
      },
      {
        label: "Reset to an offset",
        says: "In every partition; what lies outside of a log becomes its nearest end.",
        controls: [
          { text: "offset", input: "offset", value: "0" },
          act(
            "Reset",
            ({ offset }) => whole(offset) !== undefined && seek("offset", { offset: whole(offset) }),
          ),
        ],
      },
      {
        label: "Shift",
        says: "By so many records from what is committed, back with a minus.",
        controls: [
          { text: "by", input: "by", value: "-10" },
          act("Shift", ({ by }) => whole(by) !== undefined && seek("shift", { by: whole(by) })),
        ],
      },
      {
        label: "Reset to a time",
        says: "The first record that was written then or later.",
        controls: [
          { text: "seconds", input: "seconds", value: "0" },
          act(
            "Go there",
            ({ seconds }) => whole(seconds) >= 0 && seek("datetime", { time_us: whole(seconds) * 1e6 }),
          ),
        ],
      },
    ],
  };
}

// -- producers ----------------------------------------------------------------------------------

const RATES = [30, 60, 300, 600, 1200];

function producerRows(node, scene, stage) {
  const producer = node.name;
  const set = settingsOf(stage, node);
  const on = set.idempotence;
  return {
    facts:
      `Producer to ${set.topic}, acks=${set.acks}, ` +
      `${STATES[node.state]}${LINKS[node.link] ?? ""}: ${node.about}.`,
    rows: [
      ...makingRows(node, stage, RATES),
      {
        label: "Idempotence",
        says: on
          ? "Batches are numbered: one that is sent again is written once."
          : "Batches have no numbers: one whose answer is lost is written twice.",
        controls: ["on", "off"].map((word) => ({
          text: word,
          pressed: (word === "on") === on,
          off: set.acks !== "all" || set.transactional_id !== "",
          command: ["SetIdempotence", { producer, on: word === "on" }],
        })),
      },
      {
        label: "Process",
        says: "A producer that dies takes along what it had not sent.",
        controls: [
          act("Crash it", ["CrashProducer", { producer }], !alive(node)),
          act("Start again", ["RestartProducer", { producer }], node.state !== "crashed"),
        ],
      },
      ...transactionRows(node, set, stage),
      networkRow(node, "answer"),
      othersRow(node),
    ],
  };
}

function transactionRows(node, set, stage) {
  const producer = node.name;
  const open = isOpen(stage, node);
  return set.transactional_id
    ? [
        {
          label: "Transaction",
          says: open
            ? "Open: read_committed consumers stop before its first record."
            : "None is open that anything was written into.",
          controls: [
            act("Begin", ["BeginTransaction", { producer }], open || !alive(node)),
            act("Commit", ["CommitTransaction", { producer }], !open || !alive(node)),
            act("Abort", ["AbortTransaction", { producer }], !open || !alive(node)),
          ],
        },
      ]
    : [];
}

// -- the cluster --------------------------------------------------------------------------------

function brokerRows(node, scene) {
  const broker = brokerOf(node);
  const leads = [...scene.logs.values()].filter((log) => log.leader === node.node).length;
  const hung = node.state === "paused";
  return {
    facts:
      `Broker, ${hung ? "hangs" : STATES[node.state]}: ` +
      `leads ${leads} ${leads === 1 ? "partition" : "partitions"}.`,
    rows: [
      {
        label: "Process",
        says: "A broker that stops in order hands leadership over; one that is killed is missed.",
        controls: [
          act("Kill it", ["KillBroker", broker], !alive(node)),
          act("Stop it", ["StopBroker", broker], !alive(node)),
          act("Start again", ["StartBroker", broker], alive(node)),
        ],
      },
      {
        label: "Followers",
        says: "Followers that fetch nothing fall out of sync after replica.lag.time.max.ms.",
        controls: [
          act("Hang", ["HangBroker", broker], !alive(node) || hung),
          act("Go on", ["ResumeBroker", broker], !hung),
        ],
      },
    ],
  };
}

function topicRows(node, scene) {
  const { system, name: topic } = node;
  const count = partitionsOf(scene, node);
  return {
    facts: `Topic of ${count} ${count === 1 ? "partition" : "partitions"}.`,
    rows: [
      {
        label: "Partitions",
        says: "They only become more. Records stay where they are; new ones of a key may go elsewhere.",
        controls: [act("Add one", ["AddPartitions", { system, topic, count: count + 1 }])],
      },
    ],
  };
}

function partitionRows(node, scene) {
  const log = scene.logs.get(node.node);
  const topic = scene.nodes.get(log.topic);
  const leader = scene.nodes.get(log.leader);
  const { rows } = topicRows(topic, scene);
  return {
    facts:
      `Partition of ${topic.name}, ${leader ? `led by ${leader.name}` : "without a leader"}: ` +
      `[${log.start}, ${log.end}).`,
    rows,
  };
}
