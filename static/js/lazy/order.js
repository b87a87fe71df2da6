// Lists to be put in order: by buttons, by arrow keys on them, or by dragging a row.

export function furnishOrders(root) {
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-move]");
    if (button) move(button, Number(button.dataset.move));
  });
  root.addEventListener("keydown", (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const button = event.target.closest("[data-move]");
    if (!by || !button) return;
    event.preventDefault();
    move(button, by);
  });
  root.addEventListener("pointerdown", (event) => {
    const row = event.target.closest("[data-order] > li");
    if (!row || event.target.closest("button") || event.button) return;
    event.preventDefault();
    drag(row);
  });
}

function move(button, by) {
  const row = button.closest("li");
  const other = by < 0 ? row.previousElementSibling : row.nextElementSibling;
  if (other) by < 0 ? other.before(row) : other.after(row);
  button.focus();
  say(row);
}

/** The document hears the pointer: a row that changes its place loses what it had captured. */
function drag(row) {
  row.classList.add("dragged");
  const over = ({ clientY }) => {
    const rows = [...row.parentElement.children];
    const at = rows.find((each) => {
      const { top, bottom } = each.getBoundingClientRect();
      return clientY >= top && clientY < bottom;
    });
    if (at && at !== row) rows.indexOf(at) < rows.indexOf(row) ? at.before(row) : at.after(row);
  };
  const done = () => {
    document.removeEventListener("pointermove", over);
    row.classList.remove("dragged");
    say(row);
  };
  document.addEventListener("pointermove", over);
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, done, { once: true });
}

function say(row) {
  const place = [...row.parentElement.children].indexOf(row) + 1;
  const said = row.closest("form").querySelector("[data-order-said]");
  const label = row.querySelector(".order-label").textContent;
  said.textContent = `${label}: place ${place} of ${row.parentElement.children.length}.`;
}
