"""A figure that is much taller than the screen: the canvas covers what is in view, and follows when one scrolls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

from engine.scenario import from_data
from engine.simulation import Simulation
from engine.wire import decode
from tests.browser.conftest import House, wait
from tests.browser.scripts import KINDS

STAGE = "document.querySelector('queue-stage')"
LANES = 16
INK = """([x, y]) => {
  const stage = document.querySelector('queue-stage');
  const { canvas } = stage.parts, box = canvas.getBoundingClientRect(), host = stage.getBoundingClientRect();
  const at = (v, from, size, pixels) => Math.round((v - from) / size * pixels);
  const px = at(x + host.x, box.x, box.width, canvas.width), py = at(y + host.y, box.y, box.height, canvas.height);
  if (py < 0 || py >= canvas.height) return 'not covered';
  return canvas.getContext('2d').getImageData(px - 12, py - 3, 6, 6).data.some((v) => v > 0) ? 'ink' : 'nothing';
}"""


def many_lanes() -> list[Any]:
    """Each of the lanes holds three messages from 2 s on; nobody takes them."""
    queues = [f"q{n}" for n in range(LANES)]
    scenario = from_data({
        "format": 1, "title": "many lanes", "length": "30s", "kinds": KINDS,
        "system": [{"name": "broker", "kind": "rabbitmq", "link": "100ms", "exchanges": [{"name": "all", "type": "fanout"}],
                    "queues": [{"name": q} for q in queues], "bindings": [{"exchange": "all", "queue": q} for q in queues]}],
        "producer": [{"name": "shop", "system": "broker", "to": {"exchange": "all"}, "keys": KINDS,
                      "arrivals": {"at": ["100ms", "300ms", "500ms"]}}],
    })  # fmt: skip
    simulation = Simulation(scenario, 1)
    while not simulation.advance(10_000_000):
        pass
    assert simulation.ticks is not None
    return [event for tick in simulation.ticks.take() for event in decode(tick.events)]


def tokens(page: Page, lane: int) -> list[list[float]]:
    """Where the messages of a lane are, from the top."""
    scene = page.evaluate(f"{STAGE}.scene()")
    queues = sorted((n for n in scene["nodes"] if n["kind"] == "queue"), key=lambda n: n["y"])
    return [[m["x"], m["y"]] for m in scene["messages"] if m["node"] == queues[lane]["id"]]


def test_the_last_lane_is_drawn_when_one_scrolls_to_it_and_the_first_again_on_the_way_back(
    open_page: Callable[..., Page], house: House
) -> None:
    page = open_page(house.show(many_lanes()))
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek(5000000)")
    # Given a canvas that is not as tall as the figure
    assert page.evaluate(f"{STAGE}.parts.canvas.height < {STAGE}.figure.height * 0.9")
    for lane in (LANES - 1, 0, LANES // 2):
        # When the lane is scrolled into view
        places = tokens(page, lane)
        assert len(places) == 3
        page.evaluate(f"document.querySelectorAll('.node.queue')[{lane}].scrollIntoView({{block: 'center'}})")
        wait(page, f"{STAGE}.pane !== null")
        page.wait_for_timeout(100)
        # Then its messages are there, where the scene says
        assert [page.evaluate(INK, place) for place in tokens(page, lane)] == ["ink"] * 3


def test_a_click_meets_the_message_that_is_seen_after_scrolling(
    open_page: Callable[..., Page], house: House
) -> None:
    page = open_page(house.show(many_lanes()))
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek(5000000)")
    page.evaluate(
        f"document.querySelectorAll('.node.queue')[{LANES - 1}].scrollIntoView({{block: 'center'}})"
    )
    page.wait_for_timeout(100)
    place = tokens(page, LANES - 1)[0]
    host = page.evaluate(f"(({{ x, y }}) => [x, y])({STAGE}.getBoundingClientRect())")
    # The canvas itself is clicked: the buttons over it are a way of their own
    page.evaluate("document.querySelector('.token-buttons').replaceChildren()")
    page.mouse.click(host[0] + place[0], host[1] + place[1])
    wait(page, f"{STAGE}.selected > 0")
