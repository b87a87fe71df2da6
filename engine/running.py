"""`python -m engine run`: one scenario from its start, every event a line, the ledger and digest last."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from engine.durations import duration_us
from engine.errors import EngineError
from engine.scenario import load
from engine.simulation import Simulation
from engine.wire import decode, spelled


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 well, 1 the run failed, 2 the call's words are off."""
    try:
        options = _options(arguments)
    except ValueError as error:
        print(f"engine run: {error}", file=sys.stderr)
        return 2
    try:
        run(**options)  # type: ignore[arg-type]
    except EngineError as error:
        print(f"engine run: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stderr.close()
    return 0


def run(path: Path, seed: int | None, until_us: int | None, as_json: bool) -> None:
    """Print a whole run. Raises `EngineError`."""
    scenario = load(path)
    simulation = Simulation(scenario, scenario.seed if seed is None else seed)
    assert simulation.ticks is not None
    end_us = scenario.length_us if until_us is None else min(until_us, scenario.length_us)
    done = False
    while not done:
        done = simulation.advance(end_us)
        for tick in simulation.ticks.take():
            if as_json:
                for event in decode(tick.events):
                    print(json.dumps(spelled(event), separators=(",", ":")))
    last = {"ledger": simulation.totals(), "digest": simulation.digest()}
    if as_json:
        print(json.dumps(last, separators=(",", ":")))
        return
    print(f"{scenario.title}: {simulation.number} events in {simulation.now_us / 1e6:g} simulated seconds")
    for name, count in simulation.totals().items():
        print(f"  {name:22} {count}")
    print(f"  {'digest':22} {simulation.digest()}")


def _options(arguments: list[str]) -> dict[str, object]:
    options: dict[str, object] = {"path": None, "seed": None, "until_us": None, "as_json": False}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--json":
            options["as_json"] = True
        elif word in ("--seed", "--until"):
            if not rest:
                raise ValueError(f"{word} needs a value")
            value = rest.pop(0)
            if word == "--seed":
                if not value.isdecimal():
                    raise ValueError(f"--seed: expected a whole number, got {value!r}")
                options["seed"] = int(value)
            else:
                options["until_us"] = int(duration_us(value))
        elif word.startswith("-"):
            raise ValueError(f"unknown option {word}")
        elif options["path"] is None:
            options["path"] = Path(word)
        else:
            raise ValueError(f"one scenario at a time, got also {word}")
    if options["path"] is None:
        raise ValueError("which scenario?")
    return options
