"""`python3 -m house run|test|setup`: what the Makefile calls, with any Python from 3.11 on."""

from __future__ import annotations

import argparse
import sys

from house.words import Stop, complain


def arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m house")
    what = parser.add_subparsers(dest="what", required=True)
    run = what.add_parser("run", help="set up, then start the site and watch over it")
    run.add_argument("--host", default="127.0.0.1")
    run.add_argument("--port", default="8000")
    test = what.add_parser("test", help="set up, then run every check")
    test.add_argument("only", nargs="*", help="names of checks; none runs all")
    what.add_parser("setup", help="make the environment, for running and for testing")
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    options = arguments(words)
    try:
        if options.what == "run":
            from house.run import run

            return run(options.host, options.port)
        from house.setup import prepare

        prepare("requirements.txt", "requirements-dev.txt")
        if options.what == "test":
            from house.check import check

            return check(options.only)
        return 0
    except Stop as stop:
        complain(str(stop))
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
