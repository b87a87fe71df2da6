"""What one viewer is owed, and what waits for its socket. Bounded on both sides.

Ticks are not queued for anybody: a viewer has a position, and frames are made from the replica's ticks
when there is room in its window. So a viewer that stops reading costs eight frames, however long it does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from playground.rooms.limits import NEVER_US, WAITING_FRAMES_MAX, WINDOW_FRAMES
from playground.rooms.permissions import Role
from playground.rooms.wire import Watch


class Mailbox:
    """Texts on their way to one socket. `overflowed` says that the socket does not take them.

    `write` writes to the socket at once where that is possible (`rooms/direct.py`). What cannot go at once
    waits for whoever calls `get`, and everything after it too: the order is kept.
    """

    def __init__(self) -> None:
        self.waiting: deque[str] = deque()
        self.arrived = asyncio.Event()
        self.overflowed = False
        self.write: Callable[[str], bool] | None = None

    def put(self, text: str) -> None:
        if self.write is not None and not self.waiting and self._goes_at_once(text):
            return
        if len(self.waiting) >= WAITING_FRAMES_MAX:
            self.overflowed = True
        else:
            self.waiting.append(text)
        self.arrived.set()

    def _goes_at_once(self, text: str) -> bool:
        assert self.write is not None
        try:
            return self.write(text)
        except Exception:  # whoever waits at `get` meets it again, and says what it is
            self.write = None
            return False

    async def get(self) -> str | None:
        """The text to be sent next; None when the mailbox has overflowed and the socket is to be closed.
        It stays in the mailbox until `sent` is called, so that nothing overtakes it."""
        while not self.waiting and not self.overflowed:
            self.arrived.clear()
            await self.arrived.wait()
        return None if self.overflowed else self.waiting[0]

    def sent(self) -> None:
        """What `get` has returned is out."""
        self.waiting.popleft()


class Viewer:
    """One socket's place in a room.

    `wish` is the position it said it has, until it has been placed; `tick` the next tick it needs, of
    branch `epoch`; `cut` says that it holds others from there on, to be revised; `unseen` are the frames
    it has not acknowledged; `blocked` that it had to be left behind for that; `clock` the last it was told.
    `start` is the first tick it holds, and `fork` the first that the room's present branch has differently,
    when that is another than `epoch`. `coarse` is the first of the last ticks it holds that it has in numbers
    only; `reach` lies behind the last that it can show, which may be numbers beyond `tick`; from `forget` on
    those are wrong. `owed` are frames that are made for it and wait for room.
    """

    __slots__ = (
        "blocked",
        "clock",
        "coarse",
        "cut",
        "epoch",
        "forget",
        "fork",
        "mailbox",
        "owed",
        "reach",
        "role",
        "seat",
        "start",
        "tick",
        "unseen",
        "waited",
        "wish",
    )

    def __init__(self, role: Role, seat: str) -> None:
        self.role = role
        self.seat = seat
        self.mailbox = Mailbox()
        self.wish: Watch | None = None
        self.waited = 0
        self.epoch = -1
        self.tick = 0
        self.start = 0
        self.fork = NEVER_US
        self.cut = False
        self.reach = 0
        self.forget = NEVER_US
        self.coarse = NEVER_US
        self.owed: deque[tuple[int, str]] = deque()
        self.unseen: deque[int] = deque()
        self.blocked = False
        self.clock = (-1, 0)

    @property
    def watching(self) -> bool:
        """Whether it has been placed, and so is owed ticks."""
        return self.epoch >= 0 and self.wish is None

    def shows(self) -> int:
        """The branch on its screen; -1: none yet."""
        if self.wish is not None:
            return self.wish.epoch if self.wish.tick else -1
        return self.epoch

    def has_room(self) -> bool:
        return len(self.unseen) < WINDOW_FRAMES

    def is_coarse(self) -> bool:
        """Whether it holds the last tick before `tick` in numbers only."""
        return self.coarse < self.tick

    def owe(self, frames: Iterable[tuple[int, str]]) -> None:
        """These frames, in this order: now as many as there is room for, the others as it is made."""
        self.owed.extend(frames)
        self.pay()

    def pay(self) -> bool:
        """Sends what is owed and there is room for. Returns whether nothing is owed any more."""
        while self.owed and self.has_room():
            self.sent(*self.owed.popleft())
        return not self.owed

    def sent(self, f: int, text: str) -> None:
        """A frame that counts against the window."""
        self.unseen.append(f)
        self.mailbox.put(text)

    def seen(self, f: int) -> None:
        """Frame `f` has been taken in, and so all before it."""
        while self.unseen and self.unseen[0] <= f:
            self.unseen.popleft()

    def forget_from(self, tick: int) -> None:
        """The ticks from `tick` on were replaced; if this viewer holds any of them, it is told so."""
        if not self.watching:
            return
        if self.tick > tick:
            self.tick = self.reach = tick
            self.cut = True
            if self.coarse >= tick:
                self.coarse = NEVER_US
        elif self.reach > tick:
            self.reach = tick
            self.forget = min(self.forget, tick)
