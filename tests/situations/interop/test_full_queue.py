"""A full queue: exactly the overflow is dropped and counted, one line says so, nobody waits."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.situations.interop.collectors import FstrmCapture, free_address, stopwatch
from tests.situations.interop.taps import numbers_in, tapped

QUEUE_SIZE = 100
LOGGED = 350
PADDING = bytes(2000)
GENEROUS = 10.0
"""Seconds in which some hundred log calls return on any machine, unless one waits for I/O: each of
the timeouts that it could wait for is longer."""

NO_SECOND_LINE = 3600.0


def test_the_overflow_is_dropped_and_counted(tmp_path: Path, said: Said) -> None:
    """Without a collector the queue takes its size, the rest is counted, and one line says so."""
    path = tmp_path / "capture.fstrm"
    address = free_address("unix", tmp_path)
    with tapped(address, queue_size=QUEUE_SIZE, report_interval=NO_SECOND_LINE) as tap:
        with stopwatch(GENEROUS, f"{LOGGED} log calls without a collector"):
            tap.log_numbers(range(LOGGED))
        full = tap.stats()
        first = said.wait_for("queue_full")
        tap.log_numbers(range(LOGGED, 2 * LOGGED))
        with FstrmCapture(address, path) as collector:
            wait_until(lambda: tap.stats().written == QUEUE_SIZE, "the queue to be written")
            tap.log_numbers([2 * LOGGED])
            lines = said.with_text("queue_full", logging.WARNING)
            stats = tap.close()
            collector.stop()

    assert (full.logged, full.queued, full.accepted) == (LOGGED, QUEUE_SIZE, QUEUE_SIZE), full
    assert full.dropped["queue_full"] == LOGGED - QUEUE_SIZE, full
    assert first.startswith(f"{address}: dropped "), first
    assert lines == [first], "a second line before report_interval was over"
    assert stats.dropped["queue_full"] == 2 * LOGGED - QUEUE_SIZE == sum(stats.dropped.values())
    assert numbers_in(path) == [*range(QUEUE_SIZE), 2 * LOGGED], "the newest are dropped"


def test_lines_come_once_an_interval(tmp_path: Path, said: Said) -> None:
    """While records are dropped, there is one line an interval; together they count every drop."""
    interval = 0.5
    address = free_address("unix", tmp_path)
    options = {"report_interval": interval, "close_timeout": 0.1}
    with tapped(address, queue_size=1, **options) as tap:

        def three_lines() -> bool:
            tap.log_numbers([0])
            return len(said.with_text("queue_full", logging.WARNING)) >= 3

        wait_until(three_lines, "three lines about drops")
        times = [each.created for each in said.records if "queue_full" in each.getMessage()]
        tap.close()

    gaps = [later - sooner for sooner, later in zip(times, times[1:])]
    assert min(gaps) >= interval * 0.9, f"lines came {gaps} s apart, not {interval:g}"


def test_a_collector_that_stands_still_fills_the_queue(tmp_path: Path) -> None:
    """Stopped inside a session: the kernel and the queue fill up, and no log call waits."""
    path = tmp_path / "capture.fstrm"
    options = {"timeout": 60.0, "close_timeout": 60.0, "report_interval": NO_SECOND_LINE}
    with FstrmCapture(free_address("unix", tmp_path), path) as collector:
        with tapped(collector.address, queue_size=QUEUE_SIZE, **options) as tap:
            tap.log_numbers([0], PADDING)
            wait_until(lambda: tap.stats().written == 1, "the session")
            collector.pause()
            logged = 1
            with stopwatch(GENEROUS, "log calls while the collector stands still"):
                while tap.stats().dropped["queue_full"] < LOGGED:
                    tap.log_numbers(range(logged, logged + 100), PADDING)
                    logged += 100
            stuck = tap.stats()
            collector.resume()
            stats = tap.close()
        collector.stop()

    assert stuck.connected, "the session must outlast the pause"
    assert stats.dropped["queue_full"] == sum(stats.dropped.values()) >= LOGGED, stats
    assert (stats.logged, stats.written) == (logged, logged - stats.dropped["queue_full"]), stats
    arrived = numbers_in(path)
    assert len(arrived) == stats.written
    assert arrived == sorted(set(arrived)), "twice, or out of order"


def test_bytes_fill_the_queue_too(tmp_path: Path, said: Said) -> None:
    """queue_bytes bounds the payload that is held, and has a counter and a line of its own."""
    size, room = 1000, 20
    path = tmp_path / "capture.fstrm"
    address = free_address("unix", tmp_path)
    with tapped(address, queue_bytes=size * room, report_interval=NO_SECOND_LINE) as tap:
        for _ in range(2 * room):
            extra = {"dns_message_type": "CLIENT_QUERY", "dns_query_message": bytes(size)}
            tap.logger.info("large", extra=extra)
        full = tap.stats()
        said.wait_for(f"{address}: dropped ")
        with FstrmCapture(address, path) as collector:
            stats = tap.close()
            collector.stop()

    assert (full.queued, full.dropped["queue_bytes"]) == (room, room), full
    assert stats.written == room, stats


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_an_absent_collector_never_delays_the_caller(scheme: str, tmp_path: Path) -> None:
    """20,000 calls return, half of them into a full queue, with nothing to connect to."""
    with tapped(free_address(scheme, tmp_path), close_timeout=0.1) as tap:
        with stopwatch(3 * GENEROUS, "20,000 log calls"):
            tap.log_numbers(range(20_000))
        stats = tap.stats()
        end = tap.close()

    assert (stats.queued, stats.dropped["queue_full"]) == (10_000, 10_000), stats
    assert (end.written, end.dropped["disconnected"]) == (0, 10_000), end
