// The page's one entry.

import "mailroom/elements/queue-stage.js";

const YEAR_S = 31_536_000;
const systemsDark = matchMedia("(prefers-color-scheme: dark)");

const darkNow = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : systemsDark.matches;
};

/**
 * The button that changes between light and dark. A cookie keeps the choice, so that the server can write it
 * into the page and no page is painted twice.
 */
function furnishTheme(button) {
  const show = () => button.setAttribute("aria-pressed", String(darkNow()));
  button.addEventListener("click", () => {
    const theme = darkNow() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    document.cookie = `theme=${theme}; path=/; max-age=${YEAR_S}; samesite=lax`;
    show();
  });
  systemsDark.addEventListener("change", show);
  show();
  button.hidden = false;
}

/** The form that begins a thousand runs: which moment, of which branch, is on the screen when it is sent. */
function furnishRuns(form, stage) {
  form.querySelector("[data-from-now]").hidden = false;
  form.addEventListener("submit", () => {
    form.elements.now_us.value = Math.max(0, Math.round(stage.now));
    if (form.elements.room.value) form.elements.epoch.value = stage.epoch;
  });
}

const button = document.querySelector("[data-theme-toggle]");
if (button) furnishTheme(button);
const runs = document.querySelector("[data-runs]");
const stage = document.querySelector("queue-stage");
if (runs && stage) furnishRuns(runs, stage);
const thumbs = document.querySelectorAll("[data-thumb]");
if (thumbs.length)
  import("mailroom/lazy/thumbnails.js").then(({ furnishThumbnails }) => furnishThumbnails(thumbs));
const { offline } = document.body.dataset;
if (offline) {
  // A stage fetches how it is drawn before this module goes on: the page may be complete by then.
  const register = () => navigator.serviceWorker?.register(offline).catch(() => {});
  if (document.readyState === "complete") register();
  else addEventListener("load", register);
}
const lesson = document.querySelector("[data-lesson]");
if (lesson) {
  const begin = (event) =>
    import("mailroom/lazy/lesson.js").then(({ furnishLesson }) => furnishLesson(lesson, event));
  if (lesson.dataset.step === "predict") {
    lesson.addEventListener(
      "submit",
      (event) => {
        event.preventDefault();
        begin(event);
      },
      { once: true },
    );
  } else begin();
}
const question = document.querySelector("[data-question]");
if (question) import("mailroom/lazy/question.js").then(({ furnishQuestion }) => furnishQuestion(question));
