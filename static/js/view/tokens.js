// Paints what positions.js says onto the one canvas. Pictures of messages are painted once per kind, look,
// scale and theme, and their labels once each (the atlas), and stamped from there.

const SPRITES_MAX = 3_000;
const SQUARES_MAX = 5;
const REACH = 50;
/** How much of its colours a replica has. */
const PALE = 0.3;
const SHAPES = {
  k0: (p) => {
    p.moveTo(-18, -20);
    p.lineTo(9, -20);
    p.lineTo(18, -11);
    p.lineTo(18, 20);
    p.lineTo(-18, 20);
    p.closePath();
  },
  k1: (p) => p.arc(0, 0, 19.5, 0, 7),
  k2: (p) => p.roundRect(-17.5, -17.5, 35, 35, 3),
  k3: (p) => polygon(p, [0, -23, 23, 0, 0, 23, -23, 0]),
  k4: (p) => polygon(p, [-12, -19, 12, -19, 22, 0, 12, 19, -12, 19, -22, 0]),
  k5: (p) => polygon(p, [0, -22, 24, 19, -24, 19]),
  k6: (p) => p.roundRect(-23, -14.5, 46, 29, 14.5),
};
const COLOURS = [
  "paper",
  "sheet",
  "bed",
  "hatch",
  "rule",
  "rule-strong",
  "ink",
  "ink-2",
  "ink-3",
  "invert",
  "mark",
  "mark-edge",
  "wrong",
  "tok-edge",
];

// -- what a message looks like ------------------------------------------------------------------

/** The kind (k0…k6) of a key and what a repeated shape adds to the label. */
export function kindOf(key, kinds) {
  const place = key ? kinds.indexOf(key) : -1;
  return place < 0
    ? { kind: "k0", initial: "" }
    : { kind: `k${(place % 6) + 1}`, initial: place > 5 ? key[0] : "" };
}

export function labelOf(scene, message, kinds) {
  const fact = scene.facts.messages.get(message);
  const { kind, initial } = kindOf(fact?.key, kinds);
  return {
    message,
    kind,
    label: `m${message}${initial}`,
    key: fact?.key ?? "",
    poison: fact?.poison ?? false,
  };
}

function polygon(path, flat) {
  for (let i = 0; i < flat.length; i += 2) path[i ? "lineTo" : "moveTo"](flat[i], flat[i + 1]);
  path.closePath();
}

/** Half-lowered centre of a label: the triangle's is lower. */
const labelY = (kind) => (kind === "k5" ? 8 : 0);

export class Atlas {
  constructor() {
    this.theme = "";
    this.forget();
  }

  forget() {
    for (const sprite of this.sprites?.values() ?? []) sprite.close();
    this.sprites = new Map();
    /** Differs for each set of pictures: what an item holds of an earlier one is not used. */
    this.set = {};
  }

  /** Reads the theme's colours off `element`; a changed theme or pixel ratio empties the atlas. */
  dress(element, ratio) {
    const style = getComputedStyle(element);
    const read = (name) => style.getPropertyValue(`--${name}`).trim();
    const colours = Object.fromEntries(COLOURS.map((name) => [name, read(name)]));
    for (const kind in SHAPES) colours[kind] = ["a", "b", "t"].map((part) => read(`${kind}-${part}`));
    colours.mono = read("mono") || "monospace";
    colours.sans = read("sans") || "sans-serif";
    const theme = JSON.stringify([colours, ratio]);
    if (theme === this.theme) return false;
    Object.assign(this, { theme, colours, ratio });
    this.forget();
    return true;
  }

  /** Draws the shape and label of an item at its place. */
  draw(target, item) {
    const { x, y, scale } = item;
    const pictures = this.picturesOf(item);
    this.put(target, (pictures.shape ??= this.shapeOf(item)), x, y);
    if (item.labelled)
      this.put(target, (pictures.label ??= this.labelOf(item)), x, y + labelY(item.kind) * scale);
  }

  /** Those that an item has kept from the last moment, as far as they are still its own. */
  picturesOf(item) {
    const { pictures: kept, look, scale } = item;
    if (kept?.set === this.set && kept.look === look && kept.scale === scale) return kept;
    return (item.pictures = { set: this.set, look, scale, shape: null, label: null });
  }

  shapeOf({ kind, look, scale }) {
    return this.sprite(`${kind} ${look} ${scale}`, 58 * scale, 58 * scale, (c) =>
      this.paintShape(c, kind, look, scale),
    );
  }

  labelOf(item) {
    const { label, kind, look, scale } = item;
    const width = (8.6 * label.length + 10) * Math.max(scale, 0.86);
    return this.sprite(`${label} ${kind} ${look} ${scale}`, width, 22, (c) => this.paintLabel(c, item));
  }

