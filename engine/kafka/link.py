"""The network between one client and its cluster: a FIFO each way with a latency, that can be cut.

As `engine.link`, with Kafka's words. Requests bear numbers, so that an answer finds who asked for it also
when it comes later, as a push. It says `BatchSent`, `RecordsSent` and `BatchAcknowledged` of what carries
records, and `Sent` of a commit or of acknowledgements in a share group; joins and heartbeats are not drawn.

- *cut*: nothing gets through; what travelled waits with its sender, and departs again when it is restored.
- *closed*: after the request timeout both sides give the connection up; what waited is gone.
- *crash* of the client: what it had sent still arrives; what travels to it finds nobody. The coordinator
  hears nothing of it, brokers see that its connections are closed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from engine.broker import Push
from engine.events import LinkStateChanged, NodeRemoved, Sent, SignalLost
from engine.kafka import operations as ops
from engine.kafka import telling
from engine.kafka.events import BatchAcknowledged, BatchSent, RecordsSent
from engine.kernel import Kernel, Timer

Drawn = Sent | BatchSent | BatchAcknowledged | RecordsSent


class Up(msgspec.Struct, array_like=True):
    """A request on its way to the cluster. `drawn` are the events that told of it."""

    client: str
    number: int
    request: ops.AnyRequest
    drawn: tuple[Drawn, ...] = ()
    lost: bool = False


class Down(msgspec.Struct, array_like=True):
    """An answer to request `number` (0 for a join or a sync), which was `asked`, None where it was pushed."""

    client: str
    number: int
    answer: ops.AnyAnswer
    asked: ops.AnyRequest | None = None
    drawn: tuple[Drawn, ...] = ()
    lost: bool = False


class KafkaLink(msgspec.Struct):
    """`owner`, `broker` (the cluster) and `actor` are indices of the simulation's parts."""

    owner: int
    broker: int
    actor: int
    node: int
    latency_us: int
    request_timeout_us: int
    client: str = ""
    """The name that the actor's process speaks by; "" while it is down."""
    state: str = "up"
    generation: int = 0
    up: dict[int, Up] = {}
    """What travels to the cluster, by its timer's entry."""
    down: dict[int, Down] = {}
    up_waiting: list[Up] = []
    down_waiting: list[Down] = []
    lose_next_ack: bool = False
    leaving: bool = False
    """The actor has said its last: with the last that travels, its node goes."""

    # -- from the actor -------------------------------------------------------------------------

    def send(self, kernel: Kernel, number: int, request: ops.AnyRequest, losable: bool = False) -> None:
        """Let a request travel. `losable`: it is what `lose_next_ack` means."""
        item = Up(self.client, number, request)
        if losable and self.lose_next_ack:
            self.lose_next_ack, item.lost = False, True
        if self.state == "up":
            self._depart_up(kernel, item)
        elif self.state == "cut":
            self.up_waiting.append(item)

    def crash(self, kernel: Kernel, holds: bool = False) -> None:
        """The actor's process dies. The coordinator is not told; who leads the partitions whose records it
        `holds` sees that its connections are closed."""
        if holds:
            self.send(kernel, 0, ops.Disconnected())
        self.client = ""

    def leave(self, kernel: Kernel) -> None:
        """The actor will say no more. Its node goes once nothing travels to or from it."""
        self.leaving = True
        self._go_when_still(kernel)

    def _go_when_still(self, kernel: Kernel) -> None:
        if not self.leaving or self.up or self.down or self.up_waiting or self.down_waiting:
            return
        self.leaving = False
        self.generation += 1
        kernel.parts[self.actor].gone = True
        kernel.emit(NodeRemoved(kernel.now_us, kernel.cause, self.node))

    # -- from the cluster -------------------------------------------------------------------------

    def push(self, kernel: Kernel, client: str, node: int, said: Push) -> None:
        """The cluster says to `client`, this link's process now or before, what it could not say at once."""
        if isinstance(said, ops.ProduceAnswered | ops.FetchAnswered | ops.ShareFetchAnswered):
            item = Down(client, said.answer.request, said.answer)
        else:
            item = Down(client, 0, said)  # type: ignore[arg-type]
        if self.state == "up":
            self._depart_down(kernel, item)
        elif self.state == "cut":
            self.down_waiting.append(item)

    # -- departures -------------------------------------------------------------------------------

    def _depart_up(self, kernel: Kernel, item: Up) -> None:
        arrive_us = kernel.now_us + self.latency_us
        request, cluster = item.request, kernel.parts[self.broker]
        if type(request) is ops.Produce:
            target = cluster.topics[request.topic].partitions[request.partition].node
            messages = tuple(record.message for record in request.records)
            item.drawn = tuple(
                BatchSent(kernel.now_us, kernel.cause, kernel.number + 1 + place, self.node, target, part,
                          arrive_us)
                for place, part in enumerate(telling.in_parts(messages))
            )  # fmt: skip
        elif isinstance(request, ops.OffsetCommit | ops.TxnOffsetCommit) or acknowledges(request):
            group = cluster.group_nodes[request.group]  # type: ignore[union-attr]
            item.drawn = (Sent(
                kernel.now_us, kernel.cause, kernel.number + 1, "ack", 0, self.node, group, arrive_us
            ),)  # fmt: skip
        else:
            item.drawn = ()
        cause = kernel.cause
        for place, event in enumerate(item.drawn):
            number = kernel.emit(event)
            cause = cause if place else number
        self.up[kernel.schedule(arrive_us, self.owner, "up", 0, self.generation, cause)] = item

    def _depart_down(self, kernel: Kernel, item: Down) -> None:
        arrive_us = kernel.now_us + self.latency_us
        item.drawn = drawn = self._drawn(kernel, item.answer, arrive_us)
        cause = kernel.cause
        for place, event in enumerate(drawn):
            number = kernel.emit(event)
            cause = cause if place else number
        if drawn and self.lose_next_ack and type(drawn[0]) is BatchAcknowledged:
            self.lose_next_ack, item.lost = False, True
        self.down[kernel.schedule(arrive_us, self.owner, "down", 0, self.generation, cause)] = item

    def _drawn(self, kernel: Kernel, answer: ops.AnyAnswer, arrive_us: int) -> tuple[Drawn, ...]:
        now_us, cause, signal = kernel.now_us, kernel.cause, kernel.number + 1
        topics = kernel.parts[self.broker].topics
        if type(answer) is ops.Fetched and answer.offsets:
            source = topics[answer.topic].partitions[answer.partition].node
            return (RecordsSent(now_us, cause, signal, source, self.node, answer.offsets[0], answer.next,
                                len(answer.offsets), arrive_us),)  # fmt: skip
        if type(answer) is ops.Produced and not answer.error:
            source = topics[answer.topic].partitions[answer.partition].node
            return (BatchAcknowledged(
                now_us, cause, signal, source, self.node, answer.base, answer.count, arrive_us
            ),)  # fmt: skip
        if type(answer) is ops.ShareFetched:
            runs = [
                (topics[part.partition[0]].partitions[part.partition[1]].node, run)
                for part in answer.parts
                for run in telling.runs(offset for offset, _ in part.acquired)
            ]
            return tuple(
                RecordsSent(now_us, cause, signal + place, source, self.node, run[0], run[-1] + 1, len(run),
                            arrive_us)
                for place, (source, run) in enumerate(runs)
            )  # fmt: skip
        return ()

    # -- arrivals -------------------------------------------------------------------------------

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        if timer[6] != self.generation:
            return
        what = timer[4]
        if what == "up":
            self._arrive_up(kernel, self.up.pop(timer[1]))
        elif what == "down":
            self._arrive_down(kernel, self.down.pop(timer[1]))
        else:
            self._close(kernel)
        if self.leaving:
            self._go_when_still(kernel)

    def _arrive_up(self, kernel: Kernel, item: Up) -> None:
        if item.lost:
            self._lost(kernel, item)
            return
        request = item.request
        answer: Any = kernel.parts[self.broker].execute(kernel, item.client, request)
        if answer is None:
            return
        if type(request) is ops.Produce and request.acks == 0:
            if answer.error:
                kernel.parts[self.actor].refused_unheard(kernel, request)
            return
        self._depart_down(kernel, Down(item.client, item.number, answer, request))

    def _arrive_down(self, kernel: Kernel, item: Down) -> None:
        if item.lost:
            self._lost(kernel, item)
        elif item.client == self.client:
            kernel.parts[self.actor].told(kernel, item.number, item.answer)
        else:
            self._nobody(kernel, item)

    def _lost(self, kernel: Kernel, item: Up | Down) -> None:
        for drawn in item.drawn:
            kernel.emit(SignalLost(kernel.now_us, kernel.cause, drawn.signal))

    def _nobody(self, kernel: Kernel, item: Down) -> None:
        """An answer for a process that is gone: a refused batch is nobody's any more."""
        if isinstance(item.asked, ops.Produce) and item.answer.error:
            kernel.parts[self.actor].refused_unheard(kernel, item.asked)

    # -- the network fails ----------------------------------------------------------------------

    def cut(self, kernel: Kernel) -> None:
        """Nothing gets through from now on. What travels goes back to wait with its sender."""
        self.state = "cut"
        self.generation += 1
        kernel.cause = kernel.emit(LinkStateChanged(kernel.now_us, kernel.cause, self.node, "cut"))
        travelling: list[Up | Down] = [*self.up.values(), *self.down.values()]
        for item in travelling:
            self._lost(kernel, item)
            item.drawn = ()
        self.up_waiting = list(self.up.values())
        self.down_waiting = list(self.down.values())
        self.up, self.down = {}, {}
        due_us = kernel.now_us + self.request_timeout_us
        kernel.schedule(due_us, self.owner, "timeout", 0, self.generation)

    def restore(self, kernel: Kernel) -> None:
        """The network works again. A connection that was given up meanwhile has to be made anew."""
        was, self.state = self.state, "up"
        self.generation += 1
        kernel.cause = cause = kernel.emit(LinkStateChanged(kernel.now_us, kernel.cause, self.node, "up"))
        if was == "cut":
            ups, self.up_waiting = self.up_waiting, []
            downs, self.down_waiting = self.down_waiting, []
            for up in ups:
                kernel.cause = cause
                self._depart_up(kernel, up)
            for down in downs:
                kernel.cause = cause
                self._depart_down(kernel, down)
        kernel.cause = cause
        kernel.parts[self.actor].restored(kernel, was == "closed")

    def _close(self, kernel: Kernel) -> None:
        """The request timeout is over: both sides give the connection up, and what waited is gone."""
        self.state = "closed"
        self.generation += 1
        kernel.cause = kernel.emit(LinkStateChanged(kernel.now_us, kernel.cause, self.node, "closed"))
        ups, self.up_waiting = self.up_waiting, []
        downs, self.down_waiting = self.down_waiting, []
        for down in downs:
            self._nobody(kernel, down)
        if self.client:
            kernel.parts[self.broker].execute(kernel, self.client, ops.Disconnected())
        kernel.parts[self.actor].disconnected(kernel, [up.request for up in ups])

    # -- the present ----------------------------------------------------------------------------

    def publishes(self) -> list[int]:
        """Messages that travel in a produce request, wait for the network, or whose refusal travels."""
        requests = [each.request for each in [*self.up.values(), *self.up_waiting]]
        refused = [each.asked for each in [*self.down.values(), *self.down_waiting] if each.answer.error]
        return [
            record.message
            for request in [*requests, *refused]
            if isinstance(request, ops.Produce)
            for record in request.records
        ]

    def messages_travelling(self) -> list[int]:
        """Messages that something travels about by itself."""
        return []

    def state_events(self, now_us: int) -> list[Any]:
        """What travels, as events that say it anew."""
        told: list[Any] = []
        if self.state != "up":
            told.append(LinkStateChanged(now_us, 0, self.node, self.state))  # type: ignore[arg-type]
        travelling: list[Up | Down] = [*self.up.values(), *self.down.values()]
        told += [msgspec.structs.replace(drawn, cause=0) for item in travelling for drawn in item.drawn]
        return told


def acknowledges(request: ops.AnyRequest) -> bool:
    """Whether it says what has become of records that a share group gave."""
    return type(request) is ops.ShareAcknowledge or (
        type(request) is ops.ShareFetch and bool(request.acknowledgements)
    )
