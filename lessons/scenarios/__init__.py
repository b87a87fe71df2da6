"""The scenarios: read once, checked once, looked up by slug. Those of the gallery stand here; each lesson
has its own beside its text, and can be recorded, played and opened as a room like any other."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from engine.errors import ScenarioError
from engine.scenario import KafkaSystem, RabbitMQSystem, Scenario, load

ORDER = ("work-queue", "fair-dispatch", "fan-out", "topic-routing", "retry-dlq", "idempotent-payments",
         "traffic-spike", "order-pipeline", "kafka-user-events", "kafka-keys-partitions",
         "kafka-photo-upload", "kafka-replay", "kafka-commit-before", "kafka-poison-record",
         "kafka-share-group", "kafka-rebalance-eager", "kafka-rebalance-cooperative",
         "kafka-rebalance-consumer", "kafka-duplicate", "kafka-broker-crash", "kafka-retention",
         "kafka-compaction", "kafka-transactions", "kafka-order-pipeline")  # fmt: skip
"""From the simplest to the whole, a system after the other; others follow by name."""

SYSTEMS = {"rabbitmq": "RabbitMQ", "kafka": "Kafka"}
"""What people call the kinds of systems, in the order of the list."""

DRAWN = ("rabbitmq", "kafka")
"""Of which the stage has a picture: scenarios of others are read, run and tested, and not listed."""


@dataclass(frozen=True)
class Shipped:
    """A scenario with the name that addresses use for it."""

    slug: str
    scenario: Scenario


@functools.cache
def library() -> Mapping[str, Shipped]:
    """All scenarios by slug: those of the gallery, then the lessons'. Raises `ImproperlyConfigured`."""
    shipped = read_folder(Path(settings.SCENARIOS_DIR))
    return MappingProxyType({**of_home(), **shipped, **of_lessons(Path(settings.LESSONS_DIR))})


@functools.cache
def gallery() -> Mapping[str, Shipped]:
    """Those that are listed, in the order of the list. Raises `ImproperlyConfigured`."""
    return MappingProxyType({
        slug: shipped for slug, shipped in read_folder(Path(settings.SCENARIOS_DIR)).items()
        if all(kind_of(system) in DRAWN for system in shipped.scenario.system)
    })  # fmt: skip


def shelves() -> dict[str, list[Shipped]]:
    """Those that are listed by what people call their (first) system; none without a scenario."""
    kinds = {shipped.slug: kind_of(shipped.scenario.system[0]) for shipped in gallery().values()}
    return {
        name: [shipped for shipped in gallery().values() if kinds[shipped.slug] == kind]
        for kind, name in SYSTEMS.items()
        if kind in kinds.values()
    }


def kind_of(system: RabbitMQSystem | KafkaSystem) -> str:
    """A key of `SYSTEMS`."""
    return "kafka" if isinstance(system, KafkaSystem) else "rabbitmq"


@functools.cache
def of_home() -> Mapping[str, Shipped]:
    """The one that the home page shows: calm enough to be read before anybody has touched it, and not listed.

    Raises `ImproperlyConfigured`."""
    return read_folder(Path(settings.SCENARIOS_DIR) / "home")


def of_lessons(folder: Path) -> dict[str, Shipped]:
    """The scenarios that lie with the lessons; a broken one is left out here and refused with its lesson."""
    found: dict[str, Shipped] = {}
    for path in sorted(folder.glob("[0-9][0-9]-*/scenario.toml")):
        slug = path.parent.name.partition("-")[2]
        with suppress(ScenarioError):
            found[slug] = Shipped(slug, load(path))
    return found


def read_folder(folder: Path) -> Mapping[str, Shipped]:
    """The scenarios of a folder. Raises `ImproperlyConfigured` with every problem of every file."""
    found: dict[str, Shipped] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*.toml"), key=lambda path: _rank(path.stem)):
        try:
            found[path.stem] = Shipped(path.stem, load(path))
        except ScenarioError as error:
            problems += [f"{path.name}: {problem}" for problem in error.problems]
    if problems:
        raise ImproperlyConfigured("The site does not start on bad content.\n" + "\n".join(problems))
    return MappingProxyType(found)


def home() -> Shipped | None:
    """The scenario of the home page, else the first that is listed; None while there is none at all."""
    return next(iter({**of_home(), **gallery()}.values()), None)


def _rank(slug: str) -> tuple[int, str]:
    return (ORDER.index(slug) if slug in ORDER else len(ORDER), slug)
