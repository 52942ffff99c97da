"""The bounded queue between the calling threads and the writer thread, and the books.

The calling threads `offer` records, the writer thread takes, writes and `settle`s them. All
counters change under the queue's one lock, so that the books balance in every snapshot.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from _thread import RLock  # the C one, which gevent leaves alone
from collections import deque
from itertools import islice
from typing import Callable, Deque, List, Mapping, Optional

from ..message.snapshot import SIZE, Snapshot
from ..process.threads import condition_lock, wait_on
from .stats import Counters, Stats

__all__ = ["RecordQueue"]

ROOM_CHECK_INTERVAL = 1.0
"""Seconds after which a caller that waits for room looks whether anybody still makes room."""

NEVER = sys.maxsize  # more records than there can be


class RecordQueue(queue.Queue):  # type: ignore[type-arg]  # 3.9: generic only for mypy
    """A `queue.Queue` of snapshots that drops and counts instead of blocking.

    Rule of its lock: whoever takes it asks first whether its own thread holds it (`entered`), and
    then keeps off. A signal handler, __del__ or weakref callback that logs while its own thread is
    in here leaves a mark in _reentrant instead of waiting for itself for ever. An RLock knows its
    owner exactly, also when a signal handler raised on the way. No I/O, no logging and no user's
    code runs under it, but for a signal handler's. Only there can gevent switch greenlets under
    it, so a real lock does; gevent's own would fail in a signal handler.

    Args:
        maxsize: most records held.
        max_bytes: most bytes of their payload held.
        blocking: True: wait for room instead of dropping.
        address: the address as text, for the books.
    """

    queue: Deque[Snapshot]

    def __init__(self, maxsize: int, max_bytes: int, blocking: bool, address: str) -> None:
        super().__init__(maxsize)
        self.mutex = RLock()  # type: ignore[assignment]  # queue.Queue has a Lock
        lock = condition_lock(self.mutex)
        self.not_empty = threading.Condition(lock)
        self.not_full = threading.Condition(lock)
        self.settled = self.all_tasks_done = threading.Condition(lock)
        self.entered: Callable[[], bool] = self.mutex._is_owned  # type: ignore[attr-defined]
        self._reentrant: Deque[None] = deque()
        self._max_bytes = max_bytes
        self._blocking = blocking
        self._bytes = 0
        self._counters = Counters(address)
        self._last_snapshot = self._counters.snapshot(0)
        # Why nothing is accepted any more ("closed", "no_sink"), or None.
        self._shut: Optional[str] = None
        # Why there is no room, if that is known better than by the bound: the disk is full. A plain
        # attribute, set by the writer thread.
        self.full_because: Optional[str] = None
        # Whether nothing makes room any more, until reopen(): then no caller waits for it.
        self.hopeless = False
        # Whether a record found no room since some were taken last, though another one might have.
        self.lacked_room = False
        # Whether close() has counted the rest as lost; a stuck writer thread must not count it
        # again. Never reset.
        self.given_up = False
        # Counts the times that waiting callers were sent away.
        self._releases = 0
        # How many records there are when a further one wakes the writer thread: others cost less.
        self._wake_at = NEVER
        # Whether a writer thread takes records, or is about to: nobody waits for room otherwise.
        self.served = False
        # The ident of the thread that drives the delivery, and the writer thread, from its start
        # on; they must never wait for themselves.
        self.driver = 0
        self.writer: Optional[threading.Thread] = None

    # -- the calling threads -------------------------------------------------------------------

    def offer(self, record: Snapshot, patient: bool = False) -> bool:
        """Put a record on the queue, or drop and count it; return whether it was accepted.

        Where it waits for room, a patient one is sent away by `shut` only, not by `wake`.
        """
        if self.entered():
            self._reentrant.append(None)
            return False
        mutex = self.mutex
        try:
            mutex.acquire()  # not "with", which takes twice as long as this and the release
            records = self.queue
            before = len(records)
            size = self._bytes + record[SIZE]
            if before >= self.maxsize or size > self._max_bytes or self._shut:
                if not self._find_room(record, patient):
                    mutex.release()
                    return False
                size = self._bytes + record[SIZE]
            # The call last, because a signal handler can raise right after a call.
            self._bytes = size
            records.append(record)
            if before >= self._wake_at:
                self._wake_at = NEVER
                self.not_empty.notify()
            mutex.release()
        except BaseException:
            # A signal handler may raise behind any call, another one behind the next: so no other
            # call comes first, and the lock itself says whether it was held.
            try:
                mutex.release()
            except RuntimeError:
                pass
            raise
        return True

    def _find_room(self, record: Snapshot, patient: bool) -> bool:
        """Wait for room if callers may; drop and count the record if there is none."""
        cause = self._shut or self._room_for(record)
        self.lacked_room = cause is not None
        if cause is not None and self._blocking and not (self._shut or self.hopeless):
            cause = self._wait_for_room(record, cause, patient)
        if cause is not None:
            self._counters.refuse(cause)
        return cause is None

    @property
    def held(self) -> int:
        """The bytes of the records on the queue."""
        return self._bytes

    def refuse(self, cause: str) -> None:
        """Count a record that never got as far as the queue."""
        if self.entered():
            self._reentrant.append(None)
            return
        with self.mutex:
            self._counters.refuse(cause)

    def snapshot(self) -> Stats:
        """Return the books; inside this queue's own lock, the last ones that were made."""
        if not self.entered():
            with self.mutex:
                self._fold_reentrant()
                self._last_snapshot = self._counters.snapshot(len(self.queue))
        return self._last_snapshot

    def wait_settled(self, deadline: float) -> bool:
        """Wait, as `wait_for`, until all that was accepted before is written, stored or dropped."""
        if self.entered():
            return False
        counters = self._counters
        with self.mutex:
            target = counters.taken + len(self.queue)
        return self.wait_for(lambda: counters.settled >= target, deadline)

    def wait_for(self, reached: Callable[[], bool], deadline: float) -> bool:
        """Wait for something that a `settle` announces; return whether it came in time.

        Args:
            reached: asked under the lock.
            deadline: monotonic time; math.inf waits for ever.
        """
        if self.entered():
            return False
        with self.mutex:
            self.not_empty.notify()  # the writer thread may be letting records gather
            return self._wait_for(reached, deadline)

    def shut(self, cause: Optional[str]) -> None:
        """Drop further records for this cause (None: no more), and send waiting callers away."""
        inside = self.entered()
        with self.mutex:
            if self._shut != "closed":
                self._shut = cause
            if not inside:
                self._call()

    def wake(self) -> None:
        """Wake the writer thread, and send callers that wait for room away."""
        if not self.entered():
            with self.mutex:
                self._call()

    # -- the writer thread ---------------------------------------------------------------------
    # (or the thread that drains in its place, which `WriterThread` lets only if it is not inside)

    def wait(self, timeout: float, interrupted: Callable[[], bool], records: int = 1) -> bool:
        """Wait for records, a `wake` or the timeout; return whether there are any.

        Args:
            timeout: seconds.
            interrupted: asked under the lock before waiting, so that no `wake` is missed.
            records: so many end the wait; 0: only `wake` does.
        """
        if self.entered():
            return False
        with self.mutex:
            enough = records and len(self.queue) >= records
            if timeout > 0 and not enough and not interrupted():
                self._wake_at = records - 1 if records else NEVER
                try:
                    wait_on(self.not_empty, timeout)
                finally:
                    self._wake_at = NEVER
            return bool(self.queue)

    def take(self, max_records: int, max_bytes: int) -> List[Snapshot]:
        """Take at most so many records, and none once so many bytes were taken; wait for none."""
        self._keep_off()
        with self.mutex:
            records = self.queue
            before = len(records)
            batch = list(islice(records, max_records))
            size = _cut(batch, max_bytes)
            number = len(batch)  # here: no call between the last record and the books of them all
            try:
                for _ in batch:
                    records.popleft()
            except BaseException:  # Ctrl-C, where the main thread delivers: nothing is taken
                records.extendleft(reversed(batch[: before - len(records)]))
                raise
            self._bytes -= size
            self.lacked_room = False
            self._counters.taken += number
            self._counters.in_flight += number
            if self._blocking:
                self.not_full.notify_all()
            return batch

    def settle(
        self,
        written: int = 0,
        size: int = 0,
        dropped: Optional[Mapping[str, int]] = None,
        spooled: int = 0,
        read_back: bool = False,
    ) -> None:
        """Book what became of records in flight.

        Args:
            written: records handed whole to the kernel or the file.
            size: bytes of their frames.
            dropped: records given up, by cause.
            spooled: records stored in the spool, or left there after all.
            read_back: whether all of them were read from the spool.
        """
        self._keep_off()
        with self.mutex:
            self._fold_reentrant()
            if not self.given_up:
                self._counters.settle(written, size, dropped or {}, spooled, read_back)
            self.settled.notify_all()

    def read_back(self, own: int, found: int) -> None:
        """Book records in flight that were read from the spool: stored here, or found."""
        self._keep_off()
        with self.mutex:
            if not self.given_up:
                self._counters.read(own, found)

    def discard(self, cause: str) -> int:
        """Drop all that is queued, for this cause; return how many records that were."""
        self._keep_off()
        with self.mutex:
            return self._discard(cause)

    def _discard(self, cause: str) -> int:
        number = len(self.queue)
        self.queue.clear()
        self._bytes = 0
        self._counters.taken += number
        self._counters.dropped[cause] += number
        self.settled.notify_all()
        self.not_full.notify_all()
        return number

    def book(self, **changes: object) -> None:
        """Note changes that are no record's: numbers are added to counters, the rest replaced."""
        self._keep_off()
        with self.mutex:
            for name, value in changes.items():
                if isinstance(value, int) and not isinstance(value, bool):
                    if self.given_up:
                        continue
                    value += getattr(self._counters, name)
                setattr(self._counters, name, value)

    # -- the closing thread --------------------------------------------------------------------

    def give_up(self) -> int:
        """Drop all that is queued and in flight, since its driver is stuck; return how many.

        What the stuck thread reports of the records in flight afterwards is ignored, so that none
        is counted twice.
        """
        if self.entered():
            return 0
        with self.mutex:
            cause = self.full_because or "disconnected"
            counters = self._counters
            counters.settle(0, 0, {}, spooled=counters.read_back, read_back=True)
            in_flight = counters.in_flight
            counters.settle(0, 0, {cause: in_flight}, spooled=0, read_back=False)
            self.given_up = True
            return in_flight + self._discard(cause)

    def driven_here(self) -> bool:
        """Return whether the calling thread drives the delivery, or is about to."""
        here, writer = threading.get_ident(), self.writer
        return here == self.driver or (writer is not None and here == writer.ident)

    # -- under the lock ------------------------------------------------------------------------
    # Loops stand in functions of their own. What a signal handler raises at the jump of a loop that
    # is directly in a `with` would leave the lock held, from Python 3.12 on.

    def _wait_for(self, reached: Callable[[], bool], deadline: float) -> bool:
        while not reached():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return False
            wait_on(self.settled, min(remaining, threading.TIMEOUT_MAX))
        return True

    def _keep_off(self) -> None:
        if self.entered():
            raise RuntimeError("the thread that drives the delivery is inside the queue's lock")

    def _call(self) -> None:
        """Wake whoever waits."""
        self._releases += 1
        self.not_empty.notify()
        self.not_full.notify_all()
        self.settled.notify_all()

    def _room_for(self, record: Snapshot) -> Optional[str]:
        """Return why there is no room for the record, or None."""
        if len(self.queue) >= self.maxsize:
            return self.full_because or "queue_full"
        if self._bytes + record[SIZE] > self._max_bytes:
            return self.full_because or "queue_bytes"
        return None

    def _wait_for_room(self, record: Snapshot, why: Optional[str], patient: bool) -> Optional[str]:
        """Wait until there is room, the caller is sent away, or there can never be room."""
        releases = self._releases
        self.not_empty.notify()  # the writer thread may be letting records gather
        if self.driven_here():  # a __del__ that logs, in the thread that makes room
            return why
        while why is not None and record[SIZE] <= self._max_bytes and self.served:
            wait_on(self.not_full, ROOM_CHECK_INTERVAL)
            why = self._shut or self._room_for(record)
            if self._shut or self.hopeless or (self._releases != releases and not patient):
                break
        return why

    def _fold_reentrant(self) -> None:
        """Book the records that came while their own thread was in here."""
        while self._reentrant:
            self._reentrant.popleft()
            self._counters.refuse("reentrant")


def _cut(batch: List[Snapshot], max_bytes: int) -> int:
    """Leave out the records behind the one that reaches max_bytes; return the bytes of the rest."""
    size = sum([record[SIZE] for record in batch])
    while batch and size - batch[-1][SIZE] >= max_bytes:
        size -= batch.pop()[SIZE]
    return size
