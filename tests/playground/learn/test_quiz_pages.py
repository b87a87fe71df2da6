"""Questions: what is right is in no answer before the learner's own; each answer counts once and moves its concept's card."""

from __future__ import annotations

import datetime
import json
import re
from typing import Any

import pytest
from fsrs import Card, Rating, State

from lessons import asking
from lessons.answers import BadAnswer, right_answer, whole_number
from lessons.catalogue import catalogue
from lessons.items import AnyItem, Multi, Numeric, OrderItem, PlaceItem, Single
from lessons.models import Attempt, Learner, ReviewCard
from lessons.places import asked_at_us
from lessons.review import rating_of, review
from playground.learn import pictures, showing
from tests.playground.learn.conftest import SLUG, Browser, shows, words_of

pytestmark = pytest.mark.django_db(transaction=True)

ITEMS = catalogue().items
VARIANTS = [
    pytest.param(item, seed, id=f"{item.id}-{seed}") for item in ITEMS.values() for seed in item.variants
]


def first(kind: type[Any]) -> Any:
    return next(item for item in ITEMS.values() if isinstance(item, kind))


def as_posted(item: AnyItem, seed: int) -> list[str]:
    """The right answer as a form sends it."""
    right = right_answer(item, seed)
    return [str(right)] if isinstance(right, str | int) else list(right)


def a_wrong_one(item: AnyItem, seed: int) -> list[str]:
    right = as_posted(item, seed)
    if isinstance(item, Single | Multi):
        return [next(option.id for option in item.option if option.id not in right)]
    if isinstance(item, Numeric):
        return [str(int(right[0]) + 1_000)]
    return [item.wrong[0].place] if isinstance(item, PlaceItem) else right[::-1]


def put(browser: Browser, item: AnyItem, given: list[str], seed: int | None = None, **fields: Any) -> Any:
    seed = item.seed if seed is None else seed
    return browser.post(f"/quiz/{item.id}/{seed}/", answer=given, **fields)


@pytest.mark.parametrize(("item", "seed"), VARIANTS)
def test_no_page_tells_the_answer_before_it_was_given(browser: Browser, item: AnyItem, seed: int) -> None:
    response = browser.get(f"/quiz/{item.id}/{seed}/")
    html = response.content.decode()
    assert shows(response, item.stem)
    assert not shows(response, item.explanation)
    said = item.option if isinstance(item, Single | Multi) else item.wrong
    for one in said:
        assert not one.why or not shows(response, one.why)
        assert not one.belief or f'"{one.belief}"' not in html
    assert "data-right" not in html
    if isinstance(item, OrderItem):
        shown = re.findall(r'name="answer" value="([^"]+)"', html)
        assert sorted(shown) == sorted(right_answer(item, seed))  # type: ignore[type-var]
        assert tuple(shown) != right_answer(item, seed)
    if isinstance(item, Numeric):
        assert not re.search(r'name="answer"[^>]*value=', html)
    assert browser.get(f"/quiz/{item.id}/{seed}/moment/").status_code == 404


@pytest.mark.parametrize(
    "item", [pytest.param(i, id=i.id) for i in ITEMS.values() if isinstance(i, PlaceItem)]
)
def test_a_picture_ends_where_its_question_stands(browser: Browser, item: PlaceItem) -> None:
    html = browser.get(f"/quiz/{item.id}/{item.seed}/").content.decode()
    chunks = [
        browser.get(address).json() for address in re.findall(r"/history/run/item/[\w/.-]+\.json", html)
    ]
    assert chunks
    ticks = sum(chunk["n"] for chunk in chunks)
    assert ticks * 25_000 <= item.stands < asked_at_us(item)
    in_page = json.loads(re.search(r'id="first-chunk">([^<]*)</script>', html)[1])  # type: ignore[index]
    assert in_page["tick"] + in_page["n"] <= ticks
    assert "/whole/" not in html
    assert 'data-socket=""' in html


