// The form that begins a thousand runs: which moment, and of which branch, is on the screen when it is sent.

export function furnishRuns(form, stage) {
  if (!stage) return;
  form.querySelector("[data-from-now]").hidden = false;
  form.addEventListener("submit", () => {
    form.elements.now_us.value = Math.max(0, Math.round(stage.now));
    if (form.elements.room.value) form.elements.epoch.value = stage.epoch;
  });
}
