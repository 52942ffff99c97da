"""The traffic that several threads feed, and one looks at."""

from __future__ import annotations

import threading
from typing import Optional

from ...message.message import DnstapMessage
from ..selecting import Selector
from .statistics import Summary, Traffic

__all__ = ["Intake"]


class Intake:
    """Count the messages that are wanted.

    Args:
        wanted: tells whether a message is; None: all are.
    """

    def __init__(self, wanted: Optional[Selector]) -> None:
        self._wanted = wanted
        self._lock = threading.Lock()  # guards the traffic; held for no I/O
        self._traffic = Traffic()

    @property
    def messages(self) -> int:
        """How many were counted so far."""
        return self._traffic.messages

    def take(self, message: DnstapMessage) -> None:
        """Count a message, if it is wanted; any thread may call it."""
        if self._wanted is None or self._wanted(message):
            with self._lock:
                self._traffic.add(message)

    def summary(self, rows: int) -> Summary:
        """Return a snapshot; as `Traffic.summary`."""
        with self._lock:
            return self._traffic.summary(rows)
