"""The bounded queue between the calling threads and the writer thread, and the books.

The calling threads `offer` records, the writer thread takes, writes and `settle`s them. All
counters change under the queue's one lock, so that the books balance in every snapshot. No I/O,
no logging and no user's code ever runs under that lock.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from typing import Callable, Deque, List, Mapping, Optional, Set

from .message import Snapshot
from .stats import Counters, Stats

__all__ = ["RecordQueue"]

ROOM_CHECK_INTERVAL = 1.0
"""Seconds after which a caller that waits for room looks whether anybody still makes room."""

get_ident = threading.get_ident


class RecordQueue(queue.Queue):  # type: ignore[type-arg]  # 3.9: generic only for mypy
    """A `queue.Queue` of snapshots that drops and counts instead of blocking.

    Args:
        maxsize: most records held.
        max_bytes: most bytes of their payload held.
        blocking: True: wait for room instead of dropping.
        address: the address as text, for the books.
    """

    queue: Deque[Snapshot]

    def __init__(self, maxsize: int, max_bytes: int, blocking: bool, address: str) -> None:
        # Rule of the lock (self.mutex, made by queue.Queue): whoever takes it first puts its
        # thread into _holders, and takes it out after the release. A signal handler, __del__ or
        # weakref callback that logs while its own thread is in there finds the thread in
        # _holders and leaves a mark in _reentrant instead of waiting for itself for ever.
        super().__init__(maxsize)
        self._holders: Set[int] = set()
        self._reentrant: Deque[None] = deque()
        self._max_bytes = max_bytes
        self._blocking = blocking
        self._bytes = 0
        self._counters = Counters(address)
        self._last_snapshot = self._counters.snapshot(0)
        # Why nothing is accepted any more ("closed", "no_sink"), or None.
        self._shut: Optional[str] = None
        # Counts the times that waiting callers were sent away.
        self._releases = 0
        # True only while the writer thread waits for a record: a put that need not wake it
        # costs nothing.
        self._idle = False
        # Whether a writer thread takes records, or is about to: nobody waits for room otherwise.
        self.served = False

    # -- the calling threads -------------------------------------------------------------------

    def offer(self, record: Snapshot) -> bool:
        """Put a record on the queue, or drop and count it; tell whether it was accepted."""
        if not self._enter():
            return False
        try:
            with self.mutex:
                cause = self._shut or self._room_for(record)
                if cause is not None and self._blocking and self._shut is None:
                    cause = self._wait_for_room(record, cause)
                if cause is None:
                    self._put(record)
                    if self._idle:
                        self.not_empty.notify()
                    return True
                self._counters.logged += 1
                self._counters.dropped[cause] += 1
                return False
        finally:
            self._leave()

    def refuse(self, cause: str) -> None:
        """Count a record that never got as far as the queue."""
        if self._enter():
            try:
                with self.mutex:
                    self._counters.logged += 1
                    self._counters.dropped[cause] += 1
            finally:
                self._leave()

    def snapshot(self) -> Stats:
        """Return the books; inside this queue's own lock, the last ones that were made."""
        if get_ident() in self._holders:
            return self._last_snapshot
        self._holders.add(get_ident())
        try:
            with self.mutex:
                self._fold_reentrant()
                self._last_snapshot = self._counters.snapshot(len(self.queue))
                return self._last_snapshot
        finally:
            self._leave()

    def wait_settled(self, deadline: float) -> bool:
        """Wait until all that was accepted before this call is written or dropped.

        Args:
            deadline: monotonic time; math.inf waits for ever.
        """
        if not self._enter(mark=False):
            return False
        try:
            with self.mutex:
                target = self._counters.accepted
                while self._settled() < target:
                    remaining = deadline - time.monotonic()
                    if remaining <= 0:
                        return False
                    self.all_tasks_done.wait(min(remaining, threading.TIMEOUT_MAX))
                return True
        finally:
            self._leave()

    def shut(self, cause: Optional[str]) -> None:
        """Drop all further records for this cause; None: accept again. Releases the waiting."""
        if self._enter(mark=False):
            try:
                with self.mutex:
                    self._shut = cause
            finally:
                self._leave()
        else:
            self._shut = cause
        self.wake()

    def wake(self) -> None:
        """Wake the writer thread, and send callers that wait for room away."""
        if self._enter(mark=False):
            try:
                with self.mutex:
                    self._releases += 1
                    self.not_empty.notify()
                    self.not_full.notify_all()
            finally:
                self._leave()

    # -- the writer thread ---------------------------------------------------------------------

    def wait(self, timeout: float, interrupted: Callable[[], bool], records: bool = True) -> bool:
        """Wait for a record, a `wake` or the timeout; tell whether there is a record.

        Args:
            timeout: seconds.
            interrupted: asked under the lock before waiting, so that no `wake` is missed.
            records: False: records do not end the wait, only `wake` does.
        """
        self._enter(mark=False)
        try:
            with self.mutex:
                if timeout > 0 and not (records and self.queue) and not interrupted():
                    self._idle = records
                    try:
                        self.not_empty.wait(timeout)
                    finally:
                        self._idle = False
                return bool(self.queue)
        finally:
            self._leave()

    def take(self, max_records: int, max_bytes: int) -> List[Snapshot]:
        """Take what has gathered, in order, under one hold of the lock, without waiting.

        Args:
            max_records: at most so many records.
            max_bytes: no further record once so many bytes of payload were taken.
        """
        batch: List[Snapshot] = []
        self._enter(mark=False)
        try:
            with self.mutex:
                floor = self._bytes - max_bytes
                while self.queue and len(batch) < max_records and self._bytes > floor:
                    batch.append(self._get())
                if self._blocking:
                    self.not_full.notify_all()
        finally:
            self._leave()
        return batch

    def settle(
        self, written: int = 0, size: int = 0, dropped: Optional[Mapping[str, int]] = None
    ) -> None:
        """Book what became of records in flight.

        Args:
            written: records handed whole to the kernel or the file.
            size: bytes of their frames.
            dropped: records given up, by cause.
        """
        self._enter(mark=False)
        try:
            with self.mutex:
                self._fold_reentrant()
                counters = self._counters
                counters.written += written
                counters.bytes_written += size
                counters.in_flight -= written
                for cause, number in (dropped or {}).items():
                    counters.dropped[cause] += number
                    counters.in_flight -= number
                self.all_tasks_done.notify_all()
        finally:
            self._leave()

    def discard(self, cause: str) -> int:
        """Drop all that is queued, for this cause; return how many records that were."""
        self._enter(mark=False)
        try:
            with self.mutex:
                number = len(self.queue)
                self.queue.clear()
                self._bytes = 0
                self._counters.dropped[cause] += number
                self.all_tasks_done.notify_all()
                self.not_full.notify_all()
                return number
        finally:
            self._leave()

    def book(self, **changes: object) -> None:
        """Note changes that are no record's: ``connected``, ``last_error``, and steps of counters.

        Args:
            changes: numbers are added to their counters, anything else replaces the value.
        """
        self._enter(mark=False)
        try:
            with self.mutex:
                for name, value in changes.items():
                    if isinstance(value, int) and not isinstance(value, bool):
                        value += getattr(self._counters, name)
                    setattr(self._counters, name, value)
        finally:
            self._leave()

    # -- under the lock ------------------------------------------------------------------------

    def _init(self, maxsize: int) -> None:
        self.queue = deque()

    def _qsize(self) -> int:
        return len(self.queue)

    def _put(self, item: Snapshot) -> None:
        self.queue.append(item)
        self._bytes += item.size
        self._counters.logged += 1
        self._counters.accepted += 1

    def _get(self) -> Snapshot:
        item = self.queue.popleft()
        self._bytes -= item.size
        self._counters.in_flight += 1
        return item

    def _settled(self) -> int:
        return self._counters.accepted - len(self.queue) - self._counters.in_flight

    def _room_for(self, record: Snapshot) -> Optional[str]:
        """Return why there is no room for the record, or None."""
        if len(self.queue) >= self.maxsize:
            return "queue_full"
        if self._bytes + record.size > self._max_bytes:
            return "queue_bytes"
        return None

    def _wait_for_room(self, record: Snapshot, cause: Optional[str]) -> Optional[str]:
        """Wait until there is room, the caller is sent away, or there can never be room."""
        releases = self._releases
        while cause is not None and record.size <= self._max_bytes and self.served:
            self.not_full.wait(ROOM_CHECK_INTERVAL)
            cause = self._shut or self._room_for(record)
            if self._releases != releases:
                break
        return cause

    def _fold_reentrant(self) -> None:
        """Book the records that came while their own thread was in here."""
        while self._reentrant:
            self._reentrant.popleft()
            self._counters.logged += 1
            self._counters.dropped["reentrant"] += 1

    # -- the reentrancy guard ------------------------------------------------------------------

    def _enter(self, mark: bool = True) -> bool:
        """Enter the guard; False if this thread is inside already: then keep off the lock."""
        ident = get_ident()
        if ident in self._holders:
            if mark:
                self._reentrant.append(None)
            return False
        self._holders.add(ident)
        return True

    def _leave(self) -> None:
        self._holders.discard(get_ident())
