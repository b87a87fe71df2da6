"""A scenario: what stands on the stage and what happens by itself, as data (TOML or JSON).

The Structs below are the format. `load` reads, checks and returns one, or raises `ScenarioError`
with one line for each thing that is wrong: where, what would be right, what was there.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from engine import limits
from engine.durations import Duration, PerHour, units_read
from engine.errors import ScenarioError

Name = Annotated[str, Meta(min_length=1, max_length=limits.NAME_CHARACTERS_MAX)]
MaybeName = Annotated[str, Meta(max_length=limits.NAME_CHARACTERS_MAX)]
Text = Annotated[str, Meta(max_length=limits.TEXT_CHARACTERS_MAX)]
Title = Annotated[str, Meta(min_length=1, max_length=limits.TITLE_CHARACTERS_MAX)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=1, le=limits.MESSAGES_MAX)]

Promise = Literal["nothing_lost", "each_effect_once", "order_per_key", "nothing_dead"]
Acknowledge = Literal["after work", "before work", "automatic"]


class Exchange(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    type: Literal["direct", "fanout", "topic", "headers"] = "direct"
    internal: bool = False
    durable: bool = True
    auto_delete: bool = False
    arguments: dict[str, str | int | bool] = {}


class Queue(Struct, frozen=True, forbid_unknown_fields=True):
    """`retries_for` and `dead_letters_for` name the queue whose copies wait, or end, in this one."""

    name: Name
    type: Literal["classic", "quorum"] = "classic"
    durable: bool = True
    auto_delete: bool = False
    arguments: dict[str, str | int | bool] = {}
    retries_for: MaybeName = ""
    dead_letters_for: MaybeName = ""


class Binding(Struct, frozen=True, forbid_unknown_fields=True):
    """From `exchange` to `queue`, or to another exchange (`to_exchange`)."""

    exchange: Name
    queue: MaybeName = ""
    to_exchange: MaybeName = ""
    routing_key: Annotated[str, Meta(max_length=255)] = ""
    arguments: dict[str, str | int | bool | None] = {}


class RabbitMQSystem(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="rabbitmq"):
    """One RabbitMQ node. `link` is the latency each way between it and its clients, `heartbeat` how
    long either side hears nothing before it takes the connection for lost."""

    name: Name
    version: Literal["4.3", "3.10"] = "4.3"
    link: Duration = 200_000
    heartbeat: Duration = 60_000_000
    exchanges: Annotated[list[Exchange], Meta(max_length=limits.EXCHANGES_MAX)] = []
    queues: Annotated[list[Queue], Meta(max_length=limits.QUEUES_MAX)] = []
    bindings: Annotated[list[Binding], Meta(max_length=limits.BINDINGS_MAX)] = []


class Topic(Struct, frozen=True, forbid_unknown_fields=True):
    """`replication`: on how many brokers each partition is. `config` as Kafka's topic configuration."""

    name: Name
    partitions: Annotated[int, Meta(ge=1, le=limits.PARTITIONS_MAX)] = 1
    replication: Annotated[int, Meta(ge=1, le=limits.BROKERS_MAX)] = 1
    config: dict[str, str | int | float | bool] = {}


class ShareGroup(Struct, frozen=True, forbid_unknown_fields=True):
    """What a share group has otherwise than Kafka, by the keys of a group's configuration."""

    name: Name
    config: dict[str, str | int | float | bool]


class KafkaSystem(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="kafka"):
    """One Kafka cluster of `brokers` brokers, numbered from 1. `link` is the latency each way between it and
    its clients, `request_timeout` (request.timeout.ms) how long a client hears nothing before it takes a
    connection for lost. `config` holds what the brokers have otherwise than Kafka, by its keys."""

    name: Name
    version: Literal["4.4"] = "4.4"
    link: Duration = 200_000
    request_timeout: Duration = 30_000_000
    brokers: Annotated[int, Meta(ge=1, le=limits.BROKERS_MAX)] = 1
    topics: Annotated[list[Topic], Meta(max_length=limits.TOPICS_MAX)] = []
    share_groups: Annotated[list[ShareGroup], Meta(max_length=limits.SHARE_GROUPS_MAX)] = []
    config: dict[str, str | int | float | bool] = {}


