"""A delivery with a spool: what cannot go on is stored, and sent once the collector is back.

The order of records is kept: first what the connection still holds of the direct way, then the
segments, the oldest first, then what is on the queue. Every wait of the connection goes on storing,
since `_Meanwhile` is called in each slice of it.
"""

from __future__ import annotations

import time
from typing import Callable, List, Optional

from ..diagnostics import Reporter
from ..spool.folder import SpoolFolder
from .delivery import Delivery
from .destination import Destination
from .options import Options
from .queue import RecordQueue
from .segment_outbox import SegmentOutbox
from .spool import Spool

__all__ = ["StoringDelivery"]

PAUSE = 0.05
"""Seconds between two looks, without a session, at how long and how much waits."""

STORE_SLICE = 0.01
"""Seconds between two looks while the connection waits: a queue that fills in some hundredths of a
second is stored in time."""

LAST_SHARE = 0.2
"""The share of close_timeout that is kept for storing what the collector has not taken."""


class _Meanwhile:
    """The `Until` of the connection's waits: goes on storing in each slice."""

    slice = STORE_SLICE

    def __init__(self, delivery: StoringDelivery) -> None:
        self._delivery = delivery
        # How often the last write has asked: more than once if it had to wait.
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        self._delivery.store_if_due()
        return self._delivery.until()


