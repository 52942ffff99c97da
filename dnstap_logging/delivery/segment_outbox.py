"""What one session of a drain sends: the frames of one segment of the spool, and their books.

Belongs to whoever drives the delivery, as `Outbox`, in whose place it stands for that session.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, List, Mapping, Optional, Sequence, Tuple

from ..framestream.frames import LENGTH
from ..spool.segment import Segment, SegmentDamaged
from .destination import NOTHING, Held, Unread
from .outbox import MOST_ROUNDS, Outbox
from .queue import RecordQueue

__all__ = ["SegmentOutbox"]

NOT_YET = 1 << 62  # an offset beyond every segment


class SegmentOutbox(Outbox):
    """Read the frames of a segment, in order, and book what became of them.

    Frames are known by their offsets, which rise: those before `written_to` are booked as written,
    those from there on to `known_to` as stored, and those behind are found when they are read.

    Args:
        queue: the books.
        segment: locked by this process.
        max_frame_size: bytes of the largest payload that the collector takes.
        limits: most records, and bytes of payload, of one write.

    Attributes:
        segment: as above.
        payloads: read, and to be written next.
        stored: how many of its records are booked as stored, as `Stats.spooled` counts them.
        at: the offset of the first frame that may have to be sent.
        unread: how many frames, from there on, were sent and may not have been read.
        to_resend: how many frames that are booked as written have to be sent again.
        finished: whether the last session was ended in order.
        damage: what keeps it from being read to its end.
    """

    def __init__(
        self, queue: RecordQueue, segment: Segment, max_frame_size: int, limits: Tuple[int, int]
    ) -> None:
        super().__init__(queue)
        self.segment = segment
        self._max_frame_size = max_frame_size
        self._limits = limits
        self.stored = 0
        self.at = self._written_to = self._known_to = segment.FIRST
        self.unread = self.to_resend = 0
        self.finished = False
        self.damage: Optional[SegmentDamaged] = None
        # Where the segment ends, once this session has come there.
        self._end = NOT_YET
        # Where the next read begins, and the end of what this session has sent.
        self._read_to = self._sent_to = segment.FIRST
        # Of this session's writes: where each began, and its frames.
        self._writes: Deque[Tuple[int, int]] = deque()
        self._last_at = -1

    # -- storing -------------------------------------------------------------------------------

    def append(self, payloads: Sequence[bytes], again: int = 0) -> None:
        """Store frames behind the others, and book them.

        Args:
            payloads: of records in flight.
            again: how many of them, from the front, are booked as written; only in a new segment.

        Raises:
            TransportError: nothing was stored.
        """
        self.segment.append(payloads)
        self._known_to = self.segment.end
        if again:
            self._written_to += sum(map(len, payloads[:again])) + LENGTH.size * again
        new = len(payloads) - again
        self.to_resend += again
        self.stored += new
        self._queue.settle(spooled=new)

    # -- sending -------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a session: what the last one came to is to be read again."""
        self.damage = None
        self._end = NOT_YET

    def fill(self) -> bool:
        """Read the next frames if all before them were written; return whether there are any."""
        while not self.payloads and self.damage is None:
            try:
                payloads, after = self.segment.read(self._read_to, *self._limits)
            except SegmentDamaged as damage:
                self.damage = damage
                payloads = []
            if not payloads:
                self._end = self._read_to
                break
            self._take(payloads, after)
        return bool(self.payloads)

    def _take(self, payloads: List[bytes], after: int) -> None:
        """Book frames as read; those that are too large for the collector are passed by."""
        start, at, large = self._read_to, self._read_to, -1
        own = found = 0
        for number, payload in enumerate(payloads):
            if len(payload) > self._max_frame_size:
                large = number
                break
            if at >= self._known_to:
                found += 1
            elif at >= self._written_to:
                own += 1
            at += LENGTH.size + len(payload)
        if large == 0:
            self._pass_by(start, start + LENGTH.size + len(payloads[0]))
            return
        self.payloads = payloads if large < 0 else payloads[:large]
        self._read_to = after if large < 0 else at
        self._known_to = max(self._known_to, self._read_to)
        self.stored -= own
        self._queue.read_back(own, found)

    def _pass_by(self, start: int, after: int) -> None:
        """Drop one frame as too large for the collector."""
        if start >= self._written_to:
            own = start < self._known_to
            self.stored -= own
            self._queue.read_back(own, not own)
            self._queue.settle(dropped={"too_large": 1}, read_back=True)
        self._read_to = self._sent_to = after
        self._known_to = max(self._known_to, after)
        self._written_to = max(self._written_to, after)

    def wrote(
        self, payloads: Sequence[bytes], size: int, refused: Mapping[str, int] = NOTHING
    ) -> None:
        """Remove and book the first payloads; those that were written before, as resent."""
        del self.payloads[: len(payloads)]
        self._writes.append((self._sent_to, len(payloads)))
        again, at = 0, self._sent_to
        while again < len(payloads) and at < self._written_to:
            at += LENGTH.size + len(payloads[again])
            again += 1
        size -= at - self._sent_to
        self._sent_to = at + size
        self._written_to = max(self._written_to, self._sent_to)
        if again:
            self.to_resend = max(0, self.to_resend - again)
            self._queue.book(resent=again)
        written = len(payloads) - again - sum(refused.values())
        self._queue.settle(written, size, dropped=refused, read_back=True)

    # -- the end of a session ------------------------------------------------------------------

    def part(self, held: Held) -> None:
        """Leave all of it in the segment: its frames are known by their place."""

    def left(self, unread: Unread, finished: bool) -> int:
        """Note how far a session came that is over; its records go out again from the disk.

        Args:
            unread: of the session.
            finished: whether it was ended in order: then a collector leaves FINISH out.

        Returns:
            How many records will not go out again, and may not have been read.
        """
        self._return_payloads()
        self.finished = finished
        self.unread = len(unread.frames) + unread.lost_sight
        self.at = self._offset_of(unread)
        self._writes.clear()
        self.passed_by = 0
        if self.unread and not finished:
            self._rounds = self._rounds + 1 if self.at == self._last_at else 1
            self._last_at = self.at
            if self._rounds > MOST_ROUNDS:
                self.passed_by, self.unread, self.at = self.unread, 0, self._sent_to
        self.to_resend += self.unread
        self._read_to = self._sent_to = self.at
        return self.passed_by

    def _return_payloads(self) -> None:
        """Leave what was read and not written in the segment after all."""
        at, new = self._sent_to, 0
        for payload in self.payloads:
            new += at >= self._written_to
            at += LENGTH.size + len(payload)
        self.payloads = []
        self.stored += new
        self._queue.settle(spooled=new, read_back=True)

    def _offset_of(self, unread: Unread) -> int:
        """Return the offset of the first frame that may be unread, or of the write with it."""
        at, left = self._sent_to, unread.lost_sight
        if not left:
            return at - sum(map(len, unread.frames)) - LENGTH.size * len(unread.frames)
        left += len(unread.frames)
        while left > 0 and self._writes:
            at, frames = self._writes.pop()
            left -= frames
        return at

    @property
    def sent_to_end(self) -> bool:
        """Whether the last session has sent it to its end."""
        return self._end != NOT_YET

    @property
    def all_sent(self) -> bool:
        """Whether nothing of the segment has to be sent any more."""
        return self.at >= self._end

    def leave_unconfirmed(self) -> None:
        """Book what will not be sent again although it may not have been read."""
        self._queue.book(unconfirmed=self.to_resend)
        self.to_resend = 0

    def lose(self) -> int:
        """Book what is left in a segment that is lost; return how many records that is at least."""
        number = self.stored
        found = int(self.segment.found)  # how many more there were, nobody can say
        self.stored = 0
        self.leave_unconfirmed()
        self._queue.read_back(number, found)
        self._queue.settle(dropped={"spool_lost": number + found}, read_back=True)
        return number + found
