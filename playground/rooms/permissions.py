"""Who may say what: one table, role × command. What is not in it is not allowed."""

from __future__ import annotations

from typing import Literal

from engine.commands import COMMANDS

Role = Literal["owner", "viewer", "visitor"]

OWNER: Role = "owner"
VIEWER: Role = "viewer"
VISITOR: Role = "visitor"

CLOCK_COMMANDS = frozenset({"Play", "Pause", "Speed", "Step", "ToStart", "NewSeed", "Fork"})
"""They say which moment is on the screen, the last three in a new branch; what happened stays."""

ALLOWED: dict[str, frozenset[Role]] = {
    name: frozenset({OWNER}) for name in sorted({*COMMANDS, *CLOCK_COMMANDS})
}

WHY_NOT: dict[Role, str] = {
    OWNER: "This command is not allowed here.",
    VIEWER: "This is somebody else's room: open the scenario yourself to try things.",
    VISITOR: "A recording takes no commands: open a room first.",
}


def known(command: str) -> bool:
    return command in ALLOWED


def may(role: Role, command: str) -> bool:
    """Whether `role` may say `command`."""
    return role in ALLOWED.get(command, frozenset())
