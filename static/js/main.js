// The page's one entry.

import "mailroom/elements/queue-stage.js";

import("mailroom/lazy/theme.js").then(({ furnishTheme }) => {
  furnishTheme(document.querySelector("[data-theme-toggle]"));
});
