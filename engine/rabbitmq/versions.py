"""What one version of RabbitMQ does differently from another: named switches, set once.

Nothing else in this folder may ask for a version number. Each switch names the behaviour; where it
comes from stands beside it (a page of www.rabbitmq.com/docs, or a module of the real source).
"""

from __future__ import annotations

import msgspec

MIB = 1024 * 1024


class Switches(msgspec.Struct, frozen=True):
    """How this version behaves. One value per version in `VERSIONS`."""

    message_bytes_max: int
    """rabbit.app `max_message_size`; one byte more closes the channel."""
    expiry_ms_max: int
    """rabbit_misc:check_expiry/1: the longest TTL or queue expiry that is taken."""
    transient_queues: bool
    """Whether a queue may be neither durable nor exclusive (deprecated feature transient_nonexcl_queues)."""
    global_qos: bool
    """Whether basic.qos(global) is one limit for the channel; else it is taken as per consumer."""
    unknown_exchange_type: str
    """The error's name: rabbit_exchange:check_type/1."""
    classic_arguments: frozenset[str]
    quorum_arguments: frozenset[str]
    stream_arguments: frozenset[str]
    classic_consumer_arguments: frozenset[str]
    quorum_consumer_arguments: frozenset[str]
    stream_consumer_arguments: frozenset[str]
    queue_types: frozenset[str]
    leader_locators: frozenset[str]
    master_locators: frozenset[str]
    """What x-queue-master-locator may be; anything else is an internal error."""
    queue_modes_checked: bool
    """Whether x-queue-mode must be default or lazy."""
    queue_version_min: int
    default_delivery_limit: int | None
    negative_limit_is_none: bool
    nack_is_failure: bool
    """Whether basic.nack, basic.recover and the like count towards the delivery limit."""
    unlimited_returns_go_back: bool
    """Quorum queue without x-delivery-limit: what is returned by the client goes to the back."""
    slot_too_many: bool
    """A message over the delivery limit gives its consumer one credit too many (rabbit_fifo:return/5)."""
    returns_by_tag: bool
    """A closed channel's consumers return in order of their tags, else in order of subscription."""
    quorum_priorities: bool
    """32 levels, each of which expires at its own head; else one line."""
    quorum_counts_properties: bool
    """max-length-bytes of a quorum queue counts the encoded properties as well as the body."""
    acquired_count: bool
    get_shows_zero_count: bool
    """basic.get from a quorum queue shows x-delivery-count 0."""
    failures_travel: bool
    """The number of failures goes along with a dead letter."""
    client_deaths_count_on: bool
    """An x-death header sent by a client is taken for the broker's own."""
    deaths_by_recency: bool
    """x-death by recency and x-last-death-* headers; else the older entries turn round at each death."""
    own_key_drops_cc: bool
    """A dead-letter routing key removes the CC header."""
    purge_takes_waiting: bool
    """Purge also takes delayed messages and dead letters that wait for their target."""
    classic_cancel_runs_queue: bool
    """After a cancel a classic queue looks for somebody to deliver to (single active consumer)."""
    single_active_by_priority: bool
    """Quorum: the highest priority follows, and takes over once the active one holds nothing."""
    mandatory_replies_return: bool
    """A mandatory message to a direct reply-to address is always returned; else never."""
    expiration_rewritten: bool
    """The expiration property is read as a number and written anew: "+007" comes out as "7"."""
    consumer_timeout: bool
    """Quorum queues watch how long a message is held."""


_DEAD_LETTERING = {"x-dead-letter-exchange", "x-dead-letter-routing-key"}
_LENGTH = {"x-max-length", "x-max-length-bytes", "x-overflow"}
_EVERY = {"x-queue-type"}
_CLASSIC = (
    _EVERY
    | _DEAD_LETTERING
    | _LENGTH
    | {
        "x-expires", "x-message-ttl", "x-max-priority", "x-queue-mode", "x-queue-version",
        "x-single-active-consumer", "x-queue-master-locator",
    }
)  # fmt: skip
_QUORUM = (
    _EVERY
    | _DEAD_LETTERING
    | _LENGTH
    | {
        "x-dead-letter-strategy", "x-expires", "x-max-in-memory-length", "x-max-in-memory-bytes",
        "x-single-active-consumer", "x-quorum-initial-group-size", "x-delivery-limit", "x-message-ttl",
        "x-queue-leader-locator",
    }
)  # fmt: skip
_STREAM = _EVERY | {
    "x-max-length-bytes", "x-max-age", "x-stream-max-segment-size-bytes", "x-initial-cluster-size",
    "x-queue-leader-locator",
}  # fmt: skip

