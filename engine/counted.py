"""The ledger's counts as events: what somebody who has just come is told of them."""

from __future__ import annotations

from engine.events import EffectsStand, Event, LedgerStands, PromiseBroken, Settled, StandsFor
from engine.limits import COPIES_OF_EVENT_MAX
from engine.places import PLACES, WAITING, Account, LedgerState


def counted(ledger: LedgerState, now_us: int) -> list[Event]:
    """Which queue stands for which, where each copy is counted, then the counts and the latest effects
    outright."""
    told: list[Event] = [
        StandsFor(now_us, 0, node, home, "waiting" if place == WAITING else "dead")
        for node, (home, place) in ledger.stands_for.items()
    ]
    groups: dict[tuple[int, int], list[int]] = {}
    for copy, record in [*ledger.copies.items(), *ledger.stale.items()]:
        groups.setdefault((record.destination, record.place), []).append(copy)
    told += [
        Settled(now_us, 0, tuple(copies[start : start + COPIES_OF_EVENT_MAX]), destination, "", PLACES[place])
        for (destination, place), copies in groups.items()
        for start in range(0, len(copies), COPIES_OF_EVENT_MAX)
    ]
    told += standing(ledger.accounts, now_us)
    told += [EffectsStand(now_us, 0, queue, tuple(row)) for queue, row in ledger.finished.items()]
    for name in ledger.broken:
        promise, node = name.split("/")
        told.append(PromiseBroken(now_us, 0, promise, int(node)))
    return told


def standing(accounts: dict[int, Account], now_us: int) -> list[LedgerStands]:
    """The counts outright, a destination each."""
    return [
        LedgerStands(now_us, 0, node, tuple(account.places[1:]), tuple(account.tallies))
        for node, account in accounts.items()
    ]
