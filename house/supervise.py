"""Starts the site's processes and watches over them: they live together and stop together.

The supervisor ends when it is told to (SIGINT, SIGTERM, SIGHUP) or when one of its processes ends by
itself; either way it stops all the others first, asking politely and after `PATIENCE_S` no longer. A
program that may come back is started anew instead, unless it ends again and again.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from house.guard import Guard, die_with_parent
from house.words import ROOT, complain, say

PATIENCE_S = 10.0
"""How long a process may take to stop before it is killed. A web server closes its sockets in this time."""

LOOK_S = 0.1
"""How often readiness is asked for until the site answers; afterwards only signals wake the supervisor."""


@dataclass(frozen=True)
class Program:
    """One process to be kept running: its name for people, its command, what it adds to the environment.

    `comes_back`: the site goes on without it for a moment; it is started anew when it ends by itself.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    comes_back: bool = False


RETURNS_MAX = 5
RETURNS_WITHIN_S = 60.0
"""A program that ends more often than this in this time cannot run here, and starting it would not help."""


class Supervisor:
    """Runs programs until one ends or a signal comes. `ready` is asked until it says yes, once in a while."""

    def __init__(self, programs: list[Program], ready: Callable[[], bool], greeting: str) -> None:
        self.programs = programs
        self.ready = ready
        self.greeting = greeting
        self.running: dict[int, tuple[Program, subprocess.Popen[bytes]]] = {}
        self.stopping = 0
        self.returns: dict[str, list[float]] = {}

    def run(self) -> int:
        """Returns 0 after a signal, 1 when a program ended by itself."""
        parent = os.getppid()
        if "MAKELEVEL" in os.environ:  # make waits for us; killed with -9 it could not tell us
            die_with_parent(parent, signal.SIGTERM)
        waker = self._listen()
        self.guard = Guard()
        try:
            for program in self.programs:
                self._start(program)
            return self._watch(waker)
        finally:
            self._stop_all()
            self.guard.goodbye()

    def _listen(self) -> int:
        """Turns signals into bytes in a pipe, so that waiting is one `select` without a race."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._told)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        return reader

    def _told(self, number: int, frame: object) -> None:
        self.stopping = number

    def _start(self, program: Program) -> None:
        supervisor = os.getpid()
        process = subprocess.Popen(
            program.command,
            cwd=ROOT,
            env={**os.environ, **program.environment},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then stops all in order
            preexec_fn=lambda: die_with_parent(supervisor, signal.SIGKILL),
        )
        self.guard.watch(process.pid)
        self.running[process.pid] = (program, process)

    def _watch(self, waker: int) -> int:
        greeted = False
        while not self.stopping:
            ended = self._ended()
            if ended is not None:
                program, status = ended
                if self._may_return(program):
                    complain(f"The {program.name} ended by itself ({_how(status)}) and is started anew.")
                    self._start(program)
                    continue
                complain(
                    f"The {program.name} ended by itself ({_how(status)}), so everything else is stopped too."
                )
                return 1
            if not greeted and self.ready():
                say(self.greeting)
                greeted = True
            readable, _, _ = select.select([waker], [], [], None if greeted else LOOK_S)
            if readable:
                os.read(waker, 512)
        return 0

    def _ended(self) -> tuple[Program, int] | None:
        for pid, (program, process) in list(self.running.items()):
            status = process.poll()
            if status is not None:
                self._gone(pid)
                return program, status
        return None

    def _may_return(self, program: Program) -> bool:
        if not program.comes_back:
            return False
        now = time.monotonic()
        lately = [at for at in self.returns.get(program.name, []) if now - at < RETURNS_WITHIN_S]
        self.returns[program.name] = [*lately, now]
        return len(lately) < RETURNS_MAX

    def _gone(self, pid: int) -> None:
        """A program has ended; what it may have left in its group ends with it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        self.guard.forget(pid)
        del self.running[pid]

    def _stop_all(self) -> None:
        for pid in self.running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE_S
        for pid, (program, process) in list(self.running.items()):
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                complain(f"The {program.name} did not stop in {PATIENCE_S:.0f} s and is killed.")
                process.kill()
                process.wait()
            self._gone(pid)


def _how(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
