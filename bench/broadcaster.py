"""The peer: `websockets.broadcast` of the frames in a file, one each so many ms, to whoever is connected.

`python bench/broadcaster.py PORT FILE EVERY_MS`. No simulation, acknowledgements, journal or compression.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from pathlib import Path

from websockets.asyncio.server import ServerConnection, broadcast, serve


async def main(port: int, texts: list[str], every_ms: int) -> None:
    there: set[ServerConnection] = set()

    async def welcome(connection: ServerConnection) -> None:
        there.add(connection)
        await connection.wait_closed()
        there.discard(connection)

    loop = asyncio.get_running_loop()
    async with serve(welcome, "127.0.0.1", port, compression=None):
        print("ready", flush=True)
        due = loop.time()
        for text in itertools.cycle(texts):
            broadcast(there, text)
            due = max(due + every_ms / 1000, loop.time())
            await asyncio.sleep(due - loop.time())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), int(sys.argv[3])))
