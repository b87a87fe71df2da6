"""Rooms in which more happens than can be drawn singly: whatever is shown is what the engine has at that tick."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import Any

import pytest

from engine import aggregated
from engine.errors import CommandError, RunOver
from engine.simulation import Simulation
from engine.wire import decode, encode
from lessons.scenarios import library
from playground.rooms import pace
from playground.rooms.clock import RATES
from playground.rooms.history import recording_of
from playground.rooms.hub import Hub
from playground.rooms.limits import (
    AGGREGATED_TICKS,
    CHECKPOINT_TICKS,
    SINGLY_AGAIN_EVENTS_PER_S,
    SINGLY_EVENTS_PER_S,
    TICK_US,
)
from playground.rooms.wire import BadFrame
from tests.playground.conftest import CONSUMER, SLUG, new_room, sit
from tests.playground.fakes import Browser, Wall
from tests.playground.test_rooms import command, go

RUN_ENDED = 21
MUCH = 18_000
"""Messages a minute: 300 a second, of two copies each."""


class Truth:
    """A branch simulated once more, tick by tick, from its journal."""

    def __init__(self, seed: int, entries: list[Any], ticks: int, present: int) -> None:
        simulation = Simulation(library()[SLUG].scenario, seed)
        waiting = list(entries)
        self.digests: list[str] = []
        self.events: list[list[Any]] = []
        self.counts: list[Any] = []
        self.stands: list[Any] = []
        self.state: list[Any] = []
        """The stated present at the start of tick `present`."""
        assert simulation.ticks is not None
        for tick in range(ticks):
            while waiting and waiting[0].at_us < (tick + 1) * TICK_US:
                entry = waiting.pop(0)
                with suppress(CommandError, RunOver):
                    simulation.apply_at(entry.at_us, entry.command, entry.n)
            while not simulation.advance((tick + 1) * TICK_US):
                pass
            (closed,) = simulation.ticks.take()
            self.digests.append(closed.digest.hex())
            self.events.append(closed.events)
            self.counts.append([list(count) for count in simulation.counts()])
            self.stands.append(plain(simulation.stands()))
            if tick + 1 == present:
                self.state = plain(simulation.state_events())


def plain(events: list[Any]) -> Any:
    return json.loads(encode(events))


async def check(hub: Hub, browser: Browser) -> tuple[int, int]:
    """Everything that `browser` holds is true. Returns how many ticks it holds singly, and in how many frames numbers."""
    code, epoch = browser.room.facts.code, browser.epoch  # type: ignore[attr-defined]
    lineage = await hub.journal.lineage(code, epoch)
    entries = sorted(await hub.journal.entries(code, epoch, 0), key=lambda entry: (entry.at_us, entry.seq))
    true = Truth(lineage[-1].seed, entries, max(browser.next, browser.reach), browser.present)
    if browser.viewer.cut:  # it is about to be told, when its window has room
        browser._forget(browser.viewer.tick)
    browser._forget(browser.viewer.forget)
    for tick, digest in browser.digests.items():
        assert tick < 0 or digest == true.digests[tick]
    for tick, (_, events) in browser.ticks.items():
        assert events == json.loads(true.events[tick])
    for tick, (start, frame) in browser.numbers.items():
        assert frame["counts"] == true.counts[tick]
        if frame["t"] != "state":
            left_out = [event for events in true.events[start : tick + 1] for event in decode(events)]
            assert {(s, t): n for s, t, n in frame["flows"]} == aggregated.flows(left_out)
            assert frame["events"] == [*plain(aggregated.of_no_message(left_out)), *true.stands[tick]]
    if browser.present - 1 not in browser.numbers:
        assert browser.state == true.state
    return len(browser.ticks), len(browser.numbers)


def kinds(browser: Browser) -> list[str]:
    """What came, in short: runs of equal frames once."""
    said: list[str] = []
    for frame in browser.frames:
        if frame["t"] in ("state", "ticks", "revise", "branch") and not frame.get("more"):
            kind = (
                frame["t"]
                + " in numbers" * frame.get("aggregated", False)
                + " kept" * frame.get("keep", False)
            )
            if not said or said[-1] != kind:
                said.append(kind)
    return said


async def busy_room(hub: Hub, wall: Wall, rate: int = 8000) -> Browser:
    """A browser in a room that goes in numbers."""
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await command(hub, browser, "Speed", rate=rate)
    await command(hub, browser, "SetRate", producer="shop", per_minute=MUCH)
    await go(hub, wall, 1.5, browser)
    assert browser.numbers
    browser.frames.clear()
    return browser


# -- when -------------------------------------------------------------------------------------------


def paces(counts: list[int]) -> list[pace.Pace]:
    told = [pace.AT_REST]
    for tick, count in enumerate(counts):
        told.append(pace.follow(told[-1], tick, count))
    return told[1:]


@pytest.mark.parametrize("rate", RATES)
def test_a_stretch_begins_above_the_limit_on_the_screen_whatever_the_speed(rate: int) -> None:
    a_tick = SINGLY_EVENTS_PER_S * 1000 // rate // 40
    below = paces([max(0, a_tick * 9 // 10)] * 800)
    above = paces([a_tick * 11 // 10 + 1] * 800)
    assert not any(pace.too_fast(each, rate) for each in below)
    assert pace.too_fast(above[-1], rate)
    assert not any(pace.too_fast(each, 0) for each in above), "what stands is not too fast"


def test_what_wavers_about_the_limit_stays_as_it_is_and_a_stretch_ends_at_a_checkpoint() -> None:
    high, low = SINGLY_EVENTS_PER_S // 40, SINGLY_AGAIN_EVENTS_PER_S // 40
    counts = [high * 2] * 100 + [low * 11 // 10] * 500 + [low // 2] * 600
    fast = [pace.too_fast(each, 1000) for each in paces(counts)]
    changes = [tick for tick in range(1, len(fast)) if fast[tick] != fast[tick - 1]]
    assert len(changes) == 2
    assert 0 < changes[0] < 100
    assert changes[1] > 600
    assert changes[1] % CHECKPOINT_TICKS == 0


def test_no_recording_is_too_fast_at_any_speed() -> None:
    """A recording is watched at the viewer's own speed, so its chunks hold everything: that must be enough."""
    for slug in library():
        told = paces([tick.count for tick in recording_of(slug).ticks])
        assert not any(each.fast for each in told), slug


