"""Rooms with a Kafka cluster that the engine's tests play, and what people might do to them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from engine import commands as c
from engine.scenario import Scenario, load

HERE = Path(__file__).parent
USER_EVENTS = load(HERE / "user-events.toml")

MEMBERS = ["A", "B", "lone"]
PRODUCERS = ["shop", "import"]


BUSY: Scenario = load(HERE / "busy.toml")
MODERN: Scenario = load(HERE / "modern.toml")
PROCESSING: Scenario = load(HERE / "processing.toml")
SHARED: Scenario = load(HERE / "shared.toml")
rooms = st.sampled_from([BUSY, MODERN, PROCESSING, SHARED])
"""All have the same names of actors, topics and groups."""

member = st.sampled_from([*MEMBERS, "A 2", "B 2"])
producer = st.sampled_from([*PRODUCERS, "shop 2"])
actor = st.one_of(member, producer)
broker = st.integers(1, 3)
log = st.just("log")
group = st.sampled_from(["workers", "statistics"])

command = st.one_of(
    st.builds(c.CrashConsumer, member),
    st.builds(c.RestartConsumer, member),
    st.builds(c.StopConsumer, member),
    st.builds(c.PauseConsumer, member),
    st.builds(c.ResumeConsumer, member),
    st.builds(c.SlowConsumer, member, st.sampled_from([100, 1_000, 50_000])),
    st.builds(c.SetWork, member, st.sampled_from([0, 3_000, 900_000])),
    st.builds(c.SetAcknowledge, member, st.sampled_from(["after work", "before work", "automatic"])),
    st.builds(c.SetIdempotency, member, st.sampled_from(["none", "with the effect", "check then act"])),
    st.builds(c.AddConsumer, like=member),
    st.builds(c.RemoveConsumer, member),
    st.builds(c.CrashProducer, producer),
    st.builds(c.RestartProducer, producer),
    st.builds(c.PauseProducer, producer),
    st.builds(c.ResumeProducer, producer),
    st.builds(c.PoisonNext, producer),
    st.builds(c.PublishNow, producer, st.sampled_from(["", "ana"]), st.integers(1, 9)),
    st.builds(c.SetRate, producer, st.sampled_from([0, 60, 900])),
    st.builds(c.SetShareMember, member, st.sampled_from([None, "implicit", "explicit"])),
    st.builds(
        c.SetShareMember, member, failed=st.just("reject"), max_poll_records=st.sampled_from([None, 1, 40])
    ),
    st.builds(c.RejectNext, member),
    st.builds(c.ReleaseNext, member),
    st.builds(c.SetIdempotence, producer, st.booleans()),
    st.builds(c.BeginTransaction, producer),
    st.builds(c.CommitTransaction, producer),
    st.builds(c.AbortTransaction, actor),
    st.builds(c.AddProducer, producer),
    st.builds(c.RemoveProducer, producer),
    st.builds(c.DropNextAck, actor),
    st.builds(c.CutLink, actor),
    st.builds(c.RestoreLink, actor),
    st.builds(c.KillBroker, log, broker),
    st.builds(c.KillBroker, log, broker),
    st.builds(c.StopBroker, log, broker),
    st.builds(c.HangBroker, log, broker),
    st.builds(c.ResumeBroker, log, broker),
    st.builds(c.StartBroker, log, broker),
    st.builds(c.AddPartitions, log, st.sampled_from(["orders", "clicks"]), st.integers(2, 5)),
    st.builds(c.SeekGroup, log, st.just("statistics"), st.sampled_from(["earliest", "latest"])),
    st.builds(c.SeekGroup, log, group, st.just("shift"), by=st.integers(-30, 30)),
    st.builds(c.SeekGroup, log, group, st.just("datetime"), st.just("orders"), time_us=st.just(5_000_000)),
    st.builds(c.Seek, member, st.sampled_from(["earliest", "latest"])),
    st.builds(c.Seek, member, st.just("offset"), st.just("orders"), st.integers(0, 2), st.integers(0, 60)),
    st.builds(
        c.SetAssignors,
        log,
        group,
        st.sampled_from([("range",), ("uniform",), ("cooperative-sticky",), ("range", "cooperative-sticky")]),
    ),
)

moment = st.integers(1, 800).map(lambda n: n * 25_000 - n % 3)
journal = st.lists(st.tuples(moment, command), max_size=14).map(
    lambda entries: sorted(entries, key=lambda entry: entry[0])
)
