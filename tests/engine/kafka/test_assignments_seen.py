"""What the assignors of Kafka 4.4.0 gave, in groups made by chance: ours give the same.

Recorded from Kafka's own classes (kafka-clients and kafka-group-coordinator 4.4.0) in a JVM. Members have
names of one letter and topics ids in the order of their names: with those a hash map goes through them in
order, and every answer is the only one.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.kafka.assignor_table import ASSIGNORS
from engine.kafka.assignors import Subscriber
from engine.kafka.clients.consumer import assignment_of
from engine.kafka.operations import MemberTold
from engine.kafka.share_groups import assigned

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


SHARED = json.loads((Path(__file__).parent / "share_assignments.json").read_text(encoding="utf-8"))


def shape(held: dict[str, Any], owned: dict[str, Any]) -> tuple[dict[str, int], dict[str, int], list[int]]:
    """How many partitions each member has, how many of these it had, and by how many each partition is read."""
    kept = {member: len({*each} & {*owned[member]}) for member, each in held.items()}
    return (
        {member: len(each) for member, each in held.items()},
        kept,
        sorted(Counter(partition for each in held.values() for partition in each).values()),
    )


def test_every_share_group_is_dealt_as_kafka_dealt_it_up_to_the_order_of_its_hash_sets() -> None:
    # SimpleAssignor takes back what comes first in a hash set of partitions, whose order goes by the topics' random ids
    assert len(SHARED) == 100
    for topics, members, expected in SHARED:
        owned = {member: [*map(partition, held)] for member, _, held in members}
        ours = assigned({member: tuple(each) for member, each, _ in members}, topics, owned)
        kafkas = {member: [*map(partition, held)] for member, held in expected.items()}
        assert shape(ours, owned) == shape(kafkas, owned), (topics, members)


def test_what_is_recorded_of_share_groups_has_members_with_different_subscriptions_and_some_that_give_up() -> (
    None
):
    different = [members for _, members, _ in SHARED if len({str(each[1]) for each in members}) > 1]
    gives_up = [
        1 for _, members, then in SHARED if any({*held} - {*then[member]} for member, _, held in members)
    ]
    assert len(different) > 30 and len(gives_up) > 20


def test_what_is_recorded_has_members_that_claim_what_a_later_generation_gave_to_others() -> None:
    late = [each for each in SEEN if each[0] == "sticky" and len({m[3] for m in each[2] if m[3] > 0}) > 1]
    assert late
