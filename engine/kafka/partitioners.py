"""Which partition a keyed record goes to: a hash of the key's bytes, modulo the number of partitions.

Two clients, two hashes: Kafka's own clients take murmur2 (`org.apache.kafka.common.utils.Utils.murmur2`,
used by `BuiltInPartitioner.partitionForKey`), librdkafka's default for keyed records is CRC-32
(`consistent_random`). So two producers of one topic that are written with different libraries put the same
key into different partitions.
"""

from __future__ import annotations

import zlib
from typing import Literal

Partitioner = Literal["murmur2", "consistent"]

MURMUR2_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_WORD = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Austin Appleby's 32-bit MurmurHash2 with Kafka's seed, as a signed 32-bit integer."""
    length = len(data)
    hashed = MURMUR2_SEED ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _MULTIPLIER & _WORD
        word = (word ^ word >> 24) * _MULTIPLIER & _WORD
        hashed = hashed * _MULTIPLIER & _WORD ^ word
    if length > whole:
        hashed = (hashed ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _WORD
    hashed = (hashed ^ hashed >> 13) * _MULTIPLIER & _WORD
    hashed ^= hashed >> 15
    return hashed - (1 << 32) if hashed >> 31 else hashed


def positive(hashed: int) -> int:
    """The hash without its sign bit (`Utils.toPositive`), not its absolute value."""
    return hashed & 0x7FFFFFFF


def partition_of(key: bytes, partitions: int, partitioner: Partitioner = "murmur2") -> int:
    """The partition of a record with this key. An empty key is a key."""
    if partitioner == "consistent":
        return zlib.crc32(key) % partitions
    return positive(murmur2(key)) % partitions
