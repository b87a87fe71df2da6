"""What a person does to a room. Commands reach brokers only through actors, links and administrators.

`decode` turns what came over a wire into one, or says in a sentence what is wrong. A scenario's
faults are commands too, given by the scenario at fixed times.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from engine import limits
from engine.durations import UNITS_US
from engine.errors import CommandError
from engine.scenario import Acknowledge, Fault, MaybeName

Assignor = Literal["range", "roundrobin", "sticky", "cooperative-sticky", "uniform"]

Name = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARACTERS_MAX)]
RoutingKey = Annotated[str, Meta(max_length=255)]
HeaderValue = (
    Annotated[str, Meta(max_length=255)] | Annotated[int, Meta(ge=-(1 << 53), le=1 << 53)] | bool | None
)
Headers = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=255)], HeaderValue],
    Meta(max_length=limits.BINDING_ARGUMENTS_MAX),
]
"""Arguments of a binding to a headers exchange: `x-match`, and header → value (null: whatever it is)."""

Rate = Annotated[int, Meta(ge=0, le=limits.RATE_PER_MINUTE_MAX)]


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True):
    """Base of all commands. Actors, queues and systems are named as in the scenario."""


class CrashConsumer(Command, frozen=True):
    """The consumer's process dies: its work is gone, its connection closes without a word."""

    consumer: Name


class RestartConsumer(Command, frozen=True):
    """A crashed or stopped consumer's process starts again and connects."""

    consumer: Name


class StopConsumer(Command, frozen=True):
    """The consumer cancels, finishes what it works on and closes its connection."""

    consumer: Name


class SlowConsumer(Command, frozen=True):
    """Work takes `factor` thousandths of its time from the next message on; 1000 is normal."""

    consumer: Name
    factor: Annotated[int, Meta(ge=1, le=100_000)]


class CrashProducer(Command, frozen=True):
    """The producer's process dies; what it had not got confirmed it will not send again."""

    producer: Name


class RestartProducer(Command, frozen=True):
    """A crashed producer's process starts again, connects and goes on making messages."""

    producer: Name


class PauseProducer(Command, frozen=True):
    """The producer makes no messages until `ResumeProducer`."""

    producer: Name


class ResumeProducer(Command, frozen=True):
    """A paused producer goes on; its next gap starts now."""

    producer: Name


class PoisonNext(Command, frozen=True):
    """The producer's next message will fail every handler."""

    producer: Name


class PublishNow(Command, frozen=True):
    """The producer makes `count` messages at once; `key` "" goes on with its own keys."""

    producer: Name
    key: Annotated[str, Meta(max_length=limits.NAME_CHARACTERS_MAX)] = ""
    count: Annotated[int, Meta(ge=1, le=100)] = 1


class SetRate(Command, frozen=True):
    """The producer makes `per_minute` messages a minute from now on, evenly or by Poisson as before."""

    producer: Name
    per_minute: Rate


class DropNextAck(Command, frozen=True):
    """The next acknowledgement on this actor's link is lost: a consumer's ack, a producer's confirm."""

    actor: Name


class CutLink(Command, frozen=True):
    """Nothing gets through between the actor and its broker; after the heartbeat both give up."""

    actor: Name


class RestoreLink(Command, frozen=True):
    """The network works again: what was waiting is sent, or the actor connects anew."""

    actor: Name


class SetPrefetch(Command, frozen=True):
    """The consumer subscribes anew with this prefetch (basic.qos holds for later consumers only)."""

    consumer: Name
    prefetch: Annotated[int, Meta(ge=0, le=limits.PREFETCH_MAX)]


class SetAcknowledge(Command, frozen=True):
    """The consumer acknowledges differently; to or from automatic it subscribes anew."""

    consumer: Name
    acknowledge: Acknowledge


class SetWork(Command, frozen=True):
    """Work takes `constant_us` from the next message on."""

    consumer: Name
    constant_us: Annotated[int, Meta(ge=0, le=limits.WORK_US_MAX)]


