"""Beginning a job: what was asked for, checked; its rows; a bell. Raises `Refused` with one sentence."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec
from django.db import transaction

from engine import RULES
from engine.commands import AnyCommand
from lessons.scenarios import library
from playground.rooms import limits
from playground.rooms.journal import Refused
from playground.runs import tasks
from playground.runs.models import Job, Portion, State
from playground.runs.work import wall_now_us

BELLS = 4
"""Workers woken by one job; each rings again as long as it finds work."""


class Wish(msgspec.Struct, frozen=True):
    """Runs of scenario `slug`: from the start, or behind `moment_us` of the run with `seed` and `entries`."""

    slug: str
    seed: int
    moment_us: int = 0
    entries: Sequence[tuple[int, AnyCommand]] = ()
    room: str = ""
    epoch: int = 0
    count: int = limits.RUNS_OF_A_JOB


def begin(wish: Wish, owner: str) -> Job:
    """A new job of the seat whose hash is `owner`, already rung for."""
    shipped = library().get(wish.slug)
    if shipped is None:
        raise Refused("no_room", "There is no scenario with this name.")
    if wish.moment_us >= shipped.scenario.length_us:
        raise Refused("run_over", "The run is over then: choose an earlier moment.")
    if not 1 <= wish.count <= limits.RUNS_OF_A_JOB:
        raise Refused("bad_arguments", f"A job has from 1 to {limits.RUNS_OF_A_JOB:,} runs.")
    with transaction.atomic():
        _make_place(owner)
        job = _insert(wish, owner)
    tasks.ring(BELLS)
    return job


def _make_place(owner: str) -> None:
    running = Job.objects.filter(state=State.RUNNING)
    if running.filter(owner=owner).count() >= limits.JOBS_OF_A_SEAT_MAX:
        raise Refused("too_many", limits.SEAT_HAS_JOBS)
    if running.count() >= limits.JOBS_RUNNING_MAX:
        raise Refused("too_many", limits.SITE_HAS_JOBS)
    surplus = Job.objects.count() - limits.JOBS_KEPT_MAX + 1
    if surplus > 0:
        ended = Job.objects.exclude(state=State.RUNNING).order_by("created_us", "id")
        Job.objects.filter(pk__in=list(ended.values_list("pk", flat=True)[:surplus])).delete()


def _insert(wish: Wish, owner: str) -> Job:
    entries = [(at_us, command) for at_us, command in wish.entries if at_us <= wish.moment_us]
    job = Job.objects.create(
        code=_new_code(), slug=wish.slug, rules=RULES, room=wish.room, epoch=wish.epoch,
        moment_us=wish.moment_us, seed=wish.seed, journal=msgspec.json.encode(entries).decode(),
        count=wish.count, owner=owner, created_us=wall_now_us(),
    )  # fmt: skip
    size = limits.PORTION_SEEDS
    Portion.objects.bulk_create(
        Portion(job=job, first=first, last=min(first + size - 1, wish.count))
        for first in range(1, wish.count + 1, size)
    )
    return job


def _new_code() -> str:
    """Hard to guess, easy to read aloud; two alike are not to be expected, and the table refuses them."""
    return "".join(secrets.choice(limits.CODE_ALPHABET) for _ in range(limits.CODE_CHARACTERS))
