"""What can be picked on a picture of a cluster, as choices: cells, partitions, members; the right one is among them."""

from __future__ import annotations

from lessons.answers import judge, right_answer
from lessons.catalogue import catalogue
from lessons.items import PlaceItem
from lessons.places import CELLS_AHEAD, places_of


def asked(name: str) -> PlaceItem:
    item = catalogue().items[name]
    assert isinstance(item, PlaceItem)
    return item


def test_a_question_about_a_cell_offers_the_next_ones_of_each_partition() -> None:
    item = asked("next-cell-of-a-key")
    values = [place["value"] for place in places_of(item, 1)]
    assert [value.split()[0] for value in values] == [
        f"clicks-{n}" for n in range(4) for _ in range(CELLS_AHEAD)
    ]
    assert {"clicks-1 8", "clicks-3 0"} <= set(values), "behind what lies there at that moment"
    assert right_answer(item, 1) == "clicks-3 0"
    assert judge(item, 1, ["clicks-3 0"]).correct
    assert judge(item, 1, ["clicks-1 8"]).belief == "key-keeps-its-partition"


def test_a_question_about_a_partition_offers_all_that_there_are_by_then() -> None:
    item = asked("partition-between-old-ones")
    assert [place["value"] for place in places_of(item, 1)] == [f"clicks-{n}" for n in range(4)]
    assert right_answer(item, 1) == "clicks-0"


def test_a_question_about_an_owner_offers_the_groups_members_and_nobody() -> None:
    item = asked("owner-of-the-new-one")
    values = [place["value"] for place in places_of(item, 1)]
    assert values == ["worker A", "worker B", "worker C", "worker D", "nobody"]
    assert right_answer(item, 1) == "worker D"
