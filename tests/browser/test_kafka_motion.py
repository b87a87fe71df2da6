"""A log's records stand where they are: pointers move, the window moves by whole cells, and a rebalance's wires are
stubs from the moment that a partition is given up to the moment that somebody has it."""

from __future__ import annotations

import tomllib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from engine.kafka import events as k
from engine.scenario import from_data
from engine.simulation import Simulation
from engine.wire import decode
from tests.browser.conftest import House, wait

STAGE = "document.querySelector('queue-stage')"
FOLDER = Path(__file__).parents[2] / "lessons/scenarios"
SLIDE_US = 180_000


def run(name: str, until_us: int) -> tuple[list[Any], dict[str, Any]]:
    """What happens in a shipped scenario, and what its stage is told of it."""
    scenario = from_data(tomllib.loads((FOLDER / f"{name}.toml").read_text()))
    simulation = Simulation(scenario, 1)
    while not simulation.advance(until_us):
        pass
    assert simulation.ticks is not None
    events = [event for tick in simulation.ticks.take() for event in decode(tick.events)]
    return events, {"systems": "kafka", "length_us": until_us}


@pytest.fixture
def show(open_page: Callable[..., Page], house: House) -> Callable[..., tuple[Page, list[Any]]]:
    def show_(name: str, until_us: int, **options: Any) -> tuple[Page, list[Any]]:
        events, stage = run(name, until_us)
        page = open_page(house.show(events, chunks=-(-until_us // 10_000_000), **stage), **options)
        page.evaluate(f"{STAGE}.pause()")
        for number in range(-(-until_us // 10_000_000)):
            page.evaluate(
                f"fetch('/chunk/{number}.json').then((a) => a.json()).then((c) => {STAGE}.timeline.addChunk(c))"
            )
        return page, events

    return show_


def at(page: Page, t_us: int) -> dict[str, Any]:
    """The picture of a moment, with all that it may have to fetch first."""
    page.evaluate(f"{STAGE}.seek({t_us})")
    wait(page, f"{STAGE}.scene() && {STAGE}.drawn.lacks.size === 0", 60)
    return dict(page.evaluate(f"{STAGE}.scene()"))


def test_a_record_keeps_its_place_and_the_window_moves_by_whole_cells(show: Any) -> None:
    page, _ = show("kafka-user-events", 20_000_000)
    cell = page.evaluate(
        f"[...{STAGE}.figure.nodes.values()].find(({{ kind }}) => kind === 'partition').cell"
    )
    places: dict[str, list[float]] = defaultdict(list)
    pointers = set()
    for t_us in range(10_000_000, 20_000_000, 200_000):
        scene = at(page, t_us)
        sliding = page.evaluate(f"{STAGE}.drawn.rows.some(({{ slide }}) => slide > 0)")
        for message in scene["messages"]:
            if message["zone"] == "log" and message["role"] == "body" and not sliding:
                places[message["id"]].append(message["x"])
        pointers.add(
            str(
                page.evaluate(
                    f"{STAGE}.drawn.rows.map(({{ pointers }}) => pointers.map(({{ from }}) => from))"
                )
            )
        )
    # Then records were seen for long, committed offsets moved on beside them, and no record left its column
    assert len(places) > 15 and max(len(seen) for seen in places.values()) > 30 and len(pointers) > 5
    for seen in places.values():
        for x in seen:
            assert (seen[0] - x) / cell == pytest.approx(round((seen[0] - x) / cell), abs=0.01) and x <= seen[
                0
            ] + 0.1


def test_a_row_shows_its_records_in_the_order_of_their_offsets(show: Any) -> None:
    page, _ = show("kafka-user-events", 20_000_000)
    rows: dict[int, list[Any]] = defaultdict(list)
    for message in at(page, 19_000_000)["messages"]:
        if message["zone"] == "log" and message["role"] == "body":
            rows[message["node"]].append(message)
    assert len(rows) == 3
    for row in rows.values():
        by_place = sorted(row, key=lambda message: message["x"])
        assert [message["index"] for message in by_place] == sorted(message["index"] for message in row)


def test_wires_are_stubs_from_giving_up_to_having_again(show: Any) -> None:
    page, events = show("kafka-rebalance-eager", 40_000_000)
    partitions = {e.node for e in events if isinstance(e, k.PartitionDeclared)}
    owned: set[int] = set()
    seen = 0
    changes = [e for e in events if isinstance(e, k.PartitionsAssigned | k.PartitionsRevoked)]
    for i, change in enumerate(changes):
        owned = (
            owned | set(change.partitions)
            if isinstance(change, k.PartitionsAssigned)
            else owned - set(change.partitions)
        )
        if (i + 1 < len(changes) and changes[i + 1].at_us == change.at_us) or change.at_us < 5_000_000:
            continue
        at(page, change.at_us)
        wires, stubs = page.evaluate(
            f"[...{STAGE}.parts.wires.querySelector('g').children].reduce(([w, s], one) => "
            "[w + (one.getAttribute('class') === 'arrow'), s + (one.getAttribute('class') === 'stub')], [0, 0])"
        )
        assert wires - len(partitions) == len(owned)  # the producer's wire has an arrow at each partition
        assert stubs >= len(partitions) - len(owned)
        seen += 1
    assert seen >= 3


def test_what_is_committed_and_the_lag_are_where_the_events_say(show: Any) -> None:
    page, events = show("kafka-user-events", 20_000_000)
    t_us = 18_000_000
    at(page, t_us)
    committed: dict[tuple[int, int], int] = {}
    watermarks: dict[int, int] = {}
    for event in events:
        if event.at_us <= t_us and isinstance(event, k.OffsetCommitted):
            committed[event.group, event.node] = event.offset
        elif event.at_us <= t_us and isinstance(event, k.LogMarked):
            watermarks[event.node] = event.high_watermark
    rows = page.evaluate(
        f"{STAGE}.drawn.rows.map(({{ log, pointers, box, base, xOf }}) => ({{ node: log.node, foot: box.y + box.height, "
        "pointers: pointers.map((p) => ({ ...p, owner: 0, x: xOf(p.from), end: xOf(p.hw) })) }))"
    )
    looked = 0
    for row in rows:
        for pointer in row["pointers"]:
            offset = committed[pointer["group"], row["node"]]
            assert (pointer["committed"], pointer["hw"]) == (offset, watermarks[row["node"]])
            if pointer["place"]:
                continue
            # And the pixels: the pointer's ink just below the row, where its offset begins
            ink = page.evaluate(
                f"""([x, y]) => {{ const stage = {STAGE}, c = stage.parts.canvas, r = stage.atlas.ratio;
                  const data = c.getContext('2d').getImageData((x - 2) * r, (y - stage.pane.top) * r, 4 * r, 4 * r).data;
                  return [data[0] + data[1] + data[2], data[3]]; }}""",
                [pointer["x"], row["foot"] + 11],
            )
            assert ink[1] == 255 and ink[0] < 150
            looked += 1
    assert looked >= 2


def test_how_long_nobody_has_read_is_said_of_those_partitions_alone(show: Any) -> None:
    page, events = show("kafka-rebalance-eager", 30_000_000)
    crash = next(e for e in events if isinstance(e, k.PartitionsRevoked) and e.why == "crashed")
    last = max(
        e.at_us for e in events if isinstance(e, k.PartitionsRevoked) and crash.at_us < e.at_us < 28_000_000
    )
    t_us = last + 100_000
    at(page, t_us)
    free: dict[int, int] = {}
    for event in events:
        if event.at_us > t_us:
            break
        if isinstance(event, k.PartitionsRevoked):
            free |= dict.fromkeys(event.partitions, event.at_us)
        elif isinstance(event, k.PartitionsAssigned):
            free = {node: since for node, since in free.items() if node not in event.partitions}
    assert len(free) == 6 and min(free.values()) == crash.at_us
    said = page.evaluate(f"{STAGE}.drawn.phases.silent")
    assert said == (
        f"nobody has read P2, P3 for {(t_us - crash.at_us) / 1e6:.1f} s, 4 more for {(t_us - last) / 1e6:.1f} s"
    )


def test_who_begins_at_the_end_has_no_lag_for_what_was_there_before_it(show: Any) -> None:
    page, events = show("kafka-replay", 30_000_000)
    committed: set[tuple[int, int]] = set()
    begun: dict[tuple[int, int], tuple[int, int]] = {}
    for event in events:
        if isinstance(event, k.OffsetCommitted):
            committed.add((event.group, event.node))
        elif isinstance(event, k.PositionSet) and (event.group, event.partition) not in committed:
            begun[event.group, event.partition] = (event.at_us, event.offset)
    (group, partition), (at_us, offset) = max(begun.items(), key=lambda each: each[1][1])
    assert offset > 3
    at(page, at_us + 1_000)
    pointer = page.evaluate(
        f"""([group, partition]) => {STAGE}.drawn.rows.find(({{ log }}) => log.node === partition)
          .pointers.filter((p) => p.group === group).map(({{ from, worked, lag, hw }}) => ({{ from, worked, lag, hw }}))[0]""",
        [group, partition],
    )
    assert pointer["from"] == pointer["worked"] == offset
    assert pointer["lag"] == pointer["hw"] - offset


def test_a_partition_is_counted_from_the_moment_it_is_added(show: Any) -> None:
    page, events = show("../content/19-partitions-keys/scenario", 8_000_000)
    added = [e.at_us for e in events if isinstance(e, k.PartitionDeclared)]
    assert len(added) == 4 and added[-1] > 1_000_000
    for t_us, count in ((added[-1] - 1_000, 3), (added[-1] + 1_000, 4)):
        at(page, t_us)
        assert page.locator(".node.topic .note").inner_text() == f"{count} partitions"


def pointers_at(page: Page, t_us: int, partition: int, group: int) -> tuple[float, float | None]:
    """Where a group's committed offset and position are seen, in offsets."""
    at(page, t_us)
    shown = page.evaluate(
        f"{STAGE}.drawn.rows.find(({{ log }}) => log.node === {partition}).pointers"
        f".find(({{ group }}) => group === {group}).shown"
    )
    return shown["from"], shown.get("position")


def commits(events: list[Any]) -> list[tuple[k.OffsetCommitted, int]]:
    """The later commits, each with what was committed before."""
    known: dict[tuple[int, int], int] = {}
    found = []
    for event in events:
        if isinstance(event, k.OffsetCommitted):
            was = known.get((event.group, event.node), event.offset)
            known[event.group, event.node] = event.offset
            if event.at_us > 5_000_000 and event.offset > was:
                found.append((event, was))
    return found


def test_a_committed_offset_glides_to_the_next_one_by_the_time_of_the_run(show: Any) -> None:
    page, events = show("kafka-user-events", 20_000_000)
    commit, was = next((c, was) for c, was in commits(events) if c.offset - was >= 2)
    times = [commit.at_us + dt for dt in (0, 40_000, 80_000, 120_000, 160_000, 200_000)]
    seen = [pointers_at(page, t_us, commit.node, commit.group)[0] for t_us in times]
    assert seen[0] == was and seen[-1] == commit.offset
    assert all(was < here < commit.offset for here in seen[1:-1]) and seen == sorted(seen)
    # And looking back, in any order, the same moments look the same
    assert [pointers_at(page, t_us, commit.node, commit.group)[0] for t_us in reversed(times)] == seen[::-1]


def test_a_position_glides_as_records_come(show: Any) -> None:
    page, events = show("kafka-user-events", 20_000_000)
    between = 0
    for event in events:
        if isinstance(event, k.RecordsDelivered) and event.at_us > 5_000_000 and event.next - event.first > 1:
            position = pointers_at(page, event.at_us + 60_000, event.partition, event.group)[1]
            between += position is not None and event.first < position < event.next
    assert between > 0


def test_who_wants_no_motion_sees_pointers_on_whole_offsets(show: Any) -> None:
    page, events = show("kafka-user-events", 20_000_000, reduced_motion="reduce")
    for commit, _ in commits(events)[:8]:
        assert pointers_at(page, commit.at_us + 60_000, commit.node, commit.group)[0] == commit.offset


def said(page: Page, what: str) -> list[str]:
    """What is written at the rows of a kind of words."""
    return list(
        page.evaluate(
            f"{STAGE}.drawn.words.filter((word) => word.what === {what!r}).map(({{ text }}) => text)"
        )
    )


def rails_of(page: Page, partition: int) -> int:
    """How much ink there is 1 to 2 px above a row's records: a thin rail does not reach there."""
    return int(
        page.evaluate(
            f"""() => {{ const stage = {STAGE}, c = stage.parts.canvas, r = stage.atlas.ratio;
              const row = stage.drawn.rows.find(({{ log }}) => log.node === {partition});
              const x = row.xOf(row.first) + 4, y = row.box.y - 2 - stage.pane.top;
              return c.getContext('2d').getImageData(x * r, y * r, 8 * r, r).data[3]; }}"""
        )
    )


def test_an_election_is_said_at_its_row_and_seen_on_its_rails_for_some_seconds(show: Any) -> None:
    page, events = show("kafka-broker-crash", 40_000_000)
    led: dict[int, k.PartitionLed] = {}
    names = page.evaluate(
        f"Object.fromEntries([...{STAGE}.timeline.plan.nodes].map(([id, n]) => [id, n.name]))"
    )
    elections = 0
    for event in events:
        if not isinstance(event, k.PartitionLed):
            continue
        was = led.get(event.node)
        led[event.node] = event
        if was is None or not event.leader or was.leader == event.leader:
            continue
        word = f"leader now {names[str(event.leader)]}, epoch {event.epoch}"
        for t_us, is_news in ((event.at_us + 2_500_000, True), (event.at_us - 50_000, False),
                              (event.at_us + 50_000, True)):  # fmt: skip
            at(page, t_us)
            assert (word in said(page, "event")) is is_news, (word, t_us)
            assert (rails_of(page, event.node) > 60) is is_news
        elections += 1
    assert elections >= 1


def test_who_leaves_and_joins_the_replicas_in_sync_is_said_at_the_row(show: Any) -> None:
    page, events = show("kafka-broker-crash", 60_000_000)
    names = page.evaluate(
        f"Object.fromEntries([...{STAGE}.timeline.plan.nodes].map(([id, n]) => [id, n.name]))"
    )
    known: dict[int, set[int]] = {}
    told = {"left": 0, "joined": 0}
    for event in events:
        if not isinstance(event, k.PartitionLed):
            continue
        was, known[event.node] = known.get(event.node), set(event.isr)
        for which, who in (("left", (was or set()) - set(event.isr)), ("joined", set(event.isr) - (was or set(event.isr)))):  # fmt: skip
            for broker in who:
                at(page, event.at_us + 100_000)
                assert f"{names[str(broker)]} {which} the ISR" in said(page, "event")
                told[which] += 1
    assert told["left"] and told["joined"]
