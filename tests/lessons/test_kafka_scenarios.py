"""Each Kafka scenario is true to its title: the engine plays it with several seeds, its events are asked."""

from __future__ import annotations

import functools
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.events import MessageCreated
from engine.history import History, play
from engine.kafka import events as k
from engine.outcomes import Past
from engine.scenario import KafkaSystem, Scenario, load

FOLDER = Path(__file__).parents[2] / "lessons" / "scenarios"
SHIPPED = {path.stem: path for path in sorted(FOLDER.rglob("kafka-*.toml"))}
S = 1_000_000
SEEDS = [1, 2, 3, 7]
seeds = pytest.mark.parametrize("seed", SEEDS)


@functools.cache
def scenario(slug: str) -> Scenario:
    return load(SHIPPED[slug])


@functools.cache
def run(slug: str, seed: int) -> History:
    return play(scenario(slug), seed)


def of(history: History, kind: type, since: float = 0, until: float = 60, **wanted: Any) -> list[Any]:
    """The events of a kind in [since, until) s whose fields are `wanted`; nodes by their names."""
    return [
        event
        for event in history.events
        if type(event) is kind
        and since * S <= event.at_us < until * S
        and all(history.value(event, name) == value for name, value in wanted.items())
    ]


def named(history: History, partitions: tuple[int, ...]) -> set[str]:
    return {history.names[partition] for partition in partitions}


def offsets_worked(history: History, group: str) -> dict[str, list[int]]:
    """By partition, the offsets in the order in which the group's members finished them."""
    found: dict[str, list[int]] = {}
    for event in of(history, k.RecordsWorked, group=group):
        found.setdefault(history.names[event.partition], []).extend(range(event.first, event.next))
    return found


def owners(history: History, at_s: float) -> dict[str, set[str]]:
    """By consumer, the partitions that it owns at a moment."""
    found: dict[str, set[str]] = {}
    for event in history.events:
        if event.at_us >= at_s * S:
            break
        if isinstance(event, k.PartitionsAssigned):
            found.setdefault(history.names[event.node], set()).update(named(history, event.partitions))
        elif isinstance(event, k.PartitionsRevoked):
            found[history.names[event.node]] -= named(history, event.partitions)
    return found


def lag(history: History, group: str, partition: str, at_s: float) -> int:
    """Records that could be read at a moment and were not worked by the group."""
    marks = of(history, k.LogMarked, 0, at_s, node=partition)
    worked = of(history, k.RecordsWorked, 0, at_s, group=group, partition=partition)
    return (marks[-1].high_watermark if marks else 0) - max((event.next for event in worked), default=0)


def written(history: History, topic: str) -> dict[str, list[int]]:
    """By partition of the topic, the messages in the order of their offsets."""
    partitions = {
        event.node for event in of(history, k.PartitionDeclared) if history.names[event.topic] == topic
    }
    found: dict[str, list[int]] = {history.names[node]: [] for node in partitions}
    for event in of(history, k.RecordsAppended):
        if event.node in partitions:
            log = found[history.names[event.node]]
            log[event.base :] = event.messages
    return found


# -- all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", SHIPPED)
def test_a_scenario_can_be_followed(slug: str) -> None:
    shown = scenario(slug)
    assert all(isinstance(system, KafkaSystem) and system.link >= 0.2 * S for system in shown.system)
    assert 0 < len(shown.about) <= 140
    # Not more records than somebody sees, and never nothing for long
    made = [event.at_us for event in of(run(slug, shown.seed), MessageCreated)]
    assert 0.5 <= len(made) / 60 <= 4
    assert max(b - a for a, b in pairwise(made)) < 6 * S


@pytest.mark.parametrize("slug", [slug for slug in SHIPPED if "order_per_key" in scenario(slug).promises])
@seeds
def test_promised_order_is_kept(slug: str, seed: int) -> None:
    assert run(slug, seed).totals["out_of_order"] == 0


LOSES = {"kafka-broker-crash", "kafka-commit-before", "kafka-poison-record"}


@pytest.mark.parametrize("slug", SHIPPED)
@seeds
def test_only_those_lose_that_say_so(slug: str, seed: int) -> None:
    totals = run(slug, seed).totals
    assert (totals["lost"] > 0) == (slug in LOSES)
    assert (totals["dropped"] > 0) == (slug == "kafka-retention")


