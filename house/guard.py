"""Sees to it that no child outlives the supervisor, not even one that was ended by `kill -9`.

Two nets. On Linux the kernel kills a child whose parent dies (PR_SET_PDEATHSIG). Everywhere, and also
for a child's own children, a small process of its own (`python -m house.guard`) waits at the end of a
pipe that only the supervisor holds: when it closes without a goodbye, it kills the groups it was told of.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from typing import IO

from house.words import ROOT

PR_SET_PDEATHSIG = 1
GOODBYE = "goodbye"


def die_with_parent(parent: int, number: int) -> None:
    """Ask Linux for signal `number` when process `parent` dies. Elsewhere, or when switched off, nothing.

    MAILROOM_NO_PDEATHSIG=1 switches this net off, so that the tests can see the other one hold.
    """
    if not sys.platform.startswith("linux") or os.environ.get("MAILROOM_NO_PDEATHSIG"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel had been asked
        os.kill(os.getpid(), number)


class Guard:
    """The supervisor's end of the pipe."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "house.guard"],
            cwd=ROOT, stdin=reader, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(reader)
        self.pipe: IO[str] = os.fdopen(writer, "w", buffering=1)

    def watch(self, pid: int) -> None:
        """Process `pid`, the leader of its own group, lives from now on."""
        self._tell(f"+{pid}")

    def forget(self, pid: int) -> None:
        """Process `pid` has been waited for: its number may come to mean another."""
        self._tell(f"-{pid}")

    def goodbye(self) -> None:
        """Everything has been stopped in order; the guard may go."""
        self._tell(GOODBYE)
        with contextlib.suppress(BrokenPipeError):
            self.pipe.close()
        self.process.wait()

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.pipe.write(line + "\n")


def main() -> int:
    """Reads `+pid`, `-pid` and `goodbye` until the pipe closes; kills what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: dict[int, None] = {}
    for line in sys.stdin:
        word = line.strip()
        if word == GOODBYE:
            return 0
        if word.startswith("+"):
            groups[int(word[1:])] = None
        elif word.startswith("-"):
            groups.pop(int(word[1:]), None)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    return 1


if __name__ == "__main__":
    sys.exit(main())
