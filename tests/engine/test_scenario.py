"""Scenarios: what is read, and how each wrong one is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.durations import duration_us, per_hour, spoken
from engine.errors import ScenarioError
from engine.scenario import from_data, load

SHIPPED = sorted((Path(__file__).parents[2] / "lessons" / "scenarios").glob("*.toml"))


def small(**changes: Any) -> dict[str, Any]:
    """A scenario with one producer, one queue and two consumers; `changes` replace top-level fields."""
    data: dict[str, Any] = {
        "format": 1, "title": "small", "length": "10s", "kinds": ["ana", "ben"],
        "system": [{"name": "broker", "kind": "rabbitmq", "queues": [{"name": "work"}]}],
        "producer": [{"name": "shop", "system": "broker", "to": {"queue": "work"},
                      "arrivals": {"every": "500ms"}, "keys": ["ana", "ben"]}],
        "consumer": [{"name": n, "system": "broker", "from": {"queue": "work"}, "prefetch": 2}
                     for n in ("A", "B")],
    }  # fmt: skip
    return {**data, **changes}


def problems(data: Any) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        from_data(data)
    return caught.value.problems


def test_every_shipped_scenario_loads() -> None:
    assert len(SHIPPED) >= 8
    for path in SHIPPED:
        assert load(path).title


def test_toml_and_json_say_the_same() -> None:
    text = SHIPPED[0].read_text()
    import tomllib

    assert load(text) == load(json.dumps(tomllib.loads(text)))


def test_one_run_has_brokers_or_clusters() -> None:
    data = small()
    data["system"].append({"name": "log", "kind": "kafka", "brokers": 1, "topics": [{"name": "orders"}]})
    assert problems(data) == [
        "system: expected RabbitMQ brokers or Kafka clusters, got both: make them two scenarios"
    ]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The small scenario with one value replaced, by a path such as `consumer.1.prefetch`."""
    data = small()
    *steps, last = path.split(".")
    at: Any = data
    for step in steps:
        at = at[int(step)] if step.isdecimal() else at[step]
    at[int(last) if last.isdecimal() else last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("consumer.1.prefetch", -3, "consumer[1].prefetch: expected 0..65535, got -3"),
        ("consumer.0.prefetch", 65_536, "consumer[0].prefetch: expected 0..65535, got 65536"),
        ("consumer.0.prefetch", "two", 'consumer[0].prefetch: expected `int`, got "two"'),
        ("consumer.1.name", "A", 'consumer[1].name: expected a name of its own, got "A", which is consumer[0]\'s'),
        ("consumer.0.system", "kafka", 'consumer[0].system: expected one of broker, got "kafka"'),
        ("consumer.0.from", {"queue": "nope"}, 'consumer[0].from.queue: expected one of work, got "nope"'),
        ("consumer.0.colour", "red", "consumer[0].colour: expected no such field"),
        ("consumer.0.work", {}, "consumer[0].work: expected exactly one of constant, exponential, uniform"),
        ("consumer.0.retry", {"then": "work"}, "consumer[0].retry.then: expected a limit with it"),
        ("consumer.0.retry", {"do": "republish", "steps": [{"queue": "later", "delay": "1s"}]},
         'consumer[0].retry.steps[0].queue: expected one of work, got "later"'),
        ("consumer.0.retry", {"steps": [{"queue": "work", "delay": "1s"}]},
         'consumer[0].retry.steps: expected it with do = "republish" only'),
        ("consumer.0.retry", {"do": "republish", "queue": "work", "steps": [{"queue": "work", "delay": "1s"}]},
         "consumer[0].retry: expected either queue or steps"),
        ("consumer.0.retry", {"do": "republish", "steps": [{"queue": "work", "delay": "1s"}] * (limits.RETRY_STEPS_MAX + 1)},
         "consumer[0].retry.steps: expected `array` of length <= 20"),
        ("consumer.0.fail", {"probability": 1.0, "during": ["5s", "5s"]},
         "consumer[0].fail.during: expected its beginning before its end"),
        ("producer.0.arrivals", {"every": "1us"},
         "producer[0].arrivals.every: expected at most 1,000 messages a second, got 1 every 0.001 ms"),
        ("producer.0.arrivals", {"every": "0s"},
         "producer[0].arrivals.every: expected at most 1,000 messages a second, got 1 every 0 ms"),
        ("producer.0.arrivals", {"poisson": "100000/s"},
         "producer[0].arrivals.poisson: expected at most 1,000 messages a second"),
        ("producer.0.to", {}, "producer[0].to: expected an exchange or a queue"),
        ("producer.0.keys", ["zoe"], 'producer[0].keys[0]: expected one of ana, ben, got "zoe"'),
        ("length", "1h", "length: expected 1 s to 30 min, got 60 min"),
        ("length", "soon", 'length: expected a duration such as "200ms", "1.5s" or "2m", got "soon"'),
        ("system.0.link", "0ms", "system[0].link: expected 1 ms to 60 s, got 0 ms"),
        ("format", 2, "format: expected one of 1, got 2"),
        ("system.0.kind", "kafkaesque", 'system[0].kind: expected one of rabbitmq, kafka, got "kafkaesque"'),
    ],
)  # fmt: skip
def test_an_error_names_the_path_and_what_would_be_right(path: str, value: Any, said: str) -> None:
    assert any(line.startswith(said) for line in problems(changed(path, value))), problems(
        changed(path, value)
    )


