"""Wait for a descriptor, with a deadline that another thread may bring forward.

A thread that closes a handler cannot interrupt another one's poll, so waits are cut into slices,
and the deadline is checked after each.
"""

from __future__ import annotations

import math
import select
from time import monotonic
from typing import Callable, List

__all__ = ["BROKEN", "READABLE", "WAIT_SLICE", "WRITABLE", "Deadline", "Until", "never", "wait_for"]

Until = Callable[[], float]
"""Returns the monotonic time when all waits end; called in each slice of a wait. An object with an
attribute ``slice`` says how many seconds that is."""

# Seconds after which a wait notices an earlier deadline: short for a close_timeout, and ten
# wake-ups a second cost nothing.
WAIT_SLICE = 0.1

BROKEN = 0  # only an error, or the end of both directions, which end every wait
READABLE = 1
WRITABLE = 2


def never() -> float:
    """An `Until` without an end."""
    return math.inf


class Deadline:
    """The end of one operation: after its timeout, or at ``until()`` if that is sooner."""

    __slots__ = ("_end", "slice", "timeout", "until")

    def __init__(self, timeout: float, until: Until) -> None:
        self.timeout = timeout
        self.until = until
        self.slice: float = getattr(until, "slice", WAIT_SLICE)
        self._end = monotonic() + timeout

    def remaining(self) -> float:
        """Return the seconds left, at least 0."""
        return max(0.0, min(self._end, self.until()) - monotonic())

    def describe(self) -> str:
        """Return for an error text how long it was waited."""
        if self.until() < self._end:
            return "in the time that closing left"
        return f"in {self.timeout:.3g} s"


def _always() -> bool:
    return True


def wait_for(
    descriptor: int, event: int, deadline: Deadline, goes_on: Callable[[], bool] = _always
) -> bool:
    """Wait until a descriptor is ready or broken; the next call on it shows which.

    Args:
        descriptor: to wait for.
        event: BROKEN, READABLE or WRITABLE.
        deadline: the end of the wait; if it is over, the descriptor is still checked once.
        goes_on: called after every slice; False ends the wait.

    Returns:
        False: the deadline passed first.
    """
    while True:
        left = deadline.remaining()
        if _poll(descriptor, event, min(left, deadline.slice)):
            return True
        if not left or not goes_on():
            return False


def _poll(descriptor: int, event: int, seconds: float) -> bool:
    # Looked up at each call: gevent may have removed it since this module was imported.
    make_poll = getattr(select, "poll", None)
    if make_poll is None:
        return _select(descriptor, event, seconds)
    poller = make_poll()
    events = {BROKEN: 0, READABLE: select.POLLIN, WRITABLE: select.POLLOUT}
    poller.register(descriptor, events[event])
    return bool(poller.poll(math.ceil(seconds * 1000)))


def _select(descriptor: int, event: int, seconds: float) -> bool:
    watched: List[int] = [descriptor]
    readers = watched if event == READABLE else []
    writers = watched if event == WRITABLE else []
    # Windows reports a failed connect as an exceptional condition.
    return any(select.select(readers, writers, watched, seconds))
