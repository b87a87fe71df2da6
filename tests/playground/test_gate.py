"""Rooms under other rules: moved up in silence where nobody could tell the difference, else not shown; and
two processes with different rules never drive one room."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from django.test import AsyncClient

from engine import RULES
from engine.commands import CrashConsumer
from engine.simulation import Simulation
from lessons.scenarios import library
from playground import views
from playground.rooms import gate
from playground.rooms import hub as hubs
from playground.rooms.gate import NO_SCENARIO, OTHER_RULES
from playground.rooms.hub import Hub
from playground.rooms.journal import COMES_OVER, NEWER_RULES, Asked, Facts, Mark, NewRoom, NotYet, Refused
from playground.rooms.limits import DIGEST_TICKS, LIGHT_US
from playground.rooms.live import maker_of
from playground.rooms.replica import Maker
from playground.rooms.wire import BadFrame
from tests.playground.conftest import CONSUMER, SLUG, new_room, sit
from tests.playground.fakes import Wall
from tests.playground.memory import MemoryJournal
from tests.playground.test_rooms import command, go


def newer(hub: Hub, make: Any = None) -> Hub:
    """A process of the next release, on the same journal."""
    made = make or (lambda slug, seed: maker_of(library()[slug].scenario, seed))
    new = Hub(hub.journal, hub.wall, made, hub.steady, RULES + 1)
    new.driven = False
    return new


def other_make(slug: str, seed: int) -> Maker:
    """Simulations that come out otherwise."""
    return maker_of(library()[slug].scenario, seed + 1)


async def shown_for(hub: Hub, wall: Wall, seconds: float) -> Facts:
    """A room that was shown for a while, in which something was done, and that nobody watches any more."""
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 2, browser)
    await command(hub, browser, "CrashConsumer", consumer=CONSUMER)
    await go(hub, wall, seconds - 2, browser)
    hub.leave(browser.room, browser.viewer)  # type: ignore[attr-defined]
    return facts


def row(hub: Hub, facts: Facts) -> Any:
    return hub.journal.rooms[facts.code]  # type: ignore[attr-defined]


async def page_of(facts: Facts) -> Any:
    return await AsyncClient(SERVER_NAME="localhost").get(f"/room/{facts.code}/")


async def test_a_room_whose_past_is_the_same_moves_up_when_somebody_comes(
    hub: Hub, wall: Wall, sockets: Any
) -> None:
    facts = await shown_for(hub, wall, 12)
    wall.pass_ms(LIGHT_US / 1000 + 1)
    new = newer(hub)
    hubs.install(new)
    before = row(hub, facts).head()
    assert (await page_of(facts)).status_code == 200
    assert row(hub, facts).facts.rules == RULES, "no GET changes anything"
    socket = await sockets(f"/ws/room/{facts.code}/")
    hello = await socket.next()
    assert (hello["t"], hello["rules"]) == ("hello", RULES + 1)
    assert row(hub, facts).head() == msgspec.structs.replace(before, rules=RULES + 1), "nothing else"
    assert len(await new.journal.entries(facts.code, 0, 0)) == 1


async def test_a_room_whose_past_is_another_stays_and_its_page_offers_its_scenario(
    hub: Hub, wall: Wall, sockets: Any
) -> None:
    facts = await shown_for(hub, wall, 12)
    wall.pass_ms(LIGHT_US / 1000 + 1)
    hubs.install(newer(hub, other_make))
    page = await page_of(facts)
    assert page.status_code == 410
    assert OTHER_RULES in page.content.decode() and f'href="/play/{SLUG}/"' in page.content.decode()
    socket = await sockets(f"/ws/room/{facts.code}/")
    error = await socket.next()
    assert (error["code"], error["text"]) == ("other_rules", OTHER_RULES)
    assert (await socket.closed())[0] == 4004
    assert row(hub, facts).facts.rules == RULES
    assert (await AsyncClient().get(f"/history/room/{facts.code}/0/")).status_code == 503


async def test_rules_that_differ_only_in_what_was_done_are_found(
    hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = await shown_for(hub, wall, 7)
    wall.pass_ms(LIGHT_US / 1000 + 1)
    monkeypatch.setattr(Simulation, "apply_at", lambda self, at_us, command, n: None)
    with pytest.raises(Refused, match="earlier rules"):
        await newer(hub).gate.admit(facts.code)


async def test_commands_that_are_no_more_are_no_traceback(
    hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = await shown_for(hub, wall, 7)
    wall.pass_ms(LIGHT_US / 1000 + 1)

    async def entries(self: MemoryJournal, code: str, epoch: int, after_seq: int) -> Any:
        raise msgspec.ValidationError("Invalid value 'CrashConsumer' - at `$.type`")

    monkeypatch.setattr(MemoryJournal, "entries", entries)
    with pytest.raises(Refused) as caught:
        await newer(hub).gate.admit(facts.code)
    assert (caught.value.code, caught.value.text) == ("other_rules", OTHER_RULES)


async def test_a_past_of_which_too_little_is_stored_is_not_taken_for_the_same(hub: Hub, wall: Wall) -> None:
    facts = await shown_for(hub, wall, 12)
    wall.pass_ms(LIGHT_US / 1000 + 1)
    hub.journal.marked.clear()  # type: ignore[attr-defined]
    with pytest.raises(Refused, match="earlier rules"):
        await newer(hub).gate.admit(facts.code)


async def test_a_room_that_older_rules_may_be_showing_comes_over_when_they_have_stopped(
    hub: Hub, wall: Wall, sockets: Any
) -> None:
    facts = await shown_for(hub, wall, 7)
    new = newer(hub)
    hubs.install(new)
    assert (await page_of(facts)).status_code == 200
    socket = await sockets(f"/ws/room/{facts.code}/")
    told = await socket.next()
    assert (told["t"], told["on"], told["text"]) == ("degraded", True, COMES_OVER)
    assert (await socket.closed())[0] == 1012, "it comes back by itself"
    wall.pass_ms(LIGHT_US / 1000 + 1)
    again = await sockets(f"/ws/room/{facts.code}/")
    assert (await again.next())["t"] == "hello"


async def test_something_done_meanwhile_makes_it_wait(hub: Hub, wall: Wall) -> None:
    facts = await shown_for(hub, wall, 7)
    wall.pass_ms(LIGHT_US / 1000 + 1)
    seen = await hub.journal.head(facts.code)
    await hub.journal.command(facts.code, Asked("seat", "late"), CrashConsumer(CONSUMER))
    wall.pass_ms(LIGHT_US / 1000 + 1)
    with pytest.raises(NotYet):
        await hub.journal.move_up(facts.code, seen, RULES + 1)


async def test_a_process_with_older_rules_refuses_from_then_on(hub: Hub, wall: Wall, sockets: Any) -> None:
    """Its viewers' tab was asleep, its light had gone out: then the room moved up."""
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 7, browser)
    wall.pass_ms(LIGHT_US / 1000 + 1)
    new = newer(hub)
    await new.gate.admit(facts.code)
    marked = dict(hub.journal.marked)  # type: ignore[attr-defined]
    with pytest.raises(BadFrame) as caught:
        await command(hub, browser, "CrashConsumer", consumer=CONSUMER)
    assert (caught.value.code, caught.value.text) == ("other_rules", NEWER_RULES)
    with pytest.raises(BadFrame):
        await command(hub, browser, "Pause")
    held = browser.next
    await go(hub, wall, 10, browser)
    assert [(error["code"], error["text"]) for error in browser.errors] == [("other_rules", NEWER_RULES)]
    assert browser.next == held
    assert hub.journal.marked == marked  # type: ignore[attr-defined]
    assert await hub.journal.entries(facts.code, 0, 0) == []
    late = await sockets(f"/ws/room/{facts.code}/")
    assert (await late.next())["text"] == NEWER_RULES
    page = await page_of(facts)
    assert page.status_code == 503 and NEWER_RULES in page.content.decode()
    goes_on = await sit(new, facts.code)
    await go(new, wall, 3, goes_on)
    assert goes_on.next > held and not goes_on.errors


