"""What can go wrong in the engine itself. A broker's refusal is no error: it is a `Reply`."""

from __future__ import annotations

from collections.abc import Sequence


class EngineError(Exception):
    """Base of everything the engine raises."""


class ScenarioError(EngineError):
    """A scenario that cannot be run. `problems` are lines of the form `path: expected …, got …`."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class CommandError(EngineError):
    """A command that cannot be applied now; the text says why and what would be right."""


class RunOver(CommandError):
    """The run has reached its end (length, messages or copies): its clock stands."""

    def __init__(self) -> None:
        super().__init__("the run is over: act earlier or start anew")


class EndlessInstant(EngineError):
    """A loop without delay. `steps` are the (owner, timer name) pairs that keep scheduling each other."""

    def __init__(self, at_us: int, steps: Sequence[tuple[int, str]]) -> None:
        self.at_us = at_us
        self.steps = list(steps)
        super().__init__(self.describe([str(owner) for owner, _ in self.steps]))

    def describe(self, owners: Sequence[str]) -> str:
        """The same error with names instead of owner indices."""
        cycle = " → ".join(f"{owner} ({what})" for owner, (_, what) in zip(owners, self.steps, strict=True))
        return f"a loop without delay at {self.at_us} µs: {cycle}"


class InvariantBroken(EngineError):
    """The engine contradicts itself; names the scenario, the seed and the journal position."""
