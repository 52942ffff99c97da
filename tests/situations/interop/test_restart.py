"""The collector comes and goes under load: the stream resumes, the books balance."""

from __future__ import annotations

import itertools
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from dnstap_logging import DnstapMessage, DnstapReader
from dnstap_logging.exceptions import DecodeError
from tests.helpers.support import wait_until
from tests.helpers.workers import WatchedLoad
from tests.situations.interop.captures import read_capture
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.taps import Tap, marks_in, numbers_in, tapped

THREADS = 4
BURST = 10
"""Records that a thread logs in a row; then it draws breath, so that there are some thousands a
second and not as many as the interpreter can do."""

BREATH = 0.01
ABSENCES = [300, 3000, 300, 5000]
"""How many records gather while the collector is away, before it returns each time: short and long
absences, so that the retry interval grows to its bound in some."""

RETRY_INTERVAL = 1.0
"""The handlers' max_reconnect_interval in seconds."""

RESUME_WITHIN = RETRY_INTERVAL + 1.0
"""What is promised: the current retry interval and a second."""

GRACE = 15.0
"""Seconds more for a machine that is busy with other things."""


class Load(WatchedLoad):
    """Threads that log marked records."""

    def __init__(self, tap: Tap) -> None:
        super().__init__(tap, *(partial(self._log, name) for name in range(THREADS)))
        self.logged: Counter[int] = Counter()

    def _log(self, name: int) -> None:
        for number in itertools.count():
            if number % BURST == 0 and self.stopping.wait(BREATH):
                return
            self.tap.log_marked(f"{name}:{number}")
            self.logged[name] = number + 1

    def state(self) -> Dict[int, int]:
        """Return how many records each thread has logged by now."""
        return dict(self.logged)


def split(mark: str) -> Tuple[int, int]:
    """Return the thread and the number of a mark."""
    thread, _, number = mark.partition(":")
    return int(thread), int(number)


def wait_for_return(tap: Tap, load: Load, collector: FstrmCapture) -> None:
    """Wait until records that were logged after the collector's return are in its capture."""
    before = load.state()
    wait_until(lambda: tap.stats().connected, "the session", RESUME_WITHIN + GRACE)

    def new_ones_arrived() -> bool:
        collector.flush()
        marks = map(split, marks_in(read_capture(collector.output).payloads))
        return any(number >= before.get(thread, 0) for thread, number in marks)

    wait_until(new_ones_arrived, f"new records in {collector.output}")


def check_stream(path: Path) -> List[str]:
    """Check that a capture, cut or whole, is a valid stream in order; return its marks."""
    marks = marks_in(read_capture(path).payloads)
    last: Dict[int, int] = {}
    for thread, number in map(split, marks):
        assert number > last.get(thread, -1), f"{path}: {thread}:{number} after {last[thread]}"
        last[thread] = number
    assert [message.extra for message in read_until_cut(path)] == [each.encode() for each in marks]
    return marks


def read_until_cut(path: Path) -> List[DnstapMessage]:
    """Return the messages of a capture, which may end inside a frame and nowhere else."""
    messages: List[DnstapMessage] = []
    cut = read_capture(path).rest > 0
    with DnstapReader(path) as reader:
        if cut:
            with pytest.raises(DecodeError, match="ends inside a frame"):
                messages.extend(reader)
        else:
            messages.extend(reader)
    return messages


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_collector_that_is_killed_and_returns(scheme: str, tmp_path: Path) -> None:
    """Absent at start, then killed again and again under load: each return gets a valid stream."""
    address = free_address(scheme, tmp_path)
    captures = [tmp_path / f"capture{number}.fstrm" for number in range(len(ABSENCES) + 1)]
    options = {"max_reconnect_interval": RETRY_INTERVAL, "timeout": 20.0}
    with tapped(address, **options) as tap, ExitStack() as running:
        with Load(tap) as load:
            wait_until(lambda: tap.stats().last_error, "the first failed attempt")
            for number, (path, absence) in enumerate(zip(captures, ABSENCES)):
                with FstrmCapture(address, path) as collector:
                    wait_for_return(tap, load, collector)
                    collector.kill()
                    wait_until(lambda: not tap.stats().connected, "the loss to be noticed")
                assert tap.stats().connects == number + 1
                wait_until(partial(_gathered, tap, absence), f"{absence} records to gather")
            last = running.enter_context(FstrmCapture(address, captures[-1]))
            wait_for_return(tap, load, last)
        stats = tap.close()
        last.stop()

    load.check()
    assert stats.logged == sum(load.logged.values()), stats
    assert (stats.connects, stats.disconnects) == (len(ABSENCES) + 1, len(ABSENCES)), stats
    marks = [mark for path in captures for mark in check_stream(path)]
    assert len(set(marks)) <= stats.written
    assert max(number for thread, number in map(split, marks) if thread == 0) + 1 == load.logged[0]


def _gathered(tap: Tap, number: int) -> bool:
    return tap.stats().queued >= number


def test_a_collector_that_starts_late_gets_what_was_queued(tmp_path: Path) -> None:
    """What was logged before the collector existed is in its capture, nothing lost."""
    path = tmp_path / "capture.fstrm"
    address = free_address("unix", tmp_path)
    with tapped(address) as tap:
        tap.log_numbers(range(1000))
        wait_until(lambda: tap.stats().last_error, "the first failed attempt")
        with FstrmCapture(address, path) as collector:
            wait_until(lambda: tap.stats().connected, "the session", RESUME_WITHIN + GRACE)
            assert tap.handler.flush(timeout=20.0)
            stats = tap.close()
            collector.stop()

    assert (stats.written, sum(stats.dropped.values())) == (1000, 0), stats
    assert numbers_in(path) == list(range(1000))


def test_a_collector_that_stands_still_costs_nothing(tmp_path: Path) -> None:
    """While the collector is stopped, logging goes on; when it goes on, it gets everything."""
    path = tmp_path / "capture.fstrm"
    with FstrmCapture(free_address("unix", tmp_path), path) as collector:
        with tapped(collector.address, timeout=60.0, close_timeout=30.0) as tap:
            tap.log_numbers([0])
            wait_until(lambda: tap.stats().written == 1, "the session")
            collector.pause()
            tap.log_numbers(range(1, 5000), padding=bytes(500))
            assert tap.stats().written < 5000, "the kernel took everything: nothing was tested"
            collector.resume()
            stats = tap.close()
        collector.stop()

    assert (stats.written, stats.connects, stats.disconnects) == (5000, 1, 0), stats
    assert numbers_in(path) == list(range(5000))
