"""Scenarios of what a log holds beside plain records: markers of transactions, gaps, tombstones."""

from __future__ import annotations

from collections import Counter

from engine.kafka import events as k
from tests.lessons.test_kafka_scenarios import S, of, run, seeds, written

# -- transactions ---------------------------------------------------------------------------------------


@seeds
def test_transactions_what_an_aborted_one_wrote_is_read_only_by_who_reads_uncommitted(seed: int) -> None:
    history = run("kafka-transactions", seed)
    aborts = [event.at_us / S for event in of(history, k.TransactionChanged, state="CompleteAbort")]
    # The first is aborted by the process that begins anew, the second by the coordinator after its time
    assert aborts[0] == 21.3 and 45 < aborts[1] < 46 and len(aborts) == 2
    accounts = history.accounts
    assert accounts["reads committed"]["duplicated_effects"] == 0
    assert accounts["reads uncommitted"]["duplicated_effects"] >= 2
    # Pricing works again on what it had not committed, and what it writes then is the same
    assert accounts["pricing"]["duplicated_effects"] >= 2
    stands = Counter(message for log in written(history, "invoices").values() for message in log if message)
    assert set(stands.values()) <= {1, 2, 3} and max(stands.values()) > 1


@seeds
def test_transactions_who_reads_committed_waits_while_one_is_open(seed: int) -> None:
    history = run("kafka-transactions", seed)
    assert not of(history, k.RecordsWorked, 41, 45.2, group="reads committed")
    marks = of(history, k.LogMarked, 38, 45)
    assert any(event.last_stable < event.high_watermark for event in marks)
    assert of(history, k.RecordsWorked, 48, 60, group="reads committed")


@seeds
def test_transactions_markers_take_offsets_and_come_with_the_commit_of_what_was_read(seed: int) -> None:
    history = run("kafka-transactions", seed)
    markers = [event for event in of(history, k.RecordsAppended) if event.marker]
    assert {event.marker for event in markers} == {"commit", "abort"} and len(markers) > 15
    invoices = written(history, "invoices")
    assert not any(invoices[history.names[event.node]][event.base] for event in markers)
    commits = {event.at_us for event in of(history, k.OffsetCommitted, group="pricing")}
    assert commits == {event.at_us for event in markers if event.marker == "commit"}
