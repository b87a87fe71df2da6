// What a partition's log or a consumer holds, as rows of a table: offset, record, key, how often it was
// handed out.

import { recordsFrom } from "mailroom/kafka/logs.js";
import { labelOf } from "mailroom/view/tokens.js";

/** How often a share group has delivered the record, as far as it is in flight; "" for others. */
function deliveriesAt(scene, partition, offset) {
  const all = [...scene.shares.values()].filter((share) => share.partition === partition);
  return Math.max(0, ...all.map((share) => share.records.get(offset)?.deliveries ?? 0)) || "";
}

/** {title, rows} for the inspector's list; of a log what is held of it here. */
export function tableOf(stage, node, zone) {
  const scene = stage.shownScene;
  const name = scene.nodes.get(node)?.name ?? "";
  const records =
    zone === "log"
      ? recordsFrom(scene.logs.get(node), 0)
      : (scene.readers.get(node)?.hand ?? []).flatMap((part) => part.records);
  const rows = records
    .filter(({ marker }) => !marker)
    .map(({ offset, message, tombstone }) => {
      const { label, key } = labelOf(scene, message, stage.kinds);
      const times = zone === "log" ? deliveriesAt(scene, node, offset) : "";
      return [offset, tombstone ? `${label}, no value` : label, key || "none", times];
    });
  return { title: zone === "log" ? `Records in the log of ${name}` : `Records waiting at ${name}`, rows };
}
