"""Fixtures that every test may ask for, and what no test may leave behind."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Iterator, List

import pytest
from hypothesis import settings

import dnstap_logging.diagnostics
from tests.helpers.once_more import (  # noqa: F401 - hooks of pytest
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_terminal_summary,
)
from tests.helpers.said import Said, let_earlier_lines_pass
from tests.helpers.support import wait_until
from tests.helpers.surroundings import make_ordinary

make_ordinary()

# A slow machine is no failure: properties are about results, never about speed.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


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
