"""What is collected is what was written, without the lines that only readers need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from house.tools import find
from playground.lean import is_ours, lean

STATIC = Path(__file__).resolve().parents[2] / "static"
MODULES = sorted((STATIC / "js").rglob("*.js"))
SHEETS = sorted((STATIC / "css").rglob("*.css"))


def test_comments_and_indents_go_and_everything_else_stays() -> None:
    written = '// what for\nlet a = 1; // why\n/** more\n * lines\n */\nfunction f() {\n\n  return "// no" + a;\n}\n'
    assert lean(written) == 'let a = 1; // why\nfunction f() {\nreturn "// no" + a;\n}\n'
    assert (
        lean("/* Order:\n   tokens. */\n:root {\n  color: red; /* ink */\n}\n")
        == ":root {\ncolor: red; /* ink */\n}\n"
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_has_a_text_over_several_lines(path: Path) -> None:
    """Its lines would be told from code by nobody."""
    code = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith(("//", "*", "/*"))
    ]
    assert [line for line in code if line.count("`") % 2] == []


@pytest.mark.needs("node")
def test_every_module_is_still_a_module(tmp_path: Path) -> None:
    node = find("node")
    assert node is not None
    for number, path in enumerate(MODULES):
        (tmp_path / f"{number}.mjs").write_text(lean(path.read_text(encoding="utf-8")), encoding="utf-8")
        checked = subprocess.run(
            [node, "--check", f"{number}.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, (path, checked.stderr)


def test_rules_of_a_sheet_stay_as_many() -> None:
    for path in SHEETS:
        text = path.read_text(encoding="utf-8")
        assert lean(text).count("{") == text.count("{")
        assert lean(text).count("}") == text.count("}")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("js/main.js", True),
        ("css/stage.css", True),
        ("vendor/htmx.min.js", False),
        ("img/icon.svg", False),
        ("js/README.md", False),
    ],
)
def test_only_what_is_ours_is_changed(name: str, ours: bool) -> None:
    assert is_ours(name) is ours


def test_what_is_collected_is_lean_under_its_name_and_under_that_with_its_digest(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"], cwd=STATIC.parent, check=True,
        env={**os.environ, "MAILROOM_VAR": str(tmp_path), "MAILROOM_STATIC": "collected"},
    )  # fmt: skip
    wanted = lean((STATIC / "js/main.js").read_text(encoding="utf-8"))
    found = sorted((tmp_path / "static/js").glob("main*.js"))
    assert len(found) == 2
    assert {path.read_text(encoding="utf-8") for path in found} == {wanted}
    vendored = "vendor/fonts/atkinson-mono.woff2"
    assert (tmp_path / "static" / vendored).read_bytes() == (STATIC / vendored).read_bytes()
