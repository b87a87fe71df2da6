"""The pages of mass runs: what they take, what they say, and that an outcome opens as the very run it is."""

from __future__ import annotations

import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import Client
from django.urls import get_resolver

from engine.commands import CrashConsumer, Reseed
from engine.outcomes import COUNTED, Past
from engine.simulation import Simulation
from lessons.scenarios import library
from playground import seats
from playground.rooms.hub import Hub
from playground.rooms.journal import Asked, Turn
from playground.runs import tasks, work
from playground.runs.models import Job, Result, State
from tests.playground.conftest import CONSUMER, SLUG, TOKEN, new_room
from tests.playground.fakes import Wall

pytestmark = pytest.mark.django_db(transaction=True)

SCENARIO = library()[SLUG].scenario


@pytest.fixture(autouse=True)
def no_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "ring", lambda times=1: None)
    work._pasts.clear()


@pytest.fixture
def client() -> Client:
    client = Client(enforce_csrf_checks=True, SERVER_NAME="localhost")
    client.cookies["mailroom_seat"] = TOKEN
    return client


def post(client: Client, path: str, **fields: Any) -> Any:
    html = client.get(f"/play/{SLUG}/").content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', html)
    assert token
    return client.post(path, {"csrfmiddlewaretoken": token[1], **fields})


def begun(client: Client, **fields: Any) -> Job:
    response = post(client, "/runs/", **fields)
    assert response.status_code == 303, response.content.decode()
    return Job.objects.get(code=response["Location"].split("/")[2])


def work_some(job: Job, count: int) -> None:
    """Makes it a job of `count` runs, and works it off."""
    Job.objects.filter(pk=job.pk).update(count=count)
    job.portions.exclude(first=1).delete()
    job.portions.update(last=count)
    while Job.objects.get(pk=job.pk).state == State.RUNNING:
        assert work.work("worker")
    job.refresh_from_db()


def said(response: Any) -> str:
    """The sentence of an error page."""
    found = re.search(r"<h1>[^<]*</h1>\s*<p>(.*?)</p>", response.content.decode(), re.S)
    assert found
    return found[1].replace("&#x27;", "'")


def test_the_button_of_a_scenario_begins_a_thousand_runs_from_the_start(client: Client) -> None:
    job = begun(client, slug=SLUG, room="", whence="start", now_us=5_000_000, epoch="")
    assert (job.slug, job.count, job.moment_us, job.seed) == (SLUG, 1_000, 0, SCENARIO.seed)
    assert job.owner == seats.owner_hash(TOKEN)


def test_a_browser_without_a_seat_gets_one(client: Client) -> None:
    del client.cookies["mailroom_seat"]
    response = post(client, "/runs/", slug=SLUG)
    token = response.cookies["mailroom_seat"].value
    assert Job.objects.get().owner == seats.owner_hash(token)


def test_from_a_recordings_moment_it_takes_the_recordings_seed(client: Client) -> None:
    job = begun(client, slug=SLUG, whence="now", now_us=5_000_000)
    assert (job.moment_us, job.seed, job.journal) == (5_000_000, SCENARIO.seed, "[]")


def room_with_a_crash(hub: Hub, wall: Wall) -> str:
    """A room in which a consumer was crashed at 6.3 s, in a branch with a seed of its own."""

    async def act() -> str:
        facts = await new_room(hub, 6_000_000)
        seat = seats.seat_in(TOKEN, facts.code)
        await hub.journal.turn(facts.code, Asked(seat, "s"), Turn("NewSeed", seed=77))
        await hub.journal.command(facts.code, Asked(seat, "c"), CrashConsumer(CONSUMER))
        return facts.code

    return async_to_sync(act)()


def test_from_a_rooms_moment_it_takes_the_rooms_seed_and_journal(
    client: Client, hub: Hub, wall: Wall
) -> None:
    code = room_with_a_crash(hub, wall)
    (entry,) = hub.journal.rooms[code].entries  # type: ignore[attr-defined]
    job = begun(client, slug=SLUG, room=code, whence="now", now_us=9_000_000)
    assert (job.seed, job.room, job.epoch) == (77, code, 1)
    assert work.entries_of(job) == [(entry.at_us, CrashConsumer(CONSUMER))]
    earlier = begun(client, room=code, whence="now", now_us=entry.at_us - 1)
    assert work.entries_of(earlier) == []