@pytest.mark.parametrize("item", [pytest.param(i, id=i.id) for i in ITEMS.values()])
def test_a_right_answer_is_right_and_a_wrong_one_says_why(browser: Browser, item: AnyItem) -> None:
    good = put(browser, item, as_posted(item, item.seed))
    assert good.status_code == 303, words_of(good)
    page = browser.get(good["Location"])
    assert "Right." in words_of(page)
    assert shows(page, item.explanation)
    bad = browser.get(put(browser, item, a_wrong_one(item, item.seed))["Location"])
    assert "Right." not in words_of(bad)
    assert [attempt.correct for attempt in Attempt.objects.order_by("id")] == [True, False]
    if item.scenario and item.shows is not None:
        assert f"/quiz/{item.id}/{item.seed}/moment/" in bad.content.decode()
        moment = browser.get(f"/quiz/{item.id}/{item.seed}/moment/")
        assert f'data-at="{item.shows}"' in moment.content.decode()
        assert Browser().get(f"/quiz/{item.id}/{item.seed}/moment/").status_code == 404


def test_a_named_mistake_gets_its_own_sentence(browser: Browser) -> None:
    item = first(PlaceItem)
    page = browser.get(put(browser, item, [item.wrong[0].place])["Location"])
    assert shows(page, item.wrong[0].why)


def test_what_is_sent_twice_counts_once(browser: Browser) -> None:
    item = first(Single)
    key = {"key": "one and the same question"}
    put(browser, item, as_posted(item, item.seed), **key)
    second = put(browser, item, a_wrong_one(item, item.seed), **key)
    assert "Right." in words_of(browser.get(second["Location"]))
    assert Attempt.objects.count() == 1
    card = Card.from_json(ReviewCard.objects.get().card)
    assert card.state == State.Learning
    assert card.step == 1, "one review, not two"


@pytest.mark.parametrize(
    ("kind", "given", "sentence"),
    [
        (Single, [], "Choose one answer."),
        (Single, ["nonsense"], "Choose from the answers that are there."),
        (Numeric, ["many"], "Write a whole number."),
        (Numeric, ["9" * 40], "Write a whole number."),
        (Numeric, [], "Write a whole number."),
        (PlaceItem, [], "Choose a place on the picture."),
        (OrderItem, ["a", "b"], "Put all of them in order, each once."),
    ],
)
def test_what_is_no_answer_is_told_so_and_stored_nowhere(
    browser: Browser, kind: type[Any], given: list[str], sentence: str
) -> None:
    response = put(browser, first(kind), given)
    assert response.status_code == 422
    assert sentence in words_of(response)
    assert Attempt.objects.count() == 0


@pytest.mark.parametrize(
    ("field", "value"), [("sure", "4"), ("sure", "x"), ("key", "short"), ("key", "x" * 41)]
)
def test_a_form_that_is_not_ours_is_refused(browser: Browser, field: str, value: str) -> None:
    item = first(Single)
    assert put(browser, item, as_posted(item, item.seed), **{field: value}).status_code == 422
    assert Attempt.objects.count() == 0


@pytest.mark.parametrize(
    ("text", "number"), [("17", 17), (" 1,234 ", 1234), ("-3", -3), ("\u22123", -3), ("0", 0)]
)
def test_numbers_may_be_written_as_people_write_them(text: str, number: int) -> None:
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["", "-", "1.5", "1e3", "²", "٣", "x"])
def test_what_is_no_whole_number_is_none(text: str) -> None:
    with pytest.raises(BadAnswer):
        whole_number(text)


# -- what is asked next ---------------------------------------------------------------------------


def test_a_lessons_questions_come_in_order_each_once(browser: Browser) -> None:
    items = catalogue().lessons[SLUG].items
    asked = []
    while True:
        response = browser.get(f"/quiz/next/?set=lesson:{SLUG}")
        if response["Location"].startswith("/quiz/?"):
            break
        _, _, name, seed, _ = response["Location"].split("/")
        asked.append(name)
        put(browser, ITEMS[name], as_posted(ITEMS[name], int(seed)), int(seed))
    assert asked == [item.id for item in items]
    assert "through" in browser.get(response["Location"]).content.decode()


def test_a_review_draws_another_seed_each_time(browser: Browser) -> None:
    item = next(item for item in ITEMS.values() if len(item.variants) > 1)
    record = asking.record_of(None)
    seen = []
    for _ in item.variants:
        seed = asking.fresh_seed(item, record)
        seen.append(seed)
        put(browser, item, as_posted(item, seed), seed)
        record = asking.record_of(Learner.objects.get())
    assert seen == list(item.variants)


