"""What a log has besides its records is drawn at its offsets: control and aborted records, tombstones, what compaction and
retention have taken, how far who reads committed may read. Read off the canvas, within the cell's box."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page

from engine import events as e
from engine.kafka import events as k
from tests.browser import test_kafka_motion
from tests.browser.conftest import House, wait
from tests.browser.scripts import KINDS
from tests.browser.test_kafka_layout import Stage, show
from tests.browser.test_kafka_motion import STAGE, at

play = test_kafka_motion.show
PID = 7
OTHER = 8
FADE_US = 300_000
NEAR = 30
"""So far apart may a pixel's colour be from the one that it is taken for (edges are softened), each channel."""

# The colour at a point of the figure, by the names of the theme; "" where nothing is painted, "?" for another.
PIXELS = f"""(points) => {{
  const stage = {STAGE}; stage.draw();
  const {{ canvas }} = stage.parts, {{ atlas, pane }} = stage, c = canvas.getContext('2d');
  const rgb = (text) => {{ c.save(); c.fillStyle = text; const hex = c.fillStyle; c.restore();
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)); }};
  const names = ['ink', 'sheet', 'bed', 'hatch', 'mark', 'ink-2', 'ink-3', 'rule-strong'];
  const all = [...names.map((name) => [name, rgb(atlas.colours[name])]), ['blue', rgb(atlas.colours.k1[0])]];
  return points.map(([x, y]) => {{
    const [r, g, b, a] = c.getImageData(Math.floor(x * atlas.ratio), Math.floor((y - pane.top) * atlas.ratio), 1, 1).data;
    if (a < 40) return '';
    const best = all.map(([name, of]) => [Math.max(...of.map((v, i) => Math.abs(v - [r, g, b][i]))), name]).sort((p, q) => p[0] - q[0])[0];
    return best[0] <= {NEAR} ? best[1] : '?';
  }});
}}"""


def pixels(page: Page, *points: tuple[float, float]) -> list[str]:
    return list(page.evaluate(PIXELS, [list(point) for point in points]))


def share(page: Page, colour: str, left: float, top: float, right: float, bottom: float) -> float:
    """Which part of a box has this colour."""
    points = [
        (x + 0.5, y + 0.5) for x in range(round(left), round(right)) for y in range(round(top), round(bottom))
    ]
    return pixels(page, *points).count(colour) / len(points)


class Log:
    """Facts of one partition and its records, all of the kind that is blue."""

    def __init__(self) -> None:
        self.stage = Stage(0)
        say = self.say = self.stage.events.append
        broker = self.stage.node("broker", name="broker 1")
        self.topic = self.stage.node("topic", name="invoices")
        self.row = self.stage.node("partition")
        self.shop = self.stage.node("producer", name="shop")
        say(k.PartitionDeclared(0, 0, self.row, self.topic, 0, (broker,)))
        say(k.PartitionLed(0, 0, self.row, broker, 1, (broker,), ()))
        self.end = 0
        self.messages = 0

    def records(self, count: int, pid: int = 0) -> Log:
        numbers = tuple(range(self.messages + 1, self.messages + count + 1))
        for number in numbers:
            self.say(e.MessageCreated(0, 0, number, self.shop, KINDS[0], False))
        self.say(k.RecordsAppended(0, 0, self.row, self.end, numbers, pid, bool(pid), ""))
        self.messages += count
        self.end += count
        return self

    def marker(self, what: str, pid: int = PID) -> Log:
        self.say(k.RecordsAppended(0, 0, self.row, self.end, (0,), pid, True, what))  # type: ignore[arg-type]
        self.end += 1
        return self

    def marked(self, start: int = 0, hw: int | None = None, lso: int | None = None) -> Log:
        high = self.end if hw is None else hw
        self.say(k.LogMarked(0, 0, self.row, start, high, high if lso is None else lso))
        return self

    def on(self, page: Page) -> Row:
        show(page, self.stage.events)
        return Row(page, self.row)