# -- what -------------------------------------------------------------------------------------------


async def test_a_busy_room_at_eight_times_goes_in_numbers_and_back(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await command(hub, browser, "SetRate", producer="shop", per_minute=MUCH // 2)
    await go(hub, wall, 1.5, browser)
    assert not browser.numbers
    assert len(browser.ticks) > 60
    await command(hub, browser, "Speed", rate=8000)
    await go(hub, wall, 1, browser)
    assert max(n for _, _, n in next(reversed(browser.numbers.values()))[1]["flows"]) > 100
    await command(hub, browser, "Speed", rate=1000)
    await go(hub, wall, 4, browser)
    assert kinds(browser) == ["state", "ticks", "ticks in numbers", "state kept", "ticks"]
    singly, numbers = await check(hub, browser)
    assert singly > 100
    assert numbers >= 3


async def test_less_happens_and_messages_are_back_at_the_next_checkpoint(hub: Hub, wall: Wall) -> None:
    browser = await busy_room(hub, wall)
    await command(hub, browser, "SetRate", producer="shop", per_minute=60)
    await command(hub, browser, "PurgeQueue", system="broker", queue="billing")
    await command(hub, browser, "PurgeQueue", system="broker", queue="email")
    await go(hub, wall, 2.5, browser)
    assert kinds(browser) == ["ticks in numbers", "state kept", "ticks"]
    kept = next(frame for frame in browser.frames if frame.get("keep"))
    assert kept["tick"] % CHECKPOINT_TICKS == 0
    assert kept["tick"] == max(browser.numbers) + 1, "nothing is told twice"
    await check(hub, browser)


async def test_pausing_and_stepping_in_a_stretch_show_each_message(hub: Hub, wall: Wall) -> None:
    browser = await busy_room(hub, wall)
    await command(hub, browser, "Pause")
    await go(hub, wall, 1, browser)
    assert kinds(browser) == ["state kept", "ticks"]
    shown = browser.moment()
    assert browser.present * TICK_US <= shown <= browser.next * TICK_US
    assert shown // TICK_US in browser.ticks
    before = len(browser.frames)
    await command(hub, browser, "Step")
    await go(hub, wall, 0.5, browser)
    assert browser.moment() > shown
    assert not [f for f in browser.frames[before:] if f.get("aggregated")]
    await check(hub, browser)
    await command(hub, browser, "Play")
    await go(hub, wall, 1, browser)
    assert kinds(browser)[-1] == "ticks in numbers"
    await check(hub, browser)


async def test_a_revise_inside_a_stretch_is_in_numbers_too(hub: Hub, wall: Wall) -> None:
    browser = await busy_room(hub, wall)
    room = browser.room  # type: ignore[attr-defined]
    browser.viewer.tick, held = browser.viewer.tick, browser.next
    cut = held - 3
    for viewer in room.viewers:
        viewer.forget_from(cut)
    await go(hub, wall, 0.5, browser)
    assert kinds(browser)[:2] == ["revise in numbers", "ticks in numbers"]
    browser.numbers.pop(held - 1, None)
    await check(hub, browser)


async def test_a_command_in_the_past_of_a_stretch_makes_a_branch_that_is_right(hub: Hub, wall: Wall) -> None:
    browser = await busy_room(hub, wall)
    await command(hub, browser, "Fork", at_us=browser.shown_us - 3_000_000)
    await go(hub, wall, 1, browser)
    assert browser.epoch == 1
    assert "branch" in kinds(browser)
    await check(hub, browser)
    await command(hub, browser, "Fork", at_us=1_000_000)
    await go(hub, wall, 0.3, browser)
    assert browser.epoch == 2
    await check(hub, browser)


async def test_who_comes_late_into_a_stretch_gets_numbers_at_once(hub: Hub, wall: Wall) -> None:
    browser = await busy_room(hub, wall)
    late = await sit(hub, browser.room.facts.code, "viewer")  # type: ignore[attr-defined]
    await go(hub, wall, 0.2, browser, late)
    assert kinds(late) == ["state in numbers", "ticks in numbers"]
    assert late.numbers[late.present - 1][1]["counts"]
    assert sum(len(frame.get("events", ())) for frame in late.frames) < 200, "no message by itself"
    assert all(frame["n"] <= AGGREGATED_TICKS for frame in late.frames if frame["t"] == "ticks")
    await check(hub, late)
    await command(hub, browser, "Pause")
    await go(hub, wall, 1.5, browser, late)
    assert late.ticks
    assert late.digests[late.next - 1] == browser.digests[browser.next - 1]
    await check(hub, late)


async def test_who_comes_back_to_a_room_that_goes_singly_now_says_that_it_holds_numbers(
    hub: Hub, wall: Wall
) -> None:
    browser = await busy_room(hub, wall)
    twin = await sit(hub, browser.room.facts.code, "viewer")  # type: ignore[attr-defined]
    await go(hub, wall, 0.5, browser, twin)
    hub.leave(twin.room, twin.viewer)  # type: ignore[attr-defined]
    await command(hub, browser, "Pause")
    await go(hub, wall, 1, browser)
    again = await sit(hub, browser.room.facts.code, "viewer")  # type: ignore[attr-defined]
    again.numbers, again.digests, again.next, again.reach = twin.numbers, twin.digests, twin.next, twin.reach
    again.shown_us = twin.shown_us
    again.watch()
    assert again.viewer.wish.aggregated  # type: ignore[union-attr]
    await go(hub, wall, 1, again)
    assert kinds(again)[0] == "state kept"
    assert again.digests[again.next - 1] == browser.digests[browser.next - 1]
    await check(hub, again)


async def test_a_viewer_left_behind_in_a_stretch_is_told_numbers(hub: Hub, wall: Wall) -> None:
    browser = await busy_room(hub, wall)
    browser.acknowledges = False
    await go(hub, wall, 2, browser)
    browser.acknowledges = True
    held = browser.next
    browser.viewer.seen(browser.room.f)  # type: ignore[attr-defined]
    await go(hub, wall, 0.3, browser)
    assert "state in numbers kept" in kinds(browser)
    assert browser.next > held
    await check(hub, browser)


async def test_at_the_end_of_the_run_the_last_moment_is_drawn(hub: Hub, wall: Wall) -> None:
    browser = await busy_room(hub, wall)
    await go(hub, wall, 8, browser)
    assert browser.room.replica.simulation.ended  # type: ignore[attr-defined]
    assert browser.next - 1 in browser.ticks
    assert RUN_ENDED in [event[0] for event in browser.ticks[browser.next - 1][1]]
    await check(hub, browser)


async def test_a_present_that_does_not_fit_a_frame_comes_in_parts(hub: Hub, wall: Wall) -> None:
    """Frames are measured by the browser of these tests, each."""
    browser = await busy_room(hub, wall)
    await command(hub, browser, "Pause")
    await go(hub, wall, 2, browser)
    parts = [frame for frame in browser.frames if frame["t"] == "state"]
    assert len(parts) > 8, "more than a window"
    assert [frame["part"] for frame in parts] == list(range(len(parts)))
    assert [frame["more"] for frame in parts] == [True] * (len(parts) - 1) + [False]
    await check(hub, browser)


async def test_a_tick_that_does_not_fit_a_frame_comes_in_parts(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await command(hub, browser, "Speed", rate=250)
    for n in range(4):
        await command(hub, browser, "PublishNow", f"publish-{n}", producer="shop", count=100)
    await go(hub, wall, 3, browser)
    in_parts = [frame for frame in browser.frames if frame["t"] == "ticks" and "part" in frame]
    assert in_parts
    assert in_parts[-1]["n"] == 1
    assert len(in_parts[-1]["events"]) > 1_000
    await check(hub, browser)


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_people_do_in_a_busy_room_every_screen_is_right(
    hub: Hub, wall: Wall, seed: int
) -> None:
    chance = random.Random(seed)
    facts = await new_room(hub)
    owner, viewer = await sit(hub, facts.code), await sit(hub, facts.code, "viewer")
    said: list[tuple[str, dict[str, Any]]] = [
        ("SetRate", {"producer": "shop", "per_minute": MUCH}), ("SetRate", {"producer": "shop", "per_minute": 600}),
        ("SetRate", {"producer": "shop", "per_minute": 6_000}), ("PurgeQueue", {"system": "broker", "queue": "email"}),
        ("Speed", {"rate": 8000}), ("Speed", {"rate": 8000}), ("Speed", {"rate": 1000}), ("Pause", {}), ("Play", {}),
        ("Step", {}), ("CrashConsumer", {"consumer": CONSUMER}), ("RestartConsumer", {"consumer": CONSUMER}),
        ("PublishNow", {"producer": "shop", "count": 100}), ("SetWork", {"consumer": CONSUMER, "us": 10_000}),
        ("ToStart", {}), ("Fork", {"at_us": 0}),
    ]  # fmt: skip
    await command(hub, owner, "Speed", rate=8000)
    await command(hub, owner, "SetRate", producer="shop", per_minute=MUCH)
    for turn in range(14):
        name, args = chance.choice(said)
        if name == "Fork":
            args = {"at_us": max(0, owner.shown_us - chance.randrange(4_000_000))}
        with suppress(BadFrame):
            await command(hub, owner, name, f"id-{seed}-{turn}", **args)
        viewer.acknowledges = chance.random() < 0.8
        if viewer.acknowledges:
            viewer.viewer.seen(owner.room.f)  # type: ignore[attr-defined]
        if chance.random() < 0.2:
            viewer.watch()
        await go(hub, wall, chance.choice([0.1, 0.2, 0.5, 0.8]), owner, viewer)
        if turn % 4 == 3:
            await check(hub, owner)
            await check(hub, viewer)
    assert not owner.past_revised
    assert all(was - now < TICK_US for was, now in owner.went_back), "not even out of the tick that is shown"
