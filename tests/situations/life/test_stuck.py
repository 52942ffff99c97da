"""A writer thread that is held up past close_timeout: what is left is counted, once, and said."""

from __future__ import annotations

import gc
import logging
import threading
from pathlib import Path
from typing import Iterator, List

import pytest

from dnstap_logging import DnstapReader, RotatingDnstapHandler, Stats
from dnstap_logging.process.process import orphans
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced, wait_until
from tests.helpers.workers import Workers
from tests.situations.life.scripts import run

RECORDS = 300
IN_FIRST = 15  # at least this many fit into the first capture


class Hold:
    """A rotator that does not come back until it is let go, and how far it is."""

    def __init__(self) -> None:
        self.holding = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, source: str, dest: str) -> None:
        self.holding.set()
        assert self.go_on.wait(100)
        Path(source).rename(dest)


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Return a rotator that holds the writer thread up; it is let go at the end in any case."""
    rotator = Hold()
    yield rotator
    rotator.go_on.set()


def held_up(path: Path, hold: Hold, close_timeout: float = 0.1) -> RotatingDnstapHandler:
    """Return a handler with all records logged, whose writer thread is inside the rotator."""
    handler = RotatingDnstapHandler(
        path, maxBytes=2000, backupCount=1000, close_timeout=close_timeout, sequence=True
    )
    handler.rotator = hold
    for number in range(RECORDS):
        log(handler, number)
    wait_until(hold.holding.is_set, "the writer thread to be held up")
    return handler


def log(handler: logging.Handler, number: int) -> None:
    """Give a handler one record."""
    extras = {"dns_message_type": "CLIENT_QUERY", "dns_extra": f"{number} {'x' * 40}"}
    handler.handle(logging.makeLogRecord(extras))


def let_go(hold: Hold) -> None:
    """Let the writer thread go on, and wait for its end."""
    hold.go_on.set()
    wait_until(
        lambda: not [each for each in threading.enumerate() if each.name == "dnstap-writer"],
        "the writer thread to end",
    )


def numbers(folder: Path) -> List[int]:
    """Return the numbers in all captures of a folder."""
    found = []
    for path in folder.iterdir():
        with DnstapReader(path) as reader:
            found += [int((message.extra or b"").split()[0]) for message in reader]
    return sorted(found)


def check_lost(stats: Stats) -> None:
    """Check that nothing is left between the books: what is not written is lost."""
    assert_balanced(stats)
    assert (stats.logged, stats.queued, stats.in_flight) == (RECORDS, 0, 0), stats
    assert stats.dropped["disconnected"] == RECORDS - stats.written > 0, stats
    assert stats.written >= IN_FIRST, stats
    assert "did not stop in time" in (stats.last_error or ""), stats


def test_what_is_left_is_counted_and_said(tmp_path: Path, hold: Hold, said: Said) -> None:
    """All that is queued and in flight is `disconnected`, and one line says how much that is."""
    handler = held_up(tmp_path / "capture.fstrm", hold)
    handler.close()
    stats = handler.stats()

    check_lost(stats)
    lost = stats.dropped["disconnected"]
    line = said.wait_for("did not stop in time")
    assert f"dropped {lost} records (disconnected {lost}); in all {lost} of {RECORDS}" in line
    assert len(said.with_text("dropped")) == 1, said.lines
    assert said.wait_for("the last number of the sequence").endswith(f"/{lost}")


def test_a_writer_that_comes_back_counts_nothing_twice(
    tmp_path: Path, hold: Hold, said: Said
) -> None:
    """The books stay as close() left them, and what it counted as lost is not written."""
    handler = held_up(tmp_path / "capture.fstrm", hold)
    handler.close()
    before = handler.stats()
    let_go(hold)
    after = handler.stats()

    check_lost(after)
    assert after._replace(connected=False) == before._replace(connected=False)
    assert not after.connected
    assert numbers(tmp_path) == list(range(before.written))
    said.wait_for("did not stop in time")
    assert len(said.with_text("dropped")) == 1, said.lines


def test_calls_after_it(tmp_path: Path, hold: Hold) -> None:
    """Nothing that comes after close() waits for the stuck thread, and each log call is counted."""
    handler = held_up(tmp_path / "capture.fstrm", hold)
    handler.close()
    assert handler.flush()
    assert handler.flush(None), "the books are settled: there is nothing to wait for"
    handler.reopen()
    handler.doRollover()
    handler.close()
    log(handler, RECORDS)
    assert not handler.emit_payload(b"payload")
    let_go(hold)
    stats = handler.stats()

    assert_balanced(stats)
    assert stats.logged == RECORDS + 2
    assert stats.dropped["closed"] == 2
    assert (stats.queued, stats.in_flight) == (0, 0)


def test_a_flush_that_waits_meanwhile(tmp_path: Path, hold: Hold) -> None:
    """A flush() without end in another thread returns as soon as close() has counted the rest."""
    handler = held_up(tmp_path / "capture.fstrm", hold)
    flushed: List[bool] = []
    with Workers(lambda: flushed.append(handler.flush(None))):
        handler.close()
    assert flushed == [True]
    let_go(hold)


def test_a_caller_that_waits_for_room(tmp_path: Path, hold: Hold) -> None:
    """With overflow="block" the waiting caller is let go, and its record is counted."""
    handler = RotatingDnstapHandler(
        tmp_path / "capture.fstrm",
        maxBytes=2000,
        backupCount=9,
        close_timeout=0.1,
        overflow="block",
        queue_size=10,
    )
    handler.rotator = hold

    def log_all() -> None:
        for number in range(RECORDS):
            log(handler, number)

    with Workers(log_all):
        assert hold.holding.wait(100)
        wait_until(lambda: handler.stats().queued == 10, "the queue to be full")
        handler.close()
    stats = handler.stats()
    assert_balanced(stats)
    assert stats.logged == RECORDS
    assert (stats.queued, stats.in_flight) == (0, 0)
    let_go(hold)


def test_a_handler_that_was_dropped(tmp_path: Path, hold: Hold, said: Said) -> None:
    """What the end of the process does for handlers that nobody closed counts the rest, too."""
    handler = held_up(tmp_path / "capture.fstrm", hold)
    stats = handler._writer_thread.stats
    del handler
    gc.collect()
    (orphan,) = orphans
    orphan.join()

    check_lost(stats())
    said.wait_for("did not stop in time")
    let_go(hold)
    check_lost(stats())


SCRIPT = """
import os, pathlib, threading
holding, for_ever = threading.Event(), threading.Event()
def rotator(source, dest):
    holding.set()
    for_ever.wait()
