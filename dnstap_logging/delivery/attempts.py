"""What is booked and said of each of a destination's addresses.

Belongs to the connection, and so to whoever drives the delivery.
"""

from __future__ import annotations

import logging
import time
from typing import Dict, Iterable

from ..diagnostics import Reporter, Text
from .destination import Destination
from .losses import records
from .queue import RecordQueue
from .stats import Attempts

__all__ = ["AttemptLog"]


class AttemptLog:
    """Book and report for the address that the destination is about.

    Args:
        queue: the books.
        destination: knows its addresses, and which of them is the current one.
        reporter: says what happens.
    """

    def __init__(self, queue: RecordQueue, destination: Destination, reporter: Reporter) -> None:
        self._queue = queue
        self._destination = destination
        self._reporter = reporter
        self._attempts: Dict[str, Attempts] = dict.fromkeys(destination.names, (0, None))
        self._trouble = ""  # why nothing can be written now
        queue.book(attempts=self._attempts)

    def report(self, kind: str, level: int, text: Text, after: float = 0.0) -> None:
        """Have a line logged about the current address."""
        self._reporter.report(kind, level, text, after, about=self._destination.current)

    def succeeded(self) -> None:
        """Book a session that began."""
        self.worked()
        self._queue.book(connects=1, connected=True, address=self._destination.current)

    def worked(self) -> None:
        """Book that the current address works again."""
        self._trouble = ""
        name = self._destination.current
        self._note(name, (0, self._attempts[name][1]))

    def failed(self, text: str, name: str = "") -> None:
        """Book an attempt that failed, or a session that broke.

        Args:
            text: why.
            name: its address, if that is not the current one.
        """
        name = name or self._destination.current
        self._note(name, (self._attempts[name][0] + 1, text))
        self.error(text, name)

    def cannot_write(self, text: str) -> None:
        """Say that a write failed, or what is so then if the line has to wait."""
        self._trouble = text
        waits = self._reporter.due("write") > time.monotonic()
        line = self._still if waits else f"cannot write: {text}"
        self.report("write", logging.WARNING, line)

    def _still(self) -> str:
        return f"cannot write: {self._trouble}" if self._trouble else ""

    def missed(self, text: str, name: str) -> None:
        """Book and say that an earlier address is not back."""
        self.failed(text, name)
        self._reporter.report("not back", logging.INFO, f"not back yet: {text}", about=name)

    def refused(self, causes: Iterable[str], why: str) -> None:
        """Book and say that records were dropped which the destination will never take."""
        for cause in causes:
            text = f"record dropped ({cause}): {why}"
            self.error(text)
            self.report(cause, logging.WARNING, text)

    def passed_by(self, number: int) -> None:
        """Say that records will not be sent again."""
        text = f"{records(number)} will not be sent again: session after session ended before"
        self.report("passed by", logging.WARNING, f"{text} they were read")

    def error(self, text: str, name: str = "") -> None:
        """Book what went wrong; with its address, where there are several."""
        several = len(self._attempts) > 1
        about = f"{name or self._destination.current}: " if several else ""
        self._queue.book(last_error=about + text)

    def _note(self, name: str, attempts: Attempts) -> None:
        # Replaced and never changed: snapshots share it.
        self._attempts = {**self._attempts, name: attempts}
        self._queue.book(attempts=self._attempts)