class SetRetry(Command, frozen=True):
    """The consumer does this after a failure from now on, as `engine.scenario.Retry` says.

    `queue` (only with "republish") and `then` (only with a `limit`) are queues of its system; without
    `queue` it republishes by the steps that it has. How much of a delay is drawn away, and the longest
    delay, stay as they were.
    """

    consumer: Name
    do: Literal["requeue", "discard", "republish"]
    queue: MaybeName = ""
    backoff: Literal["fixed", "exponential"] = "fixed"
    delay_us: Annotated[int, Meta(ge=1_000, le=limits.DURATION_US_MAX)] = 1_000_000
    limit: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    then: MaybeName = ""


class SetIdempotency(Command, frozen=True):
    """The consumer asks its idempotency store as `engine.scenario.Idempotency` says, or none.

    The store is the one that it has or had, else that of a consumer of the same queue, else a new one.
    """

    consumer: Name
    keep: Literal["none", "with the effect", "check then act"]


class AddConsumer(Command, frozen=True):
    """A new consumer, with the settings that consumer `like` has now, reads its queue or `queue`.

    Without `like`: a consumer as a scenario has one by default, on `queue` of `system`. `name` "" makes
    one up. No name is given twice in a run, nor that of somebody who is gone.
    """

    like: MaybeName = ""
    queue: MaybeName = ""
    system: MaybeName = ""
    name: MaybeName = ""


class RemoveConsumer(Command, frozen=True):
    """The consumer stops as by `StopConsumer`; once nothing of it is on its way, its node goes."""

    consumer: Name


class AddProducer(Command, frozen=True):
    """A new producer, with the settings that producer `like` has now, begins at once; `name` "": made up."""

    like: Name
    name: MaybeName = ""


class RemoveProducer(Command, frozen=True):
    """The producer makes no more messages, waits once for confirms, closes, and its node goes."""

    producer: Name


class DeclareQueue(Command, frozen=True):
    """An administrator declares a durable queue, and with `exchange` binds it there at once.

    Without a binding nothing but the default exchange leads to it.
    """

    system: Name
    queue: Name
    queue_type: Literal["classic", "quorum"] = "classic"
    exchange: MaybeName = ""
    routing_key: RoutingKey = ""


class BindQueue(Command, frozen=True):
    """An administrator binds the queue to the exchange: it gets a copy of what fits `routing_key`, or
    behind a headers exchange of what fits `arguments`."""

    system: Name
    exchange: Name
    queue: Name
    routing_key: RoutingKey = ""
    arguments: Headers = {}


class UnbindQueue(Command, frozen=True):
    """An administrator takes the binding with this key and these arguments back."""

    system: Name
    exchange: Name
    queue: Name
    routing_key: RoutingKey = ""
    arguments: Headers = {}


class DeleteQueue(Command, frozen=True):
    """An administrator deletes the queue with all that is in it; its consumers are cancelled."""

    system: Name
    queue: Name


class PurgeQueue(Command, frozen=True):
    """An administrator empties the queue of what is ready."""

    system: Name
    queue: Name


class Redrive(Command, frozen=True):
    """An administrator moves what is ready in `queue` (a dead-letter queue) to queue `to`."""

    system: Name
    queue: Name
    to: Name


class PauseConsumer(Command, frozen=True):
    """The process of a group member stands still, its heartbeats too, until `ResumeConsumer`."""

    consumer: Name


class ResumeConsumer(Command, frozen=True):
    """A paused group member goes on where it was, whatever its group thinks of it by now."""

    consumer: Name


BrokerNumber = Annotated[int, Meta(ge=1, le=limits.BROKERS_MAX)]
PartitionNumber = Annotated[int, Meta(ge=0, lt=limits.PARTITIONS_MAX)]


class KillBroker(Command, frozen=True):
    """A broker of a Kafka cluster dies; where it led, the next replica in sync leads."""

    system: Name
    broker: BrokerNumber


class StopBroker(Command, frozen=True):
    """A broker of a Kafka cluster stops with a controlled shutdown."""

    system: Name
    broker: BrokerNumber


class StartBroker(Command, frozen=True):
    """A broker that is down starts again and catches up."""

    system: Name
    broker: BrokerNumber


