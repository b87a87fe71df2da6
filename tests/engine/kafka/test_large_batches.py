"""A batch of very many tiny records: whatever is told of it fits a frame, event by event."""

from __future__ import annotations

import json
import tomllib

from engine.kafka.events import BatchSent, RecordsAppended
from engine.scenario import from_data
from engine.simulation import Simulation
from engine.wire import decode, encode
from playground.rooms.limits import FRAME_BYTES_MAX

MANY = """
format = 1
title = "many tiny records"
length = "40s"

[[system]]
name = "log"
kind = "kafka"
brokers = 1
topics = [{ name = "t", partitions = 1, replication = 1 }]

[[producer]]
name = "p"
system = "log"
to = { topic = "t" }
arrivals = { every = "500ms", burst = 400 }
linger = "30s"
batch_size = 1_000_000
record_bytes = 1

[[consumer]]
name = "A"
system = "log"
from = { topics = ["t"], group = "g" }
reset = "earliest"
max_poll_records = 10_000
work = { constant = "1ms" }
effect = { name = "count" }
"""


def test_no_event_of_a_batch_with_thousands_of_records_is_larger_than_a_frame() -> None:
    simulation = Simulation(from_data(tomllib.loads(MANY)), 1)
    while not simulation.advance(31_200_000):
        pass
    assert simulation.ticks is not None
    ticks = simulation.ticks.take()
    events = [event for tick in ticks for event in json.loads(tick.events)]
    # Given all that was produced in half a minute, as one batch
    sent = [event for tick in ticks for event in decode(tick.events) if isinstance(event, BatchSent)]
    assert sum(len(event.messages) for event in sent) > 20_000 and len({e.at_us for e in sent}) == 1
    # Then it is told in parts that follow each other, now and to who comes later
    written = [event for tick in ticks for event in decode(tick.events) if isinstance(event, RecordsAppended)]
    ends = [event.base + len(event.messages) for event in written]
    assert [event.base for event in written] == [0, *ends[:-1]]
    assert [m for e in written for m in e.messages] == [m for e in sent for m in e.messages]
    assert max(len(json.dumps(event)) for event in events) < FRAME_BYTES_MAX
    while not simulation.advance(33_000_000):
        pass
    assert max(len(encode([event])) for event in simulation.state_events()) < FRAME_BYTES_MAX
