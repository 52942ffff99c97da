"""What the writer thread does, one turn at a time: connect, take, encode, write, account.

Ownership: whoever drives a delivery owns its writer, its pending frames and its encoder, and
nobody else touches them. That is the writer thread; where no thread can run (interpreter
shutdown), it is the thread that flushes or closes. Other threads only set the plain attributes
``stop_at``, ``give_up_at`` and ``reopen_requested`` and wake the queue.
"""

from __future__ import annotations

import logging
import math
import time
from typing import Dict, List, Optional

from .backoff import Backoff
from .destination import Destination
from .diagnostics import Reporter
from .encoding import Encoder
from .exceptions import FrameStreamError, InvalidMessage, MessageTooLarge, TransportError
from .losses import LossReport
from .message import Problem, Snapshot, check
from .options import Options
from .record_queue import RecordQueue
from .shorten import describe_error
from .writer import PeerClosed, WriteError, Writer

__all__ = ["Delivery"]

STABLE_SESSION = 5.0
"""Seconds after which a session without a handshake counts as a good one: a peer that takes and
drops connections is called less and less often."""

IDLE_INTERVAL = 0.5
"""Seconds between two looks at an idle connection, and the longest that a reopen() from a signal
handler can go unnoticed."""

MAX_BATCH_RECORDS = 256
"""Records encoded in one go: a few milliseconds, below the interpreter's switch interval, so that
a server's threads are not held up."""

MAX_BATCH_BYTES = 64 * 1024
"""Bytes of payload taken in one go: one write that a socket's buffer usually takes whole."""


