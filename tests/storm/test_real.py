"""Many real senders come back to a real collector, in about the time that the simulation says."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import pytest

from tests.storm.real import restart
from tests.storm.simulation import MAX_RECONNECT_INTERVAL, Scene, run

GRACE = 30.0
"""Seconds more for a machine that is busy with other things."""

SIZES = [(20, 0.5), pytest.param((200, 10.0), marks=pytest.mark.slow)]
"""Senders, and seconds without a collector: the second is what docs/fleet.md shows."""


@pytest.mark.parametrize("size", SIZES, ids=["20", "200"])
@pytest.mark.parametrize(
    ("collector", "kill"), [("dnstap-logging listen", True), ("fstrm_capture", False)]
)
def test_many_senders_come_back(
    tmp_path: Path, collector: str, kill: bool, size: Tuple[int, float]
) -> None:
    """All have a session again; a stopped collector misses nothing that is not `unconfirmed`.

    One that is killed misses what it had read and not yet written, too, which no sender can know.
    """
    senders, outage = size

    found = restart(tmp_path, collector, senders, outage, kill=kill)

    simulated = run(Scene(senders, None, found.away)).all_back(found.away)
    assert simulated is not None
    assert simulated <= MAX_RECONNECT_INTERVAL
    assert found.back <= MAX_RECONNECT_INTERVAL + GRACE
    assert (found.runs, found.dropped) == (senders, 0)
    read_and_not_written = found.logged // 50 if kill else 0
    assert found.missing <= found.unconfirmed + read_and_not_written
