"""Waiting for a descriptor, with a deadline that somebody else may bring forward.

Every wait of the transports goes through here. Who closes a handler sets a deadline in another
thread and cannot interrupt a poll; so each wait is cut in slices and asks after every slice.
"""

from __future__ import annotations

import math
import select
from time import monotonic
from typing import Callable, List

__all__ = ["BROKEN", "READABLE", "WAIT_SLICE", "WRITABLE", "Deadline", "Until", "never", "wait_for"]

Until = Callable[[], float]
"""The monotonic time after which everything must give up; asked again in each slice of a wait."""

# How late a wait may notice that its deadline was brought forward: short beside any close_timeout,
# long enough that ten wake-ups a second cost nothing.
WAIT_SLICE = 0.1

BROKEN = 0  # nothing else than what every wait tells: an error, or the end of both directions
READABLE = 1
WRITABLE = 2


def never() -> float:
    """Answer as an Until that never asks to give up."""
    return math.inf


class Deadline:
    """The end of one operation: after its own timeout, or when ``until`` says so, if sooner."""

    __slots__ = ("_end", "_until", "timeout")

    def __init__(self, timeout: float, until: Until) -> None:
        self.timeout = timeout
        self._until = until
        self._end = monotonic() + timeout

    def remaining(self) -> float:
        """Return the seconds left, at least 0."""
        return max(0.0, min(self._end, self._until()) - monotonic())

    def describe(self) -> str:
        """Say, after the deadline, how long was waited, or why no longer."""
        if self._until() < self._end:
            return "in the time that closing left"
        return f"in {self.timeout:.3g} s"


def _always() -> bool:
    return True


def wait_for(
    descriptor: int, event: int, deadline: Deadline, goes_on: Callable[[], bool] = _always
) -> bool:
    """Wait until a descriptor is ready, or broken, which the next call on it will tell.

    Args:
        descriptor: to wait for.
        event: what to wait for.
        deadline: the end of the wait.
        goes_on: asked after every slice: whether the wait still makes sense.

    Returns:
        False: the deadline passed first. A deadline in the past still gets one look.
    """
    while True:
        left = deadline.remaining()
        if _poll(descriptor, event, min(left, WAIT_SLICE)):
            return True
        if not left or not goes_on():
            return False


def _poll(descriptor: int, event: int, seconds: float) -> bool:
    # Looked up at each call, because gevent may replace it after this module was imported.
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
    # Windows tells a failed connect as an exceptional condition.
    return any(select.select(readers, writers, watched, seconds))
