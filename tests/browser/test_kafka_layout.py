"""Whatever a cluster has on its stage: no two boxes overlap, nothing that is written is cut, touches another word, or
lies on records."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from engine import events as e
from engine.kafka import events as k
from tests.browser.conftest import House, wait
from tests.browser.overlaps import faults_of
from tests.browser.scripts import wire
from tests.browser.test_layout import ABOUTS, STAGE, TOPOLOGIES, WIDTHS, WORDS

LESSON = 900  # px: a lesson leaves its figure about as much

# What is painted as text is what the canvas is asked to fill; cells count as far as a log reaches.
LOOK = """() => {
  const stage = document.querySelector('queue-stage');
  const pane = stage.parts.scroller.getBoundingClientRect();
  const labels = [];
  const texts = [...stage.querySelectorAll('.node span:not(.says), .wires text, button.more')].filter((s) => s.textContent);
  for (const s of texts) {
    const range = document.createRange();
    range.selectNodeContents(s);
    const r = range.getBoundingClientRect();
    labels.push({ id: Number(s.parentElement.dataset.node ?? 0), text: s.textContent, inside: s.tagName === 'BUTTON',
      box: [r.left - pane.left, r.top - pane.top, r.right - pane.left, r.bottom - pane.top],
      cut: s.scrollWidth > s.clientWidth + 1 && getComputedStyle(s).overflow !== 'visible' });
  }
  const c = stage.parts.canvas.getContext('2d');
  const { fillText } = c;
  c.fillText = (text, x, y) => {
    if (text.startsWith('+')) return; // its button stands over it
    const width = c.measureText(text).width;
    const half = 0.46 * Number(/([\\d.]+)px/.exec(c.font)[1]);
    const left = x - (c.textAlign === 'right' ? width : c.textAlign === 'center' ? width / 2 : 0);
    labels.push({ id: 0, text, inside: false, box: [left, y - half, left + width, y + half], cut: false });
  };
  stage.pane = { top: 0, height: stage.figure.height };
  stage.draw();
  c.fillText = fillText;
  stage.pane = null;
  const rows = new Map(stage.drawn.rows.map((row) => [row.log.node, row]));
  const nodes = [...stage.figure.nodes].map(([id, n]) => {
    const row = rows.get(id);
    const [left, right] = row ? [row.xOf(row.first), row.xOf(row.next)] : [n.x, n.x + n.width];
    return { id, kind: n.kind, box: [left, n.y, right, n.y + n.height] };
  });
  return { nodes, labels, width: stage.figure.width, height: stage.figure.height, rows: rows.size,
           narrow: stage.figure.narrow, said: stage.drawn.words.map(({ what }) => what) };
}"""


class Stage:
    """Facts that build a random cluster."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.events: list[Any] = []
        self.count = 0

    def node(self, kind: str, about: str = "", name: str = "") -> int:
        self.count += 1
        words = " ".join(self.chance.choice(WORDS) for _ in range(self.chance.randint(1, 2)))
        name = name or f"{words} {self.count}"[:20]
        self.events.append(e.NodeAdded(0, 0, self.count, kind, name, "cluster", about))  # type: ignore[arg-type]
        return self.count


def topology(seed: int) -> list[Any]:
    """1–3 brokers, 1–2 topics of 1–14 partitions, 1–3 producers, 1–4 groups of 0–4 members, with some of it read."""
    stage = Stage(seed)
    chance, say = stage.chance, stage.events.append
    brokers = [stage.node("broker", name=f"broker {n}") for n in range(1, chance.randint(1, 3) + 1)]
    topics = [stage.node("topic") for _ in range(chance.choice((1, 1, 2)))]
    rows: dict[int, list[int]] = {}
    ends: dict[int, int] = {}
    for topic in topics:
        many = chance.choice((3, 8, 14)) if len(topics) == 1 else 3
        rows[topic] = [stage.node("partition") for _ in range(chance.randint(1, many))]
        for number, row in enumerate(rows[topic]):
            say(k.PartitionDeclared(0, 0, row, topic, number, tuple(brokers)))
            say(k.PartitionLed(0, 0, row, chance.choice((*brokers, 0)), 1, tuple(brokers), ()))
            if chance.random() < 0.3:
                say(k.PartitionLed(0, 0, row, chance.choice((*brokers, 0)), 2, tuple(brokers[:2]), ()))
    messages = 0
    for topic in topics:
        level = chance.randint(0, 60)
        for row in rows[topic]:
            ends[row] = level + chance.randint(0, 6)
            messages += 1
            say(
                k.RecordsAppended(
                    0, 0, row, 0, tuple(range(messages, messages + ends[row])), 1, chance.random() < 0.3, ""
                )
            )
            messages += ends[row]
            for broker in brokers:
                say(k.ReplicaReached(0, 0, row, broker, max(0, ends[row] - chance.choice((0, 0, 2)))))
            high = max(0, ends[row] - chance.choice((0, 0, 1)))
            stable = max(0, high - chance.choice((0, 0, 4)))
            say(k.LogMarked(0, 0, row, min(high, chance.choice((0, 0, 3))), high, stable))
    for _ in range(chance.randint(1, 3)):
        producer = stage.node("producer", chance.choice(ABOUTS))
        say(e.WireAdded(0, 0, producer, chance.choice(topics), "publish", ""))
    for _ in range(chance.randint(1, 4)):
        group_of(stage, rows[chance.choice(topics)], ends)
    return stage.events