class Row:
    """Where a row's cells are, in CSS px of the figure."""

    def __init__(self, page: Page, node: int) -> None:
        self.page = page
        self.node = node
        row = page.evaluate(
            f"(node) => {{ const row = {STAGE}.drawn.rows.find(({{ log }}) => log.node === node);"
            " return {...row.box, base: row.base}; }",
            node,
        )
        self.x, self.top, self.cell, self.height = row["x"], row["y"], row["cell"], row["height"]
        self.base = row["base"]
        self.foot = self.top + self.height
        self.middle = self.top + self.height / 2

    def left(self, offset: int) -> float:
        return float(self.x + (offset - self.base) * self.cell)

    def centre(self, offset: int) -> float:
        return self.left(offset) + self.cell / 2

    def records(self) -> dict[int, tuple[float, str]]:
        """{offset: (x, role)} of the leader's records, as the element tells it."""
        scene = self.page.evaluate(f"{STAGE}.scene()")
        box = next(node for node in scene["nodes"] if node["id"] == self.node)
        return {
            m["index"]: (m["x"] - box["x"] + self.x, m["role"])
            for m in scene["messages"]
            if m["node"] == self.node and m["zone"] == "log" and abs(m["y"] - box["y"] - self.height / 2) < 1
        }

    def near(self, offset: int, *moves: tuple[float, float]) -> list[str]:
        """The colours at these distances from a cell's middle."""
        return pixels(self.page, *((self.centre(offset) + x, self.middle + y) for x, y in moves))


@pytest.fixture
def stage(open_page: Callable[..., Page], house: House) -> Page:
    page = open_page(house.show(Log().records(1).marked().stage.events, systems="kafka"))
    page.evaluate(f"{STAGE}.pause()")
    page.evaluate("document.fonts.ready.then(() => true)")
    wait(page, f"{STAGE}.pane !== null")
    return page


# -- transactions -------------------------------------------------------------------------------


def test_a_marker_takes_an_offset_and_stands_in_its_cell_without_a_message(stage: Page) -> None:
    row = Log().records(3, PID).marker("commit").records(2, PID).marker("abort").records(1).marked().on(stage)
    # Each record stands in the cell of its offset; the two markers have taken one each
    records = row.records()
    assert sorted(records) == [0, 1, 2, 4, 5, 7]
    for offset, (x, _) in records.items():
        assert x == pytest.approx(row.centre(offset), abs=0.5)
    # Their boxes are paper with an outline, in the middle of the cell, and no message's colour is in it
    half = row.cell * 0.34
    for offset in (3, 6):
        assert row.near(offset, (0, -half), (0, half), (-half, 0), (half, 0)) == ["ink-2"] * 4
        assert row.near(offset, (0, -half + 4)) == ["sheet"]
        box = (row.left(offset) + 1, row.top + 2, row.left(offset + 1) - 1, row.foot - 2)
        assert share(stage, "blue", *box) == 0
    assert share(stage, "blue", row.left(0) + 1, row.top + 2, row.left(1) - 1, row.foot - 2) > 0.1
    # A tick for a commit, a cross for an abort: only a cross has an upper left arm
    foot_of_tick, arm = (-half * 0.1, half * 0.42), (-half * 0.35, -half * 0.35)
    assert row.near(3, foot_of_tick, arm) == ["ink-2", "sheet"]
    assert row.near(6, foot_of_tick, arm) == ["sheet", "ink-2"]


