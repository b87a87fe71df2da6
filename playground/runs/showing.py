"""What the page of a job hands to its templates: the dict `shown` of templates/README.md."""

from __future__ import annotations

from typing import Any

from lessons.scenarios import library
from playground.runs.distribution import MEASURES, distributions
from playground.runs.models import Job, State

QUARTERS = ("The runs have begun.", "A quarter of the runs is done.", "Half of the runs are done.",
            "Three quarters of the runs are done.", "All runs are done.")  # fmt: skip
"""What a screen reader is told while a job runs: four times, not each second."""


def of_job(job: Job, mine: bool) -> dict[str, Any]:
    """Everything that is shown of `job`; `mine` says whether this browser may cancel it."""
    rows = list(job.results.order_by("seed").values("seed", *(measure.field for measure in MEASURES)))
    spread = distributions(rows) if rows else []
    shipped = library().get(job.slug)
    if shipped and not shipped.scenario.rabbitmq:
        spread = [one for one in spread if one.measure.field != "dead"]
    running = job.state == State.RUNNING
    parts = sum(job.portions.filter(done=False).values_list("part", flat=True)) if running else 0
    return {
        "job": job,
        "title": shipped.scenario.title if shipped else job.slug,
        "running": running,
        "mine": mine,
        "done": f"{len(rows):,}",
        "count": f"{job.count:,}",
        "thousandths": min(len(rows) * 1000 + parts, job.count * 1000),
        "of_thousandths": job.count * 1000,
        "from": f"{job.moment_us / 1e6:.2f} s" if job.moment_us else "",
        "said": _said(job, len(rows)),
        "same": [one for one in spread if not one.bars],
        "spread": [one for one in spread if one.bars],
        "cancelled": job.state == State.CANCELLED,
        "failed": job.state == State.FAILED,
    }


def _said(job: Job, done: int) -> str:
    if job.state == State.CANCELLED:
        return f"Cancelled after {done:,} of {job.count:,} runs."
    if job.state == State.FAILED:
        return f"Stopped after {done:,} of {job.count:,} runs. {job.problem}"
    if job.state == State.DONE:
        return f"All {job.count:,} runs are done."
    return QUARTERS[done * 4 // job.count]
