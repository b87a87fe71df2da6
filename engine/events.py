"""What happened: the facts that every system has. `engine/<system>/events.py` adds each system's own.

An event is a frozen Struct, encoded as an array that starts with its tag. All times are simulated
microseconds. `at_us` is when it happened. `cause` says why: a positive number is the number of an
earlier event, a negative one is minus the `n` of a journal entry, 0 is the scenario itself. An
event's own number is its place in the run (1, 2, …) and stands nowhere in it: whoever hands on a
batch says the first number.

Identities are small integers: `message` is the number in a label (m7), `copy` one copy of a message
that one destination is owed, `node` a place on the stage that a `NodeAdded` has introduced. What is
drawn as a token is a (copy, attempt): attempt 0 is the broker's own hold on the copy, attempt n the
body of its nth delivery.

Tags are never reused: 1–49 here, 50–99 RabbitMQ, 100–149 Kafka, 150–199 SQS.
"""

from __future__ import annotations

from typing import Literal

import msgspec

NodeKind = Literal["producer", "exchange", "queue", "consumer",
                   "broker", "topic", "partition", "group"]  # fmt: skip
NodeState = Literal["up", "slow", "crashed", "stopped", "connecting", "paused"]
LinkState = Literal["up", "cut", "closed"]
WireKind = Literal["publish", "binding", "consume"]

Zone = Literal["ready", "unacked", "delayed", "dead_lettering", "socket", "prefetched", "working"]
"""Regions of a node, each an ordered list of tokens.

At a queue: ready (index 0 is the head), unacked (receipts, in order of delivery), delayed (waits out
a retry delay), dead_lettering (waits for an at-least-once target), socket (written to a connection
that does not move). At a consumer: prefetched (waiting, in order of arrival), working.
"""

Place = Literal[
    "", "on_the_wire", "ready", "unacked", "waiting", "held",
    "done", "dead", "expired", "dropped", "lost",
]  # fmt: skip
"""Where the ledger counts a copy. "" is nowhere: not yet owed, or no longer."""

SignalKind = Literal["publish", "consume", "cancel", "ack", "nack", "reject", "get", "confirm",
                     "refuse", "return", "close", "reply"]  # fmt: skip
"""What travels on a link without being a body. refuse is the broker's negative confirm."""

LeftReason = Literal[
    "acknowledged", "automatic", "rejected", "expired", "maxlen", "delivery_limit", "purged",
    "queue_deleted", "dead_lettered", "unroutable", "cycle", "crashed",
    "connection_closed", "cancelled",
]  # fmt: skip
"""Why a token is gone. Of a broker's hold: acknowledged; automatic (handed out without a receipt);
dropped because it was rejected, expired, over max-length, over its delivery limit, purged, or its
queue deleted; dead_lettered (it goes on in another queue); dropped as a dead letter without a target
(unroutable) or in a cycle. Of a body that was not worked to its end: crashed with
its consumer, lost with its connection (connection_closed), cancelled (thrown away by its own consumer)."""


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of all events."""

    at_us: int
    cause: int


# -- the stage ----------------------------------------------------------------------------------


class NodeAdded(Event, frozen=True, array_like=True, tag=1, gc=False):
    """A node is on the stage. `system` is "" for what belongs to none; `about` is its one-line note."""

    node: int
    kind: NodeKind
    name: str
    system: str
    about: str


class NodeRemoved(Event, frozen=True, array_like=True, tag=2, gc=False):
    """A node is gone, and its wires and zones with it."""

    node: int


class NodeStateChanged(Event, frozen=True, array_like=True, tag=3, gc=False):
    """A node works differently from now on; `about` replaces its one-line note."""

    node: int
    state: NodeState
    about: str


class WireAdded(Event, frozen=True, array_like=True, tag=4, gc=False):
    """Messages can go from `source` to `target`. (source, target, label) names the wire."""

    source: int
    target: int
    kind: WireKind
    label: str


class WireRemoved(Event, frozen=True, array_like=True, tag=5, gc=False):
    """A wire is gone."""

    source: int
    target: int
    kind: WireKind
    label: str


class LinkStateChanged(Event, frozen=True, array_like=True, tag=6, gc=False):
    """The network between an actor's node and its broker: up, cut (nothing gets through), closed."""

    node: int
    state: LinkState


class StandsFor(Event, frozen=True, array_like=True, tag=27, gc=False):
    """Queue `node` holds copies that `destination` is owed: they wait there, or are dead there."""

    node: int
    destination: int
    place: Literal["waiting", "dead"]


