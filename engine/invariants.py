"""What must hold at every moment, checked always: the ledger's counts against the parts' own lengths.

`check` runs after every tick, `check_wholly` every few seconds. More is checked as events are folded
(`engine.ledger`): at most prefetch deliveries in flight, and deliveries in the order of `Placed` for what
arrived at a queue's tail; and by actors, whose channels are never closed for breaking the protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.actors.amqp_consumer import AmqpConsumer
from engine.actors.amqp_producer import AmqpProducer
from engine.actors.kafka_consumer import KafkaConsumer
from engine.actors.kafka_producer import KafkaProducer
from engine.actors.kafka_share_consumer import ShareConsumer
from engine.errors import InvariantBroken
from engine.rabbitmq import operations as amqp
from engine.world import GIVEN_UP, ROUTED

if TYPE_CHECKING:
    from engine.simulation import Simulation


def check(simulation: Simulation) -> None:
    """Between timers. Costs a few sums. Raises `InvariantBroken`."""
    ledger = simulation.ledger
    held = alive = 0
    for node, account in ledger.accounts.items():
        _, wire, ready, unacked, waiting, working, done, dead, expired, dropped, lost = account.places
        in_hold = ready + unacked + waiting + dead
        in_life = in_hold + wire + working
        if in_life + done + expired + dropped + lost != account.owed:
            what = f"destination {node} is owed {account.owed} copies, its places are {account.places}"
            _broken(simulation, what)
        held += in_hold
        alive += in_life
    in_brokers = 0
    for broker in simulation.brokers:
        in_brokers += sum(map(sum, broker.queue_counts().values()))
    if not held <= in_brokers <= held + ledger.superseded:
        _broken(simulation, f"the ledger counts {held} copies in brokers, the brokers hold {in_brokers}")
    if simulation.counting is not None:
        contradiction = simulation.counting.adds_up()
        if contradiction:
            _broken(simulation, contradiction)
    if alive + ledger.superseded != len(ledger.copies):
        _broken(simulation, f"{len(ledger.copies)} copies are alive, the places say {alive}")


def check_wholly(simulation: Simulation) -> None:
    """Every copy by itself: as `check`, queue by queue, body by body. Costs a pass over all that is alive."""
    check(simulation)
    _check_queues(simulation)
    _check_bodies(simulation)
    _check_messages(simulation)
    _check_groups(simulation)
    for broker in simulation.brokers:
        contradiction = broker.contradiction()
        if contradiction:
            _broken(simulation, contradiction)


def _check_queues(simulation: Simulation) -> None:
    """What is ready, queue by queue, and what is unacked, by who holds it."""
    ledger = simulation.ledger
    ready: dict[int, int] = {}
    for record in ledger.copies.values():
        if record.ready:
            ready[record.queue] = ready.get(record.queue, 0) + 1
    unacked = sum(ledger.in_flight.values())
    in_brokers = 0
    for broker in simulation.brokers:
        for node, counts in broker.queue_counts().items():
            in_brokers += counts[1]
            if ready.get(node, 0) != counts[0]:
                _broken(simulation, f"node {node} has {counts[0]} ready, the ledger {ready.get(node, 0)}")
    # What waits in a broker's socket behind a cut is unacked, but has not gone to its holder yet.
    waiting = sum(len(link.down_waiting) for link in simulation.links)
    if not unacked <= in_brokers <= unacked + waiting:
        _broken(simulation, f"{in_brokers} deliveries are unacked, the ledger knows the holders of {unacked}")


def _check_bodies(simulation: Simulation) -> None:
    """A body is in one place, once: on a link, in a socket or at a worker, where the events have put it."""
    found: dict[int, int] = {}
    seen: dict[tuple[int, int], None] = {}
    for copy, attempt in _bodies(simulation):
        if (copy, attempt) in seen:
            _broken(simulation, f"body {attempt} of copy {copy} is in two places")
        seen[copy, attempt] = None
        found[copy] = found.get(copy, 0) + 1
    ledger = simulation.ledger
    for copy, record in [*ledger.copies.items(), *ledger.stale.items()]:
        count = found.pop(copy, 0)
        if count != record.bodies:
            _broken(simulation, f"copy {copy} has {count} bodies, events told of {record.bodies}")
    for copy in found:
        _broken(simulation, f"copy {copy} has a body that no event tells of")


def _bodies(simulation: Simulation) -> Iterator[tuple[int, int]]:
    for link in simulation.links:
        for down in [*link.down.values(), *link.down_waiting, *link.behind_reply]:
            if isinstance(down.said, amqp.Delivery):
                yield down.said.copy, down.said.attempt
    for actor in simulation.actors:
        if isinstance(actor, AmqpConsumer):
            for held in actor.bodies():
                yield held.copy, held.attempt


def _check_messages(simulation: Simulation) -> None:
    """Every message made was routed or given up, or is on its way, or will be sent again."""
    flags, unrouted = simulation.world.flags, simulation.world.unrouted()
    on_their_way = dict.fromkeys(m for m in _unsent(simulation) if not flags[m] & (ROUTED | GIVEN_UP))
    if unrouted != len(on_their_way):
        what = f"{unrouted} messages have come to no broker, and {len(on_their_way)} are on their way"
        _broken(simulation, what)


def _unsent(simulation: Simulation) -> Iterator[int]:
    for link in simulation.links:
        yield from link.publishes()
    for kafka_link in simulation.kafka_links:
        yield from kafka_link.publishes()
    for actor in simulation.actors:
        if isinstance(actor, AmqpProducer):
            for pending in actor.pending.values():
                yield pending.operation.message
        elif isinstance(actor, KafkaProducer):
            yield from actor.unsent()
        elif isinstance(actor, KafkaConsumer) and actor.output is not None:
            yield from actor.output.unsent()


def _check_groups(simulation: Simulation) -> None:
    """What is counted by group and partition: as the logs have it, and as the members have it."""
    counting = simulation.counting
    if counting is None:
        return
    contradiction = counting.contradiction()
    if contradiction:
        _broken(simulation, contradiction)
    for cluster in simulation.clusters:
        for topic in cluster.topics.values():
            for partition in topic.partitions:
                written = counting.state.partitions[partition.node]
                if written.mark != partition.marks[partition.shown()]:
                    what = f"events put {topic.name}-{partition.number}'s high watermark at {written.mark}"
                    _broken(simulation, f"{what}, it is at {partition.marks[partition.shown()]}")
    for actor in simulation.actors:
        if isinstance(actor, KafkaConsumer):
            held: dict[int, tuple[int, int]] = {}
            for node, first, next_ in actor.unworked():
                held[node] = (held.get(node, (first, 0))[0], next_)
            told = counting.held_by(actor.group_node, actor.node)
            if held != told:
                _broken(simulation, f"{actor.spec.name} has {held} unworked, events told of {told}")
    _check_shares(simulation)


def _check_shares(simulation: Simulation) -> None:
    """What is counted as acquired: as those who lead have it, and in hand as the members have it."""
    counting = simulation.counting
    assert counting is not None
    for cluster in simulation.clusters:
        for shared in cluster.shares.values():
            group = cluster.group_nodes[shared.group]
            node = cluster.partition(shared.topic, shared.partition).node
            there = [o for o, record in sorted(shared.records.items()) if record.state == "ACQUIRED"]
            counted = counting.shares.acquired(group, node)
            if counted is not None and counted != there:
                what = f"{shared.group} has acquired {there} of {shared.topic}-{shared.partition}"
                _broken(simulation, f"{what}, the ledger counts {counted}")
    for actor in simulation.actors:
        if isinstance(actor, ShareConsumer):
            held: dict[int, list[int]] = {}
            for part in actor.hand:
                held.setdefault(part.node, []).extend(part.offsets[part.at :])
            told = counting.shares.held_by(actor.group_node, actor.node)
            if {node: sorted(offsets) for node, offsets in held.items()} != told:
                _broken(simulation, f"{actor.spec.name} has {held} unworked, events told of {told}")


def _broken(simulation: Simulation, what: str) -> None:
    raise InvariantBroken(f"{simulation.where()}: {what}")
