"""Kafka's client library, as far as its behaviour is its own: what a consumer and a producer do without
being asked.

A client says what it wants to send (`outbox`) and is told what comes back (`receive`). It has no clock and
no network: an actor of a room sends over a link, the conformance runner at once.
"""
