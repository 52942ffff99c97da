"""More records than can be delivered: memory is bounded, calls are fast, and drops reported."""

from __future__ import annotations

import logging
import threading
import tracemalloc
from pathlib import Path

import pytest

from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import DEADLINE
from tests.situations.interop.collectors import FstrmCapture, free_address, stopwatch
from tests.situations.interop.taps import Tap, tapped

MANY = 100_000
NO_SECOND_LINE = 3600.0
INTERVAL = 0.2
CLOSE_TIMEOUT = 0.3
GRACE = 10.0
MEGABYTE = 1024 * 1024


class Producer:
    """A thread that logs as fast as it can, so that a small queue is always full."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(DEADLINE)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._tap.log_numbers(range(100))


def wait_for_another_line(said: Said, text: str) -> None:
    """Wait for one more line that says this."""
    number = len(said.with_text(text))
    wait_until(lambda: len(said.with_text(text)) > number, f"another line with {text!r}", DEADLINE)


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_full_queue_starves_nothing(scheme: str, said: Said, tmp_path: Path) -> None:
    """While the queue is full all the time, drops are reported, and lost sessions renewed."""
    address = free_address(scheme, tmp_path)
    options = {"report_interval": INTERVAL, "max_reconnect_interval": INTERVAL}
    with tapped(address, queue_size=10, close_timeout=0.0, **options) as tap, Producer(tap):
        wait_for_another_line(said, f"{address}: dropped")  # with nobody there
        for number in (1, 2, 3):
            with FstrmCapture(address, tmp_path / f"capture{number}.fstrm") as collector:
                wait_until(
                    lambda number=number: tap.stats().connects == number, "a session", DEADLINE
                )
                written = tap.stats().written
                wait_until(lambda w=written: tap.stats().written > w, "records in it", DEADLINE)
                wait_for_another_line(said, f"{address}: dropped")
                collector.kill()
                wait_until(lambda: not tap.stats().connected, "its end to be noticed", DEADLINE)
            wait_for_another_line(said, f"{address}: dropped")
            assert tap.stats().connects == number


def test_a_hundred_thousand_drops_make_one_line(said: Said, tmp_path: Path) -> None:
    """However many are dropped within report_interval, one line says so, and one more at close."""
    address = free_address("unix", tmp_path)
    options = {"report_interval": NO_SECOND_LINE, "close_timeout": 0.0}
    with tapped(address, queue_size=1, **options) as tap:
        tap.log_numbers(range(MANY))
        said.wait_for(f"{address}: dropped")
        meanwhile = said.with_text(f"{address}: dropped")
        stats = tap.close()
        lines = said.with_text(f"{address}: dropped")

    assert len(meanwhile) == 1, meanwhile
    assert stats.dropped["queue_full"] == MANY - 1, stats
    assert len(lines) == 2, lines
    assert f"in all {MANY} of {MANY} logged" in lines[-1]
    assert len(said.with_text(address, logging.WARNING)) == 3, "and one about its absence"


def test_memory_is_bounded_while_the_collector_is_away(tmp_path: Path) -> None:
    """10,000 records of 64 kB, 640 MB in all, take no more than queue_bytes' default of 64 MiB."""
    with tapped(free_address("unix", tmp_path), close_timeout=0.0) as tap:
        tap.log_numbers([0])
        wait_until(lambda: tap.stats().last_error, "the first failed attempt")
        tracemalloc.start()
        try:
            for _ in range(10_000):
                tap.log_marked("large", bytes(64_000))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        stats = tap.stats()

    assert stats.dropped["queue_bytes"] > 8000, stats
    assert peak < 64 * MEGABYTE + 8 * MEGABYTE, f"{peak:,} bytes"


def test_close_with_a_full_queue_and_a_peer_that_stands_still(tmp_path: Path) -> None:
    """Where the queue takes no more and the collector neither, close() is bounded and counts."""
    with FstrmCapture(free_address("unix", tmp_path), tmp_path / "capture.fstrm") as collector:
        with tapped(collector.address, queue_size=100, close_timeout=CLOSE_TIMEOUT) as tap:
            tap.log_numbers([0])
            wait_until(lambda: tap.stats().written == 1, "the session")
            collector.pause()
            while tap.stats().dropped["queue_full"] < 100:
                tap.log_numbers(range(100), bytes(8000))
            with stopwatch(CLOSE_TIMEOUT + GRACE, "close()"):
                stats = tap.close()

    assert stats.dropped["disconnected"] > 0, stats


@pytest.mark.parametrize(
    "calls", ["flush close", "flush flush close close flush", "close flush close flush"]
)
def test_flush_and_close_with_nobody_there(calls: str, tmp_path: Path) -> None:
    """In any order and again, each returns within its bound; after close() flush has no work."""
    with tapped(free_address("unix", tmp_path), close_timeout=CLOSE_TIMEOUT) as tap:
        tap.log_numbers(range(10))
        closed = False
        for call in calls.split():
            with stopwatch(CLOSE_TIMEOUT + GRACE, f"{call}()"):
                result = getattr(tap.handler, call)()
            closed = closed or call == "close"
            assert result is (closed if call == "flush" else None), f"{call} in {calls}"
        stats = tap.close()

    assert stats.dropped["disconnected"] == 10, stats
