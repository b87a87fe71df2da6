"""Rooms by their promises, with the real engine and a wall clock that goes by hand."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.test import AsyncClient

from engine.commands import COMMANDS
from playground.rooms import permissions
from playground.rooms.history import recording_of
from playground.rooms.hub import Hub
from playground.rooms.limits import FRAME_BYTES_MAX, FRAME_EVENTS_MAX, TICK_US, WINDOW_FRAMES
from playground.rooms.opening import Opening, open_room
from playground.rooms.wire import BadFrame, Said
from playground.seats import seat_in
from tests.playground.conftest import CONSUMER, SLUG, new_room, sit
from tests.playground.fakes import Browser, Wall

ids = (f"id-{n}" for n in itertools.count())


async def go(hub: Hub, wall: Wall, seconds: float, *browsers: Browser) -> None:
    """Time passes in batches of 100 ms; browsers take in what they get."""
    for _ in range(round(seconds * 10)):
        wall.pass_ms(100)
        await hub.batch()
        for browser in browsers:
            browser.take()
            browser.look()


async def command(hub: Hub, browser: Browser, cmd: str, id: str = "", **args: Any) -> dict[str, Any]:
    """Says it and returns `done`."""
    said = Said(v=1, id=id or next(ids), cmd=cmd, args=args)
    await hub.command(browser.room, browser.viewer, said)  # type: ignore[attr-defined]
    browser.take()
    return browser.done[said.id]


def events_at(browser: Browser, tag: int) -> list[Any]:
    return [e for _, events in browser.ticks.values() for e in events if e[0] == tag]


COMMANDED = 20


async def test_two_viewers_see_the_same_digest_at_each_tick(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    first = await sit(hub, facts.code)
    await go(hub, wall, 3, first)
    second = await sit(hub, facts.code, "viewer")
    await command(hub, first, "CrashConsumer", consumer=CONSUMER)
    await go(hub, wall, 3, first, second)
    common = first.digests.keys() & second.digests.keys() - {-1}
    assert len(common) > 25
    assert all(first.digests[tick] == second.digests[tick] for tick in common)
    assert first.next == second.next


async def test_a_room_nobody_has_touched_is_its_recording(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 5, browser)
    recording = recording_of(SLUG)
    assert browser.digests[browser.next - 1] == recording.digest_before(browser.next)


async def test_pause_then_crash_happens_at_exactly_the_moment_on_the_screen(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 4, browser)
    await command(hub, browser, "Pause")
    await go(hub, wall, 1, browser)
    shown = browser.moment()
    assert browser.next * TICK_US > shown + TICK_US, "it has been simulated ahead"
    done = await command(hub, browser, "CrashConsumer", consumer=CONSUMER)
    await go(hub, wall, 0.3, browser)
    assert done["at_us"] == shown
    assert [e[1] for e in events_at(browser, COMMANDED)] == [shown]
    assert [f["t"] for f in browser.frames if f["t"] in ("revise", "ticks", "state")][-1] == "revise"
    assert browser.moment() == shown
    assert not browser.past_revised
    assert not browser.went_back


async def test_a_command_is_applied_once_however_often_it_is_sent(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 2, browser)
    first = await command(hub, browser, "CrashConsumer", "same", consumer=CONSUMER)
    await go(hub, wall, 1, browser)
    again = await command(hub, browser, "CrashConsumer", "same", consumer=CONSUMER)
    await go(hub, wall, 1, browser)
    assert again == first
    assert len(await hub.journal.entries(facts.code, 0, 0)) == 1
    assert len(events_at(browser, COMMANDED)) == 1


async def test_a_command_while_it_runs_comes_a_third_of_a_second_later_and_revises_little(
    hub: Hub, wall: Wall
) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 2, browser)
    shown = browser.moment()
    done = await command(hub, browser, "PauseProducer", producer="shop")
    assert 0 < done["at_us"] - shown <= 300_000
    await go(hub, wall, 1, browser)
    assert not [frame for frame in browser.frames if frame["t"] == "revise"]


async def test_what_is_done_while_a_batch_is_late_happens_in_no_tick_that_it_tells(
    hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever never hears of it, because the process ends right then, has still been shown nothing wrong."""
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 2, browser)
    heads, done = hub.journal.heads, {}

    async def slow(watched: Any) -> Any:
        found = await heads(watched)
        wall.pass_ms(5)
        done.update(await command(hub, browser, "PauseProducer", producer="shop"))
        wall.pass_ms(190)
        return found

    monkeypatch.setattr(hub.journal, "heads", slow)
    wall.pass_ms(100)
    await hub.batch()
    browser.take()
    assert browser.next * TICK_US <= done["at_us"]
    monkeypatch.undo()
    await go(hub, wall, 1, browser)
    assert len(events_at(browser, COMMANDED)) == 1
    assert not [frame for frame in browser.frames if frame["t"] == "revise"]


