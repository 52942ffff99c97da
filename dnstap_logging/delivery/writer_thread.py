"""What a handler has below it: a queue, its delivery and the thread that drives it.

Threads, and what they may touch:

* calling threads: `submit`, `refuse`, `stats`; they touch the queue and nothing else;
* the writer thread: drives the `Delivery`, which owns the connection (`driver.py`);
* closing and flushing threads: set plain attributes of the delivery, wake the queue and wait with
  a deadline, holding no lock that the writer thread takes;
* a forked child: replaces everything, since of all threads only the forking one is there.
"""

from __future__ import annotations

import logging
import os
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Callable, Optional, Type

from ..diagnostics import Reporter, Text
from ..message.snapshot import Snapshot
from ..process.forks import here
from ..process.process import close_with_multiprocessing, instances, orphans, reset_child
from ..process.threads import require_threads
from ..shorten import describe_error
from .delivery import Delivery
from .destination import Destination
from .destinations import make_destination
from .driver import Driver
from .losses import STUCK, say_stuck
from .options import Options
from .queue import RecordQueue
from .stats import Stats

if TYPE_CHECKING:
    from ..capture.rotation import Rotation

__all__ = ["WriterThread"]

LAST_WORDS = 0.25
"""Seconds that close() waits for pending diagnostics: enough to print some lines, short because
a dictConfig that closes us may hold the very lock that logging them needs."""

LAST_WORDS_STUCK = 2.0
"""The same after a thread that did not stop in time: close() has waited longer than that, and the
line about what is lost must not be lost itself."""

LAST_KINDS = ("drops", "sequence", "stuck", "twice", "unused")
"""Diagnostics that are said at the end even if one of their kind was said just before."""