def test_from_a_rooms_start_it_is_the_scenario_that_runs(client: Client, hub: Hub, wall: Wall) -> None:
    job = begun(client, room=room_with_a_crash(hub, wall), whence="start", now_us=9_000_000)
    assert (job.slug, job.moment_us, job.journal) == (SLUG, 0, "[]")


@pytest.mark.parametrize(
    ("fields", "status", "sentence"),
    [
        ({"slug": "none-such"}, 404, "There is no scenario with this name."),
        ({}, 404, "There is no scenario with this name."),
        ({"room": "nosuchrm"}, 404, "There is no room with this code any more."),
        ({"slug": SLUG, "whence": "now", "now_us": SCENARIO.length_us}, 409, "The run is over then: choose an earlier moment."),
        ({"slug": SLUG, "whence": "never"}, 400, "A job begins at the start, or now."),
        ({"slug": SLUG, "now_us": -1}, 400, None),
        ({"slug": SLUG, "now_us": "soon"}, 400, None),
        ({"slug": SLUG, "now_us": "9" * 400}, 400, None),
        ({"slug": "x" * 81}, 400, None),
        ({"slug": SLUG, "count": 10**9}, 400, None),
    ],
)  # fmt: skip
def test_what_makes_no_sense_begins_nothing(
    client: Client, fields: Any, status: int, sentence: str | None
) -> None:
    response = post(client, "/runs/", **fields)
    assert response.status_code == status
    text = said(response)
    assert text == sentence if sentence else text.startswith("A job cannot be begun with this: ")
    assert text.endswith(".")
    assert not Job.objects.exists()


def test_while_it_runs_the_page_asks_again_and_shows_how_far_it_is(client: Client) -> None:
    job = begun(client, slug=SLUG)
    job.portions.filter(first=21).update(part=250)
    for path in (f"/runs/{job.code}/", f"/runs/{job.code}/now/"):
        html = client.get(path).content.decode()
        assert f'hx-get="/runs/{job.code}/now/"' in html
        assert 'max="1000000" value="250"' in html
        assert "Cancel" in html


def test_when_it_is_done_it_asks_no_more_and_every_number_can_be_read(client: Client) -> None:
    job = begun(client, slug=SLUG)
    work_some(job, 30)
    html = client.get(f"/runs/{job.code}/").content.decode()
    assert "All 30 runs are done." in html
    assert "hx-get" not in html
    assert "<script src" not in html, "nothing is left to fetch"
    section = re.search(r'<section class="outcome" id="of-p95_us".*?</section>', html, re.S)
    assert section
    cells = re.findall(r"<td>(\d+)</td><td>([\d.]+) %</td>", section[0])
    assert sum(int(runs) for runs, _ in cells) == 30
    assert len(re.findall(r'<button name="seed"', section[0])) == len(cells)


def test_only_its_owner_may_cancel_and_what_came_out_stays(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "TASK_S", 0)
    job = begun(client, slug=SLUG)
    work.work("worker")
    client.cookies["mailroom_seat"] = "x" * 32
    assert "Cancel" not in client.get(f"/runs/{job.code}/").content.decode()
    refused = post(client, f"/runs/{job.code}/cancel/")
    assert (refused.status_code, said(refused)) == (
        403,
        "Only the browser that began this job can cancel it.",
    )
    client.cookies["mailroom_seat"] = TOKEN
    assert post(client, f"/runs/{job.code}/cancel/").status_code == 303
    html = client.get(f"/runs/{job.code}/").content.decode()
    assert "Cancelled after 1 of 1,000 runs." in html
    assert not work.work("worker")


def test_a_failed_job_says_why(client: Client) -> None:
    job = begun(client, slug=SLUG)
    Job.objects.update(rules=0)
    work.work("worker")
    html = client.get(f"/runs/{job.code}/").content.decode()
    assert f"Stopped after 0 of 1,000 runs. {work.OTHER_RULES}" in html


