"""Jobs in the database: leases, turns, ends. Workers are called by hand here, one task at a time."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections

from engine.commands import CrashConsumer
from engine.errors import InvariantBroken
from engine.outcomes import Past, Run
from lessons.scenarios import library
from playground.rooms import limits
from playground.rooms.journal import Refused
from playground.runs import jobs, leases, tasks, work
from playground.runs.jobs import Wish
from playground.runs.models import Job, Portion, Result, State

pytestmark = pytest.mark.django_db(transaction=True)

SLUG = "fan-out"


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the bell was rung, in place of a broker."""
    bells: list[int] = []
    monkeypatch.setattr(tasks, "ring", lambda times=1: bells.append(times))
    work._pasts.clear()
    return bells


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A wall clock that stands until it is told otherwise."""

    class Now:
        us = 1_000_000_000

    monkeypatch.setattr(work, "wall_now_us", lambda: Now.us)
    return Now


def begin(count: int = 30, owner: str = "me", **wish: Any) -> Job:
    return jobs.begin(Wish(SLUG, library()[SLUG].scenario.seed, count=count, **wish), owner)


def state_of(job: Job) -> str:
    return Job.objects.get(pk=job.pk).state


def seeds_of(job: Job) -> list[int]:
    return sorted(job.results.values_list("seed", flat=True))


def work_off(job: Job) -> None:
    while state_of(job) == State.RUNNING:
        assert work.work("worker")


def test_a_job_is_worked_off_each_seed_once(rung: list[int]) -> None:
    job = begin(45)
    assert rung == [jobs.BELLS]
    assert list(job.portions.values_list("first", "last")) == [(1, 20), (21, 40), (41, 45)]
    work_off(job)
    assert state_of(job) == State.DONE
    assert seeds_of(job) == list(range(1, 46))
    assert not work.work("worker"), "nothing is left to do"


def test_a_task_ends_after_its_time_and_another_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "TASK_S", 0)
    job = begin(3)
    work.work("worker")
    assert seeds_of(job) == [1]
    work.work("another")
    assert seeds_of(job) == [1, 2]
    work_off(job)
    assert seeds_of(job) == [1, 2, 3]


def test_a_result_is_the_outcome_of_a_run_with_its_seed() -> None:
    job = begin(2)
    work_off(job)
    run = Past(library()[SLUG].scenario, 7, [], 0).future(2)
    while not run.work():
        pass
    stored = Result.objects.values().get(job=job, seed=2)
    outcome = run.outcome()
    assert {name: stored[name] for name in outcome.__struct_fields__} == {
        name: getattr(outcome, name) for name in outcome.__struct_fields__
    }


def test_a_job_from_a_moment_has_the_journal_up_to_it_and_no_further() -> None:
    entries = [(5_000_000, CrashConsumer("email worker")), (30_000_000, CrashConsumer("billing worker"))]
    job = begin(3, moment_us=10_000_000, entries=entries)
    assert work.entries_of(job) == entries[:1]
    work_off(job)
    untouched = begin(3, moment_us=10_000_000)
    work_off(untouched)

    def p95(of: Job) -> list[int]:
        return list(of.results.order_by("seed").values_list("p95_us", flat=True))

    assert p95(job) != p95(untouched), "the crash is in the past of each"


def test_two_workers_never_hold_the_same_portion(now: Any) -> None:
    job = begin(40)
    first, second = leases.take("a", now.us), leases.take("b", now.us)
    assert first is not None
    assert second is not None
    assert (first.first, second.first) == (1, 21)
    assert leases.take("c", now.us) is None
    assert job.portions.filter(worker="").count() == 0


def test_many_at_once_take_each_portion_once(now: Any) -> None:
    begin(limits.PORTION_SEEDS * 6)
    taken: list[int] = []

    def take_all(name: str) -> None:
        while (portion := leases.take(name, now.us)) is not None:
            taken.append(portion.pk)
        connections.close_all()

    threads = [threading.Thread(target=take_all, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(set(taken))
    assert len(taken) == 6


def test_a_lease_that_ran_out_is_free_again_and_what_its_holder_brings_late_counts_once(now: Any) -> None:
    job = begin(3)
    dead = leases.take("dead", now.us)
    assert dead is not None
    assert not work.work("another"), "the lease still holds"
    now.us += limits.LEASE_US + 1
    assert leases.free(now.us).exists()
    assert work.work("another")
    assert state_of(job) == State.DONE
    # the one taken for dead was only slow
    turn = work._Turn(dead, lambda: False)
    turn.results = [work._row(job, 2, work.past_of(job, lambda: None).future(2).outcome())]
    before = list(job.results.order_by("seed").values())
    turn._store()
    assert list(job.results.order_by("seed").values()) == before
    assert Portion.objects.get(pk=dead.pk).done


def test_a_holder_whose_lease_was_taken_over_stops_at_its_next_look(now: Any) -> None:
    begin(3)
    slow = leases.take("slow", now.us)
    assert slow is not None
    now.us += limits.LEASE_US + 1
    assert leases.take("quick", now.us) is not None
    assert not leases.renew(slow, now.us, 0)
    with pytest.raises(work.Over):
        work._Turn(slow, lambda: False)._look()


def test_a_cancelled_job_is_noticed_between_two_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    job = begin(20)
    real = Run.outcome

    def cancelling(run: Run) -> Any:
        work.cancel(job)
        return real(run)

    monkeypatch.setattr(Run, "outcome", cancelling)
    assert work.work("worker")
    assert seeds_of(job) == [1], "what was finished is kept, nothing is begun any more"
    assert state_of(job) == State.CANCELLED
    assert not work.work("worker")
    assert not work.cancel(job), "it is over already"


def test_a_cancelled_job_is_noticed_in_the_middle_of_a_long_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "PULSE_S", 0)
    job = begin(20)
    real = Run.work

    def slowly(run: Run) -> bool:
        work.cancel(job)
        return real(run, 10)

    monkeypatch.setattr(Run, "work", slowly)
    assert work.work("worker")
    assert seeds_of(job) == []


def test_a_worker_told_to_stop_hands_its_portion_back() -> None:
    job = begin(20)
    assert work.work("worker", lambda: True)
    assert seeds_of(job) == []
    assert leases.free(work.wall_now_us()).exists()
    work_off(job)
    assert seeds_of(job) == list(range(1, 21))


def test_jobs_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "TASK_S", 0)
    first, second = begin(5, "me"), begin(5, "you")
    for _ in range(4):
        work.work("worker")
    assert (len(seeds_of(first)), len(seeds_of(second))) == (2, 2)


def test_how_far_a_long_run_has_come_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "PULSE_S", 0)
    begin(1)
    parts = []
    real = leases.renew
    monkeypatch.setattr(
        leases, "renew", lambda portion, now, part: parts.append(part) or real(portion, now, part)
    )
    real_work = Run.work
    monkeypatch.setattr(Run, "work", lambda run: real_work(run, 100))
    assert work.work("worker")
    assert parts == sorted(parts)
    assert parts[-1] > 900


def failing(error: Exception) -> Any:
    def fail(run: Run) -> bool:
        raise error

    return fail


def test_a_run_that_contradicts_itself_ends_its_job_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    job = begin(20)
    monkeypatch.setattr(Run, "work", failing(InvariantBroken("2 copies where 1 is owed")))
    work.work("worker")
    stored = Job.objects.get(pk=job.pk)
    assert (stored.state, stored.problem) == (
        State.FAILED, "The run with seed 1 stopped: 2 copies where 1 is owed",
    )  # fmt: skip


def test_a_portion_that_kills_its_workers_is_given_up(now: Any) -> None:
    job = begin(20)
    for _ in range(limits.PORTION_TRIES_MAX):
        assert leases.take("doomed", now.us) is not None
        now.us += limits.LEASE_US + 1
    work.work("worker")
    stored = Job.objects.get(pk=job.pk)
    assert (stored.state, stored.problem) == (State.FAILED, work.HOPELESS)


def test_a_job_of_other_rules_is_not_mixed_with_these() -> None:
    job = begin(20)
    Job.objects.filter(pk=job.pk).update(rules=0)
    work.work("worker")
    stored = Job.objects.get(pk=job.pk)
    assert (stored.state, stored.problem, stored.results.count()) == (State.FAILED, work.OTHER_RULES, 0)


@pytest.mark.parametrize("count", [0, -1, limits.RUNS_OF_A_JOB + 1])
def test_a_number_of_runs_that_makes_no_sense_is_refused(count: int) -> None:
    with pytest.raises(Refused) as caught:
        begin(count)
    assert caught.value.text == "A job has from 1 to 1,000 runs."
    assert not Job.objects.exists()


def test_a_moment_behind_the_end_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        begin(moment_us=library()[SLUG].scenario.length_us)
    assert caught.value.text == "The run is over then: choose an earlier moment."


def test_only_ended_jobs_make_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JOBS_KEPT_MAX", 2)
    old, running = begin(1, "a"), begin(1, "b")
    work.cancel(old)
    new = begin(1, "c")
    assert set(Job.objects.values_list("pk", flat=True)) == {running.pk, new.pk}


def test_a_broker_that_is_away_costs_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(tasks.bell, "apply_async", lambda: (_ for _ in ()).throw(OSError("no folder")))
    job = begin(1)
    work_off(job)
    assert state_of(job) == State.DONE
