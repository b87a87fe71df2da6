"""Which pages may open a socket here.

With MAILROOM_ORIGINS set, exactly those full origins (scheme, host and port): `AllowedHostsOriginValidator`
would let another port or scheme pass. Without it, as on one machine, only a page of the very address that
the socket asks. A client that sends no Origin at all is refused: browsers always send one.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from channels.security.websocket import OriginValidator, WebsocketDenier
from django.conf import settings
from django.http.request import validate_host

DEFAULT_PORTS = {"http": 80, "https": 443}


class OwnOrigins:
    """ASGI middleware: answers 403 unless the Origin header names a page that may talk to us."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.listed = OriginValidator(application, settings.ORIGINS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        headers = dict(scope.get("headers", []))
        if not well_formed(headers.get(b"origin", b"")):
            return await WebsocketDenier()(scope, receive, send)
        if settings.ORIGINS:
            return await self.listed(scope, receive, send)
        if same_address(headers[b"origin"], headers.get(b"host", b""), scope.get("scheme", "ws")):
            return await self.application(scope, receive, send)
        return await WebsocketDenier()(scope, receive, send)


def well_formed(origin: bytes) -> bool:
    """Whether it can be an origin at all; what cannot would make the validator raise."""
    try:
        urlsplit(origin.decode("ascii")).port  # noqa: B018
    except ValueError:
        return False
    return bool(origin)


def same_address(origin: bytes, host: bytes, scheme: str) -> bool:
    """Whether `origin` is a page of `host` (a Host header), which must be one of ours."""
    try:
        page, asked = urlsplit(origin.decode("ascii")), urlsplit("//" + host.decode("ascii"))
        page_port, asked_port = page.port, asked.port
    except ValueError:
        return False
    wanted = "https" if scheme == "wss" else "http"
    if page.scheme != wanted or page.hostname is None or page.hostname != asked.hostname:
        return False
    shown = f"[{asked.hostname}]" if ":" in (asked.hostname or "") else asked.hostname
    return (page_port or DEFAULT_PORTS[wanted]) == (asked_port or DEFAULT_PORTS[wanted]) and validate_host(
        shown, settings.ALLOWED_HOSTS
    )
