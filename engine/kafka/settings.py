"""What a client of Kafka is set to, as events tell it once a command has changed it."""

from __future__ import annotations

from engine.kafka.events import MemberSettings, ProducerSettings
from engine.policies.service import mean_us
from engine.scenario import KafkaConsumerSpec, KafkaProducerSpec


def member_settings(
    spec: KafkaConsumerSpec, at_us: int = 0, cause: int = 0, node: int = 0
) -> MemberSettings:  # fmt: skip
    """What a group's member with this specification does."""
    kept, classic = spec.idempotency, spec.protocol == "classic"
    return MemberSettings(
        at_us, cause, node, spec.from_.group, spec.protocol, spec.isolation,
        tuple(spec.assignors) if classic else (spec.remote_assignor,), spec.instance, spec.acknowledge,
        mean_us(spec.work), "" if kept is None else kept.keep,
    )  # fmt: skip


def producer_settings(
    spec: KafkaProducerSpec, at_us: int = 0, cause: int = 0, node: int = 0
) -> ProducerSettings:  # fmt: skip
    """What a producer with this specification does."""
    return ProducerSettings(
        at_us, cause, node, spec.to.topic, str(spec.acks), is_idempotent(spec), spec.transactional_id
    )


def is_idempotent(spec: KafkaProducerSpec) -> bool:
    """enable.idempotence: on by default, but not where `acks` is not all."""
    return spec.acks == "all" if spec.idempotence is None else spec.idempotence