def test_what_an_abort_has_undone_is_pale_and_struck_and_what_others_wrote_is_not(stage: Page) -> None:
    log = Log().records(2, PID).records(1, OTHER).records(1).records(1, PID)
    row = log.marked(lso=0).on(stage)
    assert {role for _, role in row.records().values()} == {"body"}
    # When the first transaction is aborted, and the other one goes on
    row = log.marker("abort").marked(lso=2).on(stage)
    struck = {offset for offset, (_, role) in row.records().items() if role == "replica"}
    assert struck == {0, 1, 4}
    by = row.cell * 0.4
    stroke = [(by * part, -by * part * 0.7) for part in (-0.7, 0.7)]
    other_way = [(x, -y) for x, y in stroke]
    for offset in range(5):
        assert row.near(offset, *stroke) == (["ink"] * 2 if offset in struck else ["blue"] * 2)
        assert "ink" not in row.near(offset, *other_way)
        assert row.near(offset, (0, -11)) == (["?"] if offset in struck else ["blue"])


def test_who_reads_committed_may_read_up_to_the_first_open_transaction_others_up_to_what_all_have(
    stage: Page,
) -> None:
    row = Log().records(4).records(3, PID).records(2).marked(hw=8, lso=4).on(stage)

    def column(offset: int, top: float, foot: float, half: float = 2) -> float:
        x = row.left(offset)
        return share(stage, "ink", x - half, top, x + half, foot)

    # The log's end is a thick bar that stands out on both sides
    assert column(9, row.top - 6, row.foot + 6) > 0.95
    # The high watermark is dashed, and stands between the rails
    assert 0.25 < column(8, row.top + 3, row.foot - 3, 1) < 0.9
    assert column(8, row.top - 6, row.top - 2) == column(8, row.foot + 2, row.foot + 6) == 0
    # The last stable offset is dotted, stands out, and is said
    assert 0.05 < column(4, row.top + 3, row.foot - 3) < 0.7
    assert column(4, row.top - 4, row.top - 1) > 0 and column(4, row.foot + 1, row.foot + 4) > 0
    said = stage.evaluate(f"{STAGE}.drawn.words.filter(({{ what }}) => what === 'stable')")
    assert [word["text"] for word in said] == ["last stable"]
    assert abs(said[0]["x"] - row.left(4)) == pytest.approx(6, abs=0.5)
    # No other offset has a mark
    for offset in (1, 2, 3, 5, 6, 7):
        assert column(offset, row.top - 6, row.top - 2) == 0
        assert column(offset, row.top + 3, row.foot - 3, 1) < 0.02
    # What is in an open transaction is underlined with dashes, beside its token too; nothing else is
    for offset in range(9):
        bed = share(stage, "bed", row.left(offset) + 3, row.foot - 5, row.left(offset) + 12, row.foot - 3)
        assert bed < 0.75 if offset in (4, 5, 6) else bed > 0.9
    # When the transaction is committed, all is readable: neither mark is left
    row = Log().records(4).records(3, PID).records(2).marker("commit").marked().on(stage)
    assert stage.evaluate(f"{STAGE}.drawn.words.filter(({{ what }}) => what === 'stable')") == []
    assert column(10, row.top - 6, row.foot + 6) > 0.95
    for offset in range(1, 10):
        assert column(offset, row.top + 3, row.foot - 3, 1) < 0.02


def test_in_a_run_each_marker_and_each_aborted_record_is_at_its_offset(play: Any) -> None:
    page, events = play("kafka-transactions", 30_000_000)
    for t_us in (8_000_000, 19_000_000, 22_500_000, 29_000_000):
        at(page, t_us)
        markers: dict[int, dict[int, str]] = defaultdict(dict)
        open_: dict[tuple[int, int], list[int]] = defaultdict(list)
        undone: dict[int, set[int]] = defaultdict(set)
        for event in events:
            if event.at_us > t_us or not isinstance(event, k.RecordsAppended):
                continue
            offsets = list(range(event.base, event.base + max(1, len(event.messages))))
            if event.marker:
                markers[event.node][event.base] = event.marker
                taken = open_.pop((event.node, event.pid), [])
                undone[event.node] |= set(taken if event.marker == "abort" else ())
            elif event.transactional:
                open_[event.node, event.pid] += offsets
        drawn = page.evaluate(f"""{STAGE}.drawn.rows.map((row) => ({{ node: row.log.node, first: row.first, next: row.next,
          markers: row.markers.map(({{ x, what }}) => [x, what]), xs: row.struck.map(({{ x }}) => x),
          middles: [...Array(row.next - row.first).keys()].map((i) => [row.first + i, row.xOf(row.first + i) + row.box.cell / 2]) }}))""")
        for row in drawn:
            middle = dict(row["middles"])
            inside = range(row["first"], row["next"])
            assert row["markers"] == [
                [middle[o], markers[row["node"]][o]] for o in inside if o in markers[row["node"]]
            ]
            assert row["xs"] == [middle[o] for o in inside if o in undone[row["node"]]]
    assert any(undone.values()) and {what for each in markers.values() for what in each.values()} == {
        "commit",
        "abort",
    }