class ConsumerSettings(Event, frozen=True, array_like=True, tag=32, gc=False):
    """What consumer `node` does from now on, told once a command has changed it or brought the consumer, and
    from the start of one that connects later. Before that it is as the scenario says.

    `queue` is the node that it reads, `work_us` the mean time of its work at normal speed, `keep` "" without
    an idempotency store. `retry` is what it does after a failure: republish goes to `retry_queue` ("": by
    its scenario's steps) after `delay_us`, doubled each time when `backoff` is exponential; after `limit`
    attempts (0: never) to queue `then`, "" for nowhere.
    """

    node: int
    queue: int
    prefetch: int
    acknowledge: Literal["after work", "before work", "automatic"]
    work_us: int
    keep: Literal["", "with the effect", "check then act"]
    retry: Literal["requeue", "discard", "republish"]
    retry_queue: str
    backoff: Literal["fixed", "exponential"]
    delay_us: int
    limit: int
    then: str


# -- signals and messages -----------------------------------------------------------------------


class MessageCreated(Event, frozen=True, array_like=True, tag=7, gc=False):
    """A producer has made message `message`. `key` is "" without one; poison fails every handler."""

    message: int
    node: int
    key: str
    poison: bool


class Sent(Event, frozen=True, array_like=True, tag=8, gc=False):
    """A signal departs at `at_us` and is gone at `arrive_us` by itself, unless a `SignalLost` says so.

    `about` is a message for publish, confirm, refuse and return, a copy for ack, nack and reject
    (the last one of several), else 0. `signal` names it for `SignalLost`.
    """

    signal: int
    kind: SignalKind
    about: int
    source: int
    target: int
    arrive_us: int


class SignalLost(Event, frozen=True, array_like=True, tag=9, gc=False):
    """The `Sent` with this `signal` will not arrive (its network was cut, its connection closed)."""

    signal: int


