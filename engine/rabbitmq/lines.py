"""The ready messages of a queue, in the order in which they will be served.

A line is a list with a moving head, so that taking the first costs nothing however long it is. A
queue has one line for each priority level it has seen, and quorum queues one for what was returned.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from operator import attrgetter

import msgspec

from engine.rabbitmq.messages import Held

COMPACT_AT = 64
_SEQ = attrgetter("seq")


class Line(msgspec.Struct):
    """First in, first out. What stands before `head` is gone; when all is gone, `items` is empty."""

    items: list[Held] = []
    head: int = 0

    def __len__(self) -> int:
        return len(self.items) - self.head

    def __iter__(self) -> Iterator[Held]:
        return iter(self.items[self.head :])

    def first(self) -> Held:
        return self.items[self.head]

    def take(self) -> Held:
        """Remove and return the first."""
        items, head = self.items, self.head
        held = items[head]
        self.head = head = head + 1
        if head == len(items) or (head >= COMPACT_AT and head * 2 >= len(items)):
            del items[:head]
            self.head = 0
        return held

    def put_back(self, held: Held) -> int:
        """Insert by order of arrival; returns the place, 0 = first."""
        items, head = self.items, self.head
        if head and (head == len(items) or items[head].seq > held.seq):
            self.head = head - 1
            items[head - 1] = held
            return 0
        at = bisect_left(items, held.seq, lo=head, key=_SEQ)
        items.insert(at, held)
        return at - head

    def compact(self) -> None:
        """Let go of what is gone (a snapshot must not hold it twice)."""
        if self.head:
            del self.items[: self.head]
            self.head = 0


class Ready(msgspec.Struct):
    """All that waits in a queue. `order` are the levels seen, highest first; returned comes before all."""

    returned: Line
    levels: dict[int, Line]
    order: list[int]
    count: int = 0
    weight: int = 0

    @classmethod
    def empty(cls) -> Ready:
        return cls(Line([]), {0: Line([])}, [0])

    def __iter__(self) -> Iterator[Held]:
        yield from self.returned
        for level in self.order:
            yield from self.levels[level]

    def first(self) -> Held | None:
        """The next to be served."""
        if not self.count:
            return None
        line = self.returned if self.returned.items else self._line()
        return line.items[line.head]

    def take(self) -> Held:
        """Remove and return the next to be served; there is one."""
        line = self.returned if self.returned.items else self._line()
        held = line.take()
        self.count -= 1
        self.weight -= held.weight
        return held

    def heads(self) -> list[Line]:
        """The lines that are not empty: the returned and each level."""
        lines = [self.returned, *(self.levels[level] for level in self.order)]
        return [line for line in lines if len(line)]

    def append(self, held: Held) -> int:
        """At the end of its level; returns its place in the whole, 0 = next to be served."""
        level = held.level
        line = self.levels.get(level)
        if line is None:
            line = self._open(level)
        line.items.append(held)
        self.weight += held.weight
        self.count = count = self.count + 1
        return count - 1 if level == self.order[-1] else self.place_of_next(level) - 1

    def put_back(self, held: Held) -> int:
        """At its old place within its level; returns its place in the whole."""
        line = self.levels.get(held.level)
        if line is None:
            line = self._open(held.level)
        at = line.put_back(held)
        self._add(held)
        return self._before(held.level) + at

    def put_returned(self, held: Held) -> int:
        """Behind what was returned before it, ahead of all else; returns its place."""
        self.returned.items.append(held)
        self._add(held)
        return len(self.returned) - 1

    def place_of_next(self, level: int) -> int:
        """Where one more of this level would stand."""
        if level == self.order[-1]:
            return self.count  # all others come before the lowest level
        return self._before(level) + len(self.levels.get(level) or ())

    def forget(self, line: Line) -> Held:
        """Take the first of one of `heads()`."""
        held = line.take()
        self.count -= 1
        self.weight -= held.weight
        return held

    def clear(self) -> list[Held]:
        """Remove all, in order of service."""
        everything = list(self)
        self.returned = Line([])
        self.levels = {level: Line([]) for level in self.order}
        self.count = self.weight = 0
        return everything

    def compact(self) -> None:
        self.returned.compact()
        for line in self.levels.values():
            line.compact()

    def _add(self, held: Held) -> None:
        self.count += 1
        self.weight += held.weight

    def _line(self) -> Line:
        """The highest level that is not empty; there is one."""
        if len(self.order) == 1:
            return self.levels[self.order[0]]
        for level in self.order:
            line = self.levels[level]
            if line.items:
                return line
        raise LookupError("nothing is ready")

    def _open(self, level: int) -> Line:
        line = self.levels[level] = Line([])
        insort(self.order, level, key=lambda other: -other)
        return line

    def _before(self, level: int) -> int:
        """How many are served before this level's first."""
        before = len(self.returned)
        for other in self.order:
            if other <= level:
                break
            before += len(self.levels[other])
        return before
