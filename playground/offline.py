"""The page that a browser shows when the site cannot be reached, and the service worker that keeps it there.

The worker keeps that page, its style sheets and fonts under a name that holds their digest; it keeps nothing
else and answers from there only when the network does not.
"""

from __future__ import annotations

import json
from hashlib import blake2b

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

from playground.errors import ICON, SHEETS, looks
from playground.modules import for_script

FONTS = tuple(f"vendor/fonts/{name}.woff2" for name in ("source-serif-4", "atkinson-next", "atkinson-mono"))


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The same for everybody: what one browser has chosen must not be kept for ever."""
    return HttpResponse(_page())


@require_safe
def worker(request: HttpRequest) -> HttpResponse:
    """`/sw.js`: at the root, so that it may answer for every address. Another version is another text."""
    kept = [static(name) for name in (*SHEETS, ICON, *FONTS)]
    version = blake2b(json.dumps([_page(), kept]).encode(), digest_size=6).hexdigest()
    context = {
        "version": version, "page": for_script(reverse("offline")), "kept": for_script(json.dumps(kept)),
    }  # fmt: skip
    return render(request, "sw.js", context, content_type="text/javascript; charset=utf-8")


def _page() -> str:
    return render_to_string("offline.html", looks())