def group_of(stage: Stage, rows: list[int], ends: dict[int, int]) -> None:
    """A group that reads `rows`; sometimes one of its members is gone with work that it had not committed."""
    chance, say = stage.chance, stage.events.append
    group = stage.node("group")
    members = [stage.node("consumer", chance.choice(ABOUTS)) for _ in range(chance.randint(0, 4))]
    for member in members:
        say(k.MemberJoined(0, 0, group, member, f"m{member}"))
    for i, row in enumerate(rows):
        committed = chance.randint(max(0, ends[row] - chance.choice((8, 8, 60))), ends[row])
        say(k.OffsetCommitted(0, 0, group, row, committed, 0))
        if not members:
            continue
        owner = members[i % len(members)]
        say(k.PartitionsAssigned(0, 0, group, owner, (row,)))
        say(k.PositionSet(0, 0, group, owner, row, committed))
        if ends[row] - committed > 1:
            say(k.RecordsDelivered(0, 0, group, owner, row, committed, ends[row]))
            worked = chance.randint(committed, ends[row])
            say(k.RecordsWorked(0, 0, group, owner, row, committed, worked, (), (), (), "", 0, 0, 0))
    state = chance.choice(("Stable", "Stable", "PreparingRebalance"))
    say(k.GroupChanged(0, 0, group, state, 3, "range"))  # type: ignore[arg-type]
    if members and chance.random() < 0.5:
        say(e.NodeStateChanged(0, 0, members[0], "crashed", ""))
        say(k.PartitionsRevoked(0, 0, group, members[0], tuple(rows[:: len(members)]), "crashed"))


def may_cover(label: dict[str, Any], node: dict[str, Any]) -> bool:
    return bool(node["id"] == label["id"] or is_inside(label, node))


def is_inside(label: dict[str, Any], node: dict[str, Any]) -> bool:
    """How many more records a member holds stands in its box."""
    box, of = label["box"], node["box"]
    inside = of[0] < box[0] and box[2] < of[2] and of[1] < box[1] and box[3] < of[3]
    return bool(label["inside"] and node["kind"] == "consumer" and inside)


def show(page: Page, events: list[Any]) -> dict[str, Any]:
    """What the stage shows of these facts, a second after all of them have happened."""
    frame = {"epoch": 0, "tick": 0, "seq": 0, "first": 1, "events": wire(events), "digest": ""}
    page.evaluate(
        f"""(frame) => {{ const s = {STAGE}; s.timeline.reset(frame);
          s.timeline.append({{ epoch: 0, tick: 0, n: 80, seq: 0, first: frame.events.length + 1, events: [], digest: "" }});
          s.layoutKey = ''; s.seek(1_000_000); s.draw(); }}""",
        frame,
    )
    wait(page, f"{STAGE}.drawn.lacks.size === 0", 60)
    return dict(page.evaluate(LOOK))


@pytest.fixture
def stage(open_page: Callable[..., Page], house: House) -> Callable[[int], Page]:
    def stage_(width: int, height: int = 900) -> Page:
        page = open_page(house.show(topology(0), systems="kafka"))
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate(f"{STAGE}.pause()")
        wait(page, f"{STAGE}.figure.width <= {width} && {STAGE}.parts.figure.clientWidth <= {width}")
        page.evaluate("document.fonts.ready.then(() => true)")
        return page

    return stage_


@pytest.mark.parametrize("width", [*WIDTHS, LESSON])
def test_nothing_overlaps_and_nothing_is_cut(stage: Any, width: int) -> None:
    page = stage(width)
    wrong = {}
    rows = 0
    said: set[str] = set()
    for seed in range(TOPOLOGIES):
        look = show(page, topology(seed))
        rows += look["rows"]
        said |= set(look["said"])
        assert look["narrow"] is (width < 720)
        if bad := faults_of(look, may_cover, 2):
            wrong[seed] = bad
    assert rows > TOPOLOGIES * 3
    assert {"committed", "lag", "done", "event", "before", "offset"} <= said
    assert wrong == {}


