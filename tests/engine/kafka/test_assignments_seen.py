"""What the assignors of Kafka 4.4.0 gave, in groups made by chance: ours give the same.

Recorded from Kafka's own classes (kafka-clients and kafka-group-coordinator 4.4.0) in a JVM. Members have
names of one letter and topics ids in the order of their names: with those a hash map goes through them in
order, and every answer is the only one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.kafka.assignor_table import ASSIGNORS
from engine.kafka.assignors import Subscriber
from engine.kafka.clients.consumer import assignment_of
from engine.kafka.operations import MemberTold

SEEN = json.loads((Path(__file__).parent / "assignments.json").read_text(encoding="utf-8"))
CLASSIC = ("range", "roundrobin", "sticky", "cooperative-sticky")


def partition(name: str) -> tuple[str, int]:
    topic, _, number = name.rpartition("-")
    return topic, int(number)


def given_by_ours(name: str, topics: dict[str, int], members: list[list[Any]]) -> dict[str, list[str]]:
    wanted = {topic for _, subscribed, *_ in members for topic in subscribed}
    counts = {topic: count for topic, count in topics.items() if topic in wanted}
    each = [
        (id_, tuple(subscribed), tuple(map(partition, owned)), instance, generation)
        for id_, subscribed, owned, generation, instance in members
    ]
    if name in CLASSIC:
        found = assignment_of(name, tuple(MemberTold(*member) for member in each), counts)
    else:
        found = ASSIGNORS[name]([Subscriber(*member) for member in each], counts)
    return {member: sorted(f"{topic}-{n}" for topic, n in held) for member, held in found.items()}


@pytest.mark.parametrize("name", ASSIGNORS)
def test_every_group_is_dealt_as_kafka_dealt_it(name: str) -> None:
    recorded = [each for each in SEEN if each[0] == name]
    assert len(recorded) == 60
    for _, topics, members, expected in recorded:
        assert given_by_ours(name, topics, members) == expected, (topics, members)


def test_what_is_recorded_has_members_that_claim_what_a_later_generation_gave_to_others() -> None:
    late = [each for each in SEEN if each[0] == "sticky" and len({m[3] for m in each[2] if m[3] > 0}) > 1]
    assert late
