"""The pages. None of the GETs changes anything; a room is opened by a POST."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_POST, require_safe

from lessons import scenarios
from playground import front, seats, stage
from playground.errors import page_for
from playground.rooms import limits
from playground.rooms.history import Chunk, recording_of
from playground.rooms.hub import JOURNAL_AWAY, the_hub
from playground.rooms.journal import NEWER_RULES, JournalGone, Refused
from playground.rooms.opening import open_room as open_a_room
from playground.rooms.opening import read_opening
from playground.rooms.past import past_of
from playground.rooms.throttle import Bucket

STATUS = {"no_room": 404, "too_fast": 429, "run_over": 409, "refused": 503}
"""HTTP status of a refusal; others are 400."""

PATIENCE_S = 2.0
"""How long a page waits to know if its room is the same under the present rules; its socket then does."""

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
"""What a browser sends that runs no script: its person reads the answer."""


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    shipped = scenarios.home()
    first = front.first_lessons()
    context = {
        "stage": stage.of_recording(shipped) if shipped else None,
        "lessons": first,
        "planned": front.planned(),
        "first_lesson": next((one for one in first if one["url"]), None),
        "lessons_url": front.address("lessons"),
    }
    return render(request, "home.html", context)


@require_safe
def play(request: HttpRequest) -> HttpResponse:
    shelves = {
        name: [stage.thumbnail(shipped) for shipped in shelf] for name, shelf in scenarios.shelves().items()
    }
    return render(request, "playground/list.html", {"systems": shelves})


@require_safe
def play_one(request: HttpRequest, slug: str) -> HttpResponse:
    shipped = scenarios.library().get(slug)
    if shipped is None:
        raise Http404
    return render(request, "playground/stage.html", {"stage": stage.of_recording(shipped)})


@require_safe
def chunk(request: HttpRequest, slug: str, n: int, digest: str) -> HttpResponse:
    """10 s of a recording. The address contains the digest, so the answer holds for ever."""
    if slug not in scenarios.library():
        raise Http404
    chunks = recording_of(slug).chunks
    if n >= len(chunks) or chunks[n].digest != digest:
        raise Http404
    return for_ever(request, chunks[n])


def for_ever(request: HttpRequest, chunk: Chunk) -> HttpResponse:
    """A chunk, cached as long as anybody likes, packed for those who can unpack it."""
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(chunk.packed if packed else chunk.text, content_type="application/json")
    if packed:
        response["Content-Encoding"] = "gzip"
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


@require_safe
async def room_history(request: HttpRequest, code: str, epoch: int) -> HttpResponse:
    """Where the chunks of a room's branch are, as far as it was shown."""
    try:
        past = await past_of(the_hub().journal, code, epoch, the_hub().rules)
    except JournalGone:
        return _away(request, as_json=True)
    except Refused as refusal:
        return _no_past(refusal)
    response = JsonResponse({"epoch": epoch, "seed": past.seed, "chunks": past.addresses()})
    response["Cache-Control"] = "no-store"
    return response


def _no_past(refusal: Refused) -> HttpResponse:
    """There is no such room or branch; or its past cannot be had just now, and why."""
    if refusal.code == "no_room":
        raise Http404
    status = STATUS.get(refusal.code, 400)
    return JsonResponse({"error": refusal.code, "text": refusal.text}, status=status)


@require_safe
async def room_chunk(request: HttpRequest, code: str, epoch: int, n: int, digest: str) -> HttpResponse:
    """10 s of a room's branch. The address contains the digest, so the answer holds for ever."""
    try:
        chunks = (await past_of(the_hub().journal, code, epoch, the_hub().rules)).chunks
    except JournalGone:
        return _away(request, as_json=True)
    except Refused as refusal:
        return _no_past(refusal)
    if n >= len(chunks) or chunks[n].digest != digest:
        raise Http404
    return for_ever(request, chunks[n])


wrong_codes = Bucket(limits.WRONG_CODES_BURST, limits.WRONG_CODES_PER_S)


@require_safe
async def room(request: HttpRequest, code: str) -> HttpResponse:
    hub = the_hub()
    try:
        facts = await hub.journal.facts(code)
    except JournalGone:
        return _away(request)
    except Refused:
        if not wrong_codes.take(hub.wall()):
            return page_for(request, 429, "Too many wrong addresses", limits.WRONG_CODES)
        raise Http404 from None
    shipped = scenarios.library().get(facts.slug)
    try:
        await hub.gate.look(facts, PATIENCE_S)
    except JournalGone:
        return _away(request)
    except Refused as refusal:
        return _not_here(request, refusal, shipped)
    assert shipped is not None
    role = "owner" if seats.is_owner(seats.token_of(request), facts.owner) else "viewer"
    response = render(request, "playground/stage.html", {"stage": stage.of_room(shipped, facts, role)})
    response["Cache-Control"] = "no-store"
    return response


def _not_here(request: HttpRequest, refusal: Refused, shipped: scenarios.Shipped | None) -> HttpResponse:
    """The room is over; or it is shown by another process, and this one will know it later."""
    if refusal.text == NEWER_RULES:
        context = {"status": 503, "title": "This room is elsewhere", "advice": refusal.text}
        return render(request, "error.html", context, status=503)
    context = {"text": refusal.text, "shipped": shipped}
    return render(request, "playground/room_over.html", context, status=410)


@require_POST
async def open_room(request: HttpRequest) -> HttpResponse:
    """Answers JSON with JSON, a form with a redirect to the room."""
    as_json = request.content_type == "application/json"
    try:
        form = None if as_json else {k: v for k, v in request.POST.items() if k != "csrfmiddlewaretoken"}
        opening = read_opening(request.body if as_json else b"", form)
        token = seats.token_of(request) or seats.new_token(opening.id)
        facts, is_new = await open_a_room(the_hub(), opening, token)
    except JournalGone:
        return _away(request, as_json)
    except Refused as refusal:
        status = STATUS.get(refusal.code, 400)
        if request.content_type in FORMS:
            return page_for(request, status, "That could not be done", refusal.text)
        return JsonResponse({"error": refusal.code, "text": refusal.text}, status=status)
    url = reverse("room", args=[facts.code])
    response: HttpResponse = (
        JsonResponse({"room": facts.code, "url": url}, status=201 if is_new else 200)
        if as_json
        else HttpResponseRedirect(url, status=303)
    )
    seats.hand_out(response, token)
    return response


def _away(request: HttpRequest, as_json: bool = False) -> HttpResponse:
    """The database does not answer: nothing was done, and it is worth trying again."""
    if as_json:
        return JsonResponse({"error": "refused", "text": JOURNAL_AWAY}, status=503)
    return page_for(request, 503, "The rooms cannot be read just now", JOURNAL_AWAY)


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Says that this process answers and has content."""
    return HttpResponse(f"ok {len(scenarios.library())} scenarios\n", content_type="text/plain")
