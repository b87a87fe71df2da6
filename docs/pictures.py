"""Makes the pictures of README.md from the real pages: `.venv/bin/python docs/pictures.py`. Needs Chromium.

Each shows a shipped page of a site of its own at a fixed moment, so the same commit gives the same picture.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.served import Served, served, until, visitor  # noqa: E402

STAGE = "document.querySelector('queue-stage')"
BYTES_MAX = 200_000
PICTURES = (
    # name, path, moment (µs), width, height, colour scheme
    ("home", "/", 9_300_000, 1280, 800, "light"),
    ("retry", "/play/retry-dlq/", 23_600_000, 1280, 800, "dark"),
    ("phone", "/play/fan-out/", 6_200_000, 390, 844, "light"),
)


def main() -> None:
    with served() as site:
        for name, path, moment_us, width, height, scheme in PICTURES:
            file = ROOT / "docs" / f"{name}.png"
            with visitor(viewport={"width": width, "height": height}, color_scheme=scheme) as page:
                take(page, site, path, moment_us, file)
            size = file.stat().st_size
            if size > BYTES_MAX:
                raise SystemExit(f"{file.name} has {size:,} bytes; {BYTES_MAX:,} are allowed")
            print(f"{file.relative_to(ROOT)}: {size:,} bytes")


def take(page: Any, site: Served, path: str, moment_us: int, file: Path) -> None:
    page.goto(site.url + path)
    until(page, f"{STAGE}?.furnished")
    page.evaluate(f"{STAGE}.pause(); {STAGE}.seek({moment_us})")
    until(page, f"{STAGE}.timeline.knows({moment_us})")
    page.evaluate(f"{STAGE}.seek({moment_us})")
    page.wait_for_timeout(1_500)
    page.screenshot(path=str(file))


if __name__ == "__main__":
    main()
