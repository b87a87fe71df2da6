"""The real site: a room in which more happens than can be drawn singly, and back. Nothing here is mocked."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import wait

STAGE = "document.querySelector('queue-stage')"
SEND = f"([cmd, args]) => void {STAGE}.session.command(cmd, args)"

AGREES = f"""() => {{
  const {{ shownScene }} = {STAGE};
  if (!shownScene.aggregated) return null;
  const sums = {{}};
  const queues = new Set([...shownScene.nodes.values()].filter((n) => n.kind === "queue").map((n) => n.node));
  for (const [node, zone, n] of shownScene.aggregated.counts) if (queues.has(node)) sums[zone] = (sums[zone] ?? 0) + n;
  const stands = [...shownScene.ledger.values()];
  const sum = (place) => stands.reduce((all, stand) => all + (stand[place] ?? 0), 0);
  return [[sums.ready ?? 0, sums.unacked ?? 0], [sum("ready"), sum("unacked")]];
}}"""


def test_a_busy_room_goes_in_numbers_and_back(visit: Callable[..., Page]) -> None:
    # Given a room of one's own at eight times, whose producer makes 300 messages a second
    page = visit("/play/work-queue/")
    page.evaluate(SEND, ["SetRate", {"producer": "camera", "per_minute": 18_000}])
    wait(page, "location.pathname.startsWith('/room/')")
    wait(page, f"{STAGE}.room !== null")
    page.evaluate(f"() => void {STAGE}.session.send('Speed', {{ rate: 8000 }}, {STAGE}.parts.faults)")
    # Then the stage says so, nobody is drawn, and the numbers are those of the ledger
    box = page.get_by_role("region", name="Too fast to draw singly")
    expect(box).to_be_visible(timeout=10_000)
    for _ in range(5):
        page.wait_for_timeout(150)
        shown = page.evaluate(AGREES)
        assert shown is not None
        assert shown[0] == shown[1]
    assert page.evaluate(f"{STAGE}.scene().messages.length") == 0
    # When it is paused
    page.get_by_role("button", name="Pause", exact=True).click()
    # Then each message is there again, as many as the ledger says
    expect(box).to_be_hidden(timeout=10_000)
    wait(page, f"{STAGE}.scene().messages.length > 0 && {STAGE}.shownScene.tokens.size > 100")
    counted = f"""() => {{
      const scene = {STAGE}.timeline.sceneAt({STAGE}.now);
      const own = [...scene.tokens.values()].filter((t) => t.attempt === 0);
      const sum = (place) => [...scene.ledger.values()].reduce((all, stand) => all + (stand[place] ?? 0), 0);
      return [["ready", "unacked"].map((zone) => own.filter((t) => t.zone === zone).length), [sum("ready"), sum("unacked")]];
    }}"""
    tokens, ledger = page.evaluate(counted)
    assert tokens == ledger
    # And a page that comes now, and so holds the present and no numbers, draws the same
    other = visit(page.evaluate("location.pathname"))
    wait(
        other,
        f"{STAGE}.room !== null && {STAGE}.scene().messages.length > 0 && {STAGE}.shownScene.tokens.size > 100",
    )
    wait(other, f"{STAGE}.digest === {page.evaluate(f'JSON.stringify({STAGE}.digest)')}")
    wait(other, f"{STAGE}.now === {page.evaluate(f'{STAGE}.now')}")
    assert other.evaluate(counted) == page.evaluate(counted)
