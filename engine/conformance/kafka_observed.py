"""How a Kafka case writes down what was seen, and when two such observations are the same."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Any

from engine.conformance.case import Observed, Step, Unknown, canonical
from engine.kafka import operations as ops
from engine.kafka.assignors import Partition
from engine.kafka.partitioners import murmur2, partition_of, positive

_SHARE = {"topic", "partition", "group", "member"}
_LOG = {"topic", "partition"}
ALLOWED: dict[str, frozenset[str]] = {
    action: frozenset(words)
    for action, words in {
        "partition_for": {"key", "key_hex", "partitions", "partitioner"},
        "create_topic": {"topic", "partitions", "config"},
        "add_partitions": {"topic", "count"},
        "produce": {"topic", "records", "producer", "acks", "timeout_ms"},
        "produce_batch": {"topic", "partition", "count"},
        "fetch": {*_LOG, "offset", "isolation"},
        "offsets": _LOG,
        "delete_records": {*_LOG, "before"},
        "roll": _LOG,
        "enforce_retention": _LOG,
        "compact": _LOG,
        "append_raw": {*_LOG, "pid", "epoch", "seq", "count", "txn"},
        "marker_raw": {*_LOG, "pid", "epoch", "type"},
        "join": {
            "group", "member", "members", "topics", "assignor", "protocol", "static_id", "static_ids",
            "reset", "isolation", "auto_commit", "auto_commit_interval_ms",
        },
        "leave": {"group", "member"},
        "crash": {"group", "member"},
        "session_timeout": {"group", "member"},
        "restart": {"group", "member"},
        "subscribe": {"group", "member", "topics"},
        "assignment": {"group"},
        "poll": {"group", "member", "max"},
        "commit": {"group", "member", "offsets"},
        "committed": {"group"},
        "reset_offsets": {"group", "offsets"},
        "seek": {"group", "member", "partition", "offset"},
        "lag": {"group"},
        "txn_init": {"producer", "transactional_id"},
        "txn_begin": {"producer"},
        "txn_send_offsets": {"producer", "group", "offsets"},
        "txn_commit": {"producer"},
        "txn_abort": {"producer"},
        "txn_state": {"transactional_id"},
        "cluster": {"brokers"},
        "create_replicated": {"topic", "replicas", "config"},
        "partition_state": set(),
        "lag_broker": {"broker"},
        "catch_up": {"broker"},
        "isr_timeout": set(),
        "stop_broker": {"broker", "clean"},
        "start_broker": {"broker"},
        "share_group": {"topic", "partition", "group", "config"},
        "share_acquire": {*_SHARE, "max", "mode"},
        "share_ack": {*_SHARE, "batches"},
        "share_member_gone": {*_SHARE, "crash"},
        "share_log_start": {"topic", "partition", "group", "offset"},
        "share_state": {"topic", "partition", "group"},
        "dlq": {"topic"},
        "advance": {"ms"},
    }.items()
}  # fmt: skip


WORDS: dict[str, tuple[Any, ...]] = {
    "partitioner": ("murmur2", "consistent"),
    "isolation": ("read_uncommitted", "read_committed"),
    "acks": ("all", -1, "-1", 1, "1", 0, "0"),
    "type": ("commit", "abort"),
    "protocol": ("classic", "consumer"),
    "reset": ("earliest", "latest", "none"),
    "mode": ("batch_optimized", "record_limit"),
    "match": ("exact", "property", "skip"),
}
"""What an argument of this name may be, in any action."""
ANSWERS = ("accept", "release", "reject", "renew", "gap")
ASSIGNORS = {
    "classic": ("range", "roundrobin", "sticky", "cooperative-sticky"),
    "consumer": ("uniform", "kip848-range", "range"),
}


def check_words(action: str, given: Step) -> None:
    """Raises `Unknown` for a value that the format does not have, so that none is taken for another."""
    for name, value in given.items():
        span = name == "reset" and str(value).startswith("by_duration:")
        if name in WORDS and value not in WORDS[name] and not span:
            raise Unknown(f"{action}: {name} is one of {', '.join(map(str, WORDS[name]))}, not {value!r}")
    for _, _, answer in given.get("batches", ()):
        if answer not in ANSWERS:
            raise Unknown(f"{action}: an answer is one of {', '.join(ANSWERS)}, not {answer!r}")
    known = ASSIGNORS[given.get("protocol", "classic")]
    wanted = given.get("assignor", known[0])
    for assignor in [wanted] if isinstance(wanted, str) else wanted:
        if assignor not in known:
            raise Unknown(f"{action}: assignor is one of {', '.join(known)}, not {assignor!r}")


def name_of(partition: Partition) -> str:
    return f"{partition[0]}-{partition[1]}"


def partition_named(name: str) -> Partition:
    """`topic-N`, split at the last dash."""
    topic, _, number = name.rpartition("-")
    return topic, int(number)


def named(partitions: Iterable[Partition]) -> list[str]:
    return [name_of(partition) for partition in sorted(partitions)]


def partitioned(given: dict[str, Any]) -> Observed:
    """Where a key goes, for several numbers of partitions."""
    key = bytes.fromhex(given["key_hex"]) if "key_hex" in given else given["key"].encode()
    partitioner = given["partitioner"]
    hashed = murmur2(key) if partitioner == "murmur2" else zlib.crc32(key)
    told: Observed = {"hash": hashed}
    if partitioner == "murmur2":
        told["positive"] = positive(hashed)
    return {**told, "partition": [partition_of(key, count, partitioner) for count in given["partitions"]]}


def partition_state(place: ops.PartitionDescribed) -> Observed:
    """A replicated partition as the administrator's tools show it."""
    return {
        "leader": place.leader,
        "isr": list(place.isr),
        "leader_epoch": place.leader_epoch,
        "high_watermark": None if place.leader < 0 else place.high_watermark,
        "log_end": {str(broker): end for broker, end in place.log_ends},
        "elr": list(place.elr),
    }


