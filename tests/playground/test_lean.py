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
from playground.lean import CLOSES, OPENS, LeanStorage, is_ours, lean, lean_module

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
  let i = 1, j = i + +kept - -kept - --i;
  j = i++ / 2 / i
  const inner = `a ${`b ${{ c: "}" }.c} ${/[`}]/.test("`")}  d`} // e
    /* f */ ${kept} \${g}`;
  const list = [...other].map((one) => one / 2).filter(Boolean)
  const { length } = list
  ;[length].at(0)
  do j-- - 1 .valueOf()
  while (j > 0)
  class Of { static #in = 1; get [`x y`]() { return typeof /a b/ in Of.#in } }
"""


def test_comments_and_indents_go_and_everything_else_stays() -> None:
    written = '// what for\nlet a = 1; // why\n/** more\n * lines\n */\nfunction f() {\n\n  return "// no" + a;\n}\n'
    assert lean_module(written) == 'let a=1;function f(){return"// no"+a;}\n'
    assert (
        lean("/* Order:\n   tokens. */\n:root {\n  color: red; /* ink */\n}\n")
        == ":root {\ncolor: red; /* ink */\n}\n"
    )


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


def goes_on(token: str) -> bool:
    return token in OPENS or (token[-1] == "=" and token[0] not in "\"'`/")


def ends_gone(
    written: list[tuple[str, str, bool]], served: list[tuple[str, str, bool]]
) -> list[tuple[str, str]]:
    """The tokens that had a line's end between them, and have none where it might have ended a statement."""
    return [
        (written[i - 1][1], token)
        for i, ((_, token, first), (_, _, still)) in enumerate(zip(written, served, strict=True))
        if i and first and not still and token not in CLOSES and not goes_on(written[i - 1][1])
    ]


def same(written: list[tuple[str, str, bool]], served: list[tuple[str, str, bool]]) -> bool:
    return [token[:2] for token in written] == [token[:2] for token in served] and not ends_gone(
        written, served
    )


@pytest.mark.needs("node")
def test_every_module_is_the_same_token_by_token() -> None:
    sources = {str(path.relative_to(STATIC)): path.read_text(encoding="utf-8") for path in MODULES}
    written = tokens_of(sources)
    served = tokens_of({path: lean_module(source) for path, source in sources.items()})
    for path, tokens in written.items():
        assert same(tokens, served[path]), f"{path}: what is served says something else"


def test_of_what_no_statement_ends_with_or_begins_with_none_is_a_name_or_may_be_a_sign() -> None:
    """`return`, `a` and `)` may stand before the end of a statement, `(`, `[`, `+`, `-`, `/` and a template at the
    beginning of one that the line before would swallow."""
    assert not {token for token in OPENS | CLOSES if token[0].isalnum()}
    assert not OPENS & {")", "]", "}", "++", "--"}
    assert not CLOSES & {"(", "[", "{", "+", "-", "++", "--", "/", "`", "!", "~"}


@pytest.mark.needs("node")
def test_texts_and_regular_expressions_that_look_like_comments_stay() -> None:
    found = tokens_of({"written": HARD, "served": lean_module(HARD)})
    assert len(found["written"]) > 90
    assert same(found["written"], found["served"])
    assert "of lines" not in lean_module(HARD)


@pytest.mark.needs("node")
@pytest.mark.parametrize(
    ("written", "served"),
    [
        ("const a = `one\n  two`;\n", "const a = `one\ntwo`;\n"),
        ("let a = 1\nlet b = 2\n", "let a=1;let b=2\n"),
        ("let a = 1\n;(2)\n", "let a=1;(2)\n"),
        ("function f() {\nreturn\n1;\n}\n", "function f(){return 1;}\n"),
        ("let a, b;\na\n++b\n", "let a,b;a ++b\n"),
    ],
)
def test_what_says_something_else_would_be_noticed(written: str, served: str) -> None:
    try:
        found = tokens_of({"written": written, "served": served})
    except AssertionError:
        return  # it is no module at all
    if written == "let a = 1\n;(2)\n":
        assert same(found["written"], found["served"])
    else:
        assert not same(found["written"], found["served"])


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
    wanted = lean_module((STATIC / "js/main.js").read_text(encoding="utf-8"))
    found = sorted((tmp_path / "static/js").glob("main*.js"))
    assert len(found) == 2
    assert {path.read_text(encoding="utf-8") for path in found} == {wanted}
    vendored = "vendor/fonts/atkinson-mono.woff2"
    assert (tmp_path / "static" / vendored).read_bytes() == (STATIC / vendored).read_bytes()
