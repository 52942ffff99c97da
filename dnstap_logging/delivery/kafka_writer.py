"""A writer to Kafka: its batch is written when the brokers have acknowledged each record of it.

Belongs to the writer thread, as every `Writer`. A batch stays with librdkafka until then, however
long that takes and however often the write is tried again: so nothing is sent twice while one
producer lives.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from ..exceptions import TransportError, TransportTimeout
from ..framestream.frames import LENGTH
from ..kafka.producer import GivenUp, KafkaProducer, in_order
from ..transport.waiting import Deadline, Until
from .destination import Held, Writer

__all__ = ["KafkaWriter"]

REFUSALS: Dict[str, str] = {
    "MSG_SIZE_TOO_LARGE": "too_large",
    "INVALID_MSG_SIZE": "too_large",
    "INVALID_RECORD": "invalid",
}
"""Errors of records that the brokers will never take, and the cause under which they are dropped.
librdkafka gives up all that was sent together with such a record."""


class _Batch:
    """The payloads of one write, and how far they are.

    Attributes:
        payloads: all of them.
        groups: what has to be sent yet, in order.
        sent: the group that librdkafka has, and the producer that has it.
        refused: how many the brokers will never take, by cause.
        why: the last reason for that.
        since: the monotonic time since which nothing was acknowledged.
    """

    def __init__(self, payloads: List[bytes]) -> None:
        self.payloads = payloads
        self.groups: Deque[List[bytes]] = deque([payloads])
        self.sent: Optional[Tuple[KafkaProducer, List[bytes]]] = None
        self.refused: Dict[str, int] = {}
        self.why = ""
        self.since = time.monotonic()

    @property
    def is_done(self) -> bool:
        """Whether each of them was acknowledged or refused."""
        return self.sent is None and not self.groups


class KafkaWriter(Writer):
    """Write batches to one topic.

    Args:
        producer: returns the producer to use now.
        timeout: seconds for an answer of the brokers.
        until: when to give up at the latest.
    """

    def __init__(self, producer: Callable[[], KafkaProducer], timeout: float, until: Until) -> None:
        self._producer = producer
        self._timeout = timeout
        self._until = until
        self._batch: Optional[_Batch] = None

    @property
    def holds(self) -> bool:
        """Whether there is a batch that the brokers have not acknowledged."""
        return self._batch is not None

    def start(self) -> None:
        """Ask the brokers for the topic, unless they have just acknowledged something."""
        producer = self._producer()
        if not producer.proven:
            producer.check(self._deadline())

    def _deadline(self) -> Deadline:
        return Deadline(self._timeout, self._until)

    def fitting(self, payloads: List[bytes]) -> int:
        """Return how many of the payloads may be written now: the batch that is held, or all."""
        return len(payloads) if self._batch is None else len(self._batch.payloads)

    def write(self, payloads: List[bytes]) -> int:
        """Send the payloads, unless that was done before, and wait until they are acknowledged."""
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch(payloads)
        while not batch.is_done:
            self._send_group(batch)
        self._batch = None
        self.refused, self.refusal = batch.refused, batch.why
        return sum(map(len, payloads)) + LENGTH.size * len(payloads)

    def _send_group(self, batch: _Batch) -> None:
        if batch.sent is None:
            producer, group = self._producer(), batch.groups.popleft()
            try:
                producer.send(group)
            except BaseException:  # Ctrl-C, where the main thread delivers
                producer.give_up(group)
                batch.groups.appendleft(group)
                raise
            batch.sent = producer, group
        producer, group = batch.sent
        try:
            failed = producer.wait(self._deadline(), batch.since)
        except TransportTimeout:
            if producer.fatal:  # another one sends again what this one has not
                lost = producer.give_up(group)
                batch.sent = None
                batch.groups.appendleft(in_order(group, lost.under_way + lost.unsent))
            raise
        batch.sent = None
        if len(failed) < len(group):
            batch.since = time.monotonic()
        if failed:
            self._put_back(batch, group, failed, producer)

    def _put_back(
        self,
        batch: _Batch,
        group: List[bytes],
        failed: List[Tuple[bytes, Any]],
        producer: KafkaProducer,
    ) -> None:
        """Have what was given up sent again, but not what the brokers never take.

        Raises:
            TransportError: it has to wait for that.
        """
        again = in_order(group, [payload for payload, _ in failed])
        if any(error.name() not in REFUSALS for _, error in failed):
            batch.groups.appendleft(again)
            raise TransportError(producer.name, producer.explain(failed[0][1]))
        if len(group) == 1:
            cause = REFUSALS[failed[0][1].name()]
            batch.refused[cause] = batch.refused.get(cause, 0) + 1
            batch.why = producer.explain(failed[0][1])
            return
        middle = (len(again) + 1) // 2  # halves, until the one that is refused is alone
        batch.groups.extendleft(part for part in (again[middle:], again[:middle]) if part)

    def look(self) -> None:
        """Hear what librdkafka has to say; only a write shows whether the brokers are there."""
        self._producer().serve()

    def is_current(self) -> bool:
        """Return whether a reopen() has to wait: what is held must stay with its producer."""
        return self.holds

    def stop(self) -> Optional[str]:
        """Give up what was not acknowledged; return None, or that there was some."""
        batch = self._batch
        self.finished = True
        if batch is None:
            return None
        self.close()
        return f"{len(batch.payloads)} records were not acknowledged in time"

    def close(self) -> None:
        """Give up what was not acknowledged, and find out what of it was sent."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        lost = GivenUp([], [])
        if batch.sent is not None:
            producer, group = batch.sent
            lost = producer.give_up(group)
        unsent = lost.unsent + [payload for group in batch.groups for payload in group]
        self.held = Held(len(batch.payloads), batch.refused, lost.under_way, unsent)

    def abandon(self) -> None:
        """Do nothing: the destination keeps the producer alive in a forked child."""