async def test_step_shows_the_next_event_and_a_command_then_comes_after_it(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 3, browser)
    await command(hub, browser, "Pause")
    await go(hub, wall, 0.5, browser)
    before = browser.moment()
    await command(hub, browser, "Step")
    await go(hub, wall, 0.5, browser)
    after = browser.moment()
    between = [e[1] for _, events in browser.ticks.values() for e in events if before < e[1] < after]
    assert after > before
    assert not between
    done = await command(hub, browser, "CrashConsumer", consumer=CONSUMER)
    await go(hub, wall, 0.3, browser)
    assert done["at_us"] == after
    stepped = [e for _, events in browser.ticks.values() for e in events if e[1] == after]
    assert stepped[0][0] != COMMANDED
    assert stepped[-1][0] == COMMANDED or COMMANDED in [e[0] for e in stepped[1:]]


async def test_to_start_is_a_new_branch_without_the_commands(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 1, browser)
    await command(hub, browser, "CrashConsumer", consumer=CONSUMER)
    await go(hub, wall, 2, browser)
    await command(hub, browser, "ToStart")
    await go(hub, wall, 2, browser)
    assert browser.epoch == 1
    assert browser.start == 0
    assert browser.digests[browser.next - 1] == recording_of(SLUG).digest_before(browser.next)


async def test_nobody_watching_the_clock_stands(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 3, browser)
    hub.leave(browser.room, browser.viewer)  # type: ignore[attr-defined]
    await go(hub, wall, 20)
    again = await sit(hub, facts.code)
    await go(hub, wall, 0.1, again)
    assert 3_000_000 <= again.moment() <= 5_200_000


