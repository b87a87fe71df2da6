"""Filters that show texts of content: their markers become spans, moments become words."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from engine.durations import spoken
from lessons import texts
from lessons.catalogue import catalogue

register = template.Library()


@register.filter
def marked(text: str) -> SafeString:
    """A line of text of a lesson or an item, as HTML."""
    return texts.inline(text, catalogue().facts)


@register.filter
def unmarked(text: str) -> str:
    """The same without markup, for a title."""
    return texts.plain(text, catalogue().facts)


@register.filter
def moment(at_us: int) -> SafeString:
    """A simulated moment, for people, as HTML."""
    return SafeString(texts.run_number(spoken(at_us)))
