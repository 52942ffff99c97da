"""A handler with a capture file behind it, for the tests' own logger."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dnstap_logging import DnstapHandler


@pytest.fixture
def handler(logger: logging.Logger, capture: Path) -> DnstapHandler:
    """Return a handler that writes what is logged into a capture."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    return handler
