// How what only some runs have is drawn: modules of lazy/kafka/ that are fetched where a scenario has it, or
// else when it is first met.

const PARTS = {
  marks: () => import("mailroom/lazy/kafka/marks.js"),
  phases: () => import("mailroom/lazy/kafka/phases.js"),
  shares: () => import("mailroom/lazy/kafka/shares.js"),
};
const coming = {};

/** Those modules by name, as far as they are here. */
export const parts = {};

/** Fetches one of them. It is not asked for again where the site does not answer: a browser would not. */
export const fetchPart = (name) =>
  (coming[name] ??= PARTS[name]().then(
    (module) => void (parts[name] = module),
    () => {},
  ));

/**
 * The part that draws what `seen` has; undefined while it is on its way, and then what is drawn `lacks` it:
 * the stage draws again when it has come.
 */
export function need(seen, name) {
  if (!parts[name]) seen.lacks.add(fetchPart(name));
  return parts[name];
}

const SOONER = { "share-group": "shares", transactions: "marks" };

/** Fetches what the stage's `systems` need beside these modules before the first picture. */
export const prepare = (systems) =>
  Promise.all(Object.keys(SOONER).map((system) => systems.includes(system) && fetchPart(SOONER[system])));

/** Fetches what most runs need after it. */
export const prepareMore = () => fetchPart("phases");