  /** Draws a mark (again, poison) whose centre is at x, y. */
  mark(target, name, x, y) {
    const sprite = this.sprite(name, 22, 22, (c) => this.paintMark(c, name));
    this.put(target, sprite, x, y);
  }

  /**
   * On whole pixels of the screen: a picture that need not be resampled costs a fourth, and its label is
   * sharp.
   */
  put(target, sprite, x, y) {
    const { ratio } = this;
    const { width: w, height: h } = sprite;
    const left = (Math.round(x * ratio) - (w >> 1)) / ratio;
    const top = (Math.round(y * ratio) - (h >> 1)) / ratio;
    target.drawImage(sprite, left, top, w / ratio, h / ratio);
  }

  sprite(key, width, height, paint) {
    const { ratio } = this;
    return (
      this.sprites.get(key) ?? this.make(key, Math.ceil(width * ratio), Math.ceil(height * ratio), paint)
    );
  }

  /** An immutable bitmap each: a page that they share would be copied whenever one is added. */
  make(key, w, h, paint) {
    if (this.sprites.size >= SPRITES_MAX) this.forget();
    const page = new OffscreenCanvas(w, h);
    const context = page.getContext("2d");
    context.setTransform(this.ratio, 0, 0, this.ratio, w / 2, h / 2);
    paint(context);
    const sprite = page.transferToImageBitmap();
    this.sprites.set(key, sprite);
    return sprite;
  }

  // -- painting ---------------------------------------------------------------------------------

  paintShape(c, kind, look, scale) {
    const outline = new Path2D();
    if (look === "dead") return this.paintDead(c, kind, scale);
    SHAPES[kind](outline);
    c.scale(scale, scale);
    c.lineJoin = "round";
    c.lineWidth = ({ receipt: 1.75, replica: 1.25 }[look] ?? 2) / scale;
    if (look === "replica") {
      c.fillStyle = this.colours.sheet;
      c.fill(outline);
      c.globalAlpha = PALE;
      this.fill(c, outline, kind, scale);
      c.globalAlpha = 1;
      c.strokeStyle = this.colours["ink-3"];
    } else if (look === "receipt") {
      c.scale((20 - 1 / scale) / 20, (20 - 1 / scale) / 20);
      c.fillStyle = this.colours.sheet;
      c.strokeStyle = this.colours["ink-2"];
      c.setLineDash([4 / scale, 3 / scale]);
      c.fill(outline);
    } else {
      c.strokeStyle = this.colours["tok-edge"];
      this.fill(c, outline, kind, scale);
    }
    c.stroke(outline);
    c.setLineDash([]);
    if (kind === "k0" && look === "body") this.fold(c);
  }

  /** The kind's texture, on a 7 px grid whatever the scale. */
  fill(c, outline, kind, scale) {
    const [a, b] = this.colours[kind];
    c.fillStyle = a;
    c.fill(outline);
    if (a === b || kind === "k0" || kind === "k1") return;
    c.save();
    c.clip(outline);
    c.fillStyle = c.strokeStyle = b;
    const step = scale < 0.7 ? 7 / Math.max(scale, 0.5) : 7;
    if (kind === "k4" || kind === "k6") c.rotate(Math.PI / 4);
    for (let i = -35; i < 35; i += step) {
      if (kind === "k2" || kind === "k4") c.fillRect(i, -40, step * 0.38, 80);
      else if (kind === "k5") c.fillRect(-40, i, 80, step * 0.38);
      else if (kind === "k6") {
        c.fillRect(i, -40, step * 0.42, 80);
        c.fillRect(-40, i, 80, step * 0.42);
      } else
        for (let j = -35; j < 35; j += step) {
          dot(c, i + 1.75, j + 1.75);
          dot(c, i + 5.25, j + 5.25);
        }
    }
    c.restore();
  }

  fold(c) {
    c.beginPath();
    c.moveTo(9, -20);
    c.lineTo(9, -11);
    c.lineTo(18, -11);
    c.lineWidth = 1.5;
    c.stroke();
  }

  /** A black-bordered letter with the shape in it, in a grey hatch. */
  paintDead(c, kind, scale) {
    c.scale(scale * 0.84, scale * 0.84);
    c.fillStyle = this.colours.sheet;
    c.strokeStyle = this.colours.ink;
    c.lineWidth = 5;
    c.fillRect(-24.5, -24.5, 49, 49);
    c.strokeRect(-24.5, -24.5, 49, 49);
    const outline = new Path2D();
    SHAPES[kind](outline);
    c.scale(0.84, 0.84);
    c.fillStyle = this.colours.bed;
    c.fill(outline);
    c.save();
    c.clip(outline);
    c.rotate(Math.PI / 4);
    c.fillStyle = this.colours["ink-3"];
    for (let x = -36; x < 36; x += 6) c.fillRect(x, -36, 1.2, 72);
    c.restore();
    c.lineWidth = 2;
    c.strokeStyle = this.colours.ink;
    c.stroke(outline);
  }

