"""Texts of content: their two markers, the rule about numbers, and how they become HTML.

`{fact:quorum-delivery-limit}` stands for the value of a row of `facts.toml`; `{run:7.2 s}` for a number or a
name that the run on the stage shows. No other digit may stand in a text, so that somebody answers for every
number: the table, or the run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt

from lessons.facts import Fact

MARKER = re.compile(r"\{(fact|run):([^{}]+)\}")
DIGITS = re.compile(r"\d+")
BRACES = re.compile(r"[{}]")
INSTRUCTOR = "## For the instructor"
TAGS = {"p", "em", "strong", "code", "ul", "ol", "li", "h2", "h3", "span", "pre"}

NO_BREAK = "\u00a0"

Facts = Mapping[str, Fact]


def problems_of(text: str, facts: Facts) -> Iterator[str]:
    """What is wrong with a text; nothing when it may be shown."""
    if not text.strip():
        yield "expected a text"
    for name in facts_in(text):
        if name not in facts:
            yield f"there is no fact {name!r}"
    rest = MARKER.sub("", text)
    number = DIGITS.search(rest)
    if number:
        advice = f"write {{fact:…}}, or {{run:{number[0]}}} if the run shows it"
        yield f"the number {number[0]} refers to no fact: {advice}"
    if BRACES.search(rest):
        yield "a brace that begins no {fact:…} and no {run:…}"


def facts_in(text: str) -> list[str]:
    """The names of the facts that a text refers to, in order, each once."""
    return list(dict.fromkeys(name for kind, name in MARKER.findall(text) if kind == "fact"))


def inline(text: str, facts: Facts) -> SafeString:
    """A line of text as HTML: escaped, its markers as spans."""
    return SafeString(_marked(escape(text), facts))


def plain(text: str, facts: Facts) -> str:
    """A line of text without any markup, for a title or a name."""
    return MARKER.sub(lambda m: facts[m[2]].value if m[1] == "fact" else m[2], text)


def _marked(html: str, facts: Facts) -> str:
    def span(match: re.Match[str]) -> str:
        kind, name = match.groups()
        if kind == "run":
            return run_number(name)
        return f'<span class="fact">{escape(facts[name].value)}</span>'

    return MARKER.sub(span, html)


def run_number(escaped: str) -> str:
    """A number of the run as HTML: set apart, its unit in the text's own face, for a mono space looks like a
    gap."""
    number, space, unit = escaped.partition(" ")
    return f'<span class="run">{number}</span>{NO_BREAK if space else ""}{unit}'


@dataclass(frozen=True)
class Prose:
    """A text of several paragraphs, made once at load: as it was written, as HTML, and the facts in it."""

    source: str
    html: SafeString
    facts: tuple[str, ...]


_markdown = MarkdownIt("commonmark", {"html": False})


def prose(text: str, facts: Facts) -> Prose:
    """Markdown as HTML that has nothing in it but paragraphs, lists, headings and emphasis."""
    html = nh3.clean(_marked(_markdown.render(text), facts), tags=TAGS, attributes={"span": {"class"}})
    return Prose(text, SafeString(html), tuple(facts_in(text)))


def halves(markdown: str) -> tuple[str, str]:
    """The explanation, and what stands under the heading for instructors ("" without one)."""
    explanation, _, instructor = markdown.partition(INSTRUCTOR)
    return explanation.strip(), instructor.strip()


def words_in(text: str) -> int:
    return len(MARKER.sub("x", text).split())
