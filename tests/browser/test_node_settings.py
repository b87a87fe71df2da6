"""The settings of a node: chosen on the stage, true to what is set, changed from a recording and in a room."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from engine import commands as c
from engine.history import play
from engine.scenario import from_data
from playground.stage import workers_of
from tests.browser.conftest import House, wait
from tests.browser.mocked import STAGE, clock, in_room, ticks
from tests.browser.scripts import (
    BILLING,
    CASHIER,
    EMAIL,
    ORDERS,
    SHOP,
    TICK_US,
    WRITER,
    post_office,
    post_office_scenario,
)

EVENTS = post_office()
WORKERS = json.dumps(workers_of(post_office_scenario()))


def open_settings(page: Page, name: str) -> Any:
    """By the keyboard, as somebody without a mouse does."""
    page.get_by_role("button", name=f"Change {name}", exact=True).focus()
    page.keyboard.press("Enter")
    sheet = page.get_by_role("region", name=f"Settings of {name}", exact=True)
    expect(sheet).to_be_visible()
    return sheet


def row(sheet: Any, label: str) -> Any:
    return sheet.get_by_role("group", name=label, exact=True)


def pressed(sheet: Any, label: str) -> list[str]:
    """The words of the pressed buttons of a row."""
    return [each.inner_text() for each in row(sheet, label).locator('[aria-pressed="true"]').all()]


def said(server: Any, page: Page, count: int = 1) -> list[tuple[str, dict[str, Any]]]:
    for _ in range(100):
        if len(server.of("command")) >= count:
            break
        page.wait_for_timeout(20)
    return [(frame["cmd"], frame["args"]) for frame in server.of("command")]


# -- what is shown --------------------------------------------------------------------------------


def test_a_consumers_settings_are_those_of_its_scenario_until_events_say_otherwise(
    server: Any, house: House
) -> None:
    changed = post_office(
        30_000_000,
        (1_000_000, c.SetPrefetch("billing worker", 5)),
        (1_500_000, c.SetAcknowledge("billing worker", "before work")),
        (2_000_000, c.SetIdempotency("billing worker", "check then act")),
    )
    page = in_room(server, house, changed, 4_000_000, workers=WORKERS)
    sheet = open_settings(page, "email worker")
    shown = {label: pressed(sheet, label) for label in ("Prefetch", "Acknowledges", "Work", "Remembers")}
    assert shown == {
        "Prefetch": ["2"], "Acknowledges": ["after work"], "Work": ["2 s"], "Remembers": ["nothing"],
    }  # fmt: skip
    sheet = open_settings(page, "billing worker")
    shown = {label: pressed(sheet, label) for label in ("Prefetch", "Acknowledges", "Work", "Remembers")}
    assert shown == {
        "Prefetch": ["5"], "Acknowledges": ["before work"], "Work": ["500 ms"],
        "Remembers": ["asks first, notes at the end"],
    }  # fmt: skip
    # And looking back shows what was set then
    page.evaluate(f"{STAGE}.seek(800000)")
    expect(row(sheet, "Prefetch").get_by_role("button", name="2", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )


def test_each_row_says_what_follows_from_it(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000, workers=WORKERS)
    for name in ("shop", "orders", "billing", "billing worker"):
        sheet = open_settings(page, name)
        rows = sheet.get_by_role("group").all()
        assert len(rows) >= 2
        for each in rows:
            words = each.locator(".says").inner_text()
            assert re.fullmatch(r"[A-Z].+\.", words) and len(words) < 120, words
            assert each.get_by_role("button").count() >= 1


# -- what is done ---------------------------------------------------------------------------------

DONE = [
    ("billing worker", "Prefetch", "no limit", "SetPrefetch", {"consumer": "billing worker", "prefetch": 0}),
    ("billing worker", "Acknowledges", "automatic", "SetAcknowledge", {"consumer": "billing worker", "acknowledge": "automatic"}),
    ("billing worker", "Work", "5 s", "SetWork", {"consumer": "billing worker", "constant_us": 5_000_000}),
    ("billing worker", "Speed", "three times slower", "SlowConsumer", {"consumer": "billing worker", "factor": 3000}),
    ("billing worker", "Remembers", "in one step with its effect", "SetIdempotency",
     {"consumer": "billing worker", "keep": "with the effect"}),
    ("billing worker", "After a failure", "give it up", "SetRetry",
     {"consumer": "billing worker", "do": "discard", "queue": "", "backoff": "fixed", "delay_us": 1_000_000, "limit": None, "then": ""}),
    ("billing worker", "Attempts", "3", "SetRetry",
     {"consumer": "billing worker", "do": "requeue", "queue": "", "backoff": "fixed", "delay_us": 1_000_000, "limit": 3, "then": ""}),
    ("billing worker", "Process", "Stop", "StopConsumer", {"consumer": "billing worker"}),
    ("billing worker", "Network", "Cut", "CutLink", {"actor": "billing worker"}),
    ("billing worker", "Workers", "Add another like it", "AddConsumer", {"like": "billing worker"}),
    ("billing worker", "Workers", "Remove it", "RemoveConsumer", {"consumer": "billing worker"}),
    ("shop", "Messages a minute", "300", "SetRate", {"producer": "shop", "per_minute": 300}),
    ("shop", "Messages a minute", "Pause", "PauseProducer", {"producer": "shop"}),
    ("shop", "Publish one now", "cho", "PublishNow", {"producer": "shop", "key": "cho"}),
    ("shop", "Process", "Crash it", "CrashProducer", {"producer": "shop"}),
    ("shop", "Producers", "Remove it", "RemoveProducer", {"producer": "shop"}),
    ("email", "Workers", "Add a worker", "AddConsumer", {"like": "email worker"}),
    ("email", "Messages", "Empty it", "PurgeQueue", {"system": "broker", "queue": "email"}),
    ("email", "Bindings", "Unbind from orders", "UnbindQueue",
     {"system": "broker", "exchange": "orders", "queue": "email", "routing_key": ""}),
    ("email", "Bind it", "Bind", "BindQueue", {"system": "broker", "exchange": "orders", "queue": "email", "routing_key": ""}),
    ("email", "The queue", "Delete it", "DeleteQueue", {"system": "broker", "queue": "email"}),
    ("orders", "New queue", "Add and bind", "DeclareQueue",
     {"system": "broker", "queue": "audit", "exchange": "orders", "routing_key": ""}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("node", "label", "button", "command", "arguments"), DONE, ids=[f"{x[3]}-{x[2]}" for x in DONE]
)
def test_a_button_gives_its_command(
    server: Any, house: House, node: str, label: str, button: str, command: str, arguments: dict[str, Any]
) -> None:
    page = in_room(server, house, EVENTS, 6_000_000, workers=WORKERS)
    sheet = open_settings(page, node)
    row(sheet, label).get_by_role("button", name=button, exact=True).click()
    assert said(server, page) == [(command, arguments)]
    # And the engine knows it
    c.decode(command, arguments)


def test_what_makes_no_sense_now_cannot_be_pressed(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 9_000_000, workers=WORKERS)
    sheet = open_settings(page, "email worker")  # it crashed at 7.2 s
    for label, button, enabled in (
        ("Process", "Stop", False), ("Process", "Start again", True), ("Network", "Mend", False),
    ):  # fmt: skip
        expect(row(sheet, label).get_by_role("button", name=button, exact=True)).to_be_enabled(
            enabled=enabled
        )


def test_a_viewer_sees_what_is_set_and_why_it_stays(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000, role="viewer", workers=WORKERS)
    sheet = open_settings(page, "billing worker")
    assert pressed(sheet, "Prefetch") == ["2"]
    expect(sheet.get_by_text("Only the room’s owner may change this.")).to_be_visible()
    for button in sheet.get_by_role("group").get_by_role("button").all():
        expect(button).to_be_disabled()
    expect(sheet.get_by_role("button", name="Close")).to_be_enabled()


def test_what_the_server_refuses_is_said_at_the_sheet(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000, workers=WORKERS)
    sheet = open_settings(page, "billing worker")
    row(sheet, "Workers").get_by_role("button", name="Add another like it").click()
    said(server, page)
    server.send(
        {
            "t": "error",
            "id": server.of("command")[0]["id"],
            "code": "refused",
            "text": "There are 50 consumers already.",
        }
    )
    expect(page.locator(".settings + .said")).to_have_text("There are 50 consumers already.")


def test_behind_a_headers_exchange_a_binding_is_made_and_named_by_headers(server: Any, house: House) -> None:
    arguments = {
        "format": "pdf",
        "pages": 2,
        "copy of": "2",
        "urgent": None,
        "sealed": True,
        "x-match": "any",
    }
    scenario = from_data({
        "format": 1, "title": "by headers", "length": "60s",
        "system": [{"name": "broker", "kind": "rabbitmq",
                    "exchanges": [{"name": "orders", "type": "headers"}], "queues": [{"name": "email"}],
                    "bindings": [{"exchange": "orders", "queue": "email"}]}],
        "producer": [{"name": "shop", "system": "broker", "to": {"exchange": "orders"}, "arrivals": {"every": "1s"}}],
    })  # fmt: skip
    bind, unbind = (
        c.BindQueue("broker", "orders", "email", "", arguments),
        c.UnbindQueue("broker", "orders", "email"),
    )
    events = play(scenario, 1, [(500_000, bind), (600_000, unbind)], until_us=8_000_000).events
    page = in_room(server, house, events, 6_000_000, workers=WORKERS)
    sheet = open_settings(page, "email")
    # The binding that there is goes by what stands on its wire, each value of the kind that it was
    row(sheet, "Bindings").get_by_role("button", name="Unbind from orders by").click()
    command = {"system": "broker", "exchange": "orders", "queue": "email", "routing_key": ""}
    assert said(server, page) == [("UnbindQueue", {**command, "arguments": arguments})]
    # Another is made by what somebody writes
    bind = row(sheet, "Bind it")
    bind.get_by_label("by key or headers").fill(' format=pdf , urgent, size="10", pages=-3')
    bind.get_by_role("button", name="Bind", exact=True).click()
    written = {"format": "pdf", "urgent": None, "size": "10", "pages": -3}
    assert said(server, page, 2)[1] == ("BindQueue", {**command, "arguments": written})
    # And a new queue is not bound to all there is
    sheet = open_settings(page, "orders")
    row(sheet, "New queue").get_by_role("button", name="Add", exact=True).click()
    assert said(server, page, 3)[2] == ("DeclareQueue", {"system": "broker", "queue": "audit"})


def test_what_is_deleted_is_off_the_stage_with_its_sheet_and_the_narrator_says_so(
    server: Any, house: House
) -> None:
    events = post_office(30_000_000, (5_000_000, c.DeleteQueue("broker", "email")))
    page = in_room(server, house, events, 4_800_000, workers=WORKERS)
    sheet = open_settings(page, "email")
    server.send(ticks(events, 4_800_000 // TICK_US + 40, 200, f=2), clock(4_800_000, seq=2))
    wait(page, f"{STAGE}.now > 5100000")
    expect(sheet).to_be_hidden()
    told = "email is deleted: what is in it is dropped, its workers are cancelled."
    wait(page, f"{STAGE}.narrator.told.some((each) => each.text === {json.dumps(told)})")
    assert page.evaluate(f"[...{STAGE}.shownScene.nodes.values()].every((n) => n.name !== 'email')")


# -- coming and going -----------------------------------------------------------------------------


def test_escape_puts_the_sheet_away_and_the_keyboard_is_back_at_the_node(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000, workers=WORKERS)
    opener = page.get_by_role("button", name="Change billing worker", exact=True)
    sheet = open_settings(page, "billing worker")
    expect(opener).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    expect(opener).to_be_focused()
    assert page.evaluate(f"{STAGE}.looking") is False


def test_a_click_beside_the_messages_of_a_node_opens_it_and_a_click_on_one_its_life(
    server: Any, house: House
) -> None:
    page = in_room(server, house, EVENTS, 6_000_000, workers=WORKERS)
    box = page.locator(f'.node[data-node="{CASHIER}"]').bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 12, box["y"] + 12)
    expect(page.get_by_role("region", name="Settings of billing worker")).to_be_visible()
    token = page.evaluate(
        f"{STAGE}.scene().messages.find((m) => m.node === {WRITER} && m.zone === 'working' && m.role === 'body')"
    )
    host = page.locator("queue-stage").bounding_box()
    assert host is not None
    page.mouse.click(host["x"] + token["x"], host["y"] + token["y"])
    expect(page.get_by_role("region", name="Inspector")).to_contain_text("The life of m")
    expect(page.get_by_role("region", name="Settings of email worker")).to_have_count(0)


def test_the_focus_stays_on_a_button_whose_row_changes(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000, workers=WORKERS)
    sheet = open_settings(page, "billing worker")
    button = row(sheet, "Prefetch").get_by_role("button", name="5", exact=True)
    button.focus()
    page.evaluate(f"{STAGE}.dispatchEvent(new Event('change'))")
    expect(button).to_be_focused()


def test_a_node_that_goes_takes_its_sheet_along(server: Any, house: House) -> None:
    gone = post_office(30_000_000, (1_000_000, c.RemoveConsumer("billing worker")))
    page = in_room(server, house, gone, 6_000_000, workers=WORKERS)
    page.evaluate(f"{STAGE}.seek(900000)")
    sheet = open_settings(page, "billing worker")
    page.get_by_role("button", name="Return to now").click()
    expect(sheet).to_be_hidden()
    expect(page.get_by_role("button", name="Change billing worker")).to_have_count(0)


@pytest.mark.parametrize("name", ["billing worker", "shop", "billing", "orders"])
def test_on_a_phone_it_is_a_sheet_below_the_stage_with_targets_for_fingers(
    server: Any, house: House, name: str
) -> None:
    server.page.set_viewport_size({"width": 390, "height": 844})
    page = in_room(server, house, EVENTS, 4_000_000, workers=WORKERS)
    sheet = open_settings(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    figure, below = page.locator(".figure").bounding_box(), sheet.bounding_box()
    assert figure and below and below["y"] >= figure["y"] + figure["height"] - 1
    for control in sheet.locator("button, input, select").all():
        box = control.bounding_box()
        assert box and box["height"] >= 44 and box["width"] >= 24, control.inner_text()


# -- the stage keeps its places -------------------------------------------------------------------

BOXES = f"Object.fromEntries([...{STAGE}.figure.nodes].map(([id, b]) => [id, [b.x, b.y, b.width, b.height]]))"


def boxes_of(server: Any, house: House, *journal: tuple[int, c.AnyCommand]) -> dict[str, list[int]]:
    page = in_room(server, house, post_office(30_000_000, *journal), 12_000_000, workers=WORKERS)
    page.wait_for_function(f"{STAGE}.figure?.nodes?.size > 0")
    found: dict[str, list[int]] = page.evaluate(BOXES)
    return found


@pytest.mark.parametrize(
    ("command", "stay"),
    [
        (c.AddConsumer(like="email worker"), [BILLING, CASHIER, WRITER]),
        (c.AddProducer("shop"), [BILLING, CASHIER, EMAIL, WRITER, ORDERS, SHOP]),
        (c.DeclareQueue("broker", "audit", exchange="orders"), [BILLING, CASHIER, EMAIL, WRITER]),
    ],
    ids=["worker", "producer", "queue"],
)
def test_columns_keep_their_places_and_lanes_above_a_newcomer_do_not_move(
    server: Any, house: House, command: c.AnyCommand, stay: list[int]
) -> None:
    before = boxes_of(server, house)
    after = boxes_of(server, house, (1_000_000, command))
    assert len(after) == len(before) + 1
    assert {node: after[node][0] for node in before} == {node: box[0] for node, box in before.items()}
    assert {node: after[str(node)] for node in stay} == {node: before[str(node)] for node in stay}


def test_who_comes_after_somebody_has_gone_stands_in_that_place(server: Any, house: House) -> None:
    once = boxes_of(server, house, (1_000_000, c.AddConsumer(like="billing worker")))
    again = boxes_of(
        server,
        house,
        (1_000_000, c.AddConsumer(like="billing worker")),
        (3_000_000, c.RemoveConsumer("billing worker 2")),
        (6_000_000, c.AddConsumer(like="billing worker")),
    )
    newcomer, later = sorted(int(node) for node in again)[-2:]
    assert again[str(later)] == again[str(newcomer)]
    assert {node: box for node, box in again.items() if int(node) != later} == once


# -- on the real site -----------------------------------------------------------------------------


def worked_by(name: str) -> str:
    """The copies that this worker has begun to work on, as an expression of the page."""
    return f"""(({{ timeline, now }}) => {{
      const node = [...timeline.plan.nodes.values()].find((n) => n.name === '{name}')?.node;
      return timeline.segments.flatMap((s) => s.events)
        .filter((e) => e.type === 'WorkStarted' && e.node === node && e.at_us <= now).map((e) => e.copy);
    }})({STAGE})"""


def test_a_worker_added_to_a_recording_opens_a_room_and_shares_the_queue(visit: Callable[..., Page]) -> None:
    # Given a recording of two workers
    page = visit("/play/work-queue/")
    wait(page, f"{STAGE}.now > 3000000")
    sheet = open_settings(page, "worker A")
    assert pressed(sheet, "Prefetch") == ["2"]
    # When a third is added
    row(sheet, "Workers").get_by_role("button", name="Add another like it").click()
    wait(page, "location.pathname.startsWith('/room/')")
    expect(page.get_by_role("button", name="Change worker C", exact=True)).to_be_attached()
    page.get_by_role("group", name="Speed").get_by_role("button", name="4", exact=True).click()
    # Then both work, each on messages of its own
    for name in ("worker A", "worker C"):
        wait(page, f"{worked_by(name)}.length > 2", 20)
    told = f"{STAGE}.narrator.told.map((each) => each.text)"
    wait(page, f"{told}.includes('A new worker, worker C, reads thumbnails.')")
    assert not set(page.evaluate(worked_by("worker A"))) & set(page.evaluate(worked_by("worker C")))
    # And a prefetch that is set is what is shown, also to who comes later
    row(open_settings(page, "worker C"), "Prefetch").get_by_role("button", name="5", exact=True).click()
    wait(
        page,
        f"[...{STAGE}.shownScene.nodes.values()].find((n) => n.name === 'worker C').settings.prefetch === 5",
    )
    wait(
        page,
        f"Object.values([...{STAGE}.shownScene.nodes.values()].find((n) => n.name === 'worker C').consumes)[0]?.prefetch === 5",
    )
    other = visit(page.evaluate("location.pathname"))
    wait(other, f"[...{STAGE}.shownScene.nodes.values()].some((n) => n.name === 'worker C')")
    assert pressed(open_settings(other, "worker C"), "Prefetch") == ["5"]


def test_a_queue_bound_to_the_exchange_gets_copies(visit: Callable[..., Page]) -> None:
    page = visit("/play/fan-out/")
    wait(page, f"{STAGE}.now > 2000000")
    sheet = open_settings(page, "orders")
    sheet.get_by_label("called").fill("archive")
    row(sheet, "New queue").get_by_role("button", name="Add and bind").click()
    wait(page, "location.pathname.startsWith('/room/')")
    archive = f"[...{STAGE}.shownScene.nodes.values()].find((n) => n.name === 'archive')"
    wait(
        page,
        f"!!{archive} && {STAGE}.scene().messages.some((m) => m.node === {archive}.node && m.zone === 'ready')",
        20,
    )
    # A message that is in it is in the other queue too
    shared = f"""(() => {{
      const facts = [...{STAGE}.timeline.facts.copies.values()];
      const mine = facts.filter((f) => f.destination === {archive}.node);
      return mine.length > 0 && mine.every((m) => facts.filter((f) => f.message === m.message).length === 3);
    }})()"""
    assert page.evaluate(shared)
