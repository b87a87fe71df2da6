"""Pages for what went wrong, in a plain and helpful voice. They need no database and no script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.templatetags.static import static

from playground.modules import theme_of

SHEETS = ("css/mailroom.css", "css/stage.css")
ICON = "img/icon.svg"
BY_LINK = "Pages here are opened by their links. Go back, or begin again."


def page_for(request: HttpRequest, status: int, title: str, advice: str = "") -> HttpResponse:
    """Says in one sentence what is in the way (`title`, without its full stop), and what helps."""
    return render(request, "error.html", {"title": title, "advice": advice}, status=status)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page_for(request, 400, "That did not make sense here")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page_for(request, 403, "You may not do that")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that did not come from one of our pages, or from one that has been open for very long."""
    return page_for(request, 403, "This form could not be checked", "Go back, reload the page and try again.")


def failed(request: HttpRequest) -> HttpResponse:
    """Rendered without the request's context: that may be what failed."""
    context = {**looks(), "theme": theme_of(request)}
    return HttpResponse(render_to_string("500.html", context), status=500)


def looks() -> dict[str, object]:
    """Where `sheets` and `icon` are; nothing where nobody knows: a page without them says what it has to."""
    try:
        return {"sheets": [static(name) for name in SHEETS], "icon": static(ICON)}
    except ValueError:
        return {"sheets": [], "icon": ""}


class ErrorPageMiddleware:
    """Gives a refused method a page: Django answers it with a status and nothing to read."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        if iscoroutinefunction(self):
            return self._later(request)
        return _with_page(request, self.get_response(request))

    async def _later(self, request: HttpRequest) -> HttpResponse:
        return _with_page(request, await self.get_response(request))


def _with_page(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if response.status_code != 405 or response.streaming or response.content or request.method == "HEAD":
        return response
    page = page_for(request, 405, "This address cannot be used that way", BY_LINK)
    page["Allow"] = response["Allow"]
    return page
