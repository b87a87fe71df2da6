"""The network between one actor and its broker: a FIFO each way with a latency, that can be cut.

In a room the link is the broker's port. It says `Sent` and `Moved` when something departs, hands it
over when it arrives, and knows what became of it when the network fails:

- *cut*: nothing gets through, as when packets are dropped. What travelled is lost on the wire and,
  as TCP does, waits with its sender to be sent again; what is sent later waits behind it.
- *restored* before the heartbeat: everything that waited departs again, in order.
- *closed*: after `heartbeat` without a word both sides give the connection up; what waited is gone.
- *crash* of the actor: what travels to it finds nobody; what it had sent still arrives, and behind
  it the closing of its socket.

One timer an item and a generation number: what a cut has stopped is forgotten by its old timers.
"""

from __future__ import annotations

from heapq import heappush
from typing import Any, Literal

import msgspec

from engine.broker import Push, Reply
from engine.events import Left, LinkStateChanged, Moved, NodeRemoved, Placed, Sent, SignalKind, SignalLost
from engine.kernel import Kernel, Timer
from engine.rabbitmq import operations as amqp


class Up(msgspec.Struct, array_like=True, gc=False):
    """An operation on its way to the broker. `number` is its `Sent` event, 0 for what is not drawn."""

    client: str
    operation: amqp.AnyOperation
    kind: SignalKind | Literal[""]
    about: int
    target: int
    number: int = 0
    arrive_us: int = 0
    depart_us: int = 0
    lost: bool = False


class Down(msgspec.Struct, array_like=True, gc=False):
    """A push, or the answer to `asked`, on its way to the actor. `source` is the node it leaves."""

    client: str
    said: amqp.AnyPush | amqp.AnyReply
    source: int
    asked: amqp.AnyOperation | None = None
    number: int = 0
    arrive_us: int = 0
    depart_us: int = 0
    lost: bool = False


