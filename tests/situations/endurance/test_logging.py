"""Processes that log for long: their memory does not depend on how much they have logged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.situations.endurance.measure import assert_flat
from tests.situations.endurance.workloads import FILTERING, LOGGING, Workload


@pytest.mark.parametrize("workload", LOGGING[:3], ids=lambda each: each.name)
def test_records_take_no_memory(workload: Workload, tmp_path: Path) -> None:
    """Records of mixed sizes and kinds, from always new clients, take no memory for long."""
    assert_flat(workload.measure(workload.small, tmp_path, "upb"))


@pytest.mark.slow
@pytest.mark.parametrize("workload", LOGGING[3:], ids=lambda each: each.name)
def test_records_take_no_memory_whatever_the_handler(workload: Workload, tmp_path: Path) -> None:
    """So it is through every kind of handler, by adapter and by logger.info."""
    assert_flat(workload.measure(workload.small, tmp_path, "upb"))


@pytest.mark.slow
@pytest.mark.parametrize("workload", LOGGING[:2], ids=lambda each: each.name)
def test_records_take_no_memory_with_protobuf_in_python(workload: Workload, tmp_path: Path) -> None:
    """The same with protobuf's implementation in Python."""
    assert_flat(workload.measure(workload.small, tmp_path, "python"))


# Not the last one: its memory is flat only after 33,000 records, when its pseudonyms are the most.
@pytest.mark.slow
@pytest.mark.parametrize("workload", FILTERING[:-1], ids=lambda each: each.name)
def test_filters_take_no_memory(workload: Workload, tmp_path: Path) -> None:
    """Records that go through a filter leave nothing behind in it, or in their copies."""
    assert_flat(workload.measure(workload.small, tmp_path, "upb"))
