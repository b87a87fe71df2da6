"""One room as this process shows it: a replica, its viewers, and the frames they are owed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.scenario import Scenario
from engine.simulation import Simulation
from playground.rooms import wire
from playground.rooms.history import peek
from playground.rooms.journal import Branch, Entry, Facts, Head, Mark, first_difference
from playground.rooms.limits import AGGREGATED_TICKS, CHUNK_TICKS, NEVER_US, TICK_US, WINDOW_FRAMES
from playground.rooms.mailbox import Viewer
from playground.rooms.pace import too_fast
from playground.rooms.replica import Checkpoint, Maker, Replica
from playground.rooms.summing import present_in_numbers, ticks_in_numbers
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
        self.rate = 0
        """At which speed, in thousandths, ticks are told now: 0 when the clock stands."""
        self.made: dict[tuple[str, int], tuple[list[tuple[int, str]], int]] = {}
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
        was, self.rate = self.rate, self._rate(wall_us)
        if was != self.rate:
            self.made.clear()
        for viewer in viewers:
            if viewer.wish is not None:
                self._place(viewer, wall_us)
            elif viewer.watching and viewer.epoch != self.replica.epoch and viewer.has_room():
                self._branch_off(viewer, wall_us)
            if viewer.shows() in (-1, self.replica.epoch):
                self._tell_clock(viewer, wall_us)
            if viewer.watching:
                self._send_ticks(viewer, wall_us)

    def _rate(self, wall_us: int) -> int:
        """At which speed ticks are told: 0 when the clock stands, or has come to the end of the run."""
        assert self.head is not None
        clock, replica = self.head.clock, self.replica
        end_us = min(clock.end_us, replica.closed * TICK_US if replica.simulation.ended else NEVER_US)
        return clock.pieces[-1].rate if clock.at(wall_us) < end_us else 0

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
        if wish is not None and wish.aggregated:
            viewer.coarse = viewer.tick - 1

    def _branch_off(self, viewer: Viewer, wall_us: int) -> None:
        """The room goes on in another branch than this viewer holds: it is told what of it stays right."""
        cut = min(viewer.fork, viewer.tick)
        anew = bool(viewer.owed) or (0 < cut <= viewer.start) or cut < self.replica.base
        viewer.owed.clear()
        self._tell_branch(viewer, cut)
        if anew:
            self._tell_clock(viewer, wall_us)
            self._send_state(viewer)
        else:
            start, coarse = min(viewer.start, cut), viewer.coarse
            self._placed(viewer, cut)
            viewer.start, viewer.coarse = start, coarse if coarse < cut else NEVER_US

    def _tell_branch(self, viewer: Viewer, cut: int) -> None:
        branch = self.lineage[-1]
        said = {"parent": branch.parent, "sim_us": branch.sim_us, "cut": cut, "seed": branch.seed}
        frames, _ = self._frames("branch", cut, lambda: ([{**said, "name": branch.name}], cut))
        viewer.clock = (-1, 0)
        for f, text in frames:
            viewer.sent(f, text)

    def _first_change(self) -> int | None:
        """The first tick in which this branch differs from the recording."""
        entries = self.replica.entries
        return entries[0].at_us // TICK_US if entries else None

    def _placed(self, viewer: Viewer, tick: int) -> None:
        viewer.wish = None
        viewer.waited = 0
        viewer.epoch = self.replica.epoch
        viewer.tick = viewer.start = viewer.reach = tick
        viewer.fork = viewer.coarse = viewer.forget = NEVER_US
        viewer.cut = viewer.blocked = False
        viewer.owed.clear()

    def _send_state(self, viewer: Viewer) -> None:
        """Everything anew, from where the history over HTTP ends: nothing is missing between the two."""
        assert self.head is not None
        shown = self.head.clock.shown_us // TICK_US
        self._tell_present(viewer, self.replica.latest_checkpoint(shown - shown % CHUNK_TICKS), keep=False)

    def _draw_singly_again(self, viewer: Viewer, wall_us: int) -> None:
        """The last ticks it holds are in numbers, and what comes is drawn singly again: it is told a present
        from which on all is."""
        point, tick = self._seen_checkpoint(wall_us), viewer.tick
        if point.tick <= tick:
            while tick > point.tick and not self._too_fast(tick - 1):
                tick -= 1
            point = self.replica.latest_checkpoint(tick)
        self._tell_present(viewer, point, keep=not viewer.cut)

    def _tell_present(self, viewer: Viewer, point: Checkpoint, keep: bool) -> None:
        """The present at `point`, in numbers where nothing is drawn singly. `keep`: what it holds is right;
        what of it lies behind `point` stays on the screen until what follows takes its place."""
        coarse = self._too_fast(point.tick)
        reach, forget = viewer.reach, viewer.forget
        self._placed(viewer, point.tick)
        if keep:
            viewer.reach, viewer.forget = max(reach, point.tick), forget
        viewer.coarse = point.tick - 1 if coarse else NEVER_US

        def made() -> tuple[list[dict[str, Any]], int]:
            stated = present_in_numbers(point) if coarse else wire.in_parts(point.state)
            kept = {"keep": True} if keep else {}
            return [{**_position(point), **kept, **fields} for fields in stated], point.tick

        viewer.owe(self._frames("state, kept" if keep else "state", point.tick, made)[0])

    def _seen_checkpoint(self, wall_us: int) -> Checkpoint:
        """The last one before what is on the screen."""
        assert self.head is not None
        return self.replica.latest_checkpoint(self.head.clock.at(wall_us) // TICK_US)

    def _too_fast(self, tick: int) -> bool:
        """Whether `tick` is told in numbers at the present speed; of one that is to come, as the last."""
        replica = self.replica
        index = min(tick, replica.closed - 1) - replica.base
        return index >= 0 and too_fast(replica.paces[index], self.rate)

    def _send_ticks(self, viewer: Viewer, wall_us: int) -> None:
        replica = self.replica
        if viewer.epoch != replica.epoch or not viewer.pay():
            return None
        if viewer.tick < replica.base or (viewer.cut and viewer.tick < viewer.start):
            if not viewer.has_room():
                return None
            self._send_state(viewer)
        if viewer.blocked and len(viewer.unseen) <= WINDOW_FRAMES // 2:
            viewer.blocked = False
            point = self._seen_checkpoint(wall_us)
            if point.tick > viewer.tick:
                self._tell_present(viewer, point, keep=not viewer.cut)
        if viewer.is_coarse() and viewer.has_room() and not self._too_fast(viewer.tick):
            self._draw_singly_again(viewer, wall_us)
        while viewer.tick < replica.closed and not viewer.blocked and not viewer.owed:
            if not viewer.has_room():
                viewer.blocked = True
                break
            coarse = self._too_fast(viewer.tick)
            if viewer.is_coarse() and not coarse:
                self._draw_singly_again(viewer, wall_us)
                continue
            if coarse:
                viewer.coarse = min(viewer.coarse, viewer.tick)
            frames, viewer.tick = self._ticks_frames(viewer, coarse)
            viewer.reach = viewer.tick if viewer.cut else max(viewer.reach, viewer.tick)
            viewer.cut = False
            viewer.forget = NEVER_US
            viewer.owe(frames)
        return None

    def _ticks_frames(self, viewer: Viewer, coarse: bool) -> tuple[list[tuple[int, str]], int]:
        """What comes next, as far as one frame goes; its numbers if it is too fast."""
        replica, tick, cut, forget = self.replica, viewer.tick, viewer.cut, viewer.forget
        start = stop = tick - replica.base
        reach = AGGREGATED_TICKS if coarse else len(replica.kept)
        while stop < min(len(replica.kept), start + reach) and self._too_fast(replica.base + stop) == coarse:
            stop += 1

        def made() -> tuple[list[dict[str, Any]], int]:
            kept = replica.kept
            ticks = kept[start:stop] if coarse else wire.batch_of(kept, start, stop)
            end = tick + len(ticks)
            position: dict[str, Any] = {
                "cut" if cut else "tick": tick, "n": len(ticks), "first": 0 if coarse else ticks[0].first,
                "digest": ticks[-1].digest.hex(),
            }  # fmt: skip
            if forget < NEVER_US:
                position["forget"] = forget
            told: Iterable[dict[str, Any]]
            if coarse:
                told = ticks_in_numbers(ticks, replica.numbers[end - 1])
            else:
                told = wire.in_parts(wire.parts_of_ticks(ticks))
            return [{**position, **fields} for fields in told], end

        return self._frames(f"{'revise' if cut else 'ticks'}, {forget}", tick, made)

    def _frames(
        self, kind: str, start: int, make: Callable[[], tuple[list[dict[str, Any]], int]]
    ) -> tuple[list[tuple[int, str]], int]:
        """Numbered frames (f, text) and the next tick, made once for all viewers of this batch."""
        if (kind, start) not in self.made:
            frames: list[tuple[int, str]] = []
            made, end = make()
            for fields in made:
                self.f += 1
                position = {"f": self.f, "epoch": self.replica.epoch, "seq": self.replica.seq}
                frames.append((self.f, wire.frame(kind.partition(",")[0], **position, **fields)))
            self.made[kind, start] = frames, end
        return self.made[kind, start]

    def _tell_clock(self, viewer: Viewer, wall_us: int) -> None:
        head = self.head
        assert head is not None
        now = (head.seq, head.clock.lit_until_us)
        if viewer.clock == now or (viewer.blocked and viewer.clock[0] == head.seq):
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


def _position(point: Checkpoint) -> dict[str, Any]:
    """What a `state` frame says of where it stands."""
    return {"tick": point.tick, "first": point.first, "digest": point.digest}


def sentence(text: str) -> str:
    """An engine's message as a sentence."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
