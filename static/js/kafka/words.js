// What is written into the picture of a cluster: at the rows (what is committed, the lag, what is done and
// not committed), and below them the phases of a rebalance. Pure, as positions.js is.

// -- words at a row -----------------------------------------------------------------------------

/** Adds to `drawn` what is written at a row, and to the row where its brackets stand. */
export function rowWords({ figure }, drawn, row) {
  const { box, log } = row;
  const foot = box.y + box.height;
  const say = (word) => drawn.words.push(word);
  const mini = !box.labelled;
  const right = box.x + box.columns * box.cell;
  for (const pointer of row.pointers) {
    const { place, committed, lag, name, alone } = pointer;
    const above = place === 1;
    const y = above ? box.y - 9 : foot + 13 + Math.max(0, place - 1) * 17;
    const x = row.xOf(pointer.from);
    const hw = row.xOf(pointer.hw);
    pointer.y = above ? box.y - 3 : foot + 4 + Math.max(0, place - 1) * 17;
    const text = committed === undefined ? name : `${alone ? "committed" : name} ${committed}`;
    const room = x - box.x + (figure.narrow ? 40 : 110);
    const size = mini ? 12 : 13;
    const width = text.length * size * 0.54;
    const off = pointer.from < row.base;
    if (!mini && !off && width < room) say({ x: x - 11, y, text, align: "right", size, what: "committed" });
    const ends = above ? hw + 9 : hw + 10;
    const lagRoom = (figure.narrow ? figure.width : right + 70) - ends;
    if (mini ? !place : !above || lag)
      say({
        x: Math.min(ends, ends + Math.max(-40, lagRoom - 54)),
        y,
        text: "lag",
        count: lag,
        align: "left",
        size: mini ? 12 : 14,
        what: "lag",
      });
  }
  if (row.before && !row.shared)
    say({
      x: box.x - (figure.narrow ? 0 : 12),
      y: box.y - (figure.narrow ? 10 : 7),
      text: `from ${row.base}`,
      align: figure.narrow ? "left" : "right",
      size: 12,
      mono: true,
      what: "before",
    });
  for (const done of row.done) {
    if (!done.words || mini || done.place > 1) continue;
    const [left, end] = [row.xOf(done.from), row.xOf(done.to)];
    done.bracket = {
      left: left + 2,
      right: Math.max(left + 6, end - 2),
      y: box.y - (row.pointers.length > 1 ? 15 : box.cell > 38 ? 8 : 5),
    };
    const half = done.words.length * 3.5;
    const x = Math.max(box.x + half - 30, Math.min(right - half + 60, (left + end) / 2));
    say({
      x,
      y: done.bracket.y - (box.cell > 38 ? 11 : 9),
      text: done.words,
      align: "center",
      size: 13,
      bold: true,
      what: "done",
    });
  }
  row.followers.forEach((follower) => {
    const text = follower.down ? "down" : follower.behind ? `${follower.behind} behind` : "";
    if (text)
      say({
        x: row.xOf(follower.end) + 8,
        y: follower.y + follower.height / 2,
        text,
        align: "left",
        size: 12,
        what: "behind",
      });
    if (!figure.narrow)
      say({
        x: box.x - 12,
        y: follower.y + follower.height / 2,
        text: follower.name,
        align: "right",
        size: 12,
        mono: true,
        faint: true,
        what: "follower",
      });
  });
  if (log.lso < log.hw && row.within(log.lso) && !mini) {
    const x = row.xOf(log.lso);
    say({ x: x + 4, y: box.y - 8, text: "last stable", align: "left", size: 12, what: "stable" });
  }
}

// -- a rebalance --------------------------------------------------------------------------------

const EAGER = ["everyone revokes", "join", "assign", "resume from committed"];
const COOPERATIVE = ["join", "assign", "give up what moves", "take it over"];
const SERVER = ["new target", "give up what moves", "take it over", "resume"];

const isServer = (group) => group.protocol === "uniform" || group.state === "Reconciling" || group.server;

/** Whether members of the group have to let go of everything at each rebalance. */
const isEager = (group) => !/cooperative|uniform/.test(group.protocol) && !isServer(group);

/**
 * {words, at, silent_us}: the phases of the rebalance that a group is in, and which one it is; null
 * outside one.
 */
export function rebalanceOf(scene, group, t_us) {
  const members = [...group.members.values()].filter(({ away }) => !away);
  const crashed = members.find(({ node }) => node && scene.nodes.get(node)?.state === "crashed");
  const readers = [...scene.readers.values()].filter((reader) => reader.group === group.node);
  const owners = readers.filter(
    (reader) => Object.keys(reader.owned).length && scene.nodes.get(reader.node)?.state !== "crashed",
  );
  const setting = owners.some((reader) => Object.values(reader.owned).some(({ position }) => position < 0));
  const eager = isEager(group);
  const words = isServer(group) ? SERVER : eager ? EAGER : COOPERATIVE;
  const lost = group.lost?.why === "session" && !members.some((member) => member.since_us > group.lost.at_us);
  const first = crashed
    ? `${scene.nodes.get(crashed.node).name} not heard of`
    : lost
      ? "session timeout"
      : "a member comes or goes";
  const phase = (at) => ({ group, words: [first, ...words], at, since_us: group.since_us });
  if (group.state === "PreparingRebalance") return phase(eager ? (owners.length ? 1 : 2) : 1);
  if (group.state === "CompletingRebalance") return phase(eager ? 3 : 2);
  if (group.state === "Reconciling") return phase(owners.length ? 2 : 3);
  if (group.state === "Stable" && setting) return phase(4);
  if (crashed && group.state === "Stable") return { ...phase(0), since_us: t_us };
  return null;
}

/** Adds to `drawn` the phases of the rebalance that began last, of those that are under way. */
export function drawPhases(seen, drawn) {
  const { scene, t_us, groups } = seen;
  if (!seen.figure.phases) return;
  const all = groups
    .filter((group) => group.generation > 0)
    .map((group) => rebalanceOf(scene, group, t_us))
    .filter(Boolean)
    .sort((a, b) => b.since_us - a.since_us);
  if (!all.length) return;
  const [{ group, words, at }] = all;
  drawn.phases = {
    words,
    at,
    name: scene.nodes.get(group.node)?.name ?? "",
    protocol: group.protocol,
    silent: silence(scene, group, t_us),
  };
}

/**
 * Which partitions nobody of a group reads, and for how long: "nobody has read P2, P3 for 13.0 s, 4 more for
 * 1.2 s"; of the others the shortest time, where they differ. "" where each is read. Pure.
 */
export function silence(scene, group, t_us) {
  const free = Object.entries(group.free)
    .map(([node, { at_us }]) => ({ number: scene.logs.get(Number(node))?.number, for_us: t_us - at_us }))
    .filter(({ number }) => number !== undefined)
    .sort((a, b) => b.for_us - a.for_us || a.number - b.number);
  if (!free.length) return "";
  const longest = free.filter(({ for_us }) => for_us > free[0].for_us - SAME_US);
  const others = free.slice(longest.length);
  const numbers = longest.map(({ number }) => number).sort((a, b) => a - b);
  const which = numbers.length > 4 ? `${numbers.length} partitions` : numbers.map((n) => `P${n}`).join(", ");
  const more = others.length ? `, ${others.length} more for ${seconds(others.at(-1).for_us)}` : "";
  return `nobody has read ${which} for ${seconds(free[0].for_us)}${more}`;
}

const SAME_US = 100_000;

const seconds = (span_us) => `${(span_us / 1e6).toFixed(1)} s`;