# -- user events ----------------------------------------------------------------------------------------


@seeds
def test_user_events_two_groups_read_every_event_each_user_in_one_partition(seed: int) -> None:
    history = run("kafka-user-events", seed)
    homes: dict[str, set[str]] = {}
    for partition, messages in written(history, "user.events").items():
        for message in messages:
            homes.setdefault(history.keys[message], set()).add(partition[-1])
    # Which partition Kafka's murmur2 puts these keys into, of three
    assert homes == {"ana": {"1"}, "ben": {"1"}, "cho": {"2"}, "dan": {"0"}, "eva": {"0"}, "fay": {"2"}}
    assert [len(owners(history, 30)[name]) for name in ("feed 1", "feed 2", "feed 3", "counter")] == [
        1,
        1,
        1,
        3,
    ]
    accounts = history.accounts
    assert accounts["feed"]["owed"] == accounts["statistics"]["owed"] == sum(
        len(messages) for messages in written(history, "user.events").values()
    )  # fmt: skip


@seeds
def test_user_events_the_slow_members_partition_lags_and_no_other(seed: int) -> None:
    history = run("kafka-user-events", seed)
    slow = owners(history, 32)["feed 2"]
    at_most = {
        (group, f"user.events-{n}"): max(lag(history, group, f"user.events-{n}", at) for at in range(24, 33))
        for group in ("feed", "statistics")
        for n in range(3)
    }
    behind = {place: count for place, count in at_most.items() if place[0] == "feed" and place[1] in slow}
    others = [count for place, count in at_most.items() if place not in behind]
    assert len(behind) == 1 and min(behind.values()) >= 5
    assert max(others) < min(behind.values())
    # Well again, it catches up
    assert lag(history, "feed", slow.pop(), 52) < min(behind.values())


# -- photo upload ---------------------------------------------------------------------------------------


@seeds
def test_photo_upload_each_group_reads_every_photo_and_the_notifier_goes_on_where_it_was(seed: int) -> None:
    history = run("kafka-photo-upload", seed)
    photos = written(history, "photo.uploaded")
    for group in ("resize", "feeds", "notify"):
        for partition, offsets in offsets_worked(history, group).items():
            # All of them in order, none twice: also not what was read before the update
            assert offsets == list(range(len(offsets)))
            assert len(photos[partition]) - len(offsets) <= 3
    assert [event.why for event in of(history, k.MemberGone)] == ["left"]
    assert not of(history, k.RecordsWorked, 19, 34, group="notify")
    assert len(of(history, k.RecordsWorked, 19, 34, group="feeds")) > 8
    assert history.totals["duplicated_deliveries"] == 0


# -- order pipeline -------------------------------------------------------------------------------------


@seeds
def test_order_pipeline_a_failed_payment_is_tried_again_and_what_is_behind_it_waits(seed: int) -> None:
    history = run("kafka-order-pipeline", seed)
    failed = of(history, k.RecordFailed, until=55)
    assert failed and {history.names[event.group] for event in failed} == {"payment"}
    for event in failed:
        meanwhile = of(history, k.RecordsWorked, event.at_us / S, event.until_us / S)
        assert not [
            each for each in meanwhile if (each.group, each.partition) == (event.group, event.partition)
        ]
        tried = [
            each
            for each in of(history, k.RecordFailed)
            if (each.partition, each.offset) == (event.partition, event.offset)
        ]
        assert [each.attempt for each in tried] == list(range(1, len(tried) + 1))
    # Nobody else waits: the other groups read on while payments stand
    for group in ("inventory", "analytics"):
        assert any(
            of(history, k.RecordsWorked, event.at_us / S, event.until_us / S, group=group) for event in failed
        )
        assert history.accounts[group]["owed"] - history.accounts[group]["done"] <= 6
    # Every charge that failed is made in the end, once
    assert history.totals["duplicated_effects"] == 0


