"""Every recorded case of Kafka: the model does what Kafka 4.4's broker and clients did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.conformance import kafka
from engine.conformance.case import Observed, Step, System, run
from engine.kafka.broker import Kafka, KafkaState

FOLDER = Path(__file__).parent / "kafka"
CASES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_model_does_what_the_broker_was_seen_to_do(path: Path) -> None:
    verdict = run(path, {"kafka": kafka.SYSTEM})
    assert verdict.passed, f"step {verdict.step}: expected {verdict.expected}, got {verdict.got}"


class Restored(kafka.KafkaPlayer):
    """After every step the cluster is written down and read again."""

    def play(self, step: Step) -> Observed:
        seen = super().play(step)
        held = msgspec.msgpack.encode(self.kafka.state())
        state = msgspec.msgpack.decode(held, type=KafkaState)
        self.kafka = Kafka.from_state(self.kernel, state, 0, self)
        assert msgspec.msgpack.encode(self.kafka.state()) == held
        return seen


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_cluster_restored_after_every_step_does_the_same(path: Path) -> None:
    verdict = run(path, {"kafka": System(Restored, kafka.alike)})
    assert verdict.passed, f"step {verdict.step}: expected {verdict.expected}, got {verdict.got}"


def test_all_recorded_cases_are_here() -> None:
    assert len(CASES) >= 130


def test_an_action_or_an_argument_that_nobody_knows_fails_the_case(tmp_path: Path) -> None:
    for strange in ({"do": "compress", "topic": "t"}, {"do": "offsets", "topic": "t", "colour": 1}):
        assert not _verdict(tmp_path, strange).passed


@pytest.mark.parametrize(
    "step",
    [
        {"do": "partition_for", "key": "a", "partitions": [3], "partitioner": "fnv"},
        {"do": "produce", "topic": "t", "records": [["k", "v"]], "acks": 2},
        {"do": "fetch", "topic": "t", "partition": 0, "offset": 0, "isolation": "serializable"},
        {"do": "marker_raw", "topic": "t", "partition": 0, "pid": 1, "epoch": 0, "type": "prepare"},
        {"do": "join", "group": "g", "member": "m", "topics": ["t"], "assignor": "uniform"},
        {"do": "join", "group": "g", "member": "m", "topics": ["t"], "reset": "middle"},
    ],
    ids=lambda step: step["do"],
)
def test_a_value_that_the_format_does_not_have_is_named(tmp_path: Path, step: dict[str, Any]) -> None:
    create = {"do": "create_topic", "topic": "t", "partitions": 1, "observed": {"ok": True}}
    verdict = _verdict(tmp_path, create, step)
    assert verdict.step == 2
    assert "is one of" in verdict.got


def test_a_wrong_observation_fails_the_case(tmp_path: Path) -> None:
    create = {"do": "create_topic", "topic": "t", "partitions": 1, "observed": {"ok": True}}
    ends = {"log_start": 0, "high_watermark": 0, "last_stable": 0}
    right = {"do": "offsets", "topic": "t", "partition": 0, "observed": ends}
    wrong = {**right, "observed": {**ends, "last_stable": 1}}
    assert _verdict(tmp_path, create, right).passed
    assert _verdict(tmp_path, create, wrong).step == 2


def _verdict(folder: Path, *steps: dict[str, Any]) -> Any:
    path = folder / "case.json"
    path.write_bytes(msgspec.json.encode({"system": "kafka", "name": "case", "steps": list(steps)}))
    return run(path, {"kafka": kafka.SYSTEM})
