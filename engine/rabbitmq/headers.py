"""Headers bindings: whether a message's headers fit a binding's arguments.

Source: www.rabbitmq.com/docs/exchanges#headers and rabbit_exchange_type_headers. `all` and `any`
pass over arguments that begin with x-, the `-with-x` kinds do not; `x-match` itself is never compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

MATCH_KINDS = ("all", "any", "all-with-x", "any-with-x")
PLAIN_TEXT = re.compile(r"[A-Za-z][\w.*/-]*( [\w.*/-]+)*")
"""What reads as text without quotes."""


def same(left: Any, right: Any) -> bool:
    """Equal in value and in type: "1" is not 1, true is not 1, 1.0 is not 1."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def said_arguments(arguments: Mapping[str, Any]) -> str:
    """A binding's arguments as they stand on its wire: `format=pdf, pages=2, urgent, x-match=any`.

    A null one is its name alone. Text that could be taken for something else stands in quotes, so what is
    written can be read back: the browser names a binding by it.
    """
    return ", ".join(
        _said(name) if value is None else f"{_said(name)}={_said(value)}"
        for name, value in sorted(arguments.items())
    )


def _said(value: Any) -> str:
    if isinstance(value, str) and PLAIN_TEXT.fullmatch(value) and value not in ("true", "false"):
        return value
    return json.dumps(value)


def matches(arguments: Mapping[str, Any], headers: Mapping[str, Any]) -> bool:
    """Whether `headers` fit. A null argument asks only for the header to be there."""
    kind = arguments.get("x-match", "all")
    any_of = kind in ("any", "any-with-x")
    with_x = kind in ("any-with-x", "all-with-x")
    for name, wanted in arguments.items():
        if name == "x-match" or (name.startswith("x-") and not with_x):
            continue
        fits = name in headers and (wanted is None or same(wanted, headers[name]))
        if fits == any_of:
            return any_of
    return not any_of
