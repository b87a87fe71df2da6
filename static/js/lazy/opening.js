// From a recording into a room of one's own.

const NO_ANSWER = "No room could be opened: the server does not answer. Try again.";
const TRIES = 2;
const AGAIN_MS = 400;

/**
 * Posts the first command (or none) with the moment and the seed shown, unless `more` says others. Tried
 * again with the same id where no answer came, so that there is one room.
 * @returns {Promise<{room: string, url: string} | {text: string}>} the room, or a sentence that says why not
 */
export async function openRoom(stage, more) {
  const { dataset, clock, now } = stage;
  const rate = clock.playing ? clock.rate * 1000 : 0;
  const body = JSON.stringify({ slug: dataset.slug, seed: Number(dataset.seed), now_us: now, rate, ...more });
  const token = stage.querySelector("[name=csrfmiddlewaretoken]")?.value ?? "";
  const headers = { "Content-Type": "application/json", "X-CSRFToken": token };
  for (let tries = 1; ; tries++) {
    try {
      const answer = await fetch(dataset.open || "/room/open/", { method: "POST", headers, body });
      const told = await answer.json().catch(() => ({}));
      return answer.ok ? told : { text: told.text ?? "No room could be opened. Try again." };
    } catch {
      if (tries === TRIES) return { text: NO_ANSWER };
      await new Promise((go) => {
        setTimeout(go, AGAIN_MS);
      });
    }
  }
}
