"""What people might do to the busy room, for hypothesis to choose from."""

from __future__ import annotations

from hypothesis import strategies as st

from engine import commands as c
from tests.engine.playing import BUSY, SHIPPED, Journal, play

CONSUMERS = ["clerk", "mailer", "careless"]
PRODUCERS = ["shop", "import"]

consumer = st.sampled_from(CONSUMERS)
producer = st.sampled_from(PRODUCERS)
actor = st.sampled_from([*CONSUMERS, *PRODUCERS])

command = st.one_of(
    st.builds(c.CrashConsumer, consumer),
    st.builds(c.RestartConsumer, consumer),
    st.builds(c.StopConsumer, consumer),
    st.builds(c.SlowConsumer, consumer, st.sampled_from([100, 1_000, 8_000])),
    st.builds(c.CrashProducer, producer),
    st.builds(c.RestartProducer, producer),
    st.builds(c.PauseProducer, producer),
    st.builds(c.ResumeProducer, producer),
    st.builds(c.PoisonNext, producer),
    st.builds(c.PublishNow, producer, st.sampled_from(["", "ana"]), st.integers(1, 9)),
    st.builds(c.SetRate, producer, st.sampled_from([0, 60, 900])),
    st.builds(c.DropNextAck, actor),
    st.builds(c.CutLink, actor),
    st.builds(c.RestoreLink, actor),
    st.builds(c.SetPrefetch, consumer, st.sampled_from([0, 1, 5])),
    st.builds(c.SetAcknowledge, consumer, st.sampled_from(["after work", "before work", "automatic"])),
    st.builds(c.SetWork, consumer, st.sampled_from([0, 150_000, 900_000])),
    st.builds(c.PurgeQueue, st.just("broker"), st.sampled_from(["billing", "email", "dead"])),
    st.builds(c.Redrive, st.just("broker"), st.just("dead"), st.just("billing")),
)

moment = st.integers(0, 800).map(lambda n: n * 25_000 - n % 3)
journal = st.lists(st.tuples(moment.filter(lambda at: at > 0), command), max_size=14).map(
    lambda entries: sorted(entries, key=lambda entry: entry[0])
)

__all__ = ["BUSY", "SHIPPED", "Journal", "command", "journal", "play"]
