"""`python -m engine conformance`: what it prints, what fails, and that nothing is passed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.conformance.cli import main

RECORDED = Path(__file__).parent / "rabbitmq" / "ack-multiple.json"
STEPS: list[dict[str, Any]] = [
    {"do": "declare_queue", "name": "q", "observed": {}},
    {"do": "publish", "routing_key": "q", "body": "m", "confirm": True, "observed": {"confirms": ["ack"]}},
    {"do": "stats", "queue": "q", "observed": {"stats": {"q": {"ready": 1, "unacked": 0, "consumers": 0}}}},
]


def write(folder: Path, steps: list[Any], **more: Any) -> Path:
    path = folder / "case.json"
    case = {"system": "rabbitmq", "name": "a case", "versions": ["4.3", "3.10"], "steps": steps, **more}
    path.write_text(json.dumps(case), encoding="utf-8")
    return path


def verdict(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, list[dict[str, Any]]]:
    status = main(["--json", *argv])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_case_that_agrees_passes_and_the_status_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(RECORDED)]) == 0
    assert capsys.readouterr().out == "1 passed, 0 failed\n"


def test_a_difference_is_printed_with_its_step_and_the_status_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a case whose third step claims another count
    wrong = [
        *STEPS[:2],
        {**STEPS[2], "observed": {"stats": {"q": {"ready": 2, "unacked": 0, "consumers": 0}}}},
    ]
    # When it is run
    status = main([str(write(tmp_path, wrong))])
    out = capsys.readouterr().out
    # Then the step, what was expected and what came are there, and the last line counts
    assert status == 1
    assert "a case (4.3): step 3, stats" in out
    assert 'expected {"stats": {"q": {"consumers": 0, "ready": 2' in out
    assert 'got      {"stats": {"q": {"consumers": 0, "ready": 1' in out
    assert out.splitlines()[-1] == "0 passed, 1 failed"


def test_json_gives_one_object_a_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, told = verdict(capsys, str(write(tmp_path, STEPS)), str(RECORDED))
    assert status == 0
    assert [(one["name"], one["system"], one["passed"]) for one in told] == [
        ("a case", "rabbitmq", True), ("ack-multiple", "rabbitmq", True),
    ]  # fmt: skip
    assert {"step", "expected", "got"} <= set(told[0])


@pytest.mark.parametrize(
    ("steps", "more"),
    [
        ([{"do": "teleport", "observed": {}}], {}),
        ([{"do": "purge", "queue": "q", "gently": True, "observed": {}}], {}),
        ([{"do": "publish", "routing_key": 5, "body": "m", "observed": {}}], {}),
        ([{"do": "ack", "consumer": "nobody", "body": "m", "observed": {}}], {}),
        ([{"do": "declare_queue", "observed": {}}], {}),
        ([{"observed": {}}], {}),
        (["wait"], {}),
        (STEPS, {"system": "activemq"}),
        (STEPS, {"versions": ["2.0"]}),
    ],
)
def test_what_the_runner_does_not_know_fails_and_is_never_passed_over(
    steps: list[Any], more: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = verdict(capsys, str(write(tmp_path, steps, **more)))
    assert status == 1
    assert not told[0]["passed"]
    assert isinstance(told[0]["got"], str)
    assert told[0]["got"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"steps": 3}', "\xff"])
def test_a_file_that_is_no_case_fails(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.json"
    path.write_text(text, encoding="latin-1")
    status, told = verdict(capsys, str(path), str(tmp_path / "missing.json"))
    assert status == 1
    assert [one["passed"] for one in told] == [False, False]


def test_a_folder_stands_for_its_cases_and_no_path_at_all_is_a_wrong_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, STEPS)
    assert main([str(tmp_path)]) == 0
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_true_is_not_1_and_a_missing_key_is_not_null(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = {"do": "get", "queue": "q", "auto_ack": True}
    message = {"body": "m", "exchange": "", "routing_key": "q", "redelivered": 0}
    status, _ = verdict(capsys, str(write(tmp_path, [*STEPS, {**step, "observed": {"got": message}}])))
    assert status == 1
    empty = [{"do": "declare_queue", "name": "q", "observed": {}}, {**step, "observed": {}}]
    status, _ = verdict(capsys, str(write(tmp_path, empty)))
    assert status == 1


def test_x_death_is_compared_in_order_for_4_3_and_but_for_the_first_as_a_set_for_3_10() -> None:
    entries = [{"queue": name, "reason": "expired", "count": 1} for name in ("a", "b", "c")]
    turned = [entries[0], entries[2], entries[1]]
    expected, got = ({"got": {"body": "m", "x_death": deaths}} for deaths in (entries, turned))
    from engine.conformance.rabbitmq_observed import alike

    case: dict[str, Any] = {"steps": []}
    assert alike(case, {}, "3.10", expected, got)
    assert not alike(case, {}, "4.3", expected, got)
    assert not alike(case, {}, "3.10", expected, {"got": {"body": "m", "x_death": turned[1:] + turned[:1]}})
