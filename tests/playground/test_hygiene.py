"""What holds at every address there is and at each that comes: they are read from the URL configuration.

A GET changes nothing. What changes something is a POST, and only from a page of ours: without its token, or
from another origin, it is refused and without effect.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import URLResolver, get_resolver

from lessons.answers import right_answer
from lessons.catalogue import catalogue
from lessons.items import PlaceItem
from lessons.scenarios import library
from playground.learn import pictures
from playground.rooms import hub as hubs
from playground.rooms.database import DatabaseJournal
from playground.rooms.history import Recording, recording_of
from playground.rooms.hub import Hub
from playground.rooms.journal import Mark
from playground.runs import tasks, work
from playground.runs.models import Job, Portion
from tests.playground.conftest import CONSUMER, SLUG
from tests.playground.fakes import Wall

pytestmark = pytest.mark.django_db(transaction=True)

LESSONS = Path(__file__).resolve().parents[2] / "lessons" / "content"
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
ADDRESSES_MAX = 3
"""Tried of each route."""

WRITING = ("post", "put", "patch", "delete")
BODIES: dict[str, dict[str, Any]] = {
    "a form": {"data": {"slug": SLUG, "whence": "start", "seed": "1"}},
    "JSON": {"data": json.dumps({"slug": SLUG}), "content_type": "application/json"},
}
FOREIGN = ("https://localhost", "http://localhost:8001", "http://localhost.evil.example",
           "http://evil.example", "http://sub.localhost", "null", "file://", "http://localhost@evil.example")  # fmt: skip


def _routes(patterns: Any, before: str) -> Iterator[str]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from _routes(one.url_patterns, before + str(one.pattern))
        else:
            yield before + str(one.pattern)


ROUTES = sorted(set(_routes(get_resolver().url_patterns, "/")))


class Site:
    """A site in which there is something: a room with a command in it, 25 s shown; a job that has ended and
    one that runs; and a browser whose they are."""

    def __init__(self, wall: Wall) -> None:
        self.browser = Client(SERVER_NAME="localhost")
        answer = self.post("/room/open/", {"slug": SLUG, "now_us": 25_000_000, "cmd": "CrashConsumer",
                                           "args": {"consumer": CONSUMER}})  # fmt: skip
        self.room = answer.json()["room"]
        self.owner = self.browser.cookies["mailroom_seat"].value
        wall.pass_ms(60_000)
        for count in (3, 1_000):
            self.browser.post("/runs/", {"slug": SLUG, "whence": "start"})
            job = Job.objects.latest("id")
            if count == 3:
                Job.objects.filter(pk=job.pk).update(count=count)
                Portion.objects.filter(job=job).exclude(first=1).delete()
                Portion.objects.filter(job=job).update(last=count)
                while work.work("worker"):
                    pass
        item, run = self.learn()
        past = self.browser.get(f"/history/room/{self.room}/0/").json()["chunks"]
        chunk = recording_of(SLUG).chunks[0]
        lessons = {folder.name.split("-", 1)[1] for folder in LESSONS.iterdir() if folder.is_dir()}
        self.values: dict[str, list[str]] = {
            "slug": [SLUG, *sorted(lessons), *sorted(library())],
            "code": [self.room, *Job.objects.values_list("code", flat=True)],
            "epoch": ["0"], "n": ["0"],
            "digest": [chunk.digest, past[0].split("/")[-1].removesuffix(".json"), run.chunks[0].digest],
            "what": ["predict", "again"], "name": [item.id, run.name.removeprefix("run/")], "seed": [str(item.seed)],
            "token": [self.link],
        }  # fmt: skip
        """By the name of a parameter: what stands for something that is there, in some address."""

    def learn(self) -> tuple[PlaceItem, Recording]:
        """Begins a lesson, answers a question about a picture and makes a link. The question, and its run."""
        lesson = next(iter(catalogue().lessons.values()))
        form = {"key": "the key of some form"}
        self.browser.post(f"/lessons/{lesson.slug}/predict/", {**form, "option": lesson.predict.option[0].id})
        self.browser.post(f"/lessons/{lesson.slug}/stop/", {**form, "stop": "0"})
        item = next(item for item in lesson.items if isinstance(item, PlaceItem))
        self.browser.post(
            f"/quiz/{item.id}/{item.seed}/", {**form, "answer": str(right_answer(item, item.seed))}
        )
        page = self.browser.post("/progress/link/").content.decode()
        found = re.search(r"/progress/carry/([\w-]+)/", page)
        assert found
        self.link = found[1]
        return item, pictures.of_item(item, item.seed, pictures.BEFORE)

    def post(self, path: str, data: Any) -> Any:
        return self.browser.post(path, json.dumps(data), content_type="application/json")

    def addresses(self, route: str) -> list[str]:
        """The addresses of a route that name something."""
        names = PARAMETER.findall(route)
        unknown = [name for name in names if name not in self.values]
        assert not unknown, f"{route}: give an example of {unknown[0]!r} in Site.values"
        found = []
        for values in itertools.product(*(self.values[name] for name in names)):
            rest = iter(values)
            found.append(PARAMETER.sub(lambda _: next(rest), route))  # noqa: B023
        there = list(
            itertools.islice(
                (one for one in found if self.browser.get(one).status_code != 404), ADDRESSES_MAX
            )
        )
        assert there, f"{route}: no address of it names anything: {found[:5]}"
        return there


def everything() -> dict[str, list[Any]]:
    """All rows of all tables."""
    return {
        model._meta.label: sorted(model._default_manager.values_list(), key=repr)
        for model in apps.get_models()
    }


@pytest.fixture
def site(hub: Hub, wall: Wall, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(tasks, "ring", lambda times=1: None)
    work._pasts.clear()
    hub.journal = hub.gate.journal = journal = DatabaseJournal(wall, wall.steady)
    yield Site(wall)
    journal.close()


def test_the_site_of_these_tests_has_a_row_in_every_table_that_addresses_can_reach(site: Site) -> None:
    journal = hubs.the_hub().journal
    assert isinstance(journal, DatabaseJournal)
    journal._mark([Mark(site.room, 0, 199, "ab" * 16)], hubs.the_hub().rules)
    empty = {label for label, rows in everything().items() if not rows}
    assert empty <= {"playground.ClockEntry"}


def test_a_get_changes_nothing(site: Site) -> None:
    rooms = set(hubs.the_hub().rooms)
    stranger = Client(SERVER_NAME="localhost")
    for route in ROUTES:
        before = everything()
        for address in site.addresses(route):
            for client in (site.browser, stranger):
                for answer in (client.get(address), client.head(address), client.options(address)):
                    assert answer.status_code < 500, address
                    assert set(answer.cookies) <= {"csrftoken"}, address
                client.get(address, {"slug": SLUG, "seed": "1", "cmd": "CrashConsumer", "cancel": "1"})
        assert everything() == before, route
        assert set(hubs.the_hub().rooms) == rooms, route


def test_what_writes_needs_the_token_of_a_page_of_ours(site: Site) -> None:
    strict = Client(SERVER_NAME="localhost", enforce_csrf_checks=True)
    strict.cookies["mailroom_seat"] = site.owner
    strict.get("/play/fan-out/")  # the cookie of a page, without the token that stands in the page
    for route in ROUTES:
        before = everything()
        for address, method, body in itertools.product(site.addresses(route), WRITING, BODIES.values()):
            answer = getattr(strict, method)(address, **body)
            assert answer.status_code == 403, (method, address)
            assert "Traceback" not in answer.content.decode()
        assert everything() == before, route


def test_a_token_is_of_no_use_to_other_origins(site: Site) -> None:
    strict, token = with_a_token(site)
    for route in ROUTES:
        before = everything()
        for address, origin in itertools.product(site.addresses(route), FOREIGN):
            fields = {**BODIES["a form"]["data"], "csrfmiddlewaretoken": token}
            answer = strict.post(address, fields, headers={"origin": origin})
            assert answer.status_code == 403, (origin, address)
        assert everything() == before, route


def test_every_answer_keeps_foreign_script_and_foreign_frames_out(site: Site) -> None:
    """Also what is refused, not found, or no page at all."""
    strict = Client(SERVER_NAME="localhost", enforce_csrf_checks=True)
    for route in ROUTES:
        address = site.addresses(route)[0]
        for answer in (site.browser.get(address), strict.post(address), strict.get(address + "nothing/here")):
            policy = answer["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'") and "unsafe" not in policy, address
            assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy, address
            assert (answer["X-Content-Type-Options"], answer["X-Frame-Options"]) == ("nosniff", "DENY"), (
                address
            )
            assert answer["Referrer-Policy"] == answer["Cross-Origin-Opener-Policy"] == "same-origin", address
            assert answer["Cross-Origin-Resource-Policy"] == "same-origin" and answer["Permissions-Policy"], (
                address
            )
            assert "Access-Control-Allow-Origin" not in answer, address
            for cookie in answer.cookies.values():
                assert cookie["httponly"] and cookie["samesite"] == "Lax", address


def test_with_the_token_the_same_posts_are_heard(site: Site) -> None:
    """Else the two tests above could not fail."""
    strict, token = with_a_token(site)
    heard = []
    for route in ROUTES:
        fields = {**BODIES["a form"]["data"], "csrfmiddlewaretoken": token}
        for address in site.addresses(route)[:1]:
            answer = strict.post(address, fields, headers={"origin": "http://localhost"})
            assert answer.status_code != 403 and answer.status_code < 500, address
            heard += [route] if answer.status_code != 405 else []
    assert set(heard) >= {"/room/open/", "/runs/", "/runs/<str:code>/cancel/", "/runs/<str:code>/open/"}


def with_a_token(site: Site) -> tuple[Client, str]:
    """A browser that has loaded a page, and the token in it."""
    client = Client(SERVER_NAME="localhost", enforce_csrf_checks=True)
    client.cookies["mailroom_seat"] = site.owner
    found = re.search(
        r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(f"/play/{SLUG}/").content.decode()
    )
    assert found
    return client, found[1]
