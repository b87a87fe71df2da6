"""What may be asked of a run: predicates that a goal is made of, and keys that a quiz item is answered by.

Both are data in closed unions, written in TOML, and judged over a `History`. A predicate is a table with one
of these heads (others beside it belong to it):

    {count = "EffectApplied", where = {…}, op = ">=", n = 3}     how often an event happened
    {ledger = "lost", op = "==", n = 0, destination = "email"}  a count of the ledger at the end
    {never = "EffectApplied", where = {effect_number = 2}}
    {before = {event = …, where = {…}}, then = {event = …}}       the first of each, both happened
    {within = "5s", from = {event = …}, to = {event = …}}        after each `from` a `to`, that soon;
                                                same = "message" or "copy": a `to` of the same one
    {all = […]}  {any = […]}  {not = {…}}

and a key one of `{value = …}` (a count or ledger predicate's number), `{place = 2, at = "21s", destination =
"email"}` (a message by its number, its copy that was
owed there), `{order = [{label = "a", event = …, where = {…}}, …]}`.

`where` compares fields of the event with `=`: nodes by name, and beside the event's own fields the
`message`, `key` and `destination` behind its copy. A field of several (`partitions`, `isr`) fits when one of
them does.

Kafka has no copies. Its events named Records… happen to each record of their range, once for each: they are
counted and put in order by record, and `where` may ask a record's `offset`, `message` and `key`, whether it
was written, handed out or worked `again`, worked `out_of_order`, `failed`, `skipped` (`engine.history_kafka`
says of which). Batch… are requests: they happen once, and are of each of their messages. Partitions are named
"topic-0", groups by their name; a group is the ledger's `destination`. What is asked of logs and groups at
a moment stands in `engine.goals_kafka`:

    {log = "lag", …}  {offset_of = 14, …}  {lies = 14, …}  {owner = "billing A", …}
    keys: {cell = 14, …}  {partition_of = "ana", …}  {owner_of = "user-events-1", …}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from engine.asked import GONE, NOT_THERE, OPS, Count, GoalError, Op, moment_us
from engine.events import Event, Left, Moved, Placed, WorkFinished, WorkStarted
from engine.goals_kafka import (
    LOG_HEADS,
    Cell,
    LogSays,
    OffsetOf,
    OfLogs,
    OwnerOf,
    PartitionOf,
    PlaceInLog,
)
from engine.history import History, has
from engine.history_kafka import OF_EACH, Record
from engine.kafka.events import BatchAcknowledged, BatchSent
from engine.places import NOWHERE, PLACES, TALLIES
from engine.wire import EVENT_TYPES

NAMES = {kind.__name__: kind for kind in EVENT_TYPES}
COUNTS = ("sent", "owed", *(place for index, place in enumerate(PLACES) if index != NOWHERE), *TALLIES)
"""What the ledger can be asked for: the names of `engine run --json`."""
BEHIND_COPY = ("message", "key", "destination")
Same = Literal["", "message", "copy"]
DEPTH_MAX = 8

Where = dict[str, str | int | bool]


class Found(NamedTuple):
    """What a pattern meant: `moment` puts all of a history's in order."""

    moment: tuple[int, int]
    event: Event
    record: Record | None


class Pattern(Struct, frozen=True, forbid_unknown_fields=True):
    """Which events are meant; the first of them where one is meant."""

    event: str
    where: Where = {}
    label: str = ""

    def matches(self, history: History, event: Event, record: Record | None = None) -> bool:
        try:
            return all(
                _fits(history.value(event, name, record), wanted) for name, wanted in self.where.items()
            )
        except KeyError:
            return False

    def all_in(self, history: History) -> Iterator[Found]:
        """All that match, in order."""
        kind = NAMES[self.event]
        for n, event in enumerate(history.events):
            if type(event) is kind:
                for place, record in enumerate(history.records(n)):
                    if self.matches(history, event, record):
                        yield Found((n, place), event, record)

    def first_in(self, history: History) -> Found | None:
        return next(self.all_in(history), None)


def _fits(value: Any, wanted: str | int | bool) -> bool:
    return wanted in value if isinstance(value, list) else bool(value == wanted)


class Counted(Struct, frozen=True, forbid_unknown_fields=True):
    count: str
    where: Where = {}
    op: Op = ">="
    n: Count = 1

    def value(self, history: History) -> int:
        return sum(1 for _ in Pattern(self.count, self.where).all_in(history))

    def holds(self, history: History) -> bool:
        return OPS[self.op](self.value(history), self.n)


