"""Which learner a browser is: a random token in a cookie of its own, made with the first thing that it
posts. Kept of it is a hash; whoever has neither cookie nor carried link cannot be told from anybody else."""

from __future__ import annotations

import functools
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse

from lessons.models import Device, Learner
from playground.errors import page_for
from playground.rooms import limits
from playground.rooms.hub import the_hub
from playground.rooms.journal import Refused
from playground.rooms.throttle import Bucket
from playground.seats import checked, new_token

COOKIE_AGE_S = 400 * 24 * 3600
"""As long as browsers keep a cookie at most; each post renews it."""


beginning = Bucket(limits.LEARNERS_BURST, limits.LEARNERS_PER_S)

View = Callable[..., HttpResponse]


def told_when_refused(view: View) -> View:
    """For views of learners' posts: a refusal is a page with its sentence."""

    @functools.wraps(view)
    def told(request: HttpRequest, *args: Any, **words: Any) -> HttpResponse:
        try:
            return view(request, *args, **words)
        except Refused as refusal:
            return page_for(request, 429, "One moment", refusal.text)

    return told


def token_of(request: HttpRequest) -> str:
    """The browser's token; "" when it has none that could be ours."""
    return checked(request.COOKIES.get(settings.LEARNER_COOKIE_NAME, ""))


def learner_of(request: HttpRequest) -> Learner | None:
    """The learner whose browser this is; None for one that has posted nothing yet."""
    token = token_of(request)
    device = (
        Device.objects.select_related("learner").filter(token_hash=hash_of(token)).first() if token else None
    )
    return device.learner if device else None


def learner_for(request: HttpRequest, asking: str) -> tuple[Learner, str]:
    """The learner of a browser that posts something, made now if it is new, and its token. `asking` is the
    key in the posted form: the same form sent twice by a new browser is the same new learner. Raises
    `Refused` when too many begin at once."""
    token = token_of(request)
    if not token:
        token = new_token(f"learner/{asking}" if asking else "")
    for _ in range(2):
        device = Device.objects.select_related("learner").filter(token_hash=hash_of(token)).first()
        if device:
            return device.learner, token
        if not beginning.take(the_hub().wall()):
            raise Refused("too_fast", limits.LEARNERS_TOO_FAST)
        try:
            with transaction.atomic():
                learner = Learner.objects.create()
                Device.objects.create(learner=learner, token_hash=hash_of(token))
                return learner, token
        except IntegrityError:  # the other sending of the same form was quicker
            continue
    raise IntegrityError("a device that is there and is not")


def hand_out(response: HttpResponse, token: str) -> None:
    """Sets the cookie. Only this site's own pages send it back."""
    response.set_cookie(
        settings.LEARNER_COOKIE_NAME, token, max_age=COOKIE_AGE_S, path="/", httponly=True,
        secure=settings.PRODUCTION, samesite="Lax",
    )  # fmt: skip


def hash_of(token: str) -> str:
    return blake2b(token.encode(), digest_size=16, person=b"mailroom-learner").hexdigest()


def take_back(response: HttpResponse) -> None:
    """Takes the cookie away."""
    response.delete_cookie(settings.LEARNER_COOKIE_NAME, path="/", samesite="Lax")
