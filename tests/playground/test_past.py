"""A room's past over HTTP: what was shown, nothing else, and it never changes."""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import pytest
from django.test import AsyncClient

from playground.rooms import past
from playground.rooms.history import recording_of
from playground.rooms.hub import Hub
from tests.playground.conftest import CONSUMER, SLUG, new_room, sit
from tests.playground.fakes import Wall
from tests.playground.test_rooms import command, go


async def listed(code: str, epoch: int = 0) -> dict[str, Any]:
    answer = await AsyncClient().get(f"/history/room/{code}/{epoch}/")
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    return dict(answer.json())


async def test_a_chunk_is_there_when_the_screen_has_passed_its_end(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub, sim_us=8_000_000)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 1, browser)
    assert (await listed(facts.code))["chunks"] == []
    await go(hub, wall, 3, browser)
    (address,) = (await listed(facts.code))["chunks"]
    answer = await AsyncClient().get(address, headers={"Accept-Encoding": "gzip"})
    assert "immutable" in answer["Cache-Control"]
    assert gzip.decompress(answer.content) == recording_of(SLUG).chunks[0].text, "nobody has touched it"


async def test_a_chunk_has_the_commands_and_the_digest_of_the_room(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 2, browser)
    await command(hub, browser, "CrashConsumer", consumer=CONSUMER)
    await go(hub, wall, 20, browser)
    addresses = (await listed(facts.code))["chunks"]
    assert len(addresses) == 2
    chunks = [(await AsyncClient().get(address)).json() for address in addresses]
    assert [(chunk["tick"], chunk["n"], chunk["last"]) for chunk in chunks] == [
        (0, 400, False),
        (400, 400, False),
    ]
    assert [event[0] for event in chunks[0]["events"]].count(20) == 1
    assert chunks[1]["first"] == chunks[0]["first"] + len(chunks[0]["events"])
    assert chunks[1]["state"]
    told = {frame["tick"] + frame["n"]: frame["digest"] for frame in browser.frames if frame["t"] == "ticks"}
    known = [
        told[end] == chunk["digest"] for end, chunk in zip((400, 800), chunks, strict=True) if end in told
    ]
    assert all(known)
    past._made.clear()
    assert (await listed(facts.code))["chunks"] == addresses, "made anew it is the same"


async def test_a_branch_has_a_past_of_its_own_and_its_parent_keeps_its(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub, sim_us=9_500_000)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 2, browser)
    before = (await listed(facts.code))["chunks"]
    await command(hub, browser, "ToStart")
    await go(hub, wall, 1, browser)
    assert (await listed(facts.code, 0))["chunks"] == before != []
    assert (await listed(facts.code, 1))["chunks"] == []


async def test_what_is_not_there_is_not_found(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    wrong = [
        f"/history/room/{facts.code}/1/",
        "/history/room/nosuchroom/0/",
        f"/history/room/{facts.code}/0/0/ab.json",
    ]
    for address in wrong:
        assert (await AsyncClient().get(address)).status_code == 404
    assert json.loads((await AsyncClient().get(f"/history/room/{facts.code}/0/")).content)["chunks"] == []


async def test_a_chunk_is_packed_beside_the_event_loop(
    hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packing 10 s of a busy room takes longer than a slice."""
    packed_by: list[int] = []
    packed = past._packed

    def noted(*given: Any) -> Any:
        packed_by.append(threading.get_ident())
        return packed(*given)

    monkeypatch.setattr(past, "_packed", noted)
    facts = await new_room(hub, sim_us=11_000_000)
    await go(hub, wall, 1, await sit(hub, facts.code))
    assert len((await listed(facts.code))["chunks"]) == 1
    assert packed_by
    assert threading.get_ident() not in packed_by
