"""Refusals, by the names of Kafka's protocol."""

from __future__ import annotations


class KafkaError(Exception):
    """An error code of the protocol (`org.apache.kafka.common.protocol.Errors`); becomes a reply, never
    escapes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
