// A scene as plain, ordered data, so that two scenes can be compared word for word. For tests and reports.

/** What is true at `t_us` in `scene`; displacements, facts of the gone and zero counts are left out. */
export function describe(scene, t_us = scene.at_us) {
  return {
    ended: scene.ended,
    nodes: sorted(scene.nodes.values(), (n) => n.node).map(describeNode),
    wires: [...scene.wires.values()].map((w) => `${w.source} ${w.kind} ${w.target} ${w.label}`).sort(),
    zones: describeZones(scene),
    flights: describeFlights(scene),
    signals: sorted(scene.signals.values(), (s) => s.signal).filter((s) => s.arrive_us > t_us),
    copies: describeCopies(scene),
    work: sorted(scene.work, ([key]) => key).map(([key, w]) => ({ token: name(scene, key), ...w })),
    fuses: sorted(scene.fuses, ([copy]) => copy).map(([copy, fuse]) => ({ copy, ...fuse })),
    ledger: describeLedger(scene),
    finished: Object.fromEntries(sorted(scene.finished, ([queue]) => queue)),
    sums: Object.fromEntries([...scene.sums].filter(([, sum]) => sum.total).sort()),
    stores: Object.fromEntries([...scene.stores].filter(([, store]) => store.asked).sort()),
    broken: [...scene.broken.values()].map((b) => `${b.promise} ${b.destination}`).sort(),
  };
}

const sorted = (items, by) => [...items].sort((a, b) => by(a) - by(b));

const name = (scene, key) => `${Math.floor(key / 65536)}.${key % 65536}`;

function describeNode(node) {
  const ordered = {};
  for (const key of Object.keys(node).sort()) ordered[key] = node[key];
  if (!ordered.active) delete ordered.active;
  return ordered;
}

function describeZones(scene) {
  const zones = {};
  for (const [node, byName] of sorted(scene.zones, ([id]) => id)) {
    for (const zone of Object.keys(byName).sort()) {
      const keys = byName[zone].keys;
      if (keys.length) zones[`${node} ${zone}`] = keys.map((key) => name(scene, key));
    }
  }
  return zones;
}

function describeFlights(scene) {
  return sorted(
    [...scene.tokens].filter(([, token]) => token.flight),
    ([key]) => key,
  ).map(([key, token]) => ({ token: name(scene, key), ...token.flight }));
}

function describeCopies(scene) {
  return sorted(scene.copies, ([copy]) => copy).map(
    ([copy, { deliveries, redelivered, routed_us, tokens }]) => {
      const fact = scene.facts.copies.get(copy) ?? {};
      const message = scene.facts.messages.get(fact.message) ?? {};
      const { key, poison } = message;
      return {
        copy,
        message: fact.message,
        destination: fact.destination,
        key,
        poison,
        deliveries,
        redelivered,
        routed_us,
        tokens,
      };
    },
  );
}

function describeLedger(scene) {
  const ledger = {};
  for (const [destination, stand] of sorted(scene.ledger, ([id]) => id)) {
    const counts = Object.keys(stand)
      .filter((place) => stand[place])
      .sort();
    if (counts.length) ledger[destination] = Object.fromEntries(counts.map((place) => [place, stand[place]]));
  }
  return ledger;
}
