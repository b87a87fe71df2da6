"""What can be done to a cluster and its clients from the page: in the palette and in the settings of a node."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from engine import commands as c
from engine.scenario import from_data, load
from engine.simulation import Simulation
from engine.wire import decode
from playground.stage import workers_of
from tests.browser.conftest import House, wait
from tests.browser.mocked import STAGE, in_room
from tests.browser.test_node_settings import pressed, row, said

S = 1_000_000
LESSONS = Path(__file__).parents[2] / "lessons"


def member(name: str, group: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "system": "log", "from": {"topics": ["orders"], "group": group}, "reset": "earliest",
            "session_timeout": "6s", "heartbeat": "1s", "acknowledge": "after work",
            "work": {"constant": "250ms"}, **changes}  # fmt: skip


SCENARIO = from_data({
    "format": 1, "title": "cluster", "length": "60s", "kinds": ["ana", "ben"],
    "system": [{"name": "log", "kind": "kafka", "link": "50ms", "brokers": 3,
                "config": {"group.initial.rebalance.delay.ms": 0},
                "topics": [{"name": "orders", "partitions": 3, "replication": 3}]}],
    "producer": [{"name": "shop", "system": "log", "to": {"topic": "orders"}, "arrivals": {"every": "500ms"},
                  "keys": ["ana", "ben"]},
                 {"name": "bank", "system": "log", "to": {"topic": "orders"}, "arrivals": {"every": "2s"},
                  "transactional_id": "transfers"}],
    "consumer": [member("billing A", "billing"), member("billing B", "billing"),
                 member("audit", "audit", isolation="read_committed")],
})  # fmt: skip
WORKERS = json.dumps(workers_of(SCENARIO))


def happened(*journal: tuple[int, Any]) -> list[Any]:
    simulation = Simulation(SCENARIO, 1)
    for n, (at_us, command) in enumerate(journal, 1):
        simulation.apply_at(at_us, command, n)
    while not simulation.advance(20 * S):
        pass
    assert simulation.ticks is not None
    return [event for tick in simulation.ticks.take() for event in decode(tick.events)]


EVENTS = happened()


def room(server: Any, house: House, events: list[Any] = EVENTS, now_us: int = 8 * S, **more: Any) -> Page:
    shown = in_room(server, house, events, now_us, workers=WORKERS, systems="kafka",
                    kinds=json.dumps(["ana", "ben"]), **more)  # fmt: skip
    wait(shown, "!!document.querySelector('[data-fault=broker]')")
    return shown


def palette(page: Page) -> Any:
    return page.get_by_role("group", name="Break it", exact=True)


# -- the palette ----------------------------------------------------------------------------------

PRESSED = [
    ("Crash", "billing A", "CrashConsumer", {"consumer": "billing A"}),
    ("Crash", "shop", "CrashProducer", {"producer": "shop"}),
    ("Slow", "audit", "SlowConsumer", {"consumer": "audit", "factor": 3000}),
    ("Poison", "shop", "PoisonNext", {"producer": "shop"}),
    ("Drop ack", "shop", "DropNextAck", {"actor": "shop"}),
    ("Drop ack", "billing B", "DropNextAck", {"actor": "billing B"}),
    ("Cut network", "billing A", "CutLink", {"actor": "billing A"}),
    ("Pause member", "billing B", "PauseConsumer", {"consumer": "billing B"}),
    ("Kill broker", "broker 2", "KillBroker", {"system": "log", "broker": 2}),
    ("Add partition", "", "AddPartitions", {"system": "log", "topic": "orders", "count": 4}),
    ("Change assignor", "billing: cooperative-sticky", "SetAssignors",
     {"system": "log", "group": "billing", "assignors": ["cooperative-sticky"]}),
    ("Seek group", "audit: to earliest", "SeekGroup", {"system": "log", "group": "audit", "to": "earliest"}),
    ("Idempotence off", "", "SetIdempotence", {"producer": "shop", "on": False}),
    ("Transaction", "", "BeginTransaction", {"producer": "bank"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("button", "target", "command", "arguments"), PRESSED, ids=[f"{x[0]}-{x[1]}" for x in PRESSED]
)
def test_a_button_of_the_palette_asks_which_one_and_gives_its_command(
    server: Any, house: House, button: str, target: str, command: str, arguments: dict[str, Any]
) -> None:
    page = room(server, house)
    palette(page).get_by_role("button", name=button, exact=True).focus()
    page.keyboard.press("Enter")
    if target:  # else there is only one, which is taken at once
        page.locator(".targets").get_by_role("button", name=target, exact=True).press("Enter")
    assert said(server, page) == [(command, arguments)]
    # And the engine knows it
    c.decode(command, arguments)


def test_what_was_done_is_undone_from_the_same_button(server: Any, house: House) -> None:
    events = happened(
        (2 * S, c.PauseConsumer("billing A")), (3 * S, c.KillBroker("log", 3)),
        (4 * S, c.SetIdempotence("shop", False)), (5 * S, c.BeginTransaction("bank")),
    )  # fmt: skip
    page = room(server, house, events, 12 * S)
    for button, choices in (
        ("Pause member", ["billing A: go on", "billing B", "audit"]),
        ("Kill broker", ["broker 1", "broker 2", "broker 3: start again"]),
        ("Transaction", ["bank: commit", "bank: abort"]),
        ("Restart", None),
    ):
        pressed_ = palette(page).get_by_role("button", name=button, exact=True)
        if choices is None:
            expect(pressed_).to_be_disabled()
            continue
        pressed_.click()
        offered = page.locator(".targets button:not(.never-mind)")
        assert offered.all_inner_texts() == choices
        page.keyboard.press("Escape")
        expect(pressed_).to_be_focused()
    palette(page).get_by_role("button", name="Idempotence off", exact=True).click()
    assert said(server, page)[0] == ("SetIdempotence", {"producer": "shop", "on": True})


def test_who_produces_in_transactions_is_told_to_abort_the_open_one(server: Any, house: House) -> None:
    scenario = load(LESSONS / "scenarios" / "kafka-transactions.toml")
    simulation = Simulation(scenario, 1)
    while not simulation.advance(20 * S):
        pass
    assert simulation.ticks is not None
    events = [event for tick in simulation.ticks.take() for event in decode(tick.events)]
    page = in_room(server, house, events, int(17.9 * S), workers=json.dumps(workers_of(scenario)),
                   systems="kafka", kinds=json.dumps(scenario.kinds))  # fmt: skip
    sheet = open_settings(page, "pricing 1")
    row(sheet, "Produces").get_by_role("button", name="Abort", exact=True).click()
    assert said(server, page, 1) == [("AbortTransaction", {"producer": "pricing 1"})]
    expect(palette(page).get_by_role("button", name="Transaction", exact=True)).to_have_count(0)


def test_a_stage_without_a_cluster_has_the_six_buttons_alone(server: Any, house: House) -> None:
    from tests.browser.scripts import post_office

    page = in_room(server, house, post_office(), 4 * S)
    expect(palette(page).get_by_role("button")).to_have_count(6)


# -- settings -------------------------------------------------------------------------------------


def open_settings(page: Page, name: str) -> Any:
    """By the node's number: as a click on it does."""
    page.evaluate(
        f"""{STAGE}.dispatchEvent(new CustomEvent("choose", {{ detail:
            [...{STAGE}.shownScene.nodes.values()].find((node) => node.name === {json.dumps(name)}).node }}))"""
    )
    sheet = page.get_by_role("region", name=f"Settings of {name}", exact=True)
    expect(sheet).to_be_visible()
    return sheet


