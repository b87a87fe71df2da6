// "Look here" on the picture: a frame around a node or a part of one, or a message that is marked.

/** Marks `what` (a node's name, a message such as "m7", "" for nothing) and takes the last mark away. */
export function mark(stage, what, words = "") {
  stage.selected = /^m\d+$/.test(what) ? Number(what.slice(1)) : 0;
  const node = what && [...(stage.shownScene?.nodes.values() ?? [])].find(({ name }) => name === what);
  frame(stage, node ? boxOf(stage, node.node, "") : null, words, "pointed");
  stage.wake();
}

/**
 * Where a node's zone (a partition's offset) is on the picture: {x, y, width, height} in its px; `cell` for
 * an offset.
 */
export function boxOf(stage, id, zone) {
  const box = stage.figure.nodes.get(id);
  if (!box) return null;
  const { x, y, width, height, headX = x + width, kind } = box;
  if (kind === "queue" && zone === "ready") return { x, y, width: headX - x, height };
  if (kind === "queue" && zone) return { x: headX, y, width: Math.max(40, x + width - headX), height };
  if (kind === "consumer" && zone === "working") return { x: x + width / 2, y, width: width / 2, height };
  if (kind === "consumer" && zone === "prefetched") return { x, y, width: width / 2, height };
  if (kind === "partition" && zone) return boxOfCell(stage, id, Number(zone));
  return { x, y, width, height };
}

/** Where an offset's cell is in its partition's row, empty or not; null while the window shows others. */
function boxOfCell(stage, id, offset) {
  const row = stage.drawn.rows?.find(({ log }) => log.node === id);
  if (!row?.within(offset)) return null;
  const { cell, x, y, height } = row.box;
  return { x: x + (offset - row.base + row.slide) * cell, y, width: cell, height, cell };
}

/** Draws the frame of one kind at `box`; null takes it away. */
export function frame(stage, box, words, kind) {
  let element = stage.parts.scroller.querySelector(`.frame.${kind}`);
  if (!box) {
    element?.remove();
    return;
  }
  if (!element) {
    element = document.createElement("div");
    element.className = `frame ${kind}`;
    element.setAttribute("aria-hidden", "true");
    stage.parts.canvas.before(element);
  }
  element.classList.toggle("of-cell", Boolean(box.cell));
  if (element.textContent !== words) {
    const span = document.createElement("span");
    span.textContent = words;
    element.replaceChildren(...(words ? [span] : []));
  }
  const pad = 5;
  Object.assign(element.style, {
    left: `${box.x - pad}px`,
    top: `${box.y - pad}px`,
    width: `${box.width + 2 * pad}px`,
    height: `${box.height + 2 * pad}px`,
  });
}
