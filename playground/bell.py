"""The folder that a bell is hung in, on one machine: kombu's filesystem transport, each message whole."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps

NAME = f"{__name__}:Transport"
"""What kombu finds the transport by."""


class Channel(filesystem.Channel):
    """kombu writes a message where it is looked for, and takes it without asking for the lock it writes
    under: a worker that looked in between found half of it, and ended."""

    def _put(self, queue: str, payload: dict[str, Any], **_: Any) -> None:
        """Put `payload` into `queue`, under its name only when it is whole. Raises OSError."""
        folder = Path(self.data_folder_out)
        name = f"{round(time.monotonic() * 1000)}_{uuid.uuid4()}"
        unfinished = folder / f"{name}.unfinished"
        unfinished.write_text(dumps(payload))
        os.replace(unfinished, folder / f"{name}.{queue}.msg")


class Transport(filesystem.Transport):
    """kombu's, with the channel above."""

    Channel = Channel
