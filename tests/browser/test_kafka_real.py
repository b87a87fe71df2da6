"""What can be done to a cluster, pressed on the real server: what comes of it on the stage, and what the narrator says."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import wait
from tests.browser.test_axe import STAGE
from tests.conftest import start_whole_site, stop_site

NODE = f"((name) => [...{STAGE}.shownScene.nodes.values()].find((n) => n.name === name))"
KEYS = Path(__file__).parents[2] / "lessons/content/19-partitions-keys/scenario.toml"
LOGS = f"[...{STAGE}.shownScene.logs.values()]"
GROUP = f"((name) => {STAGE}.shownScene.groups.get({NODE}(name).node))"
OWNED = f"((name) => Object.keys({STAGE}.shownScene.readers.get({NODE}(name).node)?.owned ?? {{}}))"


@pytest.fixture
def play(visit: Callable[..., Page]) -> Callable[[str, int], Page]:
    """Opens a scenario and lets it play up to a moment."""

    def play_(slug: str, until_us: int) -> Page:
        page = visit(f"/play/{slug}/")
        wait(page, "document.querySelector('[data-fault=broker]') !== null")
        speed(page, 8)
        wait(page, f"{STAGE}.now > {until_us}", 40)
        speed(page, 1)  # at eight times it what is weighty is said, and little else
        return page

    return play_


def speed(page: Page, times: int) -> None:
    page.get_by_role("group", name="Speed").get_by_role("button", name=str(times), exact=True).click()


def choose(page: Page, fault: str, target: str = "") -> None:
    """A button of the palette, and which one where it asks."""
    page.get_by_role("group", name="Break it").get_by_role("button", name=fault, exact=True).click()
    if target:
        page.locator(".targets").get_by_role("button", name=target, exact=True).click()


def press(page: Page, fault: str, target: str = "") -> None:
    """As `choose`; the first press opens a room."""
    choose(page, fault, target)
    wait(page, "location.pathname.startsWith('/room/')", 20)


def told(page: Page, words: str, seconds: float = 30) -> None:
    """Waits until something has happened for which the narrator has a sentence with these words. (Which of several it
    finds the time to say depends on the machine; test_kafka_narrator.py holds it to that.)"""
    sentences = f"""(async () => {{
      const {{ say }} = await import("mailroom/lazy/sayings.js");
      const {{ timeline, now, narrator }} = {STAGE};
      const happened = timeline.between(0, now).map((event) => say(event, timeline));
      return narrator.told.length > 0 && happened.some((one) => one?.rank && /{words}/.test(one.text));
    }})()"""
    wait(page, sentences, seconds)


def test_a_broker_is_killed_and_comes_back(play: Callable[[str, int], Page]) -> None:
    page = play("kafka-user-events", 6_000_000)
    broker = page.evaluate(f"{NODE}('broker 2').node")
    assert page.evaluate(f"{LOGS}.some((log) => log.leader === {broker})")
    press(page, "Kill broker", "broker 2")
    # Then its box says so, somebody else leads what it led, and the narrator says why
    wait(page, f"{NODE}('broker 2').state === 'crashed'")
    wait(
        page,
        f"{LOGS}.every((log) => log.leader && log.leader !== {broker} && !log.isr.includes({broker}))",
        30,
    )
    told(page, "broker 2 (is|was) killed")
    press(page, "Kill broker", "broker 2: start again")
    wait(page, f"{NODE}('broker 2').state === 'up' && {LOGS}.every((log) => log.isr.includes({broker}))", 40)
    told(page, "broker 2 (is up again|starts again|has caught up)")


def test_a_member_paused_past_its_session_timeout_loses_its_partitions(
    play: Callable[[str, int], Page],
) -> None:
    page = play("kafka-rebalance-cooperative", 6_000_000)
    wait(page, f"{OWNED}('billing 3').length === 2")
    had = page.evaluate(f"{OWNED}('billing 3')")
    press(page, "Pause member", "billing 3")
    wait(page, f"{NODE}('billing 3').state === 'paused'")
    told(page, "billing 3 stands still")
    speed(page, 4)
    # After its session timeout others have what it had
    wait(
        page,
        f"[...{GROUP}('billing').members.values()].every(({{ node }}) => node !== {NODE}('billing 3').node)",
        40,
    )
    told(page, "billing 3 was not heard of for its session timeout")
    wait(page, f"{had}.every((p) => [...{OWNED}('billing 1'), ...{OWNED}('billing 2')].includes(p))", 40)
    # And when it goes on, it comes back as somebody new
    press(page, "Pause member", "billing 3: go on")
    wait(page, f"{OWNED}('billing 3').length > 0", 40)


def test_another_assignor_by_a_rolling_restart(play: Callable[[str, int], Page]) -> None:
    page = play("kafka-rebalance-eager", 6_000_000)
    generation = page.evaluate(f"{GROUP}('billing').generation")
    pressed_us = page.evaluate(f"{STAGE}.now")
    press(page, "Change assignor", "billing: cooperative-sticky")
    speed(page, 8)
    wait(
        page,
        f"['billing 1', 'billing 3'].every((name) => String({NODE}(name).settings?.assignors) === 'cooperative-sticky')",
        40,
    )
    wait(
        page,
        f"{GROUP}('billing').generation > {generation} && {GROUP}('billing').protocol === 'cooperative-sticky'",
        40,
    )
    # And the narrator has said what came of it for the group
    wait(
        page,
        f"{STAGE}.narrator.told.some(({{ text, at_us }}) => at_us > {pressed_us} && /billing/.test(text))",
        20,
    )


def test_a_groups_offsets_are_reset_once_it_has_no_members(play: Callable[[str, int], Page]) -> None:
    page = play("kafka-replay", 11_000_000)
    assert page.evaluate(f"Object.values({GROUP}('books').committed).some((offset) => offset > 0)")
    # A group without members can be reset: its last one stops, which opens a room, and leaves
    page.get_by_role("button", name="Change bookkeeper", exact=True).press("Enter")
    sheet = page.get_by_role("region", name="Settings of bookkeeper", exact=True)
    sheet.get_by_role("button", name="Stop", exact=True).click()
    wait(page, "location.pathname.startsWith('/room/')", 20)
    wait(page, f"{GROUP}('books').state === 'Empty'", 30)
    press(page, "Seek group", "books: to earliest")
    wait(page, f"Object.values({GROUP}('books').committed).every((offset) => offset === 0)", 20)
    told(page, "(resets the offsets of books|The offset of books at .* is set to 0)")


def test_without_numbers_a_lost_answer_writes_a_record_twice(play: Callable[[str, int], Page]) -> None:
    page = play("kafka-duplicate", 3_000_000)
    # Before any scheduled fault the careful producer is made careless and loses an answer
    press(page, "Idempotence off", "new client")
    told(page, "new client numbers its batches no more")
    wait(page, f"{NODE}('new client').settings?.idempotence === false")
    press(page, "Drop ack", "new client")
    told(page, "(new client.*will be lost|new client will lose an ack)")
    speed(page, 4)
    twice = f"""(() => {{
      const log = {LOGS}.find((log) => {STAGE}.shownScene.nodes.get(log.topic)?.name === 'careful');
      const seen = log.chunks.flatMap(({{ cells }}) => cells).filter(Boolean).map(({{ message }}) => message);
      return seen.some((message, i) => seen.indexOf(message) !== i);
    }})()"""
    wait(page, twice, 40)
    told(page, "(is|are) lost")


TRANSACTIONS = """
format = 1
title = "By hand"
about = "A bank writes in transactions."
length = "60s"
kinds = ["ana", "ben"]
[[system]]
name = "cluster"
kind = "kafka"
link = "100ms"
brokers = 3
config = { "group.initial.rebalance.delay.ms" = 0 }
topics = [{ name = "transfers", replication = 3 }]
[[producer]]
name = "bank"
system = "cluster"
to = { topic = "transfers" }
transactional_id = "bank-1"
arrivals = { every = "600ms" }
keys = ["ana", "ben"]
[[consumer]]
name = "auditor"
system = "cluster"
from = { topics = ["transfers"], group = "audit" }
isolation = "read_committed"
reset = "earliest"
work = { constant = "200ms" }
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A site with scenarios of its own: a bank's transactions, and clients that soon hear of an added partition."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "scenarios").mkdir()
    (folder / "scenarios" / "by-hand.toml").write_text(TRANSACTIONS)
    shutil.copy(KEYS, folder / "scenarios" / "keys.toml")
    places = {"MAILROOM_SCENARIOS": str(folder / "scenarios"), "MAILROOM_LESSONS": str(folder / "none")}
    (folder / "var").mkdir()
    site = start_whole_site(folder / "var", **places)
    yield site
    stop_site(site)


