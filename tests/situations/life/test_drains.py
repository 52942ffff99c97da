"""If no writer thread can be started, or Ctrl-C interrupts it, flush() delivers."""

from __future__ import annotations

from pathlib import Path

from dnstap_logging import DnstapReader
from tests.situations.life.scripts import marks, run

NO_THREADS = """
import threading
threading.stack_size(1 << 46)      # more than there is: from now on no thread can be started
"""


def test_a_flush_without_end_ends_where_no_thread_can_be_started(tmp_path: Path) -> None:
    """flush(None) delivers by itself, and returns when all is written."""
    capture = tmp_path / "capture.fstrm"
    books = run(
        """
        handler = attach(sys.argv[1])
        log(1)
        assert handler.flush(timeout=None)
        log(2)
        handler.close()
        show(handler)
        """,
        capture,
        first=NO_THREADS,
    )

    assert books["written"] == 2
    assert marks(capture) == ["1", "2"]


def test_ctrl_c_in_a_rotator_of_the_main_thread(tmp_path: Path) -> None:
    """The rollover is cancelled, the stream goes on in the same file, and no record is lost."""
    capture = tmp_path / "capture.fstrm"
    books = run(
        """
        handler = dnstap_logging.RotatingDnstapHandler(sys.argv[1], maxBytes=400, backupCount=9)
        logger.addHandler(handler)
        def interrupted(source, dest):
            raise KeyboardInterrupt
        handler.rotator = interrupted
        for number in range(30):
            log(number)
        try:
            handler.flush(timeout=30)
            raise SystemExit("the interrupt did not arrive")
        except KeyboardInterrupt:
            handler.rotator = None
        assert handler.flush(timeout=30), handler.stats()
        handler.close()
        show(handler)
        """,
        capture,
        first=NO_THREADS,
    )

    assert books["written"] == 30
    files = sorted(tmp_path.iterdir(), key=lambda path: (len(path.name), path.name), reverse=True)
    backups = [path for path in files if path != capture]
    found = [mark for path in sorted(backups, reverse=True) for mark in marks(path)]
    assert found + marks(capture) == [str(number) for number in range(30)]


def test_after_a_rollover_that_was_the_last_attempt(tmp_path: Path) -> None:
    """Where STOP cannot be written and no attempt is left, what comes is counted as no_sink."""
    capture = tmp_path / "capture.fstrm"
    books = run(
        """
        import os, resource
        handler = dnstap_logging.RotatingDnstapHandler(
            sys.argv[1], maxBytes=10**9, backupCount=2, max_reconnect_attempts=0)
        logger.addHandler(handler)
        log(0)
        assert handler.flush()
        size = os.path.getsize(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        handler.doRollover()               # no room for STOP
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log(1)
        handler.close()
        show(handler)
        """,
        capture,
        warnings="default",
    )

    assert (books["written"], books.get("no_sink")) == (1, 1), books
    with DnstapReader(capture) as reader:
        assert [message.extra for message in reader] == [b"0"]
