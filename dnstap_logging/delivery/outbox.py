"""The frames under way: taken from the queue, and not yet handed whole to the destination.

Belongs to whoever drives the delivery, which is the writer thread. Other threads only ask whether
it is empty.
"""

from __future__ import annotations

from typing import List, Sequence

from .queue import RecordQueue

__all__ = ["Outbox"]


class Outbox:
    """Hold payloads until they are written, in order, and book what became of them.

    Args:
        queue: the books.

    Attributes:
        payloads: what is to be written next. New ones are added at its end.
    """

    def __init__(self, queue: RecordQueue) -> None:
        self._queue = queue
        self.payloads: List[bytes] = []
        # How many payloads, from the front, were booked as written in an earlier session.
        self._again = 0

    def wrote(self, payloads: Sequence[bytes], size: int) -> None:
        """Remove and book the first payloads; those that were written before, as resent.

        Args:
            payloads: whose frames were taken whole.
            size: bytes of the frames.
        """
        del self.payloads[: len(payloads)]
        again = min(len(payloads), self._again)
        if again:
            self._again -= again
            framing = size - sum(map(len, payloads))  # the same for each frame
            size -= sum(map(len, payloads[:again])) + framing * again // len(payloads)
            self._queue.book(resent=again)
        self._queue.settle(written=len(payloads) - again, size=size)

    def put_back(self, payloads: Sequence[bytes]) -> None:
        """Put what may not have been read in the last session before all that is pending."""
        self.payloads[:0] = payloads
        self._again += len(payloads)

    def give_up(self, cause: str) -> int:
        """Drop everything, for this cause; return how many records are lost with that.

        What was written before is booked already: whether it was read stays unknown.
        """
        given_up = len(self.payloads) - self._again
        if self._again:
            self._queue.book(unconfirmed=self._again)
            self._again = 0
        self.payloads.clear()
        if given_up:
            self._queue.settle(dropped={cause: given_up})
        return given_up
