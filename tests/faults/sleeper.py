"""A browser in a process of its own, to be put to sleep: `python -m tests.faults.sleeper URL PORT CODE`.

After every frame it prints one line: the last tick it holds, the branch, that tick's digest, how often it lost
its connection, and what was wrong so far.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, Site
from tests.faults.pages import Page


class Telling(Page):
    def _take(self, frame: dict[str, Any]) -> None:
        super()._take(frame)
        held = {"tick": self.next - 1, "epoch": self.epoch, "digest": self.digests.get(self.next - 1, "")}
        print(json.dumps({**held, "closed": self.closed, "faults": self.faults}), flush=True)


async def main(url: str, port: int, code: str) -> None:
    site = Site(url, port, subprocess.Popen([sys.executable, "-c", ""]), Path("/dev/null"))
    async with Telling(site, code):
        await asyncio.Event().wait()


class Sleeper:
    """The same, seen from the test. `last` is what it told last."""

    def __init__(self, site: Site, code: str) -> None:
        self.words = ["-m", "tests.faults.sleeper", site.url, str(site.port), code]
        self.last: dict[str, Any] = {"tick": -1, "closed": [], "faults": []}

    async def __aenter__(self) -> Sleeper:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *self.words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        self.reading = asyncio.create_task(self._read())
        return self

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.last = json.loads(line)

    async def __aexit__(self, *_: object) -> None:
        self.process.kill()
        await self.process.wait()
        await self.reading


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
