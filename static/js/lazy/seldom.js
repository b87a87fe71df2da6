// For what nobody can read faster: at once when the picture stands, at most so often while it plays.

/**
 * Calls `act` when `stage` says one of `kinds`; while it plays at most once in `every_ms`, and once more at
 * the end.
 */
export function seldom(stage, kinds, every_ms, act) {
  let timer = 0;
  let acted_ms = -Infinity;
  const now = () => {
    clearTimeout(timer);
    timer = 0;
    acted_ms = performance.now();
    act();
  };
  const heard = () => {
    const left_ms = stage.playing ? acted_ms + every_ms - performance.now() : 0;
    if (left_ms <= 0) now();
    else timer ||= setTimeout(now, left_ms);
  };
  for (const kind of kinds) stage.addEventListener(kind, heard);
}
