"""What a broker holds the configuration of a topic to: the keys it knows and the values it takes.

`org.apache.kafka.storage.internals.log.LogConfig` of 4.4. A segment has at least 1 MiB since 4.0 (KIP-1030);
`internal.segment.bytes` is the way round that, for tests there and for small stages here. Keys of which this
model has no behaviour are known too, so that a topic which Kafka takes is not refused.
"""

from __future__ import annotations

import re

from engine.kafka.errors import KafkaError

INT_MAX, LONG_MAX = 2**31 - 1, 2**63 - 1
NAME_MAX = 249
"""Characters in a topic's name: a file's name has room for them and for the partition's number
(`org.apache.kafka.common.internals.Topic`)."""

NUMBERS = {
    "compression.lz4.level": (1, 17),
    "compression.zstd.level": (-131_072, 22),
    "delete.retention.ms": (0, LONG_MAX),
    "file.delete.delay.ms": (0, LONG_MAX),
    "flush.messages": (1, LONG_MAX),
    "flush.ms": (0, LONG_MAX),
    "index.interval.bytes": (0, INT_MAX),
    "internal.segment.bytes": (-INT_MAX - 1, INT_MAX),
    "local.retention.bytes": (-2, LONG_MAX),
    "local.retention.ms": (-2, LONG_MAX),
    "max.compaction.lag.ms": (1, LONG_MAX),
    "max.decompressed.message.bytes": (1, INT_MAX - 8),
    "max.message.bytes": (0, INT_MAX),
    "message.timestamp.after.max.ms": (0, LONG_MAX),
    "message.timestamp.before.max.ms": (0, LONG_MAX),
    "min.compaction.lag.ms": (0, LONG_MAX),
    "min.insync.replicas": (1, INT_MAX),
    "remote.copy.lag.bytes": (-1, LONG_MAX),
    "remote.copy.lag.ms": (-1, LONG_MAX),
    "replication.factor": (1, INT_MAX),
    "retention.bytes": (-LONG_MAX - 1, LONG_MAX),
    "retention.ms": (-1, LONG_MAX),
    "segment.bytes": (1_048_576, INT_MAX),
    "segment.index.bytes": (4, INT_MAX),
    "segment.jitter.ms": (0, LONG_MAX),
    "segment.ms": (1, LONG_MAX),
}
"""Key → smallest and largest value. `replication.factor` is no key of Kafka's: here a topic's own stands with
its configuration."""

WORDS = {
    "compression.type": ("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"),
    "message.timestamp.type": ("CreateTime", "LogAppendTime"),
}
SWITCHES = (
    "errors.deadletterqueue.group.enable", "preallocate", "remote.log.copy.disable",
    "remote.log.delete.on.disable", "remote.storage.enable", "unclean.leader.election.enable",
)  # fmt: skip
OTHERS = (
    "compression.gzip.level", "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
)  # fmt: skip


def check_name(name: str) -> None:
    """Raises `KafkaError` for what can be no topic's name."""
    if name in (".", "..") or len(name) > NAME_MAX or not re.fullmatch(r"[a-zA-Z0-9._-]+", name):
        raise KafkaError("INVALID_TOPIC_EXCEPTION")


def check_config(config: dict[str, str]) -> None:
    """Raises `KafkaError` for a key that no topic has, or a value that the key does not take."""
    for key, value in config.items():
        if not _takes(key, value):
            raise KafkaError("INVALID_CONFIG")
    if int(config.get("min.compaction.lag.ms", "0")) > int(config.get("max.compaction.lag.ms", LONG_MAX)):
        raise KafkaError("INVALID_CONFIG")


def _takes(key: str, value: str) -> bool:
    text = value.strip()
    if key in NUMBERS:
        low, high = NUMBERS[key]
        return bool(re.fullmatch(r"[+-]?\d+", text)) and low <= int(text) <= high
    if key == "min.cleanable.dirty.ratio":
        return bool(re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text)) and 0 <= float(text) <= 1
    if key == "cleanup.policy":
        policies = [policy.strip() for policy in text.split(",")] if text else []
        return all(policy in ("compact", "delete") for policy in policies)
    if key in WORDS:
        return text in WORDS[key]
    if key in SWITCHES:
        return text.lower() in ("true", "false")
    return key in OTHERS
