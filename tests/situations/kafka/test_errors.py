"""Errors that brokers answer with: whatever librdkafka makes of them, each record is counted."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict

import pytest

from tests.helpers.mock_cluster import MockCluster, read_records
from tests.situations.faults.receivers import DEADLINE
from tests.situations.interop.taps import marks_in, tapped

TOPIC = "dnstap"
OPTIONS: Dict[str, Any] = {"identity": "ns1", "close_timeout": DEADLINE, "timeout": DEADLINE}

ERRORS = {
    "UNKNOWN": -1,
    "CORRUPT_MESSAGE": 2,
    "REQUEST_TIMED_OUT": 7,
    "NETWORK_EXCEPTION": 13,
    "CLUSTER_AUTHORIZATION_FAILED": 31,
    "INVALID_TIMESTAMP": 32,
    "OUT_OF_ORDER_SEQUENCE_NUMBER": 45,
    "INVALID_PRODUCER_EPOCH": 47,
    "INVALID_PRODUCER_ID_MAPPING": 49,
    "UNKNOWN_PRODUCER_ID": 59,
    "INVALID_RECORD": 87,
    "PRODUCER_FENCED": 90,
}


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("error", ERRORS)
def test_each_record_arrives_once_and_in_order(error: str, times: int) -> None:
    """Also where librdkafka gives the records up, or its producer can send nothing any more."""
    with MockCluster((TOPIC, 4)) as cluster:
        with tapped(cluster.address(TOPIC), **OPTIONS) as tap:
            tap.log_numbers([0])
            assert tap.handler.flush(DEADLINE)
            cluster.fail_next(*[ERRORS[error]] * times)
            tap.log_numbers(range(1, 3000))
            assert tap.handler.flush(DEADLINE)
            stats = tap.close()
        found = [
            int(mark) for mark in marks_in(r.value for r in read_records(cluster.brokers, TOPIC))
        ]
    assert stats.written == stats.confirmed == len(found), stats
    refused = stats.dropped["invalid"]
    assert refused <= (error == "INVALID_RECORD"), stats
    assert stats.logged == stats.written + refused, stats
    assert Counter(found).most_common(1)[0][1] == 1
    assert found == sorted(found)