class LedgerSays(Struct, frozen=True, forbid_unknown_fields=True):
    ledger: str
    op: Op = "=="
    n: Count = 0
    destination: str = ""

    def value(self, history: History) -> int:
        """0 for a destination to which nothing was owed yet."""
        counts = history.accounts.get(self.destination, {}) if self.destination else history.totals
        return counts.get(self.ledger, 0)

    def holds(self, history: History) -> bool:
        return OPS[self.op](self.value(history), self.n)


class Never(Struct, frozen=True, forbid_unknown_fields=True):
    never: str
    where: Where = {}

    def holds(self, history: History) -> bool:
        return Pattern(self.never, self.where).first_in(history) is None


class Before(Struct, frozen=True, forbid_unknown_fields=True):
    before: Pattern
    then: Pattern

    def holds(self, history: History) -> bool:
        first, second = self.before.first_in(history), self.then.first_in(history)
        return first is not None and second is not None and first.moment < second.moment


class Within(Struct, frozen=True, forbid_unknown_fields=True):
    """A `from` whose time is not over at the history's end breaks nothing yet; without any it holds not.

    `same` asks for a `to` of the same message or copy as its `from`: where that is of several copies, for
    each of them. Without it any later `to` will do, and one `to` may answer many.
    """

    within: str
    start: Pattern = msgspec.field(name="from")
    to: Pattern
    same: Same = ""

    def holds(self, history: History) -> bool:
        longest_us, seen = moment_us(self.within, "within"), False
        answers: dict[int, list[Found]] = {}
        for answer in self.to.all_in(history):
            for whose in self._whose(history, answer):
                answers.setdefault(whose, []).append(answer)
        for begun in self.start.all_in(history):
            seen, at_us = True, begun.event.at_us
            if history.until_us - at_us <= longest_us:
                continue
            for whose in self._whose(history, begun):
                later = (a.event.at_us for a in answers.get(whose, ()) if a.moment > begun.moment)
                if next(later, at_us + longest_us + 1) - at_us > longest_us:
                    return False
        return seen

    def _whose(self, history: History, found: Found) -> tuple[int, ...]:
        """What the event and its answer must have in common; all have 0 where nothing is asked."""
        if not self.same:
            return (0,)
        record = found.record
        return history.of(found.event, self.same) if record is None else (record.message,)


class All(Struct, frozen=True, forbid_unknown_fields=True):
    parts: tuple[Predicate, ...] = msgspec.field(name="all")

    def holds(self, history: History) -> bool:
        return all(part.holds(history) for part in self.parts)


class Any_(Struct, frozen=True, forbid_unknown_fields=True):
    parts: tuple[Predicate, ...] = msgspec.field(name="any")

    def holds(self, history: History) -> bool:
        return any(part.holds(history) for part in self.parts)


class Not(Struct, frozen=True, forbid_unknown_fields=True):
    part: Predicate = msgspec.field(name="not")

    def holds(self, history: History) -> bool:
        return not self.part.holds(history)


Predicate = Counted | LedgerSays | Never | Before | Within | All | Any_ | Not | OfLogs
HEADS: dict[str, type[Any]] = {
    "count": Counted, "ledger": LedgerSays, "never": Never, "before": Before, "within": Within, **LOG_HEADS,
}  # fmt: skip


class Value(Struct, frozen=True):
    """The answer is a number."""

    of: Counted | LedgerSays | LogSays | OffsetOf

    def answer(self, history: History) -> int:
        return self.of.value(history)


class Place(Struct, frozen=True):
    """The answer is where `message` stands at `at_us`: see `place_at`."""

    message: int
    at_us: int
    destination: str = ""

    def answer(self, history: History) -> tuple[str, str]:
        return place_at(history, self.message, self.at_us, self.destination)


class Order(Struct, frozen=True):
    """The answer is the labels of the patterns in the order in which the first of each happened."""

    patterns: tuple[Pattern, ...]

    def answer(self, history: History) -> tuple[str, ...]:
        """Raises `GoalError` where one of them never happened: the item asks for what is not there."""
        found: list[tuple[tuple[int, int], str]] = []
        for pattern in self.patterns:
            first = pattern.first_in(history)
            if first is None:
                raise GoalError(f"order: {pattern.label!r} never happens in this run")
            found.append((first.moment, pattern.label))
        return tuple(label for _, label in sorted(found))


