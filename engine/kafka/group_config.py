"""What a broker holds the configuration of a group to: the keys it knows and the values it takes.

`org.apache.kafka.coordinator.group.GroupConfig` of 4.4. Of its share.* keys the delivery count limit, record
locks and renewal are new in 4.3 (KIP-1240), the dead-letter queue's in 4.4 (KIP-1191). A number lies between
what the brokers have as its smallest and largest one, which are here their defaults. Keys of which this model
has no behaviour are known too, but not those of groups of Kafka Streams.
"""

from __future__ import annotations

import re

from engine.kafka.errors import KafkaError
from engine.kafka.resets import is_strategy

NUMBERS = {
    "consumer.assignment.interval.ms": (0, 15_000),
    "consumer.heartbeat.interval.ms": (5_000, 15_000),
    "consumer.session.timeout.ms": (45_000, 60_000),
    "share.assignment.interval.ms": (0, 15_000),
    "share.delivery.count.limit": (2, 10),
    "share.heartbeat.interval.ms": (5_000, 15_000),
    "share.partition.max.record.locks": (100, 4_000),
    "share.record.lock.duration.ms": (15_000, 60_000),
    "share.session.timeout.ms": (45_000, 60_000),
}
"""Key → group.{consumer,share}.min.… and .max.… of the brokers."""

SWITCHES = (
    "consumer.assignor.offload.enable", "errors.deadletterqueue.copy.record.enable",
    "share.assignor.offload.enable", "share.renew.acknowledge.enable",
)  # fmt: skip


def check_config(config: dict[str, str]) -> None:
    """Raises `KafkaError` for a key that no group has, or a value that the key does not take."""
    for key, value in config.items():
        if not _takes(key, value):
            raise KafkaError("INVALID_CONFIG")


def _takes(key: str, value: str) -> bool:
    text = value.strip()
    if key in NUMBERS:
        low, high = NUMBERS[key]
        return bool(re.fullmatch(r"[+-]?\d+", text)) and low <= int(text) <= high
    if key == "share.auto.offset.reset":
        return is_strategy(text, ("earliest", "latest"))
    if key == "share.isolation.level":
        return text in ("read_committed", "read_uncommitted")
    if key in SWITCHES:
        return text.lower() in ("true", "false")
    return key == "errors.deadletterqueue.topic.name"
