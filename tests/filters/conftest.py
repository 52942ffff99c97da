"""A logger of the test's own with a capture file behind it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Iterator

import pytest

from dnstap_logging import DnstapHandler


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return tmp_path / "capture.fstrm"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """Return a logger of the test's own, which passes nothing on; its handlers are closed."""
    logger = logging.Logger("dns", logging.INFO)
    yield logger
    for handler in logger.handlers:
        handler.close()


@pytest.fixture
def handler(logger: logging.Logger, capture: Path) -> DnstapHandler:
    """Return a handler that writes what is logged into a capture."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    return handler
