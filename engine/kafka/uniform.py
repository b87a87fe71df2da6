"""`uniform`, the default assignor of KIP-848's coordinator: as equal as the subscriptions allow, and of what
members have as much as that allows.

`org.apache.kafka.coordinator.group.assignor.UniformHomogeneousAssignmentBuilder` and
`UniformHeterogeneousAssignmentBuilder` of 4.4. Where those take the order of a hash map (of member ids, or of
topics' ids, which are random), this takes that of the members' ids and the topics' names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.kafka.assignors import Assignment, Partition, Subscriber, all_partitions

ROUNDS_MAX = 16
"""How often all topics are balanced at most (`MAX_ITERATION_COUNT`)."""


def assign_uniform(members: Sequence[Subscriber], topics: Mapping[str, int]) -> Assignment:
    """Same topics: everybody keeps up to its quota, then one after the other is filled up to it. Else the
    topics are balanced one by one among those who want them."""
    in_order = sorted(members, key=lambda member: member.id)
    if len({tuple(sorted(set(member.topics))) for member in in_order}) <= 1:
        return _same_topics(in_order, all_partitions(in_order, topics))
    return _Different(in_order, topics).assignment()


def _same_topics(in_order: Sequence[Subscriber], existing: list[Partition]) -> Assignment:
    if not in_order:
        return {}
    quota, larger = divmod(len(existing), len(in_order))
    present, held = set(existing), {partition for member in in_order for partition in member.owned}
    free = [partition for partition in existing if partition not in held]
    given: Assignment = {}
    missing: dict[str, int] = {}
    for place, member in enumerate(in_order):
        owned = sorted(partition for partition in member.owned if partition in present)
        most = quota + (larger > 0)
        given[member.id] = owned[:most]
        free += owned[most:]
        short = most - len(given[member.id])
        if most > quota and (not short or len(in_order) - place <= larger):
            larger -= 1
        elif most > quota:
            short -= 1
        missing[member.id] = short
    for member_id, short in missing.items():
        given[member_id] = sorted(given[member_id] + free[:short])
        free = free[short:]
    return given


class _Different:
    """Members with different subscriptions. They are numbered in the order of their ids."""

    def __init__(self, in_order: Sequence[Subscriber], topics: Mapping[str, int]) -> None:
        self.ids = [member.id for member in in_order]
        self.counts = topics
        self.subscribers = {
            topic: [number for number, member in enumerate(in_order) if topic in member.topics]
            for topic in sorted(topics)
        }
        self.subscribers = {topic: wanting for topic, wanting in self.subscribers.items() if wanting}
        self.owners: dict[Partition, int] = {}
        self.sizes = [0] * len(in_order)
        for number, member in enumerate(in_order):
            for partition in member.owned:
                if partition[0] in member.topics and partition[1] < topics.get(partition[0], 0):
                    self._give(partition, number)

    def assignment(self) -> Assignment:
        walk = sorted(self.subscribers, key=self._fullest_first)
        for topic in walk:
            free = [(topic, n) for n in range(self.counts[topic]) if (topic, n) not in self.owners]
            least = _Loads(self.subscribers[topic], self.sizes)
            for partition in free:
                self._give(partition, least.next_least())
        self._balance([topic for topic in walk if len(self.subscribers[topic]) > 1])
        given: Assignment = {member: [] for member in self.ids}
        for partition, number in sorted(self.owners.items()):
            given[self.ids[number]].append(partition)
        return given

    def _fullest_first(self, topic: str) -> tuple[float, int, str]:
        """Topics with the most partitions a subscriber come first."""
        wanting = len(self.subscribers[topic])
        return -self.counts[topic] / wanting, wanting, topic

    def _give(self, partition: Partition, number: int) -> None:
        if partition in self.owners:
            self.sizes[self.owners[partition]] -= 1
        self.owners[partition] = number
        self.sizes[number] += 1

    def _balance(self, walk: list[str]) -> None:
        """Round after round, until one has come back to the topic that moved something last."""
        last = -1
        for _ in range(ROUNDS_MAX):
            for place, topic in enumerate(walk):
                if place == last:
                    return
                if self._balance_topic(topic) or last == -1:
                    last = place

    def _balance_topic(self, topic: str) -> int:
        """How many partitions moved from those who have the most to those who have the least."""
        loads, moved = _Loads(self.subscribers[topic], self.sizes), 0
        if loads.imbalance <= 1:
            return 0
        held: dict[int, list[Partition]] = {}
        for number in range(self.counts[topic]):
            held.setdefault(self.owners[topic, number], []).append((topic, number))
        while not loads.is_balanced():
            most = loads.next_most()
            while most != -1 and not held.get(most):
                loads.exclude_most()
                most = loads.next_most()
            if most == -1:
                break
            partition = held[most].pop()
            least = loads.next_least()
            if loads.is_balanced():
                break
            self._give(partition, least)
            moved += 1
        return moved


class _Loads:
    """A topic's subscribers by how many partitions they have: in turn the least and the most loaded ones
    (`MemberAssignmentBalancer`). The sizes are those at the beginning and what this has counted since."""

    def __init__(self, members: Sequence[int], sizes: Sequence[int]) -> None:
        self.sizes = sizes
        self.order = sorted(members, key=lambda number: (sizes[number], number))
        low, high = sizes[self.order[0]], sizes[self.order[-1]]
        self.imbalance = high - low
        self.least_end, self.least_size, self.least = 0, low - 1, 0
        self.most_start = self.most_end = len(self.order)
        self.most_size, self.most = high + 1, len(self.order) - 1

    def next_least(self) -> int:
        if self.least >= self.least_end:
            self.least_size += 1
            while (
                self.least_end < len(self.order) and self.sizes[self.order[self.least_end]] == self.least_size
            ):
                self.least_end += 1
            self.least = 0
        self.least += 1
        return self.order[self.least - 1]

    def next_most(self) -> int:
        """-1 when nobody is left who has some."""
        if self.most < self.most_start:
            if self.most_end <= self.most_start and self.most_start > 0:
                self.most_size = self.sizes[self.order[self.most_start - 1]]
            else:
                self.most_size -= 1
            while self.most_start > 0 and self.sizes[self.order[self.most_start - 1]] == self.most_size:
                self.most_start -= 1
            self.most = self.most_end - 1
        if self.most < 0:
            return -1
        self.most -= 1
        return self.order[self.most + 1]

    def exclude_most(self) -> None:
        """Who came last has none of this topic."""
        place, last = self.most + 1, self.most_end - 1
        self.order[place], self.order[last] = self.order[last], self.order[place]
        self.most_end -= 1

    def is_balanced(self) -> bool:
        return self.most_size - self.least_size <= 1
