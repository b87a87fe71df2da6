"""What must hold at every moment, checked always: the ledger's counts against the parts' own lengths.

Two more are checked as events are folded (`engine.ledger`): at most prefetch deliveries in flight, and
deliveries in the order of `Placed` for what arrived at a queue's tail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import InvariantBroken

if TYPE_CHECKING:
    from engine.simulation import Simulation


def check(simulation: Simulation) -> None:
    """Between timers. Costs a few sums. Raises `InvariantBroken`."""
    ledger = simulation.ledger
    held = alive = 0
    for node, account in ledger.accounts.items():
        _, wire, ready, unacked, waiting, working, done, dead, expired, dropped, lost = account.places
        in_hold = ready + unacked + waiting + dead
        in_life = in_hold + wire + working
        if in_life + done + expired + dropped + lost != account.owed:
            what = f"destination {node} is owed {account.owed} copies, its places are {account.places}"
            _broken(simulation, what)
        held += in_hold
        alive += in_life
    in_brokers = 0
    for broker in simulation.brokers:
        in_brokers += sum(map(sum, broker.queue_counts().values()))
    if not held <= in_brokers <= held + ledger.superseded:
        _broken(simulation, f"the ledger counts {held} copies in brokers, the brokers hold {in_brokers}")
    if alive + ledger.superseded != len(ledger.copies):
        _broken(simulation, f"{len(ledger.copies)} copies are alive, the places say {alive}")


def check_wholly(simulation: Simulation) -> None:
    """Every copy by itself: as `check`, and queue by queue. Costs a pass over all that is alive."""
    check(simulation)
    ledger = simulation.ledger
    ready: dict[int, int] = {}
    for record in ledger.copies.values():
        if record.ready:
            ready[record.queue] = ready.get(record.queue, 0) + 1
    for broker in simulation.brokers:
        for node, counts in broker.queue_counts().items():
            if ready.get(node, 0) != counts[0]:
                _broken(simulation, f"node {node} has {counts[0]} ready, the ledger {ready.get(node, 0)}")
    unacked = sum(ledger.in_flight.values())
    in_brokers = sum(c[1] for b in simulation.brokers for c in b.queue_counts().values())
    # What waits in a broker's socket behind a cut is unacked, but has not gone to its holder yet.
    waiting = sum(len(link.down_waiting) for link in simulation.links)
    if not unacked <= in_brokers <= unacked + waiting:
        _broken(simulation, f"{in_brokers} deliveries are unacked, the ledger knows the holders of {unacked}")


def _broken(simulation: Simulation, what: str) -> None:
    raise InvariantBroken(f"{simulation.where()}: {what}")
