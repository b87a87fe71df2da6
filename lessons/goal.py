"""Whether a lesson's goal is reached: its run is replayed with what was done in the room, and the engine is
asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from engine.commands import AnyCommand
from engine.goals import All, Any_, Never, Predicate, Within, read_predicate
from engine.history import History, play
from lessons.lesson import Lesson

GENERAL = "Not reached. Look at what the goal asks for, and at what the ledger says at the end."
OTHER_RUN = "This room shows another run than the lesson’s. Begin again in the lesson’s own."


class Judged(Struct, frozen=True):
    """`open`: it cannot be said yet, for the room stands before `judged_at_us`. `commands` were given until
    then."""

    state: Literal["reached", "missed", "open"]
    commands: int
    judged_at_us: int
    text: str = ""


def judge_goal(lesson: Lesson, seed: int, entries: Sequence[tuple[int, AnyCommand]], shown_us: int) -> Judged:
    """Judges a room's run up to the moment it has shown. Runs it: not for an event loop. Raises the engine's
    errors."""
    end_us = lesson.goal_until_us
    until_us = min(shown_us, end_us)
    given = [entry for entry in entries if entry[0] <= until_us]
    if seed != lesson.run_seed:
        return Judged("missed", len(given), end_us, OTHER_RUN)
    history = play(lesson.scenario, seed, given, until_us)
    wanted = read_predicate(lesson.goal.wanted)
    if until_us < end_us and not lost_for_good(wanted, history):
        return Judged("open", len(given), end_us)
    if wanted.holds(history):
        return Judged("reached", len(given), end_us)
    said = next(
        (each.text for each in lesson.goal.feedback if read_predicate(each.when).holds(history)), GENERAL
    )
    return Judged("missed", len(given), end_us, said)


def lost_for_good(wanted: Predicate, history: History) -> bool:
    """Whether nothing that can still happen makes it hold. False where that is not known."""
    match wanted:
        case Never():
            return not wanted.holds(history)
        case Within():
            return not wanted.holds(history) and wanted.start.first_in(history) is not None
        case All(parts=parts):
            return any(lost_for_good(part, history) for part in parts)
        case Any_(parts=parts):
            return all(lost_for_good(part, history) for part in parts)
    return False
