// What can be changed of a share group's member, and what is known of the group, in Kafka's words. Pure.

import { LINKS, STATES, act, alive, choice, networkRow, workRows } from "mailroom/lazy/settings-parts.js";

const ACKNOWLEDGES = {
  implicit:
    "Its next poll accepts all that this one returned, also what the handler failed on: that is lost.",
  explicit: "It says of each record what became of it, with its next poll.",
};
const FAILED = {
  release: "A failed record is available again, to any member, until the delivery limit is reached.",
  reject: "A failed record is archived at once, and not delivered again.",
};
const MOST = [1, 5, 50, 500];

export function shareMemberRows(node, set) {
  const consumer = node.name;
  const isExplicit = set.acknowledge === "explicit";
  const sharing = (change) => ["SetShareMember", { consumer, ...change }];
  return {
    facts:
      `Member of share group ${set.group}, ${set.acquire}, ` +
      `${STATES[node.state]}${LINKS[node.link] ?? ""}.`,
    rows: [
      {
        label: "Acknowledges",
        says: ACKNOWLEDGES[set.acknowledge],
        controls: choice(
          Object.keys(ACKNOWLEDGES),
          set.acknowledge,
          (word) => word,
          (acknowledge) => sharing({ acknowledge }),
        ),
      },
      {
        label: "What it failed on",
        says: isExplicit ? FAILED[set.failed] : "Only an explicit acknowledgement can say so.",
        controls: choice(
          Object.keys(FAILED),
          isExplicit ? set.failed : undefined,
          (word) => word,
          (failed) => sharing({ failed }),
        ).map((control) => ({ ...control, off: !isExplicit })),
      },
      {
        label: "Next record",
        says: isExplicit
          ? "It does not work on the record that it finishes next, and says this of it."
          : "Who accepts implicitly can say nothing else.",
        controls: [
          act("Reject next", ["RejectNext", { consumer }], !isExplicit || !alive(node)),
          act("Release next", ["ReleaseNext", { consumer }], !isExplicit || !alive(node)),
        ],
      },
      {
        label: "Takes at most",
        says:
          set.acquire === "record_limit"
            ? "max.poll.records: so many it acquires at once, and no other member gets these."
            : "max.poll.records: whole batches of a producer until so many are reached or passed.",
        controls: choice(MOST, set.max_poll_records, String, (max_poll_records) =>
          sharing({ max_poll_records }),
        ),
      },
      ...workRows(consumer, set, node, "others take what it does not"),
      {
        label: "Process",
        says: "What a crashed one had is available at once; who hangs has it until the locks run out.",
        controls: [
          act("Stop", ["StopConsumer", { consumer }], !alive(node)),
          act("Crash it", ["CrashConsumer", { consumer }], !alive(node)),
          act("Start again", ["RestartConsumer", { consumer }], alive(node)),
          act(
            node.state === "paused" ? "Go on" : "Pause it",
            [node.state === "paused" ? "ResumeConsumer" : "PauseConsumer", { consumer }],
            !alive(node),
          ),
        ],
      },
      networkRow(node, "acknowledgement"),
      {
        label: "Members",
        says: "Several read one partition: more members than partitions all have work.",
        controls: [
          act("Add another like it", ["AddConsumer", { like: consumer }]),
          act("Remove it", ["RemoveConsumer", { consumer }]),
        ],
      },
    ],
  };
}

export function shareGroupRows(node, scene) {
  const shares = [...scene.shares.values()].filter((share) => share.group === node.node);
  const held = shares
    .flatMap((share) => [...share.records.values()])
    .filter(({ state }) => state === "ACQUIRED").length;
  const known = scene.groups.get(node.node);
  const members = known?.members.size ?? 0;
  return {
    facts:
      `Share group, ${known?.state ?? "Empty"}: ${members} ${members === 1 ? "member" : "members"}, ` +
      `${held} ${held === 1 ? "record" : "records"} acquired. It commits no offsets.`,
    rows: [],
  };
}
