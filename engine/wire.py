"""Events as they go over a wire: JSON arrays, encoded once, the same bytes for digest and viewers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from engine import events as common
from engine.events import Event
from engine.kafka import events as kafka
from engine.rabbitmq import events as rabbitmq

EVENT_TYPES: tuple[type[Event], ...] = (*common.COMMON, *rabbitmq.RABBITMQ, *kafka.KAFKA)

AnyEvent = (
    common.NodeAdded | common.NodeRemoved | common.NodeStateChanged | common.WireAdded
    | common.WireRemoved | common.LinkStateChanged | common.StandsFor | common.ConsumerSettings
    | common.MessageCreated | common.Sent | common.SignalLost
    | common.Routed | common.Placed | common.Moved | common.Left | common.FuseLit
    | common.WorkStarted | common.WorkFinished | common.EffectApplied | common.GivenUp
    | common.StoreAsked | common.StoreKept | common.Commanded | common.RunEnded | common.Settled
    | common.Tallied | common.PromiseBroken | common.LedgerStands | common.HandlerDeclared
    | common.EffectsStand | common.SumStands | common.StoreStands
    | rabbitmq.ExchangeDeclared | rabbitmq.QueueDeclared | rabbitmq.ConsumerRegistered
    | rabbitmq.ConsumerCancelled | rabbitmq.ActiveConsumerChanged | rabbitmq.ChannelOpened
    | rabbitmq.ChannelClosed | rabbitmq.Unroutable | rabbitmq.PublishRefused | rabbitmq.Requeued
    | rabbitmq.DeadLettered | rabbitmq.ConsumerTimedOut | rabbitmq.QueuePurged | rabbitmq.QueueExpired
    | kafka.PartitionDeclared | kafka.PartitionLed | kafka.RecordsAppended | kafka.LogMarked
    | kafka.ReplicaReached | kafka.RecordsGone | kafka.GroupChanged | kafka.MemberJoined | kafka.MemberGone
    | kafka.OffsetCommitted | kafka.TransactionChanged | kafka.RecordsAcquired | kafka.AcquisitionEnded
    | kafka.PartitionsAssigned | kafka.PartitionsRevoked | kafka.PositionSet | kafka.BatchSent
    | kafka.BatchAcknowledged | kafka.RecordsSent | kafka.RecordsDelivered | kafka.RecordsWorked
    | kafka.RecordFailed | kafka.Counted | kafka.TalliedMore | kafka.RecordsHeld
    | kafka.RecordsWithdrawn
    | kafka.MemberSettings | kafka.ProducerSettings | kafka.AcquisitionRenewed
    | kafka.SharePartitionMarked | kafka.ShareMemberSettings | kafka.RecordsTransformed
    | kafka.TombstonesAppended | kafka.ReadingStands | kafka.LeadershipStands | kafka.RecordsAwaited
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[AnyEvent])


def encode(events: Sequence[Event]) -> bytes:
    """A JSON array of events, each the array [tag, at_us, cause, …]."""
    return _encoder.encode(events)


def decode(text: bytes) -> list[Event]:
    """The inverse of `encode`. Raises msgspec.ValidationError."""
    return list(_decoder.decode(text))


def spelled(event: Event) -> dict[str, Any]:
    """One event with its name and its fields' names, for people and scripts."""
    named: dict[str, Any] = {"event": type(event).__name__}
    for field in event.__struct_fields__:
        named[field] = msgspec.to_builtins(getattr(event, field))
    return named