@seeds
def test_order_pipeline_what_is_paid_is_shipped_and_nothing_else(seed: int) -> None:
    history = run("kafka-order-pipeline", seed)
    made = {
        output: written(history, "order.created")[history.names[event.partition]][offset]
        for event in of(history, k.RecordsTransformed)
        for offset, output in zip(event.offsets, event.messages, strict=True)
    }
    completed = written(history, "payment.completed")
    assert len(made) > 30 and all(
        history.keys[output] == history.keys[order] for output, order in made.items()
    )
    # By its key an order's payment lies in the partition of the same number
    for name, orders in written(history, "order.created").items():
        paid = completed[name.replace("order.created", "payment.completed")]
        assert {made[output] for output in paid} <= set(orders)
    # A payment that failed is nobody's shipment before it has succeeded
    first = of(history, k.RecordFailed)[0]
    stood = written(history, "order.created")[history.names[first.partition]][first.offset]
    assert not [event for event in of(history, k.RecordsTransformed, until=first.until_us / S)
                if stood in [made[output] for output in event.messages]]  # fmt: skip


# -- rebalances -----------------------------------------------------------------------------------------

REBALANCES = ["kafka-rebalance-eager", "kafka-rebalance-cooperative", "kafka-rebalance-consumer"]


def test_the_three_rebalances_differ_in_nothing_but_the_protocol() -> None:
    def plain(slug: str) -> dict[str, str]:
        shown = scenario(slug)
        consumers = [(each.name, each.from_, each.work, each.acknowledge) for each in shown.consumer]
        topics = [system.topics for system in shown.system if isinstance(system, KafkaSystem)]
        return {"all": repr((consumers, topics, shown.producer, shown.fault, shown.length, shown.seed))}

    assert plain(REBALANCES[0]) == plain(REBALANCES[1]) == plain(REBALANCES[2])


@pytest.mark.parametrize("slug", REBALANCES)
@seeds
def test_the_crash_is_noticed_by_the_session_and_what_was_not_committed_is_read_again(
    slug: str, seed: int
) -> None:
    history = run(slug, seed)
    gone = of(history, k.MemberGone)
    assert [(history.names[event.node], event.why) for event in gone] == [("billing 2", "session")]
    assert 14 + 10 - 5 <= gone[0].at_us / S <= 14 + 10
    orphans = owners(history, 14)["billing 2"]
    again = {}
    for event in of(history, k.PartitionsAssigned, 14, 38):
        for partition in named(history, event.partitions) & orphans:
            again[partition] = event.at_us
    assert set(again) == orphans
    for partition in orphans:
        assert not of(history, k.RecordsWorked, 14, min(again.values()) / S, partition=partition)
    assert history.accounts["billing"]["duplicated_deliveries"] > 0 == history.totals["lost"]


@seeds
def test_eager_all_partitions_stand_still_for_the_time_of_the_rebalance(seed: int) -> None:
    history = run("kafka-rebalance-eager", seed)
    for since, until, members in ((14.1, 38, 2), (38, 60, 2)):
        revoked = of(history, k.PartitionsRevoked, since, until)
        assigned = of(history, k.PartitionsAssigned, since, until)
        # Everybody gives up all that it has, before anybody gets anything
        assert len(revoked) == members
        assert max(event.at_us for event in revoked) < min(event.at_us for event in assigned)
        for event in revoked:
            assert (
                named(history, event.partitions)
                == owners(history, event.at_us / S)[history.names[event.node]]
            )
        begin, end = (max(event.at_us for event in revoked) / S, min(event.at_us for event in assigned) / S)
        assert end - begin >= 1
        assert not of(history, k.RecordsWorked, begin + 1e-6, end)


@seeds
def test_cooperative_only_the_crashed_members_partitions_stand_still(seed: int) -> None:
    history = run("kafka-rebalance-cooperative", seed)
    before, survivors = owners(history, 14), ("billing 1", "billing 3")
    assert not of(history, k.PartitionsRevoked, 14.1, 38)
    begin = of(history, k.GroupChanged, 14, 38, state="PreparingRebalance")[0].at_us / S
    end = of(history, k.PartitionsAssigned, 14, 38)[0].at_us / S
    for name in survivors:
        worked = of(history, k.RecordsWorked, begin, end, node=name)
        assert worked and named(history, tuple(event.partition for event in worked)) <= before[name]
        assert before[name] < owners(history, 38)[name]
    # It comes back: only what it gets is given up, in a second round
    revoked = of(history, k.PartitionsRevoked, 38)
    moved = {partition for event in revoked for partition in named(history, event.partitions)}
    assert moved == owners(history, 60)["billing 2"] and len(moved) == 2
    assert len(of(history, k.GroupChanged, 38, state="PreparingRebalance")) == 2


