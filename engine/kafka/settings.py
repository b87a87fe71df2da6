"""What a client of Kafka is set to, as events tell it once a command has changed it."""

from __future__ import annotations

from engine.kafka.events import MemberSettings, ProducerSettings, ShareMemberSettings
from engine.policies.service import mean_us
from engine.scenario import (
    Arrivals,
    KafkaConsumerSpec,
    KafkaProducerSpec,
    Output,
    Sending,
    ShareConsumerSpec,
    ToTopic,
)


def member_settings(
    spec: KafkaConsumerSpec, at_us: int = 0, cause: int = 0, node: int = 0
) -> MemberSettings:  # fmt: skip
    """What a group's member with this specification does."""
    kept, classic = spec.idempotency, spec.protocol == "classic"
    return MemberSettings(
        at_us, cause, node, spec.from_.group, spec.protocol, spec.isolation,
        tuple(spec.assignors) if classic else (spec.remote_assignor,), spec.instance, spec.acknowledge,
        mean_us(spec.work), "" if kept is None else kept.keep,
        "" if spec.to is None else spec.to.topic, "" if spec.to is None else spec.to.transactional_id,
    )  # fmt: skip


def share_member_settings(
    spec: ShareConsumerSpec, at_us: int = 0, cause: int = 0, node: int = 0
) -> ShareMemberSettings:  # fmt: skip
    """What a share group's member with this specification does."""
    return ShareMemberSettings(
        at_us, cause, node, spec.from_.group, spec.acknowledge, spec.acquire, spec.max_poll_records,
        spec.failed, mean_us(spec.work), "" if spec.idempotency is None else spec.idempotency.keep,
    )  # fmt: skip


def producer_settings(
    spec: KafkaProducerSpec, at_us: int = 0, cause: int = 0, node: int = 0
) -> ProducerSettings:  # fmt: skip
    """What a producer with this specification does."""
    return ProducerSettings(
        at_us, cause, node, spec.to.topic, str(spec.acks), is_idempotent(spec), spec.transactional_id
    )


def output_spec(spec: KafkaConsumerSpec, to: Output) -> KafkaProducerSpec:
    """The producer inside a member that produces: it makes nothing by itself."""
    sending = {name: getattr(to, name) for name in Sending.__struct_fields__}
    return KafkaProducerSpec(
        spec.name,
        spec.system,
        ToTopic(to.topic),
        Arrivals(),
        metadata_max_age=spec.metadata_max_age,
        **sending,
    )


def is_idempotent(spec: KafkaProducerSpec) -> bool:
    """enable.idempotence: on by default, but not where `acks` is not all."""
    return spec.acks == "all" if spec.idempotence is None else spec.idempotence
