"""What a scenario must hold beyond its types, and errors that name the path and what would be right."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from engine import limits
from engine.durations import spoken
from engine.kafka.group_config import NUMBERS
from engine.kafka.resets import is_strategy
from engine.scenario import (
    AnyConsumerSpec,
    Arrivals,
    ConsumerSpec,
    Fault,
    KafkaConsumerSpec,
    KafkaProducerSpec,
    KafkaSystem,
    Output,
    ProducerSpec,
    RabbitMQSystem,
    Scenario,
    ShareConsumerSpec,
    Work,
)

WHERE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>.*)`)?$", re.DOTALL)
STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def problems_of(scenario: Scenario) -> list[str]:
    """One line for each thing that is wrong; empty for a scenario that can be run."""
    return [*_durations(scenario), *_names(scenario), *_systems(scenario), *_producers(scenario),
            *_consumers(scenario), *_faults(scenario), *kafka_problems(scenario)]  # fmt: skip


# -- messages of the type check -----------------------------------------------------------------


def explained(text: str, data: Any) -> str:
    """msgspec's message for `data` as `path: expected …, got …`."""
    match = WHERE.match(text)
    assert match is not None
    what, steps = match["what"], STEP.findall(match["path"] or "$")
    where = (match["path"] or "$").removeprefix("$").removeprefix(".") or "scenario"
    missing = re.fullmatch(r"Object missing required field `(.+)`", what)
    if missing:
        prefix = "" if where == "scenario" else where + "."
        return f"{prefix}{missing[1]}: expected a value, got none"
    unknown = re.fullmatch(r"Object contains unknown field `(.+)`", what)
    if unknown:
        prefix = "" if where == "scenario" else where + "."
        return f"{prefix}{unknown[1]}: expected no such field"
    value, kind = _follow(steps, data)
    wanted = what.split(", got ")[0].removeprefix("Expected ")
    if what.startswith("Invalid "):
        wanted = f"one of {', '.join(_known(kind))}"
    bounds = _bounds(kind)
    if bounds is not None and isinstance(value, int) and not isinstance(value, bool):
        wanted = f"{bounds[0]}..{bounds[1]}"
    return f"{where}: expected {wanted.removeprefix('expected ')}, got {shown(value)}"


def _follow(steps: Iterable[tuple[str, str]], data: Any) -> tuple[Any, Any]:
    """The value at a path, and what its type is (a node of `msgspec.inspect`, None where unknown)."""
    kind: Any = msgspec.inspect.type_info(Scenario)
    for name, index in steps:
        try:
            data = data[name] if name else data[int(index)]
        except (KeyError, IndexError, TypeError, ValueError):
            data = None
        kind = _child(kind, name)
    return data, kind


def _bounds(kind: Any) -> tuple[int, int] | None:
    """The bounds of a whole number that has two."""
    for choice in _choices(kind):
        if isinstance(choice, msgspec.inspect.IntType) and choice.ge is not None:
            top = choice.le if choice.le is not None else choice.lt - 1 if choice.lt is not None else None
            if top is not None:
                return choice.ge, top
    return None


def _known(kind: Any) -> list[str]:
    """The values of a closed type: a literal, or the tag of a Struct."""
    tags: list[str] = []
    for choice in _choices(kind):
        if isinstance(choice, msgspec.inspect.LiteralType):
            return [str(value) for value in choice.values]
        if isinstance(choice, msgspec.inspect.StructType) and choice.tag is not None:
            tags.append(str(choice.tag))
    return tags or ["something else"]


def _child(kind: Any, name: str) -> Any:
    for choice in _choices(kind):
        if name and isinstance(choice, msgspec.inspect.StructType):
            for field in choice.fields:
                if field.encode_name == name:
                    return field.type
            if name == choice.tag_field:
                return kind
        if not name and isinstance(choice, msgspec.inspect.ListType):
            return choice.item_type
    return None


def _choices(kind: Any) -> Iterator[Any]:
    if isinstance(kind, msgspec.inspect.UnionType):
        yield from kind.types
    elif kind is not None:
        yield kind


