"""Hostile frames: each is answered with one error, none gets through, none raises anything else."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.rooms import wire
from playground.rooms.wire import BadFrame, Said, Seen, Watch

HOSTILE = {
    "not json": "{",
    "empty": "",
    "a list": "[]",
    "a number": "1",
    "null": "null",
    "no type": '{"v":1}',
    "an unknown type": '{"t":"hello","v":1}',
    "a type of a wrong type": '{"t":5,"v":1}',
    "another version": '{"t":"seen","v":2,"f":1}',
    "no version": '{"t":"seen","f":1}',
    "a missing field": '{"t":"seen","v":1}',
    "an extra field": '{"t":"seen","v":1,"f":1,"g":1}',
    "a number as text": '{"t":"seen","v":1,"f":"1"}',
    "a negative number": '{"t":"seen","v":1,"f":-1}',
    "a huge number": '{"t":"seen","v":1,"f":1' + "0" * 400 + "}",
    "a number past 2^53": '{"t":"seen","v":1,"f":9007199254740993}',
    "a fraction": '{"t":"seen","v":1,"f":1.5}',
    "NaN": '{"t":"seen","v":1,"f":NaN}',
    "Infinity": '{"t":"seen","v":1,"f":Infinity}',
    "an overflowing float": '{"t":"command","v":1,"id":"a","cmd":"Speed","args":{"rate":1e999}}',
    "a lone surrogate as an escape": '{"t":"command","v":1,"id":"\\ud800","cmd":"Play"}',
    "a lone surrogate as text": '{"t":"command","v":1,"id":"\ud800","cmd":"Play"}',
    "deep lists": '{"t":"command","v":1,"id":"a","cmd":"Play","args":' + "[" * 2000 + "]" * 2000 + "}",
    "deep objects": '{"a":' * 700 + "1" + "}" * 700,
    "an unclosed depth": "[" * 4000,
    "nested arguments": '{"t":"command","v":1,"id":"a","cmd":"Play","args":{"a":{"b":1}}}',
    "arguments that are a list": '{"t":"command","v":1,"id":"a","cmd":"Play","args":[1]}',
    "an id too long": json.dumps({"t": "command", "v": 1, "id": "a" * 41, "cmd": "Play"}),
    "an empty id": json.dumps({"t": "command", "v": 1, "id": "", "cmd": "Play"}),
    "a digest that is none": '{"t":"watch","v":1,"epoch":0,"tick":0,"digest":"xyz"}',
    "too large": json.dumps({"t": "command", "v": 1, "id": "a", "cmd": "Play", "args": {"a": "x" * 5000}}),
    "trailing text": '{"t":"seen","v":1,"f":1}{"t":"seen","v":1,"f":1}',
    "a byte order mark": '\ufeff{"t":"seen","v":1,"f":1}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_frame_is_one_bad_frame(text: str) -> None:
    with pytest.raises(BadFrame) as caught:
        wire.decode(text)
    assert caught.value.code == "bad_frame"
    assert caught.value.text.endswith(".")
    assert "Traceback" not in caught.value.text
    assert len(caught.value.text) < 400


@given(st.text(max_size=300))
def test_any_text_is_a_frame_or_a_bad_frame(text: str) -> None:
    with contextlib.suppress(BadFrame):
        wire.decode(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(
    st.fixed_dictionaries(
        {"t": st.sampled_from(["watch", "seen", "command"]), "v": st.just(1) | json_values},
        optional=dict.fromkeys(("epoch", "tick", "digest", "f", "id", "cmd", "args"), json_values),
    )
)
def test_any_fields_are_a_frame_or_a_bad_frame(fields: object) -> None:
    with contextlib.suppress(BadFrame):
        wire.decode(json.dumps(fields))


def test_what_is_as_agreed_is_decoded() -> None:
    assert wire.decode('{"t":"seen","v":1,"f":7}') == Seen(v=1, f=7)
    assert wire.decode('{"t":"watch","v":1,"epoch":0,"tick":3,"digest":"ab"}') == Watch(
        v=1, epoch=0, tick=3, digest="ab"
    )
    text = '{"t":"command","v":1,"id":"a","cmd":"CrashConsumer","args":{"consumer":"[[[{{{ worker"}}'
    assert wire.decode(text) == Said(v=1, id="a", cmd="CrashConsumer", args={"consumer": "[[[{{{ worker"})


def test_a_command_may_have_a_list_of_names_and_no_other_list() -> None:
    def said(names: object) -> str:
        return json.dumps(
            {"t": "command", "v": 1, "id": "a", "cmd": "SetAssignors", "args": {"assignors": names}}
        )

    frame = wire.decode(said(["range", "cooperative-sticky"]))
    assert isinstance(frame, Said) and frame.args == {"assignors": ["range", "cooperative-sticky"]}
    for wrong in (["range"] * 9, ["x" * 41], [""], [1], [["range"]]):
        with pytest.raises(BadFrame, match="not as agreed"):
            wire.decode(said(wrong))
