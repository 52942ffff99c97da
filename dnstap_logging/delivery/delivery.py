"""What the writer thread does, one turn at a time: connect, take, encode, write, book.

Ownership: whoever drives a delivery owns its connection, its outbox and its intake, and
nobody else touches them. That is the writer thread; where no thread can run (interpreter
shutdown), it is the thread that flushes or closes. Other threads only set the plain attributes
``stop_at``, ``give_up_at``, ``reopen_requested`` and ``rollover_requested`` and wake the queue.
"""

from __future__ import annotations

import logging
import math
import time
from typing import Callable, Optional, Set

from ..diagnostics import Reporter
from ..exceptions import TransportError
from ..shorten import describe_error
from .connection import Connection
from .destination import Destination
from .intake import Intake
from .losses import LossReport
from .options import Options
from .outbox import Outbox
from .queue import RecordQueue

__all__ = ["Delivery"]

IDLE_INTERVAL = 0.5
"""Seconds between two looks at an idle connection, and the longest that a reopen() from a signal
handler can go unnoticed."""


class Delivery:
    """Bring records from the queue to the destination.

    Args:
        queue: where the records come from, and the books.
        destination: where they go to.
        options: the handler's arguments.
        reporter: says what happens.
    """

    def __init__(
        self,
        queue: RecordQueue,
        destination: Destination,
        options: Options,
        reporter: Reporter,
    ) -> None:
        self._queue = queue
        self._options = options
        self._reporter = reporter
        self.losses = LossReport(queue)
        self._intake = Intake(
            queue, options, reporter, destination.batch_records, destination.batch_bytes
        )
        self._outbox = Outbox(queue)
        self.connection = Connection(queue, self._outbox, destination, options, reporter)
        self._backoff = self.connection.backoff
        self._stopping = False
        self._finished = False
        # Set by other threads, plain attributes because a signal handler may set them.
        self.stop_at: Optional[float] = None
        self.give_up_at = math.inf
        self.reopen_requested = False
        self.rollover_requested = False
        # A member for each thread that flushes now.
        self.flushing: Set[object] = set()

    def prepare(self) -> None:
        """Prepare at construction what can be prepared then.

        Raises:
            TransportError: the destination cannot be used, and why.
        """
        self.connection.prepare()

    # -- for the thread that drives it ---------------------------------------------------------

    def turn(self) -> None:
        """Take the next step, or wait a little until there is one."""
        if self._finished:
            return
        if self.reopen_requested:
            self._reopen()
        if self.stop_at is not None and not self._stopping:
            self._stopping = True
            self._backoff.hurry()  # the collector may be back: try once more at once
        if not self._wait_for_attempt():
            self._use_connection()
            self._give_up_if_exhausted()

    def _use_connection(self) -> None:
        """Open it, roll over, write or look."""
        connection = self.connection
        if not connection.is_open and not connection.open(self.until):
            return
        if not self._stopping:
            connection.change_for_better(self.until, self.until)
        if self.rollover_requested:
            self._roll_over()
        else:
            self._send()

    def _send(self) -> None:
        """Write what is there, or look at the connection."""
        connection = self.connection
        if not self._outbox.payloads and not self._gather():
            connection.look()
        if self._outbox.payloads:
            connection.write()

    def done(self) -> bool:
        """Return whether a stop was asked for and there is nothing more to do before it."""
        if self.stop_at is None:
            return False
        return (
            self._finished
            or (self.empty() and self._ready_to_stop())
            or self._backoff.exhausted
            or time.monotonic() >= self.stop_at
        )

    def _ready_to_stop(self) -> bool:
        # Not before a turn has looked at the session: what was not read goes out again.
        return self._stopping or not self.connection.is_open

    def empty(self) -> bool:
        """Return whether nothing is queued or in flight."""
        return not self._outbox.payloads and not self._queue.queue

    def finish(self) -> None:
        """End the stream in order, and give up what is left; once and for all."""
        if self._finished:
            return
        self._finished = True
        try:
            self.connection.finish(self.until)
        finally:
            self._give_up()
            self.say_sequence()

    def say_sequence(self) -> None:
        """Say which number was the last, if records are numbered."""
        self._intake.say_sequence()

    def broke(self, error: BaseException) -> None:
        """Go on after an error that nobody expected: the connection's state is unknown."""
        address = str(self._options.address)
        self.connection.lost(TransportError(address, f"internal error: {describe_error(error)}"))
        self._give_up_if_exhausted()

    # -- waiting -------------------------------------------------------------------------------

    def until(self) -> float:
        """Return the monotonic time at which every wait must end."""
        stop_at = self.stop_at
        return self.give_up_at if stop_at is None else min(stop_at, self.give_up_at)

    def _wait_for_attempt(self) -> bool:
        """Wait until an attempt is due; return whether it waited, so that requests come first."""
        now = time.monotonic()
        if self._backoff.exhausted:
            delay = IDLE_INTERVAL
        else:
            delay = min(self._backoff.due, self.until()) - now
        if delay <= 0:
            return False
        stop_at = self.stop_at
        self._pause(delay, lambda: self.reopen_requested or self.stop_at is not stop_at)
        return True

    def _pause(self, delay: float, interrupted: Callable[[], bool]) -> None:
        """Wait for the next attempt, or a part of that."""
        self._queue.wait(min(delay, IDLE_INTERVAL), interrupted, records=0)

    def _called(self) -> bool:
        return self.reopen_requested or self.rollover_requested or self.stop_at is not None

    # -- records -------------------------------------------------------------------------------

    def _gather(self) -> bool:
        """Take and encode what has gathered; return whether anything is to be written."""
        timeout = IDLE_INTERVAL if self.stop_at is None else 0.0
        self._intake.gather(timeout, self._called, into=self._outbox.payloads)
        return bool(self._outbox.payloads)

    # -- requests and ends ---------------------------------------------------------------------

    def _reopen(self) -> None:
        """End the session in order and begin a new one; revive a delivery that gave up."""
        self.reopen_requested = False
        if self._backoff.exhausted and self.stop_at is None:
            self._queue.shut(None)
            self._intake.begin_run()
        self.connection.renew()

    def _roll_over(self) -> None:
        """Roll over because somebody asked for it, who waits until that is done."""
        try:
            self.connection.roll_over(asked=True)
        finally:
            self.rollover_requested = False
            self._queue.settle()  # settles nothing, but wakes whoever waits

    def _give_up_if_exhausted(self) -> None:
        """Accept nothing more once the last attempt has failed, until reopen()."""
        if not self._backoff.exhausted:
            return
        self._reporter.report(
            "gave up",
            logging.WARNING,
            f"gave up after max_reconnect_attempts={self._options.max_reconnect_attempts}; "
            f"reopen() tries again",
        )
        self._gave_up()

    def _gave_up(self) -> None:
        """Accept nothing more, and drop what is there."""
        self._queue.shut("no_sink")
        self._give_up()

    def _give_up(self) -> None:
        """Drop all that is pending and queued."""
        cause = self._queue.full_because or "disconnected"
        if self._outbox.give_up(cause) + self._queue.discard(cause):
            self._reporter.report("drops", logging.WARNING, self.losses)
