"""Pages for what went wrong, in a plain and helpful voice. They need no database and no script."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "error.html", {"status": 400, "title": "That did not make sense here"}, status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "error.html", {"status": 403, "title": "You may not do that"}, status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that did not come from one of our pages, or from one that has been open for very long."""
    context = {"status": 403, "title": "This form could not be checked",
               "advice": "Go back, reload the page and try again."}  # fmt: skip
    return render(request, "error.html", context, status=403)


def failed(request: HttpRequest) -> HttpResponse:
    """Rendered without the request's context: that may be what failed."""
    return HttpResponse(render_to_string("500.html"), status=500)
