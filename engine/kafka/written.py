"""A partition's log as the ledger knows it from events: what was written, and what was taken back."""

from __future__ import annotations

import msgspec

from engine.kafka.events import RecordsAppended


class Written(msgspec.Struct, array_like=True):
    """One partition's log by offset: the message (0 for none), and whether its producer has the answer."""

    topic: int
    messages: list[int] = []
    acknowledged: bytearray = msgspec.field(default_factory=bytearray)
    mark: int = 0
    """The high watermark: what groups may read lies before it."""
    stable: int = 0
    """The last stable offset: what groups that read committed records only may read lies before it."""
    aborted: bytearray = msgspec.field(default_factory=bytearray)
    """By offset, what transactions took back."""
    cleaned: bytearray = msgspec.field(default_factory=bytearray)
    """By offset, what compaction has removed."""
    open: dict[int, list[int]] = {}
    """Producer id → the offsets of its open transaction."""
    ended: dict[int, tuple[int, list[int]]] = {}
    """Of the last markers, by offset: whose they are, and which records they ended."""
    start: int = 0
    """What lies before it is deleted."""


def hidden(log: Written, committed_only: bool, first: int, next_: int) -> list[int]:
    """What of [first, next) a group does not read that comes to it now: what compaction has removed, and who
    reads committed records only what transactions took back."""
    arrays = [log.cleaned, log.aborted] if committed_only else [log.cleaned]
    arrays = [array for array in arrays if array.count(1, first, next_)]
    return [o for o in range(first, next_) if any(o < len(array) and array[o] for array in arrays)]


def clean(log: Written, offsets: tuple[int, ...]) -> None:
    """Compaction removes these."""
    log.cleaned.extend(bytes(max(0, offsets[-1] + 1 - len(log.cleaned))))
    for offset in offsets:
        log.cleaned[offset] = 1


ENDED_KEPT = 100
"""Markers of a partition that could still be truncated: those since the high watermark, and more."""


def transacted(log: Written, e: RecordsAppended, end: int) -> None:
    """A batch of a transaction is written, or its end."""
    if not e.marker:
        log.open.setdefault(e.pid, []).extend(range(e.base, end))
        return
    offsets = log.open.pop(e.pid, [])
    log.ended[e.base] = e.pid, offsets
    while len(log.ended) > ENDED_KEPT:
        del log.ended[next(iter(log.ended))]
    if e.marker == "abort":
        log.aborted.extend(bytes(max(0, end - len(log.aborted))))
        for offset in offsets:
            log.aborted[offset] = 1


def untransacted(log: Written, first: int) -> None:
    """The log is truncated from `first` on: what a marker there ended is open again."""
    for marker in [offset for offset in log.ended if offset >= first]:
        pid, offsets = log.ended.pop(marker)
        log.open[pid] = offsets
        for offset in offsets:
            if offset < len(log.aborted):
                log.aborted[offset] = 0
    for pid in list(log.open):
        log.open[pid] = [offset for offset in log.open[pid] if offset < first]
        if not log.open[pid]:
            del log.open[pid]
    del log.aborted[first:], log.cleaned[first:]
