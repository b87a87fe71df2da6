"""The direct way between a socket and its server, beside ASGI's: what goes to hundreds ten times a second.

ASGI hands each message to a task and back. For a frame to a viewer that reads, and for its acknowledgement,
that costs more than all else. A server that can puts a `Direct` under `DIRECT` into the scope's extensions;
without it, or whenever it says no, everything goes ASGI's way, which is always right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

DIRECT = "mailroom.direct"

SEEN = re.compile(rb'\{"t":"seen","v":1,"f":(0|[1-9]\d{0,14})\}')
"""An acknowledgement as browsers write it. Any other form is as good, and goes through `wire.decode`."""


class Direct:
    """`write(text)` is the server's: whether the socket took the text at once. `seen(f)` is the consumer's:
    whether it has dealt with the acknowledgement of frame `f`."""

    __slots__ = ("seen", "write")

    def __init__(self, write: Callable[[str], bool]) -> None:
        self.write = write
        self.seen: Callable[[int], bool] | None = None

    def take(self, data: bytes) -> bool:
        """Called by the server: whether `data`, a whole text message, needs no more to be done."""
        if self.seen is None:
            return False
        found = SEEN.fullmatch(data)
        return found is not None and self.seen(int(found[1]))


def direct_of(scope: dict[str, Any]) -> Direct | None:
    """The direct way of this socket, if its server has one."""
    return scope.get("extensions", {}).get(DIRECT)  # type: ignore[no-any-return]
