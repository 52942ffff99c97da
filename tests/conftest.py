"""Fixtures that every test may ask for, and what no test may leave behind."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Iterator, List

import pytest
from hypothesis import settings

import dnstap_logging.diagnostics
from dnstap_logging.diagnostics import Reporter
from tests.helpers.support import wait_until
from tests.helpers.surroundings import make_ordinary

make_ordinary()

# A slow machine is no failure: properties are about results, never about speed.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


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
    """Have what earlier tests made the library say said, or forgotten: it is none of this test's.

    Lines are logged by a thread of their own, so they may come after the test that caused them.
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


@pytest.fixture
def said() -> Iterator[Said]:
    """Collect the library's own diagnostics, from now on."""
    let_earlier_lines_pass()
    logger = logging.getLogger(dnstap_logging.diagnostics.LOGGER_NAME)
    collector = Said()
    level = logger.level
    logger.addHandler(collector)
    logger.setLevel(logging.DEBUG)
    yield collector
    logger.removeHandler(collector)
    logger.setLevel(level)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Return the path of a capture that is not there yet."""
    return tmp_path / "capture.fstrm"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Return a logger of the test's own, which passes nothing on; its handlers are closed."""
    logger = logging.Logger("dns", logging.INFO)
    yield logger
    for handler in logger.handlers:
        handler.close()


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind() -> Iterator[None]:
    """Fail a test that leaves a writer thread running: a handler that was not closed."""
    before = {thread.ident for thread in threading.enumerate()}

    def writers() -> List[threading.Thread]:
        return [
            thread
            for thread in threading.enumerate()
            if thread.name == "dnstap-writer" and thread.ident not in before
        ]

    yield
    wait_until(lambda: not writers(), "the writer threads of this test to end")
