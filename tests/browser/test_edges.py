"""What is drawn stays within the figure at every moment, and attempts stand clear of rails and bars."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from engine.history import play
from engine.scenario import load
from tests.browser.conftest import House

SHIPPED = [
    path
    for path in sorted((Path(__file__).parent.parent.parent / "lessons/scenarios").glob("*.toml"))
    if load(path).rabbitmq
]

BEYOND = """() => {
  const stage = document.querySelector("queue-stage");
  stage.pause();
  const beyond = [];
  for (let t_us = 0; t_us < 9900000; t_us += 20000) {
    stage.seek(t_us);
    for (const { label, zone, x, scale } of stage.drawn.tokens) {
      if (x - 23 * scale < 0 || x + 23 * scale > stage.figure.width) beyond.push([t_us, label, zone, Math.round(x)]);
    }
  }
  return beyond.slice(0, 5);
}"""

CUT = """() => [...document.querySelectorAll(".node span")].filter((span) => {
  const [box, figure] = [span.getBoundingClientRect(), document.querySelector(".figure").getBoundingClientRect()];
  return span.scrollWidth > span.clientWidth + 1 || box.right > figure.right + 1 || box.left < figure.left - 1;
}).map((span) => span.textContent)"""

SQUARES = """() => {
  const stage = document.querySelector("queue-stage");
  stage.pause();
  const seen = [];
  for (let t_us = 5000000; t_us < 9900000; t_us += 50000) {
    stage.seek(t_us);
    for (const { token, scale, y, squares, deliveries, look, node, zone } of stage.drawn.tokens) {
      if (!token || deliveries < 2 || look !== "body" || !["ready", "working", "prefetched"].includes(zone)) continue;
      const { y: top, height } = stage.figure.nodes.get(node);
      seen.push({ zone, from: (squares || y + 24.5 * scale) - top, height });
    }
  }
  return seen;
}"""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_message_and_no_label_is_cut_by_the_edge(
    open_page: Callable[..., Page], house: House, path: Path, width: int
) -> None:
    scenario = load(path)
    events = play(scenario, scenario.seed, until_us=10_000_000).events
    page = open_page(house.show(events, path=f"/{path.stem}/", kinds=json.dumps(scenario.kinds)))
    page.set_viewport_size({"width": width, "height": 844})
    page.wait_for_timeout(200)
    assert page.evaluate(BEYOND) == []
    assert page.evaluate(CUT) == []


def test_the_squares_of_attempts_lie_on_no_rail_and_on_no_bar_of_close_lanes(
    open_page: Callable[..., Page], house: House
) -> None:
    scenario = load(next(path for path in SHIPPED if path.stem == "retry-dlq"))
    events = play(scenario, scenario.seed, until_us=10_000_000).events
    page = open_page(house.show(events, path="/squares/", kinds=json.dumps(scenario.kinds)))
    assert page.evaluate("document.querySelector('queue-stage').figure.close")
    seen = page.evaluate(SQUARES)
    assert {item["zone"] for item in seen} >= {"ready", "working"}
    for item in seen:
        if item["zone"] == "ready":  # under the lower rail, which is 2 px thick
            assert item["from"] >= item["height"] + 1
        else:  # over the bar of work, which begins 11 px above the foot
            assert item["from"] + 6 <= item["height"] - 11
