"""A cluster with reduced motion, with high contrast, and by keys: nothing travels, all is seen, each cell is reached."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from engine.events import MessageCreated
from engine.kafka import events as k
from tests.browser.conftest import wait
from tests.browser.test_axe import findings
from tests.browser.test_forced_colors import FAINT, ink_around
from tests.browser.test_kafka_motion import show
from tests.browser.test_lessons import FOCUSED, tab_to
from tests.browser.test_reduced_motion import PLAYED, STAGE, TRACES

__all__ = ["show"]

EAGER = "kafka-rebalance-eager"
NAMES = f"Object.fromEntries([...{STAGE}.shownScene.nodes.values()].map((n) => [n.node, n.name]))"

# -- reduced motion -------------------------------------------------------------------------------


def calm(show: Any, until_us: int, name: str = EAGER) -> tuple[Page, list[Any]]:
    page, events = show(name, until_us, reduced_motion="reduce")
    wait(page, f"!!{STAGE}.drawn.traces")
    return page, events


def test_at_no_frame_is_a_record_between_two_places(show: Any) -> None:
    # When it plays through batches, fetches, a crash and what is committed
    page, _ = calm(show, 20_000_000)
    page.evaluate(f"{STAGE}.seek(12000000)")
    frames = page.evaluate(PLAYED, 16_000_000)
    assert len(frames) > 60 and sum(len(frame["spots"]) for frame in frames) > 500
    stood: dict[tuple[str, int], set[tuple[int, int]]] = {}
    for frame in frames:
        for id_, x, y in frame["spots"]:
            stood.setdefault((id_, frame["at"]), set()).add((x, y))
    # Then nothing has been in two spots from one event to the next
    assert {key: spots for key, spots in stood.items() if len(spots) > 1} == {}


def test_pointers_are_where_the_offsets_are_and_never_between(show: Any) -> None:
    page, _ = calm(show, 21_000_000, "kafka-user-events")
    seen = set()
    for t_us in range(9_000_000, 20_000_000, 330_000):
        page.evaluate(f"{STAGE}.seek({t_us})")
        shown = page.evaluate(
            f"{STAGE}.drawn.rows.flatMap(({{ pointers, slide }}) => pointers.map(({{ from, shown }}) => [from, shown.from, slide]))"
        )
        assert shown and all(from_ == at and slide == 0 for from_, at, slide in shown)
        seen.add(str(shown))
    assert len(seen) > 4


def test_a_batch_that_sets_out_leaves_a_trace_from_its_producer_to_its_row(show: Any) -> None:
    page, events = calm(show, 12_000_000)
    sent = next(e for e in events if isinstance(e, k.BatchSent) and e.at_us > 6_000_000)
    page.evaluate(f"{STAGE}.seek({sent.at_us})")
    page.wait_for_timeout(250)
    place = f"(n) => {{ const {{ x, y, width, height }} = {STAGE}.figure.nodes.get(n); return [x, y, width, height]; }}"
    boxes = [page.evaluate(place, node) for node in (sent.source, sent.target)]
    (x, y, width, height), (_, row_y, _, row_height) = boxes
    ways = [points for points in page.evaluate(TRACES) if points[0][0] == pytest.approx(x + width, abs=6)]
    assert ways and all(y - 2 <= points[0][1] <= y + height + 2 for points in ways)
    assert any(row_y - 4 <= points[-1][1] <= row_y + row_height + 4 for points in ways)
    # And its records stand at the end of the way at once
    page.evaluate(f"{STAGE}.seek({sent.at_us + (sent.arrive_us - sent.at_us) // 4})")
    scene = page.evaluate(f"{STAGE}.scene()")
    label = f"m{sent.messages[0]}"
    spots = {round(m["x"]) for m in scene["messages"] if m["label"] == label and m["role"] == "body"}
    host = page.evaluate(
        f"{STAGE}.parts.scroller.getBoundingClientRect().x - {STAGE}.getBoundingClientRect().x"
    )
    assert spots and min(spots) > x + host + width + 20


def test_a_rebalance_is_whole_while_nothing_moves(show: Any) -> None:
    page, _ = calm(show, 26_000_000)
    words = set()
    for t_us in range(23_000_000, 26_000_000, 100_000):
        page.evaluate(f"{STAGE}.seek({t_us})")
        phases = page.evaluate(
            f"{STAGE}.drawn.phases?.words.slice({STAGE}.drawn.phases.at, {STAGE}.drawn.phases.at + 1)"
        )
        words |= {str(phase) for phase in phases or []}
    # Each phase that the group went through was on the screen
    assert len(words) >= 2, words
    assert page.evaluate(f"{STAGE}.playing") is False


# -- the keyboard ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [390, 1280])
def test_each_cell_is_reached_by_keys_and_says_what_lies_there(show: Any, width: int) -> None:
    page, events = show("kafka-user-events", 9_000_000)
    page.set_viewport_size({"width": width, "height": 844})
    wait(page, f"{STAGE}.figure.narrow === {str(width == 390).lower()}")
    page.evaluate(f"{STAGE}.seek(8000000)")
    wait(page, "document.querySelector('.token-buttons button') !== null")
    page.wait_for_timeout(200)
    # Given what the engine says lies where
    names = {int(node): name for node, name in page.evaluate(NAMES).items()}
    keys = {e.message: e.key for e in events if isinstance(e, MessageCreated)}
    lies: dict[str, list[str]] = {}
    for event in events:
        if isinstance(event, k.RecordsAppended) and event.at_us <= 8_000_000:
            for i, message in enumerate(event.messages):
                lies.setdefault(names[event.node], []).append(
                    f"m{message}, key {keys[message]}, in the log of {names[event.node]}, offset {event.base + i}"
                )
    assert len(lies) == 3 and all(len(records) > 2 for records in lies.values())
    lanes = page.get_by_role("group", name="Messages in the log of")
    assert lanes.count() == 3
    for lane in lanes.all():
        partition = (lane.get_attribute("aria-label") or "").rpartition(" ")[2]
        buttons = [b.get_attribute("aria-label") for b in lane.get_by_role("button").all()]
        # Then the cells in the window are its last ones, each with a true name
        assert buttons == lies[partition][-len(buttons) :]
        first = page.evaluate(
            f"{STAGE}.drawn.rows.find((r) => {names_of(names, partition)} === r.log.node).first"
        )
        assert len(buttons) == len(lies[partition]) - first
        # And the arrows lead along them, from one tab stop
        lane.get_by_role("button").first.focus()
        for name in buttons:
            assert page.evaluate(FOCUSED) == name
            page.keyboard.press("ArrowRight")
        assert page.evaluate(FOCUSED) == buttons[0]
    # Enter tells the record's life
    page.keyboard.press("Enter")
    wait(page, "!document.querySelector('.inspector').hidden")
    page.locator(".inspector .life li").first.wait_for()
    assert page.locator(".inspector h2").inner_text() == f"The life of {buttons[0].split(',')[0]}"


def names_of(names: dict[int, str], name: str) -> int:
    return next(node for node, known in names.items() if known == name)


def test_cells_are_in_the_order_of_tab_stops(show: Any) -> None:
    page, _ = show("kafka-user-events", 9_000_000)
    page.evaluate(f"{STAGE}.seek(8000000)")
    wait(page, "document.querySelector('.token-buttons button') !== null")
    page.wait_for_timeout(200)
    first = page.locator(".token-buttons .lane button[tabindex='0']").first.get_attribute("aria-label")
    assert first
    tab_to(page, first)


# -- high contrast --------------------------------------------------------------------------------


@pytest.mark.parametrize("palette", ["dark", "light"])
def test_a_cluster_is_read_and_told_apart_in_the_systems_colours(
    chromium: Browser, site: Any, palette: str
) -> None:
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme=palette, forced_colors="active"
    )
    page = context.new_page()
    page.goto(f"{site.url}/play/{EAGER}/")
    wait(page, f"{STAGE}?.furnished && document.querySelector('[data-fault=broker]') !== null", 30)
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek(15000000)")
    wait(page, f"{STAGE}.drawn.rows.some((row) => row.done.length)", 20)
    page.wait_for_timeout(200)
    assert page.evaluate(FAINT) == [] and findings(page) == []
    # Every record has an outline and a label, and every row its end
    cells = page.evaluate(
        f"{STAGE}.scene().messages.filter((m) => m.role === 'body' && m.zone === 'log').map((m) => [m.x, m.y])"
    )
    assert len(cells) > 12 and all(ink_around(page, x, y) > 1 for x, y in cells)
    for what, at in SPOTS.items():
        spots = page.evaluate(f"(() => {{ const host = {STAGE}.getBoundingClientRect(), at = {STAGE}.parts.scroller"
                              f".getBoundingClientRect(); return {STAGE}.drawn.rows.map((row) => {at}).map(([x, y]) => "
                              f"[x + at.x - host.x, y + at.y - host.y]); }})()")  # fmt: skip
        assert spots and all(ink_around(page, x, y) > 1 for x, y in spots), what
    context.close()


SPOTS = {
    "the end of the log": "[row.xOf(row.log.end), row.box.y + row.box.height / 2]",
    "the committed offset": "[row.xOf(row.pointers[0].from), row.box.y + row.box.height + 8]",
    "the lag": "[row.xOf(row.pointers[0].from) + row.box.cell, row.box.y + row.box.height + 8]",
}
