"""What is lost, repeated, late or dead: acknowledgement, crashes, networks, retries, idempotency.

Each test is a small run with one thing that goes wrong at a known moment, and the ledger's count of it.
"""

from __future__ import annotations

from typing import Any

import pytest

from engine import commands as c
from engine import limits
from engine.actors.amqp_consumer import AmqpConsumer
from engine.errors import CommandError, EndlessInstant, RunOver
from engine.events import (
    EffectApplied,
    Event,
    Left,
    Moved,
    NodeAdded,
    Placed,
    PromiseBroken,
    RunEnded,
    Settled,
    SignalLost,
    StoreAsked,
    WorkFinished,
    WorkStarted,
)
from engine.kernel import Kernel, Timer
from engine.rabbitmq.events import ChannelClosed
from engine.scenario import from_data
from engine.simulation import Simulation
from engine.wire import decode

MS = 1_000


def scenario(consumers: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """One producer that makes m1…m6 at 0, 1, … 5 s for one queue; links of 100 ms; work of 600 ms."""
    data: dict[str, Any] = {
        "format": 1, "title": "promises", "length": "30s", "kinds": ["ana", "ben"],
        "system": [{"name": "broker", "kind": "rabbitmq", "link": "100ms", "heartbeat": "3s",
                    "queues": [{"name": "work"}]}],
        "producer": [{"name": "shop", "system": "broker", "to": {"queue": "work"}, "count": 6,
                      "arrivals": {"every": "1s"}, "keys": ["ana", "ben"]}],
        "consumer": [{"name": f"worker {n}", "system": "broker", "from": {"queue": "work"}, "prefetch": 1,
                      "work": {"constant": "600ms"}, "effect": {"name": "charge", "amount": 25}, **spec}
                     for n, spec in enumerate(consumers, 1)],
    }  # fmt: skip
    for name, value in changes.items():
        data[name] = value
    return data


class Run:
    """A run that keeps its events, and finds things in them."""

    def __init__(
        self, data: dict[str, Any], *journal: tuple[int, c.AnyCommand], until_ms: int = 30_000
    ) -> None:
        spec = from_data(data)
        self.simulation = Simulation(spec, 1)
        for n, (at_ms, command) in enumerate(journal, 1):
            self.simulation.apply_at(at_ms * MS, command, n)
        while not self.simulation.advance(until_ms * MS):
            pass
        assert self.simulation.ticks is not None
        ticks = self.simulation.ticks.take()
        self.events: list[Event] = [event for tick in ticks for event in decode(tick.events)]
        self.ledger = self.simulation.totals()

    def all(self, kind: type[Any], **where: Any) -> list[Any]:
        return [
            e for e in self.events if type(e) is kind and all(getattr(e, k) == v for k, v in where.items())
        ]

    def node(self, name: str) -> int:
        return next(e.node for e in self.all(NodeAdded) if e.name == name)

    def effects(self, message: int) -> list[Any]:
        return self.all(EffectApplied, message=message)


# -- acknowledgement ------------------------------------------------------------------------------


def test_without_trouble_every_message_is_done_once() -> None:
    run = Run(scenario([{}]))
    assert run.ledger["done"] == run.ledger["owed"] == run.ledger["sent"] == 6
    assert [e.message for e in run.all(EffectApplied)] == [1, 2, 3, 4, 5, 6]
    assert run.ledger["duplicated_deliveries"] == run.ledger["lost"] == run.ledger["out_of_order"] == 0


def test_a_crash_after_acknowledging_before_the_work_loses_exactly_that_message() -> None:
    # Given a worker that acknowledges first, and dies in the middle of m1's work
    run = Run(scenario([{"acknowledge": "before work"}]),
              (500, c.CrashConsumer("worker 1")), (700, c.RestartConsumer("worker 1")))  # fmt: skip
    # Then m1 is lost, its effect never happened, and everything else is done
    assert run.ledger["lost"] == 1 and run.ledger["done"] == 5
    assert run.effects(1) == []
    assert [(e.was, e.now) for e in run.all(Settled, copies=(1,))] == [
        ("", "ready"), ("ready", "unacked"), ("unacked", "held"), ("held", "lost")]  # fmt: skip


def test_a_crash_before_acknowledging_repeats_exactly_that_message() -> None:
    # Given a worker that has charged for m1 and not yet acknowledged when it dies
    run = Run(scenario([{"wrap_up": "300ms"}]),
              (950, c.CrashConsumer("worker 1")), (1_100, c.RestartConsumer("worker 1")))  # fmt: skip
    # Then nothing is lost, m1 is delivered twice and charged twice
    assert run.ledger["lost"] == 0 and run.ledger["done"] == 6
    assert run.ledger["duplicated_deliveries"] == run.ledger["duplicated_effects"] == 1
    assert [e.effect_number for e in run.effects(1)] == [1, 2]
    assert run.effects(1)[1].total == 50


def test_automatic_acknowledgement_loses_what_is_on_the_wire_or_waits_unworked() -> None:
    # Given automatic acknowledgement: m1 is being worked on, m2 waits at the worker when it dies
    run = Run(scenario([{"acknowledge": "automatic", "work": {"constant": "2s"}, "prefetch": 0}]),
              (1_500, c.CrashConsumer("worker 1")), until_ms=3_000)  # fmt: skip
    assert run.ledger["lost"] == 2
    assert [(e.was, e.now) for e in run.all(Settled, copies=(2,))][-2:] == [
        ("on_the_wire", "held"), ("held", "lost")]  # fmt: skip


def test_what_a_crashed_worker_had_unacknowledged_returns_to_its_old_place() -> None:
    run = Run(scenario([{"prefetch": 3, "work": {"constant": "4s"}}]),
              (3_500, c.CrashConsumer("worker 1")), until_ms=5_000)  # fmt: skip
    closed = run.all(ChannelClosed)[0]
    returned = [e for e in run.all(Placed, zone="ready") if e.at_us >= closed.at_us and e.copy <= 3]
    # m1, m2, m3 were out; m4 waits: they come back before it, in their order
    assert [(e.copy, e.index) for e in returned] == [(1, 0), (2, 1), (3, 2)]
    assert run.ledger["ready"] == 5


def test_an_acknowledgement_on_its_way_arrives_although_its_sender_has_died() -> None:
    # m1's work ends at 100 + 100 + 600 = 800 ms with the ack sent; the process dies before it arrives
    run = Run(scenario([{}]), (850, c.CrashConsumer("worker 1")), until_ms=2_000)
    assert [(e.was, e.now) for e in run.all(Settled, copies=(1,))][-1] == ("unacked", "done")


def test_a_dropped_acknowledgement_leaves_the_message_unacked_and_is_said_to_be_lost() -> None:
    run = Run(scenario([{"prefetch": 2}]), (500, c.DropNextAck("worker 1")))
    assert len(run.all(SignalLost)) == 1
    assert run.ledger["unacked"] == 1 and run.ledger["done"] == 5
    assert len(run.effects(1)) == 1


# -- networks -------------------------------------------------------------------------------------


def test_a_cut_that_heals_before_the_heartbeat_delays_and_loses_nothing() -> None:
    run = Run(scenario([{}]), (1_150, c.CutLink("worker 1")), (3_000, c.RestoreLink("worker 1")))
    assert run.ledger["done"] == 6 and run.ledger["duplicated_deliveries"] == 0
    # m2 was on its way when the network was cut: it waited in the socket and departed again
    assert [e.zone for e in run.all(Placed, attempt=1) if e.zone == "socket"] == ["socket"]
    assert [e.attempt for e in run.all(Moved, copy=2)] == [1, 1]


def test_a_longer_cut_makes_two_workers_work_on_the_same_message() -> None:
    # Given worker 1 cut off in the middle of a long m1, and worker 2 alive
    run = Run(scenario([{"work": {"constant": "9s"}}, {"start": "900ms"}]), (700, c.CutLink("worker 1")))
    # Then at the heartbeat the broker takes m1 back and worker 2 charges; worker 1 goes on, and charges too
    assert [e.why for e in run.all(ChannelClosed)] == ["heartbeat"]
    assert [(e.effect_number, e.node) for e in run.effects(1)] == [
        (1, run.node("worker 2")), (2, run.node("worker 1"))]  # fmt: skip
    assert run.ledger["duplicated_effects"] == 1 and run.ledger["done"] == 6


def test_a_worker_connects_again_when_the_network_comes_back() -> None:
    run = Run(scenario([{}]), (700, c.CutLink("worker 1")), (8_000, c.RestoreLink("worker 1")))
    assert run.ledger["done"] == 6 and run.ledger["ready"] == 0


def test_without_confirms_a_cut_producer_loses_what_did_not_get_through() -> None:
    run = Run(scenario([{}]), (2_050, c.CutLink("shop")))
    # m3 was on the wire, m4, m5 and m6 were made behind the cut, and the heartbeat gave them all up
    assert run.ledger["done"] == 2 and run.ledger["lost"] == 4
    assert run.ledger["owed"] == 6


def confirming(**more: Any) -> list[dict[str, Any]]:
    return [{"name": "shop", "system": "broker", "to": {"queue": "work"}, "count": 6, "confirm": True,
             "arrivals": {"every": "1s"}, "keys": ["ana", "ben"], "confirm_timeout": "700ms", **more}]  # fmt: skip


def test_with_confirms_a_cut_producer_publishes_again() -> None:
    run = Run(
        scenario([{}], producer=confirming()), (2_050, c.CutLink("shop")), (9_000, c.RestoreLink("shop"))
    )
    assert run.ledger["lost"] == 0
    assert {e.message for e in run.all(EffectApplied)} == {1, 2, 3, 4, 5, 6}


def test_a_lost_confirm_makes_a_second_copy_and_a_second_charge() -> None:
    # Given a producer whose confirm for m1 is lost
    run = Run(scenario([{}], producer=confirming()), (50, c.DropNextAck("shop")))
    # Then it publishes m1 again: two copies are owed, both are done, and the charge happened twice
    assert run.ledger["owed"] == run.ledger["done"] == 7
    assert [e.effect_number for e in run.effects(1)] == [1, 2]
    assert run.ledger["duplicated_effects"] == 1 and run.ledger["duplicated_deliveries"] == 0


def test_an_idempotency_store_makes_the_second_copy_harmless() -> None:
    store = {"idempotency": {"store": "seen", "keep": "with the effect"}}
    run = Run(scenario([store], producer=confirming()), (50, c.DropNextAck("shop")))
    assert len(run.effects(1)) == 1 and run.ledger["duplicated_effects"] == 0
    assert run.ledger["done"] == 7


# -- idempotency ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("keep", "charges"), [("check then act", 2), ("with the effect", 1)])
def test_two_deliveries_at_the_same_time_tell_the_two_stores_apart(keep: str, charges: int) -> None:
    # Given worker 1 cut off while it works on m1, so that worker 2 gets m1 while worker 1 still works on it
    store = {"store": "seen", "keep": keep}
    run = Run(scenario([{"work": {"constant": "5s"}, "idempotency": store},
                        {"start": "3800ms", "work": {"constant": "5s"}, "idempotency": store}]),
              (700, c.CutLink("worker 1")), until_ms=12_000)  # fmt: skip
    works = [(e.at_us, e.until_us) for e in run.all(WorkStarted, copy=1)]
    assert len(works) == 2 and works[1][0] < works[0][1]
    # Then check-then-act charges twice, and a store kept with the effect once
    assert len(run.effects(1)) == charges
    assert run.ledger["duplicated_effects"] == charges - 1


def test_a_crash_between_charge_and_record_defeats_check_then_act_only() -> None:
    for keep, charges in (("check then act", 2), ("with the effect", 1)):
        store = {"idempotency": {"store": "seen", "keep": keep}, "wrap_up": "300ms"}
        run = Run(
            scenario([store]), (950, c.CrashConsumer("worker 1")), (1_100, c.RestartConsumer("worker 1"))
        )
        assert len(run.effects(1)) == charges
        assert run.all(StoreAsked, copy=1)[-1].seen is (charges == 1)


# -- failures and retries -------------------------------------------------------------------------


def test_a_poison_message_loops_for_ever_in_3_10_and_ends_after_20_returns_in_4_3() -> None:
    def world(version: str) -> dict[str, Any]:
        data = scenario(
            [{"work": {"constant": "10ms"}, "retry": {"do": "requeue", "by": "reject"}}], length="60s"
        )
        data["system"][0].update(
            version=version, link="5ms",
            queues=[{"name": "work", "type": "quorum", "arguments":
                     {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}},
                    {"name": "dead", "dead_letters_for": "work"}])  # fmt: skip
        data["producer"][0].update(count=1, poison={"messages": [1]})
        return data

    new, old = Run(world("4.3")), Run(world("3.10"), until_ms=10_000)
    assert new.ledger["dead"] == 1 and len(new.all(Moved, copy=1)) == 21
    assert old.ledger["dead"] == 0 and len(old.all(Moved, copy=1)) > 300


def retrying(**retry: Any) -> dict[str, Any]:
    data = scenario([{"retry": {"do": "republish", "queue": "retry", "limit": 4, "then": "dead", **retry}}])
    data["system"][0]["queues"] = [
        {"name": "work"}, {"name": "dead", "dead_letters_for": "work"},
        {"name": "retry", "retries_for": "work", "arguments":
         {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "work"}}]  # fmt: skip
    data["producer"][0].update(count=1, poison={"messages": [1]})
    return data


@pytest.mark.parametrize(
    ("backoff", "waits_ms"), [("fixed", [1_000, 1_000, 1_000]), ("exponential", [1_000, 2_000, 4_000])]
)
def test_retries_wait_as_their_backoff_says_and_end_in_the_dead_letter_queue(
    backoff: str, waits_ms: list[int]
) -> None:
    run = Run(retrying(backoff=backoff, delay="1s"))
    fails = [e.at_us for e in run.all(WorkFinished, ok=False)]
    starts = [e.at_us for e in run.all(WorkStarted)]
    # a wait is: link there, the delay, link back
    assert [(s - f) // MS for f, s in zip(fails, starts[1:], strict=False)] == [w + 200 for w in waits_ms]
    assert len(fails) == 4 and run.ledger["dead"] == 1 and run.ledger["owed"] == 1
    places = [e.now for e in run.all(Settled)]
    assert places.count("waiting") == 3 and places[-1] == "dead"


def test_a_retry_waits_at_most_its_maximum_and_jitter_only_shortens_it() -> None:
    run = Run(retrying(backoff="exponential", delay="1s", delay_max="1500ms", jitter=0.5))
    fails = [e.at_us for e in run.all(WorkFinished, ok=False)]
    starts = [e.at_us for e in run.all(WorkStarted)]
    waits = [(s - f) // MS - 200 for f, s in zip(fails, starts[1:], strict=False)]
    assert 500 <= waits[0] <= 1_000 and all(750 <= wait <= 1_500 for wait in waits[1:])
    assert len(set(waits)) == 3


def test_a_crash_between_republish_and_acknowledgement_makes_two_of_one_and_the_count_says_so() -> None:
    # The handler republishes at 800 ms and its ack is lost; then it dies, and m1 comes back as well
    data = retrying(backoff="fixed", delay="5s")
    data["producer"][0]["poison"] = None
    data["consumer"][0]["fail"] = {"keys": ["ana"]}
    run = Run(data, (700, c.DropNextAck("worker 1")), (1_500, c.CrashConsumer("worker 1")), until_ms=3_000)
    assert run.ledger["owed"] == 2 and run.ledger["ready"] == 1 and run.ledger["waiting"] == 1


def test_redrive_moves_dead_letters_back_and_they_are_the_same_copies_owed() -> None:
    data = retrying(backoff="fixed", delay="100ms")
    data["length"] = "12s"
    run = Run(data, (9_000, c.Redrive("broker", "dead", "work")), until_ms=9_100)
    assert run.ledger["owed"] == 1 and run.ledger["dead"] == 0


def test_rabbitmqs_own_delayed_retry_waits_longer_with_each_failure() -> None:
    data = scenario([{"retry": {"do": "requeue", "by": "reject"}}])
    data["system"][0]["queues"] = [{"name": "work", "type": "quorum", "arguments": {
        "x-delayed-retry-type": "all", "x-delayed-retry-min": 1_000, "x-delayed-retry-max": 3_000}}]  # fmt: skip
    data["producer"][0].update(count=1, poison={"messages": [1]})
    run = Run(data, until_ms=15_000)
    fails = [e.at_us for e in run.all(WorkFinished, ok=False)]
    starts = [e.at_us for e in run.all(WorkStarted)]
    waits = [(s - f) // MS - 200 for f, s in zip(fails, starts[1:], strict=False)]
    assert waits[:4] == [1_000, 2_000, 3_000, 3_000]


# -- order ----------------------------------------------------------------------------------------


def test_two_workers_of_different_speed_finish_one_key_out_of_order_and_it_is_counted() -> None:
    data = scenario([{}, {"work": {"constant": "4s"}}])
    data["producer"][0].update(keys=["ana"], arrivals={"every": "200ms"})
    run = Run(data)
    done = [e.message for e in run.all(EffectApplied)]
    late = sum(1 for i, m in enumerate(done) if any(later > m for later in done[:i]))
    assert late > 0 and run.ledger["out_of_order"] == late


def test_keys_are_counted_each_by_itself_and_no_key_has_no_order() -> None:
    data = scenario([{}, {"work": {"constant": "4s"}}])
    data["producer"][0].update(keys=[], arrivals={"every": "200ms"})
    assert Run(data).ledger["out_of_order"] == 0


# -- commands -------------------------------------------------------------------------------------


def test_a_command_that_makes_no_sense_changes_nothing_and_says_why() -> None:
    for command, said in (
        (c.CrashConsumer("nobody"), "there is no consumer 'nobody'; there is worker 1"),
        (c.RestartConsumer("worker 1"), "worker 1 is up: this needs it crashed or stopped"),
        (c.RestoreLink("worker 1"), "the network of worker 1 is up already"),
        (c.PublishNow("shop", "zoe"), "there is no key 'zoe'; there is ana, ben"),
        (c.PurgeQueue("broker", "nope"), "there is no queue 'nope' in broker"),
        (c.ResumeProducer("shop"), "shop is not paused"),
    ):
        simulation = Simulation(from_data(scenario([{}])), 1)
        number = simulation.number
        with pytest.raises(CommandError, match=said):
            simulation.apply_at(10, command, 1)
        assert simulation.number <= number + 3  # m1 was made at 0


def test_after_its_length_a_run_stands_and_says_that_it_is_over() -> None:
    simulation = Simulation(from_data(scenario([{}], length="5s")), 1)
    while not simulation.advance(60_000_000):
        pass
    number, digest = simulation.number, simulation.digest()
    with pytest.raises(RunOver, match="the run is over: act earlier or start anew"):
        simulation.apply_at(6_000_000, c.CrashConsumer("worker 1"), 1)
    assert simulation.advance(90_000_000)
    assert (simulation.number, simulation.digest()) == (number, digest)


def test_a_promise_that_is_broken_is_said_once() -> None:
    run = Run(scenario([{"acknowledge": "automatic", "prefetch": 0, "work": {"constant": "5s"}}],
                       promises=["nothing_lost"]), (3_500, c.CrashConsumer("worker 1")))  # fmt: skip
    assert run.ledger["lost"] > 1
    assert [e.promise for e in run.all(PromiseBroken)] == ["nothing_lost"]


def test_pause_and_rate_hold_from_the_moment_they_are_given() -> None:
    data = scenario([{}])
    data["producer"][0]["count"] = None
    run = Run(data, (2_500, c.PauseProducer("shop")), (10_000, c.ResumeProducer("shop")),
              (12_500, c.SetRate("shop", 600)), until_ms=13_600)  # fmt: skip
    made = [e.at_us // MS for e in run.events if type(e).__name__ == "MessageCreated"]
    assert made[:3] == [0, 1_000, 2_000]
    assert made[3:6] == [11_000, 12_000, 12_600] and made[-1] == 13_500


def test_a_stopped_worker_finishes_what_it_works_on_and_gives_back_the_rest() -> None:
    run = Run(scenario([{"prefetch": 3, "work": {"constant": "3s"}}]),
              (2_500, c.StopConsumer("worker 1")), until_ms=6_000)  # fmt: skip
    assert len(run.effects(1)) == 1 and run.effects(2) == []
    assert run.ledger["done"] == 1 and run.ledger["unacked"] == 0
    assert [e.reason for e in run.all(Left, node=run.node("worker 1"))] == ["cancelled", "cancelled"]


def test_a_loop_without_delay_is_ended_with_the_names_of_what_goes_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a worker (broken on purpose) that starts itself again in the same instant
    def restless(self: AmqpConsumer, kernel: Kernel, timer: Timer) -> None:
        kernel.schedule(kernel.now_us, self.owner, "again")

    monkeypatch.setattr(AmqpConsumer, "fire", restless)
    simulation = Simulation(from_data(scenario([{}])), 1)
    simulation.kernel.schedule(50 * MS, simulation.actors[1].owner, "again")
    # When the run gets there, then it ends with an error that says when, and who
    with pytest.raises(EndlessInstant, match=r"a loop without delay at 50000 µs: worker 1 \(again\)"):
        simulation.advance(100 * MS)


@pytest.mark.parametrize(("limit", "why"), [("MESSAGES_MAX", "messages"), ("COPIES_ALIVE_MAX", "copies")])
def test_a_run_that_has_used_up_its_messages_or_copies_stands(
    limit: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a limit of three, and a worker that is too slow to finish any
    monkeypatch.setattr(limits, limit, 3)
    run = Run(scenario([{"work": {"constant": "20s"}}]))
    # Then the fourth message is not made: the run says why it ends, and its clock stands there
    assert run.ledger["sent"] == 3
    assert [e.why for e in run.all(RunEnded)] == [why]
    assert run.simulation.now_us == 3_000 * MS
