"""Pages: what they say, what they carry, and that none of them changes anything by being looked at."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver

from lessons.scenarios import gallery, library
from playground.rooms.history import recording_of
from playground.rooms.hub import Hub
from playground.rooms.past import past_of
from tests.playground.conftest import CONSUMER, SLUG, TOKEN, new_room
from tests.playground.fakes import Wall

PAGES = ["/", "/play/", *(f"/play/{slug}/" for slug in library())]


@pytest.fixture
def client() -> Client:
    return Client(enforce_csrf_checks=True, SERVER_NAME="localhost")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_a_title_a_language_landmarks_a_skip_link_and_one_heading(
    client: Client, path: str
) -> None:
    html = client.get(path).content.decode()
    assert '<html lang="en">' in html
    assert re.search(r"<title>[^<]{8,}</title>", html)
    for landmark in ("<header", "<nav", "<main", "<footer"):
        assert html.count(landmark) == 1
    assert '<a class="skip" href="#main">' in html
    assert html.count("<h1") == 1
    assert "{{" not in html
    assert "{%" not in html


@pytest.mark.parametrize("path", [*PAGES, "/nothing/here/", "/room/nosuchrm/", "/healthz"])
def test_every_answer_has_a_strict_policy_and_its_scripts_carry_the_nonce(client: Client, path: str) -> None:
    response = client.get(path)
    policy = dict(rule.strip().split(" ", 1) for rule in response["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in response["Content-Security-Policy"]
    nonce = re.fullmatch(r"'nonce-([\w-]{24})'", policy["script-src"])
    assert nonce
    for script in re.findall(r"<script([^>]*)>", response.content.decode()):
        assert f'nonce="{nonce[1]}"' in script or 'type="application/json"' in script
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["X-Frame-Options"] == "DENY"


def test_a_nonce_is_used_once(client: Client) -> None:
    assert client.get("/")["Content-Security-Policy"] != client.get("/")["Content-Security-Policy"]


def test_the_import_map_comes_before_any_module(client: Client) -> None:
    html = client.get("/").content.decode()
    assert 0 < html.index("importmap") < html.index("modulepreload") < html.index('type="module"')
    imports = json.loads(re.search(r'type="importmap"[^>]*>([^<]*)<', html)[1])["imports"]  # type: ignore[index]
    assert imports["mailroom/main.js"].startswith("/static/js/main")


def test_scenarios_are_listed_by_system(client: Client) -> None:
    html = client.get("/play/").content.decode()
    names = {"rabbitmq": "RabbitMQ", "kafka": "Kafka"}
    shelves = re.findall(r'<section class="shelf" aria-labelledby="(.+?)">(.+?)</section>', html, re.DOTALL)
    listed: list[str] = []
    for ident, shelf in shelves:
        assert f'<h2 id="{ident}">{names[ident]}</h2>' in shelf
        slugs = re.findall(r'href="/play/(.+?)/"', shelf)
        assert slugs and shelf.count("<h3>") == len(slugs)
        listed += slugs
        for slug in slugs:
            assert (type(gallery()[slug].scenario.system[0]).__name__ == "KafkaSystem") == (ident == "kafka")
    assert listed == list(gallery())


def test_the_first_chunk_stands_in_the_page(client: Client) -> None:
    html = client.get(f"/play/{SLUG}/").content.decode()
    chunk = json.loads(
        re.search(r'<script type="application/json" id="first-chunk">([^<]*)</script>', html)[1]  # type: ignore[index]
    )
    recording = recording_of(SLUG)
    assert chunk["digest"] == recording.chunks[0].digest
    assert (chunk["tick"], chunk["n"], chunk["first"], chunk["last"]) == (0, 400, 1, False)
    assert chunk["events"]


def test_nothing_in_a_chunk_can_leave_its_script_element() -> None:
    from playground.modules import for_script

    text = json.dumps({"name": "</script><script>alert(1)</script><!-- & \u2028"})
    safe = for_script(text)
    assert not set("<>&\u2028") & set(safe)
    assert json.loads(safe) == json.loads(text)


@pytest.mark.parametrize("slug", list(library()))
def test_chunks_are_served_for_ever_under_their_digest_and_follow_each_other(
    client: Client, slug: str
) -> None:
    tick, number = 0, 1
    addresses = recording_of(slug).addresses()
    for address in addresses:
        packed = client.get(address, headers={"accept-encoding": "gzip"})
        assert packed["Cache-Control"] == "public, max-age=31536000, immutable"
        assert packed["Content-Encoding"] == "gzip"
        plain = client.get(address).content
        assert gzip.decompress(packed.content) == plain
        chunk = json.loads(plain)
        assert (chunk["tick"], chunk["first"]) == (tick, number)
        assert bool(chunk["state"]) is (tick > 0)
        assert chunk["last"] is (address == addresses[-1])
        tick += chunk["n"]
        number += len(chunk["events"])
    assert tick * 25_000 == library()[slug].scenario.length_us


def test_a_chunk_under_another_digest_is_not_there(client: Client) -> None:
    address = recording_of(SLUG).addresses()[0]
    for wrong in (address.replace("/0/", "/1/"), address.replace(".json", "0.json"),
                  address.replace("/0/", "/99/"), address.replace(SLUG, "no-such")):  # fmt: skip
        assert client.get(wrong).status_code == 404


def test_what_is_not_there_is_said_in_plain_words(client: Client) -> None:
    for path in ("/nothing/", "/play/no-such/", "/room/nosuchrm/", "/room/../x/"):
        response = client.get(path)
        assert response.status_code == 404
        assert "There is nothing at this address." in response.content.decode()


def test_another_host_is_refused_in_plain_words_and_writes_no_log(client: Client, caplog: Any) -> None:
    response = client.get("/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert "That did not make sense here." in response.content.decode()
    assert "evil" not in response.content.decode() + response["Content-Security-Policy"]
    assert not caplog.records


def test_what_breaks_is_said_in_plain_words(client: Client, monkeypatch: Any) -> None:
    from playground import views

    def broken() -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(views.scenarios, "home", broken)
    client.raise_request_exception = False
    response = client.get("/")
    assert response.status_code == 500
    assert "Something broke on our side." in response.content.decode()
    assert "secret detail" not in response.content.decode()


def test_a_page_of_what_broke_needs_nothing_that_may_have_broken(client: Client, monkeypatch: Any) -> None:
    from playground import errors, views

    def broken(*_: Any) -> str:
        raise ValueError("Missing staticfiles manifest entry")

    # Given that neither the page nor the addresses of its style sheets can be made
    monkeypatch.setattr(views.scenarios, "home", broken)
    monkeypatch.setattr(errors, "static", broken)
    client.raise_request_exception = False
    response = client.get("/")
    # Then the page still says what it has to, under the same policy
    html = response.content.decode()
    assert response.status_code == 500
    assert "<h1>Something broke on our side.</h1>" in html and "stylesheet" not in html
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_a_method_that_an_address_does_not_take_is_answered_with_a_page(client: Client) -> None:
    response = client.get("/room/open/")
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert "<h1>This address cannot be used that way.</h1>" in response.content.decode()


def test_a_form_that_makes_no_sense_is_answered_with_a_page_and_a_script_with_json(
    client: Client, hub: Hub
) -> None:
    token = token_of_page(client)
    form = client.post(
        "/room/open/", {"slug": "no-such", "now_us": "0", "id": "a", "csrfmiddlewaretoken": token}
    )
    assert form.status_code == 404 and "<h1>That could not be done.</h1>" in form.content.decode()
    assert post(client, opening(slug="no-such")).json()["error"]


def test_while_the_database_is_away_a_room_says_so_on_a_page(
    client: Client, hub: Hub, monkeypatch: Any
) -> None:
    from playground.rooms.journal import JournalGone

    async def away(code: str) -> Any:
        raise JournalGone

    monkeypatch.setattr(hub.journal, "facts", away)
    response = client.get("/room/abcdefgh/")
    assert response.status_code == 503
    assert "<h1>The rooms cannot be read just now.</h1>" in response.content.decode()


def test_the_offline_page_is_the_same_for_everybody_and_its_worker_names_what_it_looks_like(
    client: Client,
) -> None:
    # Given a browser that has chosen a theme and holds a seat
    plain = client.get("/offline/").content
    client.cookies["theme"] = "dark"
    assert client.get("/offline/").content == plain
    # When its worker asks what to keep
    answer = client.get("/sw.js")
    assert answer["Content-Type"].startswith("text/javascript") and "no-cache" in answer["Cache-Control"]
    kept = json.loads(re.search(r"KEPT = (.*);", answer.content.decode())[1])  # type: ignore[index]
    # Then that is every sheet and picture of the page and the fonts that the sheets name, and no page but that one
    named = re.findall(r'(?:href)="(/static/[^"]+)"', plain.decode())
    assert named and set(named) <= set(kept)
    assert all(address.startswith("/static/") for address in kept)
    assert sum(address.endswith(".woff2") for address in kept) == 3
    assert "worker-src 'self'" in client.get("/")["Content-Security-Policy"]


def opening(**more: Any) -> str:
    fields = {"slug": SLUG, "now_us": 5_000_000, "id": "first", "cmd": "CrashConsumer",
              "args": {"consumer": CONSUMER}, **more}  # fmt: skip
    return json.dumps({name: value for name, value in fields.items() if value is not None})


def token_of_page(client: Client) -> str:
    html = client.get(f"/play/{SLUG}/").content.decode()
    return str(re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', html)[1])  # type: ignore[index]


def post(client: Client, body: str, token: str | None = None) -> Any:
    headers = {"X-CSRFToken": token_of_page(client) if token is None else token}
    return client.post("/room/open/", body, content_type="application/json", headers=headers)


async def test_the_first_command_opens_a_room_whose_owner_is_this_browser(hub: Hub, wall: Wall) -> None:
    from asgiref.sync import sync_to_async

    client = Client(enforce_csrf_checks=True, SERVER_NAME="localhost")
    response = await sync_to_async(post)(client, opening())
    assert response.status_code == 201
    answer = response.json()
    assert answer["url"] == f"/room/{answer['room']}/"
    entries = await hub.journal.entries(answer["room"], 0, 0)
    assert [entry.at_us for entry in entries] == [5_300_000]
    page = (await sync_to_async(client.get)(answer["url"])).content.decode()
    assert 'data-role="owner"' in page
    stranger = await sync_to_async(Client(SERVER_NAME="localhost").get)(answer["url"])
    assert 'data-role="viewer"' in stranger.content.decode()
    cookie = client.cookies["mailroom_seat"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


async def test_a_recording_that_stood_opens_a_room_that_stands(hub: Hub) -> None:
    from asgiref.sync import sync_to_async

    client = Client(enforce_csrf_checks=True, SERVER_NAME="localhost")
    response = await sync_to_async(post)(client, opening(rate=0))
    entries = await hub.journal.entries(response.json()["room"], 0, 0)
    assert entries[0].at_us == 5_000_000


def test_a_form_opens_a_room_too(client: Client) -> None:
    fields = {"slug": SLUG, "now_us": "0", "csrfmiddlewaretoken": token_of_page(client)}
    response = client.post("/room/open/", fields)
    assert response.status_code == 303
    assert client.get(response["Location"]).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (opening(slug="no-such"), 404),
        (opening(cmd="Fly"), 400),
        (opening(cmd="Play"), 400),
        (opening(args={"consumer": 1}), 400),
        (opening(now_us=-1), 400),
        (opening(now_us="x"), 400),
        (opening(now_us=60_000_000), 409),
        (opening(rate=3), 400),
        (opening(seed=-1), 400),
        (opening(more=1), 400),
        ("{", 400),
        ("[" * 5000, 400),
        ('{"slug":"\\ud800"}', 400),
        ("", 400),
    ],
)
def test_what_makes_no_sense_opens_no_room(client: Client, hub: Hub, body: str, status: int) -> None:
    response = post(client, body)
    assert response.status_code == status
    assert response.json()["text"].endswith(".")
    assert not hub.journal.rooms  # type: ignore[attr-defined]


def test_a_post_without_its_token_is_refused(client: Client, hub: Hub) -> None:
    for token in ("", "x" * 32):
        response = post(client, opening(), token)
        assert response.status_code == 403
        assert "could not be checked" in response.content.decode()
    assert not hub.journal.rooms  # type: ignore[attr-defined]


async def test_no_get_changes_anything(hub: Hub, wall: Wall) -> None:
    from asgiref.sync import sync_to_async

    facts = await new_room(hub, sim_us=10_000_000)
    before = repr(vars(hub.journal.rooms[facts.code]))  # type: ignore[attr-defined]
    client = Client(SERVER_NAME="localhost")
    client.cookies["mailroom_seat"] = TOKEN
    paths = {
        "home": "/", "play": "/play/", "play-one": f"/play/{SLUG}/",
        "chunk": recording_of(SLUG).addresses()[0], "open-room": "/room/open/",
        "room": f"/room/{facts.code}/", "healthz": "/healthz", "offline": "/offline/",
        "offline-worker": "/sw.js", "room-history": f"/history/room/{facts.code}/0/",
        "room-chunk": (await past_of(hub.journal, facts.code, 0)).addresses()[0],
    }  # fmt: skip
    others = {"begin-runs", "runs", "runs-now", "cancel-runs", "open-outcome"}  # tests/playground/runs/
    others |= {"lessons", "lesson", "lesson-act", "lesson-goal", "quiz", "quiz-next", "question", "moment", "run-chunk",
               "progress", "progress-link", "carry", "progress-export", "progress-delete"}  # tests/playground/learn/  # fmt: skip
    named = {pattern.name for pattern in get_resolver().url_patterns}
    assert named == set(paths) | others, "every address is looked at here"
    for name, path in paths.items():
        for method in ("get", "head"):
            response = await sync_to_async(getattr(client, method))(path)
            assert response.status_code == (405 if name == "open-room" else 200)
    wall.pass_ms(1000)
    assert list(hub.journal.rooms) == [facts.code]  # type: ignore[attr-defined]
    assert repr(vars(hub.journal.rooms[facts.code])) == before  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", [p for p in PAGES if p != "/room/open/"])
def test_a_page_takes_no_post(client: Client, path: str) -> None:
    token = token_of_page(client)
    assert client.post(path, headers={"X-CSRFToken": token}).status_code == 405


@pytest.mark.parametrize(("cookie", "written"), [("dark", ' data-theme="dark"'), ("light", ' data-theme="light"'),
                                                 ("", ""), ('"><script>', ""), ("DARK", "")])  # fmt: skip
def test_a_chosen_theme_stands_in_the_page_and_nothing_else_does(
    client: Client, cookie: str, written: str
) -> None:
    client.cookies["theme"] = cookie
    assert f'<html lang="en"{written}>' in client.get("/").content.decode()
