"""The narrator in Kafka's words: it names nothing that an event, its causes or what was told before do not name."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from engine import commands as c
from engine import wire
from engine.errors import CommandError
from engine.kafka.events import KAFKA
from engine.scenario import Scenario
from engine.simulation import Simulation
from tests.browser.conftest import House
from tests.browser.scripts import post_office
from tests.browser.test_kafka_fold import some_command
from tests.engine.kafka.playing import BUSY, SHARED, USER_EVENTS

SAY_ALL = """async ([frame]) => {
  await import("mailroom/kafka/fold.js");
  const [{ Timeline }, { say }] = await Promise.all([import("mailroom/scene/timeline.js"), import("mailroom/lazy/sayings.js"),
    import("mailroom/lazy/sayings-commands.js"), import("mailroom/lazy/kafka/sayings.js")]);
  const timeline = new Timeline();
  timeline.append(frame);
  return timeline.segments[0].events.map((event) => say(event, timeline)).filter(Boolean);
}"""

NODES = (
    "node",
    "source",
    "target",
    "group",
    "partition",
    "leader",
    "holder",
    "broker",
    "by",
    "destination",
    "isr",
    "partitions",
)
SILENT = {
    "PartitionDeclared",
    "MemberSettings",
    "ProducerSettings",
    "RecordsHeld",
    "RecordsAwaited",
    "ReadingStands",
    "LeadershipStands",
}
"""What only sets the stage, and what only a stated present says."""
NOT_HERE = {
    "TransactionChanged",
    "RecordsTransformed",
    "RecordsWithdrawn",
    "TombstonesAppended",
    "RecordsAcquired",
    "AcquisitionEnded",
    "AcquisitionRenewed",
    "SharePartitionMarked",
    "ShareMemberSettings",
}
"""No client of this room makes these: they are said of events made by hand."""


@pytest.fixture(scope="module")
def bench(chromium: Browser, house: House) -> Any:
    context = chromium.new_context(bypass_csp=True)
    page = context.new_page()
    page.goto(house.show(post_office()))
    yield page
    context.close()


def named_by(event: Any) -> tuple[set[int], set[int]]:
    """The nodes and the messages that an event names."""
    nodes: set[int] = set()
    for field in NODES:
        value = getattr(event, field, ())
        nodes |= set(value) if isinstance(value, tuple) else {value}
    return nodes, {*getattr(event, "messages", ()), getattr(event, "message", 0)}


def run(scenario: Scenario, seed: int, disturbances: int) -> list[Any]:
    """Most of the events of a run, with people in it."""
    chance, simulation = random.Random(seed), Simulation(scenario, seed)
    until_us = min(scenario.length_us, 45_000_000)
    for n, at_us in enumerate(sorted(chance.randrange(until_us) for _ in range(disturbances)), 1):
        with suppress(CommandError):
            simulation.apply_at(at_us, some_command(scenario, chance), n)
    while not simulation.advance(until_us):
        pass
    assert simulation.ticks is not None
    return [event for tick in simulation.ticks.take() for event in json.loads(tick.events)]


def frame(raw: list[Any]) -> dict[str, Any]:
    return {"tick": 0, "n": 4_800, "first": 1, "events": raw, "digest": ""}


@pytest.mark.parametrize("disturbances", [0, 30])
@pytest.mark.parametrize("scenario", [USER_EVENTS, BUSY, SHARED], ids=["user-events", "busy", "shared"])
def test_every_id_in_a_sentence_was_told(bench: Page, scenario: Scenario, disturbances: int) -> None:
    # Given a whole run, with and without people in it
    raw = run(scenario, 5 + disturbances, disturbances)
    events = wire.decode(json.dumps(raw).encode())
    names = {e.node: e.name for e in events if type(e).__name__ == "NodeAdded"}
    # When everything worth a sentence is said
    sentences = bench.evaluate(SAY_ALL, [frame(raw)])
    assert len(sentences) > 100
    for sentence in sentences:
        event = events[sentence["number"] - 1]
        also = [events[n - 1] for n in sentence["also"]]
        # Then what was told before is of the same thing, and not of later moments
        assert all(each.at_us <= event.at_us for each in also), sentence
        nodes: set[int] = set()
        messages: set[int] = set()
        for each in [event, *(events[n - 1] for n in sentence["causes"]), *also]:
            found = named_by(each)
            nodes, messages = nodes | found[0], messages | found[1]
        # And nothing else is named
        for named in sentence["ids"]:
            if named["kind"] == "message":
                assert named["message"] in messages, sentence
            elif named["id"] != "the broker":
                assert named["node"] in nodes and names[named["node"]] == named["id"], sentence
        assert len(sentence["text"]) <= 90, sentence
        assert re.fullmatch(r"[A-Za-z0-9“].*[.]", sentence["text"]), sentence
        assert "undefined" not in sentence["text"] and "the broker" not in sentence["text"], sentence


def test_every_event_that_matters_has_a_sentence(bench: Page) -> None:
    said: Counter[str] = Counter()
    happened: Counter[str] = Counter()
    for seed in range(2):
        raw = run(BUSY, seed, 40)
        events = wire.decode(json.dumps(raw).encode())
        happened.update(type(event).__name__ for event in events)
        for sentence in bench.evaluate(SAY_ALL, [frame(raw)]):
            said[type(events[sentence["number"] - 1]).__name__] += 1
    for kind in KAFKA:
        name = kind.__name__
        if name not in SILENT | NOT_HERE:
            assert happened[name] and said[name], f"{name}: {said[name]} of {happened[name]}"


def said_in(bench: Page, scenario: Scenario, *entries: tuple[int, Any]) -> list[str]:
    simulation = Simulation(scenario, 7)
    for n, (at_us, command) in enumerate(entries, 1):
        simulation.apply_at(at_us, command, n)
    while not simulation.advance(56_000_000):
        pass
    assert simulation.ticks is not None
    raw = [event for tick in simulation.ticks.take() for event in json.loads(tick.events)]
    return [sentence["text"] for sentence in bench.evaluate(SAY_ALL, [frame(raw)])]


def test_a_crash_is_told_from_its_silence_to_what_is_read_again(bench: Page) -> None:
    said = said_in(bench, USER_EVENTS)
    rebalance = said[
        said.index("billing B crashed. Its group waits for its session timeout before it acts.") :
    ]
    wanted = [
        "billing B crashed. Its group waits for its session timeout before it acts.",
        "Nobody in billing reads user-events-1 now: billing B crashed with it.",
        "billing B was not heard of for its session timeout: billing takes its partitions away.",
        "billing forms anew, because billing B was not heard of for its session timeout.",
        "Nobody in billing reads until each member is told its partitions: lag grows.",
        "billing is stable in generation 2: each member has its partitions.",
        "billing A gets user-events-0 and user-events-1.",
    ]
    places = [rebalance.index(text) for text in wanted]
    assert places == sorted(places)
    again = [text for text in said if re.match(r"Offsets? .* user-events-1 (is|are) read again", text)]
    assert again and "billing B" in again[0]


def test_a_killed_broker_is_the_reason_for_another_leader(bench: Page) -> None:
    said = said_in(bench, USER_EVENTS)
    assert "broker 2 is killed: what it leads needs another leader." in said
    assert any(
        re.match(r"user-events-1 is led by broker 3 now, because broker 2 was killed", text) for text in said
    )
    assert any(re.match(r"broker 2 is out of sync with user-events-0", text) for text in said)
    back = said_in(bench, USER_EVENTS, (50_000_000, c.StartBroker("log", 2)))
    assert "broker 2 has caught up: it is in sync with user-events-0 again." in back


def test_who_reads_from_the_start_again_was_set_back(bench: Page) -> None:
    said = said_in(
        bench, USER_EVENTS, (10_000_000, c.StopConsumer("statistics")),
        (15_000_000, c.SeekGroup("log", "statistics", "earliest")), (16_000_000, c.RestartConsumer("statistics")),
    )  # fmt: skip
    assert "statistics leaves statistics." in said
    assert any(re.match(r"The offset of statistics at user-events-0 is set to 0", text) for text in said)
    again = r"Offsets 0 to \d+ of user-events-0 are read again: the offsets of statistics were reset"
    assert any(re.match(again, text) for text in said)


BY_HAND = [
    ({"type": "TransactionChanged", "transactional_id": "pay", "state": "Ongoing"}, "A transaction of “pay” begins."),
    ({"type": "TransactionChanged", "transactional_id": "pay", "state": "CompleteAbort"},
     "The transaction of “pay” is aborted: its records are skipped."),
    ({"type": "RecordsAppended", "node": 5, "base": 7, "messages": [0], "marker": "abort"},
     "A marker at offset 7 of clicks-0 ends a transaction: abort."),
    ({"type": "RecordsAcquired", "group": 6, "node": 5, "member": "w#1", "holder": 0, "offsets": [1, 2],
      "deliveries": [1, 1]}, "w#1 acquires offsets 1 to 2 of clicks-0."),
    ({"type": "RecordsAcquired", "group": 6, "node": 5, "member": "w#1", "holder": 0, "offsets": [1, 7],
      "deliveries": [1, 3]}, "w#1 acquires 2 records of clicks-0, delivered for the 3rd time."),
    ({"type": "AcquisitionEnded", "group": 6, "node": 5, "offsets": [1], "why": "limit"},
     "Offset 1 of clicks-0 is archived: delivered as often as the group's limit allows."),
    ({"type": "AcquisitionEnded", "group": 6, "node": 5, "offsets": [1, 2], "why": "lock"},
     "Offsets 1 to 2 of clicks-0 are available again: the acquisition lock has run out."),
    ({"type": "AcquisitionEnded", "group": 6, "node": 5, "offsets": [4, 5], "why": "gone"},
     "Offsets 4 to 5 of clicks-0 are available again: the member is gone."),
    ({"type": "AcquisitionRenewed", "group": 6, "node": 5, "offsets": [4]},
     "The lock on offset 4 of clicks-0 is renewed."),
    ({"type": "RecordsGone", "node": 5, "ranges": [[3, 5]], "why": "truncated"},
     "Offsets 3 to 4 of clicks-0 are cut off: the log of its leader now ends before them."),
    ({"type": "RecordsGone", "node": 5, "ranges": [[3, 4], [9, 10]], "why": "compacted"},
     "The cleaner removes 2 records of clicks-0: later records have their keys."),
    ({"type": "TombstonesAppended", "node": 5, "offsets": [3]},
     "Offset 3 of clicks-0: without a value, a tombstone for the key."),
    ({"type": "RecordsTransformed", "node": 5, "partition": 5, "offsets": [3], "topic": 6, "messages": [9]},
     "clicks-0 produces m9 to readers, of offset 3 of clicks-0."),
    ({"type": "RecordsTransformed", "node": 5, "partition": 5, "offsets": [3, 5], "topic": 6, "messages": [9, 4]},
     "clicks-0 produces 2 records to readers, of 2 records of clicks-0."),
    ({"type": "RecordsWithdrawn", "node": 5, "messages": [1, 2]}, "clicks-0 aborts: 2 records are not sent."),
    ({"type": "MemberGone", "group": 6, "node": 0, "member": "x", "why": "session"},
     "x was not heard of for its session timeout: readers takes its partitions away."),
]  # fmt: skip


def test_what_rooms_do_not_make_yet_has_words_too(bench: Page) -> None:
    told = bench.evaluate(
        """async (events) => {
          await import("mailroom/kafka/fold.js");
          const [{ Timeline }, { say }] = await Promise.all([import("mailroom/scene/timeline.js"),
            import("mailroom/lazy/sayings.js"), import("mailroom/lazy/kafka/sayings.js")]);
          const timeline = new Timeline();
          timeline.append({ tick: 0, n: 1, first: 1, events: [[1, 0, 0, 5, "partition", "clicks-0", "log", ""],
            [1, 0, 0, 6, "group", "readers", "log", ""]], digest: "" });
          return events.map((event) => say({ at_us: 0, number: 3, cause: 0, pid: 1, ...event }, timeline)?.text);
        }""",
        [event for event, _ in BY_HAND],
    )
    assert told == [text for _, text in BY_HAND]
