"""One task: take a portion, run its seeds for at most a second, store what came out, hand it back.

A run is a pure function of its job's row and its seed. So a result that two workers bring, because the
lease of one ran out, is the same twice, and the table keeps it once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

import msgspec
from django.db import transaction

from engine import RULES
from engine.commands import AnyCommand
from engine.errors import EndlessInstant, InvariantBroken, RunOver
from engine.outcomes import Outcome, Past, Run
from lessons.scenarios import library
from playground.rooms.limits import PULSE_S, TASK_S
from playground.runs import leases
from playground.runs.models import Job, Portion, Result, State

log = logging.getLogger("mailroom.runs")

OTHER_RULES = "This job was begun under other rules of the simulation: start it anew."
NO_SCENARIO = "The scenario of this job is not here any more."
ENDED_BEFORE = "The run is over before this moment: choose an earlier one."
HOPELESS = "Some of these runs could not be finished: their worker ended each time."
PASTS_KEPT = 4
"""Jobs whose common past a worker keeps."""


class Over(Exception):
    """This task must stop now: the job was cancelled, the lease is lost, or the worker is told to end."""


class JobFailed(Exception):
    """The job cannot go on; the text is the sentence why."""


def wall_now_us() -> int:
    return time.time_ns() // 1000


def entries_of(job: Job) -> list[tuple[int, AnyCommand]]:
    """The journal of the job's past."""
    return msgspec.json.decode(job.journal, type=list[tuple[int, AnyCommand]])


def work(worker: str, told_to_stop: Callable[[], bool] = lambda: False) -> bool:
    """One task of `worker` (a name nobody else has). Whether there was anything to do."""
    portion = leases.take(worker, wall_now_us())
    if portion is None:
        return False
    if leases.is_hopeless(portion):
        _fail(portion.job, HOPELESS)
        return True
    _Turn(portion, told_to_stop).work()
    return True


class _Turn:
    """A portion while one task works on it."""

    def __init__(self, portion: Portion, told_to_stop: Callable[[], bool]) -> None:
        self.portion = portion
        self.job = portion.job
        self.told_to_stop = told_to_stop
        self.begun = self.looked = time.monotonic()
        self.results: list[Result] = []
        self.run: Run | None = None

    def work(self) -> None:
        try:
            self._run_seeds()
        except Over:
            pass
        except JobFailed as failure:
            self._store()
            _fail(self.job, str(failure))
            return
        self._store()

    def _run_seeds(self) -> None:
        past = past_of(self.job, self._pulse)
        for seed in self._open_seeds():
            self._between_seeds()
            self.results.append(_row(self.job, seed, self._outcome(past, seed)))
            if time.monotonic() - self.begun >= TASK_S:
                break

    def _open_seeds(self) -> Iterator[int]:
        first, last = self.portion.first, self.portion.last
        have = set(self.job.results.filter(seed__range=(first, last)).values_list("seed", flat=True))
        return (seed for seed in range(first, last + 1) if seed not in have)

    def _outcome(self, past: Past, seed: int) -> Outcome:
        try:
            self.run = past.future(seed)
            while not self.run.work():
                self._pulse()
            return self.run.outcome()
        except RunOver:
            raise JobFailed(ENDED_BEFORE) from None
        except (InvariantBroken, EndlessInstant) as error:
            log.exception("job %s, seed %s", self.job.code, seed)
            raise JobFailed(f"The run with seed {seed} stopped: {error}") from None
        finally:
            self.run = None

    def _between_seeds(self) -> None:
        """Reading is cheap, so a cancellation is noticed at every seed."""
        if not Job.objects.filter(pk=self.job.pk, state=State.RUNNING).exists():
            raise Over
        self._pulse()

    def _pulse(self) -> None:
        """Between two slices of a run: every now and then, look."""
        if time.monotonic() - self.looked >= PULSE_S or self.told_to_stop():
            self._look()

    def _look(self) -> None:
        """Renew the lease; stop when there is a reason to."""
        part = len(self.results) * 1000
        if self.run is not None:
            simulation = self.run.simulation
            part += simulation.now_us * 1000 // simulation.scenario.length_us
        self.looked = time.monotonic()
        if self.told_to_stop() or not leases.renew(self.portion, wall_now_us(), part):
            raise Over

    def _store(self) -> None:
        with transaction.atomic():
            Result.objects.bulk_create(self.results, ignore_conflicts=True)
            done = next(self._open_seeds(), None) is None
            leases.hand_back(self.portion, done, fruitful=bool(self.results))
            if done and not self.job.portions.filter(done=False).exists():
                _end(self.job, State.DONE)


_pasts: dict[int, Past] = {}


def past_of(job: Job, pulse: Callable[[], None]) -> Past:
    """What all runs of a job have in common, played once a worker. Raises `JobFailed`."""
    if job.rules != RULES:
        raise JobFailed(OTHER_RULES)
    shipped = library().get(job.slug)
    if shipped is None:
        raise JobFailed(NO_SCENARIO)
    if job.pk not in _pasts:
        try:
            past = Past(shipped.scenario, job.seed, entries_of(job), job.moment_us, pulse)
        except RunOver:
            raise JobFailed(ENDED_BEFORE) from None
        while len(_pasts) >= PASTS_KEPT:
            del _pasts[next(iter(_pasts))]
        _pasts[job.pk] = past
    return _pasts[job.pk]


def _row(job: Job, seed: int, outcome: Outcome) -> Result:
    return Result(job=job, seed=seed, **msgspec.structs.asdict(outcome))


def _end(job: Job, state: State, problem: str = "") -> bool:
    """A running job ends, once. Whether it was this call that ended it."""
    running = Job.objects.filter(pk=job.pk, state=State.RUNNING)
    return bool(running.update(state=state, problem=problem, ended_us=wall_now_us()))


def _fail(job: Job, problem: str) -> None:
    _end(job, State.FAILED, problem)


def cancel(job: Job) -> bool:
    """Whoever works on it stops after the present slice. Whether it was still running."""
    return _end(job, State.CANCELLED)
