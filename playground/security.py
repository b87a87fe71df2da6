"""Headers that keep foreign script out of our pages: a strict content security policy with a nonce.

Nothing runs but what carries the nonce of this very answer: no inline handlers, no `eval`, no
`style=""`. Modules inherit the nonce of the script that imports them. The policy stands on every
answer, errors included.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse

NONCE_BYTES = 18

PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


class ContentSecurityMiddleware:
    """Gives each request a `csp_nonce` and each response its policy. Works in both of Django's worlds."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        request.csp_nonce = secrets.token_urlsafe(NONCE_BYTES)
        if iscoroutinefunction(self):
            return self._later(request)
        return self._with_policy(request, self.get_response(request))

    async def _later(self, request: HttpRequest) -> HttpResponse:
        return self._with_policy(request, await self.get_response(request))

    def _with_policy(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        response.headers.setdefault("Content-Security-Policy", policy(request))
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        response.headers.setdefault("Cache-Control", "private, no-cache")  # the nonce is for one answer
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response


def policy(request: HttpRequest) -> str:
    """The policy's text for one request. The socket's address is written out: not every browser
    takes `'self'` to mean ws: as well."""
    socket = ("wss://" if request.is_secure() else "ws://") + _host(request)
    rules = {
        "default-src": "'none'",
        "script-src": f"'nonce-{request.csp_nonce}'",
        "style-src": "'self'",
        "img-src": "'self'",
        "font-src": "'self'",
        "connect-src": f"'self' {socket}" if _host(request) else "'self'",
        "manifest-src": "'self'",
        "worker-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _host(request: HttpRequest) -> str:
    """The host as the request named it, if it is one of ours; a refused request has none."""
    from django.core.exceptions import DisallowedHost

    try:
        return request.get_host()
    except DisallowedHost:
        return ""
