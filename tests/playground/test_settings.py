"""One settings file: safe on one machine without a word, loud in production when a value is missing."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PRODUCTION = {
    "MAILROOM_PRODUCTION": "1",
    "MAILROOM_SECRET_KEY": "k" * 40 + "0123456789abcdefghij",
    "MAILROOM_HOSTS": "mailroom.example",
    "MAILROOM_ORIGINS": "https://mailroom.example",
    "MAILROOM_DATABASE": "/tmp/mailroom-test.sqlite3",
}


def check(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MAILROOM_")}
    return subprocess.run(
        [sys.executable, "manage.py", "check", *words], cwd=ROOT, capture_output=True, text=True,
        env={**clean, "MAILROOM_VAR": str(folder), **environment},
    )  # fmt: skip


def python(text: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MAILROOM_")}
    settings = {"MAILROOM_VAR": str(folder), "DJANGO_SETTINGS_MODULE": "playground.settings"}
    return subprocess.run(
        [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True,
        env={**clean, **settings, **environment},
    )  # fmt: skip


@pytest.mark.parametrize("name", [name for name in PRODUCTION if name != "MAILROOM_PRODUCTION"])
def test_in_production_a_missing_value_is_named(tmp_path: Path, name: str) -> None:
    environment = {key: value for key, value in PRODUCTION.items() if key != name}
    done = check(tmp_path, **environment)
    assert done.returncode != 0
    assert f"{name} must be set in production." in done.stderr


def test_production_has_no_warning_left(tmp_path: Path) -> None:
    done = check(tmp_path, "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert done.returncode == 0, done.stderr


def test_on_one_machine_the_secret_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    assert check(tmp_path).returncode == 0
    key = (tmp_path / "secret-key").read_text()
    assert len(key) > 50
    assert stat.S_IMODE((tmp_path / "secret-key").stat().st_mode) == 0o600
    assert check(tmp_path).returncode == 0
    assert (tmp_path / "secret-key").read_text() == key


PRAGMAS = """
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout"):
        print(name, *cursor.execute(f"PRAGMA {name}").fetchone())
print(connection.settings_dict["OPTIONS"]["transaction_mode"])
"""


def test_the_database_is_opened_so_that_writers_wait_and_nothing_confirmed_is_lost(tmp_path: Path) -> None:
    done = python(PRAGMAS, tmp_path)
    assert done.stdout.split("\n") == [
        "journal_mode wal", "synchronous 2", "foreign_keys 1", "busy_timeout 5000", "IMMEDIATE", "",
    ], done.stderr  # fmt: skip


def test_debug_is_off_unless_asked_for_and_never_on_in_production(tmp_path: Path) -> None:
    show = "from django.conf import settings; print('DEBUG', settings.DEBUG)"
    for environment, wanted in (
        ({}, "False"),
        ({"MAILROOM_DEBUG": "1"}, "True"),
        ({**PRODUCTION, "MAILROOM_DEBUG": "1"}, "False"),
    ):
        done = python(show, tmp_path, **environment)
        assert done.stdout.strip() == f"DEBUG {wanted}", done.stderr
