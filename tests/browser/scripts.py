"""Event scripts made by hand, in the engine's vocabulary: a picture to test with where no engine is wanted.

`post_office` is a small film (fan-out, receipts, a crash) whose every moment is known here.
`random_script` is seeded nonsense that obeys the vocabulary's own grammar: for properties of the fold.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine import events as e
from engine.rabbitmq import events as r

TICK_US = 25_000

SHOP, ORDERS, BILLING, EMAIL, CASHIER, WRITER = range(1, 7)
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


@dataclass
class Post:
    """What the film's author knows: lines of copies, and what each worker holds."""

    ready: dict[int, list[int]] = field(default_factory=lambda: {BILLING: [], EMAIL: []})
    held: dict[int, list[int]] = field(default_factory=lambda: {CASHIER: [], WRITER: []})
    working: dict[int, int] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)
    down: set[int] = field(default_factory=set)


READS = {CASHIER: BILLING, WRITER: EMAIL}
TAKES_US = {CASHIER: 500_000, WRITER: 2_000_000}
LATENCY_US = 400_000


def post_office(until_us: int = 30_000_000, crash_us: int = 7_200_000, every_us: int = 600_000) -> list[Any]:
    """Orders fan out to two queues; the e-mail worker crashes at `crash_us` with what it holds."""
    film, post = Film(), Post()
    stage(film)
    agenda: list[tuple[int, int, Any]] = []
    serial = iter(range(10**9))

    def later(at_us: int, act: Any) -> None:
        agenda.append((at_us, next(serial), act))

    def publish(now: int, message: int = 1) -> None:
        cause = film.say(e.MessageCreated(now, 0, message, SHOP, KINDS[(message * 7 // 3) % 4], False))
        sent = film.say(e.Sent(now, cause, message, "publish", message, SHOP, ORDERS, now + LATENCY_US))
        later(now + LATENCY_US, lambda t: route(t, message, sent))
        later(now + every_us, lambda t: publish(t, message + 1))

    def route(now: int, message: int, sent: int) -> None:
        copies = (e.Owed(message * 2, BILLING), e.Owed(message * 2 + 1, EMAIL))
        routed = film.say(e.Routed(now, sent, message, ORDERS, copies))
        for owed in copies:
            line = post.ready[owed.destination]
            film.say(e.Placed(now, routed, owed.copy, 0, owed.destination, "ready", len(line)))
            film.say(e.Settled(now, routed, (owed.copy,), owed.destination, "", "ready"))
            line.append(owed.copy)
        for worker in (CASHIER, WRITER):
            deliver(now, worker, routed)

    def deliver(now: int, worker: int, cause: int) -> None:
        queue = READS[worker]
        while worker not in post.down and post.ready[queue] and len(post.held[worker]) < 2:
            copy = post.ready[queue].pop(0)
            post.held[worker].append(copy)
            attempt = post.attempts[copy] = post.attempts.get(copy, 0) + 1
            moved = film.say(e.Moved(now, cause, copy, attempt, queue, worker, now + LATENCY_US, "unacked"))
            film.say(e.Settled(now, moved, (copy,), queue, "ready", "unacked"))
            if attempt > 1:
                film.say(e.Tallied(now, moved, queue, "duplicated_deliveries", copy, 0))
            later(now + LATENCY_US, lambda t, c=copy, a=attempt, m=moved: arrive(t, worker, c, a, m))

    def arrive(now: int, worker: int, copy: int, attempt: int, cause: int) -> None:
        if copy not in post.held[worker]:
            return
        if worker in post.working:
            film.say(e.Placed(now, cause, copy, attempt, worker, "prefetched", -1))
        else:
            start(now, worker, copy, attempt, cause)

    def start(now: int, worker: int, copy: int, attempt: int, cause: int) -> None:
        post.working[worker] = copy
        begun = film.say(e.WorkStarted(now, cause, copy, attempt, worker, now + TAKES_US[worker]))
        later(now + TAKES_US[worker], lambda t: finish(t, worker, copy, attempt, begun))

    def finish(now: int, worker: int, copy: int, attempt: int, cause: int) -> None:
        if post.working.get(worker) != copy:
            return
        del post.working[worker]
        done = film.say(e.WorkFinished(now, cause, copy, attempt, worker, True, ""))
        ack = film.say(
            e.Sent(now, done, 100_000 + copy, "ack", copy, worker, READS[worker], now + LATENCY_US)
        )
        later(now + LATENCY_US, lambda t: acked(t, worker, copy, ack))
        waiting = [c for c in post.held[worker] if c != copy and post.attempts[c]]
        for other in waiting[:1]:
            start(now, worker, other, post.attempts[other], done)

    def acked(now: int, worker: int, copy: int, cause: int) -> None:
        if copy not in post.held[worker]:
            return
        post.held[worker].remove(copy)
        left = film.say(e.Left(now, cause, (copy,), 0, READS[worker], "acknowledged"))
        film.say(e.Settled(now, left, (copy,), READS[worker], "unacked", "done"))
        deliver(now, worker, cause)

    def crash(now: int, worker: int) -> None:
        told = film.say(e.Commanded(now, 0, "CrashConsumer", worker, ""))
        crashed = film.say(e.NodeStateChanged(now, told, worker, "crashed", "crashed"))
        post.down.add(worker)
        for copy in post.held[worker]:
            film.say(e.Left(now, crashed, (copy,), post.attempts[copy], worker, "crashed"))
        post.working.pop(worker, None)
        later(now + LATENCY_US, lambda t: closed(t, worker, crashed))

    def closed(now: int, worker: int, cause: int) -> None:
        queue = READS[worker]
        shut = film.say(r.ChannelClosed(now, cause, worker, "socket", ""))
        film.say(e.WireRemoved(now, shut, queue, worker, "consume", ""))
        for place, copy in enumerate(sorted(post.held[worker])):
            again = film.say(r.Requeued(now, shut, copy, queue, True, -1))
            film.say(e.Placed(now, again, copy, 0, queue, "ready", place))
            film.say(e.Settled(now, again, (copy,), queue, "unacked", "ready"))
            post.ready[queue].insert(place, copy)
        post.held[worker] = []

    later(300_000, publish)
    if crash_us:
        later(crash_us, lambda t: crash(t, WRITER))
    while agenda:
        agenda.sort(key=lambda entry: entry[:2])
        at_us, _, act = agenda.pop(0)
        if at_us >= until_us:
            break
        act(at_us)
    return film.events


ACTS = ["new", "new", "place", "move", "work", "finish", "left", "sent", "lost", "settle", "node", "requeue"]


def random_script(seed: int, length: int = 1_500, until_us: int = 20_000_000, copies: int = 0) -> list[Any]:
    """A run of facts that only the grammar binds: tokens are placed, moved and gone in any order. Copies count on from `copies`."""
    chance = random.Random(seed)
    film = Film()
    stage(film)
    alive: list[int] = []
    sent = 0
    for at_us in sorted(chance.randrange(until_us) for _ in range(length)):
        match chance.choice(ACTS):
            case "new":
                copies += 1
                alive.append(copies)
                queue = chance.choice([BILLING, EMAIL])
                film.say(
                    e.MessageCreated(
                        at_us, 0, copies, SHOP, chance.choice(["", *KINDS]), chance.random() < 0.1
                    )
                )
                film.say(e.Routed(at_us, 0, copies, ORDERS, (e.Owed(copies, queue),)))
                film.say(e.Placed(at_us, 0, copies, 0, queue, "ready", chance.randrange(-1, 20)))
            case "place" if alive:
                film.say(e.Placed(at_us, 0, chance.choice(alive), chance.randrange(3), chance.choice([BILLING, EMAIL, CASHIER]),
                                  chance.choice(["ready", "unacked", "delayed", "prefetched"]), chance.randrange(-1, 9)))  # fmt: skip
            case "move" if alive:
                film.say(e.Moved(at_us, 0, chance.choice(alive), chance.randrange(1, 4), chance.choice([BILLING, EMAIL]),
                                 chance.choice([CASHIER, WRITER]), at_us + chance.randrange(1_000, 900_000),
                                 chance.choice(["", "unacked"])))  # fmt: skip
            case "work" if alive:
                film.say(
                    e.WorkStarted(
                        at_us, 0, chance.choice(alive), chance.randrange(1, 4), CASHIER, at_us + 500_000
                    )
                )
            case "finish" if alive:
                film.say(
                    e.WorkFinished(at_us, 0, chance.choice(alive), chance.randrange(1, 4), CASHIER, True, "")
                )
            case "left" if alive:
                film.say(
                    e.Left(
                        at_us,
                        0,
                        tuple(chance.sample(alive, min(3, len(alive)))),
                        chance.randrange(3),
                        BILLING,
                        "purged",
                    )
                )
            case "sent":
                sent += 1
                film.say(
                    e.Sent(
                        at_us,
                        0,
                        sent,
                        "publish",
                        chance.randrange(50),
                        SHOP,
                        ORDERS,
                        at_us + chance.randrange(900_000),
                    )
                )
            case "lost" if sent:
                film.say(e.SignalLost(at_us, 0, chance.randrange(1, sent + 1)))
            case "settle" if alive:
                film.say(
                    e.Settled(
                        at_us, 0, (chance.choice(alive),), BILLING, chance.choice(["", "ready"]), "unacked"
                    )
                )
            case "node":
                film.say(e.NodeStateChanged(at_us, 0, CASHIER, chance.choice(["up", "slow", "crashed"]), ""))
            case "requeue" if alive:
                film.say(r.Requeued(at_us, 0, chance.choice(alive), EMAIL, True, 1))
    return film.events
