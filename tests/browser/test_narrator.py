"""The narrator names nothing that its event and that event's causes do not name, and is brief."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from engine import wire
from engine.history import play
from engine.scenario import load
from tests.browser.conftest import House, wait
from tests.browser.scripts import post_office
from tests.browser.test_scene_equality import SCENARIOS, moments_of

SAY_ALL = """async ([frame]) => {
  const [{ Timeline }, { say }] = await Promise.all([import("mailroom/scene/timeline.js"), import("mailroom/lazy/sayings.js"),
    import("mailroom/lazy/rabbitmq/sayings.js"), import("mailroom/lazy/sayings-commands.js")]);
  const timeline = new Timeline();
  timeline.append(frame);
  return timeline.segments[0].events.map((event) => say(event, timeline)).filter(Boolean);
}"""

NODE_FIELDS = ("node", "source", "target", "queue", "exchange", "destination")
MESSAGE_SIGNALS = ("publish", "confirm", "refuse", "return")
BY_THE_BROKER = {"the broker", "the default exchange"}


@pytest.fixture(scope="module")
def bench(chromium: Browser, house: House) -> Any:
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(house.show(post_office()))
    yield page
    context.close()


def named_by(event: Any, message_of: dict[int, int]) -> tuple[set[int], set[int]]:
    """The nodes and the messages that an event names."""
    nodes = {getattr(event, field) for field in NODE_FIELDS if isinstance(getattr(event, field, None), int)}
    messages = {getattr(event, field) for field in ("message", "other") if getattr(event, field, 0)}
    copies = {event.copy} if isinstance(getattr(event, "copy", None), int) else set()
    if type(event).__name__ == "Sent":
        (messages if event.kind in MESSAGE_SIGNALS else copies).add(event.about)
    for each in getattr(event, "copies", ()):
        copies.add(each if isinstance(each, int) else each.copy)
        nodes |= set() if isinstance(each, int) else {each.destination}
    return nodes, messages | {message_of[copy] for copy in copies if copy in message_of}


@pytest.mark.parametrize("disturbances", [0, 30])
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_id_in_a_sentence_is_in_its_event_or_its_causes(
    bench: Page, path: Path, disturbances: int
) -> None:
    # Given a whole run, with and without people in it
    scenario = load(path)
    raw, _ = moments_of(scenario, 5 + disturbances, min(scenario.length_us, 60_000_000), disturbances)
    events = wire.decode(json.dumps(raw).encode())
    message_of = {o.copy: e.message for e in events if type(e).__name__ == "Routed" for o in e.copies}
    names = {e.node: e.name for e in events if type(e).__name__ == "NodeAdded"}
    # When everything worth a sentence is said
    sentences = bench.evaluate(SAY_ALL, [{"tick": 0, "n": 2400, "first": 1, "events": raw, "digest": ""}])
    assert len(sentences) > 50
    for sentence in sentences:
        chain = [events[sentence["number"] - 1], *(events[n - 1] for n in sentence["causes"])]
        # Then the chain is that of the events themselves
        for later, earlier in zip(chain, sentence["causes"], strict=False):
            assert later.cause == earlier
        # And so is that of what brought the same copy back before, if that is a reason
        also = [events[n - 1] for n in sentence["also"]]
        for later, earlier in zip(also, sentence["also"][1:], strict=False):
            assert later.cause == earlier
        if also:
            assert type(also[0]).__name__ in ("Requeued", "DeadLettered") and also[0].copy == chain[0].copy
            assert sentence["also"][0] < sentence["number"]
        nodes: set[int] = set()
        messages: set[int] = set()
        for event in [*chain, *also]:
            found = named_by(event, message_of)
            nodes |= found[0]
            messages |= found[1]
        # And nothing else is named
        for named in sentence["ids"]:
            if named["kind"] == "message":
                assert named["message"] in messages, sentence
            elif named["id"] not in BY_THE_BROKER:
                assert named["node"] in nodes and names[named["node"]] == named["id"], sentence
        spoken = {int(m) for m in re.findall(r"\bm(\d+)\b", sentence["text"])}
        assert spoken <= {named["message"] for named in sentence["ids"] if named["kind"] == "message"}, (
            sentence
        )
        assert len(sentence["text"]) <= 90 or sentence["rank"] == 0, sentence
        assert sentence["text"].endswith("."), sentence


def test_the_narrator_speaks_and_gives_its_reasons(chromium: Browser, house: House) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(house.show(post_office(), chunks=3))
    stage = "document.querySelector('queue-stage')"
    wait(page, f"!!customElements.get('queue-stage') && {stage}.furnished")
    # When the moment after the crash stands on the screen
    page.evaluate(f"{stage}.pause(); {stage}.seek(7610000)")
    line = page.locator("[data-part=narrator]")
    wait(
        page,
        "document.querySelector('[data-part=narrator]').textContent.includes('email worker crashed, so its unacknowledged m')",
    )
    assert line.get_attribute("role") == "status"
    told = page.evaluate(f"{stage}.narrator.told.at(-1)")
    assert told["text"] == line.text_content() and told["causes"] and told["number"] > told["causes"][0]
    context.close()


SAID_AT = [
    ("fan-out", 7.45, "email worker crashed, so its unacknowledged m7 goes back to email."),
    ("fan-out", 20.2, "m7 is delivered again, to email worker, because it crashed before it acknowledged."),
    ("idempotent-payments", 6.1, "“charge” for m2 again, because careless charger crashed before it acknowledged."),
    ("order-pipeline", 7.01, "payment service fails at m6: chance."),
    ("retry-dlq", 7.09, "m4 has waited out its time in retry."),
    ("topic-routing", 3.8, "m5 matches no queue at events: it is dropped."),
    ("fair-dispatch", 6.4, "m4 takes effect after m13, a later one with its key."),
    ("traffic-spike", 10.33, "m13 takes effect after m14, a later one with its key."),
    ("work-queue", 1.2, "m2 goes to worker B at once: it has room."),
]  # fmt: skip


@pytest.mark.parametrize(("slug", "at_s", "sentence"), SAID_AT)
def test_what_is_said_when_it_stands_at_a_moment(
    open_page: Callable[..., Page], house: House, slug: str, at_s: float, sentence: str
) -> None:
    scenario = load(Path("lessons/scenarios") / f"{slug}.toml")
    events = play(scenario, scenario.seed, until_us=30_000_000).events
    page = open_page(house.show(events, path=f"/{slug}/", chunks=3, kinds=json.dumps(scenario.kinds)))
    stage = "document.querySelector('queue-stage')"
    # Given the tenth of a second in which it happens
    near = [e.at_us for e in events if abs(e.at_us - at_s * 1e6) < 50_000]
    page.evaluate(f"{stage}.pause()")
    for moment in (5_000_000, 15_000_000, max(near)):
        page.evaluate(f"{stage}.seek({min(moment, max(near))})")
        wait(page, f"{stage}.timeline.knows({min(moment, max(near))})")
    said = []
    # When each of its moments is stepped to
    for at_us in sorted(set(near)):
        page.evaluate(f"{stage}.seek({at_us}, true)")
        said.append(page.locator("[data-part=narrator]").inner_text())
    # Then one of them says that
    assert sentence in said


def test_stepping_says_the_moment_that_was_stepped_to(open_page: Callable[..., Page], house: House) -> None:
    events = post_office()
    page = open_page(house.show(events, chunks=3))
    stage = "document.querySelector('queue-stage')"
    page.evaluate(f"{stage}.pause(); {stage}.seek(4000000)")
    page.evaluate("import('mailroom/lazy/sayings.js').then((m) => { window.say = m.say; })")
    told = 0
    for _ in range(12):
        page.get_by_role("button", name="Step", exact=True).click()
        worth = page.evaluate(
            f"{stage}.timeline.between({stage}.now - 1, {stage}.now).map((e) => say(e, {stage}.timeline)?.text).filter(Boolean)"
        )
        worth += page.evaluate(
            f"{stage}.narrator.told.filter((s) => s.news && s.at_us === {stage}.now).map((s) => s.text)"
        )
        if worth:
            assert page.locator("[data-part=narrator]").inner_text() in worth
            told += 1
    assert told > 6


def test_speaking_is_rare(chromium: Browser, house: House) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(house.show(post_office(), chunks=3))
    stage = "document.querySelector('queue-stage')"
    wait(page, f"!!customElements.get('queue-stage') && {stage}.furnished")
    page.evaluate(
        f"window.said = []; new MutationObserver(() => said.push(performance.now())).observe({stage}.parts.narrator, {{childList: true}})"
    )
    page.evaluate(f"{stage}.clock.setRate(performance.now(), 4, Infinity)")
    page.wait_for_timeout(4_000)
    said = page.evaluate("said")
    assert said and all(b - a >= 1_490 for a, b in pairwise(said))
    context.close()
