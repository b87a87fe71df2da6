"""What is collected is what was written, without the lines that only readers need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from house.tools import find
from playground.lean import LeanStorage, is_ours, lean

STATIC = Path(__file__).resolve().parents[2] / "static"
MODULES = sorted((STATIC / "js").rglob("*.js"))
SHEETS = sorted((STATIC / "css").rglob("*.css"))

HARD = r"""
// a comment with "quotes" and `ticks`
/** a block
 *  // of lines */
export const address = "http://a/*b*/"; // behind code
  const other = 'it is // no comment';
    const both = `${"/** x */"} // ${/\/\/ *\/\*[/*]/g.source}`;
  /** before code */ export const kept = 1;
  export const divided = kept / 2 / /** half */ 3;
  /** a last block */
  export const asi = () => {
    return
    // nothing
    kept;
  };
"""


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


def tokens_of(sources: dict[str, str]) -> dict[str, list[tuple[str, str, bool]]]:
    """Of each source: its tokens' kinds and texts, and whether each is the first on its line (which matters
    where a semicolon is left out). A source that is no module fails the test."""
    node = find("node")
    assert node is not None
    command = [node, "--expose-internals", str(Path(__file__).with_name("tokens.cjs"))]
    read = subprocess.run(command, input=json.dumps(sources), capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    found: dict[str, list[tuple[str, str, bool]]] = json.loads(read.stdout)
    return found


@pytest.mark.needs("node")
def test_every_module_is_the_same_token_by_token() -> None:
    sources = {str(path.relative_to(STATIC)): path.read_text(encoding="utf-8") for path in MODULES}
    written = tokens_of(sources)
    served = tokens_of({path: lean(source) for path, source in sources.items()})
    for path, tokens in written.items():
        assert served[path] == tokens, f"{path}: what is served says something else"


@pytest.mark.needs("node")
def test_texts_and_regular_expressions_that_look_like_comments_stay() -> None:
    found = tokens_of({"written": HARD, "served": lean(HARD)})
    assert len(found["written"]) > 50
    assert found["served"] == found["written"]
    assert "of lines" not in lean(HARD)


@pytest.mark.needs("node")
def test_a_text_over_several_lines_would_be_noticed() -> None:
    source = "export const a = `one\n  two`;\n"
    found = tokens_of({"written": source, "served": lean(source)})
    assert found["served"] != found["written"]


def test_while_files_are_edited_they_come_as_they_lie() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "MAILROOM_STATIC"}
    environment |= {"MAILROOM_DEBUG": "1", "MAILROOM_PRODUCTION": ""}
    program = "from playground import settings; print(settings.STORAGES['staticfiles']['BACKEND'])"
    command = [sys.executable, "-c", program]
    read = subprocess.run(
        command, cwd=STATIC.parent, env=environment, capture_output=True, text=True, check=True
    )
    assert read.stdout == "django.contrib.staticfiles.storage.StaticFilesStorage\n"


def test_a_name_has_the_digest_of_what_is_served() -> None:
    storage = LeanStorage()
    commented, bare = (ContentFile(text) for text in (b"// why\nlet a;\n", b"let a;\n"))
    other = ContentFile(b"let b;\n")
    name = "js/main.js"
    assert (
        storage.file_hash(name, commented) == storage.file_hash(name, bare) != storage.file_hash(name, other)
    )


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