VERSIONS: dict[str, Switches] = {
    "4.3": Switches(
        message_bytes_max=16 * MIB,
        expiry_ms_max=315_360_000_000,
        transient_queues=False,
        global_qos=False,
        unknown_exchange_type="PRECONDITION_FAILED",
        classic_arguments=frozenset(_CLASSIC | {"x-queue-leader-locator"}),
        quorum_arguments=frozenset(
            _QUORUM
            | {
                "x-consumer-disconnected-timeout",
                "x-consumer-timeout",
                "x-delayed-retry-type",
                "x-delayed-retry-min",
                "x-delayed-retry-max",
            }
        ),
        stream_arguments=frozenset(_STREAM | {"x-stream-filter-size-bytes"}),
        classic_consumer_arguments=frozenset({"x-priority"}),
        quorum_consumer_arguments=frozenset({"x-priority", "x-consumer-timeout"}),
        stream_consumer_arguments=frozenset(
            {"x-stream-offset", "x-stream-filter", "x-stream-match-unfiltered"}
        ),
        queue_types=frozenset({"classic", "quorum", "stream"}),
        leader_locators=frozenset({"client-local", "balanced", "random", "least-leaders", "min-masters"}),
        master_locators=frozenset(),
        queue_modes_checked=False,
        queue_version_min=2,
        default_delivery_limit=20,
        negative_limit_is_none=True,
        nack_is_failure=False,
        unlimited_returns_go_back=False,
        slot_too_many=False,
        returns_by_tag=False,
        quorum_priorities=True,
        quorum_counts_properties=True,
        acquired_count=True,
        get_shows_zero_count=False,
        failures_travel=True,
        client_deaths_count_on=False,
        deaths_by_recency=True,
        own_key_drops_cc=False,
        purge_takes_waiting=True,
        classic_cancel_runs_queue=True,
        single_active_by_priority=True,
        mandatory_replies_return=False,
        expiration_rewritten=True,
        consumer_timeout=True,
    ),
    "3.10": Switches(
        message_bytes_max=128 * MIB,
        expiry_ms_max=315_360_000_000,
        transient_queues=True,
        global_qos=True,
        unknown_exchange_type="COMMAND_INVALID",
        classic_arguments=frozenset(_CLASSIC),
        quorum_arguments=frozenset(_QUORUM),
        stream_arguments=frozenset(_STREAM),
        classic_consumer_arguments=frozenset({"x-cancel-on-ha-failover", "x-priority", "x-credit"}),
        quorum_consumer_arguments=frozenset({"x-priority", "x-credit"}),
        stream_consumer_arguments=frozenset({"x-stream-offset", "x-credit"}),
        queue_types=frozenset({"classic", "quorum", "stream"}),
        leader_locators=frozenset({"client-local", "balanced", "random", "least-leaders"}),
        master_locators=frozenset({"min-masters", "client-local", "random"}),
        queue_modes_checked=True,
        queue_version_min=1,
        default_delivery_limit=None,
        negative_limit_is_none=False,
        nack_is_failure=True,
        unlimited_returns_go_back=True,
        slot_too_many=True,
        returns_by_tag=True,
        quorum_priorities=False,
        quorum_counts_properties=False,
        acquired_count=False,
        get_shows_zero_count=True,
        failures_travel=False,
        client_deaths_count_on=True,
        deaths_by_recency=False,
        own_key_drops_cc=True,
        purge_takes_waiting=False,
        classic_cancel_runs_queue=False,
        single_active_by_priority=False,
        mandatory_replies_return=True,
        expiration_rewritten=False,
        consumer_timeout=False,
    ),
}
