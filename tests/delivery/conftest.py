"""What the tests of handlers with a spool share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.situations.interop.collectors import free_address


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Return the path of a folder that is not there yet."""
    return tmp_path / "spool"


@pytest.fixture
def address(tmp_path: Path) -> str:
    """Return the address of a unix socket on which nothing listens yet."""
    return free_address("unix", tmp_path)
