// The button that changes between light and dark. A cookie keeps the choice, so that the server can write it
// into the page and no page is painted twice.

const YEAR_S = 31_536_000;

const darkNow = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

export function furnishTheme(button) {
  if (!button) return;
  const show = () => button.setAttribute("aria-pressed", String(darkNow()));
  button.addEventListener("click", () => {
    const theme = darkNow() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    document.cookie = `theme=${theme}; path=/; max-age=${YEAR_S}; samesite=lax`;
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
  button.hidden = false;
}
