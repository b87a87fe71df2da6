"""What was shown of a room is promised: a digest of each 5 s of it is stored, and whoever comes out otherwise
begins anew from the journal, once, and then stops and says so."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.test import AsyncClient

from engine import RULES
from engine.commands import CrashConsumer
from lessons.scenarios import library
from playground.rooms import hub as hubs
from playground.rooms import past
from playground.rooms.hub import Hub
from playground.rooms.journal import Asked, Branch, Entry, JournalGone, Mark, promised
from playground.rooms.limits import DIGEST_TICKS, TICK_US
from playground.rooms.live import maker_of
from playground.rooms.replica import Replica, ReplicaBroken
from tests.playground.conftest import CONSUMER, SLUG, new_room, sit
from tests.playground.fakes import Wall, fake_maker
from tests.playground.memory import MemoryJournal
from tests.playground.test_rooms import command, go

NEVER = float("inf")
FIRST, SECOND = DIGEST_TICKS - 1, 2 * DIGEST_TICKS - 1


def another_process(hub: Hub) -> Hub:
    """On the same journal; with nothing but that, it is also a process that was killed and is back."""
    new = Hub(hub.journal, hub.wall, lambda slug, seed: maker_of(library()[slug].scenario, seed), hub.steady)
    new.driven = False
    return new


def marks_of(hub: Hub) -> dict[tuple[int, int], str]:
    """The journal's, by (branch, tick)."""
    journal = hub.journal
    assert isinstance(journal, MemoryJournal)
    return {(epoch, tick): mark.digest for (_, epoch, tick), mark in journal.marked.items()}


def corrupt(hub: Hub, epoch: int, tick: int) -> None:
    """Somebody has written something else into the row."""
    marked: dict[Any, Mark] = hub.journal.marked  # type: ignore[attr-defined]
    for place, mark in marked.items():
        if place[1:] == (epoch, tick):
            marked[place] = Mark(mark.code, epoch, tick, "ab" * 16)


async def test_a_digest_is_stored_once_the_screen_has_passed_its_tick_and_never_before(
    hub: Hub, wall: Wall
) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    for _ in range(120):
        await go(hub, wall, 0.1, browser)
        shown = hub.rooms[facts.code].head.clock.shown_us  # type: ignore[union-attr]
        assert all((tick + 1) * TICK_US <= shown <= browser.shown_us + 200_000 for _, tick in marks_of(hub))
    assert marks_of(hub) == {
        (0, FIRST): browser.digests.get(FIRST, marks_of(hub)[0, FIRST]),
        (0, SECOND): browser.digests.get(SECOND, marks_of(hub)[0, SECOND]),
    }
    truth = Replica(maker_of(library()[SLUG].scenario, facts.seed))
    truth.work(500, NEVER)
    assert marks_of(hub)[0, SECOND] == truth.kept[SECOND].digest.hex()


async def test_a_room_that_stands_is_written_nothing_of(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 4, browser)
    await command(hub, browser, "Pause")
    await go(hub, wall, 20, browser)
    assert browser.next > FIRST or marks_of(hub) == {}
    assert marks_of(hub) == {}, "it has been simulated ahead, and can still be revised"
    await command(hub, browser, "CrashConsumer", consumer=CONSUMER)
    await command(hub, browser, "Play")
    await go(hub, wall, 3, browser)
    assert list(marks_of(hub)) == [(0, FIRST)]


async def test_it_is_one_write_for_each_5_s_and_no_command_waits_for_it(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 21, browser)
    assert hub.journal.stored == 4 == len(marks_of(hub))  # type: ignore[attr-defined]


async def test_digests_wait_for_a_journal_that_is_away(
    hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)

    async def away(self: MemoryJournal, marks: Any, rules: int) -> Any:
        raise JournalGone("away")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryJournal, "mark", away)
        await go(hub, wall, 12, browser)
        assert not marks_of(hub)
    await go(hub, wall, 1, browser)
    assert list(marks_of(hub)) == [(0, FIRST), (0, SECOND)]
    assert not browser.errors