async def test_a_newcomer_gets_the_present_not_the_whole_past(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    first = await sit(hub, facts.code)
    await go(hub, wall, 28, first)
    late = await sit(hub, facts.code, "viewer")
    await go(hub, wall, 0.2, late, first)
    assert late.frames[1]["t"] == "state"
    assert late.digests[late.next - 1] == first.digests[first.next - 1]
    past = (await AsyncClient().get(f"/history/room/{facts.code}/0/")).json()["chunks"]
    last = (await AsyncClient().get(past[-1])).json()
    assert late.start == last["tick"] + last["n"] == 800, "nothing is missing between history and present"
    assert late.ticks[800][0] == last["first"] + len(last["events"])


async def test_whoever_comes_back_gets_the_exact_tail(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    staying, leaving = await sit(hub, facts.code), await sit(hub, facts.code, "viewer")
    await go(hub, wall, 3, staying, leaving)
    hub.leave(leaving.room, leaving.viewer)  # type: ignore[attr-defined]
    await go(hub, wall, 3, staying)
    held = leaving.next
    back = await sit(hub, facts.code, "viewer")
    leaving.viewer = back.viewer
    leaving.frames.clear()
    leaving.watch()
    await go(hub, wall, 0.2, leaving, staying)
    first = next(frame for frame in leaving.frames if "f" in frame)
    assert (first["t"], first["tick"]) == ("ticks", held)
    assert leaving.digests[leaving.next - 1] == staying.digests[staying.next - 1]


async def test_a_room_opened_on_a_recording_revises_what_the_browser_holds(hub: Hub, wall: Wall) -> None:
    """The browser holds 10 s of the recording, acts at 4 s, and is told only what differs from there."""
    recording = recording_of(SLUG)
    facts = await new_room(hub, sim_us=4_000_000)
    browser = await sit(hub, facts.code)
    browser.next = 400
    browser.digests[399] = recording.digest_before(400)
    browser.ticks = {tick: (0, []) for tick in range(400)}
    browser.watch()
    done = await command(hub, browser, "CrashConsumer", consumer=CONSUMER)
    await go(hub, wall, 1, browser)
    first = next(frame for frame in browser.frames if "f" in frame)
    assert (first["t"], first["cut"]) == ("revise", done["at_us"] // TICK_US)
    assert [e[1] for e in events_at(browser, COMMANDED)] == [done["at_us"]]


async def test_a_viewer_that_acknowledges_nothing_is_left_behind_and_then_told_the_present(
    hub: Hub, wall: Wall
) -> None:
    facts = await new_room(hub)
    quick, slow = await sit(hub, facts.code), await sit(hub, facts.code, "viewer")
    slow.acknowledges = False
    await go(hub, wall, 15, quick, slow)
    counted = [frame for frame in slow.frames if "f" in frame]
    assert len(counted) == WINDOW_FRAMES
    assert len(slow.viewer.mailbox.waiting) == 0
    slow.acknowledges = True
    slow.frames.clear()
    slow.viewer.seen(counted[-1]["f"])
    await go(hub, wall, 1, quick, slow)
    assert next(frame["t"] for frame in slow.frames if "f" in frame) == "state"
    assert slow.next == quick.next


async def test_frames_stay_within_their_bounds(hub: Hub, wall: Wall) -> None:
    import json

    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await command(hub, browser, "SetRate", producer="shop", per_minute=6_000)
    await go(hub, wall, 5, browser)
    late = await sit(hub, facts.code, "viewer")
    await go(hub, wall, 2, browser, late)
    frames = [frame for frame in (*browser.frames, *late.frames) if frame["t"] == "ticks"]
    assert max(len(frame["events"]) for frame in frames) > 100
    for frame in frames:
        assert len(frame["events"]) <= FRAME_EVENTS_MAX
        assert len(json.dumps(frame, separators=(",", ":"))) <= FRAME_BYTES_MAX


async def test_a_command_that_the_engine_refuses_is_answered_with_its_reason(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 1, browser)
    await command(hub, browser, "RestartConsumer", "no", consumer=CONSUMER)
    await go(hub, wall, 1, browser)
    assert [(e["id"], e["code"]) for e in browser.errors] == [("no", "refused")]


async def test_the_command_that_opened_a_room_is_answered_when_it_is_said_again(hub: Hub, wall: Wall) -> None:
    """A browser cannot know what the engine says of the command that it opened a room with; it asks."""
    at_work = {"slug": SLUG, "id": "first", "cmd": "RestartConsumer", "args": {"consumer": CONSUMER}}
    facts, _ = await open_room(hub, Opening(now_us=2_000_000, **at_work), "token")  # type: ignore[arg-type]
    browser = await sit(hub, facts.code)
    browser.viewer.seat = seat_in("token", facts.code)
    said = Said(v=1, id="first", cmd="RestartConsumer", args={"consumer": CONSUMER})
    await hub.command(browser.room, browser.viewer, said)  # type: ignore[attr-defined]
    await go(hub, wall, 1, browser)
    assert len(await hub.journal.entries(facts.code, 0, 0)) == 1
    (refused,) = [frame for frame in browser.frames if frame["t"] == "error"]
    assert (refused["id"], refused["text"]) == (
        "first",
        "Email worker is up: this needs it crashed or stopped.",
    )


async def test_past_the_end_a_command_is_answered_that_the_run_is_over(hub: Hub, wall: Wall) -> None:
    facts = await new_room(hub, sim_us=59_900_000)
    browser = await sit(hub, facts.code)
    await go(hub, wall, 1, browser)
    with pytest.raises(BadFrame, match="The run is over") as caught:
        await command(hub, browser, "CrashConsumer", "late", consumer=CONSUMER)
    assert caught.value.code == "run_over"
    assert not await hub.journal.entries(facts.code, 0, 0)


@pytest.mark.parametrize("cmd", sorted({*COMMANDS, *permissions.CLOCK_COMMANDS}))
@pytest.mark.parametrize("role", ["viewer", "visitor"])
async def test_only_its_owner_commands_a_room(hub: Hub, role: str, cmd: str) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code, role)
    with pytest.raises(BadFrame) as caught:
        await command(hub, browser, cmd)
    assert caught.value.code == "not_allowed"
    assert not await hub.journal.entries(facts.code, 0, 0)


@pytest.mark.parametrize(
    ("cmd", "args", "code"),
    [
        ("Fly", {}, "unknown_command"),
        ("CrashConsumer", {}, "bad_arguments"),
        ("CrashConsumer", {"consumer": 5}, "bad_arguments"),
        ("CrashConsumer", {"consumer": CONSUMER, "more": 1}, "bad_arguments"),
        ("Speed", {}, "bad_arguments"),
        ("Speed", {"rate": 1001}, "bad_arguments"),
        ("Speed", {"rate": True}, "bad_arguments"),
        ("Pause", {"rate": 1000}, "bad_arguments"),
    ],
)
async def test_a_command_that_makes_no_sense_is_refused_before_the_journal(
    hub: Hub, cmd: str, args: dict[str, Any], code: str
) -> None:
    facts = await new_room(hub)
    browser = await sit(hub, facts.code)
    with pytest.raises(BadFrame) as caught:
        await command(hub, browser, cmd, **args)
    assert caught.value.code == code
    assert (await hub.journal.head(facts.code)).seq == 0
