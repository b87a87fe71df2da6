"""The gallery: every scenario with a picture that moves, only where somebody looks, and still for who wants calm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import wait

INK = """(n) => { const c = document.querySelectorAll('.thumb canvas')[n];
  return c.height !== 150 &&
    c.getContext('2d').getImageData(0, 0, c.width, c.height).data.reduce((sum, x, i) => sum + x * (i % 997), 0); }"""


@pytest.fixture
def gallery(chromium: Browser, site: Any) -> Iterator[Any]:
    contexts: list[Any] = []

    def open_(**options: Any) -> tuple[Page, list[str]]:
        contexts.append(chromium.new_context(viewport={"width": 390, "height": 800}, **options))
        page = contexts[-1].new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/history/" in request.url else None)
        page.goto(site.url + "/play/")
        wait(page, f"({INK})(0) > 0", 15)
        return page, asked

    yield open_
    for context in contexts:
        context.close()


def test_pictures_of_both_systems_move_and_only_those_in_view_are_fetched(gallery: Any) -> None:
    page, asked = gallery()
    count = page.locator("[data-thumb]").count()
    assert page.locator("[data-thumb][data-systems~=rabbitmq]").count() == 8
    assert page.locator("[data-thumb][data-systems~=kafka]").count() == count - 8 > 8
    before = page.evaluate(INK, 0)
    wait(page, f"({INK})(0) !== {before}")
    assert 1 <= len(asked) <= 4
    # And the last one begins when it is scrolled to, and goes to the scenario
    page.locator("[data-thumb]").last.scroll_into_view_if_needed()
    wait(page, f"({INK})({count - 1}) > 0", 15)
    page.get_by_role("link").filter(has=page.locator("[data-thumb]")).last.click()
    assert "/play/" in page.url and not page.url.endswith("/play/")


def test_a_small_picture_has_no_words_that_nobody_could_read(chromium: Browser, site: Any) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    # Whatever is written into a picture is written on its canvas, or stands in its drawing
    page.add_init_script("""const { fillText } = CanvasRenderingContext2D.prototype;
      CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
        if (this.canvas.closest?.('.thumb')) (window.written ??= []).push(text);
        return fillText.call(this, text, ...at); };""")
    page.goto(site.url + "/play/")
    drawn = page.locator("[data-thumb][data-systems~=kafka]")
    drawn.first.scroll_into_view_if_needed()
    number = page.locator("[data-thumb]").evaluate_all(
        "(all) => all.findIndex((one) => one.dataset.systems.startsWith('kafka'))"
    )
    wait(page, f"({INK})({number}) > 0", 15)
    page.wait_for_timeout(1_000)
    assert page.evaluate("(window.written ?? []).filter((text) => !/^[+][0-9]+$/.test(text))") == []
    assert (
        page.evaluate(
            "[...document.querySelectorAll('.thumb text')].filter((e) => e.checkVisibility()).length"
        )
        == 0
    )
    context.close()


def test_with_reduced_motion_the_pictures_stand(gallery: Any) -> None:
    page, _ = gallery(reduced_motion="reduce")
    page.wait_for_timeout(300)
    before = page.evaluate(INK, 0)
    page.wait_for_timeout(500)
    assert page.evaluate(INK, 0) == before
