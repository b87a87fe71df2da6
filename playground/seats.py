"""Who a browser is: a random token in a cookie, made when it first opens a room. Nothing else is kept of it.

A room remembers the hash of its owner's token; a seat in a room is a hash of token and room, so that two
rooms cannot be linked by what they show.
"""

from __future__ import annotations

import re
import secrets
from base64 import urlsafe_b64encode
from hashlib import blake2b
from http.cookies import CookieError, SimpleCookie
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
COOKIE_AGE_S = 30 * 24 * 3600
UNGUESSABLE_CHARACTERS = 16


def token_of(request: HttpRequest) -> str:
    """The browser's token; "" when it has none that could be ours."""
    return checked(request.COOKIES.get(settings.SEAT_COOKIE_NAME, ""))


def token_of_scope(scope: Any) -> str:
    """The same, of a socket's scope."""
    for name, value in scope.get("headers", []):
        if name == b"cookie":
            try:
                cookies = SimpleCookie(value.decode("latin1"))
            except CookieError:
                continue
            if settings.SEAT_COOKIE_NAME in cookies:
                return checked(cookies[settings.SEAT_COOKIE_NAME].value)
    return ""


def checked(token: str) -> str:
    """`token` if it could be one of ours, else ""."""
    return token if TOKEN.fullmatch(token) else ""


def new_token(asking: str = "") -> str:
    """A token for a browser that has none yet. Where `asking` (made up by the browser) is long enough that
    nobody guesses it, the same one gets the same token: who has not heard our answer asks again."""
    if len(asking) < UNGUESSABLE_CHARACTERS:
        return secrets.token_urlsafe(24)
    key = settings.SECRET_KEY.encode()[:64]
    made = blake2b(asking.encode(), key=key, digest_size=24, person=b"mailroom-asked").digest()
    return urlsafe_b64encode(made).decode()


def hand_out(response: HttpResponse, token: str) -> None:
    """Sets the cookie. Only this site's own pages send it back."""
    response.set_cookie(
        settings.SEAT_COOKIE_NAME, token, max_age=COOKIE_AGE_S, path="/", httponly=True,
        secure=settings.PRODUCTION, samesite="Lax",
    )  # fmt: skip


def owner_hash(token: str) -> str:
    return blake2b(token.encode(), digest_size=16, person=b"mailroom-owner").hexdigest()


def seat_in(token: str, code: str) -> str:
    """The name of a browser's seat in one room; a made-up one when it has no token."""
    token = token or secrets.token_urlsafe(24)
    return blake2b(f"{token}/{code}".encode(), digest_size=6, person=b"mailroom-seat").hexdigest()


def is_owner(token: str, owner: str) -> bool:
    return bool(token) and secrets.compare_digest(owner_hash(token), owner)
