"""The ledger says how long the oldest ready message has waited, from the events alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from playwright.sync_api import Page

from engine.events import Moved, NodeAdded, Routed
from engine.kafka.events import Counted
from tests.browser.conftest import House
from tests.browser.scripts import EMAIL, post_office
from tests.browser.test_kafka_motion import run

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


def test_a_group_s_row_is_what_it_is_owed_in_kafka_s_words(
    open_page: Callable[..., Page], house: House
) -> None:
    events, stage = run("kafka-user-events", 20_000_000)
    page = open_page(house.show(events, chunks=2, **stage))
    page.evaluate(f"{STAGE}.pause()")
    for t_us in (12_000_000, 19_500_000):
        page.evaluate("t => document.querySelector('queue-stage').seek(t)", t_us)
        page.wait_for_timeout(300)
        group = next(e.node for e in events if isinstance(e, NodeAdded) and e.name == "feed")
        stand: Counter[str] = Counter()
        for event in events:
            if isinstance(event, Counted) and event.destination == group and event.at_us <= t_us:
                stand[event.was] -= event.count
                stand[event.now] += event.count
        row = page.get_by_label("Ledger of feed").locator("div.term")
        said = dict(
            zip(
                row.locator("dt").all_text_contents(),
                map(int, row.locator("dd").all_text_contents()),
                strict=True,
            )
        )
        assert said["lag"] == stand["ready"] + stand["unacked"]
        assert said["read, not committed"] == stand["unacked"]
        assert said["done"] == stand["done"] > 0
        assert said["owed"] == said["done"] + said["lag"] + said.get("in work", 0)
