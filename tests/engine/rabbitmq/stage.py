"""A stage in a few lines: folds events as the browser does, to see whether they add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from engine import events as common
from engine.broker import Push
from engine.kernel import Kernel
from engine.rabbitmq import operations as ops

LINK_US = 1_000


class Recorder:
    """A port: remembers what is pushed, and says `Moved` as a room's link does.

    `nodes` are the actors behind the channels.
    """

    def __init__(self, nodes: dict[str, int] | None = None) -> None:
        self.nodes = nodes or {}
        self.pushed: list[tuple[str, Push]] = []

    def push(self, kernel: Kernel, client: str, node: int, push: Push) -> None:
        self.pushed.append((client, push))
        if isinstance(push, ops.Delivery) and node:
            kernel.emit(
                common.Moved(
                    kernel.now_us, kernel.cause, push.copy, push.attempt, node, self.nodes.get(client, 0),
                    kernel.now_us + LINK_US, "" if push.no_ack else "unacked",
                )
            )  # fmt: skip

    def deliveries(self, client: str | None = None) -> list[ops.Delivery]:
        return [
            push for name, push in self.pushed if isinstance(push, ops.Delivery) and client in (None, name)
        ]

    def take(self, kind: type[Any]) -> list[Any]:
        """The pushes of one kind since the last call, which are then forgotten."""
        taken = [push for _, push in self.pushed if isinstance(push, kind)]
        self.pushed = [(client, push) for client, push in self.pushed if not isinstance(push, kind)]
        return taken


class Stage:
    """Nodes, wires and the broker's own tokens (attempt 0) in their zones."""

    def __init__(self) -> None:
        self.nodes: dict[int, tuple[str, str]] = {}
        self.wires: set[tuple[int, int, str, str]] = set()
        self.zones: dict[tuple[int, str], list[int]] = {}
        self.owed: set[int] = set()
        self.consumers: Counter[tuple[int, int]] = Counter()
        self.active: dict[int, int] = {}
        self.gone: list[tuple[int, str]] = []

    def fold(self, events: Iterable[Any]) -> Stage:
        for event in events:
            handler = getattr(self, type(event).__name__, None)
            if handler is not None:
                handler(event)
        return self

    def picture(self) -> dict[str, Any]:
        """What two folds must have in common."""
        return {
            "nodes": self.nodes,
            "wires": self.wires,
            "zones": {where: tokens for where, tokens in self.zones.items() if tokens},
            "consumers": +self.consumers,
            "active": {queue: node for queue, node in self.active.items() if node},
        }

    def where(self, copy: int) -> list[tuple[int, str]]:
        return [where for where, tokens in self.zones.items() if copy in tokens]

    def _lift(self, copy: int) -> None:
        for tokens in self.zones.values():
            if copy in tokens:
                tokens.remove(copy)

    def NodeAdded(self, event: common.NodeAdded) -> None:
        assert event.node not in self.nodes, "a node is added once"
        self.nodes[event.node] = (event.kind, event.name)

    def NodeRemoved(self, event: common.NodeRemoved) -> None:
        del self.nodes[event.node]
        self.wires = {w for w in self.wires if event.node not in w[:2]}
        self.consumers = Counter({c: n for c, n in self.consumers.items() if event.node not in c})
        self.active.pop(event.node, None)
        for where in list(self.zones):
            if where[0] == event.node:
                assert not self.zones.pop(where), "a removed node holds nothing"

    def WireAdded(self, event: common.WireAdded) -> None:
        wire = (event.source, event.target, event.kind, event.label)
        assert wire not in self.wires, "a wire is added once"
        self.wires.add(wire)

    def WireRemoved(self, event: common.WireRemoved) -> None:
        self.wires.remove((event.source, event.target, event.kind, event.label))

    def ConsumerRegistered(self, event: Any) -> None:
        self.consumers[event.node, event.queue] += 1

    def ConsumerCancelled(self, event: Any) -> None:
        assert self.consumers[event.node, event.queue] > 0, "only what was registered is cancelled"
        self.consumers[event.node, event.queue] -= 1

    def ActiveConsumerChanged(self, event: Any) -> None:
        self.active[event.queue] = event.node

    def Routed(self, event: common.Routed) -> None:
        for owed in event.copies:
            assert owed.copy not in self.owed, "a copy is owed once"
            self.owed.add(owed.copy)

    def Placed(self, event: common.Placed) -> None:
        assert event.attempt == 0, "bodies belong to links and consumers"
        assert event.copy in self.owed, "what is placed was routed"
        assert event.node in self.nodes, "on a node that is there"
        self._lift(event.copy)
        tokens = self.zones.setdefault((event.node, event.zone), [])
        assert 0 <= event.index <= len(tokens), "at a place that there is"
        tokens.insert(event.index, event.copy)

    def Moved(self, event: common.Moved) -> None:
        assert event.copy in self.zones[event.source, "ready"], "handed out from what is ready"
        assert self.zones[event.source, "ready"][0] == event.copy, "the first is handed out"
        self._lift(event.copy)
        if event.keeps:
            self.zones.setdefault((event.source, event.keeps), []).append(event.copy)

    def DeadLettered(self, event: Any) -> None:
        """It dies here, so it stands in no line; where it goes on, a later event of the instant says."""
        self._lift(event.copy)

    def Left(self, event: common.Left) -> None:
        for copy in event.copies:
            self._lift(copy)
            self.gone.append((copy, event.reason))
