"""The consumer protocol (KIP-848) in a room, beside both ways of the classic one on the same crash."""

from __future__ import annotations

from typing import Any

import pytest

from engine import commands as c
from engine.errors import ScenarioError
from engine.events import Event
from engine.kafka import events as k
from tests.engine.kafka.test_promises import S, member, of, room, run

PROTOCOLS: dict[str, dict[str, Any]] = {
    "eager": {"assignors": ["range"]},
    "cooperative": {"assignors": ["cooperative-sticky"]},
    "consumer": {"protocol": "consumer"},
}


def modern(name: str, **changes: Any) -> dict[str, Any]:
    """As `member`, of the consumer protocol; its session and heartbeat are the cluster's."""
    data = {**member(name), "protocol": "consumer", **changes}
    del data["session_timeout"], data["heartbeat"]
    return data


def three(protocol: str) -> Any:
    """Six partitions, three members, sessions of 6 s and heartbeats each second whatever the protocol."""
    settings = PROTOCOLS[protocol]
    make = modern if protocol == "consumer" else member
    return room(
        system=[{"name": "log", "kind": "kafka", "link": "10ms", "request_timeout": "3s",
                 "config": {"group.initial.rebalance.delay.ms": 0, "group.consumer.session.timeout.ms": 6_000,
                            "group.consumer.heartbeat.interval.ms": 1_000},
                 "topics": [{"name": "t", "partitions": 6}]}],
        producer__keys=[],
        consumer=[make(name, **settings) for name in ("A", "B", "C")],
    )  # fmt: skip


def revocations(events: list[Event], since_us: int) -> list[int]:
    """How many partitions each member gave up, each time that one did, without the crash's own."""
    return [
        len(event.partitions)
        for event in of(events, k.PartitionsRevoked)
        if event.at_us > since_us and event.why == "revoked"
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_same_crash_is_noticed_alike_and_stops_as_much_reading_as_its_protocol_needs(
    protocol: str,
) -> None:
    crash_us = 10 * S + 120_000
    totals, events = run(three(protocol), (crash_us, c.CrashConsumer("B")))
    gone = of(events, k.MemberGone)
    assert [event.why for event in gone] == ["session"]
    assert crash_us + 5 * S <= gone[0].at_us <= crash_us + 6 * S
    given_up = revocations(events, crash_us)
    # Eager: both who are left give up both of theirs first. Else nobody gives up anything: what the
    # crashed member had is dealt out, one partition each.
    assert given_up == ([2, 2] if protocol == "eager" else [])
    assert totals["done"] == 200 and totals["lost"] == 0


def test_a_group_of_the_consumer_protocol_names_its_assignor_and_its_epochs() -> None:
    _, events = run(three("consumer"))
    states = of(events, k.GroupChanged)
    assert {event.protocol for event in states if event.state == "Stable"} == {"uniform"}
    assert states[-1].state == "Stable" and states[-1].generation == 3


def test_a_member_that_joins_waits_for_the_heartbeats_of_those_that_give_up() -> None:
    _, events = run(three("consumer"), (10 * S + 120_000, c.AddConsumer("A", name="D")))
    got = [event for event in of(events, k.PartitionsAssigned) if event.at_us > 10 * S]
    # What the others had, one has to give up: it hears of that with its next heartbeat, at most a second later
    assert sum(len(event.partitions) for event in got) == 1
    assert sum(revocations(events, 10 * S)) == 1
    assert 10 * S + 120_000 < got[0].at_us < 13 * S


def test_more_partitions_are_dealt_out_by_the_coordinator_without_waiting_for_metadata() -> None:
    _, events = run(three("consumer"), (10 * S, c.AddPartitions("log", "t", 9)))
    declared = of(events, k.PartitionDeclared)[6:]
    got = {p: event.at_us for event in of(events, k.PartitionsAssigned) for p in event.partitions}
    assert all(got[event.node] < 12 * S for event in declared)


def test_a_static_member_that_is_back_before_its_session_is_over_is_refused_until_then() -> None:
    both = [modern("A", instance="one"), modern("B", instance="two")]
    scenario = room(consumer=both, system__config={"group.consumer.session.timeout.ms": 6_000,
                                                   "group.consumer.heartbeat.interval.ms": 1_000})  # fmt: skip
    totals, events = run(scenario, (10 * S, c.CrashConsumer("A")), (12 * S, c.RestartConsumer("A")))
    # Its old process has not left: UNRELEASED_INSTANCE_ID, until nothing was heard of it for the session
    joined = [event.at_us for event in of(events, k.MemberJoined)]
    assert len(joined) == 3 and joined[-1] > 15 * S
    assert totals["done"] == 200 and totals["lost"] == 0


def test_a_member_that_polls_too_late_leaves_and_is_back_with_its_next_poll() -> None:
    slow = room(consumer=[modern("A", max_poll_interval="5s"), modern("B")])
    totals, events = run(slow, (5 * S, c.SetWork("A", 8 * S)), (30 * S, c.SetWork("A", 40_000)))
    assert of(events, k.MemberGone)[0].why == "left"
    assert totals["duplicated_effects"] > 0 and totals["lost"] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol": "consumer"}, 'consumer[0].session_timeout: expected it with protocol = "classic" only'),
        ({"remote_assignor": "range"}, 'consumer[0].remote_assignor: expected it with protocol = "consumer" only'),
    ],
)  # fmt: skip
def test_a_setting_of_the_other_protocol_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        room(consumer=[member("A", **changes)])
    assert said in caught.value.problems


def test_members_of_one_group_speak_one_protocol() -> None:
    with pytest.raises(ScenarioError) as caught:
        room(consumer=[modern("A"), member("B")])
    assert caught.value.problems == [
        'consumer[1].protocol: expected "consumer", as A of the same group has it, got "classic"'
    ]
