"""A lesson's page shows exactly what its learner may see by now, and each step is kept once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from engine import RULES
from lessons import learning
from lessons.catalogue import catalogue
from lessons.goal import judge_goal
from lessons.learning import seen_order, true_guess
from lessons.lesson import FAULTS, Lesson
from lessons.models import Device, Learner, Prediction, Progress
from playground import seats
from playground.rooms.hub import Hub
from playground.rooms.journal import Asked, NewRoom
from tests.playground.fakes import Wall
from tests.playground.learn.conftest import SLUG, Browser, shows, words_of

pytestmark = pytest.mark.django_db(transaction=True)

SEAT = "s" * 32


def later_texts(lesson: Lesson) -> dict[str, list[str]]:
    """By step, what must not be in any page before that step."""
    return {
        "run": [segment.text for segment in lesson.segment]
        + [guess.why for guess in lesson.predict.option if guess.why],
        "observe": [lesson.observe.question],
        "explain": [lesson.observe.why, lesson.explanation.source.split("\n\n")[0].replace("\n", " ")[:40]],
        "goal": [lesson.goal.text],
        "hint": list(lesson.goal.hints),
    }


def hidden(lesson: Lesson, browser: Browser, *steps: str) -> None:
    html = browser.get(f"/lessons/{lesson.slug}/")
    for step in steps:
        for text in later_texts(lesson)[step]:
            assert not shows(html, text), (step, text)
    for guess in lesson.predict.option:
        assert not guess.belief or guess.belief not in html.content.decode()


def test_what_comes_later_is_in_no_page_before_its_step(browser: Browser, lesson: Lesson) -> None:
    hidden(lesson, browser, "run", "observe", "explain", "goal", "hint")
    browser.act("predict", option=true_guess(lesson).id)
    hidden(lesson, browser, "observe", "explain", "goal", "hint")
    assert shows(browser.get(f"/lessons/{SLUG}/"), lesson.segment[0].text)
    browser.act("stop", stop=len(lesson.segment) - 1)
    hidden(lesson, browser, "explain", "goal", "hint")
    browser.act("observe", order=seen_order(lesson))
    hidden(lesson, browser, "goal", "hint")
    assert shows(browser.get(f"/lessons/{SLUG}/"), lesson.observe.why)
    browser.act("explain")
    hidden(lesson, browser, "hint")
    browser.act("hint", hint=1)
    page = browser.get(f"/lessons/{SLUG}/")
    assert shows(page, lesson.goal.hints[0])
    assert not shows(page, lesson.goal.hints[1])


def test_looking_stores_nothing_and_the_first_answer_makes_a_learner_once(
    browser: Browser, lesson: Lesson
) -> None:
    for path in ("/lessons/", f"/lessons/{SLUG}/", "/quiz/", "/progress/"):
        assert "mailroom_learner" not in browser.get(path).cookies
    assert Learner.objects.count() == 0
    # Two sendings of one form by a browser without a cookie
    fields = {"option": true_guess(lesson).id, "key": "the very same form"}
    first = browser.act("predict", **fields)
    token = first.cookies["mailroom_learner"].value
    del browser.client.cookies["mailroom_learner"]
    second = browser.act("predict", **fields)
    assert second.cookies["mailroom_learner"].value == token
    assert (Learner.objects.count(), Prediction.objects.count()) == (1, 1)
    assert token not in Device.objects.get().token_hash, "only a hash of it is stored"


def test_the_first_prediction_stands(browser: Browser, lesson: Lesson) -> None:
    wrong = next(guess for guess in lesson.predict.option if guess.id != true_guess(lesson).id)
    browser.act("predict", option=wrong.id, sure="3")
    browser.act("predict", option=true_guess(lesson).id)
    assert Prediction.objects.get().option == wrong.id
    browser.act("stop", stop=len(lesson.segment) - 1)
    page = browser.get(f"/lessons/{SLUG}/")
    assert shows(page, f"You said {wrong.text} It was {true_guess(lesson).text} {wrong.why}")


def test_a_lesson_loaded_anew_stands_where_it_stood(browser: Browser, lesson: Lesson) -> None:
    assert 'data-step="predict"' in browser.get(f"/lessons/{SLUG}/").content.decode()
    browser.act("predict", option=true_guess(lesson).id)
    browser.act("stop", stop=1)
    html = browser.get(f"/lessons/{SLUG}/").content.decode()
    assert 'data-step="run"' in html
    assert f'data-at="{lesson.segment[1].at}"' in html
    assert re.search(r'data-stop="1"[^>]*>', html)[0].count("hidden") == 0  # type: ignore[index]
    assert "hidden" in re.search(r'data-stop="0"[^>]*>', html)[0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("what", "fields", "sentence"),
    [
        ("predict", {}, "Choose one of the answers first."),
        ("predict", {"option": "nonsense"}, "Choose one of the answers first."),
        ("stop", {"stop": "0"}, "Predict first: nothing moves before that."),
        ("observe", {"order": ["a"]}, "Predict first: nothing moves before that."),
        ("hint", {"hint": "1"}, "Predict first: nothing moves before that."),
        ("explain", {}, "Predict first: nothing moves before that."),
    ],
)
def test_what_is_out_of_turn_is_answered_with_a_sentence(
    browser: Browser, what: str, fields: dict[str, Any], sentence: str
) -> None:
    response = browser.act(what, **fields)
    assert response.status_code == 422
    assert sentence in words_of(response)


@pytest.mark.parametrize("stop", ["-1", "99", "x", "", "9" * 400, "²"])
def test_a_stop_that_there_is_not_is_refused(browser: Browser, lesson: Lesson, stop: str) -> None:
    browser.act("predict", option=true_guess(lesson).id)
    assert browser.act("stop", stop=stop).status_code == 422
    assert not Progress.objects.filter(stop__gt=-1).exists()


def test_a_page_that_asks_for_the_text_alone_gets_it_alone(browser: Browser, lesson: Lesson) -> None:
    html = browser.post(f"/lessons/{SLUG}/predict/", part=True, option=true_guess(lesson).id).content.decode()
    assert 'data-step="run"' in html
    assert "<html" not in html
    assert "first-chunk" not in html


def test_a_post_without_the_token_of_a_page_is_refused(browser: Browser) -> None:
    assert browser.client.post(f"/lessons/{SLUG}/predict/", {"option": "x"}).status_code == 403


# -- the goal -------------------------------------------------------------------------------------


async def room_of(hub: Hub, lesson: Lesson, shown_us: int, past: Any = (), seed: int | None = None) -> str:
    scenario = lesson.scenario
    new = NewRoom(lesson.slug, lesson.run_seed if seed is None else seed, RULES, seats.owner_hash(SEAT),
                  scenario.length_us, shown_us, 0, past)  # fmt: skip
    facts, _ = await hub.journal.open(
        new, Asked(seats.owner_hash(SEAT), f"{shown_us}/{len(past)}/{seed}"), None
    )
    return facts.code


def check(browser: Browser, room: str) -> str:
    browser.client.cookies["mailroom_seat"] = SEAT
    response = browser.post(f"/lessons/{SLUG}/goal/", part=True, room=room)
    return words_of(response)


def test_a_goal_is_judged_by_replaying_what_was_done_in_the_room(
    browser: Browser, lesson: Lesson, hub: Hub, wall: Wall
) -> None:
    browser.to_the_goal(lesson)
    end_us = lesson.goal_until_us
    idle = async_to_sync(room_of)(hub, lesson, end_us)
    assert "Not reached." in check(browser, idle)
    solved = async_to_sync(room_of)(hub, lesson, end_us, lesson.solution)
    assert f"Reached , with {len(lesson.solution)} command" in check(browser, solved)
    progress = Progress.objects.get()
    assert progress.goal_commands == len(lesson.solution)
    assert progress.goal_at is not None


def test_a_room_that_is_not_there_yet_is_told_how_far_it_has_to_go(
    browser: Browser, lesson: Lesson, hub: Hub
) -> None:
    browser.to_the_goal(lesson)
    early = async_to_sync(room_of)(hub, lesson, lesson.solution[-1][0] + 1_000, lesson.solution)
    assert "Not judged yet." in check(browser, early)
    assert Progress.objects.get().goal_at is None


def test_another_seed_and_another_ones_room_do_not_count(browser: Browser, lesson: Lesson, hub: Hub) -> None:
    browser.to_the_goal(lesson)
    other = async_to_sync(room_of)(hub, lesson, lesson.goal_until_us, lesson.solution, lesson.run_seed + 1)
    assert "another run than the lesson’s" in check(browser, other)
    mine = async_to_sync(room_of)(hub, lesson, lesson.goal_until_us, lesson.solution)
    browser.client.cookies["mailroom_seat"] = "t" * 32
    response = browser.post(f"/lessons/{SLUG}/goal/", part=True, room=mine)
    assert "not one of the lesson’s, or not yours" in words_of(response)
    assert (
        "not one of the lesson’s, or not yours" in check(browser, "nosuchroom")
        or "no room" in check(browser, "nosuchroom").lower()
    )
    assert Progress.objects.get().goal_at is None


def test_a_goal_that_can_no_longer_be_reached_is_said_so_at_once(lesson: Lesson) -> None:
    judged = judge_goal(lesson, lesson.run_seed, [], lesson.goal_until_us)
    assert judged.state == "missed"
    assert judged.text


def test_the_page_shows_the_learners_own_room_in_its_stage(
    browser: Browser, lesson: Lesson, hub: Hub
) -> None:
    browser.to_the_goal(lesson)
    room = async_to_sync(room_of)(hub, lesson, 5_000_000)
    browser.client.cookies["mailroom_seat"] = SEAT
    html = browser.get(f"/lessons/{SLUG}/?room={room}").content.decode()
    assert 'data-mode="room"' in html
    assert f'data-room="{room}"' in html
    browser.client.cookies["mailroom_seat"] = "t" * 32
    assert browser.get(f"/lessons/{SLUG}/?room={room}").status_code == 302


def test_the_authors_way_is_shown_to_who_has_taken_all_hints(browser: Browser, lesson: Lesson) -> None:
    browser.to_the_goal(lesson)
    assert f"/history/run/way/{SLUG}/" not in browser.get(f"/lessons/{SLUG}/?way=author").content.decode()
    browser.act("hint", hint=3)
    html = browser.get(f"/lessons/{SLUG}/?way=author").content.decode()
    chunks = re.findall(rf"/history/run/way/{SLUG}/\d+/\w+\.json", html)
    assert chunks
    assert browser.get(chunks[-1]).json()["last"] is True
    assert browser.get(chunks[0].replace("/0/", "/7777/")).status_code == 404


def test_beginning_again_forgets_the_steps_and_not_the_goal(
    browser: Browser, lesson: Lesson, hub: Hub
) -> None:
    browser.to_the_goal(lesson)
    check(browser, async_to_sync(room_of)(hub, lesson, lesson.goal_until_us, lesson.solution))
    browser.act("again")
    assert 'data-step="predict"' in browser.get(f"/lessons/{SLUG}/").content.decode()
    assert learning.standing(lesson, Learner.objects.get()).reached


def test_what_a_lesson_may_break_are_buttons_of_the_stage(browser: Browser) -> None:
    offered = re.findall(r'data-fault="([^"]+)"', browser.get("/play/fan-out/").content.decode())
    assert [fault.split()[0] for fault in FAULTS] == offered
    slug = "idempotency"
    lesson = catalogue().lessons[slug]
    browser.post(f"/lessons/{slug}/predict/", option=true_guess(lesson).id)
    browser.post(f"/lessons/{slug}/stop/", stop=len(lesson.segment) - 1)
    browser.post(f"/lessons/{slug}/observe/", order=seen_order(lesson))
    html = browser.post(f"/lessons/{slug}/explain/", part=True).content.decode()
    assert 'data-faults="crash,restart,drop,cut"' in html


# -- the index ------------------------------------------------------------------------------------


def test_the_index_names_every_lesson_and_links_to_those_that_are_written(browser: Browser) -> None:
    response = browser.get("/lessons/")
    html, page = response.content.decode(), words_of(response)
    for planned in catalogue().course:
        assert (planned.title in page) or planned.slug in catalogue().lessons
        assert (f'href="/lessons/{planned.slug}/"' in html) == (planned.slug in catalogue().lessons)
    written = len(catalogue().lessons)
    assert page.count("not written yet") == len(catalogue().course) - written


def test_an_address_of_no_lesson_is_not_there(browser: Browser) -> None:
    assert browser.get("/lessons/nothing/").status_code == 404
    assert browser.post("/lessons/nothing/predict/").status_code == 404
    assert browser.act("nothing").status_code == 404