def hold_up(path):
    handler = dnstap_logging.RotatingDnstapHandler(
        path, maxBytes=2000, backupCount=9, close_timeout=0.2)
    handler.rotator = rotator
    logger.addHandler(handler)
    for number in range(300):
        log(f"{number} {'x' * 40}")
    assert holding.wait(100)
    return handler
"""

SHOW_LAST = """
import atexit
def show_last():
    if "handler" in globals():
        show(handler)
atexit.register(show_last)                 # before logging is imported: runs after its shutdown
"""

ENDS = {
    "logging.shutdown": "handler = hold_up(sys.argv[1])",
    "close": "handler = hold_up(sys.argv[1]); handler.close()",
    "close, interrupted": """
handler = hold_up(sys.argv[1])
handler._options = handler._options._replace(close_timeout=60)
main = threading.main_thread().ident
threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
try:
    handler.close()
except KeyboardInterrupt:
    handler._writer_thread._delivery.stop_at = 0.0      # its time is over
""",
    "close in a daemon thread": """
handler = hold_up(sys.argv[1])
threading.Thread(target=handler.close, daemon=True).start()
while not handler._writer_thread.closed:
    time.sleep(0)
""",
    "a forked child": """
for_child, in_child = os.pipe()
parents = hold_up(sys.argv[1])
child = os.fork()
if child == 0:
    logger.removeHandler(parents)
    holding.clear()
    handler = hold_up(sys.argv[1] + ".child")
else:
    logger.removeHandler(parents)
    assert os.waitpid(child, 0)[1] == 0
    os._exit(0)
""",
}


@pytest.mark.parametrize("end", ENDS)
def test_at_the_end_of_the_process(tmp_path: Path, end: str) -> None:
    """Whatever closes the handler last: the books are closed, and the line is seen."""
    script = SCRIPT + ENDS[end]
    books = run(script, tmp_path / "capture.fstrm", first=SHOW_LAST, warnings="default")

    said = books.pop("stderr")
    assert (books["logged"], books["queued"], books["in_flight"]) == (RECORDS, 0, 0), said
    assert books["written"] + books["disconnected"] == RECORDS, said
    lines = [line for line in said.splitlines() if "did not stop in time" in line]
    assert any(f"disconnected {books['disconnected']}" in line for line in lines), said


def test_a_child_of_multiprocessing(tmp_path: Path) -> None:
    """At its end, where atexit does not run, the rest is counted and reported."""
    script = (
        SCRIPT
        + """
import multiprocessing
def work(path):
    hold_up(path)
process = multiprocessing.get_context("fork").Process(target=work, args=(sys.argv[1],))
process.start()
process.join()
assert process.exitcode == 0
"""
    )
    said = run(script, tmp_path / "capture.fstrm")["stderr"]
    assert "did not stop in time; dropped" in said
    assert "disconnected" in said
