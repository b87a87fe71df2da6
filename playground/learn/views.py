"""Pages of lessons. A GET shows and stores nothing; what a learner does is posted, and answered with a
redirect, or with the changed text alone for a page that asks for that."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from lessons import learning
from lessons.answers import BadAnswer
from lessons.catalogue import catalogue
from lessons.goal import Judged, judge_goal
from lessons.learning import Standing, standing
from lessons.lesson import TOPICS, Lesson
from lessons.models import Learner
from lessons.scenarios import library
from playground import seats, stage
from playground.errors import page_for
from playground.learn import index_map, learners, pictures, showing
from playground.rooms import limits
from playground.rooms.hub import JOURNAL_AWAY, the_hub
from playground.rooms.journal import Facts, JournalGone, Refused
from playground.rooms.throttle import Bucket

PART = "X-Part"
"""A request with this header wants the text beside the stage, and nothing else of the page."""

PATIENCE_S = 2.0
"""How long a page waits for a room of earlier rules to be looked at."""

NO_ROOM = "This room is not one of the lesson’s, or not yours."
NOTHING_DONE = "Nothing was done yet. The goal is reached by what you do: act on the stage, then check."


judging = Bucket(limits.GOALS_BURST, limits.GOALS_PER_S)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _lesson(slug: str) -> Lesson:
    lesson = catalogue().lessons.get(slug)
    if lesson is None:
        raise Http404
    return lesson


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All lessons, in the order in which they build on each other."""
    rows = showing.lesson_rows(request)
    context = {
        "rows": rows,
        "topics": TOPICS,
        "map": index_map.drawn(rows),
        "written": sum(bool(row["url"]) for row in rows),
    }
    return render(request, "lessons/index.html", context)


# -- one lesson -----------------------------------------------------------------------------------


@require_safe
async def lesson(request: HttpRequest, slug: str) -> HttpResponse:
    """A lesson as far as this browser's learner is. `?room=` shows a room of its own in the stage,
    `?way=author` the author's solution."""
    found = _lesson(slug)
    room = None
    if request.GET.get("room"):
        try:
            room = await _own_room(request, found, request.GET["room"])
        except JournalGone:
            return HttpResponse(JOURNAL_AWAY, status=503, content_type="text/plain; charset=utf-8")
        except Refused:
            return HttpResponseRedirect(reverse("lesson", args=[slug]))
    return await sync_to_async(_page)(request, found, room)


async def _own_room(request: HttpRequest, lesson: Lesson, code: str) -> Facts:
    """The facts of this browser's own room of the lesson's run. Raises `Refused`, `JournalGone`."""
    hub = the_hub()
    facts = await hub.journal.facts(code)
    if facts.slug != lesson.slug or not seats.is_owner(seats.token_of(request), facts.owner):
        raise Refused("no_room", NO_ROOM)
    await hub.gate.look(facts, PATIENCE_S)
    return facts


def _page(
    request: HttpRequest,
    lesson: Lesson,
    room: Facts | None = None,
    said: str = "",
    more: dict[str, Any] | None = None,
) -> HttpResponse:
    where = standing(lesson, learners.learner_of(request))
    context = {**showing.lesson_context(where), "said": said, **(more or {})}
    way = request.GET.get("way") == "author" and context.get("may_see_the_way")
    context["way"] = way
    context["stage"] = _stage(where, room, bool(way))
    response = render(request, "lessons/lesson.html", context, status=422 if said else 200)
    response["Cache-Control"] = "no-store"
    return response


def _stage(where: Standing, room: Facts | None, way: bool) -> dict[str, Any]:
    """The picture beside the text: it stands where the text is, and nothing moves before the prediction."""
    lesson = where.lesson
    shipped = library()[lesson.slug]
    panels = "later" if where.step == "predict" else ""
    if where.step == "goal" and room is not None:
        return {**stage.of_room(shipped, room, "owner"), "within": reverse("lesson", args=[lesson.slug])}
    if way:
        return pictures.picture(shipped, pictures.of_way(lesson), 0)
    at_us = lesson.predict.at
    if where.step == "goal":
        at_us = 0
    elif where.stop >= 0:
        at_us = lesson.segment[where.stop].at
    shown = stage.of_recording(shipped, at_us=at_us)
    within = reverse("lesson", args=[lesson.slug])
    return {**shown, "autoplay": False, "panels": panels, "within": within, "acts": where.step == "goal"}


# -- what a learner does --------------------------------------------------------------------------


def _predict(request: HttpRequest, lesson: Lesson, learner: Learner) -> None:
    sure = showing.confidence_of(request)
    learning.predict(lesson, learner, request.POST.get("option", ""), sure, now())


