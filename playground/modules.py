"""The import map: which address each of the browser's modules has today.

A module `static/js/scene/clock.js` is imported as "mailroom/scene/clock.js". The names are resolved here
and not by relative paths, because the addresses of collected files contain their digests.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.safestring import SafeString

PREFIX = "mailroom/"
ENTRY = "main.js"
"""static/js/main.js is the page's one entry; without it a page has no script at all."""

THEMES = ("light", "dark")

LAZY = ("lazy/", "vendor/")
"""Modules of these folders are fetched when they are imported, not ahead."""

KAFKA = ("kafka/", "stream/kafka-")
"""What only a stage with a Kafka cluster needs, and then before its first picture."""

RABBITMQ = ("view/layout.js", "view/nodes.js", "view/positions.js")
"""What a stage with nothing but a cluster can do without."""


def modules(request: HttpRequest) -> dict[str, Any]:
    """Context of every page: `import_map` (JSON for the script element), `module_urls`, `kafka_urls` (those
    for a stage with a cluster), `rabbitmq_urls` (those for any other), `entry_url`, and `theme`: "light" or
    "dark" when somebody has chosen, else "" (the system's)."""
    names = module_names()
    addresses = {PREFIX + name: static(f"js/{name}") for name in names}
    return {
        "theme": theme_of(request),
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "import_map": for_script(json.dumps({"imports": addresses}, separators=(",", ":"))),
        "module_urls": [
            addresses[PREFIX + name] for name in names if not name.startswith(LAZY + KAFKA + RABBITMQ)
        ],
        "rabbitmq_urls": [addresses[PREFIX + name] for name in names if name.startswith(RABBITMQ)],
        "kafka_urls": [addresses[PREFIX + name] for name in names if name.startswith(KAFKA)],
        "entry_url": addresses.get(PREFIX + ENTRY, ""),
    }


def theme_of(request: HttpRequest) -> str:
    """The theme that the browser's cookie asks for; whatever else it says counts as nothing."""
    chosen = request.COOKIES.get("theme", "")
    return chosen if chosen in THEMES else ""


def module_names() -> list[str]:
    """All modules under static/js as `folder/name.js`, sorted. Read anew while files may be edited."""
    return list(_collected()) if settings.STATIC_COLLECTED else _lying_there()


@functools.cache
def _collected() -> tuple[str, ...]:
    """What was collected, and nothing that has been added to the folder since."""
    names = staticfiles_storage.hashed_files
    return tuple(sorted(name[3:] for name in names if name.startswith("js/") and name.endswith(".js")))


def _lying_there() -> list[str]:
    folder = Path(settings.STATICFILES_DIRS[0]) / "js"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.js"))


def for_script(text: str) -> SafeString:
    """JSON that may stand inside a script element: it can neither end it nor open a comment."""
    return SafeString(
        text.replace("&", "\\u0026").replace("<", "\\u003C").replace(">", "\\u003E")
        .replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )  # fmt: skip
