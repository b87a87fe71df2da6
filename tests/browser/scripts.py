"""Event scripts to test the browser with.

`post_office` is a small run of the engine (fan-out, receipts, a crash) whose first moments are known.
`random_script` is seeded nonsense that obeys the vocabulary's own grammar: for properties of the fold.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine import events as e
from engine.commands import AnyCommand
from engine.rabbitmq import events as r
from engine.scenario import Scenario, from_data
from engine.simulation import Simulation
from engine.wire import decode

TICK_US = 25_000

ORDERS, BILLING, EMAIL, SHOP, CASHIER, WRITER = range(1, 7)
"""Nodes of the post office, numbered as the engine does."""
KINDS = ["ana", "ben", "cho", "dee"]


def wire(events: list[Any]) -> list[Any]:
    """Events as the arrays that travel."""
    return msgspec.json.decode(msgspec.json.encode(events))


def chunk(events: list[Any], *, tick: int = 0, n: int = 400, first: int = 1, state: tuple[Any, ...] = (),
          last: bool = False) -> dict[str, Any]:  # fmt: skip
    """A chunk as the history serves it, of the events that fall into its ticks."""
    inside = [x for x in events if tick * TICK_US <= x.at_us < (tick + n) * TICK_US]
    return {"tick": tick, "n": n, "first": first, "state": wire(list(state)), "events": wire(inside),
            "digest": f"d{tick + n}", "last": last}  # fmt: skip


@dataclass
class Film:
    """Facts in order. Each `say` returns the fact's number."""

    events: list[Any] = field(default_factory=list)

    def say(self, event: Any) -> int:
        self.events.append(event)
        return len(self.events)


def stage(film: Film) -> None:
    """The nodes and wires of the post office."""
    nodes = [(SHOP, "producer", "shop", "2 per s"), (ORDERS, "exchange", "orders", ""),
             (BILLING, "queue", "billing", ""), (EMAIL, "queue", "email", ""),
             (CASHIER, "consumer", "billing worker", "1 s each"), (WRITER, "consumer", "email worker", "2 s each")]  # fmt: skip
    for node, kind, name, about in nodes:
        film.say(e.NodeAdded(0, 0, node, kind, name, "broker", about))
    film.say(r.ExchangeDeclared(0, 0, ORDERS, "fanout", False))
    for queue in (BILLING, EMAIL):
        film.say(r.QueueDeclared(0, 0, queue, "classic", {}))
    film.say(e.WireAdded(0, 0, SHOP, ORDERS, "publish", ""))
    for queue, worker, prefetch in ((BILLING, CASHIER, 2), (EMAIL, WRITER, 2)):
        film.say(e.WireAdded(0, 0, ORDERS, queue, "binding", ""))
        film.say(e.WireAdded(0, 0, queue, worker, "consume", ""))
        film.say(r.ConsumerRegistered(0, 0, worker, queue, prefetch, 0, False, False))


LATENCY_US = 400_000


def post_office_scenario() -> Scenario:
    """Orders fan out to two queues; the e-mail worker crashes at 7.2 s with what it holds."""
    workers = (("billing worker", "billing", "500ms"), ("email worker", "email", "2s"))
    return from_data({
        "format": 1, "title": "post office", "length": "60s", "kinds": KINDS,
        "system": [{"name": "broker", "kind": "rabbitmq", "link": "400ms",
                    "exchanges": [{"name": "orders", "type": "fanout"}],
                    "queues": [{"name": "billing"}, {"name": "email"}],
                    "bindings": [{"exchange": "orders", "queue": q} for q in ("billing", "email")]}],
        "producer": [{"name": "shop", "system": "broker", "to": {"exchange": "orders"}, "keys": KINDS,
                      "start": "300ms", "arrivals": {"every": "600ms"}}],
        "consumer": [{"name": name, "system": "broker", "from": {"queue": queue}, "prefetch": 2,
                      "work": {"constant": work}} for name, queue, work in workers],
        "fault": [{"at": "7.2s", "do": "crash", "target": "email worker"}],
    })  # fmt: skip


def post_office(until_us: int = 30_000_000, *journal: tuple[int, AnyCommand]) -> list[Any]:
    """What happens in the post office, with these commands (at_us, command)."""
    simulation = Simulation(post_office_scenario(), 1)
    for n, (at_us, command) in enumerate(journal, 1):
        simulation.apply_at(at_us, command, n)
    while not simulation.advance(until_us):
        pass
    assert simulation.ticks is not None
    return [event for tick in simulation.ticks.take() for event in decode(tick.events)]


