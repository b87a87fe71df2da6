"""Every limit of a scenario and of a command: what is just within it is taken, one more is refused in words."""

from __future__ import annotations

import re
from typing import Any

import pytest

from engine import limits
from engine.commands import decode
from engine.errors import CommandError
from engine.scenario import from_data
from tests.engine.test_scenario import changed, problems

L = limits
TOO_LONG = "expected `str` of length <= {}"
TOO_MANY = "expected `array` of length <= {}"


def systems(count: int) -> list[dict[str, Any]]:
    others = [{"name": f"b{n}", "kind": "rabbitmq"} for n in range(count - 1)]
    return [{"name": "broker", "kind": "rabbitmq", "queues": [{"name": "work"}]}, *others]


def named(kind: str, count: int) -> list[dict[str, Any]]:
    """`count` exchanges or queues, the queue that the scenario needs among them."""
    more = {"type": "fanout"} if kind == "e" else {}
    return [{"name": "work", **more}, *({"name": f"{kind}{n}", **more} for n in range(count - 1))]


def bindings(count: int) -> list[dict[str, Any]]:
    keys = (f"key{n}" for n in range(count))
    return [{"exchange": "amq.direct", "queue": "work", "routing_key": key} for key in keys]


def us(moment: int) -> str:
    return f"{moment}us"


SCENARIOS: list[tuple[str, str, Any, Any, str]] = [
    ("LENGTH_US_MIN", "length", us(L.LENGTH_US_MIN), us(L.LENGTH_US_MIN - 1), "length: expected 1 s to 30 min"),
    ("LENGTH_US_MAX", "length", "30m", "1800.000001s", "length: expected 1 s to 30 min"),
    ("SYSTEMS_MAX", "system", systems(L.SYSTEMS_MAX), systems(L.SYSTEMS_MAX + 1), f"system: {TOO_MANY.format(3)}"),
    ("EXCHANGES_MAX", "system.0.exchanges", named("e", L.EXCHANGES_MAX), named("e", L.EXCHANGES_MAX + 1),
     f"system[0].exchanges: {TOO_MANY.format(40)}"),
    ("QUEUES_MAX", "system.0.queues", named("q", L.QUEUES_MAX), named("q", L.QUEUES_MAX + 1),
     f"system[0].queues: {TOO_MANY.format(40)}"),
    ("BINDINGS_MAX", "system.0.bindings", bindings(L.BINDINGS_MAX), bindings(L.BINDINGS_MAX + 1),
     f"system[0].bindings: {TOO_MANY.format(200)}"),
    ("KINDS_MAX", "kinds", ["ana", "ben", *map(str, range(L.KINDS_MAX - 2))],
     ["ana", "ben", *map(str, range(L.KINDS_MAX - 1))], f"kinds: {TOO_MANY.format(50)}"),
    ("NAME_CHARACTERS_MAX", "consumer.1.name", "n" * L.NAME_CHARACTERS_MAX, "n" * (L.NAME_CHARACTERS_MAX + 1),
     f"consumer[1].name: {TOO_LONG.format(40)}"),
    ("TITLE_CHARACTERS_MAX", "title", "t" * L.TITLE_CHARACTERS_MAX, "t" * (L.TITLE_CHARACTERS_MAX + 1),
     f"title: {TOO_LONG.format(120)}"),
    ("TEXT_CHARACTERS_MAX", "about", "t" * L.TEXT_CHARACTERS_MAX, "t" * (L.TEXT_CHARACTERS_MAX + 1),
     f"about: {TOO_LONG.format(500)}"),
    ("PREFETCH_MAX", "consumer.0.prefetch", L.PREFETCH_MAX, L.PREFETCH_MAX + 1,
     "consumer[0].prefetch: expected 0..65535, got 65536"),
    ("LINK_US_MIN", "system.0.link", us(L.LINK_US_MIN), us(L.LINK_US_MIN - 1), "system[0].link: expected 1 ms to 60 s"),
    ("LINK_US_MAX", "system.0.link", us(L.LINK_US_MAX), us(L.LINK_US_MAX + 1), "system[0].link: expected 1 ms to 60 s"),
    ("RATE_PER_MINUTE_MAX", "producer.0.arrivals", {"poisson": f"{L.RATE_PER_MINUTE_MAX}/m"},
     {"poisson": f"{L.RATE_PER_MINUTE_MAX + 1}/m"},
     "producer[0].arrivals.poisson: expected at most 1,000 messages a second"),
    ("BURST_MAX", "producer.0.arrivals", {"burst": L.BURST_MAX, "every": "10s"},
     {"burst": L.BURST_MAX + 1, "every": "10s"}, "producer[0].arrivals.burst: expected 1..1000, got 1001"),
    ("ARRIVAL_TIMES_MAX", "producer.0.arrivals", {"at": ["1s"] * L.ARRIVAL_TIMES_MAX},
     {"at": ["1s"] * (L.ARRIVAL_TIMES_MAX + 1)}, f"producer[0].arrivals.at: {TOO_MANY.format(1000)}"),
    ("WORK_US_MAX", "consumer.0.work", {"constant": "10m"}, {"constant": "600.000001s"},
     "consumer[0].work: expected 0 ms to 10 min"),
    ("DURATION_US_MAX", "producer.0.start", "1440m", "86400.000001s",
     "producer[0].start: expected 0 ms to 1440 min"),
    ("MESSAGES_MAX", "producer.0.count", L.MESSAGES_MAX, L.MESSAGES_MAX + 1,
     "producer[0].count: expected 1..100000, got 100001"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("limit", "path", "most", "over", "said"), SCENARIOS, ids=[one[0] for one in SCENARIOS]
)
def test_a_scenario_may_have_as_much_and_no_more(
    limit: str, path: str, most: Any, over: Any, said: str
) -> None:
    assert str(getattr(limits, limit))
    from_data(changed(path, most))
    assert any(line.startswith(said) for line in problems(changed(path, over))), problems(changed(path, over))


COMMANDS: list[tuple[str, str, dict[str, Any], str, int, str]] = [
    ("SEED_MAX", "Reseed", {}, "seed", L.SEED_MAX, "seed"),
    ("PREFETCH_MAX", "SetPrefetch", {"consumer": "A"}, "prefetch", L.PREFETCH_MAX, "prefetch"),
    (
        "RATE_PER_MINUTE_MAX",
        "SetRate",
        {"producer": "shop"},
        "per_minute",
        L.RATE_PER_MINUTE_MAX,
        "per_minute",
    ),
]


@pytest.mark.parametrize(
    ("limit", "name", "rest", "field", "most", "said"), COMMANDS, ids=[c[0] for c in COMMANDS]
)
def test_a_command_may_ask_for_as_much_and_no_more(
    limit: str, name: str, rest: dict[str, Any], field: str, most: int, said: str
) -> None:
    assert getattr(limits, limit) == most
    decode(name, {**rest, field: most})
    with pytest.raises(CommandError, match=re.escape(said)):
        decode(name, {**rest, field: most + 1})
