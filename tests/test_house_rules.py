"""Tidy: the rules that every file of the house keeps, whoever writes it."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
LINE_CHARACTERS_MAX = 110
TEST_LINE_CHARACTERS_MAX = 140
"""Tests hold tables and recorded texts, which read worse when they are broken."""
GENERATED = ("static/js/stream/vocabulary.js", "static/js/stream/kafka-vocabulary.js")
NO_LAYOUT = ("templates/sw.js",)
"""A template among the scripts."""
DATA = ("tests/conformance/", "static/vendor/", "tests/vendor/")
WRITTEN_BY_HAND = {".py", ".js", ".mjs", ".css", ".html", ".toml", ".sh", ".yml", ""}
MARKERS = re.compile(r"\b(TODO|FIXME|" + "X" * 3 + r"|HACK)\b")


@functools.cache
def files() -> tuple[str, ...]:
    """What belongs to the house: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    names = listed.stdout.splitlines()
    return tuple(name for name in names if (ROOT / name).is_file() and name not in GENERATED)


def of(*suffixes: str) -> list[str]:
    return [name for name in files() if Path(name).suffix in suffixes]


def by_hand() -> list[str]:
    """Sources: not data, not prose, not generated."""
    return [
        name
        for name in files()
        if Path(name).suffix in WRITTEN_BY_HAND
        and not (name.startswith(DATA) and not name.endswith(".py"))
        and name not in ("LICENSE",)
    ]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@functools.cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(text_of(name))


def test_there_is_something_to_look_at() -> None:
    assert len(of(".py")) > 20


def test_no_function_is_longer_than_70_lines() -> None:
    long = [
        f"{name}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for name in of(".py")
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long


def test_no_file_is_longer_than_600_lines() -> None:
    long = [name for name in by_hand() if len(text_of(name).splitlines()) > FILE_LINES_MAX]
    assert not long


def test_no_line_is_longer_than_110_characters() -> None:
    long = [
        f"{name}:{number} has {len(line)}"
        for name in by_hand()
        if not name.endswith((".html", ".toml", ".css")) and name not in NO_LAYOUT
        for number, line in enumerate(text_of(name).splitlines(), 1)
        if len(line) > (TEST_LINE_CHARACTERS_MAX if name.startswith("tests/") else LINE_CHARACTERS_MAX)
    ]
    assert not long


def test_every_module_says_what_it_is_for() -> None:
    silent = [name for name in of(".py") if tree_of(name).body and not ast.get_docstring(tree_of(name))]
    assert not silent


def test_nothing_is_left_for_later_in_the_code() -> None:
    left = [
        f"{name}:{number}"
        for name in by_hand()
        for number, line in enumerate(text_of(name).splitlines(), 1)
        if MARKERS.search(line) and name != "tests/test_house_rules.py"
    ]
    assert not left


def test_every_root_folder_has_a_readme_with_what_you_may_and_may_not_do() -> None:
    folders = {name.split("/")[0] for name in files() if "/" in name}
    missing = [f for f in sorted(folders) if not f.startswith(".") and not (ROOT / f / "README.md").exists()]
    assert not missing
    vague = [
        folder
        for folder in sorted(folders)
        if not folder.startswith(".") and not re.search(r"(?i)you may\b", text_of(f"{folder}/README.md"))
    ]
    assert not vague


TEMPLATES_FORBID = {
    "a style attribute": re.compile(r"\sstyle\s*=", re.I),
    "a handler attribute": re.compile(r"\son[a-z]+\s*=", re.I),
    "the safe filter": re.compile(r"\|\s*safe\b"),
    "autoescape off": re.compile(r"autoescape\s+off"),
    "a script address": re.compile(r"javascript:", re.I),
}


@pytest.mark.parametrize("what", TEMPLATES_FORBID)
def test_no_template_has(what: str) -> None:
    found = [
        name
        for name in of(".html")
        if name.startswith("templates/") and TEMPLATES_FORBID[what].search(text_of(name))
    ]
    assert not found


def test_every_script_element_carries_a_nonce_or_is_data() -> None:
    bare = [
        f"{name}: <script{attributes}>"
        for name in of(".html")
        if name.startswith("templates/")
        for attributes in re.findall(r"<script([^>]*)>", text_of(name))
        if "nonce=" not in attributes and "application/json" not in attributes
    ]
    assert not bare


PYTHON_FORBIDS = re.compile(r"\b(mark_safe|csrf_exempt|eval|exec|SystemRandom)\s*\(")


def test_the_site_uses_nothing_that_lets_foreign_text_become_code() -> None:
    found = [
        name
        for name in of(".py")
        if name.startswith(("playground/", "lessons/", "engine/")) and PYTHON_FORBIDS.search(text_of(name))
    ]
    assert not found


def test_tests_say_what_they_show_in_a_sentence() -> None:
    """At least two words: `test_it` says nothing."""
    terse = [
        f"{name}: {node.name}"
        for name in of(".py")
        if name.startswith("tests/")
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and len(node.name) < 9
    ]
    assert not terse
