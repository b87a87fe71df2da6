"""What predicates and keys share: comparisons, and the error for what cannot be asked."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta

from engine.durations import duration_us
from engine.errors import EngineError

Op = Literal["==", "!=", "<", "<=", ">", ">="]
OPS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

GONE, NOT_THERE, NOBODY = "gone", "not there", "nobody"
"""Answers to where something is that name no place."""

Count = Annotated[int, Meta(ge=0)]


class GoalError(EngineError):
    """A predicate or key that asks for what there is not. The text is `path: expected …, got …`."""


def moment_us(text: str, path: str) -> int:
    """A moment or a while such as "21s". Raises `GoalError`."""
    try:
        return duration_us(text)
    except ValueError as error:
        raise GoalError(f"{path}: {error}, got {text!r}") from None