def group_lag(ask: Callable[[Any], Any], group: str) -> Observed:
    """What `kafka-consumer-groups --describe` shows: of each partition committed or owned."""
    committed = dict(ask(ops.OffsetFetch(group)).offsets)
    owned = [p for _, partitions in ask(ops.DescribeGroup(group)).assignment for p in partitions]
    told = {}
    for partition in sorted({*committed, *owned}):
        end = ask(ops.DescribePartition(*partition)).high_watermark
        offset = committed.get(partition)
        lag = None if offset is None else end - offset
        told[name_of(partition)] = {"committed": offset, "end": end, "lag": lag}
    return told


def alike(case: dict[str, Any], step: Step, version: str, expected: Observed, got: Observed) -> bool:
    """Exact, unless the step says that only a property binds, or nothing does."""
    match = step.get("match", "exact")
    got = dict(got)
    before = got.pop("before", {})
    if match == "skip":
        return True
    if match == "property":
        return _holds(step, before, got)
    if "elr" in got and "elr" not in expected:
        got = {key: value for key, value in got.items() if key != "elr"}
    return canonical(expected) == canonical(got)


def _holds(step: Step, before: dict[str, list[str]], got: Observed) -> bool:
    """The property of an assignment that the reference itself leaves to chance."""
    wanted = step["expect"]
    if wanted.get("property") != "assignment":
        raise Unknown(f"no property {wanted.get('property')!r}")
    owned: dict[str, list[str]] = got.get("owned", got)
    every = [name for names in owned.values() for name in names]
    if len(every) != len(set(every)) or sorted(every) != sorted(_expected_partitions(step)):
        return False
    if sorted(len(names) for names in owned.values()) not in [sorted(sizes) for sizes in wanted["sizes"]]:
        return False
    if "moved" in wanted and not wanted["moved"][0] <= moved(before, owned) <= wanted["moved"][1]:
        return False
    return all(
        set(names) <= set(owned.get(member, [])) for member, names in wanted.get("must_own", {}).items()
    )


def _expected_partitions(step: Step) -> list[str]:
    observed = step["observed"]
    owned = observed.get("owned", observed)
    return [name for names in owned.values() for name in names]


def moved(before: dict[str, list[str]], after: dict[str, list[str]]) -> int:
    """How many partitions have another owner, of those whose owner was there before and after."""
    stayed = set(before) & set(after)
    was = {name: member for member in stayed for name in before[member]}
    return sum(was.get(name, member) != member for member, names in after.items() for name in names)
