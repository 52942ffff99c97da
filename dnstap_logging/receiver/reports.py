"""A receiver's lines about its peers: each kind of each peer once in an interval.

So a sender that fails again and again does not hide the others. Any thread.
"""

from __future__ import annotations

import threading
import time
from typing import Dict

from ..diagnostics import Reporter

__all__ = ["PeerReports"]

MOST_SUBJECTS = 256
"""Kinds of lines of single peers in one interval. Further peers share one subject, so that a flood
from many addresses neither takes memory nor fills the log."""

OTHERS = "others"


class PeerReports:
    """Report the lines of a receiver.

    Args:
        reporter: logs them.
        interval: seconds between two lines of one kind of one peer; 0: all are logged.
    """

    def __init__(self, reporter: Reporter, interval: float) -> None:
        self._reporter = reporter
        self._interval = interval
        self._lock = threading.RLock()  # guards the subjects; a signal handler may report as well
        self._subjects: Dict[str, float] = {}  # to the time when each was last reported

    def report(self, kind: str, level: int, text: str, peer: str, name: str) -> None:
        """Report a line.

        Args:
            kind: of line.
            level: a logging level.
            text: the line, which names the connection.
            peer: lines of one kind are limited for each peer, such as a host.
            name: of the connection.
        """
        subject = f"{kind} {name if self._interval == 0 else peer}"
        if not self._has_room_for(subject):
            subject = f"{kind} {OTHERS}"
        self._reporter.report(subject, level, text)

    def _has_room_for(self, subject: str) -> bool:
        now = time.monotonic()
        with self._lock:
            if subject not in self._subjects and len(self._subjects) >= MOST_SUBJECTS:
                since = now - self._interval
                self._subjects = {each: at for each, at in self._subjects.items() if at > since}
                if len(self._subjects) >= MOST_SUBJECTS:
                    return False
            self._subjects[subject] = now
            return True