  paintLabel(c, { label, kind, look, scale }) {
    const [a, , t] = this.colours[kind];
    c.font = `700 ${Math.max(12, 14 * scale)}px ${this.colours.mono}`;
    c.textAlign = "center";
    c.textBaseline = "middle";
    c.lineJoin = "round";
    c.lineWidth = 3.2 * scale;
    c.strokeStyle = look === "body" ? a : look === "dead" ? this.colours.bed : this.colours.sheet;
    c.fillStyle = look === "body" ? t : look === "dead" ? this.colours.ink : this.colours["ink-2"];
    c.strokeText(label, 0, 0.5);
    c.fillText(label, 0, 0.5);
  }

  paintMark(c, name) {
    c.fillStyle = this.colours.ink;
    c.strokeStyle = this.colours.invert;
    c.beginPath();
    c.arc(0, 0, 9.5, 0, 7);
    c.fill();
    c.lineWidth = 1.8;
    c.beginPath();
    if (name === "poison") polygonLine(c, [2, -6, -3, 0, 2, 0.5, -2, 6]);
    else {
      c.arc(0, 0.5, 4.4, -2.4, 2.3);
      c.moveTo(-4.6, -6);
      c.lineTo(-3.6, -2.2);
      c.lineTo(0, -2.8);
    }
    c.stroke();
  }
}

function dot(c, x, y) {
  c.beginPath();
  c.arc(x, y, 1.35, 0, 7);
  c.fill();
}

function polygonLine(c, flat) {
  for (let i = 0; i < flat.length; i += 2) c[i ? "lineTo" : "moveTo"](flat[i], flat[i + 1]);
}

// -- one moment ---------------------------------------------------------------------------------

/** Lays the canvas over `pane`, a strip {top, height} of the figure, and fits its pixels to the screen's. */
export function fitCanvas(canvas, figure, ratio, pane) {
  const [width, height] = [Math.round(figure.width * ratio), Math.round(pane.height * ratio)];
  const { style } = canvas;
  if (style.top !== `${pane.top}px`) style.top = `${pane.top}px`;
  if (canvas.width === width && canvas.height === height) return;
  canvas.width = width;
  canvas.height = height;
  style.width = `${figure.width}px`;
  style.height = `${pane.height}px`;
}

/** Paints one moment, as far as the canvas goes. `selected` is a message's number, 0 for none. */
export function paint(canvas, drawn, figure, atlas, selected, pane = { top: 0, height: figure.height }) {
  const c = canvas.getContext("2d");
  c.imageSmoothingEnabled = false;
  const [first, last] = [pane.top - REACH, pane.top + pane.height + REACH];
  const outside = ({ y }) => y < first || y > last;
  c.setTransform(atlas.ratio, 0, 0, atlas.ratio, 0, -pane.top * atlas.ratio);
  c.clearRect(0, pane.top, figure.width, pane.height);
  drawn.under?.(c, atlas);
  for (const slot of drawn.slots) freeSlot(c, slot, atlas.colours);
  for (const bar of drawn.bars) workBar(c, figure.nodes.get(bar.node), bar.part, atlas.colours);
  for (const more of drawn.more) moreText(c, more, atlas.colours);
  for (const signal of drawn.signals) signalDot(c, signal, atlas.colours);
  for (const item of drawn.tokens) {
    if (outside(item)) continue;
    c.globalAlpha = item.alpha ?? 1;
    if (item.twin && item.labelled) twin(c, item, atlas.colours);
    if (selected && item.message === selected) selection(c, item, atlas.colours);
    atlas.draw(c, item);
    marks(c, item, atlas);
  }
  c.globalAlpha = 1;
  drawn.over?.(c, atlas);
}

function marks(c, item, atlas) {
  const { x, y, scale } = item;
  if (item.fuse) fuse(c, item, atlas.colours);
  if (!item.labelled) {
    if (item.redelivered && item.look === "body") disc(c, x + 7, y - 7, 3.5, atlas.colours.ink);
    return;
  }
  if (item.redelivered && item.look === "body") atlas.mark(c, "again", x + 17 * scale, y - 17 * scale);
  if (item.token && item.look !== "receipt" && item.deliveries > 0 && (item.limit || item.deliveries > 1)) {
    attempts(c, item, atlas.colours);
  }
  if (item.poison && item.look !== "receipt") atlas.mark(c, "poison", x - 17 * scale, y - 17 * scale);
}

