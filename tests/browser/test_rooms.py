"""A room in the browser: who steers, looking back, branches, and what is said when something is missing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import TYPES, House, wait
from tests.browser.mocked import STAGE, branch, clock, hello, in_room, opened, room_page, ticks
from tests.browser.scripts import BILLING, ORDERS, TICK_US, chunk, post_office, wire

EVENTS = post_office()


def commands(server: Any, page: Page, count: int) -> list[dict[str, Any]]:
    """What the page has commanded, when it is that many."""
    for _ in range(100):
        if len(server.of("command")) >= count:
            break
        page.wait_for_timeout(20)
    page.wait_for_timeout(60)
    said: list[dict[str, Any]] = server.of("command")
    assert len(said) == count, said
    return said


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def look_back(page: Page, t_us: int) -> None:
    page.get_by_role("slider", name="Time").fill(str(t_us // 1000))
    wait(page, f"{STAGE}.now === {t_us}")


# -- who steers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    ("role", "words"), [("owner", "You steer this room"), ("viewer", "You watch; the room’s owner steers")]
)
def test_the_page_says_which_of_the_two_you_are(
    server: Any, house: House, role: str, words: str, width: int
) -> None:
    server.page.set_viewport_size({"width": width, "height": 844})
    page = in_room(server, house, EVENTS, 4_000_000, role=role)
    expect(page.get_by_text(words)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_a_viewer_may_not_press_says_why(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000, role="viewer")
    for name in ("Fork", "New seed"):
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_be_disabled()
        expect(button).to_have_accessible_description(re.compile("Only the room’s owner"))
    for name in ("Crash", "Slow", "Poison", "Cut network"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    speed = page.get_by_role("group", name="Speed").get_by_role("button", name="4", exact=True)
    expect(speed).to_be_disabled()
    expect(speed).to_have_accessible_description(re.compile("owner sets its speed"))
    for name in ("Play", "Step"):
        button = page.get_by_role("button", name=name, exact=True)
        expect(button).to_be_disabled()
        expect(button).to_have_accessible_description(re.compile("owner"))
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    # But looking back is anybody's
    press(page, "Step back")
    expect(speed).to_be_enabled()
    press(page, "Play")
    wait(page, f"!{STAGE}.looking && {STAGE}.now === 4000000")
    assert commands(server, page, 0) == []


# -- looking back ---------------------------------------------------------------------------------


def test_looking_back_writes_nothing_and_ends_at_now(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    look_back(page, 1_000_000)
    press(page, "Step back")
    press(page, "Play")
    wait(page, f"{STAGE}.looking && {STAGE}.playing && {STAGE}.now > 1000000")
    # When what is looked at reaches the room's own moment
    page.get_by_role("slider", name="Time").fill("3900")
    wait(page, f"!{STAGE}.looking")
    # Then the page is back at now, and has shown nothing beyond it
    wait(page, f"{STAGE}.now === 4000000")
    expect(page.get_by_role("button", name="Return to now")).to_be_hidden()
    assert commands(server, page, 0) == []


@pytest.mark.parametrize("role", ["owner", "viewer"])
def test_the_key_home_looks_at_the_start_and_only_the_button_begins_anew(
    server: Any, house: House, role: str
) -> None:
    page = in_room(server, house, EVENTS, 4_000_000, role=role)
    for focused in (
        page.get_by_role("slider", name="Time"),
        page.get_by_role("button", name="Step back", exact=True),
    ):
        focused.focus()
        page.keyboard.press("Home")
        wait(page, f"{STAGE}.looking && {STAGE}.now === 0")
        page.keyboard.press("Escape")
        wait(page, f"!{STAGE}.looking && {STAGE}.now === 4000000")
    assert commands(server, page, 0) == []
    if role == "owner":
        press(page, "To start")
        assert [said["cmd"] for said in commands(server, page, 1)] == ["ToStart"]


def test_nobody_can_look_ahead_of_the_room(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    page.get_by_role("slider", name="Time").fill("4600")
    page.wait_for_timeout(100)
    assert page.evaluate(f"[{STAGE}.looking, {STAGE}.now]") == [False, 4_000_000]
    look_back(page, 3_000_000)
    for _ in range(60):
        page.evaluate(f"{STAGE}.looking") and press(page, "Step")
    assert page.evaluate(f"[{STAGE}.looking, {STAGE}.now]") == [False, 4_000_000]


def test_who_returns_to_now_keeps_the_keyboard(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    look_back(page, 1_000_000)
    page.get_by_role("button", name="Return to now").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_focused()


def test_acting_in_the_past_says_when_and_everybody_goes_along(server: Any, house: House) -> None:
    # Given an owner who looks at 2 s of a room that stands at 4 s
    page = in_room(server, house, EVENTS, 4_000_000)
    look_back(page, 2_000_000)
    # When a worker is crashed there
    press(page, "Crash")
    page.get_by_role("group", name="Targets").get_by_role("button", name="billing worker").click()
    said = commands(server, page, 1)[0]
    assert (said["cmd"], said["epoch"], said["from_us"]) == ("CrashConsumer", 1, 2_000_000)
    # And the server makes a branch of it
    tail = {**ticks(EVENTS, 80, 40), "epoch": 2, "seq": 2}
    server.send({"t": "done", "id": said["id"], "seq": 2, "at_us": 2_000_000}, branch(2, 80), tail)
    wait(page, f"{STAGE}.epoch === 2 && {STAGE}.tick === 119")
    server.send(clock(2_000_000, 0, seq=2))
    # Then the page stands at the room's own moment again, without a glide
    wait(page, f"!{STAGE}.looking")
    assert page.evaluate(f"({STAGE}.draw(), {STAGE}.now)") == 2_000_000
    # And what is said from now on is said of the new branch
    press(page, "Play")
    later = commands(server, page, 2)[1]
    assert (later["cmd"], later["epoch"]) == ("Play", 2) and "from_us" not in later


def test_a_fork_goes_on_from_the_moment_looked_at(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    expect(page.get_by_role("button", name="Fork", exact=True)).to_be_disabled()
    look_back(page, 2_500_000)
    press(page, "Fork")
    said = commands(server, page, 1)[0]
    assert (said["cmd"], said["args"]) == ("Fork", {"at_us": 2_500_000})


def test_a_viewer_follows_a_branch_and_is_told_so(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000, role="viewer")
    server.send(branch(2, 80), {**ticks(EVENTS, 80, 40), "epoch": 2}, clock(2_000_000, 0, seq=2))
    wait(page, f"{STAGE}.epoch === 2 && {STAGE}.now === 2000000")
    expect(page.get_by_text("The room begins anew: from 2 s.")).to_be_visible()


def test_a_viewer_who_looks_at_what_the_branch_shares_goes_on_looking(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000, role="viewer")
    look_back(page, 1_000_000)
    before = page.evaluate(f"JSON.stringify({STAGE}.scene())")
    server.send(branch(2, 80), {**ticks(EVENTS, 80, 40), "epoch": 2}, clock(2_000_000, 0, seq=2))
    wait(page, f"{STAGE}.epoch === 2 && {STAGE}.tick === 119")
    assert page.evaluate(f"JSON.stringify({STAGE}.scene())") == before
    # But what the new branch has not reached is looked at by nobody
    server.send(branch(3, 20, seq=3), {**ticks(EVENTS, 20, 40), "epoch": 3}, clock(500_000, 0, seq=3))
    wait(page, f"!{STAGE}.looking && {STAGE}.now === 500000")


def test_a_new_seed_forgets_everything(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    press(page, "New seed")
    assert commands(server, page, 1)[0]["args"] == {"seed": None}
    server.send(branch(2, 0, seed=7, name="seed 7"), clock(0, 0, seq=2))
    wait(page, f"{STAGE}.epoch === 2 && {STAGE}.tick === -1")
    assert page.evaluate(f"[{STAGE}.dataset.seed, {STAGE}.scene().messages.length]") == ["7", 0]
    server.send({**ticks(EVENTS, 0, 60), "epoch": 2})
    wait(page, f"{STAGE}.tick === 59 && {STAGE}.shownScene.nodes.size === 6")


def test_a_new_seed_of_a_recording_opens_a_room_of_that_seed(server: Any, house: House) -> None:
    house.pages["/room/open/"] = (TYPES[".json"], json.dumps({"room": "abcd", "url": "/room/abcd/"}))
    house.posted.clear()
    page = opened(server, house.show(EVENTS))
    press(page, "New seed")
    wait(page, "location.pathname === '/room/abcd/'")
    asked = house.posted[0]
    assert asked["now_us"] == 0 and asked["seed"] != 1 and "cmd" not in asked
    wait(page, f"{STAGE}.session.socket.everOpen && {STAGE}.tick === -1")
    page.wait_for_timeout(100)
    assert server.of("watch")[-1]["tick"] == 0


# -- the room's past over HTTP --------------------------------------------------------------------


def test_what_was_before_one_came_is_fetched_in_chunks(server: Any, house: House) -> None:
    # Given somebody who comes late: the room stands at 22 s, its events are held from 20 s on
    pieces = [
        chunk(EVENTS, tick=n * 400, first=1 + sum(x.at_us < n * 10_000_000 for x in EVENTS)) for n in (0, 1)
    ]
    addresses = [f"/history/room/abcd/1/{n}/d.json" for n in (0, 1)]
    index = {"epoch": 1, "seed": 1, "chunks": addresses}
    house.pages["/history/room/abcd/1/"] = (TYPES[".json"], json.dumps(index))
    for address, piece in zip(addresses, pieces, strict=True):
        house.pages[address] = (TYPES[".json"], json.dumps(piece))
    page = room_page(server, house, "viewer")
    tail = ticks(EVENTS, 800, 120)
    server.send(hello("viewer"), clock(22_000_000, 0), {**tail, "t": "state", "events": [], "first": 0}, tail)
    wait(page, f"{STAGE}.tick === 919")
    # When 5 s is looked at, of which nothing is held
    look_back(page, 5_000_000)
    # Then it comes, as if it had been held all along
    wait(page, f"{STAGE}.timeline.knows(5000000)")
    wait(page, f"{STAGE}.scene().messages.length > 0")
    expect(page.get_by_text("Fetching this moment…")).to_be_hidden()
    look_back(page, 19_900_000)
    wait(page, f"{STAGE}.timeline.knows(19900000)")
    assert page.evaluate(f"{STAGE}.timeline.segments.length") == 1
    page.get_by_role("button", name="Return to now").click()
    wait(page, f"{STAGE}.now === 22000000")


def test_what_is_not_over_yet_says_when_it_can_be_looked_at(server: Any, house: House) -> None:
    index = {"epoch": 1, "seed": 1, "chunks": []}
    house.pages["/history/room/abcd/1/"] = (TYPES[".json"], json.dumps(index))
    page = room_page(server, house, "viewer")
    tail = ticks(EVENTS, 200, 120)
    server.send(hello("viewer"), clock(7_000_000, 0), {**tail, "t": "state", "events": [], "first": 0}, tail)
    wait(page, f"{STAGE}.tick === 319")
    look_back(page, 2_000_000)
    expect(page.get_by_text("This moment can be looked at when the room has passed 10 s.")).to_be_visible()
    assert page.evaluate(f"{STAGE}.scene().messages.length") == 0


# -- when something is missing --------------------------------------------------------------------


def test_a_clock_that_nobody_lights_stands_and_says_so(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000, rate=1000)
    now_us = page.evaluate(f"({STAGE}.draw(), {STAGE}.now)")
    server.send(clock(now_us, 1000, seq=2, lit_us=200_000))
    expect(page.get_by_text("The room stands still until the server is heard again.")).to_be_visible(
        timeout=2_000
    )
    page.wait_for_timeout(1_000)
    stands = page.evaluate(f"({STAGE}.draw(), {STAGE}.now)")
    page.wait_for_timeout(300)
    assert stands == page.evaluate(f"({STAGE}.draw(), {STAGE}.now)") < now_us + 600_000
    server.send(clock(now_us + 200_000, 1000, seq=3))
    expect(page.get_by_text("The room stands still")).to_be_hidden()


def test_what_is_degraded_is_said_until_it_is_mended(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    server.send({"t": "degraded", "on": True, "text": "The database does not answer: the room stands still."})
    expect(page.get_by_text("The database does not answer: the room stands still.")).to_be_visible()
    server.send({"t": "degraded", "on": False, "text": ""})
    expect(page.get_by_text("The database does not answer")).to_be_hidden()


def test_a_restart_is_announced_and_the_page_comes_back_by_itself(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    server.send({"t": "restart", "text": "The server restarts; nothing is lost."})
    expect(page.get_by_text("The server restarts; nothing is lost.")).to_be_visible()
    server.on_frame = lambda route, frame: frame["t"] == "watch" and route.send(json.dumps(hello()))
    server.routes[-1].close(code=1012)
    wait(
        page, f"{STAGE}.session.socket.openedAt_ms < Infinity && {STAGE}.parts.connection.textContent === ''"
    )
    watch = server.of("watch")[-1]
    assert (watch["epoch"], watch["tick"], watch["digest"]) == (1, 200, "x199")


def test_who_cannot_be_reached_is_not_hammered(server: Any, house: House) -> None:
    # Given a server that hangs up at once, again and again
    page = in_room(server, house, EVENTS, 4_000_000)
    server.on_open = lambda route: route.close(code=1011)
    before = len(server.routes)
    server.routes[-1].close(code=1011)
    expect(page.get_by_text("Reconnecting…")).to_be_visible(timeout=3_000)
    page.wait_for_timeout(1_500)
    assert 3 <= len(server.routes) - before <= 9


def test_a_room_that_is_gone_is_not_asked_for_again(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    text = "This room has expired: nobody has watched it for 30 days."
    server.send({"t": "error", "id": None, "code": "expired", "text": text})
    before = len(server.routes)
    server.routes[-1].close(code=4004)
    expect(page.get_by_text(text)).to_be_visible()
    expect(
        page.locator("[data-part=connection]").get_by_role("link", name="Open the scenario")
    ).to_be_visible()
    page.wait_for_timeout(400)
    assert len(server.routes) == before


@pytest.mark.parametrize(
    "code", ["bad_arguments", "not_allowed", "too_fast", "throttled", "refused", "run_over", "old_epoch"]
)
def test_a_refused_command_is_answered_where_it_was_given(server: Any, house: House, code: str) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    press(page, "Play")
    said = commands(server, page, 1)[0]
    server.send({"t": "error", "id": said["id"], "code": code, "text": f"This was not done ({code})."})
    line = page.get_by_text(f"This was not done ({code}).")
    expect(line).to_be_visible()
    assert line.evaluate("(line) => line.previousElementSibling.className") == "transport"
    # And it is not sent again
    server.routes[-1].close()
    wait(page, f"{STAGE}.session.socket.socket?.readyState === 1")
    commands(server, page, 1)
    press(page, "Play")
    expect(line).to_be_hidden()


def test_a_silent_connection_is_taken_up_anew(server: Any, house: House) -> None:
    # Given a machine that slept: the connection looks open, and nobody is at the other end
    page = in_room(server, house, EVENTS, 4_000_000)
    before = len(server.routes)
    page.evaluate(f"{STAGE}.session.socket.heardAt_ms -= 3600000")
    # Then within two seconds there is a new one, which begins at the position held
    for _ in range(100):
        if len(server.of("watch")) > 1:
            break
        page.wait_for_timeout(20)
    assert len(server.routes) == before + 1
    assert server.of("watch")[-1]["tick"] == 200


def hide(page: Page, hidden: bool) -> None:
    page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_a_hidden_page_asks_for_nothing_and_is_level_when_it_is_seen(server: Any, house: House) -> None:
    # Given a page that is hidden, whose connection breaks
    page = in_room(server, house, EVENTS, 4_000_000)
    hide(page, True)
    before = len(server.routes)
    server.routes[-1].close(code=1011)
    page.wait_for_timeout(1_500)
    assert len(server.routes) == before
    # When it is seen again, two simulated seconds later
    late = [clock(6_000_000, 0, seq=3), ticks(EVENTS, 200, 80)]

    def answer(route: Any, frame: dict[str, Any]) -> None:
        if frame["t"] == "watch":
            for each in (hello(), *late):
                route.send(json.dumps(each))

    server.on_frame = answer
    hide(page, False)
    # Then it is at the room's moment at once, not gliding there
    wait(page, f"({STAGE}.draw(), {STAGE}.now) === 6000000", 3)


# -- more than can be drawn singly ----------------------------------------------------------------


def test_what_is_too_fast_to_draw_singly_is_told_in_numbers(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    assert page.evaluate(f"{STAGE}.scene().messages.length") > 0
    # When ticks come with counts instead of messages
    crowd = {**ticks([], 200, 20, f=9), "aggregated": True, "counts": [[BILLING, "ready", 812], [BILLING, "unacked", 40]],
             "flows": [[ORDERS, BILLING, 655]]}  # fmt: skip
    server.send(crowd, clock(5_500_000, 0, seq=2))
    # Then nobody is drawn, and the page says why and how many there are
    box = page.get_by_role("region", name="Too fast to draw singly")
    expect(box).to_be_visible()
    expect(box).to_contain_text("billing812 ready, 40 unacked")
    expect(box).to_contain_text("orders → billing655")
    assert page.evaluate(f"[{STAGE}.scene().messages.length, {STAGE}.scene().nodes.length]") == [0, 6]
    # And when it is slow enough again, everybody is back
    calm = ticks(EVENTS, 220, 60, f=10)
    before = [x for x in EVENTS if x.at_us < 220 * TICK_US]
    server.send({**calm, "t": "state", "events": wire(before), "first": 0}, calm, clock(6_500_000, 0, seq=3))
    wait(page, f"{STAGE}.scene().messages.length > 0")
    expect(box).to_be_hidden()


def crowd(tick: int, n: int, ready: int, f: int, **more: Any) -> dict[str, Any]:
    return {
        **ticks([], tick, n, f=f),
        "first": 0,
        "aggregated": True,
        "counts": [[BILLING, "ready", ready]],
        "flows": [],
        **more,
    }


def present(tick: int, f: int, **more: Any) -> dict[str, Any]:
    before = [x for x in EVENTS if x.at_us < tick * TICK_US]
    return {**ticks([], tick, 0, f=f), "t": "state", "events": wire(before), "first": 0, **more}


def test_numbers_stay_on_the_screen_until_messages_take_their_place(server: Any, house: House) -> None:
    # Given a page that shows numbers at 5.9 s, having held messages up to 5 s
    page = in_room(server, house, EVENTS, 4_000_000)
    server.send(crowd(200, 20, 812, f=9), crowd(220, 20, 900, f=10), clock(5_900_000, 0, seq=2))
    box = page.get_by_role("region", name="Too fast to draw singly")
    expect(box).to_contain_text("812 ready")
    # When the present of 5.5 s is told in parts, and then ticks, first not as far as the moment shown
    whole = present(220, 11, keep=True)
    parts = [{**whole, "f": 11 + i, "part": i, "more": i < 2, "events": whole["events"][i * 9 : i * 9 + 9 if i < 2 else None]}
             for i in range(3)]  # fmt: skip
    server.send(*parts[:2])
    page.wait_for_timeout(100)
    expect(box).to_be_visible()
    server.send(parts[2], ticks(EVENTS, 220, 5, f=14))
    wait(page, f"{STAGE}.tick === 224")
    # Then the moment has not gone back, and numbers stand there yet
    assert page.evaluate(f"({STAGE}.draw(), {STAGE}.now)") == 5_900_000
    expect(box).to_be_visible()
    # And when they are there, so is every message, as if it had never been otherwise
    server.send(ticks(EVENTS, 225, 55, f=15))
    wait(page, f"{STAGE}.scene().messages.length > 0")
    expect(box).to_be_hidden()
    same(page, 5_900_000)
    # And the messages of before, and the numbers, can be looked at
    page.evaluate(f"{STAGE}.seek(5_490_000)")
    expect(box).to_be_hidden()
    page.evaluate(f"{STAGE}.seek(3_000_000)")
    same(page, 3_000_000)


def test_numbers_that_have_become_wrong_are_forgotten(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    server.send(crowd(200, 60, 812, f=9), clock(6_600_000, 0, seq=2))
    expect(page.get_by_role("region", name="Too fast to draw singly")).to_be_visible()
    server.send(present(200, 10, keep=True), ticks(EVENTS, 200, 10, f=11, forget=240))
    wait(page, f"{STAGE}.timeline.reachTick === 240")
    server.send(ticks(EVENTS, 210, 70, f=12))
    wait(page, f"{STAGE}.tick === 279")
    page.evaluate(f"{STAGE}.draw()")
    same(page, 6_600_000)


def test_who_comes_back_with_numbers_says_so(server: Any, house: House) -> None:
    page = in_room(server, house, EVENTS, 4_000_000)
    server.send(crowd(200, 20, 812, f=9))
    wait(page, f"{STAGE}.tick === 219")
    server.routes[-1].close(code=1012)
    wait(page, f"{STAGE}.session.socket.socket?.readyState === 1")
    page.wait_for_timeout(100)
    assert [
        {k: frame.get(k) for k in ("tick", "digest", "aggregated")} for frame in server.of("watch")[-1:]
    ] == [{"tick": 220, "digest": "x219", "aggregated": True}]


DRAWN = f"""([events, at_us]) => {{
  const {{ timeline }} = {STAGE};
  const whole = new timeline.constructor();
  whole.append({{ tick: 0, n: 1200, first: 1, events }});
  const drawn = (scene) => [
    [...scene.tokens].map(([key, {{ node, zone, flight }}]) => [key, node, zone, flight?.arrive_us]).sort((a, b) => a[0] - b[0]),
    [...scene.zones].map(([node, zones]) => [node, Object.entries(zones).filter(([, z]) => z.keys.length)
      .map(([name, z]) => [name, z.keys]).sort()]).filter(([, zones]) => zones.length).sort((a, b) => a[0] - b[0]),
    [...scene.nodes],
    Object.fromEntries([...scene.ledger].map(([node, stand]) => [node, Object.entries(stand).filter(([, n]) => n).sort()])),
    [...scene.work.keys()].sort(), scene.aggregated,
  ];
  const [told, folded] = [timeline.sceneAt(at_us), whole.sceneAt(at_us)].map(drawn);
  return [told, folded].map((each) => JSON.stringify(each));
}}"""


def same(page: Any, at_us: int) -> None:
    """What is drawn at that moment is what all events draw."""
    told, folded = page.evaluate(DRAWN, [wire(EVENTS), at_us])
    assert told == folded
