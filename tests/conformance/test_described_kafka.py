"""What the description of the cases' format says of Kafka and no recording here asks for."""

from __future__ import annotations

from typing import Any

import pytest

from engine.conformance.kafka import KafkaPlayer
from engine.kafka.record_format import batch_bytes

LOG = {"topic": "t", "partition": 0}
SHARE = {**LOG, "group": "s"}
ONE_PARTITION = {"do": "create_topic", "topic": "t", "partitions": 1}


class Played:
    """A cluster on which steps are played one after the other."""

    def __init__(self, *first: dict[str, Any]) -> None:
        self.player = KafkaPlayer({"steps": list(first)}, "")
        for step in first:
            self.player.play(dict(step))

    def do(self, action: str, **given: Any) -> dict[str, Any]:
        return self.player.play({"do": action, **given})


@pytest.fixture
def cluster() -> Played:
    config = {"min.insync.replicas": "2"}
    created = {"do": "create_replicated", "topic": "t", "replicas": [1, 2, 3], "config": config}
    return Played({"do": "cluster", "brokers": [1, 2, 3]}, created)


def append(log: Played, seq: int, count: int = 1, **more: Any) -> Any:
    seen = log.do("append_raw", **LOG, pid=1, seq=seq, count=count, **{"epoch": 0, **more})
    return seen.get("error", seen.get("base_offset"))


def test_a_write_outside_an_open_transaction_is_refused_until_its_marker() -> None:
    log = Played(ONE_PARTITION)
    assert append(log, 0, 2, txn=True) == 0
    assert append(log, 2) == "INVALID_TXN_STATE"
    assert log.do("marker_raw", **LOG, pid=1, epoch=0, type="abort")["base_offset"] == 2
    assert append(log, 2) == 3, "the sequence goes on behind a marker of the same epoch"


def test_a_marker_of_a_higher_epoch_ends_the_transaction_and_begins_at_sequence_0() -> None:
    log = Played(ONE_PARTITION)
    append(log, 0, txn=True)
    ended = log.do("marker_raw", **LOG, pid=1, epoch=3, type="commit")
    assert ended["last_stable"] == ended["high_watermark"] == 2
    assert append(log, 1, epoch=3) == "OUT_OF_ORDER_SEQUENCE_NUMBER"
    assert append(log, 0, epoch=3) == 2
    assert log.do("marker_raw", **LOG, pid=1, epoch=2, type="commit")["error"] == "INVALID_PRODUCER_EPOCH"


def test_a_sequence_goes_round_inside_a_batch() -> None:
    log = Played(ONE_PARTITION)
    assert append(log, 2**31 - 2, 3) == 0, "an unknown producer may begin anywhere"
    assert append(log, 1) == 3


def test_a_write_that_outlasts_the_laggards_is_told_that_too_few_have_it(cluster: Played) -> None:
    """With a time-out longer than replica.lag.time.max.ms they have left the ISR by then."""
    cluster.do("lag_broker", broker=2)
    cluster.do("lag_broker", broker=3)
    late = cluster.do("produce", topic="t", records=[["k", "a", 0]], timeout_ms=60_000)
    assert late == {"error": "NOT_ENOUGH_REPLICAS_AFTER_APPEND"}
    assert cluster.do("partition_state")["log_end"]["1"] == 1, "the leader keeps it"


def test_a_write_that_one_laggard_holds_up_is_answered_once_it_is_out(cluster: Played) -> None:
    cluster.do("lag_broker", broker=3)
    early = cluster.do("produce", topic="t", records=[["k", "a", 0]], timeout_ms=5_000)
    assert early == {"error": "REQUEST_TIMED_OUT", "appended_at": [0]}
    late = cluster.do("produce", topic="t", records=[["k", "b", 0]], timeout_ms=60_000)
    assert late == {"results": [[0, 1]]}
    assert cluster.do("partition_state")["isr"] == [1, 2]


def test_a_broker_that_catches_up_is_in_sync_at_once(cluster: Played) -> None:
    cluster.do("lag_broker", broker=3)
    cluster.do("isr_timeout")
    cluster.do("produce", topic="t", records=[["k", "a", 0]])
    assert cluster.do("catch_up", broker=3)["isr"] == [1, 2, 3]
    assert cluster.do("isr_timeout")["isr"] == [1, 2, 3], "it does not hang any more"


def test_a_broker_that_hangs_leaves_although_it_lacks_nothing(cluster: Played) -> None:
    cluster.do("lag_broker", broker=2)
    assert cluster.do("isr_timeout")["isr"] == [1, 3]


@pytest.fixture
def share() -> Played:
    config = {"share.auto.offset.reset": "earliest"}
    played = Played(ONE_PARTITION, {"do": "share_group", **SHARE, "config": config})
    for _ in range(2):
        played.do("produce_batch", **LOG, count=3)
    return played


