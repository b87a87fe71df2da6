"""Events say all that there is to be seen: folded from the beginning they come to what the present is told as."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from engine.conformance import kafka
from engine.conformance.case import Observed, Step, System, run
from engine.events import Event, NodeAdded, NodeStateChanged
from engine.kafka import events as k
from engine.kafka import telling

CASES = sorted((Path(__file__).parents[2] / "conformance" / "kafka").glob("*.json"))


class Picture:
    """What a stage would show: it only obeys events."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.nodes: dict[int, tuple[str, str]] = {}
        self.states: dict[int, str] = {}
        self.partitions: dict[int, tuple[int, int, tuple[int, ...]]] = {}
        self.led: dict[int, Any] = {}
        self.cells: dict[int, dict[int, tuple[int, int, bool, str]]] = {}
        self.marks: dict[int, tuple[int, int, int]] = {}
        self.ends: dict[tuple[int, int], int] = {}
        self.groups: dict[int, tuple[str, int, str]] = {}
        self.members: dict[tuple[int, str], str] = {}
        self.offsets: dict[tuple[int, int], int] = {}
        self.transactions: dict[str, Any] = {}
        self.lent: dict[tuple[int, int, int], tuple[Any, ...]] = {}
        self.windows: dict[tuple[int, int], tuple[int, int]] = {}
        for event in events:
            self.fold(event)

    def fold(self, e: Event) -> None:
        match e:
            case NodeAdded():
                self.nodes[e.node] = e.kind, e.name
            case NodeStateChanged():
                self.states[e.node] = e.state
                if e.state == "up":
                    del self.states[e.node]
            case k.PartitionDeclared():
                self.partitions[e.node] = e.topic, e.index, e.replicas
            case k.PartitionLed():
                self.led[e.node] = e.leader, e.epoch, e.isr, e.elr
            case k.RecordsAppended():
                row = self.cells.setdefault(e.node, {})
                for place, message in enumerate(e.messages):
                    row[e.base + place] = message, e.pid, e.transactional, e.marker
            case k.RecordsGone():
                for offset in e.offsets:
                    del self.cells[e.node][offset]
            case k.LogMarked():
                self.marks[e.node] = e.start, e.high_watermark, e.last_stable
            case k.ReplicaReached():
                self.ends[e.node, e.broker] = e.end
            case k.GroupChanged():
                self.groups[e.group] = e.state, e.generation, e.protocol
            case k.MemberJoined():
                self.members[e.group, e.member] = "in"
            case k.MemberGone() if e.why == "away":
                self.members[e.group, e.member] = "away"
            case k.MemberGone():
                self.members.pop((e.group, e.member), None)
            case k.OffsetCommitted():
                self.offsets[e.group, e.node] = e.offset
            case k.TransactionChanged():
                self.transactions[e.transactional_id] = e.state, e.pid, e.epoch
            case k.RecordsAcquired():
                for offset, deliveries in zip(e.offsets, e.deliveries, strict=True):
                    self.lent[e.group, e.node, offset] = (
                        "ACQUIRED",
                        deliveries,
                        e.member,
                        e.holder,
                        e.until_us,
                    )
            case k.AcquisitionEnded():
                for offset, deliveries in zip(e.offsets, e.deliveries, strict=True):
                    self.lent[e.group, e.node, offset] = e.state, deliveries, e.why
            case k.AcquisitionRenewed():
                for offset in e.offsets:
                    known = self.lent[e.group, e.node, offset]
                    self.lent[e.group, e.node, offset] = *known[:4], e.until_us
            case k.SharePartitionMarked():
                self.windows[e.group, e.node] = e.start, e.end
                here = [key for key in self.lent if key[:2] == (e.group, e.node)]
                for key in here:
                    if not e.start <= key[2] < e.end:
                        del self.lent[key]

    def shown(self) -> dict[str, Any]:
        """Without what says nothing: empty rows, groups that never were in a state."""
        told = dict(vars(self))
        told["cells"] = {
            node: {offset: row[offset] for offset in row if offset >= self.first_stated(node)}
            for node, row in self.cells.items()
            if row
        }
        told["ends"] = {place: end for place, end in self.ends.items() if end}
        told["marks"] = {node: marks for node, marks in self.marks.items() if any(marks)}
        told["groups"] = {g: said for g, said in self.groups.items() if said != ("Empty", 0, "")}
        return told

    def first_stated(self, node: int) -> int:
        """Where a statement of the present begins to tell of a log's records."""
        end = max(self.cells[node]) + 1
        needed = [offset for (_, partition), offset in self.offsets.items() if partition == node]
        needed += [start for (_, partition), (start, _) in self.windows.items() if partition == node]
        return max(end - telling.STATED_MOST, min([*needed, end - telling.STATED_TAIL]))


class Watched(kafka.KafkaPlayer):
    """Keeps a picture, and compares it with the statement of the present after every step."""

    def __init__(self, case: dict[str, Any], version: str) -> None:
        self.picture = Picture()
        super().__init__(case, version)

    def forget_log(self) -> None:
        for event in self.kernel.take_log():
            self.picture.fold(event)

    def play(self, step: Step) -> Observed:
        seen = super().play(step)
        present = Picture(self.kafka.state_events())
        assert self.picture.shown() == present.shown(), f"after {step}"
        return seen


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_folding_all_events_is_the_present(path: Path) -> None:
    verdict = run(path, {"kafka": System(Watched, kafka.alike)})
    assert verdict.passed, f"step {verdict.step}: {verdict.got}"