Key = Value | Place | Order | PlaceInLog

ON_THE_WAY = "on the way"


def place_at(history: History, message: int, at_us: int, destination: str = "") -> tuple[str, str]:
    """(node, zone) of the newest attempt of a message's copies at `at_us`, as the picture has it.

    The zone is that of `Placed`, or at a worker "on the way" to it, "arrived" or "working"; a body whose
    work is done leaves the receipt at its queue ("unacked"). Where every copy has left it is ("", "gone"),
    where none was made yet ("", "not there"). `destination` looks only at the copies that were owed there.
    Raises `GoalError` where copies stand in different places: the question has no one answer then.
    """
    wanted = [copy for copy, of in history.message_of.items() if of == message
              and destination in ("", history.names.get(history.destination_of[copy], ""))]  # fmt: skip
    standing: dict[int, dict[int, tuple[str, str]]] = {copy: {} for copy in wanted}
    """By copy, then by attempt."""
    seen = False
    for event in history.events:
        if event.at_us > at_us or not wanted:
            break
        for copy in _copies(event):
            if copy in standing:
                seen = True
                _stands_now(history, event, standing[copy], at_us)
    places = list(dict.fromkeys(attempts[max(attempts)] for attempts in standing.values() if attempts))
    if len(places) > 1:
        named = ", ".join(f"{node} {zone}" for node, zone in places)
        which = "name its destination" if not destination else "ask about another moment"
        raise GoalError(f"place: m{message} has copies at {named} then: {which}")
    return places[0] if places else ("", GONE if seen else NOT_THERE)


def _stands_now(history: History, event: Event, standing: dict[int, tuple[str, str]], at_us: int) -> None:
    """What `event` changes of where one copy's attempts stand."""
    if isinstance(event, Placed):
        standing[event.attempt] = (history.names[event.node], event.zone)
    elif isinstance(event, Moved):
        if event.keeps:
            standing[0] = (history.names[event.source], event.keeps)
        else:
            standing.pop(0, None)
        standing[event.attempt] = (
            history.names[event.target],
            ON_THE_WAY if event.arrive_us > at_us else "arrived",
        )
    elif isinstance(event, WorkStarted):
        standing[event.attempt] = (history.names[event.node], "working")
    elif isinstance(event, WorkFinished | Left):
        standing.pop(event.attempt, None)


def _copies(event: Event) -> tuple[int, ...]:
    """Of what says where copies stand; none of any other event."""
    if isinstance(event, Left):
        return event.copies
    return (event.copy,) if isinstance(event, Placed | Moved | WorkStarted | WorkFinished) else ()


# -- reading --------------------------------------------------------------------------------------


def read_predicate(data: Any, path: str = "goal", depth: int = 0) -> Predicate:
    """A predicate as TOML has it. Raises `GoalError`."""
    if not isinstance(data, dict):
        raise GoalError(f"{path}: expected a table, got {type(data).__name__}")
    if depth > DEPTH_MAX:
        raise GoalError(f"{path}: expected at most {DEPTH_MAX} predicates inside each other")
    if "not" in data:
        _alone(data, "not", path)
        return Not(read_predicate(data["not"], f"{path}.not", depth + 1))
    for head, kind in (("all", All), ("any", Any_)):
        if head in data:
            _alone(data, head, path)
            if not isinstance(data[head], list) or not data[head]:
                raise GoalError(f"{path}.{head}: expected a list of predicates")
            parts = enumerate(data[head])
            return kind(tuple(read_predicate(part, f"{path}.{head}[{i}]", depth + 1) for i, part in parts))
    heads = [head for head in HEADS if head in data]
    if len(heads) != 1:
        raise GoalError(f"{path}: expected one of {', '.join((*HEADS, 'all', 'any', 'not'))}")
    found: Predicate = _convert(data, HEADS[heads[0]], path)
    _check(found, path)
    return found


