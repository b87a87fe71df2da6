"""The pages of mass runs: begin a job, look at it, cancel it, open one of its outcomes as a room."""

from __future__ import annotations

import secrets
from typing import Annotated

import msgspec
from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from msgspec import Meta, Struct

from engine import RULES
from engine.commands import Reseed
from lessons.scenarios import library
from playground import seats
from playground.rooms.hub import the_hub
from playground.rooms.journal import JournalGone, Refused
from playground.rooms.opening import Opening, open_room
from playground.rooms.wire import Whole
from playground.runs import jobs, showing, work
from playground.runs.models import Job

STATUS = {
    "no_room": 404,
    "too_fast": 429,
    "too_many": 429,
    "run_over": 409,
    "refused": 503,
    "not_allowed": 403,
}
"""HTTP status of a refusal; others are 400."""

GONE = "The rooms cannot be reached just now: try again in a moment."
NOT_YOURS = "Only the browser that began this job can cancel it."


class Asked(Struct, frozen=True, forbid_unknown_fields=True):
    """The form of a stage: its scenario or its room (branch `epoch`), and the moment on the screen.

    `whence` is the button: `start` (the scenario itself, from its start) or `now`.
    """

    whence: str = "start"
    slug: Annotated[str, Meta(max_length=80)] = ""
    room: Annotated[str, Meta(max_length=16)] = ""
    epoch: Whole | None = None
    now_us: Whole = 0


@require_POST
async def begin(request: HttpRequest) -> HttpResponse:
    """A new job; the answer is a redirect to its page."""
    token = seats.token_of(request) or seats.new_token()
    try:
        wish = await _wish(_read(request))
        job = await sync_to_async(jobs.begin)(wish, seats.owner_hash(token))
    except Refused as refusal:
        return _refused(request, refusal)
    except JournalGone:
        return _refused(request, Refused("refused", GONE))
    response = HttpResponseRedirect(reverse("runs", args=[job.code]), status=303)
    seats.hand_out(response, token)
    return response


def _read(request: HttpRequest) -> Asked:
    fields = {name: text for name, text in request.POST.items() if text and name != "csrfmiddlewaretoken"}
    try:
        asked = msgspec.convert(fields, Asked, strict=False)
        msgspec.json.encode(asked)
    except (msgspec.MsgspecError, ValueError) as error:
        said = str(error).splitlines()[0][:200]
        raise Refused("bad_frame", f"A job cannot be begun with this: {said}.") from None
    if asked.whence not in ("start", "now"):
        raise Refused("bad_arguments", "A job begins at the start, or now.")
    return asked


async def _wish(asked: Asked) -> jobs.Wish:
    """What is to be run. A room's moment takes the room's own seed and journal with it."""
    if not asked.room:
        shipped = library().get(asked.slug)
        if shipped is None:
            raise Refused("no_room", "There is no scenario with this name.")
        return jobs.Wish(asked.slug, shipped.scenario.seed, asked.now_us if asked.whence == "now" else 0)
    journal = the_hub().journal
    facts = await journal.facts(asked.room)
    if asked.whence == "start":
        return jobs.Wish(facts.slug, facts.seed, room=facts.code)
    epoch = (await journal.head(asked.room)).epoch if asked.epoch is None else asked.epoch
    lineage = await journal.lineage(asked.room, epoch)
    entries = await journal.entries(asked.room, epoch, 0)
    ordered = sorted(entries, key=lambda entry: (entry.at_us, entry.seq))
    past = [(entry.at_us, entry.command) for entry in ordered]
    return jobs.Wish(facts.slug, lineage[-1].seed, asked.now_us, past, facts.code, epoch)


@require_safe
def job(request: HttpRequest, code: str) -> HttpResponse:
    """The page of a job: how far it is, and what came out so far."""
    return _shown(request, _job(code), "runs/page.html")


@require_safe
def now(request: HttpRequest, code: str) -> HttpResponse:
    """The part of the page that changes while the job runs."""
    return _shown(request, _job(code), "runs/_job.html")


@require_POST
def cancel(request: HttpRequest, code: str) -> HttpResponse:
    """Nothing more is run; what has come out stays."""
    found = _job(code)
    if not seats.is_owner(seats.token_of(request), found.owner):
        return _refused(request, Refused("not_allowed", NOT_YOURS))
    work.cancel(found)
    return HttpResponseRedirect(reverse("runs", args=[code]), status=303)


@require_POST
async def open_outcome(request: HttpRequest, code: str) -> HttpResponse:
    """The run with the posted seed as a room of this browser's own, where it parts from the others."""
    found = await sync_to_async(_job)(code)
    token = seats.token_of(request) or seats.new_token()
    try:
        seed = _seed(request.POST.get("seed", ""), found)
        opening, past = _opening(found, seed)
        facts, _ = await open_room(the_hub(), opening, token, past)
    except Refused as refusal:
        return _refused(request, refusal)
    except JournalGone:
        return _refused(request, Refused("refused", GONE))
    response = HttpResponseRedirect(reverse("room", args=[facts.code]), status=303)
    seats.hand_out(response, token)
    return response


def _seed(text: str, of: Job) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= of.count:
        return int(text)
    raise Refused("bad_arguments", f"The runs of this job have the seeds 1 to {of.count:,}.")


def _opening(of: Job, seed: int) -> tuple[Opening, list[tuple[int, work.AnyCommand]]]:
    if of.rules != RULES:
        raise Refused("bad_arguments", work.OTHER_RULES)
    asking = f"{of.code}-{seed}-{secrets.token_hex(6)}"
    entries = work.entries_of(of)
    if not of.moment_us and not entries:
        return Opening(of.slug, seed=seed, id=asking), []
    past = [*entries, (of.moment_us, Reseed(seed))]
    return Opening(of.slug, now_us=of.moment_us, seed=of.seed, id=asking), past


def _job(code: str) -> Job:
    found = Job.objects.filter(code=code).first()
    if found is None:
        raise Http404
    return found


def _shown(request: HttpRequest, of: Job, template: str) -> HttpResponse:
    mine = seats.is_owner(seats.token_of(request), of.owner)
    response = render(request, template, {"shown": showing.of_job(of, mine)})
    response["Cache-Control"] = "no-store"
    return response


def _refused(request: HttpRequest, refusal: Refused) -> HttpResponse:
    status = STATUS.get(refusal.code, 400)
    context = {"status": status, "title": "That could not be done", "advice": refusal.text}
    return render(request, "error.html", context, status=status)
