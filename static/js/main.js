// The page's one entry.

import "mailroom/elements/queue-stage.js";

import("mailroom/lazy/theme.js").then(({ furnishTheme }) => {
  furnishTheme(document.querySelector("[data-theme-toggle]"));
});

const runs = document.querySelector("[data-runs]");
if (runs)
  import("mailroom/lazy/runs.js").then(({ furnishRuns }) =>
    furnishRuns(runs, document.querySelector("queue-stage")),
  );
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