class HangBroker(Command, frozen=True):
    """A broker of a Kafka cluster stays registered and copies nothing from the leaders that it follows."""

    system: Name
    broker: BrokerNumber


class ResumeBroker(Command, frozen=True):
    """A broker that copied nothing copies again, and is in sync once it has everything."""

    system: Name
    broker: BrokerNumber


class AddPartitions(Command, frozen=True):
    """An administrator adds partitions to a topic: it has `count` then. Keys may move."""

    system: Name
    topic: Name
    count: Annotated[int, Meta(ge=1, le=limits.PARTITIONS_MAX)]


class SeekGroup(Command, frozen=True):
    """An administrator commits where an inactive group will begin: kafka-consumer-groups --reset-offsets.

    `to`: --to-earliest, --to-latest, --to-offset (`offset`), --shift-by (`by`, from what is committed) or
    --to-datetime (`time_us`, of the run: the first record written then or later, else the end). What lies
    outside of a log becomes its nearest end. Without `topic`: every partition that the group has committed
    (--all-topics); with it all partitions of the topic, or the one numbered `partition`.
    """

    system: Name
    group: Name
    to: Literal["earliest", "latest", "offset", "shift", "datetime"]
    topic: MaybeName = ""
    partition: PartitionNumber | None = None
    offset: Annotated[int, Meta(ge=0, le=limits.OFFSET_MAX)] | None = None
    by: Annotated[int, Meta(ge=-limits.OFFSET_MAX, le=limits.OFFSET_MAX)] | None = None
    time_us: Annotated[int, Meta(ge=0, le=limits.DURATION_US_MAX)] | None = None


class Seek(Command, frozen=True):
    """A running consumer calls seek (`offset`), seekToBeginning or seekToEnd between two polls, of a
    partition that it is assigned; without `topic` and `partition` of all of them. Nothing is committed by
    that alone."""

    consumer: Name
    to: Literal["earliest", "latest", "offset"]
    topic: MaybeName = ""
    partition: PartitionNumber | None = None
    offset: Annotated[int, Meta(ge=0, le=limits.OFFSET_MAX)] | None = None


class SetShareMember(Command, frozen=True):
    """A share group's member, from its next poll on: share.acknowledgement.mode, what it says of a record
    that its handler `failed` on (where it acknowledges explicitly), max.poll.records. What is not given
    stays."""

    consumer: Name
    acknowledge: Literal["implicit", "explicit"] | None = None
    failed: Literal["release", "reject"] | None = None
    max_poll_records: Annotated[int, Meta(ge=1, le=limits.POLL_RECORDS_MAX)] | None = None


class RejectNext(Command, frozen=True):
    """A share group's member that acknowledges explicitly rejects (AcknowledgeType.REJECT) the record that it
    works on, else the next one that it acquires, whatever its handler would have made of it: the effect does
    not happen, and the record is archived. `ReleaseNext` replaces it as long as it waits."""

    consumer: Name


class ReleaseNext(Command, frozen=True):
    """As `RejectNext`, with AcknowledgeType.RELEASE: any member may acquire the record again, until it was
    delivered as often as the group's limit allows."""

    consumer: Name


class SetIdempotence(Command, frozen=True):
    """enable.idempotence of a producer, from its next batch on. A batch that was sent already keeps its
    sequence number, or that it has none."""

    producer: Name
    on: bool


class BeginTransaction(Command, frozen=True):
    """A transactional producer begins a transaction that stays open until a command ends it."""

    producer: Name


class CommitTransaction(Command, frozen=True):
    """A transactional producer commits what it has written since it began."""

    producer: Name


class AbortTransaction(Command, frozen=True):
    """A transactional producer takes back what it has written since it began; or a member that produces in
    transactions does, and reads again from where that one began."""

    producer: Name


class SetAssignors(Command, frozen=True):
    """The members of a group get another partition.assignment.strategy, their favourite first, in a rolling
    restart: one process after the other stops and starts anew with it.

    A classic group needs one assignor that all have: who has none in common with those who are in is
    refused until they are gone, and tries again. In the consumer protocol it is group.remote.assignor, one
    of uniform and range, and most votes win.
    """

    system: Name
    group: Name
    assignors: Annotated[tuple[Assignor, ...], Meta(min_length=1, max_length=4)]


