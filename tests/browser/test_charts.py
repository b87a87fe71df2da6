"""A run as charts: what they say at a moment is what the ledger says there; what is not held is a gap; nothing is told ahead."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page

from engine.commands import CrashConsumer
from engine.events import EffectApplied, NodeAdded, Settled
from engine.history import play
from engine.kafka.events import Counted, RecordsWorked
from engine.scenario import load
from engine.simulation import Simulation
from tests.browser.conftest import TYPES, House, wait
from tests.browser.mocked import STAGE, Server, clock, hello, in_room, room_page, ticks
from tests.browser.scripts import BILLING, EMAIL, TICK_US, chunk, post_office, wire
from tests.browser.test_kafka_motion import run as kafka_run

SHIPPED = Path(__file__).parents[2] / "lessons/scenarios"
SLUGS = ["traffic-spike", "retry-dlq"]


def open_charts(page: Page) -> None:
    page.locator(".charts > summary").click()
    page.locator(".chart").first.wait_for()


def at(page: Page, t_us: int) -> None:
    """The page stands at `t_us`, and all up to there is held."""
    for moment_us in (*range(5_000_000, t_us, 10_000_000), t_us):
        page.evaluate(f"{STAGE}.seek({moment_us})")
        wait(page, f"{STAGE}.timeline.knows({moment_us})")
    page.evaluate(f"{STAGE}.seek({t_us})")


def chart(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=f"Chart of {name}", exact=True)


def values(page: Page) -> dict[str, tuple[str, str]]:
    """By queue: (ready in its chart, ready in the ledger)."""
    said = {}
    for box in page.locator(".chart").all():
        name = box.locator("h2").inner_text()
        terms = page.get_by_label(f"Ledger of {name}", exact=True).locator(".term")
        ledger = terms.filter(has=page.get_by_text("ready", exact=True)).locator("dd").inner_text()
        said[name] = (box.locator(".chart-strip b").first.inner_text(), ledger)
    return said


def line_ends(page: Page, name: str) -> float:
    """How high the drawn line stands at its end, as a part of the height of its picture."""
    path = chart(page, name).locator("path.line").first.get_attribute("d") or ""
    level = re.findall(r"(?:V|M\d+ )([\d.]+)", path)[-1]
    return (44 - float(level)) / 42


@pytest.fixture(scope="module", params=SLUGS)
def run(request: Any, house: House) -> tuple[str, list[Any]]:
    scenario = load(SHIPPED / f"{request.param}.toml")
    events = play(scenario, scenario.seed).events
    address = house.show(events, path=f"/charts/{request.param}/", chunks=-(-scenario.length_us // 10_000_000),
                         kinds=json.dumps(scenario.kinds), length_us=scenario.length_us, autoplay=False)  # fmt: skip
    return address, events


def test_nothing_of_charts_is_loaded_before_they_are_opened(
    run: tuple[str, list[Any]], open_page: Callable[..., Page]
) -> None:
    page = open_page(run[0])
    loaded = "performance.getEntriesByType('resource').map((r) => r.name).filter((n) => /charts|series/.test(n)).length"
    assert page.evaluate(loaded) == 0
    open_charts(page)
    assert page.evaluate(loaded) == 2


def test_a_chart_says_what_the_ledger_says_at_any_moment(
    run: tuple[str, list[Any]], open_page: Callable[..., Page]
) -> None:
    address, events = run
    page = open_page(address)
    open_charts(page)
    end_us = page.evaluate(f"{STAGE}.length_us")
    chance = random.Random(7)
    moments = [chance.randrange(1_000_000, end_us) for _ in range(8)]
    # When the run is looked at here and there, forth and back
    at(page, max(moments))
    seen = []
    for t_us in moments:
        at(page, t_us)
        for name, (charted, counted) in values(page).items():
            assert charted == counted, (t_us, name)
            seen.append(counted)
            # Then the line stands as high there
            node = page.evaluate(
                f"[...{STAGE}.shownScene.nodes.values()].find((n) => n.name === '{name}').node"
            )
            peak = max(4, peak_of(events, node, t_us)[0])
            assert line_ends(page, name) == pytest.approx(int(counted) / peak, abs=0.01), (t_us, name)
            done = [
                e for e in events
                if isinstance(e, EffectApplied) and e.destination == node
                and t_us // 1_000_000 * 1_000_000 <= e.at_us <= t_us
            ]  # fmt: skip
            assert chart(page, name).locator(".chart-strip b").nth(1).inner_text() == str(len(done))
    assert len(set(seen)) > 1


def peak_of(events: list[Any], queue: int, until_us: int) -> tuple[int, int]:
    """(the most that were ready, since when) of what has happened by then."""
    ready, peak = 0, (0, 0)
    for e in events:
        if e.at_us <= until_us and isinstance(e, Settled) and e.destination == queue:
            ready += len(e.copies) * ((e.now == "ready") - (e.was == "ready"))
            peak = max(peak, (ready, e.at_us), key=lambda p: p[0])
    return peak


def test_the_sentence_and_the_table_say_the_same_as_the_line(
    house: House, open_page: Callable[..., Page]
) -> None:
    events = post_office()
    page = open_page(house.show(events, path="/charts/office/", chunks=3, autoplay=False))
    open_charts(page)
    at(page, 28_500_000)
    peak, when_us = peak_of(events, EMAIL, 28_500_000)
    wait(page, "!document.querySelector('.charts > p').textContent")
    box = chart(page, "email")
    assert (
        box.locator("> .small").inner_text() == f"Most ready so far: {peak}, first at {when_us / 1e6:.2f} s."
    )
    box.get_by_text("As a table").click()
    rows = [row.split("\t") for row in box.locator("tr").all_inner_texts()]
    assert rows[0] == ["time", "ready", "effects per second"] and 10 <= len(rows) - 1 <= 20
    every = int(rows[1][0].split()[0])
    done = [e.at_us for e in events if isinstance(e, EffectApplied) and e.destination == EMAIL]
    for time, ready, effects in rows[1:]:
        t_us = int(time.split()[0]) * 1_000_000
        at(page, t_us)
        assert values(page)["email"] == (ready, ready)
        inside = sum(1 for x in done if t_us - every * 1_000_000 <= x < t_us)
        assert float(effects) == pytest.approx(inside / every, abs=0.005)


def test_what_lies_ahead_is_not_drawn_and_the_line_follows(
    house: House, open_page: Callable[..., Page]
) -> None:
    page = open_page(house.show(post_office(), path="/charts/office/", chunks=3, autoplay=False))
    open_charts(page)
    reach = "Math.max(...document.querySelector('.chart .line').getAttribute('d').match(/H[\\d.]+/g).map((h) => +h.slice(1)))"
    for t_us in (9_000_000, 3_000_000, 6_000_000):
        at(page, t_us)
        assert page.evaluate(reach) == round(t_us / 30_000_000 * 1200)
        assert page.evaluate("parseFloat(document.querySelector('.chart-now').style.left)") == pytest.approx(
            t_us / 300_000
        )
    page.evaluate(f"{STAGE}.play()")
    wait(page, f"{reach} > {6.5 / 30 * 1200}")


def test_pointer_and_keys_on_a_chart_look_at_that_moment(
    house: House, open_page: Callable[..., Page]
) -> None:
    page = open_page(house.show(post_office(), path="/charts/office/", chunks=3, autoplay=False))
    page.locator(".charts > summary").focus()
    page.keyboard.press("Enter")
    page.locator(".chart").first.wait_for()
    page.keyboard.press("Tab")
    slider = page.get_by_role("slider", name="Time, chart of billing")
    assert slider.evaluate("(e) => e === document.activeElement")
    before = page.evaluate(f"{STAGE}.now") // 100_000
    page.keyboard.press("ArrowRight")
    wait(page, f"{STAGE}.now === {(before + 1) * 100_000}")
    assert f"{(before + 1) / 10:.1f} of 30 seconds, ready " in (slider.get_attribute("aria-valuetext") or "")
    at(page, 9_000_000)
    box = slider.bounding_box()
    assert box
    slider.click(position={"x": box["width"] * 0.2, "y": 30})
    assert page.evaluate(f"{STAGE}.now") == pytest.approx(6_000_000, abs=400_000)
    assert values(page)["email"][0] == values(page)["email"][1]


def test_in_a_room_a_revise_and_a_branch_draw_the_other_past(house: House, server: Server) -> None:
    before, after = post_office(), post_office(30_000_000, (4_000_000, CrashConsumer("billing worker")))
    page = in_room(server, house, before, 9_000_000)
    open_charts(page)
    assert values(page)["billing"] == (str(ready_of(before, 9_000_000)),) * 2
    # When it turns out that a worker crashed at 4 s
    cut = 4_000_000 // TICK_US
    server.send({**ticks(after, cut, 400 - cut, f=2), "t": "revise", "cut": cut, "seq": 2})
    wait(page, f"{STAGE}.tick === 399")
    assert ready_of(after, 9_000_000) != ready_of(before, 9_000_000)
    wait(
        page,
        f"document.querySelector('.chart .chart-strip b').textContent === '{ready_of(after, 9_000_000)}'",
    )
    for t_us in (8_000_000, 3_000_000, 6_500_000):
        page.evaluate(f"{STAGE}.seek({t_us})")
        assert values(page)["billing"] == (str(ready_of(after, t_us)),) * 2


def ready_of(events: list[Any], t_us: int) -> int:
    return sum(
        len(e.copies) * ((e.now == "ready") - (e.was == "ready"))
        for e in events
        if isinstance(e, Settled) and e.destination == BILLING and e.at_us <= t_us
    )


def test_who_comes_late_sees_a_gap_until_it_is_fetched(house: House, server: Server) -> None:
    scenario = load(SHIPPED / "work-queue.toml")
    simulation = Simulation(scenario, scenario.seed)
    while not simulation.advance(10_000_000):
        pass
    events = play(scenario, scenario.seed, until_us=11_000_000).events
    house.pages.pop("/history/room/abcd/1/", None)
    page = room_page(server, house, kinds=json.dumps(scenario.kinds))
    state = {
        "t": "state",
        "epoch": 1,
        "tick": 400,
        "seq": 1,
        "events": wire(simulation.state_events()),
        "digest": "x399",
    }
    server.send(hello(), clock(10_500_000, 0), state, ticks(events, 400, 40))
    wait(page, f"{STAGE}.room !== null && {STAGE}.tick === 439")
    open_charts(page)
    # Then what is not held is said and hatched, and no line is drawn there
    said = page.locator(".charts > p")
    assert said.inner_text() == "Not held here, so not drawn: 0.0 to 10.0 s."
    assert page.locator(".chart .gap").count() == page.locator(".chart").count() > 0
    assert (page.locator(".chart .line").first.get_attribute("d") or "").startswith("M400 ")
    assert all(charted == counted for charted, counted in values(page).values())
    # When the history can be had
    house.pages["/chunk/late.json"] = (TYPES[".json"], json.dumps(chunk(events)))
    house.pages["/history/room/abcd/1/"] = (TYPES[".json"], json.dumps({"chunks": ["/chunk/late.json"]}))
    wait(page, "!document.querySelector('.charts > p').textContent", 15)
    assert (page.locator(".chart .line").first.get_attribute("d") or "").startswith("M0 ")
    assert page.locator(".chart .gap").count() == 0


def test_where_ticks_come_in_numbers_the_ready_line_goes_on_and_effects_are_not_counted(
    house: House, server: Server
) -> None:
    events = post_office()
    page = in_room(server, house, events, 4_000_000)
    open_charts(page)
    frames = [
        {"t": "ticks", "f": 2 + i, "epoch": 1, "tick": 200 + 40 * i, "n": 40, "seq": 1, "first": 0,
         "events": [[25, 6_000_000 + 1_000_000 * i - 1, 0, BILLING, [0, ready, *[0] * 8], [0, 0, 0]]], "digest": f"x{239 + 40 * i}",
         "aggregated": True, "counts": [[BILLING, "ready", ready]], "flows": []}
        for i, ready in enumerate((17, 23))
    ]  # fmt: skip
    server.send(*frames, clock(6_500_000, 0, seq=2))
    wait(page, f"{STAGE}.tick === 279 && {STAGE}.now === 6500000")
    assert values(page)["billing"] == ("17", "17")
    assert chart(page, "billing").locator(".chart-strip b").nth(1).inner_text() == "not counted"
    assert page.locator(".charts > p").inner_text() == "Too fast to count effects singly: 5.0 to 6.5 s."


def test_a_group_s_chart_is_its_lag_and_the_effects_of_its_records(
    open_page: Callable[..., Page], house: House
) -> None:
    events, stage = kafka_run("kafka-user-events", 20_000_000)
    page = open_page(house.show(events, chunks=2, **stage))
    page.evaluate(f"{STAGE}.pause()")
    open_charts(page)
    node = next(e.node for e in events if isinstance(e, NodeAdded) and e.name == "feed")
    for t_us in (9_000_000, 12_345_000, 19_000_000):
        at(page, t_us)
        page.wait_for_timeout(300)
        past = [e for e in events if e.at_us <= t_us]
        lag = sum(
            e.count * ((e.now in ("ready", "unacked")) - (e.was in ("ready", "unacked")))
            for e in past
            if isinstance(e, Counted) and e.destination == node
        )
        done = sum(
            e.next - e.first - len(e.failed) - len(e.skipped)
            for e in past
            if isinstance(e, RecordsWorked) and e.group == node and e.at_us >= t_us // 1_000_000 * 1_000_000
        )
        shown = chart(page, "feed").locator(".chart-strip b").all_inner_texts()
        assert shown == [str(lag), str(done)]
    assert chart(page, "feed").get_by_text("lag", exact=True).first.is_visible()
