// Ticks in which more happens than can be drawn singly: the numbers instead, and why.

const WORDS = {
  delayed: "waiting",
  dead_lettering: "being dead-lettered",
  socket: "in the socket",
  working: "worked on",
  log: "in the log",
};

export function furnishAggregated(stage) {
  if (stage.tooFast) return;
  const box = (stage.tooFast = document.createElement("section"));
  box.className = "too-fast";
  box.setAttribute("aria-label", "Too fast to draw singly");
  stage.parts.figure.after(box);
  const refresh = () => {
    const { aggregated, nodes } = stage.shownScene;
    box.hidden = !aggregated;
    if (!aggregated || box.shown === aggregated) return;
    box.shown = aggregated;
    const head = document.createElement("h2");
    head.textContent = "Too fast to draw singly";
    const list = document.createElement("dl");
    list.append(...rows(aggregated, nodes).map(([name, text]) => row(name, text)));
    box.replaceChildren(head, list);
  };
  stage.addEventListener("change", refresh);
  refresh();
}

/** [what, how many] in the order of the frame: places first, then ways. Pure. */
export function rows({ counts, flows }, nodes) {
  const name = (node) => nodes.get(node)?.name || "default exchange";
  const places = new Map();
  for (const [node, zone, n] of counts)
    places.set(node, [...(places.get(node) ?? []), `${n} ${WORDS[zone] ?? zone}`]);
  return [
    ...[...places].map(([node, texts]) => [name(node), texts.join(", ")]),
    ...flows.map(([source, target, n]) => [`${name(source)} → ${name(target)}`, String(n)]),
  ];
}

function row(name, text) {
  const box = document.createElement("div");
  const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
  [dt.textContent, dd.textContent] = [name, text];
  box.append(dt, dd);
  return box;
}