def cluster(partitions: int, groups: int = 1) -> list[Any]:
    """Three brokers and one topic with ten records in each partition, read by groups of two."""
    stage = Stage(0)
    say = stage.events.append
    brokers = [stage.node("broker", name=f"broker {n}") for n in (1, 2, 3)]
    topic = stage.node("topic", name="orders")
    rows = [stage.node("partition") for _ in range(partitions)]
    for number, row in enumerate(rows):
        say(k.PartitionDeclared(0, 0, row, topic, number, tuple(brokers)))
        say(k.PartitionLed(0, 0, row, brokers[number % 3], 1, tuple(brokers), ()))
        say(k.RecordsAppended(0, 0, row, 0, tuple(range(1 + 10 * number, 11 + 10 * number)), 1, False, ""))
        say(k.LogMarked(0, 0, row, 0, 10, 10))
    say(e.WireAdded(0, 0, stage.node("producer", name="shop"), topic, "publish", ""))
    for number in range(groups):
        group = stage.node("group", name=f"billing {number}")
        for member in (stage.node("consumer"), stage.node("consumer")):
            say(k.MemberJoined(0, 0, group, member, f"m{member}"))
            say(k.PartitionsAssigned(0, 0, group, member, tuple(rows[member % 2 :: 2])))
        for row in rows:
            say(k.OffsetCommitted(0, 0, group, row, 4, 0))
        say(k.GroupChanged(0, 0, group, "Stable", 1, "range"))
    return stage.events


def test_a_tall_cluster_scrolls_under_heads_with_its_offsets_and_says_that_there_is_more(stage: Any) -> None:
    page = stage(1280, 800)
    figure, edges = f"{STAGE}.parts.figure", []
    for partitions in (1, 6, 12):
        show(page, cluster(partitions))
        wait(page, f"{figure}.dataset.above === 'false'")
        hidden = page.evaluate(f"{figure}.scrollHeight - {figure}.clientHeight")
        edges.append(hidden > 8)
        assert page.evaluate(f"{figure}.dataset.below") == ("true" if hidden > 8 else "false")
        heads = page.locator(".heads")
        assert heads.is_hidden()
        if hidden <= 8:
            continue
        sign = page.evaluate(f"getComputedStyle({figure}, '::after').content")
        assert sign == '"more below ↓"'
        page.evaluate(f"{figure}.scrollTop = 10_000")
        wait(page, f"{figure}.dataset.above === 'true' && {figure}.dataset.below === 'false'")
        assert heads.is_visible()
        assert page.evaluate(f"getComputedStyle({figure}, '::after').content") == "none"
        top = page.evaluate(f"{figure}.getBoundingClientRect().top")
        assert page.evaluate(f"{STAGE}.querySelector('.heads').getBoundingClientRect().top") == pytest.approx(
            top, abs=1
        )
        words = heads.locator("span").all_inner_texts()
        assert words[:3] == ["producers", "topic orders", "group billing 0"]
        # Each offset stands over its column
        for head in heads.locator(".offset").all()[:8]:
            box = head.bounding_box()
            offset = int(head.inner_text())
            x = page.evaluate(f"{STAGE}.drawn.rows[0].xOf({offset}) + {STAGE}.figure.size.cell / 2"
                              f" + {STAGE}.parts.scroller.getBoundingClientRect().left")  # fmt: skip
            assert box and box["x"] + box["width"] / 2 == pytest.approx(x, abs=1)
        page.evaluate(f"{figure}.scrollTop = 0")
    assert (edges[0], edges[-1]) == (False, True)


def test_brokers_stand_below_the_producers_where_there_is_room(stage: Any) -> None:
    page = stage(1280)
    for partitions, is_left in ((1, False), (6, True)):
        nodes = show(page, cluster(partitions))["nodes"]
        rows = [node["box"] for node in nodes if node["kind"] == "partition"]
        brokers = [node["box"] for node in nodes if node["kind"] == "broker"]
        assert all((box[3] <= rows[-1][3] + 60) is is_left for box in brokers)
        assert all(box[2] < rows[0][0] for box in brokers) is is_left


def test_what_there_is_no_row_for_is_said_in_words(stage: Any) -> None:
    page = stage(1280)
    look = show(page, cluster(15, groups=2))
    assert look["rows"] == 12
    texts = [label["text"] for label in look["labels"]]
    assert "and 3 more partitions" in texts
    assert texts.count("2 members, lag 90") == 2
