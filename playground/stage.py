"""What a page hands to its stage: the dict `stage` of templates/README.md."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from django.urls import reverse

from engine import RULES
from engine.actors.amqp_consumer import settings_of
from engine.kafka.settings import member_settings, producer_settings, share_member_settings
from engine.scenario import KafkaConsumerSpec, KafkaProducerSpec, Scenario, ShareConsumerSpec
from lessons.scenarios import Shipped, kind_of
from playground.modules import for_script
from playground.rooms.history import Recording, recording_of
from playground.rooms.journal import Facts
from playground.rooms.limits import CHUNK_TICKS, TICK_US


def of_recording(shipped: Shipped, run: Recording | None = None, at_us: int | None = None) -> dict[str, Any]:
    """The stage of a recording: it moves before the first socket, from what stands in the page. `run`:
    another than the scenario's own; `at_us`: the moment at which it stands when the page opens."""
    recording = run or recording_of(shipped.slug)
    n = 0 if at_us is None else min(at_us // (CHUNK_TICKS * TICK_US), len(recording.chunks) - 1)
    first = recording.chunks[n].text.decode() if recording.chunks else ""
    return {
        **_of_scenario(shipped),
        "mode": "recording",
        "seed": recording.seed,
        "rules": recording.rules,
        "socket": f"/ws/play/{shipped.slug}/",
        "length_us": recording.length_us,
        "at_us": "" if at_us is None else at_us,
        "chunks": json.dumps(recording.addresses()),
        "first_chunk": for_script(first),
        "room": "",
        "role": "visitor",
    }


def of_room(shipped: Shipped, facts: Facts, role: str) -> dict[str, Any]:
    """The stage of a room: everything comes over its socket."""
    return {
        **_of_scenario(shipped),
        "mode": "room",
        "seed": facts.seed,
        "rules": facts.rules,
        "socket": f"/ws/room/{facts.code}/",
        "chunks": "[]",
        "first_chunk": "",
        "room": facts.code,
        "role": role,
    }


def thumbnail(shipped: Shipped) -> dict[str, str]:
    """A scenario in the gallery: its words, and the address of the 10 s that its picture plays."""
    scenario = shipped.scenario
    chunks = recording_of(shipped.slug).addresses()
    return {
        "slug": shipped.slug,
        "title": scenario.title,
        "about": scenario.about,
        "systems": systems_of(scenario),
        "kinds": json.dumps(list(scenario.kinds), ensure_ascii=False),
        "chunk": chunks[0] if chunks else "",
    }


def _of_scenario(shipped: Shipped) -> dict[str, Any]:
    scenario = shipped.scenario
    return {
        "slug": shipped.slug,
        "title": scenario.title,
        "about": scenario.about,
        "systems": systems_of(scenario),
        "kinds": json.dumps(list(scenario.kinds), ensure_ascii=False),
        "promises": json.dumps(list(scenario.promises)),
        "workers": json.dumps(workers_of(scenario), ensure_ascii=False),
        "length_us": scenario.length_us,
        "strips": len({consumer.from_.queue for consumer in scenario.amqp_consumers}),
        "slips": any(consumer.effect.unit or consumer.idempotency for consumer in scenario.amqp_consumers),
        "epoch": 0,
        "rules": RULES,
        "open_url": reverse("open-room"),
    }


def systems_of(scenario: Scenario) -> str:
    """The kinds of its systems, each once, with a space between, and whether a cluster has a share group and
    transactions: a stage fetches what it needs for them before its first picture."""
    kinds = [kind_of(system) for system in scenario.system]
    shared = ["share-group"] if scenario.share_consumers else []
    begun = ["transactions"] if has_transactions(scenario) else []
    return " ".join(dict.fromkeys([*kinds, *shared, *begun]))


def has_transactions(scenario: Scenario) -> bool:
    """Whether somebody writes in transactions without being told to by a command."""
    producing = any(isinstance(each, KafkaProducerSpec) and each.transaction for each in scenario.producer)
    return producing or any(each.to and each.to.transactional_id for each in scenario.kafka_consumers)


def workers_of(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """What each consumer of the scenario, and each client of Kafka, does until an event of its settings says
    otherwise, field for field; and of consumers of queues by name the one that it `reads`."""
    away = ("at_us", "cause", "node", "queue")
    said = {
        each.name: {**msgspec.structs.asdict(settings_of(each)), "reads": each.from_.queue}
        for each in scenario.amqp_consumers
    }
    for client in [*scenario.producer, *scenario.consumer]:
        if isinstance(client, KafkaConsumerSpec):
            said[client.name] = msgspec.structs.asdict(member_settings(client))
        elif isinstance(client, ShareConsumerSpec):
            said[client.name] = msgspec.structs.asdict(share_member_settings(client))
        elif isinstance(client, KafkaProducerSpec):
            said[client.name] = msgspec.structs.asdict(producer_settings(client))
    return {name: {k: v for k, v in fields.items() if k not in away} for name, fields in said.items()}
