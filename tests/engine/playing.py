"""Scenarios that the engine's tests play, and one way to play them. Needs nothing but msgspec."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine import commands as c
from engine.errors import CommandError
from engine.invariants import check_wholly
from engine.scenario import Scenario, from_data
from engine.simulation import Simulation
from engine.ticks import Tick

SHIPPED = sorted((Path(__file__).parents[2] / "lessons" / "scenarios").rglob("*.toml"))


def busy(**changes: Any) -> dict[str, Any]:
    """A scenario in which most of what actors can do happens: two queues, retries, a dead-letter queue."""
    data = tomllib.loads("""
format = 1
title = "busy"
length = "20s"
kinds = ["ana", "ben", "cho"]

[[system]]
name = "broker"
kind = "rabbitmq"
link = "40ms"
heartbeat = "2s"
exchanges = [{ name = "orders", type = "fanout" }]
queues = [
  { name = "billing", arguments = { x-dead-letter-exchange = "", x-dead-letter-routing-key = "dead" } },
  { name = "email", type = "quorum", arguments = {x-delivery-limit = 3, x-dead-letter-exchange = "", x-dead-letter-routing-key = "dead"} },
  { name = "retry", retries_for = "billing", arguments = { x-dead-letter-exchange = "", x-dead-letter-routing-key = "billing" } },
  { name = "dead", dead_letters_for = "billing" },
]
bindings = [{ exchange = "orders", queue = "billing" }, { exchange = "orders", queue = "email" }]

[[producer]]
name = "shop"
system = "broker"
to = { exchange = "orders" }
arrivals = { poisson = "6/s" }
keys = ["ana", "ben", "cho"]
draw_keys = true
confirm = true
confirm_timeout = "1s"
poison = { every = 9 }

[[producer]]
name = "import"
system = "broker"
to = { queue = "billing" }
arrivals = { every = "3s", burst = 5 }
expiration = "4s"

[[consumer]]
name = "clerk"
system = "broker"
from = { queue = "billing" }
prefetch = 3
work = { exponential = "200ms" }
wrap_up = "50ms"
fail = { probability = 0.2 }
effect = { name = "charge", amount = 25, unit = "$" }
idempotency = { store = "seen", keep = "check then act" }
retry = { do = "republish", queue = "retry", backoff = "exponential", delay = "300ms", jitter = 0.3, limit = 3, then = "dead" }

[[consumer]]
name = "mailer"
system = "broker"
from = { queue = "email" }
prefetch = 4
work = { uniform = ["50ms", "250ms"] }
effect = { name = "e-mail" }
retry = { do = "requeue", by = "reject" }

[[consumer]]
name = "careless"
system = "broker"
from = { queue = "email" }
acknowledge = "automatic"
work = { constant = "300ms" }
effect = { name = "e-mail" }
""")  # fmt: skip
    return {**data, **changes}


BUSY: Scenario = from_data(busy())
Journal = list[tuple[int, c.AnyCommand]]


def play(
    scenario: Scenario,
    seed: int,
    entries: Journal,
    budget: int = 2_000,
    reload_at: frozenset[int] = frozenset(),
) -> tuple[list[Tick], Simulation]:
    """A whole run with its journal; reloaded from its own snapshot before these entries (-1: the end)."""
    simulation = Simulation(scenario, seed)
    ticks: list[Tick] = []

    def reload() -> None:
        nonlocal simulation
        assert simulation.ticks is not None
        ticks.extend(simulation.ticks.take())
        simulation = Simulation.restore(scenario, seed, simulation.snapshot())

    for n, (at_us, command) in enumerate(entries, 1):
        while not simulation.advance(at_us, budget):
            if n in reload_at:
                reload()
        if n in reload_at:
            reload()
        with suppress(CommandError):
            simulation.apply_at(at_us, command, n)
    while not simulation.advance(scenario.length_us, budget):
        if -1 in reload_at:
            reload()
    assert simulation.ticks is not None
    ticks.extend(simulation.ticks.take())
    check_wholly(simulation)
    return ticks, simulation
