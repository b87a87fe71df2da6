"""Who works on what: a portion belongs to a worker until its lease runs out, and then to whoever takes it.

Every change of a lease is one UPDATE that names the lease it replaces, so two workers never hold the same
one, on any database. `now_us` is the wall time.
"""

from __future__ import annotations

from django.db.models import F, QuerySet

from playground.rooms.limits import LEASE_US, PORTION_TRIES_MAX
from playground.runs.models import Job, Portion, State

LOOKED_AT = 8
"""Portions tried for a lease before a worker says that there is nothing: others may be quicker."""


def free(now_us: int) -> QuerySet[Portion]:
    """Portions of running jobs that nobody works on, the job that has waited longest first."""
    waiting = Portion.objects.filter(done=False, lease_until_us__lt=now_us, job__state=State.RUNNING)
    return waiting.order_by("job__served_us", "id")


def take(worker: str, now_us: int) -> Portion | None:
    """A free portion, leased to `worker`; None when there is none."""
    for portion in free(now_us).select_related("job")[:LOOKED_AT]:
        held = Portion.objects.filter(pk=portion.pk, done=False, lease_until_us=portion.lease_until_us)
        leased = {"worker": worker, "lease_until_us": now_us + LEASE_US}
        if held.update(**leased, tries=F("tries") + 1):
            Job.objects.filter(pk=portion.job_id).update(served_us=now_us)
            portion.worker, portion.lease_until_us = worker, now_us + LEASE_US
            portion.tries += 1
            return portion
    return None


def renew(portion: Portion, now_us: int, part: int) -> bool:
    """The work goes on, `part` thousandths of a run are done and not stored yet. False when the lease was
    lost, or the job has ended."""
    mine = Portion.objects.filter(pk=portion.pk, worker=portion.worker)
    if not mine.update(lease_until_us=now_us + LEASE_US, part=part):
        return False
    return Job.objects.filter(pk=portion.job_id, state=State.RUNNING).exists()


def hand_back(portion: Portion, done: bool, fruitful: bool) -> None:
    """The lease ends before its time; the portion is finished, or free at once."""
    changes: dict[str, object] = {"worker": "", "lease_until_us": 0, "done": done, "part": 0}
    if fruitful:
        changes["tries"] = 0
    Portion.objects.filter(pk=portion.pk, worker=portion.worker).update(**changes)


def is_hopeless(portion: Portion) -> bool:
    """Whether it was tried so often without a result that the workers must be dying of it."""
    return portion.tries > PORTION_TRIES_MAX
