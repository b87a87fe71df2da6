"""Rules that the recorded cases do not tell, or only in passing: read from the real source (4.3).

Each test plays a short script in the cases' own vocabulary. Where it comes from stands beside it.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine.conformance.rabbitmq import RabbitMQPlayer

QUORUM = {"x-queue-type": "quorum"}


class Script:
    """A model to say things to: `s.publish(…)`, and what was seen of it."""

    def __init__(self, version: str = "4.3") -> None:
        self.player = RabbitMQPlayer({"steps": []}, version)

    def __getattr__(self, action: str) -> Any:
        return lambda **given: self.player.play({"do": action, **given})

    def queue(self, name: str = "q", **arguments: Any) -> None:
        told = {word.replace("_", "-"): value for word, value in arguments.items()}
        assert self.declare_queue(name=name, arguments=told) == {}

    def send(self, *bodies: str, to: str = "q", **more: Any) -> dict[str, list[str]]:
        return bodies_of(self.publish(routing_key=to, bodies=list(bodies), **more))

    def ready(self, queue: str = "q") -> int:
        return int(self.stats(queue=queue)["stats"][queue]["ready"])


def bodies_of(seen: dict[str, Any]) -> dict[str, list[str]]:
    return {name: [one["body"] for one in got] for name, got in seen.get("deliveries", {}).items()}


@pytest.fixture
def s() -> Script:
    return Script()


def error_of(seen: dict[str, Any]) -> tuple[int, str]:
    (error,) = seen["errors"]
    return error["code"], error["scope"]


# -- quorum queues ------------------------------------------------------------------------------------


def test_a_publisher_that_comes_while_the_queue_is_over_its_limit_is_refused_at_once(s: Script) -> None:
    """rabbit_fifo: register_enqueuer answers reject_publish."""
    s.queue(**{"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"})
    assert s.publish(routing_key="q", bodies=["m1", "m2"], confirm=True)["confirms"] == ["ack", "ack"]
    assert s.publish(routing_key="q", body="m3", channel="new", confirm=True)["confirms"] == ["nack"]


def test_a_publisher_that_comes_below_the_limit_may_publish_though_others_still_may_not(s: Script) -> None:
    """Who was told to stop waits for 80 %; who was never told does not (rabbit_fifo:evaluate_limit0/4)."""
    s.queue(**{"x-queue-type": "quorum", "x-max-length": 5, "x-overflow": "reject-publish"})
    s.publish(routing_key="q", bodies=[f"m{n}" for n in range(6)])
    s.get(queue="q", channel="g", auto_ack=True)
    assert s.publish(routing_key="q", body="old", confirm=True)["confirms"] == ["nack"]
    assert s.publish(routing_key="q", body="new", channel="new", confirm=True)["confirms"] == ["ack"]


def test_a_dead_letter_at_most_once_is_taken_by_a_full_quorum_queue(s: Script) -> None:
    """It is enqueued without a publisher that could be refused (untracked_enqueue)."""
    s.queue("full", **{"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"})
    s.queue("q", **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "full"})
    s.publish(routing_key="full", bodies=["a", "b"])
    s.send("m1", "m2")
    s.get(queue="q", channel="g")
    s.nack(channel="g", body="m1", requeue=False)
    assert s.ready("full") == 3


def test_all_priorities_expire_at_their_own_heads_when_the_timer_fires(s: Script) -> None:
    s.queue(**QUORUM)
    s.send("low", priority=1, expiration="1000")
    s.send("high", priority=9)
    s.send("mid", priority=5, expiration="1000")
    s.wait(ms=1500)
    assert s.ready() == 1


def test_a_returned_message_that_has_expired_goes_before_it_is_served(s: Script) -> None:
    s.queue(**QUORUM)
    s.send("m1", expiration="1000")
    s.get(queue="q", channel="g")
    s.wait(ms=2000)
    s.nack(channel="g", body="m1")
    assert s.get(queue="q", channel="g")["got"] is None


def test_nobody_to_take_it_at_once_means_that_ttl_0_has_expired_on_a_quorum_queue_too(s: Script) -> None:
    s.queue(**QUORUM)
    s.send("gone", expiration="0")
    assert s.ready() == 0
    s.consume(consumer="c", queue="q", channel="c", prefetch=1)
    assert s.send("taken", expiration="0") == {"c": ["taken"]}


def test_a_quiescing_consumer_gets_nothing_and_is_active_again_when_the_higher_one_leaves(s: Script) -> None:
    """rabbit_fifo:activate_next_consumer/2 and update_or_remove_con/4."""
    s.queue(**{"x-queue-type": "quorum", "x-single-active-consumer": True})
    s.consume(consumer="low", queue="q", channel="a", prefetch=2)
    assert s.send("m1") == {"low": ["m1"]}
    s.consume(consumer="high", queue="q", channel="b", prefetch=2, priority=5)
    assert s.send("m2") == {}
    s.cancel(consumer="high")
    assert bodies_of(s.ack(consumer="low", body="m1")) == {"low": ["m2"]}


def test_among_equals_that_wait_the_one_with_more_credit_follows(s: Script) -> None:
    """rabbit_fifo:sort_waiting/1."""
    s.queue(**{"x-queue-type": "quorum", "x-single-active-consumer": True})
    for name, prefetch in (("first", 1), ("small", 1), ("big", 5)):
        s.consume(consumer=name, queue="q", channel=name, prefetch=prefetch)
    s.close_channel(channel="first")
    assert s.send("m1") == {"big": ["m1"]}


def test_a_late_acknowledgement_makes_a_consumer_fit_again(s: Script) -> None:
    """rabbit_fifo:maybe_untimeout/2."""
    s.queue(**{"x-queue-type": "quorum", "x-consumer-timeout": 1000})
    s.consume(consumer="c", queue="q", channel="c", prefetch=1)
    s.send("m1", "m2")
    assert s.wait(ms=1500) == {"cancelled": ["c"]}
    assert s.ready() == 2
    assert bodies_of(s.ack(consumer="c", body="m1")) == {"c": ["m1"]}


def test_a_cancelled_consumer_that_holds_something_too_long_loses_its_channel(s: Script) -> None:
    """rabbit_channel:handle_queue_actions/2: there is no consumer left to cancel."""
    s.queue(**{"x-queue-type": "quorum", "x-consumer-timeout": 1000})
    s.consume(consumer="c", queue="q", channel="c", prefetch=1)
    s.send("m1")
    s.cancel(consumer="c")
    assert error_of(s.wait(ms=1500)) == (406, "channel")
    assert s.ready() == 1


def test_of_delays_that_end_together_the_first_begun_is_first_and_the_others_go_by_arrival(s: Script) -> None:
    """rabbit_fifo:delayed_in/5: only an earlier time takes the place of the next one."""
    s.queue(**QUORUM, **{"x-delayed-retry-type": "returned", "x-delayed-retry-min": 5000})
    s.consume(consumer="c", queue="q", channel="ch", prefetch=3)
    s.send("m1", "m2", "m3")
    assert bodies_of(s.reject(consumer="c", body="m1", requeue=True)) == {"c": ["m1"]}
    s.nack(consumer="c", body="m1", requeue=True, multiple=True)
    assert bodies_of(s.wait(ms=6000)) == {"c": ["m2", "m1", "m3"]}


def test_delayed_messages_and_waiting_dead_letters_count_towards_the_length(s: Script) -> None:
    s.queue(**{
        "x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish",
        "x-delayed-retry-type": "all", "x-delayed-retry-min": 9000,
    })  # fmt: skip
    s.send("m1", "m2")
    for body in ("m1", "m2"):
        s.get(queue="q", channel="g")
        s.reject(channel="g", body=body)
    assert s.stats(queue="q")["stats"]["q"] == {"ready": 0, "unacked": 0, "consumers": 0, "delayed": 2}
    assert s.publish(routing_key="q", body="m3", confirm=True)["confirms"] == ["nack"]


def test_a_dead_letter_without_a_target_is_tried_again_every_three_minutes(s: Script) -> None:
    """rabbit_fifo_dlx_worker: settle_timeout."""
    s.queue(**{
        "x-queue-type": "quorum", "x-overflow": "reject-publish", "x-dead-letter-strategy": "at-least-once",
        "x-dead-letter-exchange": "late",
    })  # fmt: skip
    s.send("m1")
    s.get(queue="q", channel="g")
    s.reject(channel="g", body="m1", requeue=False)
    s.queue("target")
    s.declare_exchange(name="late", type="fanout")
    s.bind(queue="target", exchange="late")
    s.wait(ms=170_000)
    assert s.ready("target") == 0
    s.wait(ms=20_000)
    assert s.ready("target") == 1
    assert "dead_lettering" not in s.stats(queue="q")["stats"]["q"]


def test_a_dead_letter_in_a_cycle_waits_where_nothing_may_be_lost(s: Script) -> None:
    """The worker filters cycles before it looks for targets: it finds none, and keeps the message."""
    s.queue(**{
        "x-queue-type": "quorum", "x-overflow": "reject-publish", "x-dead-letter-strategy": "at-least-once",
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q", "x-message-ttl": 1000,
    })  # fmt: skip
    s.send("m1")
    s.wait(ms=1500)
    told = s.stats(queue="q")["stats"]["q"]
    assert (told["ready"], told["dead_lettering"]) == (0, 1)


def test_a_tag_that_is_consumed_again_counts_what_it_still_holds(s: Script) -> None:
    """rabbit_fifo:merge_consumer/5."""
    s.queue(**QUORUM)
    s.consume(consumer="c", queue="q", channel="c", prefetch=2)
    s.send("m1", "m2", "m3")
    s.cancel(consumer="c")
    assert s.consume(consumer="c", queue="q", channel="c", prefetch=2) == {}
    assert bodies_of(s.ack(consumer="c", body="m1")) == {"c": ["m3"]}


# -- classic queues -----------------------------------------------------------------------------------


def test_a_new_head_with_a_time_is_not_watched_until_something_else_happens(s: Script) -> None:
    """deliver_or_enqueue/3 looks at expiry only when the queue was empty or something was dropped."""
    s.queue(**{"x-max-priority": 5})
    s.send("plain")
    s.send("urgent", priority=5, expiration="1000")
    s.wait(ms=2000)
    assert s.ready() == 2
    assert s.get(queue="q", channel="g")["got"]["body"] == "urgent"


def test_only_a_dead_letter_of_a_failed_delivery_is_flagged_and_only_once_it_has_waited(s: Script) -> None:
    s.queue("dead")
    s.queue("q", **{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead", "x-message-ttl": 1000})
    s.send("m1", "m2")
    for _ in ("m1", "m2"):
        s.get(queue="q", channel="g")
    s.reject(channel="g", body="m1")
    s.nack(channel="g", body="m2")
    s.wait(ms=1500)
    flags = [s.get(queue="dead", channel="d")["got"]["redelivered"] for _ in range(2)]
    assert flags == [True, False]


# -- channels and errors ------------------------------------------------------------------------------


def test_a_consumer_tag_cannot_be_used_twice_on_a_channel(s: Script) -> None:
    s.queue()
    s.consume(consumer="c", queue="q", channel="c")
    assert error_of(s.consume(consumer="c", queue="q", channel="c")) == (530, "connection")


def test_acknowledging_a_delivery_without_acknowledgements_closes_the_channel(s: Script) -> None:
    s.queue()
    s.consume(consumer="c", queue="q", channel="c", auto_ack=True)
    s.send("m1")
    assert error_of(s.ack(consumer="c", body="m1")) == (406, "channel")


def test_a_deleted_queue_tells_its_consumers_and_late_acknowledgements_are_no_error(s: Script) -> None:
    s.queue()
    s.consume(consumer="c", queue="q", channel="c")
    s.send("m1")
    assert s.delete_queue(name="q") == {"cancelled": ["c"]}
    assert s.ack(consumer="c", body="m1") == {}


def test_expiration_is_written_anew_by_4_3_and_left_by_3_10() -> None:
    for version, expected in (("4.3", "60000"), ("3.10", "+60000")):
        s = Script(version)
        s.queue()
        s.send("m1", expiration="+60000")
        assert s.get(queue="q", channel="g")["got"]["expiration"] == expected


def test_an_address_that_nobody_has_made_up_is_no_route() -> None:
    for version, returned in (("4.3", 1), ("3.10", 1)):
        s = Script(version)
        seen = s.publish(routing_key="amq.rabbitmq.reply-to.mine", body="m", mandatory=True, confirm=True)
        assert len(seen.get("returned", [])) == returned
        assert seen["confirms"] == ["ack"]


@pytest.mark.parametrize("version", ["4.3", "3.10"])
def test_bcc_keys_are_routed_and_not_told(version: str) -> None:
    s = Script(version)
    for name in ("a", "b", "dead"):
        s.queue(
            name,
            **({"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"} if name == "b" else {}),
        )
    s.publish(routing_key="a", body="m", headers={"BCC": ["b"], "k": 1})
    got = s.get(queue="b", channel="g")["got"]
    assert got["headers"] == {"k": 1}
    s.reject(channel="g", body="m", requeue=False)
    assert s.get(queue="dead", channel="g")["got"]["x_death"][0]["routing-keys"] == ["a"]
