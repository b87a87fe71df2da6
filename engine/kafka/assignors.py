"""Which member of a group gets which partitions: pure functions of who is there and what it owned until now.

The classic assignors run in the group's leader (`org.apache.kafka.clients.consumer.*Assignor`, KIP-54 and
KIP-429 for the sticky ones, KIP-345 for static members), `kip848-range` in the broker's coordinator
(KIP-848), as does `uniform`, which has a module of its own. Where the reference depends on the order of a
hash map, ours takes the order of the members' ids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

Partition = tuple[str, int]
"""(topic, number). As a tuple it sorts in the order in which partitions are dealt: by topic, then number."""

Assignment = dict[str, list[Partition]]
"""Member → its partitions, sorted."""


class Subscriber(Struct, frozen=True):
    """A member as an assignor sees it. `owned` is what it has from the last generation that it was part
    of."""

    id: str
    topics: tuple[str, ...]
    owned: tuple[Partition, ...] = ()
    instance: str = ""
    """group.instance.id of a static member, "" for a dynamic one."""
    generation: int = -1
    """The generation that `owned` is from, -1 for none."""


Assignor = Callable[[Sequence[Subscriber], Mapping[str, int]], Assignment]
"""(members, topic → how many partitions it has) → who gets what. Topics that do not exist are not in the
mapping."""


def assign_range(members: Sequence[Subscriber], topics: Mapping[str, int]) -> Assignment:
    """Each topic by itself: a run of consecutive numbers to each subscriber, the first ones get one more."""
    given: Assignment = {member.id: [] for member in members}
    for topic, count in sorted(topics.items()):
        subscribers = [member for member in static_first(members) if topic in member.topics]
        if not subscribers:
            continue
        each, more = divmod(count, len(subscribers))
        start = 0
        for place, member in enumerate(subscribers):
            end = start + each + (place < more)
            given[member.id] += [(topic, number) for number in range(start, end)]
            start = end
    return given


def assign_roundrobin(members: Sequence[Subscriber], topics: Mapping[str, int]) -> Assignment:
    """All partitions one by one round a circle of all members; who is not subscribed is passed over."""
    given: Assignment = {member.id: [] for member in members}
    circle, place = static_first(members), 0
    for partition in all_partitions(members, topics):
        while partition[0] not in circle[place % len(circle)].topics:
            place += 1
        given[circle[place % len(circle)].id].append(partition)
        place += 1
    return given


def assign_sticky(members: Sequence[Subscriber], topics: Mapping[str, int]) -> Assignment:
    """As equal as can be, and of what each member owned as much as that allows (sticky,
    cooperative-sticky)."""
    in_order = sorted(members, key=lambda member: member.id)
    existing = all_partitions(in_order, topics)
    claims = _claims(in_order, set(existing))
    if len({tuple(sorted(set(member.topics))) for member in in_order}) <= 1:
        given = _level_quotas(claims, existing)
    else:
        kept = {
            member.id: [partition for partition in claims[member.id] if partition[0] in member.topics]
            for member in in_order
        }
        gave_up = any(len(kept[member]) < len(claims[member]) for member in kept)
        given = _Balancing(in_order, topics, kept, gave_up).assignment(existing)
    return {member: sorted(partitions) for member, partitions in given.items()}


def _claims(in_order: Sequence[Subscriber], existing: set[Partition]) -> Assignment:
    """What each member owned and nobody owned since: with two claims the newer generation counts, of one
    generation neither (`AbstractStickyAssignor.allSubscriptionsEqual`)."""
    claims: Assignment = {member.id: [] for member in in_order}
    newest: dict[Partition, Subscriber] = {}
    for member in in_order:
        for partition in sorted(member.owned):
            if partition not in existing:
                continue
            other = newest.get(partition)
            if other is None or member.generation > other.generation:
                claims[member.id].append(partition)
            if other is not None and member.generation >= other.generation and partition in claims[other.id]:
                claims[other.id].remove(partition)
            if other is None or member.generation >= other.generation:
                newest[partition] = member
    return claims


def _level_quotas(kept: Assignment, existing: list[Partition]) -> Assignment:
    """All subscribed to the same topics: everyone gets q or q + 1 of them, and keeps its lowest numbers."""
    if not kept:
        return {}
    quota, larger = divmod(len(existing), len(kept))
    given: Assignment = {}
    for member, owned in kept.items():
        lowest = sorted(owned, key=lambda partition: (partition[1], partition[0]))
        if len(lowest) > quota and larger:
            larger -= 1
            given[member] = lowest[: quota + 1]
        else:
            given[member] = lowest[:quota]
    taken = {partition for partitions in given.values() for partition in partitions}
    free = [partition for partition in existing if partition not in taken]
    full = [member for member, partitions in given.items() if len(partitions) == quota]
    short = [member for member, partitions in given.items() if len(partitions) < quota]
    while short and free:
        for member in list(short):
            given[member].append(free.pop(0))
            if len(given[member]) == quota:
                short.remove(member)
                full.append(member)
    for member, partition in zip(full, free, strict=False):
        given[member].append(partition)
    return given


class _Balancing:
    """Different subscriptions: everyone keeps what it may, then partitions move while that makes it more
    equal.

    `AbstractStickyAssignor.GeneralAssignmentBuilder`.
    """

    def __init__(
        self, members: Sequence[Subscriber], topics: Mapping[str, int], kept: Assignment, gave_up: bool
    ) -> None:
        self.given = {member: list(partitions) for member, partitions in kept.items()}
        self.was_empty = not any(kept.values())
        self.gave_up = gave_up
        self.subscribers = {
            topic: [member.id for member in members if topic in member.topics] for topic in topics
        }
        self.previous = _previous_owners(members)
        self.moved: dict[Partition, tuple[str, str]] = {}
        """Partition → (whose it was before all moves, who has it now) where these differ."""

    def assignment(self, existing: list[Partition]) -> Assignment:
        walk = sorted(existing, key=lambda p: (len(self.subscribers[p[0]]), p))
        held = {partition for partitions in self.given.values() for partition in partitions}
        free = [partition for partition in walk if partition not in held]
        for partition in free:
            self.given[self._emptiest(partition)].append(partition)
        before = {member: list(partitions) for member, partitions in self.given.items()}
        movable = [partition for partition in walk if len(self.subscribers[partition[0]]) > 1]
        changed = False
        if not self.gave_up:
            free_here = set(free)
            changed = self._balance([partition for partition in movable if partition in free_here])
        changed = self._balance(movable) or changed
        if changed and not self.was_empty and _spread(self.given) >= _spread(before):
            return before
        return self.given

    def _balance(self, movable: list[Partition]) -> bool:
        """Walk over `movable` until a walk changes nothing. Returns whether something moved."""
        changed = False
        moved = True
        while moved:
            moved = False
            for partition in movable:
                owner = next(member for member, held in self.given.items() if partition in held)
                target = self.previous.get(partition, owner)
                if len(self.given[target]) + 1 >= len(self.given[owner]):
                    target = self._emptiest(partition)
                if len(self.given[target]) + 1 < len(self.given[owner]):
                    self._move(partition, owner, target)
                    moved = changed = True
        return changed

    def _emptiest(self, partition: Partition) -> str:
        return min(self.subscribers[partition[0]], key=lambda member: (len(self.given[member]), member))

    def _move(self, partition: Partition, source: str, target: str) -> None:
        """Move it, or in its place one of the same topic that came the other way, back
        (`PartitionMovements`)."""
        first = self.moved[partition][0] if partition in self.moved else source
        back = [p for p, way in self.moved.items() if p[0] == partition[0] and way == (target, first)]
        goes = min(back, default=partition)
        owner = next(member for member, held in self.given.items() if goes in held)
        first, _ = self.moved.pop(goes, (owner, owner))
        if first != target:
            self.moved[goes] = first, target
        self.given[owner].remove(goes)
        self.given[target].append(goes)


def _previous_owners(members: Sequence[Subscriber]) -> dict[Partition, str]:
    """Who claims a partition from before the newest generation, and still wants its topic: it gets it back
    where that makes the sizes more equal."""
    newest = max((member.generation for member in members), default=-1)
    late = sorted((m for m in members if m.generation < newest), key=lambda m: (m.generation, m.id))
    return {partition: m.id for m in late for partition in m.owned if partition[0] in m.topics}


def _spread(given: Assignment) -> int:
    """The sum of all pairwise differences in size: 0 is level."""
    sizes = sorted(len(partitions) for partitions in given.values())
    return sum(size * (2 * place - len(sizes) + 1) for place, size in enumerate(sizes))


def static_first(members: Sequence[Subscriber]) -> list[Subscriber]:
    """Static members by instance id, then the others by member id: the order of `range` and `roundrobin`."""
    return sorted(members, key=lambda member: (not member.instance, member.instance or member.id))


def all_partitions(members: Sequence[Subscriber], topics: Mapping[str, int]) -> list[Partition]:
    """The partitions of the topics that somebody subscribed to, in the order in which they are dealt."""
    wanted = {topic for member in members for topic in member.topics}
    return [(topic, number) for topic, n in sorted(topics.items()) if topic in wanted for number in range(n)]