class Owed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One copy that `Routed` makes: `destination` (a queue's node) is owed it.

    `after` is the copy that it takes over from (a retry that republishes), 0 for none; `deliveries`
    how often it was handed out so far, `redelivered` whether the system would say so of it.
    """

    copy: int
    destination: int
    after: int = 0
    deliveries: int = 0
    redelivered: bool = False


class Routed(Event, frozen=True, array_like=True, tag=10, gc=False):
    """The broker has routed a message at node `source`; the copies exist from now on. Maybe none."""

    message: int
    source: int
    copies: tuple[Owed, ...]


# -- tokens -------------------------------------------------------------------------------------


class Placed(Event, frozen=True, array_like=True, tag=11, gc=False):
    """Token (copy, attempt) is in `zone` of `node` at `index` (what stands there and behind moves on).

    Index -1 is behind all that stands there. Wherever the token was before, it is there no longer.
    """

    copy: int
    attempt: int
    node: int
    zone: Zone
    index: int


class Moved(Event, frozen=True, array_like=True, tag=12, gc=False):
    """A delivery: body (copy, attempt) departs `source` at `at_us` and arrives at `target` at `arrive_us`.

    `keeps` is the zone of `source` to whose end attempt 0 goes (a receipt), unless it stands there
    already (a delivery that departs again after a cut); "" when the broker keeps nothing and attempt 0
    is gone. From `arrive_us` the body is the target's; where, its next event says.
    """

    copy: int
    attempt: int
    source: int
    target: int
    arrive_us: int
    keeps: Zone | Literal[""]


class Left(Event, frozen=True, array_like=True, tag=13, gc=False):
    """Token (copy, attempt) of each of `copies` is gone from `node`."""

    copies: tuple[int, ...]
    attempt: int
    node: int
    reason: LeftReason


class FuseLit(Event, frozen=True, array_like=True, tag=14, gc=False):
    """Something will happen to the waiting copy by itself at `until_us`: its TTL or its delay ends."""

    copy: int
    node: int
    what: Literal["ttl", "delay"]
    until_us: int


# -- work ---------------------------------------------------------------------------------------


class WorkStarted(Event, frozen=True, array_like=True, tag=15, gc=False):
    """Consumer `node` works on body (copy, attempt) until `until_us`; the body is in its working zone."""

    copy: int
    attempt: int
    node: int
    until_us: int


class WorkFinished(Event, frozen=True, array_like=True, tag=16, gc=False):
    """The handler has returned or failed (`why` is "" after success). The body is gone from the consumer."""

    copy: int
    attempt: int
    node: int
    ok: bool
    why: str


class HandlerDeclared(Event, frozen=True, array_like=True, tag=28, gc=False):
    """What the handler of consumer `node` does from now on: `amount` of `unit` each time ("" is only
    counted), after asking idempotency `store` ("" for none)."""

    node: int
    effect: str
    amount: int
    unit: str
    store: str


class EffectApplied(Event, frozen=True, array_like=True, tag=17, gc=False):
    """The handler did its effect (charge $25) to the world outside.

    `destination` is the queue that the consumer reads. `effect_number` counts the effects of this name
    for this message and destination: 2 is a duplicate. `total` sums the amounts of this name so far,
    `due` is what it would be if each of them had been done once.
    """

    copy: int
    attempt: int
    node: int
    message: int
    destination: int
    effect: str
    effect_number: int
    total: int
    amount: int
    due: int


class GivenUp(Event, frozen=True, array_like=True, tag=26, gc=False):
    """No broker has the message and producer `node` will not send it again."""

    message: int
    node: int


class StoreAsked(Event, frozen=True, array_like=True, tag=18, gc=False):
    """The handler has asked its idempotency store whether it has seen the message."""

    copy: int
    attempt: int
    node: int
    seen: bool


class StoreKept(Event, frozen=True, array_like=True, tag=19, gc=False):
    """The idempotency store remembers the message from now on."""

    copy: int
    attempt: int
    node: int


# -- people -------------------------------------------------------------------------------------


class Commanded(Event, frozen=True, array_like=True, tag=20, gc=False):
    """Somebody (or the scenario's fault) did `command` to `node` (0: to the room)."""

    command: str
    node: int
    about: str


class RunEnded(Event, frozen=True, array_like=True, tag=21, gc=False):
    """The clock stands: the scenario's length, its messages or its copies are used up."""

    why: Literal["length", "messages", "copies"]


# -- the ledger ---------------------------------------------------------------------------------


class Settled(Event, frozen=True, array_like=True, tag=22, gc=False):
    """The ledger counts `copies` of `destination` in place `now` and no longer in `was`."""

    copies: tuple[int, ...]
    destination: int
    was: Place
    now: Place


Tally = Literal["duplicated_deliveries", "duplicated_effects", "out_of_order"]


class Tallied(Event, frozen=True, array_like=True, tag=23, gc=False):
    """One more of what the ledger counts beside its places. `other` is the message of the same key
    whose effect came first (out_of_order), else 0."""

    destination: int
    what: Tally
    copy: int
    other: int


class PromiseBroken(Event, frozen=True, array_like=True, tag=24, gc=False):
    """The scenario promised this, and now it is no longer so."""

    promise: str
    destination: int


class LedgerStands(Event, frozen=True, array_like=True, tag=25):
    """Only in a statement of the present: the ledger's counts for one destination, outright.

    `places` has one number a place, in the order of `Place` without its first; `tallies` one a `Tally`.
    """

    destination: int
    places: tuple[int, ...]
    tallies: tuple[int, ...]


class Done(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One effect that has happened. `after` is the message of `Tallied` (out_of_order), 0 for none."""

    message: int
    copy: int
    effect: str
    amount: int
    effect_number: int
    at_us: int
    after: int = 0


class EffectsStand(Event, frozen=True, array_like=True, tag=29):
    """Only in a statement of the present: the latest effects of the consumers of `queue`, in order."""

    queue: int
    recent: tuple[Done, ...]


class SumStands(Event, frozen=True, array_like=True, tag=30, gc=False):
    """Only in a statement of the present: what the effects of one name come to, as in `EffectApplied`."""

    effect: str
    unit: str
    total: int
    due: int


class StoreStands(Event, frozen=True, array_like=True, tag=31):
    """Only in a statement of the present: the latest messages that idempotency `store` remembers, and the
    one that it was last asked for (0: none yet), with its answer."""

    store: str
    recent: tuple[int, ...]
    asked: int
    seen: bool


COMMON: tuple[type[Event], ...] = (
    NodeAdded, NodeRemoved, NodeStateChanged, WireAdded, WireRemoved, LinkStateChanged,
    StandsFor, ConsumerSettings, MessageCreated, Sent, SignalLost, Routed, Placed, Moved, Left, FuseLit,
    WorkStarted, WorkFinished, EffectApplied, GivenUp, StoreAsked, StoreKept,
    Commanded, RunEnded, Settled, Tallied, PromiseBroken, LedgerStands,
    HandlerDeclared, EffectsStand, SumStands, StoreStands,
)  # fmt: skip