def shown(value: Any) -> str:
    """A value as it stands in an error: short, ASCII, on one line."""
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


# -- durations ----------------------------------------------------------------------------------


def _within(path: str, value: int, low: int, high: int) -> Iterator[str]:
    if not low <= value <= high:
        yield f"{path}: expected {spoken(low)} to {spoken(high)}, got {spoken(value)}"


def _durations(scenario: Scenario) -> Iterator[str]:
    yield from _within("length", scenario.length, limits.LENGTH_US_MIN, limits.LENGTH_US_MAX)
    for path, value in _every_duration("", scenario):
        if path != "length":
            yield from _within(path, value, 0, limits.DURATION_US_MAX)


def _every_duration(path: str, value: Any, kind: Any = None) -> Iterator[tuple[str, int]]:
    """Every duration in a Struct, with its path."""
    kind = msgspec.inspect.type_info(type(value)) if kind is None else kind
    for choice in _choices(kind):
        if isinstance(choice, msgspec.inspect.Metadata) and (choice.extra or {}).get("written"):
            if choice.extra == {"written": "duration"} and value is not None:
                yield path, value
        elif isinstance(choice, msgspec.inspect.Metadata):
            yield from _every_duration(path, value, choice.type)
        elif isinstance(choice, msgspec.inspect.StructType) and isinstance(value, choice.cls):
            for field in choice.fields:
                where = f"{path}.{field.encode_name}".removeprefix(".")
                yield from _every_duration(where, getattr(value, field.name), field.type)
        elif isinstance(choice, msgspec.inspect.ListType) and isinstance(value, list):
            for index, item in enumerate(value):
                yield from _every_duration(f"{path}[{index}]", item, choice.item_type)


# -- names --------------------------------------------------------------------------------------


def _names(scenario: Scenario) -> Iterator[str]:
    yield from _unique("system", scenario.system)
    yield from _unique_across(
        [*(("producer", i, p.name) for i, p in enumerate(scenario.producer)),
         *(("consumer", i, c.name) for i, c in enumerate(scenario.consumer))]
    )  # fmt: skip
    if len(set(scenario.kinds)) != len(scenario.kinds):
        yield "kinds: expected each key once"
    for i, system in enumerate(scenario.system):
        if isinstance(system, KafkaSystem):
            yield from _unique(f"system[{i}].topics", system.topics)
            continue
        yield from _unique(f"system[{i}].exchanges", system.exchanges)
        yield from _unique(f"system[{i}].queues", system.queues)


def _unique(path: str, items: Iterable[Any]) -> Iterator[str]:
    yield from _unique_across([(path, i, item.name) for i, item in enumerate(items)])