# -- compaction ---------------------------------------------------------------------------------


def test_where_compaction_took_a_record_its_cell_stays_hatched_and_the_others_do_not_move(
    stage: Page,
) -> None:
    log = Log().records(8).marked()
    row = log.on(stage)
    before = row.records()

    def hatch(offset: int) -> float:
        return share(
            stage, "hatch", row.left(offset) + 3, row.top + 3, row.left(offset + 1) - 3, row.foot - 3
        )

    assert [offset for offset in range(8) if hatch(offset) > 0.02] == []
    log.say(k.RecordsGone(0, 0, log.row, ((1, 3), (5, 6)), "compacted"))
    row = log.on(stage)
    after = row.records()
    assert after == {offset: place for offset, place in before.items() if offset not in (1, 2, 5)}
    for offset in range(8):
        if offset in (1, 2, 5):
            assert 0.04 < hatch(offset) < 0.5  # strokes, with the log's bed between them
            assert (
                share(stage, "bed", row.left(offset) + 3, row.top + 3, row.left(offset + 1) - 3, row.foot - 3)
                > 0.3
            )
            assert (
                share(
                    stage, "blue", row.left(offset) + 1, row.top + 2, row.left(offset + 1) - 1, row.foot - 2
                )
                == 0
            )
        else:
            assert hatch(offset) < 0.02
    # A compacted log has lost records, not its beginning
    assert share(stage, "ink", row.x - 5, row.top + 3, row.x - 2, row.foot - 3) == 0


def test_a_record_without_a_value_is_pale_and_has_a_sign_at_its_corner(stage: Page) -> None:
    log = Log().records(5)
    log.say(k.TombstonesAppended(0, 0, log.row, (3,)))
    row = log.marked().on(stage)
    assert [offset for offset, (_, role) in row.records().items() if role == "replica"] == [3]
    by = row.cell * 0.33

    def corner(offset: int) -> float:
        x, y = row.centre(offset) + by, row.middle - by
        return share(stage, "ink", x - 6, y - 6, x + 6, y + 6)

    for offset in range(5):
        assert corner(offset) > 0.35 if offset == 3 else corner(offset) < 0.25
        assert row.near(offset, (0, -11)) == (["?"] if offset == 3 else ["blue"])
    # In the disc is a ring
    assert row.near(3, (by - 6.3, -by), (by, -by - 3.6)) == ["ink", "sheet"]


