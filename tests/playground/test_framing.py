"""Frames as a library of its own reads them."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from playground import framing


@pytest.mark.parametrize("length", [1, 125, 126, 65_535, 65_536, 200_000])
def test_a_text_of_any_length_is_one_frame(length: int) -> None:
    text = "ä" + "x" * (length - 2) if length > 1 else "x"
    reader = StreamReader()
    reader.feed_data(framing.framed(text))
    parsing = Frame.parse(reader.read_exact, mask=False, max_size=None)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    frame = done.value.value
    assert (frame.opcode, frame.fin, bytes(frame.data).decode()) == (Opcode.TEXT, True, text)
    assert len(text.encode()) == length


def test_a_frame_is_made_once_for_all_who_get_it_and_only_a_few_are_kept() -> None:
    one, same = "a frame " * 2, "".join(["a frame ", "a frame "])
    assert framing.framed(one) is framing.framed(same)
    for number in range(100):
        framing.framed(f"another {number}")
    assert len(framing._framed) <= framing.FRAMED_MAX


def masked(text: bytes, mask: bytes, head: int = 0x81) -> bytes:
    """A frame as browsers send it."""
    assert len(text) < 126
    hidden = bytes(byte ^ mask[n % 4] for n, byte in enumerate(text))
    return bytes([head, 0x80 | len(text)]) + mask + hidden


@pytest.mark.parametrize("text", [b"", b"x", b"abcd", b'{"t":"seen","v":1,"f":12}', b"z" * 125])
@pytest.mark.parametrize("mask", [b"\0\0\0\0", b"\x12\xff\0\x7f"])
def test_a_small_masked_text_is_read(text: bytes, mask: bytes) -> None:
    assert framing.unmasked(masked(text, mask)) == text


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x81", b"\x81\x80", masked(b"abc", b"1234")[:-1], masked(b"abc", b"1234") + b"\x81",
        masked(b"abc", b"1234") * 2, masked(b"abc", b"1234", 0x82), masked(b"abc", b"1234", 0x01),
        masked(b"abc", b"1234", 0xC1), masked(b"", b"1234", 0x89), b"\x81\x03" + b"1234abc",
        b"\x81\xfe\x00\x7e" + b"1234" + b"x" * 126,
    ],
)  # fmt: skip
def test_what_is_not_exactly_that_is_left_to_the_parser(data: bytes) -> None:
    """Cut short, more than one, binary, a part, compressed, a ping, not masked, longer."""
    assert framing.unmasked(data) is None
