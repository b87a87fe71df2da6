"""`make test` itself: what it finds missing, and what it says of it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from house import check, tools

ROOT = Path(__file__).resolve().parents[2]


def test_every_needed_tool_is_known_and_named_in_the_markers() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for name in re.findall(r"needs\(\"(\w+)\"\)", path.read_text(encoding="utf-8")):
            assert name in tools.TOOLS, f"{path}: {name}"


def test_a_tool_that_was_told_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILROOM_CHROMIUM", "/opt/browser")
    assert tools.find("chromium") == "/opt/browser"


def test_a_tool_that_is_nowhere_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILROOM_REDIS", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    assert tools.find("redis") is None


def results(*outcomes: bool | None) -> Any:
    return [(check.Check(f"check{n}", ("-c", "0"), "nowhere"), outcome) for n, outcome in enumerate(outcomes)]


def test_all_passed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILROOM_REQUIRE_ALL", raising=False)
    assert check._report(results(True, None), ["a: there is no b"]) == 0
    out = capsys.readouterr().out
    assert "NOT RUN  a: there is no b\n" in out
    assert out.endswith("Checks: 1 passed, 0 failed, 1 skipped\n")


def test_where_everything_is_required_not_run_is_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILROOM_REQUIRE_ALL", "1")
    assert check._report(results(True), ["a"]) == 1
    assert check._report(results(True), []) == 0


def test_a_failed_check_fails_the_run_and_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILROOM_REQUIRE_ALL", raising=False)
    assert check._report(results(True, False), []) == 1
    assert "FAILED   check1\n" in capsys.readouterr().out


def test_every_version_is_exact() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            if line and not line.startswith(("#", "-r ")):
                assert re.fullmatch(r"[\w.-]+==[\w.]+", line), line


def test_the_settings_of_the_tools_can_be_read() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
