// The one SVG behind the messages: wires, and the outlines of nodes. Rewritten only when they change.

const NS = "http://www.w3.org/2000/svg";

/** Draws `figure` (a layout) for `scene` into `svg`, if anything of it has changed since the last time. */
export function drawWires(svg, figure, scene) {
  if (svg.kept?.figure !== figure) svg.kept = { figure, shapes: new Map() };
  const kept = svg.kept.shapes;
  const shapes = [...wires(figure, scene, kept), ...outlines(figure, scene, kept)];
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
function shapesOf(kept, key, said, make) {
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

const shape = (klass, d) => ["path", { class: klass, d }];

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

function wires(figure, scene, kept) {
  const shapes = [];
  for (const [key, wire] of scene.wires) {
    const way = figure.wires.get(key);
    if (!way) continue;
    const label = scene.nodes.get(wire.source)?.name === "" ? "" : wire.label;
    const link = linkOf(scene, wire);
    const make = () => wireShapes(way.points, link, label, figure);
    shapes.push(...shapesOf(kept, `wire ${key}`, `${link} ${label}`, make));
  }
  return [...shapes, ...brokenWires(figure, scene, kept)];
}

/** A consumer without its wire shows it broken (crashed, closed), or dashed while it is about to connect. */
function brokenWires(figure, scene, kept) {
  const shapes = [];
  for (const [key, way] of figure.wires) {
    if (scene.wires.has(key)) continue;
    const target = scene.nodes.get(Number(key.split(" ")[1]));
    if (target?.kind !== "consumer") continue;
    const comes = target.state === "up" && target.link === "up";
    const make = () => (comes ? [shape("wire cut", line(way.points))] : cutShapes(way.points));
    shapes.push(...shapesOf(kept, `broken ${key}`, comes, make));
  }
  return shapes;
}

const linkOf = (scene, { source, target, kind }) =>
  scene.nodes.get(kind === "publish" ? source : target)?.link ?? "up";

function wireShapes(points, link, label, figure) {
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

const round = (value) => Math.round(value * 10) / 10;
const line = (points) => `M${points.map(([x, y]) => `${round(x)} ${round(y)}`).join("L")}`;

function arrow(points) {
  const [x1, y1] = points[points.length - 1];
  const [x0, y0] = points[points.length - 2];
  const length = Math.hypot(x1 - x0, y1 - y0) || 1;
  const [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length];
  const [bx, by] = [x1 - dx * 11, y1 - dy * 11];
  return shape(
    "arrow",
    `M${round(bx - dy * 6)} ${round(by + dx * 6)}L${round(x1)} ${round(y1)}` +
      `L${round(bx + dy * 6)} ${round(by - dx * 6)}z`,
  );
}

/** Two slashes, and dashes after them. */
function cutShapes(points) {
  const middle = Math.max(1, Math.floor(points.length / 2));
  const [ax, ay] = points[middle - 1];
  const [bx, by] = points[middle] ?? points[points.length - 1];
  const [x, y] = [(ax + bx) / 2, (ay + by) / 2];
  const before = [...points.slice(0, middle), [x, y]];
  const after = [[x, y], ...points.slice(middle)];
  const slash = (at) => shape("slash", `M${round(at - 4)} ${round(y + 9)}l8 -18`);
  return [shape("wire", line(before)), shape("wire cut", line(after)), slash(x - 5), slash(x + 4)];
}

// -- outlines -----------------------------------------------------------------------------------

function outlines(figure, scene, kept) {
  const shapes = [];
  for (const node of scene.nodes.values()) {
    const box = figure.nodes.get(node.node);
    if (!box) continue;
    const idle = box.kind === "consumer" && isIdle(scene, node);
    const said = `${node.state} ${idle} ${node.exchange_type} ${node.name}`;
    shapes.push(...shapesOf(kept, node.node, said, () => OUTLINES[box.kind](box, node, idle)));
  }
  return shapes;
}

function isIdle(scene, { node }) {
  const zones = scene.zones.get(node);
  return !zones?.working?.keys.length && !zones?.prefetched?.keys.length;
}

const OUTLINES = {
  producer({ x, y, width, height }, node) {
    const nose = x + width - 16;
    const d = `M${x + 1} ${y}H${nose}L${x + width} ${y + height / 2}L${nose} ${y + height}H${x + 1}z`;
    return [shape(node.state === "crashed" ? "box crashed" : "box", d)];
  },
  exchange({ x, y, radius }, node) {
    const [cx, cy] = [x + radius, y + radius];
    return [
      ["circle", { class: "box", cx, cy, r: radius }],
      shape("glyph", glyph(node.exchange_type, node.name, cx, cy)),
    ];
  },
  queue({ x, y, width, height, headX, cells, cell, receipts, dead }) {
    const foot = y + height;
    if (dead && !receipts)
      return [
        shape("bed", `M${x} ${y}H${x + width}V${foot}H${x}z`),
        ["rect", { class: "mourning", x: x + 2.5, y: y + 2.5, width: width - 5, height: height - 5 }],
      ];
    const end = headX + receipts * cell + 3;
    let ticks = "";
    for (let i = 1; i <= cells; i++)
      if (headX - i * cell > x + 6) ticks += `M${headX - i * cell - 2} ${foot - 1}v-8`;
    const lane = [
      shape("bed", `M${x} ${y}H${headX}V${foot}H${x}z`),
      shape("tick", ticks),
      shape(dead ? "rail heavy" : "rail", `M${x} ${y}H${headX}M${x} ${foot}H${headX}`),
      shape("headbar", `M${headX} ${y - 6}V${foot + 6}`),
    ];
    if (receipts)
      lane.splice(
        1,
        0,
        shape("kept", `M${headX} ${y}H${end}V${foot}H${headX}z`),
        shape("rail dashed", `M${headX} ${y}H${end}V${foot}H${headX}`),
      );
    return lane;
  },
  consumer({ x, y, width, height }, node, idle) {
    const middle = y + height / 2;
    const notch = `V${middle + 10}L${x + 10} ${middle}L${x} ${middle - 10}z`;
    const d = `M${x} ${y}H${x + width}V${y + height}H${x}${notch}`;
    if (node.state === "crashed") {
      const [cx, cy, r] = [x + width - 32, middle - 3, Math.min(15, height / 4)];
      const cross = `M${cx - r} ${cy - r}l${2 * r} ${2 * r}M${cx + r} ${cy - r}l${-2 * r} ${2 * r}`;
      return [shape("box crashed", d), shape("cross", cross)];
    }
    return [shape(idle ? "box idle" : "box", d)];
  },
};

/** The sign of an exchange's type, 40 wide. */
function glyph(type, name, cx, cy) {
  const at = (x, y) => `M${cx + x} ${cy + y}`;
  const tip = (x, y) => `${at(x - 5, y - 4.5)}l5 4.5l-5 4.5`;
  if (name === "") return `${at(-10, 0)}h19${tip(9, 0)}`;
  if (type === "fanout") {
    return (
      `${at(-18, 0)}h34${tip(16, 0)}${at(-6, 0)}l19 -11${at(6.5, -12)}h6.5l-3 6` +
      `${at(-6, 0)}l19 11${at(10, 5.5)}l3 5.5h-6.5`
    );
  }
  if (type === "topic") {
    const star = `${at(-13, -8)}v10${at(-17.3, -5.5)}l8.6 5${at(-8.7, -5.5)}l-8.6 5`;
    return `${star}${at(-1, 5)}v2.5${at(8, -8)}l-2 15${at(15, -8)}l-2 15${at(5, -3)}h12${at(4, 2.5)}h12`;
  }
  if (type === "headers") return [-9, 0, 9].map((y) => `${at(-14, y)}h10${at(3, y)}h10`).join("");
  const ring = `M${cx + 14} ${cy + 8}a5 5 0 1 1 -10 0a5 5 0 1 1 10 0`;
  return `${at(-18, -7)}h35${tip(17, -7)}${at(-18, 8)}h20${ring}`;
}
