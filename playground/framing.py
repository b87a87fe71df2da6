"""Texts as WebSocket frames (RFC 6455, section 5.2): ours made once for all sockets that they go to, small
ones of browsers read without a parser's state.

A server's frames carry no mask, so the same bytes are right for every viewer.
"""

from __future__ import annotations

import struct

TEXT, WHOLE, MASKED = 0x1, 0x80, 0x80
MASK_BYTES = 4

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


def unmasked(data: bytes) -> bytes | None:
    """The text in `data` if that is exactly one whole, masked text frame of at most 125 bytes; else None."""
    length = len(data) - 2 - MASK_BYTES
    if not 0 <= length < 126 or data[0] != WHOLE | TEXT or data[1] != MASKED | length:
        return None
    mask = (data[2:6] * (length // MASK_BYTES + 1))[:length]
    return (int.from_bytes(data[6:], "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")
