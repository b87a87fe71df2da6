"""The kernel: order of timers, endless instants, random streams, snapshots."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EndlessInstant
from engine.kernel import DUE, NEVER_US, A, Kernel, KernelState, Timer


class Recorder:
    """A part that notes what fired, and may schedule more."""

    def __init__(self, plan: dict[int, list[tuple[int, int]]] | None = None) -> None:
        self.fired: list[tuple[int, int]] = []
        self.plan = plan or {}

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        self.fired.append((kernel.now_us, timer[A]))
        for delay_us, name in self.plan.get(timer[A], []):
            kernel.schedule(kernel.now_us + delay_us, 0, "next", name)


@given(st.lists(st.integers(0, 50), max_size=40))
def test_timers_fire_in_order_of_due_time_and_ties_in_order_of_insertion(dues: list[int]) -> None:
    # Given timers scheduled in any order
    kernel, part = Kernel(1), Recorder()
    for name, due_us in enumerate(dues):
        kernel.schedule(due_us, 0, "t", name)
    # When the kernel runs past them all
    assert kernel.run([part], 100)
    # Then a stable sort by due time says in which order they fired
    assert part.fired == sorted(((due, name) for name, due in enumerate(dues)), key=lambda f: f[0])
    assert kernel.now_us == 100


def test_a_run_is_half_open_and_can_rest_at_an_earlier_moment() -> None:
    kernel, part = Kernel(1), Recorder()
    kernel.schedule(10, 0, "t", 1)
    kernel.run([part], 10)
    assert part.fired == [] and kernel.now_us == 10
    # When it runs through 10 but rests there
    kernel.run([part], 11, rest_us=10)
    assert part.fired == [(10, 1)] and kernel.now_us == 10


def test_a_cancelled_timer_does_not_fire_and_leaves_nothing_behind() -> None:
    kernel, part = Kernel(1), Recorder()
    kernel.cancel(kernel.schedule(5, 0, "t", 1))
    kernel.schedule(6, 0, "t", 2)
    assert kernel.next_due_us() == 6
    kernel.run([part], 100)
    assert part.fired == [(6, 2)]
    assert kernel.cancelled == {} and kernel.next_due_us() == NEVER_US


def test_a_loop_without_delay_ends_with_an_error_that_names_its_steps() -> None:
    # Given two timers that keep scheduling each other for the same instant
    kernel = Kernel(1)
    part = Recorder({1: [(0, 2)], 2: [(0, 1)]})
    kernel.schedule(7, 0, "next", 1)
    # When it runs, then the error says when, and who goes round
    with pytest.raises(EndlessInstant, match="loop without delay at 7 µs: 0 \\(next\\)"):
        kernel.run([part], 100)
    assert len(part.fired) <= 1_001


def test_many_timers_for_one_instant_are_no_loop() -> None:
    kernel, part = Kernel(1), Recorder()
    for name in range(5_000):
        kernel.schedule(7, 0, "t", name)
    assert kernel.run([part], 8)
    assert len(part.fired) == 5_000


@given(st.integers(0, 2**53), st.lists(st.sampled_from(["a", "b", "c"]), max_size=60))
def test_a_stream_gives_the_same_draws_whatever_others_draw(seed: int, order: list[str]) -> None:
    mixed = Kernel(seed)
    got: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    for stream in order:
        got[stream].append(mixed.draw(stream))
    for stream, values in got.items():
        alone = Kernel(seed)
        assert [alone.draw(stream) for _ in values] == values


@given(st.integers(0, 30), st.integers(0, 30))
def test_a_restored_kernel_draws_on_where_it_was(before: int, after: int) -> None:
    kernel = Kernel(5)
    for _ in range(before):
        kernel.draw("a")
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(kernel.state()), type=KernelState)
    again = Kernel.from_state(state)
    assert [again.draw("a") for _ in range(after)] == [kernel.draw("a") for _ in range(after)]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5)), max_size=12), st.integers(1, 60))
def test_a_kernel_restored_anywhere_fires_the_rest_alike(timers: list[tuple[int, int]], at_us: int) -> None:
    plan = {0: [(3, 1)], 1: [(0, 2)], 2: [(5, 3), (1, 4)]}

    def fresh() -> tuple[Kernel, Recorder]:
        kernel, part = Kernel(1), Recorder(plan)
        for due_us, name in timers:
            kernel.schedule(due_us, 0, "t", name)
        return kernel, part

    whole, whole_part = fresh()
    whole.run([whole_part], 100)
    kernel, part = fresh()
    kernel.run([part], at_us)
    state: Any = msgspec.msgpack.decode(msgspec.msgpack.encode(kernel.state()), type=KernelState)
    again = Kernel.from_state(state)
    rest = Recorder(plan)
    again.run([rest], 100)
    assert part.fired + rest.fired == whole_part.fired
    assert all(timer[DUE] >= at_us for timer in state.agenda)
