"""Threads of a test: each does its work until it is told to stop; what it raises, the test gets."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Callable, List, Optional, Type, TypeVar

from tests.situations.interop.taps import Tap

W = TypeVar("W", bound="Workers")

PATIENCE = 120.0
"""Generous: only a test that fails waits so long for a thread."""

LOOKS_APART = 0.005
"""Seconds between two looks at the books."""


class Workers:
    """Threads that work inside a ``with``; its end stops them and waits for them.

    Args:
        work: what each does; it returns soon once ``stopping`` is set.

    Attributes:
        stopping: set when they are to stop.
    """

    def __init__(self, *work: Callable[[], object]) -> None:
        self.stopping = threading.Event()
        self._failures: List[BaseException] = []
        self._threads = [threading.Thread(target=self._guard, args=(each,)) for each in work]

    def __enter__(self: W) -> W:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stopping.set()
        self.join()

    def join(self) -> None:
        """Wait for the end of all of them."""
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a thread of the test does not come to its end"

    def check(self) -> None:
        """Raise what went wrong in a thread."""
        for failure in self._failures:
            raise failure

    def _guard(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the test's thread raises it again
            self._failures.append(error)


class WatchedLoad(Workers):
    """Threads that log, and one more that looks at the books all the time.

    Args:
        tap: what is logged to.
        work: what the threads do that log.
    """

    def __init__(self, tap: Tap, *work: Callable[[], object]) -> None:
        super().__init__(*work, self._look)
        self.tap = tap
        self._looks = 0

    def _look(self) -> None:
        while not self.stopping.wait(LOOKS_APART):
            self.tap.stats()  # asserts that the books balance
            self._looks += 1

    def check(self) -> None:
        """Raise what went wrong in a thread; the books must have been looked at."""
        super().check()
        assert self._looks > 10, f"only {self._looks} looks at the books"
