"""What all tests share: tools that may be missing, and the real server as a subprocess."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("MAILROOM_VAR", tempfile.mkdtemp(prefix="mailroom-tests-"))

import pytest  # noqa: E402

from house.tools import find  # noqa: E402

NOT_RUN = "NOT RUN: needs "


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `needs("redis")` runs only where that tool is; where all is required, it fails."""
    for mark in item.iter_markers("needs"):
        for tool in mark.args:
            if find(tool) is not None:
                continue
            if os.environ.get("MAILROOM_REQUIRE_ALL") == "1":
                pytest.fail(f"needs {tool}, and everything is required here", pytrace=False)
            pytest.skip(NOT_RUN + tool)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tells `make test` what was not run, for its list at the end."""
    counted = Counter(
        (report.nodeid.partition("::")[0], reason.rpartition(NOT_RUN)[2])
        for report in terminalreporter.stats.get("skipped", [])
        for reason in [str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""]
        if NOT_RUN in reason
    )
    file = os.environ.get("MAILROOM_NOT_RUN_FILE")
    if file and counted:
        with open(file, "a", encoding="utf-8") as handle:
            for (path, tool), count in sorted(counted.items()):
                handle.write(f"{count} of {path}: {tool} is not here\n")


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Site:
    """The real server, running. `log` is the file that it writes to, `environment` what it was started with."""

    url: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def socket_url(self) -> str:
        return self.url.replace("http://", "ws://")


def migrate(folder: Path, **environment: str) -> None:
    """Brings the database up to date, as `make run` does first."""
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"],
        cwd=ROOT, check=False, env={**os.environ, "MAILROOM_VAR": str(folder), **environment},
    )  # fmt: skip


def start_site(folder: Path, port: int = 0, patch: str = "", again: bool = False, **environment: str) -> Site:
    """Starts the web server as `make run` does, without the supervisor, and waits until it answers. Port 0: a
    free one. MAILROOM_SERVER says which server, as ever.

    `patch` is a program that runs in the server's process before it begins; `again` says that the database
    is up to date.
    """
    port = port or free_port()
    if not again:
        migrate(folder, **environment)
    log = folder / f"server-{port}.log"
    words = ["-m", "playground.serve"]
    if patch:
        words = [
            "-c",
            f"{patch}\nimport sys\nfrom playground.serve import main\nsys.exit(main(sys.argv[1:]))",
        ]
    command = [sys.executable, *words, "--port", str(port)]
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT,
            env={**os.environ, "MAILROOM_VAR": str(folder), **environment},
        )  # fmt: skip
    site = Site(f"http://127.0.0.1:{port}", port, process, log, environment)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(site.url + "/healthz", timeout=5):
                return site
        except OSError:
            time.sleep(0.05)
    stop_site(site)
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")


def start_whole_site(folder: Path, **environment: str) -> Site:
    """The real server with collected static files, as `make run` serves them."""
    environment = {"MAILROOM_STATIC": "collected", **environment}
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"],
        cwd=ROOT, check=True, env={**os.environ, "MAILROOM_VAR": str(folder), **environment},
    )  # fmt: skip
    return start_site(folder, **environment)


def stop_site(site: Site) -> None:
    if site.process.poll() is None:
        site.process.send_signal(signal.SIGTERM)
        try:
            site.process.wait(15)
        except subprocess.TimeoutExpired:
            site.process.kill()
            site.process.wait()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The real server, one for the whole session."""
    running = start_whole_site(tmp_path_factory.mktemp("site"))
    yield running
    stop_site(running)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser that the tests use; mark the test with `needs("chromium")`."""
    path = find("chromium")
    assert path is not None
    return path
