"""The segments that a delivery has in its spool: in which order, and what becomes of them.

Belongs to whoever drives the delivery. `storing` decides when something is stored and sent.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Deque, List, Optional, Tuple

from ..diagnostics import Reporter
from ..exceptions import PeerClosed, TransportError
from ..framestream.frames import LENGTH, STOP
from ..spool.folder import SpoolFolder
from ..spool.segment import Segment
from .options import Options
from .queue import RecordQueue
from .segment_outbox import SegmentOutbox

__all__ = ["Spool"]

LOOK_INTERVAL = 10.0
"""Seconds between two looks into the folder: for segments that nobody has, and deleted ones."""

FULL_INTERVAL = 0.5
"""Seconds after which a full spool, or disk, is tried again."""

SMALL_SEGMENT = 64 * 1024
"""Bytes of a segment that is not worth a session of its own while it still grows: one write. Where
segments are smaller than that, half of one."""

GROWING = 0.1
"""Seconds for which a small segment may grow: as long as some sessions take."""


DELETED = "it was deleted or moved away"


class Spool:
    """Store records in segments, hand these out in order, and delete them.

    Args:
        folder: where they lie.
        queue: the books.
        options: the handler's arguments.
        reporter: says what happens.
        limits: most records, and bytes of payload, of one write to a collector.
    """

    def __init__(
        self,
        folder: SpoolFolder,
        queue: RecordQueue,
        options: Options,
        reporter: Reporter,
        limits: Tuple[int, int],
    ) -> None:
        self._folder = folder
        self._queue = queue
        self._options = options
        self._reporter = reporter
        self._limits = limits
        # To be sent, the oldest first. All are locked by this process.
        self._waiting: Deque[SegmentOutbox] = deque()
        # The last one while it still grows, and since when it does.
        self._tail: Optional[SegmentOutbox] = None
        self._tail_since = 0.0
        # Sent whole, without a FINISH. Each goes once so many bytes were sent in all: what was
        # kept to be sent again was of later records by then.
        self._unconfirmed: Deque[Tuple[SegmentOutbox, int]] = deque()
        self._next_look = 0.0
        self._full_until = 0.0
        self._size = 0
        # Whether there was no room when it was last tried.
        self.full = False

    @property
    def waiting(self) -> int:
        """How many segments wait to be sent."""
        return len(self._waiting)

    @property
    def may_store(self) -> bool:
        """Whether it is worth a try: a full one is tried again after a while."""
        return not self.full or time.monotonic() >= self._full_until

    def try_again(self) -> None:
        """Try a full one again at once."""
        self._full_until = 0.0

    # -- storing -------------------------------------------------------------------------------

    def store(self, payloads: List[bytes], again: int = 0, ahead: bool = False) -> bool:
        """Store records in flight and book them; return whether there was room.

        Args:
            payloads: of the records.
            again: how many of them, from the front, are booked as written: they begin a segment.
            ahead: before all that waits, instead of behind it.
        """
        if not self.may_store:
            return False
        need = sum(map(len, payloads)) + LENGTH.size * len(payloads) + len(STOP)
        try:
            if self._folder.room() < need:
                self._is_full(f"it holds spool_bytes={self._options.spool_bytes}")
                return False
            for attempt in range(2):
                target = self._begin(ahead) if ahead or again else self._tail or self._begin(False)
                try:
                    target.append(payloads, again)
                except PeerClosed:
                    self._lose(target, DELETED)
                    if attempt:
                        raise
                else:
                    break
        except TransportError as error:
            self._leave_empty()
            self._is_full(error.reason)
            return False
        if target is not self._tail:
            target.segment.stop()
        elif target.segment.end >= self._folder.segment_bytes:
            self._stop_tail()
        self.full = False
        self._queue.full_because = None
        self._book_size()
        return True

    def _begin(self, ahead: bool) -> SegmentOutbox:
        """Begin a segment: the new last one, or before all others."""
        if ahead and self._waiting:
            segment = self._folder.create(before=self._waiting[0].segment)
            outbox = self._outbox_of(segment)
            self._waiting.appendleft(outbox)
            return outbox
        self._stop_tail()
        if not self._waiting:
            text = f"records are stored in {self._folder.path}"
            self._reporter.report("storing", logging.INFO, text)
        self._tail = self._outbox_of(self._folder.create())
        self._tail_since = time.monotonic()
        self._waiting.append(self._tail)
        return self._tail

    def _leave_empty(self) -> None:
        """Delete a segment that was begun before all others, and took nothing."""
        head = self._waiting[0] if self._waiting else None
        if head is None or head is self._tail or head.segment.found:
            return
        if head.segment.end == head.segment.FIRST:
            self._waiting.popleft().segment.delete()

    def _outbox_of(self, segment: Segment) -> SegmentOutbox:
        return SegmentOutbox(self._queue, segment, self._options.max_frame_size, self._limits)

    def _stop_tail(self) -> None:
        tail, self._tail = self._tail, None
        if tail is not None:
            tail.segment.stop()

    def _is_full(self, why: str) -> None:
        self.full = True
        self._full_until = time.monotonic() + FULL_INTERVAL
        self._queue.full_because = "spool_full"
        text = f"nothing can be stored in {self._folder.path}: {why}"
        self._queue.book(last_error=text)
        self._reporter.report("spool full", logging.WARNING, text)

    # -- sending -------------------------------------------------------------------------------

    def next(self, at_once: bool) -> Optional[SegmentOutbox]:
        """Return what is to be sent next; None: nothing, or what is there still grows.

        Args:
            at_once: even if it still grows.
        """
        if not self._waiting:
            return None
        head = self._waiting[0]
        if head is self._tail:
            young = time.monotonic() - self._tail_since < GROWING
            useful = min(SMALL_SEGMENT, self._folder.segment_bytes // 2)
            if young and head.segment.end < useful and not at_once:
                return None
        return head

    def began(self, outbox: SegmentOutbox) -> None:
        """Store nothing more in a segment, now that its session has begun."""
        outbox.begin()
        if outbox is self._tail:
            self._stop_tail()

    def after_session(self, outbox: SegmentOutbox, sent: int) -> None:
        """Decide what becomes of a segment whose session is over.

        Args:
            outbox: of the session.
            sent: bytes that were sent in all sessions.
        """
        left_out = outbox.finished and outbox.unread and outbox.sent_to_end
        if outbox not in self._waiting or not (outbox.all_sent or left_out):
            return
        self._waiting.remove(outbox)
        if outbox.unread:
            self._unconfirmed.append((outbox, sent + self._options.resend_bytes))
        else:
            self._remove(outbox)
        self.adopt_next()

    def flushed(self, sent: int) -> None:
        """Delete segments without a FINISH, now that so many bytes were sent in all."""
        while self._unconfirmed and sent >= self._unconfirmed[0][1]:
            outbox, _ = self._unconfirmed.popleft()
            outbox.leave_unconfirmed()
            self._remove(outbox)

    def recall(self) -> None:
        """Have what was not confirmed sent again: the collector has gone."""
        while self._unconfirmed:
            outbox, _ = self._unconfirmed.pop()
            self._waiting.appendleft(outbox)

    def _remove(self, outbox: SegmentOutbox) -> None:
        if outbox.damage is None:
            outbox.segment.delete()
        else:
            self._lose(outbox, str(outbox.damage))
        if not self._waiting:
            text = f"nothing is left in {self._folder.path}, records are sent directly"
            self._reporter.report("sent directly", logging.INFO, text)
        self._book_size()

    def _lose(self, outbox: SegmentOutbox, why: str) -> None:
        """Give up what cannot be read any more of a segment, and say so once."""
        if outbox in self._waiting:
            self._waiting.remove(outbox)
        if outbox is self._tail:
            self._tail = None
        number = outbox.lose()
        kept = "" if not outbox.segment.is_there() else outbox.segment.set_aside()
        outbox.segment.delete()
        text = f"{outbox.segment.path}: {why}; {_number(number, outbox)} of its records are lost"
        if kept:
            text += f"; it is kept as {kept}"
        self._queue.book(last_error=text)
        self._reporter.report("spool lost", logging.WARNING, text)

    # -- the folder ----------------------------------------------------------------------------

    def look(self, now: float) -> None:
        """Look into the folder if it is time to: for deleted segments, and for some to adopt."""
        if now < self._next_look:
            return
        self._next_look = now + LOOK_INTERVAL
        for outbox in list(self._waiting):
            if not outbox.segment.is_there():
                self._lose(outbox, DELETED)
        self._folder.look()
        self._adopt()
        self._book_size()

    def _adopt(self) -> None:
        if not self._waiting:
            segment = self._folder.adopt()
            if segment is not None:
                self._waiting.append(self._outbox_of(segment))

    def adopt_next(self) -> None:
        """Take the next segment that nobody has, once there is none of our own."""
        if not self._waiting:
            self._adopt()

    def _book_size(self) -> None:
        size = self._folder.size
        self._queue.book(spooled_bytes=size - self._size)
        self._size = size

    def close(self) -> None:
        """Leave what waits for the next process; what was only not confirmed is deleted."""
        self._tail = None
        while self._unconfirmed:
            outbox, _ = self._unconfirmed.popleft()
            outbox.leave_unconfirmed()
            self._remove(outbox)
        while self._waiting:
            self._waiting.popleft().segment.release()
        self._book_size()


def _number(lost: int, outbox: SegmentOutbox) -> str:
    """Return how many are lost; of a segment that was found, nobody knows."""
    return f"{lost} or more" if outbox.segment.found else str(lost)
