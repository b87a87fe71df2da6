"""Who asks for reduced motion: nothing travels, a trace says what went where, clocks go on by tenths, nothing starts by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from engine import events as e
from tests.browser.conftest import House, wait
from tests.browser.mocked import in_room
from tests.browser.scripts import BILLING, CASHIER, LATENCY_US, ORDERS, SHOP, post_office

STAGE = "document.querySelector('queue-stage')"
STEP = "Step"
FIRST_US = 300_000
"""m1 sets out."""
ROUTED_US = FIRST_US + LATENCY_US

PLAYED = f"""async (to_us) => {{
  const stage = {STAGE}, frames = [];
  stage.clock.setRate(performance.now(), 2, Infinity);
  stage.play();
  while (stage.playing && stage.now < to_us) {{
    await new Promise(requestAnimationFrame);
    const {{ now, messages, signals }} = stage.scene();
    frames.push({{ now, at: stage.shownScene.at_us, bars: stage.drawn.bars.map((bar) => bar.part),
      spots: [...messages, ...signals].map(({{ id, x, y }}) => [id, Math.round(x), Math.round(y)]) }});
  }}
  stage.pause();
  return frames;
}}"""
"""Every frame of a run: what stood where, and the last event that had happened."""

TRACES = f"{STAGE}.drawn.traces.map(({{ points }}) => points)"

INK = f"""([x0, x1, y]) => {{
  const stage = {STAGE}, canvas = stage.parts.canvas;
  const box = canvas.getBoundingClientRect(), picture = stage.parts.scroller.getBoundingClientRect();
  const ratio = canvas.width / box.width;
  const top = Math.round((y + picture.y - box.y) * ratio), left = (x0 + picture.x - box.x) * ratio;
  const row = canvas.getContext('2d').getImageData(left, top, (x1 - x0) * ratio, 1).data;
  const dark = [];
  for (let i = 0; i < row.length; i += 4) dark.push(row[i + 3] > 200 && row[i] + row[i + 1] + row[i + 2] < 240);
  const changes = dark.filter((is, i) => i && is !== dark[i - 1]).length;
  return {{ dark: dark.filter(Boolean).length, changes, painted: row.some((x) => x) }};
}}"""
"""How many pixels of a row are ink, how often ink begins or ends, and whether anything is painted there."""


@pytest.fixture
def page(open_page: Callable[..., Page], house: House) -> Page:
    page = open_page(house.show(post_office(), chunks=3), reduced_motion="reduce")
    wait(page, f"!!{STAGE}.drawn.traces")
    return page


def at(page: Page, t_us: int) -> dict[str, Any]:
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek({t_us})")
    page.wait_for_timeout(250)
    scene: dict[str, Any] = page.evaluate(f"{STAGE}.scene()")
    return scene


def centre(scene: dict[str, Any], node: int) -> float:
    box = next(n for n in scene["nodes"] if n["id"] == node)
    return float(box["x"] + box["width"] / 2)


def test_a_run_stands_until_it_is_stepped_and_each_step_is_the_next_event(page: Page) -> None:
    before = page.evaluate(f"{STAGE}.now")
    page.wait_for_timeout(300)
    assert page.evaluate(f"{STAGE}.now") == before and not page.evaluate(f"{STAGE}.playing")
    for _ in range(4):
        due = page.evaluate(f"{STAGE}.timeline.momentAfter({STAGE}.shown_us)")
        page.get_by_role("button", name=STEP, exact=True).click()
        assert page.evaluate(f"{STAGE}.now") == due and not page.evaluate(f"{STAGE}.playing")


def test_at_no_frame_is_anything_between_two_places(page: Page) -> None:
    # When it plays through publishing, deliveries, acknowledgements and a crash
    frames = page.evaluate(PLAYED, 8_500_000)
    assert len(frames) > 60 and sum(len(frame["spots"]) for frame in frames) > 500
    stood: dict[tuple[str, int], set[tuple[int, int]]] = {}
    for frame in frames:
        for id_, x, y in frame["spots"]:
            stood.setdefault((id_, frame["at"]), set()).add((x, y))
    # Then nothing has been in two spots from one event to the next
    assert {key: spots for key, spots in stood.items() if len(spots) > 1} == {}
    # And some of it was seen at more than one moment between two events
    assert len(frames) > len({frame["at"] for frame in frames}) + 20


@pytest.mark.parametrize("part", [0, 0.3, 0.7, 0.99])
def test_what_sets_out_is_at_its_destination(page: Page, part: float) -> None:
    scene = at(page, FIRST_US + round(LATENCY_US * part))
    m1 = next(m for m in scene["messages"] if m["label"] == "m1")
    assert m1["x"] == pytest.approx(centre(scene, ORDERS), abs=1)
    # Its delivery stands in the worker's box as soon as it has left the lane
    scene = at(page, ROUTED_US + round(LATENCY_US * part))
    body = next(m for m in scene["messages"] if m["label"] == "m1" and m["node"] == CASHIER)
    box = next(n for n in scene["nodes"] if n["id"] == CASHIER)
    assert box["x"] < body["x"] < box["x"] + box["width"]


def test_a_dashed_trace_leads_from_source_to_destination_and_goes_with_the_next_event(page: Page) -> None:
    scene = at(page, FIRST_US)
    (points,) = page.evaluate(TRACES)
    shop = next(n for n in scene["nodes"] if n["id"] == SHOP)
    picture = page.evaluate(
        f"{STAGE}.parts.scroller.getBoundingClientRect().x - {STAGE}.getBoundingClientRect().x"
    )
    assert points[0][0] + picture == pytest.approx(shop["x"] + shop["width"], abs=4)
    assert 0 < centre(scene, ORDERS) - (points[-1][0] + picture) < 30
    # It is on the screen: dashes of ink in one row, and it stays there
    row = [points[0][0], points[-1][0] - 12, points[0][1]]
    ink = page.evaluate(INK, row)
    assert ink["dark"] > (row[1] - row[0]) * 0.3 and ink["changes"] >= 6
    following = page.evaluate(f"{STAGE}.timeline.momentAfter({FIRST_US})")
    assert at(page, following - 1) and page.evaluate(INK, row) == ink
    # And with the next event it is gone
    page.get_by_role("button", name=STEP, exact=True).click()
    assert page.evaluate(f"{STAGE}.now") == following
    page.wait_for_timeout(250)
    assert page.evaluate(INK, row)["painted"] is False and page.evaluate(TRACES) == []
    # Until something else sets out: a copy to each queue, and on to the worker
    at(page, ROUTED_US)
    assert page.evaluate(INK, row)["painted"] is False
    traces = page.evaluate(TRACES)
    assert len(traces) >= 2 and points not in traces


def test_the_narrow_picture_has_its_traces_too(open_page: Callable[..., Page], house: House) -> None:
    page = open_page(house.show(post_office(), chunks=3), reduced_motion="reduce")
    page.set_viewport_size({"width": 390, "height": 844})
    wait(page, f"{STAGE}.figure.narrow && !!{STAGE}.drawn.traces")
    at(page, ROUTED_US)
    traces = page.evaluate(TRACES)
    assert traces and all(0 <= x <= 390 for points in traces for x, _ in points)


def test_what_arrives_fades_in_while_it_fades_out_where_it_was_also_at_a_step(page: Page) -> None:
    at(page, ROUTED_US - 1_000)
    # The press and what it does are looked at in one turn: the fade is over in 180 ms
    step = page.get_by_role("button", name=STEP, exact=True)
    seen = step.evaluate(f"""async (button) => {{
      button.click();
      const seen = [];
      for (const until = performance.now() + 400; performance.now() < until;) {{
        await new Promise(requestAnimationFrame);
        seen.push([Math.max(...{STAGE}.drawn.ghosts.map((g) => g.alpha), 0), Math.min(...{STAGE}.drawn.tokens.map((t) => t.alpha))]);
      }}
      return seen;
    }}""")
    # Then both of it add up to one picture, and it ends by itself while the clock stands
    assert any(0 < gone < 1 for gone, _ in seen)
    assert all(gone + here == pytest.approx(1) for gone, here in seen)
    assert seen[-1] == [0, 1]


def test_the_work_bar_goes_on_in_tenths(page: Page) -> None:
    # Given a piece of work that lasts 500 ms: its bar is drawn in whole tenths at every moment
    begin = page.evaluate(f"""(node) => {{
      const stage = {STAGE};
      for (let t = 0; t < 9e6; t += 25000) for (const work of stage.timeline.sceneAt(t).work.values())
        if (work.node === node) return work.at_us;
    }}""", CASHIER)  # fmt: skip
    widths = []
    for moment in range(0, 500_000, 17_000):
        scene = at_once(page, begin + moment)
        bar = page.evaluate(
            f"(node) => {{ const b = {STAGE}.figure.nodes.get(node); return [b.x + 16, b.x + b.width - 10, b.y + b.height - 9]; }}",
            CASHIER,
        )
        length = bar[1] - bar[0]
        widths.append(round(page.evaluate(INK, bar)["dark"] / length * 10, 1))
        assert widths[-1] == pytest.approx(moment // 50_000, abs=0.15), scene
    assert {round(width) for width in widths} == set(range(10))


def at_once(page: Page, t_us: int) -> int:
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek({t_us})")
    return int(page.evaluate(f"{STAGE}.now"))


def test_a_fuse_burns_down_in_tenths(open_page: Callable[..., Page], house: House) -> None:
    events = [x for x in post_office(200_000) if x.at_us < 200_000]
    events += [e.MessageCreated(200_000, 0, 1, SHOP, "ana", False), e.Routed(200_000, 0, 1, ORDERS, (e.Owed(1, BILLING),)),
               e.Placed(200_000, 0, 1, 0, BILLING, "ready", -1), e.FuseLit(200_000, 0, 1, BILLING, "ttl", 5_200_000)]  # fmt: skip
    page = open_page(house.show(events), reduced_motion="reduce")
    wait(page, f"!!{STAGE}.drawn.traces")
    for moment in range(0, 5_000_000, 330_000):
        at(page, 200_000 + moment)
        x, y, scale = page.evaluate(f"(({{ x, y, scale }}) => [x, y, scale])({STAGE}.drawn.tokens[0])")
        ink = page.evaluate(INK, [x - 20 * scale, x + 20 * scale, y - 29 * scale + 2])["dark"]
        assert ink / (40 * scale) * 10 == pytest.approx(10 - moment // 500_000, abs=0.4)


def test_the_setting_can_be_changed_while_the_page_is_open(
    open_page: Callable[..., Page], house: House
) -> None:
    page = open_page(house.show(post_office(), chunks=3))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "calm" in request.url else None)
    wait(page, f"{STAGE}.playing && {STAGE}.now > 400000")
    assert page.evaluate(f"{STAGE}.drawn.traces") is None
    # When calm is asked for, then it stands, and what was under way is at its destination
    page.emulate_media(reduced_motion="reduce")
    wait(page, f"!!{STAGE}.drawn.traces && !{STAGE}.playing")
    assert [url.rpartition("/")[2] for url in asked] == ["calm.js", "calm-ways.js"], (
        "fetched when it is wanted"
    )
    scene = at(page, FIRST_US + LATENCY_US // 2)
    assert next(m for m in scene["messages"] if m["label"] == "m1")["x"] == pytest.approx(
        centre(scene, ORDERS), abs=1
    )
    # And when it is not any more, things travel again
    page.emulate_media(reduced_motion="no-preference")
    wait(page, f"!{STAGE}.drawn.traces")
    scene = at(page, FIRST_US + LATENCY_US // 2)
    assert next(m for m in scene["messages"] if m["label"] == "m1")["x"] < centre(scene, ORDERS) - 20


@pytest.mark.parametrize("path", ["/", "/play/work-queue/"])
def test_the_pages_of_the_site_stand_too_and_step(visit: Callable[..., Page], path: str) -> None:
    page = visit(path, reduced_motion="reduce")
    before = page.evaluate(f"{STAGE}.now")
    page.wait_for_timeout(300)
    assert page.evaluate(f"{STAGE}.now") == before and not page.evaluate(f"{STAGE}.playing")
    page.get_by_role("button", name=STEP, exact=True).click()
    wait(page, f"{STAGE}.now > {before}")
    assert not page.evaluate(f"{STAGE}.playing")


def test_home_says_that_it_runs_only_where_it_does(visit: Callable[..., Page]) -> None:
    page = visit("/", reduced_motion="reduce")
    assert not page.evaluate(f"{STAGE}.playing")
    intro = page.locator(".intro p").inner_text()
    assert "running" not in intro and "press Play" in intro
    page.emulate_media(reduced_motion="no-preference")
    assert "already running" in page.locator(".intro p").inner_text()


def test_in_a_room_the_clock_goes_on_and_nothing_travels(server: Any, house: House) -> None:
    # Given a room that runs, on a page that asks for calm
    server.page.emulate_media(reduced_motion="reduce")
    page = in_room(server, house, post_office(), 300_000, rate=500)
    wait(page, f"!!{STAGE}.drawn.traces")
    seen = page.evaluate(f"""async () => {{
      const seen = new Set();
      while ({STAGE}.now < 1200000) {{
        await new Promise(requestAnimationFrame);
        const m = {STAGE}.scene().messages.concat({STAGE}.scene().signals).find((x) => x.label === "m1");
        if (m) seen.add(Math.round(m.x));
      }}
      return [...seen];
    }}""")
    # Then m1 has stood in a few places and been nowhere between, while the room's clock went on
    assert 1 <= len(seen) <= 4, seen
    assert page.evaluate(f"{STAGE}.playing")
    # When the wish is withdrawn while it runs, the room goes on and things travel; and when it comes back, they stand
    page.emulate_media(reduced_motion="no-preference")
    wait(page, f"!{STAGE}.drawn.traces && {STAGE}.playing")
    page.emulate_media(reduced_motion="reduce")
    wait(page, f"!!{STAGE}.drawn.traces && {STAGE}.playing")
    assert server.of("command") == [], "a room's clock is everybody's: nobody's setting stops it"


FILM = """async () => {
  const pixels = () => [...document.querySelectorAll('.thumb canvas, canvas')].filter((c) => c.getBoundingClientRect().top < innerHeight)
    .map((c) => c.width && c.toDataURL());
  const before = pixels();
  await new Promise((done) => setTimeout(done, 900));
  const after = pixels();
  return [before.length, before.filter((b, i) => b !== after[i]).length];
}"""


def test_the_gallerys_pictures_stand_and_move_again_as_the_setting_says(chromium: Browser, site: Any) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(site.url + "/play/")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    count, changed = page.evaluate(FILM)
    assert count > 2 and changed == 0
    page.emulate_media(reduced_motion="no-preference")
    page.wait_for_timeout(300)
    assert page.evaluate(FILM)[1] > 0
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_timeout(300)
    assert page.evaluate(FILM)[1] == 0
    context.close()


def test_a_lesson_goes_from_stop_to_stop_by_steps(visit: Callable[..., Page]) -> None:
    page = visit_lesson(visit)
    stops = page.evaluate(
        "[...document.querySelectorAll('[data-stop][data-at]')].map((s) => Number(s.dataset.at))"
    )
    before = page.evaluate(f"{STAGE}.now")
    page.wait_for_timeout(300)
    # Given the run that was begun: it stands, and says how it goes on
    assert page.evaluate(f"{STAGE}.now") == before and not page.evaluate(f"{STAGE}.playing")
    assert "one event at a time" in page.locator("[data-running]").inner_text()
    # When it is stepped, each step is one event, and at the stop its text is there
    for _ in range(400):
        page.keyboard.press("Shift+ArrowRight")
        now = page.evaluate(f"{STAGE}.now")
        assert now <= stops[0] and not page.evaluate(f"{STAGE}.playing")
        if now == stops[0]:
            break
    wait(page, "!document.querySelector('[data-stop][data-at]').hidden")
    assert page.evaluate(f"{STAGE}.now") == stops[0]


def visit_lesson(visit: Callable[..., Page]) -> Page:
    """A lesson whose prediction has been made and whose run has been begun."""
    page = visit("/play/work-queue/", reduced_motion="reduce")
    page.goto(page.url.replace("/play/work-queue/", "/lessons/point-to-point/"))
    page.get_by_role("radio").first.check()
    page.get_by_role("button", name="Keep my prediction and run").click()
    wait(page, "document.querySelector('[data-lesson]').dataset.step === 'run'")
    wait(page, "!document.querySelector('[data-running]').hidden")
    return page
