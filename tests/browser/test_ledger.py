"""The ledger says how long the oldest ready message has waited, from the events alone."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from engine.events import Moved, Routed
from tests.browser.conftest import House
from tests.browser.scripts import EMAIL, post_office

STAGE = "document.querySelector('queue-stage')"


def test_the_oldest_ready_message_and_how_long_it_waits(open_page: Callable[..., Page], house: House) -> None:
    events = post_office()
    page = open_page(house.show(events, chunks=3))
    page.evaluate(f"{STAGE}.pause()")
    for t_us in (3_050_000, 6_950_000):
        page.evaluate(f"{STAGE}.seek({t_us})")
        past = [e for e in events if e.at_us <= t_us]
        routed = {
            o.copy: e.at_us for e in past if isinstance(e, Routed) for o in e.copies if o.destination == EMAIL
        }
        waiting = set(routed) - {e.copy for e in past if isinstance(e, Moved)}
        said = (
            page.get_by_label("Ledger of email")
            .locator("div", has_text="oldest ready")
            .locator("dd")
            .inner_text()
        )
        assert said == f"{(t_us - min(routed[copy] for copy in waiting)) / 1e6:.1f} s"
    # And where nothing waits, that is said
    page.evaluate(f"{STAGE}.seek(100000)")
    assert (
        page.get_by_label("Ledger of email")
        .locator("div", has_text="oldest ready")
        .locator("dd")
        .inner_text()
        == "none"
    )