@seeds
def test_the_consumer_protocol_has_no_phase_in_which_all_wait(seed: int) -> None:
    history = run("kafka-rebalance-consumer", seed)
    assert {event.state for event in of(history, k.GroupChanged)} <= {"Stable", "Reconciling"}
    assert not of(history, k.PartitionsRevoked, 14.1, 38)
    noticed = of(history, k.MemberGone)[0].at_us
    shared = [event.at_us for event in of(history, k.PartitionsAssigned, 14, 38)]
    assert max(shared) - noticed < 3 * S
    slower = of(run("kafka-rebalance-cooperative", seed), k.PartitionsAssigned, 14, 38)
    assert max(shared) < min(event.at_us for event in slower)


# -- replay ---------------------------------------------------------------------------------------------


@seeds
def test_replay_the_new_group_reads_all_from_the_start_and_the_first_is_untouched(seed: int) -> None:
    history = run("kafka-replay", seed)
    payments = written(history, "payments")
    ends = {
        partition: of(history, k.LogMarked, 0, 24, node=partition)[-1].high_watermark
        for partition in payments
    }
    for partition, messages in payments.items():
        audited = offsets_worked(history, "audit")[partition]
        assert audited == list(range(len(audited))) and len(messages) - len(audited) <= 3
        # The default begins at the end: nothing of before
        seen = offsets_worked(history, "screens")[partition]
        assert min(seen) >= ends[partition] and seen == list(range(seen[0], seen[0] + len(seen)))
        books = offsets_worked(history, "books")[partition]
        assert books == list(range(len(books)))
    # Not one second of the first group's minute is another one for that
    alone = play(_without(scenario("kafka-replay"), "auditor", "dashboard"), seed)
    assert [_said(history, event) for event in of(history, k.RecordsWorked, group="books")] == [
        _said(alone, event) for event in of(alone, k.RecordsWorked, group="books")
    ]


def _without(shown: Scenario, *names: str) -> Scenario:
    from msgspec.structs import replace

    return replace(shown, consumer=[each for each in shown.consumer if each.name not in names])


def _said(history: History, event: Any) -> tuple[Any, ...]:
    return event.at_us, history.names[event.partition], event.first, event.next


# -- keys -----------------------------------------------------------------------------------------------


@seeds
def test_keys_decide_the_partition_and_without_one_batches_take_turns(seed: int) -> None:
    history = run("kafka-keys-partitions", seed)
    homes: dict[str, set[str]] = {}
    for partition, messages in written(history, "clicks").items():
        for message in messages:
            homes.setdefault(history.keys[message], set()).add(partition[-1])
    assert homes == {"ana": {"1"}, "ben": {"1"}, "cho": {"2"}, "dan": {"0"}, "eva": {"0"}, "fay": {"2"}}
    views = {message: partition for partition, all_ in written(history, "views").items() for message in all_}
    assert {history.keys[message] for message in views} == {""}
    in_order = [views[message] for message in sorted(views)]
    stays = [in_order[n : n + 4] for n in range(0, len(in_order), 4)]
    # 16 KiB of records of 4 KiB: four stay together, then it is another partition
    assert all(len(set(four)) == 1 for four in stays)
    assert all(a[0] != b[0] for a, b in pairwise(stays))
    assert set(in_order) == {"views-0", "views-1", "views-2"}


# -- broker crash ---------------------------------------------------------------------------------------


