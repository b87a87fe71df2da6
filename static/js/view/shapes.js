// What every stage draws of its nodes and wires: the one SVG behind the messages, and the list of nodes as
// text over the picture. Both are rewritten only where they change; what they show, the system's own
// nodes.js says.

const NS = "http://www.w3.org/2000/svg";

// -- the drawing --------------------------------------------------------------------------------

/**
 * Draws what `make` says into `svg`, where it has changed since the last time. `make` gets what is kept
 * of the last time, for `shapesOf`, whose answers it returns in order.
 */
export function drawShapes(svg, figure, make) {
  if (svg.kept?.figure !== figure) svg.kept = { figure, shapes: new Map() };
  const shapes = make(svg.kept.shapes);
  drawHeads(svg.parentElement.querySelector(".heads"), figure);
  const size = `${figure.width} ${figure.height}`;
  if (svg.drawnSize !== size) {
    svg.drawnSize = size;
    svg.setAttribute("viewBox", `0 0 ${size}`);
    svg.setAttribute("width", figure.width);
    svg.setAttribute("height", figure.height);
  }
  svg.parentElement.classList.toggle("close", figure.close);
  const group = svg.querySelector("g") ?? svg.appendChild(document.createElementNS(NS, "g"));
  replaceChanged(group, shapes);
}

/** The shapes of one thing, worked out anew only when what is `said` of it differs from the last time. */
export function shapesOf(kept, key, said, make) {
  const known = kept.get(key);
  if (known?.said === said) return known.shapes;
  const shapes = make().map((each) => ({ each, key: JSON.stringify(each) }));
  kept.set(key, { said, shapes });
  return shapes;
}

/** Only shapes that differ from what stands at their place are made anew. */
function replaceChanged(group, shapes) {
  const drawn = (group.drawn ??= []);
  shapes.forEach(({ each, key }, i) => {
    if (drawn[i] === key) return;
    drawn[i] = key;
    if (group.children[i]) group.children[i].replaceWith(element(each));
    else group.append(element(each));
  });
  while (group.children.length > shapes.length) group.lastChild.remove();
  drawn.length = shapes.length;
}

function element([name, attributes]) {
  const node = document.createElementNS(NS, name);
  for (const key in attributes) if (key !== "text") node.setAttribute(key, attributes[key]);
  if (attributes.text) node.textContent = attributes.text;
  return node;
}

export const shape = (klass, d) => ["path", { class: klass, d }];

/** The columns' names: they stay on top while the figure scrolls below them. */
function drawHeads(box, figure) {
  const key = JSON.stringify(figure.heads);
  if (!box || box.drawnKey === key) return;
  box.drawnKey = key;
  box.replaceChildren(
    ...figure.heads
      .filter((head) => head.count)
      .map(({ kind, x, count }) => {
        const head = document.createElement("span");
        head.textContent = count > 1 ? `${kind}s` : kind;
        head.style.left = `${x}px`;
        return head;
      }),
  );
}

// -- wires --------------------------------------------------------------------------------------

export function wireShapes(points, link, label, figure) {
  if (link !== "up") return cutShapes(points);
  const shapes = [shape("wire", line(points)), arrow(points)];
  const [x1, y1] = points[points.length - 1];
  if (label && !figure.narrow)
    shapes.push([
      "text",
      {
        class: "wire-label",
        x: round(x1 - 14),
        y: round(y1 > points[0][1] + 20 ? y1 + 19 : y1 - 9),
        text: label,
      },
    ]);
  return shapes;
}

export const round = (value) => Math.round(value * 10) / 10;
export const line = (points) => `M${points.map(([x, y]) => `${round(x)} ${round(y)}`).join("L")}`;

export function arrow(points) {
  const [x1, y1] = points[points.length - 1];
  const [x0, y0] = points[points.length - 2];
  const length = Math.hypot(x1 - x0, y1 - y0) || 1;
  const [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length];
  const [bx, by] = [x1 - dx * 11, y1 - dy * 11];
  const head = line([
    [bx - dy * 6, by + dx * 6],
    [x1, y1],
    [bx + dy * 6, by - dx * 6],
  ]);
  return shape("arrow", `${head}z`);
}

