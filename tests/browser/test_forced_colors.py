"""High contrast: with the system's colours forced, everything can be read, and every control can be seen and told apart."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from lessons.catalogue import catalogue
from lessons.items import Single
from tests.browser.conftest import wait
from tests.browser.test_axe import STAGE, findings

SINGLE = next(item for item in catalogue().lessons["idempotency"].items if isinstance(item, Single))
PAGES = {
    "home": "/",
    "a playground": "/play/retry-dlq/",
    "a lesson": "/lessons/idempotency/",
    "the lessons": "/lessons/",
    "a question": f"/quiz/{SINGLE.id}/{SINGLE.seed}/",
}

FAINT = """(() => {
  const parts = (colour) => { const [r, g, b, a = 1] = colour.match(/[\\d.]+/g)?.map(Number) ?? [0, 0, 0, 0]; return { r, g, b, a }; };
  const light = ({ r, g, b }) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) { const c = parts(getComputedStyle(e).backgroundColor); if (c.a > 0.5) return c; }
    return parts(getComputedStyle(document.documentElement).getPropertyValue("--paper") || "rgb(255, 255, 255)");
  };
  const seen = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    && element.getBoundingClientRect().width > 1 && !element.closest(".unseen, .skip");
  const said = [];
  // What is written, and what is drawn of a control
  for (const element of document.querySelectorAll("body *")) {
    if (!seen(element) || element.closest("svg")) continue;
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const style = getComputedStyle(element);
    if (own && !element.matches(":disabled, :disabled *") && contrast(parts(style.color), behind(element)) < 4.5)
      said.push(`text ${element.textContent.trim().slice(0, 30)} ${style.color} on ${JSON.stringify(behind(element))}`);
  }
  for (const svg of document.querySelectorAll("a svg, button svg")) {
    if (!seen(svg) || svg.closest(":disabled")) continue;
    const inks = [...svg.querySelectorAll("path, circle, rect, line, polygon")].flatMap((shape) => {
      const { fill, stroke } = getComputedStyle(shape); return [fill, stroke].filter((c) => c !== "none").map(parts).filter((c) => c.a);
    });
    if (!inks.some((ink) => contrast(ink, behind(svg)) >= 3)) said.push(`icon of ${svg.closest("a, button").outerHTML.slice(0, 90)}`);
  }
  // What the figure is drawn with: rails, wires, frames of nodes
  for (const shape of document.querySelectorAll(".stage svg.wires :is(.rail, .wire, .headbar, .outline)")) {
    const { stroke, fill } = getComputedStyle(shape);
    if (seen(shape) && ![stroke, fill].some((c) => c !== "none" && contrast(parts(c), behind(shape.closest(".stage"))) >= 3))
      said.push(`figure ${shape.getAttribute("class")} ${stroke}`);
  }
  return said.slice(0, 10);
})()"""


@pytest.fixture(params=["dark", "light"])
def page(chromium: Browser, site: Any, request: Any) -> Any:
    """A page whose visitor chose the light theme once, under a palette that is dark or light."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme=request.param, forced_colors="active"
    )
    context.add_cookies([{"name": "theme", "value": "light", "url": site.url}])
    opened = context.new_page()
    opened.base = site.url  # type: ignore[attr-defined]
    yield opened
    context.close()


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_everything_can_be_read_and_controls_are_seen(page: Any, path: str) -> None:
    page.goto(page.base + path)
    page.wait_for_load_state("load")
    if path in ("/", PAGES["a playground"]):
        wait(page, f"{STAGE}?.furnished && {STAGE}.now > 2500000", 30)
        page.evaluate(f"{STAGE}.pause()")
    assert page.evaluate(FAINT) == []
    assert findings(page) == []


def ink_around(page: Page, x: float, y: float) -> int:
    """How many different colours the canvas of tokens has in a square of 40 px there."""
    return int(
        page.evaluate(
            """([x, y]) => {
      const stage = document.querySelector('queue-stage'), canvas = stage.querySelector('canvas');
      const box = canvas.getBoundingClientRect(), host = stage.getBoundingClientRect(), ratio = canvas.width / box.width;
      const at = (v) => Math.round(v * ratio);
      const [left, top] = [x - (box.left - host.left) - 20, y - (box.top - host.top) - 20];
      const { data } = canvas.getContext('2d').getImageData(at(left), at(top), at(40), at(40));
      const seen = new Set();
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 250) seen.add(`${data[i]} ${data[i + 1]} ${data[i + 2]}`);
      return seen.size;
    }""",
            [x, y],
        )
    )


def test_messages_have_outline_and_label(page: Any) -> None:
    page.goto(page.base + PAGES["a playground"])
    wait(page, f"{STAGE}?.furnished && {STAGE}.now > 2500000", 30)
    page.evaluate(f"{STAGE}.pause()")
    page.wait_for_timeout(200)
    messages = page.evaluate(
        f"{STAGE}.scene().messages.filter((m) => m.role === 'body').map((m) => [m.x, m.y])"
    )
    assert messages
    assert all(ink_around(page, x, y) > 1 for x, y in messages)


def test_the_line_of_time_shows_what_has_passed(page: Any) -> None:
    page.goto(page.base + PAGES["a playground"])
    wait(page, f"{STAGE}?.furnished && document.querySelector('.scrub-past') !== null")
    ink, paper = page.evaluate(
        "['.scrub-past', 'body'].map((name) => getComputedStyle(document.querySelector(name)).backgroundColor)"
    )
    assert ink != paper and "0)" not in ink.replace("rgb(0, 0, 0)", "")


def test_what_is_pressed_or_chosen_differs_from_what_is_not(page: Any) -> None:
    page.goto(page.base + PAGES["a playground"])
    wait(page, f"{STAGE}?.furnished")
    look = "(b) => { const s = getComputedStyle(b); return [s.backgroundColor, s.color]; }"
    speeds = page.get_by_role("group", name="Speed").get_by_role("button")
    pressed = [b for b in speeds.all() if b.get_attribute("aria-pressed") == "true"]
    others = [b for b in speeds.all() if b.get_attribute("aria-pressed") != "true"]
    assert pressed and pressed[0].evaluate(look) != others[0].evaluate(look)
    page.goto(page.base + PAGES["a question"])
    first = page.locator("input[name=answer]").first
    first.check()
    expect(first).to_be_checked()
    assert first.evaluate("(i) => getComputedStyle(i).appearance") != "none", "the system draws its own mark"
