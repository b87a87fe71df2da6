"""The one Celery task, and how it is sent."""

from __future__ import annotations

import logging
import os
import secrets
import threading

from kombu.exceptions import OperationalError

from playground.celery import app
from playground.runs import work

log = logging.getLogger("mailroom.runs")

NAME = "mailroom.work"

_away = threading.Event()
"""The broker could not be reached the last time: that is said once."""


def told_to_stop() -> bool:
    """Whether this worker process has been told to end."""
    from celery.worker import state  # the site, which only rings, needs none of it

    return state.should_stop is not None and state.should_stop is not False


@app.task(name=NAME)
def bell() -> None:
    """Do some work, and see to it that somebody does the rest: each task that finds work rings once."""
    if work.work(f"{os.getpid()}-{secrets.token_hex(8)}", told_to_stop):
        ring()


def ring(times: int = 1) -> None:
    """Wake a worker. What cannot be sent is not lost: workers also look by themselves."""
    try:
        for _ in range(times):
            bell.apply_async()
    except (OperationalError, OSError) as error:
        if not _away.is_set():
            log.warning("the broker of the bell is away: %s", error)
        _away.set()
    else:
        _away.clear()
