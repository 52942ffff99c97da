"""Saying that a filter is where it cannot do its work: on a logger, or on a foreign handler.

There the standard library could send the original of a record on (before Python 3.12 it takes no
changed copies), or other handlers would see the copy.
"""

from __future__ import annotations

import logging

from ..diagnostics import Reporter, start_desk

__all__ = ["Misplaced"]

REPORT_INTERVAL = 10.0
"""Seconds between two lines about the same mistake, as those of a handler."""


class Misplaced:
    """The diagnostic of one filter.

    Args:
        name: the kind of filter, which the line begins with.
        text: what is wrong, and what that does.
    """

    def __init__(self, name: str, text: str) -> None:
        self._reporter = Reporter(name, REPORT_INTERVAL)
        self._text = text

    def report(self) -> None:
        """Post the diagnostic; never block, never raise."""
        start_desk()
        self._reporter.report("misplaced", logging.WARNING, self._text)
