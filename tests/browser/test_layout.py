"""Whatever a scenario has on its stage: no two nodes overlap, no label is cut, none covers another or another's box."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from engine import events as e
from engine.rabbitmq import events as r
from tests.browser.conftest import House, wait
from tests.browser.overlaps import faults_of
from tests.browser.scripts import post_office, wire

STAGE = "document.querySelector('queue-stage')"
TOPOLOGIES = 40
WIDTHS = (390, 1280, 1920)
WORDS = ("order", "mail", "paid", "eu", "worker", "retry", "parcels", "desk", "A", "invoice", "created", "7")
ABOUTS = ("", "1 s each", "≈ 600 ms each", "every 1.5 s", "≈ 12/s")
ARGUMENTS: tuple[dict[str, str | int | bool], ...] = (
    {}, {}, {"x-max-length": 12}, {"x-delivery-limit": 5, "x-message-ttl": 30000},
    {"x-max-length": 6, "x-overflow": "reject-publish"},
)  # fmt: skip

LOOK = """() => {
  const stage = document.querySelector('queue-stage');
  const pane = stage.parts.scroller.getBoundingClientRect();
  const box = (rect) => [rect.left - pane.left, rect.top - pane.top, rect.right - pane.left, rect.bottom - pane.top];
  const nodes = [...stage.figure.nodes].map(([id, n]) => ({ id, kind: n.kind, box: [n.x, n.y, n.x + n.width, n.y + n.height] }));
  const labels = [...stage.querySelectorAll('.node span')].filter((s) => s.textContent).map((s) => {
    const range = document.createRange();
    range.selectNodeContents(s);
    return { id: Number(s.parentElement.dataset.node), text: s.textContent, box: box(range.getBoundingClientRect()),
             cut: s.scrollWidth > s.clientWidth + 1 && getComputedStyle(s).overflow !== 'visible' };
  });
  return { nodes, labels, width: stage.figure.width, height: stage.figure.height };
}"""


def topology(seed: int) -> list[Any]:
    """Facts that build a random stage: 1–3 exchanges, 1–7 queues, 0–10 workers, 1–4 producers."""
    chance = random.Random(seed)
    events: list[Any] = []
    count = 0

    def node(kind: str, about: str = "", name: str | None = None) -> int:
        nonlocal count
        count += 1
        words = " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, 3)))
        events.append(
            e.NodeAdded(0, 0, count, kind, f"{words} {count}"[:24] if name is None else name, "broker", about)
        )  # type: ignore[arg-type]
        return count

    exchanges = [
        node("exchange", name="" if i == 0 and chance.random() < 0.4 else None)
        for i in range(chance.randint(1, 3))
    ]
    for one in exchanges:
        events.append(
            r.ExchangeDeclared(0, 0, one, chance.choice(("direct", "fanout", "topic", "headers")), False)
        )
    queues = [node("queue") for _ in range(chance.randint(1, 7))]
    for queue in queues:
        events.append(
            r.QueueDeclared(0, 0, queue, chance.choice(("classic", "quorum")), chance.choice(ARGUMENTS))
        )
        events.append(
            e.WireAdded(
                0, 0, chance.choice(exchanges), queue, "binding", chance.choice(("", "eu.#", "*.order.paid"))
            )
        )
    if len(queues) > 1 and chance.random() < 0.5:
        events.append(e.StandsFor(0, 0, queues[-1], queues[0], chance.choice(("dead", "waiting"))))
    for _ in range(chance.randint(1, 4)):
        events.append(
            e.WireAdded(
                0, 0, node("producer", chance.choice(ABOUTS)), chance.choice(exchanges), "publish", ""
            )
        )
    for _ in range(chance.randint(0, 10)):
        queue = chance.choice(queues)
        worker = node("consumer", chance.choice(ABOUTS))
        events.append(e.WireAdded(0, 0, queue, worker, "consume", ""))
        events.append(r.ConsumerRegistered(0, 0, worker, queue, chance.choice((0, 1, 2, 5)), 0, False, False))
    return events


def may_cover(label: dict[str, Any], node: dict[str, Any]) -> bool:
    """A node's own words stand on it, but for a queue's: its messages are there."""
    return bool(node["id"] == label["id"] and node["kind"] != "queue")


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_overlaps_and_nothing_is_cut(
    open_page: Callable[..., Page], house: House, width: int
) -> None:
    page = open_page(house.show(post_office()))
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate(f"{STAGE}.pause()")
    wait(page, f"{STAGE}.figure.width <= {width} && {STAGE}.parts.figure.clientWidth <= {width}")
    page.evaluate("document.fonts.ready.then(() => true)")
    wrong = {}
    for seed in range(TOPOLOGIES):
        frame = {"epoch": 0, "tick": 0, "seq": 0, "first": 1, "events": wire(topology(seed)), "digest": ""}
        page.evaluate(
            f"(frame) => {{ const s = {STAGE}; s.timeline.reset(frame); s.layoutKey = ''; s.seek(0); s.draw(); }}",
            frame,
        )
        look = page.evaluate(LOOK)
        assert len(look["nodes"]) >= 3
        if bad := faults_of(look, may_cover):
            wrong[seed] = bad
    assert wrong == {}


HEAD_PX = 140
"""What stands over the figure on a scenario's page at 1280 px, at most: the site's head, title and palette."""


@pytest.mark.parametrize("slug", ["order-pipeline", "topic-routing", "retry-dlq", "idempotent-payments"])
def test_a_scenario_stands_whole_on_a_screen_with_its_ledger(visit: Callable[..., Page], slug: str) -> None:
    page = visit(f"/play/{slug}/")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate("document.fonts.ready.then(() => true)")
    wait(page, f"{STAGE}.parts.ledger.children.length > 0")
    figure, foot = (f"{STAGE}.parts.{part}.getBoundingClientRect()" for part in ("figure", "steering"))
    assert page.evaluate(f"{figure}.top") <= HEAD_PX
    wait(page, f"{STAGE}.parts.figure.scrollHeight <= {STAGE}.parts.figure.clientHeight")
    wait(page, f"{figure}.bottom <= {foot}.top + 1 && Math.abs({foot}.bottom - 800) <= 1")


def test_five_lanes_fit_on_a_screen_with_the_ledger_and_more_scroll_under_fixed_heads(
    open_page: Callable[..., Page], house: House
) -> None:
    page = open_page(house.show(post_office()))
    page.set_viewport_size({"width": 1280, "height": 800})
    page.evaluate(f"{STAGE}.pause()")
    wait(page, f"{STAGE}.furnished")
    page.evaluate("document.body.classList.add('page', 'play')")
    page.evaluate(f"{STAGE}.parts.connection.remove()")  # there is none here, which is not what this is about
    above = page.evaluate(f"{STAGE}.parts.figure.getBoundingClientRect().top + scrollY")
    height = 800 - HEAD_PX + round(above)
    page.set_viewport_size({"width": 1280, "height": height})
    for lanes, scrolls in ((5, False), (9, True)):
        events: list[Any] = [
            e.NodeAdded(0, 0, 1, "exchange", "orders", "broker", ""),
            r.ExchangeDeclared(0, 0, 1, "fanout", False),
        ]
        for i in range(2, 2 + lanes):
            events += [e.NodeAdded(0, 0, i, "queue", f"queue {i}", "broker", ""), r.QueueDeclared(0, 0, i, "classic", {}),
                       e.WireAdded(0, 0, 1, i, "binding", "")]  # fmt: skip
            events += [e.NodeAdded(0, 0, 20 + i, "consumer", f"worker {i}", "broker", "1 s each"),
                       e.WireAdded(0, 0, i, 20 + i, "consume", ""),
                       r.ConsumerRegistered(0, 0, 20 + i, i, 2, 0, False, False),
                       e.Settled(0, 0, (100 + i,), i, "", "ready")]  # fmt: skip
        frame = {"epoch": 0, "tick": 0, "seq": 0, "first": 1, "events": wire(events), "digest": ""}
        page.evaluate(
            f"(frame) => {{ const s = {STAGE}; s.timeline.reset(frame); s.layoutKey = ''; s.seek(0); s.draw(); }}",
            frame,
        )
        wait(page, f"{STAGE}.parts.ledger.children.length === {lanes}")
        figure = f"{STAGE}.parts.figure"
        wait(page, f"({figure}.scrollHeight > {figure}.clientHeight) === {str(scrolls).lower()}")
        # The whole picture stands above the narrator, and the ledger is on the screen.
        foot = f"{STAGE}.parts.steering.getBoundingClientRect()"
        assert page.evaluate(f"{figure}.getBoundingClientRect().bottom <= {foot}.top + 1")
        assert page.evaluate(f"{foot}.bottom") == pytest.approx(height, abs=1)
        page.evaluate(f"{figure}.scrollTop = 200")
        head, top = (
            page.evaluate(f"{x}.getBoundingClientRect().top")
            for x in (f"{STAGE}.querySelector('.heads')", figure)
        )
        assert head == pytest.approx(top, abs=1)
