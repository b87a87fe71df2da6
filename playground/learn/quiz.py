"""Pages of questions. What is right stands in no answer of ours before the learner's own was stored."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from lessons import asking, learning
from lessons.answers import BadAnswer, Right, judge, right_answer
from lessons.catalogue import catalogue
from lessons.items import AnyItem, Multi, Numeric, OrderItem, PlaceItem, Single, revision_of
from lessons.lesson import TOPICS
from lessons.models import Attempt
from lessons.places import asked_at_us, places_of
from lessons.scenarios import library
from lessons.texts import facts_in, inline
from playground.learn import learners, pictures, showing
from playground.learn.views import now

KINDS = {
    "single": "Choose one answer.",
    "multi": "Choose all that hold.",
    "numeric": "Write a whole number.",
    "place": "Choose a place: click it on the picture, or take it from the list.",
    "order": "Put them in order.",
}


INTERVIEW = "Asked in interviews, beyond the lessons"


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """All questions by topic, what is due, what was missed."""
    learner = learners.learner_of(request)
    record, due = asking.record_of(learner), asking.due_concepts(learner, now())
    context = {
        "topics": [topic for topic in (_topic(slug, record) for slug in TOPICS) if topic["rows"]],
        "due": len(due), "missed": sum(record.state(item) == "missed" for item in catalogue().items.values()),
        "answered": sum(1 for item in catalogue().items.values() if record.times[item.id]),
        "in_all": len(catalogue().items), "through": request.GET.get("through", ""),
    }  # fmt: skip
    return render(request, "quiz/index.html", context)


def _topic(slug: str, record: asking.Record) -> dict[str, Any]:
    lessons = [lesson for lesson in catalogue().lessons.values() if lesson.topic == slug]
    rows = [
        {"title": lesson.title, "url": reverse("lesson", args=[lesson.slug]), "set": f"lesson:{lesson.slug}",
         "cells": [cell(item, record) for item in lesson.items]} for lesson in lessons
    ]  # fmt: skip
    asked = [item for item in catalogue().questions if item.topic == slug]
    if asked:
        rows.append({"title": INTERVIEW, "url": "", "set": f"interview:{slug}",
                     "cells": [cell(item, record) for item in asked]})  # fmt: skip
    return {"slug": slug, "name": TOPICS[slug], "rows": rows}


def cell(item: AnyItem, record: asking.Record) -> dict[str, Any]:
    """A question as a cell of a lane: its state, and where it goes: a missed one to the moment that shows
    why."""
    last = record.last.get(item.id)
    state = record.state(item)
    words = {"": "not asked yet", "right": "right", "missed": "missed"}[state]
    url = reverse("question", args=[item.id, asking.fresh_seed(item, record)])
    if state == "missed" and item.shows is not None and last is not None:
        url = reverse("moment", args=[item.id, last.seed])
        words = "missed: see the moment"
    return {"item": item, "state": state, "words": words, "url": url}


@require_safe
def next_one(request: HttpRequest) -> HttpResponse:
    """Goes to the next question of `?set=`; to the overview when the set is through."""
    name = request.GET.get("set", "all")
    learner = learners.learner_of(request)
    if asking.items_of(name, asking.Record()) is None:
        raise Http404
    found = asking.next_question(name, learner, now(), again="again" in request.GET)
    if found is None:
        return HttpResponseRedirect(f"{reverse('quiz')}?{urlencode({'through': name})}")
    response = HttpResponseRedirect(
        f"{reverse('question', args=[found[0].id, found[1]])}?{urlencode({'set': name})}"
    )
    response["Cache-Control"] = "no-store"
    return response


# -- one question ---------------------------------------------------------------------------------


def _item(name: str, seed: int) -> AnyItem:
    item = catalogue().items.get(name)
    if item is None or seed not in item.variants:
        raise Http404
    return item


@require_safe
def ask(request: HttpRequest, name: str, seed: int) -> HttpResponse:
    """A question; with `?a=` its answer by this browser's learner, and what is said to it."""
    item = _item(name, seed)
    learner = learners.learner_of(request)
    key = request.GET.get("a", "")
    found = None
    if key and learner is not None:
        found = Attempt.objects.filter(learner=learner, client_key=key, item=item.id, seed=seed).first()
    return _page(request, item, seed, found)


@require_POST
@learners.told_when_refused
def answer(request: HttpRequest, name: str, seed: int) -> HttpResponse:
    """Stores an answer, once for each key, and shows what is said to it."""
    item = _item(name, seed)
    key = request.POST.get("key", "")
    learner, token = learners.learner_for(request, key)
    response: HttpResponse
    try:
        learning.answer(
            item, learner, seed, request.POST.getlist("answer"), key=key, revision=revision_of(item),
            confidence=showing.confidence_of(request), now=now(),
        )  # fmt: skip
    except BadAnswer as bad:
        response = _page(request, item, seed, None, said=str(bad))
    else:
        query = urlencode({"set": _set_of(request), "a": key})
        response = HttpResponseRedirect(f"{reverse('question', args=[item.id, seed])}?{query}", status=303)
    learners.hand_out(response, token)
    return response


