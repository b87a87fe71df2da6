"""The direct way between a socket and its server: shorter than ASGI's, and never another outcome."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from playground.rooms import limits
from playground.rooms.consumers import StageConsumer
from playground.rooms.direct import DIRECT, Direct
from playground.rooms.hub import Hub
from playground.rooms.mailbox import Mailbox
from tests.playground.conftest import Socket, new_room


class Wire:
    """A socket that takes texts while it is `ready`."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.ready = True

    def write(self, text: str) -> bool:
        if self.ready:
            self.taken.append(text)
        return self.ready


async def test_what_goes_directly_never_overtakes_what_waits() -> None:
    # Given a socket that takes one text, and then no more
    wire, mailbox = Wire(), Mailbox()
    mailbox.write = wire.write
    mailbox.put("1")
    wire.ready = False
    mailbox.put("2")
    # When it is ready again while "2" is being sent the slow way
    assert await mailbox.get() == "2"
    wire.ready = True
    mailbox.put("3")
    # Then "3" waits behind it
    assert wire.taken == ["1"]
    mailbox.sent()
    assert await mailbox.get() == "3"
    mailbox.sent()
    mailbox.put("4")
    assert wire.taken == ["1", "4"]


async def test_a_socket_that_takes_nothing_overflows_as_ever() -> None:
    wire, mailbox = Wire(), Mailbox()
    mailbox.write, wire.ready = wire.write, False
    for number in range(limits.WAITING_FRAMES_MAX + 1):
        mailbox.put(f"{number}")
    assert await mailbox.get() is None


async def test_a_fault_in_the_direct_way_is_met_again_by_who_can_say_what_it_is() -> None:
    def fails(text: str) -> bool:
        raise TypeError("a frame is no text")

    mailbox = Mailbox()
    mailbox.write = fails
    mailbox.put("1")
    assert await mailbox.get() == "1"


@pytest.fixture
async def watched(hub: Hub) -> Any:
    """A room's socket whose server has a direct way: (socket, the way, the wire, the consumer)."""
    facts = await new_room(hub)
    socket, wire = Socket(f"/ws/room/{facts.code}/"), Wire()
    way = Direct(wire.write)
    socket.communicator.scope["extensions"] = {DIRECT: way}
    assert await socket.open()
    await socket.next("hello")
    await socket.say("watch", epoch=0, tick=0, digest="")
    assert await socket.quiet()
    (consumer,) = StageConsumer.open_sockets
    yield socket, way, wire, consumer
    await socket.communicator.disconnect()


async def test_ticks_go_directly_and_their_acknowledgements_too(hub: Hub, watched: Any) -> None:
    _, way, wire, consumer = watched
    await hub.batch()
    assert [text[:12] for text in wire.taken] == ['{"t":"clock"', '{"t":"state"', '{"t":"ticks"']
    assert len(consumer.viewer.unseen) == 2
    last = consumer.viewer.unseen[-1]
    assert way.take(b'{"t":"seen","v":1,"f":%d}' % last)
    assert not consumer.viewer.unseen


@pytest.mark.parametrize(
    "text",
    [
        b'{"t":"seen","v":2,"f":1}', b'{"t":"seen","v":1,"f":-1}', b'{"t":"seen","v":1,"f":01}', b"",
        b'{"t":"seen","v":1,"f":1.0}', b'{"t":"seen","v":1,"f":1}\n', b'{"v":1,"t":"seen","f":1}',
        b'{"t":"seen","v":1,"f":9999999999999999}', '{"t":"seen","v":1,"f":١}'.encode(), b"\xff",
    ],
)  # fmt: skip
async def test_every_other_text_goes_the_way_that_answers(watched: Any, text: bytes) -> None:
    _, way, _, consumer = watched
    before = list(consumer.viewer.unseen)
    assert not way.take(text)
    assert list(consumer.viewer.unseen) == before


async def test_acknowledgements_above_the_rate_are_not_taken_directly(watched: Any) -> None:
    _, way, _, _ = watched
    taken = [way.take(b'{"t":"seen","v":1,"f":0}') for _ in range(limits.FRAMES_IN_BURST + 1)]
    assert taken[0] and not taken[-1]


async def test_who_has_left_is_written_to_no_more(hub: Hub, watched: Any) -> None:
    socket, way, wire, consumer = watched
    await hub.batch()
    before, mailbox = len(wire.taken), consumer.viewer.mailbox
    await socket.communicator.disconnect()
    mailbox.put("late")
    assert len(wire.taken) == before
    assert way.seen is None


async def test_a_thousand_viewers_are_told_in_parts_and_nobody_twice(hub: Hub, monkeypatch: Any) -> None:
    from tests.playground.conftest import sit

    monkeypatch.setattr(limits, "TOLD_AT_ONCE", 3)
    facts = await new_room(hub)
    browsers = [await sit(hub, facts.code) for _ in range(10)]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await hub.batch()
    task.cancel()
    for browser in browsers:
        browser.take()
        assert [frame["t"] for frame in browser.frames] == ["clock", "state", "ticks"]
    assert len({browser.next for browser in browsers}) == 1
    assert turns > 3
