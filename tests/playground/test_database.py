"""Rooms in the database: what is stored is what was answered, also for whoever reads it anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine import RULES
from engine.commands import CrashConsumer, PauseProducer
from playground import models
from playground.rooms import limits
from playground.rooms.database import DatabaseJournal
from playground.rooms.journal import Asked, Facts, First, NewRoom, Refused, Turn
from playground.rooms.room import Room
from tests.playground.fakes import Wall

pytestmark = pytest.mark.django_db(transaction=True)
NEW = NewRoom("fan-out", 7, RULES, "owner", 60_000_000)
CRASH = CrashConsumer("email worker")


@pytest.fixture
def journal(wall: Wall) -> Iterator[DatabaseJournal]:
    new = DatabaseJournal(wall, wall.steady)
    yield new
    new.close()


def asked(id: str, **more: int) -> Asked:
    return Asked("seat", id, **more)


async def opened(journal: DatabaseJournal, id: str = "open") -> Facts:
    facts, _ = await journal.open(NEW, Asked("owner", id), None)
    return facts


async def test_the_same_asking_opens_one_room_with_its_command_in_it_once(journal: DatabaseJournal) -> None:
    crash = First(CRASH, lambda code: f"seat in {code}")
    first, is_new = await journal.open(NEW, Asked("owner", "x"), crash)
    again, is_new_again = await journal.open(NEW, Asked("owner", "x"), crash)
    other, _ = await journal.open(NEW, Asked("owner", "y"), crash)
    assert (first, is_new, is_new_again) == (again, True, False)
    assert other.code != first.code
    assert [entry.command for entry in await journal.entries(first.code, 0, 0)] == [CRASH]
    # Whoever says it again in the room is answered, and nothing more is done
    said_again = await journal.command(first.code, Asked(f"seat in {first.code}", "x"), CRASH)
    assert (said_again.seq, said_again.n) == (1, 1)
    assert len(await journal.entries(first.code, 0, 0)) == 1


async def test_what_is_stamped_and_not_yet_stored_is_not_known(journal: DatabaseJournal, wall: Wall) -> None:
    facts = await opened(journal)
    stamped = wall()
    known = []

    def act(room: Room, now_us: int) -> None:
        assert now_us == stamped
        wall.pass_ms(60)
        known.append(journal.known_us(wall()))

    await journal._act(facts.code, None, act)
    assert known == [stamped]
    assert journal.known_us(wall()) == wall() == stamped + 60_000
    with pytest.raises(Refused):
        await journal.turn("NONE", asked("1"), Turn("Pause"))
    assert journal.known_us(wall()) == wall()


async def test_another_process_reads_what_this_one_has_answered(journal: DatabaseJournal, wall: Wall) -> None:
    facts = await opened(journal)
    wall.pass_ms(400)
    done = await journal.command(facts.code, asked("1"), CRASH)
    await journal.turn(facts.code, asked("2"), Turn("Pause"))
    other = DatabaseJournal(wall, wall.steady)
    try:
        assert await other.facts(facts.code) == facts
        assert await other.head(facts.code) == await journal.head(facts.code)
        (entry,) = await other.entries(facts.code, 0, 0)
        assert (entry.seq, entry.n, entry.at_us) == (done.seq, done.n, done.at_us)
        assert await other.command(facts.code, asked("1"), CRASH) == done
        assert len(await other.entries(facts.code, 0, 0)) == 1
    finally:
        other.close()


async def test_what_is_refused_writes_no_entry(journal: DatabaseJournal) -> None:
    facts = await opened(journal)
    with pytest.raises(Refused) as caught:
        await journal.command(facts.code, asked("1", epoch=3), CRASH)
    assert caught.value.code == "old_epoch"
    assert await journal.entries(facts.code, 0, 0) == []
    with pytest.raises(Refused) as caught:
        await journal.command("nosuchroom", asked("1"), CRASH)
    assert caught.value.code == "no_room"


async def test_a_branch_sees_its_parents_entries_up_to_its_moment(
    journal: DatabaseJournal, wall: Wall
) -> None:
    facts = await opened(journal)
    code = facts.code
    early = await journal.command(code, asked("1"), CRASH)
    wall.pass_ms(1500)
    late = await journal.command(code, asked("2"), PauseProducer("shop"))
    wall.pass_ms(1000)
    past = await journal.command(code, asked("3", epoch=0, from_us=1_000_000), PauseProducer("shop"))
    assert past.at_us == 1_000_000
    head = await journal.head(code)
    assert (head.epoch, head.clock.at(wall())) == (1, 1_000_000)
    assert [e.n for e in await journal.entries(code, 0, 0)] == [early.n, late.n]
    assert [e.n for e in await journal.entries(code, 1, 0)] == [early.n, past.n]
    assert [(b.epoch, b.parent, b.sim_us) for b in await journal.lineage(code, 1)] == [
        (0, None, -1),
        (1, 0, 1_000_000),
    ]


async def test_an_older_branch_can_be_gone_back_to(journal: DatabaseJournal, wall: Wall) -> None:
    facts = await opened(journal)
    code = facts.code
    await journal.command(code, asked("1"), CRASH)
    wall.pass_ms(1800)
    await journal.turn(code, asked("2"), Turn("NewSeed", seed=99))
    wall.pass_ms(500)
    with pytest.raises(Refused, match="not been shown yet"):
        await journal.turn(code, asked("3", epoch=0), Turn("Fork", sim_us=5_000_000))
    await journal.turn(code, asked("3", epoch=0), Turn("Fork", sim_us=1_700_000))
    lineage = await journal.lineage(code, 2)
    assert [(b.epoch, b.seed) for b in lineage] == [(0, 7), (2, 7)]
    assert len(await journal.entries(code, 2, 0)) == 1
    assert (await journal.lineage(code, 1))[-1].seed == 99


async def test_the_light_is_renewed_when_half_of_it_is_gone(journal: DatabaseJournal, wall: Wall) -> None:
    facts = await opened(journal)
    lit = (await journal.heads([facts.code]))[0].clock.lit_until_us
    wall.pass_ms(900)
    assert (await journal.heads([facts.code]))[0].clock.lit_until_us == lit
    wall.pass_ms(200)
    assert (await journal.heads([facts.code]))[0].clock.lit_until_us == wall() + limits.LIGHT_US
    assert await models.Room.objects.filter(lit_until_us=wall() + limits.LIGHT_US).acount() == 1


async def test_rooms_stored(journal: DatabaseJournal, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROOMS_STORED_MAX", 2)
    first = await opened(journal, "1")
    await opened(journal, "2")
    with pytest.raises(Refused) as caught:
        await opened(journal, "3")
    assert caught.value.text == limits.ROOMS_FULL
    wall.pass_ms(limits.ROOM_FORGOTTEN_US / 1000 + 3000)
    await opened(journal, "3")
    with pytest.raises(Refused):
        await journal.facts(first.code)