def test_a_missing_field_is_named() -> None:
    data = small()
    del data["producer"][0]["arrivals"]
    assert problems(data) == ["producer[0].arrivals: expected a value, got none"]


def test_all_that_is_wrong_is_said_at_once() -> None:
    data = changed("consumer.0.system", "x")
    data["producer"][0]["to"] = {}
    data["length"] = "1h"
    assert len(problems(data)) >= 3


@pytest.mark.parametrize(
    ("field", "most"),
    [("producer", limits.PRODUCERS_MAX), ("consumer", limits.CONSUMERS_MAX), ("fault", limits.FAULTS_MAX)],
)
def test_one_more_than_the_limit_is_refused(field: str, most: int) -> None:
    data = small(fault=[{"at": "1s", "do": "crash", "target": "A"}])
    one = data[field][0]
    data[field] = [{**one, "name": f"n{i}"} if field != "fault" else one for i in range(most)]
    if field != "consumer":
        from_data(data)
    data[field].append({**one, "name": "one more"} if field != "fault" else one)
    assert problems(data)[0].startswith(f"{field}: expected `array` of length <= {most}, got ")


def test_a_text_that_is_too_long_or_no_table_is_refused_in_one_line() -> None:
    for text in ("x" * (limits.SCENARIO_BYTES_MAX + 1), "[" * 5_000, '{"a": ' * 5_000, "= 3", "\x00", "{}"):
        with pytest.raises(ScenarioError) as caught:
            load(text)
        assert len(caught.value.problems) == 1 and len(caught.value.problems[0]) < 200


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["format", "title", "system", "producer", "consumer", "name", "x"]), inner, max_size=4),
    max_leaves=12))  # fmt: skip
def test_no_data_whatever_gives_a_traceback(data: Any) -> None:
    said = None
    try:
        from_data(data)
    except ScenarioError as error:
        said = error.problems
    assert said is None or (said and all(isinstance(line, str) for line in said))


def test_durations_and_rates_are_exact() -> None:
    assert (
        duration_us("1.5s") == 1_500_000
        and duration_us("200ms") == 200_000
        and duration_us("2m") == 120_000_000
    )
    assert per_hour("2/s") == 7_200 and per_hour("0.5/s") == 1_800 and per_hour("30/m") == 1_800
    assert [spoken(us) for us in (200_000, 1_500_000, 180_000_000)] == ["200 ms", "1.5 s", "3 min"]
    for wrong in ("", "5", "-1s", "1e9s", "1 year", "٣s"):
        with pytest.raises(ValueError, match="expected a duration"):
            duration_us(wrong)
