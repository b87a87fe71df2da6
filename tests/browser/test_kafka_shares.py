"""A share group on the stage: who has which record and for how long, where its window is, and what can be done to its
members. Everybody who reads a partition has a wire to it; no pointer is committed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from engine import commands as c
from engine.kafka import events as k
from engine.scenario import load
from engine.simulation import Simulation
from engine.wire import decode
from playground.stage import systems_of, workers_of
from tests.browser.conftest import House, wait
from tests.browser.mocked import STAGE, in_room
from tests.browser.overlaps import faults_of
from tests.browser.scripts import post_office
from tests.browser.test_kafka_layout import LOOK, may_cover
from tests.browser.test_kafka_motion import at, run
from tests.browser.test_kafka_narrator import SAY_ALL, frame
from tests.browser.test_kafka_settings import open_settings
from tests.browser.test_node_settings import pressed, row, said

SLUG = "kafka-share-group"
SCENARIO = load(Path(__file__).parents[2] / "lessons/scenarios" / f"{SLUG}.toml")
S = 1_000_000
UNTIL_US = 50 * S

LIFE = """async ([frame, message]) => {
  await import("mailroom/kafka/fold.js");
  const [{ Timeline }, { lifeOf }] = await Promise.all([import("mailroom/scene/timeline.js"), import("mailroom/lazy/kafka/life.js")]);
  const timeline = new Timeline();
  timeline.append(frame);
  return lifeOf(message, timeline).map(({ what, why }) => [what, why]);
}"""


@pytest.fixture
def bench(chromium: Browser, house: House) -> Any:
    """A page with the site's modules."""
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(house.show(post_office()))
    yield page
    context.close()


@pytest.fixture
def show(open_page: Callable[..., Page], house: House) -> Callable[[int], tuple[Page, list[Any]]]:
    def show_(width: int = 1280) -> tuple[Page, list[Any]]:
        events, stage = run(SLUG, UNTIL_US)
        stage["systems"] = systems_of(SCENARIO)
        page = open_page(house.show(events, chunks=5, **stage))
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(f"{STAGE}.pause()")
        wait(page, f"{STAGE}.figure.width <= {width} && {STAGE}.parts.figure.clientWidth <= {width}")
        for number in range(5):
            page.evaluate(
                f"fetch('/chunk/{number}.json').then((a) => a.json()).then((c) => {STAGE}.timeline.addChunk(c))"
            )
        page.evaluate("document.fonts.ready.then(() => true)")
        return page, events

    return show_


def held(events: list[Any], t_us: int) -> dict[tuple[int, int], tuple[int, int, int]]:
    """By partition and offset: (who has it, delivery count, until when) at a moment."""
    now: dict[tuple[int, int], tuple[int, int, int]] = {}
    for e in events:
        if e.at_us > t_us:
            break
        if isinstance(e, k.RecordsAcquired):
            for offset, times in zip(e.offsets, e.deliveries, strict=True):
                now[e.node, offset] = e.holder, times, e.until_us
        elif isinstance(e, k.AcquisitionEnded):
            for offset in e.offsets:
                now.pop((e.node, offset), None)
    return now


DRAWN = f"""() => {STAGE}.drawn.rows.flatMap((row) => row.shares.map((share) => ({{ ...share, node: row.log.node, base: row.base,
  xs: share.cells.map((cell) => row.xOf(cell.offset)) }})))"""