class WriterThread:
    """Own a queue, a thread and what it delivers; know nothing of the handler.

    Deadlines are times of the monotonic clock; math.inf waits for ever.

    Args:
        options: the handler's arguments.
        rotation: of a file, when to roll over and how; None: never.

    Attributes:
        closed: whether close() was called.
        rotation: this process's own.

    Raises:
        DnstapLoggingError: no thread can be started here.
        TransportError: the file cannot be opened.
    """

    def __init__(self, options: Options, rotation: Optional[Rotation] = None) -> None:
        require_threads()
        self._options = options
        self.closed = False
        # The diagnostics' thread asks it for a line about the loggers, once records come.
        self.look_at_loggers: Callable[[], str] = str
        self._set_up(make_destination(options, rotation))
        self._delivery.prepare()
        instances.add(self)

    def _set_up(self, destination: Destination) -> None:
        """Make everything that one process has for itself."""
        options = self._options
        self.rotation = destination.rotation
        address = destination.name
        self._queue = RecordQueue(
            options.queue_size, options.queue_bytes, options.blocking, address
        )
        self._reporter = Reporter(address, options.report_interval)
        make = Delivery if options.spool is None else _storing_delivery()
        self._delivery = make(self._queue, destination, options, self._reporter)
        self._driver = Driver(self._queue, self._delivery, self._reporter)
        if self.closed:
            self._queue.shut("closed")

    # -- calling threads -----------------------------------------------------------------------

    def submit(self, snapshot: Snapshot, patient: bool = False) -> bool:
        """Put a record on the queue, or drop and count it; return whether it was accepted.

        Never waits unless overflow="block".

        Args:
            snapshot: of the record, or a ready payload.
            patient: a reopen does not send it away while it waits.
        """
        if not here[0]:  # where no at-fork hook ran, as in some uWSGI set-ups
            reset_child()
        queue = self._queue
        accepted = queue.offer(snapshot, patient)
        try:
            if not accepted:
                self._reporter.report("drops", logging.WARNING, self._delivery.losses)
            if not queue.served:
                self._start()
        except Exception as error:  # noqa: BLE001 - the record is booked: only say what it was
            self._reporter.report("internal", logging.WARNING, describe_error(error))
        return accepted

    def refuse(self, cause: str, text: str) -> None:
        """Count a record that could not become a snapshot, and say why."""
        self._queue.refuse(cause)
        self.report(cause, text)

    def report(self, kind: str, text: Text) -> None:
        """Report a warning."""
        self._reporter.report(kind, logging.WARNING, text)

    def stats(self) -> Stats:
        """Return the books."""
        stats = self._queue.snapshot()
        if self._reporter.muted:
            muted = "(not logged: the logger dnstap_logging is disabled)"
            stats = stats._replace(last_error=f"{stats.last_error or 'drops'} {muted}")
        return stats

    def _start(self) -> None:
        # The thread keeps this object alive, or a fork would miss it in `instances`.
        if self._driver.start(self._began, partial(orphans.discard, self)):
            close_with_multiprocessing(self, partial(_close_if_alive, weakref.ref(self)))

    def _began(self) -> None:
        """Have the loggers looked at, now that records come; the writer thread calls this."""
        self.report("twice", self.look_at_loggers)

    # -- closing and flushing threads ----------------------------------------------------------

    def flush(self, deadline: float) -> bool:
        """Wait until all that was accepted before is written or dropped; return whether it is."""
        if self._driver.must_not_wait():
            return False
        flushing, flush = self._delivery.flushing, object()
        flushing.add(flush)
        try:
            if not self._queue.served and not self._delivery.empty():
                self._driver.drain(deadline)
            return self._queue.wait_settled(deadline)
        finally:
            flushing.discard(flush)

    def reopen(self) -> None:
        """Ask for a new session. Sets an attribute and wakes: safe in a signal handler."""
        self._delivery.reopen_requested = True
        self._queue.wake()

    def roll_over(self, deadline: float) -> None:
        """Have the capture rolled over behind what was accepted before; wait for it."""
        self.flush(deadline)
        if self.closed or self._driver.must_not_wait():
            return
        delivery = self._delivery
        delivery.rollover_requested = True
        if self._queue.served:
            self._queue.wait_for(lambda: self.closed or not delivery.rollover_requested, deadline)
        else:
            self._driver.turn(deadline)

    def close(self, deadline: float) -> None:
        """Deliver what is queued, end the stream, stop the thread; all until the deadline."""
        if self.closed:
            return
        # Until this has waited for the end: where Ctrl-C interrupts it, or a daemon thread calls
        # it, the delivery has its time at the process's end, in `process/process.py`.
        orphans.add(self)
        self._ask_to_stop(deadline)
        if self._queue.entered():
            return  # in a signal handler that interrupted the queue, whose lock the writer needs
        self._driver.wait_for_start()
        self._wait_for_end(deadline)
        orphans.discard(self)

    def _wait_for_end(self, deadline: float) -> None:
        """Wait until a delivery that was asked to stop has ended; count what is left if not."""
        patience = LAST_WORDS
        if not self._driver.end(deadline):
            self._give_up()
            patience = LAST_WORDS if _holds_logging() else LAST_WORDS_STUCK
        self._reporter.drain(patience, last=LAST_KINDS)

    def _give_up(self) -> None:
        """Count all that is left as lost, because whoever drives the delivery did not stop."""
        self._queue.give_up()
        self._queue.book(last_error=STUCK)
        self._reporter.report("stuck", logging.WARNING, partial(say_stuck, self._delivery.losses))
        self._delivery.say_sequence()

    def close_soon(self) -> None:
        """Ask for the end without waiting for it: for a handler that was dropped without close.

        Runs wherever the garbage collector does, so it waits for nothing; `process/process.py`
        gives the thread its time if the process ends now.
        """
        if self.closed:
            return
        if self._queue.served:
            orphans.add(self)
            self._ask_to_stop(time.monotonic() + self._options.close_timeout)
        else:
            self.close(time.monotonic())

    def _ask_to_stop(self, deadline: float) -> None:
        """Accept nothing more, then have the delivery end: in this order, or a record slips in."""
        self.closed = True
        self._queue.shut("closed")
        self._delivery.stop_at = deadline
        self._queue.wake()

    def join(self) -> None:
        """Wait for the end of a delivery that was asked to stop, at most until its deadline."""
        deadline = self._delivery.stop_at
        if deadline is not None:
            self._wait_for_end(deadline)
        orphans.discard(self)

    # -- a forked child ------------------------------------------------------------------------

    def reset_in_child(self) -> None:
        """Replace in a forked child what is the parent's: queue, connection and thread.

        Takes no lock of the parent's and logs nothing: a thread that is not there may hold it.
        """
        self._set_up(self._delivery.connection.abandon(os.getpid()))


def _storing_delivery() -> Type[Delivery]:
    """Return the delivery with a spool, which is imported only where there is one."""
    from .storing import StoringDelivery

    return StoringDelivery


def _holds_logging() -> bool:
    """Return whether the calling thread holds the lock that a log call may need."""
    lock = getattr(logging, "_lock", None)
    return lock is not None and bool(lock._is_owned())


def _close_if_alive(reference: weakref.ref[WriterThread]) -> None:
    instance = reference()
    if instance is not None:
        instance.close(time.monotonic() + instance._options.close_timeout)
