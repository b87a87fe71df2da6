"""A lesson as `lesson.toml` has it: one Struct for each thing. Times are µs once loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from engine.commands import AnyCommand
from engine.durations import Duration
from engine.scenario import Scenario
from lessons.items import AnyItem, Step, option_id
from lessons.texts import Prose

TOPICS = {
    "one-queue": "One queue",
    "many-readers": "Many readers",
    "time-and-failure": "Time and failure",
    "exactly-once": "Exactly once",
}
"""The columns of the index, in order, with their heads."""

FAULTS = ("crash", "restart", "slow", "poison", "drop ack", "cut network")
"""What can be broken in a lesson, as its buttons are called."""

Topic = Literal["one-queue", "many-readers", "time-and-failure", "exactly-once"]
Slug = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Holds = dict[str, Any]
"""A predicate of `engine/goals.py`, not read yet."""


class Planned(Struct, frozen=True, forbid_unknown_fields=True):
    """A row of `course.toml`: one of the lessons that there are or will be, and its one idea in a line."""

    number: Annotated[int, Meta(ge=1)]
    slug: Slug
    title: str
    topic: Topic
    summary: str
    after: tuple[Slug, ...] = ()
    """The lessons that it builds on, by slug; earlier ones all."""


class Word(Struct, frozen=True, forbid_unknown_fields=True):
    """A word of the glossary, shown once before anything moves."""

    name: str
    text: str


class Guess(Struct, frozen=True, forbid_unknown_fields=True):
    """An option of the prediction. Exactly one `holds` in the run; the others have a `belief` and a `why`."""

    text: str
    holds: Holds
    belief: str = ""
    why: str = ""

    @property
    def id(self) -> str:
        return option_id(self.text)


class Predict(Struct, frozen=True, forbid_unknown_fields=True):
    """Asked while the picture stands at `at`; answered by the run until `until`, the last stop."""

    at: Duration
    until: Duration
    question: str
    option: tuple[Guess, ...]


class Segment(Struct, frozen=True, forbid_unknown_fields=True):
    """The run stops by itself at `at` and says `text`. `points_at`: a node's name, or a message like "m7"."""

    at: Duration
    text: str
    points_at: str = ""


class Observe(Struct, frozen=True, forbid_unknown_fields=True):
    """What did you see? Events to be put in order; `key` is an `order` of `engine/goals.py`."""

    question: str
    key: dict[str, Any]
    why: str


class Feedback(Struct, frozen=True, forbid_unknown_fields=True):
    """What is said when the goal is not reached and `when` holds."""

    when: Holds
    text: str


class Goal(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be reached on the live stage, by any route; judged at `until` (None: the run's end)."""

    text: str
    wanted: Holds
    hints: tuple[str, ...]
    par: Annotated[int, Meta(ge=1)]
    solution: tuple[Step, ...]
    until: Duration | None = None
    feedback: tuple[Feedback, ...] = ()
    faults: tuple[str, ...] = ()


class LessonFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`lesson.toml`."""

    title: str
    summary: str
    topic: Topic
    system: Literal["rabbitmq", "kafka", "sqs"]
    true_for: str
    minutes: Annotated[int, Meta(ge=1, le=60)]
    after: tuple[Slug, ...] = ()
    seed: Annotated[int, Meta(ge=0, lt=1 << 53)] | None = None
    word: tuple[Word, ...]
    predict: Predict
    segment: tuple[Segment, ...]
    observe: Observe
    goal: Goal


class Lesson(LessonFile, frozen=True, kw_only=True):
    """A lesson whole: its file, its place in the course, its scenario, its text and its questions.

    `revision` changes with any of its files: an answer says which words it was given to.
    """

    slug: str
    number: int
    scenario: Scenario
    explanation: Prose
    instructor: Prose | None
    items: tuple[AnyItem, ...]
    revision: str

    @property
    def run_seed(self) -> int:
        """The seed of the run that is shown."""
        return self.scenario.seed if self.seed is None else self.seed

    @property
    def goal_until_us(self) -> int:
        return self.scenario.length_us if self.goal.until is None else self.goal.until

    @property
    def solution(self) -> Sequence[tuple[int, AnyCommand]]:
        return [step.entry() for step in self.goal.solution]


def whole(file: LessonFile, **more: Any) -> Lesson:
    """The file and what stands beside it."""
    return Lesson(**{name: getattr(file, name) for name in file.__struct_fields__}, **more)
