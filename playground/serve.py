"""Starts the web server with our limits: `python -m playground.serve --host 127.0.0.1 --port 8000`.

`--server daphne` (the default) or `uvicorn`, which needs less for each frame where hundreds watch a room.
"""

from __future__ import annotations

import argparse
import os
import sys

SERVERS = ("daphne", "uvicorn")


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m playground.serve")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--server", choices=SERVERS, default=os.environ.get("MAILROOM_SERVER", SERVERS[0]))
    options = parser.parse_args(words)
    if options.server not in SERVERS:
        parser.error(f"MAILROOM_SERVER must be daphne or uvicorn, not '{options.server}'")
    if options.server == "uvicorn":
        from playground import on_uvicorn

        return on_uvicorn.run(options.host, options.port)
    from playground import on_daphne

    return on_daphne.run(options.host, options.port)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
