"""Frames in and out (docs/protocol.md). What comes in is decoded within bounds or answered with one error.

Nothing a browser sends can raise anything but `BadFrame`: not its size, its depth, its types, NaN, huge
numbers, lone surrogates or bytes that are no text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
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
Words = Annotated[list[Word], Meta(max_length=8)]
"""Names in order, such as the assignors that a group's members are given."""
Arguments = dict[Word, str | int | bool | Words | None]

HEAD_BYTES = 512
"""What a frame has beside its events, amply."""

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
    """I hold all ticks before `tick` of `epoch`, the last with `digest`; `aggregated`: that in numbers."""

    epoch: Whole
    tick: Whole
    digest: Hex = ""
    aggregated: bool = False


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


def join(parts: Iterable[Raw]) -> Raw:
    """Arrays of events as one."""
    return Raw(b"[" + b",".join(inner for part in parts if (inner := bytes(part)[1:-1])) + b"]")


def join_events(ticks: Iterable[TickLike]) -> Raw:
    """The events of several ticks as one JSON array."""
    return Raw(b"[" + b",".join(tick.events[1:-1] for tick in ticks if tick.count) + b"]")


def batch_of(ticks: Sequence[TickLike], start: int, stop: int | None = None) -> Sequence[TickLike]:
    """The longest run of whole ticks from index `start`, before `stop`, that fits one frame; at least one."""
    events = size = 0
    end = start
    for end in range(start, len(ticks) if stop is None else stop):
        events += ticks[end].count
        size += len(ticks[end].events) + 1
        if end > start and (events > FRAME_EVENTS_MAX or size > FRAME_BYTES_MAX - HEAD_BYTES):
            return ticks[start:end]
    return ticks[start : end + 1]


def parts_of(events: Sequence[Any], spare: int = 0) -> tuple[Raw, ...]:
    """Events (or `Raw` ones) as JSON arrays that fit a frame each, beside `spare` bytes of other fields; at
    least one array."""
    text = msgspec.json.encode(events)
    room = FRAME_BYTES_MAX - HEAD_BYTES - spare
    if len(text) <= room and len(events) <= FRAME_EVENTS_MAX:
        return (Raw(text),)
    parts: list[list[bytes]] = [[]]
    size = 0
    for event in msgspec.json.decode(text, type=list[Raw]):
        one = bytes(event)
        size += len(one) + 1
        if parts[-1] and (size > room or len(parts[-1]) == FRAME_EVENTS_MAX):
            parts.append([])
            size = len(one) + 1
        parts[-1].append(one)
    return tuple(Raw(b"[" + b",".join(part) + b"]") for part in parts)


def parts_of_ticks(ticks: Sequence[TickLike]) -> tuple[Raw, ...]:
    """The events of a `batch_of` ticks in one array; a single tick that does not fit a frame in several."""
    if len(ticks) == 1 and (
        ticks[0].count > FRAME_EVENTS_MAX or len(ticks[0].events) > FRAME_BYTES_MAX - HEAD_BYTES
    ):
        return parts_of(msgspec.json.decode(ticks[0].events, type=list[Raw]))
    return (join_events(ticks),)


def in_parts(parts: Sequence[Raw]) -> Iterator[dict[str, Any]]:
    """The fields of each frame that carries one of `parts`: `part` counts them, `more`: one follows."""
    if len(parts) == 1:
        yield {"events": parts[0]}
        return
    for index, part in enumerate(parts):
        yield {"part": index, "more": index < len(parts) - 1, "events": part}
