"""The animation is the model: a message is where depart, arrive and the easing say, at every moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import House, wait
from tests.browser.scripts import CASHIER, LATENCY_US, ORDERS, SHOP, post_office

STAGE = "document.querySelector('queue-stage')"


def ease(progress: float) -> float:
    """cubic-bezier(.3, 0, .2, 1), by bisection: independent of the browser's own arithmetic."""
    low, high = 0.0, 1.0
    for _ in range(60):
        u = (low + high) / 2
        x = 3 * (1 - u) ** 2 * u * 0.3 + 3 * (1 - u) * u * u * 0.2 + u**3
        low, high = (u, high) if x < progress else (low, u)
    return 3 * (1 - u) * u * u + u**3


@pytest.fixture
def page(open_page: Callable[..., Page], house: House) -> Page:
    return open_page(house.show(post_office(), chunks=3))


def at(page: Page, t_us: int) -> dict[str, Any]:
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek({t_us})")
    scene = page.evaluate(f"{STAGE}.scene()")
    assert scene["now"] == t_us
    return scene


def message(scene: dict[str, Any], label: str, zone: str = "flight") -> dict[str, Any]:
    return next(m for m in scene["messages"] if m["label"] == label and m["zone"] == zone)


def test_a_published_message_is_between_shop_and_exchange_exactly_when_it_should_be(page: Page) -> None:
    # Given m1, which departs at 0.3 s and arrives 0.4 s later
    nodes = {n["id"]: n for n in at(page, 300_000)["nodes"]}
    start = nodes[SHOP]["x"] + nodes[SHOP]["width"] + 2
    end = nodes[ORDERS]["x"] + nodes[ORDERS]["width"] / 2
    for part in (0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999):
        moment = 300_000 + round(LATENCY_US * part)
        # Then its x is where the easing says
        assert message(at(page, moment), "m1")["x"] == pytest.approx(
            start + (end - start) * ease(part), abs=2
        )


def test_a_delivery_moves_from_the_head_of_the_lane_to_the_worker(page: Page) -> None:
    departed = 300_000 + LATENCY_US
    xs = []
    for part in (0.05, 0.3, 0.5, 0.7, 0.95):
        scene = at(page, departed + round(LATENCY_US * part))
        body = [
            m
            for m in scene["messages"]
            if m["label"] == "m1" and m["zone"] == "flight" and m["node"] == CASHIER
        ]
        receipts = [m for m in scene["messages"] if m["label"] == "m1" and m["role"] == "receipt"]
        assert len(body) == 1 and len(receipts) == 2  # one in each queue
        xs.append((part, body[0]["x"]))
    (p0, x0), (p1, x1) = xs[0], xs[-1]
    span = (x1 - x0) / (ease(p1) - ease(p0))
    for part, x in xs:
        assert x == pytest.approx(x0 + span * (ease(part) - ease(p0)), abs=2)


def test_playing_shows_the_position_of_the_very_moment_it_says(page: Page) -> None:
    page.evaluate(
        f"{STAGE}.seek(300000); {STAGE}.clock.setRate(performance.now(), 0.25, Infinity); {STAGE}.play()"
    )
    seen = page.evaluate(
        f"""async () => {{
          const samples = [];
          for (let i = 0; i < 40; i++) {{
            await new Promise(requestAnimationFrame);
            const scene = {STAGE}.scene();
            const m = scene.messages.find((m) => m.label === "m1" && m.zone === "flight" && m.id.startsWith("s"));
            if (m) samples.push([scene.now, m.x]);
          }}
          {STAGE}.pause();
          return samples;
        }}"""
    )
    nodes = {n["id"]: n for n in at(page, 300_000)["nodes"]}
    start = nodes[SHOP]["x"] + nodes[SHOP]["width"] + 2
    end = nodes[ORDERS]["x"] + nodes[ORDERS]["width"] / 2
    assert len(seen) > 20 and seen[-1][1] > seen[0][1] + 8
    for now, x in seen:
        assert x == pytest.approx(start + (end - start) * ease((now - 300_000) / LATENCY_US), abs=2)


def test_the_pixels_are_where_the_scene_says(page: Page) -> None:
    # m1's colours are found on the canvas around the place that scene() names, and nowhere else on its wire
    for part in (0.3, 0.6):
        scene = at(page, 300_000 + round(LATENCY_US * part))
        x = message(scene, "m1")["x"]
        middle = page.evaluate(
            f"""(y) => new Promise((done) => requestAnimationFrame(() => {{
              const stage = {STAGE};
              const canvas = stage.parts.canvas;
              const box = canvas.getBoundingClientRect(), host = stage.getBoundingClientRect();
              const top = Math.round((y - box.y + host.y) * canvas.height / box.height);
              const row = canvas.getContext("2d").getImageData(0, top, canvas.width, 1).data;
              let sum = 0, count = 0;
              for (let i = 0; i < canvas.width / 3; i++) if (row[i * 4 + 3] > 40) {{ sum += i; count += 1; }}
              done(sum / count * box.width / canvas.width + box.x - host.x);
            }}))""",
            message(scene, "m1")["y"],
        )
        assert middle == pytest.approx(x, abs=2)


def test_pausing_freezes_in_mid_flight(page: Page) -> None:
    page.evaluate(f"{STAGE}.seek(300000); {STAGE}.play()")
    wait(page, f"{STAGE}.now > 420000")
    page.get_by_role("button", name="Pause", exact=True).click()
    first = page.evaluate(f"{STAGE}.scene()")
    page.wait_for_timeout(300)
    assert page.evaluate(f"{STAGE}.scene()") == first
    assert page.get_by_role("button", name="Play", exact=True).is_visible()


def test_a_moment_looks_the_same_whenever_one_comes_to_it(page: Page) -> None:
    moments = [500_000, 1_130_000, 3_333_000, 7_300_000, 7_610_000, 9_050_000]
    first = [at(page, t) for t in moments]
    again = [at(page, t) for t in reversed(moments)]
    assert again == first[::-1]


def test_the_first_message_moves_by_itself(open_page: Callable[..., Page], house: House) -> None:
    page = open_page(house.show(post_office(), chunks=3))
    wait(
        page,
        f"""(() => {{
      const m = {STAGE}.scene().messages.find((m) => m.label === "m1");
      if (m) window.x0 ??= m.x;
      return Boolean(m) && Math.abs(m.x - window.x0) >= 8;
    }})()""",
        4,
    )


def test_with_reduced_motion_it_stands_until_asked(open_page: Callable[..., Page], house: House) -> None:
    page = open_page(house.show(post_office(), chunks=3), reduced_motion="reduce")
    before = page.evaluate(f"{STAGE}.now")
    page.wait_for_timeout(300)
    assert page.evaluate(f"{STAGE}.now") == before
    page.get_by_role("button", name="Step", exact=True).click()
    wait(page, f"{STAGE}.now > {before}")
