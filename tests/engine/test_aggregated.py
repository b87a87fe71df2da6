"""Numbers instead of messages: they are what folding the stated present gives, and what the events add up to."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine import aggregated, commands
from engine.errors import CommandError, RunOver
from engine.events import (
    COMMON,
    LedgerStands,
    Left,
    Moved,
    Placed,
    Routed,
    Sent,
    Settled,
    StoreStands,
    SumStands,
    WorkStarted,
)  # fmt: skip
from engine.limits import COPIES_OF_EVENT_MAX
from engine.rabbitmq.events import RABBITMQ
from engine.simulation import Simulation
from engine.ticks import TICK_US
from engine.wire import decode
from tests.engine.playing import BUSY, Journal
from tests.engine.rooms import journal


def lies(stated: list[Any]) -> list[tuple[int, str, int]]:
    """Fold a stated present: how many tokens lie in which zone of which node."""
    tokens: dict[tuple[int, int], tuple[int, str]] = {}
    for event in stated:
        match event:
            case Placed():
                tokens[event.copy, event.attempt] = event.node, event.zone
            case WorkStarted():
                tokens[event.copy, event.attempt] = event.node, "working"
            case Moved(keeps=keeps) if keeps and tokens.get((event.copy, 0), (0, ""))[0] != event.source:
                tokens[event.copy, 0] = event.source, keeps
    told = Counter(tokens.values())
    return sorted((node, zone, n) for (node, zone), n in told.items())


def outright(event: Any) -> Any:
    return type(event), [getattr(event, name) for name in event.__struct_fields__ if name != "at_us"]


@given(seed=st.integers(0, 1 << 32), entries=journal)
@settings(max_examples=25, deadline=None)
def test_at_every_tick_the_counts_are_those_of_the_stated_present(seed: int, entries: Journal) -> None:
    simulation = Simulation(BUSY, seed)
    waiting = list(enumerate(entries, 1))
    for tick in range(BUSY.length_us // TICK_US):
        while waiting and waiting[0][1][0] < (tick + 1) * TICK_US:
            n, (at_us, command) = waiting.pop(0)
            with suppress(CommandError, RunOver):
                simulation.apply_at(at_us, command, n)
        while not simulation.advance((tick + 1) * TICK_US):
            pass
        stated = simulation.state_events()
        assert simulation.counts() == lies(stated)
        told = [outright(e) for e in stated if isinstance(e, LedgerStands | SumStands | StoreStands)]
        assert [outright(e) for e in simulation.stands()] == told
        assert all(e.at_us == simulation.now_us - 1 for e in simulation.stands())


def test_what_flows_is_what_was_sent_routed_and_handed_out() -> None:
    simulation = Simulation(BUSY, 5)
    while not simulation.advance(10_000_000):
        pass
    assert simulation.ticks is not None
    events = [event for tick in simulation.ticks.take() for event in decode(tick.events)]
    kinds = [e for e in events if isinstance(e, Sent | Moved)]
    routed = [owed for e in events if isinstance(e, Routed) for owed in e.copies]
    flows = aggregated.flows(events)
    assert sum(flows.values()) == len(kinds) + len(routed) > 400
    ways = Counter((e.source, e.target) for e in kinds)
    ways.update((e.source, owed.destination) for e in events if isinstance(e, Routed) for owed in e.copies)
    assert flows == ways


def test_what_is_of_no_message_stays() -> None:
    names = {kind.__name__ for kind in (*COMMON, *RABBITMQ) if kind not in aggregated.SINGLE}
    assert names == {
        "NodeAdded", "NodeRemoved", "NodeStateChanged", "WireAdded", "WireRemoved", "LinkStateChanged", "StandsFor", "ConsumerSettings",
        "Commanded", "RunEnded", "PromiseBroken", "LedgerStands", "ExchangeDeclared", "QueueDeclared",
        "ConsumerRegistered", "ConsumerCancelled", "ActiveConsumerChanged", "ChannelOpened", "ChannelClosed",
        "HandlerDeclared", "EffectsStand", "SumStands", "StoreStands", "ConsumerTimedOut", "QueuePurged", "QueueExpired",
    }  # fmt: skip


def test_no_event_tells_of_more_copies_than_a_frame_can_hold() -> None:
    simulation = Simulation(BUSY, 1)
    simulation.apply_at(1_000_000, commands.CrashConsumer("clerk"), 1)
    simulation.apply_at(1_000_000, commands.PublishNow("import", "", 1_000), 2)
    simulation.apply_at(1_500_000, commands.PublishNow("import", "", 1_000), 3)
    while not simulation.advance(2_000_000):
        pass
    settled = [event for event in simulation.state_events() if isinstance(event, Settled)]
    assert max(len(event.copies) for event in settled) == COPIES_OF_EVENT_MAX
    copies = [copy for event in settled for copy in event.copies]
    assert len(copies) == len(set(copies)) > 2 * COPIES_OF_EVENT_MAX - 100
    simulation.ticks.take()  # type: ignore[union-attr]
    simulation.apply_at(2_000_000, commands.PurgeQueue("broker", "billing"), 4)
    while not simulation.advance(2_100_000):
        pass
    events = [event for tick in simulation.ticks.take() for event in decode(tick.events)]  # type: ignore[union-attr]
    purged = [event for event in events if isinstance(event, Left) and event.reason == "purged"]
    assert [len(event.copies) for event in purged[:1]] == [COPIES_OF_EVENT_MAX]
    assert sum(len(event.copies) for event in purged) > 1_900
