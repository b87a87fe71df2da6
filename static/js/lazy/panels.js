// What stands around the figure. Fetched after the first picture has been painted.

import { furnishConnection } from "mailroom/lazy/session.js";
import { furnishFaults } from "mailroom/lazy/faults.js";
import { furnishLedger } from "mailroom/lazy/ledger.js";
import { furnishNarrator } from "mailroom/lazy/narrator.js";
import { furnishTransport } from "mailroom/lazy/transport.js";

export function furnish(stage) {
  for (const one of [furnishTransport, furnishLedger, furnishNarrator, furnishConnection, furnishFaults])
    one(stage);
  whenStill(stage, () =>
    import("mailroom/lazy/token-buttons.js").then(({ furnishTokens }) => furnishTokens(stage)),
  );
  onFirst(stage, "inspect", () =>
    import("mailroom/lazy/inspector.js").then(({ furnishInspector }) => furnishInspector(stage)),
  );
  onFirst(stage, "choose", () =>
    import("mailroom/lazy/settings.js").then(({ furnishSettings }) => furnishSettings(stage)),
  );
  whenDone(stage);
  whenOpen(stage.parts.charts, () =>
    import("mailroom/lazy/charts.js").then(({ furnishCharts }) => furnishCharts(stage)),
  );
  stage.furnished = true;
  stage.dispatchEvent(new Event("transport"));
  stage.dispatchEvent(new Event("change"));
  stage.dispatchEvent(new Event("moment"));
}

/** Fetches the strips, stores and tills with the first effect that is on the screen. */
function whenDone(stage) {
  const look = () => {
    if (!stage.parts.results || !stage.shownScene.finished.size) return;
    stage.removeEventListener("change", look);
    import("mailroom/lazy/results.js").then(({ furnishResults }) => furnishResults(stage));
  };
  stage.addEventListener("change", look);
}

/** Fetches what listens to `kind` when that happens for the first time, and says it again to it. */
function onFirst(stage, kind, fetch) {
  stage.addEventListener(
    kind,
    ({ detail }) => fetch().then(() => stage.dispatchEvent(new CustomEvent(kind, { detail }))),
    { once: true },
  );
}

/** Calls `act` the first time that `details` is open. */
function whenOpen(details, act) {
  if (details?.open) act();
  else details?.addEventListener("toggle", act, { once: true });
}

/** Calls `act` the first time that the picture stands. */
function whenStill(stage, act) {
  const look = () => {
    if (stage.playing) return;
    stage.removeEventListener("transport", look);
    act();
  };
  stage.addEventListener("transport", look);
}
