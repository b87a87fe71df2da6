"""The table of facts: values that a text may state, each with what it holds for, its source and the day on
which that was looked up."""

from __future__ import annotations

import datetime

from msgspec import Struct

STALE_DAYS = 180
"""A fact that nobody has looked up for this long is shown as not verified lately."""


class Fact(Struct, frozen=True, forbid_unknown_fields=True):
    """`value` as a text writes it; `text`: one line of what it is; `checked`: the day, as 2026-11-24."""

    value: str
    version: str
    source: str
    checked: datetime.date
    text: str = ""

    def is_stale(self, today: datetime.date) -> bool:
        return (today - self.checked).days > STALE_DAYS
