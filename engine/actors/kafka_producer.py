"""A producer of Kafka: makes messages, collects them in batches by partition, and sees the batches through.

`org.apache.kafka.clients.producer`: the accumulator (linger.ms, batch.size), the sender (five requests in
flight, retries until delivery.timeout.ms), the sticky partitioner for records without a key (KIP-794).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from engine import limits
from engine.actors import kafka_transactions as transactions
from engine.chance import below
from engine.events import GivenUp, MessageCreated, NodeStateChanged
from engine.kafka import operations as ops
from engine.kafka.clients.producer import Producer
from engine.kafka.events import RecordsWithdrawn
from engine.kafka.log import NO_PID
from engine.kafka.settings import is_idempotent, producer_settings
from engine.kernel import Kernel, Timer
from engine.policies.arrivals import at_rate, how_often, is_poison, next_gap_us
from engine.scenario import KafkaProducerSpec
from engine.world import TOMBSTONE

IN_FLIGHT_MAX = 5
"""max.in.flight.requests.per.connection; kept by partition here, since each has one leader to talk to."""

RETRIABLE = frozenset({
    "REQUEST_TIMED_OUT", "NOT_ENOUGH_REPLICAS", "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "LEADER_NOT_AVAILABLE",
    "NOT_LEADER_OR_FOLLOWER", "UNKNOWN_TOPIC_OR_PARTITION", "OUT_OF_ORDER_SEQUENCE_NUMBER",
})  # fmt: skip
"""Of `org.apache.kafka.common.protocol.Errors`: what a producer tries again after. Never iterated over."""


class Batch(msgspec.Struct, array_like=True, gc=False):
    """Records for one partition. `timer` is its linger's, later its request's; `number` its age."""

    number: int
    partition: int
    made_us: int
    messages: list[int]
    keys: list[str]
    size: int = 0
    order: int = 0
    """How many batches of its partition were sent before it, and it; 0 before it is sent."""
    timer: int = 0
    not_before_us: int = 0
    request: ops.Produce | None = None
    """As it was sent first: a retry has the same sequence."""


class KafkaProducer(msgspec.Struct, tag="kafka_producer"):
    """`spec` is what the scenario says, as changed by commands; `owner`, `link` are indices of parts."""

    spec: KafkaProducerSpec
    owner: int
    link: int
    node: int
    topic_node: int
    arrivals_stream: str
    """The random stream of its gaps."""
    library: Producer
    request_timeout_us: int
    state: str = "up"
    life: int = 0
    """Goes up when the process starts; a timer of an earlier life is nobody's."""
    incarnation: int = 0
    made: int = 0
    paused: bool = False
    poison_next: bool = False
    plan: int = 0
    """Goes up with each plan for the next message: only the latest holds."""
    stated: bool = False
    """Whether an event has told of its settings."""
    stopped: bool = False
    removed: bool = False
    """It makes no more messages, and its node goes with the last that travels."""
    gone: bool = False
    """Its node is gone. It keeps its place among the parts, where old timers may still look for it."""
    numbers: int = 0
    """Requests and batches so far."""
    partitions: int = 0
    """Of its topic, as the metadata had it last; 0 while it has none."""
    placed: dict[str, int] = {}
    """Key → partition, of keys seen since the metadata came."""
    sticky: int = -1
    sticky_bytes: int = 0
    unplaced: list[tuple[int, str]] = []
    """(message, key) made before the first metadata."""
    open: dict[int, Batch] = {}
    """By partition, the batch that still takes records."""
    queued: dict[int, list[Batch]] = {}
    """By partition, what is to be sent, oldest first."""
    flight: dict[int, Batch] = {}
    """By request."""
    flying: dict[int, int] = {}
    """By partition, how many requests are in flight."""
    sent: dict[int, int] = {}
    """By partition, how many batches so far, each counted once."""
    unanswered: dict[int, ops.AnyRequest] = {}
    """Requests for metadata, for a producer id and for the end of a transaction."""
    kept: list[tuple[int, str]] = []
    """(message, key) made while no transaction was there to take them."""
    in_transaction: int = 0
    """Records of the open transaction so far."""
    transactions: int = 0
    """How many it has ended by its spec."""
    ending: Literal["", "commit", "abort"] = ""
    by_hand: bool = False
    """Whether somebody began the open transaction, who will end it too."""
    fenced: bool = False
    """Whether its process ended because another one has its transactional.id."""

    # -- life -----------------------------------------------------------------------------------

    def begin(self, kernel: Kernel) -> None:
        """Connect, and plan the first message."""
        self.connect(kernel)
        kernel.schedule(self.spec.start, self.owner, "start", 0, self.life)

    def connect(self, kernel: Kernel) -> None:
        """A new process: it asks for metadata and, if it is idempotent, for a producer id."""
        link = kernel.parts[self.link]
        self.incarnation += 1
        link.client = f"{self.spec.name}#{self.incarnation}"
        self.introduce(kernel, link.client)

    def introduce(self, kernel: Kernel, client: str) -> None:
        """The client library of a process that has just started asks for what it needs."""
        spec = self.spec
        acks: ops.Acks = -1 if spec.acks == "all" else spec.acks
        self.library = Producer(client, spec.transactional_id, spec.partitioner, acks)
        self.ask(kernel, ops.Metadata((spec.to.topic,)))
        if spec.transactional_id:
            self.ask(kernel, ops.InitProducerId(spec.transactional_id, int(spec.transaction_timeout)))
        elif is_idempotent(self.spec):
            self.ask(kernel, ops.InitProducerId())
        kernel.schedule(kernel.now_us + spec.metadata_max_age, self.owner, "metadata", 0, self.life)

    def ask(self, kernel: Kernel, request: ops.AnyRequest) -> None:
        """Send a request of which the answer is waited for."""
        self.numbers += 1
        self.unanswered[self.numbers] = request
        kernel.parts[self.link].send(kernel, self.numbers, request)

    def crash(self, kernel: Kernel) -> None:
        """The process dies with its batches; what it had sent may still arrive."""
        self.state = "crashed"
        self.life += 1
        kernel.cause = kernel.emit(self._said_state(kernel))
        self._forget(kernel)
        kernel.parts[self.link].crash(kernel)

    def _forget(self, kernel: Kernel) -> None:
        batches = self._batches()
        unplaced, self.unplaced = self.unplaced, []
        unplaced, self.kept = [*unplaced, *self.kept], []
        self.ending, self.in_transaction, self.by_hand = "", 0, False
        self.open, self.queued, self.flight, self.flying, self.unanswered = {}, {}, {}, {}, {}
        self.sent = {}
        self.partitions, self.placed, self.sticky = 0, {}, -1
        lost = [message for batch in batches for message in batch.messages]
        self._give_up(kernel, [*lost, *(message for message, _ in unplaced)])

    def _batches(self) -> list[Batch]:
        waiting = [batch for row in self.queued.values() for batch in row]
        return [*self.flight.values(), *waiting, *self.open.values()]

    def unsent(self) -> list[int]:
        """Messages that it has, and that the cluster may not have."""
        collected = [message for batch in self._batches() for message in batch.messages]
        return [*collected, *(message for message, _ in [*self.unplaced, *self.kept])]

    def has_batches(self) -> bool:
        """Whether something that it has made into a batch, or could not place yet, has no answer."""
        return bool(self.unplaced or self._batches())

    def drop_unsent(self, kernel: Kernel) -> None:
        """Its transaction is aborted: what is not in flight will not be sent."""
        dropped = [message for message, _ in self.unplaced]
        self.unplaced = []
        for batch in [*self.open.values(), *(batch for row in self.queued.values() for batch in row)]:
            if batch.timer:
                kernel.cancel(batch.timer)
                batch.timer = 0
            dropped += batch.messages
        self.open, self.queued = {}, {}
        self._withdraw(kernel, dropped)

    def _withdraw(self, kernel: Kernel, messages: list[int]) -> None:
        """Of an aborted transaction, what is not on its way."""
        on_their_way = frozenset(kernel.parts[self.link].publishes()) if messages else frozenset()
        told = tuple(message for message in messages if message not in on_their_way)
        if told:
            kernel.emit(RecordsWithdrawn(kernel.now_us, kernel.cause, self.node, told))

    def _give_up(self, kernel: Kernel, messages: list[int]) -> None:
        """It will not send them again; what is on its way may still arrive."""
        on_their_way = frozenset(kernel.parts[self.link].publishes()) if messages else frozenset()
        for message in messages:
            if message not in on_their_way:
                kernel.emit(GivenUp(kernel.now_us, kernel.cause, message, self.node))

    def refused_unheard(self, kernel: Kernel, request: ops.Produce) -> None:
        """A request came to nothing and nobody is told. What it still has will be sent again."""
        still = frozenset(self.unsent())
        lost = [record.message for record in request.records if record.message not in still]
        self._give_up(kernel, lost)

    def remove(self, kernel: Kernel) -> None:
        """Make no more messages, send what there is, wait for its answers, go."""
        self.removed = True
        self.plan += 1
        if self.state == "up":
            self.state = "stopped"
            kernel.cause = kernel.emit(self._said_state(kernel))
        kept, self.kept = self.kept, []
        self._give_up(kernel, [message for message, _ in kept])
        if self.library.open and self.ending != "abort" and self.state == "stopped":
            transactions.end(self, kernel, commit=False)
        self.flush(kernel)
        if kernel.parts[self.link].state == "closed":
            self._forget(kernel)
        self._leave_when_done(kernel)

    def _leave_when_done(self, kernel: Kernel) -> None:
        link = kernel.parts[self.link]
        if not self.removed or link.leaving or self.gone or self.has_batches():
            return
        if self.ending and link.client:
            return
        self.life += 1
        link.client = ""
        link.leave(kernel)

    def restart(self, kernel: Kernel) -> None:
        self.state, self.fenced = "up", False
        kernel.cause = kernel.emit(self._said_state(kernel))
        self.connect(kernel)
        self._plan(kernel)

    def restored(self, kernel: Kernel, anew: bool) -> None:
        """The network is back; `anew`: what was asked before is not answered any more."""
        link = kernel.parts[self.link]
        if not link.client:
            return
        if anew:
            for number, request in self.unanswered.items():
                link.send(kernel, number, request)
        self._send_all(kernel)

    def disconnected(self, kernel: Kernel, unsent: list[Any]) -> None:
        """The connection is gone: what was in flight is not known, and will be sent again."""
        for number in list(self.flight):
            self._answered(kernel, number, "REQUEST_TIMED_OUT")
        for request in unsent:
            if isinstance(request, ops.Produce):
                self.refused_unheard(kernel, request)
        if self.removed:
            self._forget(kernel)
            self._leave_when_done(kernel)

    # -- making messages ------------------------------------------------------------------------

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        what = timer[4]
        if timer[6] != self.life:
            return
        if what == "arrival":
            if timer[5] == self.plan:
                self.make(kernel, self.next_key(kernel))
                self._plan(kernel)
        elif what == "linger":
            batch = self.open.get(timer[5])
            if batch is not None and batch.timer == timer[1]:
                batch.timer = 0
                self._send(kernel, timer[5])
        elif what == "request":
            self._answered(kernel, timer[5], "REQUEST_TIMED_OUT", fired=True)
        elif what == "retry":
            self._send(kernel, timer[5])
        elif what == "start":
            self._plan(kernel)
        elif what == "metadata":
            self.ask(kernel, ops.Metadata((self.spec.to.topic,)))
            kernel.schedule(kernel.now_us + self.spec.metadata_max_age, self.owner, "metadata", 0, self.life)

    def _stream(self, purpose: str) -> str:
        return f"{self.spec.name}/{purpose}"

    def _plan(self, kernel: Kernel) -> None:
        """Schedule the next message, unless there is none."""
        spec = self.spec
        self.plan += 1
        done = spec.count is not None and self.made >= spec.count
        if self.paused or self.stopped or self.removed or done:
            return
        gap_us = next_gap_us(kernel, self.arrivals_stream, spec.arrivals, self.made, spec.start)
        if gap_us is not None:
            kernel.schedule(kernel.now_us + gap_us, self.owner, "arrival", self.plan, self.life, 0)

    def make(self, kernel: Kernel, key: str) -> None:
        """Make one message with this key and put it into a batch."""
        spec = self.spec
        if kernel.messages >= limits.MESSAGES_MAX:
            kernel.schedule(kernel.now_us, 0, "end", 1)
            return
        self.made += 1
        poison = False
        if self.poison_next:
            poison, self.poison_next = True, False
        elif spec.poison is not None:
            poison = is_poison(kernel, self._stream("poison"), spec.poison, self.made)
        kernel.messages = message = kernel.messages + 1
        kernel.cause = kernel.observer.made(
            MessageCreated(kernel.now_us, kernel.cause, message, self.node, key, poison)
        )
        if is_poison(kernel, self._stream("tombstones"), spec.tombstones, self.made):
            kernel.parts[0].flags[message] |= TOMBSTONE
        self.put(kernel, message, key)

    def put(self, kernel: Kernel, message: int, key: str) -> None:
        """Into a batch, once there are metadata; a transactional producer writes in transactions only."""
        if self.spec.transactional_id and not transactions.takes(self):
            self.kept.append((message, key))
            return
        if self.partitions:
            self._collect(kernel, message, key)
        else:
            self.unplaced.append((message, key))
        if transactions.is_full(self):
            transactions.end_by_spec(self, kernel)

    def next_key(self, kernel: Kernel) -> str:
        """The key of its next message, in turn or drawn."""
        keys = self.spec.keys
        if not keys:
            return ""
        if self.spec.draw_keys:
            return keys[below(kernel, self._stream("keys"), len(keys))]
        return keys[self.made % len(keys)]

    # -- batches ----------------------------------------------------------------------------------

    def _place(self, kernel: Kernel, key: str) -> int:
        if not key:
            return self._sticky(kernel)
        partition = self.placed.get(key)
        if partition is None:
            partition = self.placed[key] = self.library.place(key, self.partitions)
        return partition

    def _sticky(self, kernel: Kernel) -> int:
        """One partition until batch.size bytes were produced to it, then another one by chance (KIP-794)."""
        spec = self.spec
        if self.sticky < 0:
            self.sticky = below(kernel, self._stream("partition"), self.partitions)
        elif self.sticky_bytes >= spec.batch_size:
            self.sticky_bytes = 0
            if self.partitions > 1:
                other = below(kernel, self._stream("partition"), self.partitions - 1)
                self.sticky = other + (other >= self.sticky)
        self.sticky_bytes += spec.record_bytes
        return self.sticky

    def _collect(self, kernel: Kernel, message: int, key: str) -> None:
        spec = self.spec
        partition = self._place(kernel, key)
        batch, size = self.open.get(partition), spec.record_bytes
        if batch is not None and batch.size + size > spec.batch_size:
            self._close(kernel, partition)
            batch = None
        if batch is None:
            self.numbers += 1
            batch = Batch(self.numbers, partition, kernel.now_us, [], [])
            batch.timer = kernel.schedule(kernel.now_us + spec.linger, self.owner, "linger", partition,
                                          self.life)  # fmt: skip
            self.open[partition] = batch
        batch.messages.append(message)
        batch.keys.append(key)
        batch.size += size
        if batch.size >= spec.batch_size:
            self._close(kernel, partition)

    def flush(self, kernel: Kernel) -> None:
        """All that is collected can go."""
        for partition, batch in list(self.open.items()):
            if batch.timer:
                kernel.cancel(batch.timer)
                batch.timer = 0
            self._send(kernel, partition)

    def _send_all(self, kernel: Kernel) -> None:
        for partition in dict.fromkeys([*self.queued, *self.open]):
            self._send(kernel, partition)

    def _close(self, kernel: Kernel, partition: int) -> None:
        """The batch is full. One that has only lingered long enough takes records until it is sent."""
        batch = self.open.pop(partition)
        if batch.timer:
            kernel.cancel(batch.timer)
            batch.timer = 0
        self.queued.setdefault(partition, []).append(batch)
        self._send(kernel, partition)

    def _window_open(self, partition: int) -> bool:
        """Fewer than five in flight; and where the oldest of them has no answer, those behind it have none
        that counts either, as on one connection: a leader knows the last five batches of a producer."""
        if not self.flying.get(partition):
            return True
        queue = self.queued.get(partition)
        following = queue[0].order if queue and queue[0].order else self.sent[partition] + 1
        oldest = min(batch.order for batch in self.flight.values() if batch.partition == partition)
        return self.flying[partition] < IN_FLIGHT_MAX and following - oldest < IN_FLIGHT_MAX

    def _send(self, kernel: Kernel, partition: int) -> None:
        """What may go now, in order."""
        link, queue, now_us = kernel.parts[self.link], self.queued.get(partition), kernel.now_us
        waits_for_id = self.library.pid == NO_PID and is_idempotent(self.spec)
        if link.state != "up" or not link.client or waits_for_id:
            return
        while self._window_open(partition):
            if queue:
                if queue[0].not_before_us > now_us:
                    break
                batch = queue.pop(0)
            else:
                collected = self.open.get(partition)
                if collected is None or collected.timer:
                    break
                batch = self.open.pop(partition)
            if now_us - batch.made_us > self.spec.delivery_timeout:
                self._give_up(kernel, batch.messages)
                if self._write_failed(kernel, "REQUEST_TIMED_OUT"):
                    return
                continue
            request = batch.request
            if request is None or self._begun_anew(request):
                marks = kernel.parts[0].flags
                records = tuple(
                    ops.Record(key or None, None if marks[message] & TOMBSTONE else "", message)
                    for key, message in zip(batch.keys, batch.messages, strict=True)
                )
                place = (self.spec.to.topic, partition)
                request = self.library.produce(place, records, self.request_timeout_us)
            if not batch.order:
                batch.order = self.sent[partition] = self.sent.get(partition, 0) + 1
            self.numbers += 1
            batch.request = request = msgspec.structs.replace(request, request=self.numbers, size=batch.size)
            if request.acks:
                self.flight[self.numbers] = batch
                self.flying[partition] = self.flying.get(partition, 0) + 1
                due_us = now_us + self.request_timeout_us
                batch.timer = kernel.schedule(due_us, self.owner, "request", self.numbers, self.life)
            link.send(kernel, self.numbers, request)
        self._settle(kernel)

    def _begun_anew(self, request: ops.Produce) -> bool:
        """Whether a batch that was sent by the producer's former id needs a sequence of its present one.
        Idempotence that was switched meanwhile changes nothing of what was sent."""
        return NO_PID not in (request.pid, self.library.pid) and request.pid != self.library.pid

    # -- answers ------------------------------------------------------------------------------------

    def told(self, kernel: Kernel, number: int, answer: Any) -> None:
        """The answer to request `number`."""
        asked = self.unanswered.pop(number, None)
        if type(asked) is ops.EndTxn:
            transactions.ended(self, kernel, answer)
            self._leave_when_done(kernel)
        elif isinstance(answer, ops.MetadataAnswered):
            self._metadata(kernel, dict(answer.partitions).get(self.spec.to.topic, 0))
        elif isinstance(answer, ops.ProducerIdGiven):
            if is_idempotent(self.spec):
                self.library.initialized(answer)
            self._send_all(kernel)
        elif asked is None:
            self._answered(kernel, number, answer.error)

    def _metadata(self, kernel: Kernel, partitions: int) -> None:
        if partitions != self.partitions:
            self.partitions, self.placed = partitions, {}
        unplaced, self.unplaced = self.unplaced, []
        for message, key in unplaced:
            self._collect(kernel, message, key)
        if self.removed or self.ending:
            self.flush(kernel)

    def _answered(self, kernel: Kernel, number: int, error: str, fired: bool = False) -> None:
        """Request `number` has its answer, or has none in time. `fired`: its timer is no more."""
        batch = self.flight.pop(number, None)
        if batch is None:
            return
        partition = batch.partition
        self.flying[partition] -= 1
        if not fired:
            kernel.cancel(batch.timer)
        batch.timer = 0
        lost = error == "OUT_OF_ORDER_SEQUENCE_NUMBER" and self.library.open
        if error and self.ending == "abort":
            self._withdraw(kernel, batch.messages)
        elif error in RETRIABLE and not lost:
            self._again(kernel, batch, error)
        elif error:
            self._give_up(kernel, batch.messages)
            self._write_failed(kernel, error)
        if not error:
            self._send(kernel, partition)
        self._settle(kernel)

    def _write_failed(self, kernel: Kernel, error: str) -> bool:
        """A batch came to nothing: so does the transaction that it was of. Whether there was one."""
        if self.library.open:
            transactions.failed(self, kernel, error)
            return True
        return False

    def transaction_over(self, kernel: Kernel, how: Literal["", "commit", "abort"]) -> None:
        """It has ended so. What was made meanwhile goes into the next one."""
        transactions.release(self, kernel)

    def _settle(self, kernel: Kernel) -> None:
        """What waited for the last answer goes on."""
        transactions.go_on(self, kernel)
        self._leave_when_done(kernel)

    def _again(self, kernel: Kernel, batch: Batch, error: str) -> None:
        """Back into the queue, at the place of its age. A sequence that is refused though nothing older is
        under way has no predecessor any more: the producer begins anew with another id (KIP-360)."""
        queue = self.queued.setdefault(batch.partition, [])
        batch.not_before_us = kernel.now_us + self.spec.retry_backoff
        place = sum(other.number < batch.number for other in queue)
        queue.insert(place, batch)
        older = place or any(
            other.partition == batch.partition and other.number < batch.number
            for other in self.flight.values()
        )
        written = batch.request
        stands = written is not None and written.pid == self.library.pid
        if error == "OUT_OF_ORDER_SEQUENCE_NUMBER" and not older and stands:
            self.library.pid, self.library.sequences = NO_PID, {}
            self.ask(kernel, ops.InitProducerId())
        kernel.schedule(batch.not_before_us, self.owner, "retry", batch.partition, self.life)

    # -- commands -------------------------------------------------------------------------------

    def set_rate(self, kernel: Kernel, per_minute: int) -> None:
        """Evenly or by Poisson, as before; 0 stops. The next gap starts now."""
        spec = self.spec
        self.stopped = per_minute == 0
        if not self.stopped:
            self.spec = msgspec.structs.replace(spec, arrivals=at_rate(spec.arrivals, per_minute))
        kernel.emit(self._said_state(kernel))
        if self.state == "up":
            self._plan(kernel)

    def set_idempotence(self, kernel: Kernel, on: bool) -> None:
        """What is not sent yet waits until it has an id, or needs none any more."""
        self.spec = msgspec.structs.replace(self.spec, idempotence=on)
        self.tell(kernel)
        self.library.pid, self.library.sequences = NO_PID, {}
        if kernel.parts[self.link].client:
            if on:
                self.ask(kernel, ops.InitProducerId())
            else:
                self._send_all(kernel)

    def tell(self, kernel: Kernel) -> None:
        """What it does from now on is no longer what its scenario says."""
        self.stated = True
        kernel.emit(producer_settings(self.spec, kernel.now_us, kernel.cause, self.node))

    def pause(self, kernel: Kernel) -> None:
        self.paused = True
        self.plan += 1
        kernel.emit(self._said_state(kernel))

    def resume(self, kernel: Kernel) -> None:
        self.paused = False
        kernel.emit(self._said_state(kernel))
        self._plan(kernel)

    # -- the present ----------------------------------------------------------------------------

    def shown_state(self) -> str:
        """Its `NodeState`."""
        return "paused" if self.state == "up" and self.paused else self.state

    def _said_state(self, kernel: Kernel) -> NodeStateChanged:
        state: Any = self.shown_state()
        return NodeStateChanged(kernel.now_us, kernel.cause, self.node, state, self.about())

    def about(self) -> str:
        """The node's one-line note: how often it makes messages."""
        if self.fenced:
            return "fenced: another producer has its transactional.id"
        return "none" if self.stopped else how_often(self.spec.arrivals)
