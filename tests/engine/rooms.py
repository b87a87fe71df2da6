"""What people might do to the busy room, for hypothesis to choose from."""

from __future__ import annotations

from hypothesis import strategies as st

from engine import commands as c
from tests.engine.playing import BUSY, SHIPPED, Journal, play

CONSUMERS = ["clerk", "mailer", "careless"]
PRODUCERS = ["shop", "import"]

consumer = st.sampled_from([*CONSUMERS, "clerk 2", "mailer 2"])
producer = st.sampled_from([*PRODUCERS, "shop 2"])
actor = st.one_of(consumer, producer)
queue = st.sampled_from(["billing", "email", "retry", "dead", "audit"])
key = st.sampled_from(["", "ana"])

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
    st.builds(c.SetIdempotency, consumer, st.sampled_from(["none", "with the effect", "check then act"])),
    st.builds(
        c.SetRetry, consumer, st.sampled_from(["requeue", "discard"]), limit=st.sampled_from([None, 2])
    ),
    st.builds(
        c.SetRetry, consumer, st.just("republish"), st.just("retry"), limit=st.just(2), then=st.just("dead")
    ),
    st.builds(c.AddConsumer, like=consumer, queue=st.one_of(st.just(""), queue)),
    st.builds(c.AddConsumer, queue=queue, system=st.just("broker")),
    st.builds(c.RemoveConsumer, consumer),
    st.builds(c.AddProducer, producer),
    st.builds(c.RemoveProducer, producer),
    st.builds(c.DeclareQueue, st.just("broker"), st.just("audit"), st.sampled_from(["classic", "quorum"])),
    st.builds(c.BindQueue, st.just("broker"), st.just("orders"), queue, key),
    st.builds(c.UnbindQueue, st.just("broker"), st.just("orders"), queue, key),
    st.builds(c.DeleteQueue, st.just("broker"), queue),
    st.builds(c.PurgeQueue, st.just("broker"), st.sampled_from(["billing", "email", "dead"])),
    st.builds(c.Redrive, st.just("broker"), st.just("dead"), st.just("billing")),
)

moment = st.integers(0, 800).map(lambda n: n * 25_000 - n % 3)
journal = st.lists(st.tuples(moment.filter(lambda at: at > 0), command), max_size=14).map(
    lambda entries: sorted(entries, key=lambda entry: entry[0])
)

__all__ = ["BUSY", "SHIPPED", "Journal", "command", "journal", "play"]