class Delivery:
    """Bring records from the queue to the destination.

    Args:
        queue: where the records come from, and the books.
        destination: opens the writers.
        options: the handler's arguments.
        reporter: says what happens.
    """

    def __init__(
        self, queue: RecordQueue, destination: Destination, options: Options, reporter: Reporter
    ) -> None:
        self._queue = queue
        self._destination = destination
        self._options = options
        self._reporter = reporter
        self.losses = LossReport(queue)
        self._encoder = Encoder(
            options.identity, options.version, options.full, options.max_frame_size
        )
        self._backoff = Backoff(
            options.reconnect_interval,
            options.max_reconnect_interval,
            options.max_reconnect_attempts,
        )
        self._writer: Optional[Writer] = None
        self._pending: List[bytes] = []
        self._session_records = 0
        self._session_began = 0.0
        self._stopping = False
        self._finished = False
        # Set by other threads, plain attributes because a signal handler may set them.
        self.stop_at: Optional[float] = None
        self.give_up_at: Optional[float] = None
        self.reopen_requested = False

    # -- for the thread that drives it ---------------------------------------------------------

    def turn(self) -> None:
        """Do the next thing there is to do, or wait a little for one."""
        if self.reopen_requested:
            self._reopen()
        if self.stop_at is not None and not self._stopping:
            self._stopping = True
            self._backoff.due = 0.0  # the collector may be back: try once more at once
        if self._wait_for_attempt():
            return
        if self._writer is None and not self._connect():
            return
        if not self._pending and not self._gather():
            self._look()
        if self._pending:
            self._write()

    def done(self) -> bool:
        """Tell whether a stop was asked for and there is nothing more to do before it."""
        if self.stop_at is None:
            return False
        return (
            self._finished
            or self.empty()
            or self._backoff.exhausted
            or time.monotonic() >= self.stop_at
        )

    def empty(self) -> bool:
        """Tell whether nothing is queued or in flight."""
        return not self._pending and not self._queue.queue

    def finish(self) -> None:
        """End the stream in order, and give up what is left; once and for all."""
        if self._finished:
            return
        self._finished = True
        if self._writer is None and self._destination.prepared:
            self._connect()  # a capture without records is START and STOP, not an empty file
        self._end_session()
        self._destination.release()
        self._give_up("disconnected")

    def broke(self, error: BaseException) -> None:
        """Go on after an error that nobody expected: the connection's state is unknown."""
        self._lost(
            TransportError(str(self._options.address), f"internal error: {describe_error(error)}")
        )

    def abandon(self, pid: int) -> Destination:
        """Let go of everything inherited across a fork; return the child's destination."""
        if self._writer is not None:
            self._writer.abandon()
        return self._destination.for_child(pid)

    # -- connecting ----------------------------------------------------------------------------

    def _until(self) -> float:
        """Return the monotonic time at which every wait must end."""
        stop_at, give_up_at = self.stop_at, self.give_up_at
        return min(
            math.inf if stop_at is None else stop_at,
            math.inf if give_up_at is None else give_up_at,
        )

    def _wait_for_attempt(self) -> bool:
        """Wait until an attempt is due; tell whether there was a wait: then look around again."""
        now = time.monotonic()
        if self._backoff.exhausted:
            delay = IDLE_INTERVAL
        else:
            delay = min(self._backoff.due, self._until()) - now
        if delay <= 0:
            return False
        stop_at = self.stop_at
        self._queue.wait(
            min(delay, IDLE_INTERVAL),
            lambda: self.reopen_requested or self.stop_at is not stop_at,
            records=False,
        )
        return True

    def _connect(self) -> bool:
        """Open a writer and shake hands; tell whether frames can be written."""
        writer = None
        try:
            writer = self._destination.open(self._until)
            writer.start()
        except (TransportError, FrameStreamError) as error:
            self._attempt_failed(error)
            return False
        else:
            self._writer = writer
        finally:
            if self._writer is None and writer is not None:
                writer.close()
        if self._options.bidirectional or self._destination.is_file:
            self._backoff.reset()  # otherwise nothing has shown yet that somebody listens
        self._backoff.due = 0.0
        self._session_records = 0
        self._session_began = time.monotonic()
        self._queue.book(connects=1, connected=True)
        word = "opened" if self._destination.is_file else "connected"
        self._reporter.report("connected", logging.INFO, word)
        return True

    def _attempt_failed(self, error: Exception) -> None:
        self._backoff.failed(time.monotonic())
        text = self._describe(error)
        self._queue.book(last_error=text)
        self._reporter.report(
            f"attempt: {type(error).__name__}", logging.WARNING, lambda: self._while_waiting(text)
        )
        if self._backoff.exhausted:
            self._no_more_attempts()

    def _while_waiting(self, text: str) -> str:
        """Return a failure's text, with how many records wait for it to end."""
        waiting = self._queue.snapshot().queued
        return f"{text} ({waiting} record{'' if waiting == 1 else 's'} waiting)"

    def _no_more_attempts(self) -> None:
        self._queue.shut("no_sink")
        self._give_up("disconnected")
        self._reporter.report(
            "gave up",
            logging.WARNING,
            f"gave up after max_reconnect_attempts={self._options.max_reconnect_attempts}; "
            f"reopen() tries again",
        )

    def _describe(self, error: Exception) -> str:
        """Return an error's text without the address, which the reporter puts before it."""
        if isinstance(error, TransportError):
            return error.reason
        return str(error)

    # -- records -------------------------------------------------------------------------------

    def _gather(self) -> bool:
        """Take and encode what has gathered; tell whether anything is to be written."""
        if not self._queue.wait(IDLE_INTERVAL if self.stop_at is None else 0.0, self._called):
            return False
        self._encode(self._queue.take(MAX_BATCH_RECORDS, MAX_BATCH_BYTES))
        return bool(self._pending)

    def _called(self) -> bool:
        return self.reopen_requested or self.stop_at is not None

    def _encode(self, batch: List[Snapshot]) -> None:
        """Make frames of the records; what cannot be a message is dropped and counted."""
        problems: List[Problem] = []
        dropped: Dict[str, int] = {}
        left = len(batch)
        try:
            for snapshot in batch:
                left -= 1
                try:
                    self._pending.append(self._encoder.encode(check(snapshot, problems), problems))
                except MessageTooLarge as error:
                    self._refuse(dropped, "too_large", str(error))
                except InvalidMessage as error:
                    self._refuse(dropped, "invalid", str(error))
                except BaseException as error:
                    self._refuse(dropped, "invalid", f"internal error: {describe_error(error)}")
                    if not isinstance(error, (Exception, SystemExit)):
                        raise
        finally:
            if left:  # what stops the thread itself: Ctrl-C where it is the main thread's
                dropped["invalid"] = dropped.get("invalid", 0) + left
            if dropped:
                self._queue.settle(dropped=dropped)
        if problems:
            self._queue.book(invalid_fields=len(problems))
            for kind, text in problems:
                self._reporter.report(f"field {kind}", logging.WARNING, text)

    def _refuse(self, dropped: Dict[str, int], cause: str, text: str) -> None:
        dropped[cause] = dropped.get(cause, 0) + 1
        self._reporter.report(cause, logging.WARNING, f"record dropped ({cause}): {text}")

    def _write(self) -> None:
        """Write the pending frames; those that were not taken whole stay pending."""
        assert self._writer is not None
        try:
            size = self._writer.write(self._pending)
        except WriteError as error:
            self._wrote(error.frames, error.size)
            self._lost(error.cause)
        except (TransportError, FrameStreamError) as error:
            self._lost(error)
        else:
            self._wrote(len(self._pending), size)
            if self._backoff.failures and self._destination.is_file:
                self._backoff.reset()  # there is room again

    def _wrote(self, frames: int, size: int) -> None:
        del self._pending[:frames]
        self._session_records += frames
        self._queue.settle(written=frames, size=size)

    # -- the end of a session ------------------------------------------------------------------

    def _look(self) -> None:
        """Notice while idle that the peer closed, or that the file was moved away."""
        if self._writer is not None:
            try:
                self._writer.look()
            except (TransportError, FrameStreamError) as error:
                self._lost(error)

    def _lost(self, error: Exception) -> None:
        """Account for a session that broke; the pending frames go out again on the next."""
        text = self._describe(error)
        orderly = isinstance(error, PeerClosed)
        self._queue.book(last_error=text)
        if self._destination.is_file and not orderly:
            # A file that cannot take more, a full disk, is still the same file, whole up to its
            # last frame: keep it, and try again after a while.
            self._backoff.failed(time.monotonic())
            self._reporter.report("write", logging.WARNING, f"cannot write: {text}")
        else:
            level = logging.INFO if orderly else logging.WARNING
            self._reporter.report(f"lost: {type(error).__name__}", level, f"session ended: {text}")
            self._leave_session()
        if self._backoff.exhausted:
            self._no_more_attempts()

    def _leave_session(self) -> None:
        """Close a session that is over, and decide when the next one may begin."""
        if self._writer is not None:
            if self._destination.is_file:
                self._writer.stop()  # the moved file gets its STOP
            self._forget_writer(disconnects=1)
        now = time.monotonic()
        if self._destination.is_file:
            self._backoff.reset()
        elif self._options.bidirectional or now - self._session_began >= STABLE_SESSION:
            self._backoff.reset()
            self._backoff.lost(now)
        else:
            self._backoff.failed(now)

    def _forget_writer(self, disconnects: int, confirmed: bool = False) -> None:
        """Close the writer and book the end of its session."""
        assert self._writer is not None
        self._writer.close()
        self._writer = None
        unconfirmed = 0 if confirmed or self._destination.is_file else self._session_records
        self._queue.book(connected=False, disconnects=disconnects, unconfirmed=unconfirmed)

    def _end_session(self) -> None:
        """STOP, FINISH and close, if a session is open."""
        if self._writer is None:
            return
        problem = self._writer.stop()
        confirmed = problem is None and self._options.bidirectional  # else nobody sends FINISH
        self._forget_writer(disconnects=0, confirmed=confirmed)
        text = "stream ended" if problem is None else f"stream ended without FINISH: {problem}"
        self._reporter.report("ended", logging.INFO, text)

    def _reopen(self) -> None:
        """End the session in order and begin a new one; revive a delivery that gave up."""
        self.reopen_requested = False
        if self._backoff.exhausted and self.stop_at is None:
            self._queue.shut(None)
        self._backoff.reset()
        self._destination.release_if_moved()
        if self._destination.is_file and not self._moved():
            return  # the path still names the open file: the stream goes on
        self._end_session()

    def _moved(self) -> bool:
        if self._writer is None:
            return False
        try:
            self._writer.look()
        except TransportError:
            return True
        return False

    def _give_up(self, cause: str) -> None:
        """Drop all that is pending and queued."""
        given_up = len(self._pending)
        if given_up:
            self._pending.clear()
            self._queue.settle(dropped={cause: given_up})
        given_up += self._queue.discard(cause)
        if given_up:
            self._reporter.report("drops", logging.WARNING, self.losses)