def _unique_across(names: list[tuple[str, int, str]]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for kind, index, name in names:
        where = f"{kind}[{index}]"
        if any(not c.isprintable() for c in name) or name != name.strip():
            yield f"{where}.name: expected printable characters, got {shown(name)}"
        if name in seen:
            yield f"{where}.name: expected a name of its own, got {shown(name)}, which is {seen[name]}'s"
        seen.setdefault(name, where)


def _one_of(path: str, got: str, known: Iterable[str]) -> Iterator[str]:
    names = list(known)
    if got not in names:
        yield f"{path}: expected one of {', '.join(names) or 'none'}, got {shown(got)}"


# -- parts --------------------------------------------------------------------------------------


def _systems(scenario: Scenario) -> Iterator[str]:
    if scenario.rabbitmq and scenario.kafka:
        # A stage draws lanes or rows: with both, one of the systems would be run and never be seen.
        yield "system: expected RabbitMQ brokers or Kafka clusters, got both: make them two scenarios"
    for i, system in enumerate(scenario.system):
        path = f"system[{i}]"
        yield from _within(f"{path}.link", system.link, limits.LINK_US_MIN, limits.LINK_US_MAX)
        if isinstance(system, KafkaSystem):
            continue  # the rest of it: `kafka_problems`
        yield from _within(f"{path}.heartbeat", system.heartbeat, 1_000_000, limits.DURATION_US_MAX)
        queues = [q.name for q in system.queues]
        exchanges = [e.name for e in system.exchanges]
        for j, queue in enumerate(system.queues):
            for field, name in (
                ("retries_for", queue.retries_for),
                ("dead_letters_for", queue.dead_letters_for),
            ):
                if name:
                    yield from _one_of(f"{path}.queues[{j}].{field}", name, queues)
        for j, binding in enumerate(system.bindings):
            here = f"{path}.bindings[{j}]"
            if not binding.exchange.startswith("amq."):
                yield from _one_of(f"{here}.exchange", binding.exchange, exchanges)
            if bool(binding.queue) == bool(binding.to_exchange):
                yield f"{here}: expected either queue or to_exchange"
            elif binding.queue:
                yield from _one_of(f"{here}.queue", binding.queue, queues)
            else:
                yield from _one_of(f"{here}.to_exchange", binding.to_exchange, exchanges)


def _system(scenario: Scenario, name: str) -> RabbitMQSystem | None:
    return next((s for s in scenario.rabbitmq if s.name == name), None)


def _producers(scenario: Scenario) -> Iterator[str]:
    for i, producer in enumerate(scenario.producer):
        path = f"producer[{i}]"
        yield from _one_of(f"{path}.system", producer.system, [s.name for s in scenario.system])
        system = _system(scenario, producer.system)
        if system is not None and isinstance(producer, ProducerSpec):
            yield from _to(f"{path}.to", producer, system)
        yield from _arrivals(f"{path}.arrivals", producer.arrivals)
        for j, key in enumerate(producer.keys):
            yield from _one_of(f"{path}.keys[{j}]", key, scenario.kinds)


def _to(path: str, producer: ProducerSpec, system: RabbitMQSystem) -> Iterator[str]:
    to = producer.to
    if to.exchange and to.queue:
        yield f"{path}: expected either exchange or queue"
    elif to.queue:
        yield from _one_of(f"{path}.queue", to.queue, [q.name for q in system.queues])
    elif to.exchange:
        if not to.exchange.startswith("amq."):
            yield from _one_of(f"{path}.exchange", to.exchange, [e.name for e in system.exchanges])
    else:
        yield f"{path}: expected an exchange or a queue"
    if to.routing_key and to.routing_keys:
        yield f"{path}: expected either routing_key or routing_keys"


def _arrivals(path: str, arrivals: Arrivals) -> Iterator[str]:
    given = [n for n in ("every", "poisson", "at") if getattr(arrivals, n) is not None]
    if len(given) != 1:
        yield f"{path}: expected exactly one of every, poisson, at"
    if arrivals.burst is not None and given != ["every"]:
        yield f"{path}.burst: expected it together with every"
    burst = arrivals.burst or 1
    if arrivals.every is not None and burst * 60_000_000 > limits.RATE_PER_MINUTE_MAX * arrivals.every:
        got = f"{burst} every {spoken(arrivals.every)}"
        yield f"{path}.every: expected at most 1,000 messages a second, got {got}"
    if arrivals.poisson is not None and arrivals.poisson > limits.RATE_PER_MINUTE_MAX * 60:
        yield f"{path}.poisson: expected at most 1,000 messages a second"


def _consumers(scenario: Scenario) -> Iterator[str]:
    for i, consumer in enumerate(scenario.consumer):
        path = f"consumer[{i}]"
        yield from _one_of(f"{path}.system", consumer.system, [s.name for s in scenario.system])
        system = _system(scenario, consumer.system)
        if system is not None and isinstance(consumer, ConsumerSpec):
            queues = [q.name for q in system.queues]
            yield from _one_of(f"{path}.from.queue", consumer.from_.queue, queues)
            yield from _retry(f"{path}.retry", consumer, queues)
        yield from _work(f"{path}.work", consumer.work)
        if consumer.fail is not None:
            if consumer.fail.during is not None and consumer.fail.during[0] >= consumer.fail.during[1]:
                yield f"{path}.fail.during: expected its beginning before its end"
            for j, key in enumerate(consumer.fail.keys):
                yield from _one_of(f"{path}.fail.keys[{j}]", key, scenario.kinds)


def _work(path: str, work: Work) -> Iterator[str]:
    given = [n for n in ("constant", "exponential", "uniform") if getattr(work, n) is not None]
    if len(given) != 1:
        yield f"{path}: expected exactly one of constant, exponential, uniform"
    for duration in (work.constant, work.exponential, *(work.uniform or ())):
        if duration is not None:
            yield from _within(path, duration, 0, limits.WORK_US_MAX)
    if work.uniform is not None and work.uniform[0] > work.uniform[1]:
        yield f"{path}.uniform: expected the shorter one first, got {spoken(work.uniform[0])} first"


def _retry(path: str, consumer: ConsumerSpec, queues: list[str]) -> Iterator[str]:
    retry = consumer.retry
    for i, step in enumerate(retry.steps):
        yield from _one_of(f"{path}.steps[{i}].queue", step.queue, queues)
    if retry.do != "republish":
        for field in ("queue", "steps"):
            if getattr(retry, field):
                yield f'{path}.{field}: expected it with do = "republish" only'
    elif not retry.steps:
        yield from _one_of(f"{path}.queue", retry.queue, queues)
    elif retry.queue:
        yield f"{path}: expected either queue or steps"
    if retry.then:
        yield from _one_of(f"{path}.then", retry.then, queues)
        if retry.limit is None:
            yield f"{path}.then: expected a limit with it"


NEEDS = {"slow": "factor", "set prefetch": "prefetch", "set rate": "rate",
         "kill broker": "broker", "stop broker": "broker", "start broker": "broker",
         "hang broker": "broker", "resume broker": "broker", "add partitions": "partitions"}  # fmt: skip
ON_PRODUCERS = ("poison next", "set rate", "pause", "resume")
ON_CONSUMERS = ("slow", "set prefetch", "stop")


def _faults(scenario: Scenario) -> Iterator[str]:
    producers = [p.name for p in scenario.producer]
    consumers = [c.name for c in scenario.consumer]
    frozen = [c.name for c in scenario.consumer if not isinstance(c, ConsumerSpec)]
    subscribers = [c.name for c in scenario.amqp_consumers]
    explicit = [c.name for c in scenario.share_consumers if c.acknowledge == "explicit"]
    queues = [q.name for s in scenario.rabbitmq for q in s.queues]
    clusters = [s.name for s in scenario.system if isinstance(s, KafkaSystem)]
    topics = [topic.name for system in scenario.kafka for topic in system.topics]
    for i, fault in enumerate(scenario.fault):
        path = f"fault[{i}]"
        if fault.at >= scenario.length:
            end = spoken(scenario.length)
            yield f"{path}.at: expected a time before the end, {end}, got {spoken(fault.at)}"
        known = (
            queues if fault.do == "purge"
            else topics if fault.do == "add partitions"
            else clusters if NEEDS.get(fault.do) == "broker"
            else [*producers, *frozen] if fault.do in ("pause", "resume")
            else subscribers if fault.do == "set prefetch"
            else producers if fault.do in ON_PRODUCERS
            else explicit if fault.do in ("reject next", "release next")
            else consumers if fault.do in ON_CONSUMERS
            else [*producers, *consumers]
        )  # fmt: skip
        yield from _one_of(f"{path}.target", fault.target, known)
        yield from _fault_arguments(path, fault)


def _fault_arguments(path: str, fault: Fault) -> Iterator[str]:
    need = NEEDS.get(fault.do)
    for name in dict.fromkeys(NEEDS.values()):
        given = getattr(fault, name) is not None
        if given and name != need:
            yield f'{path}.{name}: expected no such field with do = "{fault.do}"'
        if not given and name == need:
            yield f'{path}.{name}: expected a value with do = "{fault.do}", got none'


# -- Kafka --------------------------------------------------------------------------------------

OF_TOPICS = ("cleanup.policy", "retention.ms", "retention.bytes", "delete.retention.ms", "segment.bytes",
             "segment.ms", "min.cleanable.dirty.ratio",
             "min.insync.replicas", "unclean.leader.election.enable",
             "errors.deadletterqueue.group.enable")  # fmt: skip
OF_SHARE_GROUPS = ("share.auto.offset.reset", "share.delivery.count.limit", "share.record.lock.duration.ms",
                   "share.partition.max.record.locks", "share.isolation.level",
                   "share.session.timeout.ms", "share.heartbeat.interval.ms",
                   "share.renew.acknowledge.enable", "errors.deadletterqueue.topic.name",
                   "errors.deadletterqueue.copy.record.enable")  # fmt: skip
SHARE_BOUNDS = {
    "share.delivery.count.limit": (limits.SHARE_DELIVERIES_MIN, limits.SHARE_DELIVERIES_MAX),
    "share.record.lock.duration.ms": (limits.SHARE_LOCK_MS_MIN, limits.SHARE_LOCK_MS_MAX),
    "share.partition.max.record.locks": (limits.SHARE_LOCKS_MIN, limits.SHARE_LOCKS_MAX),
    **{key: NUMBERS[key] for key in ("share.session.timeout.ms", "share.heartbeat.interval.ms")},
}
"""What brokers hold a group's settings to, unless their own configuration says otherwise."""
CHECKS = {"log.retention.check.interval.ms": limits.RETENTION_CHECK_MS_MIN,
          "log.cleaner.backoff.ms": limits.CLEANER_BACKOFF_MS_MIN}  # fmt: skip
RATIO = "min.cleanable.dirty.ratio"
OF_BROKERS = ("group.initial.rebalance.delay.ms", *CHECKS, "replica.lag.time.max.ms",
              "group.consumer.session.timeout.ms", "group.consumer.heartbeat.interval.ms",
              "group.share.session.timeout.ms", "group.share.heartbeat.interval.ms")  # fmt: skip
RESET = "share.auto.offset.reset"
OF_SERVERS = ("assignors", "session_timeout", "heartbeat")
"""What members of the consumer protocol do not set: the cluster does."""
WORDS = {
    "cleanup.policy": ("delete", "compact", "compact,delete", "delete,compact"),
    "unclean.leader.election.enable": ("true", "false"),
    "errors.deadletterqueue.group.enable": ("true", "false"),
    "errors.deadletterqueue.copy.record.enable": ("true", "false"),
    "share.renew.acknowledge.enable": ("true", "false"),
    "share.isolation.level": ("read_uncommitted", "read_committed"),
}


def kafka_problems(scenario: Scenario) -> Iterator[str]:
    """Clusters, and who produces to them and reads them."""
    clusters = {s.name: s for s in scenario.system if isinstance(s, KafkaSystem)}
    for i, system in enumerate(scenario.system):
        if isinstance(system, KafkaSystem):
            yield from _cluster(f"system[{i}]", system)
    for i, producer in enumerate(scenario.producer):
        if isinstance(producer, KafkaProducerSpec) and producer.system in clusters:
            topics = [topic.name for topic in clusters[producer.system].topics]
            yield from _one_of(f"producer[{i}].to.topic", producer.to.topic, topics)
            if producer.idempotence and producer.acks != "all":
                got = f"acks = {producer.acks}"
                yield f'producer[{i}].idempotence: expected false, or acks = "all", got {got}'
            yield from _transactional(f"producer[{i}]", producer)
            if producer.transaction is not None and not producer.transactional_id:
                yield f"producer[{i}].transaction: expected it with a transactional_id only"
    for i, consumer in enumerate(scenario.consumer):
        if not isinstance(consumer, ConsumerSpec) and consumer.system in clusters:
            topics = [topic.name for topic in clusters[consumer.system].topics]
            for j, name in enumerate(consumer.from_.topics):
                yield from _one_of(f"consumer[{i}].from.topics[{j}]", name, topics)
            if len(set(consumer.from_.topics)) != len(consumer.from_.topics):
                yield f"consumer[{i}].from.topics: expected each once"
            if isinstance(consumer, ShareConsumerSpec):
                yield from _share_member(f"consumer[{i}]", consumer)
            else:
                yield from _member(f"consumer[{i}]", consumer)
                if consumer.to is not None:
                    yield from _one_of(f"consumer[{i}].to.topic", consumer.to.topic, topics)
                    yield from _output(f"consumer[{i}]", consumer, consumer.to, scenario.kinds)
            yield from _beside(f"consumer[{i}]", consumer, scenario.consumer[:i])
    for i, fault in enumerate(scenario.fault):
        if fault.broker is not None and fault.target in clusters:
            count = clusters[fault.target].brokers
            if fault.broker > count:
                yield f"fault[{i}].broker: expected 1..{count}, got {fault.broker}"


def _cluster(path: str, system: KafkaSystem) -> Iterator[str]:
    yield from _within(f"{path}.request_timeout", system.request_timeout, 1_000_000, limits.DURATION_US_MAX)
    yield from _config(f"{path}.config", system.config, OF_BROKERS)
    for j, topic in enumerate(system.topics):
        if topic.replication > system.brokers:
            where = f"{path}.topics[{j}].replication"
            most = f"expected at most {system.brokers}, the number of brokers"
            yield f"{where}: {most}, got {topic.replication}"
        yield from _config(f"{path}.topics[{j}].config", topic.config, OF_TOPICS)
    yield from _unique(f"{path}.share_groups", system.share_groups)
    for j, group in enumerate(system.share_groups):
        yield from _share_group(f"{path}.share_groups[{j}].config", system, group.config)


def _share_group(path: str, system: KafkaSystem, given: dict[str, str | int | float | bool]) -> Iterator[str]:
    queue = "errors.deadletterqueue.topic.name"
    yield from _config(path, {key: value for key, value in given.items() if key != queue}, OF_SHARE_GROUPS)
    for key, (low, high) in SHARE_BOUNDS.items():
        value = str(given.get(key, low))
        if value.isdecimal() and not low <= int(value) <= high:
            yield f"{path}.{key}: expected {low}..{high}, got {value}"
    if queue in given:
        # A cluster takes any name in silence, and writes nothing where it does not suit: a scenario says so.
        enabled = "errors.deadletterqueue.group.enable"
        suits = [t.name for t in system.topics if str(t.config.get(enabled)).lower() == "true"]
        yield from _one_of(
            f"{path}.{queue}", str(given[queue]), [name for name in suits if name.startswith("dlq.")]
        )


def _config(path: str, config: dict[str, str | int | float | bool], known: Iterable[str]) -> Iterator[str]:
    for key, value in config.items():
        where, text = f"{path}.{key}", str(value).lower()
        if key == RESET:
            yield from _reset(where, str(value))
            continue
        if key not in known:
            yield f"{where}: expected one of {', '.join(known)}"
        elif key in WORDS:
            yield from _one_of(where, text, WORDS[key])
        elif key == RATIO:
            if not re.fullmatch(r"0|1|0\.\d{1,6}", text):
                yield f"{where}: expected a number from 0 to 1, got {shown(value)}"
        elif not re.fullmatch(r"-1|\d{1,15}", text):
            yield f"{where}: expected a whole number, got {shown(value)}"
        elif int(text) < CHECKS.get(key, -1):
            yield f"{where}: expected at least {CHECKS[key]}, got {text}"


def _reset(path: str, reset: str) -> Iterator[str]:
    """What Kafka takes as a reset strategy, in its own words (`AutoOffsetResetStrategy.Validator`)."""
    if not is_strategy(reset, ("earliest", "latest")):
        expected = "expected earliest, latest or by_duration:PnDTnHnMn.nS, not negative"
        yield f"{path}: {expected}, got {shown(reset)}"


def _member(path: str, consumer: KafkaConsumerSpec) -> Iterator[str]:
    if len(set(consumer.assignors)) != len(consumer.assignors):
        yield f"{path}.assignors: expected each once"
    yield from _reset(f"{path}.reset", consumer.reset)
    yield from _within(f"{path}.heartbeat", consumer.heartbeat, 1_000, limits.DURATION_US_MAX)
    if consumer.protocol == "consumer":
        plain = KafkaConsumerSpec(consumer.name, consumer.system, consumer.from_)
        for field in OF_SERVERS:
            if getattr(consumer, field) != getattr(plain, field):
                yield f'{path}.{field}: expected it with protocol = "classic" only'
    elif consumer.remote_assignor != "uniform":
        yield f'{path}.remote_assignor: expected it with protocol = "consumer" only'
    if consumer.heartbeat >= consumer.session_timeout:
        most = f"expected less than session_timeout, {spoken(consumer.session_timeout)}"
        yield f"{path}.heartbeat: {most}, got {spoken(consumer.heartbeat)}"
    yield from _within(f"{path}.retry.delay", consumer.retry.delay, 1_000, limits.DURATION_US_MAX)
    yield from _within(f"{path}.fetch_max_wait", consumer.fetch_max_wait, 1_000, limits.DURATION_US_MAX)
    yield from _within(f"{path}.auto_commit_interval", consumer.auto_commit_interval, 1_000,
                       limits.DURATION_US_MAX)  # fmt: skip


def _share_member(path: str, consumer: ShareConsumerSpec) -> Iterator[str]:
    yield from _within(f"{path}.fetch_max_wait", consumer.fetch_max_wait, 1_000, limits.DURATION_US_MAX)
    if consumer.renew is not None:
        yield from _within(f"{path}.renew", consumer.renew, 1_000, limits.DURATION_US_MAX)
    if consumer.acknowledge == "implicit":
        for field, plain in (("failed", "release"), ("renew", None)):
            if getattr(consumer, field) != plain:
                yield f'{path}.{field}: expected it with acknowledge = "explicit" only'


def _beside(
    path: str, consumer: KafkaConsumerSpec | ShareConsumerSpec, before: list[AnyConsumerSpec]
) -> Iterator[str]:
    """What all members of a group have in common."""
    for other in before:
        if isinstance(other, ConsumerSpec) or other.system != consumer.system:
            continue
        if other.from_.group != consumer.from_.group:
            continue
        of = f"as {other.name} of the same group has it"
        if other.protocol != consumer.protocol:
            yield f'{path}.protocol: expected "{other.protocol}", {of}, got "{consumer.protocol}"'
        elif isinstance(other, ShareConsumerSpec) or isinstance(consumer, ShareConsumerSpec):
            continue  # each subscribes for itself; how the group reads is the group's own configuration
        elif other.isolation != consumer.isolation:
            yield f'{path}.isolation: expected "{other.isolation}", {of}, got "{consumer.isolation}"'
        else:
            continue
        return


def _transactional(path: str, producer: KafkaProducerSpec | Output) -> Iterator[str]:
    if producer.transactional_id and (producer.acks != "all" or producer.idempotence is False):
        yield f"{path}.transactional_id: expected it with idempotence only"


def _output(path: str, consumer: KafkaConsumerSpec, to: Output, kinds: list[str]) -> Iterator[str]:
    """What a member produces to."""
    if to.topic in consumer.from_.topics:
        yield f"{path}.to.topic: expected another one than it reads, got {shown(to.topic)}"
    for key in [*to.keys, *to.keys.values()]:
        yield from _one_of(f"{path}.to.keys", key, kinds)
    if to.idempotence and to.acks != "all":
        yield f'{path}.to.idempotence: expected false, or acks = "all", got acks = {to.acks}'
    yield from _transactional(f"{path}.to", to)
    if to.transactional_id and consumer.acknowledge != "after work":
        expected = 'expected "after work", the transaction commits the offsets'
        yield f'{path}.acknowledge: {expected}, got "{consumer.acknowledge}"'