def test_each_acquired_record_is_marked_in_its_cell_with_its_holder_and_the_locks_rest(show: Any) -> None:
    page, events = show()
    names = {e.node: e.name for e in events if type(e).__name__ == "NodeAdded"}
    times = set()
    for t_us in range(8 * S + 100_000, UNTIL_US, 3 * S):
        at(page, t_us)
        shares = page.evaluate(DRAWN)
        drawn = {
            (share["node"], cell["offset"]): (cell["holder"], cell["deliveries"], cell["rest_s"])
            for share in shares
            for cell in share["cells"]
            if cell["state"] == "ACQUIRED"
        }
        base = {share["node"]: share["base"] for share in shares}
        told = {key: who for key, who in held(events, t_us).items() if key[1] >= base[key[0]]}
        assert drawn == {
            key: (f"w{names[node][-1]}", count, -(-(until_us - t_us) // S))
            for key, (node, count, until_us) in told.items()
        }
        times |= {count for _, count, _ in told.values()}
        # And it is written below the cell, as far as there is room
        said_ = page.evaluate(
            f"{STAGE}.drawn.words.filter(({{ what }}) => what === 'held').map((w) => w.text)"
        )
        assert {text.split(" ")[0] for text in said_} <= {holder for holder, _, _ in drawn.values()}
        assert len(said_) >= len(drawn) - 1
    assert {1, 2} <= times


def test_a_share_group_has_a_window_and_no_pointer(show: Any) -> None:
    page, events = show()
    at(page, 14 * S)
    marks = {
        e.node: (e.start, e.end)
        for e in events
        if isinstance(e, k.SharePartitionMarked) and e.at_us <= 14 * S
    }
    assert {share["node"]: (share["start"], share["end"]) for share in page.evaluate(DRAWN)} == marks
    assert page.evaluate(f"{STAGE}.drawn.rows.flatMap((row) => row.pointers)") == []
    words = page.evaluate(f"{STAGE}.drawn.words.filter(({{ what }}) => what === 'window').map((w) => w.text)")
    assert set(words) == {
        f"{word} {n}" for of in marks.values() for word, n in zip(("start", "end"), of, strict=True)
    }
    # Nor does a rebalance hold anybody up
    assert page.evaluate(f"{STAGE}.drawn.phases") is None
    # For who does not see the picture
    says = page.locator(".node.partition .says").all_inner_texts()
    assert sum("thumbnails has" in text and "acquired" in text for text in says) == 2


def test_each_member_has_its_wire_from_the_partition_that_others_read_too(show: Any) -> None:
    page, _ = show()
    at(page, 14 * S)
    owned = page.evaluate(
        f"[...{STAGE}.shownScene.readers.values()].map((reader) => Object.keys(reader.owned).map(Number))"
    )
    assert len(owned) == 4 and all(len(each) == 1 for each in owned)
    assert sorted([each[0] for each in owned].count(n) for n in {each[0] for each in owned}) == [2, 2]
    arrows = page.locator(".wires .arrow")
    # One from the producer to each row, and one to each member
    expect(arrows).to_have_count(2 + 4)


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_that_is_written_touches_anything(show: Any, width: int) -> None:
    page, _ = show(width)
    wrong = {}
    for t_us in range(3 * S, UNTIL_US, 5 * S):
        at(page, t_us)
        look = page.evaluate(LOOK)
        # How often a record was delivered stands in its cell
        look["labels"] = [label for label in look["labels"] if not label["text"].startswith("×")]
        if bad := faults_of(look, may_cover, 2):
            wrong[t_us] = bad
    assert wrong == {}


def test_the_ledger_says_where_each_record_of_the_group_stands(show: Any) -> None:
    page, events = show()
    at(page, 40 * S)
    terms = page.evaluate(
        f"""import("mailroom/lazy/ledger.js").then(({{ ledgerRows }}) =>
            ledgerRows({STAGE}.shownScene, {STAGE}.timeline).map(({{ name, terms }}) => [name, terms]))"""
    )
    (name, of_group), *_ = terms
    counts = {term["word"]: term["count"] for term in of_group}
    assert name == "thumbnails" and "read, not committed" not in counts
    places = [counts[word] for word in ("accepted", "available", "acquired", "archived")]
    assert sum(places) == counts["owed"] and counts["archived"] == 1
    assert counts["acquired"] == len(held(events, 40 * S))


def test_the_poison_records_life_is_told_to_its_copy_in_the_dead_letter_queue(show: Any) -> None:
    page, _ = show()
    at(page, 30 * S)
    page.evaluate(f"{STAGE}.inspect(6)")
    life = page.locator(".life li")
    life.first.wait_for()
    told = " ".join(life.all_inner_texts())
    for n in range(1, 6):
        assert f"delivery {n} for thumbnails" in told
    assert "it was delivered as often as the limit allows" in told
    assert "Copied to dlq.thumbnails-0 at offset 0" in told


# -- what can be done --------------------------------------------------------------------------------------


def room(server: Any, house: House) -> Page:
    simulation = Simulation(SCENARIO, 1)
    simulation.apply_at(5 * S, c.SetShareMember("worker 2", failed="reject"), 1)
    simulation.apply_at(5 * S, c.SetShareMember("worker 3", acknowledge="implicit"), 2)
    while not simulation.advance(20 * S):
        pass
    assert simulation.ticks is not None
    events = [event for tick in simulation.ticks.take() for event in decode(tick.events)]
    shown = in_room(server, house, events, 12 * S, workers=json.dumps(workers_of(SCENARIO)), systems=systems_of(SCENARIO),
                    kinds=json.dumps(SCENARIO.kinds))  # fmt: skip
    wait(shown, "!!document.querySelector('[data-fault=broker]')")
    return shown


def test_the_palette_offers_what_a_share_group_has(server: Any, house: House) -> None:
    page = room(server, house)
    buttons = page.get_by_role("group", name="Break it", exact=True).get_by_role("button").all_inner_texts()
    assert "Pause member" in buttons and "Crash" in buttons
    assert "Seek group" not in buttons and "Change assignor" not in buttons
    palette = page.get_by_role("group", name="Break it", exact=True)
    palette.get_by_role("button", name="Pause member", exact=True).click()
    page.locator(".targets").get_by_role("button", name="worker 3", exact=True).click()
    assert said(server, page) == [("PauseConsumer", {"consumer": "worker 3"})]


@pytest.mark.parametrize("command", ["RejectNext", "ReleaseNext"])
def test_what_a_member_is_to_refuse_next_is_pressed_with_keys_alone(
    server: Any, house: House, command: str
) -> None:
    page = room(server, house)
    label = command.replace("Next", " next")
    palette = page.get_by_role("group", name="Break it", exact=True)
    palette.get_by_role("button", name=label, exact=True).focus()
    page.keyboard.press("Enter")
    offered = page.locator(".targets button:not(.never-mind)")
    # Only who acknowledges explicitly can say so
    expect(offered).to_have_text(["worker 1", "worker 2", "worker 4"])
    page.locator(".targets").get_by_role("button", name="worker 4", exact=True).press("Enter")
    assert said(server, page) == [(command, {"consumer": "worker 4"})]
    c.decode(command, {"consumer": "worker 4"})
    expect(palette.get_by_role("button", name=label, exact=True)).to_be_focused()


def test_a_refused_record_is_told_where_people_read(bench: Page) -> None:
    simulation = Simulation(SCENARIO, 1)
    simulation.apply_at(9 * S, c.ReleaseNext("worker 1"), 1)
    simulation.apply_at(15 * S, c.RejectNext("worker 1"), 2)
    while not simulation.advance(20 * S):
        pass
    assert simulation.ticks is not None
    raw = [event for tick in simulation.ticks.take() for event in json.loads(tick.events)]
    told = [each["text"] for each in bench.evaluate(SAY_ALL, [frame(raw)])]
    assert "worker 1 will release the record that it finishes next: any member may get it." in told
    assert "worker 1 will reject the record that it finishes next: nobody gets it again." in told
    refused = [
        e for e in decode(json.dumps(raw).encode()) if isinstance(e, k.RecordFailed) and "told" in e.why
    ]
    (released, rejected) = refused
    assert (
        f"worker 1 was told to reject a record, and does not work on offset {rejected.offset} of "
        in " ".join(told)
    )
    message = next(
        e.messages[released.offset - e.base]
        for e in decode(json.dumps(raw).encode())
        if isinstance(e, k.RecordsAppended) and e.node == released.partition
        and e.base <= released.offset < e.base + len(e.messages)
    )  # fmt: skip
    life = bench.evaluate(LIFE, [frame(raw), message])
    at = next(n for n, (what, _) in enumerate(life) if what == "worker 1 does not work on it")
    assert life[at][1] == "it was told to release it"
    assert life[at + 1] == ["Available again for thumbnails", "its member released it"]
    again = f"delivery {released.attempt + 1} for thumbnails"
    assert any(what.endswith("acquires it") and why == again for what, why in life[at + 2 :])


@pytest.mark.parametrize(
    ("label", "button", "arguments"),
    [
        ("Acknowledges", "implicit", {"acknowledge": "implicit"}),
        ("What it failed on", "reject", {"failed": "reject"}),
        ("Takes at most", "50", {"max_poll_records": 50}),
        ("Next record", "Reject next", None),
        ("Next record", "Release next", None),
    ],
)
def test_a_members_settings_give_their_command(
    server: Any, house: House, label: str, button: str, arguments: dict[str, Any] | None
) -> None:
    page = room(server, house)
    sheet = open_settings(page, "worker 1")
    row(sheet, label).get_by_role("button", name=button, exact=True).click()
    command = {"consumer": "worker 1", **(arguments or {})}
    name = "SetShareMember" if arguments else button.replace(" next", "Next")
    assert said(server, page) == [(name, command)]
    c.decode(name, command)


def test_what_is_set_is_what_the_scenario_says_until_somebody_changes_it(server: Any, house: House) -> None:
    page = room(server, house)
    assert pressed(open_settings(page, "worker 1"), "What it failed on") == ["release"]
    assert pressed(open_settings(page, "worker 2"), "What it failed on") == ["reject"]
    expect(open_settings(page, "worker 3")).to_contain_text(
        "Member of share group thumbnails, record_limit, at work"
    )
    expect(open_settings(page, "thumbnails")).to_contain_text("Share group, Stable: 4 members")
