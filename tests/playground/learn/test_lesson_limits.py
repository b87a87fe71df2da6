"""What learners may do at once: one goes over, and the sentence is read."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

from lessons.lesson import Lesson
from lessons.models import Learner
from playground.learn import learners, views
from playground.rooms import limits
from playground.rooms.hub import Hub
from playground.rooms.throttle import Bucket
from tests.playground.fakes import Wall
from tests.playground.learn.conftest import Browser, words_of
from tests.playground.learn.test_lesson_pages import check, room_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_learners_who_begin_at_once_and_a_second(
    lesson: Lesson, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.LEARNERS_PER_S < limits.LEARNERS_BURST
    monkeypatch.setattr(learners, "beginning", Bucket(3, limits.LEARNERS_PER_S))
    browsers = [Browser() for _ in range(4)]
    for number, browser in enumerate(browsers):
        browser.key = 1_000 * number
    option = lesson.predict.option[0].id
    assert [browser.act("predict", option=option).status_code for browser in browsers[:3]] == [303, 303, 303]
    over = browsers[3].act("predict", option=option)
    assert over.status_code == 429
    assert limits.LEARNERS_TOO_FAST in words_of(over)
    assert Learner.objects.count() == 3
    assert browsers[0].act("stop", stop="0").status_code == 303, "who has begun goes on"
    wall.pass_ms(1_000)
    assert browsers[3].act("predict", option=option).status_code == 303


def test_goals_judged_at_once_and_a_second(
    browser: Browser, lesson: Lesson, hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.GOALS_PER_S < limits.GOALS_BURST
    monkeypatch.setattr(views, "judging", Bucket(2, limits.GOALS_PER_S))
    browser.to_the_goal(lesson)
    room = async_to_sync(room_of)(hub, lesson, lesson.goal_until_us)
    assert [limits.GOALS_TOO_FAST in check(browser, room) for _ in range(3)] == [False, False, True]
    wall.pass_ms(1_000)
    assert "Not reached." in check(browser, room)
