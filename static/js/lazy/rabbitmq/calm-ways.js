// How RabbitMQ's messages came to where they are, for calm.js: since when, and along which way.

import { path as measured } from "mailroom/scene/tween.js";
import { formerSpot, wayBetween } from "mailroom/view/positions.js";

const signalOf = (scene, { id }) => scene.signals.get(Number(id.slice(1)));

export const sinceOf = (scene, item) =>
  item.token ? (item.token.flight?.depart_us ?? item.token.since_us) : signalOf(scene, item).depart_us;

/** The way that an item has come to its place, null when it has not come from anywhere. */
export function wayOf(scene, figure, { id, token, x, y }) {
  const move = token ? token.flight : signalOf(scene, { id });
  if (move) return wayBetween(figure, move.source, move.target, "body");
  const { was } = token;
  if (!was) return null;
  if (was.zone === "door" && figure.nodes.get(was.node)?.kind === "exchange") {
    const way = wayBetween(figure, was.node, token.node, "copy");
    return way && measured([...way.points, [x, y]]);
  }
  const from = formerSpot({ scene, figure }, was);
  return (
    from &&
    measured([
      [from.x, from.y],
      [x, y],
    ])
  );
}

/** {since_us, way} of an answer on its way. */
export function signalWay(scene, figure, dot) {
  const signal = signalOf(scene, dot);
  return { since_us: signal.depart_us, way: wayBetween(figure, signal.source, signal.target, "signal") };
}
