"""Celery, as far as we use it: one task that carries nothing. It rings, and the work stands in the database.

By default the broker is a folder (playground/bell.py), so that one machine needs no broker;
MAILROOM_BROKER names a real one. A message that is lost, or taken by a worker that dies, costs a second:
workers look by themselves whether there is work (playground/runs/worker.py).
"""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "playground.settings")

from celery import Celery
from django.conf import settings

from playground import bell

POLLING_S = 0.1
"""Virtual transports look once a second unless they are told."""

QUEUE = "mailroom-runs"


def transport_options() -> dict[str, object]:
    """The folder of the default transport, made if need be; nothing for a real broker."""
    if not settings.BROKER.startswith("filesystem:"):
        return {"confirm_publish": True} if settings.BROKER.startswith("amqp") else {}
    folder = settings.VAR_DIR / "bell"
    for name in ("messages", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "polling_interval": POLLING_S,
    }


app = Celery("mailroom", broker=settings.BROKER, backend=None, include=["playground.runs.tasks"])
app.conf.update(
    broker_transport=bell.NAME if settings.BROKER.startswith("filesystem:") else None,
    broker_transport_options=transport_options(),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # a broker that is away is waited for
    broker_connection_timeout=2,
    task_default_queue=QUEUE,
    task_default_delivery_mode="transient",  # a bell that a broker's restart forgets is rung again
    task_ignore_result=True,
    task_publish_retry=False,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
)
