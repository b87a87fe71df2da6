"""How the house's scripts speak: one sentence to people, and a way to stop with one."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Stop(Exception):
    """Ends the script with status 1; its text is the one sentence that is printed."""


def say(text: str) -> None:
    """One line on standard output, at once also when that is a pipe."""
    print(text, flush=True)


def complain(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)
