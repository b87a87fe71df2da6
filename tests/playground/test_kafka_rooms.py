"""Rooms with a Kafka cluster keep the same promises: one run for everybody, also after a process was killed."""

from __future__ import annotations

import pytest
from django.test import AsyncClient

from lessons.scenarios import library
from playground.rooms.history import recording_of
from playground.rooms.hub import Hub
from playground.rooms.live import maker_of
from playground.rooms.replica import Replica
from tests.playground.conftest import new_room, sit
from tests.playground.fakes import Wall
from tests.playground.test_promises import FIRST, NEVER, SECOND, another_process, marks_of
from tests.playground.test_rooms import COMMANDED, command, events_at, go

SLUGS = [slug for slug, shipped in library().items() if shipped.scenario.kafka]
CRASH = "kafka-broker-crash"
DONE_TO_IT = {
    20: ("KillBroker", {"system": "cluster", "broker": 2}),
    45: ("DropNextAck", {"actor": "checkout"}),
    60: ("CrashConsumer", {"consumer": "counter"}),
    85: ("StartBroker", {"system": "cluster", "broker": 2}),
    100: ("RestartConsumer", {"consumer": "counter"}),
}
"""At which tenth of a second somebody does what."""


@pytest.mark.parametrize("slug", SLUGS)
async def test_a_room_nobody_has_touched_is_its_recording(hub: Hub, wall: Wall, slug: str) -> None:
    facts = await new_room(hub, sim_us=12_000_000, slug=slug)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 3, browser)
    assert browser.digests[browser.next - 1] == recording_of(slug).digest_before(browser.next)


async def test_two_processes_and_one_that_was_killed_agree(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub, slug=CRASH)
    second = another_process(hub)
    one, other = await sit(hub, facts.code), await sit(second, facts.code)
    for step in range(130):
        await go(hub, wall, 0.1, one, other)
        await second.batch()
        if step in DONE_TO_IT:
            name, args = DONE_TO_IT[step]
            done = (
                await command(hub, one, name, **args)
                if step % 2
                else await command(second, other, name, **args)
            )
            assert done["at_us"] is not None
    assert [tick for _, tick in marks_of(hub)] == [FIRST, SECOND]
    common = one.digests.keys() & other.digests.keys() - {-1}
    assert len(common) > 25 and all(one.digests[tick] == other.digests[tick] for tick in common)
    # Only the journal is left of a process that was killed: another one plays it again, to the same digests
    third = another_process(hub)
    back = await sit(third, facts.code)
    await go(third, wall, 3, back)
    assert third.rooms[facts.code].replica.stored == {tick: d for (_, tick), d in marks_of(hub).items()}
    assert not (one.errors or other.errors or back.errors) and not third.rooms[facts.code].reloaded


async def test_who_comes_late_is_told_the_present_and_goes_on_alike(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub, slug="kafka-rebalance-cooperative")
    first = await sit(hub, facts.code)
    await go(hub, wall, 6, first)
    await command(hub, first, "CrashConsumer", consumer="billing 3")
    await go(hub, wall, 22, first)
    late = await sit(hub, facts.code, "viewer")
    await go(hub, wall, 0.2, late, first)
    assert late.frames[1]["t"] == "state"
    assert late.digests[late.next - 1] == first.digests[first.next - 1]
    past = (await AsyncClient().get(f"/history/room/{facts.code}/0/")).json()["chunks"]
    last = (await AsyncClient().get(past[-1])).json()
    assert last["tick"] + last["n"] == late.start


async def test_a_fork_is_the_same_up_to_its_moment_and_then_what_is_done_in_it(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub, slug=CRASH)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 12, browser)
    shown = dict(browser.digests)
    fork_us = 7_000_000
    await command(hub, browser, "Fork", at_us=fork_us)
    await command(hub, browser, "KillBroker", system="cluster", broker=1)
    await go(hub, wall, 6, browser)
    assert browser.epoch == 1
    # It was given to a running room: at most a third of a second later
    assert [0 <= e[1] - fork_us <= 300_000 for e in events_at(browser, COMMANDED)] == [True]
    # The branch is the same run up to there, by the journal alone, and another one behind it
    again = Replica(maker_of(library()[CRASH].scenario, facts.seed))
    again.work(600, NEVER)
    assert (
        marks_of(hub)[0, FIRST] == again.kept[FIRST].digest.hex() == shown.get(FIRST, marks_of(hub)[0, FIRST])
    )
    assert marks_of(hub)[1, SECOND] != marks_of(hub)[0, SECOND] == again.kept[SECOND].digest.hex()
    assert not browser.errors
