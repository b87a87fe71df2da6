"""Our modules and style sheets as they are served when collected: without comments and without what indents
them; modules without all white space that only readers need, too.

What is written for readers is more than a quarter of what would travel, compressed. Names stay, so that a
stack trace can still be read, and no token is touched: a test compares what is served token by token with
what was written, and holds that no line's end is gone where one could end a statement."""

from __future__ import annotations

import functools
import re
from typing import Any

from django.core.files.base import ContentFile
from servestatic.storage import CompressedManifestStaticFilesStorage

BLOCK = re.compile(r"^[ \t]*/\*(?:(?!\*/).)*\*/[ \t]*\n", re.S | re.M)
INDENT = re.compile(r"^[ \t]+", re.M)
EMPTY = re.compile(r"^\n", re.M)

WASTE = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)+", re.S)
TOKEN = re.compile(
    r"""[\w$#@]+ | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | => | \+\+ | -- | \?\. | && | \|\| | \?\? | .""",
    re.S | re.X,
)
REGEX = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+/\w*")
TEMPLATE = re.compile(r"(?:\\.|\$(?!\{)|[^`\\$])*(?:`|\$\{)", re.S)
"""A template's text up to its end, or up to where code begins in it."""

WORD = re.compile(r"[\w$#\\]")
BEFORE_REGEX = (
    "return",
    "typeof",
    "case",
    "in",
    "of",
    "delete",
    "void",
    "new",
    "do",
    "else",
    "yield",
    "await",
)

OPENS = {
    "{", "(", "[", ",", ";", "=>", "=", "&&", "||", "??", "?", ":", "&", "|", "<", ">", "*", "%", "^", "!",
    "~", ".",
}  # fmt: skip
"""Behind these a statement goes on, or has ended by itself, whatever the next line begins with."""
CLOSES = {
    "}", ")", "]", ",", ";", ".", "?.", "?", ":", "=", "=>", "&&", "||", "??", "&", "|", "<", ">", "*", "%",
    "^",
}  # fmt: skip
"""Before these no line's end ends a statement that would otherwise go on."""


def lean(text: str) -> str:
    """A style sheet without lines that only readers need."""
    for waste in (BLOCK, INDENT, EMPTY):
        text = waste.sub("", text)
    return text


@functools.lru_cache(maxsize=128)
def lean_module(text: str) -> str:
    """A module without comments and without white space, but for line ends that may matter and for what
    keeps two tokens apart. A `/` behind a bracket divides: no statement begins with a regular expression."""
    made: list[str] = []
    last, at = "", 0
    nested: list[int] = []  # how many braces are open in the code of each template
    while at < len(text):
        waste = WASTE.match(text, at)
        if waste:
            at = waste.end()
        if at == len(text):
            break
        token, at = _token(text, at, last, nested)
        if waste and made:
            made.append(_apart(last, token, "\n" in waste[0]))
        made.append(token)
        last = token
    return "".join(made) + "\n"


def _token(text: str, at: int, last: str, nested: list[int]) -> tuple[str, int]:
    """The token that begins at `at`, and where it ends: of a template its text up to code in it."""
    one = text[at]
    found = None
    if one == "`":
        found = TEMPLATE.match(text, at + 1)
    elif one == "}" and nested and nested[-1] == 0:
        nested.pop()
        found = TEMPLATE.match(text, at + 1)
    elif one == "/" and not _ends_a_value(last):
        found = REGEX.match(text, at)
    found = found or TOKEN.match(text, at)
    assert found is not None
    token = text[at : found.end()]
    if token[0] in "`}" and token.endswith("${"):
        nested.append(0)
    elif nested and token in ("{", "}"):
        nested[-1] += {"{": 1, "}": -1}[token]
    return token, found.end()


def _ends_a_value(last: str) -> bool:
    return last not in BEFORE_REGEX and bool(last) and (bool(WORD.match(last[-1])) or last[-1] in ")]}\"'`/")


def _apart(last: str, token: str, has_line_end: bool) -> str:
    """What stays between two tokens that had white space between them."""
    if has_line_end and last not in OPENS and token not in CLOSES:
        return "\n"
    both = last[-1] + token[0]
    is_word = WORD.match(both[0]) or (both[0] == "/" and len(last) > 1)  # or a regular expression's end
    is_one = (
        (is_word and WORD.match(both[1]))
        or both in ("++", "--", "//", "/*")
        or (last.isdigit() and token[0] == ".")
    )
    return " " if is_one else ""


def is_ours(name: str) -> bool:
    return name.startswith(("js/", "css/")) and name.endswith((".js", ".css"))


class LeanStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Collects what is ours lean, what is vendored as it came."""

    def file_hash(self, name: str | None, content: Any = None) -> Any:
        """Of what is served, so that what is cached for ever has another name when it is made leaner."""
        if name and content:  # the list of all files has no name
            content = as_served(name, content)
        return super().file_hash(name, content)

    def _save(self, name: str, content: Any) -> str:
        return str(super()._save(name, as_served(name, content)))


def as_served(name: str, content: Any) -> Any:
    """The file that is served as `name`: of ours its lean text, of anything else the file itself."""
    if not is_ours(name):
        return content
    content.seek(0)
    text = content.read()
    text = text.decode() if isinstance(text, bytes) else text
    return ContentFile((lean_module(text) if name.endswith(".js") else lean(text)).encode())
