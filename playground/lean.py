"""Our modules and style sheets as they are served when collected: without comments and without what indents
them.

What is written for readers is a quarter of what would travel, compressed; names and lines stay, so that a
stack trace can still be read. Whole lines go, nothing within a line is touched: a module keeps its comments
on lines of their own and has no text over several lines (a test compares them token by token)."""

from __future__ import annotations

import re
from typing import Any

from django.core.files.base import ContentFile
from servestatic.storage import CompressedManifestStaticFilesStorage

BLOCK = re.compile(r"^[ \t]*/\*(?:(?!\*/).)*\*/[ \t]*\n", re.S | re.M)
LINE = re.compile(r"^[ \t]*//.*\n", re.M)
INDENT = re.compile(r"^[ \t]+", re.M)
EMPTY = re.compile(r"^\n", re.M)


def lean(text: str) -> str:
    """A module or a style sheet without lines that only readers need."""
    for waste in (BLOCK, LINE, INDENT, EMPTY):
        text = waste.sub("", text)
    return text


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
    return ContentFile(lean(text.decode() if isinstance(text, bytes) else text).encode())
