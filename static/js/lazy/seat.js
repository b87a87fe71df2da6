// Which of the two you are in a room, owner or viewer, and why a button cannot be used. Fetched with the
// first room.

const YOU = {
  owner: "You steer this room; whoever has its address watches.",
  viewer: "You watch; the room’s owner steers.",
};
const AT_NOW = "Look back first: a fork goes on from an earlier moment.";
const OWNERS = "Only the room’s owner may do this.";
const STANDS = "The room stands: its owner lets it go on. Step back to look at what was.";
const AHEAD = "What comes next is the owner’s to say. Step back to look at what was.";
const OWNERS_SPEED = "The room’s owner sets its speed. Look back to set your own.";

/** Says in the line under the stage's head who steers. */
export function showSeat(stage) {
  const { seat } = stage.parts;
  const role = stage.session?.inRoom ? stage.session.role : "";
  if (!seat || seat.dataset.role === role) return;
  seat.dataset.role = role;
  seat.hidden = !role;
  seat.replaceChildren(YOU[role] ?? "");
  if (role !== "viewer") return;
  const link = document.createElement("a");
  Object.assign(link, { textContent: "Open the scenario", href: `/play/${stage.dataset.slug}/` });
  seat.append(" ", link, " to try things yourself.");
}

/**
 * Disables `button` where it may not be used now, and says why where a pointer and a screen reader find it.
 */
export function mayNot(stage, button) {
  const why = whyNot(stage, button);
  if (button.disabled === Boolean(why) && button.title === why) return;
  button.disabled = Boolean(why);
  button.title = why;
}

function whyNot({ looking, session, playing }, { dataset }) {
  if (dataset.do === "toggle") return session.steers || looking || playing ? "" : STANDS;
  if (dataset.do === "step") return session.steers || looking ? "" : AHEAD;
  if (dataset.rate) return looking || session.steers ? "" : OWNERS_SPEED;
  if (!session.steers) return OWNERS;
  return dataset.do === "fork" && !looking ? AT_NOW : "";
}