def test_what_was_missed_can_be_asked_alone_and_leads_to_its_moment(browser: Browser) -> None:
    item = next(item for item in ITEMS.values() if item.scenario and item.shows is not None)
    put(browser, item, a_wrong_one(item, item.seed))
    assert f"/quiz/{item.id}/" in browser.get("/quiz/next/?set=missed")["Location"]
    assert f"/quiz/{item.id}/{item.seed}/moment/" in browser.get("/quiz/").content.decode()
    put(browser, item, as_posted(item, item.seed))
    assert browser.get("/quiz/next/?set=missed")["Location"].startswith("/quiz/?")


@pytest.mark.parametrize("name", ["", "lesson:nothing", "topic:nothing", "nonsense", "lesson:"])
def test_a_set_that_there_is_not_is_not_there(browser: Browser, name: str) -> None:
    assert browser.get(f"/quiz/next/?set={name}").status_code == 404


@pytest.mark.parametrize("path", ["nothing/1/", "one-copy-each/77777/", "what-came-first/1/moment/"])
def test_a_question_that_there_is_not_is_not_there(browser: Browser, path: str) -> None:
    assert browser.get(f"/quiz/{path}").status_code == 404


# -- when it is asked again -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("correct", "confidence", "hinted", "rating"),
    [
        (False, 3, False, Rating.Again),
        (True, 1, False, Rating.Hard),
        (True, 3, True, Rating.Hard),
        (True, 2, False, Rating.Good),
        (True, None, False, Rating.Good),
    ],
)
def test_the_rating_comes_from_the_answer(
    correct: bool, confidence: int | None, hinted: bool, rating: Rating
) -> None:
    assert rating_of(correct, confidence, hinted) == rating


def test_a_concept_comes_back_later_and_later_and_soon_when_it_was_missed() -> None:
    """The intervals of FSRS 6.3.2 for answers that are all right: 10 min, 2 d, 11 d, 46 d, 163 d."""
    learner = Learner.objects.create()
    now = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
    gaps = []
    for _ in range(5):
        row = review(learner, "fan-out", Rating.Good, now)
        gaps.append(row.due - now)
        now = row.due
    assert [gap.days for gap in gaps] == [0, 2, 11, 46, 163]
    assert gaps[0] == datetime.timedelta(minutes=10)
    assert asking.due_concepts(learner, now - datetime.timedelta(days=1)) == {}
    row = review(learner, "fan-out", Rating.Again, now)
    assert row.due - now <= datetime.timedelta(minutes=10)


def test_what_is_due_is_what_is_asked(browser: Browser) -> None:
    item = first(Numeric)
    put(browser, item, as_posted(item, item.seed))
    assert browser.get("/quiz/next/?set=due")["Location"].startswith("/quiz/?")
    ReviewCard.objects.update(due=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    name = browser.get("/quiz/next/?set=due")["Location"].split("/")[2]
    assert ITEMS[name].concept == item.concept
    assert "Review what is due" in words_of(browser.get("/quiz/"))


# -- how it is shown ------------------------------------------------------------------------------


def test_choices_stand_in_an_order_of_their_own_that_stays() -> None:
    things = ("a", "b", "c", "d")
    assert showing.shuffled(things, "x") == showing.shuffled(things, "x")
    assert sorted(showing.shuffled(things, "x")) == list(things)
    assert all(tuple(showing.shuffled(things, str(n))) != things for n in range(200))


@pytest.mark.parametrize(
    "name",
    [
        "item/nothing/1/whole",
        "item/x/1",
        "way/nothing",
        "item/one-copy-each/1/before",
        "../x",
        "way",
        "x/y/z/w",
    ],
)
def test_a_recording_that_there_is_not_is_not_made(browser: Browser, name: str) -> None:
    assert browser.get(f"/history/run/{name}/0/{'a' * 64}.json").status_code == 404


def test_a_recording_of_a_variant_is_the_run_that_the_key_comes_from() -> None:
    item = next(item for item in ITEMS.values() if item.scenario and len(item.variants) > 1)
    one, other = (
        pictures.of_item(item, seed, pictures.WHOLE).chunks[-1].digest for seed in item.variants[:2]
    )
    assert one != other