@seeds
def test_broker_crash_acks_all_loses_nothing_and_acks_1_what_only_the_dead_leader_had(seed: int) -> None:
    history = run("kafka-broker-crash", seed)
    clicks, payments = "clicks-0", "payments-0"
    # A broker in sync leads, and none that is not
    led = of(history, k.PartitionLed, 24, 26, node=clicks)[0]
    assert (history.names[led.leader], history.names[1]) == ("broker 2", "broker 1") and led.epoch == 1
    gone = {partition: of(history, k.RecordsGone, node=partition)[0] for partition in (clicks, payments)}
    assert {event.why for event in gone.values()} == {"truncated"}
    # Acknowledged since the followers stand still, before the leader died
    (acked,) = (
        [
            event
            for event in of(history, k.BatchAcknowledged, 18, 24)
            if history.names[event.source] == clicks
        ],
    )
    lost = sum(event.count for event in acked if event.base >= gone[clicks].offsets[0])
    assert history.accounts["clicks"]["lost"] == lost == history.totals["lost"] > 0
    # With acks=all there was no answer; the producer sent again, and everything is there once
    assert not [
        event
        for event in of(history, k.BatchAcknowledged, 18.4, 24)
        if history.names[event.source] == payments
    ]
    there = written(history, "payments")[payments]
    assert sorted(there) == sorted(set(there))
    sent = {m for event in of(history, k.BatchSent, until=58) for m in event.messages
            if history.names[event.target] == payments}  # fmt: skip
    assert sent <= set(there)
    assert history.totals["duplicated_effects"] == 0
    # Whoever reads, sees only what all in sync have: no group has seen what is gone
    assert history.accounts["books"]["lost"] == history.accounts["statistics"]["lost"] == 0


# -- duplicates -----------------------------------------------------------------------------------------


@seeds
def test_duplicate_a_lost_answer_writes_twice_unless_the_batches_are_numbered(seed: int) -> None:
    history = run("kafka-duplicate", seed)
    careless, careful = written(history, "careless")["careless-0"], written(history, "careful")["careful-0"]
    twice = [message for message, count in Counter(careless).items() if count == 2]
    assert len(twice) == 2 and len(set(careful)) == len(careful)
    accounts = history.accounts
    assert accounts["careless billing"]["duplicated_effects"] == 2
    assert accounts["careful billing"]["duplicated_effects"] == 0
    # Both sent it again: what makes the difference is what the broker knows
    sent = Counter(message for event in of(history, k.BatchSent) for message in event.messages)
    assert sum(count == 2 for count in sent.values()) == 4


# -- commits --------------------------------------------------------------------------------------------


@seeds
def test_commit_before_loses_what_the_crash_found_in_hand_and_after_reads_it_again(seed: int) -> None:
    history = run("kafka-commit-before", seed)
    before, after = history.accounts["commits before"], history.accounts["commits after"]
    worked = {group: offsets_worked(history, group) for group in ("commits before", "commits after")}
    missing = {
        group: sum(len(set(range(max(offsets) + 1)) - set(offsets)) for offsets in by_partition.values())
        for group, by_partition in worked.items()
    }
    assert before["lost"] == missing["commits before"] > 0 == before["duplicated_deliveries"]
    assert after["duplicated_deliveries"] > 0 == missing["commits after"] == after["lost"]


# -- poison ---------------------------------------------------------------------------------------------


@seeds
def test_poison_record_stops_its_partition_and_no_other_until_it_is_left_out(seed: int) -> None:
    history = run("kafka-poison-record", seed)
    tries = of(history, k.RecordFailed)
    assert [event.attempt for event in tries] == [1, 2, 3, 4, 5, 6] and len(
        {event.offset for event in tries}
    ) == 1
    assert tries[-1].until_us == 0
    stuck = history.names[tries[0].partition]
    begin, end = tries[0].at_us / S, tries[-1].at_us / S
    assert end - begin > 10
    assert not of(history, k.RecordsWorked, begin + 1e-6, end, partition=stuck)
    for n in range(3):
        if f"invoices-{n}" != stuck:
            assert len(of(history, k.RecordsWorked, begin, end, partition=f"invoices-{n}")) >= 3
    assert history.accounts["print"]["lost"] == 1
    assert lag(history, "print", stuck, 58) <= 2


# -- share group ----------------------------------------------------------------------------------------

SHARE = "kafka-share-group"
WORKERS = ["worker 1", "worker 2", "worker 3", "worker 4"]


def ended(history: History, why: str) -> list[k.AcquisitionEnded]:
    return [event for event in of(history, k.AcquisitionEnded) if event.why == why]