def random_script(seed: int, length: int = 1_500, until_us: int = 20_000_000, copies: int = 0) -> list[Any]:
    """A run of facts that only the grammar binds: tokens are placed, moved and gone in any order.

    Copies count on from `copies`.
    """
    chance = random.Random(seed)
    film = Film()
    stage(film)
    alive: list[int] = []
    sent = 0
    for at_us in sorted(chance.randrange(until_us) for _ in range(length)):
        act = chance.choice(ACTS)
        if act == "new":
            copies += 1
            alive.append(copies)
            new_copy(film, chance, at_us, copies)
        elif act == "sent":
            sent += 1
            arrive_us = at_us + chance.randrange(900_000)
            film.say(e.Sent(at_us, 0, sent, "publish", chance.randrange(50), SHOP, ORDERS, arrive_us))
        elif act == "lost":
            film.say(e.SignalLost(at_us, 0, chance.randrange(sent + 1)))
        elif alive:
            film.say(ON_TOKENS[act](chance, at_us, alive))
    return film.events


def new_copy(film: Film, chance: random.Random, at_us: int, copy: int) -> None:
    queue = chance.choice([BILLING, EMAIL])
    key = chance.choice(["", *KINDS])
    film.say(e.MessageCreated(at_us, 0, copy, SHOP, key, chance.random() < 0.1))
    film.say(e.Routed(at_us, 0, copy, ORDERS, (e.Owed(copy, queue),)))
    film.say(e.Placed(at_us, 0, copy, 0, queue, "ready", chance.randrange(-1, 20)))


def _place(chance: random.Random, at_us: int, alive: list[int]) -> Any:
    zone = chance.choice(["ready", "unacked", "delayed", "prefetched"])
    node = chance.choice([BILLING, EMAIL, CASHIER])
    return e.Placed(at_us, 0, chance.choice(alive), chance.randrange(3), node, zone, chance.randrange(-1, 9))


def _move(chance: random.Random, at_us: int, alive: list[int]) -> Any:
    source, target = chance.choice([BILLING, EMAIL]), chance.choice([CASHIER, WRITER])
    arrive_us = at_us + chance.randrange(1_000, 900_000)
    keeps = chance.choice(["", "unacked"])
    return e.Moved(at_us, 0, chance.choice(alive), chance.randrange(1, 4), source, target, arrive_us, keeps)


def _work(chance: random.Random, at_us: int, alive: list[int]) -> Any:
    return e.WorkStarted(at_us, 0, chance.choice(alive), chance.randrange(1, 4), CASHIER, at_us + 500_000)


def _finish(chance: random.Random, at_us: int, alive: list[int]) -> Any:
    return e.WorkFinished(at_us, 0, chance.choice(alive), chance.randrange(1, 4), CASHIER, True, "")


def _left(chance: random.Random, at_us: int, alive: list[int]) -> Any:
    copies = tuple(chance.sample(alive, min(3, len(alive))))
    return e.Left(at_us, 0, copies, chance.randrange(3), BILLING, "purged")


def _settle(chance: random.Random, at_us: int, alive: list[int]) -> Any:
    return e.Settled(at_us, 0, (chance.choice(alive),), BILLING, chance.choice(["", "ready"]), "unacked")


def _node(chance: random.Random, at_us: int, alive: list[int]) -> Any:
    return e.NodeStateChanged(at_us, 0, CASHIER, chance.choice(["up", "slow", "crashed"]), "")


def _requeue(chance: random.Random, at_us: int, alive: list[int]) -> Any:
    return r.Requeued(at_us, 0, chance.choice(alive), EMAIL, True, 1)


def _die(chance: random.Random, at_us: int, alive: list[int]) -> Any:
    return r.DeadLettered(at_us, 0, chance.choice(alive), BILLING, "expired", "", 1)


ON_TOKENS: dict[str, Callable[[random.Random, int, list[int]], Any]] = {
    "place": _place, "move": _move, "work": _work, "finish": _finish, "left": _left, "settle": _settle,
    "node": _node, "requeue": _requeue, "die": _die,
}  # fmt: skip
ACTS = ["new", "new", "sent", "lost", *ON_TOKENS]