async def test_two_replicas_and_one_that_was_killed_agree(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    second = another_process(hub)
    one, other = await sit(hub, facts.code), await sit(second, facts.code)
    for step in range(130):
        await go(hub, wall, 0.1, one, other)
        await second.batch()
        if step == 40:
            await command(hub, one, "CrashConsumer", consumer=CONSUMER)
        if step == 80:
            await command(second, other, "RestartConsumer", consumer=CONSUMER)
    assert [tick for _, tick in marks_of(hub)] == [FIRST, SECOND]
    third = another_process(hub)
    back = await sit(third, facts.code)
    await go(third, wall, 3, back)
    assert third.rooms[facts.code].replica.stored == {tick: d for (_, tick), d in marks_of(hub).items()}
    assert not (one.errors or other.errors or back.errors)
    assert not third.rooms[facts.code].reloaded


async def test_a_branch_is_held_to_what_its_parent_has_shown_up_to_the_fork(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 12, browser)
    await command(hub, browser, "Fork", at_us=7_000_000)
    await go(hub, wall, 4, browser)
    assert list(marks_of(hub)) == [(0, FIRST), (0, SECOND), (1, SECOND)]
    assert marks_of(hub)[1, SECOND] == marks_of(hub)[0, SECOND], "nobody has done anything since"
    corrupt(hub, 0, FIRST)
    again = another_process(hub)
    back = await sit(again, facts.code)
    await go(again, wall, 1, back)
    assert [error["text"] for error in back.errors] == [hubs.STOPPED]


async def test_another_seed_is_held_to_nothing_of_its_parents(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 6, browser)
    await command(hub, browser, "NewSeed", seed=4711)
    await go(hub, wall, 6, browser)
    assert list(marks_of(hub)) == [(0, FIRST), (1, FIRST)]
    assert marks_of(hub)[0, FIRST] != marks_of(hub)[1, FIRST]
    assert not browser.errors


def test_what_of_a_parent_is_promised_of_a_branch() -> None:
    lineage = [
        Branch(0, None, -1, 0, 1, ""),
        Branch(1, 0, 10_000_000, 5, 1, ""),
        Branch(3, 1, 6_000_000, 9, 1, ""),
    ]
    marks = [Mark("r", epoch, tick, f"{epoch}/{tick}") for epoch in range(4) for tick in (199, 399, 599)]
    assert promised(lineage[:1], marks) == {199: "0/199", 399: "0/399", 599: "0/599"}
    assert promised(lineage[:2], marks) == {199: "1/199", 399: "1/399", 599: "1/599"}
    assert promised(lineage[:2], [mark for mark in marks if mark.epoch != 1]) == {199: "0/199", 399: "0/399"}
    assert promised(lineage, [mark for mark in marks if mark.epoch < 2]) == {199: "1/199"}
    assert promised([lineage[0], Branch(1, 0, -1, 5, 2, "")], marks[:3]) == {}


# -- planted differences --------------------------------------------------------------------------


async def test_a_replica_that_lost_an_entry_is_loaded_anew_and_goes_on(
    hub: Hub, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    """Both processes hear of a crash; one forgets it. It finds that out at the next digest, and heals."""
    facts = await new_room(hub)
    second = another_process(hub)
    one, other = await sit(hub, facts.code), await sit(second, facts.code)
    for step in range(80):
        await go(hub, wall, 0.1, one, other)
        await second.batch()
        if step == 20:
            await command(hub, one, "CrashConsumer", consumer=CONSUMER)
            replica = second.rooms[facts.code].replica
            replica.learn = lambda entries: None  # type: ignore[method-assign]
    await second.batch()
    other.take()
    assert "is loaded anew" in caplog.text
    assert second.rooms[facts.code].replica is not replica
    assert other.digests[other.next - 1] == second.rooms[facts.code].replica.digest_before(other.next)
    common = [tick for tick in one.digests.keys() & other.digests.keys() if tick > FIRST + 40]
    assert common and all(one.digests[tick] == other.digests[tick] for tick in common)
    assert not (one.errors or other.errors)


async def test_a_corrupted_row_stops_the_room_with_a_sentence_and_an_error_in_the_log(
    hub: Hub, wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 7, browser)
    corrupt(hub, 0, FIRST)
    killed = another_process(hub)
    back = await sit(killed, facts.code)
    await go(killed, wall, 2, back)
    assert [error["text"] for error in back.errors] == [hubs.STOPPED]
    (line,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert facts.code in line.message and f"tick {FIRST}" in str(line.exc_info)
    assert caplog.text.count("is loaded anew") == 1, "once"
    late = await sit(killed, facts.code, "viewer")
    late.take()
    assert [error["text"] for error in late.errors] == [hubs.STOPPED]


async def test_rules_that_were_changed_under_a_room_stop_it(
    hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine does something else now, and nobody has raised RULES."""
    from engine.simulation import Simulation

    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 1, browser)
    await command(hub, browser, "CrashConsumer", consumer=CONSUMER)
    await go(hub, wall, 6, browser)
    monkeypatch.setattr(Simulation, "apply_at", lambda self, at_us, command, n: None)
    changed = another_process(hub)
    back = await sit(changed, facts.code)
    await go(changed, wall, 2, back)
    assert [error["text"] for error in back.errors] == [hubs.STOPPED]


async def test_a_run_that_ends_earlier_than_it_did_is_found() -> None:
    replica = Replica(fake_maker(length_us=10_000_000))
    replica.hold_to({599: "ab" * 16})
    with pytest.raises(ReplicaBroken, match="ended before"):
        replica.work(800, NEVER)


def test_a_digest_that_comes_later_is_compared_with_what_is_held() -> None:
    replica = Replica(fake_maker())
    replica.work(500, NEVER)
    replica.hold_to({FIRST: replica.kept[FIRST].digest.hex(), 5_999: "cd" * 16})
    with pytest.raises(ReplicaBroken, match=f"tick {SECOND} "):
        replica.hold_to({SECOND: "ab" * 16})


def test_a_revise_of_the_shown_past_is_found() -> None:
    replica = Replica(fake_maker())
    replica.work(500, NEVER)
    replica.hold_to(dict(replica.unmarked(10_000_000)))
    replica.learn([Entry(1, 1, 2_000_000, CrashConsumer(CONSUMER), 0)])
    with pytest.raises(ReplicaBroken, match=f"tick {FIRST} "):
        replica.work(500, NEVER)


async def test_a_past_that_comes_out_otherwise_is_not_served(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 12, browser)
    address = f"/history/room/{facts.code}/0/"
    assert len((await AsyncClient().get(address)).json()["chunks"]) == 1
    past._made.clear()
    corrupt(hub, 0, SECOND)
    answer = await AsyncClient().get(address)
    assert (answer.status_code, answer.json()) == (503, {"error": "refused", "text": past.NOT_AS_SHOWN})


# -- the database ---------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
async def test_in_the_database_the_first_digest_stays(wall: Wall) -> None:
    from playground import models
    from playground.rooms.database import DatabaseJournal
    from playground.rooms.journal import NewRoom

    journals = [DatabaseJournal(wall, wall.steady) for _ in range(2)]
    try:
        facts, _ = await journals[0].open(
            NewRoom(SLUG, 7, RULES, "owner", 60_000_000), Asked("owner", "x"), None
        )
        code = facts.code
        first, other = Mark(code, 0, FIRST, "ab" * 16), Mark(code, 0, FIRST, "cd" * 16)
        late = Mark(code, 0, SECOND, "ef" * 16)
        assert await journals[0].mark([first], RULES) == [first]
        assert await journals[1].mark([other, late], RULES) == [first, late]
        assert await journals[1].marks(code, 0) == {FIRST: first.digest, SECOND: late.digest}
        assert await models.TickDigest.objects.acount() == 2
    finally:
        for journal in journals:
            journal.close()