def test_in_a_run_what_the_cleaner_took_is_a_gap_and_a_tombstone_goes_in_its_turn(play: Any) -> None:
    page, events = play("kafka-compaction", 50_000_000)
    signs: set[int] = set()
    stones: set[int] = set()
    for t_us in (13_000_000, 21_000_000, 34_000_000, 49_000_000):
        at(page, t_us)
        past = [event for event in events if event.at_us <= t_us]
        gone = {o for event in past if isinstance(event, k.RecordsGone) for o in event.offsets}
        stones = {o for event in past if isinstance(event, k.TombstonesAppended) for o in event.offsets}
        row = page.evaluate(f"""(({{ first, next, gaps, tombstones, xOf, box }}) => {{ const of = new Map();
          for (let o = first; o < next; o++) of.set(xOf(o) + box.cell / 2, o);
          return [first, next, gaps.map((x) => of.get(x)), tombstones.map(({{ x }}) => of.get(x))]; }})({STAGE}.drawn.rows[0])""")
        first, next_, gaps, seen = row
        assert set(gaps) == {offset for offset in gone if first <= offset < next_}
        assert set(seen) == {offset for offset in stones - gone if first <= offset < next_}
        signs |= set(seen)
    assert len(gone) > 5 and signs and stones & gone


# -- retention ----------------------------------------------------------------------------------


def edge(row: Row, offset: int) -> tuple[list[str], list[str]]:
    """The colours at the tips of the teeth that a torn edge has left of the log's first cell, and between them."""
    teeth = max(2, round(row.height / 12) * 2)
    ys = [row.top + row.height * i / teeth for i in range(1, teeth)]
    x = row.left(offset) - 4.5
    return pixels(row.page, *((x, y) for y in ys[::2])), pixels(row.page, *((x, y) for y in ys[1::2]))


def test_a_log_that_has_lost_its_beginning_is_torn_there(stage: Page) -> None:
    log = Log().records(9).marked()
    row = log.on(stage)
    # Given a log from offset 0 on: a line
    assert share(stage, "ink", row.x - 1, row.top, row.x + 1, row.foot) > 0.4
    assert {colour for part in edge(row, 0) for colour in part} == {""}
    # When retention takes three records
    log.say(k.RecordsGone(0, 0, log.row, ((0, 3),), "retention"))
    row = log.marked(start=3).on(stage)
    # Then their cells are empty paper, the others stand where they stood, and between them the edge is torn
    assert sorted(row.records()) == [3, 4, 5, 6, 7, 8]
    assert all(x == pytest.approx(row.centre(offset), abs=0.5) for offset, (x, _) in row.records().items())
    tips, between = edge(row, 3)
    assert set(tips) == {"ink"} and "ink" not in between
    assert set(
        pixels(stage, *((x + 0.5, row.middle + 0.5) for x in range(round(row.x) - 2, round(row.left(3)) - 7)))
    ) == {""}


def test_a_log_that_goes_on_out_of_the_picture_is_open_there_and_says_how_much_more_there_is(
    stage: Page,
) -> None:
    log = Log().records(60)
    log.say(k.RecordsGone(0, 0, log.row, ((0, 3),), "retention"))
    row = log.marked(start=3).on(stage)
    assert row.base > 10
    said = stage.evaluate(
        f"{STAGE}.drawn.words.filter(({{ what }}) => what === 'before').map(({{ text }}) => text)"
    )
    assert said == [f"… {row.base - 3} more"]
    assert min(row.records()) == row.base
    # Neither a line nor teeth between its rails
    assert share(stage, "ink", row.x - 6, row.top + 3, row.x + 2, row.foot - 3) == 0


def test_in_a_run_the_edge_is_where_the_log_starts(play: Any) -> None:
    page, events = play("kafka-retention", 40_000_000)
    starts = set()
    marks = [event for event in events if isinstance(event, k.LogMarked)]
    moments = [mark for was, mark in pairwise(marks) if mark.start > was.start]
    for moment in [marks[0], *moments]:
        at(page, moment.at_us + FADE_US)
        marks = [
            event
            for event in events
            if isinstance(event, k.LogMarked) and event.at_us <= moment.at_us + FADE_US
        ]
        start = marks[-1].start
        row = Row(page, marks[-1].node)
        assert min(row.records()) == max(start, row.base)
        if row.base > start:
            continue
        tips, between = edge(row, start)
        assert set(tips) == ({"ink"} if start else {""}) and "ink" not in between
        starts.add(start)
    assert len(starts) > 3