class Link(msgspec.Struct):
    """One actor's link. `owner`, `broker` and `actor` are indices of the simulation's parts."""

    owner: int
    broker: int
    actor: int
    node: int
    latency_us: int
    heartbeat_us: int
    client: str = ""
    """The channel that the actor speaks through now; "" while its process is down."""
    state: str = "up"
    generation: int = 0
    up: dict[int, Up] = {}
    """What travels to the broker, by its timer's entry."""
    down: dict[int, Down] = {}
    up_waiting: list[Up] = []
    down_waiting: list[Down] = []
    executing: bool = False
    behind_reply: list[Down] = []
    lose_next_ack: bool = False
    leaving: bool = False
    """The actor has said its last: with the last that travels, its node goes."""

    # -- from the actor -------------------------------------------------------------------------

    def send(self, kernel: Kernel, operation: Any, kind: SignalKind | Literal[""] = "", about: int = 0,
             target: int = 0) -> None:  # fmt: skip
        """Let `operation` travel to the broker. With a `kind` its way is drawn to node `target`."""
        if self.state != "up" or self.lose_next_ack or not kind:
            self._send_otherwise(kernel, Up(self.client, operation, kind, about, target))
            return
        # Every publish and acknowledgement comes this way: `_depart_up`, `say` and `schedule` in one.
        now_us = kernel.now_us
        arrive_us = now_us + self.latency_us
        kernel.number = number = kernel.number + 1
        kernel.log.append(Sent(now_us, kernel.cause, number, kind, about, self.node, target, arrive_us))
        kernel.inserted = entry = kernel.inserted + 1
        heappush(kernel.agenda, (arrive_us, entry, self.owner, number, "up", 0, self.generation))
        self.up[entry] = Up(self.client, operation, kind, about, target, number, arrive_us, now_us)

    def _send_otherwise(self, kernel: Kernel, item: Up) -> None:
        if self.state == "up":
            self._depart_up(kernel, item)
        elif self.state == "cut":
            self.up_waiting.append(item)

    def crash(self, kernel: Kernel) -> None:
        """The actor's process dies: its socket closes behind what it had already sent."""
        client, self.client = self.client, ""
        if client and self.state != "closed":
            item = Up(client, amqp.ConnectionClose("socket"), "close", 0, 0)
            if self.state == "up":
                self._depart_up(kernel, item)
            else:
                self.up_waiting.append(item)

    def leave(self, kernel: Kernel) -> None:
        """The actor will say no more. Its node goes once nothing travels to or from it; the closing of
        its connection is the last that does, and the answer to that arrives behind everything else."""
        self.leaving = True
        self._go_when_still(kernel)

    def _go_when_still(self, kernel: Kernel) -> None:
        if self.up or self.down or self.up_waiting or self.down_waiting:
            return
        self.leaving = False
        self.generation += 1
        kernel.parts[self.actor].gone = True
        kernel.emit(NodeRemoved(kernel.now_us, kernel.cause, self.node))

    # -- from the broker ------------------------------------------------------------------------

    def push(self, kernel: Kernel, client: str, node: int, said: Push) -> None:
        """The broker says something unasked to `client`, this link's channel now or before."""
        if type(said) is not amqp.Delivery or self.state != "up":
            self._push_otherwise(kernel, Down(client, said, node))  # type: ignore[arg-type]
            return
        # Every delivery comes this way: `_depart_down` and `schedule` in one.
        now_us = kernel.now_us
        arrive_us = now_us + self.latency_us
        number = kernel.observer.moved(
            Moved(now_us, kernel.cause, said.copy, said.attempt, node, self.node, arrive_us,
                  "" if said.no_ack else "unacked")
        )  # fmt: skip
        item = Down(client, said, node, None, number, arrive_us, now_us)
        if self.executing:
            self.behind_reply.append(item)
            return
        kernel.inserted = entry = kernel.inserted + 1
        heappush(kernel.agenda, (arrive_us, entry, self.owner, number, "down", 0, self.generation))
        self.down[entry] = item

    def _push_otherwise(self, kernel: Kernel, item: Down) -> None:
        if self.state == "up":
            self._depart_down(kernel, item)
        elif self.state == "cut":
            self._hold_down(kernel, item)
            self.down_waiting.append(item)

    def _depart_up(self, kernel: Kernel, item: Up) -> None:
        now_us = kernel.now_us
        arrive_us = now_us + self.latency_us
        item.arrive_us, item.depart_us = arrive_us, now_us
        cause = kernel.cause
        if item.kind:
            cause = item.number = kernel.emit(
                Sent(
                    now_us, cause, kernel.number + 1, item.kind, item.about, self.node, item.target, arrive_us
                )
            )
            if self.lose_next_ack and item.kind == "ack":
                self.lose_next_ack, item.lost = False, True
        self.up[kernel.schedule(arrive_us, self.owner, "up", 0, self.generation, cause)] = item

    def _depart_down(self, kernel: Kernel, item: Down) -> None:
        now_us = kernel.now_us
        item.arrive_us, item.depart_us = now_us + self.latency_us, now_us
        said = item.said
        if isinstance(said, amqp.Delivery):
            item.number = kernel.emit(
                Moved(now_us, kernel.cause, said.copy, said.attempt, item.source, self.node, item.arrive_us,
                      "" if said.no_ack else "unacked")
            )  # fmt: skip
        elif type(said) in DRAWN:
            item.number = kernel.emit(
                Sent(now_us, kernel.cause, kernel.number + 1, _signal(said), getattr(said, "message", 0),
                     item.source, self.node, item.arrive_us)
            )  # fmt: skip
            if self.lose_next_ack and isinstance(said, amqp.Confirm):
                self.lose_next_ack, item.lost = False, True
        if self.executing:
            self.behind_reply.append(item)
        else:
            self._schedule_down(kernel, item)

    def _schedule_down(self, kernel: Kernel, item: Down) -> None:
        entry = kernel.schedule(
            item.arrive_us, self.owner, "down", 0, self.generation, item.number or kernel.cause
        )
        self.down[entry] = item

    # -- arrivals -------------------------------------------------------------------------------

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        if timer[6] != self.generation:
            return
        what = timer[4]
        if what == "up":
            up = self.up.pop(timer[1])
            if up.lost:
                kernel.emit(SignalLost(kernel.now_us, kernel.cause, up.number))
                return
            self.executing = True
            reply = kernel.parts[self.broker].execute(kernel, up.client, up.operation)
            self.executing = False
            if reply is not None:
                self._answer(kernel, up, reply)
            if self.behind_reply:
                for push in self.behind_reply:
                    self._schedule_down(kernel, push)
                self.behind_reply.clear()
        elif what == "down":
            down = self.down.pop(timer[1])
            if down.asked is None and down.client == self.client and not down.lost:
                kernel.parts[self.actor].told(kernel, down.said)
            else:
                self._arrive_otherwise(kernel, down)
        else:
            self._close(kernel)

    def _answer(self, kernel: Kernel, item: Up, reply: Reply) -> None:
        answer = Down(item.client, reply, item.target, item.operation)  # type: ignore[arg-type]
        answer.depart_us, answer.arrive_us = kernel.now_us, kernel.now_us + self.latency_us
        self._schedule_down(kernel, answer)

    def _arrive_otherwise(self, kernel: Kernel, item: Down) -> None:
        """What is lost, comes too late, or answers something."""
        if item.lost:
            kernel.emit(SignalLost(kernel.now_us, kernel.cause, item.number))
        elif item.client != self.client:
            self._nobody(kernel, item, self.node)
        else:
            kernel.parts[self.actor].answered(kernel, item.asked, item.said)
        if self.leaving:
            self._go_when_still(kernel)

    def _nobody(self, kernel: Kernel, item: Down, node: int) -> None:
        """What arrives for a process that is gone, or for a connection it has given up."""
        said = item.said
        if isinstance(said, amqp.Delivery):
            kernel.emit(
                Left(kernel.now_us, kernel.cause, (said.copy,), said.attempt, node, "connection_closed")
            )
        elif isinstance(said, amqp.Closed) and isinstance(item.asked, amqp.BasicPublish):
            kernel.parts[self.actor].refused_unheard(kernel, item.asked)

    # -- the network fails ----------------------------------------------------------------------

    def cut(self, kernel: Kernel) -> None:
        """Nothing gets through from now on. What travels goes back to wait with its sender."""
        self.state = "cut"
        self.generation += 1
        kernel.cause = kernel.emit(LinkStateChanged(kernel.now_us, kernel.cause, self.node, "cut"))
        for up in self.up.values():
            if up.number:
                kernel.emit(SignalLost(kernel.now_us, kernel.cause, up.number))
        for down in self.down.values():
            self._hold_down(kernel, down)
        self.up_waiting = list(self.up.values())
        self.down_waiting = list(self.down.values())
        self.up, self.down = {}, {}
        kernel.schedule(kernel.now_us + self.heartbeat_us, self.owner, "heartbeat", 0, self.generation)

    def _hold_down(self, kernel: Kernel, item: Down) -> None:
        """A body, or a drawn signal, that waits in the broker's socket."""
        said = item.said
        if isinstance(said, amqp.Delivery):
            now_us, cause = kernel.now_us, kernel.cause
            kernel.emit(Placed(now_us, cause, said.copy, said.attempt, item.source, "socket", -1))
            if item.number:
                pass  # its Moved has said where attempt 0 is
            elif said.no_ack:
                kernel.emit(Left(now_us, cause, (said.copy,), 0, item.source, "automatic"))
            else:
                kernel.emit(Placed(now_us, cause, said.copy, 0, item.source, "unacked", -1))
        elif item.number:
            kernel.emit(SignalLost(kernel.now_us, kernel.cause, item.number))

    def restore(self, kernel: Kernel) -> None:
        """The network works again. A connection that was given up meanwhile has to be made anew."""
        was, self.state = self.state, "up"
        self.generation += 1
        kernel.cause = kernel.emit(LinkStateChanged(kernel.now_us, kernel.cause, self.node, "up"))
        if was == "cut":
            ups, self.up_waiting = self.up_waiting, []
            downs, self.down_waiting = self.down_waiting, []
            for up in ups:
                self._depart_up(kernel, up)
            for down in downs:
                if down.asked is None:
                    self._depart_down(kernel, down)
                else:
                    down.depart_us, down.arrive_us = kernel.now_us, kernel.now_us + self.latency_us
                    self._schedule_down(kernel, down)
        elif was == "closed":
            kernel.parts[self.actor].reconnect(kernel)

    def _close(self, kernel: Kernel) -> None:
        """Neither side has heard anything for the heartbeat's time: both give the connection up."""
        self.state = "closed"
        self.generation += 1
        kernel.cause = cause = kernel.emit(LinkStateChanged(kernel.now_us, kernel.cause, self.node, "closed"))
        ups, self.up_waiting = self.up_waiting, []
        downs, self.down_waiting = self.down_waiting, []
        for down in downs:
            self._nobody(kernel, down, down.source)
        clients = dict.fromkeys([*(d.client for d in downs), *(u.client for u in ups), self.client])
        for client in clients:
            if client:
                kernel.parts[self.broker].execute(kernel, client, amqp.ConnectionClose("heartbeat"))
                kernel.cause = cause
        kernel.parts[self.actor].disconnected(kernel, [up.operation for up in ups])
        if self.leaving:
            self._go_when_still(kernel)

    # -- the present ----------------------------------------------------------------------------

    def publishes(self) -> list[int]:
        """Messages whose publish travels, waits for the network, or is just being answered with a refusal."""
        ups = [*self.up.values(), *self.up_waiting]
        downs = [*self.down.values(), *self.down_waiting]
        operations = [*(up.operation for up in ups), *(down.asked for down in downs)]
        return [each.message for each in operations if isinstance(each, amqp.BasicPublish)]

    def messages_travelling(self) -> list[int]:
        """Messages that a confirm or a return travels about."""
        return [getattr(d.said, "message", 0) for d in self.down.values() if d.number and
                not isinstance(d.said, amqp.Delivery)]  # fmt: skip

    def state_events(self, now_us: int) -> list[Any]:
        """What travels or waits, as events that say it anew."""
        told: list[Any] = []
        if self.state != "up":
            told.append(LinkStateChanged(now_us, 0, self.node, self.state))  # type: ignore[arg-type]
        for up in self.up.values():
            if up.number:
                told.append(Sent(up.depart_us, 0, up.number, up.kind,  # type: ignore[arg-type]
                                 up.about, self.node, up.target, up.arrive_us))  # fmt: skip
        for down in self.down.values():
            said = down.said
            if isinstance(said, amqp.Delivery):
                told.append(Moved(down.depart_us, 0, said.copy, said.attempt, down.source, self.node,
                                  down.arrive_us, "" if said.no_ack else "unacked"))  # fmt: skip
            elif down.number:
                told.append(Sent(down.depart_us, 0, down.number, _signal(said), getattr(said, "message", 0),
                                 down.source, self.node, down.arrive_us))  # fmt: skip
        for down in self.down_waiting:
            if isinstance(down.said, amqp.Delivery):
                said = down.said
                told.append(Placed(now_us, 0, said.copy, said.attempt, down.source, "socket", -1))
        return told


DRAWN: dict[type, SignalKind] = {amqp.Confirm: "confirm", amqp.Return: "return",
                                 amqp.CancelledByBroker: "cancel", amqp.ChannelClosed: "close"}  # fmt: skip


def _signal(said: amqp.AnyPush | amqp.AnyReply) -> SignalKind:
    if isinstance(said, amqp.Confirm) and not said.ack:
        return "refuse"
    return DRAWN[type(said)]
