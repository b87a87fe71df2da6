"""What looks for bugs in an engine: the recorded cases, storms of random journals, and replay.

Runs inside a copy of the engine, as a program of its own: `python detectors.py CASES [SENTENCE]`, with
the folder of the recorded cases and, where one is expected, the sentence that a storm is to end with.
It prints one JSON object: detector → what it found, empty where it was quiet.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from soundness import unsound

from engine import commands as c
from engine.conformance import rabbitmq
from engine.conformance.case import System, run
from engine.errors import InvariantBroken
from engine.events import EffectApplied, MessageCreated, NodeAdded, WorkStarted
from engine.rabbitmq import operations as amqp
from engine.scenario import Scenario, from_data
from engine.wire import decode
from tests.engine.playing import BUSY, Journal, busy, play

STORMS = 28
REPLAYS = 3

VARIED = tomllib.loads(Path(__file__).with_name("varied.toml").read_text(encoding="utf-8"))

VISITOR = {
    "name": "visitor", "system": "broker", "from": {"queue": "dead"}, "prefetch": 1,
    "work": {"uniform": ["20ms", "90ms"]}, "fail": {"probability": 0.5},
    "retry": {"do": "requeue", "by": "nack", "limit": 2},
}  # fmt: skip


def scenarios() -> list[Scenario]:
    return [BUSY, from_data(VARIED)]


# -- journals ---------------------------------------------------------------------------------------


def journal(scenario: Scenario, seed: int) -> Journal:
    """What people might do to this room: up to 25 random commands and three episodes, in order of time."""
    chance = random.Random(f"{scenario.title}/{seed}")
    entries: Journal = []
    for _ in range(chance.randint(0, 25)):
        entries.append((chance.randint(1, scenario.length_us - 100_000), _command(scenario, chance)))
    for _ in range(chance.randint(0, 3)):
        entries += _episode(scenario, chance)
    return sorted(entries, key=lambda entry: entry[0])


def _episode(scenario: Scenario, chance: random.Random) -> Journal:
    """Several commands that only together lead into a corner."""
    at_us = chance.randint(1_000_000, scenario.length_us - 4_000_000)
    consumer = chance.choice(scenario.consumer)
    name, queue = consumer.name, consumer.from_.queue
    if chance.random() < 0.5:
        return [
            (at_us, c.CrashConsumer(name)),
            (at_us + 90_000, c.PurgeQueue("broker", queue)),
            (at_us + 400_000, c.RestartConsumer(name)),
        ]
    heartbeat_us = int(scenario.system[0].heartbeat)
    return [
        (at_us, c.SlowConsumer(name, 20_000)),
        (at_us + 300_000, c.CutLink(name)),
        (at_us + 350_000 + heartbeat_us, c.RestoreLink(name)),
        (at_us + 400_000 + heartbeat_us, c.SlowConsumer(name, 1_000)),
    ]


def _command(scenario: Scenario, chance: random.Random) -> c.AnyCommand:
    consumer = chance.choice(scenario.consumer).name
    producer = chance.choice(scenario.producer).name
    anyone = chance.choice([consumer, producer])
    queue = chance.choice(scenario.system[0].queues).name
    possible: list[c.AnyCommand] = [
        c.CrashConsumer(consumer), c.CrashConsumer(consumer), c.RestartConsumer(consumer),
        c.RestartConsumer(consumer), c.StopConsumer(consumer),
        c.SlowConsumer(consumer, chance.choice([100, 1_000, 8_000])),
        c.CrashProducer(producer), c.RestartProducer(producer), c.PauseProducer(producer),
        c.ResumeProducer(producer), c.PoisonNext(producer),
        c.PublishNow(producer, chance.choice(["", "ana"]), chance.randint(1, 9)),
        c.SetRate(producer, chance.choice([0, 60, 900])),
        c.DropNextAck(anyone), c.CutLink(anyone), c.CutLink(anyone), c.RestoreLink(anyone),
        c.RestoreLink(anyone),
        c.SetPrefetch(consumer, chance.choice([0, 1, 5])),
        c.SetAcknowledge(consumer, chance.choice(["after work", "before work", "automatic"])),
        c.SetWork(consumer, chance.choice([0, 150_000, 900_000])),
        c.PurgeQueue("broker", queue),
    ]  # fmt: skip
    if queue != "dead":
        possible.append(c.Redrive("broker", "dead", queue))
    return chance.choice(possible)


# -- the recorded cases -----------------------------------------------------------------------------


class AtLength(rabbitmq.RabbitMQPlayer):
    """Spells out the properties that a message does not have, so that it goes the broker's general way."""

    def say(self, channel: str, operation: Any) -> Any:
        if isinstance(operation, amqp.BasicPublish):
            spelled_out = msgspec.structs.replace(operation.properties)
            operation = msgspec.structs.replace(operation, properties=spelled_out)
        return super().say(channel, operation)


