"""How large a batch is on the wire and on disk: message format 2, without compression
(`org.apache.kafka.common.record.internal.DefaultRecord` and `DefaultRecordBatch`)."""

from __future__ import annotations

from collections.abc import Iterable

BATCH_HEADER_BYTES = 61


def batch_bytes(records: Iterable[tuple[str | None, str | None]]) -> int:
    """Bytes of one batch with these (key, value), written at one time and without headers."""
    size = BATCH_HEADER_BYTES
    for place, (key, value) in enumerate(records):
        body = 1 + _varint_bytes(0) + _varint_bytes(place) + _field_bytes(key) + _field_bytes(value)
        body += _varint_bytes(0)
        size += _varint_bytes(body) + body
    return size


def _field_bytes(text: str | None) -> int:
    if text is None:
        return _varint_bytes(-1)
    length = len(text.encode())
    return _varint_bytes(length) + length


def _varint_bytes(number: int) -> int:
    """Of a number in zigzag coding, seven bits a byte."""
    zigzag = number * 2 if number >= 0 else -number * 2 - 1
    return max(1, -(-zigzag.bit_length() // 7))
