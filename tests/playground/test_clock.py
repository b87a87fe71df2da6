"""What "now" means: pieces, offsets, light and anchors."""

from __future__ import annotations

import random

from playground.rooms.clock import started
from playground.rooms.limits import TICK_US

NOW = 1_000_000_000
END = 60_000_000


def test_a_running_clock_shows_the_wall_time_that_has_passed() -> None:
    clock = started(NOW, 5_000_000, END)
    assert clock.at(NOW + 1_500_000) == 6_500_000


def test_a_change_takes_effect_150_ms_after_it_was_stamped() -> None:
    clock = started(NOW, 0, END)
    clock.settle(NOW + 500_000)
    clock.change_rate(0)
    assert clock.at(NOW + 649_000) == 649_000
    assert clock.at(NOW + 900_000) == 650_000


def test_speed_is_in_thousandths() -> None:
    clock = started(NOW, 0, END)
    clock.change_rate(8000)
    assert clock.at(NOW + 150_000 + 100_000) == 150_000 + 800_000


def test_the_clock_stands_when_the_light_is_out() -> None:
    clock = started(NOW, 0, END)
    assert clock.at(NOW + 10_000_000) == 2_000_000


def test_the_first_transaction_after_darkness_goes_on_from_where_it_stood_with_the_last_wished_rate() -> None:
    clock = started(NOW, 0, END)
    clock.change_rate(2000)
    stood = clock.at(NOW + 60_000_000)
    assert clock.settle(NOW + 60_000_000)
    clock.light(clock.wall_us)
    assert clock.at(NOW + 60_000_000) == stood
    assert clock.at(NOW + 61_000_000) == stood + 2_000_000


def test_a_wall_clock_that_is_set_back_moves_no_screen_back() -> None:
    clock = started(NOW, 0, END)
    clock.settle(NOW + 1_900_000)
    assert clock.settle(NOW - 10_000_000)
    clock.light(clock.wall_us)
    assert clock.at(clock.wall_us) == 1_900_000
    assert clock.at(clock.wall_us + 500_000) == 2_400_000


def test_a_wall_clock_that_wavers_is_waited_for() -> None:
    clock = started(NOW, 0, END)
    clock.settle(NOW + 1_000_000)
    assert not clock.settle(NOW + 900_000)
    assert clock.wall_us == NOW + 1_000_000


def test_a_command_is_stamped_behind_the_frontier_while_the_clock_runs_and_at_the_screen_when_it_stands() -> (
    None
):
    running = started(NOW, 0, END)
    assert running.command_at(NOW) == 300_000
    assert running.command_at(NOW) >= running.frontier_tick(NOW) * TICK_US
    standing = started(NOW, 4_321_000, END, rate=0)
    assert standing.command_at(NOW) == 4_321_000


def test_the_tick_of_the_moment_asked_for_is_within_the_frontier() -> None:
    clock = started(NOW, 5 * TICK_US, END, rate=0)
    assert clock.frontier_tick(NOW) == 6


def test_the_clock_ends_with_the_run() -> None:
    clock = started(NOW, END - 1_000, END)
    assert clock.at(NOW + 1_000_000) == END
    assert clock.command_at(NOW + 1_000_000) == END


def test_no_moment_goes_back_whatever_is_asked_of_the_clock() -> None:
    for seed in range(200):
        chance = random.Random(seed)
        clock = started(NOW, 0, END)
        wall = NOW
        shown = 0
        for _ in range(100):
            wall += chance.choice([10_000, 100_000, 400_000, 3_000_000, -200_000])
            clock.settle(wall)
            now = clock.at(clock.wall_us)
            assert now >= shown, f"seed {seed}"
            shown = now
            assert clock.command_at(clock.wall_us) >= shown
            clock.light(clock.wall_us)
            act = chance.randrange(6)
            if act == 0:
                clock.change_rate(0)
            elif act == 1:
                clock.change_rate(chance.choice([125, 1000, 8000]))
            elif act == 2:
                clock.jump(clock.at(clock.wall_us) + chance.randrange(2_000_000))
