"""Where a message can be on a picture, or which partition or consumer is meant, as choices: for keyboards,
screen readers and those who would rather read."""

from __future__ import annotations

from engine.asked import GONE, NOBODY
from engine.goals import ON_THE_WAY, read_key
from engine.goals_kafka import Cell, OwnerOf, PlaceInLog
from engine.history import History
from engine.scenario import Scenario
from lessons.answers import history_of
from lessons.items import PlaceItem
from lessons.scenarios import library

DELAYED = "delayed"

AT_QUEUE = {
    "ready": "ready in {}",
    "unacked": "unacked in {}: kept until it is acknowledged",
    DELAYED: "delayed in {}",
}
AT_CONSUMER = {
    ON_THE_WAY: "on the way to {}",
    "prefetched": "at {}, waiting its turn",
    "working": "at {}, being worked on",
}

CELLS_AHEAD = 4
"""How many cells of each partition can be picked, from the first that is empty when the picture stands."""
KEPT = 256

Choice = dict[str, str]
"""`value` as an answer has it, `node`, `zone`, and `words`."""

_known: dict[tuple[str, int], list[Choice]] = {}


def places_of(item: PlaceItem, seed: int) -> list[Choice]:
    """What can be picked, in the order of the picture. Raises `EngineError`."""
    name = (item.id, seed)
    if name not in _known:
        if len(_known) >= KEPT:
            _known.pop(next(iter(_known)))
        _known[name] = compute_places(item, seed)
    return _known[name]


def compute_places(item: PlaceItem, seed: int) -> list[Choice]:
    """The same, always by running it. Raises `EngineError`."""
    scenario, key = library()[item.scenario].scenario, read_key(item.key)
    if isinstance(key, OwnerOf):
        members = [each.name for each in scenario.kafka_consumers if each.from_.group == key.group]
        nobody = {"value": NOBODY, "node": "", "zone": "", "words": "nobody"}
        return [*({"value": name, "node": name, "zone": "", "words": name} for name in members), nobody]
    if isinstance(key, PlaceInLog):
        return _in_logs(item, key, history_of(item, seed))
    return _of_copies(item, scenario)


def _in_logs(item: PlaceItem, key: PlaceInLog, history: History) -> list[Choice]:
    """Partitions, or of each partition the cell where the message lies by now and those that come next."""
    names = sorted(history.names[node] for node in history.logs.partitions)
    if not isinstance(key, Cell):
        return [{"value": name, "node": name, "zone": "", "words": f"in {name}"} for name in names]
    cells: list[tuple[str, int]] = []
    here = history.logs.cell(key.of, item.stands)
    for name in names:
        node = history.named(name)[0]
        end = history.logs.ends[node].at(item.stands) or 0
        lies = [] if here is None or here.partition != node else [here.offset]
        cells += [(name, offset) for offset in (*lies, *range(end, end + CELLS_AHEAD))]
    return [
        {"value": f"{name} {offset}", "node": name, "zone": str(offset), "words": f"{name}, offset {offset}"}
        for name, offset in cells
    ]


def _of_copies(item: PlaceItem, scenario: Scenario) -> list[Choice]:
    """Queues and consumers. Whether a queue can delay is told by the wrong answers: where none of them is
    delayed, nothing is."""
    zones = [
        zone for zone in AT_QUEUE if zone != DELAYED or any(DELAYED in wrong.place for wrong in item.wrong)
    ]
    found = [
        _place(queue.name, zone, AT_QUEUE[zone])
        for system in scenario.rabbitmq
        for queue in system.queues
        for zone in zones
    ]
    for consumer in scenario.consumer:
        found += [_place(consumer.name, zone, words) for zone, words in AT_CONSUMER.items()]
    return [*found, {"value": GONE, "node": "", "zone": "", "words": "gone: it has left the broker"}]


def _place(node: str, zone: str, words: str) -> Choice:
    return {"value": f"{node} {zone}", "node": node, "zone": zone, "words": words.format(node)}


def asked_at_us(item: PlaceItem) -> int:
    """The moment that is asked about."""
    return int(read_key(item.key).at_us)  # type: ignore[union-attr]
