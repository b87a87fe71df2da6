"""Frames in and out (docs/protocol.md). What comes in is decoded within bounds or answered with one error.

Nothing a browser sends can raise anything but `BadFrame`: not its size, its depth, its types, NaN, huge
numbers, lone surrogates or bytes that are no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta, Raw, Struct

from playground.rooms.limits import (
    FRAME_BYTES_MAX,
    FRAME_DEPTH_MAX,
    FRAME_EVENTS_MAX,
    FRAME_IN_BYTES_MAX,
    FRAME_IN_TOO_LARGE,
    FRAME_TOO_DEEP,
    ID_CHARACTERS_MAX,
)

Whole = Annotated[int, Meta(ge=0, lt=1 << 53)]
Id = Annotated[str, Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]
Word = Annotated[str, Meta(min_length=1, max_length=40)]
Hex = Annotated[str, Meta(max_length=128, pattern="^[0-9a-f]*$")]
Arguments = dict[Word, str | int | bool | None]

STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


class BadFrame(Exception):
    """A frame that is answered with one `error`. `code` as in docs/protocol.md, the text for people."""

    def __init__(self, code: str, text: str, id: str | None = None) -> None:
        self.code = code
        self.text = text
        self.id = id
        super().__init__(text)


class Incoming(Struct, frozen=True, forbid_unknown_fields=True, tag_field="t"):
    """Base of what a browser says."""

    v: Literal[1]


class Watch(Incoming, frozen=True, tag="watch"):
    """I hold all ticks before `tick` of `epoch`, the last with `digest`."""

    epoch: Whole
    tick: Whole
    digest: Hex = ""


class Seen(Incoming, frozen=True, tag="seen"):
    """Frame `f` has been taken in."""

    f: Whole


class Said(Incoming, frozen=True, tag="command"):
    """A command, of the engine's or the clock's vocabulary; `id` is the browser's own, `epoch` the branch
    it shows, `from_us` the moment of it that it looks at when the past is meant."""

    id: Id
    cmd: Word
    args: Arguments = {}
    epoch: Whole | None = None
    from_us: Whole | None = None


_decoder = msgspec.json.Decoder(Watch | Seen | Said)


def decode(text: str) -> Watch | Seen | Said:
    """One frame from a browser. Raises `BadFrame`, and nothing else."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise BadFrame("bad_frame", "A frame must be well-formed text.") from None
    if len(data) > FRAME_IN_BYTES_MAX:
        raise BadFrame("bad_frame", FRAME_IN_TOO_LARGE)
    if text.count("{") + text.count("[") > FRAME_DEPTH_MAX and _depth(text) > FRAME_DEPTH_MAX:
        raise BadFrame("bad_frame", FRAME_TOO_DEEP)
    try:
        frame = _decoder.decode(data)
        msgspec.json.encode(frame)  # a lone surrogate passes the decoder, not the encoder
    except msgspec.ValidationError as error:
        raise BadFrame("bad_frame", f"This frame is not as agreed: {error}.") from None
    except msgspec.DecodeError:
        raise BadFrame("bad_frame", "A frame must be one JSON object.") from None
    except (RecursionError, ValueError):
        raise BadFrame("bad_frame", "This frame cannot be read.") from None
    return frame


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in STRING.sub('""', text):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


# -- out ------------------------------------------------------------------------------------------


class TickLike(Protocol):
    """What the engine hands out: one closed tick, its events as the text of a JSON array."""

    tick: int
    first: int
    count: int
    events: bytes
    digest: bytes


def frame(kind: str, **fields: Any) -> str:
    """The text of a frame of type `kind`. Events are handed over as `msgspec.Raw`."""
    return msgspec.json.encode({"t": kind, **fields}).decode()


def error(id: str | None, code: str, text: str) -> str:
    return frame("error", id=id, code=code, text=text)


def join_events(ticks: Iterable[TickLike]) -> Raw:
    """The events of several ticks as one JSON array."""
    return Raw(b"[" + b",".join(tick.events[1:-1] for tick in ticks if tick.count) + b"]")


def batch_of(ticks: Sequence[TickLike], start: int) -> Sequence[TickLike]:
    """The longest run of whole ticks from index `start` that fits one frame; at least one tick."""
    events = size = 0
    end = start
    for end in range(start, len(ticks)):
        events += ticks[end].count
        size += len(ticks[end].events)
        if end > start and (events > FRAME_EVENTS_MAX or size > FRAME_BYTES_MAX - 512):
            return ticks[start:end]
    return ticks[start : end + 1]
