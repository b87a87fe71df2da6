"""Where a copy can stand, and what the ledger keeps: a record a copy, an account a destination.

The places are told in `engine.ledger`; here they are small numbers, so that counting is indexing.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from engine.events import Place, Tally
from engine.finished import Finished

PLACES: tuple[Place, ...] = get_args(Place)
"""Place 0 is nowhere: a copy that is not counted (yet, or any longer)."""
TALLIES: tuple[Tally, ...] = get_args(Tally)
TALLY: dict[str, int] = {tally: index for index, tally in enumerate(TALLIES)}

NOWHERE, ON_THE_WIRE, READY, UNACKED, WAITING, HELD, DONE, DEAD, EXPIRED, DROPPED, LOST = range(len(PLACES))


class CopyRecord(msgspec.Struct, array_like=True, gc=False):
    """One copy that has not come to its end. `place` is an index of `PLACES`."""

    message: int
    destination: int
    place: int = NOWHERE
    deliveries: int = 0
    bodies: int = 0
    effect: bool = False
    kept: bool = True
    """Whether a broker holds it."""
    holder: int = 0
    """The registration (its event's number) whose unsettled delivery it is, 0 for none."""
    queue: int = 0
    """The queue it was last placed in, ready there or not."""
    ready: bool = False
    sequence: int = 0
    """Its place in the order of arrival in its queue; 0 when a priority or a return broke that order."""
    superseded: bool = False
    """Another copy does its work: it stands outside the count."""
    redelivered: bool = False
    """Whether its broker has said so."""
    routed_us: int = 0
    """When its broker routed it."""
    routed_to: int = 0
    """The queue that it was routed to where that is not its destination: one that stands for it."""


class Account(msgspec.Struct, array_like=True):
    """The counts of one destination. `places` follows `PLACES`, `tallies` follows `TALLIES`."""

    owed: int
    places: list[int]
    """What place 0 counts means nothing."""
    tallies: list[int]
    latest: list[int]
    """Per key: the latest message whose effect has happened."""


class QueueOrder(msgspec.Struct, array_like=True, gc=False):
    """How many arrived at the tail of a queue, and up to which of them it was handed out."""

    arrived: int = 0
    delivered: int = 0
    ready: int = 0


class LedgerState(msgspec.Struct):
    """What a snapshot keeps: everything but the kernel and the world."""

    promises: list[str]
    stands_for: dict[int, tuple[int, int]]
    copies: dict[int, CopyRecord]
    accounts: dict[int, Account]
    orders: dict[int, QueueOrder]
    registrations: dict[int, tuple[int, int]]
    in_flight: dict[int, int]
    broken: list[str]
    superseded: int
    stale: dict[int, CopyRecord]
    slack: dict[int, int]
    slots_leak: bool
    finished: Finished