def read_key(data: Any, path: str = "key") -> Key:
    """A key as TOML has it. Raises `GoalError`."""
    if not isinstance(data, dict):
        raise GoalError(f"{path}: expected a table, got {type(data).__name__}")
    if "value" in data:
        _alone(data, "value", path)
        asked = read_predicate(data["value"], f"{path}.value")
        if not isinstance(asked, Counted | LedgerSays | LogSays | OffsetOf):
            raise GoalError(f"{path}.value: expected count, ledger, log or offset_of")
        return Value(asked)
    if "place" in data:
        if not isinstance(data["place"], int) or not isinstance(data.get("at"), str):
            raise GoalError(f'{path}: expected place = a message\'s number and at = a moment such as "21s"')
        _only(data, ("place", "at", "destination"), path)
        return Place(data["place"], moment_us(data["at"], f"{path}.at"), str(data.get("destination", "")))
    if not {"cell", "partition_of", "owner_of"}.isdisjoint(data):
        return _read_place_in_log(data, path)
    if "order" in data:
        _alone(data, "order", path)
        patterns = _convert(data["order"], tuple[Pattern, ...], f"{path}.order")
        labels = [pattern.label for pattern in patterns]
        if len(labels) < 2 or "" in labels or len(set(labels)) < len(labels):
            raise GoalError(f"{path}.order: expected at least two events, each with a label of its own")
        for i, pattern in enumerate(patterns):
            _check_event(pattern.event, pattern.where, f"{path}.order[{i}]")
        return Order(patterns)
    raise GoalError(f"{path}: expected one of value, place, order, cell, partition_of, owner_of")


def _read_place_in_log(data: dict[str, Any], path: str) -> PlaceInLog:
    at = data.get("at")
    if not isinstance(at, str):
        raise GoalError(f'{path}.at: expected a moment such as "21s"')
    at_us = moment_us(at, f"{path}.at")
    if "owner_of" in data:
        _only(data, ("owner_of", "group", "at"), path)
        partition, group = data["owner_of"], data.get("group")
        if not isinstance(partition, str) or not isinstance(group, str):
            raise GoalError(f"{path}: expected owner_of = a partition's name and group = a group's")
        return OwnerOf(partition, group, at_us)
    head = "cell" if "cell" in data else "partition_of"
    _only(data, (head, "at"), path)
    of = data[head]
    if isinstance(of, bool) or not isinstance(of, int | str):
        raise GoalError(f"{path}.{head}: expected a message's number or a key")
    return Cell(of, at_us) if head == "cell" else PartitionOf(of, at_us)


def _check(found: Predicate, path: str) -> None:
    if isinstance(found, OfLogs):
        found.check(path)
    match found:
        case Counted(count=event) | Never(never=event):
            _check_event(event, found.where, path)
        case Before(before=first, then=second):
            _check_event(first.event, first.where, f"{path}.before")
            _check_event(second.event, second.where, f"{path}.then")
        case Within(within=within, start=first, to=second):
            moment_us(within, f"{path}.within")
            _check_event(first.event, first.where, f"{path}.from")
            _check_event(second.event, second.where, f"{path}.to")
            for name in (first.event, second.event):
                if found.same and not has(NAMES[name], found.same):
                    raise GoalError(f"{path}.same: {name} is of no {found.same}")
        case LedgerSays(ledger=name) if name not in COUNTS:
            raise GoalError(f"{path}.ledger: expected one of {', '.join(COUNTS)}, got {name!r}")


def _check_event(name: str, where: Where, path: str) -> None:
    kind = NAMES.get(name)
    if kind is None:
        raise GoalError(f"{path}: there is no event {name!r}")
    fields = (*kind.__struct_fields__, *(BEHIND_COPY if "copy" in kind.__struct_fields__ else ()))
    if kind in OF_EACH or kind in (BatchSent, BatchAcknowledged):
        fields = tuple(dict.fromkeys((*fields, *OF_EACH.get(kind, ()), "message", "key")))
    for field in where:
        if field not in fields and not (field == "key" and "message" in fields):
            raise GoalError(f"{path}.where: {name} has no {field!r}; it has {', '.join(fields)}")


def _convert(data: Any, kind: Any, path: str) -> Any:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise GoalError(f"{path}: {error}") from None


def _alone(data: dict[str, Any], head: str, path: str) -> None:
    _only(data, (head,), path)


def _only(data: dict[str, Any], allowed: tuple[str, ...], path: str) -> None:
    extra = sorted(set(data) - set(allowed))
    if extra:
        raise GoalError(f"{path}: {extra[0]!r} does not belong beside {allowed[0]!r}")
