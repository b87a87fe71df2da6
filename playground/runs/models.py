"""What is stored of mass runs: a job, its portions with their leases, and a result a seed.

Everything a worker needs stands in the job's row, so a job outlives the room it came from. Times are wall
times in µs.
"""

from __future__ import annotations

from django.db import models


class State(models.TextChoices):
    """Where a job is in its life. Workers read it between any two seeds."""

    RUNNING = "running", "running"
    DONE = "done", "done"
    CANCELLED = "cancelled", "cancelled"
    FAILED = "failed", "failed"


class Job(models.Model):
    """Runs with the seeds 1 to `count`: of scenario `slug` from the start, or behind `moment_us` of the run
    with `seed` and `journal` (JSON: [[at_us, command], …]; of branch `epoch` of `room` if it was a room's).

    `owner` is the hash of the seat that asked. `served_us` says when a portion was last taken, so that jobs
    take turns. `problem` is the sentence why a job has failed.
    """

    code = models.CharField(max_length=16, unique=True)
    slug = models.CharField(max_length=80)
    rules = models.IntegerField()
    room = models.CharField(max_length=16, blank=True)
    epoch = models.IntegerField(default=0)
    moment_us = models.BigIntegerField(default=0)
    seed = models.BigIntegerField()
    journal = models.TextField(default="[]")
    count = models.IntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING, db_index=True)
    problem = models.TextField(blank=True)
    owner = models.CharField(max_length=64, db_index=True)
    created_us = models.BigIntegerField()
    served_us = models.BigIntegerField(default=0)
    ended_us = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.code}: {self.count} runs of {self.slug}"


class Portion(models.Model):
    """The seeds `first` to `last`, worked on by whoever holds the lease: `worker`, until `lease_until_us`.

    `tries` counts leases since the last that brought a result. `part` is how far the present task has come
    with what it has not stored yet, in thousandths of a run.
    """

    job = models.ForeignKey(Job, models.CASCADE, related_name="portions")
    first = models.IntegerField()
    last = models.IntegerField()
    done = models.BooleanField(default=False)
    worker = models.CharField(max_length=40, blank=True)
    lease_until_us = models.BigIntegerField(default=0)
    tries = models.IntegerField(default=0)
    part = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "first"], name="portion_once")]
        indexes = [models.Index(fields=["done", "lease_until_us"], name="portion_open")]

    def __str__(self) -> str:
        return f"{self.job_id}: {self.first} to {self.last}"


class Result(models.Model):
    """One run's outcome, as `engine.outcomes.Outcome` says. Each seed of a job once. `dropped` is None where
    that was not stored yet."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="results")
    seed = models.IntegerField()
    sent = models.IntegerField()
    lost = models.IntegerField()
    dropped = models.IntegerField(null=True)
    dead = models.IntegerField()
    duplicated_deliveries = models.IntegerField()
    duplicated_effects = models.IntegerField()
    out_of_order = models.IntegerField()
    p50_us = models.BigIntegerField(null=True)
    p95_us = models.BigIntegerField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "seed"], name="result_once")]

    def __str__(self) -> str:
        return f"{self.job_id}: seed {self.seed}"
