"""The broker's refusals: which error constant closes what, and the exception that carries one out.

`Refused` never leaves this folder: `RabbitMQ.execute` catches it once, closes the channel or the
connection as the protocol says, and answers with its `Closed`.
"""

from __future__ import annotations

from engine.rabbitmq.operations import Closed

CODES: dict[str, tuple[str, int]] = {
    "ACCESS_REFUSED": ("channel", 403),
    "NOT_FOUND": ("channel", 404),
    "RESOURCE_LOCKED": ("channel", 405),
    "PRECONDITION_FAILED": ("channel", 406),
    "COMMAND_INVALID": ("connection", 503),
    "CHANNEL_ERROR": ("connection", 504),
    "RESOURCE_ERROR": ("connection", 506),
    "NOT_ALLOWED": ("connection", 530),
    "NOT_IMPLEMENTED": ("connection", 540),
    "INTERNAL_ERROR": ("connection", 541),
}
"""Name → (what is closed, reply code). Source: rabbit_framing_amqp_0_9_1:lookup_amqp_exception/1."""


class Refused(Exception):
    """The broker refuses an operation; `closed` is the answer that the client gets."""

    def __init__(self, name: str, text: str) -> None:
        scope, code = CODES[name]
        self.closed = Closed(scope, code, name, text)
        super().__init__(text)


def precondition_failed(text: str) -> Refused:
    return Refused("PRECONDITION_FAILED", text)


def not_found(kind: str, name: str) -> Refused:
    return Refused("NOT_FOUND", f"no {kind} '{name}' in vhost '/'")
