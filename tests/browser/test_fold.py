"""The timeline: whatever way one comes to a moment, its scene is the plain fold of the events up to it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import House
from tests.browser.scripts import TICK_US, post_office, random_script, wire

SETUP = """async () => {
  const [{ Timeline }, { emptyScene, reduce }, { decodeAll }, { describe }] = await Promise.all([
    import("mailroom/scene/timeline.js"), import("mailroom/scene/reducer.js"),
    import("mailroom/stream/vocabulary.js"), import("mailroom/lazy/describe.js")]);
  window.fold = (events, t) => {
    const scene = emptyScene();
    for (const event of decodeAll(events, 1)) if (event.at_us <= t) reduce(scene, event);
    return describe(scene, t);
  };
  window.asked = (timeline, t) => describe(timeline.sceneAt(t), t);
  window.Timeline = Timeline;
}"""


@pytest.fixture
def bench(open_page: Callable[..., Page], house: House) -> Page:
    page = open_page(house.show(post_office(), chunks=3), bypass_csp=True)
    page.evaluate(SETUP)
    return page


def frames(events: list[Any], ticks: int, size: int) -> list[dict[str, Any]]:
    """`events` as `ticks` frames of `size` ticks."""
    made, first = [], 1
    for tick in range(0, ticks, size):
        inside = [x for x in events if tick * TICK_US <= x.at_us < (tick + size) * TICK_US]
        made.append({"t": "ticks", "epoch": 0, "tick": tick, "n": size, "seq": 0, "first": first,
                     "events": wire(inside), "digest": f"d{tick}"})  # fmt: skip
        first += len(inside)
    return made


@pytest.mark.parametrize("seed", range(8))
def test_seeking_anywhere_equals_the_straight_fold(bench: Page, seed: int) -> None:
    # Given random facts, taken in as frames of random size
    chance = random.Random(seed)
    events = random_script(seed)
    moments = [chance.randrange(20_000_000) for _ in range(25)]
    # When moments are asked for in any order
    wrong = bench.evaluate(
        """([frames, events, moments]) => {
          const timeline = new Timeline();
          for (const frame of frames) timeline.append(frame);
          return moments.filter((t) => JSON.stringify(asked(timeline, t)) !== JSON.stringify(fold(events, t)));
        }""",
        [frames(events, 800, chance.choice([1, 7, 40])), wire(events), moments],
    )
    # Then each is the fold of what had happened
    assert wrong == [], f"seed {seed}"


@pytest.mark.parametrize("seed", range(5))
def test_a_revise_leaves_nothing_of_what_it_cuts(bench: Page, seed: int) -> None:
    chance = random.Random(seed)
    cut = chance.randrange(100, 700)
    before = random_script(seed)
    kept = [x for x in before if x.at_us < cut * TICK_US]
    after = [x for x in random_script(seed + 100, copies=10_000) if x.at_us >= cut * TICK_US]
    revise = {"t": "revise", "epoch": 0, "cut": cut, "n": 800 - cut, "seq": 1, "first": len(kept) + 1,
              "events": wire(after), "digest": "new"}  # fmt: skip
    moments = [chance.randrange(20_000_000) for _ in range(20)]
    wrong = bench.evaluate(
        """([frames, revise, events, moments]) => {
          const timeline = new Timeline();
          for (const frame of frames) timeline.append(frame);
          for (const t of moments) timeline.sceneAt(t);
          if (!timeline.revise(revise)) return ["refused"];
          return moments.filter((t) => JSON.stringify(asked(timeline, t)) !== JSON.stringify(fold(events, t)));
        }""",
        [frames(before, 800, 20), revise, wire([*kept, *after]), moments],
    )
    assert wrong == [], f"seed {seed}"


def test_a_gap_is_refused_and_changes_nothing(bench: Page) -> None:
    made = frames(post_office(), 400, 40)
    assert bench.evaluate(
        """([first, third]) => {
          const timeline = new Timeline();
          return [timeline.append(first), timeline.append(third), timeline.endTick];
        }""",
        [made[0], made[2]],
    ) == [True, False, 40]


def test_a_frame_that_comes_twice_counts_once(bench: Page) -> None:
    made = frames(post_office(), 400, 40)
    assert bench.evaluate(
        """([frames, events]) => {
          const timeline = new Timeline();
          for (const frame of frames) { timeline.append(frame); timeline.append(frame); }
          return JSON.stringify(asked(timeline, 9e6)) === JSON.stringify(fold(events, 9e6));
        }""",
        [made, wire(post_office())],
    )


def test_seeking_in_a_long_run_takes_under_a_tenth_of_a_second(bench: Page) -> None:
    events = wire(random_script(3, length=60_000, until_us=600_000_000))
    slowest = bench.evaluate(
        """(events) => {
          const timeline = new Timeline();
          timeline.append({ tick: 0, n: 24_000, first: 1, events, digest: "" });
          timeline.sceneAt(600e6);
          const took = [];
          for (const t of [10e6, 590e6, 300e6, 5e6, 450e6, 444e6]) {
            const before = performance.now();
            timeline.sceneAt(t);
            took.push(performance.now() - before);
          }
          return Math.max(...took);
        }""",
        events,
    )
    assert slowest <= 100
