"""The engine's command line: `run` a scenario, `conformance` against recordings of the real systems."""

from __future__ import annotations

import sys

USAGE = """usage:
  python -m engine run SCENARIO [--seed N] [--until 60s] [--json]
  python -m engine conformance [--json] PATH..."""


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 well, 1 something failed, 2 the call's words are off."""
    match arguments:
        case ["run", *rest]:
            from engine.running import main as run_main

            return run_main(rest)
        case ["conformance", *rest]:
            from engine.conformance.cli import main as conformance_main

            return conformance_main(rest)
    print(USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