class Reseed(Command, frozen=True):
    """From now on chance comes from `seed`: the past stays, what was drawn for timers already set too."""

    seed: Annotated[int, Meta(ge=0, le=limits.SEED_MAX)]


AnyCommand = (
    CrashConsumer | RestartConsumer | StopConsumer | SlowConsumer | CrashProducer | RestartProducer
    | PauseProducer | ResumeProducer | PoisonNext | PublishNow | SetRate | DropNextAck | CutLink
    | RestoreLink | SetPrefetch | SetAcknowledge | SetWork | SetRetry | SetIdempotency | AddConsumer
    | RemoveConsumer | AddProducer | RemoveProducer | DeclareQueue | BindQueue | UnbindQueue
    | DeleteQueue | PurgeQueue | Redrive | PauseConsumer | ResumeConsumer | KillBroker | StopBroker
    | StartBroker | HangBroker | ResumeBroker | AddPartitions | SeekGroup | Seek | SetAssignors
    | SetShareMember | RejectNext | ReleaseNext | SetIdempotence | BeginTransaction | CommitTransaction
    | AbortTransaction | Reseed
)  # fmt: skip

COMMANDS: dict[str, type[Command]] = {c.__name__: c for c in Command.__subclasses__()}


def decode(name: str, arguments: dict[str, Any]) -> AnyCommand:
    """The command `name` with `arguments`. Raises `CommandError` naming what is wrong."""
    from engine.scenario_checks import shown

    kind = COMMANDS.get(name)
    if kind is None:
        raise CommandError(f"unknown command {shown(name)}")
    if "type" in arguments:
        raise CommandError(f"{name}: unknown argument type")
    try:
        return msgspec.convert({**arguments, "type": name}, kind)  # type: ignore[return-value]
    except msgspec.ValidationError as error:
        what = str(error).replace(" - at `$.", " at `").replace("Object", name).replace("field", "argument")
        raise CommandError(f"{name}: {what}") from None
    except RecursionError:
        raise CommandError(f"{name}: arguments nested too deeply") from None


def of_fault(fault: Fault, actors: dict[str, Literal["producer", "consumer"]], system: str) -> AnyCommand:
    """The command that a scenario's fault stands for. `system` has the queue or topic that it is about."""
    name = fault.target
    producer = actors.get(name) == "producer"
    match fault.do:
        case "crash":
            return CrashProducer(name) if producer else CrashConsumer(name)
        case "restart":
            return RestartProducer(name) if producer else RestartConsumer(name)
        case "slow":
            return SlowConsumer(name, (fault.factor or 1) * 1_000)
        case "poison next":
            return PoisonNext(name)
        case "drop ack":
            return DropNextAck(name)
        case "cut network":
            return CutLink(name)
        case "restore network":
            return RestoreLink(name)
        case "set prefetch":
            return SetPrefetch(name, fault.prefetch or 0)
        case "set rate":
            return SetRate(name, int(fault.rate or 0) * UNITS_US["m"] // UNITS_US["h"])
        case "pause":
            return PauseProducer(name) if producer else PauseConsumer(name)
        case "resume":
            return ResumeProducer(name) if producer else ResumeConsumer(name)
        case "kill broker":
            return KillBroker(name, fault.broker or 1)
        case "stop broker":
            return StopBroker(name, fault.broker or 1)
        case "start broker":
            return StartBroker(name, fault.broker or 1)
        case "hang broker":
            return HangBroker(name, fault.broker or 1)
        case "resume broker":
            return ResumeBroker(name, fault.broker or 1)
        case "add partitions":
            return AddPartitions(system, name, fault.partitions or 1)
        case "reject next":
            return RejectNext(name)
        case "release next":
            return ReleaseNext(name)
        case "stop":
            return StopConsumer(name)
        case "purge":
            return PurgeQueue(system, name)