async def test_a_page_does_not_wait_for_a_long_replay(
    hub: Hub, wall: Wall, sockets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = await shown_for(hub, wall, 7)
    wall.pass_ms(LIGHT_US / 1000 + 1)
    hubs.install(newer(hub, other_make))
    monkeypatch.setattr(views, "PATIENCE_S", 0.01)
    real, may_go_on, begun = gate.same_past, asyncio.Event(), []

    async def slow(*args: Any) -> None:
        begun.append(1)
        await may_go_on.wait()
        await real(*args)

    monkeypatch.setattr(gate, "same_past", slow)
    assert [(await page_of(facts)).status_code for _ in range(3)] == [200] * 3
    may_go_on.set()
    socket = await sockets(f"/ws/room/{facts.code}/")
    assert (await socket.next())["text"] == OTHER_RULES
    assert (await page_of(facts)).status_code == 410
    assert begun == [1], "once, whoever asks"


async def test_a_room_whose_scenario_is_gone_says_so(hub: Hub) -> None:
    new = NewRoom("was-here-once", 1, RULES, "owner", 60_000_000)
    facts, _ = await hub.journal.open(new, Asked("owner", "x"), None)
    page = await page_of(facts)
    assert page.status_code == 410 and NO_SCENARIO in page.content.decode()
    assert 'href="/play/"' in page.content.decode()


@pytest.mark.django_db(transaction=True)
async def test_in_the_database_a_room_moves_up_under_its_lock(wall: Wall) -> None:
    from playground.rooms.database import DatabaseJournal

    journal = DatabaseJournal(wall, wall.steady)
    try:
        facts, _ = await journal.open(NewRoom(SLUG, 7, RULES, "owner", 60_000_000), Asked("owner", "x"), None)
        code, mark = facts.code, Mark(facts.code, 0, DIGEST_TICKS - 1, "ab" * 16)
        head = await journal.head(code)
        with pytest.raises(NotYet):
            await journal.move_up(code, head, RULES + 1)
        wall.pass_ms(LIGHT_US / 1000 + 1)
        await journal.move_up(code, head, RULES + 1)
        assert await journal.head(code) == msgspec.structs.replace(head, rules=RULES + 1)
        assert (await journal.facts(code)).rules == RULES + 1
        assert await journal.mark([mark], RULES) == [], "who has older rules stores nothing"
        with pytest.raises(Refused, match="newer rules"):
            await journal.command(code, Asked("seat", "1"), CrashConsumer(CONSUMER))
        assert await journal.entries(code, 0, 0) == []
        await journal.command(code, Asked("seat", "2", rules=RULES + 1), CrashConsumer(CONSUMER))
        assert await journal.mark([mark], RULES + 1) == [mark]
    finally:
        journal.close()
