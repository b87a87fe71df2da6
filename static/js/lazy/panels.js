// What stands around the figure. Fetched after the first picture has been painted.

import { furnishConnection } from "mailroom/lazy/session.js";
import { furnishFaults } from "mailroom/lazy/faults.js";
import { furnishInspector } from "mailroom/lazy/inspector.js";
import { furnishLedger } from "mailroom/lazy/ledger.js";
import { furnishNarrator } from "mailroom/lazy/narrator.js";
import { furnishTokens } from "mailroom/lazy/token-buttons.js";
import { furnishTransport } from "mailroom/lazy/transport.js";

export function furnish(stage) {
  for (const one of [furnishTransport, furnishLedger, furnishNarrator, furnishInspector, furnishTokens,
                     furnishConnection, furnishFaults]) one(stage);
  stage.furnished = true;
  stage.dispatchEvent(new Event("transport"));
  stage.dispatchEvent(new Event("change"));
  stage.dispatchEvent(new Event("moment"));
}
