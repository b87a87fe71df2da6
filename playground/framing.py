"""A text as a WebSocket frame (RFC 6455, section 5.2), made once for all sockets that it goes to.

A server's frames carry no mask, so the same bytes are right for every viewer.
"""

from __future__ import annotations

import struct

TEXT, WHOLE = 0x1, 0x80

FRAMED_MAX = 16
"""Frames kept: what the rooms of this process say just now. Each is at most some 32 KiB."""

_framed: dict[str, bytes] = {}


def framed(text: str) -> bytes:
    """The whole frame around `text`."""
    frame = _framed.get(text)
    if frame is None:
        if len(_framed) >= FRAMED_MAX:
            _framed.clear()
        payload = text.encode()
        frame = _framed[text] = _head(len(payload)) + payload
    return frame


def _head(length: int) -> bytes:
    if length < 126:
        return struct.pack("!BB", WHOLE | TEXT, length)
    if length < 1 << 16:
        return struct.pack("!BBH", WHOLE | TEXT, 126, length)
    return struct.pack("!BBQ", WHOLE | TEXT, 127, length)
