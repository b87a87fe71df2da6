"""Arguments of queues, consumers and exchanges: which values make sense, and what must agree.

Source: rabbit_amqqueue:check_declare_arguments/3, check_consume_arguments/3 and
assert_args_equivalence/2; www.rabbitmq.com/docs/queues#optional-arguments. A queue type knows some
arguments; what only another type knows is refused, what none knows is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from engine.rabbitmq.errors import precondition_failed
from engine.rabbitmq.headers import same
from engine.rabbitmq.versions import Switches

Arguments = Mapping[str, Any]
Check = Callable[[Any, Arguments, Switches], str]
"""(value, all arguments, switches) → what is wrong with the value, "" when nothing is."""

ABSENT = object()
"""Stands for an argument that is not there: null is a value of its own."""
MAX_PRIORITY = 255
OVERFLOWS = ("drop-head", "reject-publish", "reject-publish-dlx")
STRATEGIES = ("at-most-once", "at-least-once")


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_one_of(value: Any, allowed: Collection[str]) -> bool:
    return isinstance(value, str) and value in allowed


def _integer(value: Any, arguments: Arguments, switches: Switches) -> str:
    return "" if is_integer(value) else "expected integer"


def _count(value: Any, arguments: Arguments, switches: Switches) -> str:
    return _integer(value, arguments, switches) or ("value_negative" if value < 0 else "")


def _positive(value: Any, arguments: Arguments, switches: Switches) -> str:
    return _count(value, arguments, switches) or ("value_zero" if value == 0 else "")


def _ttl(value: Any, arguments: Arguments, switches: Switches) -> str:
    return _count(value, arguments, switches) or ("value_too_large" if value > switches.expiry_ms_max else "")


def _expires(value: Any, arguments: Arguments, switches: Switches) -> str:
    return _ttl(value, arguments, switches) or ("value_zero" if value == 0 else "")


def _priorities(value: Any, arguments: Arguments, switches: Switches) -> str:
    return _count(value, arguments, switches) or ("max_value_exceeded" if value > MAX_PRIORITY else "")


def _boolean(value: Any, arguments: Arguments, switches: Switches) -> str:
    return "" if isinstance(value, bool) else "expected boolean"


def _text(value: Any, arguments: Arguments, switches: Switches) -> str:
    return "" if isinstance(value, str) else "expected a string"


def _dead_letter_key(value: Any, arguments: Arguments, switches: Switches) -> str:
    if "x-dead-letter-exchange" not in arguments:
        return "routing_key_but_no_dlx_defined"
    return _text(value, arguments, switches)


def _one_of(allowed: tuple[str, ...], wrong: str) -> Check:
    def check(value: Any, arguments: Arguments, switches: Switches) -> str:
        return "" if is_one_of(value, allowed) else wrong

    return check


def _locator(value: Any, arguments: Arguments, switches: Switches) -> str:
    return "" if is_one_of(value, switches.leader_locators) else "invalid_queue_locator_arg"


def _queue_mode(value: Any, arguments: Arguments, switches: Switches) -> str:
    if not switches.queue_modes_checked or is_one_of(value, ("default", "lazy")):
        return ""
    return "unsupported queue mode"


def _queue_version(value: Any, arguments: Arguments, switches: Switches) -> str:
    wrong = _count(value, arguments, switches)
    return wrong or ("" if switches.queue_version_min <= value <= 2 else "unsupported queue version")


QUEUE_CHECKS: dict[str, Check] = {
    "x-expires": _expires,
    "x-message-ttl": _ttl,
    "x-dead-letter-exchange": _text,
    "x-dead-letter-routing-key": _dead_letter_key,
    "x-dead-letter-strategy": _one_of(STRATEGIES, "invalid_dlx_strategy"),
    "x-max-length": _count,
    "x-max-length-bytes": _count,
    "x-max-in-memory-length": _count,
    "x-max-in-memory-bytes": _count,
    "x-max-priority": _priorities,
    "x-overflow": _one_of(OVERFLOWS, "invalid_overflow"),
    "x-queue-mode": _queue_mode,
    "x-queue-version": _queue_version,
    "x-single-active-consumer": _boolean,
    "x-consumer-timeout": _count,
    "x-consumer-disconnected-timeout": _count,
    "x-quorum-initial-group-size": _positive,
    "x-initial-cluster-size": _positive,
    "x-queue-leader-locator": _locator,
}
CONSUMER_CHECKS: dict[str, Check] = {
    "x-priority": _integer,
    "x-consumer-timeout": _count,
    "x-cancel-on-ha-failover": _boolean,
}


def queue_type(arguments: Arguments, switches: Switches) -> str:
    """The queue's type, "classic" when nothing is said. Raises `Refused` for a type that is none."""
    kind = arguments.get("x-queue-type", "classic")
    if not is_one_of(kind, switches.queue_types):
        raise precondition_failed(f"invalid arg 'x-queue-type': unsupported queue type '{kind}'")
    return str(kind)


def _known(kind: str, switches: Switches) -> tuple[frozenset[str], frozenset[str]]:
    """(arguments of queues of this kind, arguments of their consumers)."""
    if kind == "classic":
        return switches.classic_arguments, switches.classic_consumer_arguments
    if kind == "quorum":
        return switches.quorum_arguments, switches.quorum_consumer_arguments
    return switches.stream_arguments, switches.stream_consumer_arguments


def _check(
    arguments: Arguments, checks: dict[str, Check], own: frozenset[str], every: frozenset[str], of: str,
    switches: Switches,
) -> None:  # fmt: skip
    for name, value in arguments.items():
        if name in own and name in checks:
            wrong = checks[name](value, arguments, switches)
            if wrong:
                raise precondition_failed(f"invalid arg '{name}' for {of}: {wrong}")
    for name in arguments:
        if name in every and name not in own:
            raise precondition_failed(f"invalid arg '{name}' for {of}")


def check_queue(name: str, kind: str, arguments: Arguments, switches: Switches) -> None:
    """Raises `Refused` for an argument of queue.declare that has a wrong value or belongs to another type."""
    every = switches.classic_arguments | switches.quorum_arguments | switches.stream_arguments
    own = _known(kind, switches)[0]
    _check(arguments, QUEUE_CHECKS, own, every, f"queue '{name}' of queue type {kind}", switches)


def check_consumer(queue: str, kind: str, arguments: Arguments, switches: Switches) -> None:
    """The same for basic.consume."""
    every = (
        switches.classic_consumer_arguments
        | switches.quorum_consumer_arguments
        | switches.stream_consumer_arguments
    )
    own = _known(kind, switches)[1]
    _check(arguments, CONSUMER_CHECKS, own, every, f"queue '{queue}' of queue type {kind}", switches)


def check_equivalent(of: str, name: str, current: Any, received: Any) -> None:
    """Raises `Refused` when a property that is declared again differs."""
    if current is not received and not same(current, received):
        raise precondition_failed(
            f"inequivalent arg '{name}' for {of}: received {_shown(received)} "
            f"but current is {_shown(current)}"
        )


def check_queue_equivalent(
    name: str, kind: str, current: Arguments, received: Arguments, switches: Switches
) -> None:
    """The arguments that this queue type knows must agree; a queue without a type is a classic one."""
    for argument in sorted(_known(kind, switches)[0]):
        default = "classic" if argument == "x-queue-type" else ABSENT
        check_equivalent(
            f"queue '{name}' in vhost '/'",
            argument,
            current.get(argument, default),
            received.get(argument, default),
        )


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "none"
    return f"'{str(value).lower()}'" if isinstance(value, bool) else f"the value '{value}'"
