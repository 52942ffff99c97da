"""The library's own diagnostics in a test: collect them, and wait for those of earlier tests."""

from __future__ import annotations

import logging
import threading
from typing import List

import dnstap_logging.diagnostics
from dnstap_logging.diagnostics import Reporter
from tests.helpers.support import wait_until


class Said(logging.Handler):
    """What the library said to the logger "dnstap_logging", with a way to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: List[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def lines(self) -> List[str]:
        """The lines so far."""
        return [record.getMessage() for record in self.records]

    def with_text(self, text: str, level: int = logging.NOTSET) -> List[str]:
        """Return the lines that contain a text, of at least this level."""
        return [
            record.getMessage()
            for record in list(self.records)
            if text in record.getMessage() and record.levelno >= level
        ]

    def wait_for(self, text: str) -> str:
        """Wait for a line that contains this text, and return it."""
        return wait_until(lambda: self.with_text(text), f"a diagnostic with {text!r}")[0]


def let_earlier_lines_pass() -> None:
    """Wait until the diagnostics that earlier tests caused are logged, or drop them.

    A thread logs them, so they may come after the end of the test that caused them.
    """
    desk = dnstap_logging.diagnostics._desk
    passed = threading.Event()

    def last_of_them() -> str:  # runs in the desk's thread, the only one that touches _later
        desk._later.clear()
        passed.set()
        return ""

    if desk.running:
        Reporter("tests", 0).report("passed", logging.DEBUG, last_of_them)
        assert passed.wait(20), "the diagnostics' thread did not get to the end of its mailbox"
    else:
        while not desk.mailbox.empty():
            desk.mailbox.get_nowait()
