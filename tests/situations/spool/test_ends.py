"""The end of a program whose collector is away: what it logged is stored, and soon."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path

import pytest

from tests.helpers.programs import run_python
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import DEADLINE
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.taps import numbers_in, tapped
from tests.situations.spool.scenes import TIMES, segments, stored, wait_for

COUNT = 10
CLOSE_TIMEOUT = 10.0

PRELUDE = """
import gc, os, sys, threading, warnings
from tests.situations.interop.taps import Tap
from dnstap_logging import DnstapHandler
warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: our subject
address, spool, close_timeout = sys.argv[1:]
arguments = dict(spool=spool, timeout=1000.0, close_timeout=float(close_timeout))
tap = Tap(DnstapHandler(address, **arguments))
"""

ENDS = {
    "the end of the program": "tap.log_numbers(range(10))",
    "sys.exit": "tap.log_numbers(range(10)); sys.exit(0)",
    "an error": "sys.excepthook = lambda *_: None; tap.log_numbers(range(10)); 1 / 0",
    "dropped without close": """
        tap.log_numbers(range(10))
        tap.logger.handlers.clear()
        del tap
        gc.collect()
    """,
    "sys.exit in a thread": """
        def work():
            tap.log_numbers(range(10))
            sys.exit(1)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    """,
    "a daemon thread that logs": """
        thread = threading.Thread(target=tap.log_numbers, args=(range(10),), daemon=True)
        thread.start()
        thread.join()
    """,
    "a child with os._exit": """
        if os.fork() == 0:
            os._exit(0)
        os.wait()
        tap.log_numbers(range(10))
    """,
    "a child that logs and exits": """
        tap.log_numbers(range(5))
        child = os.fork()
        if child == 0:
            tap.log_numbers(range(5, 10))
            sys.exit(0)
        os.waitpid(child, 0)
    """,
    "a child that flushes, and os._exit": """
        tap.log_numbers(range(5))
        child = os.fork()
        if child == 0:
            tap.log_numbers(range(5, 10))
            assert tap.handler.flush(60)
            os._exit(0)
        os.waitpid(child, 0)
    """,
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_a_program_stores_what_waits(end: str, tmp_path: Path) -> None:
    """Without a collector and without close(): all is in the folder, long before close_timeout."""
    spool, address = tmp_path / "spool", free_address("unix", tmp_path)
    started = time.monotonic()
    done = run_python(
        PRELUDE + textwrap.dedent(ENDS[end]), address, spool, CLOSE_TIMEOUT, timeout=DEADLINE
    )
    assert time.monotonic() - started < CLOSE_TIMEOUT, done
    assert done.returncode == (end == "an error"), done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(stored(spool)) == list(range(COUNT)), done.stderr


WORKERS = """
import os, sys, warnings
from tests.situations.interop.taps import Tap
from dnstap_logging import DnstapHandler
warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: our subject
address, spool, first, count, flush = sys.argv[1:]
tap = Tap(DnstapHandler(address, spool=spool, timeout=0.2, queue_size=100, close_timeout=60,
                        reconnect_interval=0.01, max_reconnect_interval=0.1))
children = []
for number in range(4):
    child = os.fork()
    if child == 0:
        begin = int(first) + number * int(count)
        for at in range(begin, begin + int(count), 40):
            tap.log_numbers(range(at, at + 40))
            assert not int(flush) or tap.handler.flush(60)
            while tap.stats().queued > 50:
                os.sched_yield()
        sys.exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
assert sum(tap.stats().dropped.values()) == 0
"""

EACH = 400
ALL = 4 * EACH


@pytest.mark.parametrize("flush", [0, 1])
def test_four_workers_and_a_restart_on_one_folder(flush: int, tmp_path: Path) -> None:
    """What four workers stored, those of the next run send: once, each worker's in order."""
    spool, address = tmp_path / "spool", free_address("unix", tmp_path)
    done = run_python(WORKERS, address, spool, 0, EACH, flush)
    assert done.returncode == 0, done.stderr
    assert sorted(stored(spool)) == list(range(ALL)), done.stderr
    assert len({path.stem.partition("-")[2] for path in segments(spool)}) == 4
    with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
        done = run_python(WORKERS, address, spool, ALL, EACH, flush)
        assert done.returncode == 0, done.stderr
        with tapped(address, spool=spool, **TIMES) as tap:
            tap.log_numbers([2 * ALL])
            wait_until(lambda: segments(spool) == [], "an empty spool", DEADLINE)
            wait_for(tap, spooled=0, queued=0, in_flight=0)
            tap.close()
        collector.stop()
        numbers = numbers_in(collector.output)
    assert sorted(set(numbers)) == list(range(2 * ALL + 1)), done.stderr
