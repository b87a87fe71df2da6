"""kill -9, at 20 seeded moments and once between the journal and its effect: nothing answered is lost."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Site, start_site, stop_site
from tests.faults import truth
from tests.faults.pages import Page
from tests.playground.test_server import open_room

COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("CrashConsumer", {"consumer": "email worker"}),
    ("RestartConsumer", {"consumer": "email worker"}),
    ("PublishNow", {"producer": "shop", "count": 3}),
    ("CutLink", {"actor": "billing worker"}),
    ("RestoreLink", {"actor": "billing worker"}),
    ("Pause", {}),
    ("Play", {}),
    ("Speed", {"rate": 2000}),
]

DIE_AFTER_THE_JOURNAL = """
import os, signal
from django.conf import settings
import playground.asgi
from playground.rooms.database import DatabaseJournal

real = DatabaseJournal._transact

def transact(self, code, asked, act):
    result = real(self, code, asked, act)
    if asked is not None and settings.VAR_DIR.joinpath("die").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return result

DatabaseJournal._transact = transact
"""


def check(pages: list[Page], told: dict[str, Any], sent: int) -> None:
    """What was shown is so, what was answered is stored once, what was sent is there at most once."""
    stored = [seq for seq, _, _, _ in told["entries"]]
    assert len(set(stored)) == len(stored)
    receipts = {id for id, _ in told["receipts"]}
    for page in pages:
        assert page.faults == []
        assert len(page.shown) > 10
        for (epoch, tick), digest in page.shown.items():
            assert told["digests"][str(epoch)][tick] == digest, f"tick {tick} of branch {epoch}"
        for id, frame in page.done.items():
            assert id in receipts
            if frame["at_us"] is not None:
                assert stored.count(frame["seq"]) == 1
    for epoch, tick, digest in told["marks"]:
        assert told["digests"][str(epoch)][tick : tick + 1] in ([], [digest]), f"stored of tick {tick}"
    assert len(told["receipts"]) == len(receipts) <= sent


async def test_killed_at_20_seeded_moments_a_room_is_what_was_shown(tmp_path: Path) -> None:
    chance = random.Random(4)
    site = start_site(tmp_path)
    code, cookies = open_room(site)
    sent = 0
    try:
        async with Page(site, code, cookies) as owner, Page(site, code) as viewer:
            for _ in range(20):
                await owner.until(lambda: owner.socket and owner.moment() >= 0)
                for _ in range(chance.randrange(1, 4)):
                    cmd, args = chance.choice(COMMANDS)
                    await owner.command(cmd, args)
                    sent += 1
                    await asyncio.sleep(chance.choice([0, 0.002, 0.01, 0.05, 0.3]))
                site.process.kill()
                site.process.wait()
                site = await asyncio.to_thread(start_site, tmp_path, site.port, again=True)
                await owner.until(lambda: not owner.pending)
            await owner.command("Play")
            sent += 1
            await owner.until(lambda: owner.next == viewer.next > 0 and not owner.pending)
            await owner.until(lambda: owner.moment() > 6_500_000)
            assert len(owner.done) + len(owner.refused) >= sent
            told = await asyncio.to_thread(truth.of, code, 2400, tmp_path)
            check([owner, viewer], told, sent)
            assert told["marks"], "digests of the past are stored"
    finally:
        stop_site(site)


KAFKA_COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("KillBroker", {"system": "cluster", "broker": 2}),
    ("StartBroker", {"system": "cluster", "broker": 2}),
    ("CrashConsumer", {"consumer": "counter"}),
    ("RestartConsumer", {"consumer": "counter"}),
    ("DropNextAck", {"actor": "tracker"}),
    ("PublishNow", {"producer": "checkout", "count": 3}),
    ("CutLink", {"actor": "bookkeeper"}),
    ("RestoreLink", {"actor": "bookkeeper"}),
]


async def test_killed_at_5_seeded_moments_a_room_with_a_kafka_cluster_is_what_was_shown(
    tmp_path: Path,
) -> None:
    chance = random.Random(5)
    site = start_site(tmp_path)
    code, cookies = open_room(site, slug="kafka-broker-crash")
    sent = 0
    try:
        async with Page(site, code, cookies) as owner, Page(site, code) as viewer:
            for _ in range(5):
                await owner.until(lambda: owner.socket and owner.moment() >= 0)
                for _ in range(chance.randrange(1, 4)):
                    await owner.command(*chance.choice(KAFKA_COMMANDS))
                    sent += 1
                    await asyncio.sleep(chance.choice([0, 0.01, 0.3]))
                site.process.kill()
                site.process.wait()
                site = await asyncio.to_thread(start_site, tmp_path, site.port, again=True)
                await owner.until(lambda: not owner.pending)
            await owner.until(lambda: owner.next == viewer.next > 0 and not owner.pending)
            await owner.until(lambda: owner.moment() > 5_500_000)
            told = await asyncio.to_thread(truth.of, code, 2400, tmp_path)
            check([owner, viewer], told, sent)
            assert told["marks"], "digests of the past are stored"
    finally:
        stop_site(site)


async def test_killed_between_the_journal_and_its_effect_a_command_is_done_once(tmp_path: Path) -> None:
    site = start_site(tmp_path, patch=DIE_AFTER_THE_JOURNAL)
    code, cookies = open_room(site)
    try:
        async with Page(site, code, cookies) as owner, Page(site, code) as viewer:
            await owner.until(lambda: owner.next > 40 and viewer.next > 40)
            (tmp_path / "die").touch()
            id = await owner.command("CrashConsumer", {"consumer": "email worker"})
            await asyncio.to_thread(site.process.wait, 20)
            assert id not in owner.done
            told = await asyncio.to_thread(truth.of, code, 10, tmp_path)
            assert id in [asked for asked, _ in told["receipts"]]
            (tmp_path / "die").unlink()
            site = await asyncio.to_thread(start_site, tmp_path, site.port, again=True)
            await owner.until(lambda: id in owner.done)
            await owner.until(lambda: viewer.next * 25_000 > owner.done[id]["at_us"] + 1_000_000)
            told = await asyncio.to_thread(truth.of, code, 2400, tmp_path)
            assert len(told["entries"]) == 1
            check([owner, viewer], told, 1)
    finally:
        stop_site(site)


NEWER_RULES = """
import engine
engine.RULES += {more}
"""

AND_COMES_OUT_OTHERWISE = """
from engine.simulation import Simulation
Simulation.apply_at = lambda self, at_us, command, n: None
"""


async def test_killed_and_started_with_newer_rules_a_room_goes_on_where_it_comes_out_the_same(
    tmp_path: Path,
) -> None:
    import urllib.error
    import urllib.request

    site = start_site(tmp_path)
    code, cookies = open_room(site)
    try:
        async with Page(site, code, cookies) as owner:
            await owner.until(lambda: owner.moment() > 500_000)
            await owner.command("CrashConsumer", {"consumer": "email worker"})
            await owner.command("Speed", {"rate": 2000})
            await owner.until(lambda: owner.moment() > 7_000_000 and not owner.pending)
            site.process.kill()
            site.process.wait()
            site = await asyncio.to_thread(
                start_site, tmp_path, site.port, NEWER_RULES.format(more=1), again=True
            )
            await owner.until(lambda: owner.moment() > 11_000_000)
            restart = await owner.command("RestartConsumer", {"consumer": "email worker"})
            await owner.until(lambda: restart in owner.done)
            told = await asyncio.to_thread(truth.of, code, 2400, tmp_path)
            check([owner], told, 3)
        site.process.kill()
        site.process.wait()
        patch = NEWER_RULES.format(more=2) + AND_COMES_OUT_OTHERWISE
        site = await asyncio.to_thread(start_site, tmp_path, site.port, patch, again=True)
        await asyncio.sleep(3)  # its light goes out
        with pytest.raises(urllib.error.HTTPError) as caught:
            await asyncio.to_thread(urllib.request.urlopen, f"{site.url}/room/{code}/")
        assert caught.value.code == 410
        assert "earlier rules" in caught.value.read().decode()
    finally:
        stop_site(site)


def test_a_server_that_comes_back_knows_its_rooms(tmp_path: Path) -> None:
    import urllib.request

    site: Site = start_site(tmp_path)
    try:
        code, _ = open_room(site)
        site.process.kill()
        site.process.wait()
        site = start_site(tmp_path, site.port, again=True)
        assert urllib.request.urlopen(f"{site.url}/room/{code}/").status == 200
    finally:
        stop_site(site)
