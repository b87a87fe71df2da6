// The page's one entry.

import "mailroom/elements/queue-stage.js";
