"""What a receiver says of its peers: each kind of trouble of each of them, once in an interval.

One sender that fails over and over must not keep another one's trouble from being said. Any thread.
"""

from __future__ import annotations

import threading
import time
from typing import Dict

from ..diagnostics import Reporter

__all__ = ["PeerReports"]

MOST_SUBJECTS = 256
"""Kinds of trouble of peers that are told apart in an interval; what comes from further ones is
said together, so that a flood from many addresses takes no memory and does not fill the log."""

OTHERS = "others"


class PeerReports:
    """Post the lines of a receiver.

    Args:
        reporter: says them.
        interval: seconds between two lines of one kind of one peer; 0: all are said.
    """

    def __init__(self, reporter: Reporter, interval: float) -> None:
        self._reporter = reporter
        self._interval = interval
        self._lock = threading.RLock()  # guards the subjects; a signal handler may report as well
        self._subjects: Dict[str, float] = {}  # and when they were last said something of

    def report(self, kind: str, level: int, text: str, peer: str, name: str) -> None:
        """Post a line.

        Args:
            kind: of trouble.
            level: a logging level.
            text: the line, which names the connection.
            peer: whose lines of one kind are limited together, such as a host.
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
