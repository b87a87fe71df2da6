"""Every recorded case of RabbitMQ, for each version that it names: the model does what the broker did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.conformance import rabbitmq
from engine.conformance.case import System, run
from engine.rabbitmq import operations as ops

FOLDER = Path(__file__).parent / "rabbitmq"
CASES = sorted(FOLDER.glob("*.json"))


def one_version(path: Path, version: str, folder: Path) -> Path:
    """The case as if it named only `version`."""
    case = json.loads(path.read_text(encoding="utf-8"))
    alone = folder / path.name
    alone.write_text(json.dumps({**case, "versions": [version]}), encoding="utf-8")
    return alone


@pytest.mark.parametrize(
    ("path", "version"),
    [(p, v) for p in CASES for v in json.loads(p.read_text(encoding="utf-8"))["versions"]],
    ids=lambda value: value.stem if isinstance(value, Path) else value,
)
def test_the_model_does_what_the_broker_was_seen_to_do(path: Path, version: str, tmp_path: Path) -> None:
    verdict = run(one_version(path, version, tmp_path), {"rabbitmq": rabbitmq.SYSTEM})
    assert verdict.passed, f"step {verdict.step}: expected {verdict.expected}, got {verdict.got}"


class AtLength(rabbitmq.RabbitMQPlayer):
    """Spells out the properties that a message does not have, so that it goes the broker's general way."""

    def say(self, channel: str, operation: Any) -> Any:
        if isinstance(operation, ops.BasicPublish):
            spelled_out = msgspec.structs.replace(operation.properties)
            operation = msgspec.structs.replace(operation, properties=spelled_out)
        return super().say(channel, operation)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_general_way_does_what_the_fast_way_does(path: Path) -> None:
    """Plain messages take a fast way through the broker, here they are made to take the other."""
    verdict = run(path, {"rabbitmq": System(AtLength, rabbitmq.alike)})
    assert verdict.passed, f"step {verdict.step}: expected {verdict.expected}, got {verdict.got}"


def test_all_recorded_cases_are_here() -> None:
    assert len(CASES) >= 175
