"""Where a message can be on a picture, as choices: for keyboards, screen readers and those who would rather
read."""

from __future__ import annotations

from engine.goals import GONE, ON_THE_WAY, read_key
from engine.scenario import Scenario
from lessons.items import PlaceItem

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


def places_of(item: PlaceItem, scenario: Scenario) -> list[dict[str, str]]:
    """`value` as an answer has it, `node`, `zone`, and `words`, in the order of the picture. Whether a queue
    can delay is told by the wrong answers: where none of them is delayed, nothing is."""
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


def _place(node: str, zone: str, words: str) -> dict[str, str]:
    return {"value": f"{node} {zone}", "node": node, "zone": zone, "words": words.format(node)}


def asked_at_us(item: PlaceItem) -> int:
    """The moment that is asked about."""
    return int(read_key(item.key).at_us)  # type: ignore[union-attr]
