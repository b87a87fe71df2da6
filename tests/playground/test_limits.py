"""One test for each limit goes one over and reads the sentence; `tests/test_limits.py` finds those without."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

import pytest
from django.test import AsyncClient, Client

from playground import views
from playground.rooms import consumers, limits, opening, past, wire
from playground.rooms import hub as hubs
from playground.rooms.hub import Hub
from playground.rooms.journal import JournalGone, Refused
from playground.rooms.mailbox import Viewer
from playground.rooms.throttle import Bucket
from playground.rooms.wire import BadFrame, Said
from playground.runs import jobs, tasks
from playground.runs.models import Job, State
from tests.playground.conftest import CONSUMER, ORIGIN, SLUG, new_room, sit
from tests.playground.fakes import Wall
from tests.playground.memory import MemoryJournal
from tests.playground.test_pages import opening as opening_text
from tests.playground.test_pages import post
from tests.playground.test_rooms import command, go


async def test_rooms(hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROOMS_MAX", 3)
    rooms = [await new_room(hub) for _ in range(4)]
    browsers = [await sit(hub, facts.code) for facts in rooms[:3]]
    with pytest.raises(Refused) as caught:
        await sit(hub, rooms[3].code)
    assert caught.value.text == limits.ROOMS_FULL
    hub.leave(browsers[0].room, browsers[0].viewer)  # type: ignore[attr-defined]
    await sit(hub, rooms[3].code)
    assert rooms[0].code not in hub.rooms


async def test_viewers(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "VIEWERS_MAX", 3)
    facts = await new_room(hub)
    for _ in range(3):
        await hub.join(facts.code, Viewer("viewer", "s"))
    with pytest.raises(Refused) as caught:
        await hub.join(facts.code, Viewer("viewer", "s"))
    assert caught.value.text == limits.VIEWERS_FULL


async def test_sockets(sockets: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SOCKETS_MAX", len(consumers.StageConsumer.open_sockets) + 1)
    await sockets(f"/ws/play/{SLUG}/")
    second = await sockets(f"/ws/play/{SLUG}/")
    assert (await second.next())["text"] == limits.SOCKETS_FULL
    await second.closed()


async def test_journal_entries(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JOURNAL_ENTRIES_MAX", 2)
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)

    async def say(id: str) -> None:
        said = Said(v=1, id=id, cmd="Pause")
        await hub.command(browser.room, browser.viewer, said)  # type: ignore[attr-defined]

    await say("1")
    await say("2")
    await say("2")
    with pytest.raises(BadFrame) as caught:
        await say("3")
    assert caught.value.text == limits.JOURNAL_FULL


async def test_a_batch_waits_no_longer_than_this_for_the_journal(
    hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 1, browser)
    held, answers = browser.next, asyncio.Event()

    async def heads(self: MemoryJournal, watched: Any) -> Any:
        await answers.wait()
        return []

    monkeypatch.setattr(MemoryJournal, "heads", heads)
    begun = time.monotonic()
    wall.pass_ms(100)
    await hub.batch()
    browser.take()
    assert limits.ANSWER_S <= time.monotonic() - begun < 2 * limits.ANSWER_S
    assert browser.next > held, "rooms go on by what they know"
    answers.set()


async def test_a_journal_that_is_silent_for_longer_than_this_is_told_of(
    hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 1, browser)

    async def heads(self: MemoryJournal, watched: Any) -> Any:
        raise JournalGone("away")

    monkeypatch.setattr(MemoryJournal, "heads", heads)
    wall.pass_ms(limits.SILENT_US / 1000)
    await hub.batch()
    assert not hub.gone
    wall.pass_ms(1)
    await hub.batch()
    assert hub.gone == {"journal": hubs.JOURNAL_GONE}


async def test_a_command_is_tried_for_this_long_while_the_journal_is_away(
    hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    tries = []

    async def turn(self: MemoryJournal, *_: Any) -> Any:
        tries.append(wall.steady())
        wall.pass_ms(limits.TRIES_US / 2000)
        raise JournalGone("away")

    monkeypatch.setattr(MemoryJournal, "turn", turn)
    with pytest.raises(BadFrame) as caught:
        await command(hub, browser, "Pause")
    assert caught.value.text == hubs.JOURNAL_AWAY
    assert [at_us - tries[0] for at_us in tries] == [0, limits.TRIES_US // 2]


async def test_a_moment_further_ahead_than_this_was_not_shown(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 3, browser)
    shown_us = (await hub.journal.head(facts.code)).clock.at(wall())
    with pytest.raises(BadFrame, match="That moment has not been shown yet"):
        await command(hub, browser, "Fork", at_us=shown_us + limits.LOOKED_AHEAD_US + 1)
    await command(hub, browser, "Fork", at_us=shown_us + limits.LOOKED_AHEAD_US)


async def test_a_room_that_catches_up_leaves_the_others_their_turns(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def turns_of_others() -> int:
        """While a batch simulates 50 s at once."""
        facts = await new_room(hub, sim_us=50_000_000)
        await sit(hub, facts.code)
        batch, turns = asyncio.create_task(hub.batch()), 0
        while not batch.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    monkeypatch.setattr(limits, "SLICE_S", 60)
    at_once = await turns_of_others()
    monkeypatch.setattr(limits, "SLICE_S", 0.001)
    assert await turns_of_others() > at_once + 5


async def test_waiting_frames(sockets: Any) -> None:
    socket = await sockets(f"/ws/play/{SLUG}/")
    await socket.next("hello")
    (consumer,) = consumers.StageConsumer.open_sockets
    for _ in range(limits.WAITING_FRAMES_MAX + 1):
        consumer.viewer.mailbox.put("{}")  # type: ignore[union-attr]
    assert await socket.closed() == (4008, limits.WAITING_TOO_LONG)


async def test_frame_bytes(sockets: Any) -> None:
    def said(size: int) -> str:
        head, tail = '{"t":"command","v":1,"id":"a","cmd":"Fly","args":{"x":"', '"}}'
        return head + "y" * (size - len(head) - len(tail)) + tail

    socket = await sockets(f"/ws/play/{SLUG}/")
    await socket.raw(said(limits.FRAME_IN_BYTES_MAX))
    assert (await socket.next("error"))["code"] == "unknown_command"
    await socket.raw(said(limits.FRAME_IN_BYTES_MAX + 1))
    assert await socket.closed() == (1009, limits.FRAME_IN_TOO_LARGE)


def test_frame_bytes_are_counted_as_bytes() -> None:
    text = json.dumps(
        {"t": "command", "v": 1, "id": "a", "cmd": "x", "args": {"a": "ü" * 2500}},
        ensure_ascii=False,
    )
    with pytest.raises(BadFrame) as caught:
        wire.decode(text)
    assert caught.value.text == limits.FRAME_IN_TOO_LARGE


def test_frame_depth() -> None:
    def nested(depth: int) -> str:
        return '{"t":"seen","v":1,"f":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"

    with pytest.raises(BadFrame) as caught:
        wire.decode(nested(limits.FRAME_DEPTH_MAX + 1))
    assert caught.value.text == limits.FRAME_TOO_DEEP
    with pytest.raises(BadFrame) as caught:
        wire.decode(nested(limits.FRAME_DEPTH_MAX))
    assert caught.value.text != limits.FRAME_TOO_DEEP


def test_id_characters() -> None:
    def said(length: int) -> str:
        return json.dumps({"t": "command", "v": 1, "id": "i" * length, "cmd": "Play"})

    wire.decode(said(limits.ID_CHARACTERS_MAX))
    with pytest.raises(BadFrame, match="length <= 40"):
        wire.decode(said(limits.ID_CHARACTERS_MAX + 1))


async def test_commands_at_once_and_a_second(hub: Hub, wall: Wall, sockets: Any) -> None:
    facts = await new_room(hub)
    socket = await sockets(f"/ws/room/{facts.code}/")

    async def say(n: int) -> dict[str, Any]:
        await socket.say("command", id=f"c{n}", cmd="Pause", args={})
        return dict(await socket.next("done", "error"))

    for n in range(limits.COMMANDS_BURST):
        assert (await say(n))["t"] == "done"
    over = await say(99)
    assert (over["code"], over["text"], over["id"]) == ("too_fast", limits.TOO_FAST, "c99")
    wall.pass_ms(1000)
    for n in range(100, 100 + limits.COMMANDS_PER_S):
        assert (await say(n))["t"] == "done"
    assert (await say(200))["code"] == "too_fast"


async def test_watches_at_once_and_a_second(wall: Wall, sockets: Any) -> None:
    socket = await sockets(f"/ws/play/{SLUG}/")
    for _ in range(limits.WATCHES_BURST):
        await socket.say("watch", epoch=0, tick=0, digest="")
        assert (await socket.next("ticks", "error"))["t"] == "ticks"
    await socket.say("watch", epoch=0, tick=0, digest="")
    assert (await socket.next("error"))["text"] == limits.WATCHED_TOO_OFTEN
    wall.pass_ms(1000 / limits.WATCHES_PER_S)
    await socket.say("watch", epoch=0, tick=0, digest="")
    assert (await socket.next("ticks", "error"))["t"] == "ticks"


async def test_bad_frames(sockets: Any) -> None:
    socket = await sockets(f"/ws/play/{SLUG}/")
    for _ in range(limits.BAD_FRAMES_MAX):
        await socket.raw("{")
        assert (await socket.next("error"))["code"] == "bad_frame"
    await socket.raw("{")
    assert await socket.closed() == (4008, limits.BAD_FRAMES)


async def test_bad_frames_are_forgiven_in_time(wall: Wall, sockets: Any) -> None:
    socket = await sockets(f"/ws/play/{SLUG}/")
    for _ in range(3 * limits.BAD_FRAMES_MAX):
        wall.pass_ms(1000 / limits.BAD_FRAMES_PER_S)
        await socket.raw("{")
        assert (await socket.next("error"))["code"] == "bad_frame"
    for _ in range(limits.BAD_FRAMES_MAX + 1):
        await socket.raw("{")
    assert await socket.closed() == (4008, limits.BAD_FRAMES)


async def test_frames_at_once_and_a_second(wall: Wall, sockets: Any) -> None:
    socket = await sockets(f"/ws/play/{SLUG}/")
    for f in range(limits.FRAMES_IN_BURST):
        await socket.say("seen", f=f)
    assert (await socket.next())["t"] == "hello"
    await socket.say("seen", f=0)
    over = await socket.next()
    assert (over["code"], over["text"]) == ("too_fast", limits.FRAMES_TOO_FAST)
    wall.pass_ms(1000)
    for f in range(limits.FRAMES_IN_PER_S):
        await socket.say("seen", f=f)
    assert await socket.quiet()
    await socket.say("seen", f=0)
    assert (await socket.next())["text"] == limits.FRAMES_TOO_FAST


async def test_who_goes_on_too_fast_is_sent_away(hub: Hub, wall: Wall, sockets: Any) -> None:
    facts = await new_room(hub)
    socket = await sockets(f"/ws/room/{facts.code}/")
    for n in range(limits.COMMANDS_BURST):
        await socket.say("command", id=f"c{n}", cmd="Pause", args={})
        assert (await socket.next("done", "error"))["t"] == "done"
    for n in range(limits.THROTTLED_MAX):
        await socket.say("command", id=f"d{n}", cmd="Pause", args={})
        assert (await socket.next("error"))["code"] == "too_fast"
    await socket.say("command", id="e", cmd="Pause", args={})
    assert await socket.closed() == (4008, limits.THROTTLED)


async def test_what_was_too_fast_is_forgiven_in_time(hub: Hub, wall: Wall, sockets: Any) -> None:
    facts = await new_room(hub)
    socket = await sockets(f"/ws/room/{facts.code}/")
    answers = []
    for n in range(limits.COMMANDS_BURST + 3 * limits.THROTTLED_MAX):
        await socket.say("command", id=f"c{n}", cmd="Pause", args={})
        answers.append((await socket.next("done", "error"))["t"])
        if answers[-1] == "error":
            wall.pass_ms(1000 / limits.THROTTLED_PER_S)
    assert answers.count("error") > 2
    for n in range(limits.COMMANDS_BURST + limits.THROTTLED_MAX + 2):
        await socket.say("command", id=f"d{n}", cmd="Pause", args={})
    assert await socket.closed() == (4008, limits.THROTTLED)


async def test_what_a_room_refuses_is_no_reason_to_send_anybody_away(
    hub: Hub, wall: Wall, sockets: Any
) -> None:
    facts = await new_room(hub)
    watching = await sockets(f"/ws/room/{facts.code}/", ORIGIN)
    for n in range(3 * limits.BAD_FRAMES_MAX):
        wall.pass_ms(1000)
        await watching.say("command", id=f"c{n}", cmd="Pause", args={})
        assert (await watching.next("error"))["code"] == "not_allowed"


def test_openings_at_once_and_a_second(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(SERVER_NAME="localhost")
    monkeypatch.setattr(opening, "everybody", Bucket(limits.OPEN_BURST, limits.OPEN_PER_S))
    texts = (opening_text(id=f"opening-{n}") for n in itertools.count())
    for _ in range(limits.OPEN_BURST):
        assert post(client, next(texts)).status_code == 201
    over = post(client, next(texts))
    assert (over.status_code, over.json()["text"]) == (429, limits.OPENED_TOO_FAST)
    wall.pass_ms(1000)
    assert [post(client, next(texts)).status_code for _ in range(limits.OPEN_PER_S + 1)] == [
        *[201] * limits.OPEN_PER_S, 429,
    ]  # fmt: skip


def test_opening_bytes() -> None:
    client = Client(SERVER_NAME="localhost")
    body = opening_text(args={"consumer": CONSUMER})
    body = body[:-1] + " " * (limits.OPEN_BODY_BYTES_MAX - len(body)) + "}"
    assert post(client, body).status_code == 201
    assert post(client, body + " ").json()["text"] == limits.OPEN_BODY_TOO_LARGE


def test_wrong_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(SERVER_NAME="localhost")
    monkeypatch.setattr(views, "wrong_codes", Bucket(2, 0))
    assert [client.get("/room/nosuchrm/").status_code for _ in range(3)] == [404, 404, 429]
    assert limits.WRONG_CODES in client.get("/room/nosuchrm/").content.decode()


async def test_wrong_codes_at_once_and_a_second(
    hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = await new_room(hub)
    client = AsyncClient(SERVER_NAME="localhost")
    monkeypatch.setattr(views, "wrong_codes", Bucket(limits.WRONG_CODES_BURST, limits.WRONG_CODES_PER_S))

    async def asked(code: str) -> Any:
        return await client.get(f"/room/{code}/")

    for n in range(limits.WRONG_CODES_BURST):
        assert (await asked(f"wrong{n}")).status_code == 404
    over = await asked("onemore")
    assert over.status_code == 429 and limits.WRONG_CODES in over.content.decode()
    assert (await asked(facts.code)).status_code == 200, "right codes are never held back"
    wall.pass_ms(1000)
    assert [(await asked("again")).status_code for _ in range(limits.WRONG_CODES_PER_S + 1)] == [
        *[404] * limits.WRONG_CODES_PER_S, 429,
    ]  # fmt: skip


@pytest.mark.django_db
def test_jobs_of_a_seat_and_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "ring", lambda times: None)

    def begin(owner: str) -> str:
        try:
            jobs.begin(jobs.Wish(SLUG, 1, count=1), owner)
        except Refused as refusal:
            return refusal.text
        return ""

    monkeypatch.setattr(limits, "JOBS_RUNNING_MAX", limits.JOBS_OF_A_SEAT_MAX + 1)
    assert [begin("me") for _ in range(limits.JOBS_OF_A_SEAT_MAX)] == [""] * limits.JOBS_OF_A_SEAT_MAX
    assert begin("me") == limits.SEAT_HAS_JOBS
    assert begin("you") == ""
    assert begin("they") == limits.SITE_HAS_JOBS
    Job.objects.update(state=State.CANCELLED)
    assert begin("me") == ""


def test_a_bucket_refills_and_holds_no_more_than_it_can() -> None:
    bucket = Bucket(2, 1)
    assert [bucket.take(1_000_000) for _ in range(3)] == [True, True, False]
    assert [bucket.take(2_000_000) for _ in range(2)] == [True, False]
    assert [bucket.take(90_000_000) for _ in range(3)] == [True, True, False]
    assert not bucket.take(80_000_000), "a clock that is set back gives nothing"


async def test_pasts_at_once_and_a_second(hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop over old branches: each is simulated anew, because no more than these are kept."""
    monkeypatch.setattr(limits, "PASTS_KEPT", 1)
    monkeypatch.setattr(past, "anew", Bucket(limits.PASTS_BURST, limits.PASTS_PER_S))
    past._made.clear()
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await command(hub, browser, "ToStart")
    client = AsyncClient(SERVER_NAME="localhost")

    async def asked(epoch: int) -> Any:
        return await client.get(f"/history/room/{facts.code}/{epoch}/")

    for n in range(limits.PASTS_BURST):
        assert (await asked(n % 2)).status_code == 200
    over = await asked(0)
    assert (over.status_code, over.json()) == (429, {"error": "too_fast", "text": limits.PASTS_TOO_FAST})
    assert (await asked(1)).status_code == 200, "what is kept costs nothing"
    wall.pass_ms(1000)
    assert [(await asked(n % 2)).status_code for n in range(limits.PASTS_PER_S + 1)] == [
        *[200] * limits.PASTS_PER_S, 429,
    ]  # fmt: skip


async def test_room_expires(hub: Hub, wall: Wall, sockets: Any) -> None:
    facts = await new_room(hub)
    wall.pass_ms((limits.ROOM_EXPIRES_US + limits.LIGHT_US) / 1000 + 1)
    socket = await sockets(f"/ws/room/{facts.code}/")
    error = await socket.next()
    assert (error["code"], error["text"]) == ("expired", limits.ROOM_EXPIRED)
    assert (await socket.closed())[0] == 4004
    page = await AsyncClient(SERVER_NAME="localhost").get(f"/room/{facts.code}/")
    assert page.status_code == 410
    assert limits.ROOM_EXPIRED in page.content.decode()
    assert f'href="/play/{SLUG}/"' in page.content.decode()
