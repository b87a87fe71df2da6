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
`message`, `key` and `destination` behind its copy.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from engine.durations import duration_us
from engine.errors import EngineError
from engine.events import Event, Left, Moved, Placed, WorkFinished, WorkStarted
from engine.history import History, has
from engine.places import NOWHERE, PLACES, TALLIES
from engine.wire import EVENT_TYPES

Op = Literal["==", "!=", "<", "<=", ">", ">="]
OPS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
NAMES = {kind.__name__: kind for kind in EVENT_TYPES}
COUNTS = ("sent", "owed", *(place for index, place in enumerate(PLACES) if index != NOWHERE), *TALLIES)
"""What the ledger can be asked for: the names of `engine run --json`."""
BEHIND_COPY = ("message", "key", "destination")
Same = Literal["", "message", "copy"]
DEPTH_MAX = 8

Where = dict[str, str | int | bool]
Count = Annotated[int, Meta(ge=0)]


class GoalError(EngineError):
    """A predicate or key that asks for what there is not. The text is `path: expected …, got …`."""


class Pattern(Struct, frozen=True, forbid_unknown_fields=True):
    """Which events are meant; the first of them where one is meant."""

    event: str
    where: Where = {}
    label: str = ""

    def matches(self, history: History, event: Event) -> bool:
        if type(event).__name__ != self.event:
            return False
        try:
            return all(history.value(event, name) == wanted for name, wanted in self.where.items())
        except KeyError:
            return False

    def all_in(self, history: History) -> Iterator[tuple[int, Event]]:
        """(place in the history, event) of all that match, in order."""
        return ((n, event) for n, event in enumerate(history.events) if self.matches(history, event))

    def first_in(self, history: History) -> tuple[int, Event] | None:
        return next(self.all_in(history), None)


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
        return first is not None and second is not None and first[0] < second[0]


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
        longest_us, seen = duration_us(self.within), False
        answers: dict[int, list[tuple[int, int]]] = {}
        for n, event in self.to.all_in(history):
            for whose in self._whose(history, event):
                answers.setdefault(whose, []).append((n, event.at_us))
        for n, event in self.start.all_in(history):
            seen = True
            if history.until_us - event.at_us <= longest_us:
                continue
            for whose in self._whose(history, event):
                later = (at_us for m, at_us in answers.get(whose, ()) if m > n)
                if next(later, event.at_us + longest_us + 1) - event.at_us > longest_us:
                    return False
        return seen

    def _whose(self, history: History, event: Event) -> tuple[int, ...]:
        """What the event and its answer must have in common; all have 0 where nothing is asked."""
        return history.of(event, self.same) if self.same else (0,)


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


Predicate = Counted | LedgerSays | Never | Before | Within | All | Any_ | Not
HEADS: dict[str, type[Any]] = {
    "count": Counted, "ledger": LedgerSays, "never": Never, "before": Before, "within": Within,
}  # fmt: skip


class Value(Struct, frozen=True):
    """The answer is a number."""

    of: Counted | LedgerSays

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
        found: list[tuple[int, str]] = []
        for pattern in self.patterns:
            first = pattern.first_in(history)
            if first is None:
                raise GoalError(f"order: {pattern.label!r} never happens in this run")
            found.append((first[0], pattern.label))
        return tuple(label for _, label in sorted(found))


Key = Value | Place | Order

ON_THE_WAY, GONE, NOT_THERE = "on the way", "gone", "not there"


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
        if not isinstance(asked, Counted | LedgerSays):
            raise GoalError(f"{path}.value: expected count or ledger")
        return Value(asked)
    if "place" in data:
        if not isinstance(data["place"], int) or not isinstance(data.get("at"), str):
            raise GoalError(f'{path}: expected place = a message\'s number and at = a moment such as "21s"')
        _only(data, ("place", "at", "destination"), path)
        return Place(data["place"], _moment(data["at"], f"{path}.at"), str(data.get("destination", "")))
    if "order" in data:
        _alone(data, "order", path)
        patterns = _convert(data["order"], tuple[Pattern, ...], f"{path}.order")
        labels = [pattern.label for pattern in patterns]
        if len(labels) < 2 or "" in labels or len(set(labels)) < len(labels):
            raise GoalError(f"{path}.order: expected at least two events, each with a label of its own")
        for i, pattern in enumerate(patterns):
            _check_event(pattern.event, pattern.where, f"{path}.order[{i}]")
        return Order(patterns)
    raise GoalError(f"{path}: expected one of value, place, order")


def _check(found: Predicate, path: str) -> None:
    match found:
        case Counted(count=event) | Never(never=event):
            _check_event(event, found.where, path)
        case Before(before=first, then=second):
            _check_event(first.event, first.where, f"{path}.before")
            _check_event(second.event, second.where, f"{path}.then")
        case Within(within=within, start=first, to=second):
            _moment(within, f"{path}.within")
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
    for field in where:
        if field not in fields and not (field == "key" and "message" in fields):
            raise GoalError(f"{path}.where: {name} has no {field!r}; it has {', '.join(fields)}")


def _convert(data: Any, kind: Any, path: str) -> Any:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise GoalError(f"{path}: {error}") from None


def _moment(text: str, path: str) -> int:
    try:
        return duration_us(text)
    except ValueError as error:
        raise GoalError(f"{path}: {error}, got {text!r}") from None


def _alone(data: dict[str, Any], head: str, path: str) -> None:
    _only(data, (head,), path)


def _only(data: dict[str, Any], allowed: tuple[str, ...], path: str) -> None:
    extra = sorted(set(data) - set(allowed))
    if extra:
        raise GoalError(f"{path}: {extra[0]!r} does not belong beside {allowed[0]!r}")
