"""Who drives a delivery: the writer thread, or a thread that flushes or closes.

The writer thread is started with the first record, and drives the delivery until its end. Where no
thread can be started (interpreter shutdown, a limit of the system), the threads that flush and
close drive it themselves. They wait with a deadline, and hold no lock that the writer thread takes.
"""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from typing import Callable, Optional

from ..diagnostics import START_RETRY_INTERVAL, Reporter
from ..interrupts import ends_greenlet, pass_on
from ..process.threads import become_writer
from .delivery import Delivery
from .queue import RecordQueue

__all__ = ["Driver"]

START_PATIENCE = 1.0
"""Seconds that close() waits for a thread that is being started. That takes no time, unless close()
runs in a signal handler that interrupted the start; then waiting does not help."""

JOIN_GRACE = 0.5
"""Seconds beyond its deadline in which the writer thread notices it: waits last at most 0.1 s."""


class Driver:
    """Drive one delivery, in one thread at a time.

    Args:
        queue: of the delivery. Its ``served`` is true from the start of the thread to its end.
        delivery: what is driven.
        reporter: says what happens.
    """

    def __init__(self, queue: RecordQueue, delivery: Delivery, reporter: Reporter) -> None:
        self._queue = queue
        self._delivery = delivery
        self._reporter = reporter
        # Held by the thread that drives the delivery: two would mix their frames.
        self._driving = threading.Lock()
        # Held while a thread is started; calling threads only ever try it.
        self._starting = threading.Lock()
        self._thread: Optional[threading.Thread] = None
        self._is_greenlet = False
        self._next_start = 0.0

    # -- calling threads -----------------------------------------------------------------------

    def start(self, began: Callable[[], None], ended: Callable[[], None]) -> bool:
        """Start the thread, unless it runs, or cannot be started now; return whether it did.

        Args:
            began: called in the thread when it begins.
            ended: called in the thread when it ends.
        """
        if self._delivery.stop_at is not None or sys.is_finalizing():
            return False
        if not self._starting.acquire(blocking=False):
            return False
        queue = self._queue
        try:
            if queue.served or time.monotonic() < self._next_start or self._delivery.empty():
                return False
            queue.served = True
            arguments = threading.get_native_id(), began, ended
            self._thread = threading.Thread(
                target=self._run, args=arguments, name="dnstap-writer", daemon=True
            )
            queue.writer = self._thread
            self._thread.start()
        except RuntimeError as error:
            # Interpreter shutdown, a limit of the system: flush and close drain by themselves.
            self._thread = None
            queue.served = False
            self._next_start = time.monotonic() + START_RETRY_INTERVAL
            text = f"cannot start the writer thread, records wait: {error}"
            queue.book(last_error=text)
            if "shutdown" not in str(error):
                self._reporter.report("thread", logging.WARNING, text)
            return False
        except BaseException:  # of a signal handler: the next record starts another thread
            queue.served = False
            raise
        finally:
            self._starting.release()
        return True

    # -- the thread that drives ----------------------------------------------------------------

    def _run(self, starter: int, began: Callable[[], None], ended: Callable[[], None]) -> None:
        try:
            self._is_greenlet = become_writer(starter)
            began()
            with self._driving:
                self._drive(math.inf)
        finally:
            self._queue.writer = None
            self._queue.served = False
            self._queue.wake()
            ended()

    def _drive(self, until: float) -> None:
        """Turn the delivery until it is done; if a time is set, only until then or it is empty.

        Only for the thread that holds _driving. Goes on after whatever a turn raises.
        """
        delivery, queue = self._delivery, self._queue
        queue.driver = threading.get_ident()
        try:
            while not delivery.done():
                if until != math.inf and (delivery.empty() or time.monotonic() >= until):
                    break
                self._turn()
            if delivery.stop_at is not None:
                try:
                    delivery.finish()
                except BaseException as error:  # noqa: BLE001 - of what an ssl_context calls
                    self._survive(error)
        finally:
            queue.driver = 0

    def _turn(self) -> None:
        try:
            self._delivery.turn()
            if self._is_greenlet:
                time.sleep(0)  # a backlog would be drained without ever letting others run
        except BaseException as error:  # noqa: BLE001 - of a rotator, or of what an ssl_context calls
            try:
                self._delivery.broke(error)  # a frame may be cut, which nothing may follow
            except BaseException as another:  # noqa: BLE001 - an error whose text cannot be had
                self._survive(another)
            self._survive(error)

    def _survive(self, error: BaseException) -> None:
        """Go on after an error; but where another thread than ours drives, Ctrl-C is raised."""
        if threading.current_thread() is not self._thread:
            pass_on(error)
        elif ends_greenlet(error):
            raise error

    # -- threads that flush and close ----------------------------------------------------------

    def must_not_wait(self) -> bool:
        """Return whether this interrupts the queue or the delivery, which a wait would stop.

        Signal handlers do, and what the driving thread runs of the user's, such as a __del__.
        """
        return self._queue.entered() or self._queue.driven_here()

    def drain(self, deadline: float) -> None:
        """Deliver what is there in the calling thread, if no other drives the delivery."""
        # Never math.inf, which is for a drive that only a stop ends.
        until = min(deadline, time.monotonic() + threading.TIMEOUT_MAX)
        self._drive_here(deadline, lambda: self._drive(until))

    def turn(self, deadline: float) -> None:
        """Turn the delivery once in the calling thread, if no other drives it."""
        self._drive_here(deadline, self._turn)

    def _drive_here(self, deadline: float, drive: Callable[[], None]) -> None:
        if not self._driving.acquire(blocking=False):
            return
        try:
            self._queue.driver = threading.get_ident()
            self._delivery.give_up_at = deadline
            drive()
        finally:
            self._delivery.give_up_at = math.inf
            self._queue.driver = 0
            self._driving.release()

    def wait_for_start(self) -> None:
        """Wait for a thread that another thread is about to start."""
        if self._starting.acquire(timeout=START_PATIENCE):
            self._starting.release()

    def end(self, deadline: float) -> bool:
        """Wait for the end of a delivery that was asked to stop; return whether it came in time."""
        thread = self._thread
        if thread is None or not self._queue.served:
            return self._finish_here(deadline)
        if thread is threading.current_thread() or thread.ident is None:
            return True  # a rotator, say, that closes us: the thread ends when it goes on
        deadline += JOIN_GRACE
        thread.join(max(0.0, deadline - time.monotonic()))
        # Before Python 3.13, Ctrl-C in an earlier join marks a thread as ended that is not.
        return self._queue.wait_for(lambda: not self._queue.served, deadline)

    def _finish_here(self, deadline: float) -> bool:
        """Bring the delivery to its end in this thread, unless another one still drives it."""
        if self._queue.driver == threading.get_ident():
            return True  # this interrupts a drain of this thread, which finishes when it goes on
        if not self._driving.acquire(timeout=max(0.0, deadline - time.monotonic()) + JOIN_GRACE):
            return False
        try:
            self._drive(math.inf)
        finally:
            self._driving.release()
        return True
