"""What a room's journal says, and what follows from it: `python -m tests.faults.truth CODE TICKS`.

Prints one JSON object: every branch simulated at once from what is stored, and the entries, receipts and
digests of the past.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def main(code: str, ticks: int) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "playground.settings")
    import django

    django.setup()
    import asyncio

    from lessons.scenarios import library
    from playground import models
    from playground.rooms.database import DatabaseJournal
    from playground.rooms.live import maker_of
    from playground.rooms.replica import Replica

    room = models.Room.objects.get(pk=code)
    journal = DatabaseJournal()
    digests = {}
    for epoch in range(room.epoch + 1):
        lineage = asyncio.run(journal.lineage(code, epoch))
        replica = Replica(maker_of(library()[room.slug].scenario, lineage[-1].seed))
        replica.learn(asyncio.run(journal.entries(code, epoch, 0)))
        replica.work(ticks, float("inf"))
        digests[epoch] = [tick.digest.hex() for tick in replica.kept]
    entries = models.Entry.objects.filter(room=code).values_list("seq", "n", "at_us", "epoch")
    receipts = models.Receipt.objects.filter(room=code).values_list("asked_id", "seq")
    marks = models.TickDigest.objects.filter(room=code).values_list("epoch", "tick", "digest")
    told = {"digests": digests, "entries": list(entries), "receipts": list(receipts), "marks": list(marks)}
    print(json.dumps(told))
    journal.close()


def of(code: str, ticks: int, folder: Path, **environment: str) -> dict[str, Any]:
    """The same, asked of another process that knows the site's database."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.truth", code, str(ticks)], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "MAILROOM_VAR": str(folder), **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
