"""What any application around a client of Kafka's has: a process that works on records one after the other.

It stands between the client that brings records (`kafka_member`, `kafka_share_consumer`) and the world: the
time that a record takes, failures, effects, an idempotency store, and a process that crashes, stands still,
is slow.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import msgspec

from engine.durations import spoken
from engine.events import HandlerDeclared, NodeStateChanged
from engine.kafka import operations as ops
from engine.kafka.assignors import Partition
from engine.kafka.events import PartitionsRevoked, RecordFailed, RecordsWorked
from engine.kernel import Kernel, Timer
from engine.policies.service import NORMAL, failure, mean_us, work_us
from engine.scenario import Idempotency, KafkaConsumerSpec, ShareConsumerSpec, Work
from engine.world import POISON, World

CHUNK_US = 25_000
"""Work is told of in chunks of about a tick."""

RETRY_US = 100_000
"""retry.backoff.ms: how long a client waits when a partition has no leader."""


class Fetched(msgspec.Struct, array_like=True):
    """What a fetch has brought of one partition, from `at` (a place in `offsets`) on."""

    partition: Partition
    node: int
    first: int
    next: int
    offsets: tuple[int, ...]
    messages: tuple[int, ...]
    at: int = 0
    deliveries: tuple[int, ...] = ()
    """In a share group: for the how manieth time each is delivered."""


Spec = TypeVar("Spec", bound=KafkaConsumerSpec | ShareConsumerSpec)


class KafkaWorker(msgspec.Struct, Generic[Spec]):
    """`spec` is what the scenario says, as changed by commands; `owner`, `link` are indices of parts."""

    spec: Spec
    owner: int
    link: int
    node: int
    group_node: int
    work_stream: str
    """The random stream of its service times."""
    effect_key: str
    """What the world counts its effects by: effect and group."""
    request_timeout_us: int
    state: str = "up"
    factor: int = NORMAL
    life: int = 0
    """Goes up when the process starts; a timer of an earlier life is nobody's."""
    incarnation: int = 0
    paused: bool = False
    """The process stands still, heartbeats too."""
    stopping: bool = False
    removed: bool = False
    """It stops, and its node goes with the last that travels."""
    gone: bool = False
    """Its node is gone. It keeps its place among the parts, where old timers may still look for it."""
    numbers: int = 0
    """Requests so far."""
    unanswered: dict[int, ops.AnyRequest] = {}
    owned: list[Partition] = []
    """As events have told."""
    buffer: list[Fetched] = []
    """What no poll has returned yet."""
    hand: list[Fetched] = []
    """What the last poll returned and is not worked."""
    since_us: int = 0
    """Since when the first record of what it has is the first."""
    chunk: int = 0
    """How many records of `hand[0]` are being worked on."""
    known: list[bool] = []
    """Of these, which the idempotency store remembered when it was asked ("check then act")."""
    attempt: int = 0
    """Failures in a row on the record that is next."""
    failed: RecordFailed | None = None
    """The last of these, as an event told of it."""
    refuses: Literal["", "release", "reject"] = ""
    """What a command has it say of the next record instead of working on it; of a share group's member."""
    polled_us: int = 0
    expired: bool = False
    """It has not polled for too long, and has left its group by itself."""
    frozen: list[tuple[str, int]] = []
    """Timers that were due while it stood still."""
    frozen_said: list[tuple[int, ops.AnyAnswer]] = []
    quiet_until_us: int = 0
    """Until then it asks for no records: a partition had no leader."""
    stated: bool = False
    """Whether an event has told of its settings."""
    store: str = ""
    """The idempotency store that it had, while it keeps none."""

    # -- what its client does -----------------------------------------------------------------------

    def connect(self, kernel: Kernel) -> None:
        """A new process joins the group."""
        raise NotImplementedError

    def stop(self, kernel: Kernel) -> None:
        """Finish what the last poll returned, then leave the group and close."""
        raise NotImplementedError

    def told(self, kernel: Kernel, number: int, answer: Any) -> None:
        """The answer to request `number`; 0: to a join or a sync."""
        raise NotImplementedError

    def tell(self, kernel: Kernel) -> None:
        """What it does from now on is no longer what its scenario says."""
        raise NotImplementedError

    def _due(self, kernel: Kernel, what: str, a: int) -> None:
        """A timer of its process."""
        raise NotImplementedError

    def _failed(self, kernel: Kernel, part: Fetched, why: str) -> bool:
        """The handler has failed on the record at hand. Whether it waits, to try it again."""
        raise NotImplementedError

    def _handled(
        self, kernel: Kernel, part: Fetched, since: int, failed: list[int], skipped: list[int]
    ) -> None:
        """The handler is through with what lies from place `since` of `part` on to where it is now; all but
        the offsets `failed` and `skipped` has come to pass."""

    def _all_worked(self, kernel: Kernel) -> None:
        """All that the last poll returned is worked."""
        raise NotImplementedError

    # -- life -----------------------------------------------------------------------------------

    def begin(self, kernel: Kernel) -> None:
        """Start at the scenario's time for it."""
        if self.spec.start > kernel.now_us:
            kernel.schedule(self.spec.start, self.owner, "start", 0, self.life)
        else:
            self.connect(kernel)

    def restart(self, kernel: Kernel) -> None:
        self._say_state(kernel, "up")
        self.connect(kernel)

    def remove(self, kernel: Kernel) -> None:
        """Stop, unless that is done or under way or its process is dead; then its node goes."""
        self.removed = True
        if self.state in ("crashed", "stopped"):
            kernel.parts[self.link].leave(kernel)
        elif not self.stopping:
            self.stop(kernel)

    def pause(self, kernel: Kernel) -> None:
        """The process stands still, as in a long collection of garbage: no work, no heartbeats."""
        self.paused = True
        self._say_state(kernel, self.state)

    def resume(self, kernel: Kernel) -> None:
        """It goes on where it was. What happened meanwhile it learns now."""
        self.paused = False
        self._say_state(kernel, self.state)
        cause, life = kernel.cause, self.life
        timers, self.frozen = self.frozen, []
        said, self.frozen_said = self.frozen_said, []
        for number, answer in said:
            kernel.cause = cause
            if self.life == life:
                self.told(kernel, number, answer)
        for what, a in timers:
            kernel.cause = cause
            if self.life == life:
                self._due(kernel, what, a)

    def refused_unheard(self, kernel: Kernel, request: ops.Produce) -> None:
        """It produces nothing."""

    # -- partitions -----------------------------------------------------------------------------

    def _node(self, kernel: Kernel, partition: Partition) -> int:
        topics = kernel.parts[kernel.parts[self.link].broker].topics
        return topics[partition[0]].partitions[partition[1]].node  # type: ignore[no-any-return]

    def _revoked(self, kernel: Kernel, owned: Any, why: Literal["revoked", "crashed"]) -> None:
        if owned:
            nodes = tuple(self._node(kernel, partition) for partition in owned)
            kernel.emit(
                PartitionsRevoked(kernel.now_us, kernel.cause, self.group_node, self.node, nodes, why)
            )

    # -- work -----------------------------------------------------------------------------------------

    def _work(self, kernel: Kernel) -> None:
        """Begin the next chunk: records of one partition that take about a tick together, at least one."""
        spec, part = self.spec, self.hand[0]
        us = count = 0
        left = 1 if self.attempt else len(part.offsets) - part.at
        while count < left and us < CHUNK_US:
            us += work_us(kernel, self.work_stream, spec.work, self.factor)
            count += 1
        self.chunk, self.known = count, []
        idempotency = spec.idempotency
        if idempotency is not None and idempotency.keep == "check then act":
            world: World = kernel.parts[0]
            messages = part.messages[part.at : part.at + count]
            self.known = [world.remembers(idempotency.store, message) for message in messages]
        kernel.schedule(kernel.now_us + us, self.owner, "work", 0, self.life)

    def _worked(self, kernel: Kernel) -> None:
        """The chunk's time is over: its effects happen."""
        part, spec, world = self.hand[0], self.spec, kernel.parts[0]
        since, begin = part.at, part.offsets[part.at] if part.at else part.first
        failed: list[int] = []
        skipped: list[int] = []
        repeated: list[int] = []
        may_fail, effect, waits = spec.fail is not None, spec.effect, False
        for place in range(self.chunk):
            message = part.messages[part.at]
            why = f"told to {self.refuses}" if self.refuses else ""
            if not why and (may_fail or world.flags[message] & POISON):
                why = failure(
                    kernel, f"{spec.name}/failure", spec.fail, world.key(message), world.is_poison(message)
                )
            if why:
                waits = self._failed(kernel, part, why)
                if waits:
                    break
                failed.append(part.offsets[part.at])
            elif spec.idempotency is not None and self._remembered(world, message, place):
                skipped.append(part.offsets[part.at])
            else:
                number, _, _ = world.do_effect(
                    self.effect_key, effect.name, effect.amount, effect.unit, message
                )  # fmt: skip
                if number > 1:
                    repeated.append(part.offsets[part.at])
                if spec.idempotency is not None:
                    world.remember(spec.idempotency.store, message)
            self.attempt, self.failed = 0, None
            part.at += 1
        done = part.at == len(part.offsets)
        end = part.next if done else part.offsets[part.at] if part.at else part.first
        if end > begin:
            kernel.cause = kernel.emit(RecordsWorked(
                kernel.now_us, kernel.cause, self.group_node, self.node, part.node, begin, end, tuple(failed),
                tuple(skipped), tuple(repeated), effect.name, effect.amount, world.totals.get(effect.name, 0),
                world.dues.get(effect.name, 0),
            ))  # fmt: skip
            self.since_us = kernel.now_us
            self._handled(kernel, part, since, failed, skipped)
        self.chunk = 0
        if done:
            self.hand.pop(0)
        if not waits:
            self._after_chunk(kernel)

    def _after_chunk(self, kernel: Kernel) -> None:
        """Part of what the last poll returned is worked, or all of it."""
        if self.hand:
            self._work(kernel)
        else:
            self._all_worked(kernel)

    def _remembered(self, world: World, message: int, place: int) -> bool:
        """Whether the idempotency store had it: as it says now, or as it said before the work."""
        idempotency = self.spec.idempotency
        assert idempotency is not None
        if idempotency.keep == "check then act":
            seen = place < len(self.known) and self.known[place]
            world.asked[idempotency.store] = (message, seen)
            return seen
        return world.ask(idempotency.store, message)

    def _say_failed(self, kernel: Kernel, part: Fetched, why: str, until_us: int) -> int:
        """The handler has failed on the record at hand, so often in a row. Returns the event's number."""
        self.failed = RecordFailed(
            kernel.now_us, kernel.cause, self.group_node, self.node, part.node, part.offsets[part.at],
            self.attempt, why, until_us,
        )  # fmt: skip
        return kernel.emit(self.failed)

    # -- timers ---------------------------------------------------------------------------------------

    def fire(self, kernel: Kernel, timer: Timer) -> None:
        if timer[6] != self.life:
            return
        if self.paused:
            self.frozen.append((timer[4], timer[5]))
        else:
            self._due(kernel, timer[4], timer[5])

    # -- commands -------------------------------------------------------------------------------------

    def slow(self, kernel: Kernel, factor: int) -> None:
        """From the next chunk on, work takes `factor` thousandths of its time."""
        self.factor = factor
        self._say_state(kernel, self.state)

    def set_work(self, kernel: Kernel, work: Work) -> None:
        self.spec = msgspec.structs.replace(self.spec, work=work)
        self._say_state(kernel, self.state)
        self.tell(kernel)

    def set_idempotency(self, kernel: Kernel, idempotency: Idempotency | None) -> None:
        """Whether and when it asks a store. What a store remembers, it remembers."""
        self.store = self.kept_in()
        self.spec = msgspec.structs.replace(self.spec, idempotency=idempotency)
        self.known = []
        kernel.emit(self.handler(kernel.now_us, kernel.cause))
        self.tell(kernel)

    def kept_in(self) -> str:
        """The idempotency store that it has, or had; "" when it never had one."""
        return self.store if self.spec.idempotency is None else self.spec.idempotency.store

    # -- the present ------------------------------------------------------------------------------------

    def _say_state(self, kernel: Kernel, state: str) -> None:
        self.state = state
        shown: Any = self.shown_state()
        kernel.cause = kernel.emit(
            NodeStateChanged(kernel.now_us, kernel.cause, self.node, shown, self.about())
        )

    def shown_state(self) -> str:
        """Its `NodeState`."""
        if self.state == "up":
            return "paused" if self.paused else "slow" if self.factor != NORMAL else "up"
        return self.state

    def about(self) -> str:
        """The node's one-line note: how long it works on each."""
        roughly = "" if self.spec.work.constant is not None else "≈ "
        return f"{roughly}{spoken(mean_us(self.spec.work) * self.factor // NORMAL)} each"

    def handler(self, now_us: int, cause: int) -> HandlerDeclared:
        """What its handler does to the world outside, as an event."""
        effect, idempotency = self.spec.effect, self.spec.idempotency
        store = idempotency.store if idempotency is not None else ""
        return HandlerDeclared(now_us, cause, self.node, effect.name, effect.amount, effect.unit, store)

    def unworked(self) -> list[tuple[int, int, int]]:
        """(partition's node, first offset, next offset) of what it has and has not worked, in order."""
        held = [
            (part.node, part.offsets[part.at] if part.at else part.first, part.next) for part in self.hand
        ]
        return [*held, *((part.node, part.first, part.next) for part in self.buffer)]
