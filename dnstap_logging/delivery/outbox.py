"""The frames under way: taken from the queue, and not yet handed whole to the destination.

Belongs to whoever drives the delivery, which is the writer thread. Other threads only ask whether
it is empty.
"""

from __future__ import annotations

from typing import List, Mapping, Optional, Sequence

from ..framestream.frames import LENGTH
from .destination import NOTHING, Held, Unread
from .queue import RecordQueue

__all__ = ["MOST_ROUNDS", "Outbox"]

MOST_ROUNDS = 4
"""How many sessions in a row may end with the same frame unread before it is not sent again: one of
those behind it may be what makes the collector end them, and would do so for ever."""


class Outbox:
    """Hold payloads until they are written, in order, and book what became of them.

    Args:
        queue: the books.

    Attributes:
        payloads: what is to be written next. New ones are added at its end.
        again: how many payloads, from the front, were booked as written in an earlier session.
        passed_by: how many records will not go out again since too many sessions ended with them,
            the last one among these.
    """

    def __init__(self, queue: RecordQueue) -> None:
        self._queue = queue
        self.payloads: List[bytes] = []
        self.again = self.passed_by = 0
        self._first_unread: Optional[bytes] = None
        self._rounds = 0

    def wrote(
        self, payloads: Sequence[bytes], size: int, refused: Mapping[str, int] = NOTHING
    ) -> None:
        """Remove and book the first payloads; those that were written before, as resent.

        Args:
            payloads: whose frames were taken whole.
            size: bytes of the frames.
            refused: how many of them will never be taken, by cause.
        """
        del self.payloads[: len(payloads)]
        again = min(len(payloads), self.again)
        if again:
            self.again -= again
            framing = size - sum(map(len, payloads))  # the same for each frame
            size -= sum(map(len, payloads[:again])) + framing * again // len(payloads)
            self._queue.book(resent=again)
        written = len(payloads) - again - sum(refused.values())
        self._queue.settle(written, size, dropped=refused)

    def left(self, unread: Unread, finished: bool) -> int:
        """Put what may not have been read in a session that is over before all that is pending.

        Args:
            unread: of the session.
            finished: whether its stream was ended with STOP and nobody said that it broke.

        Returns:
            How many records will not go out again, and may not have been read.
        """
        frames = unread.frames
        self.passed_by = 0 if self._worth_a_round(frames) else len(frames)
        if self.passed_by:
            return unread.lost_sight + len(frames)
        self.payloads[:0] = frames
        self.again += len(frames)
        return unread.lost_sight

    def part(self, held: Held) -> None:
        """Book a write that had not ended, and keep what may have to go out again."""
        payloads = self.payloads[: held.frames]
        unsent = sum(map(len, held.unsent)) + LENGTH.size * len(held.unsent)
        refused = sum(held.refused.values())
        acknowledged = held.frames - len(held.under_way) - len(held.unsent) - refused
        self._queue.book(confirmed=acknowledged)
        self._queue.settle(
            acknowledged + len(held.under_way),
            sum(map(len, payloads)) + LENGTH.size * len(payloads) - unsent,
            dropped=held.refused,
        )
        self.payloads[: held.frames] = held.under_way + held.unsent
        self.again = len(held.under_way)

    def _worth_a_round(self, frames: List[bytes]) -> bool:
        """Return whether frames go out again; not if the first of them ended too many sessions."""
        first = frames[0] if frames else None
        self._rounds = self._rounds + 1 if first is not None and first is self._first_unread else 1
        self._first_unread = first
        return self._rounds <= MOST_ROUNDS

    def clear(self) -> None:
        """Forget the payloads, which the spool has now."""
        self.payloads = []
        self.again = 0

    def give_up(self, cause: str) -> int:
        """Drop everything, for this cause; return how many records are lost with that.

        What was written before is booked already: whether it was read stays unknown.
        """
        given_up = len(self.payloads) - self.again
        if self.again:
            self._queue.book(unconfirmed=self.again)
            self.again = 0
        self.payloads.clear()
        if given_up:
            self._queue.settle(dropped={cause: given_up})
        return given_up
