"""Progress: kept for a browser, carried to another by a link that works once, merged, exported, deleted."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest

from lessons import carrying
from lessons.catalogue import catalogue
from lessons.learning import true_guess
from lessons.lesson import Lesson
from lessons.models import Attempt, CarryLink, Device, Learner, Prediction, Progress, ReviewCard
from tests.playground.learn.conftest import SLUG, Browser, words_of
from tests.playground.learn.test_quiz_pages import ITEMS, a_wrong_one, as_posted, put

pytestmark = pytest.mark.django_db(transaction=True)


def link_of(browser: Browser) -> str:
    page = browser.post("/progress/link/").content.decode()
    return re.search(r"/progress/carry/[\w-]+/", page)[0]  # type: ignore[index]


def accept(browser: Browser, path: str) -> Any:
    return browser.post(path)


def two_devices(lesson: Lesson) -> tuple[Browser, Browser]:
    """One has predicted and answered two questions, the other has predicted otherwise and answered one."""
    one, other = Browser(), Browser()
    one.key, other.key = 1_000, 2_000
    items = list(ITEMS.values())
    wrong = next(guess for guess in lesson.predict.option if guess.id != true_guess(lesson).id)
    one.act("predict", option=wrong.id)
    one.act("stop", stop=1)
    put(one, items[0], as_posted(items[0], items[0].seed))
    put(one, items[1], a_wrong_one(items[1], items[1].seed))
    other.act("predict", option=true_guess(lesson).id)
    other.act("stop", stop=2)
    put(other, items[0], a_wrong_one(items[0], items[0].seed))
    return one, other


def test_a_browser_that_has_done_nothing_is_told_what_would_be_stored(browser: Browser) -> None:
    page = words_of(browser.get("/progress/"))
    assert "Nothing is stored of this browser." in page
    assert Learner.objects.count() == 0


def test_the_ledger_of_lessons_balances(browser: Browser, lesson: Lesson) -> None:
    browser.act("predict", option=true_guess(lesson).id)
    browser.act("stop", stop=0)
    html = browser.get("/progress/").content.decode()
    numbers = [int(n) for n in re.findall(r"<dd>(\d+)</dd>", html)[:4]]
    assert numbers == [len(catalogue().course), 0, 1, len(catalogue().course) - 1]


def test_a_link_brings_both_sides_together_and_nothing_is_lost(lesson: Lesson) -> None:
    one, other = two_devices(lesson)
    assert Learner.objects.count() == 2
    path = link_of(one)
    assert "Bring your progress here?" in words_of(other.get(path))
    assert Learner.objects.count() == 2, "a GET changes nothing"
    assert accept(other, path).status_code == 303
    learner = Learner.objects.get()
    assert Device.objects.filter(learner=learner).count() == 2
    assert Attempt.objects.filter(learner=learner).count() == 3
    assert Progress.objects.get().stop == 2
    first = Prediction.objects.get()
    assert first.option != true_guess(lesson).id, "the one that was said first"
    # From now on they are the same
    put(other, list(ITEMS.values())[2], as_posted(list(ITEMS.values())[2], list(ITEMS.values())[2].seed))
    assert one.get("/progress/").content.decode().count('class="cell right"') == other.get(
        "/progress/"
    ).content.decode().count('class="cell right"')
    assert Learner.objects.count() == 1


def test_the_cards_after_a_merge_are_those_of_one_device_that_gave_all_answers(lesson: Lesson) -> None:
    one, other = two_devices(lesson)
    accept(other, link_of(one))
    merged = {card.concept: card.due for card in ReviewCard.objects.all()}
    alone = Learner.objects.create()
    for attempt in Attempt.objects.order_by("at", "id"):
        attempt.pk, attempt.learner, attempt.client_key = None, alone, f"again {attempt.client_key}"[:40]
        attempt.save()
    carrying.rebuild_cards(alone)
    assert {card.concept: card.due for card in ReviewCard.objects.filter(learner=alone)} == merged


def test_a_link_works_once_and_for_a_day(lesson: Lesson) -> None:
    one, other = two_devices(lesson)
    path = link_of(one)
    accept(other, path)
    third = Browser()
    assert third.get(path).status_code == 410
    assert accept(third, path).status_code == 410
    late = link_of(one)
    CarryLink.objects.update(made_at=datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=25))
    assert third.get(late).status_code == 410
    assert "is older than a day" in words_of(accept(third, late))


def test_a_new_link_ends_the_one_before_it(lesson: Lesson) -> None:
    one, other = two_devices(lesson)
    old, new = link_of(one), link_of(one)
    assert other.get(old).status_code == 410
    assert other.get(new).status_code == 200
    assert all(link.token_hash not in new for link in CarryLink.objects.all()), "only a hash is stored"


def test_who_opens_their_own_link_loses_nothing(lesson: Lesson) -> None:
    one, _ = two_devices(lesson)
    before = Attempt.objects.count()
    assert accept(one, link_of(one)).status_code == 303
    assert Attempt.objects.count() == before


def test_everything_can_be_taken_away_as_a_file(lesson: Lesson) -> None:
    one, _ = two_devices(lesson)
    response = one.get("/progress/export/")
    assert "attachment" in response["Content-Disposition"]
    told = response.json()
    assert [row["lesson"] for row in told["predictions"]] == [SLUG]
    assert [row["correct"] for row in told["answers"]] == [True, False]
    assert told["lessons"][0]["stop"] == 1
    assert {row["concept"] for row in told["reviews"]}
    assert Browser().get("/progress/export/").json() == {"format": 1}


def test_everything_is_deleted_when_somebody_says_that_they_mean_it(lesson: Lesson) -> None:
    one, other = two_devices(lesson)
    assert one.post("/progress/delete/").status_code == 422
    assert Learner.objects.count() == 2
    response = one.post("/progress/delete/", sure="yes")
    assert response.status_code == 303
    assert response.cookies["mailroom_learner"].value == ""
    assert Learner.objects.count() == 1
    for model in (Attempt, Prediction, Progress, ReviewCard, Device):
        assert model.objects.exclude(learner=Learner.objects.get()).count() == 0
    assert "Nothing is stored of this browser." in words_of(one.get("/progress/"))
    assert "data-stop" in other.get(f"/lessons/{SLUG}/").content.decode(), "the other's is still there"