def test_what_retention_took_is_passed_over_when_it_is_acknowledged(share: Played) -> None:
    share.do("share_acquire", **SHARE, member="a", max=4)
    share.do("share_log_start", **SHARE, offset=2)
    assert share.do("share_state", **SHARE)["start_offset"] == 2
    assert share.do("share_ack", **SHARE, member="a", batches=[[0, 3, "accept"]]) == {"ok": True}
    assert share.do("share_state", **SHARE)["start_offset"] == 4


def test_a_member_that_is_gone_gives_everything_back_at_once(share: Played) -> None:
    share.do("share_acquire", **SHARE, member="a", max=1)
    share.do("share_member_gone", **SHARE, member="a", crash=True)
    assert share.do("share_acquire", **SHARE, member="b", max=1)["acquired"] == [[0, 2], [1, 2], [2, 2]]


def test_renewing_starts_the_lock_afresh_for_that_record_alone(share: Played) -> None:
    share.do("share_acquire", **SHARE, member="a", max=3)
    share.do("advance", ms=20_000)
    share.do("share_ack", **SHARE, member="a", batches=[[0, 0, "renew"]])
    share.do("advance", ms=11_000)
    states = share.do("share_state", **SHARE)["states"]
    assert [states[offset][0] for offset in "012"] == ["ACQUIRED", "AVAILABLE", "AVAILABLE"]


def test_nothing_more_is_lent_once_as_many_records_as_the_lock_limit_are_in_flight() -> None:
    config = {"share.auto.offset.reset": "earliest", "share.partition.max.record.locks": 100}
    share = Played(ONE_PARTITION, {"do": "share_group", **SHARE, "config": config})
    for _ in range(3):
        share.do("produce_batch", **LOG, count=60)
    assert len(share.do("share_acquire", **SHARE, member="a", max=500)["acquired"]) == 120
    assert share.do("share_acquire", **SHARE, member="b", max=500)["acquired"] == []
    share.do("share_ack", **SHARE, member="a", batches=[[0, 59, "accept"]])
    assert len(share.do("share_acquire", **SHARE, member="b", max=500)["acquired"]) == 60


def test_leaving_politely_commits_by_itself_and_a_static_member_keeps_its_partitions() -> None:
    group = Played({"do": "create_topic", "topic": "t", "partitions": 2})
    group.do("produce", topic="t", records=[["a", "1", 0], ["b", "2", 0]])
    joined = {"topics": ["t"], "assignor": "range", "reset": "earliest", "auto_commit": True}
    group.do("join", group="g", members=["m1", "m2"], static_ids={"m1": "i1", "m2": "i2"}, **joined)
    group.do("poll", group="g", member="m1")
    assert group.do("leave", group="g", member="m1")["rebalances"] == 0
    assert group.do("committed", group="g") == {"t-0": 2}
    assert group.do("restart", group="g", member="m1")["rebalances"] == 0
    assert group.do("assignment", group="g") == {"m1": ["t-0"], "m2": ["t-1"]}


def test_retention_by_size_keeps_no_byte_where_none_may_be_kept_and_the_newest_segment_where_it_fits() -> (
    None
):
    none = Played({**ONE_PARTITION, "config": {"retention.bytes": "0"}})
    some = Played({**ONE_PARTITION, "config": {"retention.bytes": "70"}})
    for log in (none, some):
        for value in "ab":
            log.do("produce", topic="t", records=[["k", value]])
            log.do("roll", **LOG)
        log.do("produce", topic="t", records=[["k", "c"]])
    assert none.do("enforce_retention", **LOG) == {"log_start": 3, "high_watermark": 3}
    assert some.do("enforce_retention", **LOG) == {"log_start": 2, "high_watermark": 3}
    assert none.do("produce", topic="t", records=[["k", "d"]]) == {"results": [[0, 3]]}


def test_a_batch_has_the_size_of_message_format_2() -> None:
    assert batch_bytes([("k", "v")]) == 61 + 1 + 8
    assert batch_bytes([(None, None)]) == 61 + 1 + 6
    assert batch_bytes([("k", "v" * 100), ("é", "")]) == 61 + (2 + 3 + 2 + 102 + 1) + (1 + 3 + 3 + 1 + 1)


def test_a_second_process_of_a_static_member_takes_its_place_and_the_first_one_is_fenced() -> None:
    log = Played({**ONE_PARTITION, "partitions": 2})
    who = {"group": "g", "topics": ["t"], "assignor": "range", "static_id": "i"}
    log.do("join", member="first", **who)
    joined = log.do("join", member="second", **who)
    assert joined["owned"] == {"second": ["t-0", "t-1"]}
    assert joined["rebalances"] == 0


def test_beside_a_cooperative_member_one_with_the_default_list_gives_up_all_and_claims_nothing() -> None:
    log = Played({**ONE_PARTITION, "partitions": 4})
    log.do("join", group="g", member="m1", topics=["t"])
    joined = log.do("join", group="g", member="m2", topics=["t"], assignor="cooperative-sticky")
    assert joined["owned"] == {"m1": ["t-0", "t-2"], "m2": ["t-1", "t-3"]}, "as Kafka 4.4.0 dealt them"
    left = log.do("leave", group="g", member="m1")
    assert left["events"] == {"m2": [["assigned", ["t-0", "t-2"]]]}
