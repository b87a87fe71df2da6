"""One room as this process shows it: a replica, its viewers, and the frames they are owed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.scenario import Scenario
from engine.simulation import Simulation
from playground.rooms import wire
from playground.rooms.history import peek
from playground.rooms.journal import Branch, Entry, Facts, Head, Mark, first_difference
from playground.rooms.limits import CHUNK_TICKS, NEVER_US, TICK_US, WINDOW_FRAMES
from playground.rooms.mailbox import Viewer
from playground.rooms.replica import Checkpoint, Maker, Replica
from playground.rooms.wire import Watch

WAIT_BATCHES = 20
"""Batches that a viewer of a branch that this process has not heard of may wait for it."""


def maker_of(scenario: Scenario, seed: int) -> Maker:
    """How the engine's simulations of this scenario and seed are made."""
    return Maker(
        lambda: Simulation(scenario, seed),
        lambda snapshot: Simulation.restore(scenario, seed, snapshot),
    )


class LiveRoom:
    """See the module. `head` is what the journal said last; `broken` why the room has stopped: a code and a
    sentence; `reloaded` that what was held here contradicted what is stored, and nothing has confirmed it
    since."""

    def __init__(self, facts: Facts, maker: Maker) -> None:
        self.facts = facts
        self.replica = Replica(maker)
        self.viewers: set[Viewer] = set()
        self.head: Head | None = None
        self.lineage: list[Branch] = []
        self.askers: dict[int, tuple[Viewer, str]] = {}
        self.broken: tuple[str, str] | None = None
        self.reloaded = False
        self.left_us = 0
        self.f = 0
        self.made: dict[tuple[str, int], tuple[int, str, int]] = {}
        """Numbered frames of this batch, by kind and first tick."""
        self.told_clock: tuple[Any, str] = None, ""
        """The clock as it was told last: when and what, and the text."""

    # -- reading the journal ----------------------------------------------------------------------

    def read(self, head: Head, entries: list[Entry]) -> None:
        """Take what the journal says; `entries` are those of the present branch that are not known yet."""
        cut = self.replica.learn(entries)
        if cut is not None:
            self.made.clear()
            for viewer in self.viewers:
                viewer.forget_from(cut)
        self._heard(head)

    def go_on_in(
        self, head: Head, lineage: list[Branch], entries: list[Entry], stored: dict[int, str], maker: Maker
    ) -> None:
        """The room goes on in another branch, the last of `lineage`, which sees `entries`, and of whose shown
        past `stored` is known. Raises `ReplicaBroken`.

        What this process has simulated stays as far as it holds there too.
        """
        replica = self.replica
        cut = first_difference(self.lineage, lineage)
        if not self.lineage or lineage[-1].seed != self.lineage[-1].seed:
            replica.maker = maker
            replica.begin(head.epoch)
            replica.learn(entries)
        else:
            cut = replica.branch(head.epoch, entries, cut)
        self.lineage = lineage
        self.made.clear()
        seen = {entry.n for entry in entries}
        self.askers = {n: asker for n, asker in self.askers.items() if n in seen or n > max(seen, default=0)}
        for viewer in self.viewers:
            viewer.fork = min(viewer.fork, cut)
        self._heard(head)
        replica.hold_to(stored)

    def reload(self) -> None:
        """Begin anew from the journal, at the next reading; nothing that is held here is trusted.

        What viewers hold is compared by its digest when that has been done.
        """
        held, self.reloaded = self.replica, True
        for viewer in self.viewers:
            if viewer.watching:
                same = viewer.epoch == held.epoch and not viewer.cut
                digest = held.digest_before(viewer.tick) if same else ""
                viewer.wish = Watch(v=1, epoch=viewer.epoch, tick=viewer.tick, digest=digest)
        self.replica = Replica(held.maker)
        self.lineage = []
        self.made.clear()

    def unmarked(self) -> list[Mark]:
        """What is to be stored of the shown past, and is not yet."""
        assert self.head is not None
        code, epoch = self.facts.code, self.replica.epoch
        return [Mark(code, epoch, *found) for found in self.replica.unmarked(self.head.clock.shown_us)]

    def _heard(self, head: Head) -> None:
        self.head = head
        self.replica.seq = max(self.replica.seq, head.seq)

    def is_elsewhere(self, head: Head) -> bool:
        """Whether the room shows another branch than this process does."""
        return not self.lineage or head.epoch != self.replica.epoch

    def frontier_tick(self, wall_us: int) -> int:
        """How many ticks are to be closed now. The run has no more than its length."""
        assert self.head is not None
        last = -(-self.facts.length_us // TICK_US)
        return min(self.head.clock.frontier_tick(wall_us), last)

    # -- telling viewers --------------------------------------------------------------------------

    def deliver(self, viewers: Iterable[Viewer], wall_us: int) -> None:
        """Hand each of these viewers what it is owed and can take. Frames are encoded once for all."""
        for viewer in viewers:
            if viewer.wish is not None:
                self._place(viewer, wall_us)
            elif viewer.watching and viewer.epoch != self.replica.epoch and viewer.has_room():
                self._branch_off(viewer, wall_us)
            if viewer.shows() in (-1, self.replica.epoch):
                self._tell_clock(viewer, wall_us)
            if viewer.watching:
                self._send_ticks(viewer, wall_us)

    def _place(self, viewer: Viewer, wall_us: int) -> None:
        """Find out what of the present a viewer already holds. Equal digests are equal pasts, in any branch.

        Who holds more than has been simulated here is told the present at once: while it waited, what it
        holds could be revised without its knowing.
        """
        wish, replica = viewer.wish, self.replica
        assert wish is not None
        viewer.waited += 1
        if wish.epoch > replica.epoch and viewer.waited < WAIT_BATCHES:
            return None
        if wish.tick > 0:
            if replica.holds(wish.tick, wish.digest):
                return self._resume(viewer, wish.tick)
            recording = peek(self.facts.slug, self.lineage[-1].seed)
            if recording is not None and recording.digest_before(wish.tick) == wish.digest != "":
                return self._resume(viewer, wish.tick, self._first_change())
            if wish.epoch != replica.epoch:
                viewer.tick = 0
                self._tell_branch(viewer, 0)
        self._tell_clock(viewer, wall_us)
        self._send_state(viewer)
        return None

    def _resume(self, viewer: Viewer, tick: int, change: int | None = None) -> None:
        """The viewer holds what is before `tick`, of which only what is from `change` on is another."""
        wish = viewer.wish
        self._placed(viewer, tick)
        viewer.start = 0
        if wish is not None and wish.epoch != self.replica.epoch:
            viewer.tick = min(tick, tick if change is None else change)
            self._tell_branch(viewer, viewer.tick)
        elif change is not None:
            viewer.forget_from(change)

    def _branch_off(self, viewer: Viewer, wall_us: int) -> None:
        """The room goes on in another branch than this viewer holds: it is told what of it stays right."""
        cut = min(viewer.fork, viewer.tick)
        self._tell_branch(viewer, cut)
        if (0 < cut <= viewer.start) or cut < self.replica.base:
            self._tell_clock(viewer, wall_us)
            self._send_state(viewer)
        else:
            start = min(viewer.start, cut)
            self._placed(viewer, cut)
            viewer.start = start

    def _tell_branch(self, viewer: Viewer, cut: int) -> None:
        branch = self.lineage[-1]
        f, text, _ = self._frame(
            "branch", cut, cut,
            parent=branch.parent, sim_us=branch.sim_us, cut=cut, seed=branch.seed, name=branch.name,
        )  # fmt: skip
        viewer.clock = (-1, 0)
        viewer.sent(f, text)

    def _first_change(self) -> int | None:
        """The first tick in which this branch differs from the recording."""
        entries = self.replica.entries
        return entries[0].at_us // TICK_US if entries else None

    def _placed(self, viewer: Viewer, tick: int) -> None:
        viewer.wish = None
        viewer.waited = 0
        viewer.epoch = self.replica.epoch
        viewer.tick = viewer.start = tick
        viewer.fork = NEVER_US
        viewer.cut = False

    def _send_state(self, viewer: Viewer) -> None:
        """Everything anew, from where the history over HTTP ends: nothing is missing between the two."""
        assert self.head is not None
        shown = self.head.clock.shown_us // TICK_US
        self._send_from(viewer, self.replica.latest_checkpoint(shown - shown % CHUNK_TICKS))

    def _send_from(self, viewer: Viewer, point: Checkpoint) -> None:
        f, text, _ = self._frame(
            "state", point.tick, point.tick,
            tick=point.tick, first=point.first, events=point.state, digest=point.digest,
        )  # fmt: skip
        self._placed(viewer, point.tick)
        viewer.sent(f, text)

    def _send_ticks(self, viewer: Viewer, wall_us: int) -> None:
        replica = self.replica
        if viewer.epoch != replica.epoch:
            return None
        if viewer.tick < replica.base:
            return self._send_state(viewer) if viewer.has_room() else None
        if viewer.blocked and len(viewer.unseen) <= WINDOW_FRAMES // 2:
            viewer.blocked = False
            assert self.head is not None
            point = replica.latest_checkpoint(self.head.clock.at(wall_us) // TICK_US)
            if point.tick > viewer.tick:
                self._send_from(viewer, point)
        while viewer.tick < replica.closed and not viewer.blocked:
            if not viewer.has_room():
                viewer.blocked = True
                break
            f, text, viewer.tick = self._ticks_frame(viewer.tick, viewer.cut)
            viewer.cut = False
            viewer.sent(f, text)
        return None

    def _ticks_frame(self, tick: int, cut: bool) -> tuple[int, str, int]:
        kind = "revise" if cut else "ticks"
        if (kind, tick) in self.made:
            return self.made[kind, tick]
        replica = self.replica
        ticks = wire.batch_of(replica.kept, tick - replica.base)
        return self._frame(
            kind, tick, tick + len(ticks), **{"cut" if cut else "tick": tick}, n=len(ticks),
            first=ticks[0].first, events=wire.join_events(ticks), digest=ticks[-1].digest.hex(),
        )  # fmt: skip

    def _frame(self, kind: str, start: int, end: int, /, **fields: Any) -> tuple[int, str, int]:
        """A numbered frame (f, text, next tick), made once for all viewers of this batch."""
        if (kind, start) not in self.made:
            self.f += 1
            replica = self.replica
            text = wire.frame(kind, f=self.f, epoch=replica.epoch, seq=replica.seq, **fields)
            self.made[kind, start] = (self.f, text, end)
        return self.made[kind, start]

    def _tell_clock(self, viewer: Viewer, wall_us: int) -> None:
        head = self.head
        assert head is not None
        now = (head.seq, head.clock.lit_until_us)
        if viewer.clock == now or viewer.blocked:
            return
        viewer.clock = now
        if self.told_clock[0] != (now, wall_us):
            text = wire.frame(
                "clock", seq=head.seq, pieces=head.clock.pieces, now_us=wall_us,
                lit_until_us=head.clock.lit_until_us,
            )  # fmt: skip
            self.told_clock = (now, wall_us), text
        viewer.mailbox.put(self.told_clock[1])

    def answer(self) -> None:
        """Tell those whose command the engine has refused at its moment."""
        for n, (viewer, id) in list(self.askers.items()):
            if n in self.replica.outcomes:
                code, text = self.replica.outcomes[n]
                viewer.mailbox.put(wire.error(id, code, sentence(text)))
            elif not self.replica.has_applied(n):
                continue
            del self.askers[n]

    def stop(self, text: str, code: str = "refused") -> None:
        """The room cannot go on here; everybody is told once."""
        self.broken = (code, text)
        for viewer in self.viewers:
            viewer.mailbox.put(wire.error(None, code, text))


def sentence(text: str) -> str:
    """An engine's message as a sentence."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
