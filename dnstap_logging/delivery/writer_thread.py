"""The writer thread of one handler: its start, its end, and what a fork does to it.

Threads, and what they may touch:

* calling threads: `submit`, `refuse`, `stats`; they touch the queue and nothing else;
* the writer thread: drives the `Delivery`, which owns the connection;
* closing and flushing threads: set plain attributes of the delivery, wake the queue and wait with
  a deadline, holding no lock that the writer thread takes;
* a forked child: replaces everything, since of all threads only the forking one is there.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
import weakref
from functools import partial
from typing import Callable, Optional

from ..capture.rotation import Rotation
from ..diagnostics import START_RETRY_INTERVAL, Reporter, Text
from ..interrupts import ends_greenlet, pass_on
from ..message.snapshot import Snapshot
from ..process.forks import here
from ..process.process import close_with_multiprocessing, instances, orphans, reset_child
from ..process.threads import become_writer, require_threads
from ..shorten import describe_error
from .connection import Connection
from .delivery import Delivery
from .destination import Destination
from .destinations import make_destination
from .losses import STUCK, say_stuck
from .options import Options
from .outbox import Outbox
from .queue import RecordQueue
from .stats import Stats

__all__ = ["WriterThread"]

START_PATIENCE = 1.0
"""Seconds that close() waits for a thread that is being started. That takes no time, unless close()
runs in a signal handler that interrupted the start; then waiting does not help."""

JOIN_GRACE = 0.5
"""Seconds beyond its deadline in which the writer thread notices it: waits last at most 0.1 s."""

LAST_WORDS = 0.25
"""Seconds that close() waits for pending diagnostics: enough to print some lines, short because
a dictConfig that closes us may hold the very lock that logging them needs."""

LAST_KINDS = ("drops", "stuck", "twice", "unused")
"""Diagnostics that are said at the end even if one of their kind was said just before."""

LAST_WORDS_STUCK = 2.0
"""The same, after a thread that did not stop in time: close() has waited longer than that, and the
line about what is lost must not be lost itself."""


class WriterThread:
    """Own a queue, a thread and what it delivers; know nothing of the handler.

    Args:
        options: the handler's arguments.
        rotation: of a file, when to roll over and how; None: never.

    Raises:
        DnstapLoggingError: no thread can be started here.
        TransportError: the file cannot be opened.
    """

    def __init__(self, options: Options, rotation: Optional[Rotation] = None) -> None:
        require_threads()
        self._options = options
        self.close_timeout = options.close_timeout
        self._closed = False
        # What the diagnostics' thread asks once records come: a line about the loggers, or "".
        self.look_at_loggers: Callable[[], str] = str
        self._set_up(make_destination(options, rotation))
        self._connection.prepare()
        instances.add(self)

    def _set_up(self, destination: Destination) -> None:
        """Make everything that one process has for itself."""
        options = self._options
        self.rotation = destination.rotation  # a forked child's own
        address = destination.name
        self._queue = RecordQueue(
            options.queue_size, options.queue_bytes, options.blocking, address
        )
        self._reporter = Reporter(address, options.report_interval)
        outbox = Outbox(self._queue)
        self._connection = Connection(self._queue, outbox, destination, options, self._reporter)
        self._delivery = Delivery(
            self._queue, outbox, self._connection, destination, options, self._reporter
        )
        # Held by whoever drives the delivery: two drivers would mix their frames.
        self._driving = threading.Lock()
        # Held while a thread is started; calling threads only ever try it.
        self._starting = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._running = False
        self._starter = 0  # the native id of the thread that started it
        self._is_greenlet = False
        self._next_start = 0.0
        if self._closed:
            self._queue.shut("closed")

    # -- calling threads -----------------------------------------------------------------------

    def submit(self, snapshot: Snapshot, patient: bool = False) -> bool:
        """Put a record on the queue, or drop and count it; tell whether it was accepted.

        Never waits unless overflow="block".

        Args:
            snapshot: of the record, or a ready payload.
            patient: a reopen does not send it away while it waits.
        """
        if not here[0]:  # where no at-fork hook ran, as in some uWSGI set-ups
            reset_child()
        accepted = self._queue.offer(snapshot, patient)
        try:
            if not accepted:
                self._reporter.report("drops", logging.WARNING, self._delivery.losses)
            if not self._running:
                self._start()
        except Exception as error:  # noqa: BLE001 - the record is booked: only say what it was
            self._reporter.report("internal", logging.WARNING, describe_error(error))
        return accepted

    def refuse(self, cause: str, text: str) -> None:
        """Count a record that could not become a snapshot, and say why."""
        self._queue.refuse(cause)
        self.report(cause, text)

    def report(self, kind: str, text: Text) -> None:
        """Have a warning said."""
        self._reporter.report(kind, logging.WARNING, text)

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def stats(self) -> Stats:
        """Return the books."""
        stats = self._queue.snapshot()
        if self._reporter.muted:
            muted = "(not logged: the logger dnstap_logging is disabled)"
            stats = stats._replace(last_error=f"{stats.last_error or 'drops'} {muted}")
        return stats

    def _start(self) -> None:
        """Start the thread, unless it runs, or cannot be started now."""
        if self._closed or sys.is_finalizing() or not self._starting.acquire(blocking=False):
            return
        try:
            if self._running or time.monotonic() < self._next_start or self._delivery.empty():
                return
            self._running = self._queue.served = True
            self._starter = threading.get_native_id()
            self._thread = threading.Thread(target=self._run, name="dnstap-writer", daemon=True)
            self._queue.writer = self._thread
            self._thread.start()
            close_with_multiprocessing(self, partial(_close_if_alive, weakref.ref(self)))
        except RuntimeError as error:
            # Interpreter shutdown, a limit of the system: flush and close drain by themselves.
            self._thread = None
            self._running = self._queue.served = False
            self._next_start = time.monotonic() + START_RETRY_INTERVAL
            text = f"cannot start the writer thread, records wait: {error}"
            self._queue.book(last_error=text)
            if "shutdown" not in str(error):
                self._reporter.report("thread", logging.WARNING, text)
        except BaseException:  # of a signal handler: the next record starts another thread
            self._running = self._queue.served = False
            raise
        finally:
            self._starting.release()

    # -- the writer thread ---------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._is_greenlet = become_writer(self._starter)
            self.report("twice", self.look_at_loggers)
            with self._driving:
                self._drive(math.inf)
        finally:
            self._queue.writer = None
            self._running = self._queue.served = False
            self._queue.wake()
            orphans.discard(self)

    def _drive(self, until: float) -> None:
        """Turn the delivery until it is done, or, if a time is set, until that or all is settled.

        Only for who holds _driving. Survives whatever a turn may raise.
        """
        delivery, queue = self._delivery, self._queue
        queue.driver = threading.get_ident()
        try:
            while not delivery.done():
                if until != math.inf and (delivery.empty() or time.monotonic() >= until):
                    break
                self._turn(delivery)
        finally:
            queue.driver = 0
        if delivery.stop_at is not None:
            try:
                delivery.finish()
            except BaseException as error:  # noqa: BLE001 - of what an ssl_context calls
                self._survive(error)

    def _turn(self, delivery: Delivery) -> None:
        try:
            delivery.turn()
            if self._is_greenlet:
                time.sleep(0)  # a backlog would be drained without ever letting others run
        except BaseException as error:  # noqa: BLE001 - of a rotator, or of what an ssl_context calls
            try:
                delivery.broke(error)  # a frame may be cut, which nothing may follow
            except BaseException as another:  # noqa: BLE001 - an error whose text cannot be had
                self._survive(another)
            self._survive(error)

    def _survive(self, error: BaseException) -> None:
        """Go on after whatever was raised; where no thread of ours delivers, Ctrl-C goes on up."""
        if threading.current_thread() is not self._thread:
            pass_on(error)
        elif ends_greenlet(error):
            raise error

    # -- closing and flushing threads ----------------------------------------------------------

    def flush(self, deadline: float) -> bool:
        """Wait until all that was accepted before is written or dropped; tell whether it is.

        Args:
            deadline: monotonic time; math.inf waits for ever.
        """
        if self._must_not_wait():
            return False
        if not self._running and not self._delivery.empty():
            self._drain_here(deadline)
        return self._queue.wait_settled(deadline)

    def _must_not_wait(self) -> bool:
        """Tell whether this interrupts the queue or the delivery, which so would never go on.

        Signal handlers do, and what the driving thread runs of the user's, such as a __del__.
        """
        return self._queue.entered() or self._queue.driven_here()

    def _drain_here(self, deadline: float) -> None:
        """Deliver in the calling thread, because no other can be started."""
        if not self._driving.acquire(blocking=False):
            return
        try:
            self._delivery.give_up_at = deadline
            # Never math.inf, which is for a drive that only a stop ends.
            self._drive(min(deadline, time.monotonic() + threading.TIMEOUT_MAX))
        finally:
            self._delivery.give_up_at = None
            self._driving.release()

    def reopen(self) -> None:
        """Ask for a new session. Sets an attribute and wakes: safe in a signal handler."""
        self._delivery.reopen_requested = True
        self._queue.wake()

    def roll_over(self, deadline: float) -> None:
        """Have the capture rolled over behind what was accepted before; wait for it.

        Args:
            deadline: monotonic time.
        """
        self.flush(deadline)
        if self._closed or self._must_not_wait():
            return
        delivery = self._delivery
        delivery.rollover_requested = True
        if self._running:
            self._queue.wait_for(lambda: self._closed or not delivery.rollover_requested, deadline)
        elif self._driving.acquire(blocking=False):
            try:
                delivery.give_up_at = deadline
                self._turn(delivery)
            finally:
                delivery.give_up_at = None
                self._driving.release()

    def close(self, deadline: float) -> None:
        """Deliver what is queued, end the stream, stop the thread; all until the deadline.

        Args:
            deadline: monotonic time.
        """
        if self._closed:
            return
        # Until this has waited for the end: where Ctrl-C interrupts it, or a daemon thread calls
        # it, the delivery has its time at the process's end, in `process.py`.
        orphans.add(self)
        self._ask_to_stop(deadline)
        if self._queue.entered():
            return  # in a signal handler that interrupted the queue, whose lock the writer needs
        if self._starting.acquire(timeout=START_PATIENCE):  # a thread may be about to start
            self._starting.release()
        self._wait_for_end(deadline)
        orphans.discard(self)

    def _wait_for_end(self, deadline: float) -> None:
        """Wait until a delivery that was asked to stop has ended; count what is left if it has not.

        Args:
            deadline: monotonic time.
        """
        thread = self._thread
        patience = LAST_WORDS
        if thread is None or not self._running:
            ended = self._finish_here(deadline)
        elif thread is threading.current_thread() or thread.ident is None:
            ended = True  # a rotator, say, that closes us: the thread ends when it goes on
        else:
            ended = self._join(thread, deadline + JOIN_GRACE)
        if not ended:
            self._give_up()
            patience = LAST_WORDS if _holds_logging() else LAST_WORDS_STUCK
        self._reporter.drain(patience, last=LAST_KINDS)

    def _join(self, thread: threading.Thread, deadline: float) -> bool:
        """Wait for the end of the writer thread; return whether it came in time."""
        thread.join(max(0.0, deadline - time.monotonic()))
        # Before Python 3.13, Ctrl-C in an earlier join marks a thread as ended that is not.
        return self._queue.wait_for(lambda: not self._running, deadline)

    def _give_up(self) -> None:
        """Count all that is left as lost, because whoever drives the delivery did not stop."""
        self._queue.give_up()
        self._queue.book(last_error=STUCK)
        self._reporter.report("stuck", logging.WARNING, partial(say_stuck, self._delivery.losses))

    def close_soon(self) -> None:
        """Ask for the end without waiting for it: for a handler that was dropped without close.

        Runs wherever the garbage collector does, so it waits for nothing; `process.py` gives
        the thread its time if the process ends now.
        """
        if self._closed:
            return
        if self._running:
            orphans.add(self)
            self._ask_to_stop(time.monotonic() + self.close_timeout)
        else:
            self.close(time.monotonic())

    def _ask_to_stop(self, deadline: float) -> None:
        """Accept nothing more, then have the delivery end: in this order, or a record slips in."""
        self._closed = True
        self._queue.shut("closed")
        self._delivery.stop_at = deadline
        self._queue.wake()

    def _finish_here(self, deadline: float) -> bool:
        """Bring the delivery to its end in this thread, because no writer thread runs.

        Returns:
            False: another thread drives it, and did not come to an end in time.
        """
        if self._queue.driver == threading.get_ident():
            return True  # this interrupts a drain of this thread, which finishes when it goes on
        if not self._driving.acquire(timeout=max(0.0, deadline - time.monotonic()) + JOIN_GRACE):
            return False
        try:
            self._drive(math.inf)
        finally:
            self._driving.release()
        return True

    def join(self) -> None:
        """Wait for the end of a delivery that was asked to stop, at most until its deadline."""
        deadline = self._delivery.stop_at
        if deadline is not None:
            self._wait_for_end(deadline)
        orphans.discard(self)

    # -- a forked child ------------------------------------------------------------------------

    def reset_in_child(self) -> None:
        """Begin anew in a forked child: no thread, no queue, no connection of the parent's.

        Takes no lock of the parent's and logs nothing: any lock may be held by a thread that is not
        there.
        """
        self._set_up(self._connection.abandon(os.getpid()))


def _holds_logging() -> bool:
    """Return whether the calling thread holds the lock that a log call may need."""
    lock = getattr(logging, "_lock", None)
    return lock is not None and bool(lock._is_owned())


def _close_if_alive(reference: weakref.ref[WriterThread]) -> None:
    instance = reference()
    if instance is not None:
        instance.close(time.monotonic() + instance.close_timeout)
