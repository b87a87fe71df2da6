"""One replica by itself: slices, checkpoints, and what it does when it contradicts itself."""

from __future__ import annotations

import time
from typing import Any

import pytest

from engine.commands import PauseProducer, ResumeProducer
from engine.errors import InvariantBroken
from playground.rooms import hub as hubs
from playground.rooms.hub import Hub
from playground.rooms.journal import Entry
from playground.rooms.limits import CHECKPOINT_TICKS, TICK_US, TICKS_KEPT
from playground.rooms.replica import Replica, ReplicaBroken
from tests.playground.conftest import new_room, sit
from tests.playground.fakes import FakeSimulation, Wall, fake_maker

NEVER = float("inf")


def entry(seq: int, at_us: int) -> Entry:
    return Entry(seq, seq, at_us, PauseProducer("p") if seq % 2 else ResumeProducer("p"), 0)


def digests(replica: Replica) -> list[bytes]:
    return [tick.digest for tick in replica.kept]


def test_entries_that_come_late_give_the_same_as_entries_that_come_in_time() -> None:
    entries = [entry(1, 1_000_000), entry(2, 7_300_000), entry(3, 7_300_000), entry(4, 7_310_000)]
    early = Replica(fake_maker())
    early.learn(entries)
    early.work(400, NEVER)
    late = Replica(fake_maker())
    for one in entries:
        late.work(400, NEVER)
        cut = late.learn([one])
        assert cut == one.at_us // TICK_US
    late.work(400, NEVER)
    assert digests(late) == digests(early)


def test_an_entry_at_the_very_border_of_what_was_simulated_cuts_nothing() -> None:
    replica = Replica(fake_maker())
    replica.work(100, NEVER)
    assert replica.learn([entry(1, 100 * TICK_US)]) is None
    assert replica.learn([entry(2, 100 * TICK_US - 1)]) == 99


def test_a_revise_begins_at_the_nearest_checkpoint_and_leaves_one_behind() -> None:
    replica = Replica(fake_maker())
    replica.work(1000, NEVER)
    assert [point.tick for point in replica.checkpoints] == list(range(0, 1001, CHECKPOINT_TICKS))
    replica.learn([entry(1, 950 * TICK_US + 5)])
    assert replica.closed == 800
    replica.work(1000, NEVER)
    assert 950 in [point.tick for point in replica.checkpoints]
    replica.learn([entry(2, 950 * TICK_US + 5)])
    assert replica.closed == 950, "the second command at one moment costs next to nothing"


def test_work_stops_at_its_deadline_and_goes_on_from_there() -> None:
    whole, sliced = Replica(fake_maker()), Replica(fake_maker())
    whole.work(2000, NEVER)
    slices = 1
    while not sliced.work(2000, time.monotonic()):
        slices += 1
    assert slices > 5
    assert digests(sliced) == digests(whole)


def test_an_entry_in_the_middle_of_a_slice_is_applied_in_its_place() -> None:
    straight, disturbed = Replica(fake_maker()), Replica(fake_maker())
    straight.learn([entry(1, 300_000), entry(2, 40_000_000)])
    straight.work(2000, NEVER)
    disturbed.work(2000, time.monotonic())
    disturbed.learn([entry(2, 40_000_000)])
    disturbed.work(2000, time.monotonic())
    disturbed.learn([entry(1, 300_000)])
    disturbed.work(2000, NEVER)
    assert digests(disturbed) == digests(straight)


def test_what_is_kept_is_bounded() -> None:
    replica = Replica(fake_maker(length_us=30 * 60 * 1_000_000))
    for tick in range(100, 8000, 100):
        replica.work(tick, NEVER)
    assert len(replica.kept) <= TICKS_KEPT + CHECKPOINT_TICKS
    assert len(replica.checkpoints) <= TICKS_KEPT // CHECKPOINT_TICKS + 3
    assert replica.latest_checkpoint(7800).tick == 7800
    last = digests(replica)[-1]
    replica.learn([entry(1, 10 * TICK_US)])
    replica.work(7900, NEVER)
    assert digests(replica)[-1] != last, "also what lies before all that is kept can be revised"


def test_a_simulation_that_comes_out_differently_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Replica(fake_maker())
    replica.work(300, NEVER)
    monkeypatch.setattr(FakeSimulation, "_emit", lambda self, cause: self.open.append([1, self.now_us, 0, 0]))
    replica.learn([entry(1, 290 * TICK_US)])
    with pytest.raises(ReplicaBroken, match="tick 200"):
        replica.work(300, NEVER)


async def test_a_room_whose_engine_contradicts_itself_stops_says_so_and_leaves_others_alone(
    hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    rooms = [await new_room(hub) for _ in range(2)]
    browsers = [await sit(hub, room.code) for room in rooms]
    wall.pass_ms(100)
    await hub.batch()

    def broken(until_us: int, budget: int = 0) -> bool:
        raise InvariantBroken("more copies than were owed")

    monkeypatch.setattr(hub.rooms[rooms[0].code].replica.simulation, "advance", broken)
    for _ in range(5):
        wall.pass_ms(100)
        await hub.batch()
        for browser in browsers:
            browser.take()
    assert [error["text"] for error in browsers[0].errors] == [hubs.STOPPED]
    assert caplog.text.count("has been stopped") == 1
    assert not browsers[1].errors
    assert browsers[1].next > browsers[0].next
    late = await sit(hub, rooms[0].code, "viewer")
    late.take()
    assert [error["text"] for error in late.errors] == [hubs.STOPPED]