class To(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a producer publishes: an exchange with a routing key, or a queue by the default exchange.

    Several `routing_keys` are taken in turn.
    """

    exchange: MaybeName = ""
    queue: MaybeName = ""
    routing_key: Annotated[str, Meta(max_length=255)] = ""
    routing_keys: Annotated[list[str], Meta(max_length=100)] = []


class Arrivals(Struct, frozen=True, forbid_unknown_fields=True):
    """When messages are made; exactly one of `every`, `poisson`, `at`, `burst` with `every`."""

    every: Duration | None = None
    poisson: PerHour | None = None
    at: Annotated[list[Duration], Meta(min_length=1, max_length=limits.ARRIVAL_TIMES_MAX)] | None = None
    burst: Annotated[int, Meta(ge=1, le=limits.BURST_MAX)] | None = None


class PoisonRule(Struct, frozen=True, forbid_unknown_fields=True):
    """Which messages fail every handler: those numbered `messages` of this producer (1-based), every
    nth, or each with a probability."""

    messages: list[Count] = []
    every: Annotated[int, Meta(ge=1)] | None = None
    probability: Probability = 0.0


class ProducerSpec(Struct, frozen=True, forbid_unknown_fields=True, tag_field="client", tag="amqp"):
    """A producer that speaks AMQP.

    `keys` of its messages in turn (or drawn, with `draw_keys`); empty: no key. `count` ends it.
    """

    name: Name
    system: Name
    to: To
    arrivals: Arrivals
    start: Duration = 0
    count: Count | None = None
    keys: Annotated[list[Name], Meta(max_length=limits.KINDS_MAX)] = []
    draw_keys: bool = False
    priorities: Annotated[list[Annotated[int, Meta(ge=0, le=255)]], Meta(max_length=100)] = []
    headers: dict[str, str | int | bool] = {}
    expiration: Duration | None = None
    persistent: bool = True
    mandatory: bool = False
    confirm: bool = False
    confirm_timeout: Duration = 5_000_000
    poison: PoisonRule | None = None


class Transaction(Struct, frozen=True, forbid_unknown_fields=True):
    """What a transactional producer does by itself: `records` in each transaction, then it commits; every
    `abort_every`-th it aborts."""

    records: Annotated[int, Meta(ge=1, le=limits.BURST_MAX)]
    abort_every: Annotated[int, Meta(ge=1, le=1_000)] | None = None


class ToTopic(Struct, frozen=True, forbid_unknown_fields=True):
    topic: Name


class Sending(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a Kafka producer sends: Kafka's own settings with its defaults. A record counts `record_bytes`
    towards a batch."""

    acks: Literal["all", 1, 0] = "all"
    idempotence: bool | None = None
    """None as Kafka has it: on where `acks` is all."""
    transactional_id: MaybeName = ""
    """Who has it writes in transactions only."""
    transaction_timeout: Duration = 60_000_000
    partitioner: Literal["murmur2", "consistent"] = "murmur2"
    linger: Duration = 5_000
    batch_size: Annotated[int, Meta(ge=1, le=limits.BATCH_BYTES_MAX)] = 16_384
    record_bytes: Annotated[int, Meta(ge=1, le=limits.BATCH_BYTES_MAX)] = 100
    retry_backoff: Duration = 100_000
    delivery_timeout: Duration = 120_000_000


class KafkaProducerSpec(Sending, frozen=True, forbid_unknown_fields=True, tag_field="client", tag="kafka"):
    """A producer of a Kafka system; messages, keys and times as in `ProducerSpec`. `metadata_max_age` is
    Kafka's own setting with its default."""

    name: Name
    system: Name
    to: ToTopic
    arrivals: Arrivals
    start: Duration = 0
    count: Count | None = None
    keys: Annotated[list[Name], Meta(max_length=limits.KINDS_MAX)] = []
    draw_keys: bool = False
    poison: PoisonRule | None = None
    tombstones: PoisonRule | None = None
    """Which of its records have no value, said as `poison` is: a compacted topic forgets their key."""
    transaction: Transaction | None = None
    """Of who has a `transactional_id`; without it commands begin and end transactions."""
    metadata_max_age: Duration = 300_000_000


class From(Struct, frozen=True, forbid_unknown_fields=True):
    queue: Name


class Work(Struct, frozen=True, forbid_unknown_fields=True):
    """How long a handler works on one message; exactly one of the three."""

    constant: Duration | None = None
    exponential: Duration | None = None
    uniform: tuple[Duration, Duration] | None = None


class Effect(Struct, frozen=True, forbid_unknown_fields=True):
    """What the handler does to the world outside: charge $25, send an e-mail."""

    name: Name
    amount: Annotated[int, Meta(ge=0, le=1_000_000)] = 1
    unit: Annotated[str, Meta(max_length=12)] = ""


class Failure(Struct, frozen=True, forbid_unknown_fields=True):
    """When a handler fails besides poison: with a probability, or for these keys. With `during` only what
    it finishes in this time [from, to): the printer is out of paper."""

    probability: Probability = 0.0
    keys: Annotated[list[Name], Meta(max_length=limits.KINDS_MAX)] = []
    during: tuple[Duration, Duration] | None = None


class RetryStep(Struct, frozen=True, forbid_unknown_fields=True):
    """Where a failed message waits for one of its next attempts, and how long."""

    queue: Name
    delay: Duration


class Retry(Struct, frozen=True, forbid_unknown_fields=True):
    """What a handler does after it failed.

    do = "requeue": give it back at once (`by` basic.reject or basic.nack). "discard": reject without
    requeue (the queue's dead-letter exchange, if any, takes it). "republish": publish it again to
    `queue` with the attempt's delay as its TTL, then acknowledge the original; `queue`'s own
    dead-letter exchange brings it back. The delay of attempt n is `delay` (backoff "fixed") or
    delay · 2^(n−1) ("exponential"), at most `delay_max`, and up to `jitter` of it is drawn away.
    With `steps` instead of `queue` each attempt has a queue and a delay of its own (the last step is for
    all further ones), so that a short delay does not wait behind a long one.
    After `limit` failed attempts: published to `then` and acknowledged, or without `then` discarded.
    """

    do: Literal["requeue", "discard", "republish"] = "requeue"
    by: Literal["reject", "nack"] = "nack"
    queue: MaybeName = ""
    steps: Annotated[list[RetryStep], Meta(max_length=limits.RETRY_STEPS_MAX)] = []
    backoff: Literal["fixed", "exponential"] = "fixed"
    delay: Duration = 1_000_000
    delay_max: Duration = 60_000_000
    jitter: Probability = 0.0
    limit: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    then: MaybeName = ""


class Idempotency(Struct, frozen=True, forbid_unknown_fields=True):
    """A store of the messages already handled, shared by all consumers that name it.

    keep = "with the effect": asked and written in the one step that does the effect. "check then act":
    asked before the work, written after the handler's end: two deliveries at the same time both act.
    """

    store: Name
    keep: Literal["with the effect", "check then act"]


class ConsumerSpec(Struct, frozen=True, forbid_unknown_fields=True, tag_field="client", tag="amqp"):
    """A consumer that speaks AMQP.

    One worker, one message at a time. `wrap_up` is the time between effect and acknowledgement.
    """

    name: Name
    system: Name
    from_: From = msgspec.field(name="from")
    prefetch: Annotated[int, Meta(ge=0, le=limits.PREFETCH_MAX)] = 0
    acknowledge: Acknowledge = "after work"
    priority: Annotated[int, Meta(ge=-1_000, le=1_000)] = 0
    exclusive: bool = False
    work: Work = Work(constant=1_000_000)
    wrap_up: Duration = 0
    effect: Effect = Effect(name="work", amount=1)
    fail: Failure | None = None
    retry: Retry = Retry()
    idempotency: Idempotency | None = None
    start: Duration = 0
    consumer_timeout: Duration | None = None


class FromTopics(Struct, frozen=True, forbid_unknown_fields=True):
    topics: Annotated[list[Name], Meta(min_length=1, max_length=limits.TOPICS_MAX)]
    group: Name


class KafkaRetry(Struct, frozen=True, forbid_unknown_fields=True):
    """What a handler does after it failed on a record. "again": the same one after `delay`, and what lies
    behind it waits; after `limit` failed attempts it goes on without. "skip": it goes on without at once."""

    do: Literal["again", "skip"] = "again"
    delay: Duration = 1_000_000
    limit: Annotated[int, Meta(ge=1, le=1_000)] | None = None


class Output(Sending, frozen=True, forbid_unknown_fields=True):
    """Where a member produces to: for each record that it has handled one record to `topic`
    (consume-transform-produce), with the same key, or with what `keys` has for it.

    With `transactional_id` what it produces and the offsets of what it has read are committed in one
    transaction (sendOffsetsToTransaction), one for each poll.
    """

    topic: Name
    keys: dict[Name, Name] = {}


class KafkaConsumerSpec(Struct, frozen=True, forbid_unknown_fields=True, tag_field="client", tag="kafka"):
    """A member of a consumer group, one record at a time.

    `protocol` is group.protocol: with "classic" the members assign by `assignors`, with "consumer" (KIP-848)
    the coordinator does by `remote_assignor`, and `session_timeout` and `heartbeat` are the cluster's.
    `acknowledge`: "automatic" is enable.auto.commit (a later poll commits what earlier ones returned); "after
    work" commits when all that a poll returned is worked, and what it produced of that is acknowledged,
    "before work" as soon as it has returned. `reset` is auto.offset.reset: "earliest", "latest", or
    "by_duration:PT30S": from the first record of the last 30 s on. All else are Kafka's own settings with its
    defaults.
    """

    name: Name
    system: Name
    from_: FromTopics = msgspec.field(name="from")
    to: Output | None = None
    acknowledge: Acknowledge = "automatic"
    assignors: Annotated[
        list[Literal["range", "roundrobin", "sticky", "cooperative-sticky"]], Meta(min_length=1, max_length=4)
    ] = msgspec.field(default_factory=lambda: ["range", "cooperative-sticky"])  # fmt: skip
    protocol: Literal["classic", "consumer"] = "classic"
    remote_assignor: Literal["uniform", "range"] = "uniform"
    isolation: Literal["read_uncommitted", "read_committed"] = "read_uncommitted"
    instance: MaybeName = ""
    reset: Annotated[str, Meta(max_length=limits.NAME_CHARACTERS_MAX)] = "latest"
    max_poll_records: Annotated[int, Meta(ge=1, le=limits.POLL_RECORDS_MAX)] = 500
    max_poll_interval: Duration = 300_000_000
    session_timeout: Duration = 45_000_000
    heartbeat: Duration = 3_000_000
    fetch_max_wait: Duration = 500_000
    auto_commit_interval: Duration = 5_000_000
    metadata_max_age: Duration = 300_000_000
    work: Work = Work(constant=1_000_000)
    effect: Effect = Effect(name="work", amount=1)
    fail: Failure | None = None
    retry: KafkaRetry = KafkaRetry()
    idempotency: Idempotency | None = None
    start: Duration = 0


class ShareConsumerSpec(Struct, frozen=True, forbid_unknown_fields=True, tag_field="client", tag="share"):
    """A member of a share group, one record at a time: a `KafkaShareConsumer`.

    `acknowledge` is share.acknowledgement.mode: "implicit" has the next poll accept all that this one
    returned, also what the handler failed on; "explicit" says of each record what became of it, with the next
    poll. `failed` is what it then says of a record that the handler failed on: "release" to try it again,
    "reject" to have it archived. With `renew` it renews its locks each so long while it works. `acquire` is
    share.acquire.mode. All else are Kafka's own settings with its defaults.
    """

    name: Name
    system: Name
    from_: FromTopics = msgspec.field(name="from")
    protocol: Literal["share"] = "share"
    acknowledge: Literal["implicit", "explicit"] = "implicit"
    acquire: Literal["batch_optimized", "record_limit"] = "batch_optimized"
    failed: Literal["release", "reject"] = "release"
    renew: Duration | None = None
    max_poll_records: Annotated[int, Meta(ge=1, le=limits.POLL_RECORDS_MAX)] = 500
    max_poll_interval: Duration = 300_000_000
    fetch_max_wait: Duration = 500_000
    work: Work = Work(constant=1_000_000)
    effect: Effect = Effect(name="work", amount=1)
    fail: Failure | None = None
    idempotency: Idempotency | None = None
    start: Duration = 0


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """A command that the scenario gives by itself at `at`; `do` as in `engine.commands.FAULTS`."""

    at: Duration
    do: Literal[
        "crash", "restart", "slow", "poison next", "drop ack", "cut network", "restore network",
        "set prefetch", "set rate", "pause", "resume", "purge", "stop",
        "kill broker", "stop broker", "start broker", "hang broker", "resume broker",
        "add partitions", "reject next", "release next",
    ]  # fmt: skip
    target: Name
    factor: Annotated[int, Meta(ge=1, le=100)] | None = None
    prefetch: Annotated[int, Meta(ge=0, le=limits.PREFETCH_MAX)] | None = None
    rate: PerHour | None = None
    broker: Annotated[int, Meta(ge=1, le=limits.BROKERS_MAX)] | None = None
    partitions: Annotated[int, Meta(ge=2, le=limits.PARTITIONS_MAX)] | None = None


AnyProducerSpec = ProducerSpec | KafkaProducerSpec
AnyConsumerSpec = ConsumerSpec | KafkaConsumerSpec | ShareConsumerSpec


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """See the module. Times are microseconds once loaded; `kinds` are the keys in the order of their
    token shapes, `seed` the one that a recording of this scenario is made with."""

    format: Literal[1]
    title: Title
    system: Annotated[list[RabbitMQSystem | KafkaSystem], Meta(min_length=1, max_length=limits.SYSTEMS_MAX)]
    about: Text = ""
    length: Duration = 60_000_000
    seed: Annotated[int, Meta(ge=0, lt=1 << 53)] = 1
    promises: list[Promise] = []
    kinds: Annotated[list[Name], Meta(max_length=limits.KINDS_MAX)] = []
    producer: Annotated[list[AnyProducerSpec], Meta(max_length=limits.PRODUCERS_MAX)] = []
    consumer: Annotated[list[AnyConsumerSpec], Meta(max_length=limits.CONSUMERS_MAX)] = []
    fault: Annotated[list[Fault], Meta(max_length=limits.FAULTS_MAX)] = []

    @property
    def length_us(self) -> int:
        return self.length

    @property
    def rabbitmq(self) -> list[RabbitMQSystem]:
        """Its RabbitMQ systems."""
        return [system for system in self.system if isinstance(system, RabbitMQSystem)]

    @property
    def kafka(self) -> list[KafkaSystem]:
        """Its Kafka clusters."""
        return [system for system in self.system if isinstance(system, KafkaSystem)]

    @property
    def kafka_consumers(self) -> list[KafkaConsumerSpec]:
        """Its members of consumer groups."""
        return [consumer for consumer in self.consumer if isinstance(consumer, KafkaConsumerSpec)]

    @property
    def share_consumers(self) -> list[ShareConsumerSpec]:
        """Its members of share groups."""
        return [consumer for consumer in self.consumer if isinstance(consumer, ShareConsumerSpec)]

    @property
    def amqp_consumers(self) -> list[ConsumerSpec]:
        """Its consumers that read queues."""
        return [consumer for consumer in self.consumer if isinstance(consumer, ConsumerSpec)]


def load(source: str | bytes | Path) -> Scenario:
    """Read a scenario: a path (.toml or .json), or its text. Raises `ScenarioError`."""
    return from_data(read(source))


def read(source: str | bytes | Path) -> Any:
    """The plain data of a TOML or JSON text, not yet checked. Raises `ScenarioError`."""
    if isinstance(source, Path):
        try:
            source = source.read_bytes()
        except OSError as error:
            raise ScenarioError([f"{source!s}: {error.strerror}"]) from None
    if isinstance(source, bytes):
        try:
            source = source.decode()
        except UnicodeDecodeError:
            raise ScenarioError(["scenario: expected UTF-8 text"]) from None
    size = len(source.encode(errors="replace"))
    if size > limits.SCENARIO_BYTES_MAX:
        raise ScenarioError([f"scenario: expected at most {limits.SCENARIO_BYTES_MAX} bytes, got {size}"])
    try:
        if source.lstrip().startswith("{"):
            return json.loads(source)
        return tomllib.loads(source)
    except RecursionError:
        raise ScenarioError(["scenario: expected a flat table, got one nested too deeply"]) from None
    except ValueError as error:
        raise ScenarioError([f"scenario: expected TOML or JSON: {error}"]) from None


def from_data(data: Any) -> Scenario:
    """A checked scenario from plain data. Raises `ScenarioError` naming each wrong path."""
    from engine.scenario_checks import explained, problems_of

    unread: list[str] = []
    try:
        told_apart = _told_apart(data, unread)
        read_data = units_read(msgspec.inspect.type_info(Scenario), told_apart, "", unread)
        scenario = msgspec.convert(read_data, Scenario)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ScenarioError([*unread, explained(str(error), data)]) from None
    problems = unread or problems_of(scenario)
    if problems:
        raise ScenarioError(problems)
    return scenario


CLIENTS = {"rabbitmq": "amqp", "kafka": "kafka"}


def _client(kind: str, field: str, actor: dict[str, Any]) -> str:
    """Which Struct a producer or consumer of such a system is."""
    if kind == "kafka" and field == "consumer" and actor.get("protocol") == "share":
        return "share"
    return CLIENTS.get(kind, "amqp")


def _told_apart(data: Any, problems: list[str]) -> Any:
    """`data` with each producer and consumer marked by what its system speaks, and whether it is a share
    group's member: that says which Struct it is.
    One whose system is not there counts as RabbitMQ's."""
    systems = data.get("system") if isinstance(data, dict) else None
    if not isinstance(systems, list):
        systems = []
    kinds = {
        system["name"]: str(system.get("kind"))
        for system in systems
        if isinstance(system, dict) and isinstance(system.get("name"), str)
    }
    marked: dict[str, list[Any]] = {}
    if systems:
        marked["system"] = [
            {"kind": "rabbitmq", **system} if isinstance(system, dict) else system for system in systems
        ]
    for field in ("producer", "consumer"):
        actors = data.get(field) if isinstance(data, dict) else None
        if not isinstance(actors, list):
            continue
        marked[field] = [
            {**actor, "client": _client(kinds.get(str(actor.get("system")), ""), field, actor)}
            if isinstance(actor, dict) else actor
            for actor in actors
        ]  # fmt: skip
        problems += [
            f"{field}[{i}].client: expected no such field"
            for i, actor in enumerate(actors)
            if isinstance(actor, dict) and "client" in actor
        ]
    return {**data, **marked} if marked else data