DONE = [
    ("billing A", "Commits", "automatic", "SetAcknowledge", {"consumer": "billing A", "acknowledge": "automatic"}),
    ("billing A", "Work", "2 s", "SetWork", {"consumer": "billing A", "constant_us": 2_000_000}),
    ("billing A", "Speed", "three times slower", "SlowConsumer", {"consumer": "billing A", "factor": 3000}),
    ("billing A", "Remembers", "in one step with its effect", "SetIdempotency",
     {"consumer": "billing A", "keep": "with the effect"}),
    ("billing A", "Seek", "to the beginning", "Seek", {"consumer": "billing A", "to": "earliest"}),
    ("billing A", "Process", "Pause it", "PauseConsumer", {"consumer": "billing A"}),
    ("billing A", "Process", "Stop", "StopConsumer", {"consumer": "billing A"}),
    ("billing A", "Network", "Lose the next commit", "DropNextAck", {"actor": "billing A"}),
    ("billing A", "Members", "Add another like it", "AddConsumer", {"like": "billing A"}),
    ("billing A", "Members", "Remove it", "RemoveConsumer", {"consumer": "billing A"}),
    ("shop", "Messages a minute", "600", "SetRate", {"producer": "shop", "per_minute": 600}),
    ("shop", "Publish one now", "ben", "PublishNow", {"producer": "shop", "key": "ben"}),
    ("shop", "Idempotence", "off", "SetIdempotence", {"producer": "shop", "on": False}),
    ("shop", "Network", "Lose the next answer", "DropNextAck", {"actor": "shop"}),
    ("shop", "Producers", "Add another like it", "AddProducer", {"like": "shop"}),
    ("bank", "Transaction", "Begin", "BeginTransaction", {"producer": "bank"}),
    ("broker 2", "Process", "Stop it", "StopBroker", {"system": "log", "broker": 2}),
    ("broker 2", "Followers", "Hang", "HangBroker", {"system": "log", "broker": 2}),
    ("orders", "Partitions", "Add one", "AddPartitions", {"system": "log", "topic": "orders", "count": 4}),
    ("orders-1", "Partitions", "Add one", "AddPartitions", {"system": "log", "topic": "orders", "count": 4}),
    ("billing", "Assignor", "roundrobin", "SetAssignors",
     {"system": "log", "group": "billing", "assignors": ["roundrobin"]}),
    ("billing", "Reset offsets", "to latest", "SeekGroup", {"system": "log", "group": "billing", "to": "latest"}),
    ("billing", "Reset to an offset", "Reset", "SeekGroup",
     {"system": "log", "group": "billing", "to": "offset", "offset": 0}),
    ("billing", "Shift", "Shift", "SeekGroup", {"system": "log", "group": "billing", "to": "shift", "by": -10}),
    ("billing", "Reset to a time", "Go there", "SeekGroup",
     {"system": "log", "group": "billing", "to": "datetime", "time_us": 0}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("node", "label", "button", "command", "arguments"), DONE, ids=[f"{x[3]}-{x[2]}" for x in DONE]
)
def test_a_button_of_the_settings_gives_its_command(
    server: Any, house: House, node: str, label: str, button: str, command: str, arguments: dict[str, Any]
) -> None:
    page = room(server, house)
    sheet = open_settings(page, node)
    row(sheet, label).get_by_role("button", name=button, exact=True).click()
    assert said(server, page) == [(command, arguments)]
    c.decode(command, arguments)


def test_what_is_set_is_what_the_scenario_says_until_events_say_otherwise(server: Any, house: House) -> None:
    events = happened(
        (2 * S, c.SetAcknowledge("billing A", "automatic")), (3 * S, c.SetIdempotence("shop", False)),
        (4 * S, c.SetAssignors("log", "audit", ("sticky",))),
    )  # fmt: skip
    page = room(server, house, events, 9 * S)
    for name, label, words in (
        ("billing A", "Commits", "automatic"), ("billing B", "Commits", "after work"), ("shop", "Idempotence", "off"),
        ("billing", "Assignor", "range, cooperative-sticky"), ("audit B", "", ""),
    ):  # fmt: skip
        if label:
            assert pressed(open_settings(page, name), label) == [words]
    expect(open_settings(page, "bank")).to_contain_text("Producer to orders, acks=all, at work")
    sheet = open_settings(page, "billing B")
    expect(sheet).to_contain_text("Member of billing, read_uncommitted, at work")
    for each in sheet.get_by_role("group").all():
        words = each.locator(".says").inner_text()
        assert re.fullmatch(r"[A-Za-z].+\.", words) and len(words) < 120, words


def test_the_narrator_says_what_was_done_in_kafkas_words(server: Any, house: House) -> None:
    events = happened(
        (2 * S, c.KillBroker("log", 2)), (3 * S, c.SetIdempotence("shop", False)),
        (4 * S, c.AddPartitions("log", "orders", 4)), (5 * S, c.Seek("audit", "earliest")),
        (6 * S, c.BeginTransaction("bank")),
    )  # fmt: skip
    page = room(server, house, events, 7 * S)
    page.evaluate('import("mailroom/lazy/sayings.js").then((module) => { window.say = module.say; })')
    wait(page, "!!window.say")
    sentences = page.evaluate(
        f"""{STAGE}.timeline.segments.flatMap((each) => each.events).filter((e) => e.type === "Commanded")
            .map((e) => say(e, {STAGE}.timeline)?.text)"""
    )
    assert sentences == [
        "broker 2 is killed: where it led, the next replica in sync leads.",
        "shop numbers its batches no more: one that comes twice is written twice.",
        "orders has 4 partitions now: new records of a key may go to another one than old ones.",
        "audit seeks to earliest after its poll; nothing is committed by that.",
        "bank begins a transaction: who reads committed records sees it when it ends.",
    ]