def failing_cases(folder: Path) -> list[str]:
    """The recorded cases in which this engine does something else than the broker did.

    Each is played twice: as the runner does, then with plain messages on the general way.
    """
    found: dict[str, None] = {}
    for player, how in ((rabbitmq.RabbitMQPlayer, ""), (AtLength, " (general way)")):
        systems = {"rabbitmq": System(player, rabbitmq.alike)}
        for path in sorted(folder.glob("*.json")):
            if path.stem not in found and not run(path, systems).passed:
                found[path.stem + how] = None
    return list(found)


# -- storms -----------------------------------------------------------------------------------------


def broken_sentences(until: str) -> tuple[list[str], list[str]]:
    """The sentences with which storms end, each kind once: the engine's own, and those of `soundness`.

    Stops with the engine's first, or with `until`.
    """
    own: dict[str, None] = {}
    stricter: dict[str, None] = {}
    for seed in range(STORMS):
        for scenario in scenarios():
            sentence, further = storm(scenario, seed)
            if further:
                stricter[further] = None
            if sentence:
                own[sentence] = None
                if until in ("", sentence):
                    return list(own), list(stricter)
    return list(own), list(stricter)


def storm(scenario: Scenario, seed: int) -> tuple[str, str]:
    """One room with its journal: what the engine's invariants say of it, and what `soundness` does."""
    try:
        ticks, simulation = play(scenario, seed, journal(scenario, seed))
    except InvariantBroken as broken:
        return kind_of(str(broken).rpartition(": ")[2]), ""
    except Exception as error:
        return f"the run stops with {type(error).__name__}", ""
    try:
        return "", unsound(ticks, simulation)
    except Exception as error:
        return "", f"what the run says cannot be followed: {type(error).__name__}"


def kind_of(sentence: str) -> str:
    """The sentence without its numbers."""
    return re.sub(r"\[[^]]*\]|\d+", "N", sentence)


# -- replay -----------------------------------------------------------------------------------------


def differences() -> list[str]:
    """The first way of replaying a run that does not give the same run."""
    return next(([what] for what in _differences()), [])


def _differences() -> Iterator[str]:
    for seed in range(100, 100 + REPLAYS):
        for scenario in scenarios():
            entries = journal(scenario, seed)
            everywhere = frozenset(range(-1, len(entries) + 1))
            whole = outcome(scenario, seed, entries, 2_000, frozenset())
            if outcome(scenario, seed, entries, 23, frozenset()) != whole:
                yield "sliced by budget"
            if outcome(scenario, seed, entries, 400, everywhere) != whole:
                yield "restored from snapshots"
    if any(by_name(data, 5) != by_name(_visited(data), 5) for data in (busy(), VARIED)):
        yield "with one consumer more"
    if said_under("4711") != digests().strip():
        yield "under another hash seed"


def outcome(scenario: Scenario, seed: int, entries: Journal, budget: int, reload: frozenset[int]) -> str:
    """The last digest, or how the run stopped."""
    try:
        ticks, _ = play(scenario, seed, entries, budget, reload)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ticks[-1].digest.hex()


def _visited(data: dict[str, Any]) -> dict[str, Any]:
    """The same room, and one more consumer where nobody consumes."""
    return {**data, "consumer": [*data["consumer"], VISITOR]}


def by_name(data: dict[str, Any], seed: int) -> dict[str, list[Any]]:
    """What each actor drew, but the visitor: when it made messages, how long it worked."""
    scenario = from_data(data)
    drawn: dict[str, list[Any]] = {}
    names: dict[int, str] = {}
    try:
        ticks, _ = play(scenario, seed, [])
    except Exception as error:
        return {type(error).__name__: []}
    for tick in ticks:
        for event in decode(tick.events):
            if isinstance(event, NodeAdded):
                names[event.node] = event.name
            elif isinstance(event, MessageCreated):
                drawn.setdefault(names[event.node], []).append((event.at_us, event.key))
            elif isinstance(event, WorkStarted | EffectApplied):
                until_us = event.until_us if isinstance(event, WorkStarted) else 0
                drawn.setdefault(names[event.node], []).append((event.at_us, event.copy, until_us))
    drawn.pop("visitor", None)
    return drawn


def digests() -> str:
    """Of one run of each scenario."""
    return " ".join(outcome(scenario, 7, [], 2_000, frozenset()) for scenario in scenarios())


def said_under(hash_seed: str) -> str:
    """`digests` as another process says them."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    said = subprocess.run(
        [sys.executable, __file__, "digests"], capture_output=True, text=True, env=environment
    )
    return said.stdout.strip()


def main(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")
    if arguments == ["digests"]:
        print(digests())
        return
    cases, *expected = arguments
    own, stricter = broken_sentences("".join(expected))
    found = {
        "cases": failing_cases(Path(cases)), "invariants": own, "replay": differences(),
        "soundness": stricter,
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
