"""Where reading begins without a position: auto.offset.reset and share.auto.offset.reset, by_duration among them
(KIP-1106), and what a group's configuration takes. What is right here was asked of Kafka 4.4.0's own classes."""

from __future__ import annotations

from typing import Any

import pytest

from engine import commands as c
from engine.finding import ADMIN
from engine.kafka import events as k
from engine.kafka import operations as ops
from engine.kafka.errors import KafkaError
from engine.kafka.group_config import check_config
from engine.kafka.resets import back_us, is_strategy
from engine.simulation import Simulation
from tests.engine.kafka.test_promises import S, of, room, run
from tests.engine.kafka.test_share_groups import shared, sharer, system

TAKEN = {
    "PT30S": 30 * S, "PT0S": 0, "PT0.5S": S // 2, "PT1M5S": 65 * S, "P1DT2H": 26 * 3_600 * S, "P2D": 48 * 3_600 * S,
    "pt5s": 5 * S, "+PT5S": 5 * S, "PT1H-30M": 1_800 * S, "-PT-5S": 5 * S, "PT1,5S": 3 * S // 2, "PT1.S": S,
}  # fmt: skip
REFUSED = [
    "", "30s", "P1W", "P1M", "PT", "P1DT", "PT1H30", "PT-30S", "-PT5S", "--PT5S", "PT5S1M", "PT.5S",
    "PT0.1234567891S", "P106751991167301D",
]  # fmt: skip


@pytest.mark.parametrize(("text", "us"), TAKEN.items())
def test_a_duration_is_read_as_java_reads_it(text: str, us: int) -> None:
    assert back_us(f"by_duration:{text}") == us


@pytest.mark.parametrize(
    "reset", [*(f"by_duration:{text}" for text in REFUSED), "by_duration", "LATEST", "soon"]
)
def test_what_kafka_takes_for_no_strategy_is_none(reset: str) -> None:
    assert not is_strategy(reset, ("earliest", "latest", "none"))


def reader(**changes: Any) -> dict[str, Any]:
    return {
        "name": "A",
        "system": "log",
        "from": {"topics": ["t"], "group": "g"},
        "work": {"constant": "1ms"},
        **changes,
    }


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
@pytest.mark.parametrize(("back", "first"), [("PT3S", 70), ("PT1H", 0)])
def test_a_group_begins_at_the_first_record_of_the_last_seconds(protocol: str, back: str, first: int) -> None:
    # Given a record each tenth of a second, and a group that comes after ten
    member = reader(start="10s", reset=f"by_duration:{back}", protocol=protocol)
    _, events = run(room(system=system(), consumer=[member]))
    (begins,) = of(events, k.PositionSet)
    asked_s = (begins.at_us - 10 * S) / S
    # It joins within some seconds: these are not among the last three any more
    assert begins.offset == pytest.approx(first + 10 * asked_s * (back == "PT3S"), abs=2)


@pytest.mark.parametrize(
    ("back", "at_s", "begins"), [("PT1S", 25, []), ("PT1S", 27, [100]), ("PT4S", 25, [100])]
)
def test_a_group_that_finds_nothing_of_late_looks_again_after_the_request_timeout(
    back: str, at_s: int, begins: list[int]
) -> None:
    # Given a log whose last record is old when the group comes; it looks again each 3 s, request.timeout.ms here,
    # about 24 s and 27 s
    member = reader(start="15s", reset=f"by_duration:{back}")
    scenario = room(
        system=system(), consumer=[member], producer__arrivals={"every": "100ms"}, producer__count=100
    )
    totals, events = run(scenario, (at_s * S, c.PublishNow("shop", count=5)))
    # Then what was written in between is read only if it is young enough when it looks
    assert [e.offset for e in of(events, k.PositionSet)] == begins
    assert totals["owed"] == totals["done"] == 5 * len(begins)


def test_a_share_group_begins_at_the_first_record_of_the_last_seconds() -> None:
    config = {"share.auto.offset.reset": "by_duration:PT3S"}
    totals, events = run(shared(sharer("A", start="10s"), config=config))
    first = of(events, k.SharePartitionMarked)[0]
    assert 70 <= first.start <= 10 * (first.at_us / S - 3) + 1
    assert totals["done"] == totals["owed"] == 200 - first.start


def test_a_share_group_that_finds_nothing_of_late_begins_with_the_next_record() -> None:
    config = {"share.auto.offset.reset": "by_duration:PT1S"}
    scenario = shared(sharer("A", start="30s"), config=config, producer__count=100)
    totals, events = run(scenario, (40 * S, c.PublishNow("shop", count=3)))
    marks = of(events, k.SharePartitionMarked)
    assert marks[0].at_us >= 40 * S and marks[0].start == 100
    assert totals["done"] == totals["owed"] == 3


# -- a group's configuration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("share.delivery.count.limit", "1"), ("share.delivery.count.limit", "11"),
        ("share.record.lock.duration.ms", "14999"), ("share.record.lock.duration.ms", "60001"),
        ("share.partition.max.record.locks", "99"), ("share.partition.max.record.locks", "4001"),
        ("share.heartbeat.interval.ms", "4999"), ("share.session.timeout.ms", "60001"),
        ("share.assignment.interval.ms", "15001"), ("share.isolation.level", "READ_COMMITTED"),
        ("share.renew.acknowledge.enable", "yes"), ("share.auto.offset.reset", "none"),
        ("share.acquire.mode", "record_limit"), ("errors.deadletterqueue.topic.name.prefix", "dlq."),
        ("share.delivery.count.limit", "1.5"), ("group.share.delivery.count.limit", "5"),
    ],
)  # fmt: skip
def test_a_group_takes_only_the_configuration_that_kafka_takes(key: str, value: str) -> None:
    with pytest.raises(KafkaError, match="INVALID_CONFIG"):
        check_config({"share.delivery.count.limit": "3", key: value})
    check_config({
        "share.delivery.count.limit": "10", "share.record.lock.duration.ms": "15000", "share.session.timeout.ms": "45000",
        "share.heartbeat.interval.ms": "15000", "share.renew.acknowledge.enable": "FALSE",
        "errors.deadletterqueue.topic.name": "anything", "share.auto.offset.reset": "by_duration:P1D",
    })  # fmt: skip


def test_a_groups_own_session_timeout_rules_over_the_brokers() -> None:
    # Given a member whose network is cut at 5 s, in a group with a longer session than the brokers' 45 s
    journal = ((5 * S, c.CutLink("A")),)
    gone = {}
    for session in (45_000, 50_000):
        config = {"share.session.timeout.ms": session, "share.heartbeat.interval.ms": 5_000}
        _, events = run(shared(sharer("A"), sharer("B"), config=config), *journal)
        (left,) = [e for e in of(events, k.MemberGone) if e.why == "session"]
        gone[session] = left.at_us
    # Its last heartbeat was heard just before
    assert 45 * S <= gone[45_000] <= 50 * S + S // 10
    assert gone[50_000] - gone[45_000] == 5 * S


def test_a_refused_configuration_changes_nothing() -> None:
    simulation = Simulation(shared(sharer("A")), 1)
    cluster = simulation.clusters[0]
    asked = ops.AlterGroupConfig("g", {"share.delivery.count.limit": "3", "share.isolation.level": "dirty"})
    answer = cluster.execute(simulation.kernel, ADMIN, asked)
    assert isinstance(answer, ops.Done) and answer.error == "INVALID_CONFIG"
    assert "share.delivery.count.limit" not in cluster.share_config["g"]
