"""What happens to handlers in a long life, and servers that log by the integrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.situations.endurance.measure import assert_flat
from tests.situations.endurance.workloads import HANDLING, SERVING, Workload


@pytest.mark.slow
@pytest.mark.parametrize("workload", HANDLING, ids=lambda each: each.name)
def test_handlers_leave_nothing_behind(workload: Workload, tmp_path: Path) -> None:
    """Sessions, rollovers and handlers that are over take no memory."""
    assert_flat(workload.measure(workload.small, tmp_path, "upb"))


@pytest.mark.slow
@pytest.mark.parametrize("workload", SERVING, ids=lambda each: each.name)
def test_integrations_take_no_memory(workload: Workload, tmp_path: Path) -> None:
    """Queries of servers and clients, by real sockets, leave nothing behind."""
    assert_flat(workload.measure(workload.small, tmp_path, "upb"))
