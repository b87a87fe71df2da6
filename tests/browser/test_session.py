"""Where events come from: chunks when the socket is refused, the socket when it is not, and the way into a room."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, WebSocketRoute

from tests.browser.conftest import House, wait
from tests.browser.mocked import STAGE, clock, hello, opened, ticks
from tests.browser.scripts import post_office


def test_a_refused_socket_leaves_a_page_that_plays_and_says_so(
    open_page: Callable[..., Page], house: House
) -> None:
    # Given a server without sockets
    page = open_page(house.show(post_office(), chunks=3))
    # Then the page says it in words, and plays on into the second chunk
    status = page.get_by_text("Live connection refused: playing the recorded history")
    status.wait_for(timeout=5_000)
    page.evaluate(f"{STAGE}.seek(9800000); {STAGE}.play()")
    wait(page, f"{STAGE}.now > 10400000")
    assert page.evaluate(f"{STAGE}.timeline.endTick") >= 800


def test_a_recording_is_watched_with_the_position_it_holds(server: Any, house: House) -> None:
    page = opened(server, house.show(post_office(), chunks=3))
    wait(page, f"{STAGE}.session.socket.everOpen")
    page.wait_for_timeout(100)
    assert server.of("watch")[0] == {"t": "watch", "v": 1, "epoch": 0, "tick": 400, "digest": "d400"}


def test_a_frame_is_taken_in_and_acknowledged(server: Any, house: House) -> None:
    events = post_office()
    page = opened(server, house.show(events))
    wait(page, f"{STAGE}.session.socket.everOpen")
    server.routes[-1].send(json.dumps(ticks(events, 400, 40, f=7)))
    wait(page, f"{STAGE}.tick === 439")
    page.wait_for_timeout(50)
    assert server.of("seen")[-1]["f"] == 7
    assert page.evaluate(f"{STAGE}.digest") == "x439"


def test_a_lost_socket_comes_back_with_its_position_and_its_commands(server: Any, house: House) -> None:
    # Given a room in which a command was sent and not answered
    events = post_office()
    house.show(events, path="/room/abcd/", mode="room", room="abcd", role="owner", socket="/ws/room/abcd/")
    page = opened(server, house.url + "/room/abcd/")
    wait(page, f"{STAGE}.session.socket.everOpen")
    server.routes[-1].send(json.dumps(hello()))
    page.evaluate(f"{STAGE}.session.command('CrashConsumer', {{consumer: 'billing worker'}})")
    page.wait_for_timeout(50)
    # When the connection breaks
    server.routes[-1].close()
    deadline = time.monotonic() + 5
    while len(server.of("command")) < 2 and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    # Then the same command comes again, after the position
    first, second = server.of("command")[:2]
    assert first == second and len(server.of("watch")) == 2


def test_the_first_command_on_a_recording_opens_a_room_without_a_jump(server: Any, house: House) -> None:
    # Given a recording on the screen, and a server that opens rooms
    events = post_office()
    house.pages["/room/open/"] = ("application/json", json.dumps({"room": "abcd", "url": "/room/abcd/"}))
    house.posted.clear()
    page = opened(server, house.show(events, chunks=3))
    page.evaluate(f"{STAGE}.seek(5000000); {STAGE}.play()")
    wait(page, f"{STAGE}.now > 5100000")

    def room(route: WebSocketRoute, frame: dict[str, Any]) -> None:
        if frame["t"] == "watch" and "/ws/room/" in route.url:
            assert frame["tick"] >= 400
            route.send(json.dumps(hello()))
            route.send(json.dumps(clock(page_now[0] + 300_000)))
            route.send(json.dumps({**ticks(events, 260, 100, f=1), "t": "revise", "cut": 260}))

    server.on_frame = room
    page_now = [5_000_000]
    page.evaluate(
        f"""window.jumps = []; (() => {{
          const stage = {STAGE}; let last = stage.now, at = performance.now();
          stage.addEventListener("moment", () => {{
            const now = stage.now, t = performance.now();
            jumps.push([now - last, (t - at) * 1000]); last = now; at = t;
          }});
        }})()"""
    )
    # When the billing worker is crashed
    page.get_by_role("button", name="Crash", exact=True).click()
    page.get_by_role("group", name="Targets").get_by_role("button", name="billing worker").click()
    wait(page, "location.pathname === '/room/abcd/'")
    wait(page, f"{STAGE}.room !== null")
    page.wait_for_timeout(600)
    # Then the room was asked for with the moment shown and the command
    asked = house.posted[0]
    assert (asked["slug"], asked["seed"], asked["cmd"], asked["args"]) == (
        "post-office",
        1,
        "CrashConsumer",
        {"consumer": "billing worker"},
    )
    assert asked["now_us"] >= 5_000_000 and len(asked["id"]) <= 40
    # And the clock never went back and never jumped
    jumps = page.evaluate("jumps")
    assert all(-1 <= moved <= passed * 1.25 + 60_000 for moved, passed in jumps), jumps
    # And time goes on as the room says
    before = page.evaluate(f"{STAGE}.now")
    page.wait_for_timeout(300)
    assert page.evaluate(f"{STAGE}.now") > before


def test_in_a_room_the_owners_play_and_pause_are_commands(server: Any, house: House) -> None:
    events = post_office()
    house.show(events, path="/room/abcd/", mode="room", room="abcd", role="owner", socket="/ws/room/abcd/")
    page = opened(server, house.url + "/room/abcd/")
    wait(page, f"{STAGE}.session.socket.everOpen")
    for frame in (hello(), clock(2_000_000)):
        server.routes[-1].send(json.dumps(frame))
    wait(page, f"{STAGE}.room !== null")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.wait_for_timeout(50)
    assert server.of("command")[-1]["cmd"] == "Pause"
    # When the server's clock stands, so does the screen
    server.routes[-1].send(json.dumps(clock(2_500_000, rate=0)))
    page.get_by_role("button", name="Play", exact=True).wait_for()
    page.wait_for_timeout(1_500)
    assert page.evaluate(f"{STAGE}.now") == 2_500_000
    # Looking back is private
    page.get_by_role("slider", name="Time").fill("1000")
    back = page.get_by_role("button", name="Return to now")
    back.wait_for()
    assert page.evaluate(f"{STAGE}.now") == 1_000_000
    back.click()
    wait(page, f"{STAGE}.now === 2500000")
    assert [c["cmd"] for c in server.of("command")] == ["Pause"]


def test_a_refusal_is_said_in_the_servers_words(server: Any, house: House) -> None:
    house.show(
        post_office(), path="/room/abcd/", mode="room", room="abcd", role="owner", socket="/ws/room/abcd/"
    )
    page = opened(server, house.url + "/room/abcd/")
    wait(page, f"{STAGE}.session.socket.everOpen")
    server.routes[-1].send(
        json.dumps(
            {"t": "error", "id": None, "code": "too_fast", "text": "That was too fast: wait a moment."}
        )
    )
    page.get_by_text("That was too fast: wait a moment.").wait_for(timeout=2_000)


def test_a_frame_that_leaves_a_gap_starts_over_from_nothing(server: Any, house: House) -> None:
    events = post_office()
    page = opened(server, house.show(events))
    wait(page, f"{STAGE}.session.socket.everOpen")
    server.routes[-1].send(json.dumps(ticks(events, 500, 40)))
    deadline = time.monotonic() + 5
    while len(server.of("watch")) < 2 and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    assert server.of("watch")[1]["tick"] == 0
