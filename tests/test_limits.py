"""Finds limits without a test: each must be gone over in one, and where people are told, the sentence read.

A limit is *gone over* in a test (or in the table that a test is given) that names it. A sentence stands below
the limits that it is about, in one paragraph of `limits.py`: a test that names such a limit names the sentence.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import ModuleType

import pytest

from engine import limits as of_the_engine
from playground.rooms import limits as of_rooms

ROOT = Path(__file__).resolve().parents[1]
NAME = re.compile(r"^([A-Z][A-Z_]+) = ", re.MULTILINE)

NO_LIMITS = {
    *("TICK_US", "BATCH_US", "TAKES_EFFECT_US", "COMMAND_LEAD_US", "LIGHT_US", "LIGHT_EVERY_US", "WALL_SET_BACK_US"),
    *("NEVER_US", "ADVANCE_EVENTS", "CHECKPOINT_TICKS", "DIGEST_TICKS", "CHUNK_TICKS", "RECORDING_FRAME_TICKS"),
    *("RECORDING_FRAME_EVERY_S", "CODE_CHARACTERS", "CODE_ALPHABET", "PORTION_SEEDS", "PULSE_S", "HTTP_TIMEOUT_S"),
}  # fmt: skip
"""Grains, leads and shapes: they say how long or how large something is, not how much somebody may have."""


def paragraphs(module: ModuleType) -> list[tuple[list[str], list[str]]]:
    """(limits, sentences) of each paragraph of a file of limits, in order."""
    assert module.__file__
    found = []
    for paragraph in Path(module.__file__).read_text().split("\n\n"):
        names = NAME.findall(paragraph)
        said = [
            name for name in names if isinstance(getattr(module, name), str) and " " in getattr(module, name)
        ]
        found.append(([name for name in names if name not in said and name not in NO_LIMITS], said))
    return [one for one in found if one[0] or one[1]]


def texts_of_tests() -> list[str]:
    """The text of each test, its decorators and the tables at the top of its file that these name."""
    texts = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        source = path.read_text()
        tree = ast.parse(source)
        tables = {
            target.id: ast.get_source_segment(source, one) or ""
            for one in tree.body if isinstance(one, ast.Assign | ast.AnnAssign)
            for target in (one.targets if isinstance(one, ast.Assign) else [one.target]) if isinstance(target, ast.Name)
        }  # fmt: skip
        for one in tree.body:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_"):
                text = "\n".join(
                    ast.get_source_segment(source, part) or "" for part in (one, *one.decorator_list)
                )
                texts.append(text + "\n".join(table for name, table in tables.items() if names(text, name)))
    return texts


def names(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None


PARAGRAPHS = [*paragraphs(of_the_engine), *paragraphs(of_rooms)]
TESTS = texts_of_tests()


@pytest.mark.parametrize(
    ("limits", "sentences"), PARAGRAPHS, ids=[" ".join(one[0] + one[1]) for one in PARAGRAPHS]
)
def test_a_limit_is_gone_over_and_its_sentence_read(limits: list[str], sentences: list[str]) -> None:
    for name in limits or sentences:
        mine = [text for text in TESTS if names(text, name)]
        assert mine, f"no test names {name}: go one over it, and read what is said"
        for sentence in sentences:
            assert any(names(text, sentence) for text in mine), f"no test that names {name} reads {sentence}"


@pytest.mark.parametrize("module", [of_the_engine, of_rooms], ids=["engine", "rooms"])
def test_a_limit_is_used(module: ModuleType) -> None:
    assert module.__file__
    code = "\n".join(
        path.read_text() for folder in ("engine", "lessons", "playground") for path in (ROOT / folder).rglob("*.py")
        if path != Path(module.__file__)
    )  # fmt: skip
    own = Path(module.__file__).read_text()
    unused = [
        name
        for name in NAME.findall(own)
        if not names(code, name) and len(re.findall(rf"\b{name}\b", own)) < 2
    ]
    assert unused == []


@pytest.mark.parametrize("module", [of_the_engine, of_rooms], ids=["engine", "rooms"])
def test_a_sentence_is_a_sentence(module: ModuleType) -> None:
    said = [
        text
        for name, text in vars(module).items()
        if name.isupper() and isinstance(text, str) and " " in text
    ]
    assert all(text.endswith(".") and text[0].isupper() for text in said)


def test_what_is_no_limit_is_there() -> None:
    there = {*vars(of_the_engine), *vars(of_rooms)}
    assert there >= NO_LIMITS