class StoringDelivery(Delivery):
    """Bring records from the queue to the destination, or to the spool and from there.

    Args:
        queue: where the records come from, and the books.
        destination: where they go to.
        options: the handler's arguments; with a spool.
        reporter: says what happens.
    """

    def __init__(
        self, queue: RecordQueue, destination: Destination, options: Options, reporter: Reporter
    ) -> None:
        super().__init__(queue, destination, options, reporter)
        assert options.spool is not None
        self._folder = SpoolFolder(
            options.spool,
            options.spool_bytes,
            [str(address) for address in options.addresses],
            options.max_frame_size,
        )
        limits = destination.batch_records, destination.batch_bytes
        self._spool = Spool(self._folder, queue, options, reporter, limits)
        # Taken from the queue for storing; they stay here while there is no room.
        self._unstored: List[bytes] = []
        # Since when records wait without a session, as far as a look has seen.
        self._waiting_since: Optional[float] = None
        self._waits = _Meanwhile(self)
        # Whether this drain waits for FINISH: not for a collector that has left one out.
        self._patient = True
        self._last_attempt_failed = False

    def prepare(self) -> None:
        """Check the spool's folder, too."""
        from ..capture import end  # noqa: F401 - before there is a thread that a fork interrupts

        self._folder.check()
        super().prepare()

    # -- for the thread that drives it ---------------------------------------------------------

    def turn(self) -> None:
        """Take the next step, or wait a little until there is one."""
        if not self._finished:
            self._spool.look(time.monotonic())
            self.store_if_due()
            self._note_hopelessness()
        super().turn()

    def _use_connection(self) -> None:
        connection = self.connection
        if connection.is_open:
            if not self._stopping:
                connection.change_for_better(self.until, self._waits)
            self._step()
            return
        if not self._choose():
            self._pause(PAUSE, self._called)
            return
        self._waits.asked = 0
        if not connection.open(self._waits):
            self._spool.recall()
            # At the end one attempt, but at each of several addresses.
            self._last_attempt_failed = self._stopping and self._backoff.due > time.monotonic()
            self._queue.full_because = "spool_full" if self._spool.full else None
            return
        self._waiting_since = None
        if isinstance(connection.outbox, SegmentOutbox):
            self._spool.began(connection.outbox)

    def _step(self) -> None:
        connection = self.connection
        if self.rollover_requested:
            self._roll_over()
        elif isinstance(connection.outbox, SegmentOutbox):
            self._drain(connection.outbox)
        else:
            self._send()
        if connection.is_open:
            self._spool.flushed(connection.sent)

    def _choose(self) -> bool:
        """Choose what the next session sends: one segment, or what comes directly.

        Returns:
            False: what is stored still grows, and comes first.
        """
        connection, spool, memory = self.connection, self._spool, self._outbox
        self._settle_segment()
        if memory.payloads and spool.waiting:
            self._store_memory()
        if memory.payloads or not spool.waiting:
            connection.outbox = memory
            self._patient = True
            return True
        segment = self._next_segment()
        if segment is not None:
            connection.outbox = segment
        return segment is not None

    def _next_segment(self) -> Optional[SegmentOutbox]:
        return self._spool.next(at_once=self._stopping or bool(self.flushing))

    def _send(self) -> None:
        """Send directly, but nothing new before the segments that wait."""
        spool, outbox = self._spool, self._outbox
        if not spool.waiting:
            self._queue.full_because = None
            outbox.payloads.extend(self._unstored)
            self._unstored = []
            self._waits.asked = 0
            super()._send()
        elif outbox.payloads:
            self._waits.asked = 0
            self.connection.write()
        elif self._next_segment() is None:
            self._pause(PAUSE, self._called)
            self.connection.look()
        else:
            self._patient = self.connection.end(self._patient)
            return
        if not self.connection.is_open:
            spool.recall()

    def _drain(self, segment: SegmentOutbox) -> None:
        """Send what comes next of a segment, or end its session."""
        if segment.fill():
            self.connection.write()
            if not self.connection.is_open:
                self._spool.recall()
            return
        self._patient = self.connection.end(self._patient)
        if segment.unread and not segment.finished:
            self._backoff.failed(time.monotonic())  # it broke, and may break again at once
        self._settle_segment()

    def _settle_segment(self) -> None:
        """Decide what becomes of the segment of the session that is over."""
        outbox = self.connection.outbox
        if isinstance(outbox, SegmentOutbox):
            self._spool.after_session(outbox, self.connection.sent)
            self.connection.outbox = self._outbox

    def done(self) -> bool:
        """Return whether a stop was asked for and there is nothing more to do before it."""
        if self.stop_at is None:
            return False
        if self._finished or self._backoff.exhausted or self._last_attempt_failed:
            return True
        if time.monotonic() >= self.until():
            return True
        return self.empty() and not self._spool.waiting and self._ready_to_stop()

    def empty(self) -> bool:
        """Return whether nothing is queued or in flight."""
        return super().empty() and not self._unstored

    def finish(self) -> None:
        """End the stream in order, store what is left, and give up what cannot be stored."""
        if self._finished:
            return
        self._finished = True
        try:
            self.connection.finish(self._waits)
        finally:
            self._settle_segment()
            self._spool.try_again()
            self._store_all()
            self._spool.close()
            self._give_up()
            self.say_sequence()

    def _note_hopelessness(self) -> None:
        """Have callers not wait for room once nothing is sent any more, and the spool is full."""
        hopeless = self._backoff.exhausted and self._spool.full
        if hopeless != self._queue.hopeless:
            self._queue.hopeless = hopeless
            self._queue.wake()

    def _gave_up(self) -> None:
        """Go on storing: only the attempts have an end."""

    def _give_up(self) -> None:
        self._outbox.payloads.extend(self._unstored)
        self._unstored = []
        super()._give_up()

    # -- waiting -------------------------------------------------------------------------------

    def until(self) -> float:
        """Return the monotonic time at which every wait must end: the rest is for storing."""
        stop_at = self.stop_at
        if stop_at is None:
            return self.give_up_at
        return min(stop_at - LAST_SHARE * self._options.close_timeout, self.give_up_at)

    def _pause(self, delay: float, interrupted: Callable[[], bool]) -> None:
        enough = 0 if self._is_filled() else self._enough()
        self._queue.wait(min(delay, PAUSE), lambda: interrupted() or self._may_flush(), enough)

    def _may_flush(self) -> bool:
        """Return whether somebody flushes, and what waits can be stored."""
        return bool(self.flushing) and self._spool.may_store and not self.empty()

    # -- storing -------------------------------------------------------------------------------

    def store_if_due(self) -> None:
        """Store what waits, if it waits too long or is too much."""
        if self._spool.may_store and self._is_due():
            self._store_all()

    def _is_due(self) -> bool:
        is_open = self.connection.is_open
        is_direct = is_open and self.connection.outbox is self._outbox
        if self.flushing and not is_direct and (is_open or self._has_tried()):
            return not self.empty()
        if self._is_filled():
            return not is_direct or self._waits.asked > 1
        if is_open or self.empty():
            self._waiting_since = None
            return False
        now = time.monotonic()
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since >= self._options.timeout

    def _has_tried(self) -> bool:
        """Return whether an attempt has failed, or waits: the first may well succeed at once."""
        return self._waits.asked > 1 or self._backoff.failures > 0 or self._backoff.exhausted

    def _is_filled(self) -> bool:
        """Return whether the queue is half full, or had no room for a large record.

        While the last segment is sent, three quarters count as half: what comes in meanwhile stays
        on the queue, or there would always be another segment.
        """
        queue = self._queue
        half = self._options.queue_bytes // 2
        return len(queue.queue) >= self._enough() or queue.held >= half or queue.lacked_room

    def _enough(self) -> int:
        size = self._options.queue_size
        is_drain = self.connection.is_open and self.connection.outbox is not self._outbox
        is_last = is_drain and self._spool.waiting == 1
        return max(1, size * 3 // 4 if is_last else size // 2)

    def _store_all(self) -> None:
        """Store all that waits, in order, as far as there is room."""
        if not self.connection.is_open and not self._store_memory():
            return
        while self._unstored or self._queue.queue:
            if not self._unstored:
                self._intake.take(self._unstored)
            if self._unstored and not self._spool.store(self._unstored):
                return
            self._unstored = []
        self._waiting_since = None

    def _store_memory(self) -> bool:
        """Store what the direct way still has, before all that is stored; return whether it is."""
        memory = self._outbox
        if memory.payloads:
            if not self._spool.store(memory.payloads, memory.again, ahead=True):
                return False
            memory.clear()
        return True
