"""What may be asked of Kafka's logs and groups, beside what `engine.goals` asks of events and of the ledger.

Predicates; `at` is a moment such as "12s" (without it the history's end):

    {log = "lag", group = "billing", partition = "user-events-0", at = "12s", op = "<=", n = 3}
        a number of a partition's log (start, end, high watermark), or of a group in it (committed, position,
        lag). Lag without a partition is that of all partitions together. Where there is no such number
        (nothing committed, nobody who reads) it holds not.
    {offset_of = 14, at = "12s", op = "==", n = 5}      the offset at which a message lies
    {lies = 14, partition = "user-events-1", at = "12s"}     a message lies there; offset = 5: in that cell
    {owner = "billing A", of = "user-events-1", group = "billing", at = "12s"}
        that consumer has the partition for its group; "nobody": no consumer has it

Instead of a message's number a key may stand ("ana"): the newest of its messages that lies in a log.

Keys: the first two as `{value = …}`, and three whose answers are places to point at:

    {cell = 14, at = "12s"}                              ("user-events-1", "5")
    {partition_of = "ana", at = "12s"}                   ("user-events-1", "")
    {owner_of = "user-events-1", group = "billing", at = "12s"}     ("billing A", "") or ("", "nobody")
"""

from __future__ import annotations

from msgspec import Struct

from engine.asked import GONE, NOBODY, NOT_THERE, OPS, Count, GoalError, Op, moment_us
from engine.history import History
from engine.history_kafka import GROUP_WORDS, LOG_WORDS


class LogSays(Struct, frozen=True, forbid_unknown_fields=True):
    log: str
    partition: str = ""
    group: str = ""
    at: str = ""
    op: Op = "=="
    n: Count = 0

    def number(self, history: History) -> int | None:
        """None where there is no such number then."""
        at_us, logs = _at_us(self.at, history), history.logs
        named = history.named(self.partition) if self.partition else logs.partitions
        groups = history.named(self.group) if self.group else [0]
        numbers = (
            logs.number(self.log, partition, group, at_us)
            for partition in named if partition in logs.partitions
            for group in groups
        )  # fmt: skip
        found = [number for number in numbers if number is not None]
        return sum(found) if found else None

    def value(self, history: History) -> int:
        """Raises `GoalError` where there is no such number then: the item asks for what is not there."""
        number = self.number(history)
        if number is None:
            whose = f" of {self.group!r}" if self.group else ""
            raise GoalError(f"log: there is no {self.log}{whose} in {self.partition!r} at that moment")
        return number

    def holds(self, history: History) -> bool:
        number = self.number(history)
        return number is not None and OPS[self.op](number, self.n)

    def check(self, path: str) -> None:
        _check_at(self.at, path)
        if self.log not in LOG_WORDS + GROUP_WORDS:
            known = ", ".join(LOG_WORDS + GROUP_WORDS)
            raise GoalError(f"{path}.log: expected one of {known}, got {self.log!r}")
        if (self.log in GROUP_WORDS) != bool(self.group):
            said = "a group: it is a group's number" if self.log in GROUP_WORDS else "none: it is the log's"
            raise GoalError(f"{path}.group: expected {said}")
        if not self.partition and self.log != "lag":
            raise GoalError(f"{path}.partition: expected one; only lag can be of all together")


class OffsetOf(Struct, frozen=True, forbid_unknown_fields=True):
    offset_of: int | str
    at: str = ""
    op: Op = "=="
    n: Count = 0

    def value(self, history: History) -> int:
        """Raises `GoalError` where it lies nowhere then."""
        cell = history.logs.cell(self.offset_of, _at_us(self.at, history))
        if cell is None:
            raise GoalError(f"offset_of: {self.offset_of} lies in no log at that moment")
        return cell.offset

    def holds(self, history: History) -> bool:
        cell = history.logs.cell(self.offset_of, _at_us(self.at, history))
        return cell is not None and OPS[self.op](cell.offset, self.n)

    def check(self, path: str) -> None:
        _check_at(self.at, path)


class Lies(Struct, frozen=True, forbid_unknown_fields=True):
    lies: int | str
    partition: str
    offset: Count | None = None
    at: str = ""

    def holds(self, history: History) -> bool:
        cell = history.logs.cell(self.lies, _at_us(self.at, history))
        if cell is None or history.names[cell.partition] != self.partition:
            return False
        return self.offset in (None, cell.offset)

    def check(self, path: str) -> None:
        _check_at(self.at, path)


class Owns(Struct, frozen=True, forbid_unknown_fields=True):
    owner: str
    of: str
    group: str
    at: str = ""

    def holds(self, history: History) -> bool:
        return owner_at(history, self.of, self.group, _at_us(self.at, history)) == self.owner

    def check(self, path: str) -> None:
        _check_at(self.at, path)


OfLogs = LogSays | OffsetOf | Lies | Owns
LOG_HEADS: dict[str, type[OfLogs]] = {"log": LogSays, "offset_of": OffsetOf, "lies": Lies, "owner": Owns}


class Cell(Struct, frozen=True):
    """The answer is the cell in which a message lies at `at_us`; gone, or not there yet, otherwise."""

    of: int | str
    at_us: int

    def answer(self, history: History) -> tuple[str, str]:
        cell = history.logs.cell(self.of, self.at_us)
        if cell is None:
            return _without_cell(history, self.of, self.at_us)
        return history.names[cell.partition], str(cell.offset)


class PartitionOf(Struct, frozen=True):
    """The answer is the partition in which it lies."""

    of: int | str
    at_us: int

    def answer(self, history: History) -> tuple[str, str]:
        cell = history.logs.cell(self.of, self.at_us)
        if cell is None:
            return _without_cell(history, self.of, self.at_us)
        return history.names[cell.partition], ""


class OwnerOf(Struct, frozen=True):
    """The answer is the consumer that has `partition` for its group."""

    partition: str
    group: str
    at_us: int

    def answer(self, history: History) -> tuple[str, str]:
        owner = owner_at(history, self.partition, self.group, self.at_us)
        return ("", NOBODY) if owner == NOBODY else (owner, "")


PlaceInLog = Cell | PartitionOf | OwnerOf


def owner_at(history: History, partition: str, group: str, at_us: int) -> str:
    """The name of the consumer that has the partition for the group then, or `NOBODY`."""
    for number in history.named(partition):
        for of in history.named(group):
            owner = history.logs.owner(of, number, at_us)
            if owner:
                return history.names.get(owner, str(owner))
    return NOBODY


def _without_cell(history: History, of: int | str, at_us: int) -> tuple[str, str]:
    written = isinstance(of, int) and history.logs.was_written(of, at_us)
    return ("", GONE if written else NOT_THERE)


def _at_us(at: str, history: History) -> int:
    return moment_us(at, "at") if at else history.until_us


def _check_at(at: str, path: str) -> None:
    if at:
        moment_us(at, f"{path}.at")
