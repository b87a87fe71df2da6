"""What became of one run that nobody watched: its ledger's counts and its latencies.

A mass run keeps no ticks, digests or checkpoints. It may begin in the middle: a `Past` is the run up to a
moment, played once; each future goes on from there with a seed of its own, as after a `Reseed` at that
moment in a room's journal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from engine.commands import AnyCommand, Reseed
from engine.errors import CommandError
from engine.events import EffectApplied, Event, MessageCreated
from engine.kafka.events import RecordsAppended, RecordsWorked
from engine.scenario import Scenario
from engine.simulation import BUDGET_EVENTS, Simulation

COUNTED = ("lost", "dropped", "dead", "duplicated_deliveries", "duplicated_effects", "out_of_order")
"""The ledger's names for what an outcome counts, over all destinations."""

Commands = Sequence[tuple[int, AnyCommand]]
"""Journal entries as (at_us, command), in the order of replay."""


class Outcome(msgspec.Struct, frozen=True):
    """Counts as `engine.ledger` names them. Latencies in µs, None where no effect happened at all."""

    sent: int
    lost: int
    dropped: int
    dead: int
    duplicated_deliveries: int
    duplicated_effects: int
    out_of_order: int
    p50_us: int | None
    p95_us: int | None


class Latencies:
    """From a message's making to its first effect at each destination, in µs, in order of the effects."""

    def __init__(self) -> None:
        self.made_us: list[int] = [0]
        """By message number; place 0 is nobody's."""
        self.seen: dict[tuple[int, int], None] = {}
        self.all_us: list[int] = []
        self.logs: dict[int, dict[int, int]] = {}
        """Of a Kafka partition's node, by offset: the message."""

    def hear(self, events: list[Event]) -> None:
        """Fold events in the order in which they happened."""
        for event in events:
            if type(event) is EffectApplied:
                done = (event.message, event.destination)
                if done not in self.seen:
                    self.seen[done] = None
                    self.all_us.append(event.at_us - self.made_us[event.message])
            elif type(event) is RecordsWorked:
                self._worked(event)
            elif type(event) is RecordsAppended:
                log = self.logs.setdefault(event.node, {})
                log.update(enumerate(event.messages, event.base))
            elif type(event) is MessageCreated:
                self.made_us.append(event.at_us)

    def _worked(self, event: RecordsWorked) -> None:
        log = self.logs[event.partition]
        for offset in range(event.first, event.next):
            message = log.get(offset, 0)
            done = (message, event.group)
            if (
                message
                and offset not in event.failed
                and offset not in event.skipped
                and done not in self.seen
            ):
                self.seen[done] = None
                self.all_us.append(event.at_us - self.made_us[message])

    def copy(self) -> Latencies:
        """One that goes on by itself."""
        other = Latencies()
        other.made_us, other.seen, other.all_us = self.made_us[:], dict(self.seen), self.all_us[:]
        other.logs = {node: dict(log) for node, log in self.logs.items()}
        return other


def percentile_us(all_us: Sequence[int], percent: int) -> int | None:
    """The nearest rank: the smallest that at least `percent` of all do not exceed. None of nothing."""
    if not all_us:
        return None
    return sorted(all_us)[-(-percent * len(all_us) // 100) - 1]


class Run:
    """A run that is simulated in portions: `work` until it says True, then `outcome`."""

    def __init__(self, simulation: Simulation, latencies: Latencies) -> None:
        self.simulation = simulation
        self.latencies = latencies
        simulation.listener = latencies.hear

    def work(self, budget: int = BUDGET_EVENTS) -> bool:
        """Simulate about `budget` events more; True at the run's end. Raises what `advance` raises."""
        return self.simulation.advance(self.simulation.scenario.length_us, budget)

    def outcome(self) -> Outcome:
        """The counts as they stand."""
        totals, all_us = self.simulation.totals(), self.latencies.all_us
        counts = {name: totals[name] for name in COUNTED}
        return Outcome(
            totals["sent"], **counts, p50_us=percentile_us(all_us, 50), p95_us=percentile_us(all_us, 95)
        )


class Past:
    """A scenario's run with `seed` and `entries` up to `moment_us`, for any number of futures.

    Raises `RunOver` when the run had ended by then. `pulse` is called between portions of the work.
    """

    def __init__(
        self, scenario: Scenario, seed: int, entries: Commands, moment_us: int,
        pulse: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.scenario, self.seed, self.moment_us = scenario, seed, moment_us
        self.entries = [entry for entry in entries if entry[0] <= moment_us]
        self.latencies = Latencies()
        self.snapshot = b""
        if moment_us or self.entries:
            self._play(pulse)

    def _play(self, pulse: Callable[[], None]) -> None:
        simulation = Simulation(self.scenario, self.seed, watched=False)
        simulation.listener = self.latencies.hear
        for n, (at_us, command) in enumerate(self.entries, 1):
            while not simulation.advance(at_us):
                pulse()
            with suppress(CommandError):  # refused in the room too
                simulation.apply_at(at_us, command, n)
        while not simulation.advance(self.moment_us):
            pulse()
        self.snapshot = simulation.snapshot()

    def future(self, seed: int) -> Run:
        """The run whose chance comes from `seed` behind the moment; from the start, a run of that seed."""
        if not self.snapshot:
            return Run(Simulation(self.scenario, seed, watched=False), Latencies())
        simulation = Simulation.restore(self.scenario, self.seed, self.snapshot)
        run = Run(simulation, self.latencies.copy())
        simulation.apply_at(self.moment_us, Reseed(seed), len(self.entries) + 1)
        return run
