// Why a message waits in its queue, in words: from what the scene says of the queue's consumers. Pure.

import { zoneKeys } from "mailroom/scene/reducer.js";

/** [{copy, name, why}]: of each copy of `message` that is ready and cannot go now, queue and reason. */
export function waitsOf(scene, message) {
  const found = [];
  for (const { copy, node, zone, flight } of scene.tokens.values()) {
    if (zone !== "ready" || flight || scene.facts.copies.get(copy)?.message !== message) continue;
    const why = whyHeldUp(scene, node);
    if (why) found.push({ copy, name: scene.nodes.get(node)?.name, why });
  }
  return found;
}

/** Why nothing leaves the queue `node`; "" when one of its consumers has room. */
function whyHeldUp(scene, node) {
  const readers = [...scene.nodes.values()].filter(({ consumes }) => consumes?.[node]);
  if (!readers.length) return "nobody is subscribed to its queue";
  const limits = readers.map(({ consumes }) => consumes[node].prefetch);
  const held = zoneKeys(scene, node, "unacked").length;
  if (!limits.every(Boolean) || held < limits.reduce((sum, limit) => sum + limit, 0)) return "";
  if (readers.length === 1) return "its worker holds as many as its prefetch allows";
  const all = readers.length === 2 ? "both" : `all ${readers.length}`;
  return `${all} workers hold as many as their prefetch allows`;
}

/** Whether the copy that `event` places is the first to wait there. */
export function isFirstToWait(scene, event) {
  const ready = zoneKeys(scene, event.node, "ready");
  return ready.length === 1 && scene.tokens.get(ready[0])?.copy === event.copy;
}