@seeds
def test_share_group_all_workers_are_busy_though_there_are_fewer_partitions(seed: int) -> None:
    history = run(SHARE, seed)
    read = owners(history, 20)
    assert (
        sorted(sorted(partitions) for partitions in read.values()) == [["photos-0"]] * 2 + [["photos-1"]] * 2
    )
    # Before anything fails each has a record nearly always, one at a time, and the slow one works on few
    worked = Counter(
        history.names[event.node]
        for event in of(history, k.RecordsWorked, 0, 22)
        if event.next - event.first == 1
    )
    assert set(worked) == set(WORKERS)
    assert min(worked[name] for name in WORKERS[:3]) >= 5 > worked["worker 4"] >= 2
    assert all(len(event.offsets) == 1 for event in of(history, k.RecordsAcquired))
    # Nothing is lost, and nobody commits an offset
    assert history.totals["done"] >= 50 and not of(history, k.OffsetCommitted)


@seeds
def test_share_group_the_poison_record_goes_to_the_dead_letter_queue_after_five_deliveries(seed: int) -> None:
    history = run(SHARE, seed)
    assert [event.attempt for event in of(history, k.RecordFailed)] == [1, 2, 3, 4, 5]
    (last,) = ended(history, "limit")
    assert (last.state, last.deliveries) == ("ARCHIVED", (5,)) and last.at_us < 22 * S
    assert written(history, "dlq.thumbnails") == {"dlq.thumbnails-0": [6]}
    # The records behind it in its partition did not wait
    (offset,) = last.offsets
    passed = of(history, k.RecordsWorked, 0, last.at_us / S, partition=history.names[last.node])
    assert max(event.first for event in passed) > offset + 3
    assert history.totals["dead"] == 1


@seeds
def test_share_group_a_hung_workers_record_comes_back_with_its_lock_a_crashed_ones_at_once(seed: int) -> None:
    history = run(SHARE, seed)
    (lock,) = ended(history, "lock")
    taken = next(
        event
        for event in of(history, k.RecordsAcquired, holder="worker 2")
        if (event.node, event.offsets, event.deliveries) == (lock.node, lock.offsets, (1,))
    )
    assert lock.at_us - taken.at_us == 15 * S and taken.at_us < 22 * S < lock.at_us < 43 * S
    (gone,) = ended(history, "gone")
    assert gone.at_us == int(48.2 * S)
    for back in (lock, gone):
        again = next(
            event for event in of(history, k.RecordsAcquired, back.at_us / S) if event.offsets == back.offsets
        )
        assert again.deliveries == (2,) and again.at_us < back.at_us + 8 * S
    # What worker 2 finishes when it goes on somebody else has done: its word comes too late
    assert history.totals["duplicated_effects"] == 1


def test_share_group_a_thousand_runs_can_be_made_of_it() -> None:
    past = Past(scenario(SHARE), 1, [], 10 * S)
    for seed in (11, 12):
        future = past.future(seed)
        while not future.work():
            pass
        outcome = future.outcome()
        assert (outcome.sent, outcome.lost, outcome.dead) == (75, 0, 1)
        assert outcome.p95_us and outcome.p50_us and outcome.p95_us > outcome.p50_us > S


# -- retention ------------------------------------------------------------------------------------------


@seeds
def test_retention_who_is_away_too_long_loses_what_is_deleted_meanwhile_and_nobody_else_does(
    seed: int,
) -> None:
    history = run("kafka-retention", seed)
    worked = {group: offsets_worked(history, group)["readings-0"] for group in ("alarms", "reports")}
    assert worked["alarms"] == list(range(len(worked["alarms"])))
    assert history.accounts["alarms"]["dropped"] == 0
    # It comes back to what it had committed, finds that gone, and begins where the log begins
    committed, begins = (event.offset for event in of(history, k.PositionSet, 33, group="reports"))
    start = of(history, k.LogMarked, 0, 39, node="readings-0")[-1].start
    never = sorted(set(range(max(worked["reports"]))) - set(worked["reports"]))
    assert begins == start and never == list(range(committed, begins))
    assert len(never) >= 5 and history.accounts["reports"]["dropped"] == len(never)
    # What it lost was there when it went, or came while it was away, and lay in the log for its ten seconds
    written_us = {event.base: event.at_us for event in of(history, k.RecordsAppended)}
    (deleted_us,) = {
        event.at_us for event in of(history, k.RecordsGone) if committed in event.offsets
    }  # fmt: skip
    assert deleted_us - written_us[committed] > 10 * S
