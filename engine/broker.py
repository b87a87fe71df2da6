"""What a broker is to the rest of the engine, and what it says unasked.

A broker holds the state and the rules of one system. It has no service times, no faults, no hidden
chance. `execute` takes no simulated time, and a refusal is a `Reply`, not an exception.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from engine.events import Event
from engine.kernel import Kernel, Timer


class Operation(msgspec.Struct, frozen=True, gc=False, tag=True, tag_field="is"):
    """What a client library or an administrator says to one system. One subclass a method."""


class Reply(msgspec.Struct, frozen=True, gc=False, tag=True, tag_field="is"):
    """The broker's answer to one operation; also a refusal is one."""


class Push(msgspec.Struct, frozen=True, gc=False, tag=True, tag_field="is"):
    """What a broker says unasked: a delivery, a return, a confirm, a revocation."""


class Port(Protocol):
    """The way out of a broker. In a room it is the client's link; the conformance runner records."""

    def push(self, kernel: Kernel, client: str, node: int, push: Push) -> None:
        """Hand `push` to `client`. `node` is what it leaves (the queue of a delivery), 0 if nothing."""


class Broker(Protocol):
    """One system. `port` is set by whoever runs it and is no part of its state."""

    def execute(self, kernel: Kernel, client: str, operation: Any) -> Reply | None:
        """Do what `client` says, now. None where the protocol has no answer (publish, ack)."""

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        """One of the broker's own timers is due (a TTL, an expiry)."""

    def state_events(self) -> list[Event]:
        """Events of the same vocabulary that build the present from nothing."""
