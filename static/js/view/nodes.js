// The nodes as text over the picture: a list item each, placed by the layout, rewritten only when it changes.

/** Brings `list` (a ul) up to date with `scene` in `figure`. */
export function drawNodes(list, figure, scene) {
  const known = (list.known ??= new Map());
  for (const [id, entry] of known) if (!scene.nodes.has(id) || !figure.nodes.has(id)) { entry.item.remove(); known.delete(id); }
  for (const node of scene.nodes.values()) {
    const box = figure.nodes.get(node.node);
    if (!box) continue;
    const entry = known.get(node.node) ?? begin(list, known, node);
    place(entry, box);
    write(entry, node, wording(node, scene));
  }
}

function begin(list, known, node) {
  const item = document.createElement("li");
  item.dataset.node = node.node;
  const entry = { item, text: "", box: "", spans: new Map() };
  known.set(node.node, entry);
  list.append(item);
  return entry;
}

function place(entry, box) {
  const key = `${box.x} ${box.y} ${box.width} ${box.height} ${box.headX}`;
  if (entry.box === key) return;
  entry.box = key;
  const { style } = entry.item;
  style.left = `${box.x}px`;
  style.top = `${box.y}px`;
  style.width = `${box.width}px`;
  style.height = `${box.height}px`;
  if (box.headX) style.setProperty("--head", `${box.headX - box.x}px`);
}

function write(entry, node, words) {
  const text = JSON.stringify(words);
  if (entry.text === text) return;
  entry.text = text;
  const long = node.kind === "consumer" && words.name.length + words.note.length > 21 ? " long" : "";
  entry.item.className = `node ${node.kind} ${node.state}${long}`;
  for (const [name, value] of Object.entries(words)) span(entry, name, value);
  for (const [name, old] of entry.spans) if (!(name in words)) { old.remove(); entry.spans.delete(name); }
}

/** A value is text, or [number, word] with the number set large. */
function span(entry, name, value) {
  const old = entry.spans.get(name) ?? entry.item.appendChild(document.createElement("span"));
  entry.spans.set(name, old);
  old.className = name;
  if (typeof value === "string") {
    if (old.textContent !== value) old.textContent = value;
    return;
  }
  const strong = document.createElement("b");
  strong.textContent = value.count;
  old.replaceChildren(...(value.after ? [strong, ` ${value.word}`] : [`${value.word} `, strong]));
}

const WORDS = {
  producer: (node) => ({ name: node.name, note: NOTES[node.state] ?? node.about }),
  exchange: (node) => (node.name === "" ? { name: "default exchange" } : { name: node.name, note: node.exchange_type ?? "" }),
  queue(node, scene) {
    const zones = scene.zones.get(node.node) ?? {};
    const count = (zone) => zones[zone]?.keys.length ?? 0;
    const words = {
      name: node.name, note: queueNote(node),
      ready: { count: count("ready"), word: "ready" },
      kept: { count: count("unacked"), word: "unacked", after: true },
    };
    const extra = [["delayed", "delayed"], ["dead_lettering", "dead-lettering"], ["socket", "in the socket"]]
      .filter(([zone]) => count(zone)).map(([zone, word]) => `${count(zone)} ${word}`);
    if (extra.length) words.extra = extra.join(", ");
    return words;
  },
  consumer: (node) => ({ name: node.name, note: consumerNote(node) }),
};

const NOTES = { crashed: "crashed", stopped: "stopped", connecting: "connecting", paused: "paused" };

const LINKS = { cut: "network cut", closed: "disconnected" };

const wording = (node, scene) => WORDS[node.kind](node, scene);

function consumerNote(node) {
  return NOTES[node.state] ?? LINKS[node.link] ?? node.about;
}

function queueNote(node) {
  const notes = Object.entries(node.arguments ?? {}).filter(([name]) => name !== "x-queue-type" && !name.startsWith("x-dead-letter"))
    .map(([name, value]) => `${name.replace("x-", "")} ${value}`);
  return [`${node.queue_type ?? "classic"} queue`, ...notes].join(", ");
}
