"""Quiz items as `quiz.toml` has them: one Struct a kind. What is right is not written, the run decides it.

An answer is text or texts, as a form sends it: an option's id (single), ids (multi), a whole number
(numeric), a place such as "billing ready" (place), labels in order (order).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from engine.commands import AnyCommand, decode
from engine.durations import Duration

ItemId = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Seed = Annotated[int, Meta(ge=0, lt=1 << 53)]


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """A command at a moment: of an author's solution, or of what is done to an item's run."""

    at: Duration
    command: str
    arguments: dict[str, Any] = {}

    def entry(self) -> tuple[int, AnyCommand]:
        """(at_us, command). Raises `CommandError`."""
        return self.at, decode(self.command, self.arguments)


def option_id(text: str) -> str:
    """A name for an option that does not tell where in the file it stands."""
    return blake2b(text.encode(), digest_size=4, person=b"mailroom-option").hexdigest()


class Option(Struct, frozen=True, forbid_unknown_fields=True):
    """An answer to choose. What is true of the run `holds`; without a run `right` says it."""

    text: str
    holds: dict[str, Any] | None = None
    right: bool | None = None
    belief: str = ""
    why: str = ""

    @property
    def id(self) -> str:
        return option_id(self.text)


class WrongNumber(Struct, frozen=True, forbid_unknown_fields=True):
    """A number that somebody would give: written, or what `key` makes of the run (it follows the seed)."""

    belief: str
    why: str
    answer: int | None = None
    key: dict[str, Any] | None = None


class WrongPlace(Struct, frozen=True, forbid_unknown_fields=True):
    place: str
    belief: str
    why: str


class WrongOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Who puts `before` in front of `then` has it the wrong way round."""

    before: str
    then: str
    belief: str
    why: str


class Item(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """What every kind has. `concept` "" is the lesson's slug, `topic` "" the lesson's; `shows` is the moment
    that shows the answer."""

    id: ItemId
    level: Annotated[int, Meta(ge=1, le=5)]
    stem: str
    explanation: str
    true_for: str
    concept: str = ""
    topic: str = ""
    interview: bool = False
    facts: tuple[str, ...] = ()
    scenario: str = ""
    seed: Seed = 1
    seeds: tuple[Seed, ...] = ()
    until: Duration | None = None
    commands: tuple[Step, ...] = ()
    shows: Duration | None = None

    @property
    def kind(self) -> str:
        return str(self.__struct_config__.tag)

    @property
    def variants(self) -> tuple[int, ...]:
        """The seeds for which stem, options and explanation hold, the item's own first."""
        return tuple(dict.fromkeys((self.seed, *self.seeds)))

    @property
    def entries(self) -> tuple[tuple[int, AnyCommand], ...]:
        """What is done to the run. Raises `CommandError`."""
        return tuple(step.entry() for step in self.commands)


class Single(Item, frozen=True, kw_only=True, tag="single"):
    option: tuple[Option, ...]


class Multi(Item, frozen=True, kw_only=True, tag="multi"):
    option: tuple[Option, ...]


class Numeric(Item, frozen=True, kw_only=True, tag="numeric"):
    key: dict[str, Any]
    unit: str
    tolerance: Annotated[int, Meta(ge=0)] = 0
    wrong: tuple[WrongNumber, ...] = ()


class PlaceItem(Item, frozen=True, kw_only=True, tag="place"):
    """The picture stands at `stands`; asked is where a message is later."""

    key: dict[str, Any]
    stands: Duration
    wrong: tuple[WrongPlace, ...] = ()


class OrderItem(Item, frozen=True, kw_only=True, tag="order"):
    key: dict[str, Any]
    wrong: tuple[WrongOrder, ...] = ()


AnyItem = Single | Multi | Numeric | PlaceItem | OrderItem
KINDS: dict[str, type[Item]] = {
    str(kind.__struct_config__.tag): kind for kind in (Single, Multi, Numeric, PlaceItem, OrderItem)
}
ASKED_OF_EVERY_LESSON = ("single", "numeric", "place", "order")


def of_lesson(item: AnyItem, slug: str, topic: str) -> AnyItem:
    """The item with what its lesson says where it says nothing itself."""
    return msgspec.structs.replace(item, concept=item.concept or slug, topic=item.topic or topic)


def revision_of(item: AnyItem) -> str:
    """Changes with any word of the item: an answer says which words it was given to."""
    return blake2b(msgspec.json.encode(item), digest_size=6, person=b"mailroom-item").hexdigest()