@pytest.fixture
def own(chromium: Browser, elsewhere: Any) -> Iterator[Callable[[str, int], Page]]:
    """As `play`, of that site."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})

    def play_(slug: str, until_us: int) -> Page:
        page = context.new_page()
        page.goto(f"{elsewhere.url}/play/{slug}/")
        wait(page, "document.querySelector('[data-fault=broker]:not([disabled])') !== null", 30)
        wait(page, f"{STAGE}.now > {until_us}", 20)
        return page

    yield play_
    context.close()


def test_a_partition_is_added_and_keys_move(own: Callable[[str, int], Page]) -> None:
    page = own("keys", 2_000_000)
    before = page.evaluate(f"{LOGS}.length")
    press(page, "Add partition")
    wait(page, f"{LOGS}.length === {before + 1}")
    told(page, "clicks has .* partitions now")
    # Records of a key that lay elsewhere come to the new one
    speed(page, 8)
    wait(page, f"{LOGS}.find((log) => log.number === {before}).end > 0", 40)
    moved = page.evaluate(f"""(() => {{
      const stage = {STAGE}, keyOf = (m) => stage.timeline.facts.messages.get(m)?.key;
      const keys = (log) => new Set(log.chunks.flatMap(({{ cells }}) => cells).filter(Boolean).map(({{ message }}) => keyOf(message)));
      const logs = {LOGS}, fresh = keys(logs.find((log) => log.number === {before}));
      return [...fresh].filter((key) => logs.some((log) => log.number < {before} && keys(log).has(key)));
    }})()""")
    assert moved


def test_a_transaction_is_begun_and_aborted_by_hand(own: Callable[[str, int], Page]) -> None:
    page = own("by-hand", 2_000_000)
    press(page, "Transaction")
    told(page, "bank begins a transaction")
    wait(page, f"{STAGE}.shownScene.transactions.get('bank-1')?.state === 'Ongoing'", 20)
    # What it writes now lies behind the last stable offset: who reads what is committed waits
    wait(page, f"{LOGS}[0].lso < {LOGS}[0].hw", 20)
    press(page, "Transaction", "bank: abort")
    told(page, "(bank aborts its transaction|The transaction of “bank-1” is aborted)")
    # Then its records are struck through, and a marker stands behind them
    cells = f"{LOGS}[0].chunks.flatMap(({{ cells }}) => cells)"
    wait(
        page, f"{cells}.some((cell) => cell?.aborted) && {cells}.some((cell) => cell?.marker === 'abort')", 20
    )


def test_a_stage_whose_member_writes_in_transactions_has_no_button_for_them(
    visit: Callable[..., Page],
) -> None:
    page = visit("/play/kafka-transactions/")
    wait(page, "document.querySelector('[data-fault=broker]') !== null")
    expect(page.locator("[data-fault=transaction]")).to_have_count(0)
