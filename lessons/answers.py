"""What is right, by running it; and what is said to an answer.

An item's key is not written in the content: it is what the engine returns for its scenario, its seed and what
is done to it, and another seed has a key of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.asked import GONE, NOT_THERE
from engine.goals import read_key, read_predicate
from engine.history import History, play
from lessons.items import AnyItem, Item, Multi, Numeric, Option, OrderItem, PlaceItem, Single
from lessons.scenarios import library

Right = int | str | tuple[str, ...]
"""A number; an option's id, or a place; options' ids, or labels in order."""

KEPT = 256
NUMBER_CHARACTERS_MAX = 12
NOWHERE = (GONE, NOT_THERE)


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth: `credit` from 0 to 1, `why` the sentence for this wrong answer, or ""."""

    correct: bool
    credit: float
    why: str = ""
    belief: str = ""


class BadAnswer(Exception):
    """An answer that the question does not have; the text says what would be one."""


def history_of(item: Item, seed: int) -> History:
    """The run that an item asks about. Raises `EngineError`."""
    return play(library()[item.scenario].scenario, seed, item.entries, item.until)


_known: dict[tuple[str, int], Right] = {}


def right_answer(item: AnyItem, seed: int) -> Right:
    """What is right with this seed; computed once. Raises `EngineError`."""
    name = (item.id, seed)
    if name not in _known:
        if len(_known) >= KEPT:
            _known.pop(next(iter(_known)))
        _known[name] = compute(item, seed)
    return _known[name]


def compute(item: AnyItem, seed: int) -> Right:
    """The same, always by running it. Raises `EngineError`."""
    history = history_of(item, seed) if item.scenario else None
    if isinstance(item, Single | Multi):
        ids = tuple(sorted(option.id for option in item.option if is_right(option, history)))
        return ids[0] if isinstance(item, Single) and len(ids) == 1 else ids
    assert history is not None
    found = read_key(item.key, f"{item.id}: key").answer(history)
    return " ".join(found).strip() if isinstance(item, PlaceItem) and isinstance(found, tuple) else found


def is_right(option: Option, history: History | None) -> bool:
    if option.holds is None or history is None:
        return bool(option.right)
    return read_predicate(option.holds, "holds").holds(history)


# -- judging --------------------------------------------------------------------------------------


def judge(item: AnyItem, seed: int, given: Sequence[str]) -> Verdict:
    """What `given` (as a form sends it) is worth. Raises `BadAnswer` for what is no answer here."""
    right = right_answer(item, seed)
    match item:
        case Single() | Multi():
            return _judge_options(item, right, given)
        case Numeric():
            return _judge_number(item, int(str(right)), seed, given)
        case PlaceItem():
            return _judge_place(item, str(right), given)
        case OrderItem():
            assert isinstance(right, tuple)
            return _judge_order(item, right, given)


def _judge_options(item: Single | Multi, right: Right, given: Sequence[str]) -> Verdict:
    offered = {option.id: option for option in item.option}
    chosen = set(given)
    if not chosen <= set(offered) or len(chosen) != len(given):
        raise BadAnswer("Choose from the answers that are there.")
    if isinstance(item, Single) and len(chosen) != 1:
        raise BadAnswer("Choose one answer.")
    wanted = {right} if isinstance(right, str) else set(right if isinstance(right, tuple) else ())
    agree = sum((name in chosen) == (name in wanted) for name in offered)
    correct = agree == len(offered)
    credit = float(correct) if isinstance(item, Single) else agree / len(offered)
    mistaken = [option for name, option in offered.items() if (name in chosen) != (name in wanted)]
    said = next((option for option in mistaken if option.why), None)
    return Verdict(correct, credit, said.why if said else "", said.belief if said else "")


def whole_number(text: str) -> int:
    """Raises `BadAnswer`."""
    digits = text.strip().replace(",", "").replace("\u2212", "-")
    if (
        len(digits) > NUMBER_CHARACTERS_MAX
        or not digits.removeprefix("-").isascii()
        or not digits.removeprefix("-").isdigit()
    ):
        raise BadAnswer("Write a whole number.")
    return int(digits)


def _judge_number(item: Numeric, right: int, seed: int, given: Sequence[str]) -> Verdict:
    if len(given) != 1:
        raise BadAnswer("Write a whole number.")
    number = whole_number(given[0])
    if abs(number - right) <= item.tolerance:
        return Verdict(True, 1.0)
    for wrong, value in wrong_numbers(item, seed):
        if value == number:
            return Verdict(False, 0.0, item.wrong[wrong].why, item.wrong[wrong].belief)
    return Verdict(False, 0.0)


def wrong_numbers(item: Numeric, seed: int) -> list[tuple[int, int]]:
    """(place in `item.wrong`, the number it stands for with this seed). Raises `EngineError`."""
    found = []
    history: History | None = None
    for n, wrong in enumerate(item.wrong):
        if wrong.key is None:
            found.append((n, int(wrong.answer or 0)))
            continue
        history = history or history_of(item, seed)
        found.append((n, int(str(read_key(wrong.key, f"wrong[{n}].key").answer(history)))))
    return found


def _judge_place(item: PlaceItem, right: str, given: Sequence[str]) -> Verdict:
    if len(given) != 1 or not given[0].strip():
        raise BadAnswer("Choose a place on the picture.")
    if given[0] == right:
        return Verdict(True, 1.0)
    named = next((wrong for wrong in item.wrong if wrong.place == given[0]), None)
    return Verdict(False, 0.0, named.why if named else "", named.belief if named else "")


def _judge_order(item: OrderItem, right: tuple[str, ...], given: Sequence[str]) -> Verdict:
    if sorted(given) != sorted(right):
        raise BadAnswer("Put all of them in order, each once.")
    if tuple(given) == right:
        return Verdict(True, 1.0)
    place = {label: n for n, label in enumerate(given)}
    named = next((wrong for wrong in item.wrong if place[wrong.before] < place[wrong.then]), None)
    return Verdict(False, 0.0, named.why if named else "", named.belief if named else "")
