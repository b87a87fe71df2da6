"""A transactional producer's application: it begins, writes, and commits or aborts, by its spec or by hand.

As around the real client: begin asks nobody; commit first sees through what was written, and nothing is made
into the transaction meanwhile; abort drops what was not sent. What the application makes while no transaction
is open, or one is being ended, it keeps for the next one. A write that fails ends in an abort, and a producer
that is fenced (another one has its transactional.id) is over: its process ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.kafka import operations as ops
from engine.kernel import Kernel

if TYPE_CHECKING:
    from engine.actors.kafka_producer import KafkaProducer


def takes(producer: KafkaProducer) -> bool:
    """Whether a record that is made now goes into a transaction; one is begun where the spec says so."""
    if producer.ending or producer.removed:
        return False
    if not producer.library.open and (producer.spec.transaction is None or producer.library.begin()):
        return False
    producer.in_transaction += 1
    return True


def is_full(producer: KafkaProducer) -> bool:
    """Whether the spec's number of records is in it."""
    spec = producer.spec.transaction
    return spec is not None and not producer.by_hand and producer.in_transaction >= spec.records


def end_by_spec(producer: KafkaProducer, kernel: Kernel) -> None:
    """Commit; or abort, each so many times."""
    spec = producer.spec.transaction
    producer.transactions += 1
    aborts = spec is not None and spec.abort_every and producer.transactions % spec.abort_every == 0
    end(producer, kernel, commit=not aborts)


def begin(producer: KafkaProducer, kernel: Kernel) -> None:
    """By hand: it stays open until somebody ends it. What was kept is written now."""
    producer.by_hand = True
    producer.library.begin()
    release(producer, kernel)


def end(producer: KafkaProducer, kernel: Kernel, commit: bool) -> None:
    """commitTransaction or abortTransaction: nothing else is made into it."""
    producer.ending = "commit" if commit else "abort"
    if not commit:
        producer.drop_unsent(kernel)
    producer.flush(kernel)
    go_on(producer, kernel)


def go_on(producer: KafkaProducer, kernel: Kernel) -> None:
    """Asks for the end once all that was written has its answer."""
    asked = any(type(request) is ops.EndTxn for request in producer.unanswered.values())
    if not producer.ending or asked or producer.has_batches():
        return
    library = producer.library
    if library.error and producer.ending == "commit":
        producer.ending = "abort"
    request: Any = library.end(producer.ending == "commit")
    if isinstance(request, ops.EndTxn):
        producer.ask(kernel, request)
    elif request:
        fenced(producer, kernel)
    else:
        _over(producer, kernel)


def ended(producer: KafkaProducer, kernel: Kernel, answer: Any) -> None:
    """The coordinator has ended it, or does not know this producer any more."""
    if isinstance(answer, ops.ProducerIdGiven) and not answer.error:
        producer.library.ended(answer)
        _over(producer, kernel)
    else:
        fenced(producer, kernel)


def _over(producer: KafkaProducer, kernel: Kernel) -> None:
    how, producer.ending, producer.in_transaction, producer.by_hand = producer.ending, "", 0, False
    producer.library.error = ""
    producer.transaction_over(kernel, how)


def release(producer: KafkaProducer, kernel: Kernel) -> None:
    """What was made meanwhile goes into the next one."""
    kept, producer.kept = producer.kept, []
    for message, key in kept:
        producer.put(kernel, message, key)


def failed(producer: KafkaProducer, kernel: Kernel, error: str) -> None:
    """A write came to nothing: the transaction cannot commit any more, and its application aborts it."""
    producer.library.failed(error)
    if producer.library.open and producer.ending != "abort":
        end(producer, kernel, commit=False)


def fenced(producer: KafkaProducer, kernel: Kernel) -> None:
    """Its application ends, as the documentation of ProducerFencedException asks of it."""
    producer.fenced = True
    producer.crash(kernel)
