"""Random scripts, played on a live RabbitMQ 3.10 and on the model: no difference may be seen.

A script is a function of its profile and seed, so a failure names what to play again:
`case("quorum", 17)`. More of them: MAILROOM_DIFFERENTIAL_SEEDS=100 (default 2 a profile, from
MAILROOM_DIFFERENTIAL_FROM on).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from engine.conformance.rabbitmq_observed import alike
from tests.conformance.scripts_rabbitmq import PROFILES, case

VERSION = "3.10"
SEEDS = int(os.environ.get("MAILROOM_DIFFERENTIAL_SEEDS", "2"))
FIRST = int(os.environ.get("MAILROOM_DIFFERENTIAL_FROM", "1000"))
QUIET_S = (0.06, 0.4)
"""A script that differs is played once more, with more time for the node to fall silent."""


@pytest.fixture(scope="session")
def node() -> Iterator[Any]:
    pytest.importorskip("pika", reason="NOT RUN: needs pika")
    from tests.conformance.live_rabbitmq import Node

    running = Node()
    try:
        if not running.version.startswith(VERSION):
            pytest.skip(f"NOT RUN: needs rabbitmq {VERSION}, here is {running.version}")
        yield running
    finally:
        running.stop()


def difference(node: Any, script: dict[str, Any], quiet_s: float) -> str:
    """The first step at which the live node does something else, "" for none."""
    from tests.conformance.live_rabbitmq import LivePlayer

    player = LivePlayer(node, quiet_s)
    try:
        for number, step in enumerate(script["steps"], 1):
            seen = player.play(step)
            if not alike(script, step, VERSION, step["observed"], seen):
                return f"step {number}, {step}\n  live: {seen}"
    finally:
        player.clean()
    return ""


@pytest.mark.needs("rabbitmq")
@pytest.mark.parametrize("profile", PROFILES)
def test_the_live_broker_and_the_model_cannot_be_told_apart(profile: str, node: Any) -> None:
    for seed in range(FIRST, FIRST + SEEDS):
        # Given a script and what the model did
        script = case(profile, seed)
        # When a real broker plays it (again, and slower, if it seems to differ)
        told = difference(node, script, QUIET_S[0]) and difference(node, script, QUIET_S[1])
        # Then it does the same, step by step
        assert not told, f"case({profile!r}, {seed}): {told}"