def question(request: HttpRequest, name: str, seed: int) -> HttpResponse:
    return answer(request, name, seed) if request.method == "POST" else ask(request, name, seed)


def _set_of(request: HttpRequest) -> str:
    name = (request.POST if request.method == "POST" else request.GET).get("set", "all")
    return name if asking.items_of(name, asking.Record()) is not None else "all"


def _page(
    request: HttpRequest, item: AnyItem, seed: int, found: Attempt | None, said: str = ""
) -> HttpResponse:
    name = _set_of(request)
    lesson = catalogue().lesson_of.get(item.id)
    context = {
        "item": item,
        "seed": seed,
        "kind": item.kind,
        "how": KINDS[item.kind],
        "lesson": lesson,
        "set": name,
        "topic": TOPICS[item.topic],
        "levels": learning.CONFIDENCE,
        "key": showing.new_key(),
        "said": said,
        "next_url": f"{reverse('quiz-next')}?{urlencode({'set': name})}",
        "cells": _cells(request, name, item),
        **_choices(item, seed),
        **(_answered(item, seed, found) if found else {}),
    }
    if isinstance(item, PlaceItem):
        context["stage"] = _picture(item, seed, found)
    response = render(request, "quiz/question.html", context, status=422 if said else 200)
    response["Cache-Control"] = "no-store"
    return response


def _cells(request: HttpRequest, name: str, here: AnyItem) -> list[dict[str, Any]]:
    """Where in a lesson's questions this one stands; nothing for other sets, which have no end."""
    if not asking.ends(name):
        return []
    record = asking.record_of(learners.learner_of(request))
    items = asking.items_of(name, record) or []
    return [{"state": record.state(item), "here": item.id == here.id} for item in items]


def _choices(item: AnyItem, seed: int) -> dict[str, Any]:
    """What can be answered, in an order that tells nothing."""
    salt = f"{item.id}/{seed}"
    match item:
        case Single() | Multi():
            order = showing.shuffled(tuple(option.id for option in item.option), salt)
            return {"options": sorted(item.option, key=lambda option: order.index(option.id))}
        case OrderItem():
            labels = right_answer(item, seed)
            assert isinstance(labels, tuple)
            return {"labels": showing.shuffled(labels, salt)}
        case PlaceItem():
            return {"places": places_of(item, seed)}
    return {}


def _picture(item: PlaceItem, seed: int, found: Attempt | None) -> dict[str, Any]:
    shipped = library()[item.scenario]
    if found is None:
        run = pictures.of_item(item, seed, pictures.BEFORE)
        return pictures.picture(shipped, run, item.stands, panels="later", strips=0, slips=0)
    return pictures.picture(shipped, pictures.of_item(item, seed, pictures.WHOLE), item.stands)


def _answered(item: AnyItem, seed: int, found: Attempt) -> dict[str, Any]:
    """What is said after an answer: right or not, why not, what is right, where it can be seen."""
    right = right_answer(item, seed)
    try:
        why = judge(item, seed, found.answer).why
    except BadAnswer:  # the question was rewritten since
        why = ""
    texts = (item.stem, item.explanation, why)
    return {
        "attempt": found,
        "why": why,
        "right_words": right_in_words(item, seed, right),
        "given_words": given_in_words(item, seed, found.answer),
        "right": right,
        "given": found.answer,
        "facts": showing.facts_of([*item.facts, *(n for text in texts for n in facts_in(text))]),
        "moment": item.shows is not None and bool(item.scenario),
        "asked_at_us": asked_at_us(item) if isinstance(item, PlaceItem) else None,
    }


def right_in_words(item: AnyItem, seed: int, right: Right) -> list[str]:
    """The right answer as people read it, already HTML, one entry a line."""
    return given_in_words(item, seed, [right] if isinstance(right, str | int) else list(right))


def given_in_words(item: AnyItem, seed: int, given: list[Any]) -> list[str]:
    facts = catalogue().facts
    match item:
        case Single() | Multi():
            return [inline(option.text, facts) for option in item.option if option.id in given]
        case Numeric():
            return [inline(f"{{run:{number}}} {item.unit}", facts) for number in given]
        case PlaceItem():
            places = {place["value"]: place["words"] for place in places_of(item, seed)}
            return [inline(places.get(str(value), str(value)), facts) for value in given]
    return [inline(str(label), facts) for label in given]


@require_safe
def moment(request: HttpRequest, name: str, seed: int) -> HttpResponse:
    """The run of a question that this browser's learner has answered, standing at the moment that shows the
    answer."""
    item = _item(name, seed)
    learner = learners.learner_of(request)
    if item.shows is None or not item.scenario or learner is None:
        raise Http404
    if not Attempt.objects.filter(learner=learner, item=item.id, seed=seed).exists():
        raise Http404
    run = pictures.of_item(item, seed, pictures.WHOLE)
    shown = pictures.picture(library()[item.scenario], run, item.shows)
    context = {"item": item, "seed": seed, "stage": shown, "topic": TOPICS[item.topic],
               "right_words": right_in_words(item, seed, right_answer(item, seed))}  # fmt: skip
    response = render(request, "quiz/moment.html", context)
    response["Cache-Control"] = "no-store"
    return response
