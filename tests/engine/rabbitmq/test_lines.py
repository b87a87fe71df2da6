"""The ready line serves in the order that a plain sorted list would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.rabbitmq.lines import Line, Ready
from engine.rabbitmq.messages import Content, Held
from engine.rabbitmq.operations import PLAIN

CONTENT = Content(1, "", 0, 0, "", ("",), (), PLAIN, -1, 0)


def held(seq: int, level: int = 0) -> Held:
    return Held(seq, CONTENT, 0, 0, 0, seq=seq, level=level, weight=seq % 3)


MOVE = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 3)),
    st.tuples(st.just("take")),
    st.tuples(st.just("back"), st.integers(0, 9)),
    st.tuples(st.just("return"), st.integers(0, 9)),
)


@given(st.lists(MOVE, max_size=80))
def test_ready_is_a_list_sorted_by_returned_then_level_then_arrival(moves: list[tuple[str, int]]) -> None:
    # Given a ready line and a list that is sorted anew each time
    ready, out, seq = Ready.empty(), [], 0
    returned: list[Held] = []
    waiting: list[Held] = []
    for move in moves:
        # When messages come, are taken, put back to their old place, or returned
        index, one = -1, None
        if move[0] == "append":
            seq += 1
            one = held(seq, move[1])
            index = ready.place_of_next(one.level)
            assert ready.append(one) == index
            waiting.append(one)
        elif move[0] == "take" and ready.count:
            first = ready.first()
            taken = ready.take()
            assert taken is first
            out.append(taken)
            (returned if taken in returned else waiting).remove(taken)
        elif move[0] == "back" and out:
            one = out.pop(move[1] % len(out))
            index = ready.put_back(one)
            waiting.append(one)
        elif move[0] == "return" and out:
            one = out.pop(move[1] % len(out))
            index = ready.put_returned(one)
            returned.append(one)
        expected = [*returned, *sorted(waiting, key=lambda each: (-each.level, each.seq))]
        # Then both say the same, and the index that was told is the place
        assert list(ready) == expected
        assert ready.count == len(expected)
        assert ready.weight == sum(each.weight for each in expected)
        assert one is None or expected[index] is one


def test_taking_from_a_long_line_costs_no_shifting_and_leaves_little_behind() -> None:
    line = Line([held(seq) for seq in range(1, 10_001)])
    for seq in range(1, 9_001):
        assert line.take().seq == seq
    assert len(line) == 1_000
    assert len(line.items) <= 2_064


def test_what_is_gone_is_not_in_a_snapshot() -> None:
    ready = Ready.empty()
    for seq in range(1, 11):
        ready.append(held(seq))
    for _ in range(4):
        ready.take()
    ready.compact()
    assert [each.seq for each in ready.levels[0].items] == [5, 6, 7, 8, 9, 10]