def outcome_of_room(hub: Hub, code: str) -> dict[str, int]:
    """What the ledger counts at the end of a room's run, replayed from its facts and journal alone."""
    room = hub.journal.rooms[code]  # type: ignore[attr-defined]
    simulation = Simulation(SCENARIO, room.facts.seed)
    for entry in room.entries:
        simulation.apply_at(entry.at_us, entry.command, entry.n)
    while not simulation.advance(SCENARIO.length_us):
        pass
    return {name: simulation.totals()[name] for name in ("sent", *COUNTED)}


def opened(client: Client, job: Job, seed: int) -> str:
    response = post(client, f"/runs/{job.code}/open/", seed=seed)
    assert response.status_code == 303, response.content.decode()
    return str(response["Location"].split("/")[2])


@pytest.mark.parametrize("whence", ["start", "recording", "room"])
def test_an_outcome_opens_as_a_room_in_which_exactly_that_happens(
    client: Client, hub: Hub, wall: Wall, whence: str
) -> None:
    fields = {"start": {"slug": SLUG}, "recording": {"slug": SLUG, "whence": "now", "now_us": 7_000_000}}
    if whence == "room":
        fields["room"] = {"room": room_with_a_crash(hub, wall), "whence": "now", "now_us": 9_000_000}
    job = begun(client, **fields[whence])
    work_some(job, 6)
    for seed in (2, 6):
        code = opened(client, job, seed)
        facts = hub.journal.rooms[code].facts  # type: ignore[attr-defined]
        assert facts.owner == seats.owner_hash(TOKEN)
        stored = Result.objects.values("sent", *COUNTED).get(job=job, seed=seed)
        assert outcome_of_room(hub, code) == stored
        clock = async_to_sync(hub.journal.head)(code).clock
        assert clock.at(wall()) == job.moment_us


def test_a_room_of_an_outcome_has_the_whole_past_in_its_journal(client: Client, hub: Hub, wall: Wall) -> None:
    job = begun(client, room=room_with_a_crash(hub, wall), whence="now", now_us=9_000_000)
    work_some(job, 3)
    room = hub.journal.rooms[opened(client, job, 3)]  # type: ignore[attr-defined]
    crash, reseed = room.entries
    assert crash.command == CrashConsumer(CONSUMER)
    assert (reseed.at_us, reseed.command, reseed.n) == (9_000_000, Reseed(3), 2)
    past = Past(SCENARIO, job.seed, work.entries_of(job), job.moment_us)
    assert [entry[0] for entry in past.entries] == [crash.at_us]


@pytest.mark.parametrize("seed", ["", "0", "1001", "-1", "1.5", "x", "9" * 30, "²"])
def test_a_seed_that_the_job_does_not_have_opens_nothing(client: Client, hub: Hub, seed: str) -> None:
    job = begun(client, slug=SLUG)
    response = post(client, f"/runs/{job.code}/open/", seed=seed)
    assert (response.status_code, said(response)) == (400, "The runs of this job have the seeds 1 to 1,000.")
    assert not hub.journal.rooms  # type: ignore[attr-defined]


def test_outcomes_of_other_rules_are_not_opened(client: Client, hub: Hub) -> None:
    job = begun(client, slug=SLUG)
    Job.objects.update(rules=0)
    response = post(client, f"/runs/{job.code}/open/", seed=1)
    assert (response.status_code, said(response)) == (400, work.OTHER_RULES)


def test_no_get_changes_anything_and_no_post_goes_without_its_token(client: Client) -> None:
    job = begun(client, slug=SLUG)
    before = [list(model.objects.values()) for model in (Job, Result)]
    expected = {"begin-runs": 405, "runs": 200, "runs-now": 200, "cancel-runs": 405, "open-outcome": 405}
    for pattern in get_resolver().url_patterns:
        if pattern.name not in expected:
            continue
        path = "/" + str(pattern.pattern).replace("<str:code>", job.code)
        assert client.get(path).status_code == client.head(path).status_code == expected[pattern.name]
        assert client.post(path, {"slug": SLUG, "seed": 1}).status_code in (403, 405)
    assert [list(model.objects.values()) for model in (Job, Result)] == before


@pytest.mark.parametrize("path", ["/runs/nosuchjb/", "/runs/nosuchjb/now/"])
def test_a_job_that_is_not_there_is_said_so(client: Client, path: str) -> None:
    assert client.get(path).status_code == 404
