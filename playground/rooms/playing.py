"""A recording over a socket: from where the viewer is to the end, a second at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.ticks import Tick
from playground.rooms import wire
from playground.rooms.history import Recording
from playground.rooms.limits import RECORDING_FRAME_EVERY_S, RECORDING_FRAME_TICKS
from playground.rooms.mailbox import Viewer
from playground.rooms.wire import Watch

FRAMES_KEPT = 200
"""Encoded frames kept of one recording: a few minutes for those who began at the same tick."""


class Playback:
    """Sends one viewer the ticks it does not hold. It never sends more than the window unacknowledged."""

    def __init__(self, recording: Recording, viewer: Viewer) -> None:
        self.recording = recording
        self.viewer = viewer
        self.has_room = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def watch(self, wish: Watch) -> None:
        """Begin, or begin anew: behind what the viewer holds, if that is of this recording."""
        self.stop()
        held = self.recording.digest_before(wish.tick) == wish.digest and wish.epoch == 0
        tick = wish.tick if held else 0
        self.viewer.unseen.clear()
        self.task = asyncio.get_running_loop().create_task(self._send(tick, anew=not held))

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def _send(self, tick: int, anew: bool) -> None:
        viewer, ticks = self.viewer, self.recording.ticks
        if anew:
            viewer.sent(0, wire.frame("state", f=0, epoch=0, tick=0, seq=0, first=1, events=[], digest=""))
        while tick < len(ticks):
            while not viewer.has_room():
                self.has_room.clear()
                await self.has_room.wait()
            batch = wire.batch_of(ticks[tick : tick + RECORDING_FRAME_TICKS], 0)
            tick += len(batch)
            for text in self._frames(batch, tick):
                viewer.sent(tick, text)
            await asyncio.sleep(RECORDING_FRAME_EVERY_S)

    def _frames(self, batch: Sequence[Tick], f: int) -> list[str]:
        """The frame's number is the tick behind it: it grows, and needs no counter. One, unless a single tick
        does not fit it.

        Most viewers begin behind the first chunk, so the same frames go to all: they are made once.
        """
        made = self.recording.frames
        if (batch[0].tick, f) not in made:
            made[batch[0].tick, f] = self._encoded(batch, f)
            if len(made) > FRAMES_KEPT:
                del made[next(iter(made))]
        return made[batch[0].tick, f]

    def _encoded(self, batch: Sequence[Tick], f: int) -> list[str]:
        return [
            wire.frame(
                "ticks", f=f, epoch=0, tick=batch[0].tick, n=len(batch), seq=0, first=batch[0].first,
                digest=batch[-1].digest.hex(), **carried,
            )
            for carried in wire.in_parts(wire.parts_of_ticks(batch))
        ]  # fmt: skip
