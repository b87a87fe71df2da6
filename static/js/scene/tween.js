// Where something is between two moments. Pure arithmetic of simulated time: no clock, no scene.

/** cubic-bezier(.3, 0, .2, 1), the one easing of the house, at progress 0…1. */
export function ease(progress) {
  if (progress <= 0) return 0;
  if (progress >= 1) return 1;
  let u = progress;
  for (let i = 0; i < 6; i++) {
    const slope = bezierSlope(u, 0.3, 0.2);
    if (slope < 1e-4) break;
    u = Math.min(1, Math.max(0, u - (bezier(u, 0.3, 0.2) - progress) / slope));
  }
  return bezier(u, 0, 1);
}

const bezier = (u, a, b) => 3 * (1 - u) * (1 - u) * u * a + 3 * (1 - u) * u * u * b + u * u * u;
const bezierSlope = (u, a, b) => 3 * (1 - u) * (1 - u) * a + 6 * (1 - u) * u * (b - a) + 3 * u * u * (1 - b);

/** How far something that departs and arrives at these moments is at `t_us`, eased, 0…1. */
export function travelled(t_us, depart_us, arrive_us) {
  return arrive_us <= depart_us ? 1 : ease((t_us - depart_us) / (arrive_us - depart_us));
}

/** How long tokens take to close up, in simulated µs: the only movement that no event times. */
export const SHIFT_US = 180_000;

/** 1 when a displacement of `at_us` has just begun, 0 when it is over. */
export function leftover(t_us, at_us) {
  return t_us - at_us >= SHIFT_US ? 0 : 1 - ease((t_us - at_us) / SHIFT_US);
}

/** The displacement, in cells towards the tail, of the token at `index` of a zone at `t_us`. */
export function displacement(drift, index, t_us) {
  let cells = 0;
  let then = index;
  for (let i = drift.length - 1; i >= 0; i--) {
    const change = drift[i];
    if (t_us - change.at_us >= SHIFT_US) break;
    if (change.by > 0 ? then >= change.index : then > change.index) {
      cells += change.by * leftover(t_us, change.at_us);
      then += change.by;
    } else if (change.by < 0 && then === change.index) break;
  }
  return cells;
}

/** A path as points with a measure: |dx| where it only goes one way in x, else its length. */
export function path(points) {
  const forward = points[points.length - 1][0] >= points[0][0] ? 1 : -1;
  const monotone = points.every(([x], i) => i === 0 || (x - points[i - 1][0]) * forward > 0);
  const measure = [0];
  for (let i = 1; i < points.length; i++) {
    const dx = points[i][0] - points[i - 1][0];
    const dy = points[i][1] - points[i - 1][1];
    measure.push(measure[i - 1] + (monotone ? Math.abs(dx) : Math.hypot(dx, dy)));
  }
  return { points, measure };
}

/** The point of `along` at `part` (0…1) of its measure. */
export function pointAt(along, part) {
  const { points, measure } = along;
  const goal = part * measure[measure.length - 1];
  let i = 1;
  while (i < points.length - 1 && measure[i] < goal) i++;
  const span = measure[i] - measure[i - 1];
  const share = span ? (goal - measure[i - 1]) / span : 1;
  const [x0, y0] = points[i - 1];
  const [x1, y1] = points[i];
  return [x0 + (x1 - x0) * share, y0 + (y1 - y0) * share];
}
