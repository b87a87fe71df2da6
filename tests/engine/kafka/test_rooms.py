"""Kafka in a room: the ledger adds up, the same run comes out however it is driven, events say all there is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine import commands as c
from engine.events import Event, LedgerStands, NodeRemoved, Settled
from engine.kafka import events as k
from engine.places import PLACES, TALLIES
from engine.scenario import Scenario
from engine.wire import decode
from tests.engine.kafka.playing import MODERN, USER_EVENTS, journal, rooms
from tests.engine.kafka.test_telling import Picture
from tests.engine.playing import Journal, play

ROOT = Path(__file__).parents[3]


class RoomPicture(Picture):
    """What a stage would show of members and counts beside logs and groups: it only obeys events."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.owned: dict[int, set[int]] = {}
        self.positions: dict[tuple[int, int], int] = {}
        self.hands: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self.counts: dict[int, dict[str, int]] = {}
        self.settings: dict[int, Event] = {}
        super().__init__(events)

    def fold(self, e: Event) -> None:
        super().fold(e)
        match e:
            case NodeRemoved():
                self.nodes.pop(e.node, None)
                self.states.pop(e.node, None)
                self.settings.pop(e.node, None)
            case k.MemberSettings() | k.ProducerSettings() | k.ShareMemberSettings():
                self.settings[e.node] = replace(e, at_us=0, cause=0)
            case k.PartitionsAssigned():
                self.owned.setdefault(e.node, set()).update(e.partitions)
            case k.PartitionsRevoked():
                self.owned[e.node] -= set(e.partitions)
                for partition in e.partitions:
                    self.positions.pop((e.node, partition), None)
                    if not self.shares(e.group):
                        self.hands.pop((e.node, partition), None)
                if self.shares(e.group) and e.why == "crashed":
                    self.hands = {key: runs for key, runs in self.hands.items() if key[0] != e.node}
            case k.PositionSet():
                self.positions[e.node, e.partition] = e.offset
                self.hands.pop((e.node, e.partition), None)
            case k.RecordsDelivered() | k.RecordsHeld():
                runs = self.hands.setdefault((e.node, e.partition), [])
                first = runs.pop()[0] if runs and runs[-1][1] == e.first else e.first
                runs.append((first, e.next))
                if not self.shares(e.group):
                    self.positions[e.node, e.partition] = e.next
            case k.RecordsWorked():
                runs = self.hands[e.node, e.partition]
                _, end = runs.pop(0)
                if e.next < end:
                    runs.insert(0, (e.next, end))
                elif not runs:
                    del self.hands[e.node, e.partition]
            case k.Counted():
                row = self.counts.setdefault(e.destination, {})
                row[e.now] = row.get(e.now, 0) + e.count
                if e.was:
                    row[e.was] -= e.count
            case k.TalliedMore():
                row = self.counts.setdefault(e.destination, {})
                row[e.what] = row.get(e.what, 0) + e.count
            case Settled():
                row = self.counts.setdefault(e.destination, {})
                row[e.now] = row.get(e.now, 0) + len(e.copies)
            case LedgerStands():
                names = [*PLACES[1:], *TALLIES]
                self.counts[e.destination] = dict(zip(names, [*e.places, *e.tallies], strict=True))

    def shown(self) -> dict[str, Any]:
        told = super().shown()
        told["owned"] = {node: held for node, held in self.owned.items() if held}
        told["counts"] = {
            node: some
            for node, row in self.counts.items()
            if (some := {name: count for name, count in row.items() if count})
        }
        return told

    def shares(self, group: int) -> bool:
        """Whether it is a share group: its members have no positions, and keep what they have acquired."""
        return any(of == group for of, _ in self.windows)


def test_the_command_line_plays_a_crash_and_a_killed_broker_and_its_ledger_adds_up() -> None:
    path = Path(__file__).with_name("user-events.toml")
    run = subprocess.run(
        [sys.executable, "-m", "engine", "run", path, "--seed", "1", "--until", "60s", "--json"],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    *events, last = map(json.loads, run.stdout.splitlines())
    ledger = last["ledger"]
    places = [ledger[place] for place in PLACES[1:]]
    # Every record is owed to both groups; what the crashed member had is read again by another one
    assert sum(places) == ledger["owed"]
    assert ledger["sent"] > 1_000 and ledger["owed"] > 1.9 * ledger["sent"]
    assert ledger["lost"] == 0 and ledger["duplicated_deliveries"] > 0
    assert {"MemberGone", "PartitionLed", "PartitionsRevoked"} <= {event["event"] for event in events}


@settings(max_examples=25, deadline=None)
@given(rooms, st.integers(0, 2**40), journal, st.integers(1, 300))
def test_the_event_budget_changes_nothing(
    scenario: Scenario, seed: int, entries: Journal, budget: int
) -> None:
    whole, _ = play(scenario, seed, entries)
    sliced, _ = play(scenario, seed, entries, budget)
    assert sliced == whole


@settings(max_examples=25, deadline=None)
@given(rooms, st.integers(0, 2**40), journal, st.data())
def test_a_run_restored_from_any_snapshot_goes_on_alike(
    scenario: Scenario, seed: int, entries: Journal, data: st.DataObject
) -> None:
    whole, _ = play(scenario, seed, entries)
    places = data.draw(st.frozensets(st.integers(-1, max(1, len(entries))), min_size=1))
    reloaded, _ = play(scenario, seed, entries, data.draw(st.sampled_from([40, 2_000])), places)
    assert reloaded == whole


@settings(max_examples=40, deadline=None)
@given(rooms, st.integers(0, 2**40), journal)
def test_folding_all_events_is_the_present_and_all_is_counted(
    scenario: Scenario, seed: int, entries: Journal
) -> None:
    ticks, simulation = play(scenario, seed, entries)
    folded = RoomPicture(event for tick in ticks for event in decode(tick.events))
    present = RoomPicture(simulation.state_events())
    assert folded.shown() == present.shown()
    totals = simulation.totals()
    assert sum(totals[place] for place in PLACES[1:]) == totals["owed"]


def test_a_seek_beyond_the_end_of_a_log_is_counted_from_where_it_is_reset_to() -> None:
    seek = c.Seek("B", "offset", "orders", 1, 17)
    ticks, simulation = play(MODERN, 0, [(1_200_000, seek)])
    reset = [
        e.offset
        for tick in ticks
        for e in decode(tick.events)
        if isinstance(e, k.PositionSet) and e.at_us >= 1_200_000
    ]
    assert 17 in reset and min(reset) < 17
    totals = simulation.totals()
    assert sum(totals[place] for place in PLACES[1:]) == totals["owed"] > 0


RUN = """
from tests.engine.kafka.playing import USER_EVENTS
from tests.engine.playing import play
ticks, simulation = play(USER_EVENTS, 7, [])
print(ticks[-1].digest.hex(), simulation.number)
"""


def test_two_processes_give_the_same_digest_under_any_hash_seed() -> None:
    here, simulation = play(USER_EVENTS, 7, [])
    said = set()
    for hash_seed in ("0", "1", "4711"):
        run = subprocess.run(
            [sys.executable, "-c", RUN], capture_output=True, text=True, cwd=ROOT, check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        said.add(run.stdout)
    assert said == {f"{here[-1].digest.hex()} {simulation.number}\n"}
