"""PostgreSQL and Redis from Debian, each on a port of its own, to be stopped and started at will."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from house.tools import find
from tests.conftest import free_port


def until_it_answers(port: int, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing answers at port {port}")


class Service:
    """A program of our own. `start` and `kill` may be called again and again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="mailroom-service-"))
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command(),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self.who(),
        )
        until_it_answers(self.port)

    def who(self) -> dict[str, object]:
        return {}

    def kill(self, by: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(by)
            self.process.wait(20)
            self.process = None

    def end(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Redis(Service):
    def command(self) -> list[str]:
        path = find("redis")
        assert path is not None
        return [path, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


class PostgreSQL(Service):
    """It refuses to be root, so where we are root it runs as Debian's user for it."""

    def __init__(self) -> None:
        super().__init__()
        path = find("postgresql")
        assert path is not None
        self.programs = Path(path).resolve().parent
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        data = str(self.folder / "data")
        subprocess.run(
            [self.programs / "initdb", "-D", data, "-A", "trust", "-U", "mailroom", "-E", "UTF8", "--no-sync"],
            cwd=self.folder, check=True, stdout=subprocess.DEVNULL, **self.who(),
        )  # fmt: skip

    def who(self) -> dict[str, object]:
        return {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}

    def command(self) -> list[str]:
        data = str(self.folder / "data")
        return [
            str(self.programs / "postgres"), "-D", data, "-p", str(self.port), "-h", "127.0.0.1", "-k", data,
        ]  # fmt: skip

    def start(self) -> None:
        super().start()
        deadline = time.monotonic() + 20
        ask = [
            self.programs / "psql",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "mailroom",
            "-c",
            "SELECT 1",
            "postgres",
        ]
        while subprocess.run(ask, capture_output=True).returncode and time.monotonic() < deadline:
            time.sleep(0.1)

    def kill(self, by: signal.Signals = signal.SIGQUIT) -> None:
        super().kill(by)

    @property
    def url(self) -> str:
        return f"postgresql://mailroom@127.0.0.1:{self.port}/postgres"


@contextlib.contextmanager
def running(service: Service) -> Iterator[Service]:
    try:
        service.start()
        yield service
    finally:
        service.end()