/** Filled squares for deliveries so far, hollow ones for those that are left; above five a number. */
function attempts(c, { x, y, scale, deliveries, limit, look, squares }, colours) {
  const all = Math.max(deliveries, limit);
  const top = squares || y + (look === "dead" ? 24 : 24.5) * scale;
  c.fillStyle = c.strokeStyle = colours.ink;
  if (all > SQUARES_MAX) {
    c.font = `700 12px ${colours.mono}`;
    c.textAlign = "center";
    c.textBaseline = "top";
    return c.fillText(`×${deliveries}`, x, top - 2);
  }
  if (squares) {
    c.fillStyle = colours.sheet;
    c.fillRect(x - (all * 9 - 3) / 2 - 2, top - 2, all * 9 + 1, 10);
    c.fillStyle = colours.ink;
  }
  c.lineWidth = 1;
  for (let i = 0; i < all; i++) {
    const left = x - (all * 9 - 3) / 2 + i * 9;
    if (i < deliveries) c.fillRect(left, top, 6, 6);
    else c.strokeRect(left + 0.5, top + 0.5, 5, 5);
  }
  return undefined;
}

function outlineAt(c, { x, y, kind, scale }, grow, dx = 0, dy = 0) {
  const outline = new Path2D();
  SHAPES[kind](outline);
  const by = scale * grow;
  const moved = new Path2D();
  moved.addPath(outline, new DOMMatrix([by, 0, 0, by, x + dx, y + dy]));
  return moved;
}

/** Another worker holds a body of the same copy. */
function twin(c, item, colours) {
  c.setLineDash([3, 3]);
  c.lineWidth = 1.5;
  c.strokeStyle = colours.ink;
  c.stroke(outlineAt(c, item, 1, 7 * item.scale, -7 * item.scale));
  c.setLineDash([]);
}

/** The outline grown by 6, in the mark's colour; a receipt's is its own outline, marked and solid. */
function selection(c, item, colours) {
  const receipt = item.look === "receipt";
  const shape = outlineAt(c, item, receipt ? 1.08 : 1.3);
  c.fillStyle = colours.mark;
  c.strokeStyle = colours["mark-edge"];
  c.lineWidth = receipt ? 3 : 2;
  c.lineJoin = "round";
  c.fill(shape);
  c.stroke(shape);
}

function fuse(c, { x, y, scale, fuse: { at_us, until_us }, t_us }, colours) {
  const left = Math.max(0, Math.min(1, (until_us - t_us) / (until_us - at_us || 1)));
  c.fillStyle = colours.rule;
  c.fillRect(x - 20 * scale, y - 29 * scale, 40 * scale, 4);
  c.fillStyle = colours.ink;
  c.fillRect(x - 20 * scale, y - 29 * scale, 40 * scale * left, 4);
}

function freeSlot(c, { x, y, radius = 17 }, colours) {
  c.beginPath();
  c.arc(x, y, radius, 0, 7);
  c.setLineDash([1.5, 5]);
  c.lineWidth = 1.5;
  c.strokeStyle = colours["ink-3"];
  c.stroke();
  c.setLineDash([]);
}

function workBar(c, box, part, colours) {
  const [x, y, width] = [box.x + 16, box.y + box.height - 11, box.width - 26];
  c.fillStyle = colours.rule;
  c.fillRect(x, y, width, 5);
  c.fillStyle = colours.ink;
  c.fillRect(x, y, width * part, 5);
}

function moreText(c, { x, y, count }, colours) {
  c.font = `600 13px ${colours.mono}`;
  c.textAlign = "center";
  c.textBaseline = "middle";
  c.fillStyle = colours.ink;
  c.fillText(`+${count}`, x, y);
}

/** An answer on its way: ring = acknowledged, crossed ring = refused or returned, dot = anything else. */
function signalDot(c, { x, y, kind }, colours) {
  const good = kind === "ack" || kind === "confirm";
  const bad = kind === "nack" || kind === "reject" || kind === "refuse" || kind === "close";
  c.beginPath();
  c.arc(x, y, good || bad ? 5.5 : 3, 0, 7);
  c.fillStyle = good || bad ? colours.sheet : colours["ink-2"];
  c.fill();
  if (!good && !bad) return;
  c.lineWidth = 2;
  c.strokeStyle = colours.ink;
  if (bad) {
    c.moveTo(x - 3.5, y - 3.5);
    c.lineTo(x + 3.5, y + 3.5);
  }
  c.stroke();
}

function disc(c, x, y, radius, colour) {
  c.beginPath();
  c.arc(x, y, radius, 0, 7);
  c.fillStyle = colour;
  c.fill();
}
