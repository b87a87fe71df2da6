"""Files that others made are the ones that VENDORED.md names, byte for byte, and there are no others."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FONT_BYTES_MAX = 103_000
ROW = re.compile(r"^\| ((?:static|tests)/vendor/\S+) \|.*\| ([0-9a-f]{64}) \|$", re.M)


def rows() -> dict[str, str]:
    return dict(ROW.findall((ROOT / "static/vendor/VENDORED.md").read_text(encoding="utf-8")))


def test_every_vendored_file_has_the_sum_that_is_written_down() -> None:
    sums = {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in rows()}
    assert sums == rows() and len(sums) >= 4


def test_nothing_lies_in_the_vendor_folders_that_is_not_written_down() -> None:
    lying = {
        path.relative_to(ROOT).as_posix()
        for folder in ("static/vendor", "tests/vendor")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in (".md", ".txt")
    }
    assert lying == set(rows())


def test_the_fonts_weigh_at_most_103_kilobytes() -> None:
    assert (
        0 < sum((ROOT / name).stat().st_size for name in rows() if name.endswith(".woff2")) <= FONT_BYTES_MAX
    )
