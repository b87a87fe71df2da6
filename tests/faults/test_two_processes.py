"""Two web processes on one PostgreSQL and one Redis, or on one file of SQLite's; parts of it stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Site, start_site, stop_site
from tests.faults import truth
from tests.faults.pages import Lag, Page
from tests.faults.services import PostgreSQL, Redis, running
from tests.faults.test_kill import check
from tests.playground.test_server import open_room

CRASH = ("CrashConsumer", {"consumer": "email worker"})


class Two:
    """Two processes of one site, and what they stand on."""

    def __init__(self, folder: Path, database: Any = None, redis: Any = None) -> None:
        self.folder = folder
        self.database, self.redis = database, redis
        self.environment = {"MAILROOM_DATABASE": database.url if database else str(folder / "rooms.sqlite3")}
        if redis:
            self.environment["MAILROOM_REDIS_URL"] = redis.url
        self.sites: list[Site] = [start_site(folder, again=n > 0, **self.environment) for n in range(2)]

    def truth(self, code: str, ticks: int) -> dict[str, Any]:
        return truth.of(code, ticks, self.folder, **self.environment)

    def end(self) -> None:
        for site in self.sites:
            stop_site(site)
            assert "Traceback" not in site.log.read_text(), site.log.read_text()[-3000:]


@pytest.fixture(scope="module")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    with running(PostgreSQL()) as database, running(Redis()) as redis:
        two = Two(tmp_path_factory.mktemp("two"), database, redis)
        yield two
        two.end()


@pytest.fixture(scope="module")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    two = Two(tmp_path_factory.mktemp("lite"))
    yield two
    two.end()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgresql", "redis"))])
def two(request: pytest.FixtureRequest) -> Two:
    return request.getfixturevalue(f"on_{request.param}")  # type: ignore[no-any-return]


async def test_a_viewer_at_each_process_sees_the_same_and_either_takes_commands(two: Two) -> None:
    first, second = two.sites
    code, cookies = open_room(first)
    async with Page(first, code, cookies) as one, Page(second, code, cookies) as other:
        await one.until(lambda: one.next > 40 and other.next > 40)
        crash = await one.command(*CRASH)
        await other.until(lambda: crash in one.done)
        publish = await other.command("PublishNow", {"producer": "shop", "count": 5})
        await other.until(lambda: publish in other.done)
        await one.command("Speed", {"rate": 4000})
        await other.until(lambda: other.moment() > 5_000_000 and one.moment() > 5_000_000)
        await other.command("ToStart")
        await one.until(lambda: one.epoch == other.epoch == 1)
        past = await other.command(*CRASH, from_us=1_000_000, epoch=0)
        await one.until(lambda: one.epoch == other.epoch == 2 and past in other.done)
        assert other.done[past]["at_us"] == 1_000_000
        await one.until(lambda: one.moment() > 2_500_000 and other.moment() > 2_500_000)
        assert {epoch for epoch, _ in one.shown} >= {0, 2} <= {epoch for epoch, _ in other.shown}
        told = await asyncio.to_thread(two.truth, code, 2400)
        check([one, other], told, 5)
        assert len(told["entries"]) == 3


async def test_of_400_commands_from_two_processes_at_once_none_is_refused_and_none_done_twice(
    two: Two,
) -> None:
    first, second = two.sites
    code, cookies = open_room(first)
    pages = [Page(site, code, cookies) for site in (first, second) for _ in range(10)]
    async with asyncio.TaskGroup() as group:

        async def click(page: Page) -> None:
            async with page:
                await page.until(lambda: page.next > 0)
                for _ in range(20):
                    said = await page.command("PublishNow", {"producer": "shop", "count": 1})
                    await page.until(lambda: said in page.done or said in page.refused, 60)  # noqa: B023

        for page in pages:
            group.create_task(click(page))
    done = [id for page in pages for id in page.done]
    told = await asyncio.to_thread(two.truth, code, 1)
    assert not [frame for page in pages for frame in page.refused.values()]
    assert len(done) == len(set(done)) == 400
    assert sorted(id for id, _ in told["receipts"]) == sorted(done)
    assert len(told["entries"]) == len(done)
    assert [n for _, n, _, _ in sorted(told["entries"])] == list(range(1, len(done) + 1))


OUTAGE_S = 10
"""How long a part is away."""

SAID_S = 2
"""Within this, rooms stand still and say so."""

LEVEL_S = 3
"""Within this after a part is back, everything is as before."""


async def within(pages: list[Page], what: Callable[[Page], Any], seconds: float, since: float) -> None:
    """`what` holds for all pages within `seconds` of the moment `since`, and of what the machine itself was late."""
    async with Lag() as lag:
        for page in pages:
            await page.until(lambda: what(page), 30)  # noqa: B023
        took = time.monotonic() - since
    assert took <= seconds + lag.seconds, f"{took:.2f} s; the machine was late by {lag.seconds:.2f} s"


def is_degraded(page: Page) -> bool:
    return bool(page.degraded) and page.degraded[-1][0]


@pytest.mark.needs("postgresql", "redis")
async def test_redis_gone_for_10_s_closes_nothing_and_is_said(on_postgresql: Two) -> None:
    two = on_postgresql
    code, cookies = open_room(two.sites[0])
    async with Page(two.sites[0], code, cookies) as one, Page(two.sites[1], code, cookies) as other:
        pages = [one, other]
        await one.until(lambda: one.next > 20 and other.next > 20)
        await asyncio.to_thread(two.redis.kill)
        gone = time.monotonic()
        await within(pages, is_degraded, SAID_S, gone)
        assert one.degraded[-1][1].endswith(".")
        # What the room does needs no Redis: a command is done, and seen at the other process a batch later
        asked = time.monotonic()
        crash = await one.command(*CRASH)
        await within([one], lambda page: crash in page.done, 1, asked)
        at_us = one.done[crash]["at_us"]
        await within([other], lambda page: page.next * 25_000 > at_us, 2, asked)
        await asyncio.sleep(max(0, gone + OUTAGE_S - time.monotonic()))
        assert one.closed == other.closed == []
        await asyncio.to_thread(two.redis.start)
        await within(pages, lambda page: not is_degraded(page), LEVEL_S, time.monotonic())
        await one.until(lambda: abs(one.next - other.next) < 12)
        told = await asyncio.to_thread(two.truth, code, 2400)
        check(pages, told, 1)
        assert {tick for _, tick, _ in told["marks"]} >= {199, 399}, "digests of the past are stored"
        assert one.closed == other.closed == []


@pytest.mark.needs("postgresql", "redis")
async def test_the_database_gone_for_10_s_rooms_stand_still_say_so_and_go_on(on_postgresql: Two) -> None:
    two = on_postgresql
    code, cookies = open_room(two.sites[0])
    async with Page(two.sites[0], code, cookies) as one, Page(two.sites[1], code, cookies) as other:
        pages = [one, other]
        await one.until(lambda: one.next > 20 and other.next > 20)
        await asyncio.to_thread(two.database.kill)
        gone = time.monotonic()
        await within(pages, is_degraded, SAID_S, gone)
        # A command early in the outage is refused in a sentence, one near its end waits and is done
        early = await one.command(*CRASH)
        await asyncio.sleep(max(0, gone + OUTAGE_S - 2 - time.monotonic()))
        stands = [page.moment() for page in pages]
        waits = await one.command("PublishNow", {"producer": "shop", "count": 2})
        await asyncio.sleep(max(0, gone + OUTAGE_S - time.monotonic()))
        # No screen has gone on for longer than it was lit, and nothing was confirmed that is not stored
        for page in pages:
            assert page.lit_until_us - (gone * 1e6 + page.offset_us) <= SAID_S * 1e6
        assert [page.moment() for page in pages] == stands
        assert one.done == {}
        assert one.refused[early]["text"].endswith(".")
        await asyncio.to_thread(two.database.start)
        back = time.monotonic()
        await within(pages, lambda page: not is_degraded(page), LEVEL_S, back)
        await within([one], lambda page: waits in page.done, LEVEL_S, back)
        await within(pages, lambda page: page.moment() > max(stands), LEVEL_S, back)
        await one.until(lambda: all(page.moment() > max(stands) + 1_000_000 for page in pages))
        assert one.closed == other.closed == []
        told = await asyncio.to_thread(two.truth, code, 2400)
        check(pages, told, 2)
        assert early not in [asked for asked, _ in told["receipts"]]
