"""Integrations run in the threads that serve DNS: no message takes them long."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnstap_logging import DnstapReader
from tests.helpers.cpu_time import too_slow
from tests.helpers.hostile_calls import INTEGRATIONS, integrated
from tests.helpers.hostile_messages import HOSTILE

MOST = 0.5  # seconds of CPU time for 64 KB; it is some 10 ms


@pytest.mark.parametrize("name", INTEGRATIONS)
def test_time(name: str, tmp_path: Path) -> None:
    """Each integration takes time in proportion to the octets of the message, and logs it."""
    path = tmp_path / "capture.fstrm"
    with integrated(name, path) as log:
        assert too_slow(log, MOST) == []

    with DnstapReader(path) as reader:
        assert sum(1 for _ in reader) >= 2 * len(HOSTILE)
        assert reader.complete
