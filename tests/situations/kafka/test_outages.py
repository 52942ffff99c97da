"""A hundred thousand messages while brokers go down again and again, and refuse what they get."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path
from typing import Any, DefaultDict, Dict, List

import pytest

from tests.helpers.mock_cluster import MockCluster, read_records
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import DEADLINE
from tests.situations.interop.taps import Tap, marks_in, tapped

TOPIC = "dnstap"
CLIENTS = 200
PASSING_ERRORS = (19, 0, 7, 0, 6, 19)
"""Too few replicas, a timeout, another leader: answers that are no answer for ever."""

SIZES = [4_000, pytest.param(100_000, marks=pytest.mark.slow, id="full")]


def log_range(tap: Tap, first: int, end: int) -> None:
    """Log numbered queries of many clients, no faster than the queue has room."""
    for number in range(first, end):
        tap.logger.info(
            "query",
            extra={
                "dns_message_type": "CLIENT_QUERY",
                "dns_extra": str(number),
                "dns_query_address": f"192.0.2.{number % CLIENTS}",
            },
        )
        if number % 100 == 0:
            wait_until(lambda: tap.stats().queued < 5000 or not tap.stats().connected, "room")


def check(cluster: MockCluster, count: int) -> None:
    """Check that each number is there once, and those of each client in order."""
    records = read_records(cluster.brokers, TOPIC)
    marks = [int(mark) for mark in marks_in(record.value for record in records)]
    assert sorted(marks) == list(range(count)), f"{len(marks)} of {count}, {len(set(marks))} unlike"
    by_key: DefaultDict[Any, List[int]] = defaultdict(list)
    for record, mark in zip(records, marks):
        by_key[record.key].append(mark)
    assert len(by_key) == CLIENTS
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


def let_pass(tap: Tap, seconds: float) -> None:
    """Let some time pass, and then some more if the queue is half full."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > end and tap.stats().queued < 1000, "room", DEADLINE)


def go_down(cluster: MockCluster, tap: Tap, first: int, end: int) -> None:
    """Log while brokers refuse, are gone, and come back."""
    third = (end - first) // 3
    cluster.fail_next(*PASSING_ERRORS)
    log_range(tap, first, first + third)
    cluster.set_down()
    log_range(tap, first + third, first + 2 * third)
    wait_until(lambda: not tap.stats().connected, "connected to be false", DEADLINE)
    cluster.set_up()
    log_range(tap, first + 2 * third, end)


@pytest.mark.parametrize("count", SIZES)
def test_brokers_go_down_four_times(count: int) -> None:
    """Nothing is missing, nothing came twice, and each client's messages are in order."""
    options: Dict[str, Any] = {"timeout": 0.5, "close_timeout": DEADLINE, "kafka_key": "client"}
    with MockCluster((TOPIC, 4), brokers=3) as cluster:
        with tapped(cluster.address(TOPIC), queue_size=count, **options) as tap:
            for part in range(4):
                go_down(cluster, tap, count * part // 4, count * (part + 1) // 4)
            stats = tap.close()
            assert (stats.confirmed, stats.unconfirmed) == (count, 0), stats
        check(cluster, count)


@pytest.mark.parametrize("count", SIZES)
def test_with_a_spool_the_usual_queue_is_enough(count: int, tmp_path: Path) -> None:
    """With 10,000 places on the queue nothing is lost, however long the brokers are away."""
    options: Dict[str, Any] = {"timeout": 0.5, "close_timeout": DEADLINE, "kafka_key": "client"}
    with MockCluster((TOPIC, 4), brokers=3) as cluster:
        with tapped(cluster.address(TOPIC), spool=tmp_path / "spool", **options) as tap:
            log_range(tap, 0, count // 4)
            wait_until(lambda: tap.stats().connected, "a session", DEADLINE)
            cluster.set_down()
            for first in range(count // 4, count // 2, 500):
                log_range(tap, first, min(first + 500, count // 2))
                wait_until(lambda: tap.stats().queued < 8000, "room on the queue", DEADLINE)
            cluster.set_up()
            log_range(tap, count // 2, count)
            wait_until(lambda: tap.stats().confirmed == count, "all of them", DEADLINE)
            stats = tap.close()
            assert (stats.spooled, sum(stats.dropped.values())) == (0, 0), stats
        check(cluster, count)


@pytest.mark.parametrize("seconds", [1, pytest.param(60, id="full", marks=pytest.mark.hours)])
def test_brokers_that_are_gone_for_long(seconds: int, tmp_path: Path) -> None:
    """With a spool nothing is lost, however small the queue is."""
    options: Dict[str, Any] = {"timeout": 0.5, "close_timeout": DEADLINE, "kafka_key": "client"}
    with MockCluster((TOPIC, 4), brokers=3) as cluster:
        with tapped(
            cluster.address(TOPIC), spool=tmp_path / "spool", queue_size=2000, **options
        ) as tap:
            log_range(tap, 0, 500)
            wait_until(lambda: tap.stats().confirmed == 500, "the first ones", DEADLINE)
            cluster.set_down()
            back, count = time.monotonic() + seconds, 500
            while time.monotonic() < back or not tap.stats().spooled:
                log_range(tap, count, count + 500)
                count += 500
                let_pass(tap, 0.25)
            cluster.set_up()
            wait_until(lambda: tap.stats().confirmed == count, "all of them", DEADLINE)
            stats = tap.close()
            assert (stats.spooled, sum(stats.dropped.values())) == (0, 0), stats
        check(cluster, count)
