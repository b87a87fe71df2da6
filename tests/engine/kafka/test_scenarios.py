"""Scenarios of Kafka: which Struct a producer or consumer is follows from its system; wrong ones are refused in words."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from engine import limits as L
from engine.commands import decode
from engine.errors import CommandError, ScenarioError
from engine.history import play as history
from engine.places import PLACES
from engine.scenario import KafkaConsumerSpec, KafkaProducerSpec, from_data
from tests.engine.playing import play


def small() -> dict[str, Any]:
    """A cluster and a RabbitMQ node, each with a producer and a consumer: what is said of both at once."""
    return {
        "format": 1, "title": "both", "length": "10s", "kinds": ["ana"],
        "system": [{"name": "log", "kind": "kafka", "brokers": 2, "topics": [{"name": "t", "replication": 2}]},
                   {"name": "broker", "queues": [{"name": "work"}]}],
        "producer": [{"name": "shop", "system": "log", "to": {"topic": "t"}, "arrivals": {"every": "1s"}},
                     {"name": "import", "system": "broker", "to": {"queue": "work"}, "arrivals": {"every": "1s"}}],
        "consumer": [{"name": "A", "system": "log", "from": {"topics": ["t"], "group": "g"}},
                     {"name": "B", "system": "broker", "from": {"queue": "work"}}],
    }  # fmt: skip


def changed(path: str, value: Any) -> dict[str, Any]:
    data: Any = deepcopy(small())
    *steps, last = path.split("/")
    at = data
    for step in steps:
        at = at[int(step)] if step.isdecimal() else at[step]
    at[last] = value
    return data  # type: ignore[no-any-return]


def sharing(path: str, value: Any) -> dict[str, Any]:
    """The same, where A is a member of a share group with a dead-letter queue, and one thing is changed."""
    data: Any = changed("consumer/0/protocol", "share")
    del data["system"][1], data["producer"][1]
    data["consumer"][1] = {"name": "B", "system": "log", "from": {"topics": ["t"], "group": "h"}}
    queue = {"name": "dlq.g", "config": {"errors.deadletterqueue.group.enable": True}}
    data["system"][0]["topics"].append(queue)
    data["system"][0]["share_groups"] = [
        {"name": "g", "config": {"errors.deadletterqueue.topic.name": "dlq.g"}}
    ]
    *steps, last = path.split("/")
    at = data
    for step in steps:
        at = at[int(step)] if step.isdecimal() else at[step]
    at[int(last) if last.isdecimal() else last] = value
    return data  # type: ignore[no-any-return]


def cluster_of(data: dict[str, Any]) -> dict[str, Any]:
    """The same without the RabbitMQ node and who speaks to it."""
    for part in ("system", "producer", "consumer"):
        data[part] = data[part][:1]
    return data


def problems(data: Any) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        from_data(data)
    return caught.value.problems


def test_clients_are_their_systems() -> None:
    scenario = from_data(cluster_of(small()))
    assert [type(each) for each in scenario.producer] == [KafkaProducerSpec]
    assert [type(each) for each in scenario.consumer] == [KafkaConsumerSpec]


def test_brokers_and_clusters_are_two_scenarios() -> None:
    said = "system: expected RabbitMQ brokers or Kafka clusters, got both: make them two scenarios"
    assert problems(small()) == [said]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("producer/0/confirm", True, "producer[0].confirm: expected no such field"),
        ("producer/1/acks", 1, "producer[1].acks: expected no such field"),
        ("producer/0/client", "kafka", "producer[0].client: expected no such field"),
        ("producer/0/acks", 2, "producer[0].acks: expected one of 0, 1, all, got 2"),
        ("producer/0/to", {"topic": "u"}, 'producer[0].to.topic: expected one of t, got "u"'),
        ("producer/0/to", {"queue": "work"}, "producer[0].to.queue: expected no such field"),
        ("producer/0/linger", 5, 'producer[0].linger: expected a duration such as "200ms", "1.5s" or "2m", got 5'),
        ("consumer/0/from", {"topics": ["t", "u"], "group": "g"}, 'consumer[0].from.topics[1]: expected one of t, got "u"'),
        ("consumer/0/from", {"topics": ["t"]}, "consumer[0].from.group: expected a value, got none"),
        ("consumer/0/reset", "by_duration:30s", "consumer[0].reset: expected earliest, latest or by_duration:PnDTnHnMn.nS, "
         'not negative, got "by_duration:30s"'),
        ("consumer/0/reset", "none", "consumer[0].reset: expected earliest, latest or by_duration:"),
        ("consumer/0/prefetch", 1, "consumer[0].prefetch: expected no such field"),
        ("consumer/0/heartbeat", "45s", "consumer[0].heartbeat: expected less than session_timeout, 45 s, got 45 s"),
        ("consumer/0/retry", {"delay": "0s"}, "consumer[0].retry.delay: expected 1 ms to 1440 min, got 0 ms"),
        ("system/0/topics", [{"name": "t", "replication": 3}],
         "system[0].topics[0].replication: expected at most 2, the number of brokers, got 3"),
        ("system/0/topics", [{"name": "t", "config": {"min.insync": 1}}],
         "system[0].topics[0].config.min.insync: expected one of cleanup.policy, "),
        ("system/0/topics", [{"name": "t", "config": {"min.cleanable.dirty.ratio": 2}}],
         "system[0].topics[0].config.min.cleanable.dirty.ratio: expected a number from 0 to 1, got 2"),
        ("system/0/topics", [{"name": "t", "config": {"retention.ms": "soon"}}],
         'system[0].topics[0].config.retention.ms: expected a whole number, got "soon"'),
        ("fault", [{"at": "1s", "do": "kill broker", "target": "log", "broker": 3}],
         "fault[0].broker: expected 1..2, got 3"),
        ("fault", [{"at": "1s", "do": "add partitions", "target": "log", "partitions": 3}],
         'fault[0].target: expected one of t, got "log"'),
        ("fault", [{"at": "1s", "do": "add partitions", "target": "t"}],
         'fault[0].partitions: expected a value with do = "add partitions", got none'),
        ("fault", [{"at": "1s", "do": "kill broker", "target": "broker", "broker": 1}],
         'fault[0].target: expected one of log, got "broker"'),
        ("fault", [{"at": "1s", "do": "set prefetch", "target": "A", "prefetch": 1}],
         'fault[0].target: expected one of B, got "A"'),
        ("fault", [{"at": "1s", "do": "reject next", "target": "A"}], 'fault[0].target: expected one of none, got "A"'),
    ],
)  # fmt: skip
def test_an_error_names_the_path_and_what_would_be_right(path: str, value: Any, said: str) -> None:
    found = problems(changed(path, value))
    assert any(line.startswith(said) for line in found), found


GROUP = "system/0/share_groups/0/config"
OTHER = {"name": "C", "system": "log", "from": {"topics": ["t"], "group": "g"}}


def test_a_member_of_a_share_group_says_so_by_its_protocol() -> None:
    scenario = from_data(sharing("consumer/0/acknowledge", "explicit"))
    assert [type(each).__name__ for each in scenario.consumer] == ["ShareConsumerSpec", "KafkaConsumerSpec"]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("consumer/0/assignors", ["range"], "consumer[0].assignors: expected no such field"),
        ("consumer/0/acknowledge", "after work", "consumer[0].acknowledge: expected one of "),
        ("consumer/0/failed", "reject", 'consumer[0].failed: expected it with acknowledge = "explicit" only'),
        ("consumer/0/renew", "20s", 'consumer[0].renew: expected it with acknowledge = "explicit" only'),
        ("consumer/1", OTHER, 'consumer[1].protocol: expected "share", as A of the same group has it, got "classic"'),
        ("consumer/1", {**OTHER, "protocol": "share", "from": {"topics": ["v"], "group": "g"}},
         'consumer[1].from.topics[0]: expected one of t, '),
        (GROUP, {"share.lock": 1}, "system[0].share_groups[0].config.share.lock: expected one of share.auto"),
        (GROUP, {"share.auto.offset.reset": "none"},
         'system[0].share_groups[0].config.share.auto.offset.reset: expected earliest, latest or by_duration:'),
        (GROUP, {"share.session.timeout.ms": 3_000},
         "system[0].share_groups[0].config.share.session.timeout.ms: expected 45000..60000, got 3000"),
        (GROUP, {"errors.deadletterqueue.topic.name": "t"},
         'system[0].share_groups[0].config.errors.deadletterqueue.topic.name: expected one of dlq.g, got "t"'),
        ("system/0/share_groups", [{"name": "g", "config": {}}] * 2,
         'system[0].share_groups[1].name: expected a name of its own, got "g"'),
    ],
)  # fmt: skip
def test_an_error_in_a_share_group_names_what_would_be_right(path: str, value: Any, said: str) -> None:
    found = problems(sharing(path, value))
    assert any(line.startswith(said) for line in found), found


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("share.record.lock.duration.ms", L.SHARE_LOCK_MS_MIN, L.SHARE_LOCK_MS_MAX),
        ("share.delivery.count.limit", L.SHARE_DELIVERIES_MIN, L.SHARE_DELIVERIES_MAX),
        ("share.partition.max.record.locks", L.SHARE_LOCKS_MIN, L.SHARE_LOCKS_MAX),
    ],
)
def test_a_share_groups_settings_lie_within_what_brokers_allow(key: str, low: int, high: int) -> None:
    for value in (low, high):
        from_data(sharing(GROUP, {key: value}))
    for value in (low - 1, high + 1):
        said = f"system[0].share_groups[0].config.{key}: expected {low}..{high}, got {value}"
        assert problems(sharing(GROUP, {key: value})) == [said]


CHECK = "log.retention.check.interval.ms"
CLEANER = "log.cleaner.backoff.ms"
TOO_MANY = "expected `array` of length <= {}"


def topics(count: int) -> list[dict[str, Any]]:
    return [{"name": "t"}, *({"name": f"t{n}"} for n in range(count - 1))]


def groups(count: int) -> list[dict[str, Any]]:
    return [{"name": f"g{n}", "config": {}} for n in range(count)]


@pytest.mark.parametrize(
    ("path", "most", "over", "said"),
    [
        ("system/0/topics", topics(L.TOPICS_MAX), topics(L.TOPICS_MAX + 1), f"system[0].topics: {TOO_MANY.format(20)}"),
        ("system/0/topics", [{"name": "t", "partitions": L.PARTITIONS_MAX}],
         [{"name": "t", "partitions": L.PARTITIONS_MAX + 1}], "system[0].topics[0].partitions: expected 1..50, got 51"),
        ("system/0/brokers", L.BROKERS_MAX, L.BROKERS_MAX + 1, "system[0].brokers: expected 1..9, got 10"),
        ("system/0/config", {CHECK: L.RETENTION_CHECK_MS_MIN}, {CHECK: L.RETENTION_CHECK_MS_MIN - 1},
         f"system[0].config.{CHECK}: expected at least 1000, got 999"),
        ("system/0/config", {CLEANER: L.CLEANER_BACKOFF_MS_MIN}, {CLEANER: L.CLEANER_BACKOFF_MS_MIN - 1},
         f"system[0].config.{CLEANER}: expected at least 1000, got 999"),
        ("producer/0/batch_size", L.BATCH_BYTES_MAX, L.BATCH_BYTES_MAX + 1,
         "producer[0].batch_size: expected 1..1048576, got 1048577"),
        ("consumer/0/max_poll_records", L.POLL_RECORDS_MAX, L.POLL_RECORDS_MAX + 1,
         "consumer[0].max_poll_records: expected 1..10000, got 10001"),
        ("system/0/share_groups", groups(L.SHARE_GROUPS_MAX), groups(L.SHARE_GROUPS_MAX + 1),
         f"system[0].share_groups: {TOO_MANY.format(20)}"),
    ],
    ids=["TOPICS_MAX", "PARTITIONS_MAX", "BROKERS_MAX", "RETENTION_CHECK_MS_MIN", "CLEANER_BACKOFF_MS_MIN",
         "BATCH_BYTES_MAX", "POLL_RECORDS_MAX", "SHARE_GROUPS_MAX"],
)  # fmt: skip
def test_a_scenario_may_have_as_much_and_no_more(path: str, most: Any, over: Any, said: str) -> None:
    from_data(cluster_of(changed(path, most)))
    found = problems(cluster_of(changed(path, over)))
    assert any(line.startswith(said) for line in found), found


@pytest.mark.parametrize(
    ("name", "rest", "field", "most"),
    [
        ("AddPartitions", {"system": "log", "topic": "t"}, "count", L.PARTITIONS_MAX),
        ("KillBroker", {"system": "log"}, "broker", L.BROKERS_MAX),
        ("SeekGroup", {"system": "log", "group": "g", "to": "offset"}, "offset", L.OFFSET_MAX),
        ("Seek", {"consumer": "A", "to": "offset", "topic": "t"}, "partition", L.PARTITIONS_MAX - 1),
    ],
)
def test_a_command_may_ask_for_as_much_and_no_more(
    name: str, rest: dict[str, Any], field: str, most: int
) -> None:
    decode(name, {**rest, field: most})
    with pytest.raises(CommandError, match=field):
        decode(name, {**rest, field: most + 1})


def test_a_room_with_a_cluster_goes_on_from_its_snapshot() -> None:
    scenario = from_data(cluster_of(changed("consumer/0/reset", "earliest")))
    whole, simulation = play(scenario, 1, [])
    reloaded, _ = play(scenario, 1, [], 7, frozenset({-1}))
    assert reloaded == whole
    totals = simulation.totals()
    assert totals["owed"] == totals["sent"] == 10
    assert sum(totals[place] for place in PLACES[1:]) == 10


def test_a_scenario_may_add_partitions_to_a_topic_by_itself() -> None:
    scenario = from_data(
        cluster_of(changed("fault", [{"at": "4s", "do": "add partitions", "target": "t", "partitions": 3}]))
    )
    before, after = history(scenario, 1, until_us=3_999_999), history(scenario, 1, until_us=5_000_000)
    assert [len(each.logs.partitions) for each in (before, after)] == [1, 3]
