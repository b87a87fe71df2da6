"""Starts a worker: `python -m playground.runs.worker`. One process, one task at a time.

It is nicer than the site, so that pages and sockets come first where both want the processor. Beside its
task it looks once a second whether work lies about that no bell has told of: a lease ran out, a message was
lost, or the broker was away when the job was begun.

SIGTERM and SIGINT end it after the present slice of its run; what it had not finished is free at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "playground.settings")
django.setup()

from celery.exceptions import WorkerShutdown  # noqa: E402
from celery.signals import task_postrun, task_prerun  # noqa: E402
from celery.worker import state  # noqa: E402
from django.db import DatabaseError, close_old_connections, connections  # noqa: E402

from playground.celery import app  # noqa: E402
from playground.runs import leases, tasks  # noqa: E402
from playground.runs.work import wall_now_us  # noqa: E402

log = logging.getLogger("mailroom.runs")

NICENESS = 10
LOOK_S = 1.0


class Watch:
    """Rings when there is work and this worker has had none for a while."""

    def __init__(self) -> None:
        self.busy = False
        self.idle_since = time.monotonic()

    def begins(self, **_: object) -> None:
        self.busy = True
        close_old_connections()  # one that has broken since is not asked again

    def ends(self, **_: object) -> None:
        self.busy, self.idle_since = False, time.monotonic()

    def end(self, number: int, frame: object) -> None:
        """A signal: the task stops after its slice; without one, Celery's loop need not be waited for (a
        message that it has just read is a bell, and may be lost)."""
        state.should_stop = 0
        if not self.busy:
            raise WorkerShutdown(0)

    def ready(self, _: object) -> None:
        """Begins to look. Not sooner: Celery makes its parts at their first use, and two threads that did
        that at once would get into one another's way."""
        self.idle_since = time.monotonic()
        threading.Thread(target=self.look_for_ever, name="watch", daemon=True).start()

    def look_for_ever(self) -> None:
        while True:
            time.sleep(LOOK_S)
            if not self.busy and time.monotonic() - self.idle_since >= LOOK_S:
                self.look()

    def look(self) -> None:
        """Once: ring if a portion is free. A database that is away is asked again the next time."""
        try:
            if leases.free(wall_now_us()).exists():
                tasks.ring()
        except DatabaseError as error:
            log.warning("the database could not be asked: %s", error)
        finally:
            connections.close_all()


def main() -> int:
    """Runs until it is told to end. Celery's controller without its command line, which would greet."""
    os.nice(NICENESS)
    watch = Watch()
    task_prerun.connect(watch.begins, weak=False)
    task_postrun.connect(watch.ends, weak=False)
    worker = app.WorkController(
        hostname=f"mailroom-{os.getpid()}@localhost", pool_cls="solo", concurrency=1,
        loglevel=logging.WARNING, ready_callback=watch.ready,
        without_gossip=True, without_mingle=True, without_heartbeat=True,
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, watch.end)
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
