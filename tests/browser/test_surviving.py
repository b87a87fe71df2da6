"""The real site: what rooms stand through, seen from real browsers. Nothing here is mocked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import wait
from tests.browser.mocked import STAGE
from tests.conftest import Site, start_site, stop_site

DOWN = f"[...{STAGE}.shownScene.nodes.values()].some((n) => n.state === 'crashed')"
ALL_UP = f"[...{STAGE}.shownScene.nodes.values()].every((n) => n.state !== 'crashed')"
CONNECTED = f"{STAGE}.session.socket.socket?.readyState === 1 && {STAGE}.parts.connection.textContent === ''"


RESUMES = """([tick, digest]) => new Promise((answer) => {
  const socket = new WebSocket(location.href.replace("http", "ws").replace("/room/", "/ws/room/"));
  socket.onopen = () => socket.send(JSON.stringify({ t: "watch", v: 1, epoch: 0, tick, digest }));
  socket.onmessage = ({ data }) => {
    const { t, f } = JSON.parse(data);
    if (f) { answer(t); socket.close(); }
  };
})"""
"""What the server says to a browser that holds all ticks before `tick`, the last with `digest`."""


@pytest.fixture
def person(chromium: Browser) -> Iterator[Callable[[str], Page]]:
    """Opens an address as somebody new; fails on script errors."""
    contexts: list[Any] = []
    errors: list[str] = []

    def come(url: str) -> Page:
        contexts.append(chromium.new_context(viewport={"width": 1280, "height": 900}))
        page: Page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        furnished(page)
        return page

    yield come
    for context in contexts:
        context.close()
    assert errors == []


def furnished(page: Page) -> None:
    wait(page, f"!!customElements.get('queue-stage') && {STAGE}?.furnished")


def now(page: Page) -> int:
    t_us: int = page.evaluate(f"({STAGE}.draw(), {STAGE}.now)")
    return t_us


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def crash(page: Page) -> None:
    """By the keyboard, as the names say."""
    button = page.get_by_role("button", name="Crash", exact=True)
    button.focus()
    page.keyboard.press("Enter")
    page.get_by_role("group", name="Targets").get_by_role("button").first.focus()
    page.keyboard.press("Enter")


def own_room(person: Callable[[str], Page], site: Site, at_us: int = 3_000_000) -> Page:
    """A room in which a worker was crashed at `at_us` on a recording that stood."""
    page = person(site.url + "/play/work-queue/")
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek({at_us})")
    wait(page, f"{STAGE}.now === {at_us}")
    crash(page)
    wait(page, f"location.pathname.startsWith('/room/') && {STAGE}.room !== null && {DOWN}")
    return page


def test_who_breaks_a_recording_that_stands_gets_a_room_that_stands_there(
    person: Callable[[str], Page], site: Site
) -> None:
    page = own_room(person, site, 3_217_000)
    # Then it happened at that moment, and the room stands there
    page.wait_for_timeout(600)
    assert now(page) == 3_217_000
    happened = f"{STAGE}.timeline.between(3000000, 9e9).find((e) => e.type === 'NodeStateChanged').at_us"
    assert page.evaluate(happened) == 3_217_000
    expect(page.get_by_text("You steer this room")).to_be_visible()
    # And after a reload it stands there still
    page.reload()
    furnished(page)
    wait(page, f"{STAGE}.room !== null && {DOWN}")
    page.wait_for_timeout(300)
    assert now(page) == 3_217_000
    assert page.get_by_role("button", name="Play", exact=True).is_visible()


def test_the_owner_forks_and_whoever_watches_goes_along(person: Callable[[str], Page], site: Site) -> None:
    # Given a room that an owner and a viewer have at 3 s, with a worker crashed at 2 s
    owner = own_room(person, site, 2_000_000)
    viewer = person(owner.url)
    expect(viewer.get_by_text("You watch; the room’s owner steers.")).to_be_visible()
    press(owner, "Play")
    wait(viewer, f"{STAGE}.now > 3000000")
    press(owner, "Pause")
    wait(owner, f"!{STAGE}.playing")
    # When the owner looks at 1.5 s, and forks there
    owner.get_by_role("slider", name="Time").fill("1500")
    wait(owner, f"{STAGE}.looking && {STAGE}.now === 1500000")
    assert viewer.evaluate(f"{STAGE}.now") > 2_000_000
    press(owner, "Fork")
    # Then both stand there, and nobody has crashed
    for page in (owner, viewer):
        wait(page, f"!{STAGE}.looking && {STAGE}.now === 1500000 && {STAGE}.epoch === 1 && {ALL_UP}")
    assert owner.evaluate(f"[{STAGE}.tick, {STAGE}.digest]") == viewer.evaluate(
        f"[{STAGE}.tick, {STAGE}.digest]"
    )
    # And when it goes on, it goes on there, for both alike
    press(owner, "Play")
    for page in (owner, viewer):
        wait(page, f"{STAGE}.now > 2500000 && {ALL_UP}")


def test_an_owner_acts_in_the_past_and_the_room_goes_on_from_there(
    person: Callable[[str], Page], site: Site
) -> None:
    owner = own_room(person, site, 3_000_000)
    viewer = person(owner.url)
    wait(viewer, f"{STAGE}.room !== null && {DOWN}")
    owner.get_by_role("slider", name="Time").fill("1200")
    wait(owner, f"{STAGE}.looking && {STAGE}.now === 1200000 && {ALL_UP}")
    press(owner, "Cut network")
    owner.get_by_role("group", name="Targets").get_by_role("button").first.click()
    for page in (owner, viewer):
        wait(page, f"!{STAGE}.looking && {STAGE}.now === 1200000 && {STAGE}.epoch === 1")
        wait(page, f"{ALL_UP} && [...{STAGE}.shownScene.nodes.values()].some((n) => n.link !== 'up')")


def test_to_start_and_a_new_seed_begin_anew_for_everybody(person: Callable[[str], Page], site: Site) -> None:
    owner = own_room(person, site, 3_000_000)
    viewer = person(owner.url)
    wait(viewer, f"{STAGE}.room !== null && {DOWN}")
    press(owner, "To start")
    for page in (owner, viewer):
        wait(page, f"{STAGE}.now === 0 && {STAGE}.epoch === 1 && {ALL_UP}")
    press(owner, "New seed")
    for page in (owner, viewer):
        wait(page, f"{STAGE}.now === 0 && {STAGE}.epoch === 2 && {STAGE}.tick >= 0")
    assert owner.evaluate(f"{STAGE}.dataset.seed") == viewer.evaluate(f"{STAGE}.dataset.seed")
    assert owner.evaluate(f"{STAGE}.digest") == viewer.evaluate(f"{STAGE}.digest")


def test_a_server_that_is_killed_costs_nobody_anything(
    person: Callable[[str], Page], site: Site, tmp_path: Path
) -> None:
    # Given a room that runs, its owner and a viewer, on a server of its own
    server = start_site(tmp_path)
    try:
        owner = own_room(person, server, 2_000_000)
        viewer = person(owner.url)
        press(owner, "Play")
        for page in (owner, viewer):
            wait(page, f"{STAGE}.now > 4000000")
        before = {
            page: page.evaluate(f"Object.fromEntries({STAGE}.timeline.digests)") for page in (owner, viewer)
        }
        # When it is killed in the middle
        server.process.kill()
        server.process.wait()
        for page in (owner, viewer):
            expect(page.locator("[data-part=connection]")).to_contain_text("Reconnecting…", timeout=5_000)
            wait(page, f"{STAGE}.room.darkAt_ms < performance.now()")
        stood = [now(page) for page in (owner, viewer)]
        owner.wait_for_timeout(500)
        assert [now(page) for page in (owner, viewer)] == stood
        # And comes back on the same database and port
        server = start_site(tmp_path, port=server.port)
        # Then both browsers are back by themselves, hold what they held, and time goes on from where it stood
        for page, t_us in zip((owner, viewer), stood, strict=True):
            wait(page, CONNECTED, 15)
            wait(page, f"{STAGE}.now > {t_us} + 500000", 15)
            assert (
                page.evaluate(f"Object.fromEntries({STAGE}.timeline.digests)").items() >= before[page].items()
            )
            assert page.evaluate(f"{STAGE}.timeline.segments.length") == 1
        assert owner.evaluate(f"{STAGE}.timeline.start_us") == 0
        # And the ticks that were shown before are the same now: their digests are known, another is not
        shown = [(int(tick), digest) for tick, digest in before[viewer].items()]
        for tick, digest in shown[:: max(1, len(shown) // 6)]:
            assert owner.evaluate(RESUMES, [tick + 1, digest]) == "ticks"
        assert owner.evaluate(RESUMES, [shown[-1][0] + 1, "0" * len(shown[-1][1])]) == "state"
        # And the crash is in it once
        crashes = f"{STAGE}.timeline.between(-1, {STAGE}.now).filter((e) => e.type === 'Commanded').length"
        assert owner.evaluate(crashes) == 1
    finally:
        stop_site(server)


def test_a_server_that_stops_says_so_and_the_pages_come_back(
    person: Callable[[str], Page], site: Site, tmp_path: Path
) -> None:
    server = start_site(tmp_path)
    try:
        page = own_room(person, server, 2_000_000)
        digest = page.evaluate(f"{STAGE}.digest")
        # When the server is told to stop
        stop_site(server)
        line = page.locator("[data-part=connection]")
        expect(line).to_contain_text("The server restarts", timeout=5_000)
        # And is started again
        server = start_site(tmp_path, port=server.port)
        wait(page, CONNECTED, 15)
        # Then the room stands where it stood
        assert now(page) == 2_000_000 and page.evaluate(f"{STAGE}.digest") == digest
        press(page, "Play")
        wait(page, f"{STAGE}.now > 2500000")
    finally:
        stop_site(server)


def test_who_comes_late_sees_what_was_before(person: Callable[[str], Page], site: Site) -> None:
    # Given a room that has passed 20 s
    owner = own_room(person, site, 3_000_000)
    owner.get_by_role("group", name="Speed").get_by_role("button", name="8", exact=True).click()
    press(owner, "Play")
    wait(owner, f"{STAGE}.now > 21000000", 20)
    press(owner, "Pause")
    wait(owner, f"!{STAGE}.playing")
    # When somebody who comes only now looks at 4 s
    late = person(owner.url)
    wait(late, f"{STAGE}.room !== null && {STAGE}.timeline.start_us > 4000000 && {DOWN}")
    for page in (owner, late):
        page.get_by_role("slider", name="Time").fill("4000")
        wait(page, f"{STAGE}.now === 4000000 && {STAGE}.timeline.knows(4000000)")
    # Then both see the same
    drawn = f"({STAGE}.draw(), JSON.stringify({STAGE}.scene().messages))"
    assert late.evaluate(drawn) == owner.evaluate(drawn) != "[]"
