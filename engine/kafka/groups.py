"""What every consumer group has, whichever protocol it speaks: committed offsets, which outlive its members.

A commit says where the next owner begins. The position of a consumer is its own business.
"""

from __future__ import annotations

import msgspec

from engine.kafka.assignors import Partition


class Offsets(msgspec.Struct, array_like=True):
    """The committed offsets of one group: what to read next, by topic and partition number."""

    by_topic: dict[str, dict[int, int]] = {}

    def commit(self, offsets: tuple[tuple[Partition, int], ...]) -> None:
        for (topic, number), offset in offsets:
            self.by_topic.setdefault(topic, {})[number] = offset

    def of(self, partition: Partition) -> int:
        """-1 where nothing was committed."""
        return self.by_topic.get(partition[0], {}).get(partition[1], -1)

    def all(self) -> list[tuple[Partition, int]]:
        """By topic, then number."""
        return [
            ((topic, number), offset)
            for topic, numbers in sorted(self.by_topic.items())
            for number, offset in sorted(numbers.items())
        ]
