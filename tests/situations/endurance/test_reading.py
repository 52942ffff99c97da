"""Processes that read dnstap for long: their memory does not depend on how much they have read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.situations.endurance.measure import assert_flat
from tests.situations.endurance.workloads import READING, Workload

QUICK = [each for each in READING if each.name in ("reader", "receiver", "listen-write")]
OTHERS = [each for each in READING if each not in QUICK]


@pytest.mark.parametrize("workload", QUICK, ids=lambda each: each.name)
def test_messages_take_no_memory(workload: Workload, tmp_path: Path) -> None:
    """Messages whose clients, names, classes and types are always new take no memory for long."""
    assert_flat(workload.measure(workload.small, tmp_path, "upb"), workload.spare)


@pytest.mark.slow
@pytest.mark.parametrize("workload", OTHERS, ids=lambda each: each.name)
def test_messages_take_no_memory_in_any_command(workload: Workload, tmp_path: Path) -> None:
    """So it is in every command that may run for long."""
    assert_flat(workload.measure(workload.small, tmp_path, "upb"), workload.spare)
