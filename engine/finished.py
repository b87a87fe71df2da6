"""The latest effects of each queue's consumers, in order: what stands in the strip under the stage."""

from __future__ import annotations

import msgspec

from engine.events import Done, EffectApplied

KEPT = 16
"""How many of a queue's latest effects are remembered: more than fit side by side under the stage."""

Finished = dict[int, list[Done]]
"""Queue → its latest effects, the last at the end."""


def finish(finished: Finished, e: EffectApplied) -> None:
    """One more effect of a consumer of `e.destination`."""
    row = finished.setdefault(e.destination, [])
    row.append(Done(e.message, e.copy, e.effect, e.amount, e.effect_number, e.at_us))
    del row[:-KEPT]


def came_after(finished: Finished, queue: int, message: int) -> None:
    """The last effect of `queue` came after that of `message`, a later one with its key."""
    row = finished[queue]
    row[-1] = msgspec.structs.replace(row[-1], after=message)