/** Two slashes, and dashes after them. */
export function cutShapes(points) {
  const middle = Math.max(1, Math.floor(points.length / 2));
  const [ax, ay] = points[middle - 1];
  const [bx, by] = points[middle] ?? points[points.length - 1];
  const [x, y] = [(ax + bx) / 2, (ay + by) / 2];
  const before = [...points.slice(0, middle), [x, y]];
  const after = [[x, y], ...points.slice(middle)];
  const slash = (at) => shape("slash", `M${round(at - 4)} ${round(y + 9)}l8 -18`);
  return [shape("wire", line(before)), shape("wire cut", line(after)), slash(x - 5), slash(x + 4)];
}

// -- outlines that all systems share ------------------------------------------------------------

export function producerOutline({ x, y, width, height }, node) {
  const nose = x + width - 16;
  const d = `M${x + 1} ${y}H${nose}L${x + width} ${y + height / 2}L${nose} ${y + height}H${x + 1}z`;
  return [shape(node.state === "crashed" ? "box crashed" : "box", d)];
}

export function consumerOutline({ x, y, width, height }, node, idle) {
  const middle = y + height / 2;
  const notch = `V${middle + 10}L${x + 10} ${middle}L${x} ${middle - 10}z`;
  const d = `M${x} ${y}H${x + width}V${y + height}H${x}${notch}`;
  if (node.state === "crashed") {
    const [cx, cy, r] = [x + width - 32, middle - 3, Math.min(15, height / 4)];
    const cross = `M${cx - r} ${cy - r}l${2 * r} ${2 * r}M${cx + r} ${cy - r}l${-2 * r} ${2 * r}`;
    return [shape("box crashed", d), shape("cross", cross)];
  }
  return [shape(idle ? "box idle" : "box", d)];
}

// -- nodes as text ------------------------------------------------------------------------------

/**
 * Brings `list` (a ul) up to date: a list item a node that has a place, with the words of `wording(node,
 * box)`. `more(node)`: all that is said of it and does not stand in the node itself; without it the words
 * are made each time.
 */
export function drawItems(list, figure, scene, wording, more = null) {
  const known = (list.known ??= new Map());
  for (const [id, entry] of known)
    if (!scene.nodes.has(id) || !figure.nodes.has(id)) {
      entry.item.remove();
      known.delete(id);
    }
  for (const node of scene.nodes.values()) {
    const box = figure.nodes.get(node.node);
    if (!box) continue;
    const entry = known.get(node.node) ?? begin(list, known, node);
    const counts = more?.(node);
    if (more && entry.node === node && entry.of === box && entry.counts === counts) continue;
    Object.assign(entry, { node, of: box, counts });
    place(entry, box);
    const { words, fitting } = wording(node, box);
    write(entry, node, words, fitting);
  }
}

function begin(list, known, node) {
  const item = document.createElement("li");
  item.dataset.node = node.node;
  if (node.name) item.append(opener(node.name));
  const entry = { item, text: "", box: "", spans: new Map() };
  known.set(node.node, entry);
  list.append(item);
  return entry;
}

/** Opens the node's settings: for the keyboard, and for a click that hits no message. */
function opener(name) {
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "open" });
  button.setAttribute("aria-label", `Change ${name}`);
  return button;
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

function write(entry, node, words, fitting) {
  const text = JSON.stringify([words, fitting]);
  if (entry.text === text) return;
  entry.text = text;
  entry.item.className = `node ${node.kind} ${node.state}${fitting}`;
  for (const [name, value] of Object.entries(words)) span(entry, name, value);
  for (const [name, old] of entry.spans)
    if (!(name in words)) {
      old.remove();
      entry.spans.delete(name);
    }
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
