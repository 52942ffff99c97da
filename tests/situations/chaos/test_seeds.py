"""Some scenarios of `make chaos`, always the same: one for each destination."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.situations.chaos.plan import make_plan
from tests.situations.chaos.scenario import (
    Certificates,
    disks_are_possible,
    make_certificates,
    run_scenario,
)
from tests.situations.chaos.tables import FAULTS

SECONDS = 0.5


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return the certificates of all scenarios."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize(
    ("seed", "destination", "fault"),
    [
        (1, "unix", "killed_behind"),
        (2, "abstract", "resets"),
        (3, "tcp", "closes_in_a_frame"),
        (4, "tls", "stalls"),
        (5, "file", "disk_full"),
        (6, "rotating", "moved"),
        (7, "timed", "deleted"),
        (8, "kafka", "brokers_down"),
    ],
)
def test_the_books_agree_with_what_arrived(
    tmp_path: Path, certificates: Certificates, seed: int, destination: str, fault: str
) -> None:
    """A random program logs, forks, flushes, reopens and closes; no record is lost uncounted."""
    disks = disks_are_possible()
    asked = fault if disks or not FAULTS[fault].needs_namespace else None
    plan = make_plan(seed, destination, asked, disks=disks)
    plan = plan._replace(seconds=SECONDS)

    outcome = run_scenario(plan, tmp_path, certificates)

    assert not outcome.failures, "\n".join([str(plan), *outcome.failures])
    assert outcome.totals["logged"] > 0
