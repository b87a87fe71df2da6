// How records came to where they are, for calm.js: since when, and along which way. In the log a record
// came to its cell when it was appended, and comes from nowhere; what travels has its wire.

import { commitWay, wayOf as wireOf } from "mailroom/kafka/positions.js";

export const sinceOf = (scene, item) => item.since_us;

export const wayOf = (scene, figure, { move }) => (move ? wireOf({ scene, figure }, move) : null);

/** {since_us, way} of an answer or a commit on its way. */
export function signalWay(scene, figure, { move }) {
  const way = move.type ? wireOf({ scene, figure }, move) : commitWay(figure, move);
  return { since_us: move.depart_us, way };
}
