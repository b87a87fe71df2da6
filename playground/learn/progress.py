"""The page of a learner's progress: a ledger, what is due, and the ways to carry, take away and delete it
all."""

from __future__ import annotations

import secrets
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from lessons import asking, carrying
from lessons.catalogue import catalogue
from lessons.lesson import TOPICS
from lessons.models import Learner
from playground.learn import learners, showing
from playground.learn.quiz import cell
from playground.learn.views import now

DELETED = "Everything was deleted. Nothing is known of this browser any more."
LINK_OVER = "This link was used already, or is older than a day. Make a new one where your progress is."
CARRIED = "Both devices now have the same progress."
NOT_SURE = "Nothing was deleted. Tick the box to say that you mean it."
SAID = {"deleted": DELETED, "carried": CARRIED}


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """What this browser's learner has done; for a browser that has posted nothing, what there is to do."""
    return _page(request, learners.learner_of(request), said=SAID.get(request.GET.get("said", ""), ""))


def _page(request: HttpRequest, learner: Learner | None, status: int = 200, **more: Any) -> HttpResponse:
    rows = showing.rows_for(learner)
    done, begun = sum(row["done"] for row in rows), sum(row["begun"] and not row["done"] for row in rows)
    record = asking.record_of(learner)
    cards = {} if learner is None else {card.concept: card.due for card in learner.reviewcard_set.all()}
    context = {
        "learner": learner,
        "in_all": len(rows),
        "done": done,
        "begun": begun,
        "ahead": len(rows) - done - begun,
        "written": sum(bool(row["url"]) for row in rows),
        "due": len(asking.due_concepts(learner, now())),
        "answered": sum(record.times.values()),
        "rows": [row for row in rows if row["begun"]],
        "topics": [topic for topic in (_topic(slug, record, cards) for slug in TOPICS) if topic["concepts"]],
        "devices": learner.device_set.count() if learner else 0,
        "key": showing.new_key(),
        **more,
    }
    response = render(request, "lessons/progress.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _topic(slug: str, record: asking.Record, cards: dict[str, Any]) -> dict[str, Any]:
    """The concepts of a topic that were asked about, each as a lane of its questions with the date it is
    due."""
    concepts: dict[str, list[Any]] = {}
    for item in catalogue().items.values():
        if item.topic == slug:
            concepts.setdefault(item.concept, []).append(item)
    lanes = [
        {
            "concept": name.replace("-", " "),
            "due": cards[name],
            "is_due": cards[name] <= now(),
            "today": cards[name].date() == now().date(),
            "cells": [cell(item, record) for item in items],
        }
        for name, items in concepts.items()
        if name in cards
    ]
    return {"name": TOPICS[slug], "concepts": lanes}


@require_POST
def link(request: HttpRequest) -> HttpResponse:
    """Makes a link and shows it, once: only its hash is kept."""
    learner = learners.learner_of(request)
    if learner is None:
        return HttpResponseRedirect(reverse("progress"), status=303)
    token = secrets.token_urlsafe(24)
    carrying.make_link(learner, token, now())
    return _page(request, learner, link=request.build_absolute_uri(reverse("carry", args=[token])))


def carry(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks, POST brings this browser to the link's learner."""
    return _accept(request, token) if request.method == "POST" else _ask(request, token)


@require_safe
def _ask(request: HttpRequest, token: str) -> HttpResponse:
    try:
        carrying.open_link(token, now())
    except carrying.LinkOver:
        return _page(request, learners.learner_of(request), status=410, said=LINK_OVER)
    response = render(
        request,
        "lessons/carry.html",
        {"token": token, "key": showing.new_key(), "has_some": learners.learner_of(request) is not None},
    )
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@learners.told_when_refused
def _accept(request: HttpRequest, token: str) -> HttpResponse:
    learner, seat = learners.learner_for(request, request.POST.get("key", ""))
    try:
        carrying.accept(token, learner, now())
    except carrying.LinkOver:
        response = _page(request, learner, status=410, said=LINK_OVER)
    else:
        response = HttpResponseRedirect(f"{reverse('progress')}?said=carried", status=303)
    learners.hand_out(response, seat)
    return response


@require_safe
def export(request: HttpRequest) -> HttpResponse:
    """Everything as a JSON file."""
    learner = learners.learner_of(request)
    response = JsonResponse(
        carrying.export(learner) if learner else {"format": 1}, json_dumps_params={"indent": 1}
    )
    response["Content-Disposition"] = 'attachment; filename="mailroom-progress.json"'
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def delete(request: HttpRequest) -> HttpResponse:
    """Deletes the learner with everything, on all its devices."""
    learner = learners.learner_of(request)
    if request.POST.get("sure") != "yes":
        return _page(request, learner, status=422, said=NOT_SURE)
    if learner is not None:
        learner.delete()
    response = HttpResponseRedirect(f"{reverse('progress')}?said=deleted", status=303)
    learners.take_back(response)
    return response
