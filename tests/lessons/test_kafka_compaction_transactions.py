"""Scenarios of what a log holds beside plain records: markers of transactions, gaps, tombstones."""

from __future__ import annotations

from collections import Counter

from engine.history import History
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


# -- compaction -----------------------------------------------------------------------------------------


def removed(history: History) -> list[int]:
    """The offsets that the cleaner has taken, in order of time."""
    return [offset for event in of(history, k.RecordsGone, why="compacted") for offset in event.offsets]


@seeds
def test_compaction_leaves_gaps_and_of_each_key_the_newest_record(seed: int) -> None:
    history = run("kafka-compaction", seed)
    log = written(history, "user.profiles")["user.profiles-0"]
    gone = removed(history)
    assert len(gone) > 20 and len(set(gone)) == len(gone)
    newest = {history.keys[message]: offset for offset, message in enumerate(log)}
    assert not {newest[name] for name in ("ana", "ben", "cho")} & set(gone)
    # What stays keeps its offset: between the records that are left lie gaps
    left = sorted(set(range(max(gone))) - set(gone))
    assert len(left) < max(gone) / 2


@seeds
def test_compaction_a_tombstone_takes_what_was_before_it_and_goes_after_its_time(seed: int) -> None:
    history = run("kafka-compaction", seed)
    log = written(history, "user.profiles")["user.profiles-0"]
    [eva], [fay] = (event.offsets for event in of(history, k.TombstonesAppended))
    assert [history.keys[log[offset]] for offset in (eva, fay)] == ["eva", "fay"]
    gone_us = {o: event.at_us for event in of(history, k.RecordsGone) for o in event.offsets}
    for name, tombstone in (("eva", eva), ("fay", fay)):
        first = min(offset for offset, message in enumerate(log) if history.keys[message] == name)
        # Nine seconds are between the cleaning that leaves only the tombstone and the one that takes it
        assert gone_us[first] < gone_us[tombstone] <= 45 * S
        assert gone_us[tombstone] - gone_us[first] >= 9 * S


@seeds
def test_compaction_who_comes_late_reads_the_newest_of_each_key_and_what_is_not_cleaned(seed: int) -> None:
    history = run("kafka-compaction", seed)
    log = written(history, "user.profiles")["user.profiles-0"]
    begins = of(history, k.PositionSet, 45, group="cache")[0]
    assert begins.offset == 0
    sent = of(history, k.RecordsSent, 45, 51, target="new cache")[0]
    before = {offset for event in of(history, k.RecordsGone, 0, sent.at_us / S) for offset in event.offsets}
    stood = [offset for offset in range(sent.next) if offset not in before]
    assert sent.count == len(stood) < sent.next / 2
    # Of those who deleted theirs it reads nothing, of the others what is newest
    reads = [history.keys[log[offset]] for offset in stood]
    assert set(reads) == {"ana", "ben", "cho"}
    accounts = history.accounts
    assert accounts["cache"]["owed"] < accounts["search"]["owed"] / 2
    assert accounts["cache"]["dropped"] == accounts["search"]["dropped"] == 0