def _stop(request: HttpRequest, lesson: Lesson, learner: Learner) -> None:
    learning.reach_stop(lesson, learner, _number(request, "stop"))


def _observe(request: HttpRequest, lesson: Lesson, learner: Learner) -> None:
    learning.observe(lesson, learner, request.POST.getlist("order"))


def _explain(request: HttpRequest, lesson: Lesson, learner: Learner) -> None:
    learning.explained(lesson, learner)


def _hint(request: HttpRequest, lesson: Lesson, learner: Learner) -> None:
    learning.take_hint(lesson, learner, _number(request, "hint"))


def _again(request: HttpRequest, lesson: Lesson, learner: Learner) -> None:
    learning.begin_again(lesson, learner)


ACTS: dict[str, Callable[[HttpRequest, Lesson, Learner], None]] = {
    "predict": _predict,
    "stop": _stop,
    "observe": _observe,
    "explain": _explain,
    "hint": _hint,
    "again": _again,
}


def _number(request: HttpRequest, name: str) -> int:
    text = request.POST.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 4):
        raise BadAnswer(f"{name}: expected a small number.")
    return int(text)


@require_POST
@learners.told_when_refused
def act(request: HttpRequest, slug: str, what: str) -> HttpResponse:
    """One step of a lesson: `what` is one of `ACTS`."""
    found = _lesson(slug)
    if what not in ACTS:
        raise Http404
    learner, token = learners.learner_for(request, request.POST.get("key", ""))
    said = ""
    try:
        ACTS[what](request, found, learner)
    except BadAnswer as bad:
        said = str(bad)
    response = _answered(request, found, learner, said)
    learners.hand_out(response, token)
    return response


def _answered(
    request: HttpRequest, lesson: Lesson, learner: Learner, said: str = "", more: dict[str, Any] | None = None
) -> HttpResponse:
    if PART in request.headers:
        context = {**showing.lesson_context(standing(lesson, learner)), "said": said, **(more or {})}
        response = render(request, "lessons/_part.html", context, status=422 if said else 200)
        response["Cache-Control"] = "no-store"
        return response
    if said or more:
        return _page(request, lesson, said=said, more=more)
    return HttpResponseRedirect(reverse("lesson", args=[lesson.slug]), status=303)


@require_POST
async def goal(request: HttpRequest, slug: str) -> HttpResponse:
    """Judges the goal: the room's journal up to the moment it has shown is replayed in a thread of its
    own."""
    found = _lesson(slug)
    try:
        learner, token = await sync_to_async(learners.learner_for)(request, request.POST.get("key", ""))
    except Refused as refusal:
        return page_for(request, 429, "One moment", refusal.text)
    said, judged = "", None
    try:
        judged = await _judge(request, found, request.POST.get("room", ""))
        if judged.state == "reached":
            await sync_to_async(learning.reach_goal)(found, learner, judged.commands, now())
    except BadAnswer as bad:
        said = str(bad)
    except Refused as refusal:
        said = refusal.text
    except JournalGone:
        said = JOURNAL_AWAY
    more = {"verdict": showing.verdict(judged, found.goal.par)} if judged else None
    response: HttpResponse = await sync_to_async(_answered)(request, found, learner, said, more)
    learners.hand_out(response, token)
    return response


async def _judge(request: HttpRequest, lesson: Lesson, code: str) -> Judged:
    """Raises `BadAnswer`, `Refused`, `JournalGone`."""
    if not code:
        raise BadAnswer(NOTHING_DONE)
    if not judging.take(the_hub().wall()):
        raise BadAnswer(limits.GOALS_TOO_FAST)
    journal = the_hub().journal
    facts = await journal.facts(code)
    if facts.slug != lesson.slug or not seats.is_owner(seats.token_of(request), facts.owner):
        raise Refused("no_room", NO_ROOM)
    head = await journal.head(code)
    lineage = await journal.lineage(code, head.epoch)
    entries = await journal.entries(code, head.epoch, 0)
    ordered = sorted(entries, key=lambda entry: (entry.at_us, entry.seq))
    given = [(entry.at_us, entry.command) for entry in ordered]
    shown_us = max(head.clock.shown_us, head.clock.at(the_hub().wall()))
    return await sync_to_async(judge_goal, thread_sensitive=False)(lesson, lineage[-1].seed, given, shown_us)


@require_safe
def run_chunk(request: HttpRequest, name: str, n: int, digest: str) -> HttpResponse:
    """10 s of a run behind a question or a solution. The address contains the digest, which nobody
    guesses."""
    from playground.views import for_ever

    try:
        chunks = pictures.find(name).chunks
    except KeyError:
        raise Http404 from None
    if n >= len(chunks) or chunks[n].digest != digest:
        raise Http404
    return for_ever(request, chunks[n])
