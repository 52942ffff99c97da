"""A program that ends with a full queue: what logging.shutdown delivers, and when it gives up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest

import dnstap_logging
from tests.situations.interop.collectors import FstrmCapture, free_address, stopwatch
from tests.situations.interop.taps import numbers_in

QUEUE_SIZE = 10_000
TIMEOUT = 60.0
CLOSE_TIMEOUT = 1.0
GRACE = 10.0
"""Seconds for an interpreter to start and end on a busy machine."""

ENDINGS = {
    "end of script": ("pass", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "exception": ("raise LookupError('on purpose')", 1),
}

# atexit runs last what was registered first: after logging.shutdown, which closes the handler.
PROLOGUE = """
import atexit, sys

@atexit.register
def show():
    stats = dnstap_logging.handlers()[0].stats()
    lost = {cause: number for cause, number in stats.dropped.items() if number}
    print(stats.logged, stats.written, stats.queued, stats.in_flight, lost, flush=True)

import logging, logging.config
import dnstap_logging

logging.config.dictConfig({
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"dnstap": {"class": "dnstap_logging.DnstapHandler", **OPTIONS}},
    "loggers": {"dns": {"level": "INFO", "handlers": ["dnstap"], "propagate": False}},
})
logger, handler = logging.getLogger("dns"), dnstap_logging.get_handler("dnstap")

def log(number):
    extra = {"dns_message_type": "CLIENT_QUERY", "dns_extra": str(number)}
    logger.info("query", extra=extra)
"""

FILL_THE_QUEUE = """
number = 0
while handler.stats().queued < 10_000:
    log(number)
    number += 1
print(number, flush=True)
sys.stdin.readline()
"""

LOG_SOME = """
for number in range(100):
    log(number)
"""


def start(body: str, options: Dict[str, Any]) -> subprocess.Popen[str]:
    """Start a script that logs; it finds the library where the tests found it."""
    package = Path(dnstap_logging.__file__).parent.parent
    environment = dict(os.environ, PYTHONPATH=str(package))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", f"OPTIONS = {options!r}\n{PROLOGUE}{body}"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(body: str, address: str) -> Tuple[int, str, str]:
    """Run a script to its end, which must come in time; return its status and what it printed."""
    options = {"address": address, "close_timeout": CLOSE_TIMEOUT}
    with stopwatch(CLOSE_TIMEOUT + GRACE, "the script"), start(body, options) as script:
        try:
            books, errors = script.communicate("", TIMEOUT)
        finally:
            script.kill()
    return script.returncode, books, errors


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_queue_is_delivered_at_the_end(ending: str, tmp_path: Path) -> None:
    """However the script ends, its 10,000 queued records reach a live collector, none lost."""
    statement, status = ENDINGS[ending]
    path = tmp_path / "capture.fstrm"
    with FstrmCapture(free_address("unix", tmp_path), path) as collector:
        collector.pause()
        options = {"address": collector.address, "timeout": TIMEOUT, "close_timeout": TIMEOUT}
        with start(FILL_THE_QUEUE + statement, options) as script:
            try:
                assert script.stdout is not None
                logged = int(script.stdout.readline())
                collector.resume()
                books, errors = script.communicate("go on\n", TIMEOUT)
            finally:
                script.kill()
        collector.stop()

    assert script.returncode == status, errors
    assert logged >= QUEUE_SIZE
    assert books.split() == [str(logged), str(logged), "0", "0", "{}"], books
    assert numbers_in(path) == list(range(logged))
    assert "dnstap" not in errors or ending == "exception", errors


@pytest.mark.parametrize("ending", ENDINGS)
def test_without_a_collector_the_end_is_not_held_up(ending: str, tmp_path: Path) -> None:
    """With nobody to deliver to, the script ends within close_timeout; the books and stderr say."""
    statement, status = ENDINGS[ending]
    address = free_address("unix", tmp_path)

    done, books, errors = run(LOG_SOME + statement, address)

    assert done == status, errors
    assert books.strip() == "100 0 0 0 {'disconnected': 100}"
    about_loss = [line for line in errors.splitlines() if "disconnected 100" in line]
    assert len(about_loss) == 1, errors
    assert about_loss[0].startswith(f"{address}: dropped 100 records"), errors
    about_why = [line for line in errors.splitlines() if "no such socket" in line]
    assert len(about_why) == 1, errors


def test_a_collector_that_does_not_read_cannot_hold_up_the_end(tmp_path: Path) -> None:
    """A collector that hangs is given up after close_timeout; the counters add up."""
    path = tmp_path / "capture.fstrm"
    with FstrmCapture(free_address("unix", tmp_path), path) as collector:
        collector.pause()
        status, books, errors = run(LOG_SOME, collector.address)

    assert status == 0, errors
    assert books.strip() == "100 0 0 0 {'disconnected': 100}", errors
    assert errors.count("disconnected 100") == 1, errors
