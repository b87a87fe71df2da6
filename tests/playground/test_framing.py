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
