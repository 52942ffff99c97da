"""What these tests share: a logger with a dnstap handler, and what it captured."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

from dnstap_logging.diagnostics import Reporter
from dnstap_logging.integrations import tap
from tests.integrations.capture import Capture


@pytest.fixture
def capture(tmp_path: Path) -> Iterator[Capture]:
    """Capture what the test logs."""
    capture = Capture(tmp_path / "capture.fstrm")
    yield capture
    capture.logger.removeHandler(capture.handler)
    capture.handler.close()


@pytest.fixture(autouse=True)
def _each_test_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what diagnostics the tests before have had, which would delay those of this one."""
    monkeypatch.setattr(tap, "_reporter", Reporter("integrations"))


@pytest.fixture(params=["127.0.0.1", "::1"])
def loopback(request: pytest.FixtureRequest) -> str:
    """An address of this machine, of each family."""
    return str(request.param)
